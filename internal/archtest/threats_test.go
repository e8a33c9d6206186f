package archtest

import (
	"flag"
	"fmt"
	"go/ast"
	"maps"
	"os"
	"path"
	"regexp"
	"slices"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the tests of each threat into docs/threats.md")

const threatsFile = "../../docs/threats.md"

// row is a line of the table: id, what happens, tests.
var row = regexp.MustCompile(`^\| ([TR][0-9]{2}) \| (.+?) \| (.*) \|$`)

// TestEveryThreatNamesItsTests holds the table of docs/threats.md against what tests say that they cover.
func TestEveryThreatNamesItsTests(t *testing.T) {
	t.Parallel()
	packages, err := load(os.DirFS("../.."))
	if err != nil {
		t.Fatal(err)
	}
	covering := coverage(packages)
	text, err := os.ReadFile(threatsFile)
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for line := range strings.Lines(string(text)) {
		if m := row.FindStringSubmatch(strings.TrimRight(line, "\n")); m != nil {
			line = fmt.Sprintf("| %s | %s | %s |\n", m[1], m[2], cell(covering[m[1]]))
			delete(covering, m[1])
		}
		out = append(out, line)
	}
	for _, id := range slices.Sorted(maps.Keys(covering)) {
		t.Errorf("%s says that it covers %s, which docs/threats.md does not know", covering[id][0], id)
	}
	want := strings.Join(out, "")
	if *update {
		if err := os.WriteFile(threatsFile, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if want != string(text) {
		t.Error("docs/threats.md is out of date: make docs")
	}
}

// coverage lists the tests that cover each threat, as folder.Test.
func coverage(packages []source) map[string][]string {
	out := map[string][]string{}
	for _, p := range packages {
		for _, f := range p.files {
			if !f.test {
				continue
			}
			for _, d := range f.syntax.Decls {
				fn, ok := d.(*ast.FuncDecl)
				if !ok || fn.Doc == nil {
					continue
				}
				for line := range strings.Lines(fn.Doc.Text()) {
					ids, ok := strings.CutPrefix(strings.TrimSpace(line), "Covers: ")
					if !ok {
						continue
					}
					for id := range strings.SplitSeq(ids, ",") {
						id = strings.TrimSuffix(strings.TrimSpace(id), ".")
						if strings.HasPrefix(id, "O") {
							continue // oracles hold for every end-to-end test
						}
						out[id] = append(out[id], path.Base(p.path)+"."+fn.Name.Name)
					}
				}
			}
		}
	}
	return out
}

func cell(tests []string) string {
	if len(tests) == 0 {
		return "—"
	}
	slices.Sort(tests)
	return "`" + strings.Join(slices.Compact(tests), "`, `") + "`"
}
