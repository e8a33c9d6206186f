package confine

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"sync"
	"syscall"
	"time"
)

// Room is a room as its supervisor has it. It is used by one goroutine, but for Signal and Close.
type Room struct {
	first  *exec.Cmd // of the room, or its supervisor
	wire   *wire
	stderr *head
	exits  *exits
	closed sync.Once
	ended  chan struct{} // the first process of the room is gone, and with it every other
}

// Open makes an empty room with this process as its supervisor and way out. Keep are files that
// every process in it holds open, such as a lock that is to be free only when all of them are gone.
// If this process dies, the command that runs has no way out any more, and is interrupted.
func Open(program string, keep ...*os.File) (*Room, error) {
	return open(exec.Command(program, "confined", "inside"), spaces(), keep)
}

// OpenSupervised is Open with a supervisor of its own: the way out stays as long as a command runs,
// also if this process dies.
func OpenSupervised(program string, keep ...*os.File) (*Room, error) {
	return open(exec.Command(program, "confined", "supervisor"), &syscall.SysProcAttr{Setsid: true}, keep)
}

func open(first *exec.Cmd, attr *syscall.SysProcAttr, keep []*os.File) (*Room, error) {
	w, other, err := pair()
	if err != nil {
		return nil, err
	}
	defer other.Close()
	r := &Room{first: first, wire: w, stderr: &head{}, ended: make(chan struct{})}
	first.Env, first.Dir, first.Stderr = []string{}, "/", r.stderr // a nil environment would hand over the server's
	first.ExtraFiles, first.SysProcAttr = append([]*os.File{other}, keep...), attr
	if err := first.Start(); err != nil {
		w.close()
		return nil, fmt.Errorf("make a room of its own: %w", err)
	}
	go func() { _ = first.Wait(); close(r.ended) }()
	return r, nil
}

// Enter furnishes the room. It is called once.
func (r *Room) Enter(p Plan) error {
	if err := r.wire.send(order{Enter: &p}); err != nil {
		return err
	}
	a, files, err := r.answer()
	if err != nil {
		return err
	}
	defer closeAll(files)
	if a.Ready == nil {
		return errors.New("the room is not ready, and does not say why")
	}
	if len(files) == 0 {
		return nil // its supervisor is the way out
	}
	var listeners []net.Listener
	for _, f := range files {
		l, err := net.FileListener(f)
		if err != nil {
			return fmt.Errorf("adopt a listener of the room: %w", err)
		}
		listeners = append(listeners, l)
	}
	r.exits = serveExits(p.Egress, listeners)
	return nil
}

// Run runs a command to its end. Everything that it leaves behind is killed. The error is ErrNotRun,
// or nobody can tell how it ended.
func (r *Room) Run(c Command, stdout, stderr *os.File) (Result, error) {
	if err := r.wire.send(order{Run: &c}, stdout, stderr); err != nil {
		return Result{}, err
	}
	a, files, err := r.answer()
	closeAll(files)
	if err != nil {
		return Result{}, err
	}
	if a.Result == nil {
		return Result{}, errors.New("the room does not say how the command ended")
	}
	if r.exits != nil {
		a.Result.Refused = r.exits.refusals()
	}
	return *a.Result, nil
}

// Signal passes a signal on to the command that runs.
func (r *Room) Signal(s syscall.Signal) error { return r.wire.send(order{Signal: int(s)}) }

// Close ends everything in the room.
func (r *Room) Close() {
	r.closed.Do(func() {
		if r.wire.send(order{Close: true}) != nil {
			_ = r.first.Process.Kill()
		}
		<-r.ended
		r.wire.close()
		if r.exits != nil {
			r.exits.close()
		}
	})
}

func (r *Room) answer() (answer, []*os.File, error) {
	var a answer
	files, err := r.wire.receive(&a)
	if err != nil {
		return a, nil, fmt.Errorf("the room's first process is gone: %w: %s", err, r.stderr)
	}
	if a.Fault != "" {
		closeAll(files)
		if a.NotRun {
			return a, nil, fmt.Errorf("%w: %s", ErrNotRun, a.Fault)
		}
		return a, nil, errors.New(a.Fault)
	}
	return a, files, nil
}

// head keeps the beginning of what is written to it.
type head struct {
	mu sync.Mutex
	b  []byte
}

func (h *head) Write(p []byte) (int, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.b = append(h.b, p[:min(len(p), max(0, 4096-len(h.b)))]...)
	return len(p), nil
}

func (h *head) String() string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return string(h.b)
}

// Supervise is the supervisor of one room: "bot confined supervisor", as OpenSupervised starts it.
func Supervise(program string) int {
	w, err := adopt(os.NewFile(3, "wire"))
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	r, err := Open(program, kept()...)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer r.Close()
	var running sync.WaitGroup
	finish := false
	for {
		var o order
		files, err := w.receive(&o)
		switch {
		case err != nil: // who asked is gone; what runs may end in good order
			if !finish {
				_ = r.Signal(syscall.SIGINT)
				time.AfterFunc(orphanGrace, r.Close)
			}
			running.Wait()
			return 0
		case o.Close:
			return 0
		case o.Signal != 0:
			_ = r.Signal(syscall.Signal(o.Signal)) // if the room is gone, Run says so
		case o.Enter != nil:
			a := answer{Ready: &ready{}}
			finish = o.Enter.Finish
			if err := r.Enter(*o.Enter); err != nil {
				a = answer{Fault: err.Error()}
			}
			_ = w.send(a) // who asked may be gone, which the next receive tells
		case o.Run != nil && len(files) == 2:
			running.Go(func() {
				defer closeAll(files)
				a := answer{}
				if res, err := r.Run(*o.Run, files[0], files[1]); err != nil {
					a.Fault, a.NotRun = err.Error(), errors.Is(err, ErrNotRun)
				} else {
					a.Result = &res
				}
				_ = w.send(a)
			})
			continue
		}
		closeAll(files)
	}
}

// checkPatience is how long it may take to make a room, on a machine that has other things to do.
const checkPatience = 30 * time.Second

// Check says whether this machine can confine, by making a room and running program in it. A program
// that knows nothing of rooms does not answer, or starts something else; it is killed in the end.
func Check(ctx context.Context, program string) error {
	ctx, cancel := context.WithTimeout(ctx, checkPatience)
	defer cancel()
	err := check(ctx, program)
	if ctx.Err() != nil {
		return fmt.Errorf("%s does not answer in a room of its own: %w", program, ctx.Err())
	}
	return err
}

func check(ctx context.Context, program string) error {
	r, err := Open(program)
	if err != nil {
		return err
	}
	defer r.Close()
	stop := context.AfterFunc(ctx, func() { _ = r.first.Process.Kill() })
	defer stop()
	if err := r.Enter(Plan{ReadOnly: []string{program}}); err != nil {
		return err
	}
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer null.Close()
	res, err := r.Run(Command{Path: program, Args: []string{"confined", "hello"}, Dir: "/"}, null, null)
	if err == nil && res.Exit != 0 {
		err = fmt.Errorf("a program in a room of its own ended with status %d", res.Exit)
	}
	return err
}
