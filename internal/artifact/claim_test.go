package artifact_test

import (
	"errors"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/tollgate/tollgate/internal/artifact"
)

// Covers: R36, T37
func TestPlanIsClaimedOnce(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	key := filepath.Join(t.TempDir(), "key")
	s, err := artifact.Open(dir, key)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	ctx := t.Context()
	plan, err := s.Put(ctx, artifact.Binding{RepoID: 1, Kind: artifact.PlanFile}, []byte("plan"))
	if err != nil {
		t.Fatal(err)
	}
	if content, err := s.Claimed(ctx, plan); content != nil || err != nil {
		t.Fatalf("a plan that nobody claimed: %q, %v", content, err)
	}
	var won atomic.Int64
	var wg sync.WaitGroup
	for i := range 20 {
		wg.Go(func() {
			switch err := s.Claim(ctx, plan, []byte{byte('a' + i)}); {
			case err == nil:
				won.Add(1)
			case !errors.Is(err, artifact.ErrClaimed):
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if won.Load() != 1 {
		t.Fatalf("%d of 20 got the claim, want 1", won.Load())
	}
	first, err := s.Claimed(ctx, plan)
	if err != nil || len(first) != 1 {
		t.Fatalf("claim %q, %v", first, err)
	}
	n := 0
	if err := s.Claims(ctx, func(_ []byte, err error) error { n++; return err }); err != nil || n != 1 {
		t.Errorf("%d claims, %v; want 1", n, err)
	}
	// A plan that is deleted stays claimed.
	if err := s.Delete(ctx, plan); err != nil {
		t.Fatal(err)
	}
	if err := s.Claim(ctx, plan, []byte("z")); !errors.Is(err, artifact.ErrClaimed) {
		t.Errorf("after the plan was deleted: %v", err)
	}
	// A claim of another plan is not its own, and one that is damaged is not none.
	other, err := s.Put(ctx, artifact.Binding{RepoID: 1, Kind: artifact.PlanFile}, []byte("other"))
	if err != nil {
		t.Fatal(err)
	}
	sealed, err := os.ReadFile(filepath.Join(dir, plan.Key+".claim"))
	if err != nil {
		t.Fatal(err)
	}
	for name, damaged := range map[string][]byte{"another's": sealed, "cut short": sealed[:5], "empty": nil} {
		if err := os.WriteFile(filepath.Join(dir, other.Key+".claim"), damaged, 0o600); err != nil {
			t.Fatal(err)
		}
		if content, err := s.Claimed(ctx, other); !errors.Is(err, artifact.ErrAltered) {
			t.Errorf("%s: %q, %v", name, content, err)
		}
		if err := s.Claims(ctx, func(_ []byte, err error) error { return err }); !errors.Is(err, artifact.ErrAltered) {
			t.Errorf("%s, listed: %v", name, err)
		}
	}
}
