package gate_test

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tollgate/tollgate/internal/change"
	"github.com/tollgate/tollgate/internal/gate"
)

func mustLoad(t *testing.T, content map[string]string) *gate.Set {
	t.Helper()
	set, err := gate.Load("set", files(content))
	if err != nil {
		t.Fatal(err)
	}
	return set
}

// planOf is a plan with these resource changes.
func planOf(t *testing.T, changes ...map[string]any) []byte {
	t.Helper()
	plan, err := json.Marshal(map[string]any{
		"format_version": "1.2", "complete": true, "errored": false,
		"planned_values": map[string]any{}, "resource_changes": append([]map[string]any{}, changes...),
	})
	if err != nil {
		t.Fatal(err)
	}
	return plan
}

func resource(address string, actions ...string) map[string]any {
	c := map[string]any{"actions": actions, "after": map[string]any{}}
	return map[string]any{"address": address, "mode": "managed", "type": "aws_x", "change": c}
}

// Covers: T62
func TestOnlyCompletePlansAreJudged(t *testing.T) {
	t.Parallel()
	set := mustLoad(t, map[string]string{"plan/x.rego": "package x\n\ndeny contains \"found\" if input.bad\n"})
	tests := map[string]struct{ plan, refusal string }{
		"complete":            {`{"format_version": "1.2", "complete": true, "errored": false, "planned_values": {}, "resource_changes": []}`, ""},
		"no changes":          {`{"format_version": "1.2", "complete": true, "errored": false, "planned_values": {"root_module": {}}}`, ""},
		"older Terraform":     {`{"format_version": "0.1", "planned_values": {}, "resource_changes": []}`, ""},
		"without a version":   {`{"planned_values": {}, "resource_changes": []}`, "has no format_version"},
		"version is a number": {`{"format_version": 1.2, "planned_values": {}}`, "has no format_version"},
		"version 2":           {`{"format_version": "2.0", "planned_values": {}}`, `has the format_version "2.0"`},
		"version 10":          {`{"format_version": "10.0", "planned_values": {}}`, `has the format_version "10.0"`},
		"errored":             {`{"format_version": "1.2", "errored": true, "planned_values": {}}`, "ended with an error or was cancelled"},
		"errored is no flag":  {`{"format_version": "1.2", "errored": "no", "planned_values": {}}`, "ended with an error or was cancelled"},
		"not complete":        {`{"format_version": "1.2", "complete": false, "planned_values": {}}`, "is not complete"},
		"a state":             {`{"format_version": "1.0", "values": {"root_module": {}}}`, "neither planned_values nor resource_changes"},
		"changes are no list": {`{"format_version": "1.2", "planned_values": {}, "resource_changes": {}}`, "no list"},
		"changes are null":    {`{"format_version": "1.2", "planned_values": {}, "resource_changes": null}`, "no list"},
		"not JSON":            {`Error: no plan`, "is not JSON"},
		"an array":            {`[]`, "is not JSON"},
		"null":                {`null`, "has no format_version"},
		"empty":               {``, "is not JSON"},
		"cut off":             {`{"format_version": "1.2", "planned_values": {`, "is not JSON"},
		"two documents":       {`{"format_version": "1.2", "planned_values": {}} {"errored": true}`, "has more after its end"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := set.JudgePlan(context.Background(), []byte(test.plan))
			if test.refusal == "" {
				if err != nil {
					t.Fatalf("JudgePlan: %v; want a verdict", err)
				}
				return
			}
			wantFault(t, err, test.refusal)
		})
	}
}

// Covers: T62
func TestSetWithoutPlanRulesJudgesNoPlan(t *testing.T) {
	t.Parallel()
	set := mustLoad(t, with(sound, map[string]string{"plan/tls/tls.rego": "", "plan/tls/parameters.yaml": ""}))
	if set.JudgesPlans() || !set.JudgesApplies() {
		t.Error("the set says that it judges plans, or that it does not judge applies")
	}
	_, err := set.JudgePlan(context.Background(), planOf(t))
	wantFault(t, err, "has no rules for plans")
}

func TestFindings(t *testing.T) {
	t.Parallel()
	set := mustLoad(t, map[string]string{"plan/x.rego": `# METADATA
# title: About the package
package x

# METADATA
# title: Nothing is bad
# custom:
#   id: bad
#   severity: deny
#   remediation: Make it good.
# related_resources:
# - ref: https://example.com/a
#   description: The standard
# - ref: https://example.com/b
deny contains {"rule": "bad", "address": r.address, "msg": "bad", "attribute": "a[0].b"} if {
	some r in input.resource_changes
	r.bad
}

judged contains {"rule": "bad", "address": r.address} if some r in input.resource_changes

# METADATA
# title: Nothing is odd
# custom:
#   id: odd
#   severity: warn
deny contains {"rule": "odd", "address": r.address, "msg": "odd", "remediation": "Even it."} if {
	some r in input.resource_changes
	r.odd
}

violation contains {"address": r.address, "msg": "unclear", "verdict": "undetermined"} if {
	some r in input.resource_changes
	r.unclear
}

warn contains "a string"

deny contains {"address": r.address, "msg": "opened by a route", "touched": true} if {
	some r in input.resource_changes
	r.opened
}
`})
	bad := resource("a", "update")
	bad["bad"], bad["odd"] = true, true
	unclear := resource("b", "no-op")
	unclear["unclear"] = true
	old := resource("c", "no-op")
	old["bad"] = true
	imported := resource("d", "no-op")
	imported["bad"] = true
	imported["change"].(map[string]any)["importing"] = map[string]any{"id": "x"}
	opened := resource("e", "no-op")
	opened["opened"] = true
	read := map[string]any{"address": "data.f", "mode": "data", "change": map[string]any{"actions": []string{"read"}}}
	deleted := resource("g", "delete")
	forgotten := resource("h", "forget")

	result, err := set.JudgePlan(context.Background(), planOf(t, opened, imported, old, unclear, bad, read, deleted, forgotten))
	if err != nil {
		t.Fatal(err)
	}
	if result.ResourcesJudged != 5 {
		t.Errorf("ResourcesJudged = %d, want the 5 that exist after the apply", result.ResourcesJudged)
	}
	const standard = "The standard https://example.com/a; https://example.com/b"
	failed := func(address string, severity change.Severity, noOp bool) change.Finding {
		f := change.Finding{Policy: "x", Rule: "bad", Address: address, Verdict: change.Fail, Severity: severity, NoOp: noOp,
			Message: "bad", Attribute: "a[0].b", Remediation: "Make it good.", Reference: standard}
		if noOp {
			f.IfTouched = change.Deny
		}
		return f
	}
	passed := func(address string, noOp bool) change.Finding {
		return change.Finding{Policy: "x", Rule: "bad", Address: address, Verdict: change.Pass, Severity: change.Deny, NoOp: noOp,
			Message: "Nothing is bad", Reference: standard}
	}
	want := []change.Finding{
		{Policy: "x", Rule: "warn", Verdict: change.Fail, Severity: change.Warn, Message: "a string"},
		failed("a", change.Deny, false),
		{Policy: "x", Rule: "odd", Address: "a", Verdict: change.Fail, Severity: change.Warn, Message: "odd", Remediation: "Even it."},
		passed("b", true),
		{Policy: "x", Rule: "violation", Address: "b", Verdict: change.Undetermined, Severity: change.Warn, NoOp: true, IfTouched: change.Deny, Message: "unclear"},
		failed("c", change.Warn, true),
		failed("d", change.Deny, false),
		passed("data.f", false),
		passed("e", true),
		{Policy: "x", Rule: "deny", Address: "e", Verdict: change.Fail, Severity: change.Deny, Message: "opened by a route"},
		passed("g", false),
		passed("h", false),
	}
	if diff := cmp.Diff(want, result.Findings); diff != "" {
		t.Errorf("findings (-want +got):\n%s", diff)
	}
}

// Conftest's own idioms: any package name, suffixes, violation, msg with more, and exceptions.
func TestConftestPoliciesWorkUnchanged(t *testing.T) {
	t.Parallel()
	set := mustLoad(t, map[string]string{"plan/policy/main.rego": `package main

import rego.v1

deny_public contains msg if {
	some r in input.resource_changes
	msg := sprintf("%s is public", [r.address])
}

violation_size contains {"msg": "too big", "details": {"size": 3}} if input.resource_changes

warn contains msg if msg := "careful"

exception contains rules if {
	input.resource_changes
	rules := ["size"]
}
`})
	result, err := set.JudgePlan(context.Background(), planOf(t, resource("a", "create")))
	if err != nil {
		t.Fatal(err)
	}
	want := []change.Finding{
		{Policy: "main", Rule: "deny_public", Verdict: change.Fail, Severity: change.Deny, Message: "a is public"},
		{Policy: "main", Rule: "violation_size", Verdict: change.Waived, Severity: change.Deny, Message: "too big"},
		{Policy: "main", Rule: "warn", Verdict: change.Fail, Severity: change.Warn, Message: "careful"},
	}
	if diff := cmp.Diff(want, result.Findings); diff != "" {
		t.Errorf("findings (-want +got):\n%s", diff)
	}
}

func TestExceptionsDoNotCoverWhatCannotBeWaived(t *testing.T) {
	t.Parallel()
	for waivable, want := range map[string]change.Verdict{"true": change.Waived, "false": change.Fail} {
		set := mustLoad(t, map[string]string{"plan/main.rego": `package main

# METADATA
# custom: {waivable: ` + waivable + `}
deny_public contains {"rule": "public", "msg": "public"} if input.resource_changes

exception contains ["public"]
`})
		result, err := set.JudgePlan(context.Background(), planOf(t))
		if err != nil || len(result.Findings) != 1 || result.Findings[0].Verdict != want {
			t.Errorf("waivable: %s: %+v, %v; want one finding that is %s", waivable, result.Findings, err, want)
		}
	}
}

func TestAnswersThatCannotBeRead(t *testing.T) {
	t.Parallel()
	tests := map[string]struct{ rule, refusal string }{
		"string":              {`deny contains "x"`, ""},
		"object":              {`deny contains {"msg": "x"}`, ""},
		"undetermined":        {`deny contains {"msg": "x", "verdict": "undetermined"}`, ""},
		"rule does not hold":  {"deny := \"x\" if false", ""},
		"object without msg":  {`deny contains {"message": "x"}`, "neither a string nor an object with msg"},
		"empty msg":           {`deny contains ""`, "neither a string nor an object with msg"},
		"msg is a number":     {`deny contains {"msg": 1}`, "whose msg is no string"},
		"number":              {`deny contains 1`, "whose msg is no string"},
		"address is a number": {`deny contains {"msg": "x", "address": 1}`, "whose address is no string"},
		"verdict pass":        {`deny contains {"msg": "x", "verdict": "pass"}`, `with the verdict "pass"`},
		"boolean":             {`deny := true`, "data.x.deny is no set"},
		"judged nothing":      {"deny contains \"x\"\n\njudged contains \"x\"", "without rule and address"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			set := mustLoad(t, map[string]string{"plan/x.rego": "package x\n\n" + test.rule + "\n"})
			_, err := set.JudgePlan(context.Background(), planOf(t))
			if test.refusal == "" {
				if err != nil {
					t.Fatalf("JudgePlan: %v; want a verdict", err)
				}
				return
			}
			wantFault(t, err, test.refusal)
		})
	}
}

// Covers: T62
func TestRuleThatErrorsJudgesNothing(t *testing.T) {
	t.Parallel()
	set := mustLoad(t, map[string]string{"plan/x.rego": `package x

deny contains "too big" if to_number(input.size) > 3
`})
	judge := func(size string) error {
		plan := `{"format_version": "1.2", "planned_values": {}, "size": "` + size + `"}`
		_, err := set.JudgePlan(context.Background(), []byte(plan))
		return err
	}
	if err := judge("2"); err != nil {
		t.Errorf("JudgePlan: %v; want a verdict", err)
	}
	wantFault(t, judge("two"), "A policy failed while it was evaluated at set/plan/x.rego:3.")
}

func TestJudgingEndsWithItsContext(t *testing.T) {
	t.Parallel()
	set := mustLoad(t, map[string]string{"plan/x.rego": `package x

deny contains "never" if {
	some i in numbers.range(1, input.size)
	some j in numbers.range(1, input.size)
	i * j < 0
}
`})
	judge := func(ctx context.Context, size string) error {
		_, err := set.JudgePlan(ctx, []byte(`{"format_version": "1.2", "planned_values": {}, "size": `+size+`}`))
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
	defer cancel()
	wantFault(t, judge(ctx, "10000"), "were not done in time")
	if err := judge(context.Background(), "10"); err != nil {
		t.Errorf("JudgePlan: %v; want a verdict", err)
	}
}

// A JSON schema may refer to a schema on the network, and the engine would fetch it.
func TestSchemasAreNotFetched(t *testing.T) {
	t.Parallel()
	var requests atomic.Int32
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		requests.Add(1)
		_, _ = w.Write([]byte(`{"type": "object"}`))
	}))
	defer server.Close()
	judge := func(schema string) error {
		set := mustLoad(t, map[string]string{"plan/x.rego": `package x

deny contains "no match" if {
	[matches, _] := json.match_schema(input.planned_values, ` + schema + `)
	not matches
}
`})
		_, err := set.JudgePlan(context.Background(), planOf(t))
		return err
	}
	if err := judge(`{"type": "object"}`); err != nil {
		t.Errorf("JudgePlan: %v; want a verdict", err)
	}
	wantFault(t, judge(`{"$ref": "`+server.URL+`/schema.json"}`), "A policy failed")
	if n := requests.Load(); n != 0 {
		t.Errorf("the policy made %d requests", n)
	}
}

func TestSetIsSafeForConcurrentUse(t *testing.T) {
	t.Parallel()
	set := mustLoad(t, map[string]string{"plan/x.rego": `package x

deny contains {"address": r.address, "msg": "bad"} if some r in input.resource_changes
`})
	var wait sync.WaitGroup
	for _, address := range []string{"a", "b", "c", "d"} {
		plan := planOf(t, resource(address, "create"))
		wait.Go(func() {
			result, err := set.JudgePlan(context.Background(), plan)
			if err != nil || len(result.Findings) != 1 || result.Findings[0].Address != address {
				t.Errorf("JudgePlan of %s = %+v, %v", address, result, err)
			}
		})
	}
	wait.Wait()
}
