package sandbox

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// startPatience is how long a process may take until it answers; on a busy machine that is minutes.
const startPatience = 5 * time.Minute

// Emulator is an AWS emulator in a process of its own.
type Emulator struct {
	URL    string
	Record string // file with a line of JSON per call that changed something
	cmd    *exec.Cmd
}

// Call is one line of the emulator's record.
type Call struct {
	Service  string `json:"service"`
	Action   string `json:"action"`
	Resource string `json:"resource"`
	Status   int    `json:"status"`
}

// startEmulator runs the launcher and waits until it answers.
func startEmulator(ctx context.Context, python, launcher, dir string, environ []string) (*Emulator, error) {
	e := &Emulator{Record: filepath.Join(dir, "aws-calls.jsonl")}
	log, err := os.Create(filepath.Join(dir, "emulator.log"))
	if err != nil {
		return nil, err
	}
	defer log.Close() // the child has its own descriptor
	e.cmd = exec.Command(python, launcher, "--port", "0", "--bootstrap", "--record", e.Record)
	e.cmd.Env, e.cmd.Stderr = environ, log
	out, err := e.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := e.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start the AWS emulator: %w", err)
	}
	line, err := firstLine(ctx, out)
	url, ok := strings.CutPrefix(strings.TrimSpace(line), "ready ")
	if err != nil || !ok {
		e.close()
		return nil, fmt.Errorf("the AWS emulator did not start (see %s): %w", log.Name(), errors.Join(err, fmt.Errorf("it said %q", line)))
	}
	e.URL = url
	return e, nil
}

func firstLine(ctx context.Context, r io.Reader) (string, error) {
	type answer struct {
		line string
		err  error
	}
	got := make(chan answer, 1)
	go func() {
		line, err := bufio.NewReader(r).ReadString('\n')
		got <- answer{line, err}
	}()
	ctx, cancel := context.WithTimeout(ctx, startPatience)
	defer cancel()
	select {
	case a := <-got:
		return a.line, a.err
	case <-ctx.Done():
		return "", fmt.Errorf("it has not answered for %v: %w", startPatience, ctx.Err())
	}
}

// Calls reads the record.
func (e *Emulator) Calls() ([]Call, error) {
	b, err := os.ReadFile(e.Record)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var out []Call
	for line := range strings.Lines(string(b)) {
		var c Call
		if err := json.Unmarshal([]byte(line), &c); err != nil {
			continue // the last line may be half written
		}
		out = append(out, c)
	}
	return out, nil
}

func (e *Emulator) close() {
	_ = e.cmd.Process.Kill()
	_ = e.cmd.Wait()
}

// Bot is a `bot serve` process that can be killed and started again.
type Bot struct {
	URL     string
	Program string
	Args    []string
	Environ []string
	Log     string // file that its log is appended to
	cmd     *exec.Cmd
}

// Start starts the server and waits until it is ready.
func (b *Bot) Start(ctx context.Context) error {
	log, err := os.OpenFile(b.Log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer log.Close()
	b.cmd = exec.Command(b.Program, append([]string{"serve"}, b.Args...)...)
	b.cmd.Env, b.cmd.Stdout, b.cmd.Stderr = b.Environ, log, log
	// A Ctrl-C at the terminal is for the demo, which stops its parts in order.
	b.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := b.cmd.Start(); err != nil {
		return fmt.Errorf("start the server: %w", err)
	}
	died := make(chan error, 1)
	go func(cmd *exec.Cmd) { died <- cmd.Wait() }(b.cmd)
	ctx, cancel := context.WithTimeout(ctx, startPatience)
	defer cancel()
	for {
		if ready(ctx, b.URL+"/readyz") {
			return nil
		}
		select {
		case err := <-died:
			return fmt.Errorf("the server ended at once (see %s): %w: %s", b.Log, err, b.lastWords())
		case <-ctx.Done():
			return fmt.Errorf("the server is not ready (see %s): %w", b.Log, ctx.Err())
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// lastWords is the end of the server's log.
func (b *Bot) lastWords() string {
	text, _ := os.ReadFile(b.Log) // without it there is less to say
	return strings.TrimSpace(string(text[max(0, len(text)-1000):]))
}

func ready(ctx context.Context, url string) bool {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return false
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return false
	}
	_ = resp.Body.Close()
	return resp.StatusCode == http.StatusOK
}

// Kill ends the server as a crash does: at once, without a chance to tidy up.
func (b *Bot) Kill() error { return b.end(syscall.SIGKILL) }

// Stop asks the server to end and waits for it.
func (b *Bot) Stop() error { return b.end(syscall.SIGTERM) }

func (b *Bot) end(sig syscall.Signal) error {
	if b.cmd == nil || b.cmd.Process == nil {
		return nil
	}
	if err := b.cmd.Process.Signal(sig); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("signal the server: %w", err)
	}
	deadline := time.Now().Add(startPatience)
	for ; time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		if err := b.cmd.Process.Signal(syscall.Signal(0)); err != nil {
			return nil
		}
	}
	return errors.New("the server does not end")
}

// freeAddress is an address on loopback that nothing listens on.
func freeAddress() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return l.Addr().String(), l.Close()
}
