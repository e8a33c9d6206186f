package enginetest

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync"
)

// wire carries the requests of one server to GitHub without a network.
type wire struct {
	github http.Handler
	alive  func() bool
	reads  func(what string)
}

var errCut = errors.New("the connection was closed without an answer")

// RoundTrip hands the request over. What a dead server says never arrives, and neither does an
// answer to it.
func (w *wire) RoundTrip(r *http.Request) (*http.Response, error) {
	if !w.alive() {
		return nil, errDead
	}
	if r.Method == http.MethodGet {
		w.reads(strings.TrimPrefix(r.URL.Path, "/api/v3"))
	}
	resp, err := serve(w.github, r)
	if !w.alive() {
		return nil, errDead
	}
	return resp, err
}

// serve answers a request that a client would send.
func serve(h http.Handler, r *http.Request) (resp *http.Response, err error) {
	ctx, cancel := context.WithCancel(r.Context()) // a handler may watch for the client to hang up
	defer cancel()
	in := r.Clone(ctx)
	in.RequestURI, in.Host, in.RemoteAddr = r.URL.RequestURI(), r.URL.Host, "127.0.0.1:1"
	if in.UserAgent() == "" {
		in.Header.Set("User-Agent", "Go-http-client/1.1")
	}
	if in.Body == nil {
		in.Body = http.NoBody
	}
	defer in.Body.Close()
	out := &answer{header: http.Header{}}
	defer func() {
		if p := recover(); p != nil {
			if p != http.ErrAbortHandler {
				panic(p)
			}
			resp, err = nil, errCut
		}
	}()
	h.ServeHTTP(out, in)
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	if out.status == 0 {
		out.status = http.StatusOK
	}
	return &http.Response{StatusCode: out.status, Status: http.StatusText(out.status), Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: out.header, Body: io.NopCloser(&out.body), ContentLength: int64(out.body.Len()), Request: r}, nil
}

// answer keeps what a handler answers.
type answer struct {
	header http.Header
	status int
	body   bytes.Buffer
}

func (a *answer) Header() http.Header { return a.header }

func (a *answer) WriteHeader(status int) {
	if a.status == 0 {
		a.status = status
	}
}

func (a *answer) Write(p []byte) (int, error) {
	a.WriteHeader(http.StatusOK)
	return a.body.Write(p)
}

// Hooks carries GitHub's webhooks to the server that runs. GitHub sends each as soon as something
// happens; while they are held, GitHub is told that they have arrived, and the test chooses what
// becomes of them.
type Hooks struct {
	world *World
	mu    sync.Mutex
	hold  bool
	lose  int // the next ones fail
	held  []Hook
}

// Lose makes the next n webhooks fail to arrive.
func (h *Hooks) Lose(n int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.lose = n
}

// Hold keeps webhooks back from now on, until Release.
func (h *Hooks) Hold() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.hold = true
}

// Hook is a webhook that is held.
type Hook struct {
	header http.Header
	body   []byte
}

// Event is its kind.
func (h Hook) Event() string { return h.header.Get("X-GitHub-Event") }

// Take returns the webhooks that are held, oldest first, and forgets them. Holding goes on.
func (h *Hooks) Take() []Hook {
	h.mu.Lock()
	defer h.mu.Unlock()
	out := h.held
	h.held = nil
	return out
}

// Release ends holding. What is held stays for Take.
func (h *Hooks) Release() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.hold = false
}

// Deliver gives the server that runs a webhook, and returns the status of its answer, or 0 without one.
func (h *Hooks) Deliver(hook Hook) int {
	r, err := http.NewRequest(http.MethodPost, "http://tollgate.example/webhooks/github", bytes.NewReader(hook.body))
	if err != nil {
		return 0
	}
	r.Header = hook.header
	resp, err := h.send(r)
	if err != nil {
		return 0
	}
	return resp.StatusCode
}

var errRefused = errors.New("connection refused")

// RoundTrip is GitHub's attempt to deliver one.
func (h *Hooks) RoundTrip(r *http.Request) (*http.Response, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	switch {
	case h.lose > 0:
		h.lose--
		return nil, errRefused
	case h.hold:
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return nil, err
		}
		h.held = append(h.held, Hook{r.Header, body})
		return &http.Response{StatusCode: http.StatusAccepted, Header: http.Header{}, Body: http.NoBody, Request: r}, nil
	}
	h.mu.Unlock()
	defer h.mu.Lock()
	return h.send(r)
}

func (h *Hooks) send(r *http.Request) (*http.Response, error) {
	s := h.world.Server()
	if s == nil {
		return nil, errRefused
	}
	resp, err := serve(s.handler, r)
	if !s.alive() {
		return nil, errCut
	}
	return resp, err
}

// Body is what it tells.
func (h Hook) Body() string { return string(h.body) }

// As is the webhook under other headers, which GitHub does not sign: the name of an event and an id of
// the delivery; empty ones stay as they are.
func (h Hook) As(event, delivery string) Hook {
	h.header = h.header.Clone()
	if event != "" {
		h.header.Set("X-GitHub-Event", event)
	}
	if delivery != "" {
		h.header.Set("X-GitHub-Delivery", delivery)
	}
	return h
}

// With is a webhook that tells something else, as if GitHub had signed it, under an id of its own.
func (h Hook) With(delivery string, change func(body map[string]any)) (Hook, error) {
	var body map[string]any
	if err := json.Unmarshal(h.body, &body); err != nil {
		return Hook{}, err
	}
	change(body)
	h = h.As("", delivery)
	var err error
	if h.body, err = json.Marshal(body); err != nil {
		return Hook{}, err
	}
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write(h.body)
	h.header.Set("X-Hub-Signature-256", "sha256="+hex.EncodeToString(mac.Sum(nil)))
	return h, nil
}
