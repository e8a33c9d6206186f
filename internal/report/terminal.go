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
	judged := plural(p.ResourcesJudged, "resource") + " judged"
	if p.Refused {
		judged = "not planned, because its code is refused"
	}
	fmt.Fprintf(t, "%s: %s\n\n", t.paint.paint("1", terminal(p.Path)), judged)
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
		for _, s := range statements(fs, func(f change.Finding) string { return f.File }) {
			t.short(s)
		}
		t.WriteByte('\n')
	}
}

// statement is one thing to mend, wherever it is.
type statement struct {
	change.Finding
	all []change.Finding
}

// statements gathers findings of which key and text are the same, in the order of the first of each.
func statements(fs []change.Finding, key func(change.Finding) string) []statement {
	type same struct {
		key, policy, rule, message, fix string
		verdict                         change.Verdict
		severity                        change.Severity
		noop                            bool
	}
	at := map[same]int{}
	var out []statement
	for _, f := range fs {
		k := same{key(f), f.Policy, f.Rule, f.Message, f.Remediation, f.Verdict, f.Severity, f.NoOp}
		i, ok := at[k]
		if !ok {
			i = len(out)
			at[k] = i
			out = append(out, statement{Finding: f})
		}
		out[i].all = append(out[i].all, f)
	}
	return out
}

// resources names the resources, those of one count or for_each together.
func (s statement) resources() []string {
	instances := map[string]int{}
	var first []string
	for _, f := range s.all {
		base := withoutKeys(f.Address)
		if instances[base]++; instances[base] == 1 && base != "" {
			first = append(first, f.Address)
		}
	}
	for i, address := range first {
		switch others := instances[withoutKeys(address)] - 1; others {
		case 0:
		case 1:
			first[i] += " and another instance"
		default:
			first[i] += fmt.Sprintf(" and %d other instances", others)
		}
	}
	return shorten(first)
}

// places names the lines with their resources, or without lines the attributes.
func (s statement) places() []string {
	var out []string
	for _, line := range statements(s.all, func(f change.Finding) string { return fmt.Sprint(f.File, f.Line) }) {
		place := line.Attribute
		if located(line.Finding) {
			place = join(" ", fmt.Sprintf("%s:%d", line.File, line.Line), join(", ", line.resources()...))
		}
		if place != "" && !slices.Contains(out, place) {
			out = append(out, place)
		}
	}
	return shorten(out)
}

// maxTextPlaces is how many resources or lines text names of one finding.
const maxTextPlaces = 8

func shorten(list []string) []string {
	if more := len(list) - maxTextPlaces; more > 1 {
		list = append(slices.Clone(list[:maxTextPlaces]), fmt.Sprintf("and %d more", more))
	}
	return list
}

// headings are the places that have to be mended: the file, or else the resources.
func (s statement) headings() []string {
	switch resources := s.resources(); {
	case s.File != "":
		return []string{s.File}
	case len(resources) > 0:
		return resources
	}
	return []string{"The plan as a whole"}
}

// blocks writes the findings under their headings, files first.
func (t *terminalText) blocks(fs []change.Finding) {
	all := statements(fs, func(f change.Finding) string { return f.File })
	slices.SortStableFunc(all, func(a, b statement) int {
		return cmp.Or(strings.Compare(b.File, "")-strings.Compare(a.File, ""), slices.Compare(a.headings(), b.headings()),
			cmp.Compare(a.Line, b.Line), cmp.Compare(rank(a.Finding), rank(b.Finding)))
	})
	var last []string
	for _, s := range all {
		if now := s.headings(); !slices.Equal(now, last) {
			last = now
			for _, h := range now {
				t.line(2, t.paint.paint("4", terminal(h)))
			}
			t.WriteByte('\n')
		}
		t.statement(s)
	}
}

func (t *terminalText) statement(s statement) {
	word, color := label(s.Finding)
	message := terminal(s.Message)
	if s.Verdict == change.Undetermined && !s.Blocks() {
		message = "Undetermined: " + message
	}
	if s.NoOp {
		message += " (The plan does not touch it.)"
	}
	t.field(word, color, message)
	if s.Remediation != "" {
		t.field("instead", "2", terminal(s.Remediation))
	}
	name := "at"
	for _, place := range s.places() {
		t.field(name, "2", terminal(place))
		name = ""
	}
	t.field("rule", "2", terminal(ruleName(s.Finding)))
	t.WriteByte('\n')
}

// short writes a statement in a line.
func (t *terminalText) short(s statement) {
	where := s.places()
	if !located(s.Finding) {
		where = s.resources()
	}
	word := ""
	if s.Verdict == change.Undetermined {
		word = "Undetermined: "
	}
	text := join(": ", terminal(join(", ", where...)), word+terminal(s.Message))
	t.paragraph("    - ", "      ", text+" "+t.paint.paint("2", "["+terminal(ruleName(s.Finding))+"]"))
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
