package policies_test

import (
	"context"
	"os"
	"testing"

	"github.com/tollgate/tollgate/internal/gate"
)

// leastCoverage is how many percent of the lines of all policies their tests in Rego reach. `opa test
// --threshold` counts the tests' own lines as well.
const leastCoverage = 95

func TestCoverage(t *testing.T) {
	t.Parallel()
	src, err := gate.ReadWithTests("policies", os.DirFS("."))
	if err != nil {
		t.Fatal(err)
	}
	result, err := gate.Test(context.Background(), src)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range result.Failures {
		t.Errorf("%s:%d: %s failed: %s", f.File, f.Line, f.Name, f.Message)
	}
	if result.Passed == 0 || result.Coverage < leastCoverage {
		t.Errorf("%d tests reach %.1f %% of the lines; want %d %%", result.Passed, result.Coverage, leastCoverage)
		for _, f := range result.Files {
			if f.Uncovered > 0 {
				t.Logf("%s: %d of %d lines are not reached", f.File, f.Uncovered, f.Covered+f.Uncovered)
			}
		}
	}
}
