package gate

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io/fs"
	"maps"
	"path"
	"strings"
	"sync"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/util"

	"github.com/tollgate/tollgate/internal/fault"
)

// gates are the folders of a set whose rules are asked.
var gates = map[string]bool{"plan": true, "apply": true}

// sources are the files of a set, parsed.
type sources struct {
	name    string
	modules map[string]*ast.Module
	data    map[string]any // content of a data file, by path
}

// digest is over names and contents; the lengths keep two sets with the same concatenation apart.
func digest(files []file) string {
	sum := sha256.New()
	for _, f := range files {
		fmt.Fprintf(sum, "%d:%s%d:%s", len(f.name), f.name, len(f.content), f.content)
	}
	return "sha256:" + hex.EncodeToString(sum.Sum(nil))
}

func parseAll(name string, files []file) (*sources, error) {
	parsed := make([]any, len(files))
	errs := make([]error, len(files))
	var wait sync.WaitGroup
	for i, f := range files {
		wait.Go(func() { parsed[i], errs[i] = parse(name, f) })
	}
	wait.Wait()
	src := &sources{name: name, modules: map[string]*ast.Module{}, data: map[string]any{}}
	for i, f := range files {
		if errs[i] != nil {
			return nil, errs[i]
		}
		if module, ok := parsed[i].(*ast.Module); ok {
			src.modules[f.name] = module
		} else {
			src.data[f.name] = parsed[i]
		}
	}
	return src, nil
}

type file struct {
	name    string // slash-separated, relative to the root of the set
	content []byte
}

// readFiles reads the policy and data files of the set in lexical order.
func readFiles(name string, fsys fs.FS) ([]file, error) {
	var files []file
	err := fs.WalkDir(fsys, ".", func(path string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return unusable(name, path, "cannot be read", err)
		case entry.IsDir() && ignored(path):
			return fs.SkipDir
		case entry.IsDir() || ignored(path) || (!isPolicyFile(path) && !isDataFile(path)):
			return nil
		}
		content, err := fs.ReadFile(fsys, path)
		if err != nil {
			return unusable(name, path, "cannot be read", err)
		}
		files = append(files, file{name: path, content: content})
		return nil
	})
	return files, err
}

// ignored reports whether a file or folder is no part of the set.
func ignored(name string) bool {
	base := path.Base(name)
	return base == "testdata" || (strings.HasPrefix(base, ".") && base != ".")
}

func isPolicyFile(name string) bool {
	return path.Ext(name) == ".rego" && !strings.HasSuffix(name, "_test.rego")
}

func isDataFile(name string) bool {
	ext := path.Ext(name)
	return ext == ".json" || ext == ".yaml" || ext == ".yml"
}

// parse returns the module in a policy file or the value in a data file.
func parse(set string, f file) (any, error) {
	if isDataFile(f.name) {
		var value any
		if err := util.Unmarshal(f.content, &value); err != nil {
			return nil, unusable(set, f.name, "is no valid JSON or YAML", err)
		}
		return value, nil
	}
	module, err := ast.ParseModuleWithOpts(f.name, string(f.content), ast.ParserOptions{
		Capabilities:      capabilities(),
		ProcessAnnotation: true,
		RegoVersion:       ast.RegoV1,
	})
	if err != nil {
		return nil, unusable(set, f.name, "does not parse", err)
	}
	return module, nil
}

// visible selects what a gate's program is made of: its own folder and the libraries.
func visible[V any](files map[string]V, gate string) map[string]V {
	seen := maps.Clone(files)
	maps.DeleteFunc(seen, func(file string, _ V) bool {
		root := gateOf(file)
		return root != "" && root != gate
	})
	return seen
}

// gateOf is the gate in whose folder the file lies, or "" for a library.
func gateOf(file string) string {
	root, _, nested := strings.Cut(file, "/")
	if nested && gates[root] {
		return root
	}
	return ""
}

// mount places each data file at the path of its folder.
func mount(name string, files map[string]any) (map[string]any, error) {
	root := map[string]any{}
	for file, value := range files {
		doc, ok := value.(map[string]any)
		if !ok {
			return nil, unusable(name, file, "holds no object at its top level", nil)
		}
		at := root
		for _, dir := range strings.Split(path.Dir(file), "/") {
			if dir == "." {
				continue
			}
			next, ok := at[dir].(map[string]any)
			if !ok && at[dir] != nil {
				return nil, unusable(name, file, "collides with another data file", nil)
			}
			if !ok {
				next = map[string]any{}
				at[dir] = next
			}
			at = next
		}
		if err := merge(at, doc); err != nil {
			return nil, unusable(name, file, "collides with another data file", err)
		}
	}
	return root, nil
}

// merge copies from into to. Two files may share an object but never define the same value:
// which of the two counts would be chance.
func merge(to, from map[string]any) error {
	for key, value := range from {
		old, exists := to[key]
		if !exists {
			to[key] = value
			continue
		}
		oldObject, ok1 := old.(map[string]any)
		newObject, ok2 := value.(map[string]any)
		if !ok1 || !ok2 {
			return fmt.Errorf("%s is defined twice", key)
		}
		if err := merge(oldObject, newObject); err != nil {
			return fmt.Errorf("%s: %w", key, err)
		}
	}
	return nil
}

// unusable says what is wrong with a file. The engine's message names line and construct and
// quotes only the policy, which its readers may see, so it becomes public text.
func unusable(name, file, what string, err error) error {
	detail := ""
	if err != nil {
		detail = " (" + strings.TrimSpace(err.Error()) + ")"
	}
	return fault.Wrap(err,
		"The file "+path.Join(name, file)+" of the policies "+what+detail+".",
		"A set that is loaded in part would let changes pass unjudged, so none of it is used.",
		"Correct the file; `opa check --strict` shows the same error.")
}
