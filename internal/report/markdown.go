package report

import (
	"fmt"
	"net/url"
	"strings"
)

// Longest pieces of foreign text in running Markdown, in bytes before escaping. Whole texts belong
// in a fence, which has its own limit.
const (
	maxInline = 300
	maxProse  = 1_000
)

// code renders foreign text as a code span, where GitHub follows no link and notifies nobody.
func code(s string) string {
	s = oneLine(s, maxInline)
	if s == "" {
		return ""
	}
	ticks := strings.Repeat("`", longestRun(s, '`')+1)
	if s[0] == '`' || s[len(s)-1] == '`' {
		s = " " + s + " "
	}
	return ticks + s + ticks
}

// codeCell is code for a table, where a bar ends the cell even inside a code span.
func codeCell(s string) string {
	if !strings.Contains(s, "|") {
		return code(s)
	}
	var b strings.Builder
	for _, r := range oneLine(s, maxInline) {
		if r < 0x80 && !isWord(byte(r)) && r != ' ' {
			fmt.Fprintf(&b, "&#%d;", r)
		} else {
			b.WriteRune(r)
		}
	}
	return "<code>" + b.String() + "</code>"
}

// prose renders foreign text as one line of plain words. `code` in it stays code, because authors
// of policies write so; everything else that Markdown or GitHub would act on is made inert.
func prose(s string) string {
	s = oneLine(s, maxProse)
	parts := strings.Split(s, "`")
	if len(parts)%2 == 0 || strings.Contains(s, "``") {
		return leading(escape(s))
	}
	var b strings.Builder
	for i, p := range parts {
		if i%2 == 1 {
			b.WriteString(code(p))
		} else {
			b.WriteString(escape(p))
		}
	}
	return leading(b.String())
}

const zeroWidth = "&#8203;" // breaks what GitHub recognises in text after Markdown is rendered

func escape(s string) string {
	var b strings.Builder
	for i, r := range s {
		next := byte(0)
		if i+1 < len(s) {
			next = s[i+1]
		}
		switch {
		case r == '<':
			b.WriteString("&lt;")
		case r == '>':
			b.WriteString("&gt;")
		case r == '&':
			b.WriteString("&amp;")
		case strings.ContainsRune("\\`*_[]~|$^", r):
			b.WriteByte('\\')
			b.WriteRune(r)
		case r == '#':
			b.WriteString(`\#` + zeroWidth)
		case r == '@', r == ':' && next == '/':
			b.WriteRune(r)
			b.WriteString(zeroWidth)
		case r == '.' && i >= 3 && strings.EqualFold(s[i-3:i], "www"),
			r == '-' && i >= 2 && strings.EqualFold(s[i-2:i], "GH"):
			b.WriteString(zeroWidth)
			b.WriteRune(r)
		default:
			b.WriteRune(r)
		}
	}
	return b.String()
}

func isWord(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c|0x20 && c|0x20 <= 'z'
}

// leading escapes what would start a list, a heading or a rule at the beginning of a line.
func leading(s string) string {
	if s == "" {
		return s
	}
	if strings.IndexByte("-+=", s[0]) >= 0 {
		return `\` + s
	}
	digits := len(s) - len(strings.TrimLeft(s, "0123456789"))
	if digits > 0 && digits < len(s) && (s[digits] == '.' || s[digits] == ')') {
		return s[:digits] + `\` + s[digits:]
	}
	return s
}

// maxTicks bounds a run of backticks in a fence: the fence has to be longer, and it counts twice.
const maxTicks = 64

// fence renders foreign text as a code block. A fence longer than every run of backticks inside
// cannot be closed by the text.
func fence(info, body string) string {
	body = shortenTicks(Clean(body))
	ticks := strings.Repeat("`", max(3, longestRun(body, '`')+1))
	if body != "" && !strings.HasSuffix(body, "\n") {
		body += "\n"
	}
	return ticks + info + "\n" + body + ticks + "\n"
}

func shortenTicks(s string) string {
	if longestRun(s, '`') <= maxTicks {
		return s
	}
	var b strings.Builder
	run := 0
	for i := range len(s) {
		if s[i] != '`' {
			run = 0
		} else if run++; run > maxTicks {
			if run == maxTicks+1 {
				b.WriteString(dots)
			}
			continue
		}
		b.WriteByte(s[i])
	}
	return b.String()
}

func longestRun(s string, c byte) int {
	longest, run := 0, 0
	for i := 0; i < len(s); i++ {
		if s[i] != c {
			run = 0
			continue
		}
		run++
		longest = max(longest, run)
	}
	return longest
}

// details folds body. title is our own text.
func details(title, body string) string {
	return "<details><summary>" + title + "</summary>\n\n" + body + "\n</details>\n"
}

// link renders a link with our own text, or only the text if the address is not one of the web.
func link(text, address string) string {
	if a := webURL(address); a != "" {
		return "[" + text + "](<" + a + ">)"
	}
	return text
}

const maxURL = 2_000

func webURL(address string) string {
	if len(address) > maxURL {
		return ""
	}
	u, err := url.Parse(address)
	if err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" {
		return ""
	}
	a := u.String()
	if len(a) > maxURL || strings.ContainsAny(a, "<>\"\\` |\n\r\t") || Clean(a) != a {
		return ""
	}
	return a
}

// reference renders what a rule refers to: pieces of words with an address behind them, which
// become links, separated by semicolons. It comes from the METADATA of a policy, never from a plan.
func reference(s string) string {
	if a := webURL(s); a != "" {
		return "<" + a + ">"
	}
	var out []string
	for part := range strings.SplitSeq(s, "; ") {
		i := strings.LastIndexByte(part, ' ')
		title, address := part[:max(i, 0)], webURL(part[i+1:])
		switch {
		case address == "":
			out = append(out, prose(part))
		case title == "":
			out = append(out, "<"+address+">")
		default:
			out = append(out, link(prose(title), address))
		}
	}
	return strings.Join(out, "; ")
}

func short(sha string) string { return clip(oneLine(sha, 64), 7) }

// plural is "1 finding", "2 findings".
func plural(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}
