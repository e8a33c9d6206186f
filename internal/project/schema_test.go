package project_test

import (
	"encoding/json"
	"os"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/goccy/go-yaml"

	"github.com/tollgate/tollgate/internal/project"
)

// schema is the published JSON Schema, as what validates it here calls it.
func schema(t *testing.T) *openapi3.Schema {
	t.Helper()
	raw, err := os.ReadFile("schema.json")
	if err != nil {
		t.Fatal(err)
	}
	s := &openapi3.Schema{}
	if err := json.Unmarshal(raw, s); err != nil {
		t.Fatal(err)
	}
	return s
}

func valid(t *testing.T, s *openapi3.Schema, config string) error {
	t.Helper()
	asJSON, err := yaml.YAMLToJSON([]byte(config))
	if err != nil {
		return err
	}
	var value any
	if err := json.Unmarshal(asJSON, &value); err != nil {
		return err
	}
	return s.VisitJSON(value)
}

func TestSchemaAcceptsWhatParseAccepts(t *testing.T) {
	t.Parallel()
	s := schema(t)
	for _, config := range []string{
		full,
		"version: 1\n",
		"version: 1\napply: {on: []}\n",
		"version: 1\napply: {on: [comment], approvals: 10}\npolicies: {dir: .}\n",
		one("name: a.b_c-d/e", "dir: .hidden/..x/y z"),
		apply("windows: [{days: [sun], from: 00:00, to: 24:00, zone: America/Argentina/Buenos_Aires}]"),
		apply("windows: [{days: [sun], from: 00:00, to: 24:00, zone: Etc/GMT+5}]"),
		one("name: a", "dir: a", "when_modified: []", "depends_on: []", "environment: My Env"),
	} {
		if _, err := project.Parse([]byte(config)); err != nil {
			t.Errorf("Parse refuses\n%s\n%v", config, err)
		}
		if err := valid(t, s, config); err != nil {
			t.Errorf("the schema refuses\n%s\n%v", config, err)
		}
	}
}

func TestSchemaRefusesWhatParseRefuses(t *testing.T) {
	t.Parallel()
	s := schema(t)
	for _, m := range mistakes {
		if !m.beyondSchema && valid(t, s, m.config) == nil {
			t.Errorf("the schema accepts %s:\n%s", m.name, m.config)
		}
	}
}

// The defaults that editors show are those that hold.
func TestSchemaDefaults(t *testing.T) {
	t.Parallel()
	s := schema(t)
	want := project.Default()
	property := func(path ...string) any {
		at := s
		for _, name := range path {
			at = at.Properties[name].Value
		}
		return at.Default
	}
	if got := property("apply", "approvals"); got != float64(want.Apply.Approvals) {
		t.Errorf("approvals: %v", got)
	}
	if got := property("policies", "dir"); got != want.Policies.Dir {
		t.Errorf("dir: %v", got)
	}
	for key, want := range map[string]bool{"approver_may_apply": want.Apply.ApproverMayApply, "codeowners": want.Apply.Codeowners} {
		if got := property("apply", key); got != want {
			t.Errorf("%s: %v", key, got)
		}
	}
	on, _ := property("apply", "on").([]any)
	if len(on) != 2 || on[0] != want.Apply.On[0] || on[1] != want.Apply.On[1] {
		t.Errorf("on: %v", on)
	}
}
