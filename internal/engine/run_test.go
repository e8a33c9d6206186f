package engine

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/tollgate/tollgate/internal/change"
	"github.com/tollgate/tollgate/internal/fault"
	"github.com/tollgate/tollgate/internal/github"
	"github.com/tollgate/tollgate/internal/store"
)

func TestDescription(t *testing.T) {
	t.Parallel()
	const progress = "data.aws_region.current: Reading...\ndata.aws_region.current: Read complete after 0s\n\n"
	cases := map[string]struct{ begin, text string }{
		"changes":           {progress, "Terraform used the selected providers to generate the following execution\nplan.\n\nTerraform will perform the following actions:\n"},
		"nothing to do":     {progress, "No changes. Your infrastructure matches the configuration.\n"},
		"outputs only":      {progress, "Changes to Outputs:\n  + url = \"x\"\n"},
		"without providers": {progress, "Terraform will perform the following actions:\n"},
		"something else":    {"", "Error: no\n"},
		"nothing":           {"", ""},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			same(t, "description", c.text, description(c.begin+c.text))
		})
	}
}

func TestOutcome(t *testing.T) {
	t.Parallel()
	broken := fault.Wrap(errors.New("token=hunter2"), "It broke.", "", "")
	cases := map[string]struct {
		plans []change.RunState
		err   error
		want  change.RunState
		fault *fault.Error
	}{
		"nothing is affected":         {nil, nil, change.RunPassed, nil},
		"all passed":                  {[]change.RunState{change.RunPassed, change.RunPassed}, nil, change.RunPassed, nil},
		"one denied":                  {[]change.RunState{change.RunPassed, change.RunFailed, change.RunPassed}, nil, change.RunFailed, nil},
		"an error outweighs a denial": {[]change.RunState{change.RunErrored, change.RunFailed, change.RunPassed}, nil, change.RunErrored, nil},
		"whatever comes first":        {[]change.RunState{change.RunFailed, change.RunErrored}, nil, change.RunErrored, nil},
		"one never began":             {[]change.RunState{change.RunPassed, change.RunQueued}, nil, change.RunFailed, nil},
		"it broke before":             {[]change.RunState{change.RunPassed}, fmt.Errorf("fetch: %w", broken), change.RunErrored, fault.New("It broke.", "", "")},
		"a newer commit came":         {nil, fault.Wrap(errSuperseded, "The head moved.", "", ""), change.RunSuperseded, nil},
		"it broke without a fault":    {nil, errors.New("token=hunter2"), change.RunErrored, fault.Public(errors.New("anything"))},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			j := &job{}
			for i, s := range c.plans {
				j.plans = append(j.plans, aPlan(fmt.Sprint(i), fmt.Sprint(i), s))
			}
			state, flt := outcome(j, c.err)
			same(t, "state", c.want, state)
			same(t, "fault", c.fault, flt)
		})
	}
}

func TestConflict(t *testing.T) {
	t.Parallel()
	for want, files := range map[string][]string{
		"conflicts with its base in main.tf.":                  {"main.tf"},
		"conflicts with its base in a, b, c, d, e.":            {"a", "b", "c", "d", "e"},
		"conflicts with its base in a, b, c, d, e and 2 more.": {"a", "b", "c", "d", "e", "f", "g"},
	} {
		isFault(t, conflict(files), want)
	}
}

func TestStopped(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		pull  change.Pull
		allow string
		want  string
	}{
		"open":                       {pull: change.Pull{Open: true}},
		"a draft":                    {pull: change.Pull{Open: true, Draft: true}, want: "This pull request is a draft."},
		"a fork":                     {pull: change.Pull{Open: true, Fork: true}, want: "This pull request comes from a fork."},
		"a fork that was allowed":    {pull: change.Pull{Open: true, Fork: true}, allow: "head"},
		"a fork, allowed before":     {pull: change.Pull{Open: true, Fork: true}, allow: "older", want: "This pull request comes from a fork."},
		"a draft from a fork":        {pull: change.Pull{Open: true, Fork: true, Draft: true}, want: "This pull request is a draft."},
		"an allowed draft of a fork": {pull: change.Pull{Open: true, Fork: true, Draft: true}, allow: "head", want: "This pull request is a draft."},
		"closed":                     {pull: change.Pull{Draft: true, Fork: true}},
		"merged":                     {pull: change.Pull{Merged: true, Fork: true}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c.pull.HeadSHA = "head"
			flt := stopped(store.Pull{Pull: c.pull, AllowedSHA: c.allow})
			if flt == nil && c.want == "" {
				return
			}
			if flt == nil {
				t.Fatalf("nothing stops it, want %q", c.want)
			}
			isFault(t, flt, c.want)
			if c.want == "" {
				t.Errorf("stopped by %q", flt.What)
			}
		})
	}
}

// GitHub's words for the state of a deployment, as far as a status may set them.
var deploymentWords = map[string]bool{"error": true, "failure": true, "inactive": true, "in_progress": true, "queued": true, "pending": true, "success": true}

func TestEveryStateOfAnApplyIsADeploymentState(t *testing.T) {
	t.Parallel()
	all := []change.ExecutionState{change.ExecPlanned, change.ExecAuthorised, change.ExecClaimed, change.ExecRunning,
		change.ExecApplied, change.ExecFailedClean, change.ExecFailedPartial, change.ExecUnknown}
	reached := map[change.ExecutionState]bool{}
	var reach func(change.ExecutionState)
	reach = func(from change.ExecutionState) {
		reached[from] = true
		for _, to := range all {
			if change.CheckExecution(from, to) == nil && !reached[to] {
				reach(to)
			}
		}
	}
	reach(change.ExecClaimed) // what the store begins with
	for state := range reached {
		if !deploymentWords[deploymentState[state]] {
			t.Errorf("state %s is %q to GitHub", state, deploymentState[state])
		}
		if success := deploymentState[state] == "success"; success != (state == change.ExecApplied) {
			t.Errorf("state %s is a success: %v", state, success)
		}
	}
	for state := range deploymentState {
		if !reached[state] {
			t.Errorf("no apply is ever %s", state)
		}
	}
}

func TestUnreachable(t *testing.T) {
	t.Parallel()
	for err, want := range map[error]bool{
		github.ErrUnavailable:    true,
		store.ErrUnavailable:     true,
		&github.RateLimitError{}: true,
		context.DeadlineExceeded: true,
		github.ErrNotFound:       false,
		fault.New("No.", "", ""): false,
	} {
		if got := unreachable(fmt.Errorf("read: %w", err)); got != want {
			t.Errorf("%v: unreachable() = %v", err, got)
		}
	}
}

func TestAPressMakesANewCheck(t *testing.T) {
	t.Parallel()
	v := sees(nil, nil)
	v.pull.Number = 7
	seen := map[string]bool{}
	for _, r := range []store.Run{{HeadSHA: "a"}, {HeadSHA: "b"}, {ID: "r", HeadSHA: "a"}, {ID: "r", HeadSHA: "a", Presses: 1}, {ID: "r", HeadSHA: "a", Presses: 2}} {
		for _, name := range []string{"tollgate", "tollgate/plan: a"} {
			id := externalID(v, r, name)
			if seen[id] || id != externalID(v, r, name) {
				t.Errorf("%+v, %s: the id %q is of another, or changes", r, name, id)
			}
			seen[id] = true
		}
	}
}
