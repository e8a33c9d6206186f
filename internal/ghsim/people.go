package ghsim

import (
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"time"
)

// User is a person's account. ID is given out by the server.
type User struct {
	ID    int64
	Login string
	Name  string
	Email string
}

// CreateUser adds a person.
func (s *Server) CreateUser(u User) (User, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	a, err := s.addAccount(u.Login, "User")
	if err != nil {
		return User{}, err
	}
	a.name, a.email = u.Name, u.Email
	return a.export(), nil
}

// CreateOrganization adds an organization that can own repositories.
func (s *Server) CreateOrganization(login string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, err := s.addAccount(login, "Organization")
	return err
}

// RenameUser gives an account another login; its id stays. The old login is free from then on,
// and whoever creates it again is somebody else.
func (s *Server) RenameUser(login, newLogin string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	a := s.account(login)
	if a == nil || s.account(newLogin) != nil {
		return fmt.Errorf("rename %s to %s: no such account, or the name is taken", login, newLogin)
	}
	a.login = newLogin
	s.touch()
	return nil
}

func (s *Server) addAccount(login, kind string) (*account, error) {
	if login == "" || strings.ContainsAny(login, "/ ") {
		return nil, fmt.Errorf("%q is not a login", login)
	}
	if s.account(login) != nil {
		return nil, fmt.Errorf("login %s is taken", login)
	}
	a := &account{id: s.id(), login: login, kind: kind, created: s.now()}
	s.accounts[a.id] = a
	return a, nil
}

func (a *account) export() User { return User{ID: a.id, Login: a.login, Name: a.name, Email: a.email} }

// person finds an account that may act.
func (s *Server) person(login string) (*account, error) {
	a := s.account(login)
	if a == nil || a.kind == "Organization" {
		return nil, fmt.Errorf("no user %q", login)
	}
	return a, nil
}

// UserToken returns a personal access token with all rights of the user, for REST and git.
func (s *Server) UserToken(login string) (string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	a, err := s.person(login)
	if err != nil {
		return "", err
	}
	t := &token{value: newSecret("ghp_"), user: a, expires: s.now().AddDate(1, 0, 0)}
	s.tokens[t.value] = t
	return t.value, nil
}

// NewRepo describes a repository to be created.
type NewRepo struct {
	Owner   string // an existing account, or the login of an organization that is then created
	Name    string
	Private bool
	Files   fs.FS  // the first commit's files; nil leaves the repository empty
	Author  string // login of the first commit's author; required with Files
	Message string // of the first commit
	// Roles maps logins to read, triage, write, maintain or admin.
	Roles map[string]string
	// Protected maps branches to what a merge into them needs.
	Protected map[string]Protection
}

// Protection is what a merge into a branch needs.
type Protection struct {
	Checks    []string // check runs or statuses that must have succeeded
	Approvals int      // current approvals by people with write permission
}

// Repo is a handle on a repository of the server.
type Repo struct {
	s *Server
	r *repo
}

// CreateRepo creates a repository whose default branch is main.
func (s *Server) CreateRepo(n NewRepo) (*Repo, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	owner := s.account(n.Owner)
	if owner == nil {
		var err error
		if owner, err = s.addAccount(n.Owner, "Organization"); err != nil {
			return nil, err
		}
	}
	r, err := s.addRepo(owner, n.Name, n.Private)
	if err != nil {
		return nil, err
	}
	for login, role := range n.Roles {
		if err := s.grant(r, login, role); err != nil {
			return nil, err
		}
	}
	for branch, p := range n.Protected {
		r.protection[branch] = p
	}
	if n.Files != nil {
		if err := s.firstCommit(r, n); err != nil {
			return nil, fmt.Errorf("create repository %s: %w", r.fullName(), err)
		}
	}
	s.touch()
	return &Repo{s, r}, nil
}

func (s *Server) addRepo(owner *account, name string, private bool) (*repo, error) {
	if s.repo(owner.login+"/"+name) != nil {
		return nil, fmt.Errorf("repository %s/%s exists", owner.login, name)
	}
	now := s.now()
	r := &repo{
		id: s.id(), owner: owner, name: name, private: private, defaultBranch: "main", created: now, pushed: now,
		roles: map[int64]string{}, protection: map[string]Protection{}, issues: map[int]*issue{},
		comments: map[int64]*comment{}, suites: map[int64]*suite{}, runs: map[int64]*run{},
		deployments: map[int64]*deployment{}, queue: map[string][]*group{}, diffs: map[[2]string][]fileChange{}, commits: map[string]commit{},
		commitLists: map[[2]string][]commit{}, bases: map[[2]string]string{},
	}
	var err error
	r.git, err = s.newGit(r)
	s.repos[r.id] = r
	return r, err
}

func (s *Server) firstCommit(r *repo, n NewRepo) error {
	author, err := s.person(n.Author)
	if err != nil {
		return err
	}
	files, err := readFS(n.Files)
	if err != nil {
		return err
	}
	message := n.Message
	if message == "" {
		message = "Initial commit"
	}
	who := author.ident(s.now())
	_, err = r.git.commitFiles("refs/heads/"+r.defaultBranch, "", message, who, who, files, nil)
	return err
}

// Repo finds a repository by its "owner/name"; nil if there is none.
func (s *Server) Repo(fullName string) *Repo {
	s.mu.Lock()
	defer s.mu.Unlock()
	if r := s.repo(fullName); r != nil {
		return &Repo{s, r}
	}
	return nil
}

// Repos lists all repositories, oldest first.
func (s *Server) Repos() []*Repo {
	s.mu.Lock()
	defer s.mu.Unlock()
	var list []*Repo
	for _, r := range byID(s.repos) {
		list = append(list, &Repo{s, r})
	}
	return list
}

// ID is the repository's number, which never changes.
func (r *Repo) ID() int64 { return r.r.id }

// FullName is "owner/name".
func (r *Repo) FullName() string {
	r.s.mu.Lock()
	defer r.s.mu.Unlock()
	return r.r.fullName()
}

// CloneURL is where git fetches from.
func (r *Repo) CloneURL() string { return r.s.url + "/" + r.FullName() + ".git" }

// Dir is the bare repository on disk, for a witness that wants to look with its own git. It is
// not to be written to. It is empty for a repository in memory.
func (r *Repo) Dir() string { return r.r.git.dir() }

// Grant gives a user a role: read, triage, write, maintain or admin; "" takes it away.
func (r *Repo) Grant(login, role string) error {
	r.s.mu.Lock()
	defer r.s.mu.Unlock()
	defer r.s.touch()
	return r.s.grant(r.r, login, role)
}

func (s *Server) grant(r *repo, login, role string) error {
	a, err := s.person(login)
	if err != nil {
		return err
	}
	if !slices.Contains([]string{"", "read", "triage", "write", "maintain", "admin"}, role) {
		return fmt.Errorf("%q is not a role", role)
	}
	r.roles[a.id] = role
	return nil
}

// Protect sets what a merge into a branch needs.
func (r *Repo) Protect(branch string, p Protection) {
	r.s.mu.Lock()
	defer r.s.mu.Unlock()
	r.r.protection[branch] = p
	r.s.touch()
}

// Rename changes the repository's name; its id stays. The old name leads to it until a repository
// of that name is created.
func (r *Repo) Rename(by, name string) error {
	s := r.s
	s.mu.Lock()
	defer s.mu.Unlock()
	who, err := s.person(by)
	if err != nil {
		return err
	}
	if s.repo(r.r.owner.login+"/"+name) != nil {
		return fmt.Errorf("repository %s/%s exists", r.r.owner.login, name)
	}
	old := r.r.name
	r.r.formerNames = append(r.r.formerNames, r.r.fullName())
	r.r.name = name
	s.emit(r.r, who, "repository", "renamed", obj{"changes": obj{"repository": obj{"name": obj{"from": old}}}})
	return nil
}

// Fork copies the repository to another account.
func (r *Repo) Fork(owner string) (*Repo, error) {
	s := r.s
	s.mu.Lock()
	defer s.mu.Unlock()
	a := s.account(owner)
	if a == nil {
		return nil, fmt.Errorf("no account %q", owner)
	}
	f, err := s.addRepo(a, r.r.name, r.r.private)
	if err != nil {
		return nil, err
	}
	f.parent = r.r
	err = f.git.fetch(r.r.git, "refs/heads/*", "refs/heads/*")
	s.touch()
	return &Repo{s, f}, err
}

// Ref returns the SHA of a full ref name such as refs/heads/main; "" if it does not exist.
func (r *Repo) Ref(name string) string {
	r.s.mu.Lock()
	defer r.s.mu.Unlock()
	return r.r.git.ref(name)
}

// File returns a file's content at a revision.
func (r *Repo) File(rev, path string) (string, error) {
	r.s.mu.Lock()
	defer r.s.mu.Unlock()
	return r.r.git.blob(rev + ":" + path)
}

// byID sorts a map's values by key.
func byID[V any](m map[int64]V) []V {
	ids := make([]int64, 0, len(m))
	for id := range m {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	list := make([]V, len(ids))
	for i, id := range ids {
		list[i] = m[id]
	}
	return list
}

// stamp formats a time as GitHub does; the zero time is null.
func stamp(t time.Time) any {
	if t.IsZero() {
		return nil
	}
	return t.UTC().Format(time.RFC3339)
}
