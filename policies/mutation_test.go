package policies_test

import (
	"bytes"
	"cmp"
	"flag"
	"fmt"
	"hash/fnv"
	"maps"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/open-policy-agent/opa/v1/ast"

	"github.com/tollgate/tollgate/internal/change"
)

var allMutants = flag.Bool("mutants", false, "judge every mutant of the policies, not only a sample")

// oneIn says how many of the mutants are judged unless all are: as many as take about half a minute on
// a core.
const oneIn = 24

// leastShare is how many of the mutants a fixture must notice. What a rule says at all is strict; of
// the conditions on its way, many only keep other rules from being asked in vain.
const leastShare = 0.8

// A mutant is the set with one mistake in it. A mistake that no fixture shows could be made tomorrow.
type mutant struct {
	file   string
	line   int
	what   string // what was done, with the text that it was done to
	text   []byte // of the whole file
	strict bool   // it must be noticed: a rule that says no is silenced, or says it of everything else
}

func (m mutant) String() string { return fmt.Sprintf("%s:%d: %s", m.file, m.line, m.what) }

// key stays the same when lines move.
func (m mutant) key() string { return m.file + ": " + m.what }

// sampled reports whether the mutant is one of those that are always judged: the strict ones, and of
// the rest a part that depends on the text only.
func (m mutant) sampled() bool {
	h := fnv.New32a()
	h.Write([]byte(m.key()))
	return *allMutants || m.strict || h.Sum32()%oneIn == 0
}

var clause = regexp.MustCompile(`(?m)^(?:deny|warn|violation) contains [^\n]*if \{\n`)

// mutants are the clauses of a file that deny, silenced, and all conditions in it, negated and left
// out.
func mutants(t *testing.T, file string, text []byte) []mutant {
	t.Helper()
	var all []mutant
	add := func(at, end int, what, instead string, strict bool) {
		all = append(all, mutant{file, 1 + bytes.Count(text[:at], []byte("\n")), what, slices.Concat(text[:at], []byte(instead), text[end:]), strict})
	}
	for _, at := range clause.FindAllIndex(text, -1) {
		add(at[1], at[1], "silence "+string(text[at[0]:at[1]-1])+" "+firstLine(text[at[1]:]), "\tfalse\n", true)
	}
	m, err := ast.ParseModule(file, string(text))
	if err != nil {
		t.Fatal(err)
	}
	seen := map[int]bool{}
	saysNo := conditionsOfVerdicts(m)
	ast.WalkExprs(m, func(e *ast.Expr) bool {
		l := e.Location
		if _, some := e.Terms.(*ast.SomeDecl); some || e.IsAssignment() || l == nil || e.Generated || seen[l.Offset] {
			return false // without them, variables are missing
		}
		condition := string(l.Text)
		if string(text[l.Offset:l.Offset+len(condition)]) != condition || condition == "true" {
			return false
		}
		seen[l.Offset] = true
		negated := "not " + condition
		if e.Negated {
			negated = strings.TrimPrefix(condition, "not ")
		}
		if !e.IsEvery() {
			add(l.Offset, l.Offset+len(condition), "negate "+oneLine(condition), negated, saysNo[l.Offset])
		}
		add(l.Offset, l.Offset+len(condition), "leave out "+oneLine(condition), "true", false)
		return false
	})
	return all
}

// conditionsOfVerdicts are where the conditions of deny, warn and violation themselves stand.
func conditionsOfVerdicts(m *ast.Module) map[int]bool {
	at := map[int]bool{}
	for _, rule := range m.Rules {
		if name := rule.Head.Ref()[0].Value.String(); name == "deny" || name == "warn" || name == "violation" {
			for _, e := range rule.Body {
				at[e.Location.Offset] = true
			}
		}
	}
	return at
}

func firstLine(text []byte) string {
	line, _, _ := bytes.Cut(text, []byte("\n"))
	return strings.TrimSpace(string(line))
}

func oneLine(s string) string { return strings.Join(strings.Fields(s), " ") }

var library = regexp.MustCompile(`data\.plan\.lib\.(\w+)`)

// filesOf are the files that a family is judged by: its own and the libraries that they use.
func filesOf(family string, all map[string][]byte) map[string][]byte {
	used := map[string][]byte{}
	var add func(dir string)
	add = func(dir string) {
		for name, text := range all {
			if path.Dir(name) != dir || used[name] != nil {
				continue
			}
			used[name] = text
			for _, lib := range library.FindAllSubmatch(text, -1) {
				add("plan/lib/" + string(lib[1]))
			}
		}
	}
	add("plan/" + family)
	return used
}

// lab finds out which mutants are noticed.
type lab struct {
	families map[string][]fixture         // the small ones first: most mutants show in any
	files    map[string]map[string][]byte // by family
	want     map[fixture]string
}

func newLab(t *testing.T) *lab {
	t.Helper()
	l := &lab{families: map[string][]fixture{}, files: map[string]map[string][]byte{}, want: map[fixture]string{}}
	all := sources(t)
	size := map[fixture]int64{}
	for _, f := range fixtures(t) {
		info, err := os.Stat(filepath.Join(f.dir, "plan.json"))
		if err != nil {
			t.Fatal(err)
		}
		size[f] = info.Size()
		l.families[f.family] = append(l.families[f.family], f)
	}
	for family, fs := range l.families {
		slices.SortFunc(fs, func(a, b fixture) int { return cmp.Compare(size[a], size[b]) })
		l.files[family] = filesOf(family, all)
		s := newSuite(l.files[family])
		for _, f := range fs {
			l.want[f] = lines(s.mustJudge(t, f))
		}
	}
	return l
}

// lines are the findings of a fixture as its comments have them.
func lines(s []change.Finding) string {
	var out []string
	for _, f := range s {
		out = append(out, line(f))
	}
	slices.Sort(out)
	return strings.Join(out, "\n")
}

// notices reports whether a fixture is judged otherwise by the mutant, or if the mutant is none
// because it does not compile.
func (l *lab) notices(m mutant) (noticed, viable bool) {
	for family, files := range l.files {
		if files[m.file] == nil {
			continue
		}
		files = maps.Clone(files)
		files[m.file] = m.text
		s := newSuite(files)
		for _, f := range l.families[family] {
			if _, err := s.set(f); err != nil {
				return false, false
			}
			if got, err := s.judge(f); err != nil || lines(got) != l.want[f] {
				return true, true
			}
		}
	}
	return false, true
}

func TestMistakesAreNoticed(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	var all []mutant
	for name, text := range sources(t) {
		if strings.HasPrefix(name, "plan/") && path.Ext(name) == ".rego" {
			all = append(all, mutants(t, name, text)...)
		}
	}
	slices.SortStableFunc(all, func(a, b mutant) int { return cmp.Or(cmp.Compare(a.file, b.file), cmp.Compare(a.line, b.line)) })
	all = slices.DeleteFunc(all, func(m mutant) bool { return !m.sampled() })

	var mu sync.Mutex
	judged := 0
	unnoticed := map[string]bool{}
	var missed []string
	work := make(chan mutant)
	var wait sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		wait.Go(func() {
			for m := range work {
				noticed, viable := l.notices(m)
				mu.Lock()
				if viable {
					judged++
				}
				if viable && !noticed {
					unnoticed[m.key()] = true
					if equivalent[m.key()] == "" {
						missed = append(missed, m.String())
					}
					if equivalent[m.key()] == "" && m.strict {
						t.Errorf("no fixture notices %s", m)
					}
				}
				mu.Unlock()
			}
		})
	}
	for _, m := range all {
		work <- m
	}
	close(work)
	wait.Wait()
	slices.Sort(missed)
	share := 1 - float64(len(missed))/float64(max(judged, 1))
	t.Logf("%.1f %% of %d mutants are noticed or known to change nothing; not noticed:\n%s", 100*share, judged, strings.Join(missed, "\n"))
	if judged == 0 || share < leastShare {
		t.Errorf("less than %.0f %% of the mutants are noticed; add to the fixtures what shows them, or a reason to equivalent_test.go", 100*leastShare)
	}
	if *allMutants {
		for key := range equivalent {
			if !unnoticed[key] {
				t.Errorf("%s: this is listed as equivalent, but it is noticed, or it is there no more", key)
			}
		}
	}
}
