package report

import (
	"fmt"
	"strings"
)

// page collects blocks of Markdown within a limit. A block that does not fit is left out whole, so
// that no fence, tag or rune is ever cut.
type page struct {
	strings.Builder
	limit int // bytes
}

func (p *page) room() int { return p.limit - p.Len() }

// block appends s and an empty line if they fit.
func (p *page) block(s string) bool {
	if s == "" || len(s)+2 > p.room() {
		return false
	}
	p.WriteString(strings.TrimRight(s, "\n") + "\n\n")
	return true
}

// list appends a heading and as many items as fit into budget bytes; if some are left out, a last
// line says how many and where all of them are.
func (p *page) list(heading string, items []string, budget int, noun, where string) {
	if len(items) == 0 {
		return
	}
	if heading != "" && !strings.HasSuffix(heading, "\n") { // the head of a table has its own line end
		heading += "\n\n"
	}
	budget = min(budget, p.room())
	note := func(shown int) string { return fmt.Sprintf("\n%d of %d %s shown%s.\n", shown, len(items), noun, where) }
	body, shown := fit(items, budget-len(heading)-len(note(len(items)))-2)
	if shown < len(items) {
		body += note(shown)
	}
	p.block(heading + body)
}

// fit joins the first items that fit into budget bytes and says how many those are.
func fit(items []string, budget int) (string, int) {
	var b strings.Builder
	for i, it := range items {
		if b.Len()+len(it) > budget {
			return b.String(), i
		}
		b.WriteString(it)
	}
	return b.String(), len(items)
}

// elsewhere is the end of the sentence "N of M shown".
func elsewhere(address string) string {
	if webURL(address) == "" {
		return ""
	}
	return ", the rest on " + link("this page", address)
}
