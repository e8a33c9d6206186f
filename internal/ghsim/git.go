package ghsim

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// git is what the stand-in needs of a repository. Commits and trees are named by their ids, refs by
// their full names; an empty id says that there is none.
type git interface {
	ref(name string) string // a ref's commit, or the commit's own id
	refs(prefix string) (map[string]string, error)
	setRefs(map[string]string) error
	commitFiles(ref, parent, message string, author, committer ident, files []blob, deleted []string) (string, error)
	applyPatch(ref, parent, message, patch string, author, committer ident) (string, error)
	commitTree(tree string, parents []string, message string, author, committer ident) (string, error)
	mergeTree(base, head string) (tree string, ok bool, err error)
	rebase(base, head string, committer ident) (string, error)
	commitObject(rev string) (commit, error)
	between(from, to string) ([]commit, error) // what to has and from has not, oldest first
	mergeBase(a, b string) (string, error)
	diff(from, to string) ([]fileChange, error)
	list(rev, dir string) ([]treeEntry, error)
	files(treeish string) (map[string]string, error)
	blob(spec string) (string, error) // an id, or commit:path
	fetch(from git, remote, local string) error
	dir() string // on disk; empty for a repository in memory
}

// newGit makes an empty repository.
func (s *Server) newGit(r *repo) (git, error) {
	if s.cfg.Memory {
		return newMemory(), nil
	}
	return initRepo(filepath.Join(s.cfg.Dir, "repositories", fmt.Sprint(r.id)+".git"), r.defaultBranch)
}

// gitDir is a bare repository, driven by the real git.
type gitDir string

var _ git = gitDir("")

func (g gitDir) dir() string { return string(g) }

const submodule = "160000" // its mode

const zeroSHA = "0000000000000000000000000000000000000000"

// gitEnv keeps the configuration of whoever runs the stand-in out of its repositories.
func gitEnv(dir gitDir, extra ...string) []string {
	return append([]string{
		"GIT_DIR=" + string(dir), "HOME=" + string(dir), "LC_ALL=C", "GIT_TERMINAL_PROMPT=0",
		"GIT_CONFIG_NOSYSTEM=1", "GIT_CONFIG_GLOBAL=" + os.DevNull,
	}, extra...)
}

// gitError is a git command that ended badly.
type gitError struct {
	args   []string
	stderr string
	code   int
}

func (e *gitError) Error() string {
	return fmt.Sprintf("git %s: exit status %d: %s", strings.Join(e.args, " "), e.code, strings.TrimSpace(e.stderr))
}

func (g gitDir) runEnv(env []string, stdin io.Reader, args ...string) (string, error) {
	cmd := exec.Command("git", args...)
	cmd.Dir, cmd.Env, cmd.Stdin = string(g), gitEnv(g, env...), stdin
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	err := cmd.Run()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return out.String(), &gitError{args, errs.String(), exit.ExitCode()}
	}
	if err != nil {
		return "", fmt.Errorf("run git %s: %w", args[0], err)
	}
	return out.String(), nil
}

func (g gitDir) run(args ...string) (string, error) { return g.runEnv(nil, nil, args...) }

// line runs a command that prints one line.
func (g gitDir) line(args ...string) (string, error) {
	out, err := g.run(args...)
	return strings.TrimSpace(out), err
}

func initRepo(dir, branch string) (gitDir, error) {
	g := gitDir(dir)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", err
	}
	if _, err := g.run("init", "--quiet", "--bare", "--initial-branch="+branch, dir); err != nil {
		return "", err
	}
	return g, g.configure()
}

// configure appends to the configuration file directly: one write instead of a process per key.
func (g gitDir) configure() error {
	f, err := os.OpenFile(filepath.Join(string(g), "config"), os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	_, err = f.WriteString(`[uploadpack]
	allowFilter = true
	allowAnySHA1InWant = true
[receive]
	autogc = false
	hideRefs = refs/pull/
[gc]
	auto = 0
[core]
	fsync = none
	logAllRefUpdates = false
`)
	return errors.Join(err, f.Close())
}

// ref resolves a full ref name; the empty string says that it does not exist.
func (g gitDir) ref(name string) string {
	if strings.HasPrefix(name, "refs/") && !strings.Contains(name, "..") {
		// most refs lie in files of their own, which saves a process
		if data, err := os.ReadFile(filepath.Join(string(g), name)); err == nil && len(data) == 41 {
			return string(data[:40])
		}
	}
	sha, err := g.line("rev-parse", "--verify", "--quiet", "--end-of-options", name+"^{commit}")
	if err != nil {
		return ""
	}
	return sha
}

func (g gitDir) blob(spec string) (string, error) { return g.run("cat-file", "blob", spec) }

func (g gitDir) mergeBase(a, b string) (string, error) { return g.line("merge-base", a, b) }

func (g gitDir) fetch(from git, remote, local string) error {
	_, err := g.run("fetch", "--quiet", "--force", from.dir(), remote+":"+local)
	return err
}

// files reads every file of a commit or tree.
func (g gitDir) files(treeish string) (map[string]string, error) {
	out, err := g.run("ls-tree", "-r", "-z", "--name-only", "--end-of-options", treeish)
	if err != nil {
		return nil, err
	}
	files := map[string]string{}
	for _, name := range strings.Split(strings.TrimSuffix(out, "\x00"), "\x00") {
		if files[name], err = g.blob(treeish + ":" + name); err != nil {
			return nil, err
		}
	}
	return files, nil
}

// refs lists refs under a prefix as name → SHA.
func (g gitDir) refs(prefix string) (map[string]string, error) {
	out, err := g.run("for-each-ref", "--format=%(objectname) %(refname)", prefix)
	if err != nil {
		return nil, err
	}
	refs := map[string]string{}
	for l := range strings.Lines(out) {
		if sha, name, ok := strings.Cut(strings.TrimSpace(l), " "); ok {
			refs[name] = sha
		}
	}
	return refs, nil
}

// setRefs writes refs in one transaction; an empty SHA deletes.
func (g gitDir) setRefs(refs map[string]string) error {
	var in strings.Builder
	for name, sha := range refs {
		if sha == "" {
			fmt.Fprintf(&in, "delete %s\n", name)
		} else {
			fmt.Fprintf(&in, "update %s %s\n", name, sha)
		}
	}
	_, err := g.runEnv(nil, strings.NewReader(in.String()), "update-ref", "--no-deref", "--stdin")
	return err
}

// ident is who wrote a commit, and when.
type ident struct {
	name, email string
	when        time.Time
}

func (i ident) String() string {
	return fmt.Sprintf("%s <%s> %d +0000", i.name, i.email, i.when.Unix())
}

func (i ident) env(role string) []string {
	return []string{
		"GIT_" + role + "_NAME=" + i.name, "GIT_" + role + "_EMAIL=" + i.email,
		"GIT_" + role + "_DATE=" + strconv.FormatInt(i.when.Unix(), 10) + " +0000",
	}
}

// blob is one file of a commit to be made. The data of a submodule is its commit.
type blob struct {
	path, mode string
	data       []byte
}

// commitFiles makes a commit on a branch with one git process and returns its SHA. parent may be
// empty for a root commit.
func (g gitDir) commitFiles(ref, parent, message string, author, committer ident, files []blob, deleted []string) (string, error) {
	var in bytes.Buffer
	fmt.Fprintf(&in, "feature done\ncommit %s\nmark :1\nauthor %s\ncommitter %s\ndata %d\n%s\n", ref, author, committer, len(message), message)
	if parent != "" {
		fmt.Fprintf(&in, "from %s\n", parent)
	}
	for _, path := range deleted {
		fmt.Fprintf(&in, "D %s\n", quotePath(path))
	}
	for _, f := range files {
		if f.mode == submodule {
			fmt.Fprintf(&in, "M %s %s %s\n", f.mode, f.data, quotePath(f.path))
			continue
		}
		fmt.Fprintf(&in, "M %s inline %s\ndata %d\n", f.mode, quotePath(f.path), len(f.data))
		in.Write(f.data)
		in.WriteByte('\n')
	}
	in.WriteString("\nget-mark :1\ndone\n")
	out, err := g.runEnv(nil, &in, "fast-import", "--quiet", "--force", "--done", "--date-format=raw")
	return strings.TrimSpace(out), err
}

// quotePath is fast-import's C-style quoting.
func quotePath(p string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`).Replace(p) + `"`
}

// applyPatch makes a commit out of a unified diff, without a work tree.
func (g gitDir) applyPatch(ref, parent, message, patch string, author, committer ident) (string, error) {
	index := filepath.Join(string(g), "patch-index")
	defer os.Remove(index)
	env := []string{"GIT_INDEX_FILE=" + index}
	if _, err := g.runEnv(env, nil, "read-tree", parent); err != nil {
		return "", err
	}
	if _, err := g.runEnv(env, strings.NewReader(patch), "apply", "--cached", "-"); err != nil {
		return "", err
	}
	tree, err := g.runEnv(env, nil, "write-tree")
	if err != nil {
		return "", err
	}
	sha, err := g.commitTree(strings.TrimSpace(tree), []string{parent}, message, author, committer)
	if err != nil {
		return "", err
	}
	return sha, g.setRefs(map[string]string{ref: sha})
}

func (g gitDir) commitTree(tree string, parents []string, message string, author, committer ident) (string, error) {
	args := []string{"commit-tree", tree}
	for _, p := range parents {
		args = append(args, "-p", p)
	}
	env := append(author.env("AUTHOR"), committer.env("COMMITTER")...)
	out, err := g.runEnv(env, strings.NewReader(message), args...)
	return strings.TrimSpace(out), err
}

// mergeTree merges two commits; ok is false if they conflict.
func (g gitDir) mergeTree(base, head string) (tree string, ok bool, err error) {
	out, err := g.run("merge-tree", "--write-tree", "--no-messages", base, head)
	var ge *gitError
	if errors.As(err, &ge) && ge.code == 1 {
		return "", false, nil
	}
	return strings.TrimSpace(out), err == nil, err
}

// rebase replays base..head onto base in a temporary work tree and returns the new head.
func (g gitDir) rebase(base, head string, committer ident) (string, error) {
	dir, err := os.MkdirTemp(string(g), "rebase-")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(dir)
	defer g.run("worktree", "prune")
	tree := filepath.Join(dir, "tree")
	if _, err := g.run("worktree", "add", "--quiet", "--detach", tree, base); err != nil {
		return "", err
	}
	cmd := exec.Command("git", "-C", tree, "cherry-pick", "--allow-empty", "--keep-redundant-commits", base+".."+head)
	// A work tree finds its repository by its own .git file, so GIT_DIR must not be set.
	cmd.Env = append(gitEnv(g)[1:], committer.env("COMMITTER")...)
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("rebase %s onto %s: %w: %s", head, base, err, out)
	}
	out, err := exec.Command("git", "-C", tree, "rev-parse", "HEAD").Output()
	return strings.TrimSpace(string(out)), err
}

// readFS turns a file tree into blobs; file modes and symbolic links are kept where fsys tells them.
func readFS(fsys fs.FS) ([]blob, error) {
	var files []blob
	err := fs.WalkDir(fsys, ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := readEntry(fsys, path, d)
		files = append(files, b)
		return err
	})
	return files, err
}

func readEntry(fsys fs.FS, path string, d fs.DirEntry) (blob, error) {
	if d.Type()&fs.ModeSymlink != 0 {
		target, err := fs.ReadLink(fsys, path)
		return blob{path, "120000", []byte(target)}, err
	}
	info, err := d.Info()
	if err != nil {
		return blob{}, err
	}
	mode := "100644"
	if info.Mode()&0o100 != 0 {
		mode = "100755"
	}
	data, err := fs.ReadFile(fsys, path)
	return blob{path, mode, data}, err
}
