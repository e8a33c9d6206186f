package store_test

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/tollgate/tollgate/internal/change"
	"github.com/tollgate/tollgate/internal/fault"
	"github.com/tollgate/tollgate/internal/store"
)

func TestADeliveryIsNewOnce(t *testing.T) {
	t.Parallel()
	db := fresh(t)
	for _, c := range []struct {
		id, meaning string
		want        bool
	}{
		{"d1", "pull 7 at c0ffee", true},
		{"d1", "pull 7 at c0ffee", false}, // sent again
		{"d2", "pull 7 at c0ffee", false}, // the same under another id
		{"d1", "pull 7 at decade", false}, // another under the same id
		{"d2", "pull 7 at decade", true},  // neither id nor meaning was kept by a repetition
	} {
		got := read(t, db, func(ctx context.Context, tx *store.Tx) (bool, error) {
			return tx.AddDelivery(ctx, c.id, c.meaning, "pull_request")
		})
		if got != c.want {
			t.Errorf("delivery %q, meaning %q: new = %v", c.id, c.meaning, got)
		}
	}
}

func TestADeliveryThatIsRolledBackIsStillNew(t *testing.T) {
	t.Parallel()
	db := fresh(t)
	no := errors.New("no")
	add := func(fail error) (isNew bool) {
		err := db.Write(t.Context(), func(tx *store.Tx) (err error) {
			isNew, err = tx.AddDelivery(t.Context(), "d1", "m1", "push")
			return errors.Join(err, fail)
		})
		if !errors.Is(err, fail) {
			t.Fatal(err)
		}
		return isNew
	}
	if !add(no) || !add(nil) || add(nil) {
		t.Error("a delivery is new until it is committed, and only until then")
	}
}

func TestOneOfManyEqualDeliveriesIsNew(t *testing.T) {
	t.Parallel()
	db := fresh(t)
	got := make(chan bool)
	const senders = 20
	for range senders {
		go func() {
			isNew, err := store.Read(t.Context(), db, func(tx *store.Tx) (bool, error) {
				return tx.AddDelivery(t.Context(), store.NewID(), "the same", "push")
			})
			if err != nil {
				t.Error(err)
			}
			got <- isNew
		}()
	}
	n := 0
	for range senders {
		if <-got {
			n++
		}
	}
	if n != 1 {
		t.Errorf("%d deliveries were taken for new", n)
	}
}

func TestOpenPullsAt(t *testing.T) {
	t.Parallel()
	db := fresh(t)
	elsewhere := pull(4, "aaa", true)
	elsewhere.Repo.ID = repo + 1
	write(t, db, func(ctx context.Context, tx *store.Tx) error {
		for _, p := range []store.Pull{pull(9, "aaa", true), pull(2, "aaa", true), pull(3, "aaa", false), pull(5, "bbb", true), elsewhere} {
			if err := tx.PutPull(ctx, p); err != nil {
				return err
			}
		}
		return nil
	})
	for head, want := range map[string][]int{"aaa": {2, 9}, "bbb": {5}, "ccc": nil, "": nil} {
		got := read(t, db, func(ctx context.Context, tx *store.Tx) ([]int, error) { return tx.OpenPullsAt(ctx, repo, head) })
		if !slices.Equal(got, want) {
			t.Errorf("open pull requests at %q = %v, want %v", head, got, want)
		}
	}
}

func TestPutPullLeavesWhatWasSentAlone(t *testing.T) {
	t.Parallel()
	db := fresh(t)
	p := pull(7, "aaa", true)
	p.Note = fault.New("This pull request is a draft.", "", "")
	write(t, db, func(ctx context.Context, tx *store.Tx) error {
		return errors.Join(tx.PutPull(ctx, p), tx.SetComment(ctx, repo, 7, 42, "digest", time.Time{}))
	})
	p.HeadSHA, p.Note, p.PushedAt = "bbb", nil, time.UnixMilli(5).UTC()
	write(t, db, func(ctx context.Context, tx *store.Tx) error { return tx.PutPull(ctx, p) })
	p.CommentID, p.CommentDigest = 42, "digest"
	same(t, p, read(t, db, func(ctx context.Context, tx *store.Tx) (store.Pull, error) { return tx.Pull(ctx, repo, 7) }))
}

func TestSetApprovals(t *testing.T) {
	t.Parallel()
	db := fresh(t)
	p := pull(7, "aaa", true)
	p.Reviews = []change.Review{{ID: 1, State: "commented"}}
	p.Note = fault.New("What.", "", "")
	write(t, db, func(ctx context.Context, tx *store.Tx) error {
		return errors.Join(tx.PutPull(ctx, p), tx.PutPull(ctx, pull(8, "aaa", true)))
	})
	p.Reviews = []change.Review{{ID: 2, State: "approved", CommitSHA: "aaa", Author: change.User{ID: 2, Login: "bob"}, SubmittedAt: time.UnixMilli(9).UTC(), Permission: "admin"}}
	p.Authors = []change.Commit{{SHA: "aaa", Author: change.User{ID: 1}, Committer: change.User{ID: 3, Bot: true}}}
	p.People = change.People{LastPushers: []change.User{{ID: 4, Login: "dora"}}, Teams: []change.Team{{Name: "acme/ops", Members: []int64{2}}}}
	set := func(number int) error {
		return db.Write(t.Context(), func(tx *store.Tx) error {
			return tx.SetApprovals(t.Context(), repo, number, p.Reviews, p.Authors, p.People)
		})
	}
	if err := set(7); err != nil {
		t.Fatal(err)
	}
	same(t, p, read(t, db, func(ctx context.Context, tx *store.Tx) (store.Pull, error) { return tx.Pull(ctx, repo, 7) }))
	same(t, pull(8, "aaa", true), read(t, db, func(ctx context.Context, tx *store.Tx) (store.Pull, error) { return tx.Pull(ctx, repo, 8) }))
	if err := set(99); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("approvals of an unknown pull request: %v", err)
	}
}

func TestChecks(t *testing.T) {
	t.Parallel()
	db := fresh(t)
	gate := store.Check{ExternalID: "r1/tollgate", RepoID: repo, Number: 7, HeadSHA: "aaa", Name: "tollgate"}
	write(t, db, func(ctx context.Context, tx *store.Tx) error {
		other := store.Check{ExternalID: "r2/tollgate", RepoID: repo, Number: 8, HeadSHA: "aaa", Name: "tollgate"}
		return errors.Join(tx.PutCheck(ctx, gate), tx.PutCheck(ctx, other))
	})
	gate.GitHubID, gate.Sent = 5, "digest"
	write(t, db, func(ctx context.Context, tx *store.Tx) error { return tx.PutCheck(ctx, gate) })
	got := read(t, db, func(ctx context.Context, tx *store.Tx) (map[string]store.Check, error) {
		return tx.Checks(ctx, repo, 7)
	})
	same(t, map[string]store.Check{gate.ExternalID: gate}, got)
	_, err := store.Read(t.Context(), db, func(tx *store.Tx) (store.Check, error) { return tx.Check(t.Context(), "r3/tollgate") })
	if !errors.Is(err, store.ErrNotFound) {
		t.Errorf("an unknown check: %v", err)
	}
}
