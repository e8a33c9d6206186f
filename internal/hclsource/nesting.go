package hclsource

import (
	"bytes"
	"fmt"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
)

const (
	maxSource = 2 << 20  // bytes of one file; its tokens and nodes take up to a hundred times as much
	maxTotal  = 32 << 20 // bytes of all files read at a time
	// maxNesting bounds brackets within brackets, together with the operators of one expression.
	// The parser recurses over both and needs up to 20 KiB of stack for each, and Go ends the
	// whole process, beyond any recovery, when a stack outgrows 1 GB.
	maxNesting = 1000
	// maxSquares bounds the lines of files with heredocs, squared and added up, because the parser
	// joins the lines of a heredoc one by one. It takes about four seconds for so many.
	maxSquares = 2_000_000_000
)

// budget is what has been spent on all files read at a time.
type budget struct{ bytes, squares int }

// check refuses a file that the parser could not survive, or not in reasonable time.
func (b *budget) check(name string, src []byte) error {
	at := Location{File: name, Line: 1, EndLine: 1}
	if len(src) > maxSource {
		return fail(at, fmt.Sprintf("The file has %d bytes; at most %d are accepted.", len(src), maxSource))
	}
	b.bytes += len(src)
	if bytes.Contains(src, []byte("<<")) {
		lines := bytes.Count(src, []byte("\n"))
		b.squares += lines * lines
	}
	if b.bytes > maxTotal || b.squares > maxSquares {
		return fail(at, "The configuration is too large to be read.")
	}
	if count(src) <= maxNesting {
		return nil // whatever the order, it cannot be deeper: so nearly all files cost one scan
	}
	var line int
	if strings.HasSuffix(name, ".json") {
		line = deepJSON(src)
	} else {
		line = deepHCL(src)
	}
	if line == 0 {
		return nil
	}
	at.Line, at.EndLine = line, line
	return fail(at, fmt.Sprintf("Expressions are nested too deeply; at most %d levels are accepted.", maxNesting))
}

// count counts the bytes that could take the parser a level deeper.
func count(src []byte) int {
	n := 0
	for _, c := range src {
		switch c {
		case '(', '[', '{', '!', '?', '-', '+', '*', '/', '%', '&', '|', '=', '<', '>', '"':
			n++
		}
	}
	return n
}

// deepHCL returns the line at which native syntax is nested too deeply, or 0.
func deepHCL(src []byte) int {
	tokens, _ := hclsyntax.LexConfig(src, "", hcl.InitialPos)
	// Every level counts its operators until an item of it ends; total is the sum of all levels.
	levels, total := []int{0}, 0
	spend := func(n int) { levels[len(levels)-1] += n; total += n }
	braces := []bool{true} // a line's end ends an item between braces and at the top, not in ( or [
	for _, t := range tokens {
		switch t.Type {
		case hclsyntax.TokenOParen, hclsyntax.TokenOBrack, hclsyntax.TokenOBrace, hclsyntax.TokenOQuote,
			hclsyntax.TokenOHeredoc, hclsyntax.TokenTemplateInterp, hclsyntax.TokenTemplateControl:
			if t.Type == hclsyntax.TokenOBrack || t.Type == hclsyntax.TokenTemplateControl {
				spend(1) // a[0][0][0] and %{if a}%{if b} go deeper although each is closed at once
			}
			levels, braces = append(levels, 0), append(braces, t.Type == hclsyntax.TokenOBrace)
			spend(1)
		case hclsyntax.TokenCParen, hclsyntax.TokenCBrack, hclsyntax.TokenCBrace, hclsyntax.TokenCQuote,
			hclsyntax.TokenCHeredoc, hclsyntax.TokenTemplateSeqEnd:
			if last := len(levels) - 1; last > 0 {
				total -= levels[last]
				levels, braces = levels[:last], braces[:last]
			}
		case hclsyntax.TokenComma, hclsyntax.TokenNewline, hclsyntax.TokenComment: // which ends its line
			last := len(levels) - 1
			if t.Type != hclsyntax.TokenComma && (!braces[last] || t.Bytes[len(t.Bytes)-1] != '\n') {
				continue
			}
			total -= levels[last]
			levels[last] = 0
			if last > 0 {
				spend(1)
			}
		case hclsyntax.TokenIdent, hclsyntax.TokenNumberLit, hclsyntax.TokenStringLit, hclsyntax.TokenQuotedLit, hclsyntax.TokenDot:
		default:
			spend(1) // operators
		}
		if total > maxNesting {
			return t.Range.Start.Line
		}
	}
	return 0
}

// deepJSON returns the line at which JSON is nested too deeply, or 0.
func deepJSON(src []byte) int {
	line, depth, quoted, escaped := 1, 0, false, false
	for _, c := range src {
		switch {
		case c == '\n':
			line++
		case escaped:
			escaped = false
		case quoted:
			escaped = c == '\\'
			quoted = c != '"'
		case c == '"':
			quoted = true
		case c == '[' || c == '{':
			if depth++; depth > maxNesting {
				return line
			}
		case c == ']' || c == '}':
			depth--
		}
	}
	return 0
}
