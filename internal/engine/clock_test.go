package engine

import (
	"testing"
	"time"

	"github.com/tollgate/tollgate/internal/change"
	"github.com/tollgate/tollgate/internal/store"
)

// With our clock ten minutes ahead of GitHub's or behind it, an approval counts if it came after the
// plan could be seen, and not if it came before: both by GitHub's clock.
//
// Covers: R30
func TestApprovalsAreComparedByGitHubsClock(t *testing.T) {
	t.Parallel()
	shown := time.Date(2026, 3, 29, 1, 0, 0, 0, time.UTC) // an hour that Europe skips
	for _, skew := range []time.Duration{0, 10 * time.Minute, -10 * time.Minute} {
		p := aPlan("p", "app", change.RunPassed)
		p.FinishedAt, p.ShownAt = shown.Add(-skew), shown
		v := sees([]store.Run{aRun("r", "opened", change.RunPassed)}, map[string][]store.Plan{"r": {p}})
		for after, counts := range map[time.Duration]bool{-11 * time.Minute: false, -time.Second: false, 0: true, 5 * time.Second: true, 11 * time.Minute: true} {
			review := change.Review{State: "approved", SubmittedAt: shown.Add(after)}
			if got := len(ofEffect([]change.Review{review}, v.shownSince("app"))) == 1; got != counts {
				t.Errorf("GitHub's clock %v ahead, approved %v after the plan: counts %v", skew, after, got)
			}
		}
	}
	// A plan of before version 6 has no time of GitHub.
	p := aPlan("p", "app", change.RunPassed)
	p.FinishedAt = shown
	same(t, "since", shown, sees([]store.Run{aRun("r", "opened", change.RunPassed)}, map[string][]store.Plan{"r": {p}}).shownSince("app"))
}

// Covers: R30
func TestAForksCommitIsSeenByGitHubsClock(t *testing.T) {
	t.Parallel()
	pushed := time.Date(2026, 3, 29, 1, 0, 0, 0, time.UTC) // by GitHub's clock
	for _, skew := range []time.Duration{0, 10 * time.Minute, -10 * time.Minute} {
		known := store.Pull{Pull: change.Pull{HeadSHA: "h"}, PushedAt: pushed.Add(-skew)}
		for after, covers := range map[time.Duration]bool{-5 * time.Minute: false, 5 * time.Minute: true} {
			if got := (seen{at: pushed.Add(after)}).covers(known, known, skew); got != covers {
				t.Errorf("GitHub's clock %v ahead, asked %v after the push: covered %v", skew, after, got)
			}
		}
	}
}

// An apply after a plan was shown is known as such, also if the clock was set back in between.
//
// Covers: R30
func TestAnApplyIsKnownThoughTheClockWentBack(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)
	shown, moved := aPlan("shown", "app", change.RunPassed), aPlan("moved", "app", change.RunPassed)
	shown.FinishedAt = now
	runs := []store.Run{aRun("new", reasonMoved, change.RunPassed), aRun("old", "opened", change.RunPassed)}
	runs[0].Seq, runs[1].Seq = 2, 1
	x := consumed("moved", change.ExecApplied, "")
	x.Project.Name = "app"
	for at, was := range map[time.Time]bool{now.Add(time.Minute): true, now.Add(-10 * time.Minute): true} {
		x.CreatedAt = at
		same(t, "applied since", was, sees(runs, map[string][]store.Plan{"new": {moved}, "old": {shown}}, x).appliedSince(shown))
	}
	x.CreatedAt = now.Add(-10 * time.Minute)
	x.PlanID = "older than all in view"
	same(t, "applied before", false, sees(runs, map[string][]store.Plan{"new": {moved}, "old": {shown}}, x).appliedSince(shown))
}
