package terraform

import (
	"bytes"
	"encoding/json"
	"fmt"
	"reflect"
)

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
	concealMarked(doc)
	return json.Marshal(doc)
}

// concealMarked hides what the marks beside values in changes, states and outputs say.
func concealMarked(v any) {
	switch v := v.(type) {
	case map[string]any:
		for _, pair := range [][2]string{{"before", "before_sensitive"}, {"after", "after_sensitive"}, {"values", "sensitive_values"}, {"value", "sensitive"}} {
			if marks, marked := v[pair[1]]; marked && v[pair[0]] != nil {
				v[pair[0]] = hide(v[pair[0]], marks, blank)
			}
		}
		for _, e := range v {
			concealMarked(e)
		}
	case []any:
		for _, e := range v {
			concealMarked(e)
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
