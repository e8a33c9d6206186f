package engine

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"time"

	"github.com/tollgate/tollgate/internal/change"
	"github.com/tollgate/tollgate/internal/fault"
	"github.com/tollgate/tollgate/internal/gate"
	"github.com/tollgate/tollgate/internal/project"
	"github.com/tollgate/tollgate/internal/waiver"
)

// rules are what a run is judged by: the policy sets, and the waivers that hold. Sets are judged
// apart, so that neither can remove or redefine a rule of another.
type rules struct {
	sets    []*gate.Source
	waivers []waiver.List // of every commit whose settings hold; what is waived, all of them waive
	sums    []string      // digests of all that was added
}

// base are the rules that no repository can remove.
func (e *Engine) base() rules {
	return rules{sets: []*gate.Source{e.cfg.Policies}, sums: []string{e.cfg.Policies.Digest}}
}

// with are the rules and those in the policy folder of a commit, if it has one.
func (e *Engine) with(ctx context.Context, r rules, repoID int64, commit, dir string) (rules, error) {
	p, err := e.policiesAt(ctx, repoID, commit, dir)
	if err != nil {
		return rules{}, err
	}
	return r.and(p), nil
}

// and are the rules and those of a folder.
func (r rules) and(p policies) rules {
	r = rules{slices.Clone(r.sets), append(slices.Clone(r.waivers), p.waivers), slices.Clone(r.sums)}
	if p.source == nil || slices.Contains(r.sums, p.source.Digest) {
		return r
	}
	r.sums = append(r.sums, p.source.Digest)
	if p.judges {
		r.sets = append(r.sets, p.source)
	}
	return r
}

// digest identifies all rules together, waivers included.
func (r rules) digest() string {
	if len(r.sums) == 1 {
		return r.sums[0]
	}
	h := sha256.New()
	for _, s := range r.sums {
		fmt.Fprintln(h, s)
	}
	return "sha256:" + hex.EncodeToString(h.Sum(nil))
}

// policyKey names a policy folder at a commit.
type policyKey struct {
	repo   int64
	commit string
	dir    string
}

// policies are what a policy folder holds.
type policies struct {
	source  *gate.Source // nil if the folder is empty
	judges  bool         // it holds more than waivers
	waivers waiver.List
}

// maxPolicies bounds how many policy folders are remembered; each is some hundred kilobytes.
const maxPolicies = 64

// policiesAt reads the policy folder of a commit once.
func (e *Engine) policiesAt(ctx context.Context, repoID int64, commit, dir string) (policies, error) {
	key := policyKey{repoID, commit, dir}
	e.mu.Lock()
	known, ok := e.policies[key]
	e.mu.Unlock()
	if ok {
		return known, nil
	}
	p, err := e.readPoliciesAt(ctx, repoID, commit, dir)
	if err != nil {
		return policies{}, err
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if len(e.policies) >= maxPolicies {
		clear(e.policies)
	}
	e.policies[key] = p
	return p, nil
}

func (e *Engine) readPoliciesAt(ctx context.Context, repoID int64, commit, dir string) (policies, error) {
	fsys, err := e.cfg.Git.FS(ctx, repoID, commit, dir, nil)
	if err != nil {
		return policies{}, fmt.Errorf("read policies: %w", err)
	}
	p, err := readPolicies(fsys, dir)
	if err == nil && p.source == nil && dir != project.Default().Policies.Dir {
		err = fault.New("There are no policies in "+dir+".", "The settings say that there are, and without them a change would pass unjudged.",
			"Correct `policies.dir` in "+project.File+", or remove it.")
	}
	return p, err
}

// readPolicies reads a policy folder. One that holds anything but waivers has to be a policy set,
// so that rules that were misplaced are told of and not left out.
func readPolicies(fsys fs.FS, dir string) (p policies, err error) {
	entries, err := fs.ReadDir(fsys, ".")
	if errors.Is(err, fs.ErrNotExist) || err == nil && len(entries) == 0 {
		return policies{}, nil
	}
	if err != nil {
		return policies{}, fmt.Errorf("read policies: %w", err)
	}
	if p.source, err = gate.Read(dir, fsys); err != nil {
		return policies{}, err
	}
	p.judges = len(entries) > 1 || entries[0].Name() != waiver.File
	content, err := fs.ReadFile(fsys, waiver.File)
	if errors.Is(err, fs.ErrNotExist) {
		return p, nil
	}
	if err != nil {
		return policies{}, fmt.Errorf("read waivers: %w", err)
	}
	p.waivers, err = waiver.Parse(path.Join(dir, waiver.File), content)
	return p, err
}

// verdict is what the rules say of one plan.
type verdict struct {
	findings []change.Finding // with what passes
	judged   int
	notices  []change.Notice
	waivers  []string // those that matched

	unwaivable []string // rules among the findings that no waiver covers, as "policy/rule"
}

// judgePlan judges a plan by every set, and then lets pass what every list of waivers waives today.
func (e *Engine) judgePlan(ctx context.Context, r rules, planJSON []byte) (verdict, error) {
	result, err := e.cfg.Judge.Plan(ctx, r.sets, bytes.NewReader(planJSON))
	if err != nil {
		return verdict{}, err
	}
	return waive(r.waivers, result, time.Now()), nil
}

func waive(lists []waiver.List, result gate.Result, now time.Time) verdict {
	v := verdict{findings: result.Findings, judged: result.ResourcesJudged, unwaivable: result.Unwaivable}
	for i, list := range lists {
		out := list.Apply(result.Findings, result.Unwaivable, now)
		v.notices = append(v.notices, out.Notices...)
		v.waivers = append(v.waivers, out.Matched...)
		if i == 0 {
			v.findings = out.Findings
			continue
		}
		for k, f := range out.Findings {
			if f.Verdict != change.Waived {
				v.findings[k] = result.Findings[k]
			}
		}
	}
	v.notices = uniqueNotices(v.notices)
	slices.Sort(v.waivers)
	v.waivers = slices.Compact(v.waivers)
	return v
}

// uniqueNotices leaves out what two commits with the same file say twice.
func uniqueNotices(all []change.Notice) (out []change.Notice) {
	for _, n := range all {
		if !slices.Contains(out, n) {
			out = append(out, n)
		}
	}
	return out
}

// judgeApply asks every set whether a plan may be applied.
func (e *Engine) judgeApply(ctx context.Context, r rules, in gate.ApplyInput) (gate.Decision, error) {
	return e.cfg.Judge.Apply(ctx, r.sets, in)
}
