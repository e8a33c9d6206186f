package report

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/tollgate/tollgate/internal/change"
	"github.com/tollgate/tollgate/internal/fault"
)

// Formats names what Findings can write.
const Formats = "text, json, sarif, junit, github"

// CheckResult is what `bot check` found. Its JSON is part of the product's fixed interface.
type CheckResult struct {
	Plans        []CheckedPlan `json:"plans"`
	PolicyDigest string        `json:"policy_digest"`
}

// CheckedPlan is one judged plan.
type CheckedPlan struct {
	Path            string             `json:"path"` // as the caller named it
	Findings        []change.Finding   `json:"findings"`
	ResourcesJudged int                `json:"resources_judged"`
	Summary         change.PlanSummary `json:"-"`
}

// FindingsOptions says how Findings writes.
type FindingsOptions struct {
	All   bool // passes too
	Color bool // of the text format only
}

// Findings writes the findings in one of Formats. An unknown format is a *fault.Error.
func Findings(w io.Writer, format string, r CheckResult, o FindingsOptions) error {
	write := map[string]func(io.Writer, CheckResult, FindingsOptions) error{
		"text": writeText, "json": writeJSON, "sarif": writeSARIF, "junit": writeJUnit, "github": writeWorkflow,
	}[format]
	if write == nil {
		return fault.New(fmt.Sprintf("There is no format %q.", format), "", "Choose one of "+Formats+".")
	}
	if err := write(w, r.listed(o.All), o); err != nil {
		return fmt.Errorf("write findings as %s: %w", format, err)
	}
	return nil
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

func writeJSON(w io.Writer, r CheckResult, _ FindingsOptions) error {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	return e.Encode(r)
}

// label is the word and the colour of a finding in a terminal.
func label(f change.Finding) (word, color string) {
	switch {
	case f.Verdict == change.Pass:
		return "pass", "32"
	case f.Verdict == change.Waived:
		return "waived", "2"
	case f.Severity == change.Warn:
		return "warn", "33"
	case f.Verdict == change.Undetermined:
		return "undetermined", "1;35"
	}
	return "deny", "1;31"
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

func writeText(w io.Writer, r CheckResult, o FindingsOptions) error {
	var b strings.Builder
	paint := painter(o.Color)
	for _, p := range r.Plans {
		fmt.Fprintf(&b, "%s: %s judged%s\n", paint.paint("1", terminal(p.Path)), plural(p.ResourcesJudged, "resource"), planned(p))
		textPlan(&b, p.Findings, paint)
		b.WriteByte('\n')
	}
	b.WriteString(textTotal(r, paint))
	_, err := io.WriteString(w, b.String())
	return err
}

func planned(p CheckedPlan) string {
	if p.Summary.EffectDigest == "" {
		return ""
	}
	return "; " + countWords(p.Summary.Counts, "")
}

// textPlan lists the findings under the file that has to be mended.
func textPlan(b *strings.Builder, fs []change.Finding, paint painter) {
	file := "\x00"
	gs := grouped(fs)
	slices.SortStableFunc(gs, func(a, b Group) int {
		return cmp.Or(cmp.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line))
	})
	for _, g := range gs {
		if g.File != file {
			file = g.File
			name := terminal(file)
			if name == "" {
				name = "(no file)"
			}
			fmt.Fprintf(b, "\n  %s\n", paint.paint("4", name))
		}
		textGroup(b, g, paint)
	}
}

func textGroup(b *strings.Builder, g Group, paint painter) {
	line := ""
	if g.Line > 0 {
		line = fmt.Sprint(g.Line)
	}
	word, color := label(g.Finding)
	fmt.Fprintf(b, "  %5s  %s %s\n", line, paint.paint(color, fmt.Sprintf("%-12s", word)), terminal(g.Message))
	const indent = "                      "
	row := func(s string) { fmt.Fprintf(b, "%s%s\n", indent, s) }
	row(paint.paint("2", terminal(g.RuleName())))
	for _, a := range g.Addresses {
		row(terminal(a))
	}
	if g.NoOp {
		row("(not touched by this plan)")
	}
	if g.Remediation != "" && g.Verdict != change.Pass {
		row("fix: " + terminal(g.Remediation))
	}
	if g.Reference != "" && g.Verdict != change.Pass {
		row("see: " + terminal(g.Reference))
	}
}

func textTotal(r CheckResult, paint painter) string {
	judged, n := 0, map[string]int{}
	for _, p := range r.Plans {
		judged += p.ResourcesJudged
		for _, f := range p.Findings {
			word, _ := label(f)
			n[word]++
		}
	}
	end := paint.paint("1;32", "Allowed.")
	if n["deny"]+n["undetermined"] > 0 {
		end = paint.paint("1;31", "Not allowed.")
	}
	return fmt.Sprintf("%s, %s judged: %d denied, %d undetermined, %s, %d waived. %s\nPolicies %s\n",
		plural(len(r.Plans), "plan"), plural(judged, "resource"), n["deny"], n["undetermined"], plural(n["warn"], "warning"), n["waived"],
		end, terminal(r.PolicyDigest))
}
