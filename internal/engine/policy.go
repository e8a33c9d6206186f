package engine

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"slices"

	"github.com/tollgate/tollgate/internal/change"
	"github.com/tollgate/tollgate/internal/gate"
	"github.com/tollgate/tollgate/internal/store"
)

// addPolicies adds the repository's own policies at a commit, if it has some. Sets are judged
// apart, so that neither can remove or redefine a rule of another.
func (e *Engine) addPolicies(ctx context.Context, j *job, commit, dir string) error {
	set, err := e.compiled(ctx, j.run.RepoID, commit, dir)
	if err != nil || set == nil {
		return err
	}
	if !slices.ContainsFunc(j.sets, func(s *gate.Set) bool { return s.Digest() == set.Digest() }) {
		j.sets = append(j.sets, set)
	}
	return nil
}

// compiled loads the policy folder of a commit once. It is nil if the commit has no such folder.
func (e *Engine) compiled(ctx context.Context, repoID int64, commit, dir string) (*gate.Set, error) {
	key := policyKey{repoID, commit, dir}
	e.mu.Lock()
	set, known := e.policies[key]
	e.mu.Unlock()
	if known {
		return set, nil
	}
	fsys, err := e.cfg.Git.FS(ctx, repoID, commit, dir, nil)
	if err != nil {
		return nil, fmt.Errorf("read policies: %w", err)
	}
	entries, err := fs.ReadDir(fsys, ".")
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("read policies: %w", err)
	}
	if len(entries) > 0 {
		if set, err = gate.Load(dir, fsys, e.cfg.Builtin); err != nil {
			return nil, err
		}
	}
	e.mu.Lock()
	e.policies[key] = set
	e.mu.Unlock()
	return set, nil
}

// setsOf returns the sets that a run was judged by, as far as this process has loaded them.
func (e *Engine) setsOf(r store.Run, dir string) []*gate.Set {
	e.mu.Lock()
	defer e.mu.Unlock()
	sets := []*gate.Set{e.cfg.Builtin}
	if own := e.policies[policyKey{r.RepoID, r.BaseSHA, dir}]; own != nil && own.Digest() != e.cfg.Builtin.Digest() {
		sets = append(sets, own)
	}
	return sets
}

// policyKey names a policy folder at a commit.
type policyKey struct {
	repo   int64
	commit string
	dir    string
}

// digestOf identifies all policies together.
func digestOf(sets []*gate.Set) string {
	if len(sets) == 1 {
		return sets[0].Digest()
	}
	h := sha256.New()
	for _, s := range sets {
		fmt.Fprintln(h, s.Digest())
	}
	return "sha256:" + hex.EncodeToString(h.Sum(nil))
}

// judgeAll judges a plan by every set. A finding that two sets share is reported once.
func judgeAll(ctx context.Context, sets []*gate.Set, planJSON []byte) (findings []change.Finding, judged int, err error) {
	seen := map[change.Finding]bool{}
	for _, s := range sets {
		if !s.JudgesPlans() {
			continue // the built-in set always does
		}
		r, err := s.JudgePlan(ctx, planJSON)
		if err != nil {
			return nil, 0, err
		}
		judged = max(judged, r.ResourcesJudged)
		for _, f := range r.Findings {
			if !seen[f] {
				seen[f] = true
				findings = append(findings, f)
			}
		}
	}
	return findings, judged, nil
}
