//go:build !linux

package confine

import (
	"errors"
	"syscall"
)

// spaces has no counterpart outside of Linux: Open fails where it is asked for.
func spaces() *syscall.SysProcAttr { return nil }

// Inside fails outside of Linux.
func Inside() int { panic(errors.New("only Linux has rooms")) }
