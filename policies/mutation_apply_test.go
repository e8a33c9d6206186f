package policies_test

import (
	"context"
	"io/fs"
	"os"
	"path"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/fstest"

	"github.com/tollgate/tollgate/internal/gate"
)

// silenced are the parts of a file of the gate for applies that say no: each of these clauses adds to
// a set that denies.
var silenced = regexp.MustCompile(`(?m)^(?:deny|faults|missing|obstacles|requirements|objectors|frozen|makers|pushers|hands|needed) contains [^\n]* if \{\n`)

// noticedByTests reports whether a test in Rego fails with the mutant, or if the mutant is none because
// it does not compile.
func noticedByTests(t *testing.T, files fstest.MapFS, m mutant) (noticed, viable bool) {
	t.Helper()
	mutated := fstest.MapFS{}
	for name, f := range files {
		mutated[name] = f
	}
	mutated[m.file] = &fstest.MapFile{Data: m.text}
	src, err := gate.ReadWithTests("built-in", mutated)
	if err != nil {
		return false, false
	}
	result, err := gate.Test(context.Background(), src)
	if err != nil {
		return false, false
	}
	return result.Failed > 0, true
}

// A gate for applies that says no less than it did would let through what nobody approved.
func TestMistakesInTheGateForAppliesAreNoticed(t *testing.T) {
	t.Parallel()
	files := fstest.MapFS{}
	var all []mutant
	err := fs.WalkDir(os.DirFS("."), "apply", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || path.Ext(name) != ".rego" {
			return err
		}
		text, err := os.ReadFile(name)
		files[name] = &fstest.MapFile{Data: text}
		if err != nil || strings.HasSuffix(name, "_test.rego") {
			return err
		}
		for _, at := range silenced.FindAllIndex(text, -1) {
			all = append(all, mutant{name, 1 + strings.Count(string(text[:at[0]]), "\n"), "silence " + firstLine(text[at[0]:]) + " " + firstLine(text[at[1]:]),
				slices.Concat(text[:at[1]], []byte("\tfalse\n"), text[at[1]:]), true})
		}
		all = append(all, slices.DeleteFunc(mutants(t, name, text), func(m mutant) bool { return strings.HasPrefix(m.what, "silence") || !m.sampled() })...)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	judged := 0
	var missed []string
	work := make(chan mutant)
	var wait sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		wait.Go(func() {
			for m := range work {
				noticed, viable := noticedByTests(t, files, m)
				mu.Lock()
				if viable {
					judged++
				}
				if viable && !noticed && equivalent[m.key()] == "" {
					missed = append(missed, m.String())
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
	t.Logf("%d mutants of the gate for applies, %d of them not noticed", judged, len(missed))
	if judged < 60 {
		t.Errorf("only %d mutants were judged", judged)
	}
	for _, m := range missed {
		t.Errorf("no test notices %s", m)
	}
}
