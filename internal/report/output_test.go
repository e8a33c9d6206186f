package report_test

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tollgate/tollgate/internal/change"
	"github.com/tollgate/tollgate/internal/fault"
	"github.com/tollgate/tollgate/internal/report"
)

func result() report.CheckResult {
	fs := append(findings(), change.Finding{
		Policy: "plan.tls", Rule: "unplaced", Verdict: change.Fail, Severity: change.Deny, Message: "The plan, as a whole: 100 % wrong,\nreally.",
	})
	return report.CheckResult{
		Plans: []report.CheckedPlan{
			{Path: "payments.json", Findings: fs, ResourcesJudged: 148, File: "ci/payments.json", Notices: []change.Notice{{
				Kind: "expired", File: "policies/waivers.yaml", Line: 3, What: "The waiver of plan.tls/version expired on 2026-01-31.",
				Why: "What it covered is denied again.", Fix: "Mend the resource, or ask for a new date.",
			}}},
			{Path: "network.json", ResourcesJudged: 12},
		},
		PolicyDigest: policy,
		NotJudged:    []report.NotJudged{{Path: "edge.json", What: "The plan cannot be judged: its JSON is not complete.", Fix: "Plan again."}},
		Rules: []change.Rule{{
			Policy: "plan.tls", ID: "minimum_version", Title: "Listeners take TLS 1.2 or newer", Severity: change.Deny,
			Description: "An endpoint accepts every version that its security policy names.", Remediation: "Name a newer policy.",
			References: []change.Reference{{Text: "PCI DSS 4.0.1, requirement 4.2.1", URL: "https://www.pcisecuritystandards.org/document_library/"}},
		}},
	}
}

func written(t *testing.T, format string, r report.CheckResult, o report.FindingsOptions) string {
	t.Helper()
	var b bytes.Buffer
	if err := report.Findings(&b, format, r, o); err != nil {
		t.Fatalf("Findings as %s: %v", format, err)
	}
	return b.String()
}

func TestFindingsGolden(t *testing.T) {
	t.Parallel()
	all := report.FindingsOptions{All: true}
	for name, got := range map[string]string{
		"findings.txt":        written(t, "text", result(), report.FindingsOptions{}),
		"findings-all.txt":    written(t, "text", result(), all),
		"findings.json":       written(t, "json", result(), report.FindingsOptions{}),
		"findings-all.sarif":  written(t, "sarif", result(), all),
		"findings-all.xml":    written(t, "junit", result(), all),
		"findings-github.txt": written(t, "github", result(), all),
		"findings-none.txt":   written(t, "text", report.CheckResult{Plans: result().Plans[1:], PolicyDigest: policy}, all),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			golden(t, name, got)
		})
	}
}

func TestFindingsJSONIsTheFixedInterface(t *testing.T) {
	t.Parallel()
	r := report.CheckResult{
		Plans: []report.CheckedPlan{{Path: "p.json", ResourcesJudged: 3, Findings: []change.Finding{{
			Policy: "plan.tls", Rule: "r", Address: `module.a.aws_lb_listener.x["k"]`, Verdict: change.Fail, Severity: change.Deny,
			Message: "m <&>", File: "f.tf", Line: 2,
		}}}, {Path: "none.json"}},
		PolicyDigest: policy,
	}
	var got any
	if err := json.Unmarshal([]byte(written(t, "json", r, report.FindingsOptions{})), &got); err != nil {
		t.Fatal(err)
	}
	want := map[string]any{
		"plans": []any{
			map[string]any{"path": "p.json", "resources_judged": 3.0, "findings": []any{map[string]any{
				"policy": "plan.tls", "rule": "r", "address": `module.a.aws_lb_listener.x["k"]`, "verdict": "fail", "severity": "deny",
				"message": "m <&>", "file": "f.tf", "line": 2.0,
			}}},
			map[string]any{"path": "none.json", "resources_judged": 0.0, "findings": []any{}},
		},
		"policy_digest": policy,
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("JSON (-want +got):\n%s", d)
	}
	none := written(t, "json", report.CheckResult{}, report.FindingsOptions{})
	if !strings.Contains(none, `"plans": []`) {
		t.Errorf("no plans are written as %s", none)
	}
}

func TestFindingsListPassesOnlyWhenAsked(t *testing.T) {
	t.Parallel()
	for _, format := range strings.Split(report.Formats, ", ") {
		if format == "github" {
			continue // annotations are of what is wrong
		}
		without := written(t, format, result(), report.FindingsOptions{})
		with := written(t, format, result(), report.FindingsOptions{All: true})
		if strings.Contains(without, "aws_lb_listener.other") || !strings.Contains(with, "aws_lb_listener.other") {
			t.Errorf("%s: the pass is not listed exactly when all are asked for", format)
		}
	}
}

func TestFindingsRefusesAnUnknownFormat(t *testing.T) {
	t.Parallel()
	var f *fault.Error
	if err := report.Findings(io.Discard, "yaml", result(), report.FindingsOptions{}); !errors.As(err, &f) || !strings.Contains(f.Fix, "sarif") {
		t.Errorf("got %v", err)
	}
	if err := report.Findings(io.Discard, "json", result(), report.FindingsOptions{}); err != nil {
		t.Errorf("a known format: %v", err)
	}
}

func TestFindingsColorsOnlyOnRequest(t *testing.T) {
	t.Parallel()
	if s := written(t, "text", result(), report.FindingsOptions{}); strings.Contains(s, "\x1b") {
		t.Errorf("escape codes without being asked:\n%q", s)
	}
	if s := written(t, "text", result(), report.FindingsOptions{Color: true}); !strings.Contains(s, "\x1b[1;31mdeny") {
		t.Errorf("no colour:\n%q", s)
	}
}

func TestTextKeepsToTheWidthOfATerminal(t *testing.T) {
	t.Parallel()
	const width = 60
	for line := range strings.Lines(written(t, "text", result(), report.FindingsOptions{All: true, Width: width})) {
		line = strings.TrimRight(line, "\n")
		// A name that is longer than the line has a line of its own.
		if words := strings.Fields(line); len([]rune(line)) > width && len(words) > 2 {
			t.Errorf("%d columns: %s", len([]rune(line)), line)
		}
	}
}

func TestTextGathersTheInstancesOfAResource(t *testing.T) {
	t.Parallel()
	var fs []change.Finding
	for _, key := range []string{`["a.b[0]"]`, `["c\"]"]`, "[2]", ""} {
		fs = append(fs, change.Finding{Policy: "p", Rule: "r", Address: "module.m" + key + ".aws_x.y", Verdict: change.Fail, Severity: change.Deny, Message: "bad", Attribute: "z"})
	}
	got := written(t, "text", report.CheckResult{Plans: []report.CheckedPlan{{Path: "plan.json", Findings: fs}}}, report.FindingsOptions{})
	if strings.Count(got, "bad") != 1 || !strings.Contains(got, ".aws_x.y and 3 other instances\n") {
		t.Errorf("four instances of a resource read:\n%s", got)
	}
}

// GitHub shows ten annotations of a kind of one step, so what blocks has to come first.
func TestWorkflowCommandsThatGitHubShows(t *testing.T) {
	t.Parallel()
	plans := func(errors, warnings int) report.CheckResult {
		var fs []change.Finding
		for i := range errors + warnings {
			f := change.Finding{Policy: "p", Rule: fmt.Sprint("r", i), Address: "a.b", Verdict: change.Fail, Severity: change.Warn, Message: "m", File: "f.tf", Line: 1 + i}
			if i >= warnings {
				f.Severity = change.Deny
			}
			fs = append(fs, f)
		}
		return report.CheckResult{Plans: []report.CheckedPlan{{Path: "p.json", Findings: fs}}}
	}
	got := written(t, "github", plans(2, 9), report.FindingsOptions{})
	if !strings.HasPrefix(got, "::error ") || strings.LastIndex(got, "::error ") > strings.Index(got, "::warning ") {
		t.Errorf("a warning comes before an error:\n%s", got)
	}
	const note = "GitHub shows 10 errors and 10 warnings of a step"
	if strings.Contains(got, note) {
		t.Errorf("a note on what is not shown, although everything is:\n%s", got)
	}
	if got := written(t, "github", plans(11, 1), report.FindingsOptions{}); !strings.Contains(got, note) || !strings.Contains(got, "11 errors and 1 warning.") {
		t.Errorf("no note on what is not shown:\n%s", got)
	}
}

func TestFindingsOfHostileTextStayInTheirFormat(t *testing.T) {
	t.Parallel()
	for _, s := range hostile {
		f := change.Finding{
			Policy: "p" + s, Rule: s, Address: s, Verdict: change.Fail, Severity: change.Deny, Message: s + "\r\n::error::forged",
			File: s + "a:b,c%\n.tf", Line: 1, Remediation: s, Reference: s,
		}
		r := report.CheckResult{Plans: []report.CheckedPlan{{Path: s, Findings: []change.Finding{f}}}, PolicyDigest: s}
		for _, format := range strings.Split(report.Formats, ", ") {
			got := written(t, format, r, report.FindingsOptions{})
			switch format {
			case "json", "sarif":
				if !json.Valid([]byte(got)) {
					t.Errorf("%s of %q is not JSON", format, s)
				}
			case "junit":
				if err := xml.Unmarshal([]byte(got), new(any)); err != nil && !errors.Is(err, io.EOF) {
					t.Errorf("junit of %q: %v", s, err)
				}
			default:
				shown(t, format, got, len(got))
			}
			if format == "github" {
				if n := strings.Count("\n"+got, "\n::"); n != 1 {
					t.Errorf("%d workflow commands from one finding:\n%s", n, got)
				}
			}
		}
	}
}
