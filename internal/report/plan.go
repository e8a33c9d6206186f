package report

import (
	"fmt"
	"strings"
	"time"

	"github.com/tollgate/tollgate/internal/change"
	"github.com/tollgate/tollgate/internal/fault"
)

// Budgets inside a check's summary, in bytes. What destroys stands in the first two kilobytes.
const (
	dangerBudget      = 1_500
	faultBudget       = 20_000
	requirementBudget = 8_000
)

// PlanCheck renders the check of one project's plan.
func PlanCheck(p Plan) change.Check {
	c := newCheck(PlanPrefix+p.Project.Name, p.HeadSHA, p.ExternalID, p.DetailsURL, p.Title(), p.status())
	if !p.State.Done() {
		c.Summary = planSummary(p, "")
		return c
	}
	shown, total := annotations(p.Findings)
	c.Annotations = shown
	capped := ""
	if len(shown) < total {
		capped = fmt.Sprintf("%d of %d annotations shown in the files.", len(shown), total)
	}
	c.Summary = planSummary(p, capped)
	c.Text = planBody(p)
	c.Buttons = []change.Button{replanButton()}
	if p.ready() {
		c.Buttons = append(c.Buttons, applyButton())
	}
	return c
}

func (p Plan) status() status {
	switch {
	case p.State == change.RunQueued:
		return queued
	case p.State == change.RunRunning:
		return inProgress
	case p.State == change.RunCancelled, p.State == change.RunSuperseded:
		return cancelled
	case p.allowed():
		return success
	}
	return failure
}

// Title is the verdict first, then the counts, in plain text that may quote the fault.
func (p Plan) Title() string {
	switch {
	case p.State == change.RunQueued:
		return "Waiting for a worker"
	case !p.State.Done() || cancelled == p.status():
		return p.Verdict()
	case p.Fault != nil:
		return p.Verdict() + ": " + oneLine(p.Fault.What, 200)
	case p.Refused:
		return p.Verdict() + ": the code is refused by " + plural(len(blocking(p.Findings)), "finding")
	case p.allowed():
		return p.Verdict() + ": " + countWords(p.Summary.Counts, "")
	}
	return p.Verdict() + ". Plan: " + countWords(p.Summary.Counts, "")
}

// Verdict says how the plan stands in a few words, all of them ours.
func (p Plan) Verdict() string {
	deny, unknown := len(keepFindings(p.Findings, isDenied)), len(keepFindings(p.Findings, isUndetermined))
	switch {
	case p.State == change.RunQueued:
		return "Queued"
	case p.State == change.RunRunning:
		return "Planning"
	case p.State == change.RunCancelled:
		return "Cancelled"
	case p.State == change.RunSuperseded:
		return "Superseded by a newer commit"
	case p.Fault != nil:
		return "No verdict"
	case p.Refused:
		return "Not run"
	case deny > 0 && unknown > 0:
		return fmt.Sprintf("Denied by %s, %d undetermined", plural(deny, "finding"), unknown)
	case deny > 0:
		return "Denied by " + plural(deny, "finding")
	case unknown > 0:
		return "Undetermined: " + plural(unknown, "finding")
	case p.allowed():
		return "Policies passed"
	}
	return "Not judged"
}

// planSummary renders the summary; capped is a remark on annotations that are left out.
func planSummary(p Plan, capped string) string {
	foot := planFoot(p)
	out := page{limit: MaxSummary - len(foot)}
	out.block(planHead(p))
	out.replanned(p)
	out.list("#### Destroys, replaces and forgets", dangerItems(p.Summary), dangerBudget, "such changes", "; all changes are listed below")
	out.fault(p.Fault, p.Excerpt, faultBudget)
	if p.State.Done() {
		src := newSource(p.Pull, p.HeadSHA)
		out.findings(p.Findings, src, out.room()-requirementBudget, elsewhere(p.DetailsURL))
		out.block(capped)
		out.notices(p.Notices, src)
		out.requirements(p)
	}
	return out.String() + foot
}

func planHead(p Plan) string {
	where := code(p.Project.Dir)
	if p.Project.Workspace != "" && p.Project.Workspace != "default" {
		where += ", workspace " + code(p.Project.Workspace)
	}
	switch p.State {
	case change.RunQueued:
		return where + " is planned as soon as a worker is free."
	case change.RunRunning:
		return "Terraform is planning " + where + ". " + link("Live log", p.DetailsURL)
	case change.RunCancelled, change.RunSuperseded:
		return "This run was stopped; it says nothing of " + where + "."
	}
	if p.Fault != nil {
		return where + " has no verdict, so it cannot be applied."
	}
	if p.Refused {
		return where + " was not run: its code was judged as text, before Terraform or any other program saw it, and is refused."
	}
	return "Plan of " + where + ": " + countWords(p.Summary.Counts, "**") + "."
}

// replanned tells reviewers whether what they looked at is still what would be applied.
func (p *page) replanned(pl Plan) {
	switch r := pl.Replanned; {
	case r == nil:
	case !pl.State.Done():
		p.block("It is planned again because " + r.Why + ".")
	case pl.Fault != nil || pl.status() == cancelled:
	case r.Differs == "":
		p.block("Planned again because " + r.Why + ". It does what it did before, so approvals of it stand.")
	default:
		p.block("#### ⚠️ The plan has changed\n\nIt was planned again because " + r.Why + ", and does something else now: " + r.Differs +
			".\nApprovals from before do not count: look at it, and approve it again.")
	}
}

// fault renders what is wrong, why it matters and what to do, with Terraform's own words in a fence.
func (p *page) fault(f *fault.Error, excerpt string, budget int) {
	if f == nil {
		return
	}
	p.block("#### ❌ What is wrong\n\n" + faultText(f))
	const room = 200 // the fold and its heading around the text
	if e := strings.TrimSpace(Clean(excerpt)); e != "" {
		p.block(fence("", ellipsis(shortenTicks(e), min(budget, p.room()-room))))
	}
}

func faultText(f *fault.Error) string {
	s := join(" ", sentence(f.What), sentence(f.Why))
	if f.Fix != "" {
		s += "\n\n**What to do:** " + sentence(f.Fix)
	}
	return s
}

func sentence(s string) string {
	s = prose(s)
	if s == "" || strings.ContainsAny(s[len(s)-1:], ".!?:") || strings.HasSuffix(s, dots) {
		return s
	}
	return s + "."
}

// requirements renders the checklist. Its marks are not task boxes: those could be ticked by anyone
// who may edit the comment.
func (p *page) requirements(pl Plan) {
	if pl.Fault != nil || pl.Refused {
		return
	}
	if pl.settledEmpty() {
		p.block("Nothing has to be applied.")
		return
	}
	p.list("#### Before it can be applied", requirementItems(pl), requirementBudget, "requirements", elsewhere(pl.DetailsURL))
	if pl.ready() {
		p.block("Everything is met: merge the pull request, or comment " + code("/apply "+pl.Project.Name) + ".")
	}
}

func requirementItems(p Plan) []string {
	var items []string
	for _, met := range []bool{false, true} { // what is missing first
		for _, r := range p.Requirements {
			if r.Met == met {
				items = append(items, "- "+tick(r.Met)+" "+prose(r.Text)+"\n")
			}
		}
	}
	return items
}

func tick(met bool) string {
	if met {
		return "✅"
	}
	return "⬜"
}

// planFoot says what exactly was judged.
func planFoot(p Plan) string {
	commit := ""
	if p.HeadSHA != "" {
		commit = "commit " + code(short(p.HeadSHA))
		if p.BaseSHA != "" {
			commit += " merged with " + code(short(p.BaseSHA))
		}
	}
	judged := ""
	if p.Refused {
		judged = "judged by policies " + code(digest(p.PolicyDigest))
	} else if p.State.Done() && p.PolicyDigest != "" {
		judged = plural(p.Judged, "resource") + " judged by policies " + code(digest(p.PolicyDigest))
	}
	return footer(commit, labelled("plan ", p.ID), judged, labelled("Terraform ", p.Summary.TerraformVersion),
		Elapsed(p.Elapsed), pageLink(p.DetailsURL))
}

func labelled(label, value string) string {
	if value == "" {
		return ""
	}
	return label + code(ellipsis(value, 64))
}

func pageLink(address string) string {
	if webURL(address) == "" {
		return ""
	}
	return link("log", address)
}

func footer(parts ...string) string {
	s := join(" · ", parts...)
	if s == "" {
		return ""
	}
	return "<sub>" + s + "</sub>\n"
}

// digest keeps enough of "sha256:…" to compare by eye.
func digest(s string) string {
	name, sum, ok := strings.Cut(s, ":")
	if !ok {
		return clip(s, 12)
	}
	return clip(name, 12) + ":" + clip(sum, 12)
}

// Elapsed is a duration as people say it, or empty for none.
func Elapsed(d time.Duration) string {
	switch {
	case d <= 0:
		return ""
	case d < time.Minute:
		return fmt.Sprintf("%.1f s", d.Seconds())
	}
	return fmt.Sprintf("%d min %d s", int(d.Minutes()), int(d.Seconds())%60)
}

// changesBudget is the part of a check's text that the list of changes may take from the plan's text.
const changesBudget = 20_000

func planBody(p Plan) string {
	out := page{limit: MaxText}
	where := elsewhere(p.DetailsURL)
	changes := changeItems(p.Summary, anyChange)
	if len(changes) > 0 {
		out.folded(plural(len(changes), "change"), changes, changesBudget, "changes", where)
	}
	out.block(planText(p.Text, out.room()-2, where))
	return out.String()
}
