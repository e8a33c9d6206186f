package ghsim_test

import (
	"bufio"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-github/v60/github"

	"github.com/tollgate/tollgate/internal/ghsim"
)

// browser is a person in front of the pages.
type browser struct {
	*http.Client
	base string
}

func (b *bundle) browser(t *testing.T, login string) *browser {
	t.Helper()
	jar, err := cookiejar.New(nil)
	ok(t, err)
	w := &browser{&http.Client{Jar: jar}, b.srv.URL()}
	w.post(t, "/-/act-as", 200, "login", login, "back", "/acme/payments")
	return w
}

func (w *browser) get(t *testing.T, path string) string {
	t.Helper()
	resp, err := w.Get(w.base + path)
	ok(t, err)
	return w.read(t, resp, 200)
}

// post sends a form and returns the page that it leads to.
func (w *browser) post(t *testing.T, path string, status int, fields ...string) string {
	t.Helper()
	form := url.Values{}
	for i := 0; i < len(fields); i += 2 {
		form.Set(fields[i], fields[i+1])
	}
	resp, err := w.PostForm(w.base+path, form)
	ok(t, err)
	return w.read(t, resp, status)
}

func (w *browser) read(t *testing.T, resp *http.Response, status int) string {
	t.Helper()
	defer resp.Body.Close()
	page, err := io.ReadAll(resp.Body)
	ok(t, err)
	if resp.StatusCode != status {
		t.Fatalf("%s: %s, want %d\n%s", resp.Request.URL, resp.Status, status, page)
	}
	return string(page)
}

// has wants texts in a page; one that starts with an exclamation mark must not be there.
func has(t *testing.T, page string, texts ...string) {
	t.Helper()
	for _, text := range texts {
		unwanted, not := strings.CutPrefix(text, "!")
		if not && strings.Contains(page, unwanted) {
			t.Errorf("the page has %q", unwanted)
		}
		if !not && !strings.Contains(page, text) {
			t.Errorf("the page has no %q", text)
		}
	}
}

func TestAPersonReadsAPullRequest(t *testing.T) {
	t.Parallel()
	b := setup(t)
	p := b.openPull(t, "change")
	run, err := b.createRun(t, github.CreateCheckRunOptions{
		Name: "tollgate", HeadSHA: p.Info().HeadSHA, Conclusion: github.String("failure"), DetailsURL: github.String("http://bot.example/runs/1"),
		Output: &github.CheckRunOutput{
			Title: github.String("Denied"), Summary: github.String("| a | b |\n|---|---|\n| 1 | **2** |"),
			Text: github.String("<details><summary>Plan</summary>\n\n```diff\n+ new\n```\n\n</details>"),
			Annotations: []*github.CheckRunAnnotation{
				note("infrastructure/main.tf", 2, "on a changed line"), note("README.md", 1, "elsewhere"), note("gone.tf", 9, "nowhere"),
			},
		},
		Actions: []*github.CheckRunAction{{Label: "Re-plan", Description: "Plan again", Identifier: "replan"}},
	})
	ok(t, err)
	w := b.browser(t, "bob")
	has(t, w.get(t, "/"), "acme/payments", "Change x", "Some checks were not successful")
	has(t, w.get(t, "/acme/payments/pull/1"), "Because.", "acting", `<option value="bob" selected>bob (maintain)`, "tollgate", "Denied", "Merge pull request")
	checks := w.get(t, "/acme/payments/pull/1/checks")
	has(t, checks, "<td><strong>2</strong></td>", "<details><summary>Plan</summary>", `<span class="add">`, "on a changed line", "Re-plan", "http://bot.example/runs/1")
	files := w.get(t, "/acme/payments/pull/1/files")
	has(t, files, "on a changed line", "Unchanged files with annotations", "# Payments", "elsewhere", "nowhere")
	if strings.Index(files, "x = 2") > strings.Index(files, "on a changed line") {
		t.Error("the annotation doesn't follow its line")
	}
	has(t, w.get(t, fmt.Sprintf("/acme/payments/runs/%d", run.GetID())), "<h2>tollgate</h2>")
	has(t, w.get(t, fmt.Sprintf("/avatars/u/%d", b.app.BotID)), "<svg", ">T</text>")
	resp, err := w.Get(b.srv.URL() + "/acme/nothing")
	ok(t, err)
	w.read(t, resp, http.StatusNotFound)
}

func note(path string, line int, message string) *github.CheckRunAnnotation {
	return &github.CheckRunAnnotation{
		Path: &path, StartLine: &line, EndLine: &line, AnnotationLevel: github.String("failure"), Message: &message,
	}
}

func TestAPersonActs(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.repo.Protect("main", ghsim.Protection{Approvals: 1})
	p := b.openPull(t, "change")
	run, err := b.createRun(t, github.CreateCheckRunOptions{
		Name: "tollgate", HeadSHA: p.Info().HeadSHA, Conclusion: github.String("success"),
		Actions: []*github.CheckRunAction{{Label: "Re-plan", Description: "Plan again", Identifier: "replan"}},
	})
	ok(t, err)
	const at = "/acme/payments/pull/1"
	ada, bob, eve := b.browser(t, "ada"), b.browser(t, "bob"), b.browser(t, "eve")

	has(t, ada.post(t, at+"/comment", 200, "body", "/plan\r\n"), "/plan")
	has(t, ada.post(t, at+"/review?event=APPROVE", 422), "Can not approve your own pull request")
	has(t, ada.post(t, at+"/merge", 422, "method", "merge"), "At least 1 approving review")
	has(t, bob.post(t, at+"/review?event=REQUEST_CHANGES", 200, "body", "Please *don't*"), "requested changes", "<em>don")
	has(t, ada.post(t, at+"/edit", 200, "path", "infrastructure/main.tf", "content", "edited\r\ntwice", "message", "Obey"), "edited", "twice", "Files changed")
	if text, err := b.repo.File(p.Info().HeadSHA, "infrastructure/main.tf"); err != nil || text != "edited\ntwice\n" {
		t.Errorf("pushed %q, %v", text, err)
	}
	has(t, eve.post(t, at+"/edit", 422, "path", "x", "content", "typed"), "eve may not push", "typed")
	runAt := fmt.Sprintf("/acme/payments/runs/%d", run.GetID())
	has(t, eve.post(t, runAt+"/action", 422, "identifier", "replan"), "403")
	ok(t, p.Edit("ada", ghsim.PullEdit{})) // nothing changes
	bob.post(t, runAt+"/action", 200, "identifier", "replan")
	bob.post(t, runAt+"/rerun", 200)
	has(t, bob.post(t, at+"/close", 200), "closed this")
	has(t, bob.post(t, at+"/reopen", 200), "Open")
	has(t, bob.post(t, at+"/review?event=APPROVE", 200), "approved these changes")
	has(t, ada.post(t, at+"/merge", 200, "method", "squash"), "merged this")
	b.settle(t)
	for event, action := range map[string]string{"check_run": "requested_action", "pull_request_review": "submitted", "issue_comment": "created"} {
		b.hooks.last(t, event, action)
	}
	if e := b.hooks.last(t, "pull_request", "closed"); e.payload["sender"].(map[string]any)["login"] != "ada" {
		t.Error("the merge was not ada's")
	}
	if body := p.Comments()[0].Body; body != "/plan\n" {
		t.Errorf("the comment is %q", body)
	}
}

func TestTextsOfOthersAreHarmless(t *testing.T) {
	t.Parallel()
	b := setup(t)
	p := b.openPull(t, "change")
	w := b.browser(t, "ada")
	cases := map[string][]string{
		"<script>alert(1)</script>":                     {"!<script>alert"},
		"<img src=x onerror=alert(1)>":                  {"!<img src=x", "!onerror"},
		"text <b onclick=x()>bold</b>":                  {"<b>bold</b>", "!onclick"},
		"[x](javascript:alert(2))":                      {"!javascript:"},
		"before <!-- hidden --> after":                  {"!hidden"},
		"<!-- tollgate:summary -->\n### Head":           {"!tollgate:summary", "<h3>Head</h3>"},
		"<details open><summary>S</summary>\n\n*in*":    {"<details open><summary>S</summary>", "<em>in</em>"},
		"<iframe src=http://x>\n</iframe>":              {"!<iframe"},
		"a<br>b <sub>small</sub> <code>x &lt; y</code>": {"a<br>b <sub>small</sub> <code>x &lt; y</code>"},
		"<a href=\"http://evil.example\">here</a>":      {"!evil.example"},
		"```html\n<script>x</script>\n```":              {"&lt;script&gt;x"},
		"~~gone~~ https://example.com":                  {"<del>gone</del>", `<a href="https://example.com">`},
	}
	for text, want := range cases {
		id, err := p.Comment("bob", text)
		ok(t, err)
		page := w.get(t, "/acme/payments/pull/1")
		has(t, page[strings.Index(page, `id="issuecomment-`):strings.Index(page, `class="merge`)], want...)
		ok(t, p.DeleteComment("bob", id))
	}
}

func TestAnotherSiteCannotPressButtons(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.openPull(t, "change")
	for site, status := range map[string]int{"cross-site": http.StatusForbidden, "same-origin": http.StatusOK} {
		req, err := http.NewRequest("POST", b.srv.URL()+"/acme/payments/pull/1/comment", strings.NewReader("body=hello"))
		ok(t, err)
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		req.Header.Set("Sec-Fetch-Site", site)
		resp, err := http.DefaultClient.Do(req)
		ok(t, err)
		ok(t, resp.Body.Close())
		if resp.StatusCode != status {
			t.Errorf("%s: %s", site, resp.Status)
		}
	}
}

func TestThePageHearsOfChanges(t *testing.T) {
	t.Parallel()
	b := setup(t)
	resp, err := http.Get(b.srv.URL() + "/-/events")
	ok(t, err)
	defer resp.Body.Close()
	lines := bufio.NewScanner(resp.Body)
	for i := range 2 { // the first says that the stream is open
		if i == 1 {
			b.push(t, "x", "x", "x")
		}
		for lines.Scan() && lines.Text() != "data: changed" {
		}
	}
	ok(t, lines.Err())
}

func TestIssuePage(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.do(t, b.client, "POST", "repos/acme/payments/issues", body{"title": "Drift found", "body": "*see*"}, nil)
	has(t, b.browser(t, "ada").get(t, "/acme/payments/issues/1"), "Drift found", "<em>see</em>")
	b.openPull(t, "change")
	has(t, b.browser(t, "ada").get(t, "/acme/payments/issues/2"), "wants to merge")
}
