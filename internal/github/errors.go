package github

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/tollgate/tollgate/internal/fault"
)

// What an error of this package is at bottom; ask with errors.Is. Each comes wrapped in a
// *fault.Error. A write that ends in ErrUnavailable may nevertheless have happened.
var (
	ErrNotFound     = errors.New("not found")
	ErrForbidden    = errors.New("not permitted")
	ErrUnauthorized = errors.New("credentials refused")
	ErrRejected     = errors.New("request refused as invalid")
	ErrUnavailable  = errors.New("GitHub unavailable")
	ErrIncomplete   = errors.New("list incomplete")
)

// RateLimitError says that GitHub wants no request of this installation before Until. If Reserve is
// set, calls that cannot wait are still made.
type RateLimitError struct {
	Until   time.Time
	Reserve bool
}

func (e *RateLimitError) Error() string {
	return "rate limit reached until " + e.Until.UTC().Format(time.RFC3339)
}

// statusError is an answer that refuses the request. It is for the operator's log.
type statusError struct {
	Status      int
	Message     string
	RequestID   string
	Permissions string // the permissions GitHub would have accepted, such as "checks=write"
	Token       bool   // what was refused is a token for the installation
}

func (e *statusError) Error() string {
	return fmt.Sprintf("status %d %q (request %s)", e.Status, e.Message, e.RequestID)
}

func statusOf(err error) int {
	var s *statusError
	if errors.As(err, &s) {
		return s.Status
	}
	return 0
}

// operation names a call for whoever reads its error.
type operation struct {
	action     string // such as "read the pull request"
	permission string // which permission of the App it needs, such as "Checks: read and write"
}

// explain turns an error of the call into one that can be shown. A cancelled context stays what it is.
func (o operation) explain(err error) error {
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return fmt.Errorf("%s: %w", o.action, err)
	}
	var limit *RateLimitError
	if errors.As(err, &limit) {
		return fault.Wrap(fmt.Errorf("%s: %w", o.action, limit), "GitHub has asked Tollgate to slow down.",
			"The App has used up its allowance of requests for now.",
			"Nothing needs to be done: Tollgate goes on after "+limit.Until.UTC().Format("15:04:05 UTC")+".")
	}
	f, kind := o.refusal(err)
	f.Err = fmt.Errorf("%s: %w: %w", o.action, kind, err)
	return f
}

func (o operation) refusal(err error) (f *fault.Error, kind error) {
	var s *statusError
	switch {
	case errors.Is(err, ErrIncomplete):
		return fault.New("GitHub's list is not complete: Tollgate could not "+o.action+".",
			"Nothing is decided on a part of the facts.", "Try again in a moment."), ErrIncomplete
	case !errors.As(err, &s) || s.Status >= 500:
		return fault.New("GitHub gave no usable answer: Tollgate could not "+o.action+".", "",
			"Tollgate tries again by itself; if it lasts, see https://www.githubstatus.com or the Enterprise Server's state."), ErrUnavailable
	}
	if s.Token && s.Status != 401 {
		return tokenRefusal(s.Status)
	}
	switch s.Status {
	case 401:
		return fault.New("GitHub does not accept the App's credentials.",
			"Tollgate could not "+o.action+".",
			"Check that the App's id and private key belong together, and that the App is neither suspended nor uninstalled."), ErrUnauthorized
	case 403:
		return fault.New("GitHub does not permit the App to "+o.action+".",
			"The App probably lacks the permission \""+o.needed(s)+"\" in this repository.",
			"Grant it on the App's settings page, and let the owner accept it for the installation."), ErrForbidden
	case 404:
		return fault.New("GitHub knows nothing of what Tollgate asked for: it could not "+o.action+".",
			"It was deleted or moved, or the App is not installed on this repository.", ""), ErrNotFound
	}
	return fault.New("GitHub refused a request of Tollgate: it could not "+o.action+".", "",
		"The server's log has GitHub's answer."), ErrRejected
}

// tokenRefusal is about the installation, whatever the operation was.
func tokenRefusal(status int) (f *fault.Error, kind error) {
	if status == 403 {
		return fault.New("The App's installation is suspended.", "Tollgate can neither read nor report anything there.",
			"An owner of the account can lift the suspension on the App's installation page."), ErrForbidden
	}
	return fault.New("The App is not installed on this repository.", "Tollgate can neither read nor report anything there.",
		"Add the repository on the App's installation page, or install the App again."), ErrNotFound
}

// needed prefers GitHub's own word on the missing permission.
func (o operation) needed(s *statusError) string {
	if s.Permissions != "" {
		return strings.ReplaceAll(s.Permissions, "=", ": ")
	}
	return o.permission
}
