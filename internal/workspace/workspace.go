// Package workspace puts exactly one commit on disk, and nothing outside it. It is the only
// package that runs git: a bare mirror per repository, from which trees are merged, compared,
// read and checked out without ever running anything that a repository brings along (hooks,
// filters, submodules, configuration).
//
// Everything in a mirror can be fetched again, so a mirror that turns out to be damaged is
// thrown away. Objects that no branch or pull request reaches, merged trees among them, are kept
// for two weeks; Merge computes the same tree again from the same commits.
package workspace

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"

	"github.com/tollgate/tollgate/internal/fault"
)

// Config says where mirrors live and how much of a repository is accepted.
type Config struct {
	Dir string // holds one mirror per repository; created when missing
	Git string // path of git 2.38 or newer, or a name to look up in Environ's PATH; "git" when empty

	MaxEntries int   // files and directories in a tree; 200,000 when zero
	MaxBytes   int64 // bytes of all files of a tree, and of one downloaded pack; 2 GiB when zero

	// Environ is the server's environment. Git sees PATH of it and, translated into git's terms
	// so that git takes the same way out as the server's own requests, HTTPS_PROXY, HTTP_PROXY,
	// NO_PROXY and SSL_CERT_FILE.
	Environ []string
}

// Workspace is safe for use by many goroutines. Several processes may share its directory.
type Workspace struct {
	cfg     Config
	environ environ

	mu     sync.Mutex
	locks  map[int64]chan struct{} // one slot each: a Go mutex could not be given up on cancellation
	idle   map[int64]*catFile
	closed bool
}

// New checks git's version and prepares the directory.
func New(ctx context.Context, cfg Config) (*Workspace, error) {
	if cfg.Dir == "" {
		return nil, errors.New("workspace: no directory given")
	}
	if cfg.MaxEntries == 0 {
		cfg.MaxEntries = 200_000
	}
	if cfg.MaxBytes == 0 {
		cfg.MaxBytes = 2 << 30
	}
	dir, err := filepath.Abs(cfg.Dir)
	if err != nil {
		return nil, fmt.Errorf("resolve the mirrors' directory: %w", err)
	}
	cfg.Dir = dir
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("create the mirrors' directory: %w", err)
	}
	w := &Workspace{
		cfg:     cfg,
		environ: newEnviron(cfg.Environ),
		locks:   map[int64]chan struct{}{},
		idle:    map[int64]*catFile{},
	}
	if err := w.findGit(ctx); err != nil {
		return nil, err
	}
	return w, nil
}

// Close ends the git processes that wait for further questions. Calls under way are not waited for.
func (w *Workspace) Close() {
	w.mu.Lock()
	idle := w.idle
	w.idle, w.closed = map[int64]*catFile{}, true
	w.mu.Unlock()
	for _, c := range idle {
		c.close()
	}
}

var versionPattern = regexp.MustCompile(`^git version (\d+)\.(\d+)`)

// findGit resolves the path of git and refuses one that cannot merge without a work tree.
func (w *Workspace) findGit(ctx context.Context) error {
	const fix = "Install git 2.38 or newer on the server, or point the server at it."
	path, err := lookPath(w.cfg.Git, w.environ.path)
	if err != nil {
		return fault.Wrap(err, "Git was not found on the server.", "Pull requests cannot be fetched without it.", fix)
	}
	w.cfg.Git = path
	cmd := exec.CommandContext(ctx, path, "version")
	cmd.Env = w.environ.forGit("")
	out, err := cmd.Output()
	if err != nil {
		return fault.Wrap(err, "Git on the server does not run.", "Pull requests cannot be fetched without it.", fix)
	}
	m := versionPattern.FindStringSubmatch(string(out))
	if m == nil {
		return fault.New("The version of git on the server could not be read.", "", fix)
	}
	major, _ := strconv.Atoi(m[1])
	minor, _ := strconv.Atoi(m[2])
	if major < 2 || major == 2 && minor < 38 {
		return fault.New("Git "+m[1]+"."+m[2]+" on the server is too old.",
			"It cannot merge a pull request without checking it out.", fix)
	}
	return nil
}

// lookPath finds a program in the given PATH instead of this process's own.
func lookPath(name, path string) (string, error) {
	if name == "" {
		name = "git"
	}
	if strings.ContainsRune(name, filepath.Separator) {
		return exec.LookPath(name)
	}
	for _, dir := range filepath.SplitList(path) {
		if found, err := exec.LookPath(filepath.Join(dir, name)); err == nil && filepath.IsAbs(found) {
			return found, nil
		}
	}
	return "", fmt.Errorf("%s: %w in the given PATH", name, exec.ErrNotFound)
}

var oidPattern = regexp.MustCompile(`^(?:[0-9a-f]{40}|[0-9a-f]{64})$`)

// checkOIDs keeps anything but a full object id out of git's arguments: a branch may be named
// like an option, like a tag or like HEAD.
func checkOIDs(ids ...string) error {
	for _, id := range ids {
		if !oidPattern.MatchString(id) {
			return fmt.Errorf("workspace: %q is not a full object id", id)
		}
	}
	return nil
}
