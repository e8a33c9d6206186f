package workspace_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/tollgate/tollgate/internal/fault"
	"github.com/tollgate/tollgate/internal/workspace"
)

// wantFault checks that an error is a fault whose first sentence holds the text, and that no part
// of it shows the token.
func wantFault(t *testing.T, err error, what string) {
	t.Helper()
	var shown *fault.Error
	if !errors.As(err, &shown) {
		t.Fatalf("got %v, want a fault with %q", err, what)
	}
	if !strings.Contains(shown.What, what) {
		t.Errorf("got %q, want %q in it (%v)", shown.What, what, err)
	}
	if strings.Contains(err.Error(), token) {
		t.Errorf("the token is in the error: %v", err)
	}
}

// Covers: T09
func TestFetchFromAnUnwillingRemote(t *testing.T) {
	t.Parallel()
	answer := func(status int, body string) func(http.ResponseWriter, *http.Request) bool {
		return func(rw http.ResponseWriter, _ *http.Request) bool { http.Error(rw, body, status); return true }
	}
	for _, test := range []struct {
		name      string
		intercept func(http.ResponseWriter, *http.Request) bool
		what      string
		temporary bool
	}{
		{"no access", func(rw http.ResponseWriter, _ *http.Request) bool {
			rw.Header().Set("WWW-Authenticate", "Basic")
			http.Error(rw, "", http.StatusUnauthorized)
			return true
		}, "does not let Tollgate read", false},
		{"not found", answer(http.StatusNotFound, "Not Found"), "does not let Tollgate read", false},
		{"forbidden", answer(http.StatusForbidden, "no"), "does not let Tollgate read", false},
		{"broken, echoing the request", func(rw http.ResponseWriter, r *http.Request) bool {
			http.Error(rw, r.Header.Get("Authorization")+" "+token, http.StatusInternalServerError)
			return true
		}, "could not be reached", true},
		{"hangs up", func(rw http.ResponseWriter, _ *http.Request) bool {
			conn, _, err := http.NewResponseController(rw).Hijack()
			if err == nil {
				_ = conn.Close()
			}
			return true
		}, "could not be reached", true},
		{"an error in the protocol that echoes the token", func(rw http.ResponseWriter, _ *http.Request) bool {
			rw.Header().Set("Content-Type", "application/x-git-upload-pack-advertisement")
			line := "ERR your token is " + token + "\n"
			fmt.Fprintf(rw, "001e# service=git-upload-pack\n0000%04x%s", len(line)+4, line)
			return true
		}, "could not be reached", true},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			p := newPull(t, map[string]file{"a": text("1")}, map[string]file{"a": text("2")}) // the same fixture fetches
			p.answer(test.intercept)
			f := p.fetch()
			_, err := p.w.Fetch(t.Context(), f)
			wantFault(t, err, test.what)
			if errors.Is(err, workspace.ErrTemporary) != test.temporary {
				t.Errorf("temporary is %v in %v", !test.temporary, err)
			}
			p.answer(nil)
			if got, err := p.w.Fetch(t.Context(), f); err != nil || got.Head != p.head {
				t.Errorf("afterwards: %+v, %v", got, err)
			}
		})
	}
}

// Covers: T09
func TestFetchDoesNotFollowRedirects(t *testing.T) {
	t.Parallel()
	p := newPull(t, map[string]file{"a": text("1")}, map[string]file{"a": text("2")})
	var reached atomic.Bool
	thief := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { reached.Store(true) }))
	defer thief.Close()
	p.answer(func(rw http.ResponseWriter, r *http.Request) bool {
		http.Redirect(rw, r, thief.URL+r.URL.Path+"?"+r.URL.RawQuery, http.StatusMovedPermanently)
		return true
	})
	_, err := p.w.Fetch(t.Context(), p.fetch())
	wantFault(t, err, "")
	if reached.Load() {
		t.Error("the redirect was followed")
	}
}

func TestFetchRefusesUnsafeURLs(t *testing.T) {
	t.Parallel()
	w := newWorkspace(t)
	for _, url := range []string{
		"http://github.com/o/r.git", "ftp://127.0.0.1/r.git", "file:///tmp/r.git", "/tmp/r.git", "git@github.com:o/r.git",
		"ext::sh -c true", "--upload-pack=true", "https://user:secret@github.com/o/r.git", "https://github.com/o/r.git?x=1", "",
	} {
		if _, err := w.Fetch(t.Context(), workspace.Fetch{RepoID: 1, URL: url, BaseRef: "main"}); err == nil {
			t.Errorf("%q was accepted", url)
		}
	}
}

// Branches can be named like options, like other refs and like object ids.
//
// Covers: T66, T67
func TestFetchTakesExactlyTheNamedBranch(t *testing.T) {
	t.Parallel()
	r := newRemote(t)
	w := newWorkspace(t)
	decoy := r.commit("refs/heads/decoy", "", map[string]file{"decoy": text("decoy")})
	r.git("update-ref", "refs/tags/main", decoy)
	r.git("update-ref", "refs/tags/refs/heads/main", decoy)
	r.git("update-ref", "refs/pull/7/head", decoy)
	names := []string{"main", "refs/heads/main", "HEAD", "-f", "--upload-pack=touch${IFS}pwned", decoy, `"><img/src=x>`, "a\u202eb\u200b", "refs/pull/7/head", "x.y/$(id)"}
	for i, name := range names {
		want := r.commit("refs/heads/"+name, "", map[string]file{"n": text(fmt.Sprint(i))})
		got, err := w.Fetch(t.Context(), workspace.Fetch{RepoID: 1, URL: r.url(), Token: token, BaseRef: name})
		if err != nil || got.Base != want {
			t.Errorf("%q: got %+v, %v; want %s", name, got, err, want)
		}
	}
	err := filepath.WalkDir(r.dir, func(path string, _ fs.DirEntry, _ error) error {
		if strings.Contains(filepath.Base(path), "pwned") && !strings.Contains(path, "upload-pack") {
			t.Errorf("a branch's name was run: %s", path)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"a:refs/heads/x", "a*", "a b", "a..b", "a\x01", "a~1", "a^{}", "a@{0}", "/a", "a/", "a//b", "a.lock", ".a", "a\\b", strings.Repeat("a", 2000)} {
		if _, err := w.Fetch(t.Context(), workspace.Fetch{RepoID: 1, URL: r.url(), Token: token, BaseRef: name}); err == nil {
			t.Errorf("%q was accepted", name)
		}
	}
}

// Covers: T66
func TestFetchBranchThatTakesTheNameOfADirectory(t *testing.T) {
	t.Parallel()
	r := newRemote(t)
	w := newWorkspace(t)
	f := workspace.Fetch{RepoID: 1, URL: r.url(), Token: token, BaseRef: "a"}
	r.commit("refs/heads/a", "", map[string]file{"n": text("1")})
	if _, err := w.Fetch(t.Context(), f); err != nil {
		t.Fatal(err)
	}
	r.git("update-ref", "-d", "refs/heads/a")
	want := r.commit("refs/heads/a/b", "", map[string]file{"n": text("2")})
	f.BaseRef = "a/b"
	if got, err := w.Fetch(t.Context(), f); err != nil || got.Base != want {
		t.Errorf("got %+v, %v; want %s", got, err, want)
	}
	f.BaseRef = "a"
	_, err := w.Fetch(t.Context(), f)
	wantFault(t, err, "no longer on GitHub")
}

// Covers: T67
func TestFetchCommitByID(t *testing.T) {
	t.Parallel()
	r := newRemote(t)
	w := newWorkspace(t)
	first := r.commit("refs/heads/main", "", map[string]file{"n": text("1")})
	r.commit("refs/heads/main", first, map[string]file{"n": text("2")})
	f := workspace.Fetch{RepoID: 1, URL: r.url(), Token: token, Commit: first}
	for range 2 {
		if got, err := w.Fetch(t.Context(), f); err != nil || got.Commit != first {
			t.Errorf("got %+v, %v; want %s", got, err, first)
		}
	}
	f.Commit = "main"
	if _, err := w.Fetch(t.Context(), f); err == nil {
		t.Error("a name was accepted as a commit")
	}
	f.Commit = strings.Repeat("1", 40)
	_, err := w.Fetch(t.Context(), f)
	wantFault(t, err, "could not be fetched")
}

func TestFetchAsksNothingThatIsKnown(t *testing.T) {
	t.Parallel()
	p := newPull(t, map[string]file{"a": text("1")}, map[string]file{"a": text("2")})
	f := p.fetch()
	f.KnownHead, f.KnownBase = p.head, p.base
	before := p.hits.Load()
	got, err := p.w.Fetch(t.Context(), f)
	if err != nil || got.Head != p.head || got.Base != p.base {
		t.Fatalf("got %+v, %v", got, err)
	}
	if p.hits.Load() != before {
		t.Error("the remote was asked")
	}
	head := p.commit("refs/pull/7/head", p.head, map[string]file{"a": text("3")})
	f.KnownHead = head
	if got, err := p.w.Fetch(t.Context(), f); err != nil || got.Head != head {
		t.Errorf("got %+v, %v; want head %s", got, err, head)
	}
}

// Covers: R33
func TestFetchAfterForcePush(t *testing.T) {
	t.Parallel()
	p := newPull(t, map[string]file{"a": text("1")}, map[string]file{"a": text("2")})
	head := p.commit("refs/pull/7/head", p.base, map[string]file{"b": text("other")})
	if got, err := p.w.Fetch(t.Context(), p.fetch()); err != nil || got.Head != head {
		t.Errorf("got %+v, %v; want head %s", got, err, head)
	}
}

// The token may be in no argument, no environment and no file of any git process.
//
// Covers: T09
func TestFetchKeepsTheTokenToItself(t *testing.T) {
	t.Parallel()
	seen := filepath.Join(t.TempDir(), "seen")
	spy := script(t, `{ env; for a in "$@"; do echo "arg $a"; done; cat /proc/self/environ; } >> '`+seen+`'`)
	p := newPull(t, map[string]file{"a": text("1")}, map[string]file{"a": text("2")}, func(c *workspace.Config) { c.Git = spy })
	if _, err := p.w.Merge(t.Context(), 1, p.base, p.head); err != nil {
		t.Fatal(err)
	}
	log, err := os.ReadFile(seen)
	if err != nil || !bytes.Contains(log, []byte("arg fetch")) {
		t.Fatalf("the spy saw nothing: %v", err)
	}
	wantAbsent(t, log, "what git is given")
}

// Covers: T09
func TestMirrorHoldsNoCredential(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	p := newPull(t, map[string]file{"a": text("1")}, map[string]file{"a": text("2")}, func(c *workspace.Config) { c.Dir = dir })
	files := 0
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		files++
		content, err := os.ReadFile(path)
		wantAbsent(t, content, path)
		return err
	})
	if err != nil || files == 0 {
		t.Errorf("looked at %d files: %v", files, err)
	}
	_ = p
}

func wantAbsent(t *testing.T, content []byte, where string) {
	t.Helper()
	for _, secret := range []string{token, "x-access-token", "Authorization", basic(token)} {
		if bytes.Contains(content, []byte(secret)) {
			t.Errorf("%s holds %q", where, secret)
		}
	}
}

// script writes a program that does something and then becomes git.
func script(t testing.TB, before string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "git")
	if err := os.WriteFile(path, []byte("#!/bin/sh\n"+before+"\nexec git \"$@\"\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	return path
}

// Covers: R02
func TestFetchHealsTheMirror(t *testing.T) {
	t.Parallel()
	glob := func(t *testing.T, pattern string) string {
		t.Helper()
		found, err := filepath.Glob(pattern)
		if err != nil || len(found) == 0 {
			t.Fatalf("nothing matches %s: %v", pattern, err)
		}
		return found[0]
	}
	write := func(t *testing.T, path, content string) {
		t.Helper()
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		_ = os.Remove(path) // packs are read-only
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	remove := func(t *testing.T, path string) {
		t.Helper()
		if err := os.RemoveAll(path); err != nil {
			t.Fatal(err)
		}
	}
	for _, test := range []struct {
		name   string
		damage func(t *testing.T, mirror string)
	}{
		{"nothing", func(*testing.T, string) {}},
		{"gone", func(t *testing.T, m string) { remove(t, m) }},
		{"a file in its place", func(t *testing.T, m string) { remove(t, m); write(t, m, "x") }},
		{"half a clone", func(t *testing.T, m string) { remove(t, m+"/config"); remove(t, m+"/refs") }},
		{"leftovers of a half-made one", func(t *testing.T, m string) {
			remove(t, m)
			write(t, m+".new/HEAD", "x")
			write(t, m+".trash/HEAD", "x")
		}},
		{"locks of a killed git", func(t *testing.T, m string) {
			write(t, m+"/refs/tollgate/pull/7.lock", "")
			write(t, m+"/packed-refs.lock", "")
			write(t, m+"/objects/pack/tmp_pack_x1", "half")
		}},
		{"empty ref", func(t *testing.T, m string) { write(t, m+"/refs/tollgate/pull/7", "") }},
		{"ref to nothing", func(t *testing.T, m string) { write(t, m+"/refs/tollgate/pull/7", strings.Repeat("1", 40)+"\n") }},
		{"truncated pack", func(t *testing.T, m string) { write(t, glob(t, m+"/objects/pack/*.pack"), "PACK") }},
		{"empty index", func(t *testing.T, m string) { write(t, glob(t, m+"/objects/pack/*.idx"), "") }},
		{"no objects", func(t *testing.T, m string) { remove(t, m+"/objects/pack") }},
		{"foreign configuration", func(t *testing.T, m string) { write(t, m+"/config", "[core]\n\tbare = true\n[include]\n\tpath = /x\n") }},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			p := newPull(t, map[string]file{"a": text("1")}, map[string]file{"a": text("2")}, func(c *workspace.Config) { c.Dir = dir })
			test.damage(t, filepath.Join(dir, "1.git"))
			head := p.commit("refs/pull/7/head", p.head, map[string]file{"b": text("new")})
			got, err := p.w.Fetch(t.Context(), p.fetch())
			if err != nil || got.Head != head || got.Base != p.base {
				t.Fatalf("got %+v, %v; want head %s", got, err, head)
			}
			m, err := p.w.Merge(t.Context(), 1, got.Base, got.Head)
			if err != nil {
				t.Fatal(err)
			}
			if content, err := p.w.ReadFile(t.Context(), 1, m.Tree, "a", 10); err != nil || string(content) != "2" {
				t.Errorf("a is %q, %v", content, err)
			}
			if left, _ := filepath.Glob(filepath.Join(dir, "1.git/objects/pack/tmp_*")); left != nil {
				t.Errorf("left behind: %q", left)
			}
		})
	}
}

// Damage that only a read notices is mended by the next fetch, although nothing is new.
//
// Covers: R02
func TestReadOfADamagedMirrorLeadsToAFreshOne(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	p := newPull(t, map[string]file{"a": text("1")}, map[string]file{"a": text("2")}, func(c *workspace.Config) { c.Dir = dir })
	packs, err := filepath.Glob(filepath.Join(dir, "1.git/objects/pack/*.pack"))
	if err != nil || len(packs) == 0 {
		t.Fatalf("packs: %q, %v", packs, err)
	}
	for _, pack := range packs {
		if err := os.Remove(pack); err != nil {
			t.Fatal(err)
		}
	}
	_, err = p.w.Tree(t.Context(), 1, p.head)
	if !errors.Is(err, workspace.ErrTemporary) {
		t.Fatalf("got %v, want a temporary fault", err)
	}
	f := p.fetch()
	f.KnownHead, f.KnownBase = p.head, p.base
	if _, err := p.w.Fetch(t.Context(), f); err != nil {
		t.Fatal(err)
	}
	if _, err := p.w.Tree(t.Context(), 1, p.head); err != nil {
		t.Errorf("after the fetch: %v", err)
	}
}

func TestReadWithoutAMirror(t *testing.T) {
	t.Parallel()
	w := newWorkspace(t)
	id := strings.Repeat("1", 40)
	_, treeErr := w.Tree(t.Context(), 99, id)
	_, mergeErr := w.Merge(t.Context(), 99, id, id)
	_, ancestorErr := w.IsAncestor(t.Context(), 99, id, id)
	for _, err := range []error{treeErr, mergeErr, ancestorErr} {
		if !errors.Is(err, workspace.ErrTemporary) {
			t.Errorf("got %v, want a temporary fault", err)
		}
	}
}

// A git that outlives its server keeps the mirror locked until it ends.
func TestFetchWaitsForTheLockOfAnotherProcess(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	p := newPull(t, map[string]file{"a": text("1")}, map[string]file{"a": text("2")}, func(c *workspace.Config) { c.Dir = dir })
	other, err := os.OpenFile(filepath.Join(dir, "1.lock"), os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	if err := syscall.Flock(int(other.Fd()), syscall.LOCK_EX); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	before := p.hits.Load()
	if _, err := p.w.Fetch(ctx, p.fetch()); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v, want the deadline", err)
	}
	if p.hits.Load() != before {
		t.Error("it fetched without the lock")
	}
	if err := syscall.Flock(int(other.Fd()), syscall.LOCK_UN); err != nil {
		t.Fatal(err)
	}
	if _, err := p.w.Fetch(t.Context(), p.fetch()); err != nil {
		t.Errorf("after the lock's release: %v", err)
	}
}

// Covers: R02
func TestFetchCancelledHalfway(t *testing.T) {
	t.Parallel()
	p := newPull(t, map[string]file{"a": text("1")}, map[string]file{"a": text("2")})
	ctx, cancel := context.WithCancel(t.Context())
	gone := make(chan struct{})
	p.answer(func(_ http.ResponseWriter, r *http.Request) bool {
		cancel()
		<-r.Context().Done() // the client, which is git, has hung up
		close(gone)
		return true
	})
	if _, err := p.w.Fetch(ctx, p.fetch()); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want the cancellation", err)
	}
	<-gone
	p.answer(nil)
	if _, err := p.w.Fetch(t.Context(), p.fetch()); err != nil {
		t.Errorf("afterwards: %v", err)
	}
}

// Covers: T71
func TestFetchRefusesALargePack(t *testing.T) {
	t.Parallel()
	noise := make([]byte, 1<<20)
	_, _ = rand.Read(noise)
	dir := t.TempDir()
	p := newPull(t, map[string]file{"a": text("1")}, map[string]file{"a": text("2")},
		func(c *workspace.Config) { c.MaxBytes, c.Dir = 256<<10, dir })
	p.commit("refs/pull/7/head", p.head, map[string]file{"big": {content: noise}})
	_, err := p.w.Fetch(t.Context(), p.fetch())
	wantFault(t, err, "too large")
	if left, _ := filepath.Glob(filepath.Join(dir, "1.git/objects/pack/tmp_*")); left != nil {
		t.Errorf("left behind: %q", left)
	}
	p.commit("refs/pull/7/head", p.head, map[string]file{"small": {content: noise[:1000]}})
	if _, err := p.w.Fetch(t.Context(), p.fetch()); err != nil {
		t.Errorf("a small pack: %v", err)
	}
}

// Names that reach git's own directory on some file system never enter the mirror.
//
// Covers: T68, T70
func TestFetchRefusesHostileTrees(t *testing.T) {
	t.Parallel()
	for _, name := range []string{".git", ".GIT", "git~1", ".git ", "..", "."} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newPull(t, map[string]file{"a": text("1")}, map[string]file{"a": text("2")})
			p.hostile("refs/pull/7/head", "40000 "+name, p.git("rev-parse", p.base+"^{tree}"))
			_, err := p.w.Fetch(t.Context(), p.fetch())
			wantFault(t, err, "could not be fetched")
		})
	}
	t.Run("harmless", func(t *testing.T) {
		t.Parallel()
		p := newPull(t, map[string]file{"a": text("1")}, map[string]file{"a": text("2")})
		p.hostile("refs/pull/7/head", "40000 .github", p.git("rev-parse", p.base+"^{tree}"))
		if _, err := p.w.Fetch(t.Context(), p.fetch()); err != nil {
			t.Error(err)
		}
	})
}

func TestConcurrentFetchesAndReads(t *testing.T) {
	t.Parallel()
	p := newPull(t, map[string]file{"a": text("1")}, map[string]file{"a": text("2")})
	var wg sync.WaitGroup
	for i := range 12 {
		wg.Go(func() {
			got, err := p.w.Fetch(t.Context(), p.fetch())
			if err != nil {
				t.Errorf("%d: fetch: %v", i, err)
				return
			}
			if content, err := p.w.ReadFile(t.Context(), 1, got.Head, "a", 10); err != nil || string(content) != "2" {
				t.Errorf("%d: read %q, %v", i, content, err)
			}
		})
	}
	wg.Wait()
}

func TestManyFetchesStayTidy(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	p := newPull(t, map[string]file{"a": text("1")}, map[string]file{"a": text("2")}, func(c *workspace.Config) { c.Dir = dir })
	m, err := p.w.Merge(t.Context(), 1, p.advance("o", "o"), p.head)
	if err != nil {
		t.Fatal(err)
	}
	long := time.Now().Add(-30 * 24 * time.Hour)
	aged := 0
	err = filepath.WalkDir(filepath.Join(dir, "1.git/merged"), func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			aged++
			err = os.Chtimes(path, long, long)
		}
		return err
	})
	if err != nil || aged == 0 {
		t.Fatalf("aged %d objects: %v", aged, err)
	}
	head := p.head
	for i := range 40 {
		head = p.commit("refs/pull/7/head", head, map[string]file{"a": text(fmt.Sprint(i))})
		if got, err := p.w.Fetch(t.Context(), p.fetch()); err != nil || got.Head != head {
			t.Fatalf("%d: got %+v, %v", i, got, err)
		}
	}
	packs, err := filepath.Glob(filepath.Join(dir, "1.git/objects/pack/*.pack"))
	if err != nil || len(packs) > 32 {
		t.Errorf("%d packs, %v", len(packs), err)
	}
	if content, err := p.w.ReadFile(t.Context(), 1, head, "a", 10); err != nil || string(content) != "39" {
		t.Errorf("read %q, %v", content, err)
	}
	if _, err := p.w.Tree(t.Context(), 1, m.Tree); !errors.Is(err, workspace.ErrTemporary) {
		t.Errorf("a merge that is a month old is still there: %v", err)
	}
}
