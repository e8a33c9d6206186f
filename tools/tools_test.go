package tools

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// inClone runs a command in a directory that has the scripts in tools/, and returns what it
// printed and whether it succeeded.
func inClone(t *testing.T, dir string, command ...string) (string, bool) {
	t.Helper()
	cmd := exec.Command(command[0], command[1:]...)
	cmd.Dir = dir
	out, err := cmd.CombinedOutput()
	return string(out), err == nil
}

func clone(t *testing.T) string {
	t.Helper()
	here, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := os.Symlink(here, filepath.Join(dir, "tools")); err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestStageAndSummary(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		stage   []string
		says    []string
		hides   string
		goes    bool
		summary string
		whole   bool
	}{
		"success is one line": {
			stage: []string{"x y", "sh", "-c", "echo noise"}, says: []string{"ok   x y"}, hides: "noise", goes: true,
			summary: "1 stages ran.", whole: true,
		},
		"failure shows the output": {
			stage: []string{"x", "sh", "-c", "echo reason >&2; exit 3"}, says: []string{"FAIL x", "| reason"},
			summary: "Failed: x", whole: false,
		},
		"tests that failed are named at the end": {
			stage: []string{"go test", "sh", "-c", "echo '    --- FAIL: TestX/y (1.00s)'; echo noise; exit 1"}, says: []string{"FAIL go test", "noise"},
			summary: "    --- FAIL: TestX/y (1.00s)\nFailed: go-test", whole: false,
		},
		"success shown as it comes": {
			stage: []string{"--show", "x", "sh", "-c", "echo step"}, says: []string{"     step", "ok   x"}, goes: true,
			summary: "1 stages ran.", whole: true,
		},
		"failure shown as it comes": {
			stage: []string{"--show", "x", "sh", "-c", "echo step; exit 3"}, says: []string{"     step", "FAIL x"},
			summary: "Failed: x", whole: false,
		},
		"what could not run is said twice": {
			stage: []string{"x", "sh", "-c", "echo no database; exit 77"}, says: []string{"---- x", "NOT CHECKED: no database"}, goes: true,
			summary: "Not checked: x", whole: true,
		},
		"a command that does not exist": {
			stage: []string{"x", "./missing"}, says: []string{"FAIL x", "missing"},
			summary: "Failed: x", whole: false,
		},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := clone(t)
			out, ok := inClone(t, dir, append([]string{"tools/stage"}, c.stage...)...)
			if ok != c.goes {
				t.Errorf("succeeded: %v, want %v", ok, c.goes)
			}
			for _, want := range c.says {
				if !strings.Contains(out, want) {
					t.Errorf("printed %q, want %q in it", out, want)
				}
			}
			if c.hides != "" && strings.Contains(out, c.hides) {
				t.Errorf("printed %q, want no %q in it", out, c.hides)
			}
			out, ok = inClone(t, dir, "tools/summary")
			if ok != c.whole || !strings.Contains(out, c.summary) {
				t.Errorf("summary %q, %v, want %q, %v", out, ok, c.summary, c.whole)
			}
		})
	}
}

func TestNoStagesIsAFailure(t *testing.T) {
	t.Parallel()
	if out, ok := inClone(t, clone(t), "tools/summary"); ok {
		t.Errorf("summary %q succeeded without any stage", out)
	}
}

func TestGoVersion(t *testing.T) {
	t.Parallel()
	dir := clone(t)
	if err := os.WriteFile(filepath.Join(dir, "go.mod"), []byte("module x\n\ngo 1.26.0\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if out, ok := inClone(t, dir, "tools/go-version", "go"); !ok || out != "" {
		t.Errorf("with Go: %q, %v, want silence", out, ok)
	}
	if out, ok := inClone(t, dir, "tools/go-version", "./missing"); ok || !strings.Contains(out, "Install Go 1.26.0") {
		t.Errorf("without Go: %q, %v, want advice", out, ok)
	}
	if err := os.WriteFile(filepath.Join(dir, "go.mod"), []byte("module x\n\ngo 1.99.0\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if out, ok := inClone(t, dir, "env", "GOTOOLCHAIN=local", "tools/go-version", "go"); ok || !strings.Contains(out, "go.mod asks for 1.99.0") {
		t.Errorf("with an old Go: %q, %v, want advice", out, ok)
	}
}
