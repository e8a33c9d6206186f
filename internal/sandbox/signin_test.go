package sandbox_test

import (
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"strings"
	"testing"

	"github.com/tollgate/tollgate/internal/ghsim"
	"github.com/tollgate/tollgate/internal/sandbox"
)

// browser is a person's: it goes from Tollgate to GitHub and back by itself.
type browser struct {
	t testing.TB
	http.Client
}

func newBrowser(t testing.TB, w *sandbox.World, login string) *browser {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	b := &browser{t, http.Client{Jar: jar}}
	b.do(http.MethodPost, w.GitHub.URL()+"/-/act-as", url.Values{"login": {login}})
	return b
}

func (b *browser) do(method, address string, form url.Values) (*http.Response, string) {
	b.t.Helper()
	req, err := http.NewRequestWithContext(b.t.Context(), method, address, strings.NewReader(form.Encode()))
	if err != nil {
		b.t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	resp, err := b.Do(req)
	if err != nil {
		b.t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		b.t.Fatal(err)
	}
	return resp, string(text)
}

// open opens a page of Tollgate, and agrees at GitHub that it may know who this is.
func (b *browser) open(address string) (*http.Response, string) {
	b.t.Helper()
	resp, text := b.do(http.MethodGet, address, nil)
	if !strings.HasPrefix(resp.Request.URL.Path, "/login/oauth/authorize") {
		return resp, text
	}
	return b.do(http.MethodPost, resp.Request.URL.String(), nil)
}

// pagesAreForReaders looks at the pages of a plan as a writer, as somebody without a role, and as nobody.
func pagesAreForReaders(t testing.TB, w *sandbox.World, check ghsim.CheckRun) {
	t.Helper()
	if _, err := w.GitHub.CreateUser(ghsim.User{Login: "mallory"}); err != nil {
		t.Fatal(err)
	}
	page, _, _ := strings.Cut(check.DetailsURL, "#")
	author, stranger := newBrowser(t, w, sandbox.Author), newBrowser(t, w, "mallory")
	resp, text := author.open(check.DetailsURL)
	if resp.StatusCode != http.StatusOK || resp.Request.URL.Path != strings.TrimPrefix(page, w.Bot.URL) || !strings.Contains(text, "terraform_data.a") || !strings.Contains(text, sandbox.Author) {
		t.Errorf("the page for a writer: %s at %s\n%s", resp.Status, resp.Request.URL, text)
	}
	if resp, text := author.open(page + "/log/app"); resp.StatusCode != http.StatusOK || !strings.Contains(text, "terraform_data.a") {
		t.Errorf("the log for a writer: %s\n%s", resp.Status, text)
	}
	_, absent := stranger.open(w.Bot.URL + "/runs/none")
	for _, path := range []string{"", "/plan/app", "/log/app", "/log/app/stream"} {
		if resp, text := stranger.open(page + path); resp.StatusCode != http.StatusNotFound || text != absent {
			t.Errorf("%s for somebody without a role: %s", path, resp.Status)
		}
	}
	if resp, text := stranger.open(w.Bot.URL + "/"); resp.StatusCode != http.StatusOK || strings.Contains(text, "payments") {
		t.Errorf("the list for somebody without a role: %s\n%s", resp.Status, text)
	}
	if resp, _ := author.open(w.Bot.URL + "/"); resp.StatusCode != http.StatusOK {
		t.Errorf("the list for a writer: %s", resp.Status)
	}
	nobody := http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	for path, status := range map[string]int{page: 303, page + "/log/app/stream": 401, w.Bot.URL + "/healthz": 200, w.Bot.URL + "/readyz": 200, w.Bot.URL + "/metrics": 200} {
		resp, err := nobody.Get(path)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != status {
			t.Errorf("%s for nobody: %s, want %d", path, resp.Status, status)
		}
	}
}
