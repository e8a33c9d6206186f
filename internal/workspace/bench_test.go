package workspace_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tollgate/tollgate/internal/workspace"
)

// BenchmarkWarmPullRequest is what every push costs: a repository of 500 files, fetched over HTTP,
// merged, compared, read for the parsers and checked out.
func BenchmarkWarmPullRequest(b *testing.B) {
	log := filepath.Join(b.TempDir(), "processes")
	base := map[string]file{}
	for i := range 500 {
		base[fmt.Sprintf("live/%d/module-%d/main.tf", i%5, i%50)+strings.Repeat("x", i/50)+".tf"] = text(strings.Repeat("resource \"a\" \"b\" {\n  c = 1\n}\n", 40+i%60))
	}
	dir := b.TempDir()
	p := newPull(b, base, map[string]file{"live/0/new.tf": text("1\n")}, func(c *workspace.Config) { c.Dir = dir })
	w := p.w
	if os.Getenv("TOLLGATE_BENCH_PROCESSES") != "" { // counting costs a shell per process
		w = newWorkspace(b, func(c *workspace.Config) { c.Dir, c.Git = dir, script(b, "echo $$ >> '"+log+"'") })
	}
	head, n := p.head, 0
	for b.Loop() {
		b.StopTimer()
		n++
		head = p.commit("refs/pull/7/head", head, map[string]file{"live/0/new.tf": text(fmt.Sprintln(n))})
		dest := filepath.Join(b.TempDir(), "tree")
		b.StartTimer()
		got, err := w.Fetch(b.Context(), p.fetch())
		if err != nil || got.Head != head {
			b.Fatal(got, err)
		}
		m, err := w.Merge(b.Context(), 1, got.Base, got.Head)
		if err != nil {
			b.Fatal(err)
		}
		if changed, err := w.ChangedFiles(b.Context(), 1, got.Base, m.Tree); err != nil || len(changed) != 1 {
			b.Fatal(changed, err)
		}
		if _, err := w.FS(b.Context(), 1, m.Tree, ".", nil); err != nil {
			b.Fatal(err)
		}
		if done, err := w.Checkout(b.Context(), 1, m.Tree, dest); err != nil || done.Files != 501 {
			b.Fatal(done, err)
		}
	}
	if started, err := os.ReadFile(log); err == nil {
		b.ReportMetric(float64(bytes.Count(started, []byte("\n")))/float64(n), "processes/op")
	}
}

func BenchmarkSteps(b *testing.B) {
	base := map[string]file{}
	for i := range 500 {
		base[fmt.Sprintf("live/%d/m%d/f%d.tf", i%5, i%50, i)] = text(strings.Repeat("resource \"a\" \"b\" {\n  c = 1\n}\n", 40+i%60))
	}
	p := newPull(b, base, map[string]file{"live/0/new.tf": text("1\n")})
	m, err := p.w.Merge(b.Context(), 1, p.base, p.head)
	if err != nil {
		b.Fatal(err)
	}
	steps := map[string]func(b *testing.B) error{
		"fetch, nothing new": func(b *testing.B) error { _, err := p.w.Fetch(b.Context(), p.fetch()); return err },
		"fetch, known": func(b *testing.B) error {
			f := p.fetch()
			f.KnownHead, f.KnownBase = p.head, p.base
			_, err := p.w.Fetch(b.Context(), f)
			return err
		},
		"merge":   func(b *testing.B) error { _, err := p.w.Merge(b.Context(), 1, p.base, p.head); return err },
		"changed": func(b *testing.B) error { _, err := p.w.ChangedFiles(b.Context(), 1, p.base, m.Tree); return err },
		"fs":      func(b *testing.B) error { _, err := p.w.FS(b.Context(), 1, m.Tree, ".", nil); return err },
		"readfile": func(b *testing.B) error {
			_, err := p.w.ReadFile(b.Context(), 1, p.base, "live/0/m0/f0.tf", 1<<20)
			return err
		},
		"checkout": func(b *testing.B) error {
			_, err := p.w.Checkout(b.Context(), 1, m.Tree, filepath.Join(b.TempDir(), "tree"))
			return err
		},
	}
	for name, step := range steps {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				if err := step(b); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
