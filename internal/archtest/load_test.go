package archtest

import (
	"bytes"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path"
	"slices"
	"strconv"
	"strings"
)

// A source is one package as its files tell it, without a build: files for other systems count as
// well, but not programs that are only run by hand.
type source struct {
	path  string // relative to the module
	files []file
}

type file struct {
	name   string
	test   bool
	syntax *ast.File
}

// load reads every Go package below the file system's root, except other modules and test data.
func load(root fs.FS) ([]source, error) {
	found := map[string]*source{}
	err := fs.WalkDir(root, ".", func(name string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case entry.IsDir():
			return enter(root, name)
		case path.Ext(name) != ".go":
			return nil
		}
		text, err := fs.ReadFile(root, name)
		if err != nil || bytes.HasPrefix(text, []byte("//go:build ignore\n")) {
			return err
		}
		syntax, err := parser.ParseFile(token.NewFileSet(), name, text, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		dir := path.Dir(name)
		if found[dir] == nil {
			found[dir] = &source{path: dir}
		}
		found[dir].files = append(found[dir].files, file{name, strings.HasSuffix(name, "_test.go"), syntax})
		return nil
	})
	packages := make([]source, 0, len(found))
	for _, p := range found {
		packages = append(packages, *p)
	}
	slices.SortFunc(packages, func(a, b source) int { return strings.Compare(a.path, b.path) })
	return packages, err
}

// enter refuses the directories that hold no packages of this module.
func enter(root fs.FS, dir string) error {
	if dir == "." {
		return nil
	}
	base := path.Base(dir)
	if base == "testdata" || strings.HasPrefix(base, ".") || strings.HasPrefix(base, "_") {
		return fs.SkipDir
	}
	if _, err := fs.Stat(root, path.Join(dir, "go.mod")); err == nil {
		return fs.SkipDir
	}
	return nil
}

func (f file) imports() []string {
	paths := make([]string, 0, len(f.syntax.Imports))
	for _, spec := range f.syntax.Imports {
		if unquoted, err := strconv.Unquote(spec.Path.Value); err == nil {
			paths = append(paths, unquoted)
		}
	}
	return paths
}

// uses reports whether the file mentions pkg.name. It goes by the usual name of the package,
// which is good enough for the standard library.
func (f file) uses(pkg, name string) bool {
	seen := false
	ast.Inspect(f.syntax, func(n ast.Node) bool {
		if s, ok := n.(*ast.SelectorExpr); ok && s.Sel.Name == name {
			if id, ok := s.X.(*ast.Ident); ok && id.Name == pkg {
				seen = true
			}
		}
		return !seen
	})
	return seen
}

func (f file) hasInit() bool {
	return slices.ContainsFunc(f.syntax.Decls, func(d ast.Decl) bool {
		fn, ok := d.(*ast.FuncDecl)
		return ok && fn.Recv == nil && fn.Name.Name == "init"
	})
}
