package store_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/tollgate/tollgate/internal/change"
	"github.com/tollgate/tollgate/internal/store"
)

func TestPushers(t *testing.T) {
	t.Parallel()
	db := fresh(t)
	ann, bob := change.User{ID: 1, Login: "ann"}, change.User{ID: 2, Login: "bob"}
	write(t, db, func(ctx context.Context, tx *store.Tx) error {
		return errors.Join(tx.AddPusher(ctx, repo, 7, "aaa", bob), tx.AddPusher(ctx, repo, 7, "aaa", ann), tx.AddPusher(ctx, repo, 7, "aaa", ann),
			tx.AddPusher(ctx, repo, 7, "bbb", bob), tx.AddPusher(ctx, repo, 8, "aaa", bob))
	})
	of := func(sha string) []change.User {
		return read(t, db, func(ctx context.Context, tx *store.Tx) ([]change.User, error) { return tx.Pushers(ctx, repo, 7, sha) })
	}
	same(t, []change.User{ann, bob}, of("aaa"))
	same(t, []change.User{bob}, of("bbb"))
	same(t, nil, of("ccc"))
}

// A glass is confirmed once, and used for one apply.
// Covers: T64, T77
func TestGlasses(t *testing.T) {
	t.Parallel()
	db := fresh(t)
	g := store.Glass{ID: "g", RepoID: repo, Number: 7, Project: "app", HeadSHA: "aaa", EffectDigest: "sha256:1",
		Glass: change.Glass{AskedBy: change.User{ID: 1, Login: "ann"}, Reason: "down", AskedAt: time.UnixMilli(5).UTC()}}
	newer := g
	newer.ID, newer.AskedAt = "n", time.UnixMilli(6).UTC()
	write(t, db, func(ctx context.Context, tx *store.Tx) error {
		return errors.Join(tx.AddGlass(ctx, g), tx.AddGlass(ctx, newer))
	})
	try := func(f func(ctx context.Context, tx *store.Tx) error) error {
		return db.Write(t.Context(), func(tx *store.Tx) error { return f(t.Context(), tx) })
	}
	spend := func(ctx context.Context, tx *store.Tx) error { return tx.SpendGlass(ctx, "g", "x") }
	if err := try(spend); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("use before it was confirmed: %v", err)
	}
	g.ConfirmedBy, g.Issue = change.User{ID: 2, Login: "bob"}, 9
	confirm := func(ctx context.Context, tx *store.Tx) error { return tx.ConfirmGlass(ctx, g) }
	write(t, db, confirm)
	if err := try(confirm); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("confirmed twice: %v", err)
	}
	write(t, db, spend)
	if err := try(spend); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("used twice: %v", err)
	}
	g.ExecutionID = "x"
	same(t, []store.Glass{newer, g}, read(t, db, func(ctx context.Context, tx *store.Tx) ([]store.Glass, error) { return tx.GlassesOf(ctx, repo, 7) }))
	same(t, g, read(t, db, func(ctx context.Context, tx *store.Tx) (store.Glass, error) { return tx.Glass(ctx, "g") }))
}
