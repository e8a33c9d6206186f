package report

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// Clean returns s as valid UTF-8 without terminal escapes, control, bidirectional and zero-width
// characters; line ends become "\n" and tabs stay. It never hides text: of an escape sequence only
// colour and cursor codes go, the payload of any other stays visible.
func Clean(s string) string {
	if plain(s) {
		return s
	}
	var b strings.Builder
	b.Grow(len(s))
	for i := 0; i < len(s); {
		if n := csi(s[i:]); n > 0 {
			i += n
			continue
		}
		r, n := utf8.DecodeRuneInString(s[i:])
		i += n
		switch {
		case r == '\r' && i < len(s) && s[i] == '\n':
		case r == '\r', r == '\u2028', r == '\u2029':
			b.WriteByte('\n')
		case r == '\n', r == '\t', !invisible(r):
			b.WriteRune(r)
		}
	}
	return b.String()
}

func plain(s string) bool {
	for i := 0; i < len(s); i++ {
		if c := s[i]; c >= 0x7f || c < 0x20 && c != '\n' && c != '\t' {
			return false
		}
	}
	return true
}

func invisible(r rune) bool {
	return unicode.IsControl(r) || unicode.Is(unicode.Cf, r)
}

// maxCSI bounds a colour or cursor code, so that a lone introducer cannot swallow what follows.
const maxCSI = 32

// csi returns the length of the control sequence at the start of s, or 0.
func csi(s string) int {
	if !strings.HasPrefix(s, "\x1b[") {
		return 0
	}
	for i := 2; i < len(s) && i < maxCSI; i++ {
		switch c := s[i]; {
		case c >= 0x40 && c <= 0x7e:
			return i + 1
		case c < 0x20 || c > 0x3f:
			return 0
		}
	}
	return 0
}

// clip returns the longest prefix of s of at most limit bytes that splits no rune.
func clip(s string, limit int) string {
	if len(s) <= limit {
		return s
	}
	for limit > 0 && !utf8.RuneStart(s[limit]) {
		limit--
	}
	return s[:max(limit, 0)]
}

const dots = "…"

// ellipsis is clip with a visible mark where something was cut off.
func ellipsis(s string, limit int) string {
	if len(s) <= limit {
		return s
	}
	return clip(s, limit-len(dots)) + dots
}

// oneLine is Clean with every run of white space made one space, in at most limit bytes.
func oneLine(s string, limit int) string {
	// What is cleaned is bounded too: the text may be megabytes, and a few words of it are shown.
	head := clip(s, 4*limit)
	line := strings.Join(strings.Fields(Clean(head)), " ")
	if len(head) < len(s) {
		line += dots
	}
	return ellipsis(line, limit)
}
