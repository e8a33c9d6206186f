package gate

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
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

// JudgePlan judges the output of "terraform show -json" on a plan, unchanged. It returns a *fault.Error, and
// no verdict, for anything but a complete plan, for a rule that fails, and when ctx ends.
func (s *Set) JudgePlan(ctx context.Context, planJSON []byte) (Result, error) {
	if s.plan == nil {
		return Result{}, fault.New("The policy set "+s.name+" has no rules for plans.",
			"A plan that no rule has judged is not allowed.",
			"Add rules below "+s.name+"/plan.")
	}
	input, err := readPlan(planJSON)
	if err != nil {
		return Result{}, err
	}
	answers, err := s.plan.eval(ctx, input)
	if err != nil {
		return Result{}, err
	}
	resources := readResources(input)
	findings, err := s.plan.findings(answers, resources)
	if err != nil {
		return Result{}, err
	}
	return Result{Findings: findings, ResourcesJudged: resources.judged, Unwaivable: s.plan.kept.among(findings)}, nil
}

// readPlan refuses what is no plan, and plans that Terraform did not finish: these lack changes,
// so every rule would pass.
func readPlan(planJSON []byte) (ast.Object, error) {
	dec := json.NewDecoder(bytes.NewReader(planJSON))
	dec.UseNumber()
	var doc map[string]any
	if err := dec.Decode(&doc); err != nil {
		return nil, noPlan("is not JSON", err)
	}
	if _, err := dec.Token(); err != io.EOF {
		return nil, noPlan("has more after its end", err)
	}
	if err := supported(doc["format_version"]); err != nil {
		return nil, err
	}
	_, planned := doc["planned_values"]
	changes, changed := doc["resource_changes"] // absent in a plan that changes nothing
	_, list := changes.([]any)
	switch {
	case !planned && !changed:
		return nil, noPlan("has neither planned_values nor resource_changes", nil)
	case changed && !list:
		return nil, noPlan("has resource_changes that are no list", nil)
	case doc["errored"] != nil && doc["errored"] != false:
		return nil, noPlan("is of a plan that ended with an error or was cancelled", nil)
	case doc["complete"] != nil && doc["complete"] != true:
		return nil, noPlan("is of a plan that is not complete: Terraform deferred or left out changes", nil)
	}
	value, err := ast.InterfaceToValue(doc)
	if err != nil {
		return nil, noPlan("cannot be read", err)
	}
	return value.(ast.Object), nil
}

// supported accepts the same versions as Terraform's own reader of plan JSON: below 2.
func supported(version any) error {
	text, _ := version.(string)
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
		object, ok := change.Value.(ast.Object)
		if !ok || text(object, "mode") != "managed" {
			continue
		}
		actions := get(object, "change", "actions")
		if actions == nil || strings.Contains(actions.String(), `"forget"`) || actions.String() == `["delete"]` {
			continue
		}
		r.judged++
		r.noOp[text(object, "address")] = actions.String() == `["no-op"]` && get(object, "change", "importing") == nil
	}
	return r
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

func get(o ast.Object, path ...string) *ast.Term {
	at := ast.NewTerm(o)
	for _, key := range path {
		object, ok := at.Value.(ast.Object)
		if !ok {
			return nil
		}
		if at = object.Get(ast.StringTerm(key)); at == nil {
			return nil
		}
	}
	if _, null := at.Value.(ast.Null); null {
		return nil
	}
	return at
}

func text(o ast.Object, key string) string {
	if t := get(o, key); t != nil {
		if s, ok := t.Value.(ast.String); ok {
			return string(s)
		}
	}
	return ""
}

func sortFindings(findings []change.Finding) {
	slices.SortFunc(findings, func(a, b change.Finding) int {
		return cmp.Or(cmp.Compare(a.Address, b.Address), cmp.Compare(a.Policy, b.Policy),
			cmp.Compare(a.Rule, b.Rule), cmp.Compare(a.Attribute, b.Attribute),
			cmp.Compare(a.Severity, b.Severity), cmp.Compare(a.Message, b.Message))
	})
}
