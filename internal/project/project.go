// Package project finds root modules and reads `.tollgate.yaml`, the repository's configuration.
// The configuration is strict: whatever it does not know is a mistake, told with its line, because
// a rule that is misspelt would otherwise be a rule that does not hold.
package project

import (
	"cmp"
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/bmatcuk/doublestar/v4"

	"github.com/tollgate/tollgate/internal/change"
)

// File is where the configuration lies, from the repository's root.
const File = ".tollgate.yaml"

// Config is the configuration of a repository.
type Config struct {
	Version  int
	Projects []Project // empty: the root modules are to be discovered
	Apply    Apply
	Policies Policies
}

// Project is a root module and what, beside its own modules, affects it.
type Project struct {
	change.Project
	WhenModified []string // patterns relative to the project's directory
}

// Policies says where the repository's own policies lie.
type Policies struct {
	Dir string // slash-separated, relative to the repository's root
}

// The events that an apply can follow.
const (
	OnMerge   = "merge"
	OnComment = "comment"
)

// Default is the configuration of a repository that has none.
func Default() Config {
	return Config{
		Version:  1,
		Apply:    Apply{On: []string{OnMerge, OnComment}, Approvals: 1, ApproverMayApply: true, Codeowners: true},
		Policies: Policies{Dir: "policies"},
	}
}

// complete fills in what a project leaves out. A deployment to an environment retires the one
// before it there, so that each project has its own unless it says otherwise.
func complete(p Project) Project {
	p.Workspace = cmp.Or(p.Workspace, "default")
	p.Engine = cmp.Or(p.Engine, "terraform")
	p.Environment = cmp.Or(p.Environment, p.Name)
	return p
}

// ModuleInfo is what is known of a directory with Terraform configuration.
type ModuleInfo struct {
	Dir         string
	HasBackend  bool // or a cloud block
	HasProvider bool
	// HasResources says that it declares a resource, a data source or a module call.
	HasResources bool
	Broken       bool     // holds a syntax error, so that the rest may be incomplete
	Calls        []string // directories that it calls as modules
}

// Discover returns a project for each root module, sorted by directory. A directory is one when
// it says where its state lives, or when it configures or declares anything, is called by no
// other and is not kept for reuse, examples or tests. One that cannot be read counts as one that
// declares something: an error must not hide what it is in.
func Discover(modules []ModuleInfo) []Project {
	called := map[string]bool{}
	for _, m := range modules {
		for _, dir := range m.Calls {
			called[dir] = called[dir] || dir != m.Dir
		}
	}
	var projects []Project
	taken := map[string]bool{}
	for _, m := range slices.SortedFunc(slices.Values(modules), func(a, b ModuleInfo) int { return cmp.Compare(a.Dir, b.Dir) }) {
		if m.HasBackend || (m.HasProvider || m.HasResources || m.Broken) && !called[m.Dir] && !supporting(m.Dir) {
			name := unique(nameOf(m.Dir), taken)
			projects = append(projects, complete(Project{Project: change.Project{Name: name, Dir: m.Dir}}))
		}
	}
	return projects
}

// supporting reports whether a directory is by its name not meant to be applied.
func supporting(dir string) bool {
	for part := range strings.SplitSeq(dir, "/") {
		switch part {
		case "modules", "examples", "example", "tests", "test", "testdata", "fixtures":
			return true
		}
	}
	return false
}

// nameOf makes a name that a command can carry out of a directory.
func nameOf(dir string) string {
	var parts []string
	for part := range strings.SplitSeq(strings.ToLower(dir), "/") {
		part = strings.Map(func(r rune) rune {
			if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' || strings.ContainsRune("._-", r) {
				return r
			}
			return '-'
		}, part)
		if part = strings.TrimLeft(part, "._-"); part != "" {
			parts = append(parts, part)
		}
	}
	name := strings.Join(parts, "/")
	if len(name) > maxName {
		name = strings.TrimLeft(name[len(name)-maxName:], "._-/") // the end tells more
	}
	return cmp.Or(name, "root")
}

func unique(name string, taken map[string]bool) string {
	candidate := name
	for n := 2; taken[candidate]; n++ {
		suffix := "-" + strconv.Itoa(n)
		candidate = strings.TrimRight(name[:min(len(name), maxName-len(suffix))], "/") + suffix
	}
	taken[candidate] = true
	return candidate
}

// Affected returns the projects that a change of files can affect, each after those that it
// depends on. deps returns the directories that a root module in a directory is made of, and
// false when they cannot all be known, in which case every change is taken to affect it.
//
// Whatever lies in or below one of those directories counts, templates and data too, except
// documentation and tests of Terraform. The configuration file and policies affect no plan.
func Affected(projects []Project, changed []string, deps func(dir string) ([]string, bool)) []change.Project {
	var affected []change.Project
	for _, p := range ordered(projects) {
		dirs, known := deps(p.Dir)
		hit := func(file string) bool {
			if matches(p, file) {
				return true
			}
			return !inert(file) && (!known || within(p.Dir, file) || slices.ContainsFunc(dirs, func(d string) bool { return within(d, file) }))
		}
		if slices.ContainsFunc(changed, hit) {
			affected = append(affected, p.Project)
		}
	}
	return affected
}

// inert reports whether no plan can depend on a file, unless a pattern says so.
func inert(file string) bool {
	for _, ext := range []string{".md", ".tftest.hcl", ".tftest.json"} {
		if strings.HasSuffix(file, ext) {
			return true
		}
	}
	return file == File
}

func within(dir, file string) bool { return dir == "." || strings.HasPrefix(file, dir+"/") }

func matches(p Project, file string) bool {
	return slices.ContainsFunc(p.WhenModified, func(pattern string) bool {
		ok, err := doublestar.Match(path.Join(escape(p.Dir), pattern), file)
		return ok || err != nil // Parse has checked the pattern; in doubt the project is planned
	})
}

var globs = strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`, `]`, `\]`, `{`, `\{`, `}`, `\}`)

// escape keeps a directory's own characters from being taken for a pattern.
func escape(dir string) string { return globs.Replace(dir) }

// ordered puts dependencies before what depends on them and keeps the order otherwise. Of a
// circle, which Parse refuses, every project still appears once.
func ordered(projects []Project) []Project {
	byName := map[string]Project{}
	for _, p := range projects {
		byName[p.Name] = p
	}
	var out []Project
	seen := map[string]bool{}
	var visit func(p Project)
	visit = func(p Project) {
		if seen[p.Name] {
			return
		}
		seen[p.Name] = true
		for _, name := range p.DependsOn {
			if dep, ok := byName[name]; ok {
				visit(dep)
			}
		}
		out = append(out, p)
	}
	for _, p := range projects {
		visit(p)
	}
	return out
}

// circle returns the names of projects that depend on each other in a circle, or nothing.
func circle(projects []Project) []string {
	depends := map[string][]string{}
	for _, p := range projects {
		depends[p.Name] = p.DependsOn
	}
	const visiting, done = 1, 2
	state := map[string]int{}
	var way []string
	var visit func(name string) bool
	visit = func(name string) bool {
		way = append(way, name)
		switch state[name] {
		case visiting:
			return true
		case done:
			way = way[:len(way)-1]
			return false
		}
		state[name] = visiting
		if slices.ContainsFunc(depends[name], visit) {
			return true
		}
		state[name] = done
		way = way[:len(way)-1]
		return false
	}
	for _, p := range projects {
		if visit(p.Name) {
			return way[slices.Index(way, way[len(way)-1]):]
		}
	}
	return nil
}

// Problem is a mistake in the configuration.
type Problem struct {
	Line    int // 1-based
	Message string
}

// ConfigError is all mistakes of a configuration, and the cause of the fault that reports them.
type ConfigError struct{ Problems []Problem }

func (e *ConfigError) Error() string {
	lines := make([]string, len(e.Problems))
	for i, p := range e.Problems {
		lines[i] = fmt.Sprintf("line %d: %s", p.Line, p.Message)
	}
	return strings.Join(lines, "\n")
}
