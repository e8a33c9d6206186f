package judge_test

import (
	"context"
	"errors"
	"io"
	"os"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tollgate/tollgate/internal/change"
	"github.com/tollgate/tollgate/internal/fault"
	"github.com/tollgate/tollgate/internal/gate"
	"github.com/tollgate/tollgate/internal/judge"
)

// TestMain lets the test binary play "bot judge", well and badly.
func TestMain(m *testing.M) {
	switch {
	case len(os.Args) == 2 && os.Args[1] == "judge":
		os.Exit(judge.Main())
	case len(os.Args) == 3 && os.Args[1] == "badly":
		os.Exit(badly(os.Args[2]))
	case len(os.Args) == 2 && os.Args[1] == "inspected":
		os.Exit(inspected())
	case len(os.Args) == 3 && os.Args[1] == "server":
		os.Exit(server(os.Args[2]))
	case len(os.Args) == 2 && os.Args[1] == "with-child":
		os.Exit(withChild())
	case len(os.Args) == 2 && os.Args[1] == "idle":
		os.Exit(idle())
	}
	os.Exit(m.Run())
}

// limits are small, but everything sound in these tests fits in many times over.
func limits(args ...string) judge.Config {
	return judge.Config{Command: append([]string{os.Args[0]}, args...), Time: time.Minute, Memory: 400 << 20}
}

func newJudge(t *testing.T, cfg judge.Config) *judge.Judge {
	t.Helper()
	j, err := judge.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return j
}

// set makes a policy set from pairs of a file's name and text.
func set(t *testing.T, name string, files ...string) *gate.Source {
	t.Helper()
	fsys := fstest.MapFS{}
	for i := 0; i < len(files); i += 2 {
		fsys[files[i]] = &fstest.MapFile{Data: []byte(files[i+1])}
	}
	src, err := gate.ReadWithTests(name, fsys)
	if err != nil {
		t.Fatal(err)
	}
	return src
}

// rule is a set with one rule for plans, which says no if the condition holds.
func rule(t *testing.T, name, condition string, more ...string) *gate.Source {
	t.Helper()
	return set(t, name, append([]string{"plan/x.rego", "package x\n\ndeny contains \"no\" if {\n" + condition + "\n}\n"}, more...)...)
}

func sets(sources ...*gate.Source) []*gate.Source { return sources }

const plan = `{"format_version": "1.2", "planned_values": {}, "resource_changes": [
	{"address": "aws_x.a", "mode": "managed", "change": {"actions": ["create"]}}]}`

// wantFault fails unless err can be shown and its public text holds all of want.
func wantFault(t *testing.T, err error, want ...string) {
	t.Helper()
	var f *fault.Error
	if !errors.As(err, &f) {
		t.Fatalf("error is %v; want a fault that says %q", err, want)
	}
	for _, text := range want {
		if !strings.Contains(f.Text(), text) {
			t.Errorf("error says %q; want it to say %q", f.Text(), text)
		}
	}
}

// wantNo fails unless the rule of the fixture was evaluated and said no.
func wantNo(t *testing.T, r gate.Result, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	if len(r.Findings) != 1 || r.Findings[0].Message != "no" || r.ResourcesJudged != 1 {
		t.Errorf("result is %+v; want one finding about one resource", r)
	}
}

func TestPlanIsJudgedAsInThisProcess(t *testing.T) {
	t.Parallel()
	src := set(t, "set", "plan/x.rego", `package x

# METADATA
# title: A title
# custom:
#   id: rule
#   remediation: Mend it.
#   waivable: false
deny contains {"rule": "rule", "msg": "bad <&> ü", "address": r.address, "attribute": "a[0].b"} if some r in input.resource_changes

deny contains {"msg": "unknown", "verdict": "undetermined"}

judged contains {"rule": "other", "address": "aws_x.a"}
`)
	compiled, err := gate.Compile(src, gate.ForPlans)
	if err != nil {
		t.Fatal(err)
	}
	want, err := compiled.JudgePlan(t.Context(), []byte(plan))
	if err != nil {
		t.Fatal(err)
	}
	got, err := newJudge(t, limits("judge")).Plan(t.Context(), sets(src), strings.NewReader(plan))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" || len(got.Findings) != 3 {
		t.Errorf("result (-in this process +in its own):\n%s", diff)
	}
}

func TestSetsAddUp(t *testing.T) {
	t.Parallel()
	j := newJudge(t, limits("judge"))
	ours := set(t, "ours", "plan/x.rego", `package x

# METADATA
# custom:
#   id: deny
#   waivable: false
deny contains "shared"

deny contains "ours"
`)
	theirs := set(t, "theirs", "plan/x.rego", `package x

deny contains "shared"

# METADATA
# custom:
#   id: warn
#   waivable: false
warn contains "theirs"
`)
	applies := set(t, "applies", "apply/x.rego", "package x\n\ndeny contains \"no\"\n")
	r, err := j.Plan(t.Context(), sets(ours, theirs, applies), strings.NewReader(plan))
	if err != nil {
		t.Fatal(err)
	}
	var messages []string
	for _, f := range r.Findings {
		messages = append(messages, f.Message)
	}
	if diff := cmp.Diff([]string{"ours", "shared", "theirs"}, messages); diff != "" || r.ResourcesJudged != 1 {
		t.Errorf("%d resources judged, findings (-want +got):\n%s", r.ResourcesJudged, diff)
	}
	if diff := cmp.Diff([]string{"x/deny", "x/warn"}, r.Unwaivable); diff != "" {
		t.Errorf("rules that cannot be waived (-want +got):\n%s", diff)
	}

	_, err = j.Plan(t.Context(), sets(applies), strings.NewReader(plan))
	wantFault(t, err, "None of the policies has a rule for this")
	_, err = j.Plan(t.Context(), nil, strings.NewReader(plan))
	wantFault(t, err, "There are no policies to judge by")
}

func TestStrictestDecisionCounts(t *testing.T) {
	t.Parallel()
	j := newJudge(t, limits("judge"))
	in := gate.ApplyInput{Trigger: "merge", Actor: change.User{ID: 1, Login: "ann"}, Now: time.Date(2026, 1, 2, 3, 4, 5, 6, time.UTC)}
	yes := set(t, "yes", "apply/x.rego", `package x
deny contains "no" if input.trigger != "merge"
deny contains "late" if time.parse_rfc3339_ns(input.now) != 1767323045000000006
requirements contains {"text": "a", "met": true}
warn contains "careful"
`)
	no := set(t, "no", "apply/x.rego", `package x
deny contains sprintf("not %s", [input.actor.login])
requirements contains {"text": "b", "met": false}
requirements contains {"text": "a", "met": true}
warn contains "careful"
`)
	plans := rule(t, "plans", "true")
	tests := map[string]struct {
		sets []*gate.Source
		want gate.Decision
	}{
		"one that allows":         {sets(yes, plans), gate.Decision{Allowed: true, Requirements: []gate.Requirement{{Text: "a", Met: true}}, Warnings: []string{"careful"}}},
		"one that refuses, first": {sets(no, yes), gate.Decision{Denials: []gate.Denial{{Rule: "deny", Message: "not ann"}}, Requirements: []gate.Requirement{{Text: "b"}, {Text: "a", Met: true}}, Warnings: []string{"careful"}}},
		"one that refuses":        {sets(yes, no), gate.Decision{Denials: []gate.Denial{{Rule: "deny", Message: "not ann"}}, Requirements: []gate.Requirement{{Text: "b"}, {Text: "a", Met: true}}, Warnings: []string{"careful"}}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := j.Apply(t.Context(), test.sets, in)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("decision (-want +got):\n%s", diff)
			}
		})
	}
	_, err := j.Apply(t.Context(), sets(plans), in)
	wantFault(t, err, "None of the policies has a rule for this")
}

func TestCheck(t *testing.T) {
	t.Parallel()
	j := newJudge(t, limits("judge"))
	applies := set(t, "applies", "apply/x.rego", "package x\n\ndeny contains \"no\"\n")
	got, err := j.Check(t.Context(), sets(rule(t, "plans", "true"), applies))
	if diff := cmp.Diff([]judge.Judges{{Plans: true}, {Applies: true}}, got); err != nil || diff != "" {
		t.Errorf("Check: %v; judges (-want +got):\n%s", err, diff)
	}
	_, err = j.Check(t.Context(), sets(applies, set(t, "broken", "apply/x.rego", "package x\n\ndeny contains {\n")))
	wantFault(t, err, "broken/apply/x.rego of the policies does not parse")
}

func TestTests(t *testing.T) {
	t.Parallel()
	j := newJudge(t, limits("judge"))
	policy := "package x\n\ndeny contains \"no\" if {\n\tinput.bad\n}\n\ndeny contains \"worse\" if {\n\tinput.worse\n}\n"
	test := "package x_test\n\nimport data.x\n\ntest_good if {\n\tcount(x.deny) == 1 with input as data.testdata.bad\n}\n"
	got, err := j.Test(t.Context(), set(t, "set", "plan/x.rego", policy, "plan/x_test.rego", test, "testdata/bad/data.json", `{"bad": true}`))
	want := gate.TestResult{Passed: 1, Coverage: 50, Files: []gate.Coverage{{File: "plan/x.rego", Covered: 2, Uncovered: 2}}}
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		t.Errorf("Test: %v; result (-want +got):\n%s", err, diff)
	}
	_, err = j.Test(t.Context(), set(t, "set", "plan/x.rego", policy, "plan/x_test.rego", "package x_test\n\ntest_x if http.send({}).status\n"))
	wantFault(t, err, "set/plan/x_test.rego of the policies does not compile")
}

func TestPreparedJudgeWaitsForThePlan(t *testing.T) {
	t.Parallel()
	j := newJudge(t, limits("judge"))
	p, err := j.Prepare(t.Context(), sets(rule(t, "set", "true")))
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	r, err := p.Plan(t.Context(), strings.NewReader(plan))
	wantNo(t, r, err)
	if _, err := p.Plan(t.Context(), strings.NewReader(plan)); err == nil {
		t.Error("a prepared judge judged a second plan")
	}

	unused, err := j.Prepare(t.Context(), sets(rule(t, "set", "true")))
	if err != nil {
		t.Fatal(err)
	}
	unused.Close()
	unused.Close()
	if _, err := unused.Plan(t.Context(), strings.NewReader(plan)); err == nil {
		t.Error("a closed judge judged")
	}
}

func TestPlanThatCannotBeRead(t *testing.T) {
	t.Parallel()
	j := newJudge(t, limits("judge"))
	read := func(r io.Reader) error {
		_, err := j.Plan(t.Context(), sets(rule(t, "set", "true")), r)
		return err
	}
	if err := read(strings.NewReader(plan)); err != nil {
		t.Errorf("Plan: %v; want a verdict", err)
	}
	broken := errors.New("broken disk")
	// All of the plan has come, so that only the error tells it from a whole one.
	err := read(io.MultiReader(strings.NewReader(plan), failing{broken}))
	if wantFault(t, err, "The plan could not be read"); !errors.Is(err, broken) {
		t.Errorf("error is %v; want the reader's inside", err)
	}
	wantFault(t, read(strings.NewReader(plan[:100])), "The plan cannot be judged")
}

type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }

func TestContextEndsTheProcess(t *testing.T) {
	t.Parallel()
	j := newJudge(t, limits("judge"))
	src := sets(rule(t, "set", "true"))
	ctx, cancel := context.WithCancel(t.Context())
	// A plan that never comes: the process is there and waits when the context ends.
	_, err := j.Plan(ctx, src, readerFunc(func([]byte) (int, error) {
		cancel()
		select {}
	}))
	if wantFault(t, err, "was stopped before it was done"); !errors.Is(err, context.Canceled) {
		t.Errorf("error is %v; want context.Canceled inside", err)
	}

	ctx, cancel = context.WithCancel(t.Context())
	p, err := j.Prepare(ctx, src)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	cancel()
	_, err = p.Plan(t.Context(), strings.NewReader(plan))
	wantFault(t, err, "was stopped before it was done")

	if p, err = j.Prepare(t.Context(), src); err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	_, err = p.Plan(ctx, strings.NewReader(plan))
	wantFault(t, err, "was stopped before it was done")
}

func TestWaitingForThePlanIsNotLimited(t *testing.T) {
	t.Parallel()
	cfg := limits("judge")
	cfg.Time = 2 * time.Second
	j := newJudge(t, cfg)
	prepare := func(condition string) judge.Pending {
		p, err := j.Prepare(t.Context(), sets(rule(t, "set", condition)))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(p.Close)
		return p
	}
	sound, endless := prepare("true"), prepare(forever)
	<-time.After(cfg.Time + time.Second/2)
	r, err := sound.Plan(t.Context(), strings.NewReader(plan))
	wantNo(t, r, err)
	_, err = endless.Plan(t.Context(), strings.NewReader(plan))
	wantFault(t, err, "Judging by the policies of set took longer than 2s")
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

func TestCommandThatCannotBeStarted(t *testing.T) {
	t.Parallel()
	j := newJudge(t, judge.Config{Command: []string{"/nowhere/bot", "judge"}})
	_, err := j.Plan(t.Context(), sets(rule(t, "set", "true")), strings.NewReader(plan))
	wantFault(t, err, "could not be started")
	if _, err := judge.New(judge.Config{}); err == nil {
		t.Error("New accepts no command")
	}
}
