package terraform_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tollgate/tollgate/internal/terraform"
)

// gate is a server from which a plan reads a foreign state. It keeps the plan waiting.
type gate struct {
	*httptest.Server
	reached chan struct{} // a value when a plan waits
	open    func()        // lets all plans go on
}

func newGate(t *testing.T) *gate {
	t.Helper()
	opened := make(chan struct{})
	g := &gate{reached: make(chan struct{}, 10), open: sync.OnceFunc(func() { close(opened) })}
	g.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		g.reached <- struct{}{}
		select {
		case <-opened:
		case <-r.Context().Done():
		}
		w.WriteHeader(http.StatusNotFound)
	}))
	t.Cleanup(func() { g.open(); g.Close() })
	return g
}

func (g *gate) files() map[string]string {
	return map[string]string{"main.tf": fmt.Sprintf(`
data "terraform_remote_state" "other" {
  backend = "http"
  config  = { address = %q, retry_max = 0 }
}
`, g.URL)}
}

// wait gives up with a failure when something does not happen in time.
func wait[T any](t *testing.T, what string, c <-chan T) T {
	t.Helper()
	select {
	case v := <-c:
		return v
	case <-time.After(30 * time.Second):
		t.Fatalf("timed out waiting for %s", what)
		panic("unreachable")
	}
}

// eventually waits for a condition that nothing announces.
func eventually(t *testing.T, what string, done func() bool) {
	t.Helper()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for limit := time.Now().Add(30 * time.Second); !done(); {
		if time.Now().After(limit) {
			t.Fatalf("timed out waiting for %s", what)
		}
		<-tick.C
	}
}

// transcript is a log that can be waited for.
type transcript struct {
	mu   sync.Mutex
	text bytes.Buffer
	seen chan struct{} // closed when want is there
	want string
}

func newTranscript(want string) *transcript {
	return &transcript{want: want, seen: make(chan struct{})}
}

func (l *transcript) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	before := strings.Contains(l.text.String(), l.want)
	l.text.Write(p)
	if !before && strings.Contains(l.text.String(), l.want) {
		close(l.seen)
	}
	return len(p), nil
}

func (l *transcript) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

func locked(m terraform.Module) bool {
	dir, name := filepath.Split(m.StatePath)
	_, err := os.Stat(filepath.Join(dir, "."+name+".lock.info"))
	return err == nil
}

// Covers: R03
func TestCancelledPlanReleasesTheLock(t *testing.T) {
	t.Parallel()
	b, g := newBench(t, nil), newGate(t)
	m := module(t, g.files())
	ctx, cancel := context.WithCancel(t.Context())
	log := newTranscript("Interrupt received.")
	file := filepath.Join(t.TempDir(), "plan")
	ended := make(chan error, 1)
	go func() {
		_, err := b.Plan(ctx, m, terraform.PlanTo{File: file, Log: log})
		ended <- err
	}()
	wait(t, "the plan to read", g.reached)
	if !locked(m) {
		t.Error("a running plan does not hold the state lock")
	}
	cancel()
	wait(t, "the interrupt", log.seen)
	g.open()
	if err := wait(t, "the end", ended); !errors.Is(err, context.Canceled) {
		t.Errorf("error is %v", err)
	}
	if strings.Contains(log.String(), "Two interrupts") || locked(m) {
		t.Errorf("locked: %v\n%s", locked(m), log)
	}
	if _, err := os.Stat(file); err == nil {
		t.Error("the interrupted run left a plan file")
	}
	if p, _, _ := plan(t, b, module(t, map[string]string{"main.tf": two})); p.Summary.Counts.Create != 2 {
		t.Errorf("next plan: %+v", p.Summary)
	}
}

// Covers: R11
func TestPlanThatDoesNotStopIsKilled(t *testing.T) {
	t.Parallel()
	b := newBench(t, func(c *terraform.Config) { c.Grace = 200 * time.Millisecond })
	g := newGate(t)
	m := module(t, g.files())
	ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
	ended := make(chan error, 1)
	go func() {
		_, err := b.Plan(ctx, m, terraform.PlanTo{File: filepath.Join(m.Root, "plan"), Log: io.Discard})
		ended <- err
	}()
	wait(t, "the plan to read", g.reached)
	cancel()
	if err := wait(t, "the end", ended); !errors.Is(err, context.Canceled) {
		t.Errorf("error is %v", err)
	}
	last := b.runs[len(b.runs)-1]
	if last.Exit != -1 || last.Argv[1] != "plan" {
		t.Errorf("last process: %+v", last)
	}
}

func TestPlansOfOneStateTakeTurns(t *testing.T) {
	t.Parallel()
	b, g := newBench(t, nil), newGate(t)
	m := module(t, g.files())
	ended := make(chan error, 2)
	for range 2 {
		other := module(t, g.files())
		other.StatePath = m.StatePath
		go func() {
			_, err := b.Plan(t.Context(), other, terraform.PlanTo{File: filepath.Join(other.Root, "plan"), Log: io.Discard})
			ended <- err
		}()
	}
	wait(t, "the first plan to read", g.reached)
	// Longer than the lock timeout, after which the second would have failed.
	select {
	case <-g.reached:
		t.Error("the second plan did not wait")
	case err := <-ended:
		t.Errorf("a plan has ended: %v", err)
	case <-time.After(1500 * time.Millisecond):
	}
	g.open()
	for range 2 {
		if err := wait(t, "the end", ended); err == nil {
			continue
		} else if f := explained(t, err, terraform.ErrResource); f.Diagnostics[0].Address != "data.terraform_remote_state.other" {
			t.Errorf("diagnostics: %+v", f.Diagnostics)
		}
	}
}

func TestHoldKeepsPlansWaiting(t *testing.T) {
	t.Parallel()
	b := newBench(t, nil)
	m := module(t, map[string]string{"main.tf": two})
	release, err := b.Hold(t.Context(), m)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
	defer cancel()
	_, err = b.Plan(ctx, m, terraform.PlanTo{File: filepath.Join(m.Root, "plan"), Log: io.Discard})
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("error is %v", err)
	}
	release()
	plan(t, b, m)
}

// Covers: R14, T58
func TestStateLockedBySomebodyElse(t *testing.T) {
	t.Parallel()
	b, g := newBench(t, nil), newGate(t)
	holder := module(t, g.files())
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		_, err := newBench(t, nil).Plan(ctx, holder, terraform.PlanTo{File: filepath.Join(holder.Root, "plan"), Log: io.Discard})
		ended <- err
	}()
	wait(t, "the holder to read", g.reached)

	m := module(t, map[string]string{"main.tf": two})
	m.StatePath = holder.StatePath
	f := explained(t, planError(t, b, m), terraform.ErrLocked)
	if !f.Untouched || f.Lock == nil || f.Lock.ID == "" || f.Lock.Who == "" || f.Lock.Operation != "OperationTypePlan" || time.Since(f.Lock.Created) > time.Minute {
		t.Errorf("failure %+v, lock %+v", f, f.Lock)
	}
	cancel()
	g.open()
	wait(t, "the holder's end", ended)
	plan(t, b, m)
}

// Covers: R03
func TestKilledServerLeavesNoLock(t *testing.T) {
	t.Parallel()
	b, g := newBench(t, nil), newGate(t)
	m := module(t, g.files())
	m.StatePath = filepath.Join(m.Root, "state")
	dir, err := os.MkdirTemp("", "tf")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	binary, err := exec.LookPath("terraform")
	if err != nil {
		t.Fatal(err)
	}
	server := exec.Command(os.Args[0], "server", binary, dir, m.Root)
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	wait(t, "the plan to read", g.reached)
	if !locked(m) {
		t.Error("a running plan does not hold the state lock")
	}
	if err := server.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	if err := server.Wait(); err == nil {
		t.Fatal("the server was not killed")
	}
	eventually(t, "the interrupt", func() bool {
		logs, err := filepath.Glob(filepath.Join(dir, "run", "*", "log"))
		if err != nil || len(logs) == 0 {
			return false
		}
		text, err := os.ReadFile(logs[len(logs)-1])
		return err == nil && bytes.Contains(text, []byte("Interrupt received."))
	})
	g.open()
	eventually(t, "the lock to be released", func() bool { return !locked(m) })
	next := module(t, map[string]string{"main.tf": two})
	next.StatePath = m.StatePath
	plan(t, b, next)
}
