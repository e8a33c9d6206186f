package github

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"

	"github.com/tollgate/tollgate/internal/change"
	"github.com/tollgate/tollgate/internal/redact"
)

// SignIn finds out who people are, by GitHub's web flow for Apps. It keeps no token of anybody: what
// they may read is asked for with the App's own, by Permission.
type SignIn struct {
	app    *App
	id     string
	secret redact.Secret
	http   *http.Client
}

// SignIn returns the App's web flow, which has an id and a secret of its own.
func (a *App) SignIn(clientID string, secret redact.Secret) *SignIn {
	// Past the link: a person whose allowance is used up must not close it for others.
	return &SignIn{app: a, id: clientID, secret: secret, http: &http.Client{Transport: a.link.base, Timeout: attemptTimeout, CheckRedirect: sameHost}}
}

// AuthorizeURL is where a person agrees to be known, and is sent back from to the callback with
// the state and a code. The challenge is the S256 one of the verifier that Person is given.
func (s *SignIn) AuthorizeURL(state, challenge, callback string) string {
	return s.app.site + "/login/oauth/authorize?" + url.Values{"client_id": {s.id}, "redirect_uri": {callback}, "state": {state},
		"code_challenge": {challenge}, "code_challenge_method": {"S256"}}.Encode()
}

// errCode says that GitHub does not take a code: it was used, is too old, or is not ours.
var errCode = errors.New("GitHub does not take the code")

// Person exchanges a code for who came with it. The token is given back at once. It makes three requests.
func (s *SignIn) Person(ctx context.Context, code, verifier, callback string) (change.User, error) {
	op := operation{"sign a person in", ""}
	form := url.Values{"client_id": {s.id}, "client_secret": {string(s.secret.Reveal())}, "code": {code}, "redirect_uri": {callback}, "code_verifier": {verifier}}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, s.app.site+"/login/oauth/access_token", strings.NewReader(form.Encode()))
	if err != nil {
		return change.User{}, err
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	var grant struct {
		Token string `json:"access_token"`
		Error string `json:"error"`
	}
	if err := s.send(req, &grant); err != nil {
		return change.User{}, op.explain(err)
	}
	if grant.Token == "" {
		return change.User{}, op.explain(fmt.Errorf("%w: %.100q", errCode, grant.Error))
	}
	token := redact.New(grant.Token)
	who, err := s.owner(ctx, token)
	// One that is not given back ends by itself, and nobody has it.
	_ = s.giveBack(context.WithoutCancel(ctx), token)
	if err != nil {
		return change.User{}, op.explain(err)
	}
	return who, nil
}

func (s *SignIn) owner(ctx context.Context, token redact.Secret) (change.User, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.app.api+"/user", nil)
	if err != nil {
		return change.User{}, err
	}
	req.Header.Set("Authorization", "Bearer "+string(token.Reveal()))
	var user struct {
		ID    int64  `json:"id"`
		Login string `json:"login"`
		Type  string `json:"type"`
	}
	if err := s.send(req, &user); err != nil {
		return change.User{}, err
	}
	if user.ID <= 0 || user.Type != "User" || !loginPattern.MatchString(user.Login) {
		return change.User{}, fmt.Errorf("the answer names no person: %d %.100q %.20q", user.ID, user.Login, user.Type)
	}
	return change.User{ID: user.ID, Login: user.Login}, nil
}

func (s *SignIn) giveBack(ctx context.Context, token redact.Secret) error {
	body, err := json.Marshal(map[string]string{"access_token": string(token.Reveal())})
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodDelete, s.app.api+"/applications/"+url.PathEscape(s.id)+"/token", bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.SetBasicAuth(s.id, string(s.secret.Reveal()))
	req.Header.Set("Content-Type", "application/json")
	return s.send(req, nil)
}

// send wants a whole answer in JSON, or none if into is nil.
func (s *SignIn) send(req *http.Request, into any) error {
	req.Header.Set("Accept", "application/json")
	req.Header.Set("User-Agent", s.app.userAgent)
	resp, err := s.http.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	switch {
	case err != nil:
		return err
	case resp.StatusCode/100 != 2:
		return &statusError{Status: resp.StatusCode, Message: message(body), RequestID: resp.Header.Get("X-GitHub-Request-Id")}
	case into == nil:
		return nil
	}
	return json.Unmarshal(body, into)
}
