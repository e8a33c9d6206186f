package enginetest_test

import (
	"os"
	"runtime/debug"
	"testing"
)

// Worlds are small and short-lived, so that collecting their garbage seldom costs little memory and
// saves a tenth of the time.
func TestMain(m *testing.M) {
	debug.SetGCPercent(400)
	os.Exit(m.Run())
}
