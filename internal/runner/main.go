package runner

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"
)

// inherited is the descriptor on which Start hands over the lock.
const inherited = 3

// reserve is kept free for exit.json, in bytes: a full disk must keep an apply from starting, not
// from being reported.
const reserve = 4096

// Point is a place in a runner's work at which a crash must not be taken for anything else.
type Point string

// The points, in their order.
const (
	Started  Point = "runner.started"  // the start is recorded, the command not started
	Ended    Point = "runner.ended"    // the command has ended, which nobody knows
	Recorded Point = "runner.recorded" // the end is recorded, the lock not released
)

// Main is the runner process: "bot runner DIR", as started by Start. It returns the process's exit
// status, which says only whether everything was recorded. Its messages go to stderr. It tells at
// where it is, so that tests can end it there; at may be nil.
func Main(dir string, at func(Point)) int {
	if at == nil {
		at = func(Point) {}
	}
	if err := run(dir, at); err != nil {
		fmt.Fprintln(os.Stderr, "runner:", err)
		return 1
	}
	return 0
}

func run(dir string, at func(Point)) error {
	// From the first moment on, because a signal that ends the runner leaves an apply unreported.
	signals := make(chan os.Signal, 8)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP)

	lock, err := inheritLock(dir)
	if err != nil {
		return err
	}
	defer lock.Close()
	for _, name := range []string{sealName, startedName, exitName} {
		if exists, err := has(dir, name); exists || err != nil {
			return errors.Join(err, ErrUsed)
		}
	}
	spec, err := readSpec(dir)
	if err != nil {
		return err
	}
	end, err := reserveExit(dir)
	if err != nil {
		return err
	}
	if err := spec.mayStart(time.Now()); err != nil {
		return refuse(end, dir, err)
	}
	output, err := os.OpenFile(OutputFile(dir), os.O_CREATE|os.O_EXCL|os.O_RDWR|os.O_APPEND, 0o600)
	if err != nil {
		return refuse(end, dir, err)
	}
	defer output.Close()
	now := time.Now()
	begun := started{At: now, Until: now.Add(spec.Limit + spec.Grace), PID: os.Getpid(), Boot: bootID()}
	if err := writeDurably(dir, startedName, begun); err != nil {
		return fmt.Errorf("record start: %w", err)
	}
	at(Started)
	return supervise(dir, spec, lock, output, end, signals, at)
}

// inheritLock takes over the lock from Start. Without it this process was started by somebody
// else, and has no right to run anything.
func inheritLock(dir string) (*os.File, error) {
	f := os.NewFile(inherited, lockName)
	var have, want syscall.Stat_t
	if err := syscall.Fstat(inherited, &have); err != nil {
		return nil, fmt.Errorf("runner was not started by the server: %w", err)
	}
	if err := syscall.Stat(filepath.Join(dir, lockName), &want); err != nil {
		return nil, fmt.Errorf("examine runner's lock: %w", err)
	}
	if have.Dev != want.Dev || have.Ino != want.Ino {
		return nil, errors.New("runner was not started by the server: it holds another lock")
	}
	// On the inherited descriptor this succeeds at once; on one opened anew only if nobody holds it.
	if err := syscall.Flock(inherited, syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		return nil, fmt.Errorf("another runner is at work: %w", err)
	}
	syscall.CloseOnExec(inherited)
	return f, nil
}

func readSpec(dir string) (Spec, error) {
	data, err := os.ReadFile(filepath.Join(dir, specName))
	if err != nil {
		return Spec{}, fmt.Errorf("read runner's task: %w", err)
	}
	var s Spec
	if err := json.Unmarshal(data, &s); err != nil {
		return Spec{}, fmt.Errorf("decode runner's task: %w", err)
	}
	return s, s.check()
}

// reserveExit returns the file that will become exit.json, with its space allocated.
func reserveExit(dir string) (*os.File, error) {
	f, err := os.OpenFile(filepath.Join(dir, exitName+".new"), os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, fmt.Errorf("reserve space: %w", err)
	}
	if _, err := f.Write(make([]byte, reserve)); err != nil {
		return nil, errors.Join(fmt.Errorf("reserve space: %w", err), f.Close())
	}
	if err := f.Sync(); err != nil {
		return nil, errors.Join(fmt.Errorf("reserve space: %w", err), f.Close())
	}
	return f, nil
}

func (s Spec) mayStart(now time.Time) error {
	if now.After(s.NotAfter) {
		return fmt.Errorf("it is later than %s, until when the start was allowed", s.NotAfter.Format(time.RFC3339))
	}
	if s.Fence == nil {
		return nil
	}
	token, err := os.ReadFile(s.Fence.File)
	if err != nil {
		return fmt.Errorf("read fence: %w", err)
	}
	if string(token) != s.Fence.Token {
		return ErrOvertaken
	}
	return nil
}

// refuse records that the command was not and will not be started.
func refuse(end *os.File, dir string, cause error) error {
	err := finish(end, dir, exitName, Exit{Code: -1, At: time.Now(), Refuse: cause.Error()})
	return errors.Join(cause, err)
}

// supervise runs the command and records its end.
func supervise(dir string, spec Spec, lock, output, end *os.File, signals <-chan os.Signal, at func(Point)) error {
	start := startOpenly
	if spec.Room != nil {
		start = startConfined
	}
	cmd, err := start(spec, lock, output)
	if err != nil {
		return refuse(end, dir, fmt.Errorf("start command: %w", err))
	}
	spec.Env = nil
	// Best effort: the environment's credentials need not lie there any longer.
	scrubbed := writeDurably(dir, specName, spec)

	exit := await(cmd, spec, signals)
	at(Ended)
	sum, size, err := digest(output)
	if err != nil {
		return errors.Join(fmt.Errorf("read output: %w", err), scrubbed)
	}
	exit.Output, exit.Bytes = sum, size
	if err := finish(end, dir, exitName, exit); err != nil {
		return errors.Join(fmt.Errorf("record end: %w", err), scrubbed)
	}
	at(Recorded)
	if spec.Scratch != "" {
		return errors.Join(scrubbed, os.RemoveAll(spec.Scratch))
	}
	return scrubbed
}

// await waits for the command. The first signal, or the end of the time limit, is passed on as one
// SIGTERM: Terraform then finishes what it is at and saves the state. A second SIGTERM would make
// it drop everything, so none is ever sent; only after the grace is it killed.
func await(cmd command, spec Spec, signals <-chan os.Signal) Exit {
	done := make(chan struct{})
	exit := Exit{}
	go func() { defer close(done); exit = cmd.wait() }()
	limit := time.NewTimer(spec.Limit)
	defer limit.Stop()

	stop, killed := "", false
	select {
	case <-done:
	case s := <-nextStop(signals, done):
		stop = s.String()
	case <-limit.C:
		stop = StopLimit
	}
	if stop != "" {
		cmd.terminate()
		grace := time.NewTimer(spec.Grace)
		defer grace.Stop()
		select {
		case <-done:
		case <-grace.C:
			killed = true
			cmd.kill()
			<-done
		}
	}
	cmd.kill() // nothing of an apply that has ended goes on
	exit.At, exit.Stop, exit.Killed = time.Now(), stop, killed
	return exit
}

// nextStop passes on the first signal that asks to stop. SIGHUP does not: it means that a terminal
// has gone.
func nextStop(signals <-chan os.Signal, done <-chan struct{}) <-chan os.Signal {
	stop := make(chan os.Signal, 1)
	go func() {
		for {
			select {
			case s := <-signals:
				if s != syscall.SIGHUP {
					stop <- s
					return
				}
			case <-done:
				return
			}
		}
	}()
	return stop
}

func digest(output *os.File) (sum string, size int64, err error) {
	if err := output.Sync(); err != nil {
		return "", 0, err
	}
	h := sha256.New()
	size, err = io.Copy(h, io.NewSectionReader(output, 0, 1<<62))
	return "sha256:" + hex.EncodeToString(h.Sum(nil)), size, err
}
