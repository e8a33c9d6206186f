package terraform

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/tollgate/tollgate/internal/fault"
)

// A data directory is what init leaves behind: providers, modules and the backend's settings.
//
//	data/<module>/<inputs of init>/current -> fill-123
//	data/<module>/<inputs of init>/fill-123/{data,lock.hcl,cli.tfrc}
//
// Init works at the place where the result will be used, because it notes the absolute paths of
// remote modules. The link "current" is set when init has ended well, so what a failed or killed
// init leaves is never used; and what a running plan uses is never replaced under it.
type dataDir struct {
	path   string // TF_DATA_DIR
	cli    string // TF_CLI_CONFIG_FILE
	lock   []byte // the lock file that init obeyed or made
	filled bool   // init ran for it just now
}

const (
	overrideFile = "tollgate_backend_override.tf.json"
	// keepUnused is how long a data directory survives its last use. No apply lasts as long.
	keepUnused = 7 * 24 * time.Hour
)

// prepare brings a module's checkout and data directory into the state in which plan and apply
// can run. With fresh it does not trust what an earlier init left.
func (t *Terraform) prepare(ctx context.Context, m Module, fresh bool, log io.Writer) (dataDir, error) {
	dir, err := m.open()
	if err != nil {
		return dataDir{}, err
	}
	defer dir.Close()
	if err := t.pinState(dir, m); err != nil {
		return dataDir{}, err
	}
	entry := filepath.Join(t.cfg.Dir, "data", digest(m.Key), t.initDigest(m))
	unlock, err := t.fills.lock(ctx, entry)
	if err != nil {
		return dataDir{}, fmt.Errorf("wait for another init: %w", err)
	}
	defer unlock()
	if !fresh && m.InitKey != "" {
		if d, ok := current(entry); ok {
			return d, adoptLock(dir, d.lock)
		}
	}
	return t.fill(ctx, m, dir, entry, log)
}

// initDigest stands for everything that init depends on.
func (t *Terraform) initDigest(m Module) string {
	data, err := json.Marshal([]any{m.InitKey, m.Workspace, m.Backend, m.StatePath, t.version, t.cfg.Mirrors})
	if err != nil {
		panic(err) // strings and maps of strings always encode
	}
	return digest(string(data))
}

func digest(s string) string {
	sum := sha256.Sum256([]byte(s))
	return hex.EncodeToString(sum[:12])
}

// current returns the data directory that the last good init left, unless a part of it is visibly
// gone. What escapes this look makes Terraform ask for init, and Plan obeys.
func current(entry string) (dataDir, bool) {
	fill, err := filepath.EvalSymlinks(filepath.Join(entry, "current"))
	if err != nil {
		return dataDir{}, false
	}
	d := dataDir{path: filepath.Join(fill, "data"), cli: filepath.Join(fill, "cli.tfrc")}
	if d.lock, err = os.ReadFile(filepath.Join(fill, "lock.hcl")); err != nil {
		return dataDir{}, false
	}
	if _, err := installed(d.path); err != nil {
		return dataDir{}, false
	}
	now := time.Now()
	if err := os.Chtimes(fill, now, now); err != nil {
		return dataDir{}, false
	}
	return d, true
}

// fill runs init into a new directory and makes that the current one.
func (t *Terraform) fill(ctx context.Context, m Module, dir *os.Root, entry string, log io.Writer) (d dataDir, err error) {
	if err := os.MkdirAll(entry, 0o700); err != nil {
		return dataDir{}, fmt.Errorf("create data directory: %w", err)
	}
	removeUnused(filepath.Join(filepath.Dir(entry), "*", "fill-*"))
	fill, err := os.MkdirTemp(entry, "fill-")
	if err != nil {
		return dataDir{}, fmt.Errorf("create data directory: %w", err)
	}
	defer func() {
		if err != nil {
			os.RemoveAll(fill)
		}
	}()
	d = dataDir{path: filepath.Join(fill, "data"), cli: filepath.Join(fill, "cli.tfrc"), filled: true}
	if d.lock, err = t.init(ctx, m, dir, d, log); err != nil {
		return dataDir{}, err
	}
	if err := os.WriteFile(filepath.Join(fill, "lock.hcl"), d.lock, 0o600); err != nil {
		return dataDir{}, fmt.Errorf("keep lock file: %w", err)
	}
	return d, point(entry, filepath.Base(fill))
}

// init runs terraform init and returns the lock file that holds afterwards.
func (t *Terraform) init(ctx context.Context, m Module, dir *os.Root, d dataDir, log io.Writer) ([]byte, error) {
	lock, err := readLock(dir)
	if err != nil {
		return nil, err
	}
	cached, err := t.writeCLIConfig(d.cli, lock)
	if err != nil {
		return nil, err
	}
	if cached {
		// Terraform does not promise that its cache bears two writers.
		unlock, err := t.fills.lock(ctx, "plugins")
		if err != nil {
			return nil, fmt.Errorf("wait for the provider cache: %w", err)
		}
		defer unlock()
	}
	if lock == nil {
		fmt.Fprintf(log, "This project has no %s: its providers are whatever is newest today, and nothing vouches for them.\n", lockFile)
	}
	run, err := t.scratch("run")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(run)
	c := Command{Path: t.cfg.Binary, Args: initArgs(m, lock != nil), Env: t.environ(m, d.path, d.cli, run), Dir: m.path()}
	in, err := t.enter(t.initRoom(m, filepath.Dir(d.path), run))
	if err != nil {
		return nil, err
	}
	defer in.close()
	if err := t.must(ctx, in, c, filepath.Join(run, "log"), log); err != nil {
		return nil, err
	}
	return readLock(dir)
}

func initArgs(m Module, locked bool) []string {
	args := []string{"init", "-input=false", "-no-color"}
	if locked {
		args = append(args, "-lockfile=readonly")
	}
	for _, k := range sortedKeys(m.Backend) {
		args = append(args, "-backend-config="+k+"="+m.Backend[k])
	}
	return args
}

// writeCLIConfig writes the configuration for init and apply and reports whether it names the
// provider cache. Where mirrors have all providers, the cache would only make init hash them again.
func (t *Terraform) writeCLIConfig(name string, lock []byte) (cached bool, err error) {
	want := parseLock(lock)
	sources, err := mirrored(t.cfg.Mirrors, want)
	if err != nil {
		return false, err
	}
	cache := ""
	if len(sources) < len(want) {
		cache = filepath.Join(t.cfg.Dir, "plugins")
	}
	if err := os.WriteFile(name, []byte(cliConfig(sources, cache)), 0o600); err != nil {
		return false, fmt.Errorf("write terraform's CLI configuration: %w", err)
	}
	return cache != "", nil
}

// point makes a link to target the entry's current one, in one step.
func point(entry, target string) error {
	tmp := filepath.Join(entry, target+".link")
	if err := os.Symlink(target, tmp); err != nil {
		return fmt.Errorf("publish data directory: %w", err)
	}
	if err := os.Rename(tmp, filepath.Join(entry, "current")); err != nil {
		return fmt.Errorf("publish data directory: %w", err)
	}
	return nil
}

// adoptLock gives a checkout without lock file the one that init made earlier. Without it
// Terraform would refuse to plan.
func adoptLock(dir *os.Root, lock []byte) error {
	have, err := readLock(dir)
	if err != nil || have != nil || len(lock) == 0 {
		return err
	}
	if err := dir.WriteFile(lockFile, lock, 0o644); err != nil {
		return fmt.Errorf("write lock file: %w", err)
	}
	return nil
}

// pinState writes an override that keeps a local state outside the checkout. The flag -state does
// the same but is deprecated; and what the override says becomes part of the plan file, so that
// plan, lock and apply cannot disagree.
func (t *Terraform) pinState(dir *os.Root, m Module) error {
	if m.StatePath == "" {
		return nil
	}
	if m.StateNamed && !t.reaches(m.StatePath) {
		return fault.New(fmt.Sprintf("The state of this project is to be in `%s`, where the sandbox lets nobody write.", m.StatePath),
			"The path is in the code of the pull request, so it could be any file of the server.",
			fmt.Sprintf("Leave `path` out, and Tollgate keeps the state. Or ask whoever runs the server to list its directory: `--sandbox-paths=%s:rw`.", filepath.Dir(m.StatePath)))
	}
	local := map[string]string{"path": m.StatePath, "workspace_dir": m.StatePath + ".d"}
	data, err := json.Marshal(map[string]any{"terraform": map[string]any{"backend": map[string]any{"local": local}}})
	if err != nil {
		return fmt.Errorf("write backend override: %w", err)
	}
	f, err := dir.OpenFile(overrideFile, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if errors.Is(err, fs.ErrExist) {
		if have, err := dir.ReadFile(overrideFile); err == nil && bytes.Equal(have, data) {
			return nil
		}
		return fault.New(fmt.Sprintf("The commit contains a file `%s`.", overrideFile),
			"Tollgate writes a file of that name to keep the state out of the checkout.", "Remove the file.")
	}
	if err != nil {
		return fmt.Errorf("write backend override: %w", err)
	}
	_, err = f.Write(data)
	if err := errors.Join(err, f.Close()); err != nil {
		return fmt.Errorf("write backend override: %w", err)
	}
	if m.StateNamed && t.cfg.Confinement != nil {
		return nil // what made links there could have the server make directories anywhere
	}
	return os.MkdirAll(filepath.Dir(m.StatePath), 0o700)
}

// reaches reports whether what runs here may write a file of this machine.
func (t *Terraform) reaches(path string) bool {
	c := t.cfg.Confinement
	return c == nil || slices.ContainsFunc(c.Writable, func(dir string) bool {
		rel, err := filepath.Rel(dir, path)
		return err == nil && filepath.IsLocal(rel)
	})
}

// scratch makes a directory with HOME and TMPDIR for one process. They are not shared, because
// what one pull request leaves in them would speak to the next.
func (t *Terraform) scratch(kind string) (string, error) {
	parent, pattern := filepath.Join(t.cfg.Dir, kind), ""
	if len(parent)+len("/1234567890/tmp") > maxTemp {
		parent, pattern = os.TempDir(), "tollgate-" // the providers' sockets need a short path
	}
	dir, err := os.MkdirTemp(parent, pattern)
	if err != nil {
		return "", fmt.Errorf("create terraform's home: %w", err)
	}
	if err := makeHome(dir); err != nil {
		return "", errors.Join(err, os.RemoveAll(dir))
	}
	return dir, nil
}

// maxTemp is the longest TMPDIR in bytes. Providers make Unix sockets named plugin1234567890 in it,
// and the system takes no path of a socket beyond 107 bytes.
const maxTemp = 90

func makeHome(dir string) error {
	home, temp := filepath.Join(dir, "home"), filepath.Join(dir, "tmp")
	if len(temp) > maxTemp {
		return fault.Wrap(fmt.Errorf("%s has %d bytes, at most %d work", temp, len(temp), maxTemp),
			"The server's directories have too long paths for Terraform.",
			"Providers talk to Terraform through Unix sockets in them, and the system limits the length of their paths.",
			"Choose a shorter `--data-dir` or a shorter TMPDIR.")
	}
	for _, d := range []string{home, temp} {
		if err := os.MkdirAll(d, 0o700); err != nil {
			return fmt.Errorf("create terraform's home: %w", err)
		}
	}
	return nil
}

// removeUnused removes the directories of a pattern that were not used lately. It is best effort:
// what stays is tried again next time.
func removeUnused(pattern string) {
	dirs, err := filepath.Glob(pattern)
	if err != nil {
		return
	}
	for _, d := range dirs {
		if info, err := os.Stat(d); err == nil && time.Since(info.ModTime()) > keepUnused {
			os.RemoveAll(d)
		}
	}
}
