package main

import (
	"encoding/json"
	"encoding/xml"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tollgate/tollgate/internal/gate"
)

// planOf is plan JSON that creates one resource of the name.
func planOf(name string) string {
	return strings.ReplaceAll(`{"format_version":"1.2","terraform_version":"1.11.4","complete":true,"errored":false,
"planned_values":{"root_module":{"resources":[{"address":"terraform_data.NAME","mode":"managed","type":"terraform_data","name":"NAME"}]}},
"resource_changes":[{"address":"terraform_data.NAME","mode":"managed","type":"terraform_data","name":"NAME",
"change":{"actions":["create"],"before":null,"after":{},"after_unknown":{},"before_sensitive":false,"after_sensitive":{}}}]}`, "NAME", name)
}

// namePolicies judge the resources of planOf by their names.
const namePolicies = `package plan.names

judged contains {"rule": "deny", "address": change.address} if some change in input.resource_changes

# METADATA
# title: the name pass
# scope: document
deny contains finding(change, "fail") if {
	some change in input.resource_changes
	startswith(change.name, "bad")
}

deny contains finding(change, "undetermined") if {
	some change in input.resource_changes
	startswith(change.name, "later")
}

warn contains finding(change, "fail") if {
	some change in input.resource_changes
	startswith(change.name, "odd")
}

finding(change, verdict) := {"msg": concat(" ", ["the name", verdict]), "address": change.address, "verdict": verdict}
`

// policyDir is a directory with one policy for plans.
func policyDir(t *testing.T, rego string) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.MkdirAll(filepath.Join(dir, "plan", "names"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "plan", "names", "names.rego"), []byte(rego), 0o600); err != nil {
		t.Fatal(err)
	}
	return dir
}

// fixture is the plan of one of the policies' own fixtures.
func fixture(t *testing.T, name string) string {
	t.Helper()
	path, err := filepath.Abs(filepath.Join("..", "..", "policies", "testdata", filepath.FromSlash(name), "plan.json"))
	if err != nil {
		t.Fatal(err)
	}
	return path
}

func TestCheckByTheBuiltInPolicies(t *testing.T) {
	t.Parallel()
	broken, err := os.ReadFile(fixture(t, "tls/buckets"))
	if err != nil {
		t.Fatal(err)
	}
	// What Terraform writes of a plan that it could not finish.
	incomplete := regexp.MustCompile(`"complete":\s*true`).ReplaceAllString(string(broken), `"complete":false`)
	cases := map[string]struct {
		plan   string
		status int
		want   []string
	}{
		"nothing that a policy is about":  {planOf("fine"), 0, []string{"-: 1 resource judged", "Allowed.", "Policies sha256:"}},
		"denials":                         {string(broken), 1, []string{"plan.tls/", "Not allowed."}},
		"a plan that is not complete":     {incomplete, 2, []string{"Error: -: ", "is not complete"}},
		"a plan that ended with an error": {strings.Replace(planOf("fine"), `"errored":false`, `"errored":true`, 1), 2, []string{"Error: -: ", "ended with an error"}},
		"no plan":                         {`{"format_version":"1.2"}`, 2, []string{"Error: -: "}},
		"no JSON":                         {"Terraform will perform the following actions:", 2, []string{"Error: -: ", "is not JSON"}},
		"nothing":                         {"", 2, []string{"Error: -: ", "is not JSON"}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := call{stdin: c.plan}.bot(t, "check", "-")
			got.expect(t, c.status, c.want...)
			if (got.stdout == "") != (c.status == 2) {
				t.Errorf("status %d, stdout:\n%s", got.status, got.stdout)
			}
		})
	}
}

func TestCheckExitStatus(t *testing.T) {
	t.Parallel()
	dir := policyDir(t, namePolicies)
	for name, want := range map[string]int{"fine": 0, "odd": 0, "bad": 1, "later": 1} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := file(t, "plan.json", planOf(name))
			call{}.bot(t, "check", "--policies", dir, path).expect(t, want, path+": 1 resource judged")
			call{stdin: planOf(name)}.bot(t, "check", "--policies", dir, "-").expect(t, want, "-: 1 resource judged")
		})
	}
}

func TestCheckSeveralPlans(t *testing.T) {
	t.Parallel()
	policies := policyDir(t, namePolicies)
	dir := t.TempDir()
	for _, name := range []string{"fine", "bad"} {
		if err := os.WriteFile(filepath.Join(dir, name+".json"), []byte(planOf(name)), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	cases := map[string]struct {
		args      []string
		stdin     string
		status    int
		paths     []string
		notJudged []string
		want      []string
	}{
		"both fine":        {[]string{"fine.json", "fine.json"}, "", 0, []string{"fine.json", "fine.json"}, nil, nil},
		"the last denied":  {[]string{"fine.json", "bad.json"}, "", 1, []string{"fine.json", "bad.json"}, nil, []string{"[1/2] ", "[2/2] ", "fine.json: judged", "bad.json: judged"}},
		"the first denied": {[]string{"bad.json", "-"}, planOf("fine"), 1, []string{"bad.json", "-"}, nil, nil},
		"one missing": {[]string{"fine.json", "missing.json"}, "", 2, []string{"fine.json"}, []string{"missing.json"},
			[]string{"missing.json: not judged", "Error: missing.json: It cannot be read."}},
		"one denied and two missing": {[]string{"bad.json", "missing.json", "gone.json"}, "", 2, []string{"bad.json"}, []string{"missing.json", "gone.json"},
			[]string{"Error: missing.json: It cannot be read.", "Error: gone.json: It cannot be read."}},
		"one that is no plan": {[]string{"-", "fine.json"}, "{}", 2, []string{"fine.json"}, []string{"-"}, []string{"Error: -: "}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := call{stdin: c.stdin, dir: dir}.bot(t, append([]string{"check", "--format=json", "--policies=" + policies}, c.args...)...)
			got.expect(t, c.status, c.want...)
			doc := decode(t, got.stdout)
			if diff := cmp.Diff(c.paths, pathsIn(doc, "plans")); diff != "" {
				t.Errorf("plans (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(c.notJudged, pathsIn(doc, "not_judged")); diff != "" {
				t.Errorf("not judged (-want +got):\n%s", diff)
			}
		})
	}
}

func pathsIn(doc map[string]any, key string) []string {
	var paths []string
	list, _ := doc[key].([]any)
	for _, p := range list {
		paths = append(paths, p.(map[string]any)["path"].(string))
	}
	return paths
}

func TestCheckSaysWhatItCannotDo(t *testing.T) {
	t.Parallel()
	policies := policyDir(t, namePolicies)
	plans := t.TempDir()
	if err := os.WriteFile(filepath.Join(plans, "fine.json"), []byte(planOf("fine")), 0o600); err != nil {
		t.Fatal(err)
	}
	call{dir: plans}.bot(t, "check", "--policies", policies, "fine.json").expect(t, 0)
	for name, c := range map[string]struct {
		args []string
		want []string
	}{
		"standard input twice":         {[]string{"-", "fine.json", "-"}, []string{"Error: Standard input is named twice."}},
		"a directory of plans":         {[]string{"."}, []string{"Error: .: The directory holds no Terraform configuration.", "bot check *.json"}},
		"an empty directory":           {[]string{t.TempDir()}, []string{"holds no Terraform configuration"}},
		"a source without Terraform":   {[]string{"--source", ".", "fine.json"}, []string{"Error: --source .: "}},
		"a format that is not known":   {[]string{"--format", "yaml", "missing.json"}, []string{`Error: There is no format "yaml".`}},
		"no policies beside good ones": {[]string{"--policies", t.TempDir(), "fine.json"}, []string{"holds no policy"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := call{dir: plans, stdin: planOf("fine")}.bot(t, append([]string{"check", "--policies", policies}, c.args...)...)
			got.expect(t, 2, c.want...)
			if got.stdout != "" {
				t.Errorf("a verdict all the same: %s", got.stdout)
			}
		})
	}
}

// What is wrong with the policies is not said again for each plan.
func TestCheckReportsBrokenPoliciesOnce(t *testing.T) {
	t.Parallel()
	dir := policyDir(t, "package plan.names\n\ndeny contains")
	plan := file(t, "plan.json", planOf("fine"))
	got := call{}.bot(t, "check", "--policies", dir, "--format", "json", plan, plan, plan)
	got.expect(t, 2, "names.rego")
	if n := strings.Count(got.stderr, "Error: "); n != 1 || got.stdout != "" {
		t.Errorf("%d errors, and on stdout: %s", n, got.stdout)
	}
}

func TestCheckPolicySetsAddUp(t *testing.T) {
	t.Parallel()
	first := policyDir(t, namePolicies)
	second := policyDir(t, strings.ReplaceAll(strings.ReplaceAll(namePolicies, "plan.names", "plan.more"), `"bad"`, `"fine"`))
	digests := map[string]bool{}
	for _, c := range []struct {
		sets   []string
		plan   string
		status int
	}{
		{[]string{first}, "fine", 0}, {[]string{second}, "fine", 1}, {[]string{first, second}, "fine", 1},
		{[]string{second}, "bad", 0}, {[]string{first, second}, "bad", 1},
	} {
		args := []string{"check", "--format=json", "-"}
		for _, set := range c.sets {
			args = append(args, "--policies", set)
		}
		got := call{stdin: planOf(c.plan)}.bot(t, args...)
		got.expect(t, c.status)
		digests[decode(t, got.stdout)["policy_digest"].(string)] = true
	}
	if len(digests) != 3 {
		t.Errorf("digests %v; want one for each of the sets and one for both", digests)
	}
}

func TestCheckByAnOrganisationsPolicies(t *testing.T) {
	t.Parallel()
	dir := policyDir(t, namePolicies)
	fsys, err := gate.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	src, err := gate.Read(dir, fsys)
	if err != nil {
		t.Fatal(err)
	}
	const flag = "--organisation-policies"
	cases := map[string]struct {
		plan   string
		args   []string
		status int
		want   string
	}{
		"allowed":             {"fine", []string{flag, dir, flag + "-digest", src.Digest}, 0, "Allowed."},
		"denied":              {"bad", []string{flag, dir, flag + "-digest", src.Digest}, 1, "plan.names/deny"},
		"no digest":           {"fine", []string{flag, dir}, 2, src.Digest},
		"another digest":      {"fine", []string{flag, dir, flag + "-digest", "sha256:" + strings.Repeat("0", 64)}, 2, "Error: "},
		"a digest of nothing": {"fine", []string{flag + "-digest", src.Digest}, 2, "without --organisation-policies"},
		"beside --policies":   {"fine", []string{flag, dir, "--policies", dir}, 2, "Error: "},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := call{stdin: planOf(c.plan)}.bot(t, append([]string{"check", "-"}, c.args...)...)
			got.expect(t, c.status, c.want)
			if c.status == 2 && got.stdout != "" {
				t.Errorf("a verdict all the same: %s", got.stdout)
			}
		})
	}
}

// waiverUntil is a file with a waiver of the resource that is bad.
func waiverUntil(day time.Time) string {
	return `waivers:
- rule: plan.names/deny
  address: terraform_data.bad
  reason: Named before the rule.
  owner: "@acme/names"
  expires: ` + day.UTC().Format(time.DateOnly) + "\n"
}

func TestCheckWaivers(t *testing.T) {
	t.Parallel()
	today := time.Now()
	cases := map[string]struct {
		text   string
		status int
		want   []string
	}{
		"none":    {"", 1, []string{`"verdict": "fail"`}},
		"one":     {waiverUntil(today.AddDate(0, 1, 0)), 0, []string{`"verdict": "waived"`, "Named before the rule."}},
		"expired": {waiverUntil(today.AddDate(0, -1, 0)), 1, []string{`"verdict": "fail"`, `"kind": "expired"`, "waivers.yaml"}},
		"broken":  {"- rule: [", 2, []string{"Error: ", "waivers.yaml"}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := policyDir(t, namePolicies)
			if c.text != "" {
				if err := os.WriteFile(filepath.Join(dir, "waivers.yaml"), []byte(c.text), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			call{stdin: planOf("bad")}.bot(t, "check", "--format=json", "--policies", dir, "-").expect(t, c.status, c.want...)
		})
	}
}

// The waivers of one set hold for what another finds, unless that one's rule allows none.
func TestCheckWaiversOfAnotherSet(t *testing.T) {
	t.Parallel()
	names, kept := policyDir(t, namePolicies), policyDir(t, strings.Replace(namePolicies, "# scope: document", "# scope: document\n# custom: {waivable: false}", 1))
	const other = "package plan.other\n\ndeny contains \"x\" if input.x\n"
	without, with := policyDir(t, other), policyDir(t, other)
	if err := os.WriteFile(filepath.Join(with, "waivers.yaml"), []byte(waiverUntil(time.Now().AddDate(0, 1, 0))), 0o600); err != nil {
		t.Fatal(err)
	}
	call{}.bot(t, "check", "--help").expect(t, 0, "the waivers of each hold for what any of them finds")
	cases := map[string]struct {
		sets   [2]string
		status int
		want   string
	}{
		"no waivers":        {[2]string{names, without}, 1, `"verdict": "fail"`},
		"of the second set": {[2]string{names, with}, 0, `"verdict": "waived"`},
		"of the first set":  {[2]string{with, names}, 0, `"verdict": "waived"`},
		"not waivable":      {[2]string{kept, with}, 1, `"kind": "not-waivable"`},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			call{stdin: planOf("bad")}.bot(t, "check", "--format=json", "--policies", c.sets[0], "--policies", c.sets[1], "-").expect(t, c.status, c.want)
		})
	}
}

func TestCheckNamesTheLinesOfTheSource(t *testing.T) {
	t.Parallel()
	policies := policyDir(t, namePolicies)
	repository := t.TempDir()
	for name, text := range map[string]string{".git/HEAD": "", "infra/main.tf": "resource \"terraform_data\" \"fine\" {\n}\n\nresource \"terraform_data\" \"bad\" {\n}\n", "plan.json": planOf("bad")} {
		path := filepath.Join(repository, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	check := func(args ...string) string {
		got := call{dir: repository}.bot(t, append([]string{"check", "--policies", policies, "plan.json"}, args...)...)
		got.expect(t, 1)
		return got.stdout
	}
	for format, line := range map[string]string{
		"text": "infra/main.tf:4 terraform_data.bad", "json": `"line": 4`, "github": "file=infra/main.tf,line=4", "sarif": `"uri": "infra/main.tf"`, "junit": "infra/main.tf:4",
	} {
		if got := check("--source", "infra", "--format", format); !strings.Contains(got, line) {
			t.Errorf("%s does not say %q:\n%s", format, line, got)
		}
		if got := check("--format", format); strings.Contains(got, "main.tf") {
			t.Errorf("%s names a file that nobody gave:\n%s", format, got)
		}
	}
	if got := check("--format", "sarif"); !strings.Contains(got, `"uri": "plan.json"`) {
		t.Errorf("without a source, findings are not at the plan:\n%s", got)
	}
}

func decode(t *testing.T, text string) map[string]any {
	t.Helper()
	var out map[string]any
	if err := json.Unmarshal([]byte(text), &out); err != nil {
		t.Fatalf("%v in:\n%s", err, text)
	}
	return out
}

func TestCheckJSON(t *testing.T) {
	t.Parallel()
	dir := policyDir(t, namePolicies)
	finding := func(name, rule, verdict, severity string) any {
		return map[string]any{"policy": "plan.names", "rule": rule, "address": "terraform_data." + name, "verdict": verdict, "severity": severity, "message": "the name " + verdict}
	}
	cases := map[string]struct {
		name     string
		args     []string
		findings []any
	}{
		"a denial":           {"bad", nil, []any{finding("bad", "deny", "fail", "deny")}},
		"an unknown value":   {"later", nil, []any{finding("later", "deny", "undetermined", "deny")}},
		"a warning":          {"odd", nil, []any{finding("odd", "warn", "fail", "warn")}},
		"passes left out":    {"fine", nil, []any{}},
		"passes, with --all": {"fine", []string{"--all"}, []any{finding("fine", "deny", "pass", "deny")}},
		"everything, --all":  {"odd", []string{"--all"}, []any{finding("odd", "deny", "pass", "deny"), finding("odd", "warn", "fail", "warn")}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := file(t, "plan.json", planOf(c.name))
			got := decode(t, call{}.bot(t, append([]string{"check", "--format=json", "--policies", dir, path}, c.args...)...).stdout)
			digest, _ := got["policy_digest"].(string)
			if !regexp.MustCompile(`^sha256:[0-9a-f]{64}$`).MatchString(digest) {
				t.Errorf("policy digest %q", digest)
			}
			want := map[string]any{"policy_digest": digest, "plans": []any{map[string]any{"path": path, "resources_judged": 1.0, "findings": c.findings}}}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("JSON (-want +got):\n%s", diff)
			}
		})
	}
}

// The keys that programs outside the repository rely on, and those that a finding may have besides.
func TestCheckJSONOfTheBuiltInPolicies(t *testing.T) {
	t.Parallel()
	required := []string{"address", "message", "policy", "rule", "severity", "verdict"}
	further := []string{"attribute", "file", "if_touched", "line", "no_op", "reference", "remediation"}
	for _, all := range []bool{false, true} {
		got := call{}.bot(t, "check", "--format=json", "--all="+map[bool]string{true: "true", false: "false"}[all], fixture(t, "tls/buckets"), fixture(t, "required_tags/plain"))
		got.expect(t, 1)
		doc := decode(t, got.stdout)
		if keys := slices.Sorted(maps.Keys(doc)); !slices.Equal(keys, []string{"plans", "policy_digest"}) {
			t.Errorf("keys = %q", keys)
		}
		verdicts, policies := map[any]bool{}, map[any]bool{}
		for _, p := range doc["plans"].([]any) {
			plan := p.(map[string]any)
			if keys := slices.Sorted(maps.Keys(plan)); !slices.Equal(keys, []string{"findings", "path", "resources_judged"}) {
				t.Errorf("keys of a plan = %q", keys)
			}
			for _, f := range plan["findings"].([]any) {
				finding := f.(map[string]any)
				verdicts[finding["verdict"]], policies[finding["policy"]] = true, true
				for _, key := range required {
					if _, ok := finding[key].(string); !ok {
						t.Errorf("a finding without %s: %v", key, finding)
					}
					delete(finding, key)
				}
				for key := range finding {
					if !slices.Contains(further, key) {
						t.Errorf("a finding with %q", key)
					}
				}
			}
		}
		if verdicts["pass"] != all || !verdicts["fail"] {
			t.Errorf("--all=%v: verdicts %v", all, verdicts)
		}
		if !policies["plan.tls"] || !policies["plan.required_tags"] {
			t.Errorf("policies %v", policies)
		}
	}
}

func TestCheckFormats(t *testing.T) {
	t.Parallel()
	dir := policyDir(t, namePolicies)
	isXML := func(s string) bool { return xml.Unmarshal([]byte(s), &struct{ XMLName xml.Name }{}) == nil }
	for format, right := range map[string]func(string) bool{
		"text":   func(s string) bool { return strings.Contains(s, "the name fail") && !strings.Contains(s, "\x1b[") },
		"json":   func(s string) bool { return strings.HasPrefix(s, "{") },
		"sarif":  func(s string) bool { return strings.Contains(s, `"2.1.0"`) },
		"junit":  isXML,
		"github": func(s string) bool { return strings.HasPrefix(s, "::error") },
	} {
		t.Run(format, func(t *testing.T) {
			t.Parallel()
			got := call{stdin: planOf("bad")}.bot(t, "check", "--policies", dir, "--format", format, "-")
			got.expect(t, 1)
			if !right(got.stdout) {
				t.Errorf("this is not %s:\n%s", format, got.stdout)
			}
		})
	}
	call{stdin: planOf("fine")}.bot(t, "check", "--policies", dir, "--format", "yaml", "-").expect(t, 2, `Error: There is no format "yaml".`, "text, json, sarif, junit, github")
}

func TestCheckPolicies(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		dir    string
		status int
		want   string
	}{
		"that hold":         {policyDir(t, namePolicies), 0, "Allowed."},
		"that do not parse": {policyDir(t, "package plan.names\n\ndeny contains"), 2, "names.rego"},
		"that break":        {policyDir(t, "package plan.names\n\ndeny contains x if x := object.get(input, [], 1) / 0\n"), 2, "Error: "},
		"none":              {t.TempDir(), 2, "Error: "},
		"nowhere":           {filepath.Join(t.TempDir(), "missing"), 2, "Error: "},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := call{stdin: planOf("fine")}.bot(t, "check", "--policies", c.dir, "-")
			got.expect(t, c.status, c.want)
			if c.status == 2 && got.stdout != "" {
				t.Errorf("a verdict all the same: %s", got.stdout)
			}
		})
	}
}
