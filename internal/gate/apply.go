package gate

import (
	"context"
	"time"
	_ "time/tzdata" // windows and freezes name time zones, and the process that judges has no files

	"github.com/open-policy-agent/opa/v1/ast"

	"github.com/tollgate/tollgate/internal/change"
	"github.com/tollgate/tollgate/internal/fault"
)

// ApplyInput is the input document of the apply gate. Its JSON names are a contract with policies;
// policies/README.md describes them. Lists are never null: a rule may take null for "nobody looked".
type ApplyInput struct {
	Pull            change.Pull        `json:"pull"`
	Reviews         []change.Review    `json:"reviews"`
	Commits         []Commit           `json:"commits"`          // every commit of the pull request
	LastPushers     []change.User      `json:"last_pushers"`     // whoever is known to have pushed the head
	Actor           change.User        `json:"actor"`            // who asked: the commenter, who merged, who pressed the button
	ActorPermission change.Permission  `json:"actor_permission"` // of the actor, asked now
	Trigger         string             `json:"trigger"`          // merge, comment or button
	Plan            change.PlanSummary `json:"plan"`
	PlanComplete    bool               `json:"plan_complete"` // Terraform ended well and every policy set judged the plan
	Findings        []change.Finding   `json:"findings"`
	Unwaivable      []string           `json:"unwaivable"` // rules among the findings that nothing lifts, as "policy/rule"
	Teams           []change.Team      `json:"teams"`      // those that config or owners name
	Owners          []Owners           `json:"owners"`     // one for each commit whose CODEOWNERS holds
	Config          ApplyConfig        `json:"config"`
	BreakGlass      *BreakGlass        `json:"break_glass"` // null unless two people have broken the glass
	Now             time.Time          `json:"now"`
}

// Commit is one commit of a pull request with the accounts that GitHub knows for it. An account
// with ID 0 means that GitHub could not match the e-mail address.
type Commit struct {
	SHA       string        `json:"sha"`
	Author    change.User   `json:"author"`
	Committer change.User   `json:"committer"`
	CoAuthors []change.User `json:"co_authors"`
}

// Owners is what the CODEOWNERS file of one commit says of the files that the pull request changes.
type Owners struct {
	Commit  string  `json:"commit"`
	File    string  `json:"file"`    // empty: there is none
	Problem string  `json:"problem"` // why nobody can rely on the file; empty: it is sound
	Rules   []Owned `json:"rules"`
}

// Owned is one line of a CODEOWNERS file, and which changed files it decides.
type Owned struct {
	Line    int      `json:"line"`
	Pattern string   `json:"pattern"`
	Paths   []string `json:"paths"`
	Owners  []string `json:"owners"` // @login, @organisation/team or an e-mail address; empty: nobody's
}

// ApplyConfig is what .tollgate.yaml says under apply, in all commits whose settings hold.
type ApplyConfig struct {
	Approvals        int         `json:"approvals"`          // how many people have to approve
	On               []string    `json:"on"`                 // what may trigger an apply: merge, comment
	ApproverMayApply bool        `json:"approver_may_apply"` // the actor's own approval counts
	Teams            []string    `json:"teams"`              // one approval from each
	Codeowners       bool        `json:"codeowners"`
	Destructive      Destructive `json:"destructive"`
	Windows          [][]Window  `json:"windows"` // one of each list has to be open
	Freezes          []Freeze    `json:"freezes"`
}

// Destructive is what plans need that delete, replace or forget something.
type Destructive struct {
	Approvals int      `json:"approvals"`
	Teams     []string `json:"teams"`
}

// Window is a part of some days of the week.
type Window struct {
	Days []string `json:"days"` // mon to sun
	From string   `json:"from"` // HH:MM
	To   string   `json:"to"`   // HH:MM, exclusive
	Zone string   `json:"zone"` // IANA name
}

// Freeze is a span of days on which nothing is applied.
type Freeze struct {
	From   string `json:"from"`  // YYYY-MM-DD
	Until  string `json:"until"` // YYYY-MM-DD, the last day of it
	Zone   string `json:"zone"`
	Reason string `json:"reason"`
}

// BreakGlass is the word of two people that one apply may go without approvals.
type BreakGlass struct {
	AskedBy             change.User       `json:"asked_by"`
	AskedPermission     change.Permission `json:"asked_permission"` // asked now
	ConfirmedBy         change.User       `json:"confirmed_by"`
	ConfirmedPermission change.Permission `json:"confirmed_permission"` // asked now
	Reason              string            `json:"reason"`
	HeadSHA             string            `json:"head_sha"`
	EffectDigest        string            `json:"effect_digest"` // of the plan that it was asked for
	AskedAt             time.Time         `json:"asked_at"`
	Until               time.Time         `json:"until"`
	Issue               int               `json:"issue"` // that tells everybody of it
}

// Decision is the answer of the apply gate. It is allowed only if nothing denies it and every
// requirement is met.
type Decision struct {
	Allowed      bool
	Denials      []Denial      // sorted by rule and message
	Requirements []Requirement // what is still needed first, then what is met
	Warnings     []string
}

// Denial is one reason why an apply is refused.
type Denial struct {
	Rule    string
	Message string
}

// Requirement is one condition of an apply, in words for the check.
type Requirement struct {
	Text string
	Met  bool
}

// JudgeApply decides whether the actor may apply the plan now. It returns a *fault.Error, and no
// decision, for a rule that fails and when ctx ends.
func (s *Set) JudgeApply(ctx context.Context, in ApplyInput) (Decision, error) {
	if s.apply == nil {
		return Decision{}, fault.New("The policy set "+s.name+" has no rules for applies.",
			"An apply that no rule has judged is not allowed.",
			"Add rules below "+s.name+"/apply.")
	}
	input, err := ast.InterfaceToValue(in)
	if err != nil {
		return Decision{}, fault.Wrap(err, "The facts about the pull request cannot be judged.", "", "")
	}
	answers, err := s.apply.eval(ctx, input)
	if err != nil {
		return Decision{}, err
	}
	return s.apply.decide(answers)
}
