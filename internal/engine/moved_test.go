package engine

import (
	"testing"
	"time"

	"github.com/tollgate/tollgate/internal/change"
	"github.com/tollgate/tollgate/internal/github"
	"github.com/tollgate/tollgate/internal/store"
)

// A head that was seen, but not planned yet, has no verdict: not that of the commit before it either.
func TestANewHeadDoesNotInheritAVerdict(t *testing.T) {
	t.Parallel()
	run := aRun("r", "opened", change.RunPassed)
	v := sees([]store.Run{run}, nil)
	v.pull.HeadSHA = "newer"
	e := &Engine{}
	if p := e.pullReport(v, run, true); p.Pull.HeadSHA != "head" {
		t.Errorf("the check of the run is on %q", p.Pull.HeadSHA)
	}
	v.pull.Draft = true
	v.pull.Note = stopped(v.pull)
	if p := e.pullReport(v, run, true); p.Pull.HeadSHA != "newer" || p.Outcome() == "success" {
		t.Errorf("a draft's new head has %q on %q", p.Outcome(), p.Pull.HeadSHA)
	}
}

// What the merge stopped hides nothing of what people looked at.
func TestARunThatWasMadeAgainAndStoppedIsNotWhatPeopleSaw(t *testing.T) {
	t.Parallel()
	for state, want := range map[change.RunState]string{change.RunCancelled: "opened", change.RunSuperseded: "opened", change.RunPassed: "again", change.RunErrored: "again", change.RunRunning: "again"} {
		v := sees([]store.Run{aRun("again", reasonBaseMoved, state), aRun("opened", "opened", change.RunPassed)}, map[string][]store.Plan{"again": {aPlan("p", "app", state)}})
		if got := v.reviewed().ID; got != want {
			t.Errorf("with a run that is %s: %q, want %q", state, got, want)
		}
	}
	nothing := sees([]store.Run{aRun("again", reasonBaseMoved, change.RunPassed), aRun("opened", "opened", change.RunPassed)}, nil)
	if got := nothing.reviewed().ID; got != "opened" {
		t.Errorf("a run without plans: %q", got)
	}
	v := sees([]store.Run{aRun("asked for", "/plan", change.RunCancelled), aRun("opened", "opened", change.RunPassed)}, nil)
	if got := v.reviewed().ID; got != "asked for" {
		t.Errorf("a run that somebody asked for and cancelled: %q", got)
	}
}

// An approval from before a push does not count after another that led back to the same commit.
//
// Covers: T21
func TestShownSinceTheLastPush(t *testing.T) {
	t.Parallel()
	begin := time.Now().Add(-time.Hour)
	at := func(minutes int) time.Time { return begin.Add(time.Duration(minutes) * time.Minute) }
	first, again := aRun("first", "opened", change.RunPassed), aRun("again", reasonPushed, change.RunPassed)
	first.CreatedAt, again.CreatedAt = at(1), at(11)
	before, after := aPlan("p1", "app", change.RunPassed), aPlan("p2", "app", change.RunPassed)
	before.FinishedAt, after.FinishedAt = at(2), at(12)
	v := sees([]store.Run{again, first}, map[string][]store.Plan{"first": {before}, "again": {after}})
	if got := v.shownSince("app"); !got.Equal(at(2)) {
		t.Errorf("without a push in between: %s, want %s", got, at(2))
	}
	v.pull.PushedAt = at(10)
	if got := v.shownSince("app"); !got.Equal(at(12)) {
		t.Errorf("with a push in between: %s, want %s", got, at(12))
	}
}

func TestAnother(t *testing.T) {
	t.Parallel()
	run := aRun("r", "opened", change.RunPassed)
	run.BaseRef, run.CreatedAt = "main", time.Now()
	pull := store.Pull{Pull: change.Pull{HeadSHA: "head", BaseRef: "main"}}
	cases := map[string]struct {
		ev   github.Event
		want bool
	}{
		"the push that was planned":            {github.Event{Action: "synchronize", UpdatedAt: run.CreatedAt.Add(-time.Second)}, false},
		"a push after the plan":                {github.Event{Action: "synchronize", UpdatedAt: run.CreatedAt.Add(time.Minute)}, true},
		"another base, and back":               {github.Event{Action: "edited", BaseChanged: true, UpdatedAt: run.CreatedAt.Add(time.Minute)}, true},
		"a change that touches neither":        {github.Event{Action: "edited", UpdatedAt: run.CreatedAt.Add(time.Minute)}, false},
		"a look of our own":                    {github.Event{Action: actionReconcile}, false},
		"clocks that differ a little":          {github.Event{Action: "synchronize", UpdatedAt: run.CreatedAt.Add(time.Second)}, false},
		"an old webhook that comes after all":  {github.Event{Action: "synchronize", UpdatedAt: run.CreatedAt.Add(-time.Hour)}, false},
		"an old change of the base comes late": {github.Event{Action: "edited", BaseChanged: true, UpdatedAt: run.CreatedAt.Add(-time.Hour)}, false},
	}
	for name, c := range cases {
		if got := another(c.ev, run, pull); got != c.want {
			t.Errorf("%s: %t, want %t", name, got, c.want)
		}
	}
	if moved := (store.Pull{Pull: change.Pull{HeadSHA: "other", BaseRef: "main"}}); another(cases["a push after the plan"].ev, run, moved) {
		t.Error("a push to another head is planned as such")
	}
}
