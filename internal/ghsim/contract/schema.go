package contract

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/getkin/kin-openapi/openapi3"
)

// hookSchemas resolves the webhooks' bodies, which stand in an extension that the loader skips.
func hookSchemas(doc *openapi3.T) (map[string]*openapi3.Schema, error) {
	raw, err := json.Marshal(doc.Extensions["x-webhooks"])
	if err != nil {
		return nil, err
	}
	var hooks map[string]struct {
		Post struct {
			RequestBody struct {
				Content map[string]struct {
					Schema struct {
						Ref string `json:"$ref"`
					}
				}
			} `json:"requestBody"`
		}
	}
	if err := json.Unmarshal(raw, &hooks); err != nil {
		return nil, fmt.Errorf("read the described webhooks: %w", err)
	}
	schemas := map[string]*openapi3.Schema{}
	for name, h := range hooks {
		ref := h.Post.RequestBody.Content["application/json"].Schema.Ref
		at := doc.Components.Schemas[strings.TrimPrefix(ref, "#/components/schemas/")]
		if at == nil {
			return nil, fmt.Errorf("webhook %s: no schema %q", name, ref)
		}
		schemas[name] = at.Value
	}
	return schemas, nil
}

func jsonSchema(content openapi3.Content) *openapi3.Schema {
	media := content.Get("application/json")
	if media == nil || media.Schema == nil {
		return nil
	}
	return media.Schema.Value
}

// unknownMembers finds members of a JSON document that no branch of its schema knows.
func unknownMembers(schema *openapi3.Schema, data []byte) error {
	var doc any
	if schema == nil || json.Unmarshal(data, &doc) != nil {
		return nil // found by the validator
	}
	var found []error
	walk("", doc, []*openapi3.Schema{schema}, &found)
	return errors.Join(found...)
}

// walk descends into a value with all schemas that may speak of it.
func walk(at string, value any, schemas []*openapi3.Schema, found *[]error) {
	schemas = branches(schemas)
	switch value := value.(type) {
	case map[string]any:
		for name, member := range value {
			known, open := memberSchemas(schemas, name)
			switch {
			case len(known) > 0:
				walk(at+"/"+name, member, known, found)
			case !open:
				*found = append(*found, fmt.Errorf("%s/%s is not described", at, name))
			}
		}
	case []any:
		var items []*openapi3.Schema
		for _, s := range schemas {
			if s.Items != nil {
				items = append(items, s.Items.Value)
			}
		}
		for i, e := range value {
			walk(fmt.Sprintf("%s/%d", at, i), e, items, found)
		}
	}
}

// branches adds the alternatives and parts of each schema.
func branches(schemas []*openapi3.Schema) []*openapi3.Schema {
	var all []*openapi3.Schema
	var add func(s *openapi3.Schema)
	add = func(s *openapi3.Schema) {
		if s == nil || slices.Contains(all, s) {
			return
		}
		all = append(all, s)
		for _, refs := range []openapi3.SchemaRefs{s.AllOf, s.AnyOf, s.OneOf} {
			for _, r := range refs {
				add(r.Value)
			}
		}
	}
	for _, s := range schemas {
		add(s)
	}
	return all
}

// memberSchemas collects what is said of a member; open says that any name is allowed. A schema
// that describes no members at all leaves its object open.
func memberSchemas(schemas []*openapi3.Schema, name string) (known []*openapi3.Schema, open bool) {
	described := false
	for _, s := range schemas {
		if p := s.Properties[name]; p != nil {
			known = append(known, p.Value)
		}
		if extra := s.AdditionalProperties.Schema; extra != nil {
			known = append(known, extra.Value)
		}
		described = described || len(s.Properties) > 0
	}
	return known, !described
}

// sentences takes an error apart into short, stable texts.
func sentences(err error) []string {
	switch e := err.(type) {
	case nil:
		return nil
	case openapi3.MultiError:
		return flatten(e)
	case interface{ Unwrap() []error }:
		return flatten(e.Unwrap())
	}
	var multi openapi3.MultiError
	if errors.As(err, &multi) {
		return flatten(multi)
	}
	var se *openapi3.SchemaError
	if errors.As(err, &se) {
		at := "/" + strings.Join(se.JSONPointer(), "/")
		if multi, ok := se.Origin.(openapi3.MultiError); ok && len(multi) > 0 {
			return prefixed(at, flatten(multi))
		}
		return []string{at + ": " + se.Reason}
	}
	return []string{err.Error()}
}

func flatten(list []error) []string {
	var out []string
	for _, e := range list {
		for _, text := range sentences(e) {
			if !slices.Contains(out, text) {
				out = append(out, text)
			}
		}
	}
	return out
}

func prefixed(at string, list []string) []string {
	for i := range list {
		list[i] = at + ": " + list[i]
	}
	return list
}
