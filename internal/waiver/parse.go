package waiver

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/lexer"
	"github.com/goccy/go-yaml/parser"

	"github.com/tollgate/tollgate/internal/fault"
)

const (
	maxFile    = 64 << 10 // bytes
	maxTokens  = 5000     // of YAML; the parser's time grows with their square, that of the lexer does not
	maxWaivers = 200
	maxReason  = 500 // characters
	minLetters = 10  // letters of a reason, of which
	minOther   = 4   // have to differ
	maxShown   = 20  // mistakes told at once
)

// Parse reads a waivers file; file is its path in the repository, for messages. Its error is a
// *fault.Error that tells every mistake with its line. No waiver of such a file holds.
func Parse(file string, content []byte) (List, error) {
	r := &reader{}
	waivers := r.read(content)
	if len(r.mistakes) == 0 {
		return List{file: file, waivers: waivers}, nil
	}
	return List{}, fault.New("The file `"+file+"` is not valid: "+r.text()+".",
		"A waiver that is misread lets through what nobody agreed to, so nothing is judged with this file.",
		"Correct it on the base branch, from which it is read.")
}

type mistake struct {
	line int
	text string
}

// reader walks the YAML and gathers mistakes.
type reader struct{ mistakes []mistake }

func (r *reader) fail(line int, format string, args ...any) {
	r.mistakes = append(r.mistakes, mistake{line, fmt.Sprintf(format, args...)})
}

func (r *reader) text() string {
	slices.SortStableFunc(r.mistakes, func(a, b mistake) int { return a.line - b.line })
	var lines []string
	for _, m := range r.mistakes[:min(len(r.mistakes), maxShown)] {
		lines = append(lines, fmt.Sprintf("line %d: %s", m.line, m.text))
	}
	if more := len(r.mistakes) - len(lines); more > 0 {
		lines = append(lines, fmt.Sprintf("and %d more", more))
	}
	return strings.Join(lines, "; ")
}

func lineOf(n ast.Node) int {
	if t := n.GetToken(); t != nil && t.Position != nil {
		return t.Position.Line
	}
	return 1
}

func (r *reader) read(content []byte) []Waiver {
	if len(content) > maxFile {
		r.fail(1, "the file is larger than %d KiB", maxFile>>10)
		return nil
	}
	tokens := lexer.Tokenize(string(content))
	if len(tokens) > maxTokens {
		r.fail(1, "the file has more than %d keys, values and marks", maxTokens)
		return nil
	}
	file, err := parser.Parse(tokens, 0)
	if err != nil {
		r.syntax(err)
		return nil
	}
	var docs []ast.Node
	for _, d := range file.Docs {
		if d.Body != nil {
			docs = append(docs, d.Body)
		}
	}
	if len(docs) != 1 {
		r.fail(1, "the file must hold one YAML document with the key `waivers`, whose list may be empty")
		return nil
	}
	var waivers []Waiver
	r.mapping(docs[0], "the file", []string{"waivers"}, func(_ string, n ast.Node) { waivers = r.list(n) })
	return waivers
}

// syntax reports what the YAML parser says, without the excerpt that it draws.
func (r *reader) syntax(err error) {
	var at yaml.Error
	if errors.As(err, &at) && at.GetToken() != nil && at.GetToken().Position != nil {
		text := at.GetMessage()
		if strings.Contains(text, "'@'") {
			text += "; an owner has to stand in quotes"
		}
		r.fail(at.GetToken().Position.Line, "%s", text)
		return
	}
	r.fail(1, "%s", err)
}

// mapping reads a mapping that has exactly the given keys.
func (r *reader) mapping(n ast.Node, what string, keys []string, read func(key string, value ast.Node)) {
	m, ok := n.(*ast.MappingNode)
	if !ok {
		r.fail(lineOf(n), "%s must be a mapping with %s", what, strings.Join(keys, ", "))
		return
	}
	given := map[string]bool{}
	for _, v := range m.Values {
		key, ok := v.Key.(*ast.StringNode)
		if !ok || !slices.Contains(keys, key.Value) {
			r.fail(lineOf(v.Key), "%s cannot have the key `%.100s`; its keys are %s", what, oneLine(v.Key.String()), strings.Join(keys, ", "))
			continue
		}
		given[key.Value] = true
		read(key.Value, v.Value)
	}
	for _, key := range keys {
		if !given[key] {
			r.fail(lineOf(n), "%s lacks the key `%s`", what, key)
		}
	}
}

func (r *reader) list(n ast.Node) []Waiver {
	s, ok := n.(*ast.SequenceNode)
	if !ok {
		r.fail(lineOf(n), "`waivers` must be a list")
		return nil
	}
	if len(s.Values) > maxWaivers {
		r.fail(lineOf(n), "there are more than %d waivers: with so many, the rule is what has to change", maxWaivers)
		return nil
	}
	waivers := make([]Waiver, 0, len(s.Values))
	lines := map[string]int{}
	for _, item := range s.Values {
		w := r.waiver(item)
		if first, twice := lines[w.id()]; twice && w.Rule != "" && w.Address != "" {
			r.fail(w.Line, "the same rule and address are waived on line %d already", first)
		}
		lines[w.id()] = w.Line
		waivers = append(waivers, w)
	}
	return waivers
}

func (r *reader) waiver(n ast.Node) Waiver {
	w := Waiver{Line: lineOf(n)}
	keys := []string{"rule", "address", "reason", "owner", "expires"}
	r.mapping(n, "a waiver", keys, func(key string, value ast.Node) {
		text, ok := r.scalar(value, key)
		if !ok {
			return
		}
		var err error
		switch key {
		case "rule":
			w.Rule, err = text, checkRule(text)
		case "address":
			w.Address = text
			w.pattern, err = parsePattern(text)
		case "reason":
			w.Reason, err = oneLine(text), checkReason(text)
		case "owner":
			w.Owner, err = text, checkOwner(text)
		case "expires":
			if w.Expires, err = time.Parse(time.DateOnly, text); err != nil {
				err = errors.New("is no date such as 2027-03-31")
			}
		}
		if err != nil {
			r.fail(lineOf(value), "`%s`: %.100q %v", key, text, err)
		}
	})
	return w
}

// scalar reads a text, plain, quoted or in a block.
func (r *reader) scalar(n ast.Node, key string) (string, bool) {
	text := ""
	switch s := n.(type) {
	case *ast.StringNode:
		text = s.Value
	case *ast.LiteralNode:
		text = s.Value.Value
	}
	if text = strings.TrimSpace(text); text == "" {
		r.fail(lineOf(n), "`%s` must be a text", key)
		return "", false
	}
	return text, true
}

var (
	rulePattern  = regexp.MustCompile(`^[^/\s*?]+/[^/\s*?]+$`)
	ownerPattern = regexp.MustCompile(`^@[A-Za-z0-9][A-Za-z0-9_-]{0,99}(/[A-Za-z0-9][A-Za-z0-9._-]{0,99})?$`)
)

func checkRule(text string) error {
	if rulePattern.MatchString(text) {
		return nil
	}
	return errors.New("is not one rule, such as plan.tls/listener-policy: a whole package cannot be waived")
}

func checkOwner(text string) error {
	if ownerPattern.MatchString(text) {
		return nil
	}
	return errors.New("is neither a person nor a team of GitHub, such as \"@alice\" or \"@acme/payments\"")
}

// checkReason refuses what is there only because the key must be: an auditor reads it later.
func checkReason(text string) error {
	letters, other := 0, map[rune]bool{}
	for _, c := range text {
		if unicode.IsLetter(c) || unicode.IsDigit(c) {
			letters++
			other[unicode.ToLower(c)] = true
		}
		if !unicode.IsPrint(c) && !unicode.IsSpace(c) || c == unicode.ReplacementChar {
			return errors.New("has characters that cannot be shown")
		}
	}
	if letters < minLetters || len(other) < minOther {
		return errors.New("is no reason: say in a sentence why the rule cannot be kept, and until when")
	}
	if len([]rune(text)) > maxReason {
		return fmt.Errorf("is longer than %d characters", maxReason)
	}
	return nil
}

func oneLine(text string) string { return strings.Join(strings.Fields(text), " ") }
