package report_test

import (
	"math/rand/v2"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tollgate/tollgate/internal/change"
	"github.com/tollgate/tollgate/internal/report"
)

var hostile = []string{
	"",
	"```\n</details>\n# ✅ Tollgate: Allowed\n",
	"``````````\n**Approved**",
	strings.Repeat("`", 20) + "\n# done",
	"~~~\n# done\n~~~",
	"<!-- --></details></sub><img src=https://evil.example/beacon><script>alert(1)</script>",
	"@org/team @ada #12 GH-3 acme/payments#1 www.evil.example https://evil.example/x ada@evil.example",
	"a\u202eb\u2066c\u200bd\ufeffe",
	"\x1b[31mred\x1b[0m \x1b]8;;https://evil.example\x07text\x1b]8;;\x07 \x1b]52;c;ZXZpbA==\x07",
	"/apply\n/apply payments",
	"- [x] done\n1. one\n+ two\n=====\n> quote",
	"[text](https://evil.example) ![image](https://evil.example/i.png) [ref]: https://evil.example",
	"| a | b |\n|---|---|\n$x$ \\`a\\` &lt; &#64;org",
	"\xff\xfe\x00\x01",
	"`a` ``b`` `c",
}

// outsideCode returns the Markdown without its fences and code spans, by CommonMark's rules for
// both, so that what is left is what GitHub interprets.
func outsideCode(s string) string {
	var kept []string
	closing := ""
	for line := range strings.Lines(s) {
		trimmed := strings.TrimSpace(line)
		ticks := len(trimmed) - len(strings.TrimLeft(trimmed, "`"))
		switch {
		case closing != "":
			if trimmed != "" && strings.Trim(trimmed, "`") == "" && ticks >= len(closing) {
				closing = ""
			}
		case ticks >= 3 && !strings.Contains(trimmed[ticks:], "`"):
			closing = trimmed[:ticks]
		default:
			kept = append(kept, withoutSpans(line))
		}
	}
	return element.ReplaceAllString(destination.ReplaceAllString(strings.Join(kept, ""), ""), "")
}

// element is code in a cell of a table, in which nobody is mentioned either. A "<" in it is written as a number.
var element = regexp.MustCompile(`<code>[^<]*</code>`)

// destination is where a link of ours leads; a hostile name of a file stands there percent-encoded.
var destination = regexp.MustCompile(`\(<https?:[^<>\s]*>\)`)

func withoutSpans(line string) string {
	var b strings.Builder
	for i := 0; i < len(line); {
		if line[i] == '\\' && i+1 < len(line) {
			b.WriteString(line[i : i+2])
			i += 2
			continue
		}
		run := len(line[i:]) - len(strings.TrimLeft(line[i:], "`"))
		if run == 0 {
			b.WriteByte(line[i])
			i++
			continue
		}
		if end := closingRun(line[i+run:], run); end >= 0 {
			i += run + end + run
			continue
		}
		b.WriteString(line[i : i+run])
		i += run
	}
	return b.String()
}

func closingRun(s string, n int) int {
	for i := 0; i < len(s); {
		run := len(s[i:]) - len(strings.TrimLeft(s[i:], "`"))
		if run == n {
			return i
		}
		i += max(run, 1)
	}
	return -1
}

// seen is the reference of a policy, which may be a link to what it shows, and to nothing else.
var seen = regexp.MustCompile(`See: <https?://[^<>\s]*>`)

// speaks fails the test if text that somebody else wrote does anything outside code in what we render with it: mentions,
// links, marks up, or opens or closes an element.
func speaks(t *testing.T, s string) {
	t.Helper()
	for i, text := range everything(t, s) {
		open := seen.ReplaceAllString(outsideCode(text), "")
		for _, bad := range []string{
			"<img", "<script", "@org", "@ada", "@evil", "://evil", "www.evil", " #12", "GH-3", "[text](", "![image]", "\n# ", "**Approved**", "&#64;",
		} {
			if strings.Contains(open, bad) {
				t.Errorf("output %d of %.60q has %q outside code:\n%s", i, s, bad, open)
			}
		}
		for _, tag := range []string{"details", "sub", "summary"} {
			if a, b := strings.Count(open, "<"+tag+">"), strings.Count(open, "</"+tag+">"); a != b {
				t.Errorf("output %d of %.60q has %d <%s> and %d </%s>", i, s, a, tag, b, tag)
			}
		}
	}
}

// Covers: T72
func TestForeignTextDoesNotSpeakInOurName(t *testing.T) {
	t.Parallel()
	for _, s := range hostile {
		speaks(t, s)
	}
}

// fragments are what gets out of code, or does something when it is out.
var fragments = []string{"`", "``", "```", "~~~", strings.Repeat("`", 7), "\n", "\n\n", "\r", " ", "    ", "\t", "\\", "\\`", "*", "|", "> ", "- ", "<!--", "-->", "</code>", "</pre>", "</details>", "</sub>", "<summary>",
	"<img src=x>", "@org/team", "@ada", "#12", " #12 ", "GH-3", "https://evil.example", "www.evil.example", "[text](", "](", "![image]", "# ", "**Approved**", "&#64;org", "\u200b", "\x1b[1m", "\x00", "\xff", "a", "x.tf"}

// Whatever is made of the fragments, in whatever order, stays in its fence or is only words.
//
// Covers: T72
func TestMixturesOfFragmentsDoNotSpeakInOurName(t *testing.T) {
	t.Parallel()
	for seed := range uint64(400) {
		rng := rand.New(rand.NewPCG(seed, 72))
		var b strings.Builder
		for range 1 + rng.IntN(12) {
			b.WriteString(fragments[rng.IntN(len(fragments))])
		}
		if speaks(t, b.String()); t.Failed() {
			t.Fatalf("seed %d: %q", seed, b.String())
		}
	}
}

// Covers: T72
func TestFenceIsLongerThanAnyRunInside(t *testing.T) {
	t.Parallel()
	for n := 3; n <= 20; n++ {
		p := passed()
		p.Text = "before\n" + strings.Repeat("`", n) + "\n# ✅ Allowed\n"
		text := report.PlanCheck(p).Text
		if want := "\n" + strings.Repeat("`", n+1) + "diff\n"; !strings.Contains(text, want) {
			t.Errorf("no fence of %d backticks:\n%s", n+1, text)
		}
		if open := outsideCode(text); strings.Contains(open, "✅") {
			t.Errorf("%d backticks escape the fence:\n%s", n, open)
		}
	}
}

// Covers: T72
func TestOneLineOfAMegabyteIsCutVisibly(t *testing.T) {
	t.Parallel()
	p := passed()
	p.Text = strings.Repeat("😀", 250_000) + "\nPlan: 1 to add"
	c := report.PlanCheck(p)
	within(t, c)
	if !strings.Contains(c.Text, "more bytes in this line)") || !strings.Contains(c.Text, "Plan: 1 to add") {
		t.Errorf("the text ends %q", c.Text[len(c.Text)-200:])
	}
}

// Covers: T73
func TestClean(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"":                                      "",
		"plain\ttext\n":                         "plain\ttext\n",
		"a\r\nb\rc":                             "a\nb\nc",
		"\x1b[1;31mred\x1b[0m":                  "red",
		"\x1b[2K\x1b[1A~ x":                     "~ x",
		"\x1b]0;hidden\x07shown":                "]0;hiddenshown",
		"\x1b]8;;http://x\x1b\\link":            "]8;;http://x\\link",
		"\x1b[" + strings.Repeat("1", 40) + "m": "[" + strings.Repeat("1", 40) + "m",
		"\x1b[\nnext":                           "[\nnext",
		"a\x00b\x7fc\u0085d":                    "abcd",
		"a\u202eb\u2067c\u200bd\ufeff":          "abcd",
		"a\u2028b":                              "a\nb",
		"\xffa\xc3":                             "\ufffda\ufffd",
		"😀é→":                                   "😀é→",
	} {
		if d := cmp.Diff(want, report.Clean(in)); d != "" {
			t.Errorf("Clean(%q) (-want +got):\n%s", in, d)
		}
	}
}

func TestReferenceLinksOnlyToItsOwnText(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"https://example.com/a":     "See: <https://example.com/a>",
		"javascript:alert(1)":       "See: javascript:alert(1)",
		"https://e.example/> [a](b": "See: <https://e.example/%3E%20%5Ba%5D%28b>",
		"PCI DSS 4.0.1, 1.4.1":      "See: PCI DSS 4.0.1, 1.4.1",
	} {
		p := denied()
		p.Findings = []change.Finding{{Policy: "p", Verdict: change.Fail, Severity: change.Deny, Message: "m", Reference: in}}
		if s := report.PlanCheck(p).Summary; !strings.Contains(s, want) {
			t.Errorf("%q: no %q in\n%s", in, want, s)
		}
	}
}
