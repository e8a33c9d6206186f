package gate_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"

	"github.com/tollgate/tollgate/internal/gate"
)

// echo finds the value of input.x as JSON, so it shows what rules see.
var echo = map[string]string{"plan/x.rego": "package x\n\ndeny contains json.marshal(input.x)\n"}

// document is a plan with one more member.
func document(x string) string {
	return `{"format_version": "1.2", "planned_values": {}, "resource_changes": [], "x": ` + x + `}`
}

func seen(t *testing.T, set *gate.Set, plan io.Reader) (string, error) {
	t.Helper()
	p, err := gate.ReadPlan(plan, set)
	if err != nil {
		return "", err
	}
	result, err := set.Judge(context.Background(), p)
	if err != nil || len(result.Findings) != 1 {
		t.Fatalf("Judge = %+v, %v; want one finding", result, err)
	}
	return result.Findings[0].Message, nil
}

// Rules see what encoding/json reads, wherever the stream is cut into pieces.
func TestReadingKeepsEveryValue(t *testing.T) {
	t.Parallel()
	set := mustLoad(t, echo)
	for _, x := range []string{
		`null`, `true`, `false`, `0`, `-1`, `12.50`, `1e3`, `123456789012345678901234567890`,
		`""`, `"a"`, `"\u00e4\n\"\\\/"`, `"ä € 𝄞"`, `"\ud834\udd1e"`, "\"\xff\"", `"` + strings.Repeat("long ", 30_000) + `"`,
		`[]`, `{}`, `[[], {}, [null], [1, [1, [1]]]]`,
		`{"a": {"b": [1, "1", true, null]}, "c": {"b": [1, "1", true, null]}, "d": [{"b": 1}, {"b": 1}, {"b": "1"}]}`,
		`{"a": 1, "b": 2, "c": {"a": 2, "b": 1}, "d": {"b": 1, "a": 2}, "e": {"a": 1, "b": 2}}`,
	} {
		var value any
		dec := json.NewDecoder(strings.NewReader(x))
		dec.UseNumber()
		if err := dec.Decode(&value); err != nil {
			t.Fatal(err)
		}
		for name, plan := range map[string]io.Reader{
			"at once":      strings.NewReader(document(x)),
			"byte by byte": iotest.OneByteReader(strings.NewReader(document(x))),
			"end at once":  iotest.DataErrReader(strings.NewReader(document(x))),
		} {
			got, err := seen(t, set, plan)
			if err != nil {
				t.Fatalf("%.40s, %s: %v", x, name, err)
			}
			var back any
			dec := json.NewDecoder(strings.NewReader(got))
			dec.UseNumber()
			if err := dec.Decode(&back); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(value, back); diff != "" {
				t.Errorf("%.40s, %s (-want +got):\n%s", x, name, diff)
			}
		}
	}
}

func TestWhatIsNoJSONIsNotJudged(t *testing.T) {
	t.Parallel()
	set := mustLoad(t, echo)
	for x, refusal := range map[string]string{
		`{"a": 1, "b": 2}`:             "",
		`{"a": 1, "a": 2}`:             "with certainty",
		`{"a": 1, "\u0061": 2}`:        "with certainty",
		`[{"b": {"a": 1, "a": 1}}]`:    "with certainty",
		`1, "x": 2`:                    "with certainty",
		`1, "resource_changes": []`:    "with certainty",
		`{"a": {"a": {"a": 1}}}`:       "",
		`nul`:                          "is not JSON",
		`True`:                         "is not JSON",
		`01`:                           "is not JSON",
		`1.`:                           "is not JSON",
		`+1`:                           "is not JSON",
		`'a'`:                          "is not JSON",
		`"\x"`:                         "is not JSON",
		"\"a\nb\"":                     "is not JSON",
		`[1, ]`:                        "is not JSON",
		`[1 2]`:                        "is not JSON",
		`{"a": 1, }`:                   "is not JSON",
		`{"a" 1}`:                      "is not JSON",
		`{a: 1}`:                       "is not JSON",
		`[1}`:                          "is not JSON",
		`1, "skipped": [1 2]`:          "is not JSON",
		`1, "skipped": {"a": "\x"}`:    "is not JSON",
		`1, "skipped": {"a"}`:          "is not JSON",
		`1, "skipped": {"a": [1, 2]}`:  "",
		`1, "skipped": {"a": "\u00e4"`: "is not JSON",
	} {
		t.Run(x, func(t *testing.T) {
			t.Parallel()
			_, err := seen(t, set, strings.NewReader(document(x)))
			if refusal == "" {
				if err != nil {
					t.Fatalf("ReadPlan: %v; want a plan", err)
				}
				return
			}
			wantFault(t, err, refusal)
		})
	}
}

// A plan that is nested without end must not exhaust the stack, whether rules look at it or not.
func TestDeepNestingIsRefused(t *testing.T) {
	t.Parallel()
	set := mustLoad(t, echo)
	for _, shape := range [][2]string{{`[`, `]`}, {`{"a":`, `}`}} {
		for _, member := range []string{"x", "skipped"} {
			nested := func(depth int) io.Reader {
				value := strings.Repeat(shape[0], depth) + "1" + strings.Repeat(shape[1], depth)
				if member == "skipped" {
					value = `1, "skipped": ` + value
				}
				return strings.NewReader(document(value))
			}
			if _, err := seen(t, set, nested(400)); err != nil {
				t.Errorf("%s of %s: %v; want a plan", shape, member, err)
			}
			_, err := seen(t, set, nested(600))
			wantFault(t, err, "with certainty")
			_, err = seen(t, set, strings.NewReader(document(strings.Repeat(shape[0], 5_000_000))))
			wantFault(t, err, "with certainty")
		}
	}
}

func TestStreamThatBreaksIsNotJudged(t *testing.T) {
	t.Parallel()
	set := mustLoad(t, echo)
	whole := document(`{"a": "b"}`)
	if _, err := seen(t, set, strings.NewReader(whole)); err != nil {
		t.Errorf("ReadPlan: %v; want a plan", err)
	}
	for cut := range len(whole) {
		if _, err := gate.ReadPlan(strings.NewReader(whole[:cut]), set); err == nil {
			t.Errorf("the first %d bytes were taken for a plan", cut)
		}
	}
	broken := errors.New("broken pipe")
	_, err := gate.ReadPlan(io.MultiReader(strings.NewReader(whole[:50]), iotest.ErrReader(broken)), set)
	if !errors.Is(err, broken) {
		t.Errorf("ReadPlan = %v, want %v", err, broken)
	}
	_, err = gate.ReadPlan(io.MultiReader(strings.NewReader(whole), iotest.ErrReader(broken)), set)
	if !errors.Is(err, broken) {
		t.Errorf("ReadPlan of all but the end = %v, want %v", err, broken)
	}
}

// What rules can reach is there, however they write it.
func TestRulesSeeWhatTheyNameOfThePlan(t *testing.T) {
	t.Parallel()
	for _, rule := range []string{
		`deny contains json.marshal(input.x)`,
		`deny contains json.marshal(input["x"])`,
		`deny contains json.marshal(input[k]) if k := "x"`,
		"deny contains json.marshal(v) if {\n\tsome k, v in input\n\tk == \"x\"\n}",
		`deny contains json.marshal(all.x) if all := input`,
		`deny contains json.marshal(f(input))` + "\n\nf(all) := all.x",
		`deny contains json.marshal(object.get(input, "x", 0))`,
		`deny contains json.marshal(v) if walk(input, [["x"], v])`,
		`deny contains json.marshal(y) if y := x with input as object.union(input, {})` + "\n\nx := input.x",
		`deny contains json.marshal(parts[input.format_version])` + "\n\nparts[input.format_version] := input.x",
		`deny contains json.marshal([x | x := input.x][0])`,
	} {
		set := mustLoad(t, map[string]string{"plan/x.rego": "package x\n\n" + rule + "\n"})
		got, err := seen(t, set, strings.NewReader(document(`{"a":1}`)))
		if err != nil || got != `{"a":1}` {
			t.Errorf("%s\nsees %s, %v", rule, got, err)
		}
	}
}

func TestPlanIsJudgedByTheSetsItWasReadFor(t *testing.T) {
	t.Parallel()
	x := mustLoad(t, echo)
	y := mustLoad(t, map[string]string{"plan/y.rego": "package y\n\ndeny contains \"found\" if input.y\n"})
	plan := document(`1, "y": true`)
	for _, sets := range [][]*gate.Set{{x, y}, {}} {
		p, err := gate.ReadPlan(strings.NewReader(plan), sets...)
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range []*gate.Set{x, y} {
			if result, err := s.Judge(context.Background(), p); err != nil || len(result.Findings) != 1 {
				t.Errorf("Judge = %+v, %v; want one finding", result, err)
			}
		}
	}
	p, err := gate.ReadPlan(strings.NewReader(plan), x)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := y.Judge(context.Background(), p); err == nil {
		t.Error("a set judged a plan of which what its rules look at was left out")
	}
}

// More calls than the engine is made to remember, in an order that asks for each again.
func TestForgottenCallsAreMadeAgain(t *testing.T) {
	t.Parallel()
	set := mustLoad(t, map[string]string{"plan/x.rego": `package x

double(n) := 2 * n

deny contains sprintf("%d %d %d", [first, again, apart]) if {
	first := sum([double(n) | some n in numbers.range(1, 50000)])
	again := sum([double(n) | some n in numbers.range(1, 50000)])
	apart := sum([double(n) | some n in numbers.range(1, 10)]) with input as {}
}
`})
	result, err := set.JudgePlan(context.Background(), []byte(document("1")))
	if err != nil || len(result.Findings) != 1 || result.Findings[0].Message != "2500050000 2500050000 110" {
		t.Errorf("JudgePlan = %+v, %v", result, err)
	}
}

// What holds under "with" must not be remembered beyond it, nor the other way round.
func TestWithIsRememberedApart(t *testing.T) {
	t.Parallel()
	set := mustLoad(t, map[string]string{"plan/x.rego": `package x

value := input.x

f(n) := n + input.x

deny contains sprintf("%v %v %v %v %v %v", [value, f(1), there[0], there[1], value, f(1)]) if {
	there := [value, f(1)] with input.x as 10
}
`})
	result, err := set.JudgePlan(context.Background(), []byte(document("1")))
	if err != nil || len(result.Findings) != 1 || result.Findings[0].Message != "1 2 10 11 1 2" {
		t.Errorf("JudgePlan = %+v, %v", result, err)
	}
}

// Where several packages are judged at once, the error that is told is the cause, not the stop of the others.
func TestFirstFailureIsTold(t *testing.T) {
	t.Parallel()
	content := map[string]string{}
	for i := range 8 {
		content[fmt.Sprintf("plan/p%d/p.rego", i)] = fmt.Sprintf("package p%d\n\ndeny contains \"found\" if to_number(input.x) > 3\n\ndeny contains \"slow\" if sum(numbers.range(1, 1000)) < 0\n", i)
	}
	content["plan/q/q.rego"] = "package q\n\ndeny contains \"found\" if sum([1 | some i in numbers.range(1, 300); some j in numbers.range(1, 100); i * j < 0]) > 0\n"
	set := mustLoad(t, content)
	if _, err := set.JudgePlan(context.Background(), []byte(document(`"2"`))); err != nil {
		t.Errorf("JudgePlan: %v; want a verdict", err)
	}
	_, err := set.JudgePlan(context.Background(), []byte(document(`"two"`)))
	wantFault(t, err, "A policy failed while it was evaluated at set/plan/p")
}

func FuzzReadPlan(f *testing.F) {
	for _, x := range []string{`1`, `"\u00e4"`, `[{"a": 1, "a": 2}]`, `[1, {"b": [true, null]}]`, `1e5`, `nul`} {
		f.Add([]byte(document(x)))
	}
	f.Fuzz(func(t *testing.T, plan []byte) {
		if _, err := gate.ReadPlan(bytes.NewReader(plan)); err == nil && !json.Valid(plan) {
			t.Errorf("%q was taken for a plan", plan)
		}
	})
}
