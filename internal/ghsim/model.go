package ghsim

import (
	"cmp"
	"crypto/rsa"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// world is everything that GitHub would keep in its database.
type world struct {
	lastID        int64
	accounts      map[int64]*account
	repos         map[int64]*repo
	apps          map[int64]*app
	installations map[int64]*installation
	tokens        map[string]*token
	grants        map[string]grant // by code
	rates         map[string]*rate
	teams         map[string]*team // by "org/slug"
}

func newWorld() world {
	return world{
		lastID:        1000,
		accounts:      map[int64]*account{},
		repos:         map[int64]*repo{},
		apps:          map[int64]*app{},
		installations: map[int64]*installation{},
		tokens:        map[string]*token{},
		grants:        map[string]grant{},
		rates:         map[string]*rate{},
		teams:         map[string]*team{},
	}
}

// id gives out one series of numbers to everything, so that no number means two things and a
// mix-up of, say, a check run's id with a comment's is found at once.
func (w *world) id() int64 { w.lastID++; return w.lastID }

func (w *world) account(login string) *account {
	for _, a := range w.accounts {
		if strings.EqualFold(a.login, login) {
			return a
		}
	}
	return nil
}

func (w *world) repo(fullName string) *repo {
	for _, r := range w.repos {
		if strings.EqualFold(r.fullName(), fullName) {
			return r
		}
	}
	return nil
}

// renamed finds the repository that has left a name behind which nobody has taken since.
func (w *world) renamed(fullName string) *repo {
	for _, r := range w.repos {
		if slices.ContainsFunc(r.formerNames, func(old string) bool { return strings.EqualFold(old, fullName) }) {
			return r
		}
	}
	return nil
}

func (w *world) appBySlug(slug string) *app {
	for _, a := range w.apps {
		if a.slug == slug {
			return a
		}
	}
	return nil
}

// account is a person, an organization or the bot of an App.
type account struct {
	id                       int64
	login, name, email, kind string // kind: User, Organization or Bot
	created                  time.Time
	app                      *app // of a Bot
}

// ident is how the account signs commits.
func (a *account) ident(when time.Time) ident {
	email := a.email
	if email == "" {
		email = fmt.Sprintf("%d+%s@users.noreply.github.com", a.id, a.login)
	}
	return ident{cmp.Or(a.name, a.login), email, when}
}

// app is a GitHub App.
type app struct {
	id              int64
	slug, name      string
	owner, bot      *account
	clientID        string
	clientSecret    string
	callback        string // where people come back to after signing in
	authorized      map[int64]bool
	key             *rsa.PrivateKey
	hookID          int64
	hookURL, secret string
	permissions     map[string]string
	events          []string
	created         time.Time
	queue           []*Delivery // not yet sent, oldest first
	sending         bool
	deliveries      []*Delivery // all, oldest first
	hooksPaused     bool
}

// installation is an App on an account.
type installation struct {
	id      int64
	app     *app
	account *account
	repos   map[int64]bool // nil: all of the account
	created time.Time

	suspended time.Time // zero if it is not
}

func (i *installation) covers(r *repo) bool {
	return r.owner == i.account && (i.repos == nil || i.repos[r.id])
}

// repo is a repository with everything in it.
type repo struct {
	id            int64
	owner         *account
	name          string
	private       bool
	defaultBranch string
	git           git
	roles         map[int64]string // account id → read, triage, write, maintain or admin
	protection    map[string]Protection
	parent        *repo // of a fork
	created       time.Time
	pushed        time.Time
	issues        map[int]*issue // pull requests are issues too, and share the numbers
	comments      map[int64]*comment
	suites        map[int64]*suite
	runs          map[int64]*run
	statuses      []*status
	deployments   map[int64]*deployment
	diffs         map[[2]string][]fileChange // by commit pair: never changes
	commits       map[string]commit          // by SHA: never changes
	commitLists   map[[2]string][]commit     // by commit pair: never changes
	bases         map[[2]string]string       // merge bases by commit pair
	lastNumber    int
	queue         map[string][]*group // of merges, by base branch
	formerNames   []string            // full names that lead here until somebody else takes them
	activities    []activity          // what moved which ref, oldest first
}

func (r *repo) fullName() string { return r.owner.login + "/" + r.name }

// role is the highest right of an account, "" for none.
func (r *repo) role(a *account) string {
	if a == r.owner {
		return "admin"
	}
	if role := r.roles[a.id]; role != "" {
		return role
	}
	if !r.private {
		return "read"
	}
	return ""
}

func (r *repo) canWrite(a *account) bool {
	return slices.Contains([]string{"write", "maintain", "admin"}, r.role(a))
}

// mayEdit reports whether an account may change what author wrote. An App has no role: what it may
// do was decided when its token was admitted.
func (r *repo) mayEdit(a, author *account) bool {
	return a == author || a.kind == "Bot" || r.canWrite(a)
}

func (r *repo) pulls() []*pull {
	var list []*pull
	for _, n := range slices.Sorted(maps.Keys(r.issues)) {
		if p := r.issues[n].pull; p != nil {
			list = append(list, p)
		}
	}
	return list
}

func (r *repo) pull(number int) *pull {
	if i := r.issues[number]; i != nil {
		return i.pull
	}
	return nil
}

// issue is an issue or the issue side of a pull request.
type issue struct {
	id               int64
	repo             *repo
	number           int
	title, body      string
	author           *account
	app              *app // that acted for the author, or nil
	state            string
	reason           string // why it is closed
	created, updated time.Time
	closed           time.Time
	closedBy         *account
	labels           []string
	pull             *pull
}

// pull is the side of a pull request that an issue has not.
type pull struct {
	*issue
	pullID           int64
	headRepo         *repo
	headRef, headSHA string
	baseRef, baseSHA string
	draft            bool
	merged           bool
	mergedAt         time.Time
	mergedBy         *account
	mergeSHA         string // test merge while open, the real one afterwards
	mergeable        bool
	reviews          []*review
}

func (p *pull) open() bool { return p.state == "open" }

type comment struct {
	id               int64
	issue            *issue
	author           *account
	app              *app
	body             string
	created, updated time.Time
	reactions        []*reaction
}

type reaction struct {
	id      int64
	user    *account
	content string
	created time.Time
}

type review struct {
	id        int64
	author    *account
	state     string // APPROVED, CHANGES_REQUESTED, COMMENTED or DISMISSED
	body      string
	commit    string
	submitted time.Time
}

type suite struct {
	id               int64
	repo             *repo
	app              *app
	headSHA, branch  string
	before           string
	created, updated time.Time
	reset            bool // asked for again, and no answer yet
}

type run struct {
	id                   int64
	repo                 *repo
	suite                *suite
	name, headSHA        string
	externalID, details  string
	status, conclusion   string
	started, completed   time.Time
	title, summary, text string
	hasOutput            bool
	annotations          []Annotation
	images               []obj
	actions              []Action
}

type status struct {
	id               int64
	sha, state       string
	target, context  string
	description      string
	creator          *account
	created, updated time.Time
}

type deployment struct {
	id                    int64
	repo                  *repo
	sha, ref, task        string
	environment           string
	description           string
	payload               any
	creator               *account
	app                   *app
	transient, production bool
	created, updated      time.Time
	statuses              []*deploymentStatus
}

type deploymentStatus struct {
	id                  int64
	state, description  string
	logURL, envURL, env string
	creator             *account
	app                 *app
	created             time.Time
}
