package report

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/tollgate/tollgate/internal/change"
)

var (
	workflowData     = strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A")
	workflowProperty = strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A", ":", "%3A", ",", "%2C")
)

// maxWorkflow is how many annotations of a kind GitHub keeps of one step.
const maxWorkflow = 10

// writeWorkflow writes commands that a GitHub Actions runner turns into annotations, what blocks
// first, because GitHub keeps the first ones only.
func writeWorkflow(w io.Writer, r CheckResult, _ FindingsOptions) error {
	var all [][]change.Finding
	for _, p := range r.Plans {
		all = append(append(all, places(p.Findings)...), withoutLine(p.Findings)...)
	}
	slices.SortStableFunc(all, func(a, b []change.Finding) int { return cmp.Compare(rank(a[0]), rank(b[0])) })
	var b strings.Builder
	kinds := map[string]int{"error": len(r.NotJudged), "warning": len(r.notices())}
	for _, n := range r.NotJudged {
		b.WriteString(workflowCommand("error", "", "Not judged: "+n.Path, terminal(n.String())))
	}
	for _, fs := range all {
		a, level, where := annotation(fs), "warning", ""
		if fs[0].Blocks() {
			level = "error"
		}
		if located(fs[0]) {
			where = fmt.Sprintf("file=%s,line=%d,endLine=%d,", workflowProperty.Replace(a.Path), a.StartLine, a.EndLine)
		}
		kinds[level]++
		b.WriteString(workflowCommand(level, where, a.Title, a.Message))
	}
	for _, n := range r.notices() {
		where := ""
		if n.File != "" && n.Line > 0 {
			where = fmt.Sprintf("file=%s,line=%d,", workflowProperty.Replace(Clean(n.File)), n.Line)
		}
		b.WriteString(workflowCommand("warning", where, "Waivers: "+n.Kind, terminal(join(" ", n.What, n.Why, n.Fix))))
	}
	if kinds["error"] > maxWorkflow || kinds["warning"] > maxWorkflow {
		fmt.Fprintf(&b, "GitHub shows %d errors and %d warnings of a step as annotations; this log has %s and %s.\n", maxWorkflow, maxWorkflow,
			plural(kinds["error"], "error"), plural(kinds["warning"], "warning"))
	}
	for line := range strings.Lines(r.total(false)) {
		b.WriteString(plainLine(terminal(line)))
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// plainLine is a line of the log that the runner does not take for a command, wherever the line's
// text comes from.
func plainLine(s string) string { return strings.ReplaceAll(s, "::", ": :") + "\n" }

// withoutLine gathers the findings that no annotation in a file shows.
func withoutLine(fs []change.Finding) [][]change.Finding {
	var out [][]change.Finding
	for _, g := range Groups(keepFindings(fs, func(f change.Finding) bool {
		return f.Verdict != change.Pass && f.Verdict != change.Waived && !located(f)
	})) {
		same := make([]change.Finding, 0, len(g.Addresses))
		for _, a := range g.Addresses {
			f := g.Finding
			f.Address = a
			same = append(same, f)
		}
		if len(same) == 0 {
			same = append(same, g.Finding)
		}
		out = append(out, same)
	}
	return out
}

func workflowCommand(level, where, title, message string) string {
	return fmt.Sprintf("::%s %stitle=%s::%s\n", level, where, workflowProperty.Replace(oneLine(title, MaxAnnotationTitle)), workflowData.Replace(message))
}
