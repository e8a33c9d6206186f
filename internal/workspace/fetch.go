package workspace

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/tollgate/tollgate/internal/fault"
)

// ErrTemporary marks errors that another try, later, may not meet again.
var ErrTemporary = errors.New("temporary")

// Fetch says what to bring into the mirror of a repository.
type Fetch struct {
	RepoID int64
	URL    string // https, or http on loopback; without credentials
	Token  string // installation access token; empty for none

	Pull    int    // number of a pull request, whose head is fetched; 0 for none
	BaseRef string // name of a branch without "refs/heads/"; empty for none
	Commit  string // full id of a commit, such as a merge; empty for none

	// KnownHead and KnownBase are the commits that Pull and BaseRef are known to be at, or empty.
	// Where the mirror has them all, nothing is fetched.
	KnownHead string
	KnownBase string
}

// Commits is where the refs stood when they were fetched; empty for those not asked for.
type Commits struct {
	Head   string // of the pull request
	Base   string // of the base branch
	Commit string
}

// ref is one thing to fetch and the place where the mirror keeps it.
type ref struct {
	remote, local string
	known         string
	result        *string
}

// Fetch brings commits into the mirror with one git process, or with none when the mirror has
// them. A mirror that turns out to be damaged, or was left half-written, is mended by this call.
func (w *Workspace) Fetch(ctx context.Context, f Fetch) (Commits, error) {
	var c Commits
	refs, err := f.refs(&c)
	if err != nil {
		return Commits{}, err
	}
	target, err := checkURL(f.URL)
	if err != nil {
		return Commits{}, err
	}
	file, unlock, err := w.lock(ctx, f.RepoID)
	if err != nil {
		return Commits{}, err
	}
	defer unlock()
	if err := w.ready(ctx, f.RepoID); err != nil {
		return Commits{}, err
	}
	mirror := w.mirror(f.RepoID)
	if atKnown(mirror, refs) {
		return c, nil
	}
	n := network{target: target, token: f.Token, lock: file}
	if err := w.fetchHealing(ctx, f.RepoID, n, refs); err != nil {
		return Commits{}, err
	}
	for _, r := range refs {
		if *r.result, err = readRef(mirror, r.local); err != nil {
			return Commits{}, err
		}
	}
	return c, w.tidy(ctx, f.RepoID, time.Now())
}

// refs translates the wishes. Both sides of every refspec are names that we made or prefixed, so
// that a branch called like an option or like another ref is only ever itself.
func (f Fetch) refs(c *Commits) ([]ref, error) {
	var refs []ref
	if f.Pull < 0 || f.RepoID <= 0 {
		return nil, errors.New("workspace: the repository's id and the pull request's number are positive")
	}
	if f.Pull > 0 {
		n := strconv.Itoa(f.Pull)
		refs = append(refs, ref{"refs/pull/" + n + "/head", "refs/tollgate/pull/" + n, f.KnownHead, &c.Head})
	}
	if f.BaseRef != "" {
		if !validBranch(f.BaseRef) {
			return nil, fault.New("The base branch has a name that git does not allow.", "", "Rename the branch.")
		}
		refs = append(refs, ref{"refs/heads/" + f.BaseRef, branchRef(f.BaseRef), f.KnownBase, &c.Base})
	}
	if f.Commit != "" {
		if err := checkOIDs(f.Commit); err != nil {
			return nil, err
		}
		refs = append(refs, ref{f.Commit, "refs/tollgate/commit/" + f.Commit, f.Commit, &c.Commit})
	}
	if len(refs) == 0 {
		return nil, errors.New("workspace: nothing to fetch")
	}
	return refs, nil
}

// branchRef is a fixed-length name: "a" and "a/b" can follow each other as branches of the remote
// but could not both be files of the mirror.
func branchRef(branch string) string {
	sum := sha256.Sum256([]byte(branch))
	return "refs/tollgate/branch/" + hex.EncodeToString(sum[:16])
}

// validBranch holds git's own rules for names, so that no name can change a refspec's meaning.
func validBranch(name string) bool {
	if strings.ContainsAny(name, " ~^:?*[\\\x7f") || strings.Contains(name, "..") || strings.Contains(name, "@{") {
		return false
	}
	for _, r := range name {
		if r < 0x20 {
			return false
		}
	}
	for part := range strings.SplitSeq(name, "/") {
		if part == "" || strings.HasPrefix(part, ".") || strings.HasSuffix(part, ".lock") {
			return false
		}
	}
	return !strings.HasSuffix(name, ".") && len(name) <= 1024
}

// checkURL refuses a URL that would show a token to the network or to a process listing.
func checkURL(raw string) (*url.URL, error) {
	u, err := url.Parse(raw)
	if err != nil || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return nil, errors.New("workspace: the repository's URL is not a plain one")
	}
	ip := net.ParseIP(u.Hostname())
	loopback := u.Hostname() == "localhost" || ip != nil && ip.IsLoopback()
	if u.Scheme == "https" || u.Scheme == "http" && loopback {
		return u, nil
	}
	return nil, fault.New("The repository's address is not https.",
		"The token that opens the repository would travel in clear.", "Give the server GitHub's https address.")
}

// ready gives the lock's holder a mirror to fetch into.
func (w *Workspace) ready(ctx context.Context, repoID int64) error {
	mirror := w.mirror(repoID)
	if _, err := os.Lstat(suspectFile(mirror)); err == nil {
		if w.sound(ctx, mirror) {
			err = os.Remove(suspectFile(mirror))
		} else {
			err = w.discard(repoID)
		}
		if err != nil {
			return fmt.Errorf("mend the mirror: %w", err)
		}
	}
	return prepare(mirror)
}

func atKnown(mirror string, refs []ref) bool {
	for _, r := range refs {
		at, err := readRef(mirror, r.local)
		if err != nil || at != r.known {
			return false
		}
		*r.result = at
	}
	return true
}

// readRef reads a ref without a process: tidy never packs them.
func readRef(mirror, name string) (string, error) {
	raw, err := os.ReadFile(filepath.Join(mirror, name))
	if err != nil {
		return "", fmt.Errorf("read a fetched ref: %w", err)
	}
	id := strings.TrimSpace(string(raw))
	return id, checkOIDs(id)
}

// network is what a fetch needs beside the mirror.
type network struct {
	target *url.URL
	token  string
	lock   *os.File
}

// fetchHealing fetches, and where that fails for the mirror's sake mends it and fetches again.
func (w *Workspace) fetchHealing(ctx context.Context, repoID int64, n network, refs []ref) error {
	mirror := w.mirror(repoID)
	args := []string{"fetch", "--quiet", "--atomic", "--no-tags", "--no-recurse-submodules", "--no-auto-maintenance",
		"--no-write-fetch-head", "--no-show-forced-updates", "--end-of-options", n.target.String()}
	for _, r := range refs {
		args = append(args, "+"+r.remote+":"+r.local)
	}
	_, err := w.runNetwork(ctx, mirror, n, args)
	var exit *exitError
	if err == nil || !errors.As(err, &exit) {
		return err
	}
	mended, largest := sweep(mirror)
	if largest >= w.cfg.MaxBytes { // git's own words do not tell that the limit ended it
		return fault.Wrap(err, "The repository is too large to fetch.",
			fmt.Sprintf("One download may hold at most %d MiB.", w.cfg.MaxBytes>>20),
			"Keep large files out of the repository, or raise the server's limit.")
	}
	if remoteErr := w.askRemote(ctx, mirror, n, refs); remoteErr != nil {
		return remoteErr
	}
	if !w.sound(ctx, mirror) {
		mended = true
		if err := errors.Join(w.discard(repoID), prepare(mirror)); err != nil {
			return err
		}
	}
	if mended {
		_, err = w.runNetwork(ctx, mirror, n, args)
		sweep(mirror)
	}
	if err != nil {
		return fault.Wrap(err, "The repository's commits could not be fetched.",
			"Git refused what the repository holds, or its connection broke.",
			"`/plan` tries again; the server's log has git's own words.")
	}
	return nil
}

// askRemote tells a fault of the other side from one of the mirror: it asks for the same refs
// without touching the mirror. It returns nil when the remote has them all.
func (w *Workspace) askRemote(ctx context.Context, mirror string, n network, refs []ref) error {
	args := []string{"ls-remote", "--quiet", "--end-of-options", n.target.String()}
	for _, r := range refs {
		if isName(r.remote) {
			args = append(args, r.remote)
		}
	}
	out, err := w.runNetwork(ctx, mirror, n, append(args, "HEAD")) // never all refs of the remote
	if err != nil {
		return remoteFault(err)
	}
	listed := map[string]bool{}
	for line := range strings.Lines(string(out)) {
		if _, name, ok := strings.Cut(strings.TrimSpace(line), "\t"); ok {
			listed[name] = true
		}
	}
	for _, r := range refs {
		if isName(r.remote) && !listed[r.remote] {
			return fault.Wrap(fmt.Errorf("%s is not among the remote's refs", r.remote),
				"The pull request's head or its base branch is no longer on GitHub.",
				"There is nothing to plan.", "Restore the branch, or retarget the pull request.")
		}
	}
	return nil
}

func isName(remote string) bool { return strings.HasPrefix(remote, "refs/") }

var statusPattern = regexp.MustCompile(`returned error: (\d{3})`)

// remoteFault puts git's words about the other side into ours. The words decide the advice only.
func remoteFault(err error) error {
	var exit *exitError
	if !errors.As(err, &exit) {
		return err
	}
	status := 0
	if m := statusPattern.FindStringSubmatch(exit.stderr); m != nil {
		status, _ = strconv.Atoi(m[1])
	}
	denied := strings.Contains(exit.stderr, "could not read Username") || strings.Contains(exit.stderr, "Authentication failed")
	switch {
	case denied || status == 401 || status == 403 || status == 404 || strings.Contains(exit.stderr, "not found"):
		return fault.Wrap(err, "GitHub does not let Tollgate read the repository.",
			"The App may have lost its access, or the repository was moved or deleted.",
			"Check that the App is installed on the repository with read access to its contents.")
	case status >= 300 && status < 400:
		return fault.Wrap(err, "The repository has moved.",
			"A redirect is not followed, because the token would go along.", "`/plan` reads the new address from GitHub.")
	}
	return fault.Wrap(fmt.Errorf("%w: %w", ErrTemporary, err), "GitHub could not be reached to fetch the commits.",
		"Nothing was planned.", "`/plan` tries again.")
}

// runNetwork runs a git command that talks to GitHub. The token reaches git and its helpers
// through a file without a name and appears nowhere else.
func (w *Workspace) runNetwork(ctx context.Context, mirror string, n network, args []string) ([]byte, error) {
	basic, authorization := "", ""
	if n.token != "" {
		basic = base64.StdEncoding.EncodeToString([]byte("x-access-token:" + n.token))
		authorization = "Basic " + basic
	}
	config, err := w.environ.networkConfig(n.target, authorization)
	if err != nil {
		return nil, fmt.Errorf("choose a proxy: %w", err)
	}
	file, done, err := secretFile(w.cfg.Dir, config)
	if err != nil {
		return nil, err
	}
	defer done()
	cmd := w.command(ctx, mirror, args...)
	cmd.Env = w.environ.forGit(childPath(file))
	cmd.ExtraFiles = []*os.File{file, n.lock}
	limit := func(p *os.Process) { limitFileSize(p.Pid, w.cfg.MaxBytes) }
	return finish(ctx, cmd, args[0], limit, n.token, basic)
}
