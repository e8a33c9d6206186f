package report_test

import (
	"encoding/json"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/tollgate/tollgate/internal/change"
	"github.com/tollgate/tollgate/internal/report"
)

// sarifSchema is the standard's own schema. tflint, one of the pinned tools, carries it.
func sarifSchema(t *testing.T) *jsonschema.Schema {
	t.Helper()
	cmd := exec.Command("go", "mod", "download", "-json", "github.com/terraform-linters/tflint")
	cmd.Dir = filepath.Join("..", "..", "tools")
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go mod download of the pinned tflint: %v", err)
	}
	var module struct{ Dir string }
	if err := json.Unmarshal(out, &module); err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(filepath.Join(module.Dir, "formatter", "sarif-2.1.0.json"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	doc, err := jsonschema.UnmarshalJSON(f)
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	c.AssertFormat()
	if err := c.AddResource("sarif.json", doc); err != nil {
		t.Fatal(err)
	}
	schema, err := c.Compile("sarif.json")
	if err != nil {
		t.Fatal(err)
	}
	return schema
}

func validate(t *testing.T, schema *jsonschema.Schema, text string) error {
	t.Helper()
	doc, err := jsonschema.UnmarshalJSON(strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	return schema.Validate(doc)
}

func TestSARIFIsValid(t *testing.T) {
	t.Parallel()
	schema := sarifSchema(t)
	all := written(t, "sarif", result(), report.FindingsOptions{All: true})
	if err := validate(t, schema, all); err != nil {
		t.Errorf("findings: %v", err)
	}
	if err := validate(t, schema, strings.Replace(all, `"ruleId"`, `"rule"`, 1)); err == nil {
		t.Error("the schema takes a key that SARIF does not have")
	}
	if err := validate(t, schema, written(t, "sarif", report.CheckResult{}, report.FindingsOptions{})); err != nil {
		t.Errorf("nothing: %v", err)
	}
	for _, s := range hostile {
		f := change.Finding{
			Policy: "p" + s, Rule: "r" + s, Address: s, Verdict: change.Fail, Severity: change.Deny, Message: s, File: s + "a:b c%\n.tf", Remediation: s, Reference: s,
		}
		r := report.CheckResult{Plans: []report.CheckedPlan{{Path: s + "plan.json", Findings: []change.Finding{f}}}, NotJudged: []report.NotJudged{{Path: s, What: s}}}
		if err := validate(t, schema, written(t, "sarif", r, report.FindingsOptions{})); err != nil {
			t.Errorf("findings with %q: %v", s, err)
		}
	}
}

type sarifDoc struct {
	Runs []struct {
		Tool struct {
			Driver struct {
				Rules []struct {
					ID              string
					FullDescription struct{ Text string }
					Help            struct{ Text, Markdown string }
					HelpURI         string
					Default         struct{ Level string } `json:"defaultConfiguration"`
					Properties      map[string]any
				}
			}
		}
		Invocations []struct {
			ExecutionSuccessful bool
			Notifications       []struct{ Level string } `json:"toolExecutionNotifications"`
		}
		Results []struct {
			RuleID    string
			RuleIndex int
			Level     string
			Locations []struct {
				PhysicalLocation struct{ ArtifactLocation struct{ URI string } }
			}
			Suppressions []struct{ Kind string }
			Fingerprints map[string]string `json:"partialFingerprints"`
			Properties   struct{ Verdict change.Verdict }
		}
	}
}

func sarifOf(t *testing.T, r report.CheckResult) sarifDoc {
	t.Helper()
	var doc sarifDoc
	if err := json.Unmarshal([]byte(written(t, "sarif", r, report.FindingsOptions{All: true})), &doc); err != nil {
		t.Fatal(err)
	}
	return doc
}

// What code scanning needs beyond the schema: it shows an alert by its rule, closes one that has a
// suppression, and drops one without a file.
func TestSARIFForCodeScanning(t *testing.T) {
	t.Parallel()
	doc := sarifOf(t, result())
	if len(doc.Runs) != 1 {
		t.Fatalf("%d runs; those of one tool replace each other", len(doc.Runs))
	}
	run := doc.Runs[0]
	if run.Invocations[0].ExecutionSuccessful || len(run.Invocations[0].Notifications) != 2 {
		t.Errorf("invocation %+v; want it to have failed, and to say what was not judged and which waiver expired", run.Invocations[0])
	}
	for _, rule := range run.Tool.Driver.Rules {
		if rule.FullDescription.Text == "" || rule.Help.Text == "" || rule.Help.Markdown == "" || rule.Default.Level == "" || rule.Properties["security-severity"] == nil {
			t.Errorf("rule %+v is not described", rule)
		}
		if rule.ID == "plan.tls/minimum_version" && rule.HelpURI == "" {
			t.Error("a rule with references has no helpUri")
		}
	}
	seen := map[string]bool{}
	for _, res := range run.Results {
		if id := run.Tool.Driver.Rules[res.RuleIndex].ID; id != res.RuleID {
			t.Errorf("the rule of %q is %q by its index", res.RuleID, id)
		}
		uri := res.Locations[0].PhysicalLocation.ArtifactLocation.URI
		if u, err := url.Parse(uri); err != nil || uri == "" || u.IsAbs() || strings.HasPrefix(uri, "/") {
			t.Errorf("%s is at %q", res.RuleID, uri)
		}
		if (len(res.Suppressions) > 0) != (res.Properties.Verdict == change.Waived) {
			t.Errorf("%s is %s with suppressions %v", res.RuleID, res.Properties.Verdict, res.Suppressions)
		}
		if seen[res.Fingerprints["tollgate/v1"]] {
			t.Errorf("two results have one fingerprint: %v", res)
		}
		seen[res.Fingerprints["tollgate/v1"]] = true
	}
}

func TestSARIFKeepsToTheLimitOfResults(t *testing.T) {
	t.Parallel()
	plan := report.CheckedPlan{Path: "plan.json"}
	for i := range 25_001 {
		f := change.Finding{Policy: "p", Rule: "r", Address: fmt.Sprint("a.b", i), Verdict: change.Fail, Severity: change.Warn, Message: "m"}
		if i == 25_000 {
			f.Address, f.Severity = "z.last", change.Deny
		}
		plan.Findings = append(plan.Findings, f)
	}
	run := sarifOf(t, report.CheckResult{Plans: []report.CheckedPlan{plan}}).Runs[0]
	if len(run.Results) != 25_000 || run.Results[0].Level != "error" || len(run.Invocations[0].Notifications) != 1 {
		t.Errorf("%d results, the first is %s, with %d notifications; want 25000, the denial first, and a note", len(run.Results), run.Results[0].Level,
			len(run.Invocations[0].Notifications))
	}
	plan.Findings = plan.Findings[:25_000]
	run = sarifOf(t, report.CheckResult{Plans: []report.CheckedPlan{plan}}).Runs[0]
	if len(run.Results) != 25_000 || len(run.Invocations[0].Notifications) != 0 {
		t.Errorf("%d results with %d notifications; want all of 25000 and no note", len(run.Results), len(run.Invocations[0].Notifications))
	}
}
