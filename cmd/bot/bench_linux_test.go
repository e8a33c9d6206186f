package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/tollgate/tollgate/internal/bigplan"
	"github.com/tollgate/tollgate/policies"
)

// BenchmarkCheck compares "bot check" with conftest, as whole processes, by turns and on the same plans
// and rules; `make bench` builds conftest and runs it. The plans are the fixtures of the policies, many
// times over. It reports of each, as medians of the turns
//
//	s      from start to end of the process
//	cpu-s  user and system time, with that of the processes it starts
//	MB     the largest resident memory of a process
//
// and as ratio the time of "bot check" divided by conftest's. Both load the built-in rules and data
// files from source, and both must come to the same number of findings.
//
// conftest gets every file of the data with --data, because it mounts the files below that directory
// at their paths, as Tollgate does; with --all-namespaces it asks deny, violation and warn of every
// package, but not judged, so unlike "bot check" it does not know what has passed.
func BenchmarkCheck(b *testing.B) {
	conftest := os.Getenv("TOLLGATE_TEST_CONFTEST")
	if conftest == "" {
		b.Fatal("TOLLGATE_TEST_CONFTEST does not say where conftest is: use `make bench`, which builds it")
	}
	dir := b.TempDir()
	bot := filepath.Join(dir, "bot")
	if out, err := exec.Command("go", "build", "-o", bot, ".").CombinedOutput(); err != nil {
		b.Fatalf("build: %v\n%s", err, out)
	}
	rules := filepath.Join(dir, "policies")
	if err := os.CopyFS(rules, policies.Files); err != nil {
		b.Fatal(err)
	}
	for _, size := range []int{10_000, 20_000, 50_000} {
		b.Run(fmt.Sprintf("resources=%d", size), func(b *testing.B) {
			plan := writePlan(b, size)
			ours := process{args: []string{bot, "check", "--format", "json", plan}, count: blocking}
			theirs := process{args: []string{conftest, "test", plan, "--policy", filepath.Join(rules, "plan"), "--data", rules,
				"--all-namespaces", "--output", "json"}, count: failures}
			for b.Loop() {
				ours.run(b)
				theirs.run(b)
			}
			if !maps.Equal(ours.found, theirs.found) {
				b.Errorf("other findings, by package: bot %v, conftest %v", ours.found, theirs.found)
			}
			ours.report(b, "bot")
			theirs.report(b, "conftest")
			b.ReportMetric(median(ours.seconds)/median(theirs.seconds), "ratio")
			b.ReportMetric(0, "ns/op")
		})
	}
}

func writePlan(b *testing.B, resources int) string {
	b.Helper()
	files, err := filepath.Glob("../../policies/testdata/*/*/plan.json")
	if err != nil || len(files) == 0 {
		b.Fatalf("no seeds: %v", err)
	}
	var seeds [][]byte
	for _, file := range files {
		content, err := os.ReadFile(file)
		if err != nil {
			b.Fatal(err)
		}
		seeds = append(seeds, content)
	}
	to, err := os.Create(filepath.Join(b.TempDir(), "plan.json"))
	if err != nil {
		b.Fatal(err)
	}
	defer to.Close()
	if err := bigplan.Write(to, resources, seeds...); err != nil {
		b.Fatal(err)
	}
	return to.Name()
}

// process is a program that judges, and what its runs took.
type process struct {
	args                []string
	count               func(output []byte) (map[string]int, error)
	seconds, cpu, rssMB []float64
	found               map[string]int // findings by package
}

func (p *process) run(b *testing.B) {
	b.Helper()
	cmd := exec.Command(p.args[0], p.args[1:]...)
	var errs strings.Builder
	cmd.Stderr = &errs
	start := time.Now()
	output, err := cmd.Output()
	took := time.Since(start).Seconds()
	if cmd.ProcessState == nil || cmd.ProcessState.ExitCode() > 1 {
		b.Fatalf("%s: %v\n%s", p.args[0], err, errs.String())
	}
	usage := cmd.ProcessState.SysUsage().(*syscall.Rusage)
	p.seconds = append(p.seconds, took)
	p.cpu = append(p.cpu, (cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()).Seconds())
	p.rssMB = append(p.rssMB, float64(usage.Maxrss)/1000)
	if p.found, err = p.count(output); err != nil {
		b.Fatalf("%s: %v", p.args[0], err)
	}
}

func (p *process) report(b *testing.B, name string) {
	b.ReportMetric(median(p.seconds), name+"-s")
	b.ReportMetric(median(p.cpu), name+"-cpu-s")
	b.ReportMetric(median(p.rssMB), name+"-MB")
}

func median(of []float64) float64 {
	sorted := slices.Sorted(slices.Values(of))
	return sorted[len(sorted)/2]
}

// blocking counts what is no pass in the answer of "bot check".
func blocking(output []byte) (map[string]int, error) {
	var answer struct {
		Plans []struct {
			Findings []struct{ Policy, Verdict string }
		}
	}
	found := map[string]int{}
	err := json.Unmarshal(output, &answer)
	for _, p := range answer.Plans {
		for _, f := range p.Findings {
			if f.Verdict != "pass" {
				found[f.Policy]++
			}
		}
	}
	return found, err
}

// failures counts the same in conftest's.
func failures(output []byte) (map[string]int, error) {
	var answer []struct {
		Namespace          string
		Failures, Warnings []struct{}
	}
	found := map[string]int{}
	err := json.Unmarshal(output, &answer)
	for _, a := range answer {
		if n := len(a.Failures) + len(a.Warnings); n > 0 {
			found[a.Namespace] = n
		}
	}
	return found, err
}
