package report

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/url"

	"github.com/tollgate/tollgate/internal/change"
)

// The part of SARIF 2.1.0 that code scanning reads.
type (
	sarifLog struct {
		Schema  string     `json:"$schema"`
		Version string     `json:"version"`
		Runs    []sarifRun `json:"runs"`
	}
	sarifRun struct {
		Tool struct {
			Driver sarifDriver `json:"driver"`
		} `json:"tool"`
		Results    []sarifResult  `json:"results"`
		ColumnKind string         `json:"columnKind"`
		Properties map[string]any `json:"properties,omitempty"`
	}
	sarifDriver struct {
		Name  string      `json:"name"`
		Rules []sarifRule `json:"rules"`
	}
	sarifRule struct {
		ID               string     `json:"id"`
		ShortDescription sarifText  `json:"shortDescription"`
		Help             *sarifText `json:"help,omitempty"`
		HelpURI          string     `json:"helpUri,omitempty"`
	}
	sarifText struct {
		Text string `json:"text"`
	}
	sarifResult struct {
		RuleID       string             `json:"ruleId"`
		RuleIndex    int                `json:"ruleIndex"`
		Kind         string             `json:"kind"`
		Level        string             `json:"level"`
		Message      sarifText          `json:"message"`
		Locations    []sarifLocation    `json:"locations"`
		Fingerprints map[string]string  `json:"partialFingerprints"`
		Suppressions []sarifSuppression `json:"suppressions,omitempty"`
		Properties   map[string]any     `json:"properties"`
	}
	sarifLocation struct {
		Physical struct {
			Artifact struct {
				URI string `json:"uri"`
			} `json:"artifactLocation"`
			Region sarifRegion `json:"region"`
		} `json:"physicalLocation"`
		Logical []sarifLogical `json:"logicalLocations,omitempty"`
	}
	sarifRegion struct {
		StartLine int `json:"startLine"`
		EndLine   int `json:"endLine"`
	}
	sarifLogical struct {
		FullyQualifiedName string `json:"fullyQualifiedName"`
		Kind               string `json:"kind"`
	}
	sarifSuppression struct {
		Kind string `json:"kind"`
	}
)

const sarifSchema = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"

func writeSARIF(w io.Writer, r CheckResult, _ FindingsOptions) error {
	run := sarifRun{Results: []sarifResult{}, ColumnKind: "unicodeCodePoints"}
	run.Tool.Driver = sarifDriver{Name: "Tollgate", Rules: []sarifRule{}}
	run.Properties = map[string]any{"policyDigest": r.PolicyDigest}
	index := map[string]int{}
	for _, p := range r.Plans {
		for _, f := range p.Findings {
			id := ruleName(f)
			if _, ok := index[id]; !ok {
				index[id] = len(run.Tool.Driver.Rules)
				run.Tool.Driver.Rules = append(run.Tool.Driver.Rules, sarifRuleOf(f))
			}
			run.Results = append(run.Results, sarifResultOf(p, f, index[id]))
		}
	}
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	return e.Encode(sarifLog{Schema: sarifSchema, Version: "2.1.0", Runs: []sarifRun{run}})
}

func sarifRuleOf(f change.Finding) sarifRule {
	rule := sarifRule{ID: ruleName(f), ShortDescription: sarifText{ruleName(f)}, HelpURI: webURL(f.Reference)}
	if help := join(" ", f.Remediation, f.Reference); help != "" {
		rule.Help = &sarifText{help}
	}
	return rule
}

func sarifResultOf(p CheckedPlan, f change.Finding, rule int) sarifResult {
	kind, level := sarifLevel(f)
	res := sarifResult{
		RuleID: ruleName(f), RuleIndex: rule, Kind: kind, Level: level,
		Message:      sarifText{sarifMessage(f)},
		Locations:    []sarifLocation{sarifPlace(p, f)},
		Fingerprints: map[string]string{"tollgate/v1": fingerprint(f)},
		Properties:   map[string]any{"verdict": f.Verdict, "severity": f.Severity, "plan": p.Path},
	}
	if f.Verdict == change.Waived {
		res.Suppressions = []sarifSuppression{{Kind: "external"}}
	}
	return res
}

// sarifLevel: SARIF allows a level other than none for kind fail only, so an undetermined finding,
// which blocks, is a fail whose message says what it is.
func sarifLevel(f change.Finding) (kind, level string) {
	switch {
	case f.Verdict == change.Pass:
		return "pass", "none"
	case f.Blocks():
		return "fail", "error"
	case f.Severity == change.Warn:
		return "fail", "warning"
	}
	return "fail", "note"
}

func sarifMessage(f change.Finding) string {
	s := f.Message
	if f.Verdict == change.Undetermined {
		s = "Undetermined until the apply: " + s
	}
	if f.Address != "" {
		s += " (" + f.Address + ")"
	}
	return s
}

// sarifPlace is where the finding is; code scanning refuses a result without a file, so one whose
// line is not known points at the plan.
func sarifPlace(p CheckedPlan, f change.Finding) sarifLocation {
	var l sarifLocation
	file := f.File
	if file == "" {
		file = p.Path
	}
	l.Physical.Artifact.URI = (&url.URL{Path: file}).String()
	l.Physical.Region = sarifRegion{StartLine: max(1, f.Line), EndLine: max(1, f.Line, f.EndLine)}
	if f.Address != "" {
		l.Logical = []sarifLogical{{FullyQualifiedName: f.Address, Kind: "resource"}}
	}
	return l
}

// fingerprint stays the same when lines move.
func fingerprint(f change.Finding) string {
	sum := sha256.Sum256(fmt.Appendf(nil, "%q %q %q %q", f.Policy, f.Rule, f.File, f.Address))
	return hex.EncodeToString(sum[:16])
}
