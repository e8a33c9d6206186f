package ghsim_test

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
)

const callback = "http://127.0.0.1:1/signin/callback"

// as sends a request of a person's browser, which follows nobody away from here.
func (b *bundle) as(t testing.TB, login, method, path string, form url.Values) (*http.Response, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(b.ctx, method, b.srv.URL()+path, strings.NewReader(form.Encode()))
	ok(t, err)
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("Accept", "application/json")
	req.AddCookie(&http.Cookie{Name: "acting_as", Value: login})
	c := http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	resp, err := c.Do(req)
	ok(t, err)
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	ok(t, err)
	return resp, string(text)
}

// agree has a person let the App know who they are, and returns the code.
func (b *bundle) agree(t testing.TB, login string, more url.Values) string {
	t.Helper()
	form := url.Values{"client_id": {b.app.ClientID}, "redirect_uri": {callback}, "state": {"s"}}
	for k, v := range more {
		form[k] = v
	}
	resp, text := b.as(t, login, http.MethodPost, "/login/oauth/authorize", form)
	to, err := url.Parse(resp.Header.Get("Location"))
	ok(t, err)
	if resp.StatusCode != http.StatusFound || !strings.HasPrefix(to.String(), callback+"?") || to.Query().Get("state") != "s" {
		t.Fatalf("%s to %s: %s", resp.Status, to, text)
	}
	return to.Query().Get("code")
}

func (b *bundle) exchange(t testing.TB, code string, more url.Values) map[string]any {
	t.Helper()
	form := url.Values{"client_id": {b.app.ClientID}, "client_secret": {b.app.ClientSecret}, "code": {code}}
	for k, v := range more {
		form[k] = v
	}
	_, text := b.as(t, "", http.MethodPost, "/login/oauth/access_token", form)
	var answer map[string]any
	ok(t, json.Unmarshal([]byte(text), &answer))
	return answer
}

// useSignIn is the way of one person through the whole flow.
func (b *bundle) useSignIn(t testing.TB) {
	t.Helper()
	page, text := b.as(t, "bob", http.MethodGet, "/login/oauth/authorize?"+url.Values{"client_id": {b.app.ClientID}, "redirect_uri": {callback}}.Encode(), nil)
	if page.StatusCode != http.StatusOK || !strings.Contains(text, "as bob") || !strings.Contains(page.Header.Get("Content-Security-Policy"), "form-action 'self' http://127.0.0.1:1;") {
		t.Errorf("the page that asks: %s\n%s", page.Status, text)
	}
	token, _ := b.exchange(t, b.agree(t, "bob", nil), nil)["access_token"].(string)
	if again, _ := b.as(t, "bob", http.MethodGet, "/login/oauth/authorize?client_id="+b.app.ClientID, nil); again.StatusCode != http.StatusFound {
		t.Errorf("somebody who has agreed before: %s", again.Status)
	}
	api := func(method, path string, auth func(*http.Request), body string) (int, string) {
		req, err := http.NewRequestWithContext(b.ctx, method, b.srv.URL()+"/api/v3"+path, bytes.NewBufferString(body))
		ok(t, err)
		auth(req)
		req.Header.Set("Content-Type", "application/json")
		resp, err := http.DefaultClient.Do(req)
		ok(t, err)
		defer resp.Body.Close()
		text, err := io.ReadAll(resp.Body)
		ok(t, err)
		return resp.StatusCode, string(text)
	}
	bearer := func(r *http.Request) { r.Header.Set("Authorization", "Bearer "+token) }
	client := func(r *http.Request) { r.SetBasicAuth(b.app.ClientID, b.app.ClientSecret) }
	if status, text := api("GET", "/user", bearer, ""); status != http.StatusOK || !strings.Contains(text, `"login":"bob"`) {
		t.Errorf("who it is: %d %s", status, text)
	}
	path, body := "/applications/"+b.app.ClientID+"/token", `{"access_token": "`+token+`"}`
	if status, _ := api("DELETE", path, bearer, body); status != http.StatusUnauthorized {
		t.Errorf("revoked by its own: %d", status)
	}
	if status, _ := api("DELETE", path, client, body); status != http.StatusNoContent {
		t.Errorf("revoked: %d", status)
	}
	if status, _ := api("GET", "/user", bearer, ""); status != http.StatusUnauthorized {
		t.Errorf("after that: %d", status)
	}
}

func TestCodesAreForWhomTheyWereMade(t *testing.T) {
	t.Parallel()
	b := setup(t)
	// The challenge of RFC 7636, appendix B.
	challenge := url.Values{"code_challenge": {"E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"}, "code_challenge_method": {"S256"}}
	proof := url.Values{"code_verifier": {"dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"}}
	for name, tt := range map[string]struct {
		asked, given url.Values
		want         string // the error
	}{
		"as it should be":    {challenge, proof, ""},
		"no challenge":       {nil, nil, ""},
		"no proof":           {challenge, nil, "bad_verification_code"},
		"another proof":      {challenge, url.Values{"code_verifier": {"x"}}, "bad_verification_code"},
		"another code":       {nil, url.Values{"code": {"x"}}, "bad_verification_code"},
		"another secret":     {nil, url.Values{"client_secret": {"x"}}, "incorrect_client_credentials"},
		"another App":        {nil, url.Values{"client_id": {"x"}}, "incorrect_client_credentials"},
		"another address":    {nil, url.Values{"redirect_uri": {"http://127.0.0.1:2/"}}, "redirect_uri_mismatch"},
		"the address it had": {nil, url.Values{"redirect_uri": {callback}}, ""},
	} {
		code := b.agree(t, "ada", tt.asked)
		answer := b.exchange(t, code, tt.given)
		if got, _ := answer["error"].(string); got != tt.want || (answer["access_token"] != nil) != (tt.want == "") {
			t.Errorf("%s: %v", name, answer)
		}
		if again := b.exchange(t, code, tt.given); tt.want == "" && again["error"] != "bad_verification_code" {
			t.Errorf("%s, once more: %v", name, again)
		}
	}
	for name, query := range map[string]url.Values{"another App": {"client_id": {"x"}}, "another address": {"client_id": {b.app.ClientID}, "redirect_uri": {"http://evil.example/"}}} {
		for _, method := range []string{http.MethodGet, http.MethodPost} {
			if resp, _ := b.as(t, "ada", method, "/login/oauth/authorize?"+query.Encode(), nil); resp.StatusCode != http.StatusNotFound {
				t.Errorf("%s, %s: %s", name, method, resp.Status)
			}
		}
	}
	var seen bool
	for _, ex := range b.srv.Requests() {
		seen = seen || ex.Kind == "oauth" && len(ex.Body) > 0
	}
	if !seen {
		t.Error("nobody witnessed the exchange")
	}
}
