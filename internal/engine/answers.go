package engine

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/tollgate/tollgate/internal/change"
	"github.com/tollgate/tollgate/internal/fault"
	"github.com/tollgate/tollgate/internal/github"
	"github.com/tollgate/tollgate/internal/report"
	"github.com/tollgate/tollgate/internal/store"
)

const (
	// answersPerMinute bounds the comments on one pull request; what comes faster shares one.
	answersPerMinute = 6
	// commandsPerMinute bounds what one person may ask for on one pull request. Nobody who is in a hurry
	// for a reason gets there.
	commandsPerMinute = 15
	// replansPerMinute bounds the plans that people ask for on one pull request.
	replansPerMinute = 3
)

// answer keeps an answer to a comment. It is sent once, however often the event is worked on.
func (e *Engine) answer(ctx context.Context, ev github.Event, body string) error {
	return e.answerWith(ctx, ev, body, func(*store.Tx) error { return nil })
}

// answerWith keeps an answer together with what it tells of.
func (e *Engine) answerWith(ctx context.Context, ev github.Event, body string, change func(*store.Tx) error) error {
	err := e.cfg.Store.Write(ctx, func(tx *store.Tx) error {
		if err := change(tx); err != nil {
			return err
		}
		_, err := tx.AddAnswer(ctx, ev.Repo, ev.Pull, occasionOf(ev), body)
		return err
	})
	if err == nil {
		e.reportSoon(pullKey{ev.Repo.ID, ev.Pull})
	}
	return err
}

// occasionOf names what an event asks for, the same each time that the event is worked on.
func occasionOf(ev github.Event) string {
	if ev.CommentID != 0 {
		return fmt.Sprintf("comment %d", ev.CommentID)
	}
	return ev.Meaning()
}

// occasion names what asked for the apply. One request is refused once; another reason to refuse a
// merge is news.
func (r applyRequest) occasion(answer string) string {
	switch {
	case r.CommentID != 0:
		return fmt.Sprintf("refusal of comment %d", r.CommentID)
	case r.Occasion != "":
		return r.Occasion
	}
	return fmt.Sprintf("%s of %d/%d at %s, %s", r.Trigger, r.Repo.ID, r.Number, r.HeadSHA, digest(answer))
}

// sendAnswers writes the answers that wait, in their order, and says when to look again. Nothing is
// answered twice: the comment's hidden mark is in the store before the first attempt, and is looked
// for before the next one.
func (e *Engine) sendAnswers(ctx context.Context, key pullKey, repo change.Repo) (again time.Time, err error) {
	open, err := store.Read(ctx, e.cfg.Store, func(tx *store.Tx) ([]store.Answer, error) { return tx.OpenAnswers(ctx, key.stored()) })
	if err != nil || len(open) == 0 {
		return time.Time{}, err
	}
	p := post{e, key, repo, soonest{}}
	if repo.ID == 0 {
		p.repo = open[0].Repo
	}
	var waiting []store.Answer
	for len(open) > 0 {
		n := 1
		for n < len(open) && open[n].Mark == open[0].Mark {
			n++
		}
		if open[0].Mark == "" {
			waiting = open[:n]
		} else if err := p.settle(ctx, open[:n]); err != nil {
			return time.Time{}, err
		}
		open = open[n:]
	}
	for len(waiting) > 0 {
		ready, err := p.ready(ctx)
		if err != nil || !ready {
			return p.next.at, err
		}
		n, err := p.first(ctx, waiting)
		if err != nil {
			return time.Time{}, err
		}
		waiting = waiting[n:]
	}
	return p.next.at, nil
}

// post carries answers to one pull request.
type post struct {
	e    *Engine
	key  pullKey
	repo change.Repo
	next soonest
}

// settle looks what became of the comment with these answers.
func (p *post) settle(ctx context.Context, batch []store.Answer) error {
	mark, sent, doubt := batch[0].Mark, batch[0].Sent, batch[0].Doubt
	if sent && !past(doubt) {
		p.next.add(doubt)
		return nil
	}
	id, err := p.e.onlyComment(ctx, p.repo, p.key.Number, mark)
	if err != nil {
		return fmt.Errorf("report answer: %w", err)
	}
	if past(doubt) {
		doubt = time.Time{}
	}
	if id == 0 && !sent {
		text, _ := report.Answers(mark, bodies(batch))
		return p.create(ctx, mark, text, doubt)
	}
	p.next.add(doubt)
	return p.note(ctx, mark, true, doubt)
}

// ready reports whether the pull request can take a further comment now.
func (p *post) ready(ctx context.Context) (bool, error) {
	sent, err := store.Read(ctx, p.e.cfg.Store, func(tx *store.Tx) ([]time.Time, error) {
		return tx.AnsweredSince(ctx, p.key.stored(), tx.Now.Add(-time.Minute))
	})
	if err != nil || len(sent) < answersPerMinute {
		return true, err
	}
	p.next.add(sent[len(sent)-answersPerMinute].Add(time.Minute))
	return false, nil
}

// first puts as many answers as fit into a new comment, and says how many.
func (p *post) first(ctx context.Context, waiting []store.Answer) (n int, err error) {
	mark := report.AnswerMark(store.NewID())
	text, n := report.Answers(mark, bodies(waiting))
	err = p.e.cfg.Store.Write(ctx, func(tx *store.Tx) error {
		for _, a := range waiting[:n] {
			if err := tx.MarkAnswer(ctx, a.Seq, mark); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return n, err
	}
	return n, p.create(ctx, mark, text, time.Time{})
}

func (p *post) create(ctx context.Context, mark, text string, doubt time.Time) error {
	_, err := p.e.cfg.GitHub.CreateComment(ctx, p.repo, p.key.Number, text)
	if errors.Is(err, github.ErrRejected) {
		p.e.cfg.Logger.Error("GitHub refuses an answer", "pull", p.key.Number, "error", err) // and always will
		err = nil
	}
	if err != nil {
		return errors.Join(fmt.Errorf("report answer: %w", err), p.note(ctx, mark, false, later(doubt, doubted(err))))
	}
	p.next.add(doubt)
	p.e.cfg.At(ReportAfter)
	return p.note(ctx, mark, true, doubt)
}

func (p *post) note(ctx context.Context, mark string, sent bool, doubt time.Time) error {
	return p.e.cfg.Store.Write(ctx, func(tx *store.Tx) error { return tx.SetAnswered(ctx, mark, sent, doubt) })
}

func bodies(answers []store.Answer) []string {
	var out []string
	for _, a := range answers {
		out = append(out, a.Body)
	}
	return out
}

// tooMany reports whether a person asks for more than anybody can mean. Whoever does is told so once a minute,
// and nothing is asked of GitHub for it.
func (e *Engine) tooMany(ctx context.Context, ev github.Event, command bool) (bool, error) {
	key := pullKey{ev.Repo.ID, ev.Pull}
	who := ev.Sender.ID
	if !command {
		who = -who // what only looks like a command has a count of its own, and uses up none
	}
	obeyed, fresh := false, false
	err := e.cfg.Store.Write(ctx, func(tx *store.Tx) (err error) {
		obeyed, err = tx.CountCommand(ctx, key.stored(), ev.CommentID, who, commandsPerMinute, time.Minute)
		if err != nil || obeyed {
			return err
		}
		body := report.AnswerRefused(report.Refusal{Command: "commands of " + ev.Sender.Login, Fault: fault.New(
			fmt.Sprintf("There were more than %d within a minute.", commandsPerMinute), "The further ones are not obeyed.", "Wait a minute, then ask once.")})
		fresh, err = tx.AddAnswer(ctx, ev.Repo, ev.Pull, fmt.Sprintf("flood of %d on %d/%d at %s", ev.Sender.ID, ev.Repo.ID, ev.Pull, tx.Now.Format("2006-01-02T15:04")), body)
		return err
	})
	if fresh && err == nil {
		e.reportSoon(key)
	}
	return !obeyed, err
}

// joins reports whether a plan that somebody asks for is under way already: it has only just begun.
func joins(last store.Run, p store.Pull, reason string) bool {
	return last.ID != "" && !last.State.Done() && last.HeadSHA == p.HeadSHA && last.BaseRef == p.BaseRef &&
		!servesApply(last) && reason != reasonMergedAgain && time.Since(last.CreatedAt) < time.Minute
}

// byPeople reports whether a person asked for the run.
func byPeople(reason string) bool { return reason == reasonCommand || reason == reasonPress }

// replanPause is how long a plan that a person asks for waits, given the newest runs, so that there are
// not more of them than anybody looks at. The pull request has one run that waits at most.
func replanPause(runs []store.Run, now time.Time) time.Duration {
	n := 0
	for _, r := range runs {
		if !byPeople(r.Reason) {
			continue
		}
		if n++; n == replansPerMinute {
			return max(r.CreatedAt.Add(time.Minute).Sub(now), 0)
		}
	}
	return 0
}
