package runner_test

import (
	"errors"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/tollgate/tollgate/internal/runner"
)

// Covers: R25
func TestFenceIsNeverLowered(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "fences", "state")
	if n, err := runner.ReadFence(file); n != 0 || err != nil {
		t.Fatalf("a fence that was never raised: %d, %v", n, err)
	}
	for _, n := range []int64{3, 3, 5} {
		if err := runner.RaiseFence(file, n); err != nil {
			t.Fatal(err)
		}
	}
	if err := runner.RaiseFence(file, 4); !errors.Is(err, runner.ErrOvertaken) {
		t.Errorf("a claim that was overtaken: %v", err)
	}
	var wg sync.WaitGroup
	for n := range int64(20) {
		wg.Go(func() {
			if err := runner.RaiseFence(file, 6+n); err != nil && !errors.Is(err, runner.ErrOvertaken) {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if n, err := runner.ReadFence(file); n != 25 || err != nil {
		t.Errorf("after all of them: %d, %v", n, err)
	}
	if err := os.WriteFile(file, []byte("rubbish"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := runner.RaiseFence(file, 99); err == nil {
		t.Error("a fence that cannot be read was raised")
	}
}

// A claim that stalls between the database and its runner, while somebody else takes over, starts
// nothing; the same claim, not overtaken, does.
//
// Covers: R25
func TestOvertakenClaimDoesNotStart(t *testing.T) {
	t.Parallel()
	for name, overtaken := range map[string]bool{"overtaken": true, "not overtaken": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			fence := filepath.Join(t.TempDir(), "fence")
			if err := runner.RaiseFence(fence, 1); err != nil {
				t.Fatal(err)
			}
			spec := shell("echo ran")
			spec.Fence = &runner.Fence{File: fence, Token: runner.Token(1)}
			if overtaken {
				if err := runner.RaiseFence(fence, 2); err != nil {
					t.Fatal(err)
				}
			}
			s := wait(t, begin(t, spec))
			if want := map[bool]runner.State{true: runner.NotStarted, false: runner.Exited}[overtaken]; s.State != want {
				t.Errorf("status %+v, want %s", s, want)
			}
		})
	}
}
