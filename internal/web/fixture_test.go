package web_test

import (
	"context"
	"fmt"
	"log/slog"
	"net/http/httptest"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tollgate/tollgate/internal/change"
	"github.com/tollgate/tollgate/internal/fault"
	"github.com/tollgate/tollgate/internal/livelog"
	"github.com/tollgate/tollgate/internal/report"
	"github.com/tollgate/tollgate/internal/web"
)

const (
	runID = "5f0c6a1e2b3d4c5f6a7b8c9d0e1f2a3b"
	exeID = "0f1e2d3c4b5a69788796a5b4c3d2e1f0"
)

var now = time.Date(2026, 3, 2, 10, 30, 0, 0, time.UTC)

// source is a Source of what it holds.
type source struct {
	runs       map[string]web.Run
	order      []string
	executions map[string]web.Execution
	after      map[string]web.Execution // once their logs are done
	logs       map[string]web.Log       // by id or id/project
	err        error
}

func (s source) Runs(_ context.Context, limit int, within func(change.Repo) (bool, error)) ([]web.Run, error) {
	var out []web.Run
	for _, id := range s.order[:min(limit, len(s.order))] {
		ok, err := within(s.runs[id].Report.Pull.Repo)
		if err != nil {
			return nil, err
		}
		if ok {
			out = append(out, s.runs[id])
		}
	}
	return out, s.err
}

func find[T any](m map[string]T, key string, err error) (T, error) {
	v, ok := m[key]
	if err == nil && !ok {
		err = fmt.Errorf("row %s: %w", key, web.ErrNotFound)
	}
	return v, err
}

func (s source) Run(_ context.Context, id string) (web.Run, error) { return find(s.runs, id, s.err) }

func (s source) Execution(_ context.Context, id string) (web.Execution, error) {
	if e, ok := s.after[id]; ok && s.logs[id].Done() {
		return e, s.err
	}
	return find(s.executions, id, s.err)
}

func (s source) RunLog(_ context.Context, id, project string) (web.Log, error) {
	return find(s.logs, id+"/"+project, s.err)
}

func (s source) ExecutionLog(_ context.Context, id string) (web.Log, error) {
	return find(s.logs, id, s.err)
}

// logFile is a log that the test writes and ends.
type logFile struct {
	t    *testing.T
	path string
	done atomic.Bool
}

func newLog(t *testing.T, text string) *logFile {
	t.Helper()
	l := &logFile{t: t, path: filepath.Join(t.TempDir(), "log")}
	l.write(text)
	return l
}

func (l *logFile) write(text string) {
	l.t.Helper()
	f, err := livelog.Create(l.path)
	if err != nil {
		l.t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.WriteString(text); err != nil {
		l.t.Fatal(err)
	}
}

func (l *logFile) web() web.Log { return web.Log{Repo: pull().Repo, Path: l.path, Done: l.done.Load} }

func pull() change.Pull {
	return change.Pull{
		Repo: change.Repo{ID: 1, Owner: "acme", Name: "payments"}, Number: 7, Title: "Open the fraud service",
		URL: "https://github.com/acme/payments/pull/7", HeadSHA: "4be1c0ffee4be1c0ffee4be1c0ffee4be1c0ffee",
		HeadRef: "fraud", BaseRef: "main",
	}
}

func summary() change.PlanSummary {
	return change.PlanSummary{
		Counts: change.Counts{Delete: 1, Replace: 1, Create: 2, Update: 1, Outputs: 1},
		Changes: []change.ResourceChange{
			{Address: "aws_db_instance.ledger", Action: change.Delete},
			{Address: "aws_lb.this", Action: change.Replace, ForcesReplace: []string{"name", "subnets"}},
			{Address: `module.service["fraud-detection"].aws_ecs_service.this`, Action: change.Create},
		},
	}
}

func plan(state change.RunState) report.Plan {
	return report.Plan{
		Pull: pull(), Project: change.Project{Name: "payments", Dir: "infrastructure", Workspace: "default"}, State: state,
		HeadSHA: pull().HeadSHA, Summary: summary(), Judged: 148, PolicyDigest: "sha256:9f2c",
		Text:         "Terraform will perform the following actions:\n\n  # aws_db_instance.ledger will be destroyed\n  - resource \"aws_db_instance\" \"ledger\" {\n      - name = \"ledger\" -> null\n    }\n\n  ~ resource \"aws_lb\" \"this\" {\n      + idle = 60\n    }\n",
		Requirements: []report.Requirement{{Text: "Every policy passes"}, {Text: "One approval by someone other than ada", Met: true}},
		Findings: []change.Finding{
			{Policy: "plan.private_subnets", Rule: "public_address", Address: `module.service["payment-api"].aws_ecs_service.this`, Verdict: change.Fail, Severity: change.Deny,
				Message: "Tasks of this service get a public address.", File: "infrastructure/modules/service/main.tf", Line: 42,
				Remediation: "Set assign_public_ip = false; the NAT gateway is the way out.", Reference: "PCI DSS 4.0.1, 1.4.1"},
			{Policy: "plan.tls", Rule: "minimum_version", Address: "aws_lb_listener.https", Verdict: change.Undetermined, Severity: change.Deny,
				Message: "The TLS policy is known only after the apply.", File: "infrastructure/alb.tf", Line: 18, Reference: "https://docs.aws.amazon.com/elasticloadbalancing/"},
			{Policy: "plan.required_tags", Rule: "missing", Address: "aws_ecs_service.legacy", Verdict: change.Fail, Severity: change.Warn, NoOp: true, Message: "CostCenter is missing.", File: "infrastructure/legacy.tf", Line: 3},
		},
	}
}

func errored() report.Plan {
	p := plan(change.RunErrored)
	p.Project.Name, p.Project.Dir = "network", "infrastructure/network"
	p.Summary, p.Findings, p.Text = change.PlanSummary{}, nil, ""
	p.Fault = fault.New("Terraform could not read the configuration.", "Without a plan there is nothing to judge.", "Correct the file and push.")
	p.Excerpt = "Error: Invalid expression\n\n  on main.tf line 3, in resource \"aws_lb\" \"this\":\n   3:   name = \n"
	return p
}

func run(id string, state change.RunState, plans ...report.Plan) web.Run {
	return web.Run{
		ID: id, Created: now.Add(-3 * time.Minute), Ended: now.Add(-2 * time.Minute),
		Report: report.Pull{Pull: pull(), State: state, Plans: plans},
	}
}

func execution(state change.ExecutionState) web.Execution {
	return web.Execution{
		ID: exeID, RunID: runID, Pull: pull(), Created: now.Add(-time.Minute),
		Report: report.Apply{
			Execution: change.Execution{
				ID: exeID, Project: change.Project{Name: "payments", Dir: "infrastructure"}, State: state, Trigger: "merge",
				Actor: change.User{Login: "grace"}, CommitSHA: "0ddba110ddba11",
			},
			Summary: summary(),
		},
	}
}

// lost is an apply whose end nobody knew, and that a person has resolved if as is not empty.
func lost(as change.Resolution) web.Execution {
	e := execution(change.ExecUnknown)
	e.ID, e.Ended = "e-"+string(as), now.Add(-50*time.Second)
	e.Report.Fault = fault.New("Nobody can tell how the apply ended.", "The process was killed, so a part of the change may have been made. Nothing is tried again, and the project is frozen.",
		"Compare the infrastructure with the state, then comment `/resolve payments applied REASON` or `/resolve payments reconcile REASON`.")
	e.Report.Unsaved = as == ""
	e.Report.Evidence = &change.Evidence{Counts: change.Counts{Create: 1, Update: 1, Delete: 1}, Changes: []change.ResourceChange{
		{Address: "aws_db_instance.ledger", Action: change.Delete}, {Address: `module.service["fraud-detection"].aws_ecs_service.this`, Action: change.Create}, {Address: "aws_lb.this", Action: change.Update}}}
	if as != "" {
		e.Report.Resolved = change.Resolved{As: as, By: change.User{Login: "linus"}, At: now.Add(-5 * time.Minute), Reason: "The database is there; the console shows it as <available>."}
		e.Report.Fault.Fix = ""
	}
	return e
}

// fixture holds one run of each kind and one apply.
func fixture(t *testing.T, planLog, applyLog *logFile) source {
	t.Helper()
	running := run("a0", change.RunRunning, plan(change.RunRunning))
	running.Ended = time.Time{}
	return source{
		runs: map[string]web.Run{
			runID: run(runID, change.RunFailed, plan(change.RunFailed), errored()),
			"a0":  running,
			"a1":  run("a1", change.RunPassed),
			"a2":  run("a2", change.RunSuperseded),
		},
		order:      []string{"a0", runID, "a1", "a2"},
		executions: map[string]web.Execution{exeID: execution(change.ExecRunning), "e-": lost(""), "e-applied": lost(change.ResolvedApplied)},
		logs:       map[string]web.Log{runID + "/payments": planLog.web(), "a0/payments": planLog.web(), exeID: applyLog.web(), "e-": planLog.web(), "e-applied": {Repo: pull().Repo, Gone: true, Done: planLog.done.Load}},
	}
}

func serve(t *testing.T, s source, list bool) *httptest.Server {
	t.Helper()
	audience := web.Everyone
	if list {
		audience = web.ThisMachine
	}
	h := web.Handler(web.Deps{Source: s, Audience: audience, Now: func() time.Time { return now }, Log: slog.New(slog.NewTextHandler(t.Output(), nil))})
	srv := httptest.NewServer(h)
	t.Cleanup(srv.Close)
	return srv
}
