package gate_test

import (
	"context"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tollgate/tollgate/internal/change"
	"github.com/tollgate/tollgate/internal/gate"
)

// rated is a set whose rule finds what each resource's "found" says.
var rated = map[string]string{
	"plan/tls/tls.rego": `package plan.tls

# METADATA
# title: Nothing is old
# custom:
#   id: old
deny contains {"rule": "old", "address": r.address, "msg": "old", "verdict": r.found} if some r in input.resource_changes

# METADATA
# title: Nothing is odd
# custom:
#   id: odd
#   severity: warn
deny contains {"rule": "odd", "address": r.address, "msg": "odd", "verdict": r.found} if some r in input.resource_changes

warn contains {"address": r.address, "msg": "strange", "verdict": r.found} if some r in input.resource_changes
`,
}

func found(address, verdict string, actions ...string) map[string]any {
	r := resource(address, actions...)
	r["found"] = verdict
	return r
}

func TestLevels(t *testing.T) {
	t.Parallel()
	plan := planOf(t, found("new", "fail", "create"), found("open", "undetermined", "create"), found("still", "fail", "no-op"), found("still.open", "undetermined", "no-op"))
	const deny, warn = change.Deny, change.Warn
	// The severities of the findings about new, open, still and still.open.
	byDefault := map[string][4]change.Severity{"old": {deny, deny, warn, warn}, "odd": {warn, warn, warn, warn}, "warn": {warn, warn, warn, warn}}
	tests := map[string]struct {
		levels string
		rule   string
		want   [4]change.Severity
	}{
		"nothing said":                   {"", "old", byDefault["old"]},
		"as by default":                  {"old: deny", "old", byDefault["old"]},
		"another rule":                   {"odd: deny", "old", byDefault["old"]},
		"warn":                           {"old: warn", "old", [4]change.Severity{warn, warn, warn, warn}},
		"only what is undetermined":      {"old: {undetermined: warn}", "old", [4]change.Severity{deny, warn, warn, warn}},
		"only what fails":                {"old: {fail: warn}", "old", [4]change.Severity{warn, deny, warn, warn}},
		"what is not touched too":        {"old: {untouched: deny}", "old", [4]change.Severity{deny, deny, deny, deny}},
		"not touched, as by default":     {"old: {untouched: warn}", "old", byDefault["old"]},
		"not touched, and no failures":   {"old: {fail: warn, untouched: deny}", "old", [4]change.Severity{warn, deny, warn, deny}},
		"METADATA that warns":            {"old: deny", "odd", byDefault["odd"]},
		"METADATA that warns, raised":    {"odd: deny", "odd", byDefault["old"]},
		"rule that warns":                {"old: deny", "warn", byDefault["warn"]},
		"rule that warns, raised":        {"warn: {fail: deny, undetermined: deny, untouched: deny}", "warn", [4]change.Severity{deny, deny, deny, deny}},
		"rule that warns, not touched":   {"warn: {untouched: deny}", "warn", byDefault["warn"]},
		"rule that warns, raised partly": {"warn: {undetermined: deny}", "warn", [4]change.Severity{warn, deny, warn, warn}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			content := rated
			if test.levels != "" {
				content = with(rated, map[string]string{"plan/tls/levels.yaml": "levels: {" + test.levels + "}\n"})
			}
			result, err := mustLoad(t, content).JudgePlan(context.Background(), plan)
			if err != nil {
				t.Fatal(err)
			}
			got := map[string]change.Severity{}
			for _, f := range result.Findings {
				if f.Rule == test.rule {
					got[f.Address] = f.Severity
				}
				if f.NoOp != (f.IfTouched != "") || f.NoOp && f.IfTouched != severityOf(result.Findings, f) {
					t.Errorf("%s: if touched %q", f.Address, f.IfTouched)
				}
			}
			want := map[string]change.Severity{"new": test.want[0], "open": test.want[1], "still": test.want[2], "still.open": test.want[3]}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("severities (-want +got):\n%s", diff)
			}
		})
	}
}

// severityOf is the severity of a finding that differs from f only in that the plan touches what it
// is about.
func severityOf(findings []change.Finding, f change.Finding) change.Severity {
	for _, g := range findings {
		if g.Rule == f.Rule && g.Verdict == f.Verdict && !g.NoOp {
			return g.Severity
		}
	}
	return ""
}

func TestLevelsThatDoNotLoad(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		file, content, want string // no want: the set loads
	}{
		"by id":                   {"plan/tls/x.yaml", "levels: {old: warn}", ""},
		"by name of the set":      {"plan/tls/x.json", `{"levels": {"warn": "deny"}}`, ""},
		"none":                    {"plan/tls/x.yaml", "levels: {}", ""},
		"in the root":             {"data.json", `{"plan": {"tls": {"levels": {"old": "warn"}}}}`, ""},
		"in the root, misspelt":   {"data.json", `{"plan": {"tls": {"levels": {"odl": "warn"}}}}`, `there is no rule "odl"`},
		"in the root, elsewhere":  {"data.json", `{"plan": {"tsl": {"levels": {"old": "warn"}}}}`, "set/data.json of the policies has levels for plan/tsl, but no policy lies there"},
		"in the root, other data": {"data.json", `{"plan": {"tables": {"levels": {"1": "x"}}}}`, ""},
		"in the root, parameters": {"data.json", `{"plan": {"tls": {"parameters": {"levels": {"old": "warn"}}}}}`, ""},
		"in the root, other gate": {"data.json", `{"apply": {"levels": {"old": "warn"}}}`, "set/data.json of the policies has levels for apply, but no policy lies there"},
		"of the root":             {"data.yaml", "levels: {old: warn}", "set/data.yaml of the policies has levels, but no policy of a gate lies beside it"},
		"of the root, no levels":  {"data.yaml", "level: {old: warn}", ""},
		"of a library":            {"lib/x.yaml", "levels: {old: warn}", "set/lib/x.yaml of the policies has levels, but no policy of a gate"},
		"a library's other data":  {"lib/x.yaml", "words: {levels: [1, 2]}", ""},
		"of the gate's folder":    {"plan/x.yaml", "levels: {old: warn}", "set/plan/x.yaml of the policies has levels, but no policy of a gate"},
		"from the gate's folder":  {"plan/x.yaml", "tls: {levels: {old: warn}}", ""},
		"from there, elsewhere":   {"plan/x.yaml", "tsl: {levels: {old: warn}}", "set/plan/x.yaml of the policies has levels for plan/tsl"},
		"parameters called so":    {"plan/tls/x.yaml", "parameters: {levels: {1: x}}", ""},
		"unknown rule":            {"plan/tls/x.yaml", "levels: {odl: warn}", `beside set/plan/tls cannot be used: there is no rule "odl"; the rules are deny, odd, old, warn`},
		"rule with its package":   {"plan/tls/x.yaml", "levels: {plan.tls/old: warn}", `there is no rule "plan.tls/old"`},
		"the package":             {"plan/tls/x.yaml", `levels: {"": warn}`, `there is no rule ""`},
		"unknown word":            {"plan/tls/x.yaml", "levels: {old: off}", "the rule old has the level"},
		"another word":            {"plan/tls/x.yaml", "levels: {old: Warn}", "the rule old has the level Warn, which is neither deny nor warn"},
		"no word":                 {"plan/tls/x.yaml", "levels: {old: }", "the rule old has the level"},
		"unknown key":             {"plan/tls/x.yaml", "levels: {old: {unknown: warn}}", "the rule old has unknown: warn, which is no level"},
		"unknown word below":      {"plan/tls/x.yaml", "levels: {old: {fail: ignore}}", "the rule old has fail: ignore, which is no level"},
		"no mapping":              {"plan/tls/x.yaml", "levels: [old]", "they are no mapping"},
		"beside no policy":        {"plan/tsl/x.yaml", "levels: {old: warn}", "set/plan/tsl/x.yaml of the policies has levels, but no policy of a gate lies beside it"},
		"below a policy":          {"plan/tls/x/x.yaml", "levels: {old: warn}", "set/plan/tls/x/x.yaml of the policies has levels, but no policy of a gate"},
		"below, other data":       {"plan/tls/x/x.yaml", "words: {levels: {old: warn}}", ""},
		"in the other gate":       {"apply/x.yaml", "levels: {old: warn}", "set/apply/x.yaml of the policies has levels, but no policy of a gate lies beside it"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := gate.Load("set", files(with(rated, map[string]string{test.file: test.content})))
			if test.want == "" {
				if err != nil {
					t.Fatalf("Load: %v; want a set", err)
				}
				return
			}
			wantFault(t, err, test.want)
		})
	}
}

// The levels of one gate are nothing to the other.
func TestLevelsOfTheOtherGate(t *testing.T) {
	t.Parallel()
	both := with(rated, map[string]string{"apply/x/x.rego": "package apply.x\n\ndeny contains \"x\" if input.x\n"})
	for _, file := range []map[string]string{
		{"apply/x/levels.yaml": "levels: {deny: warn}\n"},
		{"data.yaml": "apply: {x: {levels: {deny: warn}}}\n"},
	} {
		src, err := gate.Read("set", files(with(both, file)))
		if err != nil {
			t.Fatal(err)
		}
		for _, gates := range [][]string{{gate.ForPlans}, {gate.ForApplies}, {gate.ForPlans, gate.ForApplies}} {
			if _, err := gate.Compile(src, gates...); err != nil {
				t.Errorf("%v: Compile for %v: %v", file, gates, err)
			}
		}
	}
}

// Covers: T64
func TestUnwaivable(t *testing.T) {
	t.Parallel()
	keep := func(old, new string) map[string]string {
		return map[string]string{"plan/tls/tls.rego": strings.Replace(rated["plan/tls/tls.rego"], old, new, 1)}
	}
	all := []string{"plan.tls/odd", "plan.tls/old", "plan.tls/warn"}
	// kept is a package of which one part has METADATA that allows no waiver; deny finds something.
	kept := func(part, id, finding string) map[string]string {
		notes := map[string]string{"other": "# METADATA\n# custom: {id: other}\n"}
		if part == "deny" && id == "" {
			delete(notes, "other")
		}
		notes[part] = "# METADATA\n# custom: {waivable: false" + id + "}\n"
		return map[string]string{"plan/x.rego": notes["package"] + "package x\n\n" +
			notes["deny"] + "deny contains {\"address\": \"new\", \"msg\": help, " + finding + "} if input\n\n" +
			notes["help"] + "help := \"x\"\n\n" +
			notes["warn"] + "warn contains \"x\" if input.x\n\n" +
			notes["other"] + "deny contains \"x\" if input.x\n"}
	}
	tests := map[string]struct {
		content map[string]string
		want    []string
		refusal string
	}{
		"nothing said":    {rated, nil, ""},
		"one rule":        {keep("id: old\n", "id: old\n#   waivable: false\n"), []string{"plan.tls/old"}, ""},
		"said to be":      {keep("id: old\n", "id: old\n#   waivable: true\n"), nil, ""},
		"by name":         {keep("\nwarn contains", "\n# METADATA\n# custom: {waivable: false}\nwarn contains"), []string{"plan.tls/warn"}, ""},
		"the package":     {keep("package plan.tls\n", "# METADATA\n# custom: {waivable: false}\npackage plan.tls\n"), all, ""},
		"what lies below": {with(rated, map[string]string{"plan/plan.rego": "# METADATA\n# scope: subpackages\n# custom: {waivable: false}\npackage plan\n\ndeny contains \"x\" if input.x\n"}), all, ""},
		"not below": {with(rated, map[string]string{"plan/plan.rego": "# METADATA\n# scope: subpackages\n# custom: {waivable: false}\npackage plan.tlsx\n\ndeny contains \"x\" if input.x\n"}),
			nil, ""},
		"another package": {with(rated, map[string]string{"plan/plan.rego": "# METADATA\n# custom: {waivable: false}\npackage plan\n\ndeny contains \"x\" if input.x\n"}), nil, ""},
		"no truth value":  {keep("id: old\n", "id: old\n#   waivable: \"no\"\n"), nil, "custom.waivable that is neither true nor false"},
		"of no one rule": {with(rated, map[string]string{"plan/more.rego": "package more\n\n# METADATA\n# custom: {waivable: false}\ndeny contains \"x\" if input.x\n\n# METADATA\n# title: Y\ndeny contains \"y\" if input.y\n"}),
			nil, "says custom.waivable: false of a rule without custom.id"},
		"of a rule set, findings by ids of their own": {kept("deny", "", `"rule": "version"`), []string{"x/version"}, ""},
		"of no rule set, by ids of their own":         {kept("warn", "", `"rule": "version"`), nil, ""},
		"of a rule, a finding by the set's name":      {kept("deny", ", id: a", `"attribute": "b"`), []string{"x/deny"}, ""},
		"of a rule, a finding by an unknown id":       {kept("deny", ", id: a", `"rule": "b"`), []string{"x/b"}, ""},
		"of a rule, a finding by another's id":        {kept("deny", ", id: a", `"rule": "other"`), nil, ""},
		"of a helper, a finding by an unknown id":     {kept("help", "", `"rule": "b"`), []string{"x/b"}, ""},
		"of the package with an id":                   {kept("package", ", id: a", `"rule": "b"`), []string{"x/b"}, ""},
		"of the package, a finding by another's id":   {kept("package", ", id: a", `"rule": "other"`), nil, ""},
		"of a package without findings": {with(rated, map[string]string{"lib/x.rego": "# METADATA\n# custom: {waivable: false}\npackage lib.x\n\nx := 1\n"}),
			nil, "set/lib/x.rego of the policies says custom.waivable: false, but its package has no deny, violation or warn rule"},
	}
	plan := planOf(t, found("new", "fail", "create"))
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			set, err := gate.Load("set", files(test.content))
			if test.refusal != "" {
				wantFault(t, err, test.refusal)
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			result, err := set.JudgePlan(context.Background(), plan)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.want, result.Unwaivable); diff != "" {
				t.Errorf("unwaivable (-want +got):\n%s", diff)
			}
		})
	}
}
