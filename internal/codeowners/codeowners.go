// Package codeowners tells who owns which files by GitHub's CODEOWNERS.
//
// GitHub skips a line that it cannot read, and what that line was to protect falls to an earlier one
// or to nobody. Here such a file owns everything and nobody can speak for it, until it is corrected.
package codeowners

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/hmarr/codeowners"
)

// Places are where GitHub looks for the file, in its order.
var Places = []string{".github/CODEOWNERS", "CODEOWNERS", "docs/CODEOWNERS"}

// MaxSize is how large the file may be; GitHub ignores a larger one.
const MaxSize = 3 << 20

// maxLine is where the library stops reading without a word.
const maxLine = 60_000

// Rule is one line of the file and the paths that it decides.
type Rule struct {
	Line    int
	Pattern string
	Paths   []string // sorted
	Owners  []string // @login and @org/team in lower case, or e-mail addresses; none: nobody's
}

// Decide returns the lines that decide who owns the paths, in their order: for each path it is the
// last one that matches. A path that no line matches is nobody's.
func Decide(text []byte, paths []string) ([]Rule, error) {
	if err := readable(text); err != nil {
		return nil, err
	}
	ruleset, err := codeowners.ParseFile(bytes.NewReader(text))
	if err != nil {
		return nil, err
	}
	byLine := map[int]*Rule{}
	for _, path := range paths {
		if strings.ContainsFunc(path, func(r rune) bool { return r < 0x20 || r == 0x7f }) {
			// Patterns end at a line end, so "/infra/" would not own "infra/a\nb.tf".
			return nil, fmt.Errorf("the file %q has a name that no pattern can be relied upon to match", path)
		}
		rule, err := ruleset.Match(path)
		if err != nil {
			return nil, err
		}
		if rule == nil {
			continue
		}
		known := byLine[rule.LineNumber]
		if known == nil {
			known = &Rule{Line: rule.LineNumber, Pattern: rule.RawPattern(), Owners: names(rule.Owners)}
			byLine[rule.LineNumber] = known
		}
		known.Paths = append(known.Paths, path)
	}
	out := make([]Rule, 0, len(byLine))
	for _, r := range byLine {
		slices.Sort(r.Paths)
		out = append(out, *r)
	}
	slices.SortFunc(out, func(a, b Rule) int { return cmp.Compare(a.Line, b.Line) })
	return out, nil
}

// readable refuses what the library takes for something else than GitHub does.
func readable(text []byte) error {
	if len(text) > MaxSize {
		return errors.New("it is larger than 3 MiB, and GitHub ignores it")
	}
	n := 0
	for line := range bytes.Lines(text) {
		n++
		line = bytes.TrimSpace(line)
		if len(line) == 0 || line[0] == '#' {
			continue
		}
		pattern, _, _ := bytes.Cut(line, []byte(" "))
		switch {
		case len(line) > maxLine:
			return fmt.Errorf("line %d: it is longer than %d bytes", n, maxLine)
		case bytes.Contains(line, []byte(`\#`)), bytes.ContainsAny(pattern, "[]!"):
			return fmt.Errorf(`line %d: GitHub knows no "!", no "[ ]" and no "\#" in a pattern`, n)
		}
	}
	return nil
}

func names(owners []codeowners.Owner) []string {
	out := make([]string, 0, len(owners))
	for _, o := range owners {
		out = append(out, strings.ToLower(o.String()))
	}
	return out
}
