package judge

import "runtime/debug"

// The garbage of compiling is not worth collecting, because the process is short-lived; that of a
// large plan is. Near the memory limit the runtime collects all the same.
const (
	whileCompiling = -1
	whileJudging   = 100 // percent of what lives; 200 saves a tenth of the time for half as much memory again
)

// softLimits make the runtime careful before the kernel's limits end the process.
func softLimits(p preamble) {
	debug.SetGCPercent(whileCompiling)
	debug.SetMemoryLimit(p.Memory / 4 * 3)
	// A stack is copied to grow, so what nests without end would pass for a lack of memory.
	debug.SetMaxStack(int(p.Memory / 8))
}
