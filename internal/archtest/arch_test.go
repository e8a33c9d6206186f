package archtest

import (
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"
)

func TestTheSourceKeepsToTheTable(t *testing.T) {
	t.Parallel()
	packages, err := load(os.DirFS("../.."))
	if err != nil {
		t.Fatal(err)
	}
	if len(packages) < 5 {
		t.Fatalf("only %d packages found: looking in the wrong place", len(packages))
	}
	for _, fault := range violations(packages) {
		t.Error(fault)
	}
}

// violations returns every breach of the rules as a sentence.
func violations(packages []source) []string {
	var faults []string
	for _, p := range packages {
		place, known := rooms[p.path]
		if !known {
			faults = append(faults, fmt.Sprintf("%s: unknown package: give it a ring in internal/archtest/table_test.go", p.path))
			continue
		}
		if !p.documented() {
			faults = append(faults, p.path+": no package comment: say in one sentence what it is for")
		}
		for _, f := range p.files {
			if stranger := strangerOf(p.path); stranger != "" {
				faults = append(faults, strangeFaults(stranger, f)...)
			}
			if !f.test {
				faults = append(faults, inwardFaults(p.path, place, f)...)
			}
			if f.test {
				faults = append(faults, testFaults(f)...)
			} else {
				faults = append(faults, shippedFaults(p.path, f)...)
			}
		}
	}
	return faults
}

func (p source) documented() bool {
	return slices.ContainsFunc(p.files, func(f file) bool { return !f.test && f.syntax.Doc != nil })
}

// inwardFaults holds the imports among our own packages against the rings.
func inwardFaults(self string, place room, f file) []string {
	var faults []string
	for _, imported := range f.imports() {
		target, ours := strings.CutPrefix(imported, module)
		if !ours || target == self {
			continue
		}
		if rooms[target].ring >= place.ring && !slices.Contains(place.may, target) {
			faults = append(faults, fmt.Sprintf("%s: imports %s, which is not in a lower ring", f.name, target))
		}
	}
	return faults
}

// strangerOf returns the stranger in whose folder the package lies, or nothing.
func strangerOf(self string) string {
	for _, s := range strangers {
		if within(self, s) {
			return s
		}
	}
	return ""
}

func within(path, folder string) bool {
	return path == folder || strings.HasPrefix(path, folder+"/")
}

func strangeFaults(stranger string, f file) []string {
	var faults []string
	for _, imported := range f.imports() {
		if target, ours := strings.CutPrefix(imported, module); ours && !within(target, stranger) {
			faults = append(faults, fmt.Sprintf("%s: imports %s, but %s must import nothing of ours", f.name, target, stranger))
		}
	}
	return faults
}

// shippedFaults looks at what only tests and programs may do.
func shippedFaults(self string, f file) []string {
	var faults []string
	for _, imported := range f.imports() {
		for _, library := range slices.Sorted(maps.Keys(owners)) {
			may := owners[library]
			if within(imported, library) && !slices.Contains(may, self) {
				faults = append(faults, fmt.Sprintf("%s: imports %s, which %s", f.name, imported, reserved(may)))
			}
		}
	}
	for _, name := range []string{"Getenv", "LookupEnv", "Environ", "ExpandEnv"} {
		if f.uses("os", name) && !slices.Contains(readsEnvironment, self) {
			faults = append(faults, fmt.Sprintf("%s: os.%s: settings come in as parameters", f.name, name))
		}
	}
	if f.hasInit() {
		faults = append(faults, f.name+": an init function: nothing may happen before main asks for it")
	}
	return faults
}

func reserved(may []string) string {
	if len(may) == 0 {
		return "only tests may import"
	}
	return "only " + strings.Join(may, ", ") + " may import"
}

// testFaults refuses what makes a test pass without having looked, or fail on a slow machine.
func testFaults(f file) []string {
	var faults []string
	for _, name := range []string{"Skip", "Skipf", "SkipNow"} {
		if f.uses("t", name) || f.uses("b", name) {
			faults = append(faults, fmt.Sprintf("%s: %s: a test that lacks something fails and says what", f.name, name))
		}
	}
	// In a bubble of synctest, time is not waited for.
	if f.uses("time", "Sleep") && !slices.Contains(f.imports(), "testing/synctest") {
		faults = append(faults, f.name+": time.Sleep in a test: wait for the event instead")
	}
	return faults
}

func TestViolations(t *testing.T) {
	t.Parallel()
	const fault = "// Package fault is documented.\npackage fault\n"
	cases := map[string]struct {
		files map[string]string
		want  []string
	}{
		"a lower ring": {
			files: map[string]string{"internal/gate/a.go": "// Package gate is.\npackage gate\nimport _ \"" + module + "internal/fault\"\n"},
		},
		"an adapter imports an adapter": {
			files: map[string]string{"internal/gate/a.go": "// Package gate is.\npackage gate\nimport _ \"" + module + "internal/store\"\n"},
			want:  []string{"internal/gate/a.go: imports internal/store, which is not in a lower ring"},
		},
		"an exception of the ring": {
			files: map[string]string{"internal/store/sqlite/a.go": "// Package sqlite is.\npackage sqlite\nimport _ \"" + module + "internal/store\"\n"},
		},
		"a higher ring": {
			files: map[string]string{"internal/change/a.go": "// Package change is.\npackage change\nimport _ \"" + module + "internal/engine\"\n"},
			want:  []string{"internal/change/a.go: imports internal/engine, which is not in a lower ring"},
		},
		"a test looks up": {
			files: map[string]string{
				"internal/gate/a.go":      "// Package gate is.\npackage gate\n",
				"internal/gate/a_test.go": "package gate_test\nimport _ \"" + module + "internal/engine\"\n",
			},
		},
		"the witness shares code with the watched, in its test": {
			files: map[string]string{
				"internal/ghsim/a.go":      "// Package ghsim is.\npackage ghsim\n",
				"internal/ghsim/a_test.go": "package ghsim_test\nimport _ \"" + module + "internal/fault\"\n",
			},
			want: []string{"internal/ghsim/a_test.go: imports internal/fault, but internal/ghsim must import nothing of ours"},
		},
		"the witness imports from its own folder": {
			files: map[string]string{
				"internal/ghsim/a.go":          "// Package ghsim is.\npackage ghsim\n",
				"internal/ghsim/a_test.go":     "package ghsim_test\nimport _ \"" + module + "internal/ghsim/contract\"\n",
				"internal/ghsim/contract/a.go": "// Package contract is.\npackage contract\nimport _ \"" + module + "internal/ghsim\"\n",
			},
		},
		"the owner imports its library": {
			files: map[string]string{"internal/github/a.go": "// Package github is.\npackage github\nimport _ \"github.com/google/go-github/v60/github\"\n"},
		},
		"another imports it": {
			files: map[string]string{"internal/engine/a.go": "// Package engine is.\npackage engine\nimport _ \"github.com/google/go-github/v60/github\"\n"},
			want:  []string{"internal/engine/a.go: imports github.com/google/go-github/v60/github, which only internal/github may import"},
		},
		"an unknown package": {
			files: map[string]string{"internal/misc/a.go": "// Package misc is.\npackage misc\n"},
			want:  []string{"internal/misc: unknown package: give it a ring in internal/archtest/table_test.go"},
		},
		"no package comment": {
			files: map[string]string{"internal/gate/a.go": "package gate\n"},
			want:  []string{"internal/gate: no package comment: say in one sentence what it is for"},
		},
		"the environment": {
			files: map[string]string{"internal/gate/a.go": "// Package gate is.\npackage gate\nimport \"os\"\nvar home = os.Getenv(\"HOME\")\n"},
			want:  []string{"internal/gate/a.go: os.Getenv: settings come in as parameters"},
		},
		"the environment, where it is read": {
			files: map[string]string{"cmd/bot/a.go": "// Command bot is.\npackage main\nimport \"os\"\nvar home = os.Getenv(\"HOME\")\n"},
		},
		"an init function": {
			files: map[string]string{"internal/gate/a.go": "// Package gate is.\npackage gate\nfunc init() {}\n"},
			want:  []string{"internal/gate/a.go: an init function: nothing may happen before main asks for it"},
		},
		"a method called init": {
			files: map[string]string{"internal/gate/a.go": "// Package gate is.\npackage gate\ntype g int\nfunc (g) init() {}\n"},
		},
		"a test that looks away": {
			files: map[string]string{
				"internal/gate/a.go":      "// Package gate is.\npackage gate\n",
				"internal/gate/a_test.go": "package gate\nimport \"testing\"\nfunc TestX(t *testing.T) { t.Skip() }\n",
			},
			want: []string{"internal/gate/a_test.go: Skip: a test that lacks something fails and says what"},
		},
		"a test that sleeps": {
			files: map[string]string{
				"internal/gate/a.go":      "// Package gate is.\npackage gate\n",
				"internal/gate/a_test.go": "package gate\nimport \"time\"\nfunc wait() { time.Sleep(1) }\n",
			},
			want: []string{"internal/gate/a_test.go: time.Sleep in a test: wait for the event instead"},
		},
		"a test that sleeps in a bubble": {
			files: map[string]string{
				"internal/gate/a.go":      "// Package gate is.\npackage gate\n",
				"internal/gate/a_test.go": "package gate\nimport (\n\"testing/synctest\"\n\"time\"\n)\nfunc wait() { synctest.Wait(); time.Sleep(1) }\n",
			},
		},
		"a program that is only run by hand": {
			files: map[string]string{
				"internal/gate/a.go":   "// Package gate is.\npackage gate\n",
				"internal/gate/gen.go": "//go:build ignore\n\npackage main\nimport _ \"flag\"\n",
			},
		},
		"other modules and test data don't count": {
			files: map[string]string{"tools/go.mod": "module x\n", "tools/a.go": "package tools\n", "internal/fault/testdata/a.go": "package x\n"},
		},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tree := fstest.MapFS{"internal/fault/fault.go": {Data: []byte(fault)}}
			for file, text := range c.files {
				tree[file] = &fstest.MapFile{Data: []byte(text)}
			}
			packages, err := load(tree)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(c.want, violations(packages)); diff != "" {
				t.Errorf("violations (-want +got):\n%s", diff)
			}
		})
	}
}
