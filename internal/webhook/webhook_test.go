package webhook_test

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tollgate/tollgate/internal/fault"
	"github.com/tollgate/tollgate/internal/github"
	"github.com/tollgate/tollgate/internal/redact"
	"github.com/tollgate/tollgate/internal/webhook"
)

const secret = "a secret of more than thirty-two bytes"

// book is a store of deliveries, as a database with two unique columns would be.
type book struct {
	mu       sync.Mutex
	ids      map[string]bool
	meanings map[string]bool
	jobs     []github.Event
	fail     error
}

func newBook() *book { return &book{ids: map[string]bool{}, meanings: map[string]bool{}} }

func (b *book) accept(_ context.Context, id, meaning string, e github.Event) (bool, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.fail != nil {
		return false, b.fail
	}
	if b.ids[id] || b.meanings[meaning] {
		return false, nil
	}
	b.ids[id], b.meanings[meaning] = true, true
	b.jobs = append(b.jobs, e)
	return true, nil
}

type setup struct {
	*book
	t       *testing.T
	handler http.Handler
	log     *bytes.Buffer
	n       int
}

func newSetup(t *testing.T, changes ...func(*webhook.Config)) *setup {
	t.Helper()
	s := &setup{book: newBook(), t: t, log: &bytes.Buffer{}}
	cfg := webhook.Config{Secret: redact.New(secret), Accept: s.accept, Logger: slog.New(slog.NewJSONHandler(s.log, nil))}
	for _, c := range changes {
		c(&cfg)
	}
	handler, err := webhook.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	s.handler = handler
	return s
}

func sign(hash func() hash.Hash, key, body string) string {
	mac := hmac.New(hash, []byte(key))
	mac.Write([]byte(body))
	return hex.EncodeToString(mac.Sum(nil))
}

// delivery is a request that GitHub would send.
func (s *setup) delivery(event, body string) *http.Request {
	s.n++
	r := httptest.NewRequest(http.MethodPost, "/webhooks/github", strings.NewReader(body))
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("X-GitHub-Event", event)
	r.Header.Set("X-GitHub-Delivery", fmt.Sprintf("0000-%d", s.n))
	r.Header.Set("X-Hub-Signature-256", "sha256="+sign(sha256.New, secret, body))
	return r
}

func (s *setup) send(r *http.Request) (int, webhook.Answer) {
	s.t.Helper()
	w := httptest.NewRecorder()
	s.handler.ServeHTTP(w, r)
	var a webhook.Answer
	if err := json.Unmarshal(w.Body.Bytes(), &a); err != nil {
		s.t.Fatalf("answer %q: %v", w.Body, err)
	}
	return w.Code, a
}

// expect sends a delivery and holds the answer against what is wanted.
func (s *setup) expect(r *http.Request, status int, result string, jobs int) {
	s.t.Helper()
	code, a := s.send(r)
	if code != status || a.Result != result || len(s.jobs) != jobs {
		s.t.Errorf("%d %q with %d jobs, want %d %q with %d", code, a.Result, len(s.jobs), status, result, jobs)
	}
}

const repository = `"installation":{"id":9},"repository":{"id":42,"name":"shop","owner":{"login":"acme"}},"sender":{"id":1,"login":"ann","type":"User"}`

func comment(id int, text string) string {
	quoted, err := json.Marshal(text)
	if err != nil {
		panic(err)
	}
	return fmt.Sprintf(`{"action":"created","issue":{"number":3,"pull_request":{}},"comment":{"id":%d,"body":%s,"user":{"id":1}},%s}`, id, quoted, repository)
}

// Covers: T01
func TestNewNeedsASecret(t *testing.T) {
	t.Parallel()
	for _, s := range []string{"", "short", strings.Repeat(" ", 40), strings.Repeat("x", 31), strings.Repeat("x", 31) + "\n\n"} {
		_, err := webhook.New(webhook.Config{Secret: redact.New(s), Accept: newBook().accept, Logger: slog.New(slog.DiscardHandler)})
		var f *fault.Error
		if !errors.As(err, &f) || f.Fix == "" {
			t.Errorf("secret of %d bytes: error %v", len(s), err)
		}
	}
	if _, err := webhook.New(webhook.Config{Secret: redact.New(strings.Repeat("x", 32)), Accept: newBook().accept, Logger: slog.New(slog.DiscardHandler)}); err != nil {
		t.Errorf("secret of 32 bytes: %v", err)
	}
}

func TestSignedDeliveryIsQueued(t *testing.T) {
	t.Parallel()
	s := newSetup(t)
	code, a := s.send(s.delivery("issue_comment", comment(5, "/apply")))
	want := webhook.Answer{Delivery: "0000-1", Event: "issue_comment", Action: "created", Result: "queued"}
	if code != http.StatusAccepted || a != want || len(s.jobs) != 1 || s.jobs[0].CommentBody != "/apply" {
		t.Errorf("%d %+v, jobs %+v", code, a, s.jobs)
	}
}

// Each of these differs from a delivery that is accepted in one thing only.
//
// Covers: T01, T02
func TestUnsignedDeliveriesAreRefused(t *testing.T) {
	t.Parallel()
	body := comment(5, "/apply")
	good := sign(sha256.New, secret, body)
	const header = "X-Hub-Signature-256"
	for name, spoil := range map[string]func(*http.Request){
		"no signature":         func(r *http.Request) { r.Header.Del(header) },
		"empty signature":      func(r *http.Request) { r.Header.Set(header, "") },
		"signature of nothing": func(r *http.Request) { r.Header.Set(header, "sha256=") },
		"empty key":            func(r *http.Request) { r.Header.Set(header, "sha256="+sign(sha256.New, "", body)) },
		"another key":          func(r *http.Request) { r.Header.Set(header, "sha256="+sign(sha256.New, secret+"x", body)) },
		"another body's":       func(r *http.Request) { r.Header.Set(header, "sha256="+sign(sha256.New, secret, body+" ")) },
		"SHA-1 only": func(r *http.Request) {
			r.Header.Del(header)
			r.Header.Set("X-Hub-Signature", "sha1="+sign(sha1.New, secret, body))
		},
		"SHA-1 in its place":   func(r *http.Request) { r.Header.Set(header, "sha1="+sign(sha1.New, secret, body)) },
		"no algorithm":         func(r *http.Request) { r.Header.Set(header, good) },
		"upper case":           func(r *http.Request) { r.Header.Set(header, "sha256="+strings.ToUpper(good)) },
		"upper-case algorithm": func(r *http.Request) { r.Header.Set(header, "SHA256="+good) },
		"trailing space":       func(r *http.Request) { r.Header.Set(header, "sha256="+good+" ") },
		"trailing byte":        func(r *http.Request) { r.Header.Set(header, "sha256="+good+"0") },
		"cut off":              func(r *http.Request) { r.Header.Set(header, "sha256="+good[:62]) },
		"right then wrong":     func(r *http.Request) { r.Header.Add(header, "sha256="+strings.Repeat("0", 64)) },
		"wrong then right": func(r *http.Request) {
			r.Header[header] = []string{"sha256=" + strings.Repeat("0", 64), "sha256=" + good}
		},
		"twice the same":             func(r *http.Request) { r.Header.Add(header, "sha256="+good) },
		"form":                       func(r *http.Request) { r.Header.Set("Content-Type", "application/x-www-form-urlencoded") },
		"text":                       func(r *http.Request) { r.Header.Set("Content-Type", "text/plain") },
		"no content type":            func(r *http.Request) { r.Header.Del("Content-Type") },
		"JSON and form":              func(r *http.Request) { r.Header.Add("Content-Type", "application/x-www-form-urlencoded") },
		"JSON by another name":       func(r *http.Request) { r.Header.Set("Content-Type", "application/json+x") },
		"body changed on the way":    func(r *http.Request) { r.Body = io.NopCloser(strings.NewReader(comment(5, "/apply x"))) },
		"signature of an empty body": func(r *http.Request) { r.Header.Set(header, "sha256="+sign(sha256.New, secret, "")) },
	} {
		s := newSetup(t)
		r := s.delivery("issue_comment", body)
		spoil(r)
		code, a := s.send(r)
		if code != http.StatusUnauthorized || len(s.jobs) != 0 || a != (webhook.Answer{Result: "refused"}) {
			t.Errorf("%s: %d %+v, %d jobs", name, code, a, len(s.jobs))
		}
		s.expect(s.delivery("issue_comment", body), http.StatusAccepted, "queued", 1)
	}
}

func TestJSONWithACharsetIsJSON(t *testing.T) {
	t.Parallel()
	s := newSetup(t)
	r := s.delivery("issue_comment", comment(5, "/apply"))
	r.Header.Set("Content-Type", "application/json; charset=utf-8")
	s.expect(r, http.StatusAccepted, "queued", 1)
}

// Covers: T03, R17
func TestRepetitionsHaveNoEffect(t *testing.T) {
	t.Parallel()
	s := newSetup(t)
	body := comment(5, "/apply")
	first := s.delivery("issue_comment", body)
	id := first.Header.Get("X-GitHub-Delivery")
	s.expect(first, http.StatusAccepted, "queued", 1)
	for range 20 {
		again := s.delivery("issue_comment", body)
		again.Header.Set("X-GitHub-Delivery", id)
		s.expect(again, http.StatusAccepted, "duplicate", 1)
		s.expect(s.delivery("issue_comment", body), http.StatusAccepted, "duplicate", 1)
	}
	// The book outlives the handler, as a database outlives a restart.
	restarted := newSetup(t, func(c *webhook.Config) { c.Accept = s.accept })
	restarted.n = 1000
	code, a := restarted.send(restarted.delivery("issue_comment", body))
	if code != http.StatusAccepted || a.Result != "duplicate" || len(s.jobs) != 1 {
		t.Errorf("after a restart: %d %+v, %d jobs", code, a, len(s.jobs))
	}
	s.expect(s.delivery("issue_comment", comment(6, "/apply")), http.StatusAccepted, "queued", 2)
}

// Covers: T04
func TestBodyUnderAnotherNameIsRefused(t *testing.T) {
	t.Parallel()
	s := newSetup(t)
	body := comment(5, "/apply")
	for _, event := range []string{"pull_request", "pull_request_review", "check_run", "check_suite", "push", "merge_group", "installation", "installation_repositories"} {
		s.expect(s.delivery(event, body), http.StatusBadRequest, "refused", 0)
	}
	s.expect(s.delivery("commit_comment", body), http.StatusAccepted, "ignored", 0)
	s.expect(s.delivery("ping", body), http.StatusAccepted, "pong", 0)
	for _, event := range []string{"", "Issue_Comment", "issue_comment ", "issue-comment", strings.Repeat("a", 65), "issue_comment\x00"} {
		r := s.delivery(event, body)
		s.expect(r, http.StatusBadRequest, "refused", 0)
	}
	twice := s.delivery("issue_comment", body)
	twice.Header.Add("X-GitHub-Event", "push")
	s.expect(twice, http.StatusBadRequest, "refused", 0)
	s.expect(s.delivery("issue_comment", body), http.StatusAccepted, "queued", 1)
}

func TestDeliveryIDIsChecked(t *testing.T) {
	t.Parallel()
	for _, id := range []string{"", "a b", "x\ny", "x'--", strings.Repeat("a", 65), "é"} {
		s := newSetup(t)
		r := s.delivery("issue_comment", comment(5, "/apply"))
		r.Header["X-Github-Delivery"] = []string{id}
		s.expect(r, http.StatusBadRequest, "refused", 0)
	}
}

// Covers: T04
func TestMutatedBodiesMakeNoJobs(t *testing.T) {
	t.Parallel()
	s := newSetup(t, func(c *webhook.Config) { c.Logger = slog.New(slog.DiscardHandler) })
	random := rand.New(rand.NewPCG(1, 2))
	whole := comment(5, "/apply")
	for i := range 10_000 {
		b := []byte(whole)
		switch i % 3 {
		case 0:
			b = b[:random.IntN(len(b))]
		case 1:
			b = append(b, b[:random.IntN(len(b))]...)
		case 2:
			at := random.IntN(len(b))
			b = append(b[:at:at], b[at+random.IntN(len(b)-at):]...)
		}
		if code, _ := s.send(s.delivery("issue_comment", string(b))); code == http.StatusInternalServerError {
			t.Fatalf("body %q: status %d", b, code)
		}
	}
	for _, job := range s.jobs {
		if job.CommentID != 5 || job.Repo.ID != 42 || job.Sender.ID != 1 {
			t.Errorf("a mutated body became %+v", job)
		}
	}
}

// Covers: T07
func TestSizeAndDepth(t *testing.T) {
	t.Parallel()
	s := newSetup(t, func(c *webhook.Config) { c.MaxBody = 1 << 20 })
	s.expect(s.delivery("issue_comment", comment(1, strings.Repeat("x", 1<<20))), http.StatusRequestEntityTooLarge, "refused", 0)
	chunked := s.delivery("issue_comment", comment(1, strings.Repeat("x", 1<<20)))
	chunked.ContentLength = -1
	s.expect(chunked, http.StatusRequestEntityTooLarge, "refused", 0)
	s.expect(s.delivery("issue_comment", strings.Repeat("[", 1_000_000)), http.StatusBadRequest, "refused", 0)
	s.expect(s.delivery("issue_comment", `{"a":`+strings.Repeat(`{"a":`, 64)+"1"+strings.Repeat("}", 65)), http.StatusBadRequest, "refused", 0)
	s.expect(s.delivery("issue_comment", strings.Replace(comment(1, "x"), "{", `{"x":"`+strings.Repeat("[", 500)+`\"[",`, 1)), http.StatusAccepted, "queued", 1)
	s.expect(s.delivery("issue_comment", comment(2, strings.Repeat("x", 1<<19))), http.StatusAccepted, "queued", 2)
}

// Covers: T07
func TestBigBodyWithinGitHubsLimit(t *testing.T) {
	t.Parallel()
	s := newSetup(t)
	s.expect(s.delivery("issue_comment", comment(1, strings.Repeat("x", 24<<20))), http.StatusAccepted, "queued", 1)
	r := s.delivery("issue_comment", "x")
	r.ContentLength = 26 << 20
	s.expect(r, http.StatusRequestEntityTooLarge, "refused", 1)
}

func TestOnlyPOST(t *testing.T) {
	t.Parallel()
	s := newSetup(t)
	for _, method := range []string{http.MethodGet, http.MethodPut, http.MethodHead} {
		r := s.delivery("issue_comment", comment(5, "/apply"))
		r.Method = method
		w := httptest.NewRecorder()
		s.handler.ServeHTTP(w, r)
		if w.Code != http.StatusMethodNotAllowed || w.Header().Get("Allow") != http.MethodPost || len(s.jobs) != 0 {
			t.Errorf("%s: %d, %d jobs", method, w.Code, len(s.jobs))
		}
	}
}

// What is not committed is not acknowledged, and can be sent again.
func TestFailedCommitIsNotAcknowledged(t *testing.T) {
	t.Parallel()
	s := newSetup(t)
	r := s.delivery("issue_comment", comment(5, "/apply"))
	id := r.Header.Get("X-GitHub-Delivery")
	s.fail = errors.New("disk full")
	s.expect(r, http.StatusServiceUnavailable, "unavailable", 0)
	s.fail = nil
	again := s.delivery("issue_comment", comment(5, "/apply"))
	again.Header.Set("X-GitHub-Delivery", id)
	s.expect(again, http.StatusAccepted, "queued", 1)
}

// What needs no work needs no database either.
func TestIdleEventsAreNotCommitted(t *testing.T) {
	t.Parallel()
	s := newSetup(t)
	s.fail = errors.New("database down")
	s.expect(s.delivery("ping", `{"zen":"x"}`), http.StatusAccepted, "pong", 0)
	s.expect(s.delivery("star", `{"action":"created",`+repository+`}`), http.StatusAccepted, "ignored", 0)
	s.expect(s.delivery("issue_comment", strings.Replace(comment(5, "/apply"), "created", "edited", 1)), http.StatusAccepted, "ignored", 0)
}

// Covers: T07
func TestOverload(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		held := make(chan struct{})
		book := newBook()
		s := newSetup(t, func(c *webhook.Config) {
			c.Logger = slog.New(slog.DiscardHandler)
			c.Accept = func(ctx context.Context, id, meaning string, e github.Event) (bool, error) {
				<-held
				return book.accept(ctx, id, meaning, e)
			}
		})
		requests := make([]*http.Request, 40)
		for i := range requests {
			requests[i] = s.delivery("issue_comment", comment(i+1, "/plan"))
		}
		codes := make(chan int, len(requests))
		for _, r := range requests {
			go func() {
				w := httptest.NewRecorder()
				s.handler.ServeHTTP(w, r)
				codes <- w.Code
			}()
		}
		time.Sleep(time.Minute) // of the bubble: longer than anyone waits for a turn
		synctest.Wait()
		if len(codes) != 8 {
			t.Errorf("%d deliveries were turned away, want 8 of 40", len(codes))
		}
		close(held)
		synctest.Wait()
		got := map[int]int{}
		for range requests {
			got[<-codes]++
		}
		if diff := cmp.Diff(map[int]int{503: 8, 202: 32}, got); diff != "" || len(book.jobs) != 32 {
			t.Errorf("%d jobs, answers (-want +got):\n%s", len(book.jobs), diff)
		}
	})
}

// A sender that stops in the middle neither stays nor keeps others out.
//
// Covers: T07
func TestSlowSenders(t *testing.T) {
	t.Parallel()
	s := newSetup(t, func(c *webhook.Config) { c.Logger = slog.New(slog.DiscardHandler) })
	server := httptest.NewServer(s.handler)
	defer server.Close()
	body := comment(5, "/apply")
	var slow []net.Conn
	for range 100 {
		conn, err := net.Dial("tcp", server.Listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		if _, err := fmt.Fprintf(conn, "POST /webhooks/github HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 25000000\r\n"+
			"X-Hub-Signature-256: sha256=%s\r\n\r\n{", strings.Repeat("0", 64)); err != nil {
			t.Fatal(err)
		}
		slow = append(slow, conn)
	}
	r := s.delivery("issue_comment", body)
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, server.URL, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	request.Header = r.Header
	begin := time.Now()
	resp, err := server.Client().Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusAccepted || time.Since(begin) > 2*time.Second {
		t.Errorf("status %d after %v", resp.StatusCode, time.Since(begin))
	}
	if err := slow[0].SetReadDeadline(time.Now().Add(20 * time.Second)); err != nil {
		t.Fatal(err)
	}
	answer, err := io.ReadAll(slow[0])
	if err != nil || !strings.HasPrefix(string(answer), "HTTP/1.1 400") {
		t.Errorf("the slow sender got %q, %v", answer, err)
	}
}

// Whatever a request holds, each gives one line of valid JSON, and nothing in it is the sender's choice.
//
// Covers: T75
func TestLogLinesCannotBeForged(t *testing.T) {
	t.Parallel()
	evil := "\n{\"level\":\"ERROR\",\"msg\":\"forged\"}\r\n\x1b[31m"
	s := newSetup(t)
	requests := []*http.Request{
		s.delivery("issue_comment", comment(5, evil)),
		s.delivery("issue_comment", strings.Replace(comment(6, "x"), `"shop"`, `"`+strings.Repeat("canary", 1000)+`"`, 1)),
		s.delivery("pull_request", `{"action":"`+strings.Repeat("canary", 1000)+`","number":1,"pull_request":{},`+repository+`}`),
		s.delivery("issue_comment", "canary"),
	}
	for _, name := range []string{"X-Github-Delivery", "X-Github-Event", "X-Hub-Signature-256", "Content-Type"} {
		r := s.delivery("issue_comment", comment(7, evil))
		r.Header[name] = []string{evil + "canary"}
		requests = append(requests, r)
	}
	for _, r := range requests {
		s.send(r)
	}
	lines := strings.Split(strings.TrimSpace(s.log.String()), "\n")
	if len(lines) != len(requests) {
		t.Errorf("%d lines for %d requests", len(lines), len(requests))
	}
	for _, line := range lines {
		var fields map[string]any
		if err := json.Unmarshal([]byte(line), &fields); err != nil || fields["msg"] != "webhook" {
			t.Errorf("line %q: %v", line, err)
		}
		if len(line) > 1000 || strings.Contains(line, "forged") || strings.Contains(line, secret) {
			t.Errorf("line of %d bytes: %q", len(line), line)
		}
	}
}
