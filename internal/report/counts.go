package report

import (
	"fmt"
	"strings"

	"github.com/tollgate/tollgate/internal/change"
)

// countWords lists what a plan will do, the dangerous first; loud is put around what destroys.
func countWords(c change.Counts, loud string) string {
	return count(c, loud, [...]string{"to destroy", "to replace", "to forget", "to create", "to update", "to import", "to move", "to change"})
}

// doneWords lists what an apply did.
func doneWords(c change.Counts) string {
	return count(c, "", [...]string{"destroyed", "replaced", "forgotten", "created", "updated", "imported", "moved", "changed"})
}

func count(c change.Counts, loud string, words [8]string) string {
	if c.Empty() {
		return "no changes"
	}
	var out []string
	for i, n := range [...]int{c.Delete, c.Replace, c.Forget, c.Create, c.Update, c.Import, c.Move} {
		switch {
		case n == 0:
		case i < 3:
			out = append(out, fmt.Sprintf("%s%d %s%s", loud, n, words[i], loud))
		default:
			out = append(out, fmt.Sprintf("%d %s", n, words[i]))
		}
	}
	if c.Outputs > 0 {
		out = append(out, plural(c.Outputs, "output")+" "+words[7])
	}
	return strings.Join(out, ", ")
}

var verbs = map[change.Action]string{
	change.Delete:  "destroy",
	change.Replace: "replace",
	change.Forget:  "forget",
	change.Create:  "create",
	change.Update:  "update",
	change.Read:    "read",
	change.NoOp:    "keep",
}

func dangerous(a change.Action) bool {
	return a == change.Delete || a == change.Replace || a == change.Forget
}

// changeItem is one resource of the plan as a list item.
func changeItem(c change.ResourceChange) string {
	s := "- " + verb(c) + " " + code(c.Address)
	if c.PreviousAddress != "" {
		s += ", moved from " + code(c.PreviousAddress)
	}
	if c.Importing && c.Action != change.NoOp {
		s += ", imported"
	}
	if c.Action == change.Replace && len(c.ForcesReplace) > 0 {
		s += ", forced by " + names(c.ForcesReplace, maxNames)
	}
	if c.Action == change.Update && len(c.Attributes) > 0 {
		s += ": " + names(c.Attributes, maxNames)
	}
	return s + "\n"
}

func verb(c change.ResourceChange) string {
	switch {
	case dangerous(c.Action):
		return "**" + verbs[c.Action] + "**"
	case c.Action == change.NoOp && c.Importing:
		return "import"
	case c.Action == change.NoOp && c.PreviousAddress != "":
		return "move"
	}
	return verbs[c.Action]
}

const maxNames = 6

// names joins foreign names as code spans, at most limit of them.
func names(list []string, limit int) string {
	var spans []string
	for _, n := range list[:min(limit, len(list))] {
		spans = append(spans, code(n))
	}
	if more := len(list) - limit; more > 0 {
		spans = append(spans, fmt.Sprintf("%d more", more))
	}
	return strings.Join(spans, ", ")
}

// changeItems lists the changes that keep accepts, in the order of the plan's summary.
func changeItems(s change.PlanSummary, keep func(change.ResourceChange) bool) []string {
	var items []string
	for _, c := range s.Changes {
		if keep(c) {
			items = append(items, changeItem(c))
		}
	}
	return items
}

func anyChange(change.ResourceChange) bool { return true }

// dangerItems lists what is destroyed, replaced and forgotten, in this order whatever the order of
// the summary, because only the first lines of a check are sure to be read.
func dangerItems(s change.PlanSummary) []string {
	var items []string
	for _, a := range []change.Action{change.Delete, change.Replace, change.Forget} {
		items = append(items, changeItems(s, func(c change.ResourceChange) bool { return c.Action == a })...)
	}
	return items
}
