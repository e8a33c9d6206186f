package sandbox_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"strings"
	"testing"

	"github.com/tollgate/tollgate/internal/ghsim"
	"github.com/tollgate/tollgate/internal/sandbox"
)

// visitor is a person's browser: it goes from Tollgate to GitHub and back by itself.
type visitor struct{ http.Client }

// visit opens the first page of Tollgate as a person, who agrees at GitHub that it may know who they are.
func visit(ctx context.Context, w *sandbox.World, login string) (*visitor, error) {
	jar, err := cookiejar.New(nil)
	if err != nil {
		return nil, err
	}
	v := &visitor{http.Client{Jar: jar}}
	if _, _, err := v.do(ctx, http.MethodPost, w.GitHub.URL()+"/-/act-as", url.Values{"login": {login}}); err != nil {
		return nil, err
	}
	resp, _, err := v.do(ctx, http.MethodGet, w.Bot.URL+"/", nil)
	if err == nil && resp.Request.URL.Path == "/login/oauth/authorize" {
		_, _, err = v.do(ctx, http.MethodPost, resp.Request.URL.String(), nil)
	}
	return v, err
}

func (v *visitor) do(ctx context.Context, method, address string, form url.Values) (*http.Response, string, error) {
	req, err := http.NewRequestWithContext(ctx, method, address, strings.NewReader(form.Encode()))
	if err != nil {
		return nil, "", err
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	resp, err := v.Do(req)
	if err != nil {
		return nil, "", err
	}
	text, err := io.ReadAll(resp.Body)
	return resp, string(text), errors.Join(err, resp.Body.Close())
}

// pagesAreForReaders looks at the pages of a plan as a writer, as somebody without a role, and as nobody.
func pagesAreForReaders(t testing.TB, w *sandbox.World, check ghsim.CheckRun) {
	t.Helper()
	if _, err := w.GitHub.CreateUser(ghsim.User{Login: "mallory"}); err != nil {
		t.Fatal(err)
	}
	page, _, _ := strings.Cut(check.DetailsURL, "#")
	open := func(login string) func(string) (*http.Response, string) {
		v, err := visit(t.Context(), w, login)
		if err != nil {
			t.Fatal(err)
		}
		return func(address string) (*http.Response, string) {
			resp, text, err := v.do(t.Context(), http.MethodGet, address, nil)
			if err != nil {
				t.Fatal(err)
			}
			return resp, text
		}
	}
	author, stranger := open(sandbox.Author), open("mallory")
	resp, text := author(check.DetailsURL)
	if resp.StatusCode != http.StatusOK || resp.Request.URL.Path != strings.TrimPrefix(page, w.Bot.URL) || !strings.Contains(text, "terraform_data.a") || !strings.Contains(text, sandbox.Author) {
		t.Errorf("the page for a writer: %s at %s\n%s", resp.Status, resp.Request.URL, text)
	}
	if resp, text := author(page + "/log/app"); resp.StatusCode != http.StatusOK || !strings.Contains(text, "terraform_data.a") {
		t.Errorf("the log for a writer: %s\n%s", resp.Status, text)
	}
	_, absent := stranger(w.Bot.URL + "/runs/none")
	for _, path := range []string{"", "/plan/app", "/log/app", "/log/app/stream"} {
		if resp, text := stranger(page + path); resp.StatusCode != http.StatusNotFound || text != absent {
			t.Errorf("%s for somebody without a role: %s", path, resp.Status)
		}
	}
	if resp, text := stranger(w.Bot.URL + "/"); resp.StatusCode != http.StatusOK || strings.Contains(text, "payments") {
		t.Errorf("the list for somebody without a role: %s\n%s", resp.Status, text)
	}
	if resp, _ := author(w.Bot.URL + "/"); resp.StatusCode != http.StatusOK {
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
