package judge_test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"github.com/tollgate/tollgate/internal/fault"
	"github.com/tollgate/tollgate/internal/gate"
)

const canary = "canary-4711"

// badly lets the real process work, and does something to what it answers.
func badly(how string) int {
	real := exec.Command(os.Args[0], "judge")
	var out bytes.Buffer
	real.Stdin, real.Stdout, real.Stderr = os.Stdin, &out, os.Stderr
	if err := real.Run(); err != nil {
		return 9
	}
	said := out.String()
	end := "{\"end\":true}\n"
	status := 0
	switch how {
	case "well":
	case "nothing":
		said = ""
	case "garbage":
		said = "<html>" + said
	case "half":
		said = said[:len(said)-len(end)-20]
	case "no end":
		said = strings.TrimSuffix(said, end)
	case "half an end":
		said = said[:len(said)-3]
	case "more after the end":
		said += end
	case "only an end":
		said = end
	case "two answers":
		said = strings.TrimSuffix(said, end) + said
	case "another set":
		said = strings.Replace(said, "sha256:", "sha256:0", 1)
	case "one set less":
		from := strings.Index(said, `"sets":[`) + len(`"sets":[`)
		said = said[:from] + said[from+strings.Index(said[from:], "},")+2:]
	case "one set has not judged":
		said = strings.Replace(said, `"judged":true`, `"judged":false`, 1)
	case "fewer resources":
		said = strings.Replace(said, `"resources":1`, `"resources":0`, 1)
	case "a shorter plan":
		said = strings.Replace(said, `"plan_bytes":`, `"plan_bytes":1`, 1)
	case "no result":
		said = strings.Replace(said, `"result":`, `"decision":`, 1)
	case "answer and bad end":
		status = 3
	case "killed":
		_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
	case "crash":
		said = ""
		fmt.Fprintln(os.Stderr, "panic: "+canary+"\n\ngoroutine 1 [running]:\nmain.f({0x1, \""+canary+"\"})\n\t/src/rule.go:12 +0x1d")
		status = 2
	}
	fmt.Print(said)
	return status
}

func TestProcessThatMisbehaves(t *testing.T) {
	t.Parallel()
	half := "in part only"
	broken := "gave an answer that cannot be read"
	died := "ended without a complete answer while it was at the policies of second"
	cases := map[string]string{
		"well":                   "",
		"nothing":                "ended without a complete answer",
		"garbage":                broken,
		"half":                   broken,
		"no end":                 died,
		"half an end":            broken,
		"more after the end":     broken,
		"only an end":            broken,
		"two answers":            broken,
		"another set":            half,
		"one set less":           half,
		"one set has not judged": half,
		"fewer resources":        half,
		"a shorter plan":         half,
		"no result":              broken,
		"answer and bad end":     died,
		"killed":                 "was killed",
		"crash":                  "ended without a complete answer",
	}
	for how, want := range cases {
		t.Run(how, func(t *testing.T) {
			t.Parallel()
			j := newJudge(t, limits("badly", how))
			r, err := j.Plan(t.Context(), sets(rule(t, "first", "true"), rule(t, "second", "true", "data.json", "{}")), strings.NewReader(plan))
			if want == "" {
				wantNo(t, r, err)
				return
			}
			if wantFault(t, err, want, "not allowed"); len(r.Findings) != 0 {
				t.Errorf("an error with a verdict: %+v", r)
			}
			if strings.Contains(err.Error(), canary) {
				t.Errorf("the log shows what was being judged: %v", err)
			}
		})
	}
}

func TestCrashSaysWhere(t *testing.T) {
	t.Parallel()
	_, err := newJudge(t, limits("badly", "crash")).Plan(t.Context(), sets(rule(t, "set", "true")), strings.NewReader(plan))
	var f *fault.Error
	if !errors.As(err, &f) || f.Err == nil || !strings.Contains(f.Err.Error(), "rule.go:12") {
		t.Errorf("error is %v; want the place of the crash in its cause", err)
	}
}

func TestProcessHasNothingOfOurs(t *testing.T) {
	t.Parallel()
	seen, err := newJudge(t, limits("badly", "well")).Check(t.Context(), []*gate.Source{rule(t, "set", "true")})
	if err != nil || len(seen) != 1 {
		t.Fatal(seen, err)
	}
}
