package toolchain

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"github.com/hashicorp/go-version"

	"github.com/tollgate/tollgate/internal/fault"
)

// gitMinimum is the first version whose merge-tree merges without a work tree.
const gitMinimum = "2.38"

func (s *search) findGit(ctx context.Context) (string, error) {
	path, have, err := gitVersion(ctx)
	if err != nil && s.installs() && s.aptInstall(ctx, Git, "git") == nil {
		path, have, err = gitVersion(ctx)
	}
	if err != nil {
		return "", fault.Wrap(err, "git is not on PATH.", "It fetches and merges what is planned.", "Install git "+gitMinimum+" or newer.")
	}
	if have.LessThan(version.Must(version.NewVersion(gitMinimum))) {
		return "", fault.New(fmt.Sprintf("git is %s, and %s or newer is needed.", have, gitMinimum),
			"Older versions cannot merge without a work tree.", "Install a newer git.")
	}
	s.say(Git, "%s found: %s", have, path)
	return path, nil
}

func gitVersion(ctx context.Context) (string, *version.Version, error) {
	path, err := exec.LookPath("git")
	if err != nil {
		return "", nil, err
	}
	out, err := exec.CommandContext(ctx, path, "version").Output()
	if err != nil {
		return "", nil, fmt.Errorf("ask git for its version: %w", err)
	}
	have, err := version.NewVersion(regexp.MustCompile(`\d+(\.\d+)+`).FindString(string(out)))
	return path, have, err
}

func (s *search) findChromium(ctx context.Context) (string, error) {
	if path, ok := s.chromiumOnPath(); ok {
		return path, nil
	}
	var err error
	if s.installs() {
		if err = s.aptInstall(ctx, Chromium, "chromium"); err == nil {
			if path, ok := s.chromiumOnPath(); ok {
				return path, nil
			}
		}
	}
	return "", fault.Wrap(err, "There is no Chromium on PATH.", "The tests of the pages use it.", "Install the package chromium, or Google Chrome.")
}

func (s *search) chromiumOnPath() (string, bool) {
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome", "google-chrome-stable"} {
		if path, err := exec.LookPath(name); err == nil {
			s.say(Chromium, "found: %s", path)
			return path, true
		}
	}
	return "", false
}

// findPostgres looks where PATH does not reach: Debian keeps the server's programs to themselves.
func (s *search) findPostgres() (string, error) {
	var dirs []string
	if path, err := exec.LookPath("initdb"); err == nil {
		dirs = append(dirs, filepath.Dir(path))
	}
	for _, pattern := range []string{"/usr/lib/postgresql/*/bin", "/usr/pgsql-*/bin", "/usr/local/pgsql/bin"} {
		matches, err := filepath.Glob(pattern)
		if err != nil {
			return "", err
		}
		dirs = append(dirs, matches...)
	}
	for _, dir := range dirs {
		_, initdb := exec.LookPath(filepath.Join(dir, "initdb"))
		_, postgres := exec.LookPath(filepath.Join(dir, "postgres"))
		if initdb == nil && postgres == nil {
			s.say(Postgres, "found: %s", dir)
			return dir, nil
		}
	}
	return "", fault.New("There are no PostgreSQL server programs on this machine.", "The tests of the PostgreSQL store start a server of their own.",
		"Install the package postgresql.")
}

// aptInstall installs system packages where that needs no question: as root, with apt.
func (s *search) aptInstall(ctx context.Context, part Part, packages ...string) error {
	apt, err := exec.LookPath("apt-get")
	if err != nil || os.Geteuid() != 0 {
		return errors.New("installing " + strings.Join(packages, " ") + " needs apt-get and root")
	}
	s.apt.Lock()
	defer s.apt.Unlock()
	began := time.Now()
	s.say(part, "installing %s with apt-get", strings.Join(packages, " "))
	args := append([]string{"-q", "-y", "-o", "DPkg::Lock::Timeout=120", "install", "--no-install-recommends"}, packages...)
	err = runApt(ctx, apt, args)
	if err != nil { // perhaps the package lists are missing or old
		if updateErr := runApt(ctx, apt, []string{"-q", "update"}); updateErr != nil {
			return errors.Join(err, updateErr)
		}
		err = runApt(ctx, apt, args)
	}
	if err == nil {
		s.say(part, "installed in %s", took(began))
	}
	return err
}

func runApt(ctx context.Context, apt string, args []string) error {
	cmd := exec.CommandContext(ctx, apt, args...)
	cmd.Env = append(cmd.Environ(), "DEBIAN_FRONTEND=noninteractive")
	return run(ctx, cmd)
}
