package workspace

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os/exec"
	"strconv"
	"strings"

	"github.com/tollgate/tollgate/internal/fault"
)

// catFile is a git process that answers with objects. It is kept between calls, because starting
// it takes longer than most questions.
type catFile struct {
	cmd    *exec.Cmd
	cancel context.CancelFunc
	in     io.WriteCloser
	out    *bufio.Reader
	stderr *tail
}

const maxIdle = 8 // processes kept for later questions, over all repositories

// object is one answer.
type object struct {
	index int // of the question
	kind  string
	size  int64
}

// openCat starts a process that outlives the call it is started for, hence no context of it.
func (w *Workspace) openCat(mirror string) (*catFile, error) {
	ctx, cancel := context.WithCancel(context.Background())
	c := &catFile{cancel: cancel, stderr: &tail{max: 4 << 10}}
	c.cmd = w.command(ctx, mirror, "cat-file", "--batch-command", "--buffer")
	c.cmd.Env = append(c.cmd.Env, "GIT_ALTERNATE_OBJECT_DIRECTORIES="+merged(mirror))
	c.cmd.Stderr = c.stderr
	var err error
	if c.in, err = c.cmd.StdinPipe(); err != nil {
		cancel()
		return nil, fmt.Errorf("start git cat-file: %w", err)
	}
	out, err := c.cmd.StdoutPipe()
	if err != nil {
		cancel()
		return nil, fmt.Errorf("start git cat-file: %w", err)
	}
	c.out = bufio.NewReaderSize(out, 64<<10)
	if err := c.cmd.Start(); err != nil {
		cancel()
		return nil, fmt.Errorf("start git cat-file: %w", err)
	}
	return c, nil
}

// close ends the process. It is safe to call while another goroutine waits for an answer.
func (c *catFile) close() {
	_ = c.in.Close()
	c.cancel()
	_ = c.cmd.Wait()
}

// withCat lends fn a process that reads the repository's objects. Only one that fn left in order
// is kept.
func (w *Workspace) withCat(ctx context.Context, repoID int64, fn func(*catFile) error) error {
	if err := ctx.Err(); err != nil {
		return context.Cause(ctx)
	}
	c := w.takeIdle(repoID)
	if c == nil {
		mirror, err := w.existing(repoID)
		if err != nil {
			return err
		}
		if c, err = w.openCat(mirror); err != nil {
			return err
		}
	}
	stop := context.AfterFunc(ctx, c.cancel)
	err := fn(c)
	if !stop() {
		c.close()
		return fmt.Errorf("read the repository: %w", context.Cause(ctx))
	}
	var broken *brokenError
	if errors.As(err, &broken) {
		c.close()
		w.suspect(repoID)
		return w.missing(repoID, fmt.Errorf("%w: %s", broken.err, c.stderr))
	}
	if err != nil {
		c.close() // answers may be left in the pipe
		return err
	}
	w.keepIdle(repoID, c)
	return nil
}

// brokenError is an answer that git owes and did not give.
type brokenError struct{ err error }

func (e *brokenError) Error() string { return e.err.Error() }

// existing is the mirror of a repository that was fetched before.
func (w *Workspace) existing(repoID int64) (string, error) {
	mirror := w.mirror(repoID)
	if !whole(mirror) {
		return "", w.missing(repoID, errors.New("there is no mirror"))
	}
	return mirror, nil
}

// missing is the fault of a mirror that does not hold what it was asked for.
func (w *Workspace) missing(repoID int64, err error) error {
	return fault.Wrap(fmt.Errorf("%w: mirror %d: %w", ErrTemporary, repoID, err),
		"A commit could not be read from the server's copy of the repository.",
		"The copy is fetched anew the next time it is needed.", "`/plan` tries again.")
}

func (w *Workspace) takeIdle(repoID int64) *catFile {
	w.mu.Lock()
	defer w.mu.Unlock()
	c := w.idle[repoID]
	delete(w.idle, repoID)
	return c
}

func (w *Workspace) keepIdle(repoID int64, c *catFile) {
	w.mu.Lock()
	full := w.closed || w.idle[repoID] != nil || len(w.idle) >= maxIdle
	if !full {
		w.idle[repoID] = c
	}
	w.mu.Unlock()
	if full {
		c.close()
	}
}

func (w *Workspace) dropIdle(repoID int64) {
	if c := w.takeIdle(repoID); c != nil {
		c.close()
	}
}

// ask puts one question per id and gives every answer to fn, in order. For "contents" fn gets the
// object's bytes; what it leaves unread is skipped. An object that the mirror lacks is a
// brokenError, for ids come from commits whose whole trees were fetched.
func (c *catFile) ask(verb string, ids []string, fn func(object, io.Reader) error) error {
	if len(ids) == 0 {
		return nil
	}
	written := make(chan error, 1)
	go func() { written <- c.write(verb, ids) }()
	for i := range ids {
		o, err := c.header(i, ids[i])
		if err != nil {
			return err
		}
		if verb == "info" {
			if err := fn(o, nil); err != nil {
				return err
			}
			continue
		}
		body := &io.LimitedReader{R: c.out, N: o.size}
		if err := fn(o, body); err != nil {
			return err
		}
		if _, err := io.CopyN(io.Discard, c.out, body.N+1); err != nil { // and the newline
			return &brokenError{fmt.Errorf("read object: %w", err)}
		}
	}
	if err := <-written; err != nil {
		return &brokenError{err}
	}
	return nil
}

func (c *catFile) write(verb string, ids []string) error {
	out := bufio.NewWriterSize(c.in, 32<<10)
	for _, id := range ids {
		_, _ = out.WriteString(verb + " " + id + "\n") // Flush returns the first error
	}
	_, _ = out.WriteString("flush\n")
	if err := out.Flush(); err != nil {
		return fmt.Errorf("ask git cat-file: %w", err)
	}
	return nil
}

func (c *catFile) header(index int, id string) (object, error) {
	line, err := c.out.ReadString('\n')
	if err != nil {
		return object{}, &brokenError{fmt.Errorf("read object: %w", err)}
	}
	fields := strings.Fields(line)
	if len(fields) != 3 {
		return object{}, &brokenError{fmt.Errorf("object %s: %s", id, strings.TrimSpace(line))}
	}
	size, err := strconv.ParseInt(fields[2], 10, 64)
	if err != nil {
		return object{}, &brokenError{fmt.Errorf("object %s: %w", id, err)}
	}
	return object{index, fields[1], size}, nil
}

// get reads one object whole.
func (c *catFile) get(id string, max int64) (kind string, content []byte, err error) {
	err = c.ask("contents", []string{id}, func(o object, body io.Reader) error {
		if o.size > max {
			return tooBig(o.size, max)
		}
		kind, content = o.kind, make([]byte, o.size)
		if _, err := io.ReadFull(body, content); err != nil {
			return &brokenError{fmt.Errorf("read object: %w", err)}
		}
		return nil
	})
	return kind, content, err
}

func tooBig(size, max int64) error {
	return fault.New("A file of the repository is too large.",
		fmt.Sprintf("It has %d bytes; at most %d are accepted.", size, max), "Keep it out of the repository.")
}

const maxCommit = 1 << 20 // bytes of a commit object; its message is the long part

// treeOf resolves a commit or a tree to a tree.
func (c *catFile) treeOf(id string) (string, error) {
	if err := checkOIDs(id); err != nil {
		return "", err
	}
	var kind string
	if err := c.ask("info", []string{id}, func(o object, _ io.Reader) error { kind = o.kind; return nil }); err != nil {
		return "", err
	}
	if kind == "tree" {
		return id, nil
	}
	if kind != "commit" {
		return "", fmt.Errorf("workspace: %s is a %s, not a commit or a tree", id, kind)
	}
	tree, err := c.commitHeader(id, "tree")
	if err == nil && tree == "" {
		return "", &brokenError{fmt.Errorf("commit %s names no tree", id)}
	}
	return tree, err
}

// commitHeader returns the object id in the first header of a name, or nothing.
func (c *catFile) commitHeader(commit, name string) (string, error) {
	kind, content, err := c.get(commit, maxCommit)
	if err != nil {
		return "", err
	}
	if kind != "commit" {
		return "", fmt.Errorf("workspace: %s is a %s, not a commit", commit, kind)
	}
	headers, _, _ := strings.Cut(string(content), "\n\n")
	for line := range strings.SplitSeq(headers, "\n") {
		if id, ok := strings.CutPrefix(line, name+" "); ok {
			return id, checkOIDs(id)
		}
	}
	return "", nil
}

// Tree returns the id of a commit's tree.
func (w *Workspace) Tree(ctx context.Context, repoID int64, commit string) (string, error) {
	var tree string
	err := w.withCat(ctx, repoID, func(c *catFile) (err error) {
		tree, err = c.treeOf(commit)
		return err
	})
	return tree, err
}

// ReadFile returns the content of a regular file of a tree, given as the id of a tree or commit.
// The error is fs.ErrNotExist when there is nothing at the path, and a fault when it has more than
// max bytes or is not a file, so that a configuration behind a link is not taken for none.
func (w *Workspace) ReadFile(ctx context.Context, repoID int64, treeish, path string, max int64) ([]byte, error) {
	if !fs.ValidPath(path) {
		return nil, &fs.PathError{Op: "read", Path: path, Err: fs.ErrInvalid}
	}
	var found entry
	var content []byte
	err := w.withCat(ctx, repoID, func(c *catFile) (err error) {
		if found, err = c.find(treeish, path); err == nil && found.regular() {
			_, content, err = c.get(found.id, max)
		}
		return err
	})
	switch {
	case err != nil:
		return nil, err
	case found.mode == "":
		return nil, &fs.PathError{Op: "read", Path: path, Err: fs.ErrNotExist}
	case !found.regular():
		return nil, refuse("A file that is read from the repository is not a regular file.", path, "Replace it with a file.")
	}
	return content, nil
}

// find looks a path up, tree by tree. The entry is the zero one when there is none, and the link
// when the path goes through one.
func (c *catFile) find(treeish, path string) (entry, error) {
	id, err := c.treeOf(treeish)
	if err != nil {
		return entry{}, err
	}
	at := entry{path: ".", mode: modeTree, id: id}
	if path == "." {
		return at, nil
	}
	for name := range strings.SplitSeq(path, "/") {
		if at.mode == modeLink {
			return at, nil
		}
		if at.mode != modeTree {
			return entry{}, nil
		}
		children, err := c.readTree(at)
		if err != nil {
			return entry{}, err
		}
		at = entry{}
		for _, child := range children {
			if child.name() == name {
				at = child
			}
		}
	}
	return at, nil
}
