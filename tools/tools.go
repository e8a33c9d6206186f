// Package tools pins the programs that check and document this repository, apart from what the
// product is made of, and holds the scripts that the Makefile runs.
package tools
