package engine

import (
	"context"

	"github.com/tollgate/tollgate/internal/fault"
	"github.com/tollgate/tollgate/internal/store"
)

// settle notes that what a merge asked for has come to its end, and why it was not applied, if so.
func (e *Engine) settle(ctx context.Context, req applyRequest, why *fault.Error) error {
	return e.cfg.Store.Write(ctx, func(tx *store.Tx) error { return tx.Settle(ctx, req.Repo.ID, req.Number, why) })
}
