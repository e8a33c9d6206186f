package ghsim

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/json"
	"mime"
	"net/http"
	"net/url"
	"time"
)

// Lives of what signing in hands out, as GitHub documents them.
const (
	codeLife      = 10 * time.Minute
	userTokenLife = 8 * time.Hour
)

// grant is a code on its way from a person's browser to the App that exchanges it.
type grant struct {
	app       *app
	user      *account
	callback  string
	challenge string // S256; "" for none
	expires   time.Time
}

// authorizeView is the page on which a person lets an App know who they are.
type authorizeView struct {
	frameView
	App   string
	Query map[string]string
}

// authorization reads what an App asks of a person; a nil app says that the page has to refuse.
func (s *Server) authorization(r *http.Request) (*app, *url.URL, string) {
	a := s.appByClient(r.FormValue("client_id"))
	if a == nil || a.callback == "" {
		return nil, nil, "No App has this client id and a callback URL."
	}
	to := a.callback
	if asked := r.FormValue("redirect_uri"); asked != "" && asked != to {
		return nil, nil, "The redirect_uri is not associated with this application."
	}
	if method := r.FormValue("code_challenge_method"); method != "" && method != "S256" {
		return nil, nil, "Only the code challenge method S256 is supported."
	}
	address, err := url.Parse(to)
	if err != nil {
		return nil, nil, "The callback URL is not one."
	}
	return a, address, ""
}

func (s *Server) appByClient(id string) *app {
	for _, a := range s.apps {
		if a.clientID == id {
			return a
		}
	}
	return nil
}

// askToAuthorize shows who asks. Somebody who has agreed once is sent on at once, as on GitHub.
func (s *Server) askToAuthorize(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	a, to, problem := s.authorization(r)
	who := s.acting(r)
	agreed := a != nil && who != nil && a.authorized[who.id]
	v := authorizeView{frameView: s.frame(r, nil, "Authorize"), Query: map[string]string{}}
	s.mu.Unlock()
	switch {
	case problem != "":
		v.Problem = problem
		s.render(w, http.StatusNotFound, "message.html", v.frameView)
	case agreed:
		s.authorize(w, r)
	default:
		v.App = a.name
		for _, name := range []string{"client_id", "redirect_uri", "state", "code_challenge", "code_challenge_method"} {
			v.Query[name] = r.FormValue(name)
		}
		// The form's answer leads to the App, which browsers count as a target of the form.
		w.Header().Set("Content-Security-Policy", pagePolicy("'self' "+to.Scheme+"://"+to.Host))
		s.render(w, http.StatusOK, "authorize.html", v)
	}
}

// authorize sends the person back to the App with a code.
func (s *Server) authorize(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	a, to, problem := s.authorization(r)
	who := s.acting(r)
	if problem != "" || who == nil {
		s.mu.Unlock()
		http.Error(w, problem, http.StatusNotFound)
		return
	}
	a.authorized[who.id] = true
	code := newSecret("")[:20]
	s.grants[code] = grant{app: a, user: who, callback: to.String(), challenge: r.FormValue("code_challenge"), expires: s.cfg.Clock().Add(codeLife)}
	s.mu.Unlock()
	q := to.Query()
	q.Set("code", code)
	if state := r.FormValue("state"); state != "" {
		q.Set("state", state)
	}
	to.RawQuery = q.Encode()
	http.Redirect(w, r, to.String(), http.StatusFound)
}

// exchangeCode hands out a person's token for a code. Its refusals have the status 200.
func (s *Server) exchangeCode(w http.ResponseWriter, r *http.Request) {
	answer := s.exchange(exchangeOf(r).Body, r.Header.Get("Content-Type"))
	if kind, _, _ := mime.ParseMediaType(r.Header.Get("Accept")); kind == "application/json" {
		w.Header().Set("Content-Type", "application/json; charset=utf-8")
		_ = json.NewEncoder(w).Encode(answer)
		return
	}
	form := url.Values{}
	for k, v := range answer {
		text, _ := v.(string)
		form.Set(k, text)
	}
	w.Header().Set("Content-Type", "application/x-www-form-urlencoded; charset=utf-8")
	_, _ = w.Write([]byte(form.Encode()))
}

func (s *Server) exchange(body []byte, kind string) obj {
	refuse := func(code, why string) obj {
		return obj{"error": code, "error_description": why, "error_uri": "https://docs.github.com/apps"}
	}
	form, err := url.ParseQuery(string(body))
	if m, _, _ := mime.ParseMediaType(kind); m != "application/x-www-form-urlencoded" || err != nil {
		return refuse("incorrect_client_credentials", "The client_id and/or client_secret passed are incorrect.")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	a := s.appByClient(form.Get("client_id"))
	if a == nil || subtle.ConstantTimeCompare([]byte(a.clientSecret), []byte(form.Get("client_secret"))) != 1 {
		return refuse("incorrect_client_credentials", "The client_id and/or client_secret passed are incorrect.")
	}
	g, known := s.grants[form.Get("code")]
	delete(s.grants, form.Get("code"))
	sum := sha256.Sum256([]byte(form.Get("code_verifier")))
	proven := g.challenge == "" || g.challenge == base64.RawURLEncoding.EncodeToString(sum[:])
	switch {
	case !known || g.app != a || !g.expires.After(s.cfg.Clock()) || !proven:
		return refuse("bad_verification_code", "The code passed is incorrect or expired.")
	case form.Get("redirect_uri") != "" && form.Get("redirect_uri") != g.callback:
		return refuse("redirect_uri_mismatch", "The redirect_uri MUST match the registered callback URL for this application.")
	}
	t := &token{value: newSecret("ghu_"), user: g.user, issuer: a, expires: s.now().Add(userTokenLife)}
	s.tokens[t.value] = t
	return obj{"access_token": t.value, "token_type": "bearer", "scope": "", "expires_in": int(userTokenLife.Seconds()),
		"refresh_token": newSecret("ghr_"), "refresh_token_expires_in": 15897600}
}

// showSelf tells who a token belongs to.
func (s *Server) showSelf(c *call) *reply {
	switch c.actor.kind {
	case "user":
		return ok(s.publicUser(c.actor.user))
	case "installation":
		return fail(http.StatusForbidden, "Resource not accessible by integration")
	}
	return fail(http.StatusUnauthorized, "Requires authentication")
}

// revokeUserToken is for the App that got the token, with its client id and secret as name and password.
func (s *Server) revokeUserToken(c *call) *reply {
	var body struct {
		AccessToken string `json:"access_token"`
	}
	if bad := c.decode(&body); bad != nil {
		return bad
	}
	t := s.tokens[body.AccessToken]
	if c.actor.app.clientID != c.r.PathValue("client_id") || t == nil || t.issuer != c.actor.app {
		return notFound()
	}
	delete(s.tokens, t.value)
	return noContent()
}
