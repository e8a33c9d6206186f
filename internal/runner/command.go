package runner

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"syscall"

	"github.com/tollgate/tollgate/internal/confine"
)

// command is the command of an apply while it runs.
type command interface {
	wait() Exit // how it ended; called once
	terminate() // asks it to stop; called once, and it may have ended by then
	kill()      // ends it and all that it started; it may have ended
}

// process is a command that sees all that the server sees.
type process struct{ cmd *exec.Cmd }

func startOpenly(spec Spec, lock, output *os.File) (command, error) {
	cmd := exec.Command(spec.Path, spec.Args...)
	cmd.Env, cmd.Dir = spec.Env, spec.Dir
	if cmd.Env == nil {
		cmd.Env = []string{}
	}
	cmd.Stdout, cmd.Stderr = output, output
	cmd.ExtraFiles = []*os.File{lock}
	// Its own group, so that a signal to ours does not reach it a second time.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	return process{cmd}, cmd.Start()
}

func (p process) wait() Exit {
	_ = p.cmd.Wait() // the state says it all
	e := Exit{Code: p.cmd.ProcessState.ExitCode()}
	if ws, ok := p.cmd.ProcessState.Sys().(syscall.WaitStatus); ok && ws.Signaled() {
		e.Signal = ws.Signal().String()
	}
	return e
}

func (p process) terminate() { _ = p.cmd.Process.Signal(syscall.SIGTERM) }
func (p process) kill()      { _ = syscall.Kill(-p.cmd.Process.Pid, syscall.SIGKILL) }

// confined is a command in a room.
type confined struct {
	room *confine.Room
	end  chan Exit
}

func startConfined(spec Spec, lock, output *os.File) (command, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("find this program: %w", err)
	}
	room, err := confine.OpenSupervised(self, lock)
	if err != nil {
		return nil, err
	}
	plan := *spec.Room
	plan.Finish = true // a runner that dies must not take the apply along
	if err := room.Enter(plan); err != nil {
		room.Close()
		return nil, err
	}
	c := confined{room: room, end: make(chan Exit, 1)}
	go func() {
		res, err := room.Run(confine.Command{Path: spec.Path, Args: spec.Args, Env: spec.Env, Dir: spec.Dir}, output, output)
		e := Exit{Code: res.Exit, Signal: res.Signal}
		switch {
		case errors.Is(err, confine.ErrNotRun):
			e = Exit{Code: -1, Refuse: err.Error()}
		case err != nil:
			e = Exit{Code: -1, Signal: "unknown: " + err.Error()} // it may have run
		}
		if len(res.Refused) > 0 {
			fmt.Fprintf(output, "\nThe sandbox let it through to none of these hosts: %v\n", res.Refused)
		}
		c.end <- e
	}()
	return c, nil
}

func (c confined) wait() Exit { return <-c.end }
func (c confined) terminate() { _ = c.room.Signal(syscall.SIGTERM) }
func (c confined) kill()      { c.room.Close() }
