package terraform_test

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tollgate/tollgate/internal/terraform"
)

var key = bytes.Repeat([]byte("k"), 32)

// bench is a Terraform with a record of its processes.
type bench struct {
	*terraform.Terraform
	mu   sync.Mutex
	runs []terraform.Process
}

func (b *bench) commands() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	var names []string
	for _, p := range b.runs {
		names = append(names, p.Argv[1])
	}
	return names
}

func newBench(t *testing.T, change func(*terraform.Config)) *bench {
	t.Helper()
	binary, err := exec.LookPath("terraform")
	if err != nil {
		t.Fatalf("these tests run the real Terraform: %v", err)
	}
	// t.TempDir() holds the test's name and is too long for Unix sockets.
	dir, err := os.MkdirTemp("", "tf")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	b := &bench{}
	cfg := terraform.Config{
		Binary: binary, Dir: dir, Key: key, LockTimeout: time.Second, Grace: 10 * time.Second,
		Environ: []string{"PATH=" + filepath.Dir(binary) + ":/usr/bin:/bin"},
		Trace: func(p terraform.Process) {
			b.mu.Lock()
			defer b.mu.Unlock()
			b.runs = append(b.runs, p)
		},
	}
	if change != nil {
		change(&cfg)
	}
	if b.Terraform, err = terraform.New(t.Context(), cfg); err != nil {
		t.Fatal(err)
	}
	return b
}

// module writes files into a new checkout and returns the module in its directory "stack".
func module(t *testing.T, files map[string]string) terraform.Module {
	t.Helper()
	root := t.TempDir()
	for name, content := range files {
		path := filepath.Join(root, "stack", name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return terraform.Module{
		Root: root, Dir: "stack", Workspace: "default", Key: "1/stack/default", InitKey: "a",
		StatePath: filepath.Join(t.TempDir(), "states", "stack.tfstate"),
	}
}

func plan(t *testing.T, b *bench, m terraform.Module) (*terraform.Plan, string, string) {
	t.Helper()
	var log bytes.Buffer
	file := filepath.Join(t.TempDir(), "plan")
	p, err := b.Plan(t.Context(), m, terraform.PlanTo{File: file, Log: &log})
	if err != nil {
		t.Fatalf("plan: %v\n%s", err, &log)
	}
	return p, file, log.String()
}

// apply runs the apply command to its end and returns its output.
func apply(t *testing.T, b *bench, m terraform.Module, file string) (string, int) {
	t.Helper()
	c, err := b.ApplyCommand(t.Context(), m, file, &bytes.Buffer{})
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(c.Path, c.Args...)
	cmd.Env, cmd.Dir = c.Env, c.Dir
	out, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return string(out), cmd.ProcessState.ExitCode()
}

const two = `
resource "terraform_data" "a" { input = "x" }
resource "terraform_data" "b" { input = terraform_data.a.output }
output "o" { value = terraform_data.b.output }
`

func TestPlanApplyPlan(t *testing.T) {
	t.Parallel()
	b := newBench(t, nil)
	m := module(t, map[string]string{"main.tf": two})
	p, file, log := plan(t, b, m)
	if p.Summary.Counts.Create != 2 || p.Summary.Counts.Outputs != 1 || !p.Initialised {
		t.Errorf("first plan: %+v", p)
	}
	if !strings.Contains(log, "Plan: 2 to add") || strings.Contains(log, "\x1b") {
		t.Errorf("log is not Terraform's plain text:\n%s", log)
	}
	if out, exit := apply(t, b, m, file); exit != 0 {
		t.Fatalf("apply: exit %d\n%s", exit, out)
	}
	if p, _, _ := plan(t, b, m); !p.Summary.Counts.Empty() || p.Initialised {
		t.Errorf("second plan: %+v", p)
	}
	// The third process is the apply's neighbour: init, plan, show, then plan, show.
	if got, want := b.commands(), []string{"init", "plan", "show", "plan", "show"}; !slices.Equal(got, want) {
		t.Errorf("processes: %v, want %v", got, want)
	}
	if out, exit := apply(t, b, m, file); !errors.Is(terraform.Explain([]byte(out), exit), terraform.ErrStale) {
		t.Errorf("second apply of one plan: exit %d\n%s", exit, out)
	}
	if _, err := os.Stat(m.StatePath); err != nil {
		t.Error(err)
	}
	left, err := filepath.Glob(filepath.Join(m.Root, "stack", "*"))
	if err != nil || len(left) != 2 {
		t.Errorf("files in the checkout: %v %v", left, err)
	}
}

func TestPlanCancelled(t *testing.T) {
	t.Parallel()
	b := newBench(t, nil)
	// A data source that waits forever is the only thing in a plan that can be made to.
	m := module(t, map[string]string{"main.tf": two})
	_ = m
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := b.Plan(ctx, m, terraform.PlanTo{File: filepath.Join(t.TempDir(), "p"), Log: &bytes.Buffer{}})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("error is %v", err)
	}
}
