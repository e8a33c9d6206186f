package workspace_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/tollgate/tollgate/internal/workspace"
)

func TestMerge(t *testing.T) {
	t.Parallel()
	base := map[string]file{"a": text("1\n2\n3\n4\n5\n"), "b": text("b\n"), "x\ny": text("odd\n"), ".gitattributes": text("* merge=evil\n")}
	for _, test := range []struct {
		name      string
		ours      map[string]file // on the base branch, after the pull request left it
		theirs    map[string]file
		conflicts []string
		want      map[string]string
	}{
		{"only the pull request moved", nil, map[string]file{"a": text("new\n")}, nil, map[string]string{"a": "new\n"}},
		{"different lines of one file", map[string]file{"a": text("one\n2\n3\n4\n5\n")}, map[string]file{"a": text("1\n2\n3\n4\nfive\n")}, nil, map[string]string{"a": "one\n2\n3\n4\nfive\n"}},
		{"the same lines", map[string]file{"a": text("ours\n")}, map[string]file{"a": text("theirs\n")}, []string{"a"}, nil},
		{"deleted and changed", map[string]file{"b": {}}, map[string]file{"b": text("changed\n")}, []string{"b"}, nil},
		{"a name with a line break", map[string]file{"x\ny": text("ours\n")}, map[string]file{"x\ny": text("theirs\n"), "b": text("fine\n")}, []string{"x\ny"}, nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			p := newPull(t, base, test.theirs)
			if test.ours != nil {
				p.base = p.commit("refs/heads/main", p.base, test.ours)
				if _, err := p.w.Fetch(t.Context(), p.fetch()); err != nil {
					t.Fatal(err)
				}
			}
			m, err := p.w.Merge(t.Context(), 1, p.base, p.head)
			if err != nil || !slices.Equal(m.Conflicts, test.conflicts) || (m.Tree == "") != (test.conflicts != nil) {
				t.Fatalf("got %+v, %v; want conflicts %q", m, err, test.conflicts)
			}
			for name, want := range test.want {
				if got, err := p.w.ReadFile(t.Context(), 1, m.Tree, name, 100); err != nil || string(got) != want {
					t.Errorf("%s is %q, %v; want %q", name, got, err, want)
				}
			}
		})
	}
}

// The merge of what is already merged is the base's own tree, so that nothing has changed.
func TestMergeOfAnAncestor(t *testing.T) {
	t.Parallel()
	p := newPull(t, map[string]file{"a": text("1")}, map[string]file{"a": text("2")})
	m, err := p.w.Merge(t.Context(), 1, p.head, p.base)
	if err != nil {
		t.Fatal(err)
	}
	tree, err := p.w.Tree(t.Context(), 1, p.head)
	if err != nil || m.Tree != tree {
		t.Errorf("got %s, want %s (%v)", m.Tree, tree, err)
	}
}

func TestMergeOfUnrelatedHistories(t *testing.T) {
	t.Parallel()
	p := newPull(t, map[string]file{"a": text("1")}, map[string]file{"a": text("2")})
	other := p.commit("refs/pull/7/head", "", map[string]file{"z": text("1")})
	if _, err := p.w.Fetch(t.Context(), p.fetch()); err != nil {
		t.Fatal(err)
	}
	_, err := p.w.Merge(t.Context(), 1, p.base, other)
	wantFault(t, err, "shares no history")
}

func TestIsAncestor(t *testing.T) {
	t.Parallel()
	p := newPull(t, map[string]file{"a": text("1")}, map[string]file{"a": text("2")})
	for _, test := range []struct {
		ancestor, descendant string
		want                 bool
	}{{p.base, p.head, true}, {p.head, p.head, true}, {p.head, p.base, false}} {
		if got, err := p.w.IsAncestor(t.Context(), 1, test.ancestor, test.descendant); err != nil || got != test.want {
			t.Errorf("got %v, %v; want %v", got, err, test.want)
		}
	}
	if _, err := p.w.IsAncestor(t.Context(), 1, p.base, strings.Repeat("1", 40)); err == nil {
		t.Error("a commit that does not exist has ancestors")
	}
}

func TestFirstParent(t *testing.T) {
	t.Parallel()
	p := newPull(t, map[string]file{"a": text("1")}, map[string]file{"a": text("2")})
	before := p.advance("b", "b")
	tree := p.git("rev-parse", p.head+"^{tree}")
	merge := p.git("-c", "user.name=T", "-c", "user.email=t@example.com", "commit-tree", "-m", "parent of nothing\n\nparent "+p.head,
		"-p", before, "-p", p.head, tree)
	p.git("update-ref", "refs/heads/main", merge)
	if got, err := p.w.Fetch(t.Context(), p.fetch()); err != nil || got.Base != merge {
		t.Fatalf("got %+v, %v; want base %s", got, err, merge)
	}
	if got, err := p.w.FirstParent(t.Context(), 1, merge); err != nil || got != before {
		t.Errorf("got %s, %v; want %s", got, err, before)
	}
	root := p.git("rev-list", "--max-parents=0", before)
	if got, err := p.w.FirstParent(t.Context(), 1, root); err == nil {
		t.Errorf("a root commit has the parent %s", got)
	}
	if got, err := p.w.FirstParent(t.Context(), 1, tree); err == nil {
		t.Errorf("a tree has the parent %s", got)
	}
}

// Whatever is not a full object id never reaches git.
//
// Covers: T66
func TestOnlyObjectIDsAreAccepted(t *testing.T) {
	t.Parallel()
	p := newPull(t, map[string]file{"a": text("1")}, map[string]file{"a": text("2")})
	calls := map[string]func(id string) error{
		"Merge": func(id string) error { _, err := p.w.Merge(t.Context(), 1, p.base, id); return err },
		"Tree":  func(id string) error { _, err := p.w.Tree(t.Context(), 1, id); return err },
		"ChangedFiles": func(id string) error {
			_, err := p.w.ChangedFiles(t.Context(), 1, p.base, id)
			return err
		},
		"ReadFile": func(id string) error { _, err := p.w.ReadFile(t.Context(), 1, id, "a", 10); return err },
		"FS":       func(id string) error { _, err := p.w.FS(t.Context(), 1, id, ".", nil); return err },
		"Checkout": func(id string) error { _, err := p.w.Checkout(t.Context(), 1, id, t.TempDir()+"/x"); return err },
		"FirstParent": func(id string) error {
			_, err := p.w.FirstParent(t.Context(), 1, id)
			return err
		},
		"IsAncestor": func(id string) error { _, err := p.w.IsAncestor(t.Context(), 1, p.base, id); return err },
	}
	for name, call := range calls {
		for _, id := range []string{"", "HEAD", "main", "-h", "--output=x", p.head[:39], p.head + "\n", p.head + "^{tree}", strings.ToUpper(p.head), p.head + " " + p.head} {
			if call(id) == nil {
				t.Errorf("%s accepts %q", name, id)
			}
		}
		if err := call(p.head); err != nil {
			t.Errorf("%s refuses a commit: %v", name, err)
		}
	}
}

func TestChangedFiles(t *testing.T) {
	t.Parallel()
	base := map[string]file{
		"same":           text("same\n"),
		"dir/old.tf":     text("a\nb\nc\n"),
		"swap":           text("file\n"),
		"fold/er":        text("x\n"),
		"script":         text("#!\n"),
		"shared/main.tf": text("1\n"),
		"live/module":    link("../shared"),
		"live/one.tf":    link("../shared/main.tf"),
		"live/outside":   link("../../etc"),
	}
	for _, test := range []struct {
		name string
		head map[string]file
		want []string
	}{
		{"nothing", map[string]file{}, nil},
		{"a new file", map[string]file{"dir/new.tf": text("n")}, []string{"dir/new.tf"}},
		{"both names of a rename", map[string]file{"dir/old.tf": {}, "other/new.tf": text("a\nb\nc\n")}, []string{"dir/old.tf", "other/new.tf"}},
		{"only the mode", map[string]file{"script": {mode: "100755", content: []byte("#!\n")}}, []string{"script"}},
		{"a file becomes a directory", map[string]file{"swap": {}, "swap/x/y": text("1")}, []string{"swap", "swap/x/y"}},
		{"a directory becomes a file", map[string]file{"fold/er": {}, "fold": text("1")}, []string{"fold", "fold/er"}},
		{"a file becomes a link", map[string]file{"same": link("script")}, []string{"same"}},
		{"a submodule", map[string]file{"sub": {mode: "160000", content: []byte(strings.Repeat("1", 40))}}, []string{"sub"}},
		{"what links lead to", map[string]file{"shared/main.tf": text("2\n")}, []string{"live/module/main.tf", "live/one.tf", "shared/main.tf"}},
		{"odd names", map[string]file{"a\nb\tc": text("1"), "ü \"q\"": text("1")}, []string{"a\nb\tc", "ü \"q\""}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			p := newPull(t, base, test.head)
			got, err := p.w.ChangedFiles(t.Context(), 1, p.base, p.head)
			if err != nil || !slices.Equal(got, test.want) {
				t.Errorf("got %q, %v; want %q", got, err, test.want)
			}
			back, err := p.w.ChangedFiles(t.Context(), 1, p.head, p.base)
			if err != nil || !slices.Equal(back, got) {
				t.Errorf("backwards %q, %v; want %q", back, err, got)
			}
		})
	}
}

// Beyond the 3,000 files that GitHub's own list ends at.
//
// Covers: T35
func TestChangedFilesHasNoLimit(t *testing.T) {
	t.Parallel()
	head := map[string]file{"zz/main.tf": text("1")}
	for i := range 3100 {
		head["aa/"+strings.Repeat("x", i%7)+string(rune('a'+i%26))+strings.Repeat("y", i/26)] = text("1")
	}
	p := newPull(t, map[string]file{"a": text("1")}, head)
	got, err := p.w.ChangedFiles(t.Context(), 1, p.base, p.head)
	if err != nil || len(got) != len(head) || got[len(got)-1] != "zz/main.tf" {
		t.Errorf("got %d files, %v; want %d", len(got), err, len(head))
	}
}

func TestChangedFilesRefusesTooMany(t *testing.T) {
	t.Parallel()
	head := map[string]file{"1/1": text("1"), "1/2": text("1"), "1/3": text("1"), "1/4": text("1"), "1/5": text("1"), "1/6": text("1")}
	p := newPull(t, map[string]file{"a": text("1")}, head, func(c *workspace.Config) { c.MaxEntries = 4 })
	_, err := p.w.ChangedFiles(t.Context(), 1, p.base, p.head)
	wantFault(t, err, "too many files")
}
