package workspace_test

import (
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/tollgate/tollgate/internal/workspace"
)

// listing is every path below a directory with its kind and content.
func listing(t *testing.T, dir string) map[string]string {
	t.Helper()
	found := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		name, _ := filepath.Rel(dir, path)
		if d.Type()&fs.ModeSymlink != 0 {
			target, err := os.Readlink(path)
			found[name] = "-> " + target
			return err
		}
		content, err := os.ReadFile(path)
		found[name] = string(content)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

func wantListing(t *testing.T, dir string, want map[string]string) {
	t.Helper()
	got := listing(t, dir)
	for name, content := range want {
		if got[name] != content {
			t.Errorf("%s is %q, want %q", name, got[name], content)
		}
	}
	for name := range got {
		if _, ok := want[name]; !ok {
			t.Errorf("%s should not be there", name)
		}
	}
}

// What a repository says of its files in .gitattributes changes nothing about what is written.
func TestCheckoutWritesTheBytesOfTheCommit(t *testing.T) {
	t.Parallel()
	var asked atomic.Bool
	listener := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked.Store(true) }))
	defer listener.Close()
	canary := filepath.Join(t.TempDir(), "canary")
	pointer := "version https://git-lfs.github.com/spec/v1\noid sha256:" + strings.Repeat("a", 64) + "\nsize 12\n"
	want := map[string]string{
		".gitattributes":     "* text eol=crlf\nhidden.tf export-ignore\nsubst.tf export-subst\n*.bin filter=lfs diff=lfs merge=lfs\n*.tf filter=evil ident\n",
		".gitconfig":         "[filter \"evil\"]\n\tsmudge = touch " + canary + "\n",
		".lfsconfig":         "[lfs]\n\turl = " + listener.URL + "\n",
		".gitmodules":        "[submodule \"x\"]\n\tpath = x\n\turl = https://example.com/x\n",
		"main.tf":            "a\nb\n$Id$\n",
		"hidden.tf":          "backend\n",
		"subst.tf":           "$Format:%H$\n",
		"big.bin":            pointer,
		"empty":              "",
		"deep/er/and/deeper": "x",
		"name with\nbreak":   "y",
	}
	head := map[string]file{}
	for name, content := range want {
		head[name] = text(content)
	}
	p := newPull(t, map[string]file{"main.tf": text("old")}, head)
	dest := filepath.Join(t.TempDir(), "tree")
	done, err := p.w.Checkout(t.Context(), 1, p.head, dest)
	if err != nil {
		t.Fatal(err)
	}
	wantListing(t, dest, want)
	if !slices.Equal(done.LFSPointers, []string{"big.bin"}) || done.Files != len(want) {
		t.Errorf("got %+v", done)
	}
	if asked.Load() {
		t.Error("the LFS server was asked")
	}
	if _, err := os.Lstat(canary); err == nil {
		t.Error("a filter ran")
	}
	files, err := p.w.FS(t.Context(), 1, p.head, ".", nil)
	if err != nil {
		t.Fatal(err)
	}
	for name, content := range want {
		if got, err := fs.ReadFile(files, name); err != nil || string(got) != content {
			t.Errorf("FS: %s is %q, %v; want %q", name, got, err, content)
		}
	}
}

func TestCheckoutPermissions(t *testing.T) {
	t.Parallel()
	p := newPull(t, map[string]file{"a": text("1")}, map[string]file{"d/a": text("2"), "d/run": {mode: "100755", content: []byte("#!")}})
	dest := filepath.Join(t.TempDir(), "tree")
	if _, err := p.w.Checkout(t.Context(), 1, p.head, dest); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]fs.FileMode{"d/a": 0o444, "d/run": 0o555, "d": 0o755 | fs.ModeDir, ".": 0o700 | fs.ModeDir} {
		info, err := os.Stat(filepath.Join(dest, name))
		if err != nil || info.Mode() != want {
			t.Errorf("%s has %v, %v; want %v", name, info.Mode(), err, want)
		}
	}
}

// Covers: T70
func TestCheckoutOfLinks(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name  string
		links map[string]file
		ok    bool
	}{
		{"to a file beside it", map[string]file{"dir/l": link("x")}, true},
		{"up, but not out", map[string]file{"dir/l": link("../a")}, true},
		{"to the root", map[string]file{"dir/l": link("..")}, true},
		{"to a directory", map[string]file{"l": link("dir")}, true},
		{"to nothing yet", map[string]file{"l": link("dir/later")}, true},
		{"through another link", map[string]file{"m": link("dir"), "l": link("m/x")}, true},
		{"absolute", map[string]file{"l": link("/etc/passwd")}, false},
		{"out", map[string]file{"l": link("../x")}, false},
		{"out and in again", map[string]file{"dir/l": link("../../tree/a")}, false},
		{"far out", map[string]file{"dir/l": link("x/../../../etc")}, false},
		{"out through another link", map[string]file{"dir/m": link("deep"), "dir/deep/x": text("1"), "dir/l": link("m/../../../x")}, false},
		{"out by what a link makes of dots", map[string]file{"dir/up": link("../dir2"), "dir2/x": text("1"), "l": link("dir/up/../../x")}, false},
		{"to /proc by a chain", map[string]file{"one": link("two"), "two": link("/proc/self")}, false},
		{"to itself", map[string]file{"l": link("l")}, false},
		{"round in a circle", map[string]file{"l": link("m"), "m": link("l")}, false},
		{"empty", map[string]file{"l": link("")}, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			p := newPull(t, map[string]file{"a": text("1"), "dir/x": text("x")}, test.links)
			dest := filepath.Join(t.TempDir(), "tree")
			_, err := p.w.Checkout(t.Context(), 1, p.head, dest)
			if test.ok {
				if err != nil {
					t.Fatal(err)
				}
				for name, f := range test.links {
					if target, err := os.Readlink(filepath.Join(dest, name)); f.mode == "120000" && (err != nil || target != string(f.content)) {
						t.Errorf("%s leads to %q, %v", name, target, err)
					}
				}
				return
			}
			wantFault(t, err, "leads out of it")
			wantNothing(t, dest)
		})
	}
}

func wantNothing(t *testing.T, dest string) {
	t.Helper()
	if _, err := os.Lstat(dest); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("something is left at %s: %v", dest, err)
	}
}

// Covers: T68, T70
func TestCheckoutRefusals(t *testing.T) {
	t.Parallel()
	large := func(c *workspace.Config) { c.MaxBytes = 1 << 20 }
	few := func(c *workspace.Config) { c.MaxEntries = 5 }
	zeros := file{content: make([]byte, 3<<20)} // a few kilobytes of pack
	for _, test := range []struct {
		name   string
		head   map[string]file
		limit  func(*workspace.Config)
		refuse string // empty: accepted
	}{
		{"a submodule", map[string]file{"sub": {mode: "160000", content: []byte(strings.Repeat("1", 40))}}, large, "has a submodule"},
		{"a large file", map[string]file{"zeros": zeros}, large, "too large"},
		{"many large files with one content", map[string]file{"1": {content: zeros.content[:600<<10]}, "2": {content: zeros.content[:600<<10]}}, large, "too large"},
		{"one of them", map[string]file{"1": {content: zeros.content[:600<<10]}}, large, ""},
		{"too many files", map[string]file{"d/1": text("1"), "d/2": text("2"), "d/3": text("3"), "d/4": text("4")}, few, "too many files"},
		{"as many as allowed", map[string]file{"d/1": text("1"), "d/2": text("2"), "d/3": text("3")}, few, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			p := newPull(t, map[string]file{"a": text("1")}, test.head, test.limit)
			dest := filepath.Join(t.TempDir(), "tree")
			_, err := p.w.Checkout(t.Context(), 1, p.head, dest)
			if test.refuse == "" {
				if err != nil {
					t.Error(err)
				}
				return
			}
			wantFault(t, err, test.refuse)
			wantNothing(t, dest)
		})
	}
}

// Ten trees, each holding the next ten times, are a few hundred bytes and ten thousand million files.
//
// Covers: T71
func TestCheckoutOfABomb(t *testing.T) {
	t.Parallel()
	p := newPull(t, map[string]file{"a": text("1")}, map[string]file{"a": text("2")})
	inner := "100644 blob " + p.git("rev-parse", p.base+":a")
	for range 10 {
		var tree strings.Builder
		for i := range 10 {
			fmt.Fprintf(&tree, "%s\tf%d\n", inner, i)
		}
		inner = "040000 tree " + runGit(t, p.dir, []byte(tree.String()), "mktree")
	}
	p.head = p.git("-c", "user.name=T", "-c", "user.email=t@example.com", "commit-tree", "-m", "bomb", strings.Fields(inner)[2])
	p.git("update-ref", "refs/pull/7/head", p.head)
	if _, err := p.w.Fetch(t.Context(), p.fetch()); err != nil {
		t.Fatal(err)
	}
	dest := filepath.Join(t.TempDir(), "tree")
	_, err := p.w.Checkout(t.Context(), 1, p.head, dest)
	wantFault(t, err, "too many files")
	wantNothing(t, dest)
	_, err = p.w.FS(t.Context(), 1, p.head, ".", nil)
	wantFault(t, err, "too many files")
	_, err = p.w.ChangedFiles(t.Context(), 1, p.base, p.head)
	wantFault(t, err, "too many files")
}

func TestCheckoutLeavesWhatIsThereAlone(t *testing.T) {
	t.Parallel()
	p := newPull(t, map[string]file{"a": text("1")}, map[string]file{"a": text("2")})
	dest := t.TempDir()
	if err := os.WriteFile(filepath.Join(dest, "mine"), []byte("mine"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := p.w.Checkout(t.Context(), 1, p.head, dest); err == nil {
		t.Error("it wrote into a directory that exists")
	}
	wantListing(t, dest, map[string]string{"mine": "mine"})
}

func TestFS(t *testing.T) {
	t.Parallel()
	p := newPull(t, map[string]file{"a": text("1")}, map[string]file{
		"main.tf": text("root"), "mod/main.tf": text("mod"), "mod/readme.md": text("no"), "mod/sub/x.tf": text("x"),
		"live/mod": link("../mod"), "live/out": link("../../out"), "live/self": link("."), "lib": link("mod/main.tf"),
		"sub": {mode: "160000", content: []byte(strings.Repeat("1", 40))},
	})
	onlyTF := func(name string) bool { return strings.HasSuffix(name, ".tf") || name == "lib" }
	for _, test := range []struct {
		subdir string
		want   []string
	}{
		{".", []string{"lib", "live/mod/main.tf", "live/mod/sub/x.tf", "main.tf", "mod/main.tf", "mod/sub/x.tf"}},
		{"mod", []string{"main.tf", "sub/x.tf"}},
		{"live/mod", []string{"main.tf", "sub/x.tf"}},
		{"none", nil},
		{"main.tf", nil},
	} {
		files, err := p.w.FS(t.Context(), 1, p.head, test.subdir, onlyTF)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		err = fs.WalkDir(files, ".", func(name string, d fs.DirEntry, err error) error {
			if err == nil && !d.IsDir() {
				got = append(got, name)
			}
			return err
		})
		if err != nil || !slices.Equal(got, test.want) {
			t.Errorf("%s: got %q, %v; want %q", test.subdir, got, err, test.want)
		}
	}
	for _, subdir := range []string{"..", "/etc", "a/../b", ""} {
		if _, err := p.w.FS(t.Context(), 1, p.head, subdir, nil); !errors.Is(err, fs.ErrInvalid) {
			t.Errorf("%q: got %v, want it refused", subdir, err)
		}
	}
}

func TestFSRefusesTooMuch(t *testing.T) {
	t.Parallel()
	p := newPull(t, map[string]file{"a": text("1")}, map[string]file{"zeros": {content: make([]byte, 2<<20)}},
		func(c *workspace.Config) { c.MaxBytes = 1 << 20 })
	_, err := p.w.FS(t.Context(), 1, p.head, ".", nil)
	wantFault(t, err, "too large")
	if _, err := p.w.FS(t.Context(), 1, p.head, ".", func(name string) bool { return name != "zeros" }); err != nil {
		t.Errorf("without the large file: %v", err)
	}
}

func TestReadFile(t *testing.T) {
	t.Parallel()
	p := newPull(t, map[string]file{"a": text("1")}, map[string]file{"d/file": text("12345"), "d/empty": text(""), "d/link": link("file"), "l": link("d")})
	for _, test := range []struct {
		path string
		max  int64
		want string
	}{{"d/file", 5, "12345"}, {"d/empty", 0, ""}, {"a", 10, "1"}} {
		if got, err := p.w.ReadFile(t.Context(), 1, p.head, test.path, test.max); err != nil || string(got) != test.want {
			t.Errorf("%s: got %q, %v; want %q", test.path, got, err, test.want)
		}
	}
	for _, path := range []string{"none", "d/none", "a/below", "none/none"} {
		if _, err := p.w.ReadFile(t.Context(), 1, p.head, path, 10); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s: got %v, want it not to exist", path, err)
		}
	}
	_, err := p.w.ReadFile(t.Context(), 1, p.head, "d/file", 4)
	wantFault(t, err, "too large")
	for _, path := range []string{"d", "d/link", "l/file", "."} { // not "does not exist"
		_, err := p.w.ReadFile(t.Context(), 1, p.head, path, 10)
		wantFault(t, err, "not a regular file")
	}
	for _, path := range []string{"../a", "/a", "d//file", ""} {
		if _, err := p.w.ReadFile(t.Context(), 1, p.head, path, 10); !errors.Is(err, fs.ErrInvalid) {
			t.Errorf("%q: got %v, want it refused", path, err)
		}
	}
}
