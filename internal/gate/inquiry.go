package gate

import (
	"context"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/rego"
	"github.com/open-policy-agent/opa/v1/storage"
	"github.com/open-policy-agent/opa/v1/topdown"
)

// inquiry is one query for all that is asked of a package.
type inquiry struct {
	asked []question
	query rego.PreparedEvalQuery
}

// answer is what one question was answered with.
type answer struct {
	question
	members []*ast.Term
}

// prepare makes an inquiry for each package, so that they can be made at once.
func prepare(compiler *ast.Compiler, store storage.Store, asked []question) ([]inquiry, error) {
	var all []inquiry
	for _, q := range asked {
		at := slices.IndexFunc(all, func(in inquiry) bool { return in.asked[0].policy == q.policy })
		if at < 0 {
			at = len(all)
			all = append(all, inquiry{})
		}
		all[at].asked = append(all[at].asked, q)
	}
	for i := range all {
		query, err := rego.New(
			rego.Compiler(compiler),
			rego.Capabilities(capabilities()),
			rego.Query(queryText(all[i].asked)),
			rego.Store(store),
			rego.StrictBuiltinErrors(true),
		).PrepareForEval(context.Background())
		if err != nil {
			return nil, err
		}
		all[i].query = query
	}
	return all, nil
}

// queryText asks for everything in one query. The comprehensions keep a rule that is undefined from
// making the whole answer undefined.
func queryText(asked []question) string {
	var b strings.Builder
	b.WriteString("answers = [")
	for i, q := range asked {
		if i > 0 {
			b.WriteString(", ")
		}
		fmt.Fprintf(&b, "[x | x := %s]", q.ref)
	}
	b.WriteString("]")
	return b.String()
}

// eval asks all questions about input, several packages at once. An error means that nothing was
// judged.
func (p *program) eval(ctx context.Context, input ast.Value) ([]answer, error) {
	working, stop := context.WithCancel(ctx)
	defer stop()
	answers, errs := make([][]answer, len(p.inquiries)), make([]error, len(p.inquiries))
	options := []rego.EvalOption{rego.EvalParsedInput(input), rego.EvalGenerateJSON(asTerm), rego.EvalTime(time.Now())}
	var next atomic.Int64
	var workers sync.WaitGroup
	for range min(runtime.GOMAXPROCS(0), len(p.inquiries)) {
		workers.Go(func() {
			// What helpers gave for one package holds for the next: input, data and time are the same.
			mine := append(slices.Clone(options), rego.EvalVirtualCache(newCache()))
			for i := next.Add(1) - 1; i < int64(len(p.inquiries)); i = next.Add(1) - 1 {
				if answers[i], errs[i] = p.ask(working, p.inquiries[i], mine); errs[i] != nil {
					stop()
					return
				}
			}
		})
	}
	workers.Wait()
	// Where one failed, the others were stopped: its error is the one to tell.
	slices.SortStableFunc(errs, func(a, b error) int { return rank(topdown.IsCancel(a)) - rank(topdown.IsCancel(b)) })
	for _, err := range errs {
		if err != nil {
			return nil, p.unjudged(ctx, err)
		}
	}
	if err := ctx.Err(); err != nil { // which the engine may not have noticed before its end
		return nil, p.unjudged(ctx, err)
	}
	return slices.Concat(answers...), nil
}

// ask makes one inquiry.
func (p *program) ask(ctx context.Context, in inquiry, options []rego.EvalOption) ([]answer, error) {
	results, err := in.query.Eval(ctx, options...)
	if err != nil {
		return nil, err
	}
	if len(results) != 1 {
		return nil, p.broken("gave no answer")
	}
	bound, _ := results[0].Bindings["answers"].(*ast.Term)
	values := slices.Collect(elements(bound))
	if len(values) != len(in.asked) {
		return nil, p.broken("gave no answer")
	}
	answers := make([]answer, 0, len(values))
	for i, q := range in.asked {
		members, err := p.members(q, values[i])
		if err != nil {
			return nil, err
		}
		answers = append(answers, answer{q, members})
	}
	return answers, nil
}

// asTerm keeps the engine from turning every answer into JSON: there is one for every resource and rule.
func asTerm(t *ast.Term, _ *rego.EvalContext) (any, error) { return t, nil }

func (p *program) members(q question, value *ast.Term) ([]*ast.Term, error) {
	for only := range elements(value) {
		switch v := only.Value.(type) {
		case ast.Set:
			return v.Slice(), nil
		case *ast.Array:
			return slices.Collect(elements(only)), nil
		}
		return nil, p.broken(q.ref + " is no set")
	}
	return nil, nil // undefined: a rule without "contains" whose body does not hold
}
