package ghsim

import (
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
)

// actOnPull does what a person pressed on a pull request's page, in the name chosen there.
func (s *Server) actOnPull(w http.ResponseWriter, r *http.Request) {
	tab, err := s.pressed(r)
	if err != nil {
		s.showPullWith(w, r, tab, err.Error())
		return
	}
	to := fmt.Sprintf("/%s/%s/pull/%s/%s", r.PathValue("owner"), r.PathValue("repo"), r.PathValue("number"), tab)
	http.Redirect(w, r, strings.TrimSuffix(to, "/"), http.StatusSeeOther)
}

// pressed carries a button's action out and returns the tab to show afterwards.
func (s *Server) pressed(r *http.Request) (tab string, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	p, by := s.pagePull(r), s.acting(r)
	if p == nil || by == nil {
		return "", errGone
	}
	if p.repo.role(by) == "" {
		return "", fmt.Errorf("%s has no access to %s", by.login, p.repo.fullName())
	}
	// *reply must not reach an error as a typed nil
	check := func(fault *reply) error {
		if fault != nil {
			return fault
		}
		return nil
	}
	switch r.PathValue("verb") {
	case "comment":
		_, fault := s.addComment(p.issue, by, nil, strings.ReplaceAll(r.FormValue("body"), "\r\n", "\n"))
		return "", check(fault)
	case "review":
		_, fault := s.addReview(p, by, NewReview{State: r.FormValue("event"), Body: r.FormValue("body")})
		return "", check(fault)
	case "merge":
		_, fault := s.merge(p, by, mergeOptions{method: MergeMethod(r.FormValue("method"))})
		return "", check(fault)
	case "close":
		return "", check(s.setPullState(p, by, "closed"))
	case "reopen":
		return "", check(s.setPullState(p, by, "open"))
	case "ready":
		if !p.repo.mayEdit(by, p.author) {
			return "", forbidden()
		}
		p.draft, p.updated = false, s.now()
		s.emitPull(p, by, "ready_for_review", nil)
		return "", nil
	case "edit":
		if err := s.commitEdit(p, by, r); err != nil {
			return "edit", err
		}
		return "files", nil
	}
	return "", errGone
}

// commitEdit pushes one edited file to the head branch.
func (s *Server) commitEdit(p *pull, by *account, r *http.Request) error {
	path := strings.Trim(r.FormValue("path"), "/ ")
	switch {
	case !p.open():
		return errors.New("the pull request is closed")
	case path == "" || strings.Contains(path, ".."):
		return errors.New("the file needs a path")
	case !p.headRepo.canWrite(by):
		return fmt.Errorf("%s may not push to %s", by.login, p.headRepo.fullName())
	}
	content := strings.ReplaceAll(r.FormValue("content"), "\r\n", "\n")
	if content != "" && !strings.HasSuffix(content, "\n") {
		content += "\n"
	}
	message := r.FormValue("message")
	if message == "" {
		message = "Update " + path
	}
	_, err := s.push(p.headRepo, by, Push{Branch: p.headRef, Message: message, Files: map[string]string{path: content}})
	return err
}

// actOnRun presses Re-run or one of a check run's own buttons.
func (s *Server) actOnRun(w http.ResponseWriter, r *http.Request) {
	at := s.Repo(r.PathValue("owner") + "/" + r.PathValue("repo"))
	if at == nil {
		s.gone(w, r)
		return
	}
	s.mu.Lock()
	by := s.acting(r)
	s.mu.Unlock()
	if by == nil {
		s.gone(w, r)
		return
	}
	id, _ := strconv.ParseInt(r.PathValue("id"), 10, 64)
	err := errGone
	switch r.PathValue("verb") {
	case "rerun":
		err = at.RerequestCheckRun(by.login, id)
	case "action":
		err = at.RequestAction(by.login, id, r.FormValue("identifier"))
	}
	if err != nil {
		s.mu.Lock()
		f := s.frame(r, at.r, "Refused")
		s.mu.Unlock()
		f.Problem, f.Path = err.Error(), fmt.Sprintf("/%s/runs/%d", at.FullName(), id)
		s.render(w, http.StatusUnprocessableEntity, "message.html", f)
		return
	}
	http.Redirect(w, r, fmt.Sprintf("/%s/runs/%d", at.FullName(), id), http.StatusSeeOther)
}
