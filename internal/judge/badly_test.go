package judge_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/tollgate/tollgate/internal/fault"
	"github.com/tollgate/tollgate/internal/gate"
	"github.com/tollgate/tollgate/internal/judge"
)

const canary = "canary-4711"

// idle ends when it is killed, or when it was forgotten.
func idle() int {
	<-time.After(2 * time.Minute)
	return 0
}

// withChild is a process that has started another one and then does its work.
func withChild() int {
	other := exec.Command(os.Args[0], "idle")
	other.Stderr = os.Stderr
	if other.Start() != nil {
		return 9
	}
	return judge.Main()
}

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
		from, to := strings.Index(said, `,"result":`), strings.Index(said, "}\n"+end)
		said = said[:from] + "}" + said[to:]
	case "findings lost":
		from, to := strings.Index(said, `{"findings":`), strings.Index(said, `{"answer":`)
		said = said[:from] + said[to:]
	case "endless":
		for {
			fmt.Println(`{"step":{"doing":"compile","set":"first"}}`)
		}
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

// inspected is a judge's process that looks at the one that works for it, when that waits for its plan, and
// at itself, which was started by the same hand. It says what is wrong on stderr.
func inspected() int {
	// So that what is inherited is no limit yet.
	core := syscall.Rlimit{}
	if err := syscall.Getrlimit(syscall.RLIMIT_CORE, &core); err == nil {
		_ = syscall.Setrlimit(syscall.RLIMIT_CORE, &syscall.Rlimit{Cur: core.Max, Max: core.Max})
	}
	real := exec.Command(os.Args[0], "judge")
	real.Stdin, real.Stderr = os.Stdin, os.Stderr
	out, err := real.StdoutPipe()
	if err != nil || real.Start() != nil {
		return 9
	}
	lines := bufio.NewReader(out)
	for {
		line, err := lines.ReadString('\n')
		if err != nil {
			break
		}
		if strings.Contains(line, `"doing":"read"`) {
			for _, wrong := range limitsOf(real.Process.Pid) {
				fmt.Fprintln(os.Stderr, "judge:", wrong)
				return 9
			}
		}
		fmt.Print(line)
	}
	if dir, _ := os.Getwd(); dir != "/" || len(os.Environ()) != 0 {
		fmt.Fprintln(os.Stderr, "judge: started in", dir, "with the environment", os.Environ())
		return 9
	}
	return 0
}

// limitsOf says which limits a process lacks.
func limitsOf(pid int) []string {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/limits", pid))
	if err != nil {
		return []string{err.Error()}
	}
	limits := map[string]string{}
	for line := range strings.Lines(string(text)) {
		if len(line) > 46 {
			limits[strings.TrimSpace(line[:26])] = strings.TrimSpace(line[26:46])
		}
	}
	var wrong []string
	for _, name := range []string{"Max core file size", "Max file size"} {
		if limits[name] != "0" {
			wrong = append(wrong, fmt.Sprintf("%s is %q", name, limits[name]))
		}
	}
	if n := limits["Max open files"]; len(n) != 1 {
		wrong = append(wrong, fmt.Sprintf("Max open files is %q", n))
	}
	for _, name := range []string{"Max cpu time", "Max address space"} {
		if limits[name] == "unlimited" || limits[name] == "" {
			wrong = append(wrong, fmt.Sprintf("%s is %q", name, limits[name]))
		}
	}
	return wrong
}

// server is a server with a judge at work that will not end.
func server(dir string) int {
	src, err := gate.Read("set", os.DirFS(dir))
	if err != nil {
		return 9
	}
	j, err := judge.New(judge.Config{Command: []string{os.Args[0], "judge"}, Time: time.Hour})
	if err != nil {
		return 9
	}
	p, err := j.Prepare(context.Background(), []*gate.Source{src})
	if err != nil {
		return 9
	}
	// When the end of the plan is asked for, the process has all of it, and will not stop by itself.
	_, _ = p.Plan(context.Background(), io.MultiReader(strings.NewReader(plan), readerFunc(func([]byte) (int, error) {
		fmt.Println("started")
		return 0, io.EOF
	})))
	return 0
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
		"no result":              half,
		"findings lost":          half,
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

func TestAnswerWithoutEnd(t *testing.T) {
	t.Parallel()
	cfg := limits("badly", "endless")
	cfg.Memory = 64 << 20
	_, err := newJudge(t, cfg).Plan(t.Context(), sets(rule(t, "first", "true")), strings.NewReader(plan))
	wantFault(t, err, "Compiling the policies of first gave an answer that is too long", "not allowed")
}

func TestCrashSaysWhere(t *testing.T) {
	t.Parallel()
	_, err := newJudge(t, limits("badly", "crash")).Plan(t.Context(), sets(rule(t, "set", "true")), strings.NewReader(plan))
	var f *fault.Error
	if !errors.As(err, &f) || f.Err == nil || !strings.Contains(f.Err.Error(), "rule.go:12") {
		t.Errorf("error is %v; want the place of the crash in its cause", err)
	}
}
