//go:build !linux

package confine

import (
	"context"
	"errors"
	"os"
	"syscall"
)

// Room exists on Linux only.
type Room struct{}

var errLinux = errors.New("only Linux has the name spaces that a room is made of")

// Open fails.
func Open(string, ...*os.File) (*Room, error) { return nil, errLinux }

// OpenSupervised fails.
func OpenSupervised(string, ...*os.File) (*Room, error) { return nil, errLinux }

// Check fails.
func Check(context.Context, string) error { return errLinux }

// Remedies names the one there is.
func Remedies() []string { return []string{"Use Linux 5.12 or newer."} }

// Enter fails.
func (*Room) Enter(Plan) error { return errLinux }

// Run fails.
func (*Room) Run(Command, *os.File, *os.File) (Result, error) {
	return Result{}, errors.Join(ErrNotRun, errLinux)
}

// Signal fails.
func (*Room) Signal(syscall.Signal) error { return errLinux }

// Close does nothing.
func (*Room) Close() {}

// Inside fails.
func Inside() int { return 1 }

// Supervise fails.
func Supervise(string) int { return 1 }
