//go:build failpoints

package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
)

// failpoint kills this process, as a crash would, at the point that the file "failpoint" in the data
// directory names: "POINT", or "POINT@N" for the Nth time that this process passes it. With
// "panic POINT@N" it panics from the Nth time on. A kill takes the file away, so that it happens once.
//
// It is a file because runners have no environment, and so that a test can choose a point while the
// server runs.
func failpoint[P ~string](dataDir string) func(P) {
	file := filepath.Join(dataDir, "failpoint")
	var passed atomic.Int64
	return func(p P) {
		text, err := os.ReadFile(file)
		if err != nil {
			return
		}
		value, panics := strings.CutPrefix(strings.TrimSpace(string(text)), "panic ")
		name, count, _ := strings.Cut(value, "@")
		nth, err := strconv.ParseInt(count, 10, 64)
		if err != nil {
			nth = 1
		}
		if string(p) != name || passed.Add(1) < nth {
			return
		}
		if panics {
			panic(fmt.Sprintf("failpoint %s", p))
		}
		_ = os.Remove(file)
		_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
		select {} // the signal is on its way
	}
}
