package report

import (
	"fmt"

	"github.com/tollgate/tollgate/internal/change"
)

// AnswerGlassAsked answers whoever asks to break the glass with what the second person has to do.
func AnswerGlassAsked(project, plan string, g change.Glass) string {
	return answer(fmt.Sprintf("🚨 **%s asks to break the glass for %s**, plan %s: %s\n\n"+
		"A second person with write permission confirms it until %s by commenting %s. "+
		"Then one apply may start without approvals, outside of change windows, and in spite of findings that a waiver could cover. Until then nothing runs.",
		code(g.AskedBy.Login), code(project), code(plan), code(g.Reason), g.Until().UTC().Format("15:04:05 UTC"), code("/break-glass "+project+"@"+plan)), nil)
}

// AnswerGlassBroken answers the second person.
func AnswerGlassBroken(project string, g change.Glass) string {
	return answer(fmt.Sprintf("🚨 **The glass is broken for %s** by %s and %s; #%d tells of it. One apply may start until %s.",
		code(project), code(g.AskedBy.Login), code(g.ConfirmedBy.Login), g.Issue, g.Until().UTC().Format("15:04:05 UTC")), nil)
}

// GlassIssue is what everybody hears before an apply without approvals begins.
func GlassIssue(pull change.Pull, project, plan string, g change.Glass) (title, body string) {
	title = oneLine(fmt.Sprintf("Break-glass: %s is applied without approvals from #%d", project, pull.Number), MaxTitle)
	out := page{limit: MaxComment}
	out.block(fmt.Sprintf("%s asked for it and %s confirmed it: %s is applied from #%d without the approvals that its rules ask for.",
		code(g.AskedBy.Login), code(g.ConfirmedBy.Login), code(project), pull.Number))
	out.block("Reason: " + code(g.Reason))
	out.block("Plan " + code(plan) + " of commit " + code(short(pull.HeadSHA)) + ". One apply may start until " +
		g.Until().UTC().Format("2006-01-02 15:04:05 UTC") + ". The check of the apply says how it ended.")
	out.block("**What to do:** look at the change as it would have been looked at before, then close this issue.")
	return title, out.String()
}

// glassLine says of an apply that it went without approvals, and on whose word.
func glassLine(g *change.Glass) string {
	if g == nil {
		return ""
	}
	return fmt.Sprintf("🚨 **Without approvals:** %s broke the glass and %s confirmed it: %s. See #%d.",
		code(g.AskedBy.Login), code(g.ConfirmedBy.Login), code(g.Reason), g.Issue)
}
