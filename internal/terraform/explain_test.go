package terraform_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tollgate/tollgate/internal/fault"
	"github.com/tollgate/tollgate/internal/terraform"
)

const lockedLog = `
Error: Error acquiring the state lock

Error message: operation error S3: PutObject, https response error
StatusCode: 412, RequestID: x, HostID: y, api error PreconditionFailed: At
least one of the pre-conditions you specified did not hold
Lock Info:
  ID:        0b1e8b6c-6a0f-4d3e-9a52-5f1a7b9c2d11
  Path:      states/payments.tfstate
  Operation: OperationTypeApply
  Who:       alice@laptop
  Version:   1.11.4
  Created:   2026-11-22 17:53:50.123456789 +0000 UTC
  Info:      


Terraform acquires a state lock to protect the state from being written
by multiple users at the same time.
`

const staleLog = `
Error: Saved plan is stale

The given plan file can no longer be applied because the state was changed by
another operation after the plan was created.
`

const unsavedLog = `aws_sqs_queue.q: Creating...
aws_sqs_queue.q: Creation complete after 1s [id=q]

Error: Failed to save state

Error saving state: failed to upload state: operation error S3: PutObject,
connect: connection refused

Error: Failed to persist state to backend

The error shown above has prevented Terraform from writing the updated state
to the configured backend.
`

func TestExplain(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		log       string
		exit      int
		kind      error
		untouched bool
		what      string // part of the sentence for people
	}{
		"locked":                                 {lockedLog, 1, terraform.ErrLocked, true, "alice@laptop (Apply since 2026-11-22 17:53:50 UTC)"},
		"locked, after a try":                    {"Acquiring state lock. This may take a few moments...\n" + lockedLog, 1, terraform.ErrLocked, true, "alice"},
		"locked by a holder that cannot be read": {strings.Replace(lockedLog, "Lock Info:", "x", 1)[:200], 1, terraform.ErrLocked, true, "somebody else"},
		"stale":                                  {staleLog, 1, terraform.ErrStale, true, "changed since"},
		// A provisioner or a provider can print whatever it likes once it runs.
		"stale, says a resource": {"terraform_data.x: Creating...\n" + staleLog, 1, terraform.ErrFailed, false, "ended with an error"},
		"stale, says a provider": {"\nWarning: Something\n\nElse\nmodule.a[\"k 1\"].aws_x.y: Modifying... [id=1]\n" + staleLog, 1, terraform.ErrFailed, false, "ended with an error"},
		"stale, with a warning":  {"\nWarning: Deprecated Parameter\n\n  on main.tf line 1, in terraform:\n\nUse another.\n" + staleLog, 1, terraform.ErrStale, true, "changed since"},
		"locked, says a resource": {"aws_x.y: Creating...\n\nError: Error acquiring the state lock\n\n  with aws_x.y,\n  on main.tf line 1:\n\nNo.\n", 1,
			terraform.ErrResource, false, "`aws_x.y`"},
		"state not saved": {unsavedLog, 1, terraform.ErrStateNotSaved, false, "could not save"},
		"no credentials": {"\nError: No valid credential sources found\n\nPlease see https://example.com\n\nError: failed to refresh cached credentials, no EC2 IMDS role found\n", 1,
			terraform.ErrCredentials, true, "credentials"},
		"refused by the cloud": {"aws_sqs_queue.q: Creating...\n\nError: creating SQS Queue: AccessDenied: no\n\n  with module.a[\"k\"].aws_sqs_queue.q,\n  on main.tf line 3, in resource \"aws_sqs_queue\" \"q\":\n   3: resource\n\n", 1,
			terraform.ErrCredentials, false, "credentials"},
		"refused by a resource": {"aws_sqs_queue.q: Creating...\n\nError: creating SQS Queue: connect: connection refused\n\n  with module.a[\"k\"].aws_sqs_queue.q,\n  on main.tf line 3, in resource \"aws_sqs_queue\" \"q\":\n   3: resource\n\n", 1,
			terraform.ErrResource, false, "`module.a[\"k\"].aws_sqs_queue.q`"},
		"crash":             {"\nError: Plugin did not respond\n\n  with aws_x.y,\n  on main.tf line 1:\n\nThe plugin encountered an error\n", 1, terraform.ErrCrashed, false, "crashed"},
		"killed":            {"aws_x.y: Creating...\n", -1, terraform.ErrCrashed, false, "killed"},
		"nothing said":      {"", 1, terraform.ErrFailed, false, "ended with an error"},
		"windows line ends": {strings.ReplaceAll(staleLog, "\n", "\r\n"), 1, terraform.ErrStale, true, "changed since"},
		"boxed":             {"╷\n│ Error: Saved plan is stale\n│ \n│ The given plan\n╵\n", 1, terraform.ErrStale, true, "changed since"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			err := terraform.Explain([]byte(tt.log), tt.exit)
			var f *terraform.Failure
			var words *fault.Error
			if !errors.Is(err, tt.kind) || !errors.As(err, &f) || !errors.As(err, &words) {
				t.Fatalf("error is %v, want %v", err, tt.kind)
			}
			if f.Untouched != tt.untouched || f.Exit != tt.exit {
				t.Errorf("failure %+v", f)
			}
			if !strings.Contains(words.What, tt.what) {
				t.Errorf("words %+v", words)
			}
		})
	}
	if err := terraform.Explain([]byte(staleLog), 0); err != nil {
		t.Errorf("success is explained: %v", err)
	}
}

func TestDiagnosticsAndHolder(t *testing.T) {
	t.Parallel()
	var f *terraform.Failure
	if !errors.As(terraform.Explain([]byte(lockedLog), 1), &f) {
		t.Fatal("no failure")
	}
	created := time.Date(2026, 11, 22, 17, 53, 50, 123456789, time.UTC)
	want := &terraform.Lock{ID: "0b1e8b6c-6a0f-4d3e-9a52-5f1a7b9c2d11", Who: "alice@laptop", Operation: "OperationTypeApply", Created: created}
	if diff := cmp.Diff(want, f.Lock); diff != "" {
		t.Error(diff)
	}
	log := "\nWarning: Old\n\nword\n\nError: A summary that goes\non here.\n\n  with aws_x.y[0],\n  on modules/a/main.tf line 12, in resource \"aws_x\" \"y\":\n  12: resource\n\nThe detail.\n\nError: Second\n\nMore.\n"
	if !errors.As(terraform.Explain([]byte(log), 1), &f) {
		t.Fatal("no failure")
	}
	diagnostics := []terraform.Diagnostic{
		{Summary: "A summary that goes on here", Address: "aws_x.y[0]", File: "modules/a/main.tf", Line: 12,
			Detail: "  with aws_x.y[0],\n  on modules/a/main.tf line 12, in resource \"aws_x\" \"y\":\n  12: resource\n\nThe detail."},
		{Summary: "Second", Detail: "More."},
	}
	if diff := cmp.Diff(diagnostics, f.Diagnostics); diff != "" {
		t.Error(diff)
	}
}
