package ghsim

import (
	"cmp"
	"context"
	"errors"
	"net/http"
	"path"
	"slices"
	"strings"
	"sync"
	"time"
)

// Match picks requests. The zero value picks all.
type Match struct {
	Method string // any if empty
	// Path is a pattern as in path.Match against the path without query, REST without the prefix
	// /api/v3: "/repos/*/*/check-runs". A last element ** stands for any rest. Any path if empty.
	Path string
}

func (m Match) matches(method, target string) bool {
	if m.Method != "" && m.Method != method {
		return false
	}
	target, _, _ = strings.Cut(target, "?")
	if prefix, ok := strings.CutSuffix(m.Path, "/**"); ok {
		n := strings.Count(prefix, "/") + 1
		parts := strings.SplitAfterN(target, "/", n+1)
		if len(parts) <= n {
			return false
		}
		target, m.Path = strings.TrimSuffix(strings.Join(parts[:n], ""), "/"), prefix
	}
	ok, err := path.Match(m.Path, target)
	return m.Path == "" || ok && err == nil
}

// Fault is what happens to requests that a Match picks. Its parts add up: a request is delayed,
// then held, then answered.
type Fault struct {
	Delay time.Duration
	// Status answers with this status and Body instead of doing anything; 0 lets the request pass.
	Status int
	Body   string // GitHub's JSON for the status if empty
	Header http.Header
	// Do answers in place of the stand-in.
	Do http.HandlerFunc
	// Cut closes the connection without an answer.
	Cut bool
	// After carries the request out first and only then replaces its answer: the change has
	// happened, and the client can't know.
	After bool
	// Skip lets the first ones pass.
	Skip int
	// Times is how often it happens; 0 is until it is cleared.
	Times int
}

// Injected is a fault in place.
type Injected struct {
	s     *Server
	match Match
	fault Fault
	hits  int // guarded by faults.mu
	seen  int
	gate  chan struct{} // of a hold; closed by Release
	open  bool
}

// faults are tried in the order in which they were put in place.
type faults struct {
	mu   sync.Mutex
	list []*Injected
}

// Inject puts a fault in place.
func (s *Server) Inject(m Match, f Fault) *Injected {
	in := &Injected{s: s, match: m, fault: f}
	s.faults.mu.Lock()
	defer s.faults.mu.Unlock()
	s.faults.list = append(s.faults.list, in)
	return in
}

// Delay makes each request that the Match picks take at least d longer.
func (s *Server) Delay(m Match, d time.Duration) *Injected { return s.Inject(m, Fault{Delay: d}) }

// Hold stops the requests that the Match picks before anything is done, until Release.
func (s *Server) Hold(m Match) *Injected {
	in := &Injected{s: s, match: m, gate: make(chan struct{})}
	s.faults.mu.Lock()
	defer s.faults.mu.Unlock()
	s.faults.list = append(s.faults.list, in)
	return in
}

// Clear takes the fault away; what a hold has stopped goes on.
func (i *Injected) Clear() {
	i.s.faults.mu.Lock()
	defer i.s.faults.mu.Unlock()
	i.s.faults.list = slices.DeleteFunc(i.s.faults.list, func(o *Injected) bool { return o == i })
	i.release()
}

// Release ends a hold; it is Clear under a better name.
func (i *Injected) Release() { i.Clear() }

func (i *Injected) release() {
	if i.gate != nil && !i.open {
		i.open = true
		close(i.gate)
	}
}

// Hits says how many requests it has happened to, for a hold how many are or were stopped.
func (i *Injected) Hits() int {
	i.s.faults.mu.Lock()
	defer i.s.faults.mu.Unlock()
	return i.hits
}

// Reached returns when the fault has happened at least n times.
func (i *Injected) Reached(ctx context.Context, n int) error {
	return i.s.Wait(ctx, func() bool { return i.Hits() >= n })
}

func (f *faults) clear() {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, in := range f.list {
		in.release()
	}
	f.list = nil
}

// pick counts a request against every fault that matches it and returns those that happen.
func (f *faults) pick(method, target string) []*Injected {
	f.mu.Lock()
	defer f.mu.Unlock()
	var picked []*Injected
	for _, in := range f.list {
		if !in.match.matches(method, target) {
			continue
		}
		in.seen++
		if in.seen <= in.fault.Skip || in.fault.Times > 0 && in.hits >= in.fault.Times {
			continue
		}
		in.hits++
		picked = append(picked, in)
	}
	return picked
}

// errCut says that the connection is to be closed without an answer.
var errCut = errors.New("cut")

// suffer delays and holds a request and returns the fault that answers it, if one does.
func (s *Server) suffer(r *http.Request, picked []*Injected) *Fault {
	var answer *Fault
	for _, in := range picked {
		s.signal()
		if in.fault.Delay > 0 {
			wait(r.Context(), time.After(in.fault.Delay))
		}
		if in.gate != nil {
			wait(r.Context(), in.gate)
		}
		if answer == nil && (in.fault.Status != 0 || in.fault.Do != nil || in.fault.Cut) {
			answer = &in.fault
		}
	}
	return answer
}

// signal wakes those who wait for a fault to happen.
func (s *Server) signal() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.touch()
}

func wait[T any](ctx context.Context, until <-chan T) {
	select {
	case <-until:
	case <-ctx.Done():
	}
}

func (f *Fault) answer(w http.ResponseWriter, r *http.Request) error {
	if f.Cut {
		return errCut
	}
	if f.Do != nil {
		f.Do(w, r)
		return nil
	}
	for k, v := range f.Header {
		w.Header()[k] = v
	}
	body := f.Body
	if body == "" {
		w.Header().Set("Content-Type", "application/json; charset=utf-8")
		data, err := encode(fail(f.Status, cmp.Or(http.StatusText(f.Status), "fault")).body)
		if err != nil {
			return err
		}
		body = string(data)
	}
	w.WriteHeader(f.Status)
	_, err := w.Write([]byte(body))
	return err
}
