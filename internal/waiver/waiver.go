// Package waiver reads waivers.yaml and lets findings pass that somebody answers for until a day.
//
// # The file
//
// waivers.yaml lies in the root of a repository's policy folder and is read from the base branch,
// so that a waiver is reviewed before it holds. The file is strict: whatever it does not know is a
// mistake, because a waiver that is misread lets through what nobody agreed to.
//
//	waivers:
//	  - rule: plan.tls/listener-policy
//	    address: module.terminals.aws_lb_listener.legacy["eu-*"]
//	    reason: Card terminals of 2015 speak TLS 1.1 only; they are replaced by March.
//	    owner: "@acme/terminals"
//	    expires: 2027-03-31
//
// rule is one rule: the package, a slash, and the rule's id. A waiver holds through the day of
// expires in UTC, and no longer than a year ahead.
//
// # Addresses
//
// address is a full resource address as Terraform writes it, or a pattern of one. It matches the
// whole address, step by step:
//
//   - in a name or a quoted key: any characters, within that name or key
//     [*]    as a key: any instance of count or for_each, but not a resource without instances
//     **     in place of module steps: any number of modules, also none
//     \*     in a quoted key: the character * itself
//
// So aws_lb.a* is any such load balancer of the root module that has neither count nor for_each,
// and **.aws_lb.a*[*] any instance of one in any module. The type has to be written in full and the
// name at least in part; a pattern that leaves them open waives what nobody has looked at.
package waiver

import (
	"time"

	"github.com/tollgate/tollgate/internal/change"
)

// File is the name of the file, in the root of a policy folder.
const File = "waivers.yaml"

const (
	// maxResources is how many resources of one plan a waiver may cover: so many a reviewer can have
	// looked at one by one.
	maxResources = 10
	// horizonYears bounds how far ahead a waiver may expire. One that outlives its reason is a rule
	// that was switched off; PCI DSS has exceptions looked at every year as well.
	horizonYears = 1
)

// Waiver lets the findings of one rule about some resources pass until a day.
type Waiver struct {
	Rule    string    // package and rule id, such as plan.tls/listener-policy
	Address string    // pattern, as written
	Reason  string    // on one line
	Owner   string    // @user or @org/team, who answers for it
	Expires time.Time // the last day on which it holds, at 00:00 UTC
	Line    int       // on which it begins, 1-based

	pattern pattern
}

// List is the waivers of one file. The zero List waives nothing.
type List struct {
	file    string
	waivers []Waiver
}

// Waivers returns the waivers in the order of the file. The caller must not change them.
func (l List) Waivers() []Waiver { return l.waivers }

// Outcome is what the waivers make of the findings of one plan.
type Outcome struct {
	// Findings are those that were given, in their order. What is waived has the verdict Waived, and
	// its message says until when, by whom and why.
	Findings []change.Finding
	// Notices are about waivers that match a finding of the plan and do not hold all the same.
	Notices []change.Notice
	// Matched names the waivers that match a finding, whether they hold or not. Orphans takes it.
	Matched []string
}
