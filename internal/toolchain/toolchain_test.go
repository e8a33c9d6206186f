package toolchain_test

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tollgate/tollgate/internal/fault"
	"github.com/tollgate/tollgate/internal/toolchain"
)

// nowhere is an address at which nothing answers.
const nowhere = "http://127.0.0.1:1"

// program writes an executable shell script and returns its path.
func program(t *testing.T, dir, name, script string) string {
	t.Helper()
	path := filepath.Join(dir, name)
	write(t, path, "#!/bin/sh\n"+script+"\n")
	if err := os.Chmod(path, 0o755); err != nil {
		t.Fatal(err)
	}
	return path
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

// onlyPath makes PATH one fresh directory in front of the shell's own tools, and returns it.
func onlyPath(t *testing.T) string {
	t.Helper()
	dir, tools := t.TempDir(), t.TempDir()
	for _, name := range []string{"sh", "mkdir", "cat", "chmod", "touch", "echo"} {
		if err := os.Symlink("/bin/"+name, filepath.Join(tools, name)); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("PATH", dir+string(os.PathListSeparator)+tools)
	return dir
}

// offline is a configuration that can install in principle and reaches nothing.
func offline(t *testing.T) toolchain.Config {
	t.Helper()
	return toolchain.WithSites(toolchain.Config{CacheDir: t.TempDir()}, nowhere, "", nowhere)
}

// wantFault fails unless err is safe to show and says what, and what to do.
func wantFault(t *testing.T, err error, what string) {
	t.Helper()
	var public *fault.Error
	if !errors.As(err, &public) {
		t.Fatalf("error is %v, want a *fault.Error", err)
	}
	if !strings.Contains(public.What, what) || public.Fix == "" {
		t.Errorf("error says %q and advises %q, want it to say %q and to advise something", public.What, public.Fix, what)
	}
}

func read(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// empty fails if an unfinished installation was left behind.
func empty(t *testing.T, dir string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, entry os.DirEntry, err error) error {
		if err == nil && !entry.IsDir() {
			t.Errorf("left behind: %s", path)
		}
		if strings.Contains(entry.Name(), "incomplete") {
			t.Errorf("left behind: %s", path)
		}
		return err
	})
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		t.Fatal(err)
	}
}

func TestEnsureNamesAllThatIsMissing(t *testing.T) {
	dir := onlyPath(t)
	cfg := toolchain.WithSites(toolchain.Config{}, nowhere, "", nowhere)
	var progress bytes.Buffer
	cfg.Progress = &progress

	_, err := toolchain.Ensure(t.Context(), cfg, toolchain.Terraform, toolchain.Git)
	wantFault(t, err, "Terraform is not on PATH. git is not on PATH.")
	for _, line := range []string{"terraform  missing: Terraform is not on PATH.\n", "git        missing: git is not on PATH.\n"} {
		if !strings.Contains(progress.String(), line) {
			t.Errorf("progress lacks %q:\n%s", line, progress.String())
		}
	}

	program(t, dir, "git", "echo git version 2.39.5")
	program(t, dir, "terraform", `echo '{"terraform_version":"1.12.0"}'`)
	found, err := toolchain.Ensure(t.Context(), cfg, toolchain.Terraform, toolchain.Git)
	if err != nil {
		t.Fatal(err)
	}
	want := toolchain.Found{Terraform: filepath.Join(dir, "terraform"), Git: filepath.Join(dir, "git")}
	if diff := cmp.Diff(want, found); diff != "" {
		t.Errorf("found (-want +got):\n%s", diff)
	}
}

func TestGit(t *testing.T) {
	dir := onlyPath(t)
	for _, c := range []struct{ version, refused string }{
		{"2.38.0", ""},
		{"2.43.0.windows.1", ""},
		{"2.39.5 (Apple Git-154)", ""},
		{"2.37.7", "git is 2.37.7, and 2.38 or newer is needed."},
	} {
		t.Run(c.version, func(t *testing.T) {
			program(t, dir, "git", "echo 'git version "+c.version+"'")
			_, err := toolchain.Ensure(t.Context(), toolchain.Config{}, toolchain.Git)
			if c.refused != "" {
				wantFault(t, err, c.refused)
			} else if err != nil {
				t.Error(err)
			}
		})
	}
}

func TestChromiumAndPostgres(t *testing.T) {
	dir := onlyPath(t)
	_, err := toolchain.Ensure(t.Context(), toolchain.Config{}, toolchain.Chromium)
	wantFault(t, err, "no Chromium")

	browser := program(t, dir, "google-chrome", "")
	program(t, dir, "initdb", "")
	program(t, dir, "postgres", "")
	found, err := toolchain.Ensure(t.Context(), toolchain.Config{}, toolchain.Chromium, toolchain.Postgres)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(toolchain.Found{Chromium: browser, Postgres: dir}, found); diff != "" {
		t.Errorf("found (-want +got):\n%s", diff)
	}
}

// A package is installed only where that needs no question: as root.
func TestSystemPackages(t *testing.T) {
	dir := onlyPath(t)
	program(t, dir, "apt-get", `case "$*" in
*update*) touch `+dir+`/lists;;
*install*chromium*) test -f `+dir+`/lists || exit 100; echo > `+dir+`/chromium; chmod +x `+dir+`/chromium;;
*) exit 2;;
esac`)
	found, err := toolchain.Ensure(t.Context(), offline(t), toolchain.Chromium)
	if os.Geteuid() != 0 {
		wantFault(t, err, "no Chromium")
		return
	}
	if want := filepath.Join(dir, "chromium"); err != nil || found.Chromium != want {
		t.Errorf("found %q, %v, want %q, after an update of the lists", found.Chromium, err, want)
	}
}

func TestEnsureEndsWithItsContext(t *testing.T) {
	dir := onlyPath(t)
	program(t, dir, "terraform", `echo '{"terraform_version":"1.11.0"}'`)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := toolchain.Ensure(ctx, offline(t), toolchain.Terraform); !errors.Is(err, context.Canceled) {
		t.Errorf("error is %v, want context.Canceled", err)
	}
}
