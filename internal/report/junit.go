package report

import (
	"encoding/xml"
	"io"

	"github.com/tollgate/tollgate/internal/change"
)

type (
	junitSuites struct {
		XMLName  xml.Name     `xml:"testsuites"`
		Name     string       `xml:"name,attr"`
		Tests    int          `xml:"tests,attr"`
		Failures int          `xml:"failures,attr"`
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
		File      string        `xml:"file,attr,omitempty"`
		Line      int           `xml:"line,attr,omitempty"`
		Failure   *junitMessage `xml:"failure"`
		Skipped   *junitMessage `xml:"skipped"`
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
		s := junitSuiteOf(p)
		all.Tests += s.Tests
		all.Failures += s.Failures
		all.Suites = append(all.Suites, s)
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
	s.Tests = len(s.Cases)
	return s
}

func junitCaseOf(f change.Finding) junitCase {
	c := junitCase{ClassName: Clean(f.Policy), Name: Clean(join(" ", f.Rule, f.Address)), File: Clean(f.File), Line: f.Line}
	m := &junitMessage{Type: string(f.Verdict), Message: terminal(f.Message), Text: Clean(join("\n", f.Message, f.Remediation, f.Reference))}
	switch {
	case f.Blocks():
		c.Failure = m
	case f.Verdict == change.Waived:
		c.Skipped = &junitMessage{Message: "waived: " + m.Message}
	case f.Verdict != change.Pass:
		c.Output = "warning: " + m.Text
	}
	return c
}
