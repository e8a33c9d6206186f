package runner_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/tollgate/tollgate/internal/runner"
)

// TestMain lets the test binary play "bot runner DIR", and a server that starts a runner and waits.
func TestMain(m *testing.M) {
	if len(os.Args) == 3 && os.Args[1] == "runner" {
		os.Exit(runner.Main(os.Args[2], nil))
	}
	if len(os.Args) == 3 && os.Args[1] == "server" {
		os.Exit(serve(os.Args[2]))
	}
	os.Exit(m.Run())
}

func serve(dir string) int {
	if err := runner.Start(os.Args[0], dir, shell("echo begun; cat gate; echo done")); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	fmt.Println("started")
	select {}
}

func shell(script string) runner.Spec {
	return runner.Spec{
		ID: "e1", Path: "/bin/sh", Args: []string{"-c", script}, Env: []string{"PATH=/usr/bin:/bin"},
		NotAfter: time.Now().Add(time.Minute), Limit: time.Minute, Grace: 20 * time.Second,
	}
}

// begin starts a script in a new directory, whose "gate" is a pipe on which the script can wait.
func begin(t *testing.T, spec runner.Spec) string {
	t.Helper()
	dir := newDir(t)
	if spec.Dir == "" {
		spec.Dir = dir
	}
	if err := runner.Start(os.Args[0], dir, spec); err != nil {
		t.Fatal(err)
	}
	return dir
}

func newDir(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	if err := syscall.Mkfifo(filepath.Join(dir, "gate"), 0o600); err != nil {
		t.Fatal(err)
	}
	return dir
}

// open lets the script go on that waits at the gate.
func open(t *testing.T, dir string) {
	t.Helper()
	f, err := os.OpenFile(filepath.Join(dir, "gate"), os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	f.Close()
}

func wait(t *testing.T, dir string) runner.Status {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	s, err := runner.Watch(ctx, dir)
	if err != nil {
		log, _ := os.ReadFile(filepath.Join(dir, "runner.log"))
		t.Fatalf("watch: %v, state %+v\n%s", err, s, log)
	}
	return s
}

// output waits until the command has written text.
func output(t *testing.T, dir, text string) {
	t.Helper()
	until(t, func() bool {
		data, err := os.ReadFile(runner.OutputFile(dir))
		return err == nil && strings.Contains(string(data), text)
	})
}

func until(t *testing.T, done func() bool) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	limit := time.After(30 * time.Second)
	for !done() {
		select {
		case <-tick.C:
		case <-limit:
			t.Fatal("timed out")
		}
	}
}

// pid returns the process id of the runner.
func pid(t *testing.T, dir string) int {
	t.Helper()
	var s struct{ PID int }
	until(t, func() bool {
		data, err := os.ReadFile(filepath.Join(dir, "started.json"))
		return err == nil && json.Unmarshal(data, &s) == nil
	})
	return s.PID
}

func TestExit(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		script string
		want   runner.Exit
	}{
		"success": {"echo hello; echo world >&2", runner.Exit{Bytes: 12}},
		"failure": {"exit 3", runner.Exit{Code: 3}},
		"signal":  {"kill -9 $$", runner.Exit{Code: -1, Signal: "killed"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := wait(t, begin(t, shell(tt.script)))
			if s.State != runner.Exited || s.Exit.Code != tt.want.Code || s.Exit.Signal != tt.want.Signal || s.Exit.Bytes != tt.want.Bytes {
				t.Errorf("status %+v", s)
			}
			if s.Started.IsZero() || s.Exit.At.Before(s.Started) || !strings.HasPrefix(s.Exit.Output, "sha256:") {
				t.Errorf("record is incomplete: %+v", s)
			}
		})
	}
}

// Covers: T50
func TestEnvironmentIsOnlyTheGivenOne(t *testing.T) {
	t.Setenv("TOLLGATE_SECRET", "canary")
	spec := shell("env; cat /proc/$PPID/environ; ls $SCRATCH")
	spec.Scratch = t.TempDir()
	spec.Env = append(spec.Env, "AWS_SECRET_ACCESS_KEY=hunter2", "SCRATCH="+spec.Scratch)
	dir := begin(t, spec)
	if s := wait(t, dir); s.State != runner.Exited {
		t.Fatalf("status %+v", s)
	}
	out, err := os.ReadFile(runner.OutputFile(dir))
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(out), "canary") || !strings.Contains(string(out), "hunter2") {
		t.Errorf("environment:\n%s", out)
	}
	task, err := os.ReadFile(filepath.Join(dir, "spec.json"))
	if err != nil || strings.Contains(string(task), "hunter2") {
		t.Errorf("credentials are still in the task: %s %v", task, err)
	}
	until(t, func() bool { _, err := os.Stat(spec.Scratch); return errors.Is(err, os.ErrNotExist) })
}

// Covers: T37
func TestRunsAtMostOnce(t *testing.T) {
	t.Parallel()
	dir := begin(t, shell("echo ran >>ledger; cat gate"))
	again := func(when string) {
		t.Helper()
		if err := runner.Start(os.Args[0], dir, shell("echo ran >>ledger")); !errors.Is(err, runner.ErrUsed) {
			t.Errorf("%s: second start: %v", when, err)
		}
		if err := exec.Command(os.Args[0], "runner", dir).Run(); err == nil {
			t.Errorf("%s: a runner without the server's lock ran", when)
		}
	}
	until(t, func() bool { _, err := os.Stat(filepath.Join(dir, "ledger")); return err == nil })
	again("while it runs")
	open(t, dir)
	if s := wait(t, dir); s.State != runner.Exited {
		t.Fatalf("status %+v", s)
	}
	again("after its end")
	if ledger, err := os.ReadFile(filepath.Join(dir, "ledger")); err != nil || string(ledger) != "ran\n" {
		t.Errorf("ledger %q, %v", ledger, err)
	}
}

// Covers: R05
func TestSurvivesTheServer(t *testing.T) {
	t.Parallel()
	dir := newDir(t)
	server := exec.Command(os.Args[0], "server", dir)
	server.Dir = dir
	server.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	stdout, err := server.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	if _, err := stdout.Read(make([]byte, 8)); err != nil {
		t.Fatal(err)
	}
	// The runner's own directory is its working directory; the script's is not set, so the gate is there.
	output(t, dir, "begun")
	if err := syscall.Kill(-server.Process.Pid, syscall.SIGKILL); err != nil { // with all of its group
		t.Fatal(err)
	}
	if err := server.Wait(); err == nil {
		t.Fatal("server was not killed")
	}
	if s, err := runner.Inspect(dir); err != nil || s.State != runner.Running {
		t.Fatalf("after the server's death: %+v, %v", s, err)
	}
	open(t, dir)
	if s := wait(t, dir); s.State != runner.Exited || s.Exit.Code != 0 {
		t.Errorf("status %+v", s)
	}
}

// Covers: R06
func TestCommandSurvivesTheRunner(t *testing.T) {
	t.Parallel()
	dir := begin(t, shell("echo begun; cat gate; echo done; touch finished"))
	output(t, dir, "begun")
	if err := syscall.Kill(pid(t, dir), syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	until(t, func() bool { return !alive(pid(t, dir)) })
	if s, err := runner.Inspect(dir); err != nil || s.State != runner.Running {
		t.Fatalf("the command still runs, but: %+v, %v", s, err)
	}
	open(t, dir)
	if s := wait(t, dir); s.State != runner.Lost {
		t.Errorf("nobody saw the end, but: %+v", s)
	}
	if _, err := os.Stat(filepath.Join(dir, "finished")); err != nil {
		t.Errorf("the command did not finish: %v", err)
	}
}

func alive(pid int) bool {
	data, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	return err == nil && !strings.Contains(string(data), ") Z ")
}

// Covers: R09
func TestEndThatIsNotRecorded(t *testing.T) {
	t.Parallel()
	for name, damage := range map[string]func(exit []byte) []byte{
		"missing":   nil,
		"empty":     func([]byte) []byte { return nil },
		"torn":      func(exit []byte) []byte { return exit[:len(exit)/2] },
		"no fields": func([]byte) []byte { return []byte("{}") },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := begin(t, shell("true"))
			if s := wait(t, dir); s.State != runner.Exited {
				t.Fatalf("undamaged: %+v", s)
			}
			file := filepath.Join(dir, "exit.json")
			data, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if damage == nil {
				err = os.Remove(file)
			} else {
				err = os.WriteFile(file, damage(data), 0o600)
			}
			if err != nil {
				t.Fatal(err)
			}
			if s, err := runner.Inspect(dir); err != nil || s.State != runner.Lost {
				t.Errorf("damaged: %+v, %v", s, err)
			}
		})
	}
}

// A process that happens to have the dead runner's id must not pass for it.
func TestForeignProcessIsNotTheRunner(t *testing.T) {
	t.Parallel()
	dir := begin(t, shell("true"))
	wait(t, dir)
	if err := os.Remove(filepath.Join(dir, "exit.json")); err != nil {
		t.Fatal(err)
	}
	claim := fmt.Sprintf(`{"at":%q,"pid":%d}`, time.Now().Format(time.RFC3339), os.Getpid())
	if err := os.WriteFile(filepath.Join(dir, "started.json"), []byte(claim), 0o600); err != nil {
		t.Fatal(err)
	}
	if s, err := runner.Inspect(dir); err != nil || s.State != runner.Lost {
		t.Errorf("status %+v, %v", s, err)
	}
}

// When runner and Terraform are killed, a provider would go on for ever and keep the lock. It is
// ended, and nobody can tell how the apply ended. As long as one of the two lives it is left alone.
//
// Covers: R06, R12
func TestNothingGoesOnAfterRunnerAndCommand(t *testing.T) {
	t.Parallel()
	dir := begin(t, shell("cat gate & echo provider $! >&2; echo begun; cat gate"))
	output(t, dir, "begun")
	var provider int
	text, err := os.ReadFile(runner.OutputFile(dir))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := fmt.Sscanf(string(text), "provider %d", &provider); err != nil {
		t.Fatal(err)
	}
	command := parent(t, provider)
	for _, victim := range []int{pid(t, dir), command} {
		ctx, cancel := context.WithTimeout(t.Context(), 4*time.Second) // longer than it takes to search once
		s, err := runner.Watch(ctx, dir)
		cancel()
		if !errors.Is(err, context.DeadlineExceeded) || s.State != runner.Running || !alive(provider) {
			t.Fatalf("somebody looks after it, but: %+v, %v", s, err)
		}
		if err := syscall.Kill(victim, syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
	}
	if s := wait(t, dir); s.State != runner.Lost {
		t.Errorf("status %+v", s)
	}
	until(t, func() bool { return !alive(provider) })
}

func parent(t *testing.T, pid int) (ppid int) {
	t.Helper()
	stat, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := fmt.Sscanf(string(stat[strings.LastIndexByte(string(stat), ')')+4:]), "%d", &ppid); err != nil {
		t.Fatal(err)
	}
	return ppid
}

// Where the system does not tell who is alive, nothing is in progress for ever all the same.
func TestSurvivorPastTheLimitIsNotTheApply(t *testing.T) {
	t.Parallel()
	dir := begin(t, shell("echo begun; cat gate"))
	output(t, dir, "begun")
	if s, err := runner.Inspect(dir); err != nil || s.State != runner.Running {
		t.Errorf("within the limit: %+v, %v", s, err)
	}
	file := filepath.Join(dir, "started.json")
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var begun map[string]any
	if err := json.Unmarshal(data, &begun); err != nil {
		t.Fatal(err)
	}
	begun["until"] = time.Now().Add(-2 * time.Minute)
	if data, err = json.Marshal(begun); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, data, 0o600); err != nil {
		t.Fatal(err)
	}
	if s, err := runner.Inspect(dir); err != nil || s.State != runner.Lost {
		t.Errorf("past the limit: %+v, %v", s, err)
	}
	open(t, dir)
	until(t, func() bool { s, err := runner.Inspect(dir); return err == nil && s.State == runner.Exited })
}

func TestRefusals(t *testing.T) {
	t.Parallel()
	fence := filepath.Join(t.TempDir(), "fence")
	if err := os.WriteFile(fence, []byte("7"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct {
		change func(*runner.Spec)
		reason string // empty: it runs
	}{
		"in time":        {func(*runner.Spec) {}, ""},
		"late":           {func(s *runner.Spec) { s.NotAfter = time.Now().Add(-time.Second) }, "it is later than"},
		"own fence":      {func(s *runner.Spec) { s.Fence = &runner.Fence{File: fence, Token: "7"} }, ""},
		"fence moved on": {func(s *runner.Spec) { s.Fence = &runner.Fence{File: fence, Token: "6"} }, "taken over"},
		"fence missing":  {func(s *runner.Spec) { s.Fence = &runner.Fence{File: fence + "x", Token: "7"} }, "read fence"},
		"no such binary": {func(s *runner.Spec) { s.Path = "/nonexistent" }, "start command"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			spec := shell("touch ran")
			tt.change(&spec)
			dir := begin(t, spec)
			s := wait(t, dir)
			_, err := os.Stat(filepath.Join(dir, "ran"))
			if ran := err == nil; ran != (tt.reason == "") {
				t.Errorf("ran: %v", ran)
			}
			want := runner.Exited
			if tt.reason != "" {
				want = runner.NotStarted
			}
			if s.State != want || !strings.Contains(s.Reason, tt.reason) {
				t.Errorf("status %+v", s)
			}
		})
	}
}

func TestSeal(t *testing.T) {
	t.Parallel()
	dir := newDir(t)
	if s, err := runner.Inspect(dir); err != nil || s.State != runner.NotStarted {
		t.Fatalf("before: %+v, %v", s, err)
	}
	if s, err := runner.Seal(dir); err != nil || s.State != runner.NotStarted {
		t.Fatalf("seal: %+v, %v", s, err)
	}
	if err := runner.Start(os.Args[0], dir, shell("touch ran")); !errors.Is(err, runner.ErrUsed) {
		t.Errorf("start after seal: %v", err)
	}

	running := begin(t, shell("cat gate; touch ran"))
	if s, err := runner.Seal(running); err != nil || s.State != runner.Running {
		t.Errorf("seal of a running one: %+v, %v", s, err)
	}
	open(t, running)
	if s := wait(t, running); s.State != runner.Exited {
		t.Errorf("a seal that came too late stopped it: %+v", s)
	}
}

func TestStop(t *testing.T) {
	t.Parallel()
	count := `n=0; trap 'n=$((n+1)); echo "asked $n"' TERM; echo begun; `
	for name, tt := range map[string]struct {
		script string
		change func(*runner.Spec)
		signal bool
		want   runner.Exit
	}{
		"signal, command obeys": {
			script: `trap 'echo saved; exit 1' TERM; echo begun; while :; do sleep 0.1; done`, signal: true,
			want: runner.Exit{Code: 1, Stop: "terminated"},
		},
		"limit, command obeys": {
			script: `trap 'echo saved; exit 1' TERM; echo begun; while :; do sleep 0.1; done`,
			change: func(s *runner.Spec) { s.Limit = 300 * time.Millisecond },
			want:   runner.Exit{Code: 1, Stop: "time limit"},
		},
		"limit, command does not obey": {
			script: count + `while :; do sleep 0.1; done`,
			change: func(s *runner.Spec) { s.Limit, s.Grace = 300*time.Millisecond, 500*time.Millisecond },
			want:   runner.Exit{Code: -1, Signal: "killed", Killed: true, Stop: "time limit"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			spec := shell(tt.script)
			if tt.change != nil {
				tt.change(&spec)
			}
			dir := begin(t, spec)
			output(t, dir, "begun")
			if tt.signal {
				for range 3 {
					if err := syscall.Kill(pid(t, dir), syscall.SIGTERM); err != nil && err != syscall.ESRCH {
						t.Fatal(err)
					}
				}
			}
			got := wait(t, dir).Exit
			if got.Code != tt.want.Code || got.Signal != tt.want.Signal || got.Killed != tt.want.Killed || got.Stop != tt.want.Stop {
				t.Errorf("exit %+v", got)
			}
			out, err := os.ReadFile(runner.OutputFile(dir))
			if err != nil || strings.Contains(string(out), "asked 2") {
				t.Errorf("asked more than once: %v\n%s", err, out)
			}
		})
	}
}
