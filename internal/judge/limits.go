package judge

import "runtime/debug"

// softLimits make the runtime careful before the kernel's limits end the process.
func softLimits(p preamble) {
	debug.SetMemoryLimit(p.Memory / 4 * 3)
	// A stack is copied to grow, so what nests without end would pass for a lack of memory.
	debug.SetMaxStack(int(p.Memory / 8))
}
