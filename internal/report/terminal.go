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
		fmt.Fprintf(&t, "%s: %s\n\n", t.paint.paint("1", terminal(n.Path)), t.paint.paint("1;31", "not judged"))
		t.line(2, terminal(join(" ", n.What, n.Why, n.Fix)))
		t.WriteByte('\n')
	}
	t.rules(r.found(func(f change.Finding) bool { return f.Verdict != change.Pass && f.Verdict != change.Waived }))
	t.notices(r.notices())
	for line := range strings.Lines(r.total(t.paint)) {
		t.line(0, strings.TrimSuffix(line, "\n"))
	}
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
		t.line(2, a.title)
		for _, g := range Groups(fs) {
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
		t.line(2, t.paint.paint("4", terminal(b.heading)))
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
		gs := Groups(at[h])
		slices.SortStableFunc(gs, func(a, b Group) int {
			return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(rank(a.Finding), rank(b.Finding)))
		})
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
	t.field(word, color, message)
	if g.Remediation != "" {
		t.field("instead", "2", terminal(g.Remediation))
	}
	name := "at"
	for _, place := range groupPlaces(g) {
		t.field(name, "2", terminal(place))
		name = ""
	}
	t.field("rule", "2", terminal(g.RuleName()))
}

// groupPlaces names file and line, attribute and resources, as far as the heading does not.
func groupPlaces(g Group) []string {
	place := g.Attribute
	if located(g.Finding) {
		place = fmt.Sprintf("%s:%d", g.File, g.Line)
	}
	addresses := shownAddresses(g)
	switch {
	case g.File == "" && len(g.Addresses) == 1 && g.Addresses[0] == withoutKeys(g.Addresses[0]):
		addresses = nil
	case len(addresses) == 1:
		place, addresses = join(" ", place, addresses[0]), nil
	}
	return slices.DeleteFunc(append([]string{place}, addresses...), func(s string) bool { return s == "" })
}

func shownAddresses(g Group) []string {
	shown := slices.Clone(g.Addresses[:min(len(g.Addresses), maxTextAddresses)])
	if more := len(g.Addresses) - maxTextAddresses; more > 0 {
		shown = append(shown, fmt.Sprintf("and %d more", more))
	}
	return shown
}

// short writes a group in a line.
func (t *terminalText) short(g Group) {
	where := ""
	if located(g.Finding) {
		where = fmt.Sprintf("%s:%d", g.File, g.Line)
	}
	addresses := join(", ", shownAddresses(g)...)
	word := ""
	if g.Verdict == change.Undetermined {
		word = "Undetermined: "
	}
	t.paragraph("    - ", "      ", terminal(join(" ", where, addresses))+": "+word+terminal(g.Message)+" "+t.paint.paint("2", "["+terminal(g.RuleName())+"]"))
}

// rules says once of each rule why it is there.
func (t *terminalText) rules(rules []change.Rule) {
	rules = slices.DeleteFunc(rules, func(r change.Rule) bool { return r.Title == "" && len(r.References) == 0 })
	if len(rules) == 0 {
		return
	}
	t.line(0, t.paint.paint("1", "Why"))
	t.WriteByte('\n')
	for _, r := range rules {
		t.line(2, t.paint.paint("4", terminal(join("/", r.Policy, r.ID)))+"  "+terminal(r.Title))
		if r.Description != "" {
			t.line(4, terminal(r.Description))
		}
		for _, ref := range r.References {
			t.line(4, terminal(ref.String()))
		}
		t.WriteByte('\n')
	}
}

func (t *terminalText) notices(notices []change.Notice) {
	for _, n := range notices {
		t.line(0, t.paint.paint("33", "Note:")+" "+terminal(noticeText(n)))
	}
	if len(notices) > 0 {
		t.WriteByte('\n')
	}
}

// line writes a paragraph behind an indent.
func (t *terminalText) line(indent int, text string) {
	margin := strings.Repeat(" ", indent)
	t.paragraph(margin, margin, text)
}

// field writes a paragraph beside its name.
func (t *terminalText) field(name, color, text string) {
	pad := strings.Repeat(" ", max(1, labelWidth-len(name)))
	t.paragraph("    "+t.paint.paint(color, name)+pad, strings.Repeat(" ", 4+labelWidth), text)
}

func (t *terminalText) paragraph(first, rest, text string) {
	for i, line := range wrap(text, t.width-utf8.RuneCountInString(rest)) {
		if i == 0 {
			t.WriteString(first)
		} else {
			t.WriteString(rest)
		}
		t.WriteString(line + "\n")
	}
}

// wrap breaks text between words so that lines have at most width columns, or one word. Without a
// width it breaks nothing.
func wrap(text string, width int) []string {
	if width <= 0 {
		return []string{text}
	}
	var lines []string
	used := 0
	for word := range strings.SplitSeq(text, " ") {
		n := visible(word)
		if used == 0 || used+1+n > width {
			lines = append(lines, word)
			used = n
			continue
		}
		lines[len(lines)-1] += " " + word
		used += 1 + n
	}
	return lines
}

// visible is how many columns a word takes: colours take none.
func visible(s string) int {
	n := 0
	for i := 0; i < len(s); {
		if skip := csi(s[i:]); skip > 0 {
			i += skip
			continue
		}
		_, size := utf8.DecodeRuneInString(s[i:])
		i += size
		n++
	}
	return n
}

// withoutKeys is an address without the keys of count and for_each, so that the instances of one
// resource stand together.
func withoutKeys(address string) string {
	var b strings.Builder
	depth, quoted := 0, false
	for i := 0; i < len(address); i++ {
		c := address[i]
		switch {
		case quoted && c == '\\':
			i++
			continue
		case c == '"':
			quoted = !quoted
		case !quoted && c == '[':
			depth++
		case !quoted && c == ']':
			depth--
			continue
		}
		if depth == 0 {
			b.WriteByte(c)
		}
	}
	return b.String()
}
