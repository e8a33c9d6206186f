package waiver

import (
	"errors"
	"fmt"
	"strings"
	"unicode"
)

// maxAddress bounds a pattern, in bytes.
const maxAddress = 1024

// pattern is a parsed address, with or without wildcards.
type pattern struct {
	modules  []step
	data     bool // a data source
	typ      glob
	resource step
	anything bool // ends with **: any resource below the modules
}

// step is a name with an instance key.
type step struct {
	deep bool // **: any number of modules
	name glob
	key  key
}

// key is an instance key. The zero key is that of a resource without instances.
type key struct {
	given  bool
	any    bool // [*]
	quoted bool
	text   glob // as Terraform writes it, without the quotes
}

// glob is a text in which each wild token stands for any number of characters.
type glob []token

type token struct {
	wild bool
	char byte
}

func (g glob) literal() bool {
	for _, t := range g {
		if t.wild {
			return false
		}
	}
	return true
}

// open reports whether the glob matches everything.
func (g glob) open() bool {
	for _, t := range g {
		if !t.wild {
			return false
		}
	}
	return true
}

// parsePattern reads a pattern as the package comment describes it.
func parsePattern(text string) (pattern, error) {
	return parse(text, true)
}

// parseAddress reads an address as Terraform writes it; in it a star is a character like any other.
// It returns false for what is no address of a resource, which no waiver can name.
func parseAddress(text string) (pattern, bool) {
	p, err := parse(text, false)
	return p, err == nil
}

func parse(text string, wild bool) (pattern, error) {
	if len(text) > maxAddress && wild {
		return pattern{}, fmt.Errorf("is longer than %d bytes", maxAddress)
	}
	steps, err := split(text, wild)
	if err != nil {
		return pattern{}, err
	}
	var p pattern
	p.modules, steps = cutModules(steps)
	p.anything = len(steps) == 0 && p.modules[len(p.modules)-1].deep
	if p.anything {
		return p, nil
	}
	if len(steps) == 3 && steps[0].is("data") {
		p.data, steps = true, steps[1:]
	}
	if len(steps) != 2 || steps[0].deep || steps[1].deep || steps[0].key.given || steps[0].is("module") {
		return pattern{}, errors.New("does not end with one resource, as in module.a.aws_lb.b")
	}
	p.typ, p.resource = steps[0].name, steps[1]
	return p, nil
}

// cutModules cuts the steps that lead to the resource's module.
func cutModules(steps []step) (modules, rest []step) {
	for len(steps) > 0 {
		switch {
		case steps[0].deep:
			modules, steps = append(modules, steps[0]), steps[1:]
		case steps[0].is("module") && len(steps) > 1 && !steps[1].deep:
			modules, steps = append(modules, steps[1]), steps[2:]
		default:
			return modules, steps
		}
	}
	return modules, nil
}

// is reports whether the step is a keyword.
func (s step) is(word string) bool {
	if s.key.given || len(s.name) != len(word) {
		return false
	}
	for i, t := range s.name {
		if t.wild || t.char != word[i] {
			return false
		}
	}
	return true
}

// split cuts an address at the dots outside of keys.
func split(text string, wild bool) ([]step, error) {
	var steps []step
	for {
		var s step
		var err error
		if s, text, err = cutStep(text, wild); err != nil {
			return nil, err
		}
		steps = append(steps, s)
		if text == "" {
			return steps, nil
		}
		if text[0] != '.' {
			return nil, fmt.Errorf("has %.10q after a key, where a dot should be", text)
		}
		text = text[1:]
	}
}

func cutStep(text string, wild bool) (step, string, error) {
	end := strings.IndexAny(text, ".[")
	if end < 0 {
		end = len(text)
	}
	name, rest := text[:end], text[end:]
	if wild && name == "**" {
		return step{deep: true}, rest, nil
	}
	if err := checkName(name, wild); err != nil {
		return step{}, "", err
	}
	s := step{name: tokens(name, wild)}
	if !strings.HasPrefix(rest, "[") {
		return s, rest, nil
	}
	k, rest, err := cutKey(rest[1:], wild)
	s.key = k
	return s, rest, err
}

func checkName(name string, wild bool) error {
	if name == "" {
		return errors.New("has an empty step")
	}
	if strings.Contains(name, "**") {
		return errors.New("has ** inside a name; it stands alone, in place of modules")
	}
	for _, r := range name {
		if !unicode.IsLetter(r) && !unicode.IsDigit(r) && r != '_' && r != '-' && (r != '*' || !wild) {
			return fmt.Errorf("has the character %q, which no name has", r)
		}
	}
	return nil
}

// cutKey reads a key after its opening bracket.
func cutKey(text string, wild bool) (key, string, error) {
	if wild && strings.HasPrefix(text, "*]") {
		return key{given: true, any: true}, text[2:], nil
	}
	if !strings.HasPrefix(text, `"`) {
		digits, rest, closed := strings.Cut(text, "]")
		if !closed || digits == "" || strings.Trim(digits, "0123456789") != "" {
			return key{}, "", errors.New("has a key that is neither a number nor a quoted text nor *")
		}
		return key{given: true, text: tokens(digits, false)}, rest, nil
	}
	var g glob
	for i := 1; i < len(text); i++ {
		switch c := text[i]; {
		case c == '"':
			if !strings.HasPrefix(text[i:], `"]`) {
				return key{}, "", errors.New("has a key that is not closed with a bracket")
			}
			return key{given: true, quoted: true, text: g}, text[i+2:], nil
		case c == '\\' && wild && strings.HasPrefix(text[i:], `\*`):
			g = append(g, token{char: '*'})
			i++
		case c == '\\' && i+1 < len(text):
			g = append(g, token{char: c}, token{char: text[i+1]})
			i++
		default:
			g = append(g, token{wild: wild && c == '*', char: c})
		}
	}
	return key{}, "", errors.New("has a key without its closing quote")
}

func tokens(text string, wild bool) glob {
	g := make(glob, len(text))
	for i := range len(text) {
		g[i] = token{wild: wild && text[i] == '*', char: text[i]}
	}
	return g
}

// matches reports whether the address, which has no wildcards, is one that the pattern means. What
// mostly differs is looked at first.
func (p pattern) matches(a pattern) bool {
	if !p.anything && (p.data != a.data || !p.typ.matches(a.typ) || !p.resource.matches(a.resource)) {
		return false
	}
	return match(p.modules, a.modules, func(s step) bool { return s.deep }, step.matches)
}

func (s step) matches(a step) bool { return s.name.matches(a.name) && s.key.matches(a.key) }

func (k key) matches(a key) bool {
	if k.any {
		return a.given
	}
	return k.given == a.given && k.quoted == a.quoted && k.text.matches(a.text)
}

func (g glob) matches(a glob) bool {
	return match(g, a, func(t token) bool { return t.wild }, func(t, c token) bool { return t.char == c.char })
}

// match is the usual way to match wildcards without recursion: on a mismatch the last wildcard takes
// one more. It takes at most the product of the two lengths.
func match[T any](pattern, subject []T, wild func(T) bool, same func(p, s T) bool) bool {
	p, s, last, taken := 0, 0, -1, 0
	for s < len(subject) {
		switch {
		case p < len(pattern) && wild(pattern[p]):
			last, taken = p, s
			p++
		case p < len(pattern) && same(pattern[p], subject[s]):
			p++
			s++
		case last >= 0:
			taken++
			p, s = last+1, taken
		default:
			return false
		}
	}
	for p < len(pattern) && wild(pattern[p]) {
		p++
	}
	return p == len(pattern)
}

// broad says what makes the pattern one that nobody can have reviewed, or nothing.
func (p pattern) broad() string {
	switch {
	case p.anything:
		return "it names no resource, only modules"
	case !p.typ.literal():
		return "it leaves the resource type open"
	case p.resource.name.open():
		return "it leaves the resource's name open"
	}
	return ""
}
