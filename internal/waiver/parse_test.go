package waiver_test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/tollgate/tollgate/internal/fault"
	"github.com/tollgate/tollgate/internal/waiver"
)

const full = `# Looked at every quarter.
waivers:
  - rule: plan.tls/listener-policy
    address: module.terminals.aws_lb_listener.legacy["eu-*"]
    reason: >-
      Card terminals of 2015 speak TLS 1.1 only;
      they are replaced by March.
    owner: "@acme/terminals"
    expires: 2027-03-31
  - {rule: plan.required_tags/tags, address: "**.aws_subnet.a[*]", reason: 'Made by "the old tool".', owner: '@alice', expires: "2027-01-01"}
`

func day(t *testing.T, text string) time.Time {
	t.Helper()
	d, err := time.Parse(time.DateOnly, text)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func parse(t *testing.T, content string) waiver.List {
	t.Helper()
	list, err := waiver.Parse("policies/waivers.yaml", []byte(content))
	if err != nil {
		t.Fatal(err)
	}
	return list
}

func TestParse(t *testing.T) {
	t.Parallel()
	want := []waiver.Waiver{
		{Rule: "plan.tls/listener-policy", Address: `module.terminals.aws_lb_listener.legacy["eu-*"]`,
			Reason: "Card terminals of 2015 speak TLS 1.1 only; they are replaced by March.",
			Owner:  "@acme/terminals", Expires: day(t, "2027-03-31"), Line: 3},
		{Rule: "plan.required_tags/tags", Address: "**.aws_subnet.a[*]", Reason: `Made by "the old tool".`,
			Owner: "@alice", Expires: day(t, "2027-01-01"), Line: 10},
	}
	if diff := cmp.Diff(want, parse(t, full).Waivers(), cmpopts.IgnoreUnexported(waiver.Waiver{})); diff != "" {
		t.Errorf("waivers (-want +got):\n%s", diff)
	}
	if none := parse(t, "waivers: []\n").Waivers(); len(none) != 0 {
		t.Errorf("an empty list holds %v", none)
	}
}

// one is a file with one waiver in which some keys are replaced; an empty value leaves one out.
func one(changes ...string) string {
	keys := []string{"rule", "address", "reason", "owner", "expires"}
	values := map[string]string{"rule": "plan.tls/version", "address": "aws_lb.a", "reason": "Replaced in the spring.",
		"owner": `"@alice"`, "expires": "2027-03-31"}
	for _, c := range changes {
		key, value, _ := strings.Cut(c, ": ")
		if _, known := values[key]; !known {
			keys = append(keys, key)
		}
		values[key] = value
	}
	text, dash := "waivers:\n", "  - "
	for _, key := range keys {
		if values[key] != "" {
			text += dash + key + ": " + values[key] + "\n"
			dash = "    "
		}
	}
	return text
}

// mistakes are files with what must be told of them. Those marked as beyond the schema are ones
// that JSON Schema cannot express.
var mistakes = []struct {
	name         string
	content      string
	want         []string // parts of the public text
	beyondSchema bool
}{
	{name: "empty", content: "", want: []string{"line 1: the file must hold one YAML document"}},
	{name: "two documents", content: full + "---\n" + full, want: []string{"line 1: the file must hold one YAML document"}, beyondSchema: true},
	{name: "a list", content: "- rule: x\n", want: []string{"line 1: the file must be a mapping"}},
	{name: "no list", content: "waivers: {}\n", want: []string{"line 1: `waivers` must be a list"}},
	{name: "no value", content: "waivers:\n", want: []string{"line 1: `waivers` must be a list"}},
	{name: "foreign key", content: "waivers: []\nversion: 1\n", want: []string{"line 2: the file cannot have the key `version`"}},
	{name: "key twice", content: "waivers: []\nwaivers: []\n", want: []string{"line 2: "}, beyondSchema: true},
	{name: "broken YAML", content: "waivers: [\n", want: []string{"line 1: "}, beyondSchema: true},
	{name: "anchor", content: one("owner: &o \"@alice\""), want: []string{"line 5: `owner` must be a text"}, beyondSchema: true},
	{name: "alias", content: "waivers: &w []\n", want: []string{"line 1: `waivers` must be a list"}, beyondSchema: true},
	{name: "merge key", content: "waivers:\n  - <<: {rule: x/y}\n", want: []string{"line 2: a waiver cannot have the key `<<`"}, beyondSchema: true},
	{name: "waiver without anything", content: "waivers:\n  - {}\n", want: []string{"line 2: a waiver lacks the key `rule`", "lacks the key `expires`"}},
	{name: "waiver that is a text", content: "waivers:\n  - aws_lb.a\n", want: []string{"line 2: a waiver must be a mapping with rule, address"}},
	{name: "misspelt key", content: one("expires: ", "expire: 2027-03-31"),
		want: []string{"line 6: a waiver cannot have the key `expire`", "line 2: a waiver lacks the key `expires`"}},
	{name: "no rule", content: one("rule: "), want: []string{"line 2: a waiver lacks the key `rule`"}},
	{name: "no address", content: one("address: "), want: []string{"lacks the key `address`"}},
	{name: "no reason", content: one("reason: "), want: []string{"lacks the key `reason`"}},
	{name: "no owner", content: one("owner: "), want: []string{"lacks the key `owner`"}},
	{name: "no expiry", content: one("expires: "), want: []string{"lacks the key `expires`"}},
	{name: "a package", content: one("rule: plan.tls"), want: []string{"line 2: `rule`: \"plan.tls\" is not one rule"}},
	{name: "all rules of a package", content: one("rule: plan.tls/*"), want: []string{"is not one rule"}},
	{name: "two rules", content: one("rule: plan.tls/version origin"), want: []string{"is not one rule"}},
	{name: "a list of rules", content: one("rule: [plan.tls/version]"), want: []string{"line 2: `rule` must be a text"}},
	{name: "blank reason", content: one(`reason: "  "`), want: []string{"line 4: `reason` must be a text"}},
	{name: "filler", content: one("reason: TODO"), want: []string{"line 4: `reason`: \"TODO\" is no reason"}},
	{name: "longer filler", content: one("reason: xx xxxxx xx xxxxx"), want: []string{"is no reason"}, beyondSchema: true},
	{name: "dots", content: one("reason: ............"), want: []string{"is no reason"}, beyondSchema: true},
	{name: "endless reason", content: one("reason: " + strings.Repeat("why not ", 100)), want: []string{"is longer than 500 characters"}, beyondSchema: true},
	{name: "hidden reason", content: one("reason: \"Replaced in \u202e the spring.\""), want: []string{"characters that cannot be shown"}, beyondSchema: true},
	{name: "owner without @", content: one("owner: alice"), want: []string{"line 5: `owner`: \"alice\" is neither a person nor a team"}},
	{name: "owner by mail", content: one("owner: alice@example.com"), want: []string{"is neither a person nor a team"}},
	{name: "two owners", content: one(`owner: "@alice @bob"`), want: []string{"is neither a person nor a team"}},
	{name: "owner without quotes", content: one("owner: @alice"), want: []string{"line 5: ", "an owner has to stand in quotes"}, beyondSchema: true},
	{name: "no such day", content: one("expires: 2027-02-29"), want: []string{"line 6: `expires`: \"2027-02-29\" is no date"}, beyondSchema: true},
	{name: "another form of date", content: one("expires: 31.03.2027"), want: []string{"is no date"}},
	{name: "a time", content: one("expires: 2027-03-31T12:00:00Z"), want: []string{"is no date"}},
	{name: "a number", content: one("expires: 2027"), want: []string{"line 6: `expires` must be a text"}},
	{name: "a relative date", content: one("expires: never"), want: []string{"is no date"}},
	{name: "an address that is none", content: one("address: aws_lb"), want: []string{"line 3: `address`: \"aws_lb\" does not end with one resource"}, beyondSchema: true},
	{name: "twice", content: one() + strings.TrimPrefix(one("reason: Another reason."), "waivers:\n"),
		want: []string{"line 7: the same rule and address are waived on line 2 already"}, beyondSchema: true},
}

func TestParseRefuses(t *testing.T) {
	t.Parallel()
	for _, m := range mistakes {
		t.Run(m.name, func(t *testing.T) {
			t.Parallel()
			list, err := waiver.Parse("policies/waivers.yaml", []byte(m.content))
			var public *fault.Error
			if !errors.As(err, &public) || public.Why == "" || public.Fix == "" {
				t.Fatalf("error is %v; want a fault", err)
			}
			for _, want := range append(m.want, "`policies/waivers.yaml`") {
				if !strings.Contains(public.What, want) {
					t.Errorf("error says %q; want it to say %q", public.What, want)
				}
			}
			if len(list.Waivers()) > 0 {
				t.Error("some waivers of the file hold all the same")
			}
		})
	}
	parse(t, one()) // what the mistakes are made of is sound
}

func TestParseBounds(t *testing.T) {
	t.Parallel()
	many := func(n int) string {
		text := "waivers:\n"
		for i := range n {
			text += strings.TrimPrefix(one("address: aws_lb.a"+strconv.Itoa(i)), "waivers:\n")
		}
		return text
	}
	if got := len(parse(t, many(200)).Waivers()); got != 200 {
		t.Errorf("%d waivers; want 200", got)
	}
	const empty = "waivers: []\n"
	parse(t, empty+"#"+strings.Repeat("x", 1<<16-len(empty)-1))
	parse(t, empty+strings.Repeat("#\n", 4990))
	const large, tokens = "is larger than 64 KiB", "has more than 5000 keys"
	for name, test := range map[string]struct{ content, want string }{
		"too many":          {many(201), "more than 200 waivers"},
		"too large":         {empty + "#" + strings.Repeat("x", 1<<16-len(empty)), large},
		"too many lines":    {empty + strings.Repeat("#\n", 5000), tokens},
		"keys":              {strings.Repeat("k: 1\n", 10_000), tokens},
		"items":             {"waivers:\n" + strings.Repeat("-\n", 10_000), tokens},
		"nested brackets":   {"waivers: " + strings.Repeat("[", 20_000), tokens},
		"nested mappings":   {"waivers: " + strings.Repeat("{a: ", 10_000), tokens},
		"nested lists":      {strings.Repeat("- ", 20_000), tokens},
		"billion laughters": {"a: &a [x,x]\nb: &b [*a,*a]\nwaivers: *b\n", "cannot have the key `a`"},
	} {
		if _, err := waiver.Parse("waivers.yaml", []byte(test.content)); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: error is %v; want it to say %q", name, err, test.want)
		}
	}
	if _, err := waiver.Parse("w", []byte("waivers:\n"+strings.Repeat("  - {}\n", 30))); err == nil || !strings.Contains(err.Error(), "and 130 more") {
		t.Errorf("error is %v; want it to count what it leaves out", err)
	}
}

// A file of a pull request must not keep the server busy: these take the parser longest, for their
// size, of what the bounds let through.
func TestParseIsQuick(t *testing.T) {
	for name, content := range map[string]string{
		"keys":            strings.Repeat("a:\n", 2400),
		"other keys":      numbered(1600, "%x: 1\n"),
		"keys in a line":  "{" + numbered(1200, "%x: , ") + "}",
		"explicit keys":   numbered(2400, "? %x\n"),
		"nested keys":     "? " + strings.Repeat("{", 2400) + strings.Repeat("}", 2400),
		"items":           "waivers:\n" + strings.Repeat("-\n", 4900),
		"items in a line": "waivers: [" + strings.Repeat("a,", 2400) + "]",
		"nested lists":    strings.Repeat("- ", 4900),
		"nested brackets": strings.Repeat("[", 2400) + strings.Repeat("]", 2400),
		"nested mappings": strings.Repeat("{"+strings.Repeat("a", 45)+": ", 1200) + "1" + strings.Repeat("}", 1200),
		"documents":       strings.Repeat("--- a\n", 2400),
		"one long key":    strings.Repeat("a", 1<<16-10) + ": 1\n",
	} {
		start := time.Now()
		_, err := waiver.Parse("waivers.yaml", []byte(content))
		if err == nil || strings.Contains(err.Error(), "has more than") || strings.Contains(err.Error(), "is larger than") {
			t.Errorf("%s: error is %v; want one of the parser", name, err)
		}
		if took := time.Since(start); took > 2*time.Second {
			t.Errorf("%s: refused after %s", name, took)
		}
		if len(fault.Public(err).What) > 10_000 {
			t.Errorf("%s: the error has %d bytes", name, len(fault.Public(err).What))
		}
	}
}

func numbered(n int, format string) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, format, i)
	}
	return b.String()
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(full))
	f.Add([]byte(one("address: 'module.a[\"x\\\\*\"].**.aws_lb.b[0]'")))
	for _, m := range mistakes {
		f.Add([]byte(m.content))
	}
	for _, nested := range []string{"? {", "- ", "{a: ", "["} {
		f.Add([]byte(strings.Repeat(nested, 100)))
	}
	f.Fuzz(func(t *testing.T, content []byte) {
		list, err := waiver.Parse("waivers.yaml", content)
		if err != nil {
			if public := fault.Public(err); public.Fix == "" || len(list.Waivers()) > 0 {
				t.Errorf("refused without a word, or in part: %v", err)
			}
			return
		}
		for _, w := range list.Waivers() {
			if w.Rule == "" || w.Address == "" || w.Reason == "" || w.Owner == "" || w.Expires.IsZero() || w.Line < 1 {
				t.Errorf("accepted %+v", w)
			}
		}
		if !bytes.Contains(content, []byte("waivers")) {
			t.Error("accepted a file without waivers")
		}
	})
}

// What people copy from the documentation has to work.
func TestTheDocumentedExample(t *testing.T) {
	t.Parallel()
	readme, err := os.ReadFile("../../policies/README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, example, found := strings.Cut(string(readme), "\nwaivers:\n")
	example, _, _ = strings.Cut(example, "```")
	if !found || len(parse(t, "waivers:\n"+example).Waivers()) != 1 {
		t.Error("policies/README.md has no example with one waiver")
	}
}
