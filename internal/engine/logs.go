package engine

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/tollgate/tollgate/internal/artifact"
	"github.com/tollgate/tollgate/internal/redact"
	"github.com/tollgate/tollgate/internal/store"
)

// A log is in clear while it is written, since an apply's is the standard output of its process. Once that has ended,
// an encrypted one takes its place, bound to what it is of.
const sealedSuffix = ".sealed"

// sealLog puts an encrypted log in the place of one that nobody writes any more, without the secrets that are known.
func (e *Engine) sealLog(b artifact.Binding, path string, known *redact.Known) error {
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("read log: %w", err)
	}
	known.Fill(text)
	sealed, err := e.cfg.Artifacts.Seal(b, text)
	if err != nil {
		return fmt.Errorf("encrypt log: %w", err)
	}
	// Whole or absent: a reader who finds none takes the one in clear.
	tmp := path + sealedSuffix + ".new"
	if err := errors.Join(os.WriteFile(tmp, sealed, 0o600), os.Rename(tmp, path+sealedSuffix)); err != nil {
		return fmt.Errorf("keep log: %w", err)
	}
	return os.Remove(path)
}

// unsealLog returns an encrypted log, or nil if there is none.
func (e *Engine) unsealLog(b artifact.Binding, path string) ([]byte, error) {
	sealed, err := os.ReadFile(path + sealedSuffix)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read log: %w", err)
	}
	return e.cfg.Artifacts.Unseal(b, sealed)
}

// PlanLog returns the log of a plan once it has ended; before, and for logs of versions that did not encrypt them,
// nil: then it is the file at LogPath.
func (e *Engine) PlanLog(r store.Run, p store.Plan) ([]byte, error) {
	return e.unsealLog(e.binding(r, p, artifact.PlanLog), e.LogPath(p.ID))
}

// ApplyLog is PlanLog for an execution, and the file at OutputPath.
func (e *Engine) ApplyLog(x store.Execution) ([]byte, error) {
	return e.unsealLog(applyLogBinding(x), e.OutputPath(x.ID))
}

func applyLogBinding(x store.Execution) artifact.Binding {
	return artifact.Binding{RepoID: x.RepoID, Pull: x.Number, HeadSHA: x.HeadSHA, Project: x.Project.Name, RunID: x.ID, Kind: artifact.ApplyLog}
}

// sealPlanLog is for a plan that has ended, however it did.
func (e *Engine) sealPlanLog(r store.Run, p store.Plan, known *redact.Known) {
	if err := e.sealLog(e.binding(r, p, artifact.PlanLog), e.LogPath(p.ID), known); err != nil {
		e.cfg.Logger.Error("encrypt the log of a plan; the next start tries again", "plan", p.ID, "error", err)
	}
}

// sweepLogs encrypts the logs of plans that ended with their server, or under a version that did not. Those that belong to
// no plan any more it deletes.
func (e *Engine) sweepLogs(ctx context.Context) error {
	files, err := filepath.Glob(e.LogPath("*"))
	if err != nil {
		return err
	}
	for _, file := range files {
		id := strings.TrimSuffix(filepath.Base(file), filepath.Ext(file))
		var r store.Run
		p, err := store.Read(ctx, e.cfg.Store, func(tx *store.Tx) (p store.Plan, err error) {
			if p, err = tx.Plan(ctx, id); err == nil {
				r, err = tx.Run(ctx, p.RunID)
			}
			return p, err
		})
		switch {
		case errors.Is(err, store.ErrNotFound):
			if err := e.deletePlanLog(id); err != nil {
				return err
			}
		case err != nil:
			return fmt.Errorf("find the plan of a log: %w", err)
		case r.State.Done():
			e.sealPlanLog(r, p, e.cfg.Known)
		} // else the run is made again, and deletes it
	}
	return nil
}
