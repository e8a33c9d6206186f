package terraform

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"syscall"

	"github.com/tollgate/tollgate/internal/change"
	"github.com/tollgate/tollgate/internal/confine"
	"github.com/tollgate/tollgate/internal/fault"
)

// PlanTo says where a plan goes.
type PlanTo struct {
	File string    // the plan file; made with mode 0600, absent after an error
	Log  io.Writer // Terraform's output for people, while it runs; never nil
}

// Plan is a plan that may be judged: Terraform ended well and says that it is complete.
type Plan struct {
	JSON        []byte // the output of show -json, unchanged; holds sensitive values in clear
	Summary     change.PlanSummary
	Initialised bool   // whether init had to run
	DataDir     string // TF_DATA_DIR of the run, whose modules/modules.json maps modules to directories
}

// Plan plans a module. Besides *fault.Error for what a person can mend it returns an error that
// matches ctx's when ctx ended; Terraform has then stopped and released its lock.
//
// Plans take the state lock. An apply is safe without: Terraform refuses a saved plan whose state
// has moved. But a plan made without the lock while somebody applies shows a half-changed world as
// if it were one, and makes a state that is locked for good look healthy until the apply.
//
// What that costs was measured with three plans of one state at once, show included, on two busy
// cores. Without lock all ended after 18 to 25 s. With Terraform's own waiting, which polls at
// growing intervals, they ended after 10, 18 and 30 s. So plans of one module take turns here, and
// end after 8, 13 and 17 s. Init and show run outside of the turn. A plan releases its lock however
// the server ends: it is interrupted when the server dies, and its output goes to a file, since a
// broken pipe would kill it.
func (t *Terraform) Plan(ctx context.Context, m Module, to PlanTo) (*Plan, error) {
	if !filepath.IsAbs(to.File) {
		return nil, fmt.Errorf("plan file needs an absolute path, not %q", to.File)
	}
	plan, err := t.plan(ctx, m, false, to)
	// What init depends on has changed although InitKey has not, or somebody has tidied up.
	if errors.Is(err, ErrInit) {
		plan, err = t.plan(ctx, m, true, to)
	}
	if err != nil {
		os.Remove(to.File)
		return nil, err
	}
	return plan, nil
}

func (t *Terraform) plan(ctx context.Context, m Module, fresh bool, to PlanTo) (*Plan, error) {
	data, err := t.prepare(ctx, m, fresh, to.Log)
	if err != nil {
		return nil, err
	}
	run, err := t.scratch("run")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(run)
	cli, err := t.planCLIConfig(ctx, data, run)
	if err != nil {
		return nil, err
	}
	c := Command{Path: t.cfg.Binary, Env: t.environ(m, data.path, cli, run), Dir: m.path()}
	file := filepath.Join(run, "plan")
	c.Args = []string{"plan", "-input=false", "-no-color", "-detailed-exitcode",
		"-lock-timeout=" + t.cfg.LockTimeout.String(), "-out=" + file}
	in, err := t.enter(t.runRoom(m, data, run))
	if err != nil {
		return nil, err
	}
	defer in.close()
	release, err := t.states.lock(ctx, m.Key)
	if err != nil {
		return nil, fmt.Errorf("wait for another plan: %w", err)
	}
	log := &overrideNotice{to: to.Log}
	err = t.must(ctx, in, c, filepath.Join(run, "log"), log, 2)
	release()
	if err := errors.Join(err, log.flush()); err != nil {
		return nil, err
	}
	c.Args = []string{"show", "-json", "-no-color", file}
	raw, err := t.show(ctx, in, c)
	if err != nil {
		return nil, err
	}
	if err := take(file, to.File); err != nil {
		return nil, err
	}
	summary, err := Summarise(raw, t.cfg.Key)
	if err != nil {
		return nil, err
	}
	if summary.State, err = planState(to.File); err != nil {
		return nil, err
	}
	summary.LockDigest = lockDigest(data.lock)
	return &Plan{JSON: raw, Summary: summary, Initialised: data.filled, DataDir: data.path}, nil
}

// take copies the plan file out of the reach of what made it, which could have put a link there.
func take(from, to string) error {
	in, err := os.OpenFile(from, os.O_RDONLY|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0)
	if err != nil {
		return fmt.Errorf("take over plan file: %w", err)
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		return fmt.Errorf("take over plan file: %w", err)
	}
	_, err = io.Copy(out, in)
	if err := errors.Join(err, out.Close(), os.Remove(from)); err != nil {
		return fmt.Errorf("take over plan file: %w", err)
	}
	return nil
}

// Hold keeps plans of a module from starting until the returned function is called. Whoever
// applies it holds it: a plan made meanwhile would be stale, and would compete for the state lock.
func (t *Terraform) Hold(ctx context.Context, m Module) (release func(), err error) {
	return t.states.lock(ctx, m.Key)
}

// ApplyCommand returns the command that applies exactly this plan file, after running init if
// that is needed. After a failure the module's directory may hold errored.tfstate, the only record
// of what was done: it must be kept.
func (t *Terraform) ApplyCommand(ctx context.Context, m Module, planFile string, log io.Writer) (Command, error) {
	data, err := t.prepare(ctx, m, false, log)
	if err != nil {
		return Command{}, err
	}
	// Apart from those of plans, which do not survive the server.
	own, err := t.scratch("apply")
	if err != nil {
		return Command{}, err
	}
	var walls *confine.Plan
	if t.cfg.Confinement != nil {
		p := t.runRoom(m, data, own, planFile)
		walls = &p
	}
	return Command{
		Path: t.cfg.Binary, Room: walls,
		Args: []string{"apply", "-input=false", "-no-color", "-lock-timeout=" + t.cfg.LockTimeout.String(), planFile},
		Env:  t.environ(m, data.path, data.cli, own),
		Dir:  m.path(), Scratch: own,
	}, nil
}

// planCLIConfig returns the CLI configuration for plan and show: the one of init, or if all
// providers are verified already, one that keeps Terraform from hashing them again. The plan
// file is the same, and applies under the former.
func (t *Terraform) planCLIConfig(ctx context.Context, data dataDir, run string) (string, error) {
	verified, err := t.packages.verified(ctx, data.path, data.lock)
	if err != nil || len(verified) == 0 {
		return data.cli, err
	}
	name := filepath.Join(run, "cli.tfrc")
	if err := os.WriteFile(name, []byte(overrideConfig(verified)), 0o600); err != nil {
		return "", fmt.Errorf("write terraform's CLI configuration: %w", err)
	}
	return name, nil
}

// must runs a command with its output in a log and turns every status but 0 and those listed
// into an error that explains it.
func (t *Terraform) must(ctx context.Context, in place, c Command, log string, w io.Writer, alsoGood ...int) error {
	exit, err := t.runLogged(ctx, in, c, log, w)
	if err != nil || exit == 0 {
		return err
	}
	for _, good := range alsoGood {
		if exit == good {
			return nil
		}
	}
	out, err := tail(log, 1<<20)
	if err != nil {
		return fmt.Errorf("read terraform's log: %w", err)
	}
	return explainRefusals(Explain(out, exit), in.refused())
}

// maxJSON is the longest JSON of a plan in bytes; 20,000 resources take about 92 MB.
const maxJSON = 256 << 20

// show returns the plan as JSON. It goes through memory only, since it holds secrets in clear.
func (t *Terraform) show(ctx context.Context, in place, c Command) ([]byte, error) {
	stdout, stderr := limited{limit: maxJSON}, limited{limit: 1 << 20}
	exit, err := in.run(ctx, c, &stdout, &stderr)
	if err != nil {
		return nil, err
	}
	if exit != 0 {
		return nil, Explain(stderr.Bytes(), exit)
	}
	if stdout.over {
		return nil, fault.New(fmt.Sprintf("The plan's JSON has more than %d MiB.", maxJSON>>20), "It could not be judged as a whole.", "Split the project.")
	}
	return stdout.Bytes(), nil
}

// overrideNotice leaves out the warning with which Terraform starts its output when it is told
// where the providers are. It would only alarm the reader of a plan.
type overrideNotice struct {
	to   io.Writer
	head []byte
	done bool
}

var noticeStart, noticeEnd = []byte("\nWarning: Provider development overrides are in effect\n\n"), []byte("\nreleases.\n")

func (n *overrideNotice) Write(p []byte) (int, error) {
	if n.done {
		return n.to.Write(p)
	}
	n.head = append(n.head, p...)
	common := min(len(n.head), len(noticeStart))
	if bytes.Equal(n.head[:common], noticeStart[:common]) && len(n.head) < 4096 {
		_, rest, found := bytes.Cut(n.head, noticeEnd)
		if !found {
			return len(p), nil
		}
		n.head = rest
	}
	return len(p), n.flush()
}

// flush writes what was held back.
func (n *overrideNotice) flush() error {
	n.done = true
	head := n.head
	n.head = nil
	_, err := n.to.Write(head)
	return err
}
