package change

import "fmt"

// RunState is the state of one attempt to plan one head commit of a pull request.
//
//	queued ──▶ running ──▶ passed | failed
//	   │          │
//	   └──────────┴──────▶ errored | cancelled | superseded
type RunState string

// The states of a run. Failed means that a policy said no; Errored that no verdict was reached.
const (
	RunQueued     RunState = "queued"
	RunRunning    RunState = "running"
	RunPassed     RunState = "passed"
	RunFailed     RunState = "failed"
	RunErrored    RunState = "errored"
	RunCancelled  RunState = "cancelled"
	RunSuperseded RunState = "superseded"
)

// ExecutionState is the state of an apply. Claimed is committed before Terraform starts and is
// never undone, so a plan can be applied at most once.
//
//	planned ──▶ authorised ──▶ claimed ──▶ running ──▶ applied | failed_clean | failed_partial | unknown
//	               │              │
//	               ▼              ▼
//	          failed_clean   failed_clean | unknown
type ExecutionState string

// The states of an execution. Unknown stays until a person resolves it.
const (
	ExecPlanned       ExecutionState = "planned"
	ExecAuthorised    ExecutionState = "authorised"
	ExecClaimed       ExecutionState = "claimed"
	ExecRunning       ExecutionState = "running"
	ExecApplied       ExecutionState = "applied"
	ExecFailedClean   ExecutionState = "failed_clean"   // nothing was changed
	ExecFailedPartial ExecutionState = "failed_partial" // some of it may have been changed
	ExecUnknown       ExecutionState = "unknown"        // nobody can tell
)

var runNext = map[RunState][]RunState{
	RunQueued:  {RunRunning, RunErrored, RunCancelled, RunSuperseded},
	RunRunning: {RunPassed, RunFailed, RunErrored, RunCancelled, RunSuperseded},
}

var execNext = map[ExecutionState][]ExecutionState{
	ExecPlanned:    {ExecAuthorised},
	ExecAuthorised: {ExecClaimed, ExecFailedClean},
	ExecClaimed:    {ExecRunning, ExecFailedClean, ExecUnknown},
	ExecRunning:    {ExecApplied, ExecFailedClean, ExecFailedPartial, ExecUnknown},
}

// Done reports whether the run has ended.
func (s RunState) Done() bool { return len(runNext[s]) == 0 }

// Done reports whether the execution has ended.
func (s ExecutionState) Done() bool { return len(execNext[s]) == 0 }

// CheckRun returns an error unless a run may go from one state to the other.
func CheckRun(from, to RunState) error { return step("run", runNext, from, to) }

// CheckExecution returns an error unless an execution may go from one state to the other.
func CheckExecution(from, to ExecutionState) error { return step("execution", execNext, from, to) }

func step[S ~string](what string, table map[S][]S, from, to S) error {
	for _, s := range table[from] {
		if s == to {
			return nil
		}
	}
	return fmt.Errorf("%s cannot go from %s to %s", what, from, to)
}
