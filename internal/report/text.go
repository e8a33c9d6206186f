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
	if strings.TrimSpace(text) == "" {
		return ""
	}
	head, rest := splitLines(strings.Trim(text, "\n"), limit)
	var lines []string
	for _, l := range Lines(head) {
		lines = append(lines, cutLine(l.diff()))
	}
	total := len(lines)
	if rest != "" {
		total += strings.Count(rest, "\n") + 1
	}
	frame := len(foldedLines(nil, total, where)) + len(strconv.Itoa(total))
	shown := cutLines(lines, limit-frame)
	return foldedLines(lines[:shown], total, where)
}

// splitLines splits s at a line end so that head, with its long lines cut, fills limit bytes. What
// follows, which can be tens of megabytes, is only counted.
func splitLines(s string, limit int) (head, rest string) {
	end := 0
	for used := 0; used <= limit; {
		n := strings.IndexByte(s[end:], '\n')
		if n < 0 {
			return s, ""
		}
		used += min(n, maxLine) + 1
		end += n + 1
	}
	return s[:end-1], s[end:]
}

func cutLine(l string) string {
	if len(l) <= maxLine {
		return l
	}
	head := clip(l, maxLine)
	return fmt.Sprintf("%s … (%d more bytes in this line)", head, len(l)-len(head))
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

// Line is one line of Terraform's text.
type Line struct {
	Text   string
	Marker byte // '+', '-' or '~' if Terraform marks the line as a change, else 0
	indent int
}

// Lines splits Terraform's text, cleaned, and finds the change markers. Inside a heredoc only a
// marker at the exact column counts: any other is the value's own text, such as a list in YAML, and
// must not look like a change.
func Lines(text string) []Line {
	split := strings.Split(strings.Trim(Clean(text), "\n"), "\n")
	out := make([]Line, len(split))
	column := -1 // of the markers inside the heredoc, or -1
	for i, l := range split {
		rest := strings.TrimLeft(l, " ")
		indent := len(l) - len(rest)
		marked := len(rest) > 1 && rest[1] == ' ' && strings.IndexByte("+-~", rest[0]) >= 0
		out[i] = Line{Text: l, indent: indent}
		if column >= 0 && indent == column-2 && strings.HasPrefix(rest, "EOT") {
			column = -1
		} else if marked && (column < 0 || indent == column) {
			out[i].Marker = rest[0]
		}
		if column < 0 && strings.HasSuffix(l, "<<-EOT") {
			column = indent + 2
			if marked {
				column += 2
			}
		}
	}
	return out
}

// diff is the line with its marker in the first column, where GitHub colours it.
func (l Line) diff() string {
	marker := l.Marker
	switch marker {
	case 0:
		return l.Text
	case '~':
		marker = '!' // what GitHub's diff grammar calls a changed line
	}
	return string(marker) + l.Text[:l.indent] + l.Text[l.indent+1:]
}
