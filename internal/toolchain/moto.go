package toolchain

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/hashicorp/go-version"

	"github.com/tollgate/tollgate/internal/fault"
)

const motoPinned = "5.2.1"

// motoPackages is the least that serves ECS, EC2, load balancers, S3, IAM and the others that
// infrastructure/ uses. The extra named "server" would bring three times as much for services
// that nobody here calls.
func motoPackages() []string {
	return []string{"moto[s3,ssm]==" + motoPinned, "flask==3.1.3", "flask-cors==6.0.2"}
}

// motoProbe also asks for the interpreter's real path: a shim on PATH costs time at every start.
const motoProbe = `import moto.server, moto, sys; print(moto.__version__); print(sys.executable)`

// findMoto looks for a Python that has the emulator, and makes one if there is none.
func (s *search) findMoto(ctx context.Context) (string, error) {
	if s.Python != "" {
		return s.givenPython()
	}
	venv := filepath.Join(s.CacheDir, "moto-"+motoPinned)
	candidates := []string{"python3", "/usr/bin/python3", "/usr/local/bin/python3"}
	if s.installs() {
		candidates = append([]string{filepath.Join(venv, "bin", "python")}, candidates...)
	}
	for _, name := range candidates {
		if python, have, err := probeMoto(ctx, name); err == nil {
			s.say(Moto, "%s found: %s", have, python)
			return python, nil
		}
	}
	if !s.installs() {
		return "", fault.New("No Python on PATH has the AWS emulator (moto "+motoPinned+").", "It plays AWS in the demonstration and in tests.",
			"Run `pip install '"+strings.Join(motoPackages(), "' '")+"'`.")
	}
	return s.installMoto(ctx, venv)
}

func (s *search) givenPython() (string, error) {
	path, err := exec.LookPath(s.Python)
	if err != nil {
		return "", fault.Wrap(err, fmt.Sprintf("There is no Python at %q.", s.Python),
			"It runs the AWS emulator.", "Correct the path, or leave it out to use the one on PATH.")
	}
	s.say(Moto, "using %s, as configured", path)
	return path, nil
}

// probeMoto accepts the pinned version and its later patches: our launcher mends methods of the
// emulator that another minor version may have changed.
func probeMoto(ctx context.Context, name string) (python, have string, err error) {
	path, err := exec.LookPath(name)
	if err != nil {
		return "", "", err
	}
	out, err := exec.CommandContext(ctx, path, "-c", motoProbe).Output()
	if err != nil {
		return "", "", fmt.Errorf("import the emulator: %w", err)
	}
	have, python, ok := strings.Cut(strings.TrimSpace(string(out)), "\n")
	if !ok {
		return "", "", errors.New("python answered too little")
	}
	accept := version.MustConstraints(version.NewConstraint("~> " + motoPinned))
	if v, err := version.NewVersion(have); err != nil || !accept.Check(v) {
		return "", "", fmt.Errorf("moto %s is not %s", have, accept)
	}
	return python, have, nil
}

func (s *search) installMoto(ctx context.Context, venv string) (string, error) {
	began := time.Now()
	s.say(Moto, "installing %s with pip into %s", motoPinned, venv)
	if err := place(venv, func(dir string) error { return s.buildVenv(ctx, dir) }); err != nil {
		return "", fault.Wrap(err, "The AWS emulator (moto "+motoPinned+") could not be installed.", "It plays AWS in the demonstration and in tests.",
			"Let this machine reach PyPI, or install moto into a Python on PATH: `pip install '"+strings.Join(motoPackages(), "' '")+"'`.")
	}
	// The environment was renamed after pip had written it: only its interpreter may be used, since
	// the scripts beside it name the old path.
	python, _, err := probeMoto(ctx, filepath.Join(venv, "bin", "python"))
	if err != nil {
		return "", fault.Wrap(err, "The AWS emulator was installed and does not start.", "It plays AWS in the demonstration and in tests.",
			"Remove "+venv+" and try again.")
	}
	s.say(Moto, "%s installed in %s", motoPinned, took(began))
	return python, nil
}

func (s *search) buildVenv(ctx context.Context, dir string) error {
	if err := s.makeVenv(ctx, dir); err != nil {
		return err
	}
	// One retry only: without a way out, pip would go on for a minute.
	args := append([]string{"-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-input",
		"--no-warn-script-location", "--retries", "1", "--timeout", "20"}, motoPackages()...)
	return run(ctx, exec.CommandContext(ctx, filepath.Join(dir, "bin", "python"), args...))
}

// makeVenv falls back on the system's package: Debian ships Python without the part that makes
// environments.
func (s *search) makeVenv(ctx context.Context, dir string) error {
	err := run(ctx, exec.CommandContext(ctx, "python3", "-m", "venv", dir))
	if err == nil {
		return nil
	}
	if aptErr := s.aptInstall(ctx, Moto, "python3", "python3-venv"); aptErr != nil {
		return errors.Join(err, aptErr)
	}
	if err := os.RemoveAll(dir); err != nil {
		return err
	}
	return run(ctx, exec.CommandContext(ctx, "/usr/bin/python3", "-m", "venv", dir))
}

// run returns the end of the command's output as part of its error.
func run(ctx context.Context, cmd *exec.Cmd) error {
	out, err := cmd.CombinedOutput()
	if err == nil {
		return nil
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	const most = 2000
	if len(out) > most {
		out = out[len(out)-most:]
	}
	return fmt.Errorf("%s: %w\n%s", filepath.Base(cmd.Path), err, strings.TrimSpace(string(out)))
}
