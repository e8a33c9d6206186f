//go:build failpoints

package main

import (
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"

	"github.com/tollgate/tollgate/internal/engine"
)

// failpoint kills this process, as a crash would, at the point that TOLLGATE_FAILPOINT names: "POINT",
// or "POINT@N" for the Nth time that it is passed.
func failpoint(environ []string) func(engine.Point) {
	for _, kv := range environ {
		value, ok := strings.CutPrefix(kv, "TOLLGATE_FAILPOINT=")
		if !ok {
			continue
		}
		name, count, _ := strings.Cut(value, "@")
		nth, err := strconv.ParseInt(count, 10, 64)
		if err != nil {
			nth = 1
		}
		var passed atomic.Int64
		return func(p engine.Point) {
			if string(p) == name && passed.Add(1) == nth {
				_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
				select {} // the signal is on its way
			}
		}
	}
	return nil
}
