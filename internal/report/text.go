package report

import (
	"fmt"
	"strconv"
	"strings"
)

// maxLine bounds one line of Terraform's text: a longer one is a value nobody reads in a check.
const maxLine = 8_192

// planText renders Terraform's text of a plan folded and coloured, in at most limit bytes. What
// does not fit is cut at a line end, and the last line says how much is missing and where it is.
func planText(text string, limit int, where string) string {
	text = strings.Trim(Clean(text), "\n")
	if text == "" {
		return ""
	}
	lines := coloured(strings.Split(text, "\n"))
	for i, l := range lines {
		if len(l) > maxLine {
			lines[i] = clip(l, maxLine) + fmt.Sprintf(" … (%d more bytes in this line)", len(l)-len(clip(l, maxLine)))
		}
	}
	frame := len(foldedLines(nil, len(lines), where)) + len(strconv.Itoa(len(lines)))
	shown := cutLines(lines, limit-frame)
	return foldedLines(lines[:shown], len(lines), where)
}

// cutLines returns how many of the lines fit into budget bytes, the growth of the fence included.
func cutLines(lines []string, budget int) int {
	used, ticks := 0, 3
	for i, l := range lines {
		ticks = max(ticks, min(longestRun(l, '`'), maxTicks)+1)
		used += len(l) + 1 + len(dots)*strings.Count(l, strings.Repeat("`", maxTicks))
		if used+2*(ticks-3) > budget {
			return i
		}
	}
	return len(lines)
}

func foldedLines(lines []string, total int, where string) string {
	title := "Terraform's plan, " + plural(total, "line")
	note := ""
	if len(lines) < total {
		note = fmt.Sprintf("\n%d of %d lines shown%s.\n", len(lines), total, where)
	}
	return details(title, fence("diff", strings.Join(lines, "\n"))+note)
}

// coloured moves Terraform's change markers to the first column, where GitHub colours them.
// Inside a heredoc only a marker at the exact column counts: any other is the value's own text,
// such as a list in YAML, and must not look like a change.
func coloured(lines []string) []string {
	out := make([]string, len(lines))
	column := -1 // of the markers inside the heredoc, or -1
	for i, l := range lines {
		indent := len(l) - len(strings.TrimLeft(l, " "))
		rest := l[indent:]
		marker, _, spaced := strings.Cut(rest, " ")
		isMarker := spaced && (marker == "+" || marker == "-" || marker == "~")
		out[i] = l
		switch {
		case column >= 0 && indent == column-2 && strings.HasPrefix(rest, "EOT"):
			column = -1
		case isMarker && (column < 0 || indent == column):
			out[i] = hoist(marker, l[:indent], l[indent+1:])
		}
		if column < 0 && strings.HasSuffix(l, "<<-EOT") {
			column = indent + 4
			if !isMarker {
				column -= 2
			}
		}
	}
	return out
}

func hoist(marker, indent, rest string) string {
	if marker == "~" {
		marker = "!" // what GitHub's diff grammar calls a changed line
	}
	return marker + indent + rest
}
