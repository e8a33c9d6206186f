package report

import (
	"fmt"
	"slices"
	"strings"

	"github.com/tollgate/tollgate/internal/change"
	"github.com/tollgate/tollgate/internal/fault"
)

// GateCheck renders the check that a branch protection should require. It succeeds only when every
// affected project has been judged and is allowed, and when none is affected. It is never neutral:
// GitHub lets a neutral check pass.
func GateCheck(p Pull) change.Check {
	c := newCheck(GateName, p.Pull.HeadSHA, p.ExternalID, p.DetailsURL, p.Title(), p.status())
	foot := gateFoot(p)
	out := page{limit: MaxSummary - len(foot)}
	out.overview(p)
	c.Summary = out.String() + foot
	if p.settled() {
		c.Buttons = []change.Button{replanButton()}
		if p.ready() {
			c.Buttons = append(c.Buttons, applyButton())
		}
	}
	return c
}

func (p Pull) status() status {
	switch {
	case (p.Fault != nil || p.Unapplied != nil) && p.Stop == StopNone:
		return failure
	case p.Stop != StopNone || p.unknown():
		return actionRequired
	case p.State == change.RunQueued:
		return queued
	case p.State == change.RunRunning:
		return inProgress
	case p.State == change.RunCancelled, p.State == change.RunSuperseded:
		return cancelled
	case p.halted():
		return failure
	case p.State == change.RunPassed && len(p.denied()) == 0 && p.Preview.Sound():
		return success
	}
	return failure
}

// settled reports whether the check is completed.
func (p Pull) settled() bool { return p.status().conclusion != "" }

// unknown reports whether an apply waits for a person to find out how it ended.
func (p Pull) unknown() bool {
	return slices.ContainsFunc(p.Applies, Apply.frozen)
}

// consumed reports whether an apply of the plan began, however it ended.
func (p Pull) consumed(pl Plan) bool {
	return slices.ContainsFunc(p.Applies, func(a Apply) bool { return a.of(pl) && a.Execution.State != change.ExecFailedClean })
}

// of reports whether the apply is of this plan; without the plan's id, of its project.
func (a Apply) of(pl Plan) bool {
	if pl.PlanID != "" {
		return a.Execution.PlanID == pl.PlanID
	}
	return a.Execution.Project.Name == pl.Project.Name
}

// applied reports whether everything that had to be applied is.
func (p Pull) applied() bool {
	some := false
	for _, pl := range p.Plans {
		if pl.settledEmpty() {
			continue
		}
		if !slices.ContainsFunc(p.Applies, func(a Apply) bool { return a.of(pl) && a.applied() }) {
			return false
		}
		some = true
	}
	return some
}

// halted reports whether an apply of one of the plans stopped midway: the code that is approved is not what is there.
func (p Pull) halted() bool {
	return slices.ContainsFunc(p.Plans, func(pl Plan) bool {
		return slices.ContainsFunc(p.Applies, func(a Apply) bool { return a.of(pl) && a.Execution.State == change.ExecFailedPartial })
	})
}

func (p Pull) haltedTitle() string {
	all, done := 0, 0
	for _, pl := range p.Plans {
		if pl.settledEmpty() {
			continue
		}
		all++
		if slices.ContainsFunc(p.Applies, func(a Apply) bool { return a.of(pl) && a.applied() }) {
			done++
		}
	}
	if all == 1 {
		return "An apply failed midway"
	}
	return fmt.Sprintf("An apply failed midway: %d of %s applied", done, plural(all, "project"))
}

func (p Pull) denied() []Plan {
	var out []Plan
	for _, pl := range p.Plans {
		if !pl.allowed() {
			out = append(out, pl)
		}
	}
	return out
}

// ready reports whether the apply button makes sense: all that has changes may be applied, none of
// it is consumed, and nothing is being applied.
func (p Pull) ready() bool {
	some := false
	for _, pl := range p.Plans {
		if pl.settledEmpty() {
			continue
		}
		if !pl.ready() || p.consumed(pl) {
			return false
		}
		some = true
	}
	busy := slices.ContainsFunc(p.Applies, func(a Apply) bool { return !a.Execution.State.Done() })
	return some && !busy && p.status() == success
}

// Title says how the pull request stands, in plain text that may quote the fault.
func (p Pull) Title() string {
	switch denied := p.denied(); {
	case p.Stop != StopNone || p.Fault != nil:
		return p.stopped().What
	case p.unknown():
		return "Nobody knows how an apply ended"
	case p.Unapplied != nil:
		return "Merged, but not applied"
	case p.State == change.RunQueued:
		return "Waiting for a worker"
	case p.State == change.RunRunning:
		return planningTitle(p)
	case p.State == change.RunCancelled:
		return "Cancelled"
	case p.State == change.RunSuperseded:
		return "Superseded by a newer commit"
	case len(denied) == 0 && p.State != change.RunPassed:
		return "Not judged"
	case p.State == change.RunPassed && len(denied) == 0 && !p.Preview.Sound():
		return unsoundTitle(p.Preview)
	case len(p.Plans) == 0 && p.Preview != nil:
		return previewTitle(p.Preview)
	case len(p.Plans) == 0:
		return "No Terraform project is affected"
	case p.halted():
		return p.haltedTitle()
	case len(denied) == 0 && p.applied():
		return "Applied: " + doneWords(p.total())
	case len(p.Plans) == 1:
		return p.Plans[0].Title()
	case len(denied) == 0:
		return fmt.Sprintf("Policies passed: %s, %s", plural(len(p.Plans), "project"), countWords(p.total(), ""))
	default:
		return fmt.Sprintf("%d of %s not allowed", len(denied), plural(len(p.Plans), "project"))
	}
}

func planningTitle(p Pull) string {
	done := 0
	for _, pl := range p.Plans {
		if pl.State.Done() {
			done++
		}
	}
	if len(p.Plans) < 2 {
		return "Planning"
	}
	return fmt.Sprintf("Planning: %d of %d projects done", done, len(p.Plans))
}

func (p Pull) total() change.Counts {
	var t change.Counts
	for _, pl := range p.Plans {
		c := pl.Summary.Counts
		t.Create += c.Create
		t.Update += c.Update
		t.Replace += c.Replace
		t.Delete += c.Delete
		t.Forget += c.Forget
		t.Import += c.Import
		t.Move += c.Move
		t.Outputs += c.Outputs
	}
	return t
}

// stopped says why the pull request is not planned.
func (p Pull) stopped() *fault.Error {
	if p.Fault != nil {
		return p.Fault
	}
	switch p.Stop {
	case StopDraft:
		return fault.New("A draft is not planned.", "", "Mark the pull request as ready for review.")
	case StopFork:
		return fault.New("A pull request from another repository is not planned.",
			"Planning runs its code, and that code could read what the plan may read.",
			"Someone with write permission reads the change and comments `/plan`, which allows this one commit.")
	case StopConflict:
		return fault.New("The branch conflicts with its base.",
			"What is planned is the result of the merge, and there is none.",
			"Merge or rebase onto `"+oneLine(p.Pull.BaseRef, 100)+"`, and push.")
	}
	return fault.New("This pull request was not judged.", "", "`/plan` tries again.")
}

// projectBudget is how much one project may take of an overview, in bytes.
const projectBudget = 20_000

// overview is what the gate's check and the comment have in common.
func (p *page) overview(pull Pull) {
	if pull.Stop != StopNone || pull.Fault != nil {
		p.block(faultText(pull.stopped()))
		return
	}
	if pull.Unapplied != nil {
		p.block(faultText(pull.Unapplied))
	}
	if len(pull.Plans) == 0 {
		p.block(noProjects(pull.State))
	}
	p.projects(pull)
	p.applies(pull)
	plans := pull.denied()
	for _, pl := range pull.Plans {
		if pl.allowed() {
			plans = append(plans, pl)
		}
	}
	for _, pl := range plans {
		if pl.State.Done() && pl.State != change.RunCancelled && pl.State != change.RunSuperseded {
			p.project(pl, len(plans) > 1, pull.consumed(pl) || pull.Unapplied != nil)
		}
	}
	p.notices(pull.Notices, newSource(pull.Pull, pull.Pull.HeadSHA))
	p.preview(pull)
}

func noProjects(s change.RunState) string {
	switch s {
	case change.RunQueued, change.RunRunning:
		return "Looking for the Terraform projects that this change affects."
	case change.RunPassed:
		return "Nothing that this change touches belongs to a Terraform project."
	}
	return "No project was planned."
}

// projects is the table of all projects, those that are not allowed first.
func (p *page) projects(pull Pull) {
	if len(pull.Plans) == 0 {
		return
	}
	var rows []string
	for _, allowed := range []bool{false, true} {
		for _, pl := range pull.Plans {
			if pl.allowed() == allowed {
				rows = append(rows, projectRow(pl))
			}
		}
	}
	p.list("| | project | verdict | plan |\n|---|---|---|---|\n", rows, p.room()/2, "projects", elsewhere(pull.DetailsURL))
}

func projectRow(p Plan) string {
	plan := ""
	if p.State.Done() && p.Fault == nil && !p.Refused && p.status() != cancelled {
		plan = countWords(p.Summary.Counts, "**")
		if p.ID != "" && !p.Summary.Counts.Empty() {
			plan += " · " + code(p.ID)
		}
	}
	return fmt.Sprintf("| %s | %s | %s | %s |\n", p.status().mark(), codeCell(p.Project.Name), link(p.Verdict(), p.DetailsURL), plan)
}

// project is what a reviewer has to know of one project; what its plan still needs is moot once it
// is consumed, or refused after the merge.
func (p *page) project(pl Plan, named, consumed bool) {
	inner := page{limit: min(projectBudget, p.room()-2)}
	where := elsewhere(pl.DetailsURL)
	if named {
		inner.block("### " + code(pl.Project.Name))
	}
	head := inner.Len()
	if !consumed {
		inner.replanned(pl)
	}
	inner.list("#### Destroys, replaces and forgets", dangerItems(pl.Summary), dangerBudget, "such changes", where)
	inner.fault(pl.Fault, pl.Excerpt, projectBudget/4)
	src := newSource(pl.Pull, pl.HeadSHA)
	inner.findings(pl.Findings, src, projectBudget/2, where)
	inner.notices(pl.Notices, src)
	if !consumed && !(named && pl.settledEmpty()) {
		inner.requirements(pl)
	}
	if inner.Len() > head {
		p.block(inner.String())
	}
}

// applies lists every apply, and once one has not ended well, what was not applied for that.
func (p *page) applies(pull Pull) {
	var items []string
	badly := false
	for _, a := range pull.Applies {
		items = append(items, applyItem(a))
		badly = badly || a.Execution.State.Done() && !a.applied()
	}
	for _, pl := range pull.Plans {
		begun := slices.ContainsFunc(pull.Applies, func(a Apply) bool { return a.of(pl) })
		if badly && !begun && !pl.settledEmpty() {
			items = append(items, notAppliedItem(pull, pl))
		}
	}
	p.list("#### Applies", items, projectBudget, "applies", "")
}

func notAppliedItem(pull Pull, pl Plan) string {
	s := "- ⬜ " + code(pl.Project.Name) + ": not applied"
	for _, other := range pull.Plans {
		if slices.Contains(pl.Project.DependsOn, other.Project.Name) && !other.settledEmpty() &&
			!slices.ContainsFunc(pull.Applies, func(a Apply) bool { return a.of(other) && a.applied() }) {
			s += ", since " + code(other.Project.Name) + " is not, on which it depends"
			break
		}
	}
	return s + ".\n"
}

func applyItem(a Apply) string {
	s := "- " + a.status().mark() + " " + code(a.Execution.Project.Name) + ": " + link(a.Title(), a.DetailsURL)
	if a.Execution.Actor.Login != "" {
		s += ", by " + code(a.Execution.Actor.Login)
	}
	if r := a.Resolved; r.As != "" {
		return s + ". Resolved by " + code(r.By.Login) + ".\n"
	}
	if a.Fault != nil {
		s += ". " + faultLine(a.Fault)
	}
	return s + "\n"
}

// faultLine is a fault on one line of a list.
func faultLine(f *fault.Error) string {
	return join(" ", sentence(f.What), sentence(f.Why), sentence(f.Fix))
}

func gateFoot(p Pull) string {
	commit := labelled("commit ", short(p.Pull.HeadSHA))
	policies := ""
	for _, pl := range p.Plans {
		if pl.PolicyDigest != "" {
			policies = "policies " + code(digest(pl.PolicyDigest))
		}
	}
	checks := ""
	if webURL(p.Pull.URL) != "" {
		checks = link("all checks", strings.TrimSuffix(p.Pull.URL, "/")+"/checks")
	}
	return footer(commit, policies, checks)
}
