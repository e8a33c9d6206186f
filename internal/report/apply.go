package report

import (
	"strings"

	"github.com/tollgate/tollgate/internal/change"
)

// ApplyCheck renders the check of one apply.
func ApplyCheck(a Apply) change.Check {
	e := a.Execution
	c := newCheck(ApplyPrefix+e.Project.Name, a.HeadSHA, a.ExternalID, a.DetailsURL, a.Title(), a.status())
	c.Summary = applySummary(a)
	c.Text = applyTail(a.Tail, MaxText-2)
	if e.State == change.ExecFailedClean || e.State == change.ExecFailedPartial {
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
		return actionRequired
	}
	return failure
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
		return "Not applied: nothing was changed"
	case change.ExecFailedPartial:
		return "Failed: a part of it may have been applied"
	}
	return "Unknown: it may have been applied, wholly, in part or not at all"
}

func applySummary(a Apply) string {
	e := a.Execution
	foot := footer(labelled("commit ", short(e.CommitSHA)), labelled("execution ", e.ID), Elapsed(a.Elapsed), pageLink(a.DetailsURL))
	out := page{limit: MaxSummary - len(foot)}
	out.block(applyHead(a))
	out.list("#### Destroys, replaces and forgets", dangerItems(a.Summary), dangerBudget, "such changes", elsewhere(a.DetailsURL))
	out.fault(a.Fault, "", faultBudget)
	if e.Reason != "" {
		out.block("Reason: " + prose(e.Reason))
	}
	out.proof(a)
	out.block(applyAdvice(a))
	return out.String() + foot
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
	name := code(strings.TrimSpace("/plan " + a.Execution.Project.Name))
	switch a.Execution.State {
	case change.ExecFailedClean:
		return "The infrastructure is as it was. A plan is applied at most once: " + name + " makes a new one."
	case change.ExecFailedPartial:
		return "Terraform stopped midway. " + name + " shows what is left to do; nothing is tried again by itself."
	case change.ExecUnknown:
		return "Nothing is tried again by itself and the project stays locked, until a person has compared the log with the " +
			"infrastructure and comments " + code("/unlock "+a.Execution.Project.Name) + "."
	}
	return ""
}

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
