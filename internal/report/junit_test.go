package report_test

import (
	"encoding/xml"
	"errors"
	"io"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/tollgate/tollgate/internal/change"
	"github.com/tollgate/tollgate/internal/report"
)

// junitSchema is what the schema of Jenkins's xUnit plug-in allows, as far as it is used: the
// attributes of each element, those that must be there first, and its children.
var junitSchema = map[string]struct{ required, optional, children []string }{
	"testsuites": {nil, []string{"name", "time", "tests", "failures", "disabled", "errors"}, []string{"testsuite"}},
	"testsuite": {[]string{"name", "tests"}, []string{"failures", "errors", "time", "disabled", "skipped", "timestamp", "hostname", "id", "package"},
		[]string{"properties", "testcase", "system-out", "system-err"}},
	"testcase":   {[]string{"name"}, []string{"assertions", "time", "classname", "status"}, []string{"skipped", "error", "failure", "system-out", "system-err"}},
	"skipped":    {nil, []string{"type", "message"}, nil},
	"error":      {nil, []string{"type", "message"}, nil},
	"failure":    {nil, []string{"type", "message"}, nil},
	"system-out": {},
}

// junit checks a document against junitSchema, and that its suites count what they hold.
func junit(t *testing.T, text string) {
	t.Helper()
	d := xml.NewDecoder(strings.NewReader(text))
	var open []string
	counted := map[string]int{}
	claimed := map[string]int{}
	for {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatalf("%v in:\n%s", err, text)
		}
		switch e := token.(type) {
		case xml.StartElement:
			name := e.Name.Local
			schema, known := junitSchema[name]
			if !known || len(open) == 0 && name != "testsuites" || len(open) > 0 && !slices.Contains(junitSchema[open[len(open)-1]].children, name) {
				t.Errorf("<%s> in %v", name, open)
			}
			var attributes []string
			for _, a := range e.Attr {
				attributes = append(attributes, a.Name.Local)
				if !slices.Contains(append(schema.required, schema.optional...), a.Name.Local) {
					t.Errorf("<%s %s>", name, a.Name.Local)
				}
				if n, err := strconv.Atoi(a.Value); err == nil && name == "testsuite" && a.Name.Local != "name" {
					claimed[a.Name.Local] += n
				}
			}
			for _, r := range schema.required {
				if !slices.Contains(attributes, r) {
					t.Errorf("<%s> without %s", name, r)
				}
			}
			counted[name]++
			open = append(open, name)
		case xml.EndElement:
			open = open[:len(open)-1]
		}
	}
	for element, attribute := range map[string]string{"testcase": "tests", "failure": "failures", "error": "errors", "skipped": "skipped"} {
		if counted[element] != claimed[attribute] {
			t.Errorf("%d <%s>, but the suites say %d %s", counted[element], element, claimed[attribute], attribute)
		}
	}
}

func TestJUnitIsValid(t *testing.T) {
	t.Parallel()
	junit(t, written(t, "junit", result(), report.FindingsOptions{All: true}))
	junit(t, written(t, "junit", report.CheckResult{}, report.FindingsOptions{}))
	for _, s := range hostile {
		for _, v := range []change.Verdict{change.Fail, change.Undetermined, change.Waived, change.Pass} {
			f := change.Finding{Policy: s, Rule: s, Address: s, Attribute: s, Verdict: v, Severity: change.Deny, Message: s, File: s, Line: 1, Remediation: s, Reference: s}
			junit(t, written(t, "junit", report.CheckResult{Plans: []report.CheckedPlan{{Path: s, Findings: []change.Finding{f}}}}, report.FindingsOptions{All: true}))
		}
	}
}
