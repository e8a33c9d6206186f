package ghsim

import (
	"cmp"
	"fmt"
	"html/template"
	"slices"
	"strings"
	"time"
)

// The types below are what the templates see: plain values, made under the lock.

type personView struct {
	Login, Role string
	ID          int64
	Bot         bool
}

type frameView struct {
	Title   string
	Acting  personView
	People  []personView
	Path    string // to come back to after choosing whom to act as
	Problem string // why the last action was refused
}

type pullView struct {
	frameView
	Repo                      string
	Number                    int
	Heading, State, StateText string
	Author                    personView
	HeadRef, BaseRef, HeadSHA string
	Opened                    time.Time
	Tab                       string
	Commits, Files, Checks    int
	Conversation              []eventView
	Merge                     *mergeView
	Groups                    []checkGroup
	Selected                  *checkView
	Diff                      []fileView
	Elsewhere                 []fileView // unchanged files with annotations
	Edit                      *editView
	CanWrite, Mine            bool
}

type eventView struct {
	Kind   string // comment, review, commit, state or deployment
	ID     int64
	Person personView
	At     time.Time
	Text   string // of the headline
	Tone   string // good, bad, busy or quiet
	Body   template.HTML
	SHA    string
	Link   string
	Marks  []string // reactions
}

type mergeView struct {
	Open, Merged, Draft, Can bool
	State                    string // GitHub's mergeable_state
	Reason                   string
	Checks                   []checkView
	Reviews                  []eventView
	Tone, Summary            string
}

type checkGroup struct {
	Title string
	Runs  []checkView
}

type checkView struct {
	ID                            int64
	Name, App, State, Word, Title string // State: queued, in_progress or the conclusion
	Tone                          string
	Required                      bool
	Details, Link, SHA            string
	Started, Completed            time.Time
	Took                          string
	Summary, Text                 template.HTML
	Actions                       []Action
	Annotations                   []noteView
}

type noteView struct {
	Path, Lines, Level, Title, Message, Raw, Check string
	Line                                           int
}

type fileView struct {
	Path, Previous, Status string
	EditLink               string
	Additions, Deletions   int
	Hunks                  []hunkView
	Notes                  []noteView // on lines that the diff doesn't show
}

type hunkView struct {
	Head  string
	Lines []lineView
}

type lineView struct {
	Kind     string // add, del or same
	Old, New int    // 0 for none
	Text     string
	Notes    []noteView
}

type editView struct {
	Path, Content string
	Paths         []string
}

func (s *Server) personView(a *account, r *repo) personView {
	v := personView{Login: a.login, ID: a.id, Bot: a.kind == "Bot"}
	if r != nil {
		v.Role = cmp.Or(r.role(a), "no access")
	}
	return v
}

// people lists those whom one can act as.
func (s *Server) people(r *repo) []personView {
	var list []personView
	for _, a := range byID(s.accounts) {
		if a.kind == "User" {
			list = append(list, s.personView(a, r))
		}
	}
	return list
}

func (s *Server) pullView(p *pull, acting *account, tab string) *pullView {
	v := &pullView{
		Repo: p.repo.fullName(), Number: p.number, Heading: p.title, Author: s.personView(p.author, nil),
		HeadRef: p.headRef, BaseRef: p.baseRef, HeadSHA: p.headSHA, Opened: p.created, Tab: tab,
		CanWrite: acting != nil && p.repo.canWrite(acting), Mine: acting == p.author,
	}
	if p.headRepo != p.repo {
		v.HeadRef = p.headRepo.owner.login + ":" + p.headRef
	}
	v.State, v.StateText = pullState(p)
	v.Title = fmt.Sprintf("%s · #%d · %s", p.title, p.number, v.Repo)
	if commits, err := s.commitsOf(p); err == nil {
		v.Commits = len(commits)
	}
	if files, err := s.files(p); err == nil {
		v.Files = len(files)
	}
	v.Groups = s.checkGroups(p)
	for _, g := range v.Groups {
		v.Checks += len(g.Runs)
	}
	return v
}

func pullState(p *pull) (state, text string) {
	switch {
	case p.merged:
		return "merged", "Merged"
	case !p.open():
		return "closed", "Closed"
	case p.draft:
		return "draft", "Draft"
	}
	return "open", "Open"
}

// checkGroups lists the checks of the head and, once merged, of the commit it became.
func (s *Server) checkGroups(p *pull) []checkGroup {
	groups := []checkGroup{{Title: "Head " + p.headSHA[:7], Runs: s.checkViews(p, p.headSHA)}}
	if p.merged {
		if runs := s.checkViews(p, p.mergeSHA); len(runs) > 0 {
			groups = append(groups, checkGroup{Title: "Merged as " + p.mergeSHA[:7], Runs: runs})
		}
	}
	return groups
}

func (s *Server) checkViews(p *pull, sha string) []checkView {
	var list []checkView
	runs := s.latestRuns(p.repo, sha)
	slices.SortStableFunc(runs, func(a, b *run) int { return strings.Compare(a.name, b.name) })
	for _, x := range runs {
		v := s.checkView(x)
		v.Link = fmt.Sprintf("/%s/pull/%d/checks?check=%d", p.repo.fullName(), p.number, x.id)
		v.Required = slices.Contains(p.repo.protection[p.baseRef].Checks, x.name)
		list = append(list, v)
	}
	return list
}

// checkView is a check without its texts.
func (s *Server) checkView(x *run) checkView {
	state := cmp.Or(x.conclusion, x.status)
	v := checkView{
		ID: x.id, Name: x.name, App: x.suite.app.name, State: state, Word: strings.ReplaceAll(state, "_", " "),
		Title: x.title, Tone: tone(state), Details: x.details, SHA: x.headSHA, Started: x.started, Completed: x.completed,
		Actions: x.actions,
	}
	if !x.completed.IsZero() && x.completed.After(x.started) {
		v.Took = x.completed.Sub(x.started).Round(time.Second).String()
	}
	return v
}

func tone(state string) string {
	switch state {
	case "success":
		return "good"
	case "failure", "timed_out", "startup_failure", "error":
		return "bad"
	case "action_required":
		return "warn"
	case "queued", "in_progress", "pending":
		return "busy"
	}
	return "quiet"
}

// fullCheckView is a check with everything that its page shows.
func (s *Server) fullCheckView(x *run) *checkView {
	v := s.checkView(x)
	v.Summary, v.Text = s.markdown(x.summary), s.markdown(x.text)
	for _, a := range x.annotations {
		v.Annotations = append(v.Annotations, s.noteView(x, a))
	}
	return &v
}

func (s *Server) noteView(x *run, a Annotation) noteView {
	lines := fmt.Sprint("line ", a.StartLine)
	if a.EndLine != a.StartLine {
		lines = fmt.Sprintf("lines %d–%d", a.StartLine, a.EndLine)
	}
	return noteView{
		Path: a.Path, Line: a.EndLine, Lines: lines, Level: a.Level, Title: a.Title, Message: a.Message, Raw: a.RawDetails, Check: x.name,
	}
}

// mergeView is the box at the end of the conversation.
func (s *Server) mergeView(p *pull, acting *account) *mergeView {
	m := &mergeView{
		Open: p.open(), Merged: p.merged, Draft: p.draft, State: s.mergeableState(p), Reason: s.blockedBy(p),
		Can: acting != nil && p.repo.canWrite(acting),
	}
	m.Checks = s.checkViews(p, p.headSHA)
	for _, name := range p.repo.protection[p.baseRef].Checks {
		if !slices.ContainsFunc(m.Checks, func(c checkView) bool { return c.Name == name }) {
			m.Checks = append(m.Checks, checkView{Name: name, Word: "expected", Title: "Waiting to be reported", Tone: "busy", Required: true})
		}
	}
	for _, v := range p.latestReviews() {
		m.Reviews = append(m.Reviews, s.reviewEvent(p, v))
	}
	m.Tone, m.Summary = checksSummary(m.Checks)
	return m
}

// checksSummary is the headline over a list of checks.
func checksSummary(checks []checkView) (tone, text string) {
	count := map[string]int{}
	for _, c := range checks {
		count[c.Tone]++
	}
	switch {
	case len(checks) == 0:
		return "quiet", "No checks yet"
	case count["bad"]+count["warn"] > 0:
		return "bad", "Some checks were not successful"
	case count["busy"] > 0:
		return "busy", "Some checks haven't completed yet"
	}
	return "good", "All checks have passed"
}
