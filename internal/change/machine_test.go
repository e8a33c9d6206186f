package change

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
)

// machine is what machine.go says of one type of state, in its code and in its comment.
type machine struct {
	states  []string // the declared constants, sorted
	diagram []string // the indented lines of the type's comment
}

// machines reads machine.go.
func machines(t *testing.T) map[string]*machine {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), "machine.go", nil, parser.ParseComments)
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]*machine{"RunState": {}, "ExecutionState": {}}
	for _, decl := range file.Decls {
		gen, _ := decl.(*ast.GenDecl)
		if gen == nil {
			continue
		}
		for _, spec := range gen.Specs {
			switch s := spec.(type) {
			case *ast.TypeSpec:
				found[s.Name.Name].diagram = indented(gen.Doc)
			case *ast.ValueSpec:
				if of, _ := s.Type.(*ast.Ident); of != nil {
					found[of.Name].states = append(found[of.Name].states, strings.Trim(s.Values[0].(*ast.BasicLit).Value, `"`))
				}
			}
		}
	}
	for _, m := range found {
		slices.Sort(m.states)
	}
	return found
}

func indented(doc *ast.CommentGroup) []string {
	var lines []string
	for _, c := range doc.List {
		if line, ok := strings.CutPrefix(c.Text, "//\t"); ok {
			lines = append(lines, line)
		}
	}
	return lines
}

// table is a table of the code in the form in which a diagram is read.
func table[S ~string](next map[S][]S) map[string][]string {
	out := map[string][]string{}
	for from, to := range next {
		for _, s := range to {
			out[string(from)] = append(out[string(from)], string(s))
		}
		slices.Sort(out[string(from)])
	}
	return out
}

func TestDiagramsShowTheTables(t *testing.T) {
	t.Parallel()
	found := machines(t)
	for name, want := range map[string]map[string][]string{"RunState": table(runNext), "ExecutionState": table(execNext)} {
		d := diagram{lines: found[name].diagram}
		got, err := d.edges()
		if err != nil {
			t.Fatalf("the diagram of %s: %v", name, err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("the diagram of %s differs from its table (-table +diagram):\n%s", name, diff)
		}
		if diff := cmp.Diff(found[name].states, d.states()); diff != "" {
			t.Errorf("the diagram of %s differs from its constants (-constants +diagram):\n%s", name, diff)
		}
	}
}

func TestDiagram(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		lines []string
		want  map[string][]string
		err   string
	}{
		"a row": {
			lines: []string{"a ──▶ b ──▶ c | d"},
			want:  map[string][]string{"a": {"b"}, "b": {"c", "d"}},
		},
		"branches that join": {
			lines: []string{
				"a ──▶ b",
				"│     │",
				"└─────┴──▶ c",
			},
			want: map[string][]string{"a": {"b", "c"}, "b": {"c"}},
		},
		"down": {
			lines: []string{
				"aa ──▶ bb",
				" │      │",
				" ▼      ▼",
				"cc     dd | ee",
			},
			want: map[string][]string{"aa": {"bb", "cc"}, "bb": {"dd", "ee"}},
		},
		"an arrow from nowhere": {
			lines: []string{"a", "   ──▶ b"},
			err:   "line 2, column 4: leads to no state",
		},
		"an arrow to nowhere": {
			lines: []string{"a ──▶"},
			err:   "line 1, column 5: leads to no state",
		},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := diagram{lines: c.lines}
			got, err := d.edges()
			if c.err != "" {
				if err == nil || err.Error() != c.err {
					t.Fatalf("error = %v, want %q", err, c.err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("edges (-want +got):\n%s", diff)
			}
		})
	}
}

// diagram is a drawing of states and arrows. Lines that touch are one arrow, from every state that
// it begins at to every state of the lists, such as "a | b", that its heads point to.
type diagram struct{ lines []string }

type cell struct{ row, col int }

func (c cell) plus(d cell) cell { return cell{c.row + d.row, c.col + d.col} }
func (c cell) turned() cell     { return cell{-c.row, -c.col} }

var (
	left, right = cell{0, -1}, cell{0, 1}
	up, down    = cell{-1, 0}, cell{1, 0}
)

// strokes are the directions in which each character goes on.
var strokes = map[rune][]cell{'─': {left, right}, '│': {up, down}, '└': {up, right}, '┘': {up, left},
	'┴': {left, right, up}, '├': {up, down, right}, '▶': {left, right}, '▼': {up, down}}

func (d diagram) at(c cell) rune {
	if c.row < 0 || c.row >= len(d.lines) {
		return ' '
	}
	if line := []rune(d.lines[c.row]); c.col >= 0 && c.col < len(line) {
		return line[c.col]
	}
	return ' '
}

var (
	word = regexp.MustCompile(`[a-z_]+`)
	list = regexp.MustCompile(`[a-z_]+( \| [a-z_]+)*`)
)

// covering returns the match of a pattern that covers a cell, or "".
func (d diagram) covering(p *regexp.Regexp, c cell) string {
	if c.row < 0 || c.row >= len(d.lines) {
		return ""
	}
	line := d.lines[c.row]
	for _, m := range p.FindAllStringIndex(line, -1) {
		start := utf8.RuneCountInString(line[:m[0]])
		if c.col >= start && c.col < start+m[1]-m[0] {
			return line[m[0]:m[1]]
		}
	}
	return ""
}

func (d diagram) states() []string {
	seen := map[string]bool{}
	for _, line := range d.lines {
		for _, s := range word.FindAllString(line, -1) {
			seen[s] = true
		}
	}
	return slices.Sorted(maps.Keys(seen))
}

func (d diagram) edges() (map[string][]string, error) {
	out, seen := map[string][]string{}, map[cell]bool{}
	for row, line := range d.lines {
		for col := range []rune(line) {
			c := cell{row, col}
			if strokes[d.at(c)] == nil || seen[c] {
				continue
			}
			a := arrow{}
			if err := d.follow(c, seen, &a); err != nil {
				return nil, err
			}
			for _, from := range a.from {
				out[from] = append(out[from], a.to...)
			}
		}
	}
	for from := range out {
		slices.Sort(out[from])
	}
	return out, nil
}

type arrow struct{ from, to []string }

// follow walks over all cells that are joined to c.
func (d diagram) follow(c cell, seen map[cell]bool, a *arrow) error {
	seen[c] = true
	for _, dir := range strokes[d.at(c)] {
		next := c.plus(dir)
		if slices.Contains(strokes[d.at(next)], dir.turned()) {
			if seen[next] {
				continue
			}
			if err := d.follow(next, seen, a); err != nil {
				return err
			}
			continue
		}
		if dir.row == 0 {
			next = next.plus(dir) // beside a word there is a space
		}
		head := d.at(c) == '▶' && dir == right || d.at(c) == '▼' && dir == down
		switch state, states := d.covering(word, next), d.covering(list, next); {
		case state == "":
			return fmt.Errorf("line %d, column %d: leads to no state", c.row+1, c.col+1)
		case head:
			a.to = append(a.to, strings.Split(states, " | ")...)
		default:
			a.from = append(a.from, state)
		}
	}
	return nil
}

func TestOnlyTheStepsOfTheTableAreAllowed(t *testing.T) {
	t.Parallel()
	found := machines(t)
	everyStep(t, found["RunState"].states, runNext, CheckRun)
	everyStep(t, found["ExecutionState"].states, execNext, CheckExecution)
}

func everyStep[S ~string](t *testing.T, states []string, next map[S][]S, check func(from, to S) error) {
	t.Helper()
	for _, from := range append(states, "unheard_of", "") {
		for _, to := range append(states, "unheard_of", "") {
			err := check(S(from), S(to))
			if allowed := slices.Contains(next[S(from)], S(to)); allowed != (err == nil) {
				t.Errorf("from %q to %q: error = %v, in the table: %v", from, to, err, allowed)
			}
		}
	}
}

func TestARefusedStepIsNamed(t *testing.T) {
	t.Parallel()
	for want, err := range map[string]error{
		"run cannot go from passed to running":             CheckRun(RunPassed, RunRunning),
		"execution cannot go from unknown to applied":      CheckExecution(ExecUnknown, ExecApplied),
		"execution cannot go from authorised to running":   CheckExecution(ExecAuthorised, ExecRunning),
		"execution cannot go from failed_clean to claimed": CheckExecution(ExecFailedClean, ExecClaimed),
	} {
		if err == nil || err.Error() != want {
			t.Errorf("error = %v, want %q", err, want)
		}
	}
}

func TestDone(t *testing.T) {
	t.Parallel()
	for state, want := range map[RunState]bool{RunQueued: false, RunRunning: false, RunPassed: true, RunFailed: true,
		RunErrored: true, RunCancelled: true, RunSuperseded: true} {
		if state.Done() != want {
			t.Errorf("a run that is %s: Done() = %v", state, !want)
		}
	}
	for state, want := range map[ExecutionState]bool{ExecPlanned: false, ExecAuthorised: false, ExecClaimed: false, ExecRunning: false,
		ExecApplied: true, ExecFailedClean: true, ExecFailedPartial: true, ExecUnknown: true} {
		if state.Done() != want {
			t.Errorf("an execution that is %s: Done() = %v", state, !want)
		}
	}
}
