package report

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/url"
	"slices"
	"strings"

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
		Invocations []sarifInvocation `json:"invocations"`
		Results     []sarifResult     `json:"results"`
		ColumnKind  string            `json:"columnKind"`
		Properties  map[string]any    `json:"properties,omitempty"`
	}
	sarifDriver struct {
		Name  string      `json:"name"`
		Rules []sarifRule `json:"rules"`
	}
	sarifRule struct {
		ID               string         `json:"id"`
		ShortDescription sarifText      `json:"shortDescription"`
		FullDescription  sarifText      `json:"fullDescription"`
		Help             sarifText      `json:"help"`
		HelpURI          string         `json:"helpUri,omitempty"`
		Default          sarifDefault   `json:"defaultConfiguration"`
		Properties       map[string]any `json:"properties"`
	}
	sarifDefault struct {
		Level string `json:"level"`
	}
	sarifText struct {
		Text     string `json:"text"`
		Markdown string `json:"markdown,omitempty"`
	}
	sarifInvocation struct {
		Successful    bool                `json:"executionSuccessful"`
		Notifications []sarifNotification `json:"toolExecutionNotifications,omitempty"`
	}
	sarifNotification struct {
		Level   string    `json:"level"`
		Message sarifText `json:"message"`
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

// maxSARIFResults is how many results of a run code scanning takes; it refuses a file with more.
const maxSARIFResults = 25_000

// writeSARIF writes one run, because code scanning takes two runs of one tool in a file for two
// versions of the same results.
func writeSARIF(w io.Writer, r CheckResult, _ FindingsOptions) error {
	run := sarifRun{Results: []sarifResult{}, ColumnKind: "unicodeCodePoints"}
	run.Tool.Driver = sarifDriver{Name: "Tollgate", Rules: []sarifRule{}}
	run.Properties = map[string]any{"policyDigest": r.PolicyDigest}
	index := map[string]int{}
	for _, rule := range r.found(func(change.Finding) bool { return true }) {
		index[join("/", rule.Policy, rule.ID)] = len(index)
		run.Tool.Driver.Rules = append(run.Tool.Driver.Rules, sarifRuleOf(rule))
	}
	for _, p := range r.Plans {
		for _, f := range p.Findings {
			run.Results = append(run.Results, sarifResultOf(p, f, index[ruleName(f)]))
		}
	}
	notes := sarifNotes(r)
	if total := len(run.Results); total > maxSARIFResults {
		slices.SortStableFunc(run.Results, func(a, b sarifResult) int {
			return cmp.Compare(slices.Index(sarifLevels, a.Level), slices.Index(sarifLevels, b.Level))
		})
		run.Results = run.Results[:maxSARIFResults]
		notes = append(notes, sarifNotification{"warning", sarifText{Text: fmt.Sprintf("%d of %d results, the most severe first: code scanning takes no more.", maxSARIFResults, total)}})
	}
	run.Invocations = []sarifInvocation{{Successful: len(r.NotJudged) == 0, Notifications: notes}}
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	return e.Encode(sarifLog{Schema: sarifSchema, Version: "2.1.0", Runs: []sarifRun{run}})
}

func sarifNotes(r CheckResult) []sarifNotification {
	var notes []sarifNotification
	for _, n := range r.NotJudged {
		notes = append(notes, sarifNotification{"error", sarifText{Text: n.String()}})
	}
	for _, n := range r.notices() {
		notes = append(notes, sarifNotification{"warning", sarifText{Text: noticeText(n)}})
	}
	return notes
}

// sarifRuleOf describes a rule. The properties are those by which code scanning sorts alerts.
func sarifRuleOf(r change.Rule) sarifRule {
	id := join("/", r.Policy, r.ID)
	level, score := "error", "8.0"
	if r.Severity == change.Warn {
		level, score = "warning", "5.0"
	}
	title := cmp.Or(r.Title, id)
	text, markdown := []string{cmp.Or(r.Remediation, title)}, []string{cmp.Or(r.Description, title)}
	if r.Remediation != "" {
		markdown = append(markdown, "**What to write instead:** "+r.Remediation)
	}
	for _, ref := range r.References {
		text = append(text, ref.String())
		markdown = append(markdown, "See "+link(prose(cmp.Or(ref.Text, ref.URL)), webURL(ref.URL)))
	}
	rule := sarifRule{
		ID: id, ShortDescription: sarifText{Text: title}, FullDescription: sarifText{Text: cmp.Or(r.Description, title)},
		Help:    sarifText{strings.Join(text, "\n"), strings.Join(markdown, "\n\n")},
		Default: sarifDefault{level},
		Properties: map[string]any{
			"security-severity": score, "precision": "very-high",
			"tags": []string{"security", "terraform", cmp.Or(r.Policy, "policy")},
		},
	}
	if len(r.References) > 0 {
		rule.HelpURI = webURL(r.References[0].URL)
	}
	return rule
}

func sarifResultOf(p CheckedPlan, f change.Finding, rule int) sarifResult {
	kind, level := sarifLevel(f)
	res := sarifResult{
		RuleID: ruleName(f), RuleIndex: rule, Kind: kind, Level: level,
		Message:      sarifText{Text: sarifMessage(f)},
		Locations:    []sarifLocation{sarifPlace(p, f)},
		Fingerprints: map[string]string{"tollgate/v1": fingerprint(f)},
		Properties:   map[string]any{"verdict": f.Verdict, "severity": f.Severity, "plan": p.Path},
	}
	if f.Verdict == change.Waived {
		res.Suppressions = []sarifSuppression{{Kind: "external"}}
	}
	return res
}

// sarifLevels are the levels in use, the most severe first.
var sarifLevels = []string{"error", "warning", "note", "none"}

// sarifLevel: SARIF allows a level other than none for kind fail only, so an undetermined finding,
// which blocks, is a fail whose message says what it is.
func sarifLevel(f change.Finding) (kind, level string) {
	switch {
	case f.Verdict == change.Pass:
		return "pass", "none"
	case f.Blocks():
		return "fail", "error"
	case f.Severity == change.Warn && !f.NoOp:
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
	if f.Remediation != "" && f.Verdict != change.Pass {
		s += " Instead: " + f.Remediation
	}
	return s
}

// sarifPlace is where the finding is; code scanning refuses a result without a file, so one whose
// line is not known points at the plan.
func sarifPlace(p CheckedPlan, f change.Finding) sarifLocation {
	var l sarifLocation
	l.Physical.Artifact.URI = (&url.URL{Path: cmp.Or(f.File, p.File, p.Path)}).String()
	l.Physical.Region = sarifRegion{StartLine: max(1, f.Line), EndLine: max(1, f.Line, f.EndLine)}
	if f.Address != "" {
		l.Logical = []sarifLogical{{FullyQualifiedName: f.Address, Kind: "resource"}}
	}
	return l
}

// fingerprint stays the same when lines move.
func fingerprint(f change.Finding) string {
	sum := sha256.Sum256(fmt.Appendf(nil, "%q %q %q %q %q", f.Policy, f.Rule, f.File, f.Address, f.Attribute))
	return hex.EncodeToString(sum[:16])
}
