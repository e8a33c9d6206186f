package report_test

import (
	"fmt"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/tollgate/tollgate/internal/change"
	"github.com/tollgate/tollgate/internal/fault"
	"github.com/tollgate/tollgate/internal/report"
)

// within fails the test unless the check is within GitHub's limits and is text that can be shown.
func within(t *testing.T, c change.Check) {
	t.Helper()
	for _, f := range []struct {
		name, text string
		limit      int
	}{
		{"name", c.Name, report.MaxTitle},
		{"title", c.Title, report.MaxTitle},
		{"summary", c.Summary, report.MaxSummary},
		{"text", c.Text, report.MaxText},
	} {
		shown(t, c.Name+" "+f.name, f.text, f.limit)
	}
	if len(c.Annotations) > report.MaxAnnotations {
		t.Errorf("%d annotations, at most %d", len(c.Annotations), report.MaxAnnotations)
	}
	for _, a := range c.Annotations {
		shown(t, "annotation title", a.Title, report.MaxAnnotationTitle)
		shown(t, "annotation message", a.Message, report.MaxAnnotationMessage)
		if a.Message == "" || a.StartLine < 1 || a.EndLine < a.StartLine {
			t.Errorf("annotation %+v would be refused", a)
		}
	}
	if len(c.Buttons) > 3 {
		t.Errorf("%d buttons, at most 3", len(c.Buttons))
	}
	for _, b := range c.Buttons {
		shown(t, "label", b.Label, report.MaxButtonLabel)
		shown(t, "description", b.Description, report.MaxButtonDescription)
		shown(t, "identifier", b.Identifier, report.MaxButtonIdentifier)
	}
	if (c.Status == "completed") != (c.Conclusion != "") {
		t.Errorf("status %s with conclusion %q", c.Status, c.Conclusion)
	}
}

func shown(t *testing.T, name, text string, limit int) {
	t.Helper()
	if len(text) > limit {
		t.Errorf("%s has %d bytes, at most %d", name, len(text), limit)
	}
	if !utf8.ValidString(text) {
		t.Errorf("%s is not valid UTF-8", name)
	}
	for _, r := range text {
		if r != '\n' && r != '\t' && (unicode.IsControl(r) || unicode.Is(unicode.Cf, r)) {
			t.Errorf("%s holds %U", name, r)
			return
		}
	}
}

// everything renders all that can be rendered from one foreign text, put wherever foreign text can be.
// hostilePreview puts s wherever the policies of a pull request could.
func hostilePreview(s string) *change.Preview {
	f := change.Finding{Policy: s, Rule: s, Address: s, Verdict: change.Fail, Severity: change.Deny, Message: s, Remediation: s, Reference: s}
	return &change.Preview{Dir: s, Rules: true, Tests: change.PolicyTests{Failed: []string{s, s}, Passed: 1}, Projects: []change.ProjectPreview{
		{Project: s, Number: 3, Denied: change.Comparison{Resources: 1, Findings: []change.Finding{f}}, Allowed: change.Comparison{Resources: 1, Findings: []change.Finding{f}}}, {Project: s, Fault: fault.New(s, s, s)}, {Project: s},
	}}
}

func everything(t *testing.T, s string) []string {
	t.Helper()
	p := denied()
	p.Pull.Title, p.Pull.HeadRef = s, s
	p.Project = change.Project{Name: s, Dir: s, Workspace: s}
	p.Text, p.Excerpt, p.ID, p.PolicyDigest, p.Summary.TerraformVersion = s, s, s, s, s
	p.Summary.Changes = []change.ResourceChange{
		{Address: s, Action: change.Delete, PreviousAddress: s},
		{Address: s, Action: change.Replace, ForcesReplace: []string{s, s}},
		{Address: s, Action: change.Update, Attributes: []string{s}},
	}
	p.Findings = nil
	for i, v := range []change.Verdict{change.Fail, change.Undetermined, change.Waived} {
		for _, sev := range []change.Severity{change.Deny, change.Warn} {
			p.Findings = append(p.Findings, change.Finding{
				Policy: s, Rule: s, Address: s, Verdict: v, Severity: sev, Message: "m" + s,
				File: s + "f", Line: i + 1, Remediation: s, Reference: s,
			})
		}
	}
	p.Requirements = []report.Requirement{{Text: s}, {Text: s, Met: true}}
	p.Notices = []change.Notice{{Kind: s, File: s, Line: 3, What: s, Why: s, Fix: s}}
	bad := p
	bad.State, bad.Fault = change.RunErrored, fault.New(s, s, s)
	a := apply(change.ExecFailedPartial)
	a.Tail, a.Fault, a.Execution.Actor.Login, a.Execution.Reason, a.Execution.Project = s, bad.Fault, s, s, p.Project

	proven := apply(change.ExecApplied)
	proven.Execution.Project = p.Project
	proven.Proof = &change.Proof{Counts: change.Counts{Update: 1}, Obligations: []change.Obligation{
		{Finding: p.Findings[0], Verdict: change.Fail, Message: s}, {Finding: p.Findings[0], Verdict: change.Pass}, {Finding: p.Findings[0]}}}

	lost := apply(change.ExecUnknown)
	lost.Execution, lost.Unsaved, lost.Fault = a.Execution, true, bad.Fault
	lost.Execution.State = change.ExecUnknown
	lost.Evidence = &change.Evidence{Counts: change.Counts{Update: 1}, Changes: p.Summary.Changes}
	lost.Resolved = change.Resolved{As: change.ResolvedReconcile, By: change.User{Login: s}, Reason: s}

	pull := gate(change.RunFailed, p, bad)
	pull.Applies, pull.Preview = []report.Apply{a}, hostilePreview(s)
	pull.Notices = p.Notices
	stopped := gate(change.RunErrored)
	stopped.Fault = bad.Fault

	checks := []change.Check{
		report.PlanCheck(p), report.PlanCheck(bad), report.ApplyCheck(a), report.ApplyCheck(proven), report.ApplyCheck(lost), report.GateCheck(pull), report.GateCheck(stopped),
	}
	out := []string{
		report.Comment(pull), report.Comment(stopped),
		report.AnswerHelp([]string{s, s}), report.AnswerPlan([]string{s}, s, s), report.AnswerApply(s, s, s),
		report.AnswerUnlock(s, s), report.AnswerCancel([]string{s}),
		report.AnswerRefused(report.Refusal{Command: s, Fault: bad.Fault, Denials: []string{s, s}}),
	}
	for _, c := range out {
		shown(t, "comment", c, report.MaxComment)
		if strings.HasPrefix(strings.TrimSpace(c), "/") {
			t.Errorf("comment %.40q is a command", c)
		}
	}
	for _, c := range checks {
		within(t, c)
		out = append(out, c.Summary, c.Text)
	}
	return out
}

// Covers: R31
func TestLimitsHoldAtEveryLength(t *testing.T) {
	t.Parallel()
	for _, unit := range []string{"x", "é", "😀", "`", "@a ", "<b>", "+ `\n", "\x00", "\xff", "|"} {
		for _, n := range []int{0, 1, 254, 255, 256, 65_534, 65_535, 65_536, 65_537} {
			t.Run(fmt.Sprintf("%q to %d bytes", unit, n), func(t *testing.T) {
				t.Parallel()
				// One byte in front shifts runes of several bytes over every boundary.
				for shift := range len(unit) {
					everything(t, strings.Repeat("y", shift)+strings.Repeat(unit, n/len(unit)))
				}
			})
		}
	}
}

// Covers: R31
func TestMegabytesAreCut(t *testing.T) {
	t.Parallel()
	for _, unit := range []string{"x", "😀\n", strings.Repeat("`", 70) + "\n"} {
		everything(t, strings.Repeat(unit, 3_000_000/len(unit)))
	}
}

func TestTextIsFilledToTheLimit(t *testing.T) {
	t.Parallel()
	p := passed()
	p.Summary.Changes = nil
	p.Text = strings.Repeat("x\n", 100_000)
	c := report.PlanCheck(p)
	if slack := report.MaxText - len(c.Text); slack < 0 || slack > 50 {
		t.Errorf("%d bytes of the text left unused", slack)
	}
	rest := ", the rest on [this page](<" + address + ">)."
	if want := "of 100000 lines shown" + rest; !strings.Contains(c.Text, want) {
		t.Errorf("no %q in the text's end %q", want, c.Text[len(c.Text)-200:])
	}
	if !strings.HasSuffix(strings.TrimSpace(c.Text), "</details>") {
		t.Errorf("the fold is not closed: %q", c.Text[len(c.Text)-200:])
	}
}

func TestShortPlanIsWhole(t *testing.T) {
	t.Parallel()
	c := report.PlanCheck(passed())
	if strings.Contains(c.Text, "lines shown") || !strings.Contains(c.Text, "Plan: 1 to add, 1 to change, 0 to destroy.") {
		t.Errorf("the text is not whole:\n%s", c.Text)
	}
}

// Covers: T74
func TestOneDestroyIsSeenAmongThousandsOfUpdates(t *testing.T) {
	t.Parallel()
	p := passed()
	p.Summary = change.PlanSummary{Counts: change.Counts{Update: 5_000, Delete: 1}}
	for i := range 5_000 {
		p.Summary.Changes = append(p.Summary.Changes, change.ResourceChange{Address: fmt.Sprintf("aws_ssm_parameter.p[%d]", i), Action: change.Update})
	}
	p.Summary.Changes = append(p.Summary.Changes, change.ResourceChange{Address: "aws_db_instance.zzz", Action: change.Delete})
	for name, text := range map[string]string{
		"check":   report.PlanCheck(p).Summary,
		"gate":    report.GateCheck(gate(change.RunPassed, p)).Summary,
		"comment": report.Comment(gate(change.RunPassed, p)),
	} {
		if at := strings.Index(text, "aws_db_instance.zzz"); at < 0 || at > 2_000 {
			t.Errorf("%s: the destroy stands at byte %d", name, at)
		}
	}
	c := report.PlanCheck(p)
	within(t, c)
	if !strings.Contains(c.Title, "1 to destroy, 5000 to update") || !strings.Contains(c.Text, "of 5001 changes shown") {
		t.Errorf("counts are missing: title %q", c.Title)
	}
}

func TestManyFindingsAreCounted(t *testing.T) {
	t.Parallel()
	p := denied()
	p.Findings = nil
	for i := range 3_000 {
		p.Findings = append(p.Findings, change.Finding{
			Policy: "plan.tls", Rule: "r", Address: fmt.Sprintf("a.b[%d]", i), Verdict: change.Fail, Severity: change.Deny,
			Message: fmt.Sprintf("Message %d.", i), File: "main.tf", Line: i + 1,
		})
	}
	c := report.PlanCheck(p)
	within(t, c)
	if len(c.Annotations) != report.MaxAnnotations {
		t.Errorf("%d annotations", len(c.Annotations))
	}
	for _, want := range []string{"Denied: 3000 findings", "of 3000 groups shown", "200 of 3000 annotations shown", "Before it can be applied", "</sub>"} {
		if !strings.Contains(c.Summary, want) {
			t.Errorf("no %q in the summary", want)
		}
	}
	within(t, report.GateCheck(gate(change.RunFailed, p, p, p, p, p, p, p, p, p, p, p, p)))
}

func TestManyProjectsFitAComment(t *testing.T) {
	t.Parallel()
	var plans []report.Plan
	for i := range 900 {
		p := denied()
		p.Project.Name = fmt.Sprintf("project-%d", i)
		plans = append(plans, p)
	}
	c := report.Comment(gate(change.RunFailed, plans...))
	shown(t, "comment", c, report.MaxComment)
	if !strings.Contains(c, "of 900 projects shown") || !strings.HasSuffix(c, "</sub>\n") {
		t.Errorf("the comment does not say how many projects it shows")
	}
}

// Covers: T72, R31
func FuzzRender(f *testing.F) {
	for _, s := range hostile {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) { speaks(t, s) })
}
