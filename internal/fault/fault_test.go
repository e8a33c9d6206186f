package fault_test

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tollgate/tollgate/internal/fault"
)

func TestErrorIsForTheOperator(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		err  *fault.Error
		want string
	}{
		"without a cause":   {fault.New("The door is shut.", "Nobody gets in.", "Open it."), "The door is shut."},
		"with a cause":      {fault.Wrap(io.EOF, "The door is shut.", "Nobody gets in.", "Open it."), "The door is shut: EOF"},
		"without full stop": {fault.Wrap(io.EOF, "The door is shut", "", ""), "The door is shut: EOF"},
		"a cause of nil":    {fault.Wrap(nil, "The door is shut.", "", ""), "The door is shut."},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := c.err.Error(); got != c.want {
				t.Errorf("Error() = %q, want %q", got, c.want)
			}
		})
	}
}

func TestTheCauseCanBeFound(t *testing.T) {
	t.Parallel()
	err := fmt.Errorf("open: %w", fault.Wrap(fmt.Errorf("stat: %w", fs.ErrNotExist), "It is not there.", "", ""))
	if !errors.Is(err, fs.ErrNotExist) {
		t.Error("the cause is lost")
	}
	if errors.Unwrap(fault.New("It is not there.", "", "")) != nil {
		t.Error("a cause appeared from nowhere")
	}
}

const secret = "AKIA-not-a-key"

func TestPublic(t *testing.T) {
	t.Parallel()
	shown := fault.Wrap(errors.New(secret), "The plan failed.", "Nothing was changed.", "Mend it.")
	want := fault.New("The plan failed.", "Nothing was changed.", "Mend it.")
	neutral := fault.New("Something went wrong inside Tollgate.", "Nothing was applied because of it.", "The server's log has the details; `/plan` tries again.")
	full := fault.New("The disk of Tollgate's server is full.", "Nothing was applied because of it.", "Whoever runs the server makes room; then `/plan` tries again.")
	cases := map[string]struct {
		err  error
		want *fault.Error
	}{
		"itself":                    {shown, want},
		"wrapped":                   {fmt.Errorf("plan %s: %w", secret, shown), want},
		"joined with another":       {errors.Join(errors.New(secret), shown), want},
		"the outer of two":          {fault.Wrap(fault.New(secret, "", ""), want.What, want.Why, want.Fix), want},
		"no fault":                  {errors.New(secret), neutral},
		"a full disk":               {&fs.PathError{Op: "write", Path: secret, Err: syscall.ENOSPC}, full},
		"no fault, under a wrapper": {fmt.Errorf("plan: %w", errors.New(secret)), neutral},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := fault.Public(c.err)
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("Public (-want +got):\n%s", diff)
			}
			if strings.Contains(got.Error()+got.Text(), secret) {
				t.Errorf("what is shown holds the secret: %+v", got)
			}
		})
	}
}

func TestPublicLeavesTheErrorItself(t *testing.T) {
	t.Parallel()
	err := fault.Wrap(io.EOF, "It ended.", "", "")
	fault.Public(err)
	if !errors.Is(err, io.EOF) {
		t.Error("the operator's cause is gone")
	}
}

func TestText(t *testing.T) {
	t.Parallel()
	cases := []struct {
		err  *fault.Error
		want string
	}{
		{fault.New("What.", "Why.", "Fix."), "What. Why. Fix."},
		{fault.New("What.", "", "Fix."), "What. Fix."},
		{fault.New("What.", "Why.", ""), "What. Why."},
		{fault.New("What.", "", ""), "What."},
		{fault.Wrap(errors.New(secret), "What.", "Why.", "Fix."), "What. Why. Fix."},
	}
	for _, c := range cases {
		if got := c.err.Text(); got != c.want {
			t.Errorf("Text() = %q, want %q", got, c.want)
		}
	}
}
