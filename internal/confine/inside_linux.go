package confine

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// spaces are the name spaces of a room. In them its first process is root of nothing else; outside
// it is the server's own user.
func spaces() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{
		Cloneflags:  unix.CLONE_NEWUSER | unix.CLONE_NEWNS | unix.CLONE_NEWPID | unix.CLONE_NEWNET | unix.CLONE_NEWIPC | unix.CLONE_NEWUTS,
		UidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}},
		Setpgid:     true,
	}
}

// Inside is the first process of a room: "bot confined inside", as Open starts it. It ends when its
// supervisor is gone; before that, the command that runs gets an interrupt and grace to end.
func Inside() int {
	// Limits, capabilities and "no new privileges" belong to a thread, and so does what its children get.
	runtime.LockOSThread()
	w, err := adopt(os.NewFile(3, "wire"))
	if err == nil {
		err = live(w)
	}
	if err != nil && !errors.Is(err, io.EOF) {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

// kept are the descriptors that Open handed over beside the wire.
func kept() (files []*os.File) {
	for fd := 4; fd < 16; fd++ {
		if _, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0); err == nil && !closesOnExec(fd) {
			syscall.CloseOnExec(fd)
			files = append(files, os.NewFile(uintptr(fd), "kept"))
		}
	}
	return files
}

// closesOnExec tells Go's own descriptors, which close on exec, from inherited ones.
func closesOnExec(fd int) bool {
	flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0)
	return err != nil || flags&unix.FD_CLOEXEC != 0
}

func live(w *wire) error {
	keep := kept()
	var o order
	files, err := w.receive(&o)
	closeAll(files)
	if err != nil {
		return err
	}
	if o.Enter == nil {
		return errors.New("a room is entered first")
	}
	listeners, r, err := enter(*o.Enter)
	if err != nil {
		return w.send(answer{Fault: "make a room of its own: " + err.Error()})
	}
	err = w.send(answer{Ready: &r}, listeners...)
	closeAll(listeners)
	if err != nil {
		return err
	}
	h := &house{plan: *o.Enter, proxy: r.Proxy, keep: keep}
	orders := make(chan task)
	go h.listen(w, orders)
	for o := range orders {
		res, err := h.run(*o.order.Run, o.files)
		closeAll(o.files)
		if err != nil {
			err = w.send(answer{Fault: err.Error(), NotRun: errors.Is(err, ErrNotRun)})
		} else {
			err = w.send(answer{Result: &res})
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// task is an order to run something, with its output files.
type task struct {
	order order
	files []*os.File
}

// house is a furnished room.
type house struct {
	plan  Plan
	proxy string
	keep  []*os.File
	now   atomic.Pointer[os.Process] // the command that runs
}

// listen passes orders on, and signals at once. When the supervisor is gone it ends the room.
func (h *house) listen(w *wire, orders chan<- task) {
	defer close(orders)
	for {
		var o order
		files, err := w.receive(&o)
		if err != nil {
			if p := h.now.Load(); p != nil {
				_ = p.Signal(os.Interrupt)
				time.AfterFunc(orphanGrace, func() { os.Exit(1) })
			}
			return
		}
		switch {
		case o.Close:
			os.Exit(0)
		case o.Signal != 0:
			if p := h.now.Load(); p != nil {
				_ = p.Signal(syscall.Signal(o.Signal))
			}
		case o.Run != nil && len(files) == 2:
			orders <- task{o, files}
			continue
		}
		closeAll(files)
	}
}

// run runs one command and kills what it leaves behind.
func (h *house) run(c Command, output []*os.File) (Result, error) {
	cmd := exec.Command(c.Path, c.Args...)
	cmd.Env, cmd.Dir, cmd.Stdout, cmd.Stderr = append(c.Env, h.proxyEnv()...), c.Dir, output[0], output[1]
	cmd.ExtraFiles = h.keep
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := cmd.Start(); err != nil {
		return Result{}, fmt.Errorf("%w: %w", ErrNotRun, err)
	}
	h.now.Store(cmd.Process)
	stop := make(chan struct{})
	var over atomic.Pointer[string]
	var watch sync.WaitGroup
	watch.Go(func() { h.watch(stop, &over) })
	err := cmd.Wait()
	h.now.Store(nil)
	close(stop)
	watch.Wait()
	_ = unix.Kill(-1, unix.SIGKILL) // all but this one; none left is the normal answer
	awaitAll()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		return Result{}, fmt.Errorf("wait for %s: %w", c.Path, err)
	}
	res := Result{Exit: cmd.ProcessState.ExitCode(), CPU: cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()}
	if ws, ok := cmd.ProcessState.Sys().(syscall.WaitStatus); ok && ws.Signaled() {
		res.Signal = ws.Signal().String()
	}
	if o := over.Load(); o != nil {
		res.Over = *o
	}
	return res, nil
}

// awaitAll waits until all that was killed is gone. In a name space of processes the first one inherits
// every orphan, and no command runs now that somebody else waits for.
func awaitAll() {
	for {
		if _, err := unix.Wait4(-1, nil, unix.WALL, nil); err != nil && !errors.Is(err, unix.EINTR) {
			return // ECHILD: none is left
		}
	}
}

func (h *house) proxyEnv() (env []string) {
	for _, name := range []string{"HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"} {
		env = append(env, name+"=http://"+h.proxy)
	}
	return append(env, "NO_PROXY=localhost,127.0.0.1,::1", "no_proxy=localhost,127.0.0.1,::1")
}

const watchEvery = 200 * time.Millisecond

// watch kills everything in the room when it goes over a limit.
func (h *house) watch(stop <-chan struct{}, over *atomic.Pointer[string]) {
	tick := time.NewTicker(watchEvery)
	defer tick.Stop()
	for n := 0; ; n++ {
		select {
		case <-stop:
			return
		case <-tick.C:
		}
		why := ""
		l := h.plan.Limits
		memory, processes := inUse()
		if l.Memory > 0 && memory > l.Memory {
			why = fmt.Sprintf("memory: more than %d MiB", l.Memory>>20)
		}
		if l.Processes > 0 && processes > l.Processes {
			why = fmt.Sprintf("processes: more than %d", l.Processes)
		}
		if n%5 == 4 && why == "" {
			why = h.overDisk()
		}
		if why != "" {
			over.CompareAndSwap(nil, &why)
			_ = unix.Kill(-1, unix.SIGKILL)
		}
	}
}

// inUse is the memory, in bytes, and the number of all processes of the room but this one. The
// kernel's own limit on processes does not hold for root, which a server may run as.
func inUse() (memory, processes int64) {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return 0, 0
	}
	for _, e := range entries {
		if pid, err := strconv.Atoi(e.Name()); err != nil || pid == 1 {
			continue
		}
		processes++
		b, err := os.ReadFile("/proc/" + e.Name() + "/statm")
		if err != nil {
			continue
		}
		if f := strings.Fields(string(b)); len(f) > 2 {
			rss, _ := strconv.ParseInt(f[1], 10, 64)
			file, _ := strconv.ParseInt(f[2], 10, 64) // shared with others: programs and the like
			memory += (rss - file) * int64(os.Getpagesize())
		}
	}
	return memory, processes
}

// listenInside opens the room's listeners and returns them as files to be handed out.
func listenInside(e Egress) (files []*os.File, r ready, err error) {
	for i, address := range append([]string{"127.0.0.1:0"}, e.Loopback...) {
		l, err := net.Listen("tcp", address)
		if err != nil {
			return files, r, fmt.Errorf("listen on %s in the room: %w", address, err)
		}
		if i == 0 {
			r.Proxy = l.Addr().String()
		}
		f, err := l.(*net.TCPListener).File()
		_ = l.Close() // the duplicate goes on
		if err != nil {
			return files, r, err
		}
		files = append(files, f)
	}
	return files, r, nil
}
