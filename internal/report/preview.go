package report

import (
	"fmt"

	"github.com/tollgate/tollgate/internal/change"
)

// previewBudget is how much the preview of policies may take of a check, in bytes.
const previewBudget = 20_000

// preview renders what the policies of the pull request would change if they held already. It is
// somebody's own text, so it comes last and has a budget as a whole.
func (p *page) preview(pull Pull) {
	if pull.Preview == nil {
		return
	}
	inner := page{limit: min(previewBudget, p.room()-2)}
	inner.previewed(pull, pull.Preview)
	p.block(inner.String())
}

func (p *page) previewed(pull Pull, v *change.Preview) {
	p.block("#### Policies in this pull request\n\nThis change is judged by the policies of the base branch. Those in " + code(v.Dir) + " would hold once it is merged.")
	if v.Fault != nil {
		p.block("❌ They cannot be used: " + faultLine(v.Fault))
		return
	}
	if v.Rules {
		p.policyTests(v.Tests)
	} else {
		p.block("It would hold no rules, so only those that every repository is judged by remain.")
	}
	if len(v.Projects) == 0 {
		p.block("There is no finished plan yet that they could be tried on.")
		return
	}
	src := newSource(pull.Pull, pull.Pull.HeadSHA)
	nothing := ""
	for _, project := range v.Projects {
		of := code(project.Project) + fmt.Sprintf(", as last planned in #%d", project.Number)
		switch {
		case project.Broken:
			p.block("❌ They cannot judge " + of + ", which the present ones can: " + faultLine(project.Fault))
			continue
		case project.Fault != nil:
			p.block("⚠️ Not tried on " + of + ": " + faultLine(project.Fault))
			continue
		case project.Denied.Resources+project.Allowed.Resources == 0:
			nothing = join(", ", nothing, code(project.Project))
			continue
		}
		p.block("In " + of + ":")
		p.comparison("❌ Newly denied", project.Denied, src, pull.DetailsURL)
		p.comparison("✅ Newly allowed", project.Allowed, src, pull.DetailsURL)
	}
	if nothing != "" {
		p.block("✅ No resource is newly denied or allowed in " + nothing + ".")
	}
}

func (p *page) policyTests(t change.PolicyTests) {
	if t.Skipped > 0 {
		p.block("⚠️ " + plural(t.Skipped, "test") + " skipped, as the name begins with todo_.")
	}
	switch {
	case t.Fault != nil:
		p.block("❌ Their tests were not run: " + faultLine(t.Fault))
	case len(t.Failed) > 0:
		var items []string
		for _, name := range t.Failed {
			items = append(items, "- "+code(oneLine(name, 500))+"\n")
		}
		p.list(fmt.Sprintf("❌ %d of %s failed.", len(t.Failed), plural(t.Passed+len(t.Failed), "test")), items, previewBudget/4, "tests", "")
	case t.Passed == 0:
		p.block("⚠️ They have no tests.")
	default:
		p.block(fmt.Sprintf("✅ %s passed, covering %.1f %% of their lines.", plural(t.Passed, "test"), t.Coverage))
	}
}

// comparison lists the resources whose verdict would change, a rule at a time.
func (p *page) comparison(what string, c change.Comparison, src source, page string) {
	if c.Resources == 0 {
		return
	}
	var items []string
	for _, g := range Groups(c.Findings) {
		items = append(items, g.item(src))
	}
	p.folded(what+": "+plural(c.Resources, "resource"), items, previewBudget/2, "groups", elsewhere(page))
}

// previewTitle is the title of a gate where nothing but policies changes.
func previewTitle(v *change.Preview) string {
	denied, allowed := 0, 0
	for _, p := range v.Projects {
		denied += p.Denied.Resources
		allowed += p.Allowed.Resources
	}
	if denied+allowed == 0 {
		return "The policies in this pull request change no verdict"
	}
	return fmt.Sprintf("The policies in this pull request would newly deny %s and allow %d", plural(denied, "resource"), allowed)
}

// unsoundTitle is the title of a gate that only the policies in the pull request keep closed.
func unsoundTitle(v *change.Preview) string {
	switch {
	case v.Fault != nil:
		return "The policies in this pull request cannot be used"
	case v.Tests.Fault != nil:
		return "The tests of the policies in this pull request were not run"
	case len(v.Tests.Failed) == 0:
		return "The policies in this pull request cannot judge a plan"
	}
	return plural(len(v.Tests.Failed), "test") + " of the policies in this pull request failed"
}
