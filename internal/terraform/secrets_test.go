package terraform_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tollgate/tollgate/internal/terraform"
)

// Covers: T46, T54
func TestWithoutSecrets(t *testing.T) {
	t.Parallel()
	const plan = `{
	"format_version": "1.2",
	"variables": {"password": {"value": "s3cret"}, "given": {"value": "s3cret"}, "size": {"value": 3}, "none": {"value": null}},
	"planned_values": {"outputs": {"o": {"sensitive": true, "value": "s3cret"}, "open": {"sensitive": false, "value": "shown"}},
		"root_module": {"resources": [{"address": "a.b", "values": {"p": "s3cret", "q": "shown"}, "sensitive_values": {"p": true}}],
			"child_modules": [{"resources": [{"address": "module.m.a.b", "values": {"list": ["s3cret", "shown"]}, "sensitive_values": {"list": [true, false]}}]}]}},
	"prior_state": {"values": {"root_module": {"resources": [{"address": "data.a.b", "values": {"n": 12345678901234567890, "block": [{"p": {"deep": "s3cret"}}]}, "sensitive_values": {"block": [{"p": true}]}}]}}},
	"resource_changes": [{"address": "a.b", "change": {"actions": ["update"], "before": {"p": "s3cret", "q": "shown", "pin": 4711}, "before_sensitive": {"p": true, "pin": true},
		"after": {"p": "s3cret", "q": "shown", "tags": {"a": "s3cret"}}, "after_unknown": {}, "after_sensitive": {"p": true, "tags": {"a": true}}}}],
	"resource_drift": [{"address": "a.b", "change": {"actions": ["update"], "before": {"p": "s3cret"}, "before_sensitive": true, "after": {"p": "s3cret"}, "after_sensitive": {"p": [true]}}}],
	"output_changes": {"o": {"actions": ["create"], "before": null, "after": "s3cret", "after_unknown": false, "before_sensitive": true, "after_sensitive": true}},
	"configuration": {"root_module": {"variables": {"password": {"sensitive": true, "default": "s3cret"}, "given": {}, "size": {"default": 3}}}}
}`
	got, err := terraform.WithoutSecrets([]byte(plan))
	if err != nil {
		t.Fatal(err)
	}
	// The default of a variable stands in the code.
	text := strings.Replace(string(got), `"default":"s3cret"`, "", 1)
	if strings.Contains(text, "s3cret") || strings.Contains(text, "4711") {
		t.Errorf("a sensitive value is left: %s", text)
	}
	for _, kept := range []string{`"shown"`, "12345678901234567890", `"size":{"value":3}`, `"none":{"value":null}`, `"tags":{"a":"(sensitive)"}`, `"pin":null`} {
		if !strings.Contains(text, kept) {
			t.Errorf("%s is gone: %s", kept, text)
		}
	}
}

func TestWithoutSecretsLeavesAPlanWithoutAnyAsItIs(t *testing.T) {
	t.Parallel()
	const plan = `{"format_version":"1.2","resource_changes":[{"address":"a.b","change":{"actions":["create"],"before":null,"before_sensitive":false,"after":{"n":1,"l":[{"x":true}]},"after_sensitive":{"l":[{}]}}}]}`
	got, err := terraform.WithoutSecrets([]byte(plan))
	if err != nil {
		t.Fatal(err)
	}
	var want, have any
	if err := json.Unmarshal([]byte(plan), &want); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(got, &have); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, have); diff != "" {
		t.Error(diff)
	}
	if _, err := terraform.WithoutSecrets([]byte("{")); err == nil {
		t.Error("half a plan is a plan")
	}
}

// Covers: T46
func TestSecretsOfAPlan(t *testing.T) {
	t.Parallel()
	const plan = `{
	"variables": {"password": {"value": "of a variable"}, "open": {"value": "shown"}},
	"planned_values": {"outputs": {"o": {"sensitive": true, "value": {"deep": ["of an output"]}}, "open": {"sensitive": false, "value": "shown"}}},
	"resource_changes": [{"address": "a.b", "change": {"actions": ["update"], "before": {"p": "as it was", "q": "shown", "pin": 4711}, "before_sensitive": {"p": true, "pin": true},
		"after": {"p": "as it will be", "tags": {"a": "of a tag", "b": "shown"}}, "after_sensitive": {"p": true, "tags": {"a": true}}}}],
	"configuration": {"root_module": {"variables": {"password": {"sensitive": true}, "open": {}}}}
}`
	found, err := terraform.Secrets([]byte(plan))
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]bool{}
	for _, s := range found {
		got[string(s.Reveal())] = true
	}
	want := map[string]bool{"of a variable": true, "of an output": true, "as it was": true, "as it will be": true, "of a tag": true}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if _, err := terraform.Secrets([]byte(`{"variables": `)); err == nil {
		t.Error("half a plan has no secrets")
	}
}
