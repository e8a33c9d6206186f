package gate_test

import (
	"bytes"
	"fmt"
	"io/fs"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"

	"github.com/tollgate/tollgate/internal/gate"
)

func names(src *gate.Source) []string {
	var all []string
	for _, f := range src.Files {
		all = append(all, f.Name)
	}
	return all
}

func TestRead(t *testing.T) {
	t.Parallel()
	fsys := files(with(sound, map[string]string{
		"plan/tls/tls_test.rego": "package plan.tls_test\n", "testdata/x/plan.json": "{}", "plan/testdata/x.yaml": "x: 1\n",
		"testdata/x/main.tf": "", ".git/x.json": "{}", "README.md": "", "waivers.yaml": "[]\n",
	}))
	set, err := gate.Read("set", fsys)
	if err != nil {
		t.Fatal(err)
	}
	all, err := gate.ReadWithTests("set", fsys)
	if err != nil {
		t.Fatal(err)
	}
	policies := []string{"apply/four_eyes.rego", "lib/words.rego", "plan/tls/parameters.yaml", "plan/tls/tls.rego", "waivers.yaml"}
	tests := []string{"apply/four_eyes.rego", "lib/words.rego", "plan/testdata/x.yaml", "plan/tls/parameters.yaml", "plan/tls/tls.rego", "plan/tls/tls_test.rego", "testdata/x/plan.json", "waivers.yaml"}
	if diff := cmp.Diff(policies, names(set)); diff != "" {
		t.Errorf("files of the set (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(tests, names(all)); diff != "" {
		t.Errorf("files with tests (-want +got):\n%s", diff)
	}
	if set.Digest != all.Digest {
		t.Error("the tests are part of the digest")
	}
	for _, src := range []*gate.Source{set, all} {
		compiled, err := gate.Compile(src, gate.ForPlans, gate.ForApplies)
		if err != nil {
			t.Fatal(err)
		}
		if compiled.Digest() != set.Digest {
			t.Error("what was compiled has another digest than what was read")
		}
	}
}

func TestWaiversAreInTheDigestOnly(t *testing.T) {
	t.Parallel()
	// As data, it would collide with the rules' own.
	src, err := gate.Read("set", files(with(sound, map[string]string{"waivers.yaml": "plan: {tls: {parameters: 1}}\n"})))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := gate.Compile(src, gate.ForPlans); err != nil {
		t.Errorf("Compile: %v; want waivers to be no data", err)
	}
	other, err := gate.Read("set", files(with(sound, map[string]string{"waivers.yaml": "[]\n"})))
	if err != nil || other.Digest == src.Digest {
		t.Errorf("other waivers have the same digest (%v)", err)
	}
}

// Whatever reads the set, a policy that is called a test is refused, and is no part of the digest.
func TestPolicyThatIsCalledATest(t *testing.T) {
	t.Parallel()
	fsys := func(test string) fstest.MapFS {
		return files(with(sound, map[string]string{"plan/latest_test.rego": test}))
	}
	for name, read := range map[string]func(string, fs.FS) (*gate.Source, error){"Read": gate.Read, "ReadWithTests": gate.ReadWithTests} {
		test, err := read("set", fsys("package plan.latest\n\ntest_x if {\n\tdeny == set()\n}\n"))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := gate.Compile(test, gate.ForPlans); err != nil {
			t.Errorf("%s: Compile with a test: %v", name, err)
		}
		policy, err := read("set", fsys("package plan.latest\n\ndeny contains \"x\"\n"))
		if err != nil || policy.Digest != test.Digest {
			t.Fatalf("%s: %v, or another digest", name, err)
		}
		_, err = gate.Compile(policy, gate.ForPlans)
		wantFault(t, err, "set/plan/latest_test.rego of the policies defines deny, but its name makes it a test")
		if _, err := gate.Compile(policy, gate.ForApplies); err != nil {
			t.Errorf("%s: Compile for the other gate: %v", name, err)
		}
	}
}

func TestReadIsBounded(t *testing.T) {
	t.Parallel()
	many := func(n, size int) fstest.MapFS {
		fsys := fstest.MapFS{}
		for i := range n {
			fsys[fmt.Sprintf("plan/%d.rego", i)] = &fstest.MapFile{Data: bytes.Repeat([]byte("#"), size)}
		}
		return fsys
	}
	tests := map[string]struct {
		fits, over fstest.MapFS
		want       string
	}{
		"files": {many(2000, 1), many(2001, 1), "holds more files than a policy set may have"},
		"file":  {many(1, 4<<20), many(1, 4<<20+1), "set/plan/0.rego of the policies is larger than 4 MiB"},
		"total": {many(8, 2<<20), many(9, 2<<20), "is larger than a policy set may be"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if _, err := gate.Read("set", test.fits); err != nil {
				t.Errorf("Read: %v; want the set", err)
			}
			_, err := gate.Read("set", test.over)
			wantFault(t, err, test.want)
		})
	}
}

func TestCompileForOneGate(t *testing.T) {
	t.Parallel()
	src, err := gate.Read("set", files(with(sound, map[string]string{"apply/four_eyes.rego": "package apply.four_eyes\n\ndeny contains {\n"})))
	if err != nil {
		t.Fatal(err)
	}
	set, err := gate.Compile(src, gate.ForPlans)
	if err != nil || !set.JudgesPlans() || set.JudgesApplies() {
		t.Errorf("Compile for plans: %+v, %v; want a set for plans, as nothing is wrong with them", set, err)
	}
	_, err = gate.Compile(src, gate.ForApplies)
	wantFault(t, err, "set/apply/four_eyes.rego of the policies does not parse")
}

func TestTest(t *testing.T) {
	t.Parallel()
	policies := map[string]string{
		"plan/x.rego":  "package x\n\nimport data.lib.words\n\ndeny contains words.shout(\"no\") if input.bad\n\nwarn contains \"odd\" if {\n\tinput.odd\n}\n",
		"apply/x.rego": "package x\n\nimport data.lib.words\n\ndeny contains words.shout(\"never\") if input.bad\n",
		"lib/words.rego": `package lib.words

shout(x) := upper(x)
`,
		"lib/words_test.rego":  "package lib.words_test\n\nimport data.lib.words\n\ntest_shout if words.shout(\"a\") == \"A\"\n",
		"plan/x_test.rego":     "package x_test\n\nimport data.x\n\ntest_bad if x.deny == {\"NO\"} with input as data.testdata.bad\n\ntodo_test_later if false\n",
		"apply/x_test.rego":    "package x_test\n\nimport data.x\n\ntest_bad if x.deny == {\"NEVER\"} with input as {\"bad\": true}\n",
		"testdata/bad/x.json":  `{"bad": true}`,
		"testdata/bad/y.json":  `{"bad": false}`,
		"testdata/list/x.json": `[]`,
	}
	run := func(changes map[string]string) (gate.TestResult, error) {
		src, err := gate.ReadWithTests("set", files(with(policies, changes)))
		if err != nil {
			t.Fatal(err)
		}
		return gate.Test(t.Context(), src)
	}

	got, err := run(nil)
	want := gate.TestResult{Passed: 3, Skipped: 1, Coverage: 60, Files: []gate.Coverage{
		{File: "apply/x.rego", Covered: 1}, {File: "lib/words.rego", Covered: 1}, {File: "plan/x.rego", Covered: 1, Uncovered: 2}}}
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		t.Errorf("Test: %v; result (-want +got):\n%s", err, diff)
	}

	got, err = run(map[string]string{"plan/x_test.rego": `package x_test

import data.x

test_bad if {
	print("without input it said", x.deny)
	x.deny == set() with input as {"bad": true}
}

test_error if to_number("x") == 1
`})
	if err != nil || got.Passed != 2 || got.Failed != 2 || len(got.Failures) != 2 {
		t.Fatalf("Test: %+v, %v; want two failures", got, err)
	}
	first, second := got.Failures[0], got.Failures[1]
	if first.Name != "x_test.test_bad" || first.File != "plan/x_test.rego" || first.Line != 5 || !strings.Contains(first.Message, "without input it said set()") {
		t.Errorf("first failure is %+v", first)
	}
	if second.Name != "x_test.test_error" || second.Line != 10 || !strings.Contains(second.Message, "to_number") {
		t.Errorf("second failure is %+v", second)
	}

	got, err = run(map[string]string{"lib/words_test.rego": "", "plan/x_test.rego": "", "apply/x_test.rego": ""})
	if err != nil || got.Passed != 0 || got.Coverage != 0 {
		t.Errorf("without tests: %+v, %v; want a result with nothing in it", got, err)
	}
	_, err = run(map[string]string{"plan/x_test.rego": "package x_test\n\ntest_x if opa.runtime().env\n"})
	wantFault(t, err, "set/plan/x_test.rego of the policies does not compile")
}
