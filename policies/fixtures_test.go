package policies_test

import (
	"context"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tollgate/tollgate/internal/change"
	"github.com/tollgate/tollgate/internal/gate"
	"github.com/tollgate/tollgate/policies"
)

// A fixture is a folder testdata/FAMILY/CASE with Terraform code and the plan that Terraform made of
// it. Comments in the code say what the family must find, everything and nothing else:
//
//	# want: fail(warn) rule address attribute
//
// In the parentheses stands warn for a finding that does not block and no-op for a resource that the
// plan does not touch.
type fixture struct {
	family string
	dir    string
}

func fixtures(t *testing.T) []fixture {
	t.Helper()
	plans, err := filepath.Glob("testdata/*/*/plan.json")
	if err != nil || len(plans) == 0 {
		t.Fatalf("no fixtures: %v", err)
	}
	var all []fixture
	for _, plan := range plans {
		dir := filepath.Dir(plan)
		all = append(all, fixture{family: filepath.Base(filepath.Dir(dir)), dir: dir})
	}
	return all
}

var wantComment = regexp.MustCompile(`(?m)^\s*# want: (.+)$`)

func (f fixture) want(t *testing.T) []string {
	t.Helper()
	var want []string
	err := filepath.WalkDir(f.dir, func(file string, _ fs.DirEntry, err error) error {
		if err != nil || filepath.Ext(file) != ".tf" {
			return err
		}
		code, err := os.ReadFile(file)
		for _, match := range wantComment.FindAllStringSubmatch(string(code), -1) {
			want = append(want, strings.TrimSpace(match[1]))
		}
		return err
	})
	if err != nil || len(want) == 0 {
		t.Fatalf("%s wants nothing: %v", f.dir, err)
	}
	slices.Sort(want)
	return want
}

func (f fixture) judge(t *testing.T, set *gate.Set) []change.Finding {
	t.Helper()
	plan, err := os.ReadFile(filepath.Join(f.dir, "plan.json"))
	if err != nil {
		t.Fatal(err)
	}
	result, err := set.JudgePlan(context.Background(), plan)
	if err != nil {
		t.Fatalf("judge %s: %v", f.dir, err)
	}
	return slices.DeleteFunc(result.Findings, func(found change.Finding) bool {
		return found.Policy != "plan."+f.family
	})
}

func line(f change.Finding) string {
	words := string(f.Verdict)
	switch {
	case f.NoOp:
		words += "(no-op)"
	case f.Severity == change.Warn && f.Verdict != change.Pass:
		words += "(warn)"
	}
	words += " " + f.Rule + " " + f.Address
	if f.Attribute != "" {
		words += " " + f.Attribute
	}
	return words
}

func builtIn(t *testing.T) *gate.Set {
	t.Helper()
	set, err := gate.Load("built-in", policies.Files)
	if err != nil {
		t.Fatal(err)
	}
	return set
}

func TestFixtures(t *testing.T) {
	t.Parallel()
	set := builtIn(t)
	for _, f := range fixtures(t) {
		t.Run(path.Join(f.family, filepath.Base(f.dir)), func(t *testing.T) {
			t.Parallel()
			got := []string{}
			for _, finding := range f.judge(t, set) {
				got = append(got, line(finding))
			}
			slices.Sort(got)
			if diff := cmp.Diff(f.want(t), got); diff != "" {
				t.Errorf("findings differ from the comments in %s (-want +got):\n%s", f.dir, diff)
			}
		})
	}
}
