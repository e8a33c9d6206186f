package redact_test

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/tollgate/tollgate/internal/redact"
)

// A value in which every encoding changes something.
const canary = `Canary+"7/<é>-marked\as&secret`

func reversed(s string) string {
	b := []byte(s)
	slices.Reverse(b)
	return string(b)
}

// encodings are the ways in which the oracle looks for a canary.
func encodings(s string) map[string]string {
	quoted, _ := json.Marshal(s)
	out := map[string]string{"raw": s, "hex": hex.EncodeToString([]byte(s)), "HEX": strings.ToUpper(hex.EncodeToString([]byte(s))),
		"query": url.QueryEscape(s), "path": url.PathEscape(s), "JSON": strings.Trim(string(quoted), `"`), "Go": strings.Trim(fmt.Sprintf("%q", s), `"`), "reversed": reversed(s)}
	for i := range 3 {
		for name, enc := range map[string]*base64.Encoding{"base64": base64.StdEncoding, "base64url": base64.URLEncoding} {
			out[fmt.Sprintf("%s at %d", name, i)] = enc.EncodeToString([]byte("xyz"[:i] + s + "abc"))
		}
	}
	return out
}

// core is what of an encoded text belongs to the canary alone.
func core(name, text string) string {
	if strings.HasPrefix(name, "base64") {
		return text[4 : len(text)-8]
	}
	return text
}

// splits are the ways in which a program may break a text.
var splits = map[string]string{"nothing": "", "a line": "\n", "an indented line": "\r\n\t  ", "a marked line": "\n      + ", "a colour": "\x1b[31m", "what nobody sees": "\u200b\u202e", "a control": "\x00"}

// Covers: T46
func TestSecretsAreFoundInEveryForm(t *testing.T) {
	t.Parallel()
	known := redact.Knowing(redact.New(canary))
	for name, text := range encodings(canary) {
		for how, split := range splits {
			for at := 1; at < len(text); at++ {
				if !ascii(text[at-1:]) && strings.Contains(how, "see") {
					continue // within a rune, it is other bytes
				}
				broken := text[:at] + split + text[at:]
				whole := "before " + broken + " after"
				got := known.Text(whole)
				if leaks(got, split, core(name, text)) || !strings.Contains(got, redact.Mask) || !strings.HasPrefix(got, "before ") || !strings.HasSuffix(got, " after") {
					t.Fatalf("%s with %s at %d: %q", name, how, at, got)
				}
				filled := []byte(whole)
				known.Fill(filled)
				if len(filled) != len(whole) || leaks(string(filled), split, core(name, text)) {
					t.Fatalf("%s with %s at %d, filled: %q", name, how, at, filled)
				}
			}
		}
	}
}

func ascii(s string) bool { return !strings.ContainsFunc(s, func(r rune) bool { return r > 0x7f }) }

// leaks reports whether a quarter of the secret can be read once the breaks are taken out.
func leaks(text, split, secret string) bool {
	if split != "" {
		text = strings.ReplaceAll(text, split, "")
	}
	n := max(5, len(secret)/4)
	for i := 0; i+n <= len(secret); i++ {
		if strings.Contains(text, secret[i:i+n]) {
			return true
		}
	}
	return false
}

// Covers: T46
func TestSecretsAreFoundAcrossParts(t *testing.T) {
	t.Parallel()
	known := redact.Knowing(redact.New(canary), redact.New("another-secret-value"))
	for name, text := range encodings(canary) {
		for how, split := range splits {
			half := len(text) / 2
			whole := "before\n" + text[:half] + split + text[half:] + "\nafter\n"
			if !ascii(text) {
				whole = "before\n" + text + split + "\nafter\n"
			}
			for first := 0; first <= len(whole); first++ {
				// Two parts, then one byte at a time from there.
				for _, step := range []int{len(whole), 1} {
					var out bytes.Buffer
					s := known.Stream(func(b []byte) error { out.Write(b); return nil })
					must(t, s.Write([]byte(whole[:first])))
					for i := first; i < len(whole); i += step {
						must(t, s.Write([]byte(whole[i:min(i+step, len(whole))])))
					}
					must(t, s.Flush())
					got := out.String()
					if len(got) != len(whole) || !strings.HasPrefix(got, "before\n") || !strings.HasSuffix(got, "\nafter\n") || leaks(got, split, core(name, text)) {
						t.Fatalf("%s with %s, parted at %d by %d: %q", name, how, first, step, got)
					}
				}
			}
		}
	}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// A twin of the above: what is no secret comes through unchanged, and at once.
func TestOtherTextIsLeftAlone(t *testing.T) {
	t.Parallel()
	known := redact.Knowing(redact.New(canary), redact.New("short"), redact.New("-----BEGIN KEY-----\nMIIBOgIBAAJBAKj34GkxFhD9\nabc\n-----END KEY-----\n"))
	for _, text := range []string{"", "short", "-----BEGIN KEY-----", "Canary", "aws_lb.this: Modifying...\n", "abc\n", "\xff\xfe", "Canary+\n", strings.Repeat("é", 100)} {
		if got := known.Text(text); got != text {
			t.Errorf("%q becomes %q", text, got)
		}
		var out bytes.Buffer
		s := known.Stream(func(b []byte) error { out.Write(b); return nil })
		must(t, s.Write([]byte(text)))
		if strings.HasSuffix(text, "...\n") && out.String() != text {
			t.Errorf("%q waits: %q", text, out.String())
		}
		must(t, s.Flush())
		if out.String() != text {
			t.Errorf("%q comes through as %q", text, out.String())
		}
	}
	if got := known.Text("see MIIBOgIBAAJBAKj34GkxFhD9"); strings.Contains(got, "MIIB") {
		t.Errorf("a line of a secret: %q", got)
	}
	var none *redact.Known
	if got := none.Text(canary); got != canary {
		t.Errorf("without secrets: %q", got)
	}
	if got := none.With(redact.New(canary)).Text(canary); got != redact.Mask {
		t.Errorf("with one: %q", got)
	}
}

func TestSecretsThatComeAndGo(t *testing.T) {
	t.Parallel()
	known := redact.Knowing(redact.New("the-first-secret"))
	other := known.With(redact.New("only-of-a-copy"))
	for i := range 2100 {
		if i%100 == 0 { // a new table for each would take long
			known.Add(redact.New(fmt.Sprintf("token-number-%06d", i)))
		}
	}
	known.Add(redact.New("the-last-secret"))
	if got := known.Text("the-first-secret the-last-secret only-of-a-copy"); got != redact.Mask+" "+redact.Mask+" only-of-a-copy" {
		t.Errorf("%q", got)
	}
	if got := other.Text("the-first-secret only-of-a-copy"); got != redact.Mask+" "+redact.Mask {
		t.Errorf("the copy: %q", got)
	}
}

// BenchmarkStream looks through a log of 50 MB for a hundred secrets, in the parts in which logs are read.
func BenchmarkStream(b *testing.B) {
	var secrets []redact.Secret
	for i := range 100 {
		secrets = append(secrets, redact.New(fmt.Sprintf("secret-number-%d-%s", i, strings.Repeat("x", i))))
	}
	known := redact.Knowing(secrets...)
	line := "module.service[\"payment-api\"].aws_ecs_service.this: Still modifying... [id=arn:aws:ecs:eu-central-1:123456789012:service/x, 10s elapsed]\n"
	log := []byte(strings.Repeat(line, 50<<20/len(line)))
	b.SetBytes(int64(len(log)))
	for b.Loop() {
		s := known.Stream(func([]byte) error { return nil })
		for part := range slices.Chunk(log, 32<<10) {
			must(b, s.Write(part))
		}
		must(b, s.Flush())
	}
}
