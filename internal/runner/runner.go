// Package runner carries out one apply in a process of its own, at most once, so that a crash or
// an update of the server neither stops it nor starts it again.
//
// Everything about it lies in one directory:
//
//	lock          held by the runner and by every process of the apply, as long as one lives
//	spec.json     what to run; the environment is blotted out once it has started
//	sealed        the apply must never start
//	started.json  the command may be running; durable before it is started
//	output.log    what it writes, straight from the command, never through a pipe
//	exit.json     how it ended; durable before the lock is released
//
// The lock answers who is alive without any process id. Start takes it before it writes anything
// and hands the open file to the runner, which hands it to the command: the kernel releases it
// when the last of them is gone, and only then; Watch ends those that neither the runner nor the
// command looks after any more. A runner accepts no other lock than the inherited
// one, so "not started and not locked" can be trusted, and Seal makes it final. The directory must
// be on a local file system.
//
// Whoever stops the server must signal the server alone (systemd: KillMode=process). A SIGTERM to
// everything at once reaches Terraform twice, from outside and through its runner, and on the
// second one it drops everything.
package runner

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/tollgate/tollgate/internal/confine"
)

// Spec is the command to be run and the conditions under which it may start.
type Spec struct {
	ID   string   `json:"id"` // the execution, for people who look into the directory
	Path string   `json:"path"`
	Args []string `json:"args"`
	Env  []string `json:"env"` // the whole environment; holds credentials
	Dir  string   `json:"dir"`
	// Scratch is removed when the command has ended; empty for nothing.
	Scratch string        `json:"scratch,omitempty"`
	Room    *confine.Plan `json:"room,omitempty"` // what it may see and reach; nil: everything that the server may

	NotAfter time.Time     `json:"not_after"` // it may not start later than this
	Fence    *Fence        `json:"fence,omitempty"`
	Limit    time.Duration `json:"limit"` // how long it may run before it is asked to stop, in nanoseconds
	Grace    time.Duration `json:"grace"` // how long it may take to stop before it is killed, in nanoseconds
}

// Fence keeps an overtaken owner from starting what somebody else has taken over: the file must
// hold exactly the token at the last moment before the start.
type Fence struct {
	File  string `json:"file"`
	Token string `json:"token"`
}

// ErrUsed says that the directory has served a runner before, or was sealed.
var ErrUsed = errors.New("runner directory is used")

const (
	lockName    = "lock"
	specName    = "spec.json"
	sealName    = "sealed"
	startedName = "started.json"
	outputName  = "output.log"
	exitName    = "exit.json"
	ownLogName  = "runner.log"
)

// OutputFile is where the command's output is, as it grows.
func OutputFile(dir string) string { return filepath.Join(dir, outputName) }

// Start starts "BIN runner DIR" detached from this process: in its own session, with nothing
// shared but files. It returns ErrUsed if the directory was used before. After any other error,
// Inspect tells whether something was started.
func Start(bin, dir string, spec Spec) error {
	if err := spec.check(); err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("create runner directory: %w", err)
	}
	lock, err := ownLock(dir)
	if err != nil {
		return err
	}
	if lock == nil {
		return ErrUsed
	}
	defer lock.Close()
	for _, name := range []string{specName, sealName, startedName} {
		if exists, err := has(dir, name); exists || err != nil {
			return errors.Join(err, ErrUsed)
		}
	}
	if err := writeDurably(dir, specName, spec); err != nil {
		return fmt.Errorf("write runner's task: %w", err)
	}
	return launch(bin, dir, lock)
}

func (s Spec) check() error {
	if s.NotAfter.IsZero() || s.Limit <= 0 || s.Grace <= 0 {
		return fmt.Errorf("runner needs a latest start, a limit and a grace, has %v, %v, %v", s.NotAfter, s.Limit, s.Grace)
	}
	return nil
}

func launch(bin, dir string, lock *os.File) error {
	log, err := os.OpenFile(filepath.Join(dir, ownLogName), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return fmt.Errorf("create runner's log: %w", err)
	}
	defer log.Close()
	cmd := exec.Command(bin, "runner", dir)
	cmd.Env = []string{} // nil would hand over the server's
	cmd.Dir = dir
	cmd.Stdout, cmd.Stderr = log, log
	cmd.ExtraFiles = []*os.File{lock}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start runner: %w", err)
	}
	// A child that nobody waits for stays a zombie. How it ended stands in its directory.
	go func() { _ = cmd.Wait() }()
	return nil
}

// State is what is known of an apply.
type State string

// The states. Lost means that it may have run, wholly or in part, and that nobody is left to tell.
const (
	NotStarted State = "not_started"
	Running    State = "running"
	Exited     State = "exited"
	Lost       State = "lost"
)

// Status is what a runner's directory says.
type Status struct {
	State   State
	Started time.Time // zero if it has not started, or is about to
	Exit    Exit      // with Exited
	Reason  string    // with NotStarted: why the runner refused, if it did
}

// Exit is how the command ended.
type Exit struct {
	Code   int       `json:"code"`             // exit status; -1 when a signal ended it
	Signal string    `json:"signal,omitempty"` // the signal that ended it
	Killed bool      `json:"killed,omitempty"` // it did not stop within the grace and was killed
	Stop   string    `json:"stop,omitempty"`   // why it was asked to stop, if it was
	At     time.Time `json:"at"`
	Output string    `json:"output"`           // "sha256:…" over the output
	Bytes  int64     `json:"bytes"`            // length of the output
	Refuse string    `json:"refuse,omitempty"` // why the command was not started at all
}

// StopLimit is the reason to stop of a command that reached its time limit; any other is the name of a signal.
const StopLimit = "time limit"

// started is written before the command is started. The process is named for people; nothing is
// decided by it.
type started struct {
	At    time.Time `json:"at"`
	Until time.Time `json:"until"` // when the runner will have killed the command at the latest
	PID   int       `json:"pid"`
	Boot  string    `json:"boot"`
}

// searchPause is how often Watch looks through all processes, which takes some milliseconds.
const searchPause = 3 * time.Second

// overdue is how long after that a record of the end may still be on its way.
const overdue = time.Minute

// Inspect reads the state of an apply. NotStarted holds for this moment only; see Seal.
func Inspect(dir string) (Status, error) {
	lock, err := openLock(dir, os.O_RDONLY, syscall.LOCK_SH)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return Status{State: NotStarted}, nil
	case errors.Is(err, syscall.EWOULDBLOCK):
		return inspectLocked(dir)
	case err != nil:
		return Status{}, err
	}
	defer lock.Close()
	return inspectFree(dir)
}

// Seal is Inspect, and if the state is NotStarted it stays so for ever: a Start that comes later,
// from whatever process, refuses.
func Seal(dir string) (Status, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return Status{}, fmt.Errorf("create runner directory: %w", err)
	}
	lock, err := ownLock(dir)
	if err != nil {
		return Status{}, err
	}
	if lock == nil {
		return inspectLocked(dir)
	}
	defer lock.Close()
	s, err := inspectFree(dir)
	if err != nil || s.State != NotStarted {
		return s, err
	}
	if err := writeDurably(dir, sealName, time.Now()); err != nil {
		return Status{}, fmt.Errorf("seal runner directory: %w", err)
	}
	return s, nil
}

// Watch waits until the apply is no longer running and returns its state. It looks ten times a
// second, which is enough beside an apply and costs nothing. Of an apply that is lost it ends what
// lives on, so that whoever finds out what was done need not fear that more is being done.
func Watch(ctx context.Context, dir string) (Status, error) {
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	searched := time.Now()
	for {
		s, err := Inspect(dir)
		if s.State == Lost {
			endLeftovers(dir)
			removeScratch(dir)
		}
		if err != nil || s.State != Running {
			return s, err
		}
		if time.Since(searched) > searchPause {
			searched = time.Now()
			if !s.Started.IsZero() && abandoned(dir) {
				endLeftovers(dir) // the lock goes with them, and the apply is lost
			}
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return s, ctx.Err()
		}
	}
}

// removeScratch removes what a runner that was killed could not. A directory that stays holds the
// home of a process, and no secret.
func removeScratch(dir string) {
	if spec, err := readSpec(dir); err == nil && spec.Scratch != "" {
		_ = os.RemoveAll(spec.Scratch)
	}
}

// inspectLocked is for a directory whose lock somebody holds.
func inspectLocked(dir string) (Status, error) {
	// The end is written before the lock is released, and stray processes of the apply may keep it.
	if s, ok := exited(dir); ok {
		return s, nil
	}
	begun, err := readStarted(dir)
	if err != nil || begun == nil {
		return Status{State: Running}, err
	}
	// A runner would have killed the command and said so, so it is dead.
	if !begun.Until.IsZero() && time.Now().After(begun.Until.Add(overdue)) {
		return Status{State: Lost, Started: begun.At}, nil
	}
	return Status{State: Running, Started: begun.At}, nil
}

// inspectFree is for a directory whose lock we hold ourselves.
func inspectFree(dir string) (Status, error) {
	if s, ok := exited(dir); ok {
		return s, nil
	}
	begun, err := readStarted(dir)
	if err != nil || begun == nil {
		return Status{State: NotStarted}, err
	}
	return Status{State: Lost, Started: begun.At}, nil
}

// exited reads exit.json. One that is torn or incomplete counts as none.
func exited(dir string) (Status, bool) {
	data, err := os.ReadFile(filepath.Join(dir, exitName))
	if err != nil {
		return Status{}, false
	}
	var e Exit
	if err := json.Unmarshal(data, &e); err != nil || e.At.IsZero() {
		return Status{}, false
	}
	if e.Refuse != "" {
		return Status{State: NotStarted, Reason: e.Refuse}, true
	}
	begun, err := readStarted(dir)
	if err != nil || begun == nil || e.Output == "" {
		return Status{}, false
	}
	return Status{State: Exited, Started: begun.At, Exit: e}, true
}

// readStarted returns nil if nothing was started, and empty fields if the file is torn: that it
// exists is what counts.
func readStarted(dir string) (*started, error) {
	data, err := os.ReadFile(filepath.Join(dir, startedName))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read runner's start: %w", err)
	}
	var s started
	if err := json.Unmarshal(data, &s); err != nil {
		return &started{}, nil
	}
	return &s, nil
}

func bootID() string {
	id, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(id))
}

// Processes carries out each apply in a process of Program.
type Processes struct{ Program string }

// Start is the function of this name.
func (p Processes) Start(dir string, spec Spec) error { return Start(p.Program, dir, spec) }

// Seal is the function of this name.
func (Processes) Seal(dir string) (Status, error) { return Seal(dir) }

// Watch is the function of this name.
func (Processes) Watch(ctx context.Context, dir string) (Status, error) { return Watch(ctx, dir) }
