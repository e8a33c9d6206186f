package judge

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"runtime"
	"sync"
	"syscall"
	"time"

	"github.com/tollgate/tollgate/internal/change"
)

// child is a process from its start to its end.
type child struct {
	judge *Judge
	names []string // of the sets
	cmd   *exec.Cmd
	plans chan *document // at most one; closed when there will be none
	timer *time.Timer
	stop  func() bool   // no longer end the process with the context of its start
	done  chan struct{} // closed when the process has ended and everything it said is below

	mu       sync.Mutex
	asked    bool  // finish was called
	over     bool  // the process has been waited for
	why      error // why it was killed
	step     step  // what it last said to be doing
	findings []change.Finding
	answer   *answer
	fault    error // what it answered instead
	ended    bool  // it said that its answer is complete
	wrong    error // what was wrong with what it said
	stderr   head
}

// start starts the process and sends it the request. It ends with ctx, and when its time is over.
func (j *Judge) start(ctx context.Context, req request) (*child, error) {
	if len(req.Sets) == 0 {
		return nil, noPolicies()
	}
	head, err := encode(preamble{Memory: j.cfg.Memory, CPU: j.cpuSeconds()}, req)
	if err != nil {
		return nil, notStarted(err)
	}
	c := &child{judge: j, plans: make(chan *document, 1), done: make(chan struct{}), step: step{Doing: doingStart}}
	for _, s := range req.Sets {
		c.names = append(c.names, s.Name)
	}
	c.cmd = exec.Command(j.cfg.Command[0], j.cfg.Command[1:]...)
	c.cmd.Env = []string{} // nil would hand over the server's
	c.cmd.Dir = "/"
	c.cmd.Stderr = &c.stderr
	c.cmd.SysProcAttr = ownGroup()
	stdin, err := c.cmd.StdinPipe()
	if err != nil {
		return nil, notStarted(err)
	}
	stdout, err := c.cmd.StdoutPipe()
	if err != nil {
		return nil, notStarted(err)
	}
	started := make(chan error)
	go c.live(stdout, started)
	if err := <-started; err != nil {
		return nil, notStarted(err)
	}
	c.stop = context.AfterFunc(ctx, func() { c.kill(context.Cause(ctx)) })
	go c.write(stdin, head)
	return c, nil
}

// cpuSeconds is more than the process can use before its time is over, which for one that was prepared
// begins twice. It counts only if the server is no longer there to look at the clock.
func (j *Judge) cpuSeconds() int64 {
	return 2 * int64(j.cfg.Time/time.Second+1) * int64(runtime.NumCPU())
}

// live runs the process to its end and listens to it.
func (c *child) live(stdout io.Reader, started chan<- error) {
	// The kernel kills the process when the thread that started it ends, so it may not end before.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	err := c.cmd.Start()
	if err == nil {
		c.timer = time.AfterFunc(c.judge.cfg.Time, func() { c.kill(errTime) })
	}
	started <- err
	if err != nil {
		return
	}
	c.listen(stdout)
	_ = c.cmd.Wait() // how it ended is in its state
	c.mu.Lock()
	c.over = true
	c.mu.Unlock()
	c.timer.Stop()
	close(c.done)
}

// answerShare is the part of the process's memory that its answer may fill, because it is held here, too.
const answerShare = 16

// listen reads what the process says until the end of its output.
func (c *child) listen(stdout io.Reader) {
	limited := &io.LimitedReader{R: stdout, N: c.judge.cfg.Memory / answerShare}
	dec := json.NewDecoder(limited)
	dec.DisallowUnknownFields()
	for {
		var m message
		err := dec.Decode(&m)
		if errors.Is(err, io.EOF) {
			return
		}
		if err == nil {
			err = c.heard(m)
		}
		if limited.N <= 0 {
			err = errLong
		}
		if err != nil {
			c.mu.Lock()
			c.wrong = err
			c.mu.Unlock()
			c.kill(nil)
			return
		}
	}
}

func (c *child) heard(m message) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	answered := c.answer != nil || c.fault != nil
	switch {
	case m.Step != nil && !answered:
		c.step = *m.Step
		if m.Step.Doing == doingRead && !c.asked {
			c.timer.Stop() // until there is a plan
		}
	case m.Findings != nil && !answered:
		c.findings = append(c.findings, m.Findings...)
	case m.Answer != nil && !answered:
		c.answer = m.Answer
		if c.answer.Result != nil {
			c.answer.Result.Findings = c.findings
		}
	case m.Failure != nil && !answered:
		c.fault = m.Failure.fault()
	case m.End && answered && !c.ended:
		c.ended = true
	default:
		return errors.New("a message out of turn")
	}
	return nil
}

// write sends the request and the plan. That the process reads no further is no error here: how it
// ended says why.
func (c *child) write(stdin io.WriteCloser, head []byte) {
	defer stdin.Close()
	if _, err := stdin.Write(head); err != nil {
		return
	}
	plan, ok := <-c.plans
	if !ok {
		return
	}
	defer close(plan.sent)
	_, _ = io.Copy(stdin, plan)
	if plan.err != nil {
		c.kill(unreadable(plan.err)) // before the end of the input could look like the end of the plan
	}
}

// finish hands over the plan, if there is one, and returns the answer.
func (c *child) finish(ctx context.Context, plan io.Reader) (*answer, error) {
	c.mu.Lock()
	again := c.asked
	c.asked = true
	if !again {
		c.timer.Reset(c.judge.cfg.Time)
	}
	c.mu.Unlock()
	if again {
		return nil, notStarted(errors.New("a prepared process judges one plan"))
	}
	defer context.AfterFunc(ctx, func() { c.kill(context.Cause(ctx)) })()
	doc := &document{r: plan, sent: make(chan struct{})}
	if plan != nil {
		c.plans <- doc
	}
	close(c.plans)
	<-c.done
	c.timer.Stop()
	a, err := c.outcome()
	if err != nil || plan == nil {
		return a, err
	}
	<-doc.sent
	if a.PlanBytes != doc.n {
		return nil, incomplete()
	}
	return a, nil
}

// close ends the process, if it has not ended, and waits for it.
func (c *child) close() {
	c.stop()
	c.kill(nil)
	c.mu.Lock()
	if !c.asked {
		c.asked = true
		close(c.plans)
	}
	c.mu.Unlock()
	<-c.done
}

// kill ends the process, with everything that it may have started, and notes the first reason.
func (c *child) kill(why error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.over {
		return
	}
	if c.why == nil {
		c.why = why
	}
	_ = syscall.Kill(-c.cmd.Process.Pid, syscall.SIGKILL)
}

// document is the plan on its way, with what went wrong while it was read.
type document struct {
	r    io.Reader
	n    int64
	err  error
	sent chan struct{} // closed when nothing more will be read of it
}

func (d *document) Read(p []byte) (int, error) {
	n, err := d.r.Read(p)
	d.n += int64(n)
	if err != nil && !errors.Is(err, io.EOF) {
		d.err = err
	}
	return n, err
}

// head keeps the beginning of what is written to it: a crash says first what it is.
type head struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

const headSize = 16 << 10

func (h *head) Write(p []byte) (int, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.buf.Write(p[:min(len(p), headSize-h.buf.Len())])
	return len(p), nil
}

func (h *head) String() string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.buf.String()
}
