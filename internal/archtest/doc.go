// Package archtest holds the table of who may import whom, and a test that compares the source
// with it. It contains no code that ships.
package archtest
