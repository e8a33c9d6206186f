package change

import "strings"

// Rule is what a policy says of one of its rules, or of a whole package if ID is empty.
type Rule struct {
	Policy      string // package, such as plan.tls
	ID          string // inside the package
	Title       string
	Description string   // why it matters
	Severity    Severity // empty unless the policy gives one
	Remediation string   // what to write instead
	References  []Reference
	File        string // where it is written, relative to the root of its policy set
}

// Reference is a document behind a rule.
type Reference struct {
	Text string // such as "PCI DSS 4.0.1, requirement 4.2.1"; may be empty
	URL  string
}

// String is the text and the address.
func (r Reference) String() string { return strings.TrimSpace(r.Text + " " + r.URL) }
