package judge_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/tollgate/tollgate/internal/gate"
)

// Every bomb is finite and has a twin that differs in one number: with its limit switched off it
// would end with the twin's verdict, so that the test can tell a limit from a rule that just fails.

// forever is a condition that no test can wait for, and that needs no memory to speak of.
const forever = "count([1 | some i in numbers.range(1, 9000); some j in numbers.range(1, 9000); some k in numbers.range(1, 9000); i * j * k < 0]) == 0"

// Covers: T63
func TestTimeLimit(t *testing.T) {
	t.Parallel()
	cfg := limits("judge")
	cfg.Time = 2 * time.Second
	j := newJudge(t, cfg)
	conditions := map[string]string{
		"loop":  "count([1 | some i in numbers.range(1, %[1]d); some j in numbers.range(1, %[1]d); i * j < 0]) == 0",
		"regex": "every i in numbers.range(1, %[1]d) { not regex.match(`(a*)*(a*)*(a*)*b`, sprintf(\"%%d%%s\", [i, concat(\"\", [\"aaaaaaaaaaaaaaaaaaaa\" | some _ in numbers.range(1, %[1]d)])])) }",
		"glob":  "every i in numbers.range(1, %[1]d) { not glob.match(\"*a*a*a*a*a*b\", [], sprintf(\"%%d%%s\", [i, concat(\"\", [\"aaaaaaaaaaaaaaaaaaaa\" | some _ in numbers.range(1, %[1]d)])])) }",
	}
	for name, condition := range conditions {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r, err := j.Plan(t.Context(), sets(rule(t, "set", fmt.Sprintf(condition, 20))), strings.NewReader(plan))
			wantNo(t, r, err)
			_, err = j.Plan(t.Context(), sets(rule(t, "set", fmt.Sprintf(condition, 2500))), strings.NewReader(plan))
			wantFault(t, err, "Judging by the policies of set took longer than 2s", "not allowed", "in set", "--policy-timeout")
		})
	}
}

// The other process holds standard error, so that the end of the first alone would not do.
//
// Covers: T63
func TestTimeLimitEndsTheWholeGroup(t *testing.T) {
	t.Parallel()
	cfg := limits("with-child")
	cfg.Time = 2 * time.Second
	j := newJudge(t, cfg)
	done := make(chan error, 1)
	go func() {
		_, err := j.Plan(t.Context(), sets(rule(t, "set", forever)), strings.NewReader(plan))
		done <- err
	}()
	select {
	case err := <-done:
		wantFault(t, err, "took longer than 2s")
	case <-time.After(time.Minute):
		t.Error("a process lives on after the time limit")
	}
}

// Covers: T63
func TestMemoryLimit(t *testing.T) {
	t.Parallel()
	cfg := limits("judge")
	cfg.Memory = 200 << 20
	j := newJudge(t, cfg)
	var doubling strings.Builder
	doubling.WriteString("n := %d\ns0 := \"0123456789abcdef\"\n")
	for i := range 24 {
		fmt.Fprintf(&doubling, "s%d := concat(\"\", [x | some i in [1, 2]; i <= n; x := s%d])\n", i+1, i)
	}
	doubling.WriteString("count(s24) > 0")
	bombs := map[string]struct {
		condition   string
		small, huge int
	}{
		"range":         {"count(numbers.range(1, %d)) > 0", 10, 4_000_000},
		"comprehension": {"count([[i, j] | some i in numbers.range(1, %[1]d); some j in numbers.range(1, %[1]d)]) > 0", 10, 1500},
		"strings":       {doubling.String(), 1, 2},
	}
	for name, bomb := range bombs {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r, err := j.Plan(t.Context(), sets(rule(t, "set", fmt.Sprintf(bomb.condition, bomb.small))), strings.NewReader(plan))
			wantNo(t, r, err)
			_, err = j.Plan(t.Context(), sets(rule(t, "set", fmt.Sprintf(bomb.condition, bomb.huge))), strings.NewReader(plan))
			wantFault(t, err, "Judging by the policies of set needed more than 200 MiB of memory", "not allowed", "in set", "--policy-memory")
		})
	}
}

func TestLimitsHoldForEveryOperation(t *testing.T) {
	t.Parallel()
	cfg := limits("judge")
	cfg.Time = 2 * time.Second
	j := newJudge(t, cfg)
	loop := "count([1 | some i in numbers.range(1, %[1]d); some j in numbers.range(1, %[1]d); i * j < 0]) == 0"
	apply := func(n int) error {
		src := set(t, "set", "apply/x.rego", "package x\n\ndeny contains \"no\" if "+fmt.Sprintf(loop, n)+"\n")
		_, err := j.Apply(t.Context(), sets(src), gate.ApplyInput{})
		return err
	}
	test := func(n int) error {
		_, err := j.Test(t.Context(), rule(t, "set", "true", "plan/x_test.rego", "package x_test\n\ntest_x if "+fmt.Sprintf(loop, n)+"\n"))
		return err
	}
	for name, try := range map[string]struct {
		ask  func(n int) error
		want string
	}{
		"apply": {apply, "Judging by the policies of set took longer than 2s"},
		"test":  {test, "Testing the policies of set took longer than 2s"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if err := try.ask(20); err != nil {
				t.Errorf("error is %v; want an answer", err)
			}
			wantFault(t, try.ask(2500), try.want)
		})
	}
}

func TestNesting(t *testing.T) {
	t.Parallel()
	j := newJudge(t, limits("judge"))
	nested := func(n int) string { return strings.Repeat("[", n) + strings.Repeat("]", n) }
	tests := map[string]struct {
		judge func(n int) error
		want  string
	}{
		"policy": {func(n int) error {
			_, err := j.Plan(t.Context(), sets(rule(t, "set", "x := "+nested(n))), strings.NewReader(plan))
			return err
		}, "Compiling the policies of set failed, because something is nested too deeply"},
		"plan": {func(n int) error {
			deep := strings.Replace(plan, `"planned_values": {}`, `"planned_values": `+nested(n), 1)
			_, err := j.Plan(t.Context(), sets(rule(t, "set", "true")), strings.NewReader(deep))
			return err
		}, "The plan cannot be judged"},
		"JSON data": {func(n int) error {
			_, err := j.Plan(t.Context(), sets(rule(t, "set", "data.deep", "data.json", `{"deep": `+nested(n)+`}`)), strings.NewReader(plan))
			return err
		}, "set/data.json of the policies is no valid JSON or YAML"},
		"YAML data": {func(n int) error {
			_, err := j.Plan(t.Context(), sets(rule(t, "set", "data.deep", "data.yaml", "deep: "+nested(n)+"\n")), strings.NewReader(plan))
			return err
		}, "set/data.yaml of the policies is no valid JSON or YAML"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if err := test.judge(100); err != nil {
				t.Errorf("error is %v; want a verdict", err)
			}
			wantFault(t, test.judge(200_000), test.want)
		})
	}
}

func TestYAMLAliases(t *testing.T) {
	t.Parallel()
	j := newJudge(t, limits("judge"))
	aliases := func(n int) string {
		var b strings.Builder
		b.WriteString("sound: true\na0: &a0 [1, 1, 1, 1, 1, 1, 1, 1, 1]\n")
		for i := range n {
			fmt.Fprintf(&b, "a%[2]d: &a%[2]d [*a%[1]d, *a%[1]d, *a%[1]d, *a%[1]d, *a%[1]d, *a%[1]d, *a%[1]d, *a%[1]d, *a%[1]d]\n", i, i+1)
		}
		return b.String()
	}
	judge := func(n int) (gate.Result, error) {
		return j.Plan(t.Context(), sets(rule(t, "set", "data.sound", "data.yaml", aliases(n))), strings.NewReader(plan))
	}
	r, err := judge(2)
	wantNo(t, r, err)
	_, err = judge(9)
	wantFault(t, err, "set/data.yaml of the policies is no valid JSON or YAML")
}

func TestPolicyThatCannotBeUsed(t *testing.T) {
	t.Parallel()
	j := newJudge(t, limits("judge"))
	tests := map[string]struct{ policy, want string }{
		"sound":              {"package x\n\ndeny contains \"no\"\n", ""},
		"forbidden":          {"package x\n\ndeny contains \"no\" if http.send({\"method\": \"get\", \"url\": \"http://127.0.0.1\"}).status_code == 200\n", "set/plan/x.rego of the policies does not compile"},
		"no rule":            {"package x\n\ndenny contains \"no\"\n", "define no deny, violation or warn rule"},
		"unheard-of rule":    {"package x\n\ndeny contains \"no\" if data.nowhere.x\n", "refers to data.nowhere.x"},
		"a finding unfit":    {"package x\n\ndeny contains 1\n", "has a member whose msg is no string"},
		"built-in that errs": {"package x\n\ndeny contains \"no\" if to_number(input.resource_changes[0].address) > 1\n", "A policy failed while it was evaluated"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r, err := j.Plan(t.Context(), sets(set(t, "set", "plan/x.rego", test.policy)), strings.NewReader(plan))
			if test.want == "" {
				wantNo(t, r, err)
				return
			}
			wantFault(t, err, test.want)
		})
	}
	_, err := j.Plan(t.Context(), sets(set(t, "set", "lib/x.rego", "package lib.x\n\ny := 1\n")), strings.NewReader(plan))
	wantFault(t, err, "The policy set set holds no policy")
}
