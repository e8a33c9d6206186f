package redact

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// span is a part of a text.
type span struct{ from, to int }

func (s span) fill(b []byte) {
	for i := s.from; i < s.to; i++ {
		if b[i] != '\n' && b[i] != '\r' {
			b[i] = '*'
		}
	}
}

// anchor is how many bytes of a pattern are looked for at once, so no pattern is shorter.
const anchor = 8

// begin is how much of a pattern has to be there to keep it back.
const begin = 4

// slack is how many bytes that do not count, such as indentation, may be between the first and the last
// of a secret.
const slack = 1024

// finder finds the patterns of many secrets at once: the next eight bytes of the text are looked up, and where a
// pattern begins with them it is compared. Both are seen as view shows them.
type finder struct {
	patterns [][]byte // sorted
	bits     [1 << 16 / 64]uint64
	by       map[uint64][][]byte
	begins   [1 << 16 / 64]uint64 // of the first four bytes
	longest  int
}

func newFinder(secrets []string) *finder {
	f := &finder{by: map[uint64][][]byte{}}
	seen := map[string]bool{}
	for _, s := range secrets {
		for _, p := range forms(s) {
			p := fold(p)
			if len(p) < anchor || seen[string(p)] {
				continue
			}
			seen[string(p)] = true
			f.patterns = append(f.patterns, p)
			var key uint64
			for _, c := range p[:anchor] {
				key = key<<8 | uint64(c)
			}
			f.by[key] = append(f.by[key], p)
			set(&f.bits, key)
			set(&f.begins, key>>32)
			f.longest = max(f.longest, len(p))
		}
	}
	slices.SortFunc(f.patterns, bytes.Compare)
	return f
}

func hash(key uint64) uint64 { return key * 0x9e3779b97f4a7c15 >> 48 }

func set(bits *[1 << 16 / 64]uint64, key uint64) { h := hash(key); bits[h/64] |= 1 << (h % 64) }

func has(bits *[1 << 16 / 64]uint64, key uint64) bool {
	h := hash(key)
	return bits[h/64]&(1<<(h%64)) != 0
}

func (f *finder) reach() int { return f.longest + slack }

// forms are the ways in which a secret is commonly written.
func forms(s string) []string {
	b := []byte(s)
	out := []string{s, hex.EncodeToString(b), url.QueryEscape(s), url.PathEscape(s), everyByte(b), quoted(s, true), quoted(s, false), strconv.Quote(s)[1 : len(strconv.Quote(s))-1]}
	reversed := slices.Clone(b)
	slices.Reverse(reversed)
	out = append(out, string(reversed))
	// Within a longer text, what stands before decides where the groups of six bits begin. What depends on the
	// neighbours is left out on both sides.
	for before, drop := range []int{0, 2, 3} {
		for _, enc := range []*base64.Encoding{base64.RawStdEncoding, base64.RawURLEncoding} {
			text := enc.EncodeToString(append(make([]byte, before), b...))
			out = append(out, text[drop:(before+len(b))*8/6])
		}
	}
	return out
}

// everyByte is the encoding of addresses at its most careful.
func everyByte(b []byte) string {
	var out strings.Builder
	for _, c := range b {
		out.WriteByte('%')
		out.WriteString(hex.EncodeToString([]byte{c}))
	}
	return out.String()
}

func quoted(s string, html bool) string {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(html)
	_ = enc.Encode(s) // a string always encodes
	return strings.TrimSuffix(strings.TrimPrefix(strings.TrimSpace(b.String()), `"`), `"`)
}

// view is a text as it is compared: in lower case, without line ends and the indentation after them, and without what
// nobody sees, since all of that can stand within a secret.
type view struct {
	text []byte
	at   []int32 // where each byte was
	size int
}

func fold(s string) []byte { return look([]byte(s)).text }

func look(b []byte) view {
	v := view{make([]byte, len(b)), make([]int32, len(b)), len(b)}
	n := 0
	for i := 0; i < len(b); {
		c := b[i]
		switch {
		case c >= 0x20 && c < 'A', c >= '[' && c < 0x7f:
		case c >= 'A' && c <= 'Z':
			c |= 0x20
		case c == '\n' || c == '\r':
			i = indented(b, i+1)
			continue
		case c == 0x1b:
			i = escaped(b, i)
			continue
		case c < utf8.RuneSelf:
			i++
			continue
		default:
			if r, n := utf8.DecodeRune(b[i:]); unicode.Is(unicode.Cf, r) || unicode.IsControl(r) || r == '\u2028' || r == '\u2029' {
				i += n
				continue
			}
		}
		v.text[n], v.at[n] = c, int32(i) // parts of a text are far smaller
		n++
		i++
	}
	v.text, v.at = v.text[:n], v.at[:n]
	return v
}

// before is the view of the text before a place.
func (v view) before(place int) view {
	n, _ := slices.BinarySearch(v.at, int32(place)) // as above
	return view{v.text[:n], v.at[:n], place}
}

// indented skips what stands before the text of a line: space, and the marker of a plan's change.
func indented(b []byte, i int) int {
	blank := func() {
		for i < len(b) && (b[i] == ' ' || b[i] == '\t') {
			i++
		}
	}
	blank()
	if i+1 < len(b) && strings.IndexByte("+-~|>", b[i]) >= 0 && b[i+1] == ' ' {
		i++
		blank()
	}
	return i
}

// escaped skips a colour or cursor code.
func escaped(b []byte, i int) int {
	if i+1 >= len(b) || b[i+1] != '[' {
		return i + 1
	}
	for j := i + 2; j < len(b) && j < i+32; j++ {
		if b[j] >= 0x40 && b[j] <= 0x7e {
			return j + 1
		}
		if b[j] < 0x20 || b[j] > 0x3f {
			break
		}
	}
	return i + 1
}

func (f *finder) spans(b []byte) []span { return f.found(look(b)) }

// found are the secrets in the text, in order and apart from each other.
func (f *finder) found(v view) (out []span) {
	var key uint64
	for i, c := range v.text {
		key = key<<8 | uint64(c)
		if i < anchor-1 || !has(&f.bits, key) {
			continue
		}
		from := i - anchor + 1
		for _, p := range f.by[key] {
			if bytes.HasPrefix(v.text[from:], p) {
				out = join(out, span{int(v.at[from]), int(v.at[from+len(p)-1]) + 1})
			}
		}
	}
	return out
}

// join adds a span that begins no earlier than the others.
func join(spans []span, s span) []span {
	if n := len(spans); n > 0 && s.from <= spans[n-1].to {
		spans[n-1].to = max(spans[n-1].to, s.to)
		return spans
	}
	return append(spans, s)
}

// begun is where the earliest pattern begins that the end of the text may be a part of, or the end.
func (f *finder) begun(v view) int {
	n := len(v.text)
	for i := max(0, n-f.longest+1); i+begin <= n; i++ {
		t := v.text[i:]
		if !has(&f.begins, uint64(t[0])<<24|uint64(t[1])<<16|uint64(t[2])<<8|uint64(t[3])) {
			continue
		}
		at, _ := slices.BinarySearchFunc(f.patterns, t, bytes.Compare)
		if at < len(f.patterns) && bytes.HasPrefix(f.patterns[at], t) && len(f.patterns[at]) > len(t) {
			return int(v.at[i])
		}
	}
	return v.size
}

// settled is where the end of a text begins that may turn out to be indentation, a marker, or a code.
func settled(b []byte) int {
	n := len(b)
	if at := bytes.LastIndexByte(b[max(0, n-32):], 0x1b); at >= 0 {
		at += max(0, n-32)
		if escaped(b, at) == at+1 { // not whole
			n = at
		}
	}
	for n > 0 && n > len(b)-utf8.UTFMax && b[n-1] >= utf8.RuneSelf && !utf8.Valid(b[max(0, n-utf8.UTFMax):n]) {
		n--
	}
	end := n
	for end > 0 && (b[end-1] == ' ' || b[end-1] == '\t') {
		end--
	}
	if end > 0 && end == n && strings.IndexByte("+-~|>", b[end-1]) >= 0 {
		end--
	}
	for end > 0 && (b[end-1] == ' ' || b[end-1] == '\t') {
		end--
	}
	if end > 0 && (b[end-1] == '\n' || b[end-1] == '\r') {
		return end - 1
	}
	return n
}
