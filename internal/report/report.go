// Package report is pure rendering of checks, comments, annotations and command answers within
// GitHub's limits: it knows no clock and no I/O, and what it renders is safe to show whatever the
// pull request holds.
//
// Two rules keep a hostile pull request from speaking in our name. Text that is not ours stands in
// a code span, in a fence longer than any run of backticks in it, or is escaped; and headlines are
// made of our own words and numbers only. Text is counted in bytes where GitHub counts characters,
// which errs on the low side.
package report

import (
	"time"

	"github.com/tollgate/tollgate/internal/change"
	"github.com/tollgate/tollgate/internal/fault"
)

// GitHub's limits, in bytes unless said otherwise.
const (
	MaxTitle             = 255
	MaxSummary           = 65_535
	MaxText              = 65_535
	MaxComment           = 65_535
	MaxAnnotationTitle   = 255
	MaxAnnotationMessage = 64_000
	MaxAnnotations       = 200 // ours: four requests of 50; more help nobody
	MaxButtonLabel       = 20
	MaxButtonDescription = 40
	MaxButtonIdentifier  = 20
)

// The names of our checks. A project's checks are the prefix and the project's name.
const (
	GateName    = "tollgate"
	PlanPrefix  = "tollgate/plan: "
	ApplyPrefix = "tollgate/apply: "
)

// Identifiers of the buttons, as they come back in GitHub's check_run event.
const (
	ButtonReplan = "replan"
	ButtonApply  = "apply"
)

// Requirement is one thing that has to hold before a plan can be applied.
type Requirement struct {
	Text string
	Met  bool
}

// Replanned says why a plan was made again without a push, and what became of its effect.
type Replanned struct {
	Why     string // in our own words: what moved
	Differs string // how the effect differs from the one before it, as Markdown; empty if it does not
}

// Plan is what is known of the plan of one project at one commit.
type Plan struct {
	Pull         change.Pull
	Project      change.Project
	State        change.RunState
	Refused      bool // its code, before anything ran: there is no plan
	HeadSHA      string
	BaseSHA      string
	Summary      change.PlanSummary
	Findings     []change.Finding
	Notices      []change.Notice // about the waivers that the plan needs
	Judged       int             // resources that the policies judged
	Text         string          // Terraform's text of the plan
	Fault        *fault.Error    // why there is no verdict, or nil
	Excerpt      string          // Terraform's own diagnostics when it failed
	Replanned    *Replanned      // it was made again without a push, or nil
	Requirements []Requirement   // before it can be applied
	PolicyDigest string
	PlanID       string // the plan's own id, as executions name it
	ID           string // short id of the plan, shown to people
	ExternalID   string
	DetailsURL   string // our page of the run
	Elapsed      time.Duration
}

// Apply is what is known of one apply.
type Apply struct {
	Execution  change.Execution
	Glass      *change.Glass // two people let it go without approvals, or nil
	HeadSHA    string        // the commit that carries the check
	Summary    change.PlanSummary
	Fault      *fault.Error
	Ended      bool          // Terraform has ended well, and the result is being looked at
	Proof      *change.Proof // what a second plan showed afterwards, or nil
	Blocked    bool          // somebody else held the state for too long
	Resolved   change.Resolved
	Evidence   *change.Evidence // what a plan showed after an unknown end, or nil
	Unsaved    bool             // Terraform could not save the state, which is kept
	Tail       string           // the last lines of Terraform's output
	ExternalID string
	DetailsURL string // our page of the execution
	Elapsed    time.Duration
	LedgerRow  int64  // the newest row of the ledger about it, or 0
	LedgerHash string // and its hash, to compare an export with
}

// Stop says why a pull request is not planned at all.
type Stop string

// The reasons not to plan. With any of them the gate stays closed.
const (
	StopNone     Stop = ""
	StopDraft    Stop = "draft"
	StopFork     Stop = "fork"
	StopConflict Stop = "conflict"
)

// Pull is everything that is known of a pull request at its newest commit.
type Pull struct {
	Pull       change.Pull
	State      change.RunState // of the run as a whole
	Plans      []Plan          // of every affected project
	Applies    []Apply
	Notices    []change.Notice // about waivers that no plan needs
	Stop       Stop
	Fault      *fault.Error    // nothing could be judged because of it, such as a wrong .tollgate.yaml
	Unapplied  *fault.Error    // it was merged, and why it was not applied, or nil
	Preview    *change.Preview // what policies that it changes would do, or nil
	ExternalID string
	DetailsURL string
}

// allowed reports whether the plan was made, judged by policies that are named, and passed.
// Everything else is not a pass.
func (p Plan) allowed() bool {
	return p.State == change.RunPassed && p.Fault == nil && p.PolicyDigest != "" && len(blocking(p.Findings)) == 0
}

// ready reports whether the plan may be applied now and does something.
func (p Plan) ready() bool {
	for _, r := range p.Requirements {
		if !r.Met {
			return false
		}
	}
	return p.allowed() && !p.Summary.Counts.Empty()
}

// settledEmpty reports whether the plan is allowed and has nothing to apply.
func (p Plan) settledEmpty() bool { return p.allowed() && p.Summary.Counts.Empty() }

func blocking(fs []change.Finding) []change.Finding {
	var out []change.Finding
	for _, f := range fs {
		if f.Blocks() {
			out = append(out, f)
		}
	}
	return out
}

// status is the part of a check that GitHub calls status and conclusion.
type status struct{ status, conclusion string }

var (
	queued     = status{"queued", ""}
	inProgress = status{"in_progress", ""}
	success    = status{"completed", "success"}
	failure    = status{"completed", "failure"}
	cancelled  = status{"completed", "cancelled"}
	// actionRequired keeps a required check closed, unlike neutral, which lets a merge through.
	actionRequired = status{"completed", "action_required"}
)

// outcome is the conclusion, or the status of what has not ended.
func (s status) outcome() string {
	if s.conclusion != "" {
		return s.conclusion
	}
	return s.status
}

// mark is the status for the eye; words beside it say the same.
func (s status) mark() string {
	switch s {
	case queued, inProgress:
		return "⏳"
	case success:
		return "✅"
	case cancelled:
		return "⏹️"
	case actionRequired:
		return "❗"
	}
	return "❌"
}

// Outcome is the conclusion of the plan's check, or its status while there is none.
func (p Plan) Outcome() string { return p.status().outcome() }

// Outcome is the conclusion of the apply's check, or its status while there is none.
func (a Apply) Outcome() string { return a.status().outcome() }

// Outcome is the conclusion of the gate's check, or its status while there is none.
func (p Pull) Outcome() string { return p.status().outcome() }

func newCheck(name, sha, externalID, details, title string, s status) change.Check {
	return change.Check{
		Name:       oneLine(name, MaxTitle),
		HeadSHA:    sha,
		ExternalID: externalID,
		DetailsURL: details,
		Status:     s.status,
		Conclusion: s.conclusion,
		Title:      oneLine(title, MaxTitle),
	}
}

func replanButton() change.Button {
	return change.Button{Label: "Re-plan", Description: "Plan this commit again", Identifier: ButtonReplan}
}

func applyButton() change.Button {
	return change.Button{Label: "Apply", Description: "Apply the approved plan", Identifier: ButtonApply}
}
