package gate

import (
	"context"
	"encoding/json"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/util"

	"github.com/tollgate/tollgate/internal/fault"
)

// JudgeSource judges the code of a project, as hclsource.Document describes it. It returns a
// *fault.Error, and no verdict, for a rule that fails and when ctx ends.
func (s *Set) JudgeSource(ctx context.Context, document json.RawMessage) (Result, error) {
	if s.source == nil {
		return Result{}, fault.New("The policy set "+s.name+" has no rules for code.",
			"Code that no rule has judged is not run.",
			"Add rules below "+s.name+"/source.")
	}
	var content any
	if err := util.UnmarshalJSON(document, &content); err != nil {
		return Result{}, fault.Wrap(err, "The description of the code cannot be judged.", "Code that no rule has judged is not run.", "")
	}
	input, err := ast.InterfaceToValue(content)
	if err != nil {
		return Result{}, fault.Wrap(err, "The description of the code cannot be judged.", "Code that no rule has judged is not run.", "")
	}
	answers, err := s.source.eval(ctx, input)
	if err != nil {
		return Result{}, err
	}
	findings, unwaivable, err := s.source.findings(answers, resources{})
	if err != nil {
		return Result{}, err
	}
	return Result{Findings: findings, Unwaivable: unwaivable}, nil
}
