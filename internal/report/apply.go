package report

import (
	"fmt"
	"strings"

	"github.com/tollgate/tollgate/internal/change"
)

// ApplyCheck renders the check of one apply.
func ApplyCheck(a Apply) change.Check {
	e := a.Execution
	c := newCheck(ApplyPrefix+e.Project.Name, a.HeadSHA, a.ExternalID, a.DetailsURL, a.Title(), a.status())
	c.Summary = applySummary(a)
	c.Text = applyTail(a.Tail, MaxText-2)
	if e.State == change.ExecFailedClean || e.State == change.ExecFailedPartial || a.Resolved.As == change.ResolvedReconcile {
		c.Buttons = []change.Button{replanButton()}
	}
	return c
}

func (a Apply) status() status {
	switch a.Execution.State {
	case change.ExecPlanned, change.ExecAuthorised, change.ExecClaimed:
		return queued
	case change.ExecRunning:
		return inProgress
	case change.ExecApplied:
		switch {
		case len(a.Proof.Broken()) > 0:
			return failure
		case a.Proof.Unproven():
			return actionRequired
		}
		return success
	case change.ExecUnknown:
		return a.resolvedStatus()
	}
	return failure
}

func (a Apply) resolvedStatus() status {
	switch a.Resolved.As {
	case change.ResolvedApplied:
		return success
	case change.ResolvedReconcile, change.ResolvedReleased:
		return failure
	}
	return actionRequired
}

// frozen reports whether a person has to find out how the apply ended.
func (a Apply) frozen() bool {
	return a.Execution.State == change.ExecUnknown && a.Resolved.As == ""
}

// applied reports whether all of it is known to be there.
func (a Apply) applied() bool {
	return a.Execution.State == change.ExecApplied || a.Resolved.As == change.ResolvedApplied
}

// Title says how the apply stands, in plain text of our own.
func (a Apply) Title() string {
	switch a.Execution.State {
	case change.ExecPlanned, change.ExecAuthorised, change.ExecClaimed:
		return "Waiting to be applied"
	case change.ExecRunning:
		if a.Ended {
			return "Applied; a second plan looks at the result"
		}
		return "Applying: " + countWords(a.Summary.Counts, "")
	case change.ExecApplied:
		if title := proofTitle(a.Proof); title != "" {
			return title
		}
		return "Applied: " + doneWords(a.Summary.Counts)
	case change.ExecFailedClean:
		if a.Blocked {
			return "Blocked: somebody else holds the state, and nothing was changed"
		}
		return "Not applied: nothing was changed"
	case change.ExecFailedPartial:
		return "Failed: a part of it may have been applied"
	}
	switch a.Resolved.As {
	case change.ResolvedApplied:
		return "Resolved as applied"
	case change.ResolvedReconcile:
		return "Resolved as not applied to its end"
	case change.ResolvedReleased:
		return "Released; how it ended is unknown"
	}
	return "Unknown: it may have been applied, wholly, in part or not at all"
}

func applySummary(a Apply) string {
	e := a.Execution
	foot := footer(labelled("commit ", short(e.CommitSHA)), labelled("execution ", e.ID), Elapsed(a.Elapsed), pageLink(a.DetailsURL)) + ledgerLine(a)
	out := page{limit: MaxSummary - len(foot)}
	out.block(applyHead(a))
	out.block(glassLine(a.Glass))
	out.list("#### Destroys, replaces and forgets", dangerItems(a.Summary), dangerBudget, "such changes", elsewhere(a.DetailsURL))
	out.fault(a.Fault, "", faultBudget)
	if e.Reason != "" {
		out.block("Reason: " + prose(e.Reason))
	}
	out.block(resolvedBy(a.Resolved))
	out.proof(a)
	out.evidence(a)
	out.block(unsaved(a))
	out.block(applyAdvice(a))
	return out.String() + foot
}

// ledgerLine is what an auditor compares with the ledger, also when nobody trusts its keepers any more.
func ledgerLine(a Apply) string {
	if a.LedgerRow == 0 {
		return ""
	}
	return fmt.Sprintf("\n<sub>ledger row %d, sha256 `%s`</sub>\n", a.LedgerRow, a.LedgerHash)
}

func applyHead(a Apply) string {
	e := a.Execution
	by := map[string]string{"merge": " on the merge", "comment": " on a comment", "button": " on the button"}[e.Trigger]
	if e.Actor.Login != "" {
		by += " by " + code(e.Actor.Login)
	}
	return "Apply of " + code(e.Project.Dir) + by + ". Its plan: " + countWords(a.Summary.Counts, "**") + "."
}

// applyAdvice says what an end means that a reader could mistake.
func applyAdvice(a Apply) string {
	project := a.Execution.Project.Name
	name := code(strings.TrimSpace("/plan " + project))
	switch a.Execution.State {
	case change.ExecFailedClean:
		return "The infrastructure is as it was. A plan is applied at most once: " + name + " makes a new one."
	case change.ExecFailedPartial:
		return "Terraform stopped midway. " + name + " shows what is left to do; nothing is tried again by itself."
	case change.ExecUnknown:
		if a.Resolved.As != "" {
			return ""
		}
		return "Nothing is tried again by itself, and nothing is applied to this state, until a person has compared the log with the infrastructure and comments\n\n" +
			"- " + code("/resolve "+project+" applied REASON") + " if all of it is there, or\n" +
			"- " + code("/resolve "+project+" reconcile REASON") + " if it is not: what is left is then planned, and has to be approved."
	}
	return ""
}

// ResolutionWords say what a person did who resolved an apply, after the name.
func ResolutionWords(r change.Resolution) string {
	switch r {
	case change.ResolvedApplied:
		return "says that all of it was applied"
	case change.ResolvedReconcile:
		return "says that not all of it was applied; what is left is planned again"
	case change.ResolvedReleased:
		return "released the project"
	}
	return ""
}

// resolvedBy says who found out how an apply had ended.
func resolvedBy(r change.Resolved) string {
	words := ResolutionWords(r.As)
	if words == "" {
		return ""
	}
	s := "#### 🔎 Resolved by a person\n\n" + code(r.By.Login) + " " + words
	if r.Reason == "" {
		return s + "."
	}
	return s + ": " + sentence(r.Reason)
}

// unsaved says how to get at a state that Terraform could not save.
func unsaved(a Apply) string {
	if !a.Unsaved {
		return ""
	}
	return "#### 💾 The state that was not saved\n\nIt is kept, encrypted. On the server, this writes it to a file:\n\n" +
		fence("sh", "bot resolve --data-dir DIR --errored-state "+a.Execution.ID+" > errored.tfstate")
}

// evidence renders what a plan showed after an unknown end. What it shows is bounded by what the state knows.
func (p *page) evidence(a Apply) {
	if a.Evidence == nil || a.Execution.State != change.ExecUnknown {
		return
	}
	const heading = "#### 🔎 What a plan shows now\n\n"
	if f := a.Evidence.Fault; f != nil {
		p.block(heading + "There is none: " + faultLine(f))
		return
	}
	const bounds = " It compares with the state: what was made but not saved there is not in it."
	if a.Evidence.Counts.Empty() {
		p.block(heading + "Nothing is left to change, so all of it seems to be there." + bounds)
		return
	}
	p.block(heading + "Still to do: " + countWords(a.Evidence.Counts, "**") + "." + bounds)
	p.list("", changeItems(change.PlanSummary{Counts: a.Evidence.Counts, Changes: a.Evidence.Changes}, anyChange), evidenceBudget, "changes", elsewhere(a.DetailsURL))
}

// evidenceBudget is how much of a check the list of what is left may take, in bytes.
const evidenceBudget = 8_000

// applyTail renders the end of Terraform's output: an error stands in its last lines.
func applyTail(tail string, limit int) string {
	tail = shortenTicks(strings.Trim(Clean(tail), "\n"))
	if tail == "" {
		return ""
	}
	const heading = "#### The last lines of Terraform's output\n\n"
	budget := limit - len(heading) - 2*(maxTicks+2)
	if cut := len(tail) - budget; cut > 0 {
		tail = tail[cut:]
		if _, rest, ok := strings.Cut(tail, "\n"); ok {
			tail = rest
		}
		tail = strings.ToValidUTF8(tail, "")
	}
	return heading + fence("", tail)
}
