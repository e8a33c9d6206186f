package ghsim

import (
	"fmt"
	"slices"
	"strings"
)

// group is a pull request in a merge queue: the commit that its base branch would have if everything
// before it in the queue and then it were merged.
type group struct {
	pull   *pull
	by     *account
	ref    string // refs/heads/gh-readonly-queue/BASE/pr-N-SHA
	base   string // the commit before it: of the base branch, or of the group before it
	head   string
	method MergeMethod
}

// Group is a handle on a pull request that waits in a merge queue.
type Group struct {
	s *Server
	g *group
}

// HeadSHA is the commit on which its checks are wanted.
func (g *Group) HeadSHA() string {
	g.s.mu.Lock()
	defer g.s.mu.Unlock()
	return g.g.head
}

// Enqueue puts the pull request at the end of its base branch's merge queue, in a group of its own,
// and asks for the checks of the group.
func (p *Pull) Enqueue(by string, method MergeMethod) (*Group, error) {
	var made *group
	err := p.as(by, func(by *account) *reply {
		if !p.p.repo.mayEdit(by, nil) {
			return forbidden()
		}
		made = &group{pull: p.p, by: by, method: method}
		r := p.p.repo
		base := r.git.ref("refs/heads/" + p.p.baseRef)
		if waiting := r.queue[p.p.baseRef]; len(waiting) > 0 {
			base = waiting[len(waiting)-1].head
		}
		if err := p.s.buildGroup(made, base); err != nil {
			return fail(405, err.Error())
		}
		r.queue[p.p.baseRef] = append(r.queue[p.p.baseRef], made)
		return nil
	})
	if err != nil {
		return nil, err
	}
	return &Group{p.s, made}, nil
}

// buildGroup makes the commit and the branch of a group, and asks for its checks.
func (s *Server) buildGroup(g *group, base string) error {
	r := g.pull.repo
	head, err := s.mergeCommit(g.pull, g.by, base, mergeOptions{method: g.method})
	if err != nil {
		return err
	}
	g.base, g.head, g.ref = base, head, fmt.Sprintf("refs/heads/gh-readonly-queue/%s/pr-%d-%s", g.pull.baseRef, g.pull.number, base)
	if err := r.git.setRefs(map[string]string{g.ref: head}); err != nil {
		return err
	}
	s.emitPush(r, g.by, g.ref, "", head)
	s.requestSuites(r, g.by, strings.TrimPrefix(g.ref, "refs/heads/"), "", head)
	s.emitGroup(g, "checks_requested", nil)
	return nil
}

// emitGroup sends a merge_group webhook.
func (s *Server) emitGroup(g *group, action string, extra obj) {
	r := g.pull.repo
	c, err := s.commit(r, g.head)
	if err != nil {
		s.cfg.Logger.Error("read the commit of a merge group", "error", err)
		return
	}
	about := obj{"merge_group": obj{
		"head_sha": g.head, "head_ref": g.ref, "base_sha": g.base, "base_ref": "refs/heads/" + g.pull.baseRef,
		"head_commit": obj{"id": c.sha, "tree_id": c.tree, "message": c.message, "timestamp": stamp(c.committer.when),
			"author":    obj{"name": c.author.name, "email": c.author.email},
			"committer": obj{"name": c.committer.name, "email": c.committer.email}},
	}}
	for k, v := range extra {
		about[k] = v
	}
	s.emit(r, g.by, "merge_group", action, about)
}

// Land merges what is first in the queue if the required checks of its group have passed, as GitHub
// does by itself.
func (g *Group) Land() error {
	s, x := g.s, g.g
	s.mu.Lock()
	defer s.mu.Unlock()
	r, p := x.pull.repo, x.pull
	waiting := r.queue[p.baseRef]
	if len(waiting) == 0 || waiting[0] != x {
		return fmt.Errorf("#%d is not the first in the queue", p.number)
	}
	for _, name := range r.protection[p.baseRef].Checks {
		if !s.checkPassed(r, x.head, name) {
			return fmt.Errorf("the check %q of the group has not passed", name)
		}
	}
	ref := "refs/heads/" + p.baseRef
	before := r.git.ref(ref)
	if err := r.git.setRefs(map[string]string{ref: x.head, x.ref: ""}); err != nil {
		return err
	}
	r.queue[p.baseRef] = waiting[1:]
	s.markMerged(p, x.by, x.head)
	s.emitGroup(x, "destroyed", obj{"reason": "merged"})
	s.emitPush(r, x.by, x.ref, x.head, "")
	return s.refChanged(r, x.by, ref, before, x.head)
}

// Drop takes the pull request out of the queue and builds the groups behind it anew.
func (g *Group) Drop() error {
	s, x := g.s, g.g
	s.mu.Lock()
	defer s.mu.Unlock()
	r, baseRef := x.pull.repo, x.pull.baseRef
	i := slices.Index(r.queue[baseRef], x)
	if i < 0 {
		return fmt.Errorf("#%d is not in the queue", x.pull.number)
	}
	behind := r.queue[baseRef][i+1:]
	r.queue[baseRef] = slices.Clone(r.queue[baseRef][:i])
	if err := s.destroyGroup(x, "dequeued"); err != nil {
		return err
	}
	base := x.base
	for _, g := range behind {
		if err := s.destroyGroup(g, "invalidated"); err != nil {
			return err
		}
		if err := s.buildGroup(g, base); err != nil {
			return err
		}
		r.queue[baseRef] = append(r.queue[baseRef], g)
		base = g.head
	}
	return nil
}

func (s *Server) destroyGroup(g *group, reason string) error {
	s.emitGroup(g, "destroyed", obj{"reason": reason})
	s.emitPush(g.pull.repo, g.by, g.ref, g.head, "")
	return g.pull.repo.git.setRefs(map[string]string{g.ref: ""})
}
