package report

import (
	"fmt"

	"github.com/tollgate/tollgate/internal/change"
)

// proofBudget is how much the obligations may take of a check, in bytes.
const proofBudget = 16_000

// proof renders what a second plan showed after an apply.
func (p *page) proof(a Apply) {
	if a.Proof == nil {
		return
	}
	const heading = "#### After the apply\n\n"
	if f := a.Proof.Fault; f != nil {
		p.block(heading + "The result was not looked at: " + faultLine(f))
		return
	}
	if a.Proof.Counts.Empty() {
		p.block(heading + "✅ A second plan finds nothing left to change.")
	} else {
		p.block(heading + "⚠️ A second plan would still change something: " + countWords(a.Proof.Counts, "**") +
			". Something else changes the same resources, or a provider reports them differently from how they are written.")
	}
	var items []string
	open := 0
	for _, o := range a.Proof.Obligations {
		items = append(items, obligationItem(o))
		if o.Open() {
			open++
		}
	}
	met := len(items) - open
	p.list(fmt.Sprintf("Policies that the plan left open, judged on the result: %d of %d met.", met, len(items)), items, proofBudget, "policies", elsewhere(a.DetailsURL))
}

func obligationItem(o change.Obligation) string {
	mark, words := "❔", "it is still known to nobody"
	switch o.Verdict {
	case change.Pass:
		mark, words = "✅", "met"
	case change.Waived:
		mark, words = "➖", "waived"
	case change.Fail:
		mark, words = "❌", "broken. "+prose(o.Message)
	case "":
		words = "the rule no longer judges it"
	}
	return "- " + mark + " " + join(" ", code(ruleName(o.Finding)), code(o.Finding.Address)) + ": " + words + "\n"
}

// brokenTitle is the title of an apply whose result breaks policies that its plan left open.
func brokenTitle(broken int) string {
	if broken == 1 {
		return "Applied, but the result breaks a policy"
	}
	return fmt.Sprintf("Applied, but the result breaks %d policies", broken)
}
