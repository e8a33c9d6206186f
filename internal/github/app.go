// Package github talks to GitHub as an App: it decodes events, reads facts, and writes checks,
// comments and deployments. It speaks the types of package change only.
//
// Nothing is cached but tokens: every fact is read when it is asked for, because it may decide
// whether a change is applied. No call makes requests beyond those its comment names, so that the
// caller can count round trips and run calls side by side; all of them may be used concurrently.
//
// Reads are repeated a few times when GitHub stumbles. Writes are sent once: after an error whose
// outcome is unknown (ErrUnavailable) the caller finds out with FindChecks, FindComments or
// FindDeployment, or lets ResumeCheck do both.
package github

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"time"

	"github.com/bradleyfalzon/ghinstallation/v2"
	gh "github.com/google/go-github/v60/github"

	"github.com/tollgate/tollgate/internal/change"
	"github.com/tollgate/tollgate/internal/fault"
	"github.com/tollgate/tollgate/internal/redact"
)

// tokenAge is when a token is replaced. GitHub's tokens live for an hour, but the library that
// keeps them compares GitHub's clock with ours; an age is the same by both.
const tokenAge = 50 * time.Minute

// Config says which App at which GitHub.
type Config struct {
	URL       string            // https://github.com, or the base URL of an Enterprise Server
	AppID     int64             // from the App's settings page
	Key       redact.Secret     // the App's private key, PEM
	Transport http.RoundTripper // nil: the default one, with the proxy and certificates of the environment
	Clock     Clock             // nil: the system's
	UserAgent string            // empty: tollgate
	Known     *redact.Known     // secrets that are sent to nobody; tokens are added to it. Nil: none
}

// App is Tollgate as GitHub knows it.
type App struct {
	id        int64
	site      string // base URL of the pages and of git
	api       string // base URL of the REST API, without a slash at the end
	userAgent string
	link      *link
	signer    ghinstallation.Signer

	mu      sync.Mutex
	clients map[scope]*client
}

// ID is the App's id, which tells its own checks and comments from those of others.
func (a *App) ID() int64 { return a.id }

// scope is what a token is good for. A token is always narrowed to one repository if there is one:
// so an event that names the installation of one owner and the repository of another gets nothing.
type scope struct {
	installation int64 // 0: the App itself
	repository   int64 // 0: every repository of the installation
	git          bool  // read-only access to contents
}

type client struct {
	*gh.Client
	auth *signed // nil for the App itself
	born time.Time
}

// New checks the configuration without a request. Its errors are a *fault.Error.
func New(cfg Config) (*App, error) {
	site, api, err := addresses(cfg.URL)
	if err != nil {
		return nil, err
	}
	if cfg.AppID <= 0 {
		return nil, fault.New("The GitHub App's id is missing.", "Tollgate cannot sign in to GitHub without it.",
			"Set --github-app-id to the number on the App's settings page.")
	}
	if cfg.Clock == nil {
		cfg.Clock = systemClock{}
	}
	if cfg.Transport == nil {
		cfg.Transport = defaultTransport()
	}
	if cfg.UserAgent == "" {
		cfg.UserAgent = "tollgate"
	}
	link := &link{base: cfg.Transport, clock: cfg.Clock, closed: map[int64]time.Time{}, low: map[int64]time.Time{}, blind: map[int64]int{}, known: cfg.Known}
	signer, err := newSigner(cfg.Key, cfg.AppID, link)
	if err != nil {
		return nil, err
	}
	return &App{
		id: cfg.AppID, site: site, api: api, userAgent: cfg.UserAgent,
		link: link, signer: signer, clients: map[scope]*client{},
	}, nil
}

// CloneURL is where git finds the repository; it holds no credentials.
func (a *App) CloneURL(repo change.Repo) string {
	return a.site + "/" + url.PathEscape(repo.Owner) + "/" + url.PathEscape(repo.Name) + ".git"
}

// WithToken lends a token with which git may read this one repository, and nothing else. It is of this call
// alone, and revoked when use returns. It makes two requests.
func (a *App) WithToken(ctx context.Context, repo change.Repo, use func(token redact.Secret) error) error {
	op := operation{"get a token for git", "Contents: read-only"}
	if err := checkRepo(repo); err != nil {
		return err
	}
	s := scope{installation: repo.InstallationID, repository: repo.ID, git: true}
	c, err := a.newClient(s)
	if err != nil {
		return fmt.Errorf("set up GitHub client: %w", err)
	}
	token, err := c.auth.token(ctx)
	if statusOf(err) == http.StatusUnauthorized { // signed by a clock that the refusal has just put right, as in attempt
		token, err = c.auth.token(ctx)
	}
	if err == nil && token == "" {
		err = errors.New("GitHub answered without a token")
	}
	if err != nil {
		return op.explain(err)
	}
	defer func() {
		// One that GitHub does not take back ends within the hour, as it would have.
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), attemptTimeout)
		defer cancel()
		_, _ = c.Apps.RevokeInstallationToken(ctx)
	}()
	return use(redact.New(token))
}

// onRepo runs one request of go-github with access to this repository only.
func onRepo[T any](a *App, repo change.Repo, op operation, f func(*gh.Client) (T, *gh.Response, error)) (T, error) {
	if err := checkRepo(repo); err != nil {
		var zero T
		return zero, err
	}
	return call(a, inRepo(repo), op, f)
}

// call runs one request of go-github in the scope, and explains its error.
func call[T any](a *App, s scope, op operation, f func(*gh.Client) (T, *gh.Response, error)) (T, error) {
	v, err := attempt(a, s, func(c *client) (T, error) {
		v, _, err := f(c.Client)
		return v, err
	})
	if err != nil {
		var zero T
		return zero, op.explain(err)
	}
	return v, nil
}

// attempt tries once more with a new token when GitHub refuses the credentials: the token may have
// been revoked, or signed by a clock that the refusal has just put right. Writes too: what is
// refused so has not happened.
func attempt[T any](a *App, s scope, f func(*client) (T, error)) (T, error) {
	c, err := a.client(s)
	if err != nil {
		var zero T
		return zero, err
	}
	v, err := f(c)
	if statusOf(err) != http.StatusUnauthorized {
		return v, err
	}
	a.forget(s, c)
	if c, err = a.client(s); err != nil {
		return v, err
	}
	return f(c)
}

func (a *App) client(s scope) (*client, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	now := a.link.clock.Now()
	if c := a.clients[s]; c != nil && now.Sub(c.born) < tokenAge {
		return c, nil
	}
	c, err := a.newClient(s)
	if err != nil {
		return nil, fmt.Errorf("set up GitHub client: %w", err)
	}
	c.born = now
	a.clients[s] = c
	return c, nil
}

// forget drops a client whose token is refused, unless another caller has already replaced it.
func (a *App) forget(s scope, refused *client) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.clients[s] == refused {
		delete(a.clients, s)
	}
}

func (a *App) newClient(s scope) (*client, error) {
	// One apps transport per client: the library writes to its fields without a lock.
	apps, err := ghinstallation.NewAppsTransportWithOptions(lane{a.link, s.installation}, a.id, ghinstallation.WithSigner(a.signer))
	if err != nil {
		return nil, err
	}
	apps.BaseURL = a.api
	c := &client{}
	transport := http.RoundTripper(apps)
	if s.installation != 0 {
		c.auth = &signed{known: a.link.known, auth: ghinstallation.NewFromAppsTransport(apps, s.installation)}
		c.auth.auth.InstallationTokenOptions = tokenOptions(s)
		transport = c.auth
	}
	c.Client = gh.NewClient(&http.Client{Transport: transport, CheckRedirect: sameHost})
	c.Client.UserAgent = a.userAgent
	if c.BaseURL, err = url.Parse(a.api + "/"); err != nil {
		return nil, err
	}
	return c, nil
}

// tokenOptions is never nil: the library would send the word null.
func tokenOptions(s scope) *gh.InstallationTokenOptions {
	options := &gh.InstallationTokenOptions{}
	if s.repository != 0 {
		options.RepositoryIDs = []int64{s.repository}
	}
	if s.git {
		read := "read"
		options.Permissions = &gh.InstallationPermissions{Contents: &read, Metadata: &read}
	}
	return options
}

// sameHost follows a renamed repository, and takes no credentials anywhere else.
func sameHost(req *http.Request, via []*http.Request) error {
	first := via[0]
	if len(via) > 2 || req.URL.Host != first.URL.Host || req.URL.Scheme != first.URL.Scheme || req.Method != first.Method {
		return errors.New("GitHub redirects to an unexpected place")
	}
	return nil
}

// addresses derives both base URLs from the one that is configured.
func addresses(raw string) (site, api string, err error) {
	u, err := url.Parse(strings.TrimSuffix(raw, "/"))
	bad := fault.Wrap(err, "The GitHub URL is not usable.", "",
		"Set --github-url to https://github.com or to the base URL of your Enterprise Server, such as https://github.example.com.")
	switch {
	case err != nil, u.Host == "", u.Path != "", u.RawQuery != "", u.Fragment != "", u.User != nil:
		return "", "", bad
	case u.Scheme == "http" && !isLoopback(u.Hostname()):
		bad.Why = "Tokens would cross the network unencrypted."
		return "", "", bad
	case u.Scheme != "http" && u.Scheme != "https":
		return "", "", bad
	}
	if u.Host == "github.com" {
		return u.String(), "https://api.github.com", nil
	}
	return u.String(), u.String() + "/api/v3", nil
}

func isLoopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// defaultTransport keeps more idle connections than Go's two, which concurrent calls to an
// HTTP/1 server would open and close again and again.
func defaultTransport() http.RoundTripper {
	transport, ok := http.DefaultTransport.(*http.Transport)
	if !ok {
		return http.DefaultTransport
	}
	transport = transport.Clone()
	transport.MaxIdleConnsPerHost = 32
	return transport
}

var (
	ownerPattern = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_-]{0,99}$`)
	namePattern  = regexp.MustCompile(`^[A-Za-z0-9._-]{1,100}$`)
	shaPattern   = regexp.MustCompile(`^([0-9a-f]{40}|[0-9a-f]{64})$`)
	loginPattern = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_-]{0,99}(\[bot\])?$`)
)

// checkRepo guards every path that is put together from names: go-github does not escape them.
func checkRepo(repo change.Repo) error {
	if repo.ID <= 0 || repo.InstallationID <= 0 {
		return fmt.Errorf("repository %q has no id or no installation", repo.FullName())
	}
	if !ownerPattern.MatchString(repo.Owner) || !namePattern.MatchString(repo.Name) ||
		repo.Name == "." || repo.Name == ".." {
		return fmt.Errorf("repository name %q is not one of GitHub's", repo.FullName())
	}
	return nil
}

func checkSHA(sha string) error {
	if !shaPattern.MatchString(sha) {
		return fmt.Errorf("%q is not a full commit id", sha)
	}
	return nil
}

func inRepo(repo change.Repo) scope {
	return scope{installation: repo.InstallationID, repository: repo.ID}
}
