package gate

import (
	"context"
	"errors"
	"fmt"
	"path"
	"regexp"
	"slices"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/storage/inmem"
	"github.com/open-policy-agent/opa/v1/topdown"

	"github.com/tollgate/tollgate/internal/fault"
)

// program is the compiled rules of one gate.
type program struct {
	set       string
	gate      string
	asked     []question
	inquiries []inquiry
	needs     needs
	notes     notes

	levels levels
	kept   kept
}

// question is one rule set that the gate asks for, such as data.plan.tls.deny.
type question struct {
	policy string // package without the leading "data."
	name   string
	ref    string
}

// kind is the name without conftest's suffix: deny for deny_public_bucket.
func (q question) kind() string { kind, _, _ := strings.Cut(q.name, "_"); return kind }

// suffix is what conftest's exceptions name: public_bucket for deny_public_bucket.
func (q question) suffix() string { _, suffix, _ := strings.Cut(q.name, "_"); return suffix }

var (
	verdictRule = regexp.MustCompile(`^(deny|violation|warn)(_[a-zA-Z0-9_]+)?$`)
	extraRules  = []string{"judged", "requirements", "exception"}
)

// compile returns the program of a gate, or nil if the set has no file for it.
func compile(src *sources, gate string) (*program, error) {
	modules := visible(src.modules, gate)
	if err := everyLevelRead(src, gate); err != nil {
		return nil, err
	}
	own := func(file string) bool { return gateOf(file) == gate }
	if !slices.ContainsFunc(keys(modules), own) {
		return nil, nil
	}
	data, err := mount(src.name, visible(src.data, gate))
	if err != nil {
		return nil, err
	}
	compiler := ast.NewCompiler().WithCapabilities(capabilities()).
		WithPathConflictsCheck(func(path []string) (bool, error) { return has(data, path), nil })
	if compiler.Compile(modules); compiler.Failed() {
		return nil, uncompilable(src.name, compiler.Errors)
	}
	p := &program{set: src.name, gate: gate, notes: readNotes(modules)}
	if p.asked, err = questions(src.name, gate, modules); err != nil {
		return nil, err
	}
	if p.levels, err = readLevels(src, gate, modules, data); err != nil {
		return nil, err
	}
	if p.kept, err = readKept(src.name, modules, p.asked); err != nil {
		return nil, err
	}
	if err := everyPackageUsed(src.name, gate, compiler, p.asked); err != nil {
		return nil, err
	}
	if err := everyReferenceDefined(src.name, compiler, data); err != nil {
		return nil, err
	}
	p.needs = readNeeds(compiler)
	store := inmem.NewFromObjectWithOpts(data, inmem.OptRoundTripOnWrite(false), inmem.OptReturnASTValuesOnRead(true))
	if p.inquiries, err = prepare(compiler, store, p.asked); err != nil {
		return nil, unusable(src.name, gate, "do not compile", err)
	}
	return p, nil
}

// questions collects what the gate asks, in a fixed order.
func questions(set, gate string, modules map[string]*ast.Module) ([]question, error) {
	var asked []question
	seen := map[string]bool{}
	verdicts := 0
	for _, file := range keys(modules) {
		for _, rule := range modules[file].Rules {
			name := ruleName(rule)
			verdict := verdictRule.MatchString(name)
			if !verdict && !slices.Contains(extraRules, name) {
				continue
			}
			if gateOf(file) != gate {
				if verdict {
					return nil, unusable(set, file, "has a rule "+name+" outside of source/, plan/ and apply/, where nothing asks for it", nil)
				}
				continue
			}
			if verdict && rule.Head.Args != nil {
				return nil, unusable(set, file, "defines "+name+" as a function, but it must be a set", nil)
			}
			q := question{policy: packageName(modules[file]), name: name, ref: modules[file].Package.Path.String() + "." + name}
			if !seen[q.ref] {
				seen[q.ref] = true
				asked = append(asked, q)
			}
			if verdict {
				verdicts++
			}
		}
	}
	if verdicts == 0 {
		return nil, unusable(set, gate, "define no deny, violation or warn rule", nil)
	}
	return asked, nil
}

// ruleName is the first name of the rule's head: deny of "deny contains x", of "deny[x]" and of
// "deny.a contains x".
func ruleName(rule *ast.Rule) string {
	head := rule.Head.Ref()
	if v, ok := head[0].Value.(ast.Var); ok {
		return string(v)
	}
	return ""
}

func packageName(m *ast.Module) string {
	return strings.TrimPrefix(m.Package.Path.String(), "data.")
}

func (p *program) unjudged(ctx context.Context, err error) error {
	var known *fault.Error
	if errors.As(err, &known) {
		return known
	}
	if ctx.Err() != nil || topdown.IsCancel(err) {
		return fault.Wrap(err, "The policies of "+p.set+"/"+p.gate+" were not done in time.",
			"What was judged in part is not allowed.",
			"Try again; if it happens again, look for a rule that loops over everything.")
	}
	where := ""
	var te *topdown.Error
	if errors.As(err, &te) && te.Location != nil {
		where = fmt.Sprintf(" at %s:%d", path.Join(p.set, te.Location.File), te.Location.Row)
	}
	return fault.Wrap(err, "A policy failed while it was evaluated"+where+".",
		"What was judged in part is not allowed.",
		"Correct the rule so that it handles this input; the server's log has the engine's message.")
}

// broken reports an answer that breaks the contract between policies and gate.
func (p *program) broken(what string) error {
	return fault.New("In the policies "+p.set+"/"+p.gate+" "+what+".",
		"An answer that cannot be read could hide a refusal, so nothing is allowed.",
		"Make deny, violation and warn sets of strings or of objects with msg.")
}

func uncompilable(set string, errs ast.Errors) error {
	file := ""
	if len(errs) > 0 && errs[0].Location != nil {
		file = errs[0].Location.File
	}
	return unusable(set, file, "does not compile", errs)
}

func keys[V any](m map[string]V) []string {
	names := make([]string, 0, len(m))
	for name := range m {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}
