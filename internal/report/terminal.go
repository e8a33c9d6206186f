package report

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/tollgate/tollgate/internal/change"
)

// terminalText writes findings for people: what has to be mended under the file, or else the
// resource, where it has to be mended; then, a line each, what does not block.
type terminalText struct {
	strings.Builder
	paint painter
	width int // 0: lines are not broken
}

// labelWidth is the column after the longest word, undetermined.
const labelWidth = 14

func writeText(w io.Writer, r CheckResult, o FindingsOptions) error {
	t := terminalText{paint: painter(o.Color), width: o.Width}
	for _, p := range r.Plans {
		t.plan(p)
	}
	for _, n := range r.NotJudged {
		t.row(0, "", t.paint.paint("1", terminal(n.Path))+": "+t.paint.paint("1;31", "not judged"))
		t.row(0, "", terminal(join(" ", n.What, n.Why, n.Fix)))
		t.WriteByte('\n')
	}
	t.rules(r.found(func(f change.Finding) bool { return f.Verdict != change.Pass && f.Verdict != change.Waived }))
	t.notices(r.Notices)
	t.WriteString(r.total(t.paint))
	_, err := io.WriteString(w, t.String())
	return err
}

// apart are the findings that are not to be mended now, in the order in which they follow.
var apart = []struct{ word, title string }{
	{"untouched", "In resources that this plan does not touch, so not blocking:"},
	{"waived", "Waived:"},
	{"pass", "Passed:"},
}

func (t *terminalText) plan(p CheckedPlan) {
	fmt.Fprintf(t, "%s: %s judged\n\n", t.paint.paint("1", terminal(p.Path)), plural(p.ResourcesJudged, "resource"))
	isApart := func(word string) bool {
		return slices.ContainsFunc(apart, func(a struct{ word, title string }) bool { return a.word == word })
	}
	t.blocks(keepFindings(p.Findings, func(f change.Finding) bool { word, _ := label(f); return !isApart(word) }))
	for _, a := range apart {
		fs := keepFindings(p.Findings, func(f change.Finding) bool { word, _ := label(f); return word == a.word })
		if len(fs) == 0 {
			continue
		}
		t.row(2, "", a.title)
		for _, g := range grouped(fs) {
			t.short(g)
		}
		t.WriteByte('\n')
	}
}

// block is what is wrong in one place.
type block struct {
	heading string
	groups  []Group
}

// blocks writes the findings under the place that has to be mended.
func (t *terminalText) blocks(fs []change.Finding) {
	for _, b := range blocksOf(fs) {
		t.row(2, "", t.paint.paint("4", terminal(b.heading)))
		for _, g := range b.groups {
			t.group(g)
		}
		t.WriteByte('\n')
	}
}

func blocksOf(fs []change.Finding) []block {
	at := map[string][]change.Finding{}
	var headings []string
	for _, f := range fs {
		heading := cmp.Or(f.File, withoutKeys(f.Address), "The plan as a whole")
		if at[heading] == nil {
			headings = append(headings, heading)
		}
		at[heading] = append(at[heading], f)
	}
	slices.Sort(headings)
	var out []block
	for _, h := range headings {
		gs := grouped(at[h])
		slices.SortStableFunc(gs, func(a, b Group) int { return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(rank(a.Finding), rank(b.Finding))) })
		out = append(out, block{h, gs})
	}
	return out
}

// maxTextAddresses is how many resources one finding names in text.
const maxTextAddresses = 8

func (t *terminalText) group(g Group) {
	word, color := label(g.Finding)
	message := terminal(g.Message)
	if g.Verdict == change.Undetermined && !g.Blocks() {
		message = "Undetermined: " + message
	}
	if g.NoOp {
		message += " (The plan does not touch it.)"
	}
	t.row(4, t.paint.paint(color, word), message)
	if g.Remediation != "" {
		t.row(4, t.paint.paint("2", "instead"), terminal(g.Remediation))
	}
	for i, place := range groupPlaces(g) {
		name := ""
		if i == 0 {
			name = t.paint.paint("2", "at")
		}
		t.row(4, name, terminal(place))
	}
	t.row(4, t.paint.paint("2", "rule"), terminal(g.RuleName()))
}

// groupPlaces names line, attribute and resources as far as the heading does not.
func groupPlaces(g Group) []string {
	place := g.Attribute
	if g.Line > 0 {
		place = join(", ", fmt.Sprintf("line %d", g.Line), place)
	}
	places := slices.DeleteFunc([]string{place}, func(s string) bool { return s == "" })
	if g.File == "" && len(g.Addresses) == 1 && g.Addresses[0] == withoutKeys(g.Addresses[0]) {
		return places
	}
	places = append(places, g.Addresses[:min(len(g.Addresses), maxTextAddresses)]...)
	if more := len(g.Addresses) - maxTextAddresses; more > 0 {
		places = append(places, fmt.Sprintf("and %d more", more))
	}
	return places
}

// short writes a group in a line.
func (t *terminalText) short(g Group) {
	where := ""
	if located(g.Finding) {
		where = fmt.Sprintf("%s:%d", g.File, g.Line)
	}
	addresses := join(", ", g.Addresses[:min(len(g.Addresses), maxTextAddresses)]...)
	if more := len(g.Addresses) - maxTextAddresses; more > 0 {
		addresses += fmt.Sprintf(" and %d more", more)
	}
	word := ""
	if g.Verdict == change.Undetermined {
		word = "Undetermined: "
	}
	t.row(4, "-", terminal(join(" ", where, addresses))+": "+word+terminal(g.Message)+" "+t.paint.paint("2", "["+terminal(g.RuleName())+"]"))
}

// rules says once of each rule why it is there.
func (t *terminalText) rules(rules []change.Rule) {
	rules = slices.DeleteFunc(rules, func(r change.Rule) bool { return r.Title == "" && len(r.References) == 0 })
	if len(rules) == 0 {
		return
	}
	t.row(0, "", t.paint.paint("1", "Why"))
	t.WriteByte('\n')
	for _, r := range rules {
		t.row(2, "", t.paint.paint("4", terminal(join("/", r.Policy, r.ID)))+"  "+terminal(r.Title))
		if r.Description != "" {
			t.row(4, "", terminal(r.Description))
		}
		for _, ref := range r.References {
			t.row(4, "", terminal(ref.String()))
		}
		t.WriteByte('\n')
	}
}

func (t *terminalText) notices(notices []string) {
	for _, n := range notices {
		t.row(0, "", t.paint.paint("33", "Note:")+" "+terminal(n))
	}
	if len(notices) > 0 {
		t.WriteByte('\n')
	}
}

// row writes one paragraph behind an indent and, if there is one, a label. Where lines are broken,
// the text stays in its column.
func (t *terminalText) row(indent int, name, text string) {
	margin := strings.Repeat(" ", indent)
	switch {
	case name == "-":
		margin, text = margin+"  ", strings.TrimLeft(text, " ")
		t.WriteString(strings.Repeat(" ", indent) + "- ")
	case indent == 4 && (name != "" || strings.Contains(text, "")):
		t.WriteString(margin + name + strings.Repeat(" ", max(1, labelWidth-visible(name))))
		margin += strings.Repeat(" ", labelWidth)
	default:
		t.WriteString(margin)
	}
	for i, line := range wrap(text, t.width-len(margin)) {
		if i > 0 {
			t.WriteString(margin)
		}
		t.WriteString(line + "\n")
	}
}
