package judge_test

import (
	"bytes"
	"os"
	"syscall"
	"testing"
	"time"

	"github.com/tollgate/tollgate/internal/gate"
	"github.com/tollgate/tollgate/internal/judge"
	"github.com/tollgate/tollgate/policies"
)

// BenchmarkPlan compares judging a small plan in this process, with policies that were compiled long
// before, to a process that starts, compiles and judges.
func BenchmarkPlan(b *testing.B) {
	plan, err := os.ReadFile("../../policies/testdata/private_subnets/modules/plan.json")
	if err != nil {
		b.Fatal(err)
	}
	src, err := gate.Read("built-in", policies.Files)
	if err != nil {
		b.Fatal(err)
	}
	j, err := judge.New(judge.Config{Command: []string{os.Args[0], "judge"}})
	if err != nil {
		b.Fatal(err)
	}
	b.Run("in this process", func(b *testing.B) {
		set, err := gate.Compile(src, gate.ForPlans)
		if err != nil {
			b.Fatal(err)
		}
		for b.Loop() {
			if _, err := set.JudgePlan(b.Context(), plan); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("in its own", func(b *testing.B) {
		before := childrenCPU(b)
		for b.Loop() {
			if _, err := j.Plan(b.Context(), []*gate.Source{src}, bytes.NewReader(plan)); err != nil {
				b.Fatal(err)
			}
		}
		b.ReportMetric(float64(childrenCPU(b)-before)/1e6/float64(b.N), "CPU-ms/op")
	})
}

// childrenCPU is the processor time of all processes that have ended.
func childrenCPU(b *testing.B) time.Duration {
	var use syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_CHILDREN, &use); err != nil {
		b.Fatal(err)
	}
	return time.Duration(use.Utime.Nano() + use.Stime.Nano())
}
