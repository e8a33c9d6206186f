package main

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestMain lets this test program stand in for bot, so that tests see its real exit status and
// all that it prints, side by side and each with an environment of its own.
func TestMain(m *testing.M) {
	// The processes that judge and those of a room have no environment.
	if os.Getenv("BE_BOT") != "" || len(os.Args) > 1 && (os.Args[1] == "judge" || os.Args[1] == "confined") {
		main()
		return
	}
	os.Exit(m.Run())
}

type call struct {
	environ []string
	stdin   string
	dir     string
}

type answer struct {
	status         int
	stdout, stderr string
}

func (c call) command(t *testing.T, args ...string) *exec.Cmd {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0], args...)
	cmd.Dir, cmd.Stdin = c.dir, strings.NewReader(c.stdin)
	cmd.Env = append([]string{"BE_BOT=1", "PATH=" + os.Getenv("PATH"), "HOME=" + t.TempDir()}, c.environ...)
	return cmd
}

// bot runs the program to its end.
func (c call) bot(t *testing.T, args ...string) answer {
	t.Helper()
	cmd := c.command(t, args...)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return answer{cmd.ProcessState.ExitCode(), stdout.String(), stderr.String()}
}

// expect compares the exit status and looks for texts in what was printed.
func (a answer) expect(t *testing.T, status int, texts ...string) {
	t.Helper()
	if a.status != status {
		t.Errorf("exit status %d, want %d", a.status, status)
	}
	for _, text := range texts {
		if !strings.Contains(a.stdout+a.stderr, text) {
			t.Errorf("nothing says %q", text)
		}
	}
	if t.Failed() {
		t.Logf("stdout:\n%s\nstderr:\n%s", a.stdout, a.stderr)
	}
}

// file writes a file into a new directory and returns its path.
func file(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestWrongCallsAreNotJudged(t *testing.T) {
	t.Parallel()
	for want, args := range map[string][]string{
		`unknown command "frobnicate"`:         {"frobnicate"},
		"unknown flag: --frobnicate":           {"serve", "--frobnicate"},
		"requires at least 1 arg(s)":           {"check"},
		"--crash goes with --script.":          {"demo", "--crash"},
		`invalid argument "x" for "--workers"`: {"serve", "--workers", "x"},
	} {
		t.Run(args[0]+" "+want, func(t *testing.T) {
			t.Parallel()
			got := call{}.bot(t, args...)
			got.expect(t, 2, "Error: "+want)
			if got.stdout != "" {
				t.Errorf("a mistake is told on standard output: %q", got.stdout)
			}
		})
	}
}

func TestHelp(t *testing.T) {
	t.Parallel()
	call{}.bot(t, "--help").expect(t, 0, "serve", "check", "demo", "audit")
}
