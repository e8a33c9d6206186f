package terraform

import (
	"bytes"
	"encoding/json"
	"fmt"
	"reflect"

	"github.com/tollgate/tollgate/internal/redact"
)

// Secrets returns the texts in the JSON of a plan that Terraform calls sensitive.
func Secrets(planJSON []byte) ([]redact.Secret, error) {
	dec := json.NewDecoder(bytes.NewReader(planJSON))
	dec.UseNumber()
	var doc map[string]any
	if err := dec.Decode(&doc); err != nil {
		return nil, fmt.Errorf("decode plan: %w", err)
	}
	var found []redact.Secret
	var gather func(v any)
	gather = func(v any) {
		switch v := v.(type) {
		case string:
			found = append(found, redact.New(v))
		case map[string]any:
			for _, e := range v {
				gather(e)
			}
		case []any:
			for _, e := range v {
				gather(e)
			}
		}
	}
	for name, v := range object(doc["variables"]) {
		if declared := object(object(object(object(doc["configuration"])["root_module"])["variables"])[name]); declared["sensitive"] == true {
			gather(object(v)["value"])
		}
	}
	concealMarked(doc, func(secret any) any { gather(secret); return secret })
	return found, nil
}

// WithoutSecrets returns the JSON of a plan without the values that Terraform calls sensitive: for
// a reader who may know what Terraform shows of the plan and no more, such as rules that nobody has
// reviewed. Texts are replaced and everything else is null. Of variables, only the values that the
// code itself names as defaults stay.
func WithoutSecrets(planJSON []byte) ([]byte, error) {
	dec := json.NewDecoder(bytes.NewReader(planJSON))
	dec.UseNumber() // an id may have more digits than a float
	var doc map[string]any
	if err := dec.Decode(&doc); err != nil {
		return nil, fmt.Errorf("decode plan: %w", err)
	}
	for name, v := range object(doc["variables"]) {
		declared := object(object(object(object(doc["configuration"])["root_module"])["variables"])[name])
		if variable := object(v); variable != nil {
			if value := variable["value"]; declared["sensitive"] == true || !reflect.DeepEqual(value, declared["default"]) {
				variable["value"] = blank(value)
			}
		}
	}
	concealMarked(doc, blank)
	return json.Marshal(doc)
}

// concealMarked replaces what the marks beside values in changes, states and outputs call sensitive.
func concealMarked(v any, conceal func(any) any) {
	switch v := v.(type) {
	case map[string]any:
		for _, pair := range [][2]string{{"before", "before_sensitive"}, {"after", "after_sensitive"}, {"values", "sensitive_values"}, {"value", "sensitive"}} {
			if marks, marked := v[pair[1]]; marked && v[pair[0]] != nil {
				v[pair[0]] = hide(v[pair[0]], marks, conceal)
			}
		}
		for _, e := range v {
			concealMarked(e, conceal)
		}
	case []any:
		for _, e := range v {
			concealMarked(e, conceal)
		}
	}
}

// blank is a text in the place of a text, so that a rule which asks for one finds it, and otherwise null.
func blank(secret any) any {
	if _, text := secret.(string); text {
		return "(sensitive)"
	}
	return nil
}
