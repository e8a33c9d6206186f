package report

import (
	"fmt"

	"github.com/tollgate/tollgate/internal/change"
	"github.com/tollgate/tollgate/internal/fault"
)

// MaxAnswer is what one answer may have, so that there is room for the mark of its comment.
const MaxAnswer = MaxComment - 128

// AnswerMark is hidden at the start of a comment with answers, so that it is found again.
func AnswerMark(id string) string { return "<!-- tollgate:answer " + id + " -->" }

// Answers is one comment of as many answers as fit into it, at least the first.
func Answers(mark string, bodies []string) (text string, taken int) {
	text = mark
	for _, b := range bodies {
		sep := "\n"
		if taken > 0 {
			sep = "\n\n---\n\n"
		}
		if taken > 0 && len(text)+len(sep)+len(b) > MaxComment {
			break
		}
		text += sep + b
		taken++
	}
	return text, taken
}

// answerBudget is how much a list in an answer may take, in bytes.
const answerBudget = 40_000

// AnswerHelp answers /help with the commands and the projects that they can name.
func AnswerHelp(projects []string) string {
	out := page{limit: MaxAnswer}
	out.block(`| comment | what it does |
|---|---|
| ` + "`/plan [NAME]`" + ` | plans and judges again, all affected projects or one |
| ` + "`/apply [NAME]`" + ` | applies the approved plan before the merge |
| ` + "`/apply NAME@PLAN`" + ` | applies this plan only, named by its id in the check |
| ` + "`/resolve NAME applied REASON`" + ` | says that an apply whose end is unknown was applied to its end |
| ` + "`/resolve NAME reconcile REASON`" + ` | says that it was not: what is left is planned again |
| ` + "`/break-glass NAME REASON`" + ` | in an emergency: asks that one apply may go without approvals; a second person confirms |
| ` + "`/unlock NAME`" + ` | releases a project after you have made sure that nothing runs |
| ` + "`/cancel`" + ` | stops the plans of this pull request; an apply is never killed |
| ` + "`/help`" + ` | this |`)
	out.block("A command is the whole comment, on one line. It takes write permission.")
	out.list("Projects of this pull request:", bullets(projects), answerBudget, "projects", "")
	return out.String()
}

// AnswerPlan answers /plan: what is planned now. address is our page of the run.
func AnswerPlan(projects []string, headSHA, address string) string {
	if len(projects) == 0 {
		return answer("Nothing to plan: this pull request affects no Terraform project.", nil)
	}
	return answer("Planning at "+code(short(headSHA))+"; the result will be in the checks. "+link("Live log", address), projects)
}

// AnswerApply answers /apply: what is applied now. address is our page of the execution.
func AnswerApply(project, headSHA, address string) string {
	return answer("Applying "+code(project)+" at "+code(short(headSHA))+"; the result will be in the checks. "+
		link("Live log", address), nil)
}

// AnswerUnlock answers /unlock. holder is what held the lock, such as "pull request 12".
func AnswerUnlock(project, holder string) string {
	return answer("Released "+code(project)+". It was held by "+sentence(holder), nil)
}

// AnswerResolve answers /resolve. holder is what held the lock, such as "an apply of pull request 12".
func AnswerResolve(project, holder string, as change.Resolution) string {
	if as == change.ResolvedApplied {
		return answer(code(project)+" is resolved as applied. It was held by "+sentence(holder), nil)
	}
	return answer(code(project)+" is released. It was held by "+holder+". What is left is planned again, and has to be approved.", nil)
}

// AnswerCancel answers /cancel with the projects whose plans were stopped.
func AnswerCancel(projects []string) string {
	if len(projects) == 0 {
		return answer("Nothing to cancel: no plan of this pull request is queued or running.", nil)
	}
	return answer("Cancelled "+plural(len(projects), "plan")+":", projects)
}

// Refusal is a command, a merge or a button that was not obeyed.
type Refusal struct {
	Command string       // as written, such as "/apply payments"; empty for a merge
	Fault   *fault.Error // what, why, and what to do; or nil
	Denials []string     // every reason that the apply policies gave
}

// AnswerRefused says that nothing was done, why, and what to do.
func AnswerRefused(r Refusal) string {
	head := "**Nothing was applied on the merge.**"
	if r.Command != "" {
		head = fmt.Sprintf("**Refused:** %s", code(r.Command))
	}
	f := fault.Error{}
	if r.Fault != nil {
		f = *r.Fault
	}
	out := page{limit: MaxAnswer}
	out.block(head)
	out.block(join(" ", sentence(f.What), sentence(f.Why)))
	var items []string
	for _, d := range r.Denials {
		items = append(items, "- "+prose(d)+"\n")
	}
	out.list("", items, answerBudget, "reasons", "")
	if f.Fix != "" {
		out.block("**What to do:** " + sentence(f.Fix))
	}
	return out.String()
}

func answer(text string, list []string) string {
	out := page{limit: MaxAnswer}
	out.block(text)
	out.list("", bullets(list), answerBudget, "projects", "")
	return out.String()
}

func bullets(list []string) []string {
	var items []string
	for _, s := range list {
		items = append(items, "- "+code(s)+"\n")
	}
	return items
}
