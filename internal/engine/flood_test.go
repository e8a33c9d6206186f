package engine

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/tollgate/tollgate/internal/change"
	"github.com/tollgate/tollgate/internal/github"
	"github.com/tollgate/tollgate/internal/store"
)

// comments writes a comment and has it worked on, as its webhook would.
func (d *desk) comments(by, text string) (id int64) {
	d.t.Helper()
	id, err := d.pull.Comment(by, text)
	d.ok(err)
	d.ok(d.e.event(d.t.Context(), github.Event{Kind: github.KindComment, Action: "created", InstallationID: d.inst, Repo: d.at(), Pull: d.key.Number,
		CommentID: id, CommentBody: text, Sender: change.User{ID: d.ids[by], Login: by}}))
	return id
}

// What only looks like a command uses up none: after a hundred slips, the command itself is obeyed.
//
// Covers: T14, T18
func TestSlipsAreNoCommands(t *testing.T) {
	t.Parallel()
	atDesk(t, func(d *desk) {
		for range 100 {
			d.comments("bob", "/plan && rm -rf /")
		}
		d.comments("bob", "/plan")
		d.pass(10 * time.Second)
		runs, err := store.Read(d.t.Context(), d.db, func(tx *store.Tx) ([]store.Run, error) { return tx.RecentRuns(d.t.Context(), 10) })
		if d.ok(err); len(runs) != 1 {
			t.Errorf("%d runs after a hundred slips and one command, want 1", len(runs))
		}
		comments := 0
		for _, c := range d.pull.Comments() {
			if c.Author == d.app.BotLogin {
				comments++
			}
		}
		if comments > answersPerMinute+1 {
			t.Errorf("%d answers to a hundred slips", comments)
		}
	})
}

// Five people write a hundred `/plan` each within a minute.
//
// Covers: T18
func TestAFloodOfCommands(t *testing.T) {
	t.Parallel()
	atDesk(t, func(d *desk) {
		since := time.Now()
		for i := range 100 {
			for _, who := range people {
				d.comments(who, "/plan")
			}
			if i%10 == 0 {
				d.pass(5 * time.Second)
			}
			active, err := store.Read(d.t.Context(), d.db, func(tx *store.Tx) ([]store.Run, error) { return tx.ActiveRuns(d.t.Context()) })
			if d.ok(err); len(active) > 1 {
				t.Fatalf("%d runs at once", len(active))
			}
		}
		d.pass(10 * time.Second)
		runs, err := store.Read(d.t.Context(), d.db, func(tx *store.Tx) ([]store.Run, error) { return tx.RecentRuns(d.t.Context(), 100) })
		if d.ok(err); len(runs) > replansPerMinute+1 {
			t.Errorf("%d runs for five hundred commands", len(runs))
		}
		writes, reactions, total := 0, 0, 0
		for _, c := range d.line.sent {
			if c.at.Before(since) {
				continue
			}
			total++
			switch {
			case strings.HasPrefix(c.what, http.MethodGet), strings.HasSuffix(c.what, "/access_tokens"):
			case strings.HasSuffix(c.what, "/reactions"):
				reactions++
			default:
				writes++
			}
		}
		t.Logf("%d runs, %d requests, %d reactions, %d other writes", len(runs), total, reactions, writes)
		if writes > 40 || reactions > 2*commandsPerMinute*len(people) || total > 500 {
			t.Errorf("%d requests, %d reactions, %d other writes", total, reactions, writes)
		}
		refusals, comments := 0, 0
		for _, c := range d.pull.Comments() {
			if c.Author == d.app.BotLogin {
				comments++
				refusals += strings.Count(c.Body, fmt.Sprintf("There were more than %d within a minute.", commandsPerMinute))
			}
		}
		if refusals < len(people) || refusals > 2*len(people) || comments > 2*answersPerMinute+1 {
			t.Errorf("%d refusals in %d comments", refusals, comments)
		}
		// The twin: a minute later a command is one.
		d.pass(2 * time.Minute)
		d.comments("bob", "/cancel")
		runs, err = store.Read(d.t.Context(), d.db, func(tx *store.Tx) ([]store.Run, error) { return tx.RecentRuns(d.t.Context(), 1) })
		if d.ok(err); runs[0].State != change.RunCancelled {
			t.Errorf("the run is %s after /cancel", runs[0].State)
		}
	})
}

// An event that is worked on again, because the server died before it could say that it had done so,
// answers nobody a second time.
//
// Covers: R08
func TestAnEventThatIsWorkedOnTwiceIsAnsweredOnce(t *testing.T) {
	t.Parallel()
	atDesk(t, func(d *desk) {
		d.run()
		d.pass(time.Second)
		for _, text := range []string{"/help", "/Plan now", "/unlock payments"} {
			id, err := d.pull.Comment("bob", text)
			d.ok(err)
			for range 3 {
				d.ok(d.e.event(d.t.Context(), github.Event{Kind: github.KindComment, Action: "created", InstallationID: d.inst, Repo: d.at(), Pull: d.key.Number,
					CommentID: id, CommentBody: text, Sender: change.User{ID: d.ids["bob"], Login: "bob"}}))
				d.pass(time.Second)
			}
		}
		n := 0
		for _, c := range d.pull.Comments() {
			if strings.HasPrefix(c.Body, "<!-- tollgate:answer ") {
				n++
			}
		}
		if n != 3 {
			t.Errorf("%d answers to three comments", n)
		}
		same(t, "refusals in the ledger", 1, d.audited("unlock"))
	})
}

func TestReplanPause(t *testing.T) {
	t.Parallel()
	now := time.Now()
	ago := func(d time.Duration, reason string) store.Run {
		return store.Run{Reason: reason, CreatedAt: now.Add(-d)}
	}
	for want, runs := range map[time.Duration][]store.Run{
		0:                {ago(time.Second, reasonCommand), ago(time.Second, reasonPress), ago(2*time.Second, "opened")},
		50 * time.Second: {ago(time.Second, reasonCommand), ago(2*time.Second, reasonMoved), ago(3*time.Second, reasonPress), ago(10*time.Second, reasonCommand)},
	} {
		same(t, fmt.Sprint(runs), want, replanPause(runs, now))
	}
	same(t, "long ago", 0, replanPause([]store.Run{ago(time.Second, reasonCommand), ago(2*time.Second, reasonCommand), ago(2*time.Minute, reasonCommand)}, now))
}

func TestJoins(t *testing.T) {
	t.Parallel()
	p := store.Pull{Pull: change.Pull{HeadSHA: "head", BaseRef: "main"}}
	cases := map[string]struct {
		change func(*store.Run)
		reason string
		want   bool
	}{
		"one that has just begun":   {func(*store.Run) {}, reasonCommand, true},
		"one that goes on for long": {func(r *store.Run) { r.CreatedAt = r.CreatedAt.Add(-2 * time.Minute) }, reasonCommand, false},
		"one that is done":          {func(r *store.Run) { r.State = change.RunPassed }, reasonCommand, false},
		"one of another head":       {func(r *store.Run) { r.HeadSHA = "older" }, reasonCommand, false},
		"one of another base":       {func(r *store.Run) { r.BaseRef = "dev" }, reasonCommand, false},
		"one that serves an apply":  {func(r *store.Run) { r.Reason = reasonMoved }, reasonCommand, false},
		"after the merge":           {func(*store.Run) {}, reasonMergedAgain, false},
		"none":                      {func(r *store.Run) { *r = store.Run{} }, reasonCommand, false},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := store.Run{ID: "r", HeadSHA: "head", BaseRef: "main", State: change.RunRunning, Reason: "opened", CreatedAt: time.Now()}
			c.change(&r)
			same(t, "joins", c.want, joins(r, p, c.reason))
		})
	}
}
