package judge

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime/debug"
	"slices"

	"github.com/tollgate/tollgate/internal/gate"
)

// Main is the process: "bot judge", as started by a Judge. It limits itself for good before it reads
// the first byte of what it is given, and returns the process's exit status.
func Main() int {
	if err := serve(os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "judge:", err)
		return 1
	}
	return 0
}

func serve(in io.Reader, out io.Writer) error {
	p, err := readPreamble(in)
	if err != nil {
		return err
	}
	if err := limit(p); err != nil {
		return fmt.Errorf("set limits: %w", err)
	}
	w := worker{in: in, out: json.NewEncoder(out)}
	if w.req, err = readRequest(in, p.Request); err != nil {
		return err
	}
	last := message{}
	if last.Answer, err = w.work(context.Background()); err != nil {
		last.Failure = newFailure(err)
	}
	return errors.Join(w.out.Encode(last), w.out.Encode(message{End: true}))
}

// worker answers one request.
type worker struct {
	req request
	in  io.Reader
	out *json.Encoder
}

func (w *worker) work(ctx context.Context) (*answer, error) {
	switch w.req.Op {
	case opCheck:
		a, _, err := w.compile(gate.ForSources, gate.ForPlans, gate.ForApplies)
		return a, err
	case opSource:
		return w.sources(ctx)
	case opPlan:
		return w.plan(ctx)
	case opApply:
		return w.apply(ctx)
	case opTest:
		return w.test(ctx)
	}
	return nil, fmt.Errorf("unknown operation %q", w.req.Op)
}

func (w *worker) say(doing, set string) error {
	if err := w.out.Encode(message{Step: &step{Doing: doing, Set: set}}); err != nil {
		return fmt.Errorf("say what comes next: %w", err)
	}
	return nil
}

// compile compiles all sets. One for which there is nothing to do at these gates is in its place.
func (w *worker) compile(gates ...string) (*answer, []*gate.Set, error) {
	a := &answer{Sets: make([]setAnswer, len(w.req.Sets))}
	sets := make([]*gate.Set, len(w.req.Sets))
	for i, src := range w.req.Sets {
		if err := w.say(doingCompile, src.Name); err != nil {
			return nil, nil, err
		}
		set, err := gate.Compile(src, gates...)
		if err != nil {
			return nil, nil, err
		}
		sets[i] = set
		a.Sets[i] = setAnswer{Digest: set.Digest(), Sources: set.JudgesSources(), Plans: set.JudgesPlans(), Applies: set.JudgesApplies()}
	}
	debug.SetGCPercent(whileJudging)
	return a, sets, nil
}

func (w *worker) sources(ctx context.Context) (*answer, error) {
	a, sets, err := w.compile(gate.ForSources)
	if err != nil {
		return nil, err
	}
	if err := w.say(doingRead, ""); err != nil {
		return nil, err
	}
	in := &document{r: w.in} // to count
	content, err := io.ReadAll(in)
	if err != nil {
		return nil, fmt.Errorf("read the code: %w", err)
	}
	a.PlanBytes = in.n
	var documents []json.RawMessage
	if err := json.Unmarshal(content, &documents); err != nil {
		return nil, fmt.Errorf("decode the code: %w", err)
	}
	results := make([][]gate.Result, len(documents))
	for i, set := range sets {
		if !set.JudgesSources() {
			continue
		}
		if err := w.say(doingJudge, set.Name()); err != nil {
			return nil, err
		}
		for k, doc := range documents {
			r, err := set.JudgeSource(ctx, doc)
			if err != nil {
				return nil, err
			}
			results[k] = append(results[k], r)
		}
		a.Sets[i].Judged = true
	}
	for _, r := range results {
		a.Sources = append(a.Sources, *together(r))
	}
	return a, nil
}

func (w *worker) plan(ctx context.Context) (*answer, error) {
	a, sets, err := w.compile(gate.ForPlans)
	if err != nil {
		return nil, err
	}
	if err := w.say(doingRead, ""); err != nil {
		return nil, err
	}
	in := &document{r: w.in} // to count
	plan, err := gate.ReadPlan(in, sets...)
	if err != nil {
		return nil, err
	}
	a.PlanBytes = in.n
	var results []gate.Result
	for i, set := range sets {
		if !set.JudgesPlans() {
			continue
		}
		if err := w.say(doingJudge, set.Name()); err != nil {
			return nil, err
		}
		r, err := set.Judge(ctx, plan)
		if err != nil {
			return nil, err
		}
		a.Sets[i].Judged, a.Sets[i].Resources = true, r.ResourcesJudged
		results = append(results, r)
	}
	a.Result = together(results)
	return a, w.sayFindings(a)
}

// atOnce is how many findings a message holds. A large plan has so many that one message would be the
// largest thing in this process.
const atOnce = 500

// sayFindings takes the findings out of the result.
func (w *worker) sayFindings(a *answer) error {
	for part := range slices.Chunk(a.Result.Findings, atOnce) {
		if err := w.out.Encode(message{Findings: part}); err != nil {
			return fmt.Errorf("say what was found: %w", err)
		}
	}
	a.Findings, a.Result.Findings = len(a.Result.Findings), nil
	return nil
}

func (w *worker) apply(ctx context.Context) (*answer, error) {
	var in gate.ApplyInput
	if err := json.Unmarshal(w.req.Input, &in); err != nil {
		return nil, fmt.Errorf("decode the facts: %w", err)
	}
	a, sets, err := w.compile(gate.ForApplies)
	if err != nil {
		return nil, err
	}
	var decisions []gate.Decision
	for i, set := range sets {
		if !set.JudgesApplies() {
			continue
		}
		if err := w.say(doingJudge, set.Name()); err != nil {
			return nil, err
		}
		d, err := set.JudgeApply(ctx, in)
		if err != nil {
			return nil, err
		}
		a.Sets[i].Judged = true
		decisions = append(decisions, d)
	}
	a.Decision = strictest(decisions)
	return a, nil
}

func (w *worker) test(ctx context.Context) (*answer, error) {
	if len(w.req.Sets) != 1 {
		return nil, fmt.Errorf("asked to test %d sets", len(w.req.Sets))
	}
	src := w.req.Sets[0]
	if err := w.say(doingTest, src.Name); err != nil {
		return nil, err
	}
	debug.SetGCPercent(whileJudging)
	result, err := gate.Test(ctx, src)
	if err != nil {
		return nil, err
	}
	return &answer{Sets: []setAnswer{{Digest: src.Digest}}, Test: &result}, nil
}
