package runner_test

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/tollgate/tollgate/internal/runner"
)

// steps is a configuration of n resources that follow each other. Each writes a line into the
// ledger and then waits at the gate.
func steps(n int, dir string) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "resource \"terraform_data\" \"r%d\" {\n", i)
		if i > 0 {
			fmt.Fprintf(&b, "  depends_on = [terraform_data.r%d]\n", i-1)
		}
		fmt.Fprintf(&b, "  provisioner \"local-exec\" {\n    command = \"echo %d >>%s/ledger; cat %s/gate\"\n  }\n}\n", i, dir, dir)
	}
	return b.String()
}

// beginApply starts an apply of n steps and returns when the first is waiting.
func beginApply(t *testing.T, n int) (dir string) {
	t.Helper()
	binary, err := exec.LookPath("terraform")
	if err != nil {
		t.Fatalf("this test runs the real Terraform: %v", err)
	}
	dir = newDir(t)
	stack := filepath.Join(dir, "stack")
	if err := os.Mkdir(stack, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(stack, "main.tf"), []byte(steps(n, dir)), 0o644); err != nil {
		t.Fatal(err)
	}
	spec := shell("")
	spec.Dir, spec.Path = stack, binary
	spec.Env = []string{"PATH=/usr/bin:/bin", "HOME=" + dir, "CHECKPOINT_DISABLE=1"}
	for _, args := range [][]string{{"init", "-input=false"}, {"plan", "-input=false", "-out=plan"}} {
		cmd := exec.Command(binary, args...)
		cmd.Dir, cmd.Env = spec.Dir, spec.Env
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
	}
	spec.Args = []string{"apply", "-input=false", "-no-color", "plan"}
	if err := runner.Start(os.Args[0], dir, spec); err != nil {
		t.Fatal(err)
	}
	until(t, func() bool { return len(ledger(t, dir)) == 1 })
	return dir
}

func ledger(t *testing.T, dir string) []string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(dir, "ledger"))
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	return strings.Fields(string(data))
}

// resources counts what the state says.
func resources(t *testing.T, dir string) int {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(dir, "stack", "terraform.tfstate"))
	if err != nil {
		t.Fatal(err)
	}
	var state struct{ Resources []json.RawMessage }
	if err := json.Unmarshal(data, &state); err != nil {
		t.Fatal(err)
	}
	return len(state.Resources)
}

// Covers: R06
func TestApplyFinishesWithoutItsRunner(t *testing.T) {
	t.Parallel()
	dir := beginApply(t, 3)
	if err := syscall.Kill(pid(t, dir), syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	for i := range 3 {
		// A writer that comes too early would meet the reader of the step before.
		until(t, func() bool { return len(ledger(t, dir)) == i+1 })
		open(t, dir)
	}
	if s := wait(t, dir); s.State != runner.Lost {
		t.Errorf("status %+v", s)
	}
	if got, n := ledger(t, dir), resources(t, dir); len(got) != 3 || n != 3 {
		t.Errorf("effects %v, resources in the state %d", got, n)
	}
	out, err := os.ReadFile(runner.OutputFile(dir))
	if err != nil || !strings.Contains(string(out), "Apply complete! Resources: 3 added") {
		t.Errorf("output: %v\n%s", err, out)
	}
}

// Covers: R11
func TestApplyStopsOnOneSignal(t *testing.T) {
	t.Parallel()
	dir := beginApply(t, 3)
	for range 3 {
		if err := syscall.Kill(pid(t, dir), syscall.SIGTERM); err != nil && err != syscall.ESRCH {
			t.Fatal(err)
		}
	}
	s := wait(t, dir)
	if s.State != runner.Exited || s.Exit.Code != 1 || s.Exit.Killed || s.Exit.Stop != "terminated" {
		t.Errorf("status %+v", s)
	}
	if got, n := ledger(t, dir), resources(t, dir); len(got) != 1 || n != 1 {
		t.Errorf("effects %v, resources in the state %d", got, n)
	}
	out, err := os.ReadFile(runner.OutputFile(dir))
	if err != nil || !strings.Contains(string(out), "Interrupt received.") || strings.Contains(string(out), "Two interrupts") {
		t.Errorf("output: %v\n%s", err, out)
	}
}
