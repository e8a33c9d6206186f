package gate

import (
	"cmp"
	"context"
	"errors"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/cover"
	"github.com/open-policy-agent/opa/v1/storage/inmem"
	"github.com/open-policy-agent/opa/v1/tester"

	"github.com/tollgate/tollgate/internal/fault"
)

const (
	// One test may take as long as the caller's context allows.
	testTimeout = 24 * time.Hour
	// longestMessage is how much of what a test prints is kept, in bytes.
	longestMessage = 2000
)

// TestResult is how the tests of a policy set ended.
type TestResult struct {
	Passed, Failed, Skipped int
	Failures                []TestFailure // by file and line
	Coverage                float64       // percent of the lines of all policies that the tests reached
	Files                   []Coverage    // by name, without the tests themselves
}

// TestFailure is one test that did not hold.
type TestFailure struct {
	Name    string // package and rule, such as plan.tls_test.test_listener
	File    string
	Line    int    // 1-based
	Message string // what went wrong, or what the test printed; may be empty
}

// Coverage is what the tests reached of one policy file.
type Coverage struct {
	File               string
	Covered, Uncovered int // lines that can be reached
}

// Test runs the tests of a set that ReadWithTests has read, as "opa test" does, but with the built-ins
// that a policy may call here. A test that fails is no error; one is a set that does not compile and
// the end of ctx. A library's tests run once, though all gates use it.
func Test(ctx context.Context, src *Source) (TestResult, error) {
	parsed, err := src.parse(func(file string) bool { return file != waiversFile })
	if err != nil {
		return TestResult{}, err
	}
	var result TestResult
	reached := cover.New()
	ran := map[string]bool{}
	for _, gate := range []string{ForSources, ForPlans, ForApplies} {
		if !src.Judges(gate) {
			continue
		}
		if err := runTests(ctx, parsed, gate, reached, func(r *tester.Result) {
			if id := r.Location.File + " " + r.Package + "." + r.Name; !ran[id] {
				ran[id] = true
				result.add(r)
			}
		}); err != nil {
			return TestResult{}, err
		}
	}
	if !src.Judges(ForSources) && !src.Judges(ForPlans) && !src.Judges(ForApplies) {
		return TestResult{}, noPolicy(src.Name)
	}
	slices.SortFunc(result.Failures, func(a, b TestFailure) int {
		return cmp.Or(cmp.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line), cmp.Compare(a.Name, b.Name))
	})
	result.cover(reached.Report(parsed.modules))
	return result, nil
}

func runTests(ctx context.Context, src *sources, gate string, reached *cover.Cover, each func(*tester.Result)) error {
	data, err := mountWithTestData(src.name, visible(src.data, gate))
	if err != nil {
		return err
	}
	store := inmem.NewFromObjectWithOpts(data, inmem.OptRoundTripOnWrite(false), inmem.OptReturnASTValuesOnRead(true))
	txn, err := store.NewTransaction(ctx)
	if err != nil {
		return unusable(src.name, gate, "cannot be tested", err)
	}
	defer store.Abort(ctx, txn)
	results, err := tester.NewRunner().
		SetCompiler(ast.NewCompiler().WithCapabilities(capabilities()).WithEnablePrintStatements(true)).
		SetStore(store).
		SetModules(visible(src.modules, gate)).
		SetCoverageQueryTracer(reached).
		SetCoverageRuns(nil).
		RaiseBuiltinErrors(true).
		SetTimeout(testTimeout).
		RunTests(ctx, txn)
	var errs ast.Errors
	if errors.As(err, &errs) {
		return uncompilable(src.name, errs)
	}
	if err != nil {
		return unusable(src.name, gate, "cannot be tested", err)
	}
	for r := range results {
		each(r)
	}
	if ctx.Err() != nil {
		return fault.Wrap(ctx.Err(), "The tests of the policies "+src.name+" were not done in time.",
			"What was tested in part says nothing.", "Look for a test that loops over everything.")
	}
	return nil
}

// mountWithTestData is mount, but leaves out test data that has no place of its own: folders of
// fixtures also hold what no test of a policy reads.
func mountWithTestData(name string, files map[string]any) (map[string]any, error) {
	own := maps.Clone(files)
	maps.DeleteFunc(own, func(file string, _ any) bool { return isTest(file) })
	root, err := mount(name, own)
	if err != nil {
		return nil, err
	}
	for _, file := range keys(files) {
		if isTest(file) {
			_, _ = place(root, file, files[file])
		}
	}
	return root, nil
}

func (t *TestResult) add(r *tester.Result) {
	switch {
	case r.Skip:
		t.Skipped++
	case r.Pass():
		t.Passed++
	default:
		t.Failed++
		message := strings.TrimSpace(string(r.Output))
		if r.Error != nil {
			message = r.Error.Error()
		}
		t.Failures = append(t.Failures, TestFailure{
			Name: strings.TrimPrefix(r.Package, "data.") + "." + r.Name,
			File: r.Location.File, Line: r.Location.Row, Message: strings.ToValidUTF8(message[:min(len(message), longestMessage)], "�"),
		})
	}
}

func (t *TestResult) cover(report cover.Report) {
	covered, all := 0, 0
	for _, file := range keys(report.Files) {
		if isTest(file) {
			continue
		}
		f := report.Files[file]
		t.Files = append(t.Files, Coverage{File: file, Covered: f.CoveredLines, Uncovered: f.NotCoveredLines})
		covered, all = covered+f.CoveredLines, all+f.CoveredLines+f.NotCoveredLines
	}
	if all > 0 {
		t.Coverage = 100 * float64(covered) / float64(all)
	}
}
