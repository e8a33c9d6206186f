package report

import (
	"fmt"
	"io"
	"strings"

	"github.com/tollgate/tollgate/internal/change"
)

var (
	workflowData     = strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A")
	workflowProperty = strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A", ":", "%3A", ",", "%2C")
)

// writeWorkflow writes commands that a GitHub Actions runner turns into annotations.
func writeWorkflow(w io.Writer, r CheckResult, _ FindingsOptions) error {
	var b strings.Builder
	for _, p := range r.Plans {
		for _, place := range append(places(p.Findings), withoutLine(p.Findings)...) {
			b.WriteString(workflowCommand(place))
		}
	}
	b.WriteString(workflowData.Replace(terminal(textTotal(r, false))) + "\n")
	_, err := io.WriteString(w, b.String())
	return err
}

// withoutLine gathers the findings that no annotation in a file shows.
func withoutLine(fs []change.Finding) [][]change.Finding {
	var out [][]change.Finding
	for _, f := range fs {
		if f.Verdict != change.Pass && f.Verdict != change.Waived && !located(f) {
			out = append(out, []change.Finding{f})
		}
	}
	return out
}

func workflowCommand(fs []change.Finding) string {
	a, level, where := annotation(fs), "warning", ""
	if fs[0].Blocks() {
		level = "error"
	}
	if located(fs[0]) {
		where = fmt.Sprintf("file=%s,line=%d,endLine=%d,", workflowProperty.Replace(a.Path), a.StartLine, a.EndLine)
	}
	return fmt.Sprintf("::%s %stitle=%s::%s\n", level, where, workflowProperty.Replace(a.Title), workflowData.Replace(a.Message))
}
