package report

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"slices"

	"github.com/tollgate/tollgate/internal/change"
	"github.com/tollgate/tollgate/internal/fault"
)

// Formats names what Findings can write.
const Formats = "text, json, sarif, junit, github"

// CheckResult is what `bot check` found. Its JSON is part of the product's fixed interface.
type CheckResult struct {
	Plans        []CheckedPlan `json:"plans"`
	PolicyDigest string        `json:"policy_digest"`
	NotJudged    []NotJudged   `json:"not_judged,omitempty"`
	Rules        []change.Rule `json:"-"` // of the policies; for the formats that say what a rule is about
}

// CheckedPlan is one judged plan.
type CheckedPlan struct {
	Path            string           `json:"path"` // as the caller named it
	Findings        []change.Finding `json:"findings"`
	ResourcesJudged int              `json:"resources_judged"`
	Refused         bool             `json:"refused,omitempty"` // the code, so there is no plan
	Notices         []change.Notice  `json:"notices,omitempty"` // what is wrong with waivers
	File            string           `json:"-"`                 // slash-separated, relative to the repository's root: where findings are shown that have no file
}

// NotJudged is a plan that has no verdict.
type NotJudged struct {
	Path string `json:"path"` // as the caller named it
	What string `json:"what"`
	Why  string `json:"why,omitempty"`
	Fix  string `json:"fix,omitempty"`
}

func (n NotJudged) String() string { return n.Path + ": " + join(" ", n.What, n.Why, n.Fix) }

// notices are those of all plans, each once.
func (r CheckResult) notices() []change.Notice {
	var all []change.Notice
	for _, p := range r.Plans {
		for _, n := range p.Notices {
			if !slices.Contains(all, n) {
				all = append(all, n)
			}
		}
	}
	return all
}

// noticeText is a remark with the place that it is about.
func noticeText(n change.Notice) string {
	place := n.File
	if n.File != "" && n.Line > 0 {
		place = fmt.Sprintf("%s:%d", n.File, n.Line)
	}
	return join(": ", place, join(" ", n.What, n.Why, n.Fix))
}

// FindingsOptions says how Findings writes.
type FindingsOptions struct {
	All   bool // passes too
	Color bool // of the text format only
	Width int  // columns of the text format, or 0 to break no lines
}

// Findings writes the findings in one of Formats. An unknown format is a *fault.Error.
func Findings(w io.Writer, format string, r CheckResult, o FindingsOptions) error {
	write, err := writer(format)
	if err != nil {
		return err
	}
	if err := write(w, r.listed(o.All), o); err != nil {
		return fmt.Errorf("write findings as %s: %w", format, err)
	}
	return nil
}

// KnownFormat returns the *fault.Error that Findings would return for an unknown format.
func KnownFormat(format string) error {
	_, err := writer(format)
	return err
}

func writer(format string) (func(io.Writer, CheckResult, FindingsOptions) error, error) {
	write := map[string]func(io.Writer, CheckResult, FindingsOptions) error{
		"text": writeText, "json": writeJSON, "sarif": writeSARIF, "junit": writeJUnit, "github": writeWorkflow,
	}[format]
	if write == nil {
		return nil, fault.New(fmt.Sprintf("There is no format %q.", format), "", "Choose one of "+Formats+".")
	}
	return write, nil
}

// listed is r with sorted findings, without passes unless all are wanted, and no list missing.
func (r CheckResult) listed(all bool) CheckResult {
	plans := make([]CheckedPlan, len(r.Plans))
	for i, p := range r.Plans {
		p.Findings = append([]change.Finding{}, keepFindings(sorted(p.Findings), func(f change.Finding) bool {
			return all || f.Verdict != change.Pass
		})...)
		plans[i] = p
	}
	r.Plans = plans
	return r
}

// Allowed reports whether every plan was judged and nothing blocks.
func (r CheckResult) Allowed() bool {
	blocks := func(p CheckedPlan) bool { return slices.ContainsFunc(p.Findings, change.Finding.Blocks) }
	return len(r.NotJudged) == 0 && !slices.ContainsFunc(r.Plans, blocks)
}

// rule is what the policies say of the rule of a finding; a rule that says nothing has its name as
// its title.
func (r CheckResult) rule(f change.Finding) change.Rule {
	i := slices.IndexFunc(r.Rules, func(known change.Rule) bool { return known.Policy == f.Policy && known.ID == f.Rule })
	if i < 0 {
		return change.Rule{Policy: f.Policy, ID: f.Rule, Severity: f.Severity, Remediation: f.Remediation}
	}
	return r.Rules[i]
}

// found are the rules of the findings that keep accepts, each once, by name.
func (r CheckResult) found(keep func(change.Finding) bool) []change.Rule {
	seen := map[string]bool{}
	var rules []change.Rule
	for _, p := range r.Plans {
		for _, f := range p.Findings {
			if keep(f) && !seen[ruleName(f)] {
				seen[ruleName(f)] = true
				rules = append(rules, r.rule(f))
			}
		}
	}
	slices.SortFunc(rules, func(a, b change.Rule) int {
		return cmp.Or(cmp.Compare(a.Policy, b.Policy), cmp.Compare(a.ID, b.ID))
	})
	return rules
}

func writeJSON(w io.Writer, r CheckResult, _ FindingsOptions) error {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	return e.Encode(r)
}

// tally counts findings by the word that stands before them, resources and plans.
func (r CheckResult) tally() (judged int, n map[string]int) {
	n = map[string]int{}
	for _, p := range r.Plans {
		judged += p.ResourcesJudged
		for _, f := range p.Findings {
			word, _ := label(f)
			n[word]++
		}
	}
	return judged, n
}

// total is the verdict over all plans in two lines; color is for its first words.
func (r CheckResult) total(paint painter) string {
	judged, n := r.tally()
	verdict, color := "Allowed", "1;32"
	switch {
	case len(r.NotJudged) > 0:
		verdict, color = "Not allowed: not everything could be judged", "1;31"
	case !r.Allowed():
		verdict, color = "Not allowed", "1;31"
	}
	counts := []string{fmt.Sprintf("%d denied", n["deny"]), fmt.Sprintf("%d undetermined", n["undetermined"]), plural(n["warn"], "warning")}
	if n["untouched"] > 0 {
		counts = append(counts, fmt.Sprintf("%d in untouched resources", n["untouched"]))
	}
	counts = append(counts, fmt.Sprintf("%d waived", n["waived"]))
	plans := plural(len(r.Plans), "plan")
	if missing := len(r.NotJudged); missing > 0 {
		plans = fmt.Sprintf("%d of %s", len(r.Plans), plural(len(r.Plans)+missing, "plan"))
	}
	return fmt.Sprintf("%s. %s with %s judged: %s.\nPolicies %s\n", paint.paint(color, verdict), plans, plural(judged, "resource"),
		join(", ", counts...), terminal(r.PolicyDigest))
}

// label is the word and the colour of a finding in a terminal.
func label(f change.Finding) (word, color string) {
	switch {
	case f.Verdict == change.Pass:
		return "pass", "32"
	case f.Verdict == change.Waived:
		return "waived", "2"
	case f.Blocks() && f.Verdict == change.Undetermined:
		return "undetermined", "1;35"
	case f.Blocks():
		return "deny", "1;31"
	case f.NoOp:
		return "untouched", "33"
	}
	return "warn", "33"
}

type painter bool

func (p painter) paint(color, s string) string {
	if !p {
		return s
	}
	return "\x1b[" + color + "m" + s + "\x1b[0m"
}

// terminal makes foreign text safe for a terminal, on one line.
func terminal(s string) string { return oneLine(s, 4*maxProse) }
