package gate

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"path"
	"regexp"
	"slices"
	"strings"
	"sync"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/util"

	"github.com/tollgate/tollgate/internal/fault"
)

// gates are the folders of a set whose rules are asked.
var gates = map[string]bool{ForSources: true, ForPlans: true, ForApplies: true}

// sources are the files of a set, parsed.
type sources struct {
	name    string
	modules map[string]*ast.Module
	data    map[string]any // content of a data file, by path
}

// Source is the files of a policy set as they were read. Nothing in them has been parsed, so that a
// process which must live can hold the policies of others.
type Source struct {
	Name   string // for messages only
	Digest string // "sha256:…" over the names and contents of all policy and data files; tests don't count
	Files  []File // in lexical order
}

// File is one file of a policy set. Its name is slash-separated and relative to the set's root.
type File struct {
	Name    string
	Content []byte
}

// quota bounds what is read of a set: its files come from people who may want to exhaust a server.
type quota struct {
	files       int
	file, total int64 // bytes
}

// verdictLine is how a line begins that may define a rule with a verdict.
var verdictLine = regexp.MustCompile(`(?m)^[ \t]*(default[ \t]+)?(deny|violation|warn)(_[a-zA-Z0-9_]+)?\b`)

var (
	policyQuota = quota{files: 2000, file: 4 << 20, total: 16 << 20}
	testQuota   = quota{files: 10_000, file: 16 << 20, total: 128 << 20}
)

// Read reads the policy and data files of the set in fsys, without its tests but for those that look
// as if they held policies, for Compile to refuse. name is for messages only. It returns a *fault.Error
// for a file that cannot be read, for one whose ending is in another spelling, and for a set that is
// too large.
func Read(name string, fsys fs.FS) (*Source, error) { return read(name, fsys, policyQuota, false) }

// ReadWithTests is Read with the tests and the data files in folders called testdata, for Test.
func ReadWithTests(name string, fsys fs.FS) (*Source, error) {
	return read(name, fsys, testQuota, true)
}

func read(name string, fsys fs.FS, left quota, tests bool) (*Source, error) {
	src := &Source{Name: name}
	leftForTests := testQuota
	err := fs.WalkDir(fsys, ".", func(file string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return unusable(name, file, "cannot be read", err)
		case entry.IsDir() && (isHidden(file) || isTest(file) && !tests):
			return fs.SkipDir
		case entry.IsDir() || isHidden(file):
			return nil
		case isMisspelt(file) && !isTest(file):
			return misspelt(name, file)
		case !isPolicy(file) && !isData(file):
			return nil
		}
		asTest, quota := isTest(file) && !tests, &left
		if asTest {
			quota = &leftForTests
		}
		content, err := quota.read(name, fsys, file)
		if err != nil {
			return err
		}
		if asTest && !verdictLine.Match(content) {
			return nil
		}
		src.Files = append(src.Files, File{Name: file, Content: content})
		return nil
	})
	if err != nil {
		return nil, err
	}
	src.Digest = src.digest()
	return src, nil
}

// read takes one file from the quota.
func (q *quota) read(set string, fsys fs.FS, file string) ([]byte, error) {
	if q.files--; q.files < 0 {
		return nil, tooLarge(set, "holds more files than a policy set may have")
	}
	f, err := fsys.Open(file)
	if err != nil {
		return nil, unusable(set, file, "cannot be read", err)
	}
	defer f.Close()
	content, err := io.ReadAll(io.LimitReader(f, q.file+1))
	if err != nil {
		return nil, unusable(set, file, "cannot be read", err)
	}
	if int64(len(content)) > q.file {
		return nil, unusable(set, file, fmt.Sprintf("is larger than %d MiB", q.file>>20), nil)
	}
	if q.total -= int64(len(content)); q.total < 0 {
		return nil, tooLarge(set, "is larger than a policy set may be")
	}
	return content, nil
}

func tooLarge(set, what string) error {
	return fault.New("The policy set "+set+" "+what+".",
		"Policies are read for every change, and a set that is read in part would let changes pass unjudged.",
		fmt.Sprintf("Keep it below %d files and %d MiB, and move what is no policy out of it.", policyQuota.files, policyQuota.total>>20))
}

// digest is over names and contents; the lengths keep two sets with the same concatenation apart.
func (s *Source) digest() string {
	sum := sha256.New()
	for _, f := range s.Files {
		if !isTest(f.Name) {
			fmt.Fprintf(sum, "%d:%s%d:%s", len(f.Name), f.Name, len(f.Content), f.Content)
		}
	}
	return "sha256:" + hex.EncodeToString(sum.Sum(nil))
}

// Judges reports whether the set has rules for the gate.
func (s *Source) Judges(gate string) bool {
	return slices.ContainsFunc(s.Files, func(f File) bool { return isPolicy(f.Name) && !isTest(f.Name) && gateOf(f.Name) == gate })
}

// parse parses the files that wanted selects.
func (s *Source) parse(wanted func(file string) bool) (*sources, error) {
	parsed := make([]any, len(s.Files))
	errs := make([]error, len(s.Files))
	var wait sync.WaitGroup
	for i, f := range s.Files {
		if wanted(f.Name) {
			wait.Go(func() { parsed[i], errs[i] = parse(s.Name, f) })
		}
	}
	wait.Wait()
	src := &sources{name: s.Name, modules: map[string]*ast.Module{}, data: map[string]any{}}
	for i, f := range s.Files {
		if errs[i] != nil {
			return nil, errs[i]
		}
		if module, ok := parsed[i].(*ast.Module); ok {
			src.modules[f.Name] = module
		} else if wanted(f.Name) {
			src.data[f.Name] = parsed[i]
		}
	}
	return src, nil
}

// waiversFile holds a set's exceptions. It is no data for the rules, but part of the digest: a
// verdict depends on it.
const waiversFile = "waivers.yaml"

func isHidden(file string) bool { return file != "." && strings.HasPrefix(path.Base(file), ".") }

func isPolicy(file string) bool { return path.Ext(file) == ".rego" }

func isData(file string) bool {
	ext := path.Ext(file)
	return ext == ".json" || ext == ".yaml" || ext == ".yml"
}

// isMisspelt reports whether a file would be a policy or data if its ending were in small letters.
func isMisspelt(file string) bool {
	small := strings.ToLower(file)
	return !isPolicy(file) && !isData(file) && (isPolicy(small) || isData(small))
}

func misspelt(set, file string) error {
	ext := path.Ext(file)
	return fault.New("The file "+path.Join(set, file)+" of the policies ends in "+ext+".",
		"Only files with endings in small letters are read; what this one says would count for nothing.",
		"Rename it so that it ends in "+strings.ToLower(ext)+".")
}

// isTest reports whether a file or folder serves the tests of a set only.
func isTest(file string) bool {
	return strings.HasSuffix(file, "_test.rego") || inTestdata(file)
}

func inTestdata(file string) bool { return slices.Contains(strings.Split(file, "/"), "testdata") }

// parse returns the module in a policy file or the value in a data file.
func parse(set string, f File) (any, error) {
	if isData(f.Name) {
		var value any
		if err := util.Unmarshal(f.Content, &value); err != nil {
			return nil, unusable(set, f.Name, "is no valid JSON or YAML", err)
		}
		return value, nil
	}
	module, err := ast.ParseModuleWithOpts(f.Name, string(f.Content), ast.ParserOptions{
		Capabilities:      capabilities(),
		ProcessAnnotation: true,
		RegoVersion:       ast.RegoV1,
	})
	if err != nil {
		return nil, unusable(set, f.Name, "does not parse", err)
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
		if what, err := place(root, file, value); what != "" {
			return nil, unusable(name, file, what, err)
		}
	}
	return root, nil
}

// place adds one data file to the document, or says why it cannot and leaves the document alone. Two
// files may share an object but never define the same value: which of the two counts would be chance.
func place(root map[string]any, file string, value any) (what string, err error) {
	doc, ok := value.(map[string]any)
	if !ok {
		return "holds no object at its top level", nil
	}
	if dir := path.Dir(file); dir != "." {
		for _, name := range slices.Backward(strings.Split(dir, "/")) {
			doc = map[string]any{name: doc}
		}
	}
	if err := collision(root, doc); err != nil {
		return "collides with another data file", err
	}
	merge(root, doc)
	return "", nil
}

func collision(to, from map[string]any) error {
	for _, key := range keys(from) {
		old, exists := to[key]
		if !exists {
			continue
		}
		oldObject, ok1 := old.(map[string]any)
		newObject, ok2 := from[key].(map[string]any)
		if !ok1 || !ok2 {
			return fmt.Errorf("%s is defined twice", key)
		}
		if err := collision(oldObject, newObject); err != nil {
			return fmt.Errorf("%s: %w", key, err)
		}
	}
	return nil
}

// merge copies from into to, between which there is no collision.
func merge(to, from map[string]any) {
	for key, value := range from {
		if old, ok := to[key].(map[string]any); ok {
			merge(old, value.(map[string]any))
		} else {
			to[key] = value
		}
	}
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
