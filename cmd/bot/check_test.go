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

	"github.com/google/go-cmp/cmp"
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
		"nothing that a policy is about":  {planOf("fine"), 0, []string{"-: 1 resource judged; 1 to create", "Allowed.", "Policies sha256:"}},
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
		args   []string
		stdin  string
		status int
		paths  []string
		want   []string
	}{
		"both fine":        {[]string{"fine.json", "fine.json"}, "", 0, []string{"fine.json", "fine.json"}, nil},
		"the last denied":  {[]string{"fine.json", "bad.json"}, "", 1, []string{"fine.json", "bad.json"}, []string{"[1/2] fine.json", "[2/2] bad.json"}},
		"the first denied": {[]string{"bad.json", "-"}, planOf("fine"), 1, []string{"bad.json", "-"}, nil},
		"one missing":      {[]string{"fine.json", "missing.json"}, "", 2, nil, []string{"Error: missing.json: It cannot be read."}},
		"one denied and two missing": {[]string{"bad.json", "missing.json", "gone.json"}, "", 2, nil,
			[]string{"Error: missing.json: It cannot be read.", "Error: gone.json: It cannot be read."}},
		"one that is no plan": {[]string{"-", "fine.json"}, "{}", 2, nil, []string{"Error: -: "}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := call{stdin: c.stdin, dir: dir}.bot(t, append([]string{"check", "--format=json", "--policies=" + policies}, c.args...)...)
			got.expect(t, c.status, c.want...)
			if c.status == 2 {
				if got.stdout != "" {
					t.Errorf("a verdict on a part: %s", got.stdout)
				}
				return
			}
			var paths []string
			for _, p := range decode(t, got.stdout)["plans"].([]any) {
				paths = append(paths, p.(map[string]any)["path"].(string))
			}
			if !slices.Equal(paths, c.paths) {
				t.Errorf("plans of %q, want %q", paths, c.paths)
			}
		})
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
	further := []string{"attribute", "file", "line", "no_op", "reference", "remediation"}
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
