package report

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/tollgate/tollgate/internal/change"
)

// annotations renders one annotation for each rule and place, the blocking ones first, at most
// MaxAnnotations. total is how many there would be without that limit. Findings without a line are
// only in the summary.
func annotations(fs []change.Finding) (shown []change.Annotation, total int) {
	all := places(fs)
	slices.SortStableFunc(all, func(a, b []change.Finding) int {
		return cmp.Compare(rank(a[0]), rank(b[0]))
	})
	for _, p := range all[:min(len(all), MaxAnnotations)] {
		shown = append(shown, annotation(p))
	}
	return shown, len(all)
}

func rank(f change.Finding) int {
	switch {
	case f.Blocks() && f.Verdict == change.Fail:
		return 0
	case f.Blocks():
		return 1
	}
	return 2
}

// places gathers the findings of one rule at one line, in order of policy and file.
func places(fs []change.Finding) [][]change.Finding {
	type key struct {
		rule, file string
		line, rank int
	}
	var out [][]change.Finding
	at := map[key]int{}
	for _, f := range sorted(fs) {
		if !located(f) || f.Verdict == change.Pass || f.Verdict == change.Waived {
			continue
		}
		k := key{ruleName(f), f.File, f.Line, rank(f)}
		i, ok := at[k]
		if !ok {
			i = len(out)
			at[k] = i
			out = append(out, nil)
		}
		out[i] = append(out[i], f)
	}
	return out
}

func located(f change.Finding) bool { return f.File != "" && f.Line > 0 }

func annotation(fs []change.Finding) change.Annotation {
	f := fs[0]
	level, word := "warning", "Warning"
	switch rank(f) {
	case 0:
		level, word = "failure", "Denied"
	case 1:
		word = "Undetermined"
	}
	return change.Annotation{
		Path:      Clean(f.File),
		StartLine: f.Line,
		EndLine:   max(f.Line, f.EndLine),
		Level:     level,
		Title:     oneLine(word+" by "+ruleName(f), MaxAnnotationTitle),
		Message:   annotationMessage(fs),
	}
}

// annotationMessage is plain text: GitHub does not render Markdown in annotations.
func annotationMessage(fs []change.Finding) string {
	var b strings.Builder
	gs := Groups(fs)
	tail := advice(fs[0])
	budget := MaxAnnotationMessage - len(tail) - 100 // for the line that counts what is left out
	for i, g := range gs {
		s := instances(g)
		if b.Len()+len(s) > budget {
			fmt.Fprintf(&b, "%d of %d messages shown.\n", i, len(gs))
			break
		}
		b.WriteString(s)
	}
	return strings.TrimSpace(b.String() + tail)
}

// maxListed is how many resources one annotation names.
const maxListed = 50

func instances(g Group) string {
	s := oneLine(g.Message, maxProse) + "\n"
	for _, a := range g.Addresses[:min(len(g.Addresses), maxListed)] {
		s += "• " + oneLine(a, maxInline) + "\n"
	}
	if more := len(g.Addresses) - maxListed; more > 0 {
		s += fmt.Sprintf("• and %d more\n", more)
	}
	return s
}

func advice(f change.Finding) string {
	s := ""
	if f.Remediation != "" {
		s += "\nFix: " + oneLine(f.Remediation, 4*maxProse) + "\n"
	}
	if f.Reference != "" {
		s += "See: " + oneLine(f.Reference, maxProse) + "\n"
	}
	return s
}
