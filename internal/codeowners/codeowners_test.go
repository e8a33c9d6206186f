package codeowners_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tollgate/tollgate/internal/codeowners"
)

const file = `# Everything is the team's, unless said otherwise.
*                 @acme/Platform
*.md              docs@example.com
/infra/           @Grace @acme/dba
/infra/*.txt
apps/             @linus
docs/*            @margaret
/build/logs/      @alan   # an inline comment
**/secret         @kurt
/a/**/z.tf        @emmy
`

// The last line that matches decides, by GitHub's rules.
// Covers: T27
func TestDecide(t *testing.T) {
	t.Parallel()
	for path, want := range map[string]struct {
		line   int
		owners string
	}{
		"main.tf":               {2, "@acme/platform"},
		"x/README.md":           {3, "docs@example.com"},
		"infra/main.tf":         {4, "@grace @acme/dba"},
		"infra/deep/er/main.tf": {4, "@grace @acme/dba"},
		"infra":                 {2, "@acme/platform"},
		"other/infra/main.tf":   {2, "@acme/platform"},
		"infra/note.txt":        {5, ""},
		"infra/deep/note.txt":   {4, "@grace @acme/dba"},
		"apps/x":                {6, "@linus"},
		"a/b/apps/x/y":          {6, "@linus"},
		"docs/a":                {7, "@margaret"},
		"docs/a/b":              {2, "@acme/platform"},
		"build/logs/x/y":        {8, "@alan"},
		"a/build/logs/x":        {2, "@acme/platform"},
		"a/b/secret":            {9, "@kurt"},
		"secret/deep":           {9, "@kurt"},
		"a/z.tf":                {10, "@emmy"},
		"a/b/c/z.tf":            {10, "@emmy"},
	} {
		rules, err := codeowners.Decide([]byte(file), []string{path})
		if err != nil || len(rules) != 1 {
			t.Fatalf("%s: %+v, %v", path, rules, err)
		}
		if got := rules[0]; got.Line != want.line || strings.Join(got.Owners, " ") != want.owners {
			t.Errorf("%s is decided by line %d, %v; want line %d, %q", path, got.Line, got.Owners, want.line, want.owners)
		}
	}
}

func TestDecideGroups(t *testing.T) {
	t.Parallel()
	got, err := codeowners.Decide([]byte("/a/ @x\n/b/ @y\n"), []string{"c", "b/2", "a/1", "b/1"})
	if err != nil {
		t.Fatal(err)
	}
	want := []codeowners.Rule{
		{Line: 1, Pattern: "/a/", Paths: []string{"a/1"}, Owners: []string{"@x"}},
		{Line: 2, Pattern: "/b/", Paths: []string{"b/1", "b/2"}, Owners: []string{"@y"}},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("rules (-want +got):\n%s", diff)
	}
}

// A file that cannot be relied upon decides nothing, rather than a part of it.
// Covers: T27
func TestDecideRefuses(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ text, path, words string }{
		"sound":                  {"/infra/ @grace\n", "infra/a.tf", ""},
		"a word that is no name": {"* @grace\n/infra/ grace\n", "infra/a.tf", "line 2"},
		"a negation":             {"* @grace\n!/infra/ @ada\n", "infra/a.tf", "line 2"},
		"a range":                {"/infr[ab]/ @ada\n", "infra/a.tf", "line 1"},
		"an escaped comment":     {"\\#a @ada\n", "infra/a.tf", "line 1"},
		"three stars":            {"/*** @ada\n", "infra/a.tf", "line 1"},
		"a line without an end":  {"* @grace\n/x " + strings.Repeat("@ada ", 20_000) + "\n/infra/ @ada\n", "infra/a.tf", "line 2"},
		"too large":              {strings.Repeat("# no more\n", 400_000), "infra/a.tf", "3 MiB"},
		"a line end in a name":   {"/infra/** @grace\n", "infra/a\nb.tf", "no pattern"},
	} {
		_, err := codeowners.Decide([]byte(c.text), []string{c.path})
		if (err == nil) != (c.words == "") || err != nil && !strings.Contains(err.Error(), c.words) {
			t.Errorf("%s: %v; want %q", name, err, c.words)
		}
	}
}
