// Package hclsource reads HCL without running it: which directories a root module is made of,
// what `terraform init` depends on, and on which lines a value of the plan comes from.
//
// It evaluates nothing and resolves no remote module, so what it says of a line is a well-founded
// guess and never decides a verdict. Files may be hostile: their size and nesting are limited
// before the parser, whose recursion would end the process, sees them.
package hclsource

import (
	"fmt"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2"

	"github.com/tollgate/tollgate/internal/fault"
)

// Location is a range of lines of a file.
type Location struct {
	File    string // slash-separated, relative to the root of the file system
	Line    int    // 1-based
	EndLine int    // the last line, included
}

func (l Location) String() string { return fmt.Sprintf("%s:%d", l.File, l.Line) }

// SourceError is a mistake in HCL, and the cause of the fault that reports it.
type SourceError struct {
	Location
	Message string // the parser's own words
}

func (e *SourceError) Error() string { return e.Location.String() + ": " + e.Message }

// fail makes the fault of one mistake.
func fail(at Location, message string) error {
	return fault.Wrap(&SourceError{at, message},
		"The Terraform configuration has an error in "+at.String()+".", message,
		"Correct the file and push again.")
}

// Module is a root module with all local modules that it is made of.
type Module struct {
	dir    string
	dirs   map[string]*directory
	tfvars map[string]*hcl.Attribute // values that the root module's variables are given
	values []sourceFile              // the files that tfvars come from
	lock   []byte                    // of the lock file; nil when there is none
	spent  budget
}

// Load parses the root module in dir and, recursively, the local modules that it calls. Paths are
// relative to fsys, which should be the whole repository. An error of the configuration is a
// fault around a *SourceError.
func Load(fsys fs.FS, dir string) (*Module, error) {
	m := &Module{dir: path.Clean(dir), dirs: map[string]*directory{}}
	if err := m.load(fsys, m.dir, nil); err != nil {
		return nil, err
	}
	if len(m.dirs[m.dir].files) == 0 {
		return nil, fault.New(fmt.Sprintf("The directory %q holds no Terraform configuration.", m.dir), "There is nothing to plan.",
			"Correct the project's `dir`, or add the configuration.")
	}
	if err := m.loadTfvars(fsys); err != nil {
		return nil, err
	}
	lock, err := fs.ReadFile(fsys, path.Join(m.dir, lockFile))
	if err == nil {
		m.lock = lock
	}
	return m, nil
}

// load reads one directory and what it calls. callers are the directories on the way to it.
func (m *Module) load(fsys fs.FS, dir string, callers []string) error {
	if m.dirs[dir] != nil {
		return nil // seen on another way, with all below it
	}
	d, err := parseDir(fsys, dir, &m.spent)
	if err != nil {
		return err
	}
	m.dirs[dir] = d
	callers = append(callers, dir)
	for _, name := range slices.Sorted(maps.Keys(d.calls)) {
		if err := m.loadCall(fsys, d.calls[name], callers); err != nil {
			return err
		}
	}
	return nil
}

func (m *Module) loadCall(fsys fs.FS, c *moduleCall, callers []string) error {
	if !c.local {
		return nil
	}
	at := c.location()
	if c.dir == "" {
		return fail(at, fmt.Sprintf("The module source %q leads out of the repository.", c.source))
	}
	if slices.Contains(callers, c.dir) {
		return fail(at, fmt.Sprintf("The module %q calls itself, through %s.", c.name, strings.Join(callers, ", ")))
	}
	if err := m.load(fsys, c.dir, slices.Clone(callers)); err != nil {
		return err
	}
	if len(m.dirs[c.dir].files) == 0 {
		return fail(at, fmt.Sprintf("The module directory %q does not exist or holds no Terraform configuration.", c.dir))
	}
	return nil
}

// Dirs returns the directories whose files the root module is made of, sorted.
func (m *Module) Dirs() []string { return slices.Sorted(maps.Keys(m.dirs)) }

// Variable is an input variable that the root module declares.
type Variable struct {
	Name     string
	Required bool // it has no default
	Location Location
}

// Variables returns the root module's input variables, sorted by name.
func (m *Module) Variables() []Variable {
	root := m.dirs[m.dir]
	var vars []Variable
	for _, name := range slices.Sorted(maps.Keys(root.variables)) {
		_, hasDefault := find(root.variables[name], "default")
		vars = append(vars, Variable{name, !hasDefault, headerOf(root.variables[name][0])})
	}
	return vars
}

// Backend is where the root module says that its state lives.
type Backend struct {
	Present  bool
	Cloud    bool   // a cloud block, which has no type
	Type     string // such as s3
	Location Location
	// Attributes are the arguments that are literal, as text; those of nested blocks and objects
	// under names such as "workspaces.name".
	Attributes map[string]string
	// Computed names arguments that are not literal, sorted.
	Computed []string
}

// Backend returns the root module's backend or cloud block. An override file's replaces the other.
func (m *Module) Backend() Backend {
	b := Backend{Attributes: map[string]string{}}
	for _, t := range m.dirs[m.dir].terraform {
		content, _, _ := t.Body.PartialContent(terraformSchema)
		for _, block := range content.Blocks {
			if block.Type != "backend" && block.Type != "cloud" {
				continue
			}
			b = Backend{Present: true, Cloud: block.Type == "cloud", Location: headerOf(block), Attributes: map[string]string{}}
			if !b.Cloud {
				b.Type = block.Labels[0]
			}
			b.collect("", block.Body)
		}
	}
	slices.Sort(b.Computed)
	return b
}

// collect takes a body's literal arguments.
func (b *Backend) collect(prefix string, body hcl.Body) {
	attrs, blocks := everything(body)
	for _, a := range attrs {
		b.collectValue(prefix+a.Name, a.Expr)
	}
	for _, block := range blocks {
		b.collect(prefix+block.Type+".", block.Body)
	}
}

func (b *Backend) collectValue(name string, expr hcl.Expression) {
	if text, ok := literal(expr); ok {
		b.Attributes[name] = text
		return
	}
	if items, diags := hcl.ExprMap(expr); !diags.HasErrors() {
		for _, item := range items {
			if key, ok := itemKey(item); ok {
				b.collectValue(name+"."+key, item.Value)
			}
		}
		return
	}
	b.Computed = append(b.Computed, name)
}
