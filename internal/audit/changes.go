package audit

import (
	"encoding/json"
	"slices"
	"strings"
)

// subject is what rows say of what they are about.
type subject struct {
	Execution  string      `json:"execution"`
	Repository json.Number `json:"repository"`
	Name       string      `json:"name"` // of the repository
	Pull       int         `json:"pull"`
	Project    string      `json:"project"`
	Plans      []planned   `json:"plans"`
	Head       string      `json:"head"`
	Base       string      `json:"base"`
	Commit     string      `json:"commit"`
	Tree       string      `json:"tree"`
	Plan       string      `json:"plan"`
	Effect     string      `json:"effect"`
	Policies   string      `json:"policies"`
	Waivers    []string    `json:"waivers"`
	Approvers  []Approver  `json:"approvers"`
	State      any         `json:"state"` // how an apply ended; of an authorisation, the state that it changes
	LeftOpen   int         `json:"left_open"`
}

// end is how an apply ended, if the row says so.
func (s subject) end() string {
	text, _ := s.State.(string)
	return text
}

type planned struct {
	Project string `json:"project"`
}

// of reports whether a row is about a project, or about all of them.
func (s subject) of(project string) bool {
	return s.Project == project || slices.ContainsFunc(s.Plans, func(p planned) bool { return p.Project == project })
}

// Approver is who approved, by which review.
type Approver struct {
	ID     int64  `json:"id"`
	Login  string `json:"login"`
	Review int64  `json:"review,omitempty"`
	At     string `json:"at,omitempty"`
}

// Actor is who did something.
type Actor struct {
	ID    int64  `json:"id"`
	Login string `json:"login"`
	Kind  string `json:"kind,omitempty"` // of GitHub, or app or os
}

// Change is all that the ledger says of one apply: who approved what, under which policies, and
// what became of it.
type Change struct {
	Execution  string      `json:"execution"`
	Repository json.Number `json:"repository"`
	Name       string      `json:"name,omitempty"`
	Pull       int         `json:"pull"`
	Project    string      `json:"project"`
	Authorised string      `json:"authorised_at"`
	Actor      Actor       `json:"actor"`
	Origin     string      `json:"origin"`
	Approvers  []Approver  `json:"approvers"`
	Head       string      `json:"head"`
	Base       string      `json:"base"`
	Commit     string      `json:"commit"`
	Tree       string      `json:"tree"`
	Plan       string      `json:"plan"`
	Effect     string      `json:"effect"`
	Policies   string      `json:"policies"`
	Waivers    []string    `json:"waivers"`
	Started    string      `json:"started_at,omitempty"`
	Ended      string      `json:"ended_at,omitempty"`
	Outcome    string      `json:"outcome"` // authorised, running, succeeded, failed or unknown
	State      string      `json:"state,omitempty"`
	Proof      string      `json:"proof,omitempty"` // succeeded, failed or unknown
	LeftOpen   int         `json:"left_open,omitempty"`
	Resolved   *Resolution `json:"resolved,omitempty"`
	Rows       []int64     `json:"rows"` // of the ledger
	Hash       string      `json:"hash"` // of the last of them
}

// Resolution is how a person ended an unknown outcome.
type Resolution struct {
	Actor  Actor  `json:"actor"`
	At     string `json:"at"`
	Origin string `json:"origin"`
}

// Changes gathers the rows of each apply, in the order in which they were authorised.
type Changes struct {
	all []*Change
	by  map[string]*Change
}

// Add takes the next row of the ledger.
func (c *Changes) Add(r Row) error {
	var s subject
	var by Actor
	if json.Unmarshal([]byte(r.Subject), &s) != nil || json.Unmarshal([]byte(r.Actor), &by) != nil || s.Execution == "" {
		return nil // about something else
	}
	x := c.by[s.Execution]
	if x == nil {
		if c.by == nil {
			c.by = map[string]*Change{}
		}
		x = &Change{Execution: s.Execution, Repository: s.Repository, Name: s.Name, Pull: s.Pull, Project: s.Project, Outcome: "authorised"}
		c.by[s.Execution], c.all = x, append(c.all, x)
	}
	x.Rows, x.Hash = append(x.Rows, r.Seq), r.Hash
	switch {
	case r.Action == ActionApply && r.Outcome == Allowed:
		x.Authorised, x.Actor, x.Origin, x.Approvers = r.At, by, r.Origin, s.Approvers
		x.Head, x.Base, x.Commit, x.Tree, x.Plan, x.Effect, x.Policies, x.Waivers = s.Head, s.Base, s.Commit, s.Tree, s.Plan, s.Effect, s.Policies, s.Waivers
	case r.Action == ActionApplyStart:
		x.Started, x.Outcome = r.At, "running"
	case r.Action == ActionApplyEnd:
		x.Ended, x.Outcome, x.State = r.At, r.Outcome, s.end()
	case r.Action == ActionApplyProof:
		x.Proof, x.LeftOpen, x.State = r.Outcome, s.LeftOpen, s.end()
	case r.Action == ActionUnlock || strings.HasPrefix(r.Action, "resolve"):
		if r.Outcome == Allowed {
			x.Resolved = &Resolution{by, r.At, r.Origin}
		}
	}
	return nil
}

// Of returns what the filter chooses.
func (c *Changes) Of(f Filter) (out []Change) {
	for _, x := range c.all {
		if (f.Repo == "" || f.Repo == x.Repository.String() || strings.EqualFold(f.Repo, x.Name)) &&
			(f.Pull == 0 || f.Pull == x.Pull) && (f.Project == "" || f.Project == x.Project) && f.covers(x.Authorised) {
			out = append(out, *x)
		}
	}
	return out
}
