package ghsim

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// conversation puts everything that happened to a pull request in order.
func (s *Server) conversation(p *pull) []eventView {
	first := eventView{Kind: "comment", Person: s.personView(p.author, nil), At: p.created, Text: "opened this", Body: s.markdown(p.body)}
	rest := s.commitEvents(p)
	for _, c := range p.issue.comments() {
		rest = append(rest, s.commentEvent(c))
	}
	for _, v := range p.reviews {
		rest = append(rest, s.reviewEvent(p, v))
	}
	rest = append(rest, s.deploymentEvents(p)...)
	if p.merged {
		rest = append(rest, eventView{Kind: "state", Person: s.personView(p.mergedBy, nil), At: p.mergedAt, Text: "merged this", SHA: p.mergeSHA, Tone: "good"})
	} else if !p.open() {
		rest = append(rest, eventView{Kind: "state", Person: s.personView(p.closedBy, nil), At: p.closed, Text: "closed this", Tone: "bad"})
	}
	slices.SortStableFunc(rest, func(a, b eventView) int { return a.At.Compare(b.At) })
	return append([]eventView{first}, rest...)
}

func (s *Server) commentEvent(c *comment) eventView {
	e := eventView{
		Kind: "comment", ID: c.id, Person: s.personView(c.author, nil), At: c.created, Text: "commented", Body: s.markdown(c.body),
		Link: fmt.Sprintf("#issuecomment-%d", c.id),
	}
	if c.updated.After(c.created) {
		e.Text = "commented, edited"
	}
	faces := map[string]string{"+1": "👍", "-1": "👎", "laugh": "😄", "confused": "😕", "heart": "❤️", "hooray": "🎉", "rocket": "🚀", "eyes": "👀"}
	for _, r := range c.reactions {
		e.Marks = append(e.Marks, faces[r.content])
	}
	return e
}

func (s *Server) reviewEvent(p *pull, v *review) eventView {
	words := map[string][2]string{
		"APPROVED": {"approved these changes", "good"}, "CHANGES_REQUESTED": {"requested changes", "bad"},
		"COMMENTED": {"reviewed", "quiet"}, "DISMISSED": {"reviewed, dismissed since", "quiet"},
	}
	e := eventView{
		Kind: "review", ID: v.id, Person: s.personView(v.author, p.repo), At: v.submitted, Text: words[v.state][0],
		Tone: words[v.state][1], Body: s.markdown(v.body), Link: fmt.Sprintf("#pullrequestreview-%d", v.id),
	}
	if v.commit != p.headSHA {
		e.Text += " at " + v.commit[:7]
	}
	return e
}

// commitEvents stand where the commits were made, but never before the pull request.
func (s *Server) commitEvents(p *pull) []eventView {
	commits, err := s.commitsOf(p)
	if err != nil {
		s.cfg.Logger.Error("list commits of a pull request", "error", err)
	}
	var list []eventView
	for _, c := range commits {
		e := eventView{Kind: "commit", At: c.committer.when, SHA: c.sha, Person: personView{Login: c.author.name}}
		e.Text, _, _ = strings.Cut(c.message, "\n")
		if a := s.accountByEmail(c.author.email); a != nil {
			e.Person = s.personView(a, nil)
		}
		if e.At.Before(p.created) {
			e.At = p.created
		}
		list = append(list, e)
	}
	return list
}

func (s *Server) deploymentEvents(p *pull) []eventView {
	var list []eventView
	for _, d := range byID(p.repo.deployments) {
		if d.sha != p.headSHA && !(p.merged && d.sha == p.mergeSHA) {
			continue
		}
		e := eventView{Kind: "deployment", Person: s.personView(d.creator, nil), At: d.created, Text: "deploys to " + d.environment, Tone: "busy"}
		if n := len(d.statuses); n > 0 {
			last := d.statuses[n-1]
			e.Text, e.Tone, e.Link = fmt.Sprintf("deployment to %s: %s", d.environment, strings.ReplaceAll(last.state, "_", " ")), tone(last.state), last.logURL
			e.At = last.created
		}
		list = append(list, e)
	}
	return list
}

// ago says how long ago something was.
func ago(now, at time.Time) string {
	d := now.Sub(at)
	switch {
	case d < time.Minute:
		return "just now"
	case d < time.Hour:
		return plural(int(d/time.Minute), "minute") + " ago"
	case d < 24*time.Hour:
		return plural(int(d/time.Hour), "hour") + " ago"
	}
	return "on " + at.Format("2 January 2006")
}

func plural(n int, word string) string {
	if n == 1 {
		return "1 " + word
	}
	return fmt.Sprintf("%d %ss", n, word)
}
