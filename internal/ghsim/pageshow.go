package ghsim

import (
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"time"
)

type homeView struct {
	frameView
	Repos []repoView
}

type repoView struct {
	Name     string
	Private  bool
	CloneURL string
	Open     []pullItem
	Closed   []pullItem
	Branch   string
	Role     string
}

type pullItem struct {
	Repo                      string
	Number                    int
	Heading, State, StateText string
	Author                    personView
	Opened                    time.Time
	Branch, Tone, Summary     string
	Approvals, Comments       int
}

func (s *Server) repoView(r *repo) repoView {
	v := repoView{Name: r.fullName(), Private: r.private, CloneURL: s.htmlRepo(r) + ".git", Branch: r.defaultBranch}
	for _, p := range slices.Backward(r.pulls()) {
		item := pullItem{
			Repo: r.fullName(), Number: p.number, Heading: p.title, Author: s.personView(p.author, nil), Opened: p.created,
			Branch: p.headRef, Comments: len(p.issue.comments()),
		}
		item.State, item.StateText = pullState(p)
		item.Tone, item.Summary = checksSummary(s.checkViews(p, p.headSHA))
		for _, v := range p.latestReviews() {
			if v.state == "APPROVED" {
				item.Approvals++
			}
		}
		if p.open() {
			v.Open = append(v.Open, item)
		} else {
			v.Closed = append(v.Closed, item)
		}
	}
	return v
}

func (s *Server) showHome(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	v := homeView{frameView: s.frame(r, nil, "Pull requests")}
	for _, at := range byID(s.repos) {
		v.Repos = append(v.Repos, s.repoView(at))
	}
	s.mu.Unlock()
	s.render(w, http.StatusOK, "pulls.html", v)
}

func (s *Server) showPulls(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	at := s.repo(r.PathValue("owner") + "/" + r.PathValue("repo"))
	if at == nil {
		s.mu.Unlock()
		s.gone(w, r)
		return
	}
	v := homeView{frameView: s.frame(r, at, at.fullName()), Repos: []repoView{s.repoView(at)}}
	s.mu.Unlock()
	s.render(w, http.StatusOK, "pulls.html", v)
}

// pagePull finds the pull request that a page is about. The lock is held.
func (s *Server) pagePull(r *http.Request) *pull {
	at := s.repo(r.PathValue("owner") + "/" + r.PathValue("repo"))
	if at == nil {
		return nil
	}
	n, _ := strconv.Atoi(r.PathValue("number"))
	return at.pull(n)
}

func (s *Server) showPull(w http.ResponseWriter, r *http.Request) {
	s.showPullWith(w, r, r.PathValue("tab"), "")
}

// showPullWith shows a tab of a pull request, with a problem on top if there is one.
func (s *Server) showPullWith(w http.ResponseWriter, r *http.Request, tab, problem string) {
	s.mu.Lock()
	p := s.pagePull(r)
	if p == nil || !slices.Contains([]string{"", "checks", "files", "edit"}, tab) {
		s.mu.Unlock()
		s.gone(w, r)
		return
	}
	v, err := s.fillPull(r, p, tab)
	s.mu.Unlock()
	status := http.StatusOK
	if err != nil {
		problem = err.Error()
	}
	if problem != "" {
		v.Problem, status = problem, http.StatusUnprocessableEntity
	}
	name := map[string]string{"": "conversation.html", "checks": "checks.html", "files": "files.html", "edit": "edit.html"}[tab]
	s.render(w, status, name, v)
}

func (s *Server) fillPull(r *http.Request, p *pull, tab string) (*pullView, error) {
	acting := s.acting(r)
	v := s.pullView(p, acting, tab)
	title := v.Title
	v.frameView = s.frame(r, p.repo, title)
	if r.Method != http.MethodGet {
		v.Path = fmt.Sprintf("/%s/pull/%d/%s", v.Repo, v.Number, tab)
	}
	var err error
	switch tab {
	case "":
		v.Conversation, v.Merge = s.conversation(p), s.mergeView(p, acting)
	case "checks":
		v.Selected = s.selectedCheck(r, v)
	case "files":
		v.Diff, v.Elsewhere, err = s.diffView(p)
	case "edit":
		v.Edit = s.editView(p, r.FormValue("path"))
		if r.Method == http.MethodPost { // refused: what was typed must not be lost
			v.Edit.Content = r.FormValue("content")
		}
	}
	return v, err
}

// selectedCheck is the check that the address names, else the first that failed, else the first.
func (s *Server) selectedCheck(r *http.Request, v *pullView) *checkView {
	want, _ := strconv.ParseInt(r.FormValue("check"), 10, 64)
	var all []checkView
	for _, g := range v.Groups {
		all = append(all, g.Runs...)
	}
	if len(all) == 0 {
		return nil
	}
	i := slices.IndexFunc(all, func(c checkView) bool { return c.ID == want })
	if i < 0 {
		i = max(0, slices.IndexFunc(all, func(c checkView) bool { return c.Tone == "bad" }))
	}
	return s.fullCheckView(s.repo(v.Repo).runs[all[i].ID])
}

// showRun is where a check run's own address leads: to the pull request, if it has one.
func (s *Server) showRun(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	at := s.repo(r.PathValue("owner") + "/" + r.PathValue("repo"))
	id, _ := strconv.ParseInt(r.PathValue("id"), 10, 64)
	if at == nil || at.runs[id] == nil {
		s.mu.Unlock()
		s.gone(w, r)
		return
	}
	x := at.runs[id]
	for _, p := range slices.Backward(at.pulls()) {
		if p.headSHA == x.headSHA || p.mergeSHA == x.headSHA {
			s.mu.Unlock()
			http.Redirect(w, r, fmt.Sprintf("/%s/pull/%d/checks?check=%d", at.fullName(), p.number, id), http.StatusSeeOther)
			return
		}
	}
	v := struct {
		frameView
		Repo     string
		CanWrite bool
		Selected *checkView
	}{s.frame(r, at, x.name), at.fullName(), false, s.fullCheckView(x)}
	if a := s.acting(r); a != nil {
		v.CanWrite = at.canWrite(a)
	}
	s.mu.Unlock()
	s.render(w, http.StatusOK, "run.html", v)
}

// showIssue leads to the pull request of the number, or shows a plain issue.
func (s *Server) showIssue(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	at := s.repo(r.PathValue("owner") + "/" + r.PathValue("repo"))
	n, _ := strconv.Atoi(r.PathValue("number"))
	if at == nil || at.issues[n] == nil {
		s.mu.Unlock()
		s.gone(w, r)
		return
	}
	i := at.issues[n]
	if i.pull != nil {
		s.mu.Unlock()
		http.Redirect(w, r, s.htmlPull(i.pull), http.StatusSeeOther)
		return
	}
	v := struct {
		frameView
		Repo, Heading, State string
		Number               int
		Conversation         []eventView
	}{s.frame(r, at, i.title), at.fullName(), i.title, i.state, n, nil}
	v.Conversation = append(v.Conversation, eventView{Kind: "comment", Person: s.personView(i.author, nil), At: i.created, Text: "opened this", Body: s.markdown(i.body)})
	for _, c := range i.comments() {
		v.Conversation = append(v.Conversation, s.commentEvent(c))
	}
	s.mu.Unlock()
	s.render(w, http.StatusOK, "issue.html", v)
}
