package policies_test

import (
	"fmt"
	"io/fs"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/tollgate/tollgate/internal/change"
	"github.com/tollgate/tollgate/policies"
)

// sources are the files of the built-in set by name.
func sources(t *testing.T) map[string][]byte {
	t.Helper()
	all := map[string][]byte{}
	err := fs.WalkDir(policies.Files, ".", func(name string, entry fs.DirEntry, err error) error {
		if err == nil && !entry.IsDir() {
			all[name], err = fs.ReadFile(policies.Files, name)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// The patterns of the embedding must not miss a file, which would switch its rules off.
func TestEveryPolicyIsEmbedded(t *testing.T) {
	t.Parallel()
	embedded := sources(t)
	for _, root := range []string{"plan", "apply"} {
		err := filepath.WalkDir(root, func(name string, entry fs.DirEntry, err error) error {
			if err != nil || entry.IsDir() {
				return err
			}
			_, found := embedded[filepath.ToSlash(name)]
			if isTest := strings.HasSuffix(name, "_test.rego"); found == isTest {
				t.Errorf("%s: embedded is %t", name, found)
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}

var (
	annotated = regexp.MustCompile(`(?m)^# METADATA\n((?:#.*\n)+)(deny|warn|violation) contains`)
	ruleID    = regexp.MustCompile(`(?m)^#   id: (\S+)$`)
)

// The texts are what people see in a check, so none may be missing.
func TestEveryRuleIsDescribed(t *testing.T) {
	t.Parallel()
	seen := map[string]string{}
	for name, text := range sources(t) {
		for _, match := range annotated.FindAllSubmatch(text, -1) {
			metadata := string(match[1])
			id := ruleID.FindStringSubmatch(metadata)
			if id == nil {
				t.Errorf("%s: a rule has no custom.id:\n%s", name, metadata)
				continue
			}
			// Over all packages, so that a rule is known by its id alone.
			if other, twice := seen[id[1]]; twice {
				t.Errorf("%s: %s has a rule %s, too", name, other, id[1])
			}
			seen[id[1]] = name
			wanted := []string{"# title: "}
			if strings.HasPrefix(name, "plan/") {
				wanted = append(wanted, "# description: ", "#   remediation: ", "# related_resources:", "PCI DSS", "https://docs.aws.amazon.com/")
			}
			for _, part := range wanted {
				if !strings.Contains(metadata, part) {
					t.Errorf("%s: rule %s has no %q", name, id[1], part)
				}
			}
		}
	}
	if len(seen) == 0 {
		t.Error("no annotated rule found")
	}
}

func TestEveryFindingSaysWhatWhyAndWhatInstead(t *testing.T) {
	t.Parallel()
	built := newSuite(sources(t))
	for _, f := range fixtures(t) {
		for _, found := range built.mustJudge(t, f) {
			if found.Message == "" || found.Reference == "" || found.Address == "" {
				t.Errorf("%s: incomplete finding %+v", f.dir, found)
			}
			if found.Verdict != change.Pass && (found.Remediation == "" || found.Attribute == "") {
				t.Errorf("%s: no way to mend in %+v", f.dir, found)
			}
		}
	}
}

// exempt are the verdicts that a rule has no fixture for, and why.
var exempt = map[string]string{}

func TestEveryRuleHasFixtures(t *testing.T) {
	t.Parallel()
	got := map[string]bool{}
	rules := map[string]bool{}
	for _, f := range fixtures(t) {
		for _, want := range f.want(t) {
			words := strings.Fields(want)
			verdict, _, _ := strings.Cut(words[0], "(")
			got[words[1]+" "+verdict] = true
		}
	}
	for name, text := range sources(t) {
		for _, match := range ruleID.FindAllSubmatch(text, -1) {
			if strings.HasPrefix(name, "plan/") {
				rules[string(match[1])] = true
			}
		}
	}
	for rule := range rules {
		for _, verdict := range []change.Verdict{change.Pass, change.Fail, change.Undetermined} {
			key := fmt.Sprintf("%s %s", rule, verdict)
			if _, none := exempt[key]; got[key] == none {
				t.Errorf("%s: has a fixture is %t, is exempt is %t", key, got[key], none)
			}
		}
	}
}
