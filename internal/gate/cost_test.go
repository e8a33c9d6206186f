package gate_test

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"testing"

	"github.com/tollgate/tollgate/internal/bigplan"
	"github.com/tollgate/tollgate/internal/gate"
	"github.com/tollgate/tollgate/policies"
)

// Twice the plan takes twice the steps: no rule compares every resource with every other one. Each
// fixture of the policies is tried by itself, so that what grows faster in one family shows.
func TestCostOfTheBuiltInRulesGrowsLinearly(t *testing.T) {
	t.Parallel()
	set, err := gate.Load("built-in", policies.Files)
	if err != nil {
		t.Fatal(err)
	}
	seeds, err := filepath.Glob("../../policies/testdata/*/*/plan.json")
	if err != nil || len(seeds) == 0 {
		t.Fatalf("no fixtures: %v", err)
	}
	for _, file := range seeds {
		t.Run(filepath.Base(filepath.Dir(file)), func(t *testing.T) {
			t.Parallel()
			seed, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			once := steps(t, set, seed, 1)
			twice := steps(t, set, seed, 2)
			if growth := float64(twice) / float64(once); growth > 2.1 {
				t.Errorf("%s: %d steps for 5 copies, %d for 10, which is %.2f times as many: some rule looks at every resource for each resource", file, once, twice, growth)
			}
		})
	}
}

func TestQuadraticCostIsNoticed(t *testing.T) {
	t.Parallel()
	seed, err := os.ReadFile("../../policies/testdata/log_retention/groups/plan.json")
	if err != nil {
		t.Fatal(err)
	}
	for rule, quadratic := range map[string]bool{
		`deny contains r.address if some r in input.resource_changes`:                                                                              false,
		"deny contains r.address if {\n\tsome r in input.resource_changes\n\tsome other in input.resource_changes\n\tother.address < r.address\n}": true,
	} {
		set := mustLoad(t, map[string]string{"plan/x.rego": "package x\n\n" + rule + "\n"})
		growth := float64(steps(t, set, seed, 2)) / float64(steps(t, set, seed, 1))
		if (growth > 2.1) != quadratic {
			t.Errorf("%s\ngrows %.2f times", rule, growth)
		}
	}
}

// steps counts what judging 5 copies of the seed takes, or 10 if it is to be doubled.
func steps(t *testing.T, set *gate.Set, seed []byte, times int) int {
	t.Helper()
	var plan bytes.Buffer
	if err := bigplan.WriteCalls(&plan, times, seed); err != nil {
		t.Fatal(err)
	}
	read, err := gate.ReadPlan(&plan, set)
	if err != nil {
		t.Fatal(err)
	}
	n, err := set.Steps(context.Background(), read)
	if err != nil {
		t.Fatal(err)
	}
	return n
}
