package web

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/tollgate/tollgate/internal/change"
	"github.com/tollgate/tollgate/internal/fault"
)

// People is how the pages know who looks at them, and what they may see.
type People struct {
	SignIn   SignIn
	Sessions Sessions
	// MayRead asks GitHub. An error shows nothing.
	MayRead func(ctx context.Context, person change.User, repo change.Repo) (bool, error)
}

// SignIn is GitHub's side of signing in.
type SignIn interface {
	// AuthorizeURL is where the person goes. They come back to the callback with the state and a code.
	AuthorizeURL(state, challenge, callback string) string
	// Person exchanges the code for who they are.
	Person(ctx context.Context, code, verifier, callback string) (change.User, error)
}

// Sessions keeps who has signed in, by the digest of the token that their browser has.
type Sessions interface {
	Begin(ctx context.Context, digest string, person change.User, until time.Time) error
	// Session returns ErrNotFound for one that is not there or is over.
	Session(ctx context.Context, digest string) (change.User, error)
	End(ctx context.Context, digest string) error
}

// How long a session lasts, and how long somebody may take to sign in.
const (
	sessionLife = 8 * time.Hour
	signInLife  = 10 * time.Minute
)

const callbackPath = "/signin/callback"

// secret is 256 random bits that fit into a cookie and an address.
func secret() string {
	var b [32]byte
	_, _ = rand.Read(b[:]) // never fails, says its documentation
	return base64.RawURLEncoding.EncodeToString(b[:])
}

func digest(purpose, text string) string {
	sum := sha256.Sum256([]byte(purpose + "\x00" + text))
	return hex.EncodeToString(sum[:])
}

// session finds who sent a request by its cookie.
func (s *server) session(r *http.Request) (viewer, error) {
	c, err := r.Cookie(s.cookieName("session"))
	if err != nil || c.Value == "" {
		return viewer{}, errAnonymous
	}
	person, err := s.People.Sessions.Session(r.Context(), digest("session", c.Value))
	switch {
	case isNotFound(err):
		return viewer{}, errAnonymous
	case err != nil:
		return viewer{}, fmt.Errorf("read session: %w", err)
	case person.ID == 0:
		return viewer{}, errAnonymous
	}
	return viewer{person, c.Value}, nil
}

// formToken is in the forms of a session, and no other page can know it.
func (v viewer) formToken() string {
	if v.token == "" {
		return ""
	}
	return digest("form", v.token)
}

// signIn sends a person to GitHub. What has to come back is in a cookie, so that nobody can have somebody else's
// browser finish what they began.
func (s *server) signIn(w http.ResponseWriter, r *http.Request) error {
	if s.Audience != SignedIn {
		return ErrNotFound
	}
	state, verifier := secret(), secret()
	s.setCookie(w, "signin", strings.Join([]string{state, verifier, base64.RawURLEncoding.EncodeToString([]byte(local(r.FormValue("back"))))}, "."), signInLife)
	sum := sha256.Sum256([]byte(verifier))
	http.Redirect(w, r, s.People.SignIn.AuthorizeURL(state, base64.RawURLEncoding.EncodeToString(sum[:]), s.PublicURL+callbackPath), http.StatusSeeOther)
	return nil
}

// signedIn begins the session of a person who comes back from GitHub.
func (s *server) signedIn(w http.ResponseWriter, r *http.Request) error {
	if s.Audience != SignedIn {
		return ErrNotFound
	}
	begun, err := r.Cookie(s.cookieName("signin"))
	if err != nil {
		return errStranger
	}
	s.setCookie(w, "signin", "", -1)
	parts := strings.Split(begun.Value, ".")
	if len(parts) != 3 || parts[0] == "" || subtle.ConstantTimeCompare([]byte(parts[0]), []byte(r.FormValue("state"))) != 1 {
		return errStranger
	}
	person, err := s.People.SignIn.Person(r.Context(), r.FormValue("code"), parts[1], s.PublicURL+callbackPath)
	if err == nil && person.ID <= 0 {
		err = errors.New("nobody")
	}
	if err != nil {
		s.Log.WarnContext(r.Context(), "sign-in failed", "error", err)
		return errStranger
	}
	token := secret()
	if err := s.People.Sessions.Begin(r.Context(), digest("session", token), person, s.Now().Add(sessionLife)); err != nil {
		return fmt.Errorf("begin session: %w", err)
	}
	s.setCookie(w, "session", token, sessionLife)
	back, _ := base64.RawURLEncoding.DecodeString(parts[2])
	http.Redirect(w, r, local(string(back)), http.StatusSeeOther)
	return nil
}

var errStranger = errors.New("GitHub did not say who this is")

// signOut ends the session that asks for it in a form of its own.
func (s *server) signOut(w http.ResponseWriter, r *http.Request) error {
	v := viewerOf(r)
	given := r.PostFormValue("token")
	if v.token == "" || subtle.ConstantTimeCompare([]byte(given), []byte(v.formToken())) != 1 {
		s.sorry(w, r, http.StatusForbidden, fault.New("This does not come from a page of Tollgate.", "You are still signed in.", "Use the button at the top of a page."))
		return nil
	}
	if err := s.People.Sessions.End(r.Context(), digest("session", v.token)); err != nil {
		return fmt.Errorf("end session: %w", err)
	}
	s.setCookie(w, "session", "", -1)
	http.Redirect(w, r, "/signedout", http.StatusSeeOther)
	return nil
}

// signedOut is a page of its own: any other would send the person to sign in again.
func (s *server) signedOut(w http.ResponseWriter, r *http.Request) error {
	if s.Audience != SignedIn {
		return ErrNotFound
	}
	s.render(w, r, http.StatusOK, "signedout.html", view{Title: "Signed out"})
	return nil
}

// toSignIn answers somebody whom nobody knows yet. A stream cannot follow anybody to GitHub.
func (s *server) toSignIn(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodGet || strings.HasSuffix(r.URL.Path, "/stream") {
		s.sorry(w, r, http.StatusUnauthorized, fault.New("Nobody is signed in.", "", "Reload the page to sign in with GitHub."))
		return
	}
	http.Redirect(w, r, "/signin?"+url.Values{"back": {r.URL.RequestURI()}}.Encode(), http.StatusSeeOther)
}

// local is the address if it leads to one of our own pages, and the first of them otherwise.
func local(address string) string {
	u, err := url.Parse(address)
	if err != nil || u.Scheme != "" || u.Host != "" || u.User != nil || !strings.HasPrefix(address, "/") || strings.HasPrefix(address, "//") ||
		strings.ContainsAny(address, "\\\t\r\n") {
		return "/"
	}
	return address
}

// cookieName has the prefix with which browsers take a cookie only from this very host, over TLS.
func (s *server) cookieName(name string) string {
	if s.secure() {
		return "__Host-tollgate_" + name
	}
	return "tollgate_" + name
}

func (s *server) secure() bool { return strings.HasPrefix(s.PublicURL, "https://") }

// setCookie sets a cookie for a time, or removes it if that is negative.
func (s *server) setCookie(w http.ResponseWriter, name, value string, life time.Duration) {
	// Lax, not Strict: people come from links on GitHub.
	http.SetCookie(w, &http.Cookie{Name: s.cookieName(name), Value: value, Path: "/", MaxAge: int(life.Seconds()), HttpOnly: true, Secure: s.secure(), SameSite: http.SameSiteLaxMode})
}
