package terraform

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/tollgate/tollgate/internal/confine"
	"github.com/tollgate/tollgate/internal/fault"
)

// Confinement says that everything that a pull request can have executed runs in a room of its own.
type Confinement struct {
	Program  string         // supervises the rooms: "bot"
	Download confine.Egress // for init: what Run may reach, and where providers and modules come from
	Run      confine.Egress // for plan, show and apply
	Limits   confine.Limits
	ReadOnly []string // further paths that Terraform may see
	Writable []string // and change
}

// place is where processes run. One place serves the commands of one run, one after the other.
type place interface {
	// run runs a process to its end and returns its exit status. The error says that it could not
	// be run, went over a limit, or that ctx ended; a status other than zero is not an error.
	run(ctx context.Context, c Command, stdout, stderr io.Writer) (int, error)
	// refused are the hosts that it was not let through to.
	refused() []string
	close()
}

// open is the machine itself.
type open struct{ t *Terraform }

func (o open) run(ctx context.Context, c Command, stdout, stderr io.Writer) (int, error) {
	return o.t.run(ctx, c, stdout, stderr)
}
func (open) refused() []string { return nil }
func (open) close()            {}

// room is a place with walls.
type room struct {
	t     *Terraform
	room  *confine.Room
	plan  confine.Plan
	found []string
}

// enter returns the place for commands that need these paths.
func (t *Terraform) enter(p confine.Plan) (place, error) {
	if t.cfg.Confinement == nil {
		return open{t}, nil
	}
	r, err := t.emptyRoom()
	if err == nil {
		err = r.Enter(p)
	}
	if err != nil {
		if r != nil {
			r.Close()
		}
		return nil, fault.Wrap(err, "The sandbox for Terraform could not be made.", "A plan runs code of the pull request, which must not see the rest of this server.",
			"Ask whoever runs the server to look at its log and at `bot doctor`.")
	}
	return &room{t: t, room: r, plan: p}, nil
}

// emptyRoom takes the room that was made ahead: a plan does not wait for processes to start.
func (t *Terraform) emptyRoom() (*confine.Room, error) {
	select {
	case r := <-t.ahead:
		return r, nil
	default:
		return confine.OpenSupervised(t.cfg.Confinement.Program)
	}
}

// makeAhead makes the next room, at a time when nobody waits for it.
func (t *Terraform) makeAhead() {
	r, err := confine.OpenSupervised(t.cfg.Confinement.Program)
	if err != nil {
		return // the next plan says why
	}
	select {
	case t.ahead <- r:
	default:
		r.Close()
	}
}

func (r *room) close() {
	r.room.Close()
	go r.t.makeAhead()
}

func (r *room) refused() []string { return r.found }

func (r *room) run(ctx context.Context, c Command, stdout, stderr io.Writer) (int, error) {
	out, waitOut, err := asFile(stdout)
	if err != nil {
		return 0, err
	}
	errs, waitErrs, err := out, func() error { return nil }, error(nil)
	if stderr != stdout {
		if errs, waitErrs, err = asFile(stderr); err != nil {
			return 0, errors.Join(err, waitOut())
		}
	}
	start := time.Now()
	ended := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		_ = r.room.Signal(syscall.SIGINT)
		select {
		case <-ended:
		case <-time.After(r.t.cfg.Grace):
			r.room.Close()
		}
	})
	res, err := r.room.Run(confine.Command{Path: c.Path, Args: c.Args, Env: c.Env, Dir: c.Dir}, out, errs)
	close(ended)
	stop()
	err = errors.Join(err, waitOut(), waitErrs())
	r.found = res.Refused
	if r.t.cfg.Trace != nil {
		r.t.cfg.Trace(Process{Argv: append([]string{c.Path}, c.Args...), Dir: c.Dir, Start: start, Duration: time.Since(start), CPU: res.CPU, Exit: res.Exit})
	}
	switch {
	case ctx.Err() != nil:
		return 0, fmt.Errorf("terraform %s was interrupted: %w", c.Args[0], ctx.Err())
	case err != nil:
		return 0, fmt.Errorf("run terraform in a room: %w", err)
	case res.Over != "":
		return 0, fault.New("Terraform was stopped, because it went over a limit ("+res.Over+").", "A plan may not take the server's other work along.",
			"Look for what makes it that large; or raise the server's limits.")
	}
	return res.Exit, nil
}

// asFile returns a file that what is written to reaches w, and what to call when nobody writes any more.
func asFile(w io.Writer) (*os.File, func() error, error) {
	if f, ok := w.(*os.File); ok {
		return f, func() error { return nil }, nil
	}
	r, f, err := os.Pipe()
	if err != nil {
		return nil, nil, err
	}
	done := make(chan error, 1)
	go func() { _, err := io.Copy(w, r); done <- errors.Join(err, r.Close()) }()
	return f, func() error { return errors.Join(f.Close(), <-done) }, nil
}

// limited keeps what is written to it, up to a limit in bytes.
type limited struct {
	bytes.Buffer
	limit int
	over  bool
}

func (l *limited) Write(p []byte) (int, error) {
	if l.Len()+len(p) > l.limit {
		l.over = true
		return len(p), nil // a reader that stops would leave the process hanging
	}
	return l.Buffer.Write(p)
}

// initRoom is what init sees: the checkout, the directory that it fills, and providers.
func (t *Terraform) initRoom(m Module, fill, scratch string) confine.Plan {
	p := t.roomFor(m, scratch)
	if c := t.cfg.Confinement; c != nil {
		p.Egress = c.Download
	}
	p.Writable = append(p.Writable, fill, filepath.Join(t.cfg.Dir, "plugins"))
	return p
}

// runRoom is what plan, show and apply see: what init made cannot be changed any more.
func (t *Terraform) runRoom(m Module, data dataDir, scratch string, further ...string) confine.Plan {
	p := t.roomFor(m, scratch)
	p.ReadOnly = append(append(p.ReadOnly, filepath.Dir(data.path), filepath.Join(t.cfg.Dir, "plugins")), further...)
	return p
}

// roomFor is what all have in common. The checkout can be changed, for providers write archives into
// it: it is the job's own, and nobody uses it again.
func (t *Terraform) roomFor(m Module, scratch string) confine.Plan {
	c := t.cfg.Confinement
	if c == nil {
		return confine.Plan{}
	}
	p := confine.Plan{Egress: c.Run, Limits: c.Limits, Writable: append([]string{m.Root, scratch}, c.Writable...)}
	p.ReadOnly = append(slices.Concat([]string{t.cfg.Binary}, t.cfg.Mirrors, c.ReadOnly), namedFiles(t.cfg.Environ)...)
	for _, mirror := range t.cfg.Mirrors {
		if real, err := filepath.EvalSymlinks(mirror); err == nil {
			p.ReadOnly = append(p.ReadOnly, real)
		}
	}
	if m.StatePath != "" && !m.StateNamed {
		p.Writable = append(p.Writable, filepath.Dir(m.StatePath))
	}
	return p
}

// fileVariables name files that the operator means Terraform to read.
var fileVariables = []string{"AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE", "AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_CA_BUNDLE", "SSL_CERT_FILE", "SSL_CERT_DIR"}

func namedFiles(environ []string) (files []string) {
	for _, kv := range environ {
		name, value, _ := strings.Cut(kv, "=")
		if slices.Contains(fileVariables, name) && filepath.IsAbs(value) {
			files = append(files, filepath.Clean(value))
		}
	}
	return files
}

// explainRefusals adds to a failure which hosts were out of reach.
func explainRefusals(err error, hosts []string) error {
	if err == nil || len(hosts) == 0 {
		return err
	}
	return fault.Wrap(err, "Terraform failed, and the sandbox let it through to none of these: "+strings.Join(hosts, ", ")+".",
		"Only listed hosts can be reached from a plan: whatever it knows could be sent anywhere else.",
		"If the project needs such a host, ask whoever runs the server to list it under `--egress`.")
}
