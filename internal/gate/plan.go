package gate

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"

	"github.com/tollgate/tollgate/internal/change"
	"github.com/tollgate/tollgate/internal/fault"
)

// Result is what the rules say about one plan.
type Result struct {
	// Findings are sorted by address, policy, rule and attribute, and include what passed.
	Findings []change.Finding
	// ResourcesJudged is the number of managed resources in the plan that exist after the apply.
	ResourcesJudged int
	// Unwaivable names the rules among the findings that no waiver covers, as "policy/rule", sorted.
	Unwaivable []string `json:",omitempty"`
}

// Plan is a plan as rules see it. It is immutable and safe for concurrent use.
type Plan struct {
	input     ast.Object
	holds     needs
	resources resources
}

// ReadPlan reads the output of "terraform show -json" on a plan, unchanged. It returns a *fault.Error
// for anything but a complete plan. If sets are given, only they can judge the plan: what no rule of
// theirs can see is read over.
func ReadPlan(from io.Reader, sets ...*Set) (*Plan, error) {
	holds := needs{all: len(sets) == 0, names: map[string]bool{}}
	for _, s := range sets {
		if s.plan != nil {
			holds.add(s.plan.needs)
		}
	}
	input, err := readPlan(newReader(from), holds)
	if err != nil {
		return nil, err
	}
	return &Plan{input: input, holds: holds, resources: readResources(input)}, nil
}

// Judge judges a plan. It returns a *fault.Error, and no verdict, for a rule that fails, and when
// ctx ends.
func (s *Set) Judge(ctx context.Context, plan *Plan) (Result, error) {
	if s.plan == nil {
		return Result{}, fault.New("The policy set "+s.name+" has no rules for plans.",
			"A plan that no rule has judged is not allowed.",
			"Add rules below "+s.name+"/plan.")
	}
	if !plan.holds.cover(s.plan.needs) {
		return Result{}, fmt.Errorf("judge a plan by %s: the plan was read for other sets", s.name)
	}
	answers, err := s.plan.eval(ctx, plan.input)
	if err != nil {
		return Result{}, err
	}
	findings, unwaivable, err := s.plan.findings(answers, plan.resources)
	if err != nil {
		return Result{}, err
	}
	return Result{Findings: findings, ResourcesJudged: plan.resources.judged, Unwaivable: unwaivable}, nil
}

// JudgePlan is ReadPlan and Judge.
func (s *Set) JudgePlan(ctx context.Context, planJSON []byte) (Result, error) {
	plan, err := ReadPlan(bytes.NewReader(planJSON), s)
	if err != nil {
		return Result{}, err
	}
	return s.Judge(ctx, plan)
}

// readPlan refuses what is no plan, and plans that Terraform did not finish: these lack changes,
// so every rule would pass.
func readPlan(r *reader, holds needs) (ast.Object, error) {
	var members [][2]*ast.Term
	doc := map[string]ast.Value{} // what the gate itself looks at, nil if it was read over
	err := r.document(func(key *leaf) error {
		name := string(key.term.Value.(ast.String))
		if _, twice := doc[name]; twice {
			return errTwice
		}
		doc[name] = nil
		if !ownNeeds[name] && !holds.all && !holds.names[name] {
			return r.skip(1)
		}
		value, err := r.value(1)
		if err == nil {
			doc[name] = value.term.Value
			members = append(members, [2]*ast.Term{key.term, value.term})
		}
		return err
	})
	switch {
	case errors.Is(err, errTwice), errors.Is(err, errDepth):
		return nil, noPlan("cannot be read with certainty", err)
	case errors.Is(err, errMore):
		return nil, noPlan("has more after its end", err)
	case err != nil:
		return nil, noPlan("is not JSON", err)
	}
	if err := supported(doc["format_version"]); err != nil {
		return nil, err
	}
	_, planned := doc["planned_values"]
	changes, changed := doc["resource_changes"] // absent in a plan that changes nothing
	_, list := changes.(*ast.Array)
	switch {
	case !planned && !changed:
		return nil, noPlan("has neither planned_values nor resource_changes", nil)
	case changed && !list:
		return nil, noPlan("has resource_changes that are no list", nil)
	case !isNullOr(doc["errored"], false):
		return nil, noPlan("is of a plan that ended with an error or was cancelled", nil)
	case !isNullOr(doc["complete"], true):
		return nil, noPlan("is of a plan that is not complete: Terraform deferred or left out changes", nil)
	}
	return ast.NewObject(members...), nil
}

func isNullOr(v ast.Value, want ast.Boolean) bool {
	switch v := v.(type) {
	case nil, ast.Null:
		return true
	case ast.Boolean:
		return v == want
	}
	return false
}

// supported accepts the same versions as Terraform's own reader of plan JSON: below 2.
func supported(version ast.Value) error {
	known, _ := version.(ast.String)
	text := string(known)
	if text == "" {
		return noPlan("has no format_version", nil)
	}
	if major, _, ok := strings.Cut(text, "."); !ok || (major != "0" && major != "1") {
		return noPlan(fmt.Sprintf("has the format_version %q, but 0.x or 1.x is understood", text), nil)
	}
	return nil
}

func noPlan(what string, err error) error {
	return fault.Wrap(err, "The plan cannot be judged: its JSON "+what+".",
		"A plan that was not judged as a whole is not allowed.",
		"Plan again and pass the output of `terraform show -json PLANFILE` unchanged.")
}

// resources is what the gate itself needs to know of a plan.
type resources struct {
	judged int
	noOp   map[string]bool // addresses that the plan does not touch
}

func readResources(input ast.Object) resources {
	r := resources{noOp: map[string]bool{}}
	for change := range elements(input.Get(ast.InternedTerm("resource_changes"))) {
		actions, _ := get(change, "change", "actions").(*ast.Array)
		if text(change, "mode") != "managed" || actions == nil || isAction(actions, "delete") || hasAction(actions, "forget") {
			continue
		}
		r.judged++
		r.noOp[text(change, "address")] = isAction(actions, "no-op") && get(change, "change", "importing") == nil
	}
	return r
}

// isAction reports whether the action is the only one.
func isAction(actions *ast.Array, action string) bool {
	return actions.Len() == 1 && hasAction(actions, action)
}

func hasAction(actions *ast.Array, action string) bool {
	return actions.Until(func(e *ast.Term) bool { return e.Value.Compare(ast.String(action)) == 0 })
}

func elements(t *ast.Term) func(yield func(*ast.Term) bool) {
	return func(yield func(*ast.Term) bool) {
		if t == nil {
			return
		}
		if array, ok := t.Value.(*ast.Array); ok {
			array.Until(func(e *ast.Term) bool { return !yield(e) })
		}
	}
}

// get returns the value at a path, nil if it is absent or null.
func get(t *ast.Term, path ...string) ast.Value {
	for _, key := range path {
		object, ok := t.Value.(ast.Object)
		if !ok {
			return nil
		}
		if t = object.Get(ast.InternedTerm(key)); t == nil {
			return nil
		}
	}
	if _, null := t.Value.(ast.Null); null {
		return nil
	}
	return t.Value
}

func text(t *ast.Term, key string) string {
	s, _ := get(t, key).(ast.String)
	return string(s)
}

func sortFindings(findings []change.Finding) {
	slices.SortFunc(findings, func(a, b change.Finding) int {
		return cmp.Or(cmp.Compare(a.Address, b.Address), cmp.Compare(a.Policy, b.Policy),
			cmp.Compare(a.Rule, b.Rule), cmp.Compare(a.Attribute, b.Attribute),
			cmp.Compare(a.Severity, b.Severity), cmp.Compare(a.Message, b.Message))
	})
}
