package terraform_test

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/tollgate/tollgate/internal/terraform"
)

func lockOf(m terraform.Module) string { return filepath.Join(m.Root, "stack", ".terraform.lock.hcl") }

func TestProviderFromMirror(t *testing.T) {
	t.Parallel()
	dir, _ := mirror(t)
	b := newBench(t, func(c *terraform.Config) { c.Mirrors = []string{dir} })
	m := module(t, map[string]string{"main.tf": usesFake})
	_, file, log := plan(t, b, m)
	if !strings.Contains(log, "This project has no .terraform.lock.hcl") || strings.Contains(log, "override") {
		t.Errorf("log:\n%s", log)
	}
	if out, exit := apply(t, b, m, file); exit != 0 {
		t.Errorf("apply of a plan made with remembered hashes: exit %d\n%s", exit, out)
	}
	// A new checkout has no lock file again, and still needs no init.
	other := module(t, map[string]string{"main.tf": usesFake})
	other.StatePath = m.StatePath
	p, _, log := plan(t, b, other)
	if p.Initialised || !p.Summary.Counts.Empty() || strings.Contains(log, "Warning") {
		t.Errorf("second checkout: %+v\n%s", p, log)
	}
}

// Covers: T51
func TestLockFileIsObeyed(t *testing.T) {
	t.Parallel()
	dir, _ := mirror(t)
	b := newBench(t, func(c *terraform.Config) { c.Mirrors = []string{dir} })
	m := withLock(t, b, map[string]string{"main.tf": usesFake})
	good, err := os.ReadFile(lockOf(m))
	if err != nil {
		t.Fatal(err)
	}
	m.InitKey = "with lock file"
	if _, _, log := plan(t, b, m); strings.Contains(log, "has no .terraform.lock.hcl") {
		t.Errorf("log:\n%s", log)
	}

	edit(t, lockOf(m), func(lock []byte) []byte { return bytes.Replace(lock, []byte(`"h1:`), []byte(`"h1:Z`), 1) })
	bad, err := os.ReadFile(lockOf(m))
	if err != nil {
		t.Fatal(err)
	}
	m.InitKey = "with another lock file"
	explained(t, planError(t, b, m), terraform.ErrLockFile)
	if after, err := os.ReadFile(lockOf(m)); err != nil || !bytes.Equal(bad, after) {
		t.Errorf("the lock file was changed: %s, %v", after, err)
	}
	if err := os.WriteFile(lockOf(m), good, 0o644); err != nil {
		t.Fatal(err)
	}
	plan(t, b, m)

	// What it does not lock is not added.
	if err := os.WriteFile(lockOf(m), []byte("# Nothing is locked.\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	m.InitKey = "with an empty lock file"
	explained(t, planError(t, b, m), terraform.ErrLockFile)
}

// Covers: T52
func TestExchangedProviderIsNoticed(t *testing.T) {
	t.Parallel()
	dir, executable := mirror(t)
	b := newBench(t, func(c *terraform.Config) { c.Mirrors = []string{dir} })
	m := withLock(t, b, map[string]string{"main.tf": usesFake})
	plan(t, b, m)
	before, err := os.Stat(executable)
	if err != nil {
		t.Fatal(err)
	}
	flip := func(data []byte) []byte { data[len(data)-1] ^= 1; return data }

	edit(t, executable, flip)
	if err := os.Chtimes(executable, time.Time{}, before.ModTime()); err != nil {
		t.Fatal(err)
	}
	err = planError(t, b, m)
	explained(t, err, terraform.ErrLockFile)

	edit(t, executable, flip)
	if p, _, _ := plan(t, b, m); p.Initialised {
		t.Error("the original provider needed another init")
	}
}

// Covers: T40
func TestProviderFromCheckoutIsNotUsed(t *testing.T) {
	t.Parallel()
	dir, _ := mirror(t)
	// Nobody listens there, so that a search in the registry ends at once.
	const local = "localhost:1"
	if err := os.Rename(filepath.Join(dir, "example.com"), filepath.Join(dir, local)); err != nil {
		t.Fatal(err)
	}
	config := strings.ReplaceAll(usesFake, "example.com", local)

	b := newBench(t, nil)
	m := module(t, map[string]string{"main.tf": config, "terraform.d/plugins/README": ""})
	if err := os.CopyFS(filepath.Join(m.Root, "stack", "terraform.d", "plugins"), os.DirFS(dir)); err != nil {
		t.Fatal(err)
	}
	f := explained(t, planError(t, b, m), terraform.ErrProvider)
	if !strings.Contains(f.Diagnostics[0].Detail, local) {
		t.Errorf("diagnostics: %+v", f.Diagnostics)
	}

	configured := newBench(t, func(c *terraform.Config) { c.Mirrors = []string{dir} })
	plan(t, configured, m)
}

func TestUnknownProvider(t *testing.T) {
	t.Parallel()
	dir, _ := mirror(t)
	b := newBench(t, func(c *terraform.Config) { c.Mirrors = []string{dir} })
	m := module(t, map[string]string{"main.tf": strings.ReplaceAll(usesFake, `source = "example.com/acme/fake"`, `source = "example.com/acme/fake", version = "2.0.0"`)})
	err := planError(t, b, m)
	explained(t, err, terraform.ErrProvider)
	if errors.Is(err, terraform.ErrConfiguration) {
		t.Error("two kinds for one error")
	}
}
