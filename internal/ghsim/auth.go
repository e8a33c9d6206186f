package ghsim

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// token is a secret that stands for an installation or a person.
type token struct {
	value       string
	inst        *installation // or nil
	user        *account      // or nil
	issuer      *app          // the App that a person signed in with, or nil
	permissions map[string]string
	repos       map[int64]bool // narrowed to these; nil: all of the installation
	expires     time.Time
}

// actor is whoever sends a request.
type actor struct {
	kind  string // anonymous, app, client (an App by its client secret), installation or user
	app   *app
	token *token
	user  *account // who is seen to act: a person, or the App's bot
}

// sees reports whether the repository exists for the actor at all.
func (a actor) sees(r *repo) bool {
	switch a.kind {
	case "installation":
		inside := a.token.inst.covers(r) && (a.token.repos == nil || a.token.repos[r.id])
		return inside || !r.private
	case "user":
		return r.role(a.user) != ""
	}
	return !r.private
}

// may reports whether the actor has a permission such as "checks:write" in a repository it sees.
func (a actor) may(r *repo, want string) bool {
	switch a.kind {
	case "installation":
		if !a.token.inst.covers(r) || (a.token.repos != nil && !a.token.repos[r.id]) {
			return !strings.Contains(want, ":write") // somebody else's public repository
		}
		return allows(a.token.permissions, want)
	case "user":
		return allows(rolePermissions(r.role(a.user)), want)
	}
	return allows(rolePermissions("read"), want) && !strings.Contains(want, ":write")
}

// rolePermissions says in an App's words what a person's role allows. Reading checks and writing
// comments needs no more than reading the repository; writing checks is for Apps only.
func rolePermissions(role string) map[string]string {
	p := map[string]string{
		"metadata": "read", "contents": "read", "pull_requests": "write", "issues": "write", "checks": "read",
		"statuses": "read", "deployments": "read", "members": "read",
	}
	switch role {
	case "":
		return nil
	case "write", "maintain", "admin":
		p["contents"], p["statuses"], p["deployments"] = "write", "write", "write"
	}
	if role == "admin" {
		p["administration"] = "write"
	}
	return p
}

// authenticate finds out who sends a request. A wrong credential is an error, none is anonymous.
func (s *Server) authenticate(r *http.Request) (actor, *reply) {
	scheme, cred, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	switch strings.ToLower(scheme) {
	case "":
		return actor{kind: "anonymous"}, nil
	case "bearer", "token":
	case "basic":
		name, password, _ := r.BasicAuth()
		if a := s.appByClient(name); a != nil && subtle.ConstantTimeCompare([]byte(password), []byte(a.clientSecret)) == 1 {
			return actor{kind: "client", app: a, user: a.bot}, nil
		}
		cred = password
	default:
		return actor{}, fail(http.StatusUnauthorized, "Bad credentials")
	}
	if strings.Count(cred, ".") == 2 {
		return s.appActor(cred)
	}
	return s.tokenActor(cred)
}

func (s *Server) tokenActor(value string) (actor, *reply) {
	t := s.tokens[value]
	if t == nil || !t.expires.After(s.cfg.Clock()) {
		return actor{}, fail(http.StatusUnauthorized, "Bad credentials")
	}
	if t.inst != nil && !t.inst.suspended.IsZero() {
		return actor{}, fail(http.StatusForbidden, "This installation has been suspended")
	}
	if t.inst != nil {
		return actor{kind: "installation", app: t.inst.app, token: t, user: t.inst.app.bot}, nil
	}
	return actor{kind: "user", token: t, user: t.user}, nil
}

// appActor checks a JSON Web Token as GitHub does: signed by the App's key with RS256, issued
// in the past, and for ten minutes at most.
func (s *Server) appActor(jwt string) (actor, *reply) {
	bad := func(why string) (actor, *reply) { return actor{}, fail(http.StatusUnauthorized, why) }
	const undecodable = "A JSON web token could not be decoded"
	parts := strings.Split(jwt, ".")
	var header struct {
		Alg string `json:"alg"`
	}
	var claims struct {
		Iss any      `json:"iss"`
		Iat *float64 `json:"iat"`
		Exp *float64 `json:"exp"`
	}
	signature, err := base64.RawURLEncoding.DecodeString(parts[2])
	if err != nil || decodePart(parts[0], &header) != nil || decodePart(parts[1], &claims) != nil || header.Alg != "RS256" {
		return bad(undecodable)
	}
	a := s.issuer(claims.Iss)
	if a == nil {
		return actor{}, fail(http.StatusNotFound, "Integration not found")
	}
	digest := sha256.Sum256([]byte(parts[0] + "." + parts[1]))
	if rsa.VerifyPKCS1v15(&a.key.PublicKey, crypto.SHA256, digest[:], signature) != nil {
		return bad(undecodable)
	}
	now := float64(s.cfg.Clock().UnixNano()) / 1e9
	switch {
	case claims.Exp == nil || *claims.Exp <= now:
		return bad("'Expiration time' claim ('exp') must be a numeric value representing the future time at which the assertion expires")
	case *claims.Exp > now+600:
		return bad("'Expiration time' claim ('exp') is too far in the future")
	case claims.Iat == nil || *claims.Iat > now:
		return bad("'Issued at' claim ('iat') must be an Integer representing the time that the assertion was issued")
	}
	return actor{kind: "app", app: a, user: a.bot}, nil
}

func decodePart(part string, into any) error {
	data, err := base64.RawURLEncoding.DecodeString(part)
	if err != nil {
		return err
	}
	return json.Unmarshal(data, into)
}

// issuer finds the App by its number or its client id, which GitHub takes as well.
func (s *Server) issuer(iss any) *app {
	text := fmt.Sprint(iss)
	if f, ok := iss.(float64); ok {
		text = strconv.FormatInt(int64(f), 10)
	}
	for _, a := range s.apps {
		if text == strconv.FormatInt(a.id, 10) || text == a.clientID {
			return a
		}
	}
	return nil
}

// newSecret makes a token with GitHub's prefixes.
func newSecret(prefix string) string { return prefix + rand.Text() + rand.Text()[:10] }

// rate counts the requests of one token in one hour.
type rate struct {
	used  int
	reset time.Time
}

// spend counts a request and returns what the rate-limit headers say.
func (s *Server) spend(a actor, cost int) (used int, reset time.Time) {
	key := a.kind
	switch {
	case a.token != nil && a.token.inst != nil:
		key += strconv.FormatInt(a.token.inst.id, 10)
	case a.user != nil:
		key += strconv.FormatInt(a.user.id, 10)
	}
	r := s.rates[key]
	if r == nil || !r.reset.After(s.now()) {
		r = &rate{reset: s.now().Add(time.Hour)}
		s.rates[key] = r
	}
	r.used += cost
	return r.used, r.reset
}
