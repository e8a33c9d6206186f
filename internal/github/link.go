package github

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tollgate/tollgate/internal/redact"
)

const (
	readAttempts   = 4                // of a request that may be repeated
	attemptTimeout = 15 * time.Second // for one answer, body included
	firstPause     = 200 * time.Millisecond
	longestPause   = 5 * time.Second // longer waits are for the caller, who can do something else meanwhile
	maxAnswer      = 32 << 20
	// blindPause is how long GitHub asks to wait after a refusal that names no time.
	blindPause = time.Minute
)

// Clock is time as the App sees it.
type Clock interface {
	Now() time.Time
	// Sleep waits for d or until the context ends, whose error it then returns.
	Sleep(ctx context.Context, d time.Duration) error
}

type systemClock struct{}

func (systemClock) Now() time.Time { return time.Now() }

func (systemClock) Sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}

// link is the one place that judges GitHub's answers. It is shared by all clients, so that a rate
// limit that one of them meets holds for every other of the same installation.
type link struct {
	base  http.RoundTripper
	clock Clock
	skew  atomic.Int64 // GitHub's clock minus ours, in nanoseconds

	mu     sync.Mutex
	closed map[int64]time.Time // by installation (0: the App itself), until when
	low    map[int64]time.Time // likewise, until when only the reserve is left of the allowance
	blind  map[int64]int       // likewise, refusals in a row that named no time

	known *redact.Known
}

// reserved is the part of an hour's allowance, one in so many, that calls which can wait leave to
// those that cannot: what is shown to people must not keep a decision from its facts.
const reserved = 10

type patient struct{}

// Patient marks calls that can wait: they fail with a *RateLimitError while no more than the reserve
// is left of the allowance.
func Patient(ctx context.Context) context.Context { return context.WithValue(ctx, patient{}, true) }

// Urgent takes the mark of Patient off again.
func Urgent(ctx context.Context) context.Context { return context.WithValue(ctx, patient{}, false) }

func isPatient(ctx context.Context) bool { on, _ := ctx.Value(patient{}).(bool); return on }

// lane is the link as one installation uses it. Beyond what http.RoundTripper asks for, it
// returns an answer only if it is whole: valid JSON, nothing, or a redirect. Everything else is an
// error, so that go-github, which reads an empty answer as an empty object and knows no status
// 429, has nothing left to judge.
type lane struct {
	*link
	installation int64
}

// RoundTrip repeats what may be repeated: reads, and asking for a token.
func (l lane) RoundTrip(req *http.Request) (*http.Response, error) {
	req, err := l.masked(req)
	if err != nil {
		return nil, err
	}
	token := isTokenRequest(req)
	bucket := l.installation
	if token {
		bucket = 0 // signed by the App itself, so it counts against the App's own limit
	}
	for attempt := 1; ; attempt++ {
		if limit := l.limited(bucket, !token && isPatient(req.Context())); limit != nil {
			closeBody(req)
			return nil, limit
		}
		resp, err := l.once(req, bucket)
		if err == nil || attempt == readAttempts || !(req.Method == http.MethodGet || token) {
			return resp, err
		}
		pause, ok := pauseAfter(err, attempt)
		if !ok || l.clock.Sleep(req.Context(), pause) != nil {
			return nil, err
		}
		if req, err = again(req); err != nil {
			return nil, err
		}
	}
}

// once sends the request and reads the whole answer, within attemptTimeout.
func (l lane) once(req *http.Request, bucket int64) (*http.Response, error) {
	ctx, cancel := context.WithTimeout(req.Context(), attemptTimeout)
	defer cancel()
	resp, err := l.base.RoundTrip(req.WithContext(ctx))
	var body []byte
	if err == nil {
		l.learn(resp, bucket)
		body, err = io.ReadAll(io.LimitReader(resp.Body, maxAnswer+1))
		_ = resp.Body.Close()
	}
	switch {
	case err != nil && req.Context().Err() != nil:
		return nil, req.Context().Err()
	case err != nil && ctx.Err() != nil:
		return nil, fmt.Errorf("no answer within %v", attemptTimeout)
	case err != nil:
		return nil, fmt.Errorf("read GitHub's answer: %w", err)
	case len(body) > maxAnswer:
		return nil, fmt.Errorf("answer exceeds %d bytes", maxAnswer)
	}
	if err := l.judge(req, resp, body, bucket); err != nil {
		return nil, err
	}
	for _, name := range []string{"X-RateLimit-Limit", "X-RateLimit-Remaining", "X-RateLimit-Reset"} {
		resp.Header.Del(name) // go-github would keep an account of its own, by our clock
	}
	resp.Request = req
	resp.Body = io.NopCloser(bytes.NewReader(body))
	return resp, nil
}

func (l lane) judge(req *http.Request, resp *http.Response, body []byte, bucket int64) error {
	switch status := resp.StatusCode; {
	case status == http.StatusNoContent, status >= 300 && status < 400:
		l.unblind(bucket)
		return nil
	case status >= 200 && status < 300:
		if !json.Valid(body) || string(bytes.TrimSpace(body)) == "null" {
			return fmt.Errorf("status %d with %d bytes that are not a JSON answer", status, len(body))
		}
		l.unblind(bucket)
		return nil
	}
	refusal := &statusError{
		Status:      resp.StatusCode,
		Message:     message(body),
		RequestID:   resp.Header.Get("X-GitHub-Request-Id"),
		Permissions: resp.Header.Get("X-Accepted-GitHub-Permissions"),
		Token:       isTokenRequest(req),
	}
	if isRateLimit(resp, refusal.Message) {
		return &RateLimitError{Until: l.close(resp, bucket)}
	}
	if retry, ok := l.retryAfter(resp); ok && resp.StatusCode == http.StatusServiceUnavailable {
		return &laterError{statusError: refusal, pause: retry.Sub(l.clock.Now())}
	}
	return refusal
}

// learn takes from every answer what time it is at GitHub and whether the allowance is used up.
func (l lane) learn(resp *http.Response, bucket int64) {
	if date, err := http.ParseTime(resp.Header.Get("Date")); err == nil && resp.StatusCode < 500 {
		l.skew.Store(int64(date.Sub(l.clock.Now())))
	}
	until, left, ok := l.allowance(resp)
	if !ok {
		return
	}
	if left == 0 {
		l.closeUntil(bucket, until)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	// Answers overtake each other, so one that tells of more does not end what another began.
	if limit, err := strconv.Atoi(resp.Header.Get("X-RateLimit-Limit")); err == nil && left <= limit/reserved && until.After(l.low[bucket]) {
		l.low[bucket] = until
	}
}

// close refuses further requests until GitHub wants them again.
func (l lane) close(resp *http.Response, bucket int64) time.Time {
	until, ok := l.retryAfter(resp)
	if reset, left, told := l.allowance(resp); !ok && told && left == 0 {
		until, ok = reset, true
	}
	if !ok {
		until = l.blindly(bucket)
	}
	l.closeUntil(bucket, until)
	return until
}

// blindly doubles the pause with each refusal in a row that names no time, as GitHub wants it.
func (l *link) blindly(bucket int64) time.Time {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := l.clock.Now()
	if until := l.closed[bucket]; until.After(now) {
		return until // requests that were under way together are refused together
	}
	pause := blindPause << min(l.blind[bucket], 4)
	l.blind[bucket]++
	return now.Add(pause)
}

func (l *link) unblind(bucket int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.blind, bucket)
}

func (l *link) closeUntil(bucket int64, until time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if until.After(l.closed[bucket]) {
		l.closed[bucket] = until
	}
}

// limited says why a request is not sent now, or nil.
func (l *link) limited(bucket int64, patient bool) *RateLimitError {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := l.clock.Now()
	if until := l.closed[bucket]; until.After(now) {
		return &RateLimitError{Until: until}
	}
	if until := l.low[bucket]; patient && until.After(now) {
		return &RateLimitError{Until: until, Reserve: true}
	}
	return nil
}

// retryAfter reads the header in both of its forms.
func (l *link) retryAfter(resp *http.Response) (time.Time, bool) {
	value := resp.Header.Get("Retry-After")
	if seconds, err := strconv.Atoi(value); err == nil && seconds >= 0 {
		return l.clock.Now().Add(time.Duration(seconds) * time.Second), true
	}
	if date, err := http.ParseTime(value); err == nil {
		return l.toOurs(date), true
	}
	return time.Time{}, false
}

// allowance is how many requests are left, and when that is renewed, by our clock.
func (l *link) allowance(resp *http.Response) (until time.Time, left int, ok bool) {
	seconds, err := strconv.ParseInt(resp.Header.Get("X-RateLimit-Reset"), 10, 64)
	if err != nil {
		return time.Time{}, 0, false
	}
	left, err = strconv.Atoi(resp.Header.Get("X-RateLimit-Remaining"))
	return l.toOurs(time.Unix(seconds, 0)), left, err == nil
}

func (l *link) toOurs(githubs time.Time) time.Time {
	return githubs.Add(-time.Duration(l.skew.Load()))
}

// laterError is a 503 that names the time to come back.
type laterError struct {
	*statusError
	pause time.Duration
}

func (e *laterError) Unwrap() error { return e.statusError }

// pauseAfter says how long to wait before the next attempt, and false if another is pointless.
func pauseAfter(err error, attempt int) (time.Duration, bool) {
	var limit *RateLimitError
	status := statusOf(err)
	if errors.As(err, &limit) || (status > 0 && status < 500) ||
		errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return 0, false
	}
	full := firstPause << (2 * (attempt - 1))
	pause := full/2 + rand.N(full/2) // jitter is no secret
	var later *laterError
	if errors.As(err, &later) {
		pause = max(pause, later.pause)
	}
	return pause, pause <= longestPause
}

// isRateLimit tells a limit from a missing permission: both may come as 403.
func isRateLimit(resp *http.Response, message string) bool {
	switch resp.StatusCode {
	case http.StatusTooManyRequests:
		return true
	case http.StatusForbidden:
		return resp.Header.Get("Retry-After") != "" || resp.Header.Get("X-RateLimit-Remaining") == "0" ||
			strings.Contains(strings.ToLower(message), "secondary rate limit")
	}
	return false
}

func isTokenRequest(req *http.Request) bool {
	return req.Method == http.MethodPost && strings.HasSuffix(req.URL.Path, "/access_tokens")
}

// again is the request with its body rewound.
func again(req *http.Request) (*http.Request, error) {
	if req.GetBody == nil {
		return req, nil
	}
	body, err := req.GetBody()
	if err != nil {
		return nil, fmt.Errorf("rewind request: %w", err)
	}
	fresh := req.Clone(req.Context())
	fresh.Body = body
	return fresh, nil
}

func closeBody(req *http.Request) {
	if req.Body != nil {
		_ = req.Body.Close()
	}
}

// message is GitHub's own sentence in a refusal, shortened.
func message(body []byte) string {
	var refusal struct {
		Message string `json:"message"`
	}
	if json.Unmarshal(body, &refusal) != nil || refusal.Message == "" {
		refusal.Message = string(body)
	}
	return refusal.Message[:min(len(refusal.Message), 300)]
}
