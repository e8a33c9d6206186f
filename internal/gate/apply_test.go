package gate_test

import (
	"context"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tollgate/tollgate/internal/change"
	"github.com/tollgate/tollgate/internal/gate"
)

func TestDecision(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		rules string
		want  gate.Decision
	}{
		"nothing denies": {
			`deny contains "x" if input.pull.draft`,
			gate.Decision{Allowed: true},
		},
		"denied": {
			`deny contains {"rule": "b", "msg": "because"}
violation contains "too"
deny contains {"rule": "a", "msg": input.actor.login}`,
			gate.Decision{Denials: []gate.Denial{{Rule: "a", Message: "ann"}, {Rule: "b", Message: "because"}, {Rule: "violation", Message: "too"}}},
		},
		"warned": {
			`warn contains "careful"`,
			gate.Decision{Allowed: true, Warnings: []string{"careful"}},
		},
		"denied, whatever the plan touches": {
			`deny contains {"rule": "a", "msg": "untouched", "touched": false, "address": "x"}`,
			gate.Decision{Denials: []gate.Denial{{Rule: "a", Message: "untouched"}}},
		},
		"requirements": {
			`deny contains "x" if false
requirements contains {"text": "a", "met": true}
requirements contains {"text": "b", "met": true}`,
			gate.Decision{Allowed: true, Requirements: []gate.Requirement{{Text: "a", Met: true}, {Text: "b", Met: true}}},
		},
		"requirement that is not met": {
			`deny contains "x" if false
requirements contains {"text": "a", "met": true}
requirements contains {"text": "b", "met": false}`,
			gate.Decision{Requirements: []gate.Requirement{{Text: "b"}, {Text: "a", Met: true}}},
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			set := mustLoad(t, map[string]string{"apply/x.rego": "package x\n\n" + test.rules + "\n"})
			got, err := set.JudgeApply(context.Background(), gate.ApplyInput{Actor: change.User{ID: 1, Login: "ann"}})
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("decision (-want +got):\n%s", diff)
			}
		})
	}
}

// Covers: T62
func TestApplyGateFailsClosed(t *testing.T) {
	t.Parallel()
	judge := func(ctx context.Context, rules string) error {
		set := mustLoad(t, map[string]string{"apply/x.rego": "package x\n\ndeny contains \"x\" if false\n\n" + rules + "\n"})
		_, err := set.JudgeApply(ctx, gate.ApplyInput{Trigger: "two"})
		return err
	}
	if err := judge(context.Background(), `deny contains "x" if to_number("2") > 3`); err != nil {
		t.Errorf("JudgeApply: %v; want a decision", err)
	}
	wantFault(t, judge(context.Background(), `deny contains "x" if to_number(input.trigger) > 3`), "A policy failed")
	wantFault(t, judge(context.Background(), `requirements contains {"text": "x"}`), "without text and met")
	wantFault(t, judge(context.Background(), `deny contains 1`), "no string")

	done, cancel := context.WithCancel(context.Background())
	cancel()
	wantFault(t, judge(done, `deny contains "x" if count(numbers.range(1, 100000)) == 0`), "were not done in time")

	set := mustLoad(t, with(sound, map[string]string{"apply/four_eyes.rego": ""}))
	_, err := set.JudgeApply(context.Background(), gate.ApplyInput{})
	wantFault(t, err, "has no rules for applies")
}

// A package of the same name in the other gate is another package.
func TestGatesAreApart(t *testing.T) {
	t.Parallel()
	set := mustLoad(t, map[string]string{
		"plan/x.rego":  "package x\n\ndeny contains \"plan\"\n",
		"apply/x.rego": "package x\n\ndeny contains \"apply\" if input.trigger == \"merge\"\n",
	})
	plan, err := set.JudgePlan(context.Background(), planOf(t))
	if err != nil || len(plan.Findings) != 1 || plan.Findings[0].Message != "plan" {
		t.Errorf("JudgePlan = %+v, %v; want the finding of the plan gate alone", plan, err)
	}
	for trigger, allowed := range map[string]bool{"merge": false, "comment": true} {
		decision, err := set.JudgeApply(context.Background(), gate.ApplyInput{Trigger: trigger})
		if err != nil || decision.Allowed != allowed {
			t.Errorf("JudgeApply on %s = %+v, %v; want allowed %t", trigger, decision, err, allowed)
		}
	}
}

// The names of the input document are a contract with everybody's policies.
func TestApplyInputNames(t *testing.T) {
	t.Parallel()
	set := mustLoad(t, map[string]string{"apply/x.rego": `package x

deny contains "x" if false

requirements contains {"text": "every name is there", "met": true} if {
	input.pull.head_sha == "h"
	input.pull.author.id == 1
	input.reviews[0].commit_sha == "h"
	input.reviews[0].permission == "write"
	input.commits[0].committer.login == "c"
	input.actor.login == "a"
	input.actor_permission == "admin"
	input.trigger == "comment"
	input.plan.counts.delete == 2
	input.plan_complete
	input.findings[0].severity == "deny"
	input.commits[0].co_authors[0].login == "d"
	input.last_pushers[0].login == "e"
	input.unwaivable == ["a/b"]
	input.teams[0].name == "o/t"
	input.teams[0].members == [7]
	input.teams[0].problem == ""
	input.owners[0].commit == "b"
	input.owners[0].file == "CODEOWNERS"
	input.owners[0].problem == ""
	input.owners[0].rules == [{"line": 3, "pattern": "*", "paths": ["p"], "owners": ["@x"]}]
	input.break_glass.asked_by.login == "f"
	input.break_glass.asked_permission == "write"
	input.break_glass.confirmed_by.login == "g"
	input.break_glass.confirmed_permission == "admin"
	input.break_glass.reason == "r"
	input.break_glass.head_sha == "h"
	input.break_glass.effect_digest == "s"
	input.break_glass.issue == 9
	time.parse_rfc3339_ns(input.break_glass.asked_at) < time.parse_rfc3339_ns(input.break_glass.until)
	input.config.approver_may_apply == false
	input.config.teams == ["o/t"]
	input.config.codeowners == true
	input.config.destructive == {"approvals": 2, "teams": []}
	input.config.windows == [[{"days": ["mon"], "from": "09:00", "to": "10:00", "zone": "UTC"}]]
	input.config.freezes == [{"from": "2026-01-01", "until": "2026-01-02", "zone": "UTC", "reason": "q"}]
	input.config.approvals == 1
	input.config.on == ["merge"]
	time.parse_rfc3339_ns(input.now) == 1767225600000000000
}
`})
	got, err := set.JudgeApply(context.Background(), gate.ApplyInput{
		Pull:        change.Pull{HeadSHA: "h", Author: change.User{ID: 1}},
		Reviews:     []change.Review{{CommitSHA: "h", Permission: "write"}},
		Commits:     []gate.Commit{{Committer: change.User{Login: "c"}, CoAuthors: []change.User{{Login: "d"}}}},
		LastPushers: []change.User{{Login: "e"}},
		Unwaivable:  []string{"a/b"},
		Teams:       []change.Team{{Name: "o/t", Members: []int64{7}}},
		Owners:      []gate.Owners{{Commit: "b", File: "CODEOWNERS", Rules: []gate.Owned{{Line: 3, Pattern: "*", Paths: []string{"p"}, Owners: []string{"@x"}}}}},
		BreakGlass: &gate.BreakGlass{AskedBy: change.User{Login: "f"}, AskedPermission: "write", ConfirmedBy: change.User{Login: "g"}, ConfirmedPermission: "admin",
			Reason: "r", HeadSHA: "h", EffectDigest: "s", Issue: 9, AskedAt: time.Unix(1, 0).UTC(), Until: time.Unix(2, 0).UTC()},
		Actor:           change.User{Login: "a"},
		ActorPermission: "admin",
		Trigger:         "comment",
		Plan:            change.PlanSummary{Counts: change.Counts{Delete: 2}},
		PlanComplete:    true,
		Findings:        []change.Finding{{Severity: change.Deny}},
		Config: gate.ApplyConfig{Approvals: 1, On: []string{"merge"}, Teams: []string{"o/t"}, Codeowners: true, Destructive: gate.Destructive{Approvals: 2, Teams: []string{}},
			Windows: [][]gate.Window{{{Days: []string{"mon"}, From: "09:00", To: "10:00", Zone: "UTC"}}},
			Freezes: []gate.Freeze{{From: "2026-01-01", Until: "2026-01-02", Zone: "UTC", Reason: "q"}}},
		Now: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC),
	})
	if err != nil || len(got.Requirements) != 1 {
		t.Errorf("JudgeApply = %+v, %v; want every name to be there", got, err)
	}
}
