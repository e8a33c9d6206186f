package workspace_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"testing/fstest"
)

func TestPullRequestToDisk(t *testing.T) {
	t.Parallel()
	p := newPull(t,
		map[string]file{"a/main.tf": text("one\n"), "old name.tf": text("same\ncontent\n"), "README.md": text("hello\n"), "run.sh": {mode: "100755", content: []byte("#!/bin/sh\n")}},
		map[string]file{"a/main.tf": text("two\n"), "old name.tf": {}, "b/new.tf": text("same\ncontent\n"), "b/link.tf": link("../a/main.tf")},
	)
	base := p.commit("refs/heads/main", p.base, map[string]file{"README.md": text("hello again\n")})
	got, err := p.w.Fetch(t.Context(), p.fetch())
	if err != nil || got.Base != base {
		t.Fatalf("got %+v, %v; want base %s", got, err, base)
	}

	m, err := p.w.Merge(t.Context(), 1, base, p.head)
	if err != nil || len(m.Conflicts) > 0 {
		t.Fatalf("merge: %+v, %v", m, err)
	}
	changed, err := p.w.ChangedFiles(t.Context(), 1, base, m.Tree)
	if want := []string{"a/main.tf", "b/link.tf", "b/new.tf", "old name.tf"}; err != nil || !slices.Equal(changed, want) {
		t.Errorf("changed %q, %v; want %q", changed, err, want)
	}
	readme, err := p.w.ReadFile(t.Context(), 1, m.Tree, "README.md", 100)
	if err != nil || string(readme) != "hello again\n" {
		t.Errorf("README.md is %q, %v", readme, err)
	}

	files, err := p.w.FS(t.Context(), 1, m.Tree, ".", nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := fstest.TestFS(files, "a/main.tf", "b/new.tf", "b/link.tf", "README.md", "run.sh"); err != nil {
		t.Error(err)
	}
	linked, err := fs.ReadFile(files, "b/link.tf")
	if err != nil || string(linked) != "two\n" {
		t.Errorf("through the link: %q, %v", linked, err)
	}

	dest := filepath.Join(t.TempDir(), "tree")
	done, err := p.w.Checkout(t.Context(), 1, m.Tree, dest)
	if err != nil || done.Files != 4 {
		t.Fatalf("checkout: %+v, %v", done, err)
	}
	for name, want := range map[string]string{"a/main.tf": "two\n", "b/link.tf": "two\n", "b/new.tf": "same\ncontent\n"} {
		if got, err := os.ReadFile(filepath.Join(dest, name)); err != nil || string(got) != want {
			t.Errorf("%s is %q, %v; want %q", name, got, err, want)
		}
	}
	info, err := os.Stat(filepath.Join(dest, "run.sh"))
	if err != nil || info.Mode().Perm() != 0o555 {
		t.Errorf("run.sh has mode %v, %v", info.Mode(), err)
	}
}
