package web_test

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"unicode"

	"golang.org/x/net/html"

	"github.com/tollgate/tollgate/internal/change"
	"github.com/tollgate/tollgate/internal/fault"
	"github.com/tollgate/tollgate/internal/report"
	"github.com/tollgate/tollgate/internal/web"
)

func get(t *testing.T, address string) (*http.Response, string) {
	t.Helper()
	resp, err := http.Get(address)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp, string(b)
}

func TestPagesShowWhatTheSourceHolds(t *testing.T) {
	t.Parallel()
	planLog, applyLog := newLog(t, "Refreshing state...\n"), newLog(t, "Modifying...\n")
	planLog.done.Store(true)
	srv := serve(t, fixture(t, planLog, applyLog), true)
	for path, want := range map[string][]string{
		"/":                                 {"acme/payments #7", "Open the fraud service", "/runs/" + runID, "3 min ago", "2 of 2 projects not allowed", "4be1c0f"},
		"/runs/" + runID:                    {"Denied by 1 finding, 1 undetermined", "aws_db_instance.ledger", "Denied: 1 finding", "Set assign_public_ip = false", "Terraform could not read the configuration.", "Refreshing state...", `class="del">`, "took 1 min 0 s", "/blob/4be1c0ffee4be1c0ffee4be1c0ffee4be1c0ffee/infrastructure/alb.tf#L18", "forced by name, subnets"},
		"/runs/" + runID + "/plan/payments": {`  - resource "aws_db_instance" "ledger"`},
		"/runs/" + runID + "/log/payments":  {"Refreshing state...\n"},
		"/runs/a0":                          {"running", `data-live="1"`, "/assets/live.js", `http-equiv="refresh"`},
		"/runs/a1":                          {"No Terraform project is affected"},
		"/runs/a2":                          {"Superseded by a newer commit"},
		"/executions/" + exeID:              {"Apply of payments", "Applying", "Modifying...", "by grace", "/executions/" + exeID + "/log/stream?from=13", "/runs/" + runID},
		"/executions/" + exeID + "/log":     {"Modifying...\n"},
		"/executions/e-": {"needs a person", "Nobody can tell how the apply ended.", "<code>/resolve payments applied REASON</code>", "What a plan showed afterwards", `<span class="count bad">destroy</span> <code>aws_db_instance.ledger</code>`,
			`<span class="count good">create</span> <code>module.service`, "bot resolve --data-dir DIR --errored-state " + exeID, "Refreshing state..."},
		"/executions/e-applied": {"Resolved as applied", "<b>linus</b> says that all of it was applied, <time", `title="2026-03-02 10:25:00 UTC">5 min ago</time>`, "The database is there; the console shows it as &lt;available&gt;.",
			"What a plan showed afterwards", "logs are kept for so long only"},
		"/assets/style.css": {"prefers-color-scheme: dark"},
		"/assets/live.js":   {"EventSource"},
		"/assets/icon.svg":  {"<svg"},
	} {
		resp, body := get(t, srv.URL+path)
		if resp.StatusCode != http.StatusOK {
			t.Errorf("%s: %s", path, resp.Status)
		}
		for _, w := range want {
			if !strings.Contains(body, w) {
				t.Errorf("%s: no %q in\n%s", path, w, body)
			}
		}
	}
}

func TestWhatDoesNotExist(t *testing.T) {
	t.Parallel()
	srv := serve(t, fixture(t, newLog(t, ""), newLog(t, "")), true)
	for _, path := range []string{
		"/runs/none", "/runs/none/log/payments", "/runs/" + runID + "/log/none", "/runs/" + runID + "/plan/none", "/executions/none",
		"/runs/" + runID + "/log/none/stream", "/executions/none/log", "/executions/none/log/stream", "/runs", "/admin", "/runs/..%2f..%2fetc",
	} {
		resp, body := get(t, srv.URL+path)
		if resp.StatusCode != http.StatusNotFound || !strings.Contains(body, "There is no such page.") {
			t.Errorf("%s: %s", path, resp.Status)
		}
	}
}

func TestRunsAreListedOnlyWhenAskedFor(t *testing.T) {
	t.Parallel()
	s := fixture(t, newLog(t, ""), newLog(t, ""))
	if _, body := get(t, serve(t, s, false).URL+"/"); strings.Contains(body, runID) || !strings.Contains(body, "in the check of the pull request") {
		t.Errorf("the ids are given away:\n%s", body)
	}
	if _, body := get(t, serve(t, s, true).URL+"/"); !strings.Contains(body, runID) {
		t.Errorf("the runs are not listed:\n%s", body)
	}
}

// Covers: T10
func TestNothingIsChangedByARequest(t *testing.T) {
	t.Parallel()
	srv := serve(t, fixture(t, newLog(t, ""), newLog(t, "")), true)
	for _, method := range []string{http.MethodPost, http.MethodPut, http.MethodDelete, http.MethodPatch} {
		req, err := http.NewRequest(method, srv.URL+"/runs/"+runID, nil)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != http.StatusMethodNotAllowed {
			t.Errorf("%s: %s", method, resp.Status)
		}
	}
}

// Covers: T73
func TestEveryAnswerIsGuarded(t *testing.T) {
	t.Parallel()
	planLog := newLog(t, "x\n")
	planLog.done.Store(true)
	srv := serve(t, fixture(t, planLog, newLog(t, "")), true)
	for _, path := range []string{
		"/", "/none", "/runs/" + runID, "/runs/" + runID + "/plan/payments", "/runs/" + runID + "/log/payments",
		"/runs/" + runID + "/log/payments/stream", "/assets/live.js",
	} {
		resp, _ := get(t, srv.URL+path)
		h := resp.Header
		csp := h.Get("Content-Security-Policy")
		if !strings.HasPrefix(csp, "default-src 'self';") && !strings.HasPrefix(csp, "default-src 'none';") || strings.Contains(csp, "unsafe") {
			t.Errorf("%s: content security policy %q", path, csp)
		}
		if h.Get("X-Content-Type-Options") != "nosniff" || h.Get("Referrer-Policy") != "no-referrer" || h.Get("Cache-Control") == "" {
			t.Errorf("%s: headers %v", path, h)
		}
	}
}

func TestErrorsDoNotShowTheirCause(t *testing.T) {
	t.Parallel()
	s := fixture(t, newLog(t, ""), newLog(t, ""))
	s.err = errors.New("password=hunter2")
	resp, body := get(t, serve(t, s, true).URL+"/runs/"+runID)
	if resp.StatusCode != http.StatusInternalServerError || strings.Contains(body, "hunter2") {
		t.Errorf("%s:\n%s", resp.Status, body)
	}
	s.err = fault.Wrap(s.err, "The database does not answer.", "", "")
	resp, body = get(t, serve(t, s, true).URL+"/runs/"+runID)
	if resp.StatusCode != http.StatusInternalServerError || strings.Contains(body, "hunter2") || !strings.Contains(body, "The database does not answer.") {
		t.Errorf("%s:\n%s", resp.Status, body)
	}
}

var hostile = []string{
	`"><img/src=x onerror=alert(1)>`, "<script>alert(1)</script>", "javascript:alert(1)", "</pre></details><h1>Allowed</h1>", "{{.}}",
	"\x1b]8;;https://evil.example\x07link\x1b]8;;\x07\x1b]52;c;ZXZpbA==\x07", "a\u202eb\u2066c\x00\x1b[31m", "' onclick='alert(1)", "\xff\xfe",
}

// hostileSource puts s wherever a pull request could.
func hostileSource(t *testing.T, s string) source {
	t.Helper()
	planLog, applyLog := newLog(t, s+"\n"), newLog(t, s+"\n")
	src := fixture(t, planLog, applyLog)
	p := plan(change.RunFailed)
	p.Project = change.Project{Name: s, Dir: s, Workspace: s}
	p.Text, p.Excerpt, p.Fault, p.DetailsURL = "+ "+s, s, fault.New(s, s, s), s
	p.Summary.Changes = []change.ResourceChange{{Address: s, Action: change.Replace, ForcesReplace: []string{s}}}
	p.Findings = []change.Finding{{
		Policy: s, Rule: s, Address: s, Verdict: change.Fail, Severity: change.Deny, Message: s, File: s, Line: 1, Remediation: s, Reference: s,
	}}
	p.Requirements = []report.Requirement{{Text: s}}
	p.Notices = []change.Notice{{Kind: s, File: s, What: s, Why: s, Fix: s}}
	r := run(runID, change.RunFailed, p)
	r.Report.Notices = p.Notices
	r.Report.Pull.Title, r.Report.Pull.HeadRef, r.Report.Pull.BaseRef, r.Report.Pull.URL, r.Report.Pull.HeadSHA = s, s, s, s, s
	r.Report.Pull.Repo.Owner, r.Report.Fault = s, fault.New(s, s, s)
	r.Report.Preview = &change.Preview{Dir: s, Rules: true, Tests: change.PolicyTests{Failed: []string{s}}, Projects: []change.ProjectPreview{
		{Project: s, Denied: change.Comparison{Resources: 1, Findings: p.Findings}, Allowed: change.Comparison{Resources: 1, Findings: p.Findings}}, {Project: s, Fault: p.Fault}}}
	e := execution(change.ExecFailedPartial)
	e.Pull, e.Report.Fault, e.Report.Summary = r.Report.Pull, p.Fault, p.Summary
	e.Report.Execution.Project, e.Report.Execution.Actor.Login, e.Report.Execution.Trigger = p.Project, s, s
	e.Report.DetailsURL, e.Report.Execution.CommitSHA = s, s
	e.Report.Proof = &change.Proof{Counts: change.Counts{Update: 1}, Obligations: []change.Obligation{{Finding: p.Findings[0], Verdict: change.Fail, Message: s}}}
	e.Report.Resolved = change.Resolved{As: change.ResolvedReconcile, By: change.User{Login: s}, Reason: s}
	e.Report.Evidence = &change.Evidence{Counts: change.Counts{Update: 1}, Changes: p.Summary.Changes}
	r.Report.Applies = []report.Apply{e.Report}
	src.runs[runID], src.executions[exeID] = r, e
	src.logs[runID+"/"+s] = planLog.web()
	return src
}

// Covers: T73
func TestHostileTextStaysText(t *testing.T) {
	t.Parallel()
	for _, s := range hostile {
		srv := serve(t, hostileSource(t, s), true)
		for _, path := range []string{"/", "/runs/" + runID, "/executions/" + exeID, "/runs/" + url.PathEscape(s)} {
			_, body := get(t, srv.URL+path)
			inert(t, fmt.Sprintf("%s of %q", path, s), body)
		}
		for _, path := range []string{"/runs/" + runID + "/log/" + url.PathEscape(s), "/runs/" + runID + "/plan/" + url.PathEscape(s), "/executions/" + exeID + "/log"} {
			resp, body := get(t, srv.URL+path)
			if resp.StatusCode != http.StatusOK || resp.Header.Get("Content-Type") != "text/plain; charset=utf-8" {
				t.Errorf("%s: %s %s", path, resp.Status, resp.Header.Get("Content-Type"))
			}
			visible(t, path, body)
		}
	}
}

// inert fails the test if the page has a node or an attribute that acts and is not ours.
func inert(t *testing.T, name, page string) {
	t.Helper()
	visible(t, name, page)
	doc, err := html.Parse(strings.NewReader(page))
	if err != nil {
		t.Fatal(err)
	}
	headings := 0
	for n := range doc.Descendants() {
		if n.Type != html.ElementNode {
			continue
		}
		switch n.Data {
		case "img", "iframe", "object", "embed", "form", "style", "base", "svg":
			t.Errorf("%s: <%s>", name, n.Data)
		case "script":
			if n.FirstChild != nil {
				t.Errorf("%s: inline script", name)
			}
		case "h1":
			headings++
		}
		for _, a := range n.Attr {
			address := slices.Contains([]string{"src", "href", "data-src"}, a.Key)
			if strings.HasPrefix(a.Key, "on") || a.Key == "style" || address && !strings.HasPrefix(a.Val, "/") && !strings.HasPrefix(a.Val, "https://") {
				t.Errorf("%s: %s=%q in <%s>", name, a.Key, a.Val, n.Data)
			}
		}
	}
	if headings != 1 {
		t.Errorf("%s: %d headings", name, headings)
	}
}

func visible(t *testing.T, name, text string) {
	t.Helper()
	for _, r := range text {
		if r != '\n' && r != '\t' && (unicode.IsControl(r) || unicode.Is(unicode.Cf, r)) {
			t.Errorf("%s holds %U", name, r)
		}
	}
}

// events reads server-sent events from a response one by one.
type events struct {
	t *testing.T
	*bufio.Scanner
}

func stream(t *testing.T, address, lastID string) events {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, address, nil)
	if err != nil {
		t.Fatal(err)
	}
	if lastID != "" {
		req.Header.Set("Last-Event-ID", lastID)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { resp.Body.Close() })
	if ct := resp.Header.Get("Content-Type"); resp.StatusCode != http.StatusOK || ct != "text/event-stream" {
		t.Fatalf("%s %s", resp.Status, ct)
	}
	e := events{t, bufio.NewScanner(resp.Body)}
	if got := e.next(); got != "retry: 2000" {
		t.Fatalf("the stream begins %q", got)
	}
	return e
}

// next returns the lines of one event.
func (e events) next() string {
	e.t.Helper()
	var lines []string
	for e.Scan() {
		if e.Text() == "" {
			return strings.Join(lines, "|")
		}
		lines = append(lines, e.Text())
	}
	e.t.Fatalf("the stream ends after %q: %v", lines, e.Err())
	return ""
}

func TestStreamFollowsTheLog(t *testing.T) {
	t.Parallel()
	l := newLog(t, "one\n")
	s := fixture(t, newLog(t, ""), l)
	address := serve(t, s, true).URL + "/executions/" + exeID + "/log/stream"
	want := func(e events, want string) {
		t.Helper()
		if got := e.next(); got != want {
			t.Errorf("event %q, want %q", got, want)
		}
	}
	all, resumed := stream(t, address, ""), stream(t, address+"?from=0", "4")
	want(all, "id: 4|data: one")
	l.write("\x1b[1mtwo\nthr")
	want(all, "id: 12|data: two")
	want(resumed, "id: 12|data: two")
	l.write("ee\r\n\nevent: end\n")
	want(all, "id: 31|data: three|data: |data: event: end")
	l.write("no line end")
	l.done.Store(true)
	want(all, "id: 42|data: no line end")
	want(all, "event: end|data:")
}

// Covers: T73
func TestRawLogIsCleanedAcrossChunks(t *testing.T) {
	t.Parallel()
	l := newLog(t, strings.Repeat("\x1b[31m😀 red\x1b[0m\n", 20_000))
	_, body := get(t, serve(t, fixture(t, newLog(t, ""), l), true).URL+"/executions/"+exeID+"/log")
	if want := strings.Repeat("😀 red\n", 20_000); body != want {
		t.Errorf("%d bytes, want %d", len(body), len(want))
	}
}

func TestLongLogIsCutAtALine(t *testing.T) {
	t.Parallel()
	l := newLog(t, strings.Repeat("a line of the log\n", 50_000)+"half a li")
	_, body := get(t, serve(t, fixture(t, newLog(t, ""), l), true).URL+"/executions/"+exeID)
	if !strings.Contains(body, "Only the end is shown here.") || len(body) > 300_000 || strings.Contains(body, "half a li") {
		t.Errorf("a page of %d bytes", len(body))
	}
	if want := fmt.Sprintf("stream?from=%d", 50_000*18); !strings.Contains(body, want) {
		t.Errorf("no %s: the stream would not begin with the half line", want)
	}
}

func TestStreamsAreLimited(t *testing.T) {
	t.Parallel()
	l := newLog(t, "one\n")
	address := serve(t, fixture(t, newLog(t, ""), l), true).URL + "/executions/" + exeID + "/log/stream"
	for range web.MaxStreams {
		stream(t, address, "")
	}
	if resp, _ := get(t, address); resp.StatusCode != http.StatusServiceUnavailable || resp.Header.Get("Retry-After") == "" {
		t.Errorf("one more stream: %s", resp.Status)
	}
	if resp, _ := get(t, strings.TrimSuffix(address, "/stream")); resp.StatusCode != http.StatusOK {
		t.Errorf("the log as text: %s", resp.Status)
	}
}
