package terraform

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"syscall"
	"time"
)

// Process is one Terraform process that has ended.
type Process struct {
	Argv     []string
	Dir      string
	Start    time.Time
	Duration time.Duration
	CPU      time.Duration // user and system, with the providers it waited for
	Exit     int           // -1 when a signal ended it
}

// run starts a process, waits for it and returns its exit status. The error says that it could
// not be run or that ctx ended; a status other than zero is not an error.
//
// When ctx ends, the process gets one interrupt, upon which Terraform stops its providers and
// releases the state lock. A second one would make it drop everything. If it is still there after
// the grace, it is killed. Its process group is killed in any case, so that no provider survives.
func (t *Terraform) run(ctx context.Context, c Command, stdout, stderr io.Writer) (int, error) {
	cmd := exec.CommandContext(ctx, c.Path, c.Args...)
	cmd.Env, cmd.Dir, cmd.Stdout, cmd.Stderr = c.Env, c.Dir, stdout, stderr
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = t.cfg.Grace
	// If the server is killed, Terraform is interrupted rather than killed or left alone: the
	// state lock is released, and nobody waits for a plan that nobody wants any more.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGINT}
	// The kernel sends that signal when the thread ends that started the process.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()

	start := time.Now()
	if err := cmd.Start(); err != nil {
		return 0, fmt.Errorf("start terraform: %w", err)
	}
	err := cmd.Wait()
	// No such process is the normal answer.
	_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
	t.trace(cmd, c, start)
	if ctx.Err() != nil {
		return 0, fmt.Errorf("terraform %s was interrupted: %w", c.Args[0], ctx.Err())
	}
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		return 0, fmt.Errorf("wait for terraform: %w", err)
	}
	return cmd.ProcessState.ExitCode(), nil
}

func (t *Terraform) trace(cmd *exec.Cmd, c Command, start time.Time) {
	if t.cfg.Trace == nil {
		return
	}
	s := cmd.ProcessState
	t.cfg.Trace(Process{
		Argv: cmd.Args, Dir: c.Dir, Start: start, Duration: time.Since(start),
		CPU: s.UserTime() + s.SystemTime(), Exit: s.ExitCode(),
	})
}

// runLogged is run with all output going to the file log, and from there to w while it grows.
// A pipe would be shorter, but Terraform dies of a pipe whose reader is gone and leaves the
// state locked.
func (t *Terraform) runLogged(ctx context.Context, in place, c Command, log string, w io.Writer) (int, error) {
	f, err := os.OpenFile(log, os.O_CREATE|os.O_EXCL|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return 0, fmt.Errorf("create terraform's log: %w", err)
	}
	defer f.Close()
	ended := make(chan struct{})
	followed := make(chan error, 1)
	go func() { followed <- follow(log, w, ended) }()
	exit, err := in.run(ctx, c, f, f)
	close(ended)
	if ferr := <-followed; err == nil && ferr != nil {
		err = fmt.Errorf("copy terraform's output: %w", ferr)
	}
	return exit, err
}

// follow copies a growing file to w until ended is closed and all of it is copied.
func follow(name string, w io.Writer, ended <-chan struct{}) error {
	f, err := os.Open(name)
	if err != nil {
		return err
	}
	defer f.Close()
	tick := time.NewTicker(25 * time.Millisecond)
	defer tick.Stop()
	for last := false; ; {
		if _, err := io.Copy(w, f); err != nil {
			return err
		}
		if last {
			return nil
		}
		select {
		case <-tick.C:
		case <-ended:
			last = true
		}
	}
}

// tail returns at most the last n bytes of a file.
func tail(name string, n int64) ([]byte, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	return io.ReadAll(io.NewSectionReader(f, max(0, info.Size()-n), n))
}
