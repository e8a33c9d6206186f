package engine

import (
	"context"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/tollgate/tollgate/internal/change"
	"github.com/tollgate/tollgate/internal/ghsim"
	"github.com/tollgate/tollgate/internal/github"
	"github.com/tollgate/tollgate/internal/store"
)

// outages are the ways in which GitHub fails.
var outages = map[string]ghsim.Fault{
	"500":             {Status: 500},
	"HTML 502":        {Status: 502, Body: "<html>Bad gateway</html>"},
	"503":             {Status: 503, Header: http.Header{"Retry-After": {"2"}}},
	"truncated JSON":  {Status: 200, Body: `{"id": 1, "chec`},
	"reset":           {Cut: true},
	"hangs":           {Do: func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }},
	"lost answer":     {Status: 504, After: true},
	"lost, truncated": {Status: 201, Body: `{"id": 1, "chec`, After: true},
}

// places are where it fails.
var places = map[string]ghsim.Match{
	"everywhere":       {Path: "/**"},
	"tokens":           {Path: "/app/installations/*/access_tokens"},
	"new checks":       {Method: "POST", Path: "/repos/*/*/check-runs"},
	"checks":           {Method: "PATCH", Path: "/repos/*/*/check-runs/*"},
	"list of checks":   {Method: "GET", Path: "/repos/*/*/commits/*/check-runs"},
	"new comments":     {Method: "POST", Path: "/repos/*/*/issues/*/comments"},
	"comments":         {Method: "PATCH", Path: "/repos/*/*/issues/comments/*"},
	"list of comments": {Method: "GET", Path: "/repos/*/*/issues/*/comments"},
}

// Half an hour without GitHub, from before the first check or from in between: nothing is lost,
// nothing is there twice, and nobody asks all the time.
//
// Covers: R08, R21
func TestOutagesLoseNothing(t *testing.T) {
	t.Parallel()
	for how := range outages {
		halfAnHour(t, "everywhere", how, true)
	}
	for place := range places {
		halfAnHour(t, place, "lost answer", !strings.HasPrefix(place, "new"))
	}
	halfAnHour(t, "everywhere", "HTML 502", false)
}

// halfAnHour is an outage; begun says whether GitHub has checks and a comment before.
func halfAnHour(t *testing.T, place, how string, begun bool) {
	t.Run(fmt.Sprintf("%s, %s, begun: %t", place, how, begun), func(t *testing.T) {
		t.Parallel()
		atDesk(t, func(d *desk) {
			sha := d.pull.Info().HeadSHA
			r := d.run()
			if begun {
				d.pass(time.Minute)
			}
			since := time.Now()
			down := d.sim.Inject(places[place], outages[how])
			d.move(r, change.RunRunning)
			d.ask(1, "first")
			d.pass(10 * time.Minute)
			d.move(r, change.RunPassed)
			d.ask(2, "second")
			d.pass(20 * time.Minute)
			if down.Hits() == 0 && place != "tokens" && !strings.HasPrefix(place, "list") {
				t.Error("nobody noticed")
			}
			if n, what := d.line.rate(time.Minute, since); n >= 60 {
				t.Errorf("%d times in a minute: %s", n, what)
			}
			if n, what := d.line.rate(20*time.Minute, since.Add(10*time.Minute)); n > 300 {
				t.Errorf("%d times in twenty minutes: %s", n, what)
			}
			down.Clear()
			d.pass(5 * time.Minute)
			d.told(sha, answersOf(d, "first", "second")...)
		})
	})
}

// answersOf takes into account that answers which wait together share a comment.
func answersOf(d *desk, all ...string) []string {
	for _, c := range d.pull.Comments() {
		if strings.Contains(c.Body, strings.Join(all, "\n\n---\n\n")) {
			return []string{strings.Join(all, "\n\n---\n\n")}
		}
	}
	return all
}

// A request that was given up may be carried out all the same, after a newer one. The old state must
// not stay, nor what it made a second time.
//
// Covers: R18, R21
func TestWhatArrivesLateIsMended(t *testing.T) {
	t.Parallel()
	for name, late := range map[string]struct {
		is    func(*http.Request) bool
		begun bool // GitHub has checks and comment already
	}{
		"an update of a check": {func(r *http.Request) bool { return r.Method == "PATCH" && strings.Contains(r.URL.Path, "/check-runs/") }, true},
		"a new check":          {func(r *http.Request) bool { return r.Method == "POST" && strings.HasSuffix(r.URL.Path, "/check-runs") }, false},
		"an update of comment": {func(r *http.Request) bool {
			return r.Method == "PATCH" && strings.Contains(r.URL.Path, "/issues/comments/")
		}, true},
		"a new summary comment": {func(r *http.Request) bool { return r.Method == "POST" && strings.HasSuffix(r.URL.Path, "/comments") }, false},
		"an answer":             {func(r *http.Request) bool { return r.Method == "POST" && strings.HasSuffix(r.URL.Path, "/comments") }, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			atDesk(t, func(d *desk) {
				sha := d.pull.Info().HeadSHA
				if !late.begun {
					d.line.keep = late.is
				}
				r := d.run()
				d.pass(time.Second)
				if late.begun {
					d.line.keep = late.is
				}
				d.move(r, change.RunRunning)
				if late.begun {
					d.ask(1, "answer")
				}
				d.pass(40 * time.Second)
				d.move(r, change.RunPassed)
				d.pass(40 * time.Second)
				if d.line.held == nil {
					t.Fatal("nothing was held back")
				}
				before := summaryOf(d)
				d.line.arrive()
				d.pass(5 * time.Minute)
				for _, c := range d.repo.CheckRuns(sha) {
					if c.Status != "completed" {
						t.Errorf("check %s is %s", c.Name, c.Status)
					}
				}
				if summaryOf(d) != before {
					t.Errorf("the summary went back to %q", summaryOf(d))
				}
				if late.begun {
					d.commented("answer")
				} else {
					d.commented()
				}
				if n := len(d.repo.CheckRuns(sha)); name != "a new check" && n != 2 {
					t.Errorf("%d checks", n)
				}
			})
		})
	}
}

func summaryOf(d *desk) string {
	for _, c := range d.pull.Comments() {
		if strings.HasPrefix(c.Body, "<!-- tollgate:summary -->") {
			return c.Body
		}
	}
	return ""
}

// Whoever starts after a crash goes on where the last process ended, also if GitHub was down then.
//
// Covers: R08, R21
func TestTheNextStartTellsTheRest(t *testing.T) {
	t.Parallel()
	atDesk(t, func(d *desk) {
		sha := d.pull.Info().HeadSHA
		r := d.run()
		d.pass(time.Minute)
		down := d.sim.Inject(places["everywhere"], outages["500"])
		d.move(r, change.RunRunning)
		d.move(r, change.RunPassed)
		d.ask(1, "answer")
		d.pass(time.Minute)
		d.shut()
		d.open()
		d.pass(time.Minute)
		d.shut()
		down.Clear()
		d.open()
		d.pass(5 * time.Minute)
		d.told(sha, "answer")
	})
}

// A server that ends right after it has kept an answer has not yet noted that GitHub is to be told.
//
// Covers: R08
func TestAnAnswerThatWasKeptIsSentByTheNextStart(t *testing.T) {
	t.Parallel()
	atDesk(t, func(d *desk) {
		sha := d.pull.Info().HeadSHA
		d.move(d.run(), change.RunRunning)
		r, err := d.e.latest(d.t.Context(), d.key)
		d.ok(err)
		d.move(r, change.RunPassed)
		d.pass(time.Minute)
		d.told(sha)
		d.write(func(ctx context.Context, tx *store.Tx) error {
			_, err := tx.AddAnswer(ctx, d.at(), d.key.Number, "comment 1", "answer")
			return err
		})
		d.shut()
		d.open()
		d.pass(time.Minute)
		d.told(sha, "answer")
	})
}

// After a day nobody asks any more, until there is news or a new start.
//
// Covers: R21
func TestADayIsLongEnough(t *testing.T) {
	t.Parallel()
	atDesk(t, func(d *desk) {
		sha := d.pull.Info().HeadSHA
		d.ok(d.sim.Suspend(d.inst, true))
		r := d.run()
		d.move(r, change.RunRunning)
		d.pass(25 * time.Hour)
		n := len(d.line.sent)
		d.pass(10 * time.Hour)
		if more := len(d.line.sent) - n; more != 0 || n < 100 {
			t.Errorf("asked %d times, and %d times more", n, more)
		}
		d.ok(d.sim.Suspend(d.inst, false))
		d.move(r, change.RunPassed)
		d.pass(5 * time.Minute)
		d.told(sha)
	})
}

// Every head has a check, also one that was overtaken before anybody could report on it, and one of a
// run that is too old to be looked at otherwise.
//
// Covers: R32
func TestNoCommitIsLeftOut(t *testing.T) {
	t.Parallel()
	atDesk(t, func(d *desk) {
		first := d.pull.Info().HeadSHA
		r := d.run()
		d.pass(time.Minute)
		down := d.sim.Inject(places["everywhere"], outages["500"])
		heads := []string{first}
		for i := range runsInView + 2 {
			if i < 2 || i == runsInView+1 {
				heads = append(heads, d.push(i))
			}
			d.move(r, change.RunSuperseded)
			d.write(func(ctx context.Context, tx *store.Tx) error { return tx.PutPull(ctx, store.Pull{Pull: d.facts()}) })
			r = store.Run{ID: store.NewID(), RepoID: d.key.Repo, Number: d.key.Number, HeadSHA: heads[len(heads)-1], BaseRef: "main", Reason: "synchronize"}
			d.write(func(ctx context.Context, tx *store.Tx) error { return tx.AddRun(ctx, &r) })
		}
		d.move(r, change.RunRunning)
		d.move(r, change.RunPassed)
		down.Clear()
		d.pass(5 * time.Minute)
		for i, sha := range heads {
			c, ok := d.repo.CheckRun(sha, "tollgate")
			want := "cancelled"
			if i == len(heads)-1 {
				want = "success"
			}
			if !ok || c.Status != "completed" || c.Conclusion != want {
				t.Errorf("commit %d: the check is %q, %q, want %s", i, c.Status, c.Conclusion, want)
			}
		}
	})
}

// The App is uninstalled, or suspended, while an apply runs. The apply ends, and whoever lets the App
// in again sees how.
//
// Covers: R23
func TestTheAppIsGoneForAWhile(t *testing.T) {
	t.Parallel()
	for name, gone := range map[string]struct {
		leave, back func(*desk) (action string, err error)
	}{
		"suspended": {
			func(d *desk) (string, error) { return "suspend", d.sim.Suspend(d.inst, true) },
			func(d *desk) (string, error) { return "unsuspend", d.sim.Suspend(d.inst, false) },
		},
		"uninstalled": {
			func(d *desk) (string, error) { return "deleted", d.sim.Uninstall(d.inst) },
			func(d *desk) (action string, err error) {
				d.inst, err = d.sim.Install(d.app.ID, "acme")
				return "created", err
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			atDesk(t, func(d *desk) {
				sha := d.pull.Info().HeadSHA
				r := d.run()
				d.pass(time.Minute)
				hear := func(action string, err error) {
					d.ok(err)
					ev := github.Event{Kind: github.KindInstallation, Action: action, InstallationID: d.inst, Sender: change.User{ID: 5, Login: "owner"}}
					if action == "created" {
						ev.Repos = []change.Repo{d.at()}
					}
					d.ok(d.e.event(d.t.Context(), ev))
				}
				hear(gone.leave(d))
				d.move(r, change.RunRunning)
				d.move(r, change.RunPassed)
				d.pass(3 * time.Hour)
				if c, _ := d.repo.CheckRun(sha, "tollgate"); c.Status == "completed" {
					t.Fatal("told without access")
				}
				hear(gone.back(d))
				d.work()
				d.pass(time.Minute)
				d.told(sha)
				same(t, "in the ledger", 2, d.audited("installation."))
			})
		})
	}
}

// While only the reserve of the hour's requests is left, people are told so, and decisions go on.
//
// Covers: R22
func TestPeopleSeeThatTheRateLimitIsWaitedFor(t *testing.T) {
	t.Parallel()
	atDesk(t, func(d *desk) {
		sha := d.pull.Info().HeadSHA
		r := d.run()
		d.pass(time.Minute)
		left := 480
		d.line.to = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			reset := time.Date(2000, 1, 1, 1, 0, 0, 0, time.UTC)
			if time.Now().Before(reset) {
				left--
			} else {
				reset, left = reset.Add(time.Hour), 5000
			}
			d.sim.ServeHTTP(limited{w, left, reset}, r)
		})
		d.move(r, change.RunRunning)
		d.pass(time.Second)
		d.move(r, change.RunPassed)
		d.pass(10 * time.Minute)
		c, _ := d.repo.CheckRun(sha, "tollgate")
		if c.Status != "in_progress" || c.Title != "Waiting for GitHub's rate limit until 01:00 UTC" {
			t.Errorf("the check says %q, %q", c.Status, c.Title)
		}
		if left < 450 {
			t.Errorf("the reserve went down to %d", left)
		}
		if _, err := d.e.cfg.GitHub.Pull(d.t.Context(), d.at(), d.key.Number); err != nil {
			t.Errorf("a decision cannot read its facts: %v", err)
		}
		d.pass(time.Hour)
		d.told(sha)
	})
}

// limited tells of a rate limit in an answer.
type limited struct {
	http.ResponseWriter
	left  int
	reset time.Time
}

func (l limited) WriteHeader(status int) {
	l.Header().Set("X-RateLimit-Limit", "5000")
	l.Header().Set("X-RateLimit-Remaining", strconv.Itoa(l.left))
	l.Header().Set("X-RateLimit-Reset", strconv.FormatInt(l.reset.Unix(), 10))
	l.ResponseWriter.WriteHeader(status)
}

// A push whose webhook arrives when the next one is there already, before it or after it, has a check.
//
// Covers: R18, R32
func TestAnOvertakenCommitHasACheck(t *testing.T) {
	t.Parallel()
	for name, first := range map[string]int{"in order": 1, "the newer first": 2} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			atDesk(t, func(d *desk) {
				heads := []string{d.pull.Info().HeadSHA, d.push(1), d.push(2)}
				for _, i := range []int{0, first, 3 - first} {
					d.ok(d.e.event(d.t.Context(), github.Event{Kind: github.KindPullRequest, Action: "synchronize", InstallationID: d.inst, Repo: d.at(), Pull: d.key.Number,
						HeadSHA: heads[i], BaseRef: "main", Sender: change.User{ID: d.ids["ann"], Login: "ann"}}))
					d.pass(time.Second)
				}
				d.work() // looks again
				d.pass(time.Minute)
				for i, want := range []string{"cancelled", "cancelled", ""} {
					if c, ok := d.repo.CheckRun(heads[i], "tollgate"); !ok || c.Conclusion != want || (want != "") != (c.Status == "completed") {
						t.Errorf("commit %d: %t, %q, %q", i, ok, c.Status, c.Conclusion)
					}
				}
				if n := len(d.repo.CheckRuns(heads[1])); n != 1 {
					t.Errorf("%d checks", n)
				}
			})
		})
	}
}
