package github_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tollgate/tollgate/internal/github"
	"github.com/tollgate/tollgate/internal/redact"
)

// stumbles are the ways in which an answer can be no answer.
func stumbles() map[string]http.HandlerFunc {
	whole := pullAnswer(3)
	return map[string]http.HandlerFunc{
		"500":           refuse(500, "Server Error"),
		"HTML 502":      answer(502, "<html>Bad gateway</html>"),
		"503":           refuse(503, "Service Unavailable"),
		"504":           answer(504, ""),
		"empty 200":     answer(200, ""),
		"null":          answer(200, "null"),
		"HTML 200":      answer(200, "<html>Sign in to the proxy</html>"),
		"half the JSON": answer(200, `{"number":3,"title":"Enc`),
		"half the body": func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Length", "100000")
			answerJSON(whole)(w, r)
		},
		"connection lost": func(w http.ResponseWriter, _ *http.Request) {
			conn, _, err := w.(http.Hijacker).Hijack()
			if err != nil {
				panic(err)
			}
			_ = conn.Close()
		},
	}
}

// Covers: R21
func TestReadsAreRepeated(t *testing.T) {
	t.Parallel()
	for name, stumble := range stumbles() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFake(t)
			f.on("GET /repos/acme/shop/pulls/3", stumble, stumble, answerJSON(pullAnswer(3)))
			pull, err := f.app().Pull(t.Context(), shop, 3)
			if err != nil || pull.HeadSHA != shaA {
				t.Fatalf("%+v, %v", pull, err)
			}
			if got := f.seen(); len(got) != 3 {
				t.Errorf("%d requests, want 3", len(got))
			}
			if slept := f.clock.slept; len(slept) != 2 || slept[0] < 100*time.Millisecond || slept[1] <= slept[0] {
				t.Errorf("pauses %v do not grow", slept)
			}
		})
	}
}

// Covers: R21
func TestReadsAreNotRepeatedForEver(t *testing.T) {
	t.Parallel()
	for name, stumble := range stumbles() {
		f := newFake(t)
		f.on("GET /repos/acme/shop/pulls/3", stumble)
		_, err := f.app().Pull(t.Context(), shop, 3)
		wantFault(t, err, github.ErrUnavailable)
		if got := f.seen(); len(got) != 4 {
			t.Errorf("%s: %d requests, want 4", name, len(got))
		}
	}
}

func TestWritesAreSentOnce(t *testing.T) {
	t.Parallel()
	for name, stumble := range stumbles() {
		f := newFake(t)
		f.on("POST /repos/acme/shop/issues/3/comments", stumble, answer(201, `{"id":5}`))
		app := f.app()
		_, err := app.CreateComment(t.Context(), shop, 3, "hello")
		wantFault(t, err, github.ErrUnavailable)
		if got := f.seen(); len(got) != 1 {
			t.Errorf("%s: %d requests, want 1", name, len(got))
		}
		if id, err := app.CreateComment(t.Context(), shop, 3, "hello"); err != nil || id != 5 {
			t.Errorf("%s: when the caller tries again: %d, %v", name, id, err)
		}
	}
}

// Covers: R23
func TestTokensAreAskedForAgain(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	calls := 0
	f.mintFail = func(w http.ResponseWriter, r *http.Request) {
		if calls++; calls < 3 {
			refuse(502, "Bad gateway")(w, r)
			return
		}
		answer(201, `{"token":"ghs_x","expires_at":"2099-01-01T00:00:00Z"}`)(w, r)
	}
	token, err := lent(t, f.app(), shop)
	if err != nil || string(token.Reveal()) != "ghs_x" || calls != 3 {
		t.Errorf("%q, %v after %d requests", token.Reveal(), err, calls)
	}
}

func TestAnswerWithoutATokenIsAnError(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	f.mintFail = answer(201, `{}`)
	_, err := lent(t, f.app(), shop)
	wantFault(t, err, github.ErrUnavailable)
}

func TestRefusalsAreNotRepeated(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		answer http.HandlerFunc
		kind   error
		says   string
	}{
		{refuse(404, "Not Found"), github.ErrNotFound, "not installed"},
		{refuse(410, "Gone"), github.ErrRejected, ""},
		{refuse(422, "Validation Failed"), github.ErrRejected, ""},
		{refuse(403, "Resource not accessible by integration"), github.ErrForbidden, "Pull requests: read-only"},
		{refuse(403, "Resource not accessible by integration", "X-Accepted-GitHub-Permissions", "pull_requests=read"), github.ErrForbidden, "pull_requests: read"},
	} {
		f := newFake(t)
		f.on("GET /repos/acme/shop/pulls/3", test.answer)
		_, err := f.app().Pull(t.Context(), shop, 3)
		if flt := wantFault(t, err, test.kind); !strings.Contains(flt.Text(), test.says) {
			t.Errorf("%q does not say %q", flt.Text(), test.says)
		}
		if got := f.seen(); len(got) != 1 {
			t.Errorf("%v: %d requests, want 1", test.kind, len(got))
		}
	}
}

// Covers: R21
func TestRetryAfterOfAnOutage(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	f.on("GET /repos/acme/shop/pulls/3", refuse(503, "Unavailable", "Retry-After", "3"), answerJSON(pullAnswer(3)))
	if _, err := f.app().Pull(t.Context(), shop, 3); err != nil {
		t.Fatal(err)
	}
	if f.clock.slept[0] != 3*time.Second {
		t.Errorf("waited %v, want 3s", f.clock.slept)
	}

	f = newFake(t)
	f.on("GET /repos/acme/shop/pulls/3", refuse(503, "Unavailable", "Retry-After", "120"))
	_, err := f.app().Pull(t.Context(), shop, 3)
	wantFault(t, err, github.ErrUnavailable)
	if len(f.seen()) != 1 || len(f.clock.slept) != 0 {
		t.Errorf("%d requests, pauses %v: a long wait is for the caller", len(f.seen()), f.clock.slept)
	}
}

// Covers: R22
func TestRateLimits(t *testing.T) {
	t.Parallel()
	reset := func(f *fake, d time.Duration) string { return strconv.FormatInt(f.now().Add(d).Unix(), 10) }
	for name, test := range map[string]struct {
		skew   time.Duration
		answer func(*fake) http.HandlerFunc
		pause  time.Duration
	}{
		"primary": {0, func(f *fake) http.HandlerFunc {
			return refuse(403, "API rate limit exceeded", "X-RateLimit-Remaining", "0", "X-RateLimit-Reset", reset(f, 20*time.Minute))
		}, 20 * time.Minute},
		"primary by another clock": {10 * time.Minute, func(f *fake) http.HandlerFunc {
			return refuse(429, "API rate limit exceeded", "X-RateLimit-Remaining", "0", "X-RateLimit-Reset", reset(f, 20*time.Minute))
		}, 20 * time.Minute},
		"429": {0, func(*fake) http.HandlerFunc { return refuse(429, "Too many", "Retry-After", "90") }, 90 * time.Second},
		"429, date": {0, func(f *fake) http.HandlerFunc {
			return refuse(429, "Too many", "Retry-After", f.now().Add(90*time.Second).UTC().Format(http.TimeFormat))
		}, 90 * time.Second},
		"429, bare": {0, func(*fake) http.HandlerFunc { return refuse(429, "") }, time.Minute},
		"secondary": {0, func(*fake) http.HandlerFunc {
			return refuse(403, "You have exceeded a secondary rate limit.", "Retry-After", "45")
		}, 45 * time.Second},
		"secondary, bare": {0, func(*fake) http.HandlerFunc {
			return refuse(403, "You have exceeded a secondary rate limit.")
		}, time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFake(t)
			f.skew = test.skew
			f.on("GET /repos/acme/shop/pulls/3", test.answer(f), answerJSON(pullAnswer(3)))
			f.on("GET /repos/acme/other/pulls/3", answerJSON(pullAnswer(3)))
			app := f.app()
			_, err := app.Pull(t.Context(), shop, 3)
			limit := wantLimit(t, err)
			if got := limit.Until.Sub(f.clock.Now()); got != test.pause {
				t.Errorf("until %v from now, want %v", got, test.pause)
			}

			// While it lasts, nothing of this installation reaches GitHub, whatever the repository.
			before := len(f.seen())
			f.clock.advance(test.pause - time.Second)
			other := shop
			other.ID, other.Name = 43, "other"
			_, err = app.Pull(t.Context(), shop, 3)
			wantLimit(t, err)
			_, err = app.Pull(t.Context(), other, 3)
			wantLimit(t, err)
			if len(f.seen()) != before {
				t.Errorf("requests during the pause: %v", f.seen()[before:])
			}

			elsewhere := other
			elsewhere.InstallationID = 10
			if _, err = app.Pull(t.Context(), elsewhere, 3); errors.As(err, new(*github.RateLimitError)) {
				t.Error("another installation has to wait too")
			}
			f.clock.advance(2 * time.Second)
			if _, err := app.Pull(t.Context(), shop, 3); err != nil {
				t.Errorf("after the pause: %v", err)
			}
		})
	}
}

// A refusal that names no time is followed by a minute, then two, and a minute again after a success.
//
// Covers: R22
func TestBlindPausesGrow(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	no, yes := refuse(403, "You have exceeded a secondary rate limit."), answerJSON(pullAnswer(3))
	f.on("GET /repos/acme/shop/pulls/3", no, no, no, yes, no)
	app := f.app()
	for i, pause := range []time.Duration{time.Minute, 2 * time.Minute, 4 * time.Minute, 0, time.Minute} {
		_, err := app.Pull(t.Context(), shop, 3)
		if pause == 0 {
			if err != nil {
				t.Errorf("request %d: %v", i, err)
			}
			continue
		}
		if got := wantLimit(t, err).Until.Sub(f.clock.Now()); got != pause {
			t.Errorf("request %d: pause %v, want %v", i, got, pause)
		}
		f.clock.advance(pause)
	}
}

// What is shown to people leaves a tenth of the hour's allowance to decisions.
//
// Covers: R22
func TestDecisionsHaveAReserve(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	left := 1000
	counted := func(body any) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			left--
			w.Header().Set("X-RateLimit-Limit", "1000")
			w.Header().Set("X-RateLimit-Remaining", strconv.Itoa(left))
			w.Header().Set("X-RateLimit-Reset", strconv.FormatInt(f.now().Add(time.Hour).Unix(), 10))
			answerJSON(body)(w, r)
		}
	}
	f.on("GET /repos/acme/shop/pulls/3", counted(pullAnswer(3)))
	f.on("PATCH /repos/acme/shop/issues/comments/5", counted(m{"id": 5}))
	app, patient := f.app(), github.Patient(t.Context())
	if err := app.UpdateComment(patient, shop, 5, "x"); err != nil {
		t.Fatalf("with %d left: %v", left, err)
	}
	left = 101
	for range 2 { // the first answer tells that the reserve is reached
		if _, err := app.Pull(t.Context(), shop, 3); err != nil {
			t.Fatalf("with %d left: %v", left, err)
		}
	}
	limit := wantLimit(t, app.UpdateComment(patient, shop, 5, "x"))
	if !limit.Reserve || limit.Until.Sub(f.clock.Now()) != time.Hour {
		t.Errorf("limit %+v", limit)
	}
	if err := app.UpdateComment(github.Urgent(patient), shop, 5, "x"); err != nil {
		t.Errorf("an urgent call: %v", err)
	}
	before := left
	if _, err := app.Pull(t.Context(), shop, 3); err != nil || left != before-1 {
		t.Errorf("a decision's read: %v", err)
	}
	f.clock.advance(time.Hour)
	left = 1000
	if err := app.UpdateComment(patient, shop, 5, "x"); err != nil {
		t.Errorf("in the next hour: %v", err)
	}
}

func wantLimit(t *testing.T, err error) *github.RateLimitError {
	t.Helper()
	var limit *github.RateLimitError
	if !errors.As(err, &limit) {
		t.Fatalf("error %v, want a rate limit", err)
	}
	wantFault(t, err, limit)
	return limit
}

func TestLastAllowedRequestSucceeds(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	f.on("GET /repos/acme/shop/pulls/3", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-RateLimit-Remaining", "0")
		w.Header().Set("X-RateLimit-Reset", strconv.FormatInt(f.now().Add(time.Minute).Unix(), 10))
		answerJSON(pullAnswer(3))(w, r)
	})
	app := f.app()
	if _, err := app.Pull(t.Context(), shop, 3); err != nil {
		t.Fatal(err)
	}
	_, err := app.Pull(t.Context(), shop, 3)
	wantLimit(t, err)
	if got := f.seen(); len(got) != 1 {
		t.Errorf("requests %v, want one", got)
	}
}

func TestCancelledCallSaysSo(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	f.on("GET /repos/acme/shop/pulls/3", answerJSON(pullAnswer(3)))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := f.app().Pull(ctx, shop, 3)
	if !errors.Is(err, context.Canceled) || errors.Is(err, github.ErrUnavailable) {
		t.Errorf("error %v", err)
	}
}

// silent is a GitHub that takes requests and never answers.
type silent struct{ requests int }

func (s *silent) RoundTrip(r *http.Request) (*http.Response, error) {
	s.requests++
	<-r.Context().Done()
	return nil, r.Context().Err()
}

// stalled answers with a body that never comes.
type stalled struct{}

func (stalled) RoundTrip(r *http.Request) (*http.Response, error) {
	return &http.Response{StatusCode: 200, Header: http.Header{}, Request: r, Body: stalledBody{r.Context()}}, nil
}

type stalledBody struct{ ctx context.Context }

func (b stalledBody) Read([]byte) (int, error) { <-b.ctx.Done(); return 0, b.ctx.Err() }
func (stalledBody) Close() error               { return nil }

var _ io.ReadCloser = stalledBody{}

// Covers: R21
func TestSilenceEnds(t *testing.T) {
	t.Parallel()
	for name, transport := range map[string]http.RoundTripper{"no answer": &silent{}, "no body": stalled{}} {
		synctest.Test(t, func(t *testing.T) {
			app, err := github.New(github.Config{URL: "https://github.com", AppID: appID, Key: redact.New(keyPEM(privateKey())), Transport: transport})
			if err != nil {
				t.Fatal(err)
			}
			begin := time.Now()
			_, err = app.Self(t.Context())
			wantFault(t, err, github.ErrUnavailable)
			if took := time.Since(begin); took < 30*time.Second || took > 90*time.Second {
				t.Errorf("%s: gave up after %v", name, took)
			}

			ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
			defer cancel()
			if _, err = app.Self(ctx); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("%s: with a deadline: %v", name, err)
			}
		})
	}
}
