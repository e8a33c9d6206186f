package report

import (
	"cmp"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/tollgate/tollgate/internal/change"
)

// Group is one statement of one rule at one place, with every resource that it holds for: a rule
// broken by a module with for_each is one thing to mend, however many instances there are.
type Group struct {
	change.Finding
	Addresses []string
}

// Section is the findings that a reader has to tell apart from others.
type Section struct {
	Kind    string // deny, undetermined, obligation, warn or waived
	Mark    string
	Heading string // with the number of findings
	Folded  bool   // not what the reader has to mend
	Groups  []Group
}

type kind struct {
	name, mark, title string
	after             string // follows the count
	folded            bool
	keep              func(change.Finding) bool
}

var kinds = []kind{
	{"deny", "❌", "Denied", "", false, isDenied},
	{"undetermined", "❔", "Undetermined", ", known only after the apply and so not a pass", false, isUndetermined},
	{"obligation", "🔎", "Open", ", known only after the apply and judged then", false, change.Finding.Obliges},
	{"warn", "⚠️", "Warnings", "", false, func(f change.Finding) bool { return warns(f) && !f.NoOp && !f.Obliges() }},
	{"warn", "⚠️", "Warnings", " in resources that this change does not touch", true,
		func(f change.Finding) bool { return warns(f) && f.NoOp }},
	{"waived", "➖", "Waived", "", true, func(f change.Finding) bool { return f.Verdict == change.Waived }},
}

// Sections sorts findings into what denies, what is undetermined, warnings and waivers, each by
// policy and place. Passes are left out.
func Sections(fs []change.Finding) []Section {
	var out []Section
	for _, k := range kinds {
		if mine := keepFindings(fs, k.keep); len(mine) > 0 {
			heading := fmt.Sprintf("%s: %s%s", k.title, plural(len(mine), "finding"), k.after)
			out = append(out, Section{k.name, k.mark, heading, k.folded, Groups(mine)})
		}
	}
	return out
}

func isDenied(f change.Finding) bool { return f.Blocks() && f.Verdict == change.Fail }

// isUndetermined takes every verdict that blocks and is not a failure: one that nobody knows is
// not a pass either.
func isUndetermined(f change.Finding) bool { return f.Blocks() && f.Verdict != change.Fail }

func warns(f change.Finding) bool {
	return f.Severity == change.Warn && (f.Verdict == change.Fail || f.Verdict == change.Undetermined)
}

func keepFindings(fs []change.Finding, keep func(change.Finding) bool) []change.Finding {
	var out []change.Finding
	for _, f := range fs {
		if keep(f) {
			out = append(out, f)
		}
	}
	return out
}

// sorted orders findings by policy, place and address, so that the same findings read the same.
func sorted(fs []change.Finding) []change.Finding {
	fs = slices.Clone(fs)
	slices.SortStableFunc(fs, func(a, b change.Finding) int {
		return cmp.Or(
			cmp.Compare(a.Policy, b.Policy), cmp.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line),
			cmp.Compare(a.Rule, b.Rule), cmp.Compare(a.Message, b.Message), cmp.Compare(a.Address, b.Address))
	})
	return fs
}

// Groups merges findings that say the same of several resources, in a fixed order.
func Groups(fs []change.Finding) []Group {
	type key struct {
		policy, rule, message, file, fix string
		line                             int
		verdict                          change.Verdict
		severity                         change.Severity
		noop                             bool
	}
	var out []Group
	at := map[key]int{}
	for _, f := range sorted(fs) {
		k := key{f.Policy, f.Rule, f.Message, f.File, f.Remediation, f.Line, f.Verdict, f.Severity, f.NoOp}
		i, ok := at[k]
		if !ok {
			i = len(out)
			at[k] = i
			out = append(out, Group{Finding: f})
		}
		if f.Address != "" && !slices.Contains(out[i].Addresses, f.Address) {
			out[i].Addresses = append(out[i].Addresses, f.Address)
		}
	}
	return out
}

// maxInstances is how many resources one finding names in Markdown.
const maxInstances = 10

// item renders a group as a list item.
func (g Group) item(src source) string {
	var b strings.Builder
	fmt.Fprintf(&b, "- **%s**", prose(g.Message))
	if g.NoOp && g.Blocks() {
		b.WriteString(" (not touched by this plan)")
	}
	b.WriteString("  \n")
	line := func(s string) {
		if s != "" {
			b.WriteString("  " + s + "  \n")
		}
	}
	line(join(" · ", code(g.RuleName()), src.link(g.Finding)))
	line(names(g.Addresses, maxInstances))
	if g.Remediation != "" && g.Verdict != change.Waived {
		line("Fix: " + prose(g.Remediation))
	}
	if g.Reference != "" {
		line("See: " + reference(g.Reference))
	}
	return b.String()
}

// RuleName is "policy/rule".
func (g Group) RuleName() string { return ruleName(g.Finding) }

func ruleName(f change.Finding) string { return join("/", f.Policy, f.Rule) }

// join is strings.Join of what is not empty.
func join(sep string, parts ...string) string {
	return strings.Join(slices.DeleteFunc(parts, func(s string) bool { return s == "" }), sep)
}

// source knows where on GitHub the files of a commit are shown.
type source struct {
	repo string // the repository's page
	sha  string
}

func newSource(p change.Pull, sha string) source {
	repo, _, ok := strings.Cut(p.URL, "/pull/")
	if !ok {
		return source{}
	}
	return source{repo, sha}
}

// FileURL is the page on GitHub of the finding's line at a commit, or empty if it is not known.
func FileURL(p change.Pull, sha string, f change.Finding) string { return newSource(p, sha).address(f) }

func (s source) address(f change.Finding) string {
	if s.repo == "" || s.sha == "" || f.File == "" {
		return ""
	}
	a := s.repo + "/blob/" + url.PathEscape(s.sha) + "/" + (&url.URL{Path: f.File}).EscapedPath()
	if f.Line > 0 {
		a += fmt.Sprintf("#L%d", f.Line)
	}
	return webURL(a)
}

// link renders "file:line", linked to the commit if its page is known.
func (s source) link(f change.Finding) string {
	if f.File == "" {
		return ""
	}
	text := f.File
	if f.Line > 0 {
		text = fmt.Sprintf("%s:%d", f.File, f.Line)
	}
	return link(code(text), s.address(f))
}

// findings renders every section of the findings, each within what is left of budget.
func (p *page) findings(fs []change.Finding, src source, budget int, where string) {
	end := p.Len() + min(budget, p.room())
	for _, s := range Sections(fs) {
		var items []string
		for _, g := range s.Groups {
			items = append(items, g.item(src))
		}
		heading := s.Mark + " " + s.Heading
		if s.Folded {
			p.folded(heading, items, end-p.Len(), "groups", where)
			continue
		}
		p.list("#### "+heading, items, end-p.Len(), "groups", where)
	}
}

// folded is list inside a fold.
func (p *page) folded(title string, items []string, budget int, noun, where string) {
	room := min(budget, p.room()) - len(details(title, ""))
	inner := page{limit: room - 2}
	inner.list("", items, room, noun, where)
	if inner.Len() > 0 {
		p.block(details(title, strings.TrimRight(inner.String(), "\n")+"\n"))
	}
}
