package report

import (
	"encoding/xml"
	"fmt"
	"io"

	"github.com/tollgate/tollgate/internal/change"
)

// Only elements and attributes that the schema of Jenkins's xUnit plug-in has, which others follow.
type (
	junitSuites struct {
		XMLName  xml.Name     `xml:"testsuites"`
		Name     string       `xml:"name,attr"`
		Tests    int          `xml:"tests,attr"`
		Failures int          `xml:"failures,attr"`
		Errors   int          `xml:"errors,attr"`
		Suites   []junitSuite `xml:"testsuite"`
	}
	junitSuite struct {
		Name     string      `xml:"name,attr"`
		Tests    int         `xml:"tests,attr"`
		Failures int         `xml:"failures,attr"`
		Errors   int         `xml:"errors,attr"`
		Skipped  int         `xml:"skipped,attr"`
		Cases    []junitCase `xml:"testcase"`
	}
	junitCase struct {
		ClassName string        `xml:"classname,attr"`
		Name      string        `xml:"name,attr"`
		Skipped   *junitMessage `xml:"skipped"`
		Error     *junitMessage `xml:"error"`
		Failure   *junitMessage `xml:"failure"`
		Output    string        `xml:"system-out,omitempty"`
	}
	junitMessage struct {
		Type    string `xml:"type,attr,omitempty"`
		Message string `xml:"message,attr"`
		Text    string `xml:",chardata"`
	}
)

func writeJUnit(w io.Writer, r CheckResult, _ FindingsOptions) error {
	all := junitSuites{Name: "tollgate"}
	for _, p := range r.Plans {
		all.add(junitSuiteOf(p))
	}
	for _, n := range r.NotJudged {
		m := &junitMessage{Type: "not judged", Message: terminal(n.What), Text: Clean(join("\n", n.What, n.Why, n.Fix))}
		all.add(junitSuite{Name: Clean(n.Path), Errors: 1, Cases: []junitCase{{ClassName: "tollgate", Name: "judged", Error: m}}})
	}
	if _, err := io.WriteString(w, xml.Header); err != nil {
		return err
	}
	e := xml.NewEncoder(w)
	e.Indent("", "  ")
	if err := e.Encode(all); err != nil {
		return err
	}
	_, err := io.WriteString(w, "\n")
	return err
}

func (all *junitSuites) add(s junitSuite) {
	s.Tests = len(s.Cases)
	all.Tests += s.Tests
	all.Failures += s.Failures
	all.Errors += s.Errors
	all.Suites = append(all.Suites, s)
}

// junitSuiteOf makes a case of each finding and one of the plan itself, so that a suite in which
// nothing was found is not an empty one, which many readers take for an error.
func junitSuiteOf(p CheckedPlan) junitSuite {
	s := junitSuite{Name: Clean(p.Path)}
	s.Cases = []junitCase{{ClassName: "tollgate", Name: plural(p.ResourcesJudged, "resource") + " judged"}}
	for _, f := range p.Findings {
		c := junitCaseOf(f)
		if c.Failure != nil {
			s.Failures++
		}
		if c.Skipped != nil {
			s.Skipped++
		}
		s.Cases = append(s.Cases, c)
	}
	return s
}

func junitCaseOf(f change.Finding) junitCase {
	c := junitCase{ClassName: Clean(f.Policy), Name: Clean(join(" ", f.Rule, f.Address, f.Attribute))}
	place := ""
	if located(f) {
		place = fmt.Sprintf("%s:%d", f.File, f.Line)
	}
	m := &junitMessage{Type: string(f.Verdict), Message: terminal(f.Message), Text: Clean(join("\n", f.Message, place, f.Remediation, f.Reference))}
	switch {
	case f.Blocks():
		c.Failure = m
	case f.Verdict == change.Waived:
		c.Skipped = &junitMessage{Message: "waived: " + m.Message, Text: Clean(place)}
	case f.Verdict != change.Pass:
		c.Output = "warning: " + m.Text
	}
	return c
}
