package report_test

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tollgate/tollgate/internal/change"
	"github.com/tollgate/tollgate/internal/fault"
	"github.com/tollgate/tollgate/internal/report"
)

var update = flag.Bool("update", false, "write the golden files")

// golden compares got with a file that a person can read and judge.
func golden(t *testing.T, file, got string) {
	t.Helper()
	path := filepath.Join("testdata", file)
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatalf("%v; run the test with -update and read the file", err)
	}
	if d := cmp.Diff(string(want), got); d != "" {
		t.Errorf("%s differs (-want +got); run the test with -update and read it\n%s", path, d)
	}
}

// show writes a check as one readable page.
func show(c change.Check) string {
	var b strings.Builder
	fmt.Fprintf(&b, "# %s\n\n%s %s: %s\n\n", c.Name, c.Status, c.Conclusion, c.Title)
	for _, x := range c.Buttons {
		fmt.Fprintf(&b, "[%s] %s (%s)\n\n", x.Label, x.Description, x.Identifier)
	}
	b.WriteString("---\n\n" + c.Summary + "\n---\n\n" + c.Text)
	for _, a := range c.Annotations {
		fmt.Fprintf(&b, "\n---\n\n%s:%d-%d %s: %s\n\n%s\n", a.Path, a.StartLine, a.EndLine, a.Level, a.Title, a.Message)
	}
	return b.String()
}

func TestGolden(t *testing.T) {
	t.Parallel()
	other := passed()
	other.Project = project("network")
	other.Summary = change.PlanSummary{TerraformVersion: "1.11.4"}
	met := passed()
	met.Requirements[1].Met = true
	running := passed()
	running.State = change.RunRunning
	conflict := gate(change.RunErrored)
	conflict.Stop = report.StopConflict
	config := gate(change.RunErrored)
	config.Fault = fault.New("`.tollgate.yaml` on `main` has an unknown key `projcts`.", "A misspelt setting could leave a project unjudged.", "Correct line 2.")
	applied := gate(change.RunPassed, met)
	applied.Applies = []report.Apply{apply(change.ExecApplied)}
	proven, unproven := apply(change.ExecApplied), apply(change.ExecApplied)
	proven.Proof = &change.Proof{Obligations: []change.Obligation{obligation(change.Pass)}}
	unproven.Proof = &change.Proof{Counts: change.Counts{Update: 1}, Obligations: []change.Obligation{
		obligation(change.Fail), obligation(change.Pass), obligation(change.Undetermined), obligation("")}}
	glass := apply(change.ExecApplied)
	glass.Glass = &change.Glass{AskedBy: change.User{Login: "ada"}, ConfirmedBy: change.User{Login: "grace"}, Issue: 12,
		Reason: "payments are down: ``` @acme/all <b>see</b> #911", AskedAt: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)}
	issueTitle, issueBody := report.GlassIssue(change.Pull{Number: 7, HeadSHA: headSHA}, "payments", "0a1b2c3d", *glass.Glass)
	blind := apply(change.ExecApplied)
	blind.Proof = &change.Proof{Obligations: []change.Obligation{obligation("")}, Fault: fault.New("The plan took longer than 30 minutes.", "", "Comment `/plan` to look.")}
	policies := gate(change.RunPassed, passed())
	policies.Preview = preview()
	waived := passed()
	waived.Notices = []change.Notice{{Kind: "expired", File: "policies/waivers.yaml", Line: 2,
		What: "The waiver of plan.tls/listener-policy for aws_lb_listener.https, which @ada answers for, expired on 2026-10-31.",
		Why:  "It does not hold, so its finding counts as without it.", Fix: "Mend the resource and remove the waiver."}}
	only := gate(change.RunPassed)
	only.Preview = preview()
	broken := gate(change.RunPassed)
	broken.Preview = &change.Preview{Dir: "policies", Fault: fault.New("The file policies/plan/a.rego does not parse.", "", "Correct the file.")}
	untested := gate(change.RunPassed, passed())
	untested.Preview = preview()
	untested.Preview.Tests = change.PolicyTests{Passed: 41, Skipped: 2, Failed: []string{"data.plan.queues_test.test_encrypted (plan/queues/tests/queues_test.rego:9)"}}
	partial := apply(change.ExecFailedPartial)
	partial.Fault = fault.New("Terraform ended with an error.", "", "Read the last lines of its output.")
	unknown := apply(change.ExecUnknown)
	unknown.Fault = fault.New("Terraform has changed resources but could not save the new state.", "The state no longer describes what exists.", "Get the state that was not saved.")
	unknown.Unsaved = true
	unknown.Evidence = &change.Evidence{Counts: change.Counts{Create: 1}, Changes: []change.ResourceChange{{Address: "aws_sqs_queue.a", Type: "aws_sqs_queue", Action: change.Create}}}
	lockedOut := apply(change.ExecUnknown)
	lockedOut.Evidence = &change.Evidence{Fault: fault.New("The state is locked by root@host (Apply since 2026-01-02 03:04:05 UTC).", "", "Find out what it has done.")}
	resolved := apply(change.ExecUnknown)
	resolved.Resolved = change.Resolved{As: change.ResolvedApplied, By: change.User{ID: 2, Login: "grace"}, Reason: "all queues are there, see *the console*"}
	again := apply(change.ExecUnknown)
	again.Resolved = change.Resolved{As: change.ResolvedReconcile, By: change.User{ID: 2, Login: "grace"}, Reason: "one queue is missing"}
	blocked := apply(change.ExecFailedClean)
	blocked.Blocked, blocked.Fault = true, fault.New("The state is locked by root@host.", "Two runs that write one state lose each other's work.", "Comment `/plan` when the other run has ended.")
	first, second, third := passed(), passed(), passed()
	first.PlanID, second.PlanID, third.PlanID = "p1", "p2", "p3"
	second.Project, third.Project = project("network"), project("edge")
	third.Project.DependsOn = []string{"network"}
	halted := gate(change.RunPassed, first, second, third)
	done, midway := apply(change.ExecApplied), apply(change.ExecFailedPartial)
	done.Execution.PlanID, midway.Execution.PlanID, midway.Execution.Project = "p1", "p2", project("network")
	halted.Applies = []report.Apply{done, midway}

	for name, got := range map[string]string{
		"apply-evidence":    show(report.ApplyCheck(unknown)),
		"apply-locked":      show(report.ApplyCheck(lockedOut)),
		"apply-resolved":    show(report.ApplyCheck(resolved)),
		"apply-again":       show(report.ApplyCheck(again)),
		"apply-blocked":     show(report.ApplyCheck(blocked)),
		"gate-halted":       show(report.GateCheck(halted)),
		"answer-resolve":    report.AnswerResolve("payments", "an apply of pull request #12 whose outcome is unknown", change.ResolvedReconcile),
		"plan-passed":       show(report.PlanCheck(passed())),
		"plan-ready":        show(report.PlanCheck(met)),
		"plan-notices":      show(report.PlanCheck(waived)),
		"plan-denied":       show(report.PlanCheck(denied())),
		"plan-errored":      show(report.PlanCheck(errored())),
		"plan-running":      show(report.PlanCheck(running)),
		"plan-no-changes":   show(report.PlanCheck(other)),
		"glass-issue":       issueTitle + "\n\n" + issueBody,
		"glass-asked":       report.AnswerGlassAsked("payments", "0a1b2c3d", *glass.Glass),
		"glass-broken":      report.AnswerGlassBroken("payments", *glass.Glass),
		"apply-glass":       show(report.ApplyCheck(glass)),
		"apply-applied":     show(report.ApplyCheck(apply(change.ExecApplied))),
		"apply-proven":      show(report.ApplyCheck(proven)),
		"apply-broken":      show(report.ApplyCheck(unproven)),
		"apply-blind":       show(report.ApplyCheck(blind)),
		"gate-policies":     show(report.GateCheck(policies)),
		"gate-only":         show(report.GateCheck(only)),
		"gate-broken":       show(report.GateCheck(broken)),
		"gate-failing":      show(report.GateCheck(untested)),
		"apply-partial":     show(report.ApplyCheck(partial)),
		"apply-unknown":     show(report.ApplyCheck(apply(change.ExecUnknown))),
		"gate-none":         show(report.GateCheck(gate(change.RunPassed))),
		"gate-conflict":     show(report.GateCheck(conflict)),
		"gate-config":       show(report.GateCheck(config)),
		"comment-passed":    report.Comment(gate(change.RunPassed, passed())),
		"comment-denied":    report.Comment(gate(change.RunFailed, denied(), other, errored())),
		"comment-running":   report.Comment(gate(change.RunRunning, running, other)),
		"comment-applied":   report.Comment(applied),
		"comment-conflict":  report.Comment(conflict),
		"answer-help":       report.AnswerHelp([]string{"payments", "network"}),
		"answer-plan":       report.AnswerPlan([]string{"payments"}, headSHA, address),
		"answer-apply":      report.AnswerApply("payments", headSHA, address),
		"answer-unlock":     report.AnswerUnlock("payments", "pull request 12"),
		"answer-cancel":     report.AnswerCancel([]string{"payments"}),
		"answer-refused":    report.AnswerRefused(refusal()),
		"answer-on-merge":   report.AnswerRefused(report.Refusal{Denials: []string{"No approval for 4be1c0f"}}),
		"answer-no-project": report.AnswerPlan(nil, headSHA, address),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			golden(t, name+".md", got)
		})
	}
}

func obligation(after change.Verdict) change.Obligation {
	o := change.Obligation{Verdict: after, Finding: change.Finding{Policy: "plan.private_subnets", Rule: "public-subnet", Address: "aws_ecs_service.api",
		Verdict: change.Undetermined, Severity: change.Warn, Message: "The plan does not tell which subnets the workload stands in."}}
	if after == change.Fail {
		o.Message = "The workload stands in subnet-0a1b, which the internet can reach."
	}
	return o
}

func preview() *change.Preview {
	denied := change.Finding{Policy: "plan.queues", Rule: "queue-encryption", Address: "aws_sqs_queue.orders", Verdict: change.Fail, Severity: change.Warn,
		NoOp: true, IfTouched: change.Deny, Message: "Messages are stored unencrypted.", Remediation: "Set sqs_managed_sse_enabled to true."}
	other := denied
	other.Address = "aws_sqs_queue.refunds"
	allowed := change.Finding{Policy: "plan.queues", Rule: "queue-name", Address: "aws_sqs_queue.legacy", Verdict: change.Fail, Severity: change.Deny,
		Message: "The name has no prefix."}
	return &change.Preview{Dir: "policies", Rules: true, Tests: change.PolicyTests{Passed: 42, Coverage: 97.25}, Projects: []change.ProjectPreview{
		{Project: "payments", Number: 12, Denied: change.Comparison{Resources: 2, Findings: []change.Finding{denied, other}}, Allowed: change.Comparison{Resources: 1, Findings: []change.Finding{allowed}}},
		{Project: "network", Number: 9}, {Project: "edge", Number: 3, Fault: fault.New("The stored plan is gone.", "", "Plan the project again.")},
	}}
}

func refusal() report.Refusal {
	return report.Refusal{
		Command: "/apply payments",
		Fault: fault.New("The plan of `payments` may not be applied yet", "Only what was approved is applied.",
			"Ask for a review of the newest commit."),
		Denials: []string{
			"The approval of @grace is for 1234567, and the newest commit is 4be1c0f",
			"plan.tls denies aws_lb_listener.https",
		},
	}
}
