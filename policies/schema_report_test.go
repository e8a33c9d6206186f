package policies_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// smallSchema is what a provider of two types says.
func smallSchema(t *testing.T, version, more string) providerSchema {
	t.Helper()
	var kinds map[string]struct{ Block schemaBlock }
	text := `{
		"aws_queue": {"block": {
			"attributes": {
				"tls_policy": {"type": "string", "optional": true},
				"tls_status": {"type": "string", "computed": true},
				"rules": {"type": ["list", ["object", {"tls": "bool", "port": "number"}]], "optional": true},
				"nested": {"nested_type": {"attributes": {"tls": {"type": "bool", "required": true}}, "nesting_mode": "list"}, "optional": true}
			},
			"block_types": {
				"tls_options": {"nesting_mode": "list", "block": {"attributes": {"version": {"type": "string", "optional": true}}}},
				"tls_off": {"nesting_mode": "list", "block": {}},
				"timeouts": {"nesting_mode": "single", "block": {"attributes": {"tls": {"type": "string", "optional": true}}}}
			}
		}}` + more + `
	}`
	if err := json.Unmarshal([]byte(text), &kinds); err != nil {
		t.Fatal(err)
	}
	return newSchema(version, kinds)
}

func smallList() schemaList {
	return schemaList{
		Attributes: []string{`[._]tls(_|$)`},
		Tables:     []string{"versions"},
		Judged:     map[string]map[string]string{"aws_queue": {"rules.tls": "plain"}},
		NotJudged: []struct{ Match, Reason string }{
			{`aws_queue\.(nested\.tls|tls_off)`, "concerns nobody"},
		},
	}
}

var smallTables = map[string]map[string]any{"parameters.yaml": {"parameters": map[string]any{
	"versions": map[string]any{"aws_queue": []any{
		map[string]any{"attribute": "tls_policy", "required": "TLS_1_2"},
		"tls_options",
	}},
	"others": map[string]any{"aws_queue": "words that are no attribute"},
}}}

// report is what the test says of the small family, line by line.
func report(s providerSchema, l schemaList) []string {
	named := attributesInTables(smallTables, l.Tables, "plan/tls")
	missing, stale := l.compare(s, "tls", named, map[string]bool{"plain": true})
	return append(missing, stale...)
}

func TestSchemaReport(t *testing.T) {
	t.Parallel()
	const added = `, "aws_foo": {"block": {"attributes": {"bar_tls": {"type": "string", "optional": true}, "name": {"type": "string", "required": true}}}}`
	for name, c := range map[string]struct {
		version, more string
		change        func(*schemaList)
		want          string
	}{
		"everything is named": {version: "5.100.0"},
		"a new type in a new version": {
			version: "6.2.0", more: added,
			want: "The AWS provider 6.2.0 has aws_foo.bar_tls, which no rule and no exclusion names: judge it in policies/plan/tls or say in policies/testdata/schema/tls.yaml, under not_judged, why not.",
		},
		"an attribute that is named no longer": {
			version: "5.100.0", change: func(l *schemaList) { l.Judged = nil },
			want: "The AWS provider 5.100.0 has aws_queue.rules.tls, which no rule and no exclusion names: judge it in policies/plan/tls or say in policies/testdata/schema/tls.yaml, under not_judged, why not.",
		},
		"a block without attributes": {
			version: "5.100.0", change: func(l *schemaList) { l.NotJudged[0].Match = `aws_queue\.nested\.tls` },
			want: "The AWS provider 5.100.0 has aws_queue.tls_off, which no rule and no exclusion names: judge it in policies/plan/tls or say in policies/testdata/schema/tls.yaml, under not_judged, why not.",
		},
		"a name that the schema lacks": {
			version: "5.100.0", change: func(l *schemaList) { l.Judged["aws_queue"]["rules.tsl"] = "plain" },
			want: "policies/testdata/schema/tls.yaml names aws_queue.rules.tsl, which the AWS provider 5.100.0 does not have: correct or remove the name.",
		},
		"an attribute of a table that the schema lacks": {
			version: "5.100.0", change: func(l *schemaList) { l.Tables = append(l.Tables, "others") },
			want: "policies/plan/tls/parameters.yaml names aws_queue.words that are no attribute, which the AWS provider 5.100.0 does not have: correct or remove the name.",
		},
		"a rule that the family lacks": {
			version: "5.100.0", change: func(l *schemaList) { l.Judged["aws_queue"]["rules.tls"] = "plane" },
			want: "policies/testdata/schema/tls.yaml says that the rule plane judges aws_queue.rules.tls, but the family has no such rule: correct the id.",
		},
		"an exclusion that matches only a part": {
			version: "5.100.0", change: func(l *schemaList) {
				l.NotJudged = append(l.NotJudged, struct{ Match, Reason string }{`tls_policy`, "concerns nobody"})
			},
			want: "policies/testdata/schema/tls.yaml excludes tls_policy, which matches nothing of the AWS provider 5.100.0 that is left to judge: remove the exclusion.",
		},
		"an exclusion of what is judged": {
			version: "5.100.0", change: func(l *schemaList) {
				l.NotJudged = append(l.NotJudged, struct{ Match, Reason string }{`aws_queue\.tls_policy`, "concerns nobody"})
			},
			want: `policies/testdata/schema/tls.yaml excludes aws_queue\.tls_policy, which matches nothing of the AWS provider 5.100.0 that is left to judge: remove the exclusion.`,
		},
		"an exclusion without a reason": {
			version: "5.100.0", change: func(l *schemaList) { l.NotJudged[0].Reason = " " },
			want: `policies/testdata/schema/tls.yaml excludes aws_queue\.(nested\.tls|tls_off) without a reason: say why it is not judged.`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			list := smallList()
			if c.change != nil {
				c.change(&list)
			}
			got := strings.Join(report(smallSchema(t, c.version, c.more), list), "\n")
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("the report differs (-want +got):\n%s", diff)
			}
		})
	}
}
