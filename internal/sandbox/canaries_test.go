package sandbox_test

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"encoding/hex"
	"io"
	"net/url"
	"regexp"
	"slices"
	"strings"
)

// canary is no secret: its text says so, and nothing uses it.
func canary(place string) string { return "canary~not-a-secret+tollgate/test~" + place }

// disguises are the forms in which a secret is looked for: as it is, backwards, in hexadecimal,
// for a URL, and in base64 at each of its three alignments.
func disguises(secret string) []string {
	backwards := []byte(secret)
	slices.Reverse(backwards)
	percent := &strings.Builder{}
	for _, c := range []byte(secret) {
		percent.WriteString("%" + strings.ToUpper(hex.EncodeToString([]byte{c})))
	}
	out := []string{secret, string(backwards), hex.EncodeToString([]byte(secret)), strings.ToUpper(hex.EncodeToString([]byte(secret))),
		url.QueryEscape(secret), url.PathEscape(secret), percent.String()}
	for shift := range 3 {
		// The first and the last characters also depend on what stands beside the secret.
		whole := base64.StdEncoding.EncodeToString([]byte(strings.Repeat("x", shift) + secret))
		skip := []int{0, 2, 3}[shift]
		part := whole[skip : len(whole)-4]
		out = append(out, part, strings.NewReplacer("+", "-", "/", "_").Replace(part))
	}
	slices.Sort(out)
	return slices.Compact(out)
}

var (
	zipped   = []byte{0x1f, 0x8b, 0x08}
	armoured = regexp.MustCompile(`H4sI[A-Za-z0-9+/_=-]+`) // the start of gzip in base64
)

// joined leaves out what splits a text into lines and words, also as JSON writes it.
func joined(text []byte) []byte {
	out := make([]byte, 0, len(text))
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case c == ' ', c == '\t', c == '\r', c == '\n':
		case c == '\\' && i+1 < len(text) && strings.IndexByte("nrt", text[i+1]) >= 0:
			i++
		default:
			out = append(out, c)
		}
	}
	return out
}

// views are a text as it is, with the lines joined, and whatever is compressed in it.
func views(text []byte) map[string][]byte {
	out := map[string][]byte{"as it is": text, "over lines": joined(text)}
	var inner []byte
	for rest := text; ; {
		i := bytes.Index(rest, zipped)
		if i < 0 {
			break
		}
		inner = append(inner, unzip(rest[i:])...)
		rest = rest[i+len(zipped):]
	}
	for _, b := range armoured.FindAll(text, -1) {
		plain := strings.TrimRight(strings.NewReplacer("-", "+", "_", "/").Replace(string(b)), "=")
		if data, err := base64.RawStdEncoding.DecodeString(plain[:len(plain)-max(0, len(plain)%4-3)]); err == nil {
			inner = append(inner, unzip(data)...)
		}
	}
	if len(inner) > 0 {
		out["compressed"] = inner
	}
	return out
}

// unzip returns as much as can be read.
func unzip(data []byte) []byte {
	r, err := gzip.NewReader(bytes.NewReader(data))
	if err != nil {
		return nil
	}
	out, _ := io.ReadAll(io.LimitReader(r, 16<<20)) // what is torn is looked at as far as it goes
	return out
}

func firstIn(text []byte, needles []string) string {
	for _, n := range needles {
		if bytes.Contains(text, []byte(n)) {
			return n
		}
	}
	return ""
}
