package enginetest_test

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/tollgate/tollgate/internal/change"
	"github.com/tollgate/tollgate/internal/engine/enginetest"
	"github.com/tollgate/tollgate/internal/ghsim"
	"github.com/tollgate/tollgate/internal/store"
)

// snapshot is the truth at one moment, as GitHub and the cloud have it. Nothing in it is the
// product's own word.
type snapshot struct {
	at      time.Time
	pull    ghsim.PullInfo
	base    map[string]string // files of the base branch
	tree    map[string]string // files of what is merged, or would be; nil if there is a conflict
	reviews []ghsim.ReviewInfo
	roles   map[string]string
	values  map[string]string // resources of the cloud
}

// request is a word of a person that may lead to an apply.
type request struct {
	at      time.Time
	by      string
	head    string
	merge   bool
	void    bool // edited, or somebody cancelled
	applied bool // it has led to an apply that did something
}

// model is what the world must be like, by product.md.
type model struct {
	w         *enginetest.World
	pull      *ghsim.Pull
	roles     map[string]string
	pushed    time.Time // of the last push to the head
	retarget  time.Time // of the last change of base
	effect    time.Time // of the last effect of an apply of this pull request
	requests  []*request
	history   []snapshot
	frozen    string // the execution whose outcome nobody knows, until somebody releases it
	unhealed  bool   // a webhook was lost, or late
	consumed  map[int]bool
	asked     map[string]*request // by execution
	starts    map[string]time.Time
	cancelled time.Time // a /cancel of somebody who may
	breaches  []string
	lastStart time.Time
}

const makerOfAll = enginetest.Ada

func (m *model) breach(format string, args ...any) {
	m.breaches = append(m.breaches, fmt.Sprintf(format, args...))
}

// look takes a snapshot.
func (m *model) look() snapshot {
	s := snapshot{at: time.Now(), pull: m.pull.Info(), reviews: m.pull.Reviews(), roles: map[string]string{}, values: m.w.Cloud.Values()}
	for k, v := range m.roles {
		s.roles[k] = v
	}
	base := m.w.Repo.Ref("refs/heads/" + s.pull.BaseRef)
	s.base, _ = m.w.Repo.Files(base)
	if s.pull.Merged {
		s.tree, _ = m.w.Repo.Files(s.pull.MergedSHA)
	} else if tree, ok, err := m.w.Repo.MergeTree(base, s.pull.HeadSHA); err == nil && ok {
		s.tree, _ = m.w.Repo.Files(tree)
	}
	return s
}

// remember keeps the present, for decisions that rest on what was true a moment ago.
func (m *model) remember() snapshot {
	s := m.look()
	m.history = append(m.history, s)
	return s
}

// patience is how long before an apply its facts may have been read: a read that GitHub refuses at
// first is repeated.
const patience = 45 * time.Second

// skew is what the product concedes to clocks in whole seconds.
const skew = 3 * time.Second

// starting judges an apply at the moment at which it starts.
func (m *model) starting(a enginetest.Apply) {
	now := m.look()
	reasons := m.against(now, a)
	for i := len(m.history) - 1; i >= 0 && len(reasons) > 0 && now.at.Sub(m.history[i].at) < patience; i-- {
		if len(m.against(m.history[i], a)) == 0 {
			reasons = nil
		}
	}
	for _, r := range reasons {
		m.breach("applied although %s: %+v", r, a.Steps)
	}
	if m.consumed[a.Plan] {
		m.breach("plan %d starts a second time", a.Plan)
	}
	m.consumed[a.Plan] = true
	m.asked[a.Execution], m.starts[a.Execution] = m.requestFor(now), now.at
	if m.frozen != "" {
		m.breach("applied on top of %s, of which nobody knows how it ended", m.frozen)
	}
	m.lastStart = now.at
	if err := m.recorded(a.Execution); err != nil {
		m.breach("an apply starts without its row in the ledger: %v", err)
	}
}

// against lists what speaks against an apply at a moment.
func (m *model) against(s snapshot, a enginetest.Apply) (reasons []string) {
	no := func(format string, args ...any) { reasons = append(reasons, fmt.Sprintf(format, args...)) }
	if !s.pull.Merged && s.pull.State != "open" {
		no("the pull request is closed")
	}
	if s.pull.Draft {
		no("it is a draft")
	}
	if !sameFiles(s.tree, a.Files) {
		no("it is not the merge of head and base")
	}
	if m.requestFor(s) == nil {
		no("nobody who may has asked for it")
	}
	if why := denied(a.Steps, s.base); why != "" {
		no("policy forbids it: %s", why)
	}
	for _, r := range latest(s) {
		if r.State == "CHANGES_REQUESTED" && writes(s, r.Author) {
			no("%s asks for changes", r.Author)
		}
	}
	if got, want := m.approvals(s, a.Steps), needed(s.base); len(got) < want {
		no("%d of %d approvals of this effect", len(got), want)
	}
	return reasons
}

func (m *model) requestFor(s snapshot) *request {
	for _, r := range m.requests {
		if !r.void && !r.applied && !r.at.After(s.at) && r.head == s.pull.HeadSHA && writes(s, r.by) && (!r.merge || s.pull.Merged) {
			return r
		}
	}
	return nil
}

// approvals are those that count for what the steps do.
func (m *model) approvals(s snapshot, steps []enginetest.Step) (who []string) {
	seen := m.firstShown(s.pull.HeadSHA, steps)
	for _, r := range latest(s) {
		late := !seen.IsZero() && !r.Submitted.Before(seen.Add(-skew)) && !r.Submitted.Before(m.retarget.Add(-skew)) && !r.Submitted.Before(m.effect.Add(-skew))
		if r.State == "APPROVED" && r.Commit == s.pull.HeadSHA && r.Author != makerOfAll && writes(s, r.Author) && late {
			who = append(who, r.Author)
		}
	}
	return who
}

// firstShown is when people could first see a plan of the head with this effect.
func (m *model) firstShown(head string, steps []enginetest.Step) time.Time {
	for _, s := range m.w.Shown() {
		if s.Head == head && strings.Contains(s.Text, shortOf(steps)) {
			return s.At
		}
	}
	return time.Time{}
}

// standing is since when the plan that the head shows last has been shown without another between.
func (m *model) standing(head string, steps []enginetest.Step) (since, last time.Time, ok bool) {
	for _, s := range m.w.Shown() {
		if s.Head != head {
			continue
		}
		if ok = strings.Contains(s.Text, shortOf(steps)); !ok {
			since = time.Time{}
			continue
		}
		if last = s.At; since.IsZero() {
			since = s.At
		}
	}
	return since, last, ok
}

func shortOf(steps []enginetest.Step) string {
	return strings.TrimPrefix(enginetest.Effect(steps), "sha256:")[:8]
}

// latest is the newest review of each person that decides something.
func latest(s snapshot) []ghsim.ReviewInfo {
	newest := map[string]ghsim.ReviewInfo{}
	for _, r := range s.reviews {
		if r.State != "COMMENTED" {
			newest[r.Author] = r
		}
	}
	var out []ghsim.ReviewInfo
	for _, r := range newest {
		out = append(out, r)
	}
	return out
}

func writes(s snapshot, who string) bool { return s.roles[who] == "write" }

var approvalsSetting = regexp.MustCompile(`approvals: (\d+)`)

// needed is the number of approvals that the base asks for.
func needed(base map[string]string) int {
	m := approvalsSetting.FindStringSubmatch(base[".tollgate.yaml"])
	n, _ := strconv.Atoi(m[1])
	return n
}

// strict is a policy that a repository may have of its own.
const strict = `# METADATA
# title: Nothing odd
package plan.strict

deny contains {"rule": "odd", "address": r.address, "msg": "it is odd"} if {
	some r in input.resource_changes
	startswith(r.change.after.input, "odd")
}
`

const strictFile = "policies/plan/strict/strict.rego"

// denied says which rule forbids the steps, or nothing.
func denied(steps []enginetest.Step, base map[string]string) string {
	for _, s := range steps {
		if strings.HasPrefix(s.After, "forbidden") {
			return s.Name + " is forbidden"
		}
		if base[strictFile] != "" && strings.HasPrefix(s.After, "odd") {
			return s.Name + " is odd"
		}
	}
	return ""
}

func sameFiles(a, b map[string]string) bool {
	if a == nil || len(a) != len(b) {
		return false
	}
	for name, text := range a {
		if other, ok := b[name]; !ok || other != text {
			return false
		}
	}
	return true
}

// must returns what has to be applied if a person asks for it now, or nothing if the model does not
// insist on it.
func (m *model) must(s snapshot, by string) []enginetest.Step {
	steps := enginetest.Difference(s.values, s.tree)
	since, last, standing := m.standing(s.pull.HeadSHA, steps)
	if m.unhealed || m.needsPlan() {
		return nil
	}
	switch {
	case m.frozen != "" || s.tree == nil || s.pull.Draft || len(steps) == 0:
		return nil
	case s.pull.State != "open" && !s.pull.Merged, s.pull.BaseRef != "main":
		return nil
	case !standing || !m.lastStart.Before(last) || denied(steps, s.base) != "" || !writes(s, by):
		return nil
	}
	n := 0
	for _, r := range latest(s) {
		switch {
		case r.State == "CHANGES_REQUESTED" && writes(s, r.Author):
			return nil
		case r.State == "APPROVED" && r.Commit == s.pull.HeadSHA && r.Author != makerOfAll && writes(s, r.Author) &&
			r.Submitted.After(since) && r.Submitted.After(m.pushed) && r.Submitted.After(m.retarget.Add(skew)) && r.Submitted.After(m.effect.Add(skew)):
			n++
		}
	}
	if n < needed(s.base) {
		return nil
	}
	return steps
}

// needsPlan reports whether people have to ask for a plan first. One is consumed by an apply of which nothing came to life,
// too; and one that was made to serve an apply, and has another effect, is not the one that they were asked to look at.
func (m *model) needsPlan() bool {
	runs, err := m.w.Runs(m.pull.Number())
	if err != nil || len(runs) == 0 || runs[0].Reason == "moved" || runs[0].Reason == "merged" {
		return true
	}
	execs, err := m.w.Executions(m.pull.Number())
	return err != nil || slices.ContainsFunc(execs, func(x store.Execution) bool { return !x.CreatedAt.Before(runs[0].CreatedAt) })
}

// settled checks what must hold when everybody is done.
func (m *model) settled() error {
	s := m.remember()
	execs, err := m.w.Executions(m.pull.Number())
	if err != nil {
		return err
	}
	if err := m.verify(); err != nil {
		m.breach("the ledger does not verify: %v", err)
	}
	sets := map[int]int{}
	byID := map[string]enginetest.Apply{}
	for _, a := range m.w.Cloud.Applies() {
		byID[a.Execution] = a
		if len(a.Effects) > 0 {
			sets[a.Plan]++
		}
		if sets[a.Plan] > 1 {
			m.breach("plan %d has two sets of effects", a.Plan)
		}
	}
	shas := map[string]bool{s.pull.HeadSHA: true}
	for _, h := range m.history {
		shas[h.pull.HeadSHA] = true
	}
	conclusions := map[string]string{}
	for sha := range shas {
		seen := map[string]bool{}
		for _, c := range m.w.Repo.CheckRuns(sha) {
			if c.Status != "completed" {
				m.breach("check %q of %.7s is %s, and nobody works on it", c.Name, sha, c.Status)
			}
			if seen[c.ExternalID] {
				m.breach("check %q of %.7s is there twice", c.Name, sha)
			}
			seen[c.ExternalID] = true
			conclusions[c.ExternalID] = c.Conclusion
		}
	}
	for _, x := range execs {
		a, began := byID[x.ID]
		want := change.ExecFailedClean
		switch {
		case !began:
		case a.Ending == enginetest.Well:
			want = change.ExecApplied
		case a.Ending == enginetest.Partial:
			want = change.ExecFailedPartial
		case a.Ending == enginetest.Killed:
			want = change.ExecUnknown
		}
		if x.State != want {
			m.breach("execution %s is called %s, but ended %q with %d effects", x.ID, x.State, a.Ending, len(a.Effects))
		}
		if green := conclusions[x.ID] == "success"; green != (want == change.ExecApplied) {
			m.breach("the check of execution %s says %q, which ended %s", x.ID, conclusions[x.ID], want)
		}
	}
	m.newest(s)
	return nil
}

// newest checks that the newest commit is the one planned, and that its check tells the truth.
func (m *model) newest(s snapshot) {
	if m.unhealed || s.pull.State != "open" || s.pull.Draft {
		return
	}
	gate, ok := m.w.Repo.CheckRun(s.pull.HeadSHA, "tollgate")
	if !ok {
		m.breach("the newest commit %.7s has no check", s.pull.HeadSHA)
		return
	}
	if s.tree == nil {
		if gate.Conclusion == "success" {
			m.breach("green, but it conflicts with its base")
		}
		return
	}
	steps := enginetest.Difference(s.values, s.tree)
	plan, ok := m.w.Repo.CheckRun(s.pull.HeadSHA, "tollgate/plan: "+enginetest.Project)
	current := ok && strings.Contains(plan.Title+plan.Summary, shortOf(steps))
	if gate.Conclusion == "success" && current && denied(steps, s.base) != "" {
		m.breach("green, but %s", denied(steps, s.base))
	}
}
