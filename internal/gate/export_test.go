package gate

import (
	"context"

	"github.com/open-policy-agent/opa/v1/rego"
	"github.com/open-policy-agent/opa/v1/topdown"
)

// Steps judges a plan and returns how many expressions the engine evaluated for it. Unlike a time it is
// the same on every machine.
func (s *Set) Steps(ctx context.Context, plan *Plan) (int, error) {
	var counted steps
	for _, in := range s.plan.inquiries {
		_, err := in.query.Eval(ctx, rego.EvalParsedInput(plan.input), rego.EvalGenerateJSON(asTerm),
			rego.EvalVirtualCache(newCache()), rego.EvalQueryTracer(&counted))
		if err != nil {
			return 0, err
		}
	}
	return int(counted), nil
}

type steps int

func (*steps) Enabled() bool               { return true }
func (*steps) Config() topdown.TraceConfig { return topdown.TraceConfig{} }
func (s *steps) TraceEvent(e topdown.Event) {
	if e.Op == topdown.EvalOp {
		*s++
	}
}
