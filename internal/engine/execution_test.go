package engine

import (
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/tollgate/tollgate/internal/change"
	"github.com/tollgate/tollgate/internal/runner"
	"github.com/tollgate/tollgate/internal/store"
)

// Only what is proven to have changed nothing is called clean, and only what is known is not called unknown.
//
// Covers: R06, R11, R13, R14, R15, R39
func TestHowAnApplyEnded(t *testing.T) {
	t.Parallel()
	const (
		stale  = "Error: Saved plan is stale\n\nThe given plan file can no longer be applied.\n"
		locked = "Error: Error acquiring the state lock\n\nError message: it is held.\n"
		unkept = "terraform_data.a: Creating...\n\nError: Failed to save state\n\nError saving state: forbidden\n"
		failed = "terraform_data.a: Creating...\n\nError: creating terraform_data\n\n  with terraform_data.b,\n\nIt was refused.\n"

		// Credentials that expire, and a cloud that wants fewer requests, in the words of AWS's provider.
		refused   = "https response error StatusCode: 403, RequestID: 1, api error ExpiredToken: The security token included in the request is expired"
		expired   = "\nError: validating provider credentials: retrieving caller identity from STS: operation error STS: GetCallerIdentity, " + refused + "\n\n  with provider[\"registry.terraform.io/hashicorp/aws\"],\n"
		midway    = "aws_sqs_queue.a: Creating...\naws_sqs_queue.a: Creation complete after 1s\naws_sqs_queue.b: Creating...\n\nError: creating SQS Queue (b): operation error SQS: CreateQueue, " + refused + "\n\n  with aws_sqs_queue.b,\n  on main.tf line 5\n"
		unsaved   = midway + "\nError: Failed to save state\n\nError saving state: failed to upload state: operation error S3: PutObject, " + refused + "\n"
		throttled = "aws_sqs_queue.a: Creating...\n\nError: creating SQS Queue (a): operation error SQS: CreateQueue, exceeded maximum number of attempts, 25, https response error StatusCode: 429, RequestID: 1, api error ThrottlingException: Rate exceeded\n\n  with aws_sqs_queue.a,\n"
	)
	for name, c := range map[string]struct {
		status  runner.Status
		output  string
		errored bool // Terraform has left a state
		state   change.ExecutionState
		cause   store.Cause
		words   string
	}{
		"well":                     {status: runner.Status{State: runner.Exited}, state: change.ExecApplied},
		"not started":              {status: runner.Status{State: runner.NotStarted, Reason: "It was overtaken."}, state: change.ExecFailedClean, words: "It was overtaken."},
		"lost":                     {status: runner.Status{State: runner.Lost}, state: change.ExecUnknown, words: "Nobody can tell"},
		"killed after its grace":   {status: runner.Status{State: runner.Exited, Exit: runner.Exit{Code: 1, Killed: true, Stop: runner.StopLimit}}, output: stale, state: change.ExecUnknown, words: "was killed"},
		"ended by a signal":        {status: runner.Status{State: runner.Exited, Exit: runner.Exit{Code: -1, Signal: "killed"}}, output: stale, state: change.ExecUnknown, words: "Nobody can tell"},
		"refused as stale":         {status: exited(1), output: stale, state: change.ExecFailedClean, cause: store.CauseStale},
		"refused as locked":        {status: exited(1), output: locked, state: change.ExecFailedClean, cause: store.CauseLocked},
		"failed midway":            {status: exited(1), output: failed, state: change.ExecFailedPartial},
		"failed without a word":    {status: exited(1), state: change.ExecFailedPartial},
		"the state was not saved":  {status: exited(1), output: unkept, state: change.ExecUnknown, words: "could not save the new state"},
		"a state was left":         {status: exited(1), output: stale, errored: true, state: change.ExecUnknown, words: "could not save the new state"},
		"credentials had expired":  {status: exited(1), output: expired, state: change.ExecFailedClean, words: "refused the credentials"},
		"credentials expired":      {status: exited(1), output: midway, state: change.ExecFailedPartial, words: "refused the credentials"},
		"so did those of a state":  {status: exited(1), output: unsaved, errored: true, state: change.ExecUnknown, words: "could not save the new state"},
		"the cloud is too busy":    {status: exited(1), output: throttled, state: change.ExecFailedPartial},
		"stopped when it was time": {status: runner.Status{State: runner.Exited, Exit: runner.Exit{Code: 1, Stop: runner.StopLimit}}, output: failed, state: change.ExecFailedPartial, words: "was asked to stop"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := &Engine{cfg: Config{DataDir: t.TempDir(), Limits: Limits{}.withDefaults(), Logger: slog.New(slog.DiscardHandler)}}
			x := store.Execution{Execution: change.Execution{ID: "x", Project: change.Project{Name: "a", Dir: "a"}}}
			files := map[string]string{e.OutputPath(x.ID): c.output}
			if c.errored {
				files[e.erroredStateFile(x)] = "{}"
			}
			for file, text := range files {
				if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			state, flt, cause := e.judgeExit(x, c.status)
			same(t, "state", c.state, state)
			same(t, "cause", c.cause, cause)
			if (flt == nil) != (c.state == change.ExecApplied) || flt != nil && !strings.Contains(flt.Text(), c.words) {
				t.Errorf("it says %v, want %q in it", flt, c.words)
			}
		})
	}
}

func exited(code int) runner.Status {
	return runner.Status{State: runner.Exited, Started: time.Now(), Exit: runner.Exit{Code: code}}
}

// A request is answered once, whatever the server dies of; another reason to refuse a merge is news, and so is another press.
//
// Covers: R08
func TestWhatARequestIsAnsweredFor(t *testing.T) {
	t.Parallel()
	merge := applyRequest{Trigger: triggerMerge, HeadSHA: "head"}
	press := func(id string) applyRequest {
		return applyRequest{Trigger: triggerButton, HeadSHA: "head", Occasion: id}
	}
	comment := func(id int64) applyRequest {
		return applyRequest{Trigger: triggerComment, HeadSHA: "head", CommentID: id}
	}
	for name, c := range map[string]struct {
		a, b   applyRequest
		as, bs string // answers
		same   bool
	}{
		"a merge, again":                {merge, merge, "no", "no", true},
		"a merge, for another reason":   {merge, merge, "no", "never", false},
		"a press, again":                {press("1"), press("1"), "no", "never", true},
		"another press":                 {press("1"), press("2"), "no", "no", false},
		"a comment, for another reason": {comment(1), comment(1), "no", "never", true},
		"another comment":               {comment(1), comment(2), "no", "no", false},
	} {
		if got := c.a.occasion(c.as) == c.b.occasion(c.bs); got != c.same {
			t.Errorf("%s: the same occasion: %t", name, got)
		}
	}
}
