package engine

import (
	"context"
	"errors"
	"math/rand/v2"
	"strings"
	"sync"
	"time"

	"github.com/tollgate/tollgate/internal/change"
	"github.com/tollgate/tollgate/internal/github"
	"github.com/tollgate/tollgate/internal/report"
	"github.com/tollgate/tollgate/internal/store"
)

const (
	// tellersAtOnce bounds the pull requests that GitHub is told about side by side: after an outage
	// there may be thousands.
	tellersAtOnce = 32
	// reportPatience is how long one series of attempts lasts. What GitHub has not taken by then
	// stays in the store, for the next news of the pull request or the next start.
	reportPatience = 24 * time.Hour
	// The pause between attempts doubles from Pace.ReportPause up to so many times as much. What
	// GitHub refuses is tried less often than what it doesn't answer.
	longestPauses, longestRefusedPauses = 60, 600
	// newsPauses is how soon news may interrupt such a pause.
	newsPauses = 5
	// lateness is how long after it was given up a request may still be carried out: a proxy may
	// have kept it. What GitHub shows is looked at again then, because an old state that arrives
	// late would replace the new one and nobody would notice.
	lateness = 2 * time.Minute
)

// reportSoon has GitHub told of a pull request in the background. When it returns, a crash can't
// make that be forgotten.
func (e *Engine) reportSoon(key pullKey) {
	err := e.cfg.Store.Write(context.WithoutCancel(e.life), func(tx *store.Tx) error { return tx.AddUntold(e.life, key.stored()) })
	if err != nil && e.life.Err() == nil {
		e.cfg.Logger.Error("remember that GitHub is to be told", "pull", key.Number, "error", err)
	}
	e.tell(key)
}

// tell sees to it that somebody tells GitHub all of a pull request, from now on or once more.
func (e *Engine) tell(key pullKey) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if news := e.telling[key]; news != nil {
		select {
		case news <- struct{}{}:
		default: // what nobody has looked at yet includes this
		}
		return
	}
	news := make(chan struct{}, 1)
	e.telling[key] = news
	e.wg.Go(func() { e.keepTelling(key, news) })
}

// tellUnfinished resumes what an earlier process did not get through with.
func (e *Engine) tellUnfinished(ctx context.Context) error {
	keys, err := store.Read(ctx, e.cfg.Store, func(tx *store.Tx) ([]store.PullKey, error) { return tx.AllUntold(ctx, completed) })
	for _, k := range keys {
		e.reportSoon(pullKey{k.RepoID, k.Number})
	}
	return err
}

// keepTelling is the only one who tells GitHub of the pull request, so what it sends is in order. It
// ends when GitHub knows all.
func (e *Engine) keepTelling(key pullKey, news chan struct{}) {
	var failing outage
	first := max(e.cfg.Pace.ReportPause, time.Millisecond)
	for {
		var again time.Time
		err := e.survive(func() (err error) { again, err = e.tellOnce(key, &failing); return err })
		if e.life.Err() != nil {
			return // the next start resumes
		}
		switch {
		case err == nil && again.IsZero():
			if e.leave(key, news) {
				return
			}
		case err == nil:
			e.rest(time.Until(again), news)
		case failing.over():
			e.cfg.Logger.Error("GitHub does not take a report; it is kept until there is news of the pull request", "pull", key.Number, "error", err)
			if e.leave(key, news) {
				return
			}
		default:
			e.cfg.Logger.Warn("report to GitHub; it will be tried again", "pull", key.Number, "error", err)
			pause := failing.pause(first, err)
			soon := min(pause, newsPauses*first) // news must not make a failing GitHub be asked all the time
			e.rest(soon, nil)
			e.rest(pause-soon, news)
		}
	}
}

// leave ends the telling unless there is news that nobody has looked at.
func (e *Engine) leave(key pullKey, news chan struct{}) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	select {
	case <-news:
		return false
	default:
		delete(e.telling, key)
		return true
	}
}

// rest waits for a while, or until there is news or the engine stops.
func (e *Engine) rest(d time.Duration, news <-chan struct{}) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-news:
	case <-e.life.Done():
	}
}

// tellOnce makes one attempt, and says when to look again although all went well.
func (e *Engine) tellOnce(key pullKey, failing *outage) (again time.Time, err error) {
	giveBack, err := e.tellers.take(e.life, tenant{repo: key.Repo})
	if err != nil {
		return time.Time{}, err
	}
	defer giveBack()
	ctx := github.Patient(e.life)
	changes, err := store.Read(ctx, e.cfg.Store, func(tx *store.Tx) (int, error) { return tx.Untold(ctx, key.stored()) })
	if errors.Is(err, store.ErrNotFound) {
		err = nil // told meanwhile, or it could not be written down
	}
	if err != nil {
		return time.Time{}, err
	}
	if again, err = e.report(ctx, key); err != nil {
		var limit *github.RateLimitError
		if errors.As(err, &limit) && limit.Reserve && !limit.Until.Equal(failing.said) {
			failing.said = limit.Until
			err = errors.Join(err, e.sayWaiting(github.Urgent(ctx), key, limit.Until))
		}
		return time.Time{}, err
	}
	*failing = outage{}
	if !again.IsZero() {
		return again, nil
	}
	return time.Time{}, e.cfg.Store.Write(ctx, func(tx *store.Tx) error { return tx.SetTold(ctx, key.stored(), changes) })
}

// outage is a series of attempts that failed.
type outage struct {
	since time.Time // of the first
	n     int
	said  time.Time // the end of the rate limit that people were told of
}

// over reports whether there have been attempts for long enough.
func (o *outage) over() bool {
	if o.since.IsZero() {
		o.since = time.Now()
	}
	return time.Since(o.since) > reportPatience
}

// pause is how long to wait after a failure. Those who wait for the same do not come back together.
func (o *outage) pause(first time.Duration, err error) time.Duration {
	longest := longestPauses * first
	if !unreachable(err) {
		longest = longestRefusedPauses * first
	}
	pause := min(first<<min(o.n, 10), longest)
	o.n++
	pause = pause/2 + rand.N(pause/2+1) // jitter is no secret
	var limit *github.RateLimitError
	if errors.As(err, &limit) {
		return max(time.Until(limit.Until), 0) + pause
	}
	return pause
}

// sayWaiting tells people why a check doesn't go on, with one request out of the reserve.
func (e *Engine) sayWaiting(ctx context.Context, key pullKey, until time.Time) error {
	v, err := e.view(ctx, key)
	if err != nil {
		return err
	}
	c := report.Waiting(report.GateCheck(e.pullReport(v, v.newest(), true)), until)
	if len(v.runs) == 0 || strings.Contains(v.checks[c.ExternalID].Sent, completed) {
		return nil
	}
	_, err = e.sendCheck(ctx, v, c)
	return err
}

// soonest is the earliest of several times.
type soonest struct {
	mu sync.Mutex
	at time.Time
}

func (s *soonest) add(at time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !at.IsZero() && (s.at.IsZero() || at.Before(s.at)) {
		s.at = at
	}
}

// doubted is until when GitHub may still carry out what ended with this error, or zero if it won't.
func doubted(err error) time.Time {
	var limit *github.RateLimitError
	certain := errors.As(err, &limit) || errors.Is(err, github.ErrRejected) || errors.Is(err, github.ErrForbidden) ||
		errors.Is(err, github.ErrNotFound) || errors.Is(err, github.ErrUnauthorized)
	if certain {
		return time.Time{}
	}
	return time.Now().Add(lateness)
}

// later is the later of two times of doubt.
func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// past reports whether a time of doubt is over, so that GitHub shows by now what it will go on to show.
func past(doubt time.Time) bool { return !doubt.IsZero() && !doubt.After(time.Now()) }

func (k pullKey) stored() store.PullKey { return store.PullKey{RepoID: k.Repo, Number: k.Number} }

// onlyComment brings about that exactly one comment bears the mark: it finds it, creates it if there is none,
// and removes what a request that was given up has made besides.
func (e *Engine) onlyComment(ctx context.Context, repo change.Repo, number int, mark string) (id int64, err error) {
	ids, err := e.cfg.GitHub.FindComments(ctx, repo, number, mark)
	if err != nil || len(ids) == 0 {
		return 0, err
	}
	for _, extra := range ids[1:] {
		err = errors.Join(err, e.cfg.GitHub.DeleteComment(ctx, repo, extra))
	}
	return ids[0], err
}
