package policies_test

import (
	"bytes"
	"cmp"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"

	"github.com/tollgate/tollgate/internal/change"
)

// An example is a finding of a fixture with the code of the resource.
type example struct {
	change.Finding
	code string
}

// examples are the findings of all fixtures whose resource stands in the root module, by rule.
type examples struct{ of map[string][]example }

func newExamples(t *testing.T) *examples {
	t.Helper()
	all := &examples{of: map[string][]example{}}
	built := newSuite(sources(t))
	for _, f := range fixtures(t) {
		blocks := resourceBlocks(t, f.dir)
		for _, found := range built.mustJudge(t, f) {
			code := blocks[found.Address[:cmp.Or(max(strings.IndexByte(found.Address, '['), 0), len(found.Address))]]
			if code != "" {
				key := found.Policy + "/" + found.Rule
				all.of[key] = append(all.of[key], example{found, code})
			}
		}
	}
	return all
}

var remark = regexp.MustCompile(`(?m)^\s*# want: .*\n`)

// resourceBlocks is the code of the resources in the files of a directory, by type and name.
func resourceBlocks(t *testing.T, dir string) map[string]string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*.tf"))
	if err != nil {
		t.Fatal(err)
	}
	blocks := map[string]string{}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		parsed, diagnostics := hclsyntax.ParseConfig(text, file, hcl.InitialPos)
		if diagnostics.HasErrors() {
			t.Fatal(diagnostics)
		}
		for _, b := range parsed.Body.(*hclsyntax.Body).Blocks {
			if b.Type == "resource" {
				code := remark.ReplaceAll(text[b.Range().Start.Byte:b.Body.Range().End.Byte], nil)
				blocks[strings.Join(b.Labels, ".")] = string(bytes.TrimSpace(code))
			}
		}
	}
	return blocks
}

// shortest is the example with the least code that keep accepts.
func (e *examples) shortest(r change.Rule, keep func(example) bool) (example, bool) {
	var kept []example
	for _, x := range e.of[r.Policy+"/"+r.ID] {
		if keep(x) {
			kept = append(kept, x)
		}
	}
	if len(kept) == 0 {
		return example{}, false
	}
	return slices.MinFunc(kept, func(a, b example) int {
		return cmp.Or(cmp.Compare(indirect(a.code), indirect(b.code)), cmp.Compare(len(a.code), len(b.code)), cmp.Compare(a.code, b.code), cmp.Compare(a.Message, b.Message))
	}), true
}

// mended is what passes: best a resource of the same type that sets the attribute.
func (e *examples) mended(r change.Rule, bad example) (example, bool) {
	kind, _, _ := strings.Cut(bad.Address, ".")
	attribute := bad.Attribute
	if i := strings.IndexAny(attribute, ".["); i >= 0 {
		attribute = attribute[:i]
	}
	passes := func(x example) bool { return x.Verdict == change.Pass }
	alike := func(x example) bool { return passes(x) && strings.HasPrefix(x.Address, kind+".") }
	sets := func(x example) bool { return alike(x) && strings.Contains(x.code, attribute) }
	for _, keep := range []func(example) bool{sets, alike, passes} {
		if good, ok := e.shortest(r, keep); ok {
			return good, true
		}
	}
	return example{}, false
}

// indirect is 1 for code whose values stand elsewhere, which explains less.
func indirect(code string) int {
	if strings.Contains(code, "each.") || strings.Contains(code, "count.index") || strings.Contains(code, "var.") || strings.Contains(code, "local.") {
		return 1
	}
	return 0
}

// write shows what is found, what cannot be told yet, and what passes.
func (e *examples) write(p *page, r change.Rule) {
	bad, ok := e.shortest(r, func(x example) bool { return x.Verdict == change.Fail })
	if !ok {
		return
	}
	p.text("## Example", "```hcl\n"+bad.code+"\n```", said(bad))
	if good, ok := e.mended(r, bad); ok {
		p.text("This passes:", "```hcl\n"+good.code+"\n```")
	}
	if open, ok := e.shortest(r, func(x example) bool { return x.Verdict == change.Undetermined }); ok {
		p.text("This is undetermined before the apply:", "```hcl\n"+open.code+"\n```", said(open))
	}
}

func said(x example) string {
	at := x.Address
	if x.Attribute != "" {
		at += ", " + x.Attribute
	}
	s := fmt.Sprintf("> %s\n>\n> `%s`", oneLine(x.Message), at)
	if x.Remediation != "" {
		s += "\n>\n> Instead: " + oneLine(x.Remediation)
	}
	return s
}
