package policies_test

import (
	"cmp"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/tollgate/tollgate/internal/change"
	"github.com/tollgate/tollgate/internal/gate"
	"github.com/tollgate/tollgate/policies"
)

// docsDir holds a page for each rule, made of its METADATA, the parameters that it looks at, and the
// fixtures.
const docsDir = "../docs/policies"

// TestDocs holds the pages against the policies; `make docs` rewrites them.
func TestDocs(t *testing.T) {
	t.Parallel()
	want := pages(t)
	if *update {
		writeDocs(t, want)
	}
	got := map[string]string{}
	err := filepath.WalkDir(docsDir, func(file string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		rel, err := filepath.Rel(docsDir, file)
		if err != nil {
			return err
		}
		text, err := os.ReadFile(file)
		got[filepath.ToSlash(rel)] = string(text)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range slices.Sorted(maps.Keys(want)) {
		if diff := gocmp.Diff(want[name], got[name]); diff != "" {
			t.Errorf("docs/policies/%s is stale, run `make docs` (-want +got):\n%s", name, diff)
		}
	}
	for name := range got {
		if want[name] == "" {
			t.Errorf("docs/policies/%s is of no rule, run `make docs`", name)
		}
	}
}

func writeDocs(t *testing.T, pages map[string]string) {
	t.Helper()
	if err := os.RemoveAll(docsDir); err != nil {
		t.Fatal(err)
	}
	for name, text := range pages {
		file := filepath.Join(docsDir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// pages are all files of docsDir by name.
func pages(t *testing.T) map[string]string {
	t.Helper()
	src, err := gate.Read("built-in", policies.Files)
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]string{}
	index := page{}
	index.text("# Rules of the built-in policies", generated,
		"What is a finding, and what to write instead. How to read, set and write policies is in [policies/README.md](../../policies/README.md).")
	examples := newExamples(t)
	for _, g := range []struct{ name, title string }{{gate.ForSources, "Rules for code"}, {gate.ForPlans, "Rules for plans"}, {gate.ForApplies, "Rules for applies"}} {
		rules, err := gate.Rules(src, g.name)
		if err != nil {
			t.Fatal(err)
		}
		slices.SortStableFunc(rules, func(a, b change.Rule) int { return cmp.Or(cmp.Compare(a.Policy, b.Policy), cmp.Compare(a.ID, b.ID)) })
		index.text("## " + g.title)
		for _, r := range rules {
			if r.ID == "" && !slices.ContainsFunc(rules, func(other change.Rule) bool { return other.Policy == r.Policy && other.ID != "" }) {
				continue // a library
			}
			if r.ID == "" {
				index.text("### `"+r.Policy+"`: "+r.Title, r.Description, "| rule | what it asks for | |\n|---|---|---|")
				continue
			}
			index.WriteString(fmt.Sprintf("| [`%s`](%s) | %s | %s |\n", r.ID, pageName(r), cell(r.Title), cmp.Or(string(r.Severity), "deny")))
			out[pageName(r)] = rulePage(t, r, g.name, examples)
		}
	}
	out["README.md"] = index.String()
	return out
}

const generated = "<!-- Made by `make docs` of the policies. Do not edit. -->"

// pageName is where a rule's page is, relative to docsDir.
func pageName(r change.Rule) string {
	return path.Join(r.Policy[strings.LastIndexByte(r.Policy, '.')+1:], r.ID+".md")
}

// page is Markdown in paragraphs.
type page struct{ strings.Builder }

func (p *page) text(paragraphs ...string) {
	for _, s := range paragraphs {
		if s == "" {
			continue
		}
		if text := p.String(); text != "" && !strings.HasSuffix(text, "\n\n") {
			p.WriteByte('\n')
		}
		p.WriteString(strings.TrimSpace(s) + "\n")
	}
}

// cell is text in a table.
func cell(s string) string { return strings.ReplaceAll(oneLine(s), "|", `\|`) }

func rulePage(t *testing.T, r change.Rule, of string, examples *examples) string {
	t.Helper()
	p := &page{}
	p.text("# "+r.Title, generated)
	severity := cmp.Or(string(r.Severity), "deny")
	p.text(fmt.Sprintf("`%s/%s` · %s · [source](../../../policies/%s)", r.Policy, r.ID, severity, r.File))
	p.text(r.Description)
	if r.Remediation != "" {
		p.text("**What to write instead:** " + r.Remediation)
	}
	var refs []string
	for _, ref := range r.References {
		refs = append(refs, fmt.Sprintf("- [%s](%s)", cmp.Or(ref.Text, ref.URL), ref.URL))
	}
	if len(refs) > 0 {
		p.text("## References", strings.Join(refs, "\n"))
	}
	if of == gate.ForSources {
		p.text("## Refused", refusedExample(t, r), "## Settings", settingsForCode(r))
	}
	if of == gate.ForPlans {
		s := scopeOf(t, r)
		s.write(p, r)
		examples.write(p, r)
		p.text("## Settings", settings(r))
	}
	return p.String()
}

// refusedExample is the smallest case that only this rule refuses.
func refusedExample(t *testing.T, r change.Rule) string {
	t.Helper()
	best, size := "", 0
	for _, c := range hostileCases(t) {
		if len(c.want) != 1 || strings.Fields(c.want[0])[1] != r.ID {
			continue
		}
		_, place, _ := strings.Cut(c.want[0], r.ID+" ")
		file := place[:max(0, strings.LastIndexByte(place, ':'))]
		if text := c.head[file]; text != "" && (size == 0 || len(text) < size) {
			size = len(text)
			best = fmt.Sprintf("`%s` finds this at `%s`:\n\n```hcl\n%s\n```", r.ID, place, strings.TrimRight(text, "\n"))
		}
	}
	return best
}

func settingsForCode(r change.Rule) string {
	family := path.Base(path.Dir(r.File))
	return fmt.Sprintf("A finding of this rule %s: %s Parameters are in [`source/%s/parameters.yaml`](../../../policies/source/%s/parameters.yaml), of which an organisation can have its own. "+
		"A `levels` entry for `%s` in a file beside the rules, such as `source/%s/levels.yaml`, makes it a warning or a denial. No waiver covers it. "+
		"See [the source gate](../../../policies/README.md#the-source-gate).", map[bool]string{true: "is a warning", false: "keeps the code from being run"}[r.Severity == change.Warn],
		map[bool]string{true: "the code is run all the same.", false: "no process is started for the project."}[r.Severity == change.Warn], family, family, r.ID, family)
}

func settings(r change.Rule) string {
	family := path.Base(path.Dir(r.File))
	return fmt.Sprintf("A finding of this rule %s unless a `levels` entry for `%s` in a file beside the rules, such as `plan/%s/levels.yaml`, says otherwise. "+
		"In a resource that the plan does not touch it is a warning by default. One resource is excused by an entry for `%s/%s` in `policies/waivers.yaml`. "+
		"See [levels](../../../policies/README.md#levels).", map[bool]string{true: "is a warning", false: "blocks"}[r.Severity == change.Warn], r.ID, family, r.Policy, r.ID)
}
