// Package terraform runs init, plan, show and apply, and tells the truth about how they ended.
//
// It starts Terraform itself instead of going through terraform-exec's commands, because of
// four things those cannot do in v0.26: pass -lockfile=readonly to init; show a plan without a
// `terraform version` process for every working directory; kill the providers together with a
// Terraform that does not stop; and set a workspace or variables without writing files into the
// checkout. What terraform-exec knows better is used: which binary this is, asked once in New,
// and which environment variables would change what a command means.
//
// Nothing of a run is kept in the checkout. TF_DATA_DIR lies in our own directory and is shared
// by all runs whose init would give the same result; HOME and TMPDIR belong to one process; the
// CLI configuration is generated, so that a pull request cannot bring its own providers.
package terraform

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/hashicorp/go-version"
	"github.com/hashicorp/terraform-exec/tfexec"

	"github.com/tollgate/tollgate/internal/confine"
	"github.com/tollgate/tollgate/internal/fault"
)

// oldest is the first version whose S3 backend locks natively, which the product relies on.
const oldest = "1.10.0"

// Config says which Terraform to run and where it may keep its things.
type Config struct {
	Binary  string   // path of the terraform or tofu executable
	Mirrors []string // unpacked provider mirrors on disk; may be empty
	Dir     string   // for data directories, the provider cache and temporary files
	Environ []string // the whole environment that Terraform starts from; no TF_ variable but TF_VAR_
	Key     []byte   // keys the digests of sensitive values; at least 32 bytes, the same on every start

	LockTimeout time.Duration // how long to wait for a state lock; 0 is one minute
	Grace       time.Duration // how long an interrupted process may take to end; 0 is 30 seconds

	Confinement *Confinement // nil: pull requests' code runs as the server itself

	Trace func(Process) // called when a process has ended, or nil; from several goroutines
}

// Terraform runs one Terraform binary. It is safe for concurrent use. Only one server at a time
// may use a directory.
type Terraform struct {
	cfg      Config
	version  string
	states   keyed // held while a plan of the module runs
	fills    keyed // held while a data directory is filled
	packages packages
	ahead    chan *confine.Room // made before it is needed
}

// New returns a Terraform. It runs the binary once to learn its version.
func New(ctx context.Context, cfg Config) (*Terraform, error) {
	if err := cfg.complete(); err != nil {
		return nil, err
	}
	// What a killed server left of its processes' homes.
	if err := os.RemoveAll(filepath.Join(cfg.Dir, "run")); err != nil {
		return nil, fmt.Errorf("tidy terraform directory: %w", err)
	}
	for _, d := range []string{"data", "run", "apply", "plugins"} {
		if err := os.MkdirAll(filepath.Join(cfg.Dir, d), 0o700); err != nil {
			return nil, fmt.Errorf("create terraform directory: %w", err)
		}
	}
	removeUnused(filepath.Join(cfg.Dir, "apply", "*"))
	v, err := askVersion(ctx, cfg)
	if err != nil {
		return nil, err
	}
	t := &Terraform{cfg: cfg, version: v, ahead: make(chan *confine.Room, 1)}
	if cfg.Confinement != nil {
		go t.makeAhead()
	}
	return t, nil
}

// Version is the version of the binary, such as "1.11.4".
func (t *Terraform) Version() string { return t.version }

func (c *Config) complete() error {
	if len(c.Key) < 32 {
		return fmt.Errorf("key for sensitive values has %d bytes, want at least 32", len(c.Key))
	}
	if !filepath.IsAbs(c.Dir) || !filepath.IsAbs(c.Binary) {
		return fmt.Errorf("terraform needs absolute paths: binary %q, directory %q", c.Binary, c.Dir)
	}
	if c.LockTimeout == 0 {
		c.LockTimeout = time.Minute
	}
	if c.Grace == 0 {
		c.Grace = 30 * time.Second
	}
	return checkEnviron(c.Environ)
}

func askVersion(ctx context.Context, cfg Config) (string, error) {
	tf, err := tfexec.NewTerraform(cfg.Dir, cfg.Binary)
	if err != nil {
		return "", fmt.Errorf("find terraform: %w", err)
	}
	// An empty map, because nil would hand over this process's own environment.
	if err := tf.SetEnv(map[string]string{"CHECKPOINT_DISABLE": "1"}); err != nil {
		return "", fmt.Errorf("set terraform's environment: %w", err)
	}
	v, _, err := tf.Version(ctx, true)
	if err != nil {
		return "", fault.Wrap(err, "Terraform does not run on this server.",
			"Nothing can be planned or applied.", "Check `--terraform`, or let Tollgate install it.")
	}
	if v.Core().LessThan(version.Must(version.NewVersion(oldest))) {
		return "", fault.New(fmt.Sprintf("Terraform %s is too old.", v),
			"Its S3 backend cannot lock the state without a DynamoDB table.",
			fmt.Sprintf("Install Terraform %s or newer.", oldest))
	}
	return v.String(), nil
}

// Module is a root module in a checkout, with everything that decides how Terraform sees it.
type Module struct {
	Root      string // the checkout's root, an absolute path
	Dir       string // the module's directory in it, slash-separated
	Workspace string // empty leaves Terraform's default
	Key       string // stable identity of the state: repository id, directory and workspace
	// InitKey is a digest of all that init reads: backend, provider requirements, module sources
	// and the lock file. Empty means not known, and init runs every time.
	InitKey   string
	Variables map[string]string // become TF_VAR_name; a value in the repository's tfvars wins over them
	Backend   map[string]string // become -backend-config; visible in the process list, so no secrets
	// StatePath keeps the state of a module without a remote backend in this file, outside the
	// checkout. Empty for every other module.
	StatePath string
	// StateNamed says that StatePath is what the code says. It may be any file of this machine, so that a
	// room has it only where the operator lets every plan write.
	StateNamed bool
	// Environ are further variables, such as the credentials of this run; never stored.
	Environ []string `json:"-"`
}

func (m Module) path() string { return filepath.Join(m.Root, filepath.FromSlash(m.Dir)) }

// open checks that the module's directory exists and does not lead out of the checkout.
func (m Module) open() (*os.Root, error) {
	root, err := os.OpenRoot(m.Root)
	if err != nil {
		return nil, fmt.Errorf("open checkout: %w", err)
	}
	defer root.Close()
	dir, err := root.OpenRoot(filepath.FromSlash(m.Dir))
	if err != nil {
		return nil, fault.Wrap(err, fmt.Sprintf("The directory `%s` cannot be opened in this commit.", m.Dir),
			"There is nothing to plan, or the path leaves the repository through a symbolic link.",
			"Check the project's `dir` in `.tollgate.yaml`.")
	}
	return dir, nil
}

// Command is a process to be started by whoever supervises it.
type Command struct {
	Path string   // executable
	Args []string // arguments, without the executable
	Env  []string // the whole environment; holds credentials
	Dir  string   // working directory
	// Scratch is a directory with the command's HOME and TMPDIR, to be removed when it has ended.
	Scratch string
	Room    *confine.Plan // what it may see and reach; nil: everything that this process may
}

func (c Command) String() string { return strings.Join(append([]string{c.Path}, c.Args...), " ") }
