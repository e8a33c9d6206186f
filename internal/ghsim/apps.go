package ghsim

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// NewApp describes a GitHub App to be registered.
type NewApp struct {
	Slug          string
	Name          string // the slug by default
	Owner         string // an account; an organization of that name is created if there is none
	WebhookURL    string
	WebhookSecret string // "" for none: deliveries then carry no signature
	// CallbackURL is where people come back to after signing in with the App; without one they cannot.
	CallbackURL string
	// Permissions maps a permission to read or write, such as checks: write. Reading metadata is
	// always granted.
	Permissions map[string]string
	// Events are the webhook events it subscribes to. Some are always sent: installation,
	// installation_repositories and, to Apps that may write checks, check_suite and check_run
	// requests.
	Events []string
	// Key is generated if nil.
	Key *rsa.PrivateKey
}

// App is a registered GitHub App.
type App struct {
	ID           int64
	Slug         string
	ClientID     string
	ClientSecret string
	BotLogin     string // the login under which it comments
	BotID        int64
	// PrivateKey is PEM, as GitHub hands it out.
	PrivateKey []byte
}

// CreateApp registers a GitHub App.
func (s *Server) CreateApp(n NewApp) (App, error) {
	key := n.Key
	if key == nil {
		var err error
		if key, err = rsa.GenerateKey(rand.Reader, 2048); err != nil {
			return App{}, fmt.Errorf("generate key: %w", err)
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.appBySlug(n.Slug) != nil {
		return App{}, fmt.Errorf("the slug %s is taken", n.Slug)
	}
	owner := s.account(n.Owner)
	if owner == nil {
		var err error
		if owner, err = s.addAccount(n.Owner, "Organization"); err != nil {
			return App{}, err
		}
	}
	a, err := s.addApp(n, owner, key)
	if err != nil {
		return App{}, err
	}
	return a.export(), nil
}

func (s *Server) addApp(n NewApp, owner *account, key *rsa.PrivateKey) (*app, error) {
	bot, err := s.addAccount(n.Slug+"[bot]", "Bot")
	if err != nil {
		return nil, err
	}
	a := &app{
		id: s.id(), slug: n.Slug, name: n.Name, owner: owner, bot: bot, key: key, hookID: s.id(),
		hookURL: n.WebhookURL, secret: n.WebhookSecret, events: slices.Clone(n.Events),
		permissions: map[string]string{"metadata": "read"}, created: s.now(),
		callback: n.CallbackURL, clientSecret: newSecret(""), authorized: map[int64]bool{},
	}
	if a.name == "" {
		a.name = a.slug
	}
	a.clientID = fmt.Sprintf("Iv1.%016x", a.id)
	maps.Copy(a.permissions, n.Permissions)
	bot.app, bot.name = a, a.slug+"[bot]"
	s.apps[a.id] = a
	return a, nil
}

func (a *app) export() App {
	block := &pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(a.key)}
	return App{
		ID: a.id, Slug: a.slug, ClientID: a.clientID, ClientSecret: a.clientSecret, BotLogin: a.bot.login, BotID: a.bot.id,
		PrivateKey: pem.EncodeToMemory(block),
	}
}

// SetWebhook points an App's webhook elsewhere, for a server that learns its address late.
func (s *Server) SetWebhook(appID int64, url, secret string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	a := s.apps[appID]
	if a == nil {
		return fmt.Errorf("no App %d", appID)
	}
	a.hookURL, a.secret = url, secret
	return nil
}

// Install installs an App on an account and returns the installation's id. Without repositories
// it covers all of the account, also those still to come; else only those named ("owner/name").
func (s *Server) Install(appID int64, login string, repositories ...string) (int64, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	a, on := s.apps[appID], s.account(login)
	if a == nil || on == nil {
		return 0, fmt.Errorf("install App %d on %s: no such App or account", appID, login)
	}
	inst := &installation{id: s.id(), app: a, account: on, created: s.now()}
	for _, name := range repositories {
		r := s.repo(name)
		if r == nil || r.owner != on {
			return 0, fmt.Errorf("install App %d: %s is not a repository of %s", appID, name, login)
		}
		if inst.repos == nil {
			inst.repos = map[int64]bool{}
		}
		inst.repos[r.id] = true
	}
	s.installations[inst.id] = inst
	s.emitInstallation(inst, "created")
	return inst.id, nil
}

// Uninstall removes an installation; its tokens end with it.
func (s *Server) Uninstall(installationID int64) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	inst := s.installations[installationID]
	if inst == nil {
		return fmt.Errorf("no installation %d", installationID)
	}
	delete(s.installations, inst.id)
	maps.DeleteFunc(s.tokens, func(_ string, t *token) bool { return t.inst == inst })
	s.emitInstallation(inst, "deleted")
	return nil
}

// Suspend keeps an installation from doing and hearing anything, or lets it again.
func (s *Server) Suspend(installationID int64, suspended bool) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	inst := s.installations[installationID]
	if inst == nil {
		return fmt.Errorf("no installation %d", installationID)
	}
	action := "unsuspend"
	inst.suspended = time.Time{}
	if suspended {
		action, inst.suspended = "suspend", s.now()
	}
	s.emitInstallation(inst, action)
	return nil
}

// Select adds a repository to an installation that covers only some, or takes it out.
func (s *Server) Select(installationID int64, repository string, covered bool) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	inst, r := s.installations[installationID], s.repo(repository)
	if inst == nil || r == nil || inst.repos == nil || r.owner != inst.account {
		return fmt.Errorf("installation %d can't be changed for %s", installationID, repository)
	}
	if covered {
		inst.repos[r.id] = true
		s.emitSelection(inst, "added", []*repo{r}, nil)
		return nil
	}
	delete(inst.repos, r.id)
	s.emitSelection(inst, "removed", nil, []*repo{r})
	return nil
}

// installationOf finds the installation of an App that covers a repository.
func (s *Server) installationOf(a *app, r *repo) *installation {
	for _, inst := range byID(s.installations) {
		if inst.app == a && inst.covers(r) {
			return inst
		}
	}
	return nil
}

// covered lists what an installation can see, oldest first.
func (s *Server) covered(inst *installation) []*repo {
	var list []*repo
	for _, r := range byID(s.repos) {
		if inst.covers(r) {
			list = append(list, r)
		}
	}
	return list
}

// allows reports whether a set of granted permissions has one of the wanted alternatives, such
// as "issues:write|pull_requests:write".
func allows(granted map[string]string, want string) bool {
	rank := map[string]int{"read": 1, "write": 2, "admin": 3}
	for alt := range strings.SplitSeq(want, "|") {
		name, level, _ := strings.Cut(alt, ":")
		if level == "" || rank[granted[name]] >= rank[level] {
			return true
		}
	}
	return false
}
