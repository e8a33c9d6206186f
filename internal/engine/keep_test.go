package engine

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/tollgate/tollgate/internal/artifact"
	"github.com/tollgate/tollgate/internal/change"
	"github.com/tollgate/tollgate/internal/runner"
	"github.com/tollgate/tollgate/internal/store"
)

// standstill is a runner of whose applies always the same is known.
type standstill struct {
	Runner
	state runner.State
}

func (s standstill) Seal(string) (runner.Status, error) { return runner.Status{State: s.state}, nil }

// A log is not taken away from a process that may still write into it; of one that is gone it is encrypted.
//
// Covers: T54
func TestALogThatIsStillWrittenStaysInItsPlace(t *testing.T) {
	t.Parallel()
	atDesk(t, func(d *desk) {
		var err error
		d.e.cfg.Artifacts, err = artifact.Open(filepath.Join(d.dir, "artifacts"), filepath.Join(d.dir, "artifact.key"))
		d.ok(err)
		defer func() { d.ok(d.e.cfg.Artifacts.Close()) }()
		x := store.Execution{Execution: change.Execution{ID: "x", State: change.ExecUnknown}, RepoID: d.key.Repo, Number: d.key.Number}
		log := d.e.OutputPath(x.ID)
		d.ok(os.MkdirAll(filepath.Dir(log), 0o700))
		d.ok(os.WriteFile(log, []byte("Creating...\n"), 0o600))
		for _, c := range []struct {
			state runner.State
			clear bool
		}{{runner.Running, true}, {runner.Lost, false}} {
			d.e.cfg.Runner = standstill{state: c.state}
			d.ok(d.e.clear(t.Context(), x))
			if _, err := os.Stat(log); errors.Is(err, fs.ErrNotExist) == c.clear {
				t.Errorf("%s: the log in clear: %v", c.state, err)
			}
			same(t, "the log as it is shown", "Creating...\n", d.e.tail(x))
		}
	})
}
