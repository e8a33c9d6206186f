package store_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/tollgate/tollgate/internal/change"
	"github.com/tollgate/tollgate/internal/store"
)

func TestSessionLastsUntilItsEnd(t *testing.T) {
	t.Parallel()
	db := fresh(t)
	ctx := t.Context()
	grace := change.User{ID: 7, Login: "grace"}
	begin := func(digest string, until time.Time) {
		t.Helper()
		if err := db.Write(ctx, func(tx *store.Tx) error { return tx.BeginSession(ctx, digest, grace, until) }); err != nil {
			t.Fatal(err)
		}
	}
	who := func(digest string) (change.User, error) {
		return store.Read(ctx, db, func(tx *store.Tx) (change.User, error) { return tx.Session(ctx, digest) })
	}
	begin("old", time.Now().Add(-time.Second))
	begin("new", time.Now().Add(time.Hour))
	if got, err := who("new"); err != nil || got != grace {
		t.Errorf("a session: %v, %v", got, err)
	}
	for _, digest := range []string{"old", "none", ""} {
		if got, err := who(digest); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("%q: %v, %v", digest, got, err)
		}
	}
	for range 2 {
		if err := db.Write(ctx, func(tx *store.Tx) error { return tx.EndSession(context.WithoutCancel(ctx), "new") }); err != nil {
			t.Fatal(err)
		}
	}
	if got, err := who("new"); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("after signing out: %v, %v", got, err)
	}
}
