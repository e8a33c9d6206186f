package project

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/agnivade/levenshtein"
	"github.com/bmatcuk/doublestar/v4"
	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"

	"github.com/tollgate/tollgate/internal/fault"
)

const (
	maxFile      = 64 << 10 // bytes of the file
	maxFlow      = 1000     // brackets; the YAML parser's time grows with the square of their nesting
	maxName      = 64       // bytes of a project's name, which is part of check names and commands
	maxProjects  = 500
	maxApprovals = 10
)

// Parse reads a configuration. Its error is a fault around a *ConfigError that holds every
// mistake, not just the first.
func Parse(data []byte) (Config, error) {
	r := &reader{}
	config := r.read(data)
	if len(r.problems) == 0 {
		return config, nil
	}
	slices.SortStableFunc(r.problems, func(a, b Problem) int { return a.Line - b.Line })
	err := &ConfigError{r.problems}
	return Config{}, fault.Wrap(err, "The configuration in `"+File+"` is not valid.", err.Error(),
		"Correct it on the base branch, from which it is read.")
}

// reader walks the YAML and gathers mistakes.
type reader struct{ problems []Problem }

func (r *reader) fail(line int, format string, args ...any) {
	r.problems = append(r.problems, Problem{line, fmt.Sprintf(format, args...)})
}

func lineOf(n ast.Node) int {
	if t := n.GetToken(); t != nil && t.Position != nil {
		return t.Position.Line
	}
	return 1
}

func (r *reader) read(data []byte) Config {
	config := Default()
	if len(data) > maxFile || bytes.Count(data, []byte("["))+bytes.Count(data, []byte("{")) > maxFlow {
		r.fail(1, "the file is too large: at most %d bytes and %d brackets are accepted", maxFile, maxFlow)
		return config
	}
	file, err := parser.ParseBytes(data, 0)
	if err != nil {
		r.syntax(err)
		return config
	}
	var docs []ast.Node
	for _, d := range file.Docs {
		if d.Body != nil {
			docs = append(docs, d.Body)
		}
	}
	if len(docs) != 1 {
		r.fail(1, "the file must hold one YAML document, at least `version: 1`")
		return config
	}
	lines := map[string]int{}
	var projects []located
	r.mapping(docs[0], "the file", []string{"version"}, fields{
		"version":  func(n ast.Node) { r.version(n) },
		"projects": func(n ast.Node) { projects = r.projects(n); lines["projects"] = lineOf(n) },
		"apply":    func(n ast.Node) { r.apply(n, &config.Apply) },
		"policies": func(n ast.Node) { r.policies(n, &config.Policies) },
	})
	if line, given := lines["projects"]; given && len(projects) == 0 && len(r.problems) == 0 {
		r.fail(line, "`projects` is empty: leave it out to have root modules discovered")
	}
	r.together(projects)
	for _, p := range projects {
		config.Projects = append(config.Projects, complete(p.Project))
	}
	return config
}

// syntax reports what the YAML parser says, without the excerpt that it draws.
func (r *reader) syntax(err error) {
	var at yaml.Error
	if errors.As(err, &at) && at.GetToken() != nil && at.GetToken().Position != nil {
		r.fail(at.GetToken().Position.Line, "%s", at.GetMessage())
		return
	}
	r.fail(1, "%s", err)
}

// fields maps the keys of a mapping to what reads their values.
type fields map[string]func(ast.Node)

// mapping reads a mapping with fixed keys.
func (r *reader) mapping(n ast.Node, what string, required []string, known fields) {
	m, ok := n.(*ast.MappingNode)
	if !ok {
		r.fail(lineOf(n), "%s must be a mapping of keys to values", what)
		return
	}
	given := map[string]bool{}
	for _, v := range m.Values {
		key, ok := v.Key.(*ast.StringNode)
		if !ok {
			r.fail(lineOf(v.Key), "%s cannot have the key `%s`", what, v.Key.String())
			continue
		}
		read, ok := known[key.Value]
		if !ok {
			r.fail(lineOf(key), "%s cannot have the key `%s`%s", what, key.Value, suggest(key.Value, known))
			continue
		}
		given[key.Value] = true
		read(v.Value)
	}
	for _, key := range required {
		if !given[key] {
			r.fail(lineOf(n), "%s lacks the key `%s`", what, key)
		}
	}
}

// suggest names the known key that was probably meant.
func suggest(key string, known fields) string {
	best, distance := "", 4
	for name := range known {
		if d := levenshtein.ComputeDistance(key, name); d < distance || d == distance && name < best {
			best, distance = name, d
		}
	}
	if best == "" || distance > len(best)/2 {
		return ""
	}
	return fmt.Sprintf(": did you mean `%s`?", best)
}

func (r *reader) text(n ast.Node, what string) (string, bool) {
	s, ok := n.(*ast.StringNode)
	if !ok || s.Value == "" {
		r.fail(lineOf(n), "%s must be a text", what)
		return "", false
	}
	return s.Value, true
}

func (r *reader) number(n ast.Node, what string, low, high int) int {
	if i, ok := n.(*ast.IntegerNode); ok {
		// The decimal digits, because YAML also reads 0x1, 0b1 and 1_0.
		if value, err := strconv.Atoi(i.GetToken().Value); err == nil && value >= low && value <= high {
			return value
		}
	}
	r.fail(lineOf(n), "%s must be a number from %d to %d", what, low, high)
	return low
}

func (r *reader) list(n ast.Node, what string) []ast.Node {
	s, ok := n.(*ast.SequenceNode)
	if !ok {
		r.fail(lineOf(n), "%s must be a list", what)
		return nil
	}
	return s.Values
}

// texts reads a list of texts without duplicates.
func (r *reader) texts(n ast.Node, what string, check func(text string) string) []string {
	var out []string
	for _, item := range r.list(n, what) {
		text, ok := r.text(item, "every entry of "+what)
		if !ok {
			continue
		}
		if problem := check(text); problem != "" {
			r.fail(lineOf(item), "%s: `%s` %s", what, text, problem)
			continue
		}
		if slices.Contains(out, text) {
			r.fail(lineOf(item), "%s has `%s` twice", what, text)
			continue
		}
		out = append(out, text)
	}
	return out
}

// checked reads a text that has to be of a certain form.
func (r *reader) checked(n ast.Node, what string, check func(text string) string) string {
	text, ok := r.text(n, what)
	if !ok {
		return ""
	}
	if problem := check(text); problem != "" {
		r.fail(lineOf(n), "%s: `%s` %s", what, text, problem)
	}
	return text
}

func (r *reader) version(n ast.Node) {
	if i, ok := n.(*ast.IntegerNode); !ok || i.GetToken().Value != "1" {
		r.fail(lineOf(n), "`version` must be 1")
	}
}

func (r *reader) policies(n ast.Node, p *Policies) {
	r.mapping(n, "`policies`", nil, fields{
		"dir": func(n ast.Node) { p.Dir = r.checked(n, "`policies.dir`", checkDir) },
	})
}

// located is a project and the line on which it begins.
type located struct {
	Project
	line int
}

func (r *reader) projects(n ast.Node) []located {
	items := r.list(n, "`projects`")
	if len(items) > maxProjects {
		r.fail(lineOf(n), "`projects` has more than %d entries", maxProjects)
		return nil
	}
	projects := make([]located, 0, len(items))
	for _, item := range items {
		projects = append(projects, located{r.project(item), lineOf(item)})
	}
	return projects
}

func (r *reader) project(n ast.Node) Project {
	var p Project
	r.mapping(n, "a project", []string{"name", "dir"}, fields{
		"name":          func(n ast.Node) { p.Name = r.checked(n, "`name`", checkName) },
		"dir":           func(n ast.Node) { p.Dir = r.checked(n, "`dir`", checkDir) },
		"workspace":     func(n ast.Node) { p.Workspace = r.checked(n, "`workspace`", checkWorkspace) },
		"engine":        func(n ast.Node) { p.Engine = r.checked(n, "`engine`", oneOf("terraform", "opentofu")) },
		"when_modified": func(n ast.Node) { p.WhenModified = r.texts(n, "`when_modified`", checkPattern) },
		"depends_on":    func(n ast.Node) { p.DependsOn = r.texts(n, "`depends_on`", checkName) },
		"environment":   func(n ast.Node) { p.Environment = r.checked(n, "`environment`", checkEnvironment) },
	})
	for _, pattern := range p.WhenModified {
		if joined := path.Join(escape(p.Dir), pattern); joined == ".." || strings.HasPrefix(joined, "../") {
			r.fail(lineOf(n), "`when_modified`: `%s` leads out of the repository", pattern)
		}
	}
	return p
}

// together checks what only all projects can tell.
func (r *reader) together(projects []located) {
	byName, byState := map[string]bool{}, map[string]string{}
	for _, p := range projects {
		if p.Name != "" && byName[p.Name] {
			r.fail(p.line, "two projects have the name `%s`", p.Name)
		}
		byName[p.Name] = true
		full := complete(p.Project)
		state := full.Dir + "\x00" + full.Workspace
		if other := byState[state]; other != "" && p.Dir != "" && other != p.Name {
			r.fail(p.line, "`%s` and `%s` are the same workspace of the same directory", other, p.Name)
		}
		byState[state] = p.Name
	}
	plain := make([]Project, len(projects))
	for i, p := range projects {
		plain[i] = p.Project
		for _, name := range p.DependsOn {
			if !byName[name] {
				r.fail(p.line, "`%s` depends on `%s`, which is not a project", p.Name, name)
			}
		}
	}
	if names := circle(plain); names != nil {
		first := slices.IndexFunc(projects, func(p located) bool { return p.Name == names[0] })
		r.fail(projects[first].line, "projects depend on each other in a circle: %s", strings.Join(names, " → "))
	}
}

func oneOf(allowed ...string) func(string) string {
	return func(text string) string {
		if slices.Contains(allowed, text) {
			return ""
		}
		return "is not one of " + strings.Join(allowed, ", ")
	}
}

var (
	namePattern      = regexp.MustCompile(`^[a-z0-9][a-z0-9._-]*(/[a-z0-9][a-z0-9._-]*)*$`)
	workspacePattern = regexp.MustCompile(`^[A-Za-z0-9_-][A-Za-z0-9._-]{0,89}$`)
)

func checkName(text string) string {
	if len(text) <= maxName && namePattern.MatchString(text) {
		return ""
	}
	return fmt.Sprintf("must consist of at most %d of the characters a-z, 0-9, `.`, `_`, `-` and `/`, each part beginning with a letter or digit", maxName)
}

func checkWorkspace(text string) string {
	if workspacePattern.MatchString(text) {
		return ""
	}
	return "is not a name of a Terraform workspace"
}

func checkEnvironment(text string) string {
	if len(text) <= 255 && strings.TrimSpace(text) == text && !strings.ContainsFunc(text, func(r rune) bool { return r < 0x20 || r == 0x7f }) {
		return ""
	}
	return "is not a name of a GitHub environment"
}

func checkDir(text string) string {
	if fs.ValidPath(text) && !strings.ContainsFunc(text, func(r rune) bool { return r < 0x20 || r == '\\' }) {
		return ""
	}
	if clean := path.Clean(text); fs.ValidPath(clean) && !strings.Contains(clean, "\\") {
		return fmt.Sprintf("must be written `%s`", clean)
	}
	return "must be a path inside the repository, relative to its root"
}

func checkPattern(text string) string {
	if doublestar.ValidatePattern(text) && !path.IsAbs(text) {
		return ""
	}
	return "is not a pattern relative to the project's directory"
}
