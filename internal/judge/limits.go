package judge

import "runtime/debug"

// The garbage of compiling is not worth collecting, because the process is short-lived; that of a
// large plan is. Near the memory limit the runtime collects all the same.
const (
	whileCompiling = -1
	whileJudging   = 130 // percent of what lives; 100 takes a tenth more of the processor's time, 200 a fifth more memory
)

// softLimits make the runtime careful before the kernel's limits end the process.
func softLimits(p preamble) {
	debug.SetGCPercent(whileCompiling)
	debug.SetMemoryLimit(p.Memory / 4 * 3)
	// A stack is copied to grow, so what nests without end would pass for a lack of memory.
	debug.SetMaxStack(int(p.Memory / 8))
}
