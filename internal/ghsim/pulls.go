package ghsim

import (
	"cmp"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"time"
)

// OpenPull describes a pull request to be opened.
type OpenPull struct {
	By          string // login
	Head        string // branch
	HeadRepo    *Repo  // of a fork; the repository itself if nil
	Base        string // the default branch if empty
	Title, Body string
	Draft       bool
}

// Pull is a handle on a pull request.
type Pull struct {
	s *Server
	p *pull
}

// OpenPull opens a pull request.
func (r *Repo) OpenPull(o OpenPull) (*Pull, error) {
	s := r.s
	s.mu.Lock()
	defer s.mu.Unlock()
	by, err := s.person(o.By)
	if err != nil {
		return nil, err
	}
	from := r.r
	if o.HeadRepo != nil {
		from = o.HeadRepo.r
	}
	p, fault := s.openPull(r.r, by, from, o)
	if fault != nil {
		return nil, fault
	}
	return &Pull{s, p}, nil
}

func (s *Server) openPull(r *repo, by *account, from *repo, o OpenPull) (*pull, *reply) {
	base := cmp.Or(o.Base, r.defaultBranch)
	head, tip := from.git.ref("refs/heads/"+o.Head), r.git.ref("refs/heads/"+base)
	switch {
	case head == "":
		return nil, invalid("PullRequest", "head", "invalid", "")
	case tip == "":
		return nil, invalid("PullRequest", "base", "invalid", "")
	case from == r && s.isAncestor(r, head, tip):
		return nil, invalid("PullRequest", "", "custom", fmt.Sprintf("No commits between %s and %s", base, o.Head))
	}
	r.lastNumber++
	now := s.now()
	i := &issue{
		id: s.id(), repo: r, number: r.lastNumber, title: cmp.Or(o.Title, o.Head), body: o.Body, author: by,
		state: "open", created: now, updated: now,
	}
	p := &pull{
		issue: i, pullID: s.id(), headRepo: from, headRef: o.Head, headSHA: head, baseRef: base, baseSHA: tip, draft: o.Draft,
	}
	i.pull = p
	r.issues[i.number] = i
	if err := s.refreshPull(p); err != nil {
		return nil, fail(http.StatusInternalServerError, err.Error())
	}
	s.emitPull(p, by, "opened", nil)
	return p, nil
}

// emitPull sends a pull_request webhook.
func (s *Server) emitPull(p *pull, by *account, action string, extra obj) {
	shown := s.pullFull(p)
	if action == "opened" || action == "synchronize" || action == "reopened" {
		// GitHub sends these before it has tried the merge.
		shown["mergeable"], shown["rebaseable"], shown["mergeable_state"], shown["merge_commit_sha"] = nil, nil, "unknown", nil
	}
	about := obj{"number": p.number, "pull_request": shown}
	maps.Copy(about, extra)
	s.emit(p.repo, by, "pull_request", action, about)
}

// Pull finds a pull request by its number; nil if there is none.
func (r *Repo) Pull(number int) *Pull {
	r.s.mu.Lock()
	defer r.s.mu.Unlock()
	if p := r.r.pull(number); p != nil {
		return &Pull{r.s, p}
	}
	return nil
}

// Pulls lists all pull requests, oldest first.
func (r *Repo) Pulls() []*Pull {
	r.s.mu.Lock()
	defer r.s.mu.Unlock()
	var list []*Pull
	for _, p := range r.r.pulls() {
		list = append(list, &Pull{r.s, p})
	}
	return list
}

// PullInfo is a pull request at one moment.
type PullInfo struct {
	ID                          int64
	Number                      int
	Title, Body, Author, State  string // State: open or closed
	Draft, Merged, Mergeable    bool
	HeadRef, HeadSHA, HeadRepo  string
	BaseRef, BaseSHA, MergedSHA string // MergedSHA: what it became on the base branch
	MergedBy                    string
	MergedAt                    time.Time
	URL                         string // its web page
}

// Info returns the pull request as it is now.
func (p *Pull) Info() PullInfo {
	p.s.mu.Lock()
	defer p.s.mu.Unlock()
	x := p.p
	info := PullInfo{
		ID: x.pullID, Number: x.number, Title: x.title, Body: x.body, Author: x.author.login, State: x.state,
		Draft: x.draft, Merged: x.merged, Mergeable: x.mergeable, HeadRef: x.headRef, HeadSHA: x.headSHA,
		HeadRepo: x.headRepo.fullName(), BaseRef: x.baseRef, BaseSHA: x.baseSHA, MergedAt: x.mergedAt, URL: p.s.htmlPull(x),
	}
	if x.merged {
		info.MergedSHA, info.MergedBy = x.mergeSHA, x.mergedBy.login
	}
	return info
}

// Number is the pull request's number.
func (p *Pull) Number() int { return p.p.number }

// as runs a change in a person's name under the lock. A repository that the person can't read
// refuses everything; further rights are each change's own business.
func (p *Pull) as(login string, change func(by *account) *reply) error {
	p.s.mu.Lock()
	defer p.s.mu.Unlock()
	by, err := p.s.person(login)
	if err != nil {
		return err
	}
	if p.p.repo.role(by) == "" {
		return notFound()
	}
	if fault := change(by); fault != nil {
		return fault
	}
	return nil
}

// Close closes the pull request without merging it.
func (p *Pull) Close(by string) error {
	return p.as(by, func(by *account) *reply { return p.s.setPullState(p.p, by, "closed") })
}

// Reopen opens a closed pull request again.
func (p *Pull) Reopen(by string) error {
	return p.as(by, func(by *account) *reply { return p.s.setPullState(p.p, by, "open") })
}

func (s *Server) setPullState(p *pull, by *account, state string) *reply {
	switch {
	case !p.repo.mayEdit(by, p.author):
		return forbidden()
	case p.state == state:
		return nil
	case state == "closed":
		s.closePull(p, by)
		return nil
	case p.merged:
		return invalid("PullRequest", "state", "invalid", "")
	}
	p.state, p.closed, p.closedBy, p.updated = "open", time.Time{}, nil, s.now()
	if sha := p.headRepo.git.ref("refs/heads/" + p.headRef); sha != "" {
		p.headSHA = sha
	}
	p.baseSHA = p.repo.git.ref("refs/heads/" + p.baseRef)
	if err := s.refreshPull(p); err != nil {
		return fail(http.StatusInternalServerError, err.Error())
	}
	s.emitPull(p, by, "reopened", nil)
	return nil
}

func (s *Server) closePull(p *pull, by *account) {
	p.state, p.closed, p.closedBy, p.updated = "closed", s.now(), by, s.now()
	s.dropMergeRef(p)
	s.emitPull(p, by, "closed", nil)
}

// dropMergeRef removes refs/pull/N/merge, which GitHub keeps only while the pull request is open.
func (s *Server) dropMergeRef(p *pull) {
	ref := fmt.Sprintf("refs/pull/%d/merge", p.number)
	if p.repo.git.ref(ref) == "" {
		return
	}
	if err := p.repo.git.setRefs(map[string]string{ref: ""}); err != nil {
		s.cfg.Logger.Error("delete merge ref", "error", err)
	}
}

// ReadyForReview ends the draft state.
func (p *Pull) ReadyForReview(by string) error { return p.setDraft(by, false, "ready_for_review") }

// ConvertToDraft makes it a draft again.
func (p *Pull) ConvertToDraft(by string) error { return p.setDraft(by, true, "converted_to_draft") }

func (p *Pull) setDraft(login string, draft bool, action string) error {
	return p.as(login, func(by *account) *reply {
		if !p.p.repo.mayEdit(by, p.p.author) {
			return forbidden()
		}
		if p.p.draft != draft {
			p.p.draft, p.p.updated = draft, p.s.now()
			p.s.emitPull(p.p, by, action, nil)
		}
		return nil
	})
}

// PullEdit changes what a person can edit; nil leaves a part as it is.
type PullEdit struct {
	Title, Body, Base *string
}

// UpdateBase points the pull request at another base branch.
func (p *Pull) UpdateBase(by, branch string) error { return p.Edit(by, PullEdit{Base: &branch}) }

// Edit changes title, body or base.
func (p *Pull) Edit(by string, e PullEdit) error {
	return p.as(by, func(by *account) *reply { return p.s.editPull(p.p, by, e) })
}

func (s *Server) editPull(p *pull, by *account, e PullEdit) *reply {
	if !p.repo.mayEdit(by, p.author) {
		return forbidden()
	}
	changes := obj{}
	if e.Title != nil && *e.Title != p.title {
		changes["title"] = obj{"from": p.title}
		p.title = *e.Title
	}
	if e.Body != nil && *e.Body != p.body {
		changes["body"] = obj{"from": p.body}
		p.body = *e.Body
	}
	if e.Base != nil && *e.Base != p.baseRef {
		tip := p.repo.git.ref("refs/heads/" + *e.Base)
		if tip == "" {
			return invalid("PullRequest", "base", "invalid", "")
		}
		changes["base"] = obj{"ref": obj{"from": p.baseRef}, "sha": obj{"from": p.baseSHA}}
		p.baseRef, p.baseSHA = *e.Base, tip
		if err := s.refreshPull(p); err != nil {
			return fail(http.StatusInternalServerError, err.Error())
		}
	}
	if len(changes) > 0 {
		p.updated = s.now()
		s.emitPull(p, by, "edited", obj{"changes": changes})
	}
	return nil
}

// mergeBase is what the pull request's diff is against; "" if the histories have nothing in common.
func (s *Server) mergeBase(p *pull) string {
	base := p.baseSHA
	if p.open() {
		base = p.repo.git.ref("refs/heads/" + p.baseRef)
	}
	return p.repo.mergeBase(base, p.headSHA)
}

// files lists what the pull request changes.
func (s *Server) files(p *pull) ([]fileChange, error) {
	return s.diff(p.repo, s.mergeBase(p), p.headSHA)
}

// commitsOf lists the pull request's commits, oldest first.
func (s *Server) commitsOf(p *pull) ([]commit, error) {
	base := s.mergeBase(p)
	key := [2]string{base, p.headSHA}
	if known, ok := p.repo.commitLists[key]; ok {
		return known, nil
	}
	commits, err := p.repo.git.between(base, p.headSHA)
	if err == nil {
		p.repo.commitLists[key] = commits
	}
	return commits, err
}

// mergeableState is GitHub's word for whether the merge button works.
func (s *Server) mergeableState(p *pull) string {
	switch {
	case !p.open():
		return "unknown"
	case !p.mergeable:
		return "dirty"
	case p.draft:
		return "draft"
	case s.blockedBy(p) != "":
		return "blocked"
	}
	for _, r := range s.latestRuns(p.repo, p.headSHA) {
		if r.status != "completed" || slices.Contains([]string{"failure", "cancelled", "timed_out", "action_required"}, r.conclusion) {
			return "unstable"
		}
	}
	return "clean"
}

// blockedBy says which protection of the base branch forbids the merge now; "" if none does.
func (s *Server) blockedBy(p *pull) string {
	rule := p.repo.protection[p.baseRef]
	for _, name := range rule.Checks {
		if !s.checkPassed(p.repo, p.headSHA, name) {
			return fmt.Sprintf("Required status check \"%s\" is expected.", name)
		}
	}
	approvals := 0
	for _, v := range p.latestReviews() {
		if !p.repo.canWrite(v.author) {
			continue
		}
		if v.state == "CHANGES_REQUESTED" && rule.Approvals > 0 {
			return "Changes have been requested."
		}
		if v.state == "APPROVED" {
			approvals++
		}
	}
	if approvals < rule.Approvals {
		return fmt.Sprintf("At least %d approving review is required by reviewers with write access.", rule.Approvals)
	}
	return ""
}

// latestReviews is each person's last review that decides, in the order they were given.
func (p *pull) latestReviews() []*review {
	var latest []*review
	for _, v := range p.reviews {
		if v.state == "COMMENTED" {
			continue
		}
		latest = slices.DeleteFunc(latest, func(o *review) bool { return o.author == v.author })
		latest = append(latest, v)
	}
	return latest
}

func (s *Server) checkPassed(r *repo, sha, name string) bool {
	for _, run := range s.latestRuns(r, sha) {
		if run.name == name {
			return slices.Contains([]string{"success", "neutral", "skipped"}, run.conclusion)
		}
	}
	for _, st := range slices.Backward(r.statuses) {
		if st.sha == sha && st.context == name {
			return st.state == "success"
		}
	}
	return false
}
