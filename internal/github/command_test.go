package github_test

import (
	"strings"
	"testing"

	"github.com/tollgate/tollgate/internal/github"
)

// Covers: T14
func TestParseCommandAccepts(t *testing.T) {
	t.Parallel()
	for body, want := range map[string]github.Command{
		"/plan":                      {Name: "plan"},
		"/plan payments":             {Name: "plan", Project: "payments"},
		"/apply":                     {Name: "apply"},
		"/apply\r\n":                 {Name: "apply"},
		"/apply\n":                   {Name: "apply"},
		"/apply\n\n":                 {Name: "apply"},
		"/apply infrastructure/prod": {Name: "apply", Project: "infrastructure/prod"},
		"/apply .":                   {Name: "apply", Project: "."},
		"/apply a-b_c.d/E":           {Name: "apply", Project: "a-b_c.d/E"},
		"/apply .hidden":             {Name: "apply", Project: ".hidden"},
		"/apply payments@0a1b2c3d":   {Name: "apply", Project: "payments", Plan: "0a1b2c3d"},
		"/unlock payments":           {Name: "unlock", Project: "payments"},
		"/resolve payments applied it is all there, see #12": {Name: "resolve", Project: "payments", Resolution: "applied", Reason: "it is all there, see #12"},
		"/resolve a/b reconcile x":                           {Name: "resolve", Project: "a/b", Resolution: "reconcile", Reason: "x"},
		"/cancel":                                            {Name: "cancel"},
		"/help":                                              {Name: "help"},
		"/plan " + strings.Repeat("a", 194):                  {Name: "plan", Project: strings.Repeat("a", 194)},
		"/break-glass a/b It's on fire: #1":                  {Name: "break-glass", Project: "a/b", Reason: "It's on fire: #1"},
		"/break-glass payments@0123abcd":                     {Name: "break-glass", Project: "payments", Plan: "0123abcd"},
	} {
		got, ok, hint := github.ParseCommand(body)
		if !ok || got != want || hint != "" {
			t.Errorf("%q: %+v, %t, hint %q", body, got, ok, hint)
		}
	}
}

// hostile are comments that look like commands to a person or to a careless parser.
var hostile = []string{
	// Other characters that look the same.
	"/аpply", "/applу", "／apply", "∕apply", "⁄apply", "/ａｐｐｌｙ", "/𝐚pply", "/APPLY", "/Apply", "/ɑpply", "/ap\u0440ly",
	// Invisible ones.
	"/app\u200bly", "\u200b/apply", "/apply\u200b", "\ufeff/apply", "/apply\u00a0", "\u202e/apply", "/apply\u202e", "/a\u00adpply",
	"/apply\u2060", "/apply\u2028", "/apply\u2029", "/apply\u0085", "\u2066/apply\u2069", "/apply\x00", "\x00/apply", "/app\x08ly", "\x1b[2K/apply",
	// Inside something else.
	"> /apply", "```\n/apply\n```", "`/apply`", "    /apply", "\t/apply", " /apply", "<!-- /apply -->", "<!--\n-->/apply",
	"- /apply", "1. /apply", "**/apply**", "On Monday, ann wrote:\n> /apply", "[/apply](x)", "\n/apply", "\r\n/apply", "hello\n/apply",
	// Followed by something else.
	"/apply\nplease", "/apply\n/apply", "/apply\r/plan", "/apply ", "/apply  payments", "/apply payments ", "/apply\tpayments", "/apply a b", "/apply\v",
	"/apply, thanks", "/apply!", "/apply.", "/applying", "/apply@1", "/apply payments@1",
	// Plans that are not named as they are shown.
	"/apply @0a1b2c3d", "/apply payments@", "/apply payments@0a1b2c3", "/apply payments@0a1b2c3d4", "/apply payments@0A1B2C3D", "/apply payments@@0a1b2c3d",
	"/apply payments@0a1b2c3d@0a1b2c3d", "/apply payments @0a1b2c3d", "/apply payments@0a1b2c3d please", "/apply payments＠0a1b2c3d", "/apply payments@0a1b2c3\u0501",
	"/plan payments@0a1b2c3d", "/unlock payments@0a1b2c3d", "/apply payments@0a1b2c3d\n/apply",
	// Resolutions without a word or a reason.
	"/resolve", "/resolve payments", "/resolve payments applied", "/resolve payments applied ", "/resolve payments  applied x", "/resolve applied x", "/resolve payments retry x",
	"/resolve payments APPLIED x", "/resolve payments applied\tx", "/resolve payments applied x ", "/resolve payments applied x\ny", "/resolve payments applied \u00e9", "/resolve .. applied x",
	// Arguments for a program or a shell.
	"/plan -- -destroy", "/plan -destroy", "/plan --", "/plan -chdir=/", "/plan -var-file=/etc/passwd", "/plan -lock=false", "/plan -target=x",
	"/plan $(id)", "/plan a&&id", "/plan $CANARY", "/plan ${IFS}", "/plan a;id", "/plan a|id", "/plan `id`", "/plan 'a'", "/plan \"a\"", "/plan a\\b", "/plan a>b", "/plan *",
	"/plan ~", "/plan %2e%2e", "/plan a=b", "/plan {a,b}", "/plan #1", "/plan a\x00b",
	// Paths.
	"/plan ..", "/plan ../x", "/plan a/../b", "/plan /etc", "/plan a//b", "/plan a/", "/plan ./a", "/plan a/.",
	// Breaking the glass.
	"/break-glass", "/break-glass payments", "/break-glass payments ", "/break-glass payments  because", "/break-glass payments because ", "/break-glass payments@0123abc",
	"/break-glass payments@0123ABCD", "/break-glass payments@0123abcd because", "/break-glass payments be\u00a0cause", "/break-glass payments b\u0435cause", "/break-glass payments be\tcause",
	"/break-glass payments because\nof", "/break-glass ../x because", "/break-glass -x because", "/Break-Glass payments because", "/break\u2010glass payments because",
	"/break-glass a@b because", "/break-glass payments " + strings.Repeat("b", 200),
	// Malformed.
	"", "/", "//apply", "/ apply", "apply", "/unlock", "/unlock a b", "/cancel now", "/help me", "/apply/payments", "/plan" + strings.Repeat(" a", 100),
	"/plan " + strings.Repeat("a", 195), "/plan\xff", "/plan \xc3\x28",
}

// Covers: T14, T16
func TestParseCommandRefuses(t *testing.T) {
	t.Parallel()
	for _, body := range hostile {
		if cmd, ok, _ := github.ParseCommand(body); ok || cmd != (github.Command{}) {
			t.Errorf("%q became %+v", body, cmd)
		}
	}
}

func TestParseCommandHints(t *testing.T) {
	t.Parallel()
	for body, want := range map[string]bool{
		"/apply please now": true, "/Apply": true, " /plan": true, "/unlock": true, "/help!": true, "/apply\nthanks": true, "/plan -destroy": true,
		"hello": false, "/applying for a job": false, "/planned": false, "/plan-b is ready": false, "/etc/hosts": false, "": false, "see /apply": false, "/plan": false,
	} {
		if _, _, hint := github.ParseCommand(body); (hint != "") != want {
			t.Errorf("%q: hint %q", body, hint)
		}
	}
	if _, ok, _ := github.ParseCommand(github.Usage); ok {
		t.Error("the hint is a command itself")
	}
}

// Covers: T14, T16
func FuzzParseCommand(f *testing.F) {
	for _, body := range append(hostile, "/plan", "/apply payments\r\n", "/apply a@0a1b2c3d", "/unlock a", "/resolve a applied b c", "/help") {
		f.Add(body)
	}
	f.Fuzz(func(t *testing.T, body string) {
		cmd, ok, hint := github.ParseCommand(body)
		if !ok {
			if cmd != (github.Command{}) || (hint != "" && hint != github.Usage) {
				t.Errorf("%q: %+v, hint %q", body, cmd, hint)
			}
			return
		}
		line := cmd.String()
		if line != strings.TrimRight(body, "\r\n") || len(line) > 200 || strings.HasPrefix(cmd.Project, "-") {
			t.Errorf("%q became %+v", body, cmd)
		}
		for i := range len(line) {
			if line[i] < ' ' || line[i] > '~' {
				t.Errorf("%q holds the byte %#x", body, line[i])
			}
		}
	})
}
