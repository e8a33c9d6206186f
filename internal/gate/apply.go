package gate

import (
	"context"
	"time"

	"github.com/open-policy-agent/opa/v1/ast"

	"github.com/tollgate/tollgate/internal/change"
	"github.com/tollgate/tollgate/internal/fault"
)

// ApplyInput is the input document of the apply gate. Its JSON names are a contract with policies.
type ApplyInput struct {
	Pull            change.Pull        `json:"pull"`
	Reviews         []change.Review    `json:"reviews"`
	Commits         []Commit           `json:"commits"`          // every commit of the pull request
	Actor           change.User        `json:"actor"`            // who asked: the commenter, who merged, who pressed the button
	ActorPermission change.Permission  `json:"actor_permission"` // of the actor, asked now
	Trigger         string             `json:"trigger"`          // merge, comment or button
	Plan            change.PlanSummary `json:"plan"`
	PlanComplete    bool               `json:"plan_complete"` // Terraform ended well and every policy set judged the plan
	Findings        []change.Finding   `json:"findings"`
	Config          ApplyConfig        `json:"config"`
	Now             time.Time          `json:"now"`
}

// Commit is one commit of a pull request with the accounts that GitHub knows for it. An account
// with ID 0 means that GitHub could not match the e-mail address.
type Commit struct {
	SHA       string      `json:"sha"`
	Author    change.User `json:"author"`
	Committer change.User `json:"committer"`
}

// ApplyConfig is the repository's own setting, read from the base branch.
type ApplyConfig struct {
	Approvals int      `json:"approvals"` // how many people have to approve
	On        []string `json:"on"`        // what may trigger an apply: merge, comment
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
