package report_test

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

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
	partial := apply(change.ExecFailedPartial)
	partial.Fault = fault.New("Terraform ended with an error.", "", "Read the last lines of its output.")

	for name, got := range map[string]string{
		"plan-passed":       show(report.PlanCheck(passed())),
		"plan-ready":        show(report.PlanCheck(met)),
		"plan-denied":       show(report.PlanCheck(denied())),
		"plan-errored":      show(report.PlanCheck(errored())),
		"plan-running":      show(report.PlanCheck(running)),
		"plan-no-changes":   show(report.PlanCheck(other)),
		"apply-applied":     show(report.ApplyCheck(apply(change.ExecApplied))),
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
