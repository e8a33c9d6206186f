// Package policies holds Tollgate's own policies, which are compiled into the program: the source gate,
// the plan gate's four families and the default apply gate. README.md says how to read and write them.
package policies

import "embed"

// Files holds the folders source, plan and apply without the tests.
//
//go:embed source/*/*.rego source/*/*.yaml source/lib/*/*.rego
//go:embed plan/*/*.rego plan/*/*.yaml plan/lib/*/*.rego plan/lib/*/*.yaml apply/*/*.rego
var Files embed.FS
