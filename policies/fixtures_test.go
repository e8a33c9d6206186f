package policies_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/fstest"

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
// plan does not touch. A parameters.yaml in the folder stands in for that of the family.
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

// parametersFile is the file of the built-in set that the fixture's own parameters replace.
func (f fixture) parametersFile() string { return path.Join("plan", f.family, "parameters.yaml") }

// suite judges fixtures by policies, each by the parameters that it brings along.
type suite struct {
	files map[string][]byte // of a policy set
	mu    sync.Mutex
	sets  map[string]*gate.Set // by the parameters in place of the set's own
}

func newSuite(files map[string][]byte) *suite {
	return &suite{files: files, sets: map[string]*gate.Set{}}
}

// set compiles what a fixture is judged by, once.
func (s *suite) set(f fixture) (*gate.Set, error) {
	parameters, err := os.ReadFile(filepath.Join(f.dir, "parameters.yaml"))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	key := ""
	if parameters != nil {
		key = f.family + string(parameters)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if set := s.sets[key]; set != nil {
		return set, nil
	}
	fsys := fstest.MapFS{}
	for name, content := range s.files {
		fsys[name] = &fstest.MapFile{Data: content}
	}
	if parameters != nil {
		fsys[f.parametersFile()] = &fstest.MapFile{Data: parameters}
	}
	src, err := gate.Read("tested", fsys)
	if err != nil {
		return nil, err
	}
	set, err := gate.Compile(src, gate.ForPlans)
	if err == nil {
		s.sets[key] = set
	}
	return set, err
}

// judge returns the findings of the fixture's family.
func (s *suite) judge(f fixture) ([]change.Finding, error) {
	set, err := s.set(f)
	if err != nil {
		return nil, err
	}
	plan, err := os.ReadFile(filepath.Join(f.dir, "plan.json"))
	if err != nil {
		return nil, err
	}
	result, err := set.JudgePlan(context.Background(), plan)
	if err != nil {
		return nil, fmt.Errorf("judge %s: %w", f.dir, err)
	}
	return slices.DeleteFunc(result.Findings, func(found change.Finding) bool {
		return found.Policy != "plan."+f.family
	}), nil
}

func (s *suite) mustJudge(t *testing.T, f fixture) []change.Finding {
	t.Helper()
	findings, err := s.judge(f)
	if err != nil {
		t.Fatal(err)
	}
	return findings
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
	built := newSuite(sources(t))
	for _, f := range fixtures(t) {
		t.Run(path.Join(f.family, filepath.Base(f.dir)), func(t *testing.T) {
			t.Parallel()
			got := []string{}
			for _, finding := range built.mustJudge(t, f) {
				got = append(got, line(finding))
			}
			slices.Sort(got)
			if diff := cmp.Diff(f.want(t), got); diff != "" {
				t.Errorf("findings differ from the comments in %s (-want +got):\n%s", f.dir, diff)
			}
		})
	}
}
