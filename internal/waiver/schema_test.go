package waiver_test

import (
	"encoding/json"
	"os"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/goccy/go-yaml"
)

// valid reports what the published JSON Schema says of a file.
func valid(t *testing.T, content string) error {
	t.Helper()
	raw, err := os.ReadFile("schema.json")
	if err != nil {
		t.Fatal(err)
	}
	s := &openapi3.Schema{}
	if err := json.Unmarshal(raw, s); err != nil {
		t.Fatal(err)
	}
	asJSON, err := yaml.YAMLToJSON([]byte(content))
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
	for _, content := range []string{full, "waivers: []\n", one(), one(`address: '**.module.a["b.c d"].aws_lb.x*[*]'`)} {
		parse(t, content)
		if err := valid(t, content); err != nil {
			t.Errorf("the schema refuses\n%s\n%v", content, err)
		}
	}
}

func TestSchemaRefusesWhatParseRefuses(t *testing.T) {
	t.Parallel()
	for _, m := range mistakes {
		if !m.beyondSchema && valid(t, m.content) == nil {
			t.Errorf("the schema accepts %s:\n%s", m.name, m.content)
		}
	}
}
