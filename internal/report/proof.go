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
		p.block(heading + "❔ The result was not looked at: " + faultLine(f))
		p.list("Policies that the plan left open, and that nobody has judged since:", obligationItems(a.Proof.Obligations), proofBudget, "policies", elsewhere(a.DetailsURL))
		return
	}
	if a.Proof.Counts.Empty() {
		p.block(heading + "✅ A second plan finds nothing left to change.")
	} else {
		p.block(heading + "⚠️ A second plan would still change something: " + countWords(a.Proof.Counts, "**") +
			". Something else changes the same resources, or a provider reports them differently from how they are written.")
	}
	met := len(a.Proof.Obligations)
	for _, o := range a.Proof.Obligations {
		if o.Open() {
			met--
		}
	}
	p.list(fmt.Sprintf("Policies that the plan left open, judged on the result: %d of %d met.", met, len(a.Proof.Obligations)),
		obligationItems(a.Proof.Obligations), proofBudget, "policies", elsewhere(a.DetailsURL))
}

func obligationItems(all []change.Obligation) []string {
	var items []string
	for _, o := range all {
		items = append(items, obligationItem(o))
	}
	return items
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

// proofTitle is the title of an apply whose result breaks policies that its plan left open, or was
// not judged by them.
func proofTitle(p *change.Proof) string {
	switch broken := len(p.Broken()); {
	case broken == 1:
		return "Applied, but the result breaks a policy"
	case broken > 1:
		return fmt.Sprintf("Applied, but the result breaks %d policies", broken)
	case p.Unproven():
		return "Applied, but the result was not judged"
	}
	return ""
}
