// Package fault is an error that is safe to show: what is wrong, why it matters and what to do,
// with the technical cause kept apart for the operator's log.
package fault

import (
	"errors"
	"strings"
	"syscall"
)

// Error carries text that may be shown to anyone who may see the pull request. Err is for the
// operator's log only: it may quote a program's output and is never shown.
type Error struct {
	What string // one sentence: what is wrong
	Why  string // why it matters, or empty
	Fix  string // what to do about it, or empty
	Err  error  // the cause, or nil
}

// New returns an Error without a cause.
func New(what, why, fix string) *Error { return &Error{What: what, Why: why, Fix: fix} }

// Wrap returns an Error around a cause.
func Wrap(err error, what, why, fix string) *Error {
	return &Error{What: what, Why: why, Fix: fix, Err: err}
}

// Error is the operator's view: the public sentence and the cause.
func (e *Error) Error() string {
	if e.Err == nil {
		return e.What
	}
	return strings.TrimSuffix(e.What, ".") + ": " + e.Err.Error()
}

func (e *Error) Unwrap() error { return e.Err }

// Public returns the text that may be shown for err. An error that carries none is answered
// with a neutral sentence, because its text may hold a secret.
func Public(err error) *Error {
	var e *Error
	if errors.As(err, &e) {
		return &Error{What: e.What, Why: e.Why, Fix: e.Fix}
	}
	if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) {
		return &Error{
			What: "The disk of Tollgate's server is full.",
			Why:  "Nothing was applied because of it.",
			Fix:  "Whoever runs the server makes room; then `/plan` tries again.",
		}
	}
	return &Error{
		What: "Something went wrong inside Tollgate.",
		Why:  "Nothing was applied because of it.",
		Fix:  "The server's log has the details; `/plan` tries again.",
	}
}

// Text joins the public parts into sentences for a terminal.
func (e *Error) Text() string {
	parts := make([]string, 0, 3)
	for _, p := range []string{e.What, e.Why, e.Fix} {
		if p != "" {
			parts = append(parts, p)
		}
	}
	return strings.Join(parts, " ")
}
