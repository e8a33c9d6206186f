package gate_test

import (
	"errors"
	"maps"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/tollgate/tollgate/internal/fault"
	"github.com/tollgate/tollgate/internal/gate"
)

// files makes a file system of a policy set.
func files(content map[string]string) fstest.MapFS {
	fsys := fstest.MapFS{}
	for name, text := range content {
		fsys[name] = &fstest.MapFile{Data: []byte(text)}
	}
	return fsys
}

// with returns the files with some replaced; an empty text removes a file.
func with(base, changes map[string]string) map[string]string {
	merged := maps.Clone(base)
	maps.Copy(merged, changes)
	maps.DeleteFunc(merged, func(_, text string) bool { return text == "" })
	return merged
}

// sound is a set with everything that a set can have.
var sound = map[string]string{
	"plan/tls/tls.rego": `package plan.tls

import data.lib.words
import data.plan.tls.parameters

deny contains words.shout("old TLS") if input.tls < parameters.minimum
`,
	"plan/tls/parameters.yaml": "parameters:\n  minimum: 1.2\n",
	"lib/words.rego":           "package lib.words\n\nshout(x) := upper(x)\n",
	"apply/four_eyes.rego":     "package apply.four_eyes\n\ndeny contains \"no\" if input.trigger == \"x\"\n",
}

func TestLoad(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		changes map[string]string
		want    string // part of the public text of the error; empty if the set must load
	}{
		"sound set":        {nil, ""},
		"only a plan gate": {map[string]string{"apply/four_eyes.rego": ""}, ""},
		"only an apply gate": {map[string]string{
			"plan/tls/tls.rego": "", "plan/tls/parameters.yaml": "", "lib/words.rego": ""}, ""},
		"no policy at all": {map[string]string{
			"plan/tls/tls.rego": "", "apply/four_eyes.rego": ""}, "holds no policy"},
		"only tests": {map[string]string{
			"plan/tls/tls.rego": "", "apply/four_eyes.rego": "",
			"plan/tls/tls_test.rego": "package plan.tls\n\ntest_x if true\n"}, "holds no policy"},
		"only a policy that is called a test": {map[string]string{
			"plan/tls/tls.rego": "", "apply/four_eyes.rego": "",
			"plan/tls/tls_test.rego": "package plan.tls\n\ndeny contains \"x\"\n"}, "set/plan/tls/tls_test.rego of the policies defines deny, but its name makes it a test"},
		"policy that is called a test": {map[string]string{
			"plan/latest_test.rego": "package plan.latest\n\nimport data.lib.words\n\n  deny_latest contains words.shout(\"x\")\n"}, "set/plan/latest_test.rego of the policies defines deny_latest, but"},
		"warning that is called a test": {map[string]string{
			"apply/latest_test.rego": "package apply.latest\n\ndefault warn := []\n"}, "set/apply/latest_test.rego of the policies defines warn, but"},
		"library that is called a test": {map[string]string{
			"lib/latest_test.rego": "package lib.latest\n\nviolation contains \"x\" if {\n\tinput.x\n}\n"}, "set/lib/latest_test.rego of the policies defines violation, but"},
		"test that may define a verdict": {map[string]string{
			"plan/latest_test.rego": "package plan.latest\n\ndeny contains\n"}, "set/plan/latest_test.rego of the policies does not parse"},
		"test of a verdict": {map[string]string{
			"plan/tls/tls_test.rego": "package plan.tls\n\ndenied := 1\n\ntest_x if {\ndeny == set() with input as {\"x\": `\ndeny contains \"x\"\n`}\n}\n"}, ""},
		"verdict in test data": {map[string]string{
			"plan/testdata/tls_test.rego": "package plan.tls\n\ndeny contains \"x\"\n"}, ""},
		"policy in capitals": {map[string]string{
			"plan/latest.REGO": "package plan.latest\n\ndeny contains \"x\"\n"}, "set/plan/latest.REGO of the policies ends in .REGO"},
		"test in capitals": {map[string]string{
			"plan/latest_test.Rego": "package plan.latest\n"}, "set/plan/latest_test.Rego of the policies ends in .Rego"},
		"levels in capitals": {map[string]string{
			"plan/tls/levels.Yaml": "levels: {deny: warn}\n"}, "set/plan/tls/levels.Yaml of the policies ends in .Yaml"},
		"capitals in test data": {map[string]string{
			"testdata/x.REGO": "x", "plan/testdata/plan.JSON": "{", ".git/x.REGO": "x"}, ""},
		"other endings": {map[string]string{
			"README.MD": "x", "plan/REGO": "x", "plan/x.rego.orig": "x"}, ""},
		"syntax error": {map[string]string{
			"plan/tls/tls.rego": "package plan.tls\n\ndeny contains {\n"}, "set/plan/tls/tls.rego of the policies does not parse"},
		"old syntax": {map[string]string{
			"plan/tls/tls.rego": "package plan.tls\n\ndeny[msg] { msg := \"x\" }\n"}, "set/plan/tls/tls.rego of the policies does not parse"},
		"type error": {map[string]string{
			"plan/tls/tls.rego": "package plan.tls\n\ndeny contains unheard_of(1)\n"}, "set/plan/tls/tls.rego of the policies does not compile"},
		"misspelled rule": {map[string]string{
			"plan/tls/tls.rego": "package plan.tls\n\ndenny contains \"x\"\n"}, "define no deny, violation or warn rule"},
		"misspelled rule beside a good one": {map[string]string{
			"plan/logs.rego": "package plan.logs\n\ndenny contains \"x\"\n"}, "set/plan/logs.rego of the policies defines no deny"},
		"helper beside a good one": {map[string]string{
			"plan/logs.rego":    "package plan.logs\n\nhelp := 1\n",
			"plan/tls/tls.rego": "package plan.tls\n\ndeny contains \"x\" if data.plan.logs.help == 2\n"}, ""},
		"function instead of a set": {map[string]string{
			"plan/tls/tls.rego": "package plan.tls\n\ndeny(x) := x\n"}, "defines deny as a function"},
		"rule that nothing asks for": {map[string]string{
			"lib/words.rego": "package lib.words\n\nshout(x) := upper(x)\n\ndeny contains \"x\"\n"}, "outside of source/, plan/ and apply/"},
		"parameters removed": {map[string]string{
			"plan/tls/parameters.yaml": ""}, "refers to data.plan.tls.parameters.minimum"},
		"parameter misspelled": {map[string]string{
			"plan/tls/parameters.yaml": "parameters:\n  minimun: 1.2\n"}, "refers to data.plan.tls.parameters.minimum"},
		"data is no YAML": {map[string]string{
			"plan/tls/parameters.yaml": "{"}, "set/plan/tls/parameters.yaml of the policies is no valid JSON or YAML"},
		"data is a list": {map[string]string{
			"plan/tls/parameters.yaml": "- 1\n"}, "holds no object at its top level"},
		"data is defined twice": {map[string]string{
			"plan/tls/more.json": `{"parameters": {"minimum": 0}}`}, "collides with another data file"},
		"data in two files": {map[string]string{
			"plan/tls/more.json": `{"parameters": {"maximum": 2}}`}, ""},
		"data over a rule": {map[string]string{
			"plan/tls/more.json": `{"deny": []}`}, "does not compile"},
		"test data is no part of the set": {map[string]string{
			"testdata/plan.json": "{", "plan/testdata/x.rego": "nonsense", ".git/x.json": "{", ".editor.json": "{"}, ""},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			set, err := gate.Load("set", files(with(sound, test.changes)))
			if test.want == "" {
				if err != nil || set == nil {
					t.Fatalf("Load = %v, %v; want a set", set, err)
				}
				return
			}
			wantFault(t, err, test.want)
		})
	}
}

// wantFault fails unless err can be shown and its public text holds want.
func wantFault(t *testing.T, err error, want string) {
	t.Helper()
	var public *fault.Error
	if !errors.As(err, &public) {
		t.Fatalf("error is %v; want a fault that says %q", err, want)
	}
	if !strings.Contains(public.Text(), want) {
		t.Errorf("error says %q; want it to say %q", public.Text(), want)
	}
}

// Covers: T61
func TestForbiddenBuiltins(t *testing.T) {
	t.Parallel()
	load := func(condition string) error {
		_, err := gate.Load("set", files(map[string]string{
			"plan/x.rego": "package x\n\ndeny contains \"x\" if {\n\t" + condition + "\n}\n",
		}))
		return err
	}
	forbidden := map[string]string{
		"http.send":          `http.send({"method": "get", "url": "http://127.0.0.1"}).status_code == 200`,
		"net.lookup_ip_addr": `count(net.lookup_ip_addr("localhost")) > 0`,
		"opa.runtime":        `opa.runtime().env.HOME != ""`,
		"rego.parse_module":  `rego.parse_module("x", "package x").package`,
		"trace":              `trace("x")`,
		"rand.intn":          `rand.intn("x", 2) == 0`,
		"uuid.rfc4122":       `uuid.rfc4122("x") != ""`,
		"http.send replaced": `is_object({"method": "get", "url": "http://127.0.0.1"}) with is_object as http.send`,
	}
	for name, condition := range forbidden {
		if err := load(condition); err == nil {
			t.Errorf("%s: the set loads; want it refused", name)
		} else {
			wantFault(t, err, "set/plan/x.rego")
		}
	}
	allowed := map[string]string{
		"is_object":          `is_object({})`,
		"net.cidr_contains":  `net.cidr_contains("10.0.0.0/8", input.ip)`,
		"time.now_ns":        `time.now_ns() > 0`,
		"print":              `print("x")`,
		"is_object replaced": `is_object({}) with is_object as is_array`,
	}
	for name, condition := range allowed {
		if err := load(condition); err != nil {
			t.Errorf("%s: %v; want the set to load", name, err)
		}
	}
}

func TestDigest(t *testing.T) {
	t.Parallel()
	digest := func(changes map[string]string) string {
		set, err := gate.Load("set", files(with(sound, changes)))
		if err != nil {
			t.Fatal(err)
		}
		return set.Digest()
	}
	base := digest(nil)
	if !strings.HasPrefix(base, "sha256:") || base != digest(nil) {
		t.Errorf("digest %q is no stable SHA-256", base)
	}
	same := map[string]map[string]string{
		"a test":    {"plan/tls/tls_test.rego": "package x\n"},
		"test data": {"testdata/plan.json": "{}"},
		"a README":  {"README.md": "# Policies\n"},
	}
	for name, changes := range same {
		if digest(changes) != base {
			t.Errorf("%s changes the digest", name)
		}
	}
	different := map[string]map[string]string{
		"a rule":      {"apply/four_eyes.rego": sound["apply/four_eyes.rego"] + "# comment\n"},
		"a parameter": {"plan/tls/parameters.yaml": "parameters:\n  minimum: 1.3\n"},
		"a name":      {"lib/words.rego": "", "lib/word.rego": sound["lib/words.rego"]},
		"a new file":  {"plan/new.json": "{}"},
	}
	for name, changes := range different {
		if digest(changes) == base {
			t.Errorf("%s does not change the digest", name)
		}
	}
}
