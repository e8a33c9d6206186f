package policies_test

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io/fs"
	"maps"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/fstest"

	gocmp "github.com/google/go-cmp/cmp"
	"golang.org/x/tools/txtar"

	"github.com/tollgate/tollgate/infrastructure"
	"github.com/tollgate/tollgate/internal/change"
	"github.com/tollgate/tollgate/internal/gate"
	"github.com/tollgate/tollgate/internal/hclsource"
)

// A hostileCase is a pull request in testdata/source that must be refused before anything of it runs, with
// its passing twin: the smallest change that makes it fine. Lines at its beginning say
//
//	# Covers: T42, T57                rows of the threats that it is about
//	# want: fail(warn) rule file:line all that must be found, and nothing else
//	# link: path -> target            as in git; a submodule, a size and a pointer likewise
//	# fixed without: path             what the twin does not have
//
// Files below fixed/ replace those of the same name in the twin, those below allowed/ are policies by
// which it is not refused, and those below base/ are the tree before; without any, the twin is.
type hostileCase struct {
	name, family string
	covers       []string
	want         []string
	head, fixed  map[string]string
	base         map[string]string
	allowed      map[string]string
	extra        []hclsource.File // links and the like
	fixedExtra   []hclsource.File
	sizes        map[string]int64
}

func hostileCases(t *testing.T) []hostileCase {
	t.Helper()
	files, err := filepath.Glob("testdata/source/*/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatalf("no cases: %v", err)
	}
	var all []hostileCase
	for _, file := range files {
		archive, err := txtar.ParseFile(file)
		if err != nil {
			t.Fatal(err)
		}
		c := hostileCase{name: strings.TrimSuffix(filepath.Base(file), ".txtar"), family: filepath.Base(filepath.Dir(file)),
			head: map[string]string{}, fixed: map[string]string{}, base: map[string]string{}, allowed: map[string]string{}, sizes: map[string]int64{}}
		fixed := map[string]string{}
		for _, f := range archive.Files {
			to, name := c.head, f.Name
			switch first, rest, _ := strings.Cut(f.Name, "/"); first {
			case "fixed":
				to, name = fixed, rest
			case "base":
				to, name = c.base, rest
			case "allowed":
				to, name = c.allowed, rest
			}
			to[name] = string(f.Data)
		}
		maps.Copy(c.fixed, c.head)
		maps.Copy(c.fixed, fixed)
		c.read(t, archive.Comment)
		if len(c.base) == 0 {
			c.base = c.fixed
		}
		all = append(all, c)
	}
	return all
}

func (c *hostileCase) read(t *testing.T, comment []byte) {
	t.Helper()
	for s := bufio.NewScanner(bytes.NewReader(comment)); s.Scan(); {
		key, value, ok := strings.Cut(strings.TrimPrefix(s.Text(), "# "), ": ")
		if !ok {
			continue
		}
		switch key {
		case "Covers":
			c.covers = strings.Split(value, ", ")
		case "want":
			c.want = append(c.want, value)
		case "link":
			c.extra = append(c.extra, link(value))
		case "fixed link":
			c.fixedExtra = append(c.fixedExtra, link(value))
		case "submodule":
			c.extra = append(c.extra, hclsource.File{Path: value, Kind: "submodule"})
		case "pointer":
			c.extra = append(c.extra, hclsource.File{Path: value, Kind: "file", Pointer: true})
		case "fixed without":
			delete(c.fixed, value)
		case "size":
			name, number, _ := strings.Cut(value, " ")
			size, err := strconv.ParseInt(number, 10, 64)
			if err != nil {
				t.Fatal(err)
			}
			c.sizes[name] = size
		}
	}
	slices.Sort(c.want)
}

func link(text string) hclsource.File {
	name, target, _ := strings.Cut(text, " -> ")
	f := hclsource.File{Path: name, Kind: "link", Target: target}
	if leads := path.Join(path.Dir(name), target); !path.IsAbs(target) && fs.ValidPath(leads) {
		f.Leads = leads
	}
	return f
}

// tree is what git would hold.
func (c *hostileCase) tree(files map[string]string, extra []hclsource.File) hclsource.Tree {
	fsys := fstest.MapFS{}
	t := hclsource.Tree{FS: fsys}
	for _, name := range slices.Sorted(maps.Keys(files)) {
		fsys[name] = &fstest.MapFile{Data: []byte(files[name])}
		f := hclsource.File{Path: name, Kind: "file", Size: int64(len(files[name])), ID: fmt.Sprintf("%x", files[name])}
		if size, ok := c.sizes[name]; ok {
			f.Size = size
		}
		t.Files = append(t.Files, f)
	}
	for i := range c.sizes["many"] {
		if extra != nil {
			t.Files = append(t.Files, hclsource.File{Path: fmt.Sprintf("many/%d", i), Kind: "file"})
		}
	}
	for _, e := range extra {
		t.Files = slices.DeleteFunc(t.Files, func(f hclsource.File) bool { return f.Path == e.Path })
		t.Files = append(t.Files, e)
		for name, text := range files {
			if rest, ok := strings.CutPrefix(name, e.Leads+"/"); ok && e.Leads != "" {
				fsys[path.Join(e.Path, rest)] = &fstest.MapFile{Data: []byte(text)}
			}
		}
	}
	return t
}

func document(t *testing.T, head, base hclsource.Tree) json.RawMessage {
	t.Helper()
	d, err := json.Marshal(hclsource.Describe(hclsource.DocumentRoot{Name: "app", Dir: "app", Workspace: "default"}, head, &base))
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func (c *hostileCase) document(t *testing.T) json.RawMessage {
	t.Helper()
	return document(t, c.tree(c.head, append([]hclsource.File{}, c.extra...)), c.tree(c.base, nil))
}

func (c *hostileCase) twin(t *testing.T) json.RawMessage {
	t.Helper()
	fixed := c.tree(c.fixed, c.fixedExtra)
	return document(t, fixed, c.tree(c.base, nil))
}

// sourceSet compiles the rules for code out of files.
func sourceSet(files map[string][]byte) (*gate.Set, error) {
	fsys := fstest.MapFS{}
	for name, content := range files {
		if strings.HasPrefix(name, "source/") {
			fsys[name] = &fstest.MapFile{Data: content}
		}
	}
	src, err := gate.Read("tested", fsys)
	if err != nil {
		return nil, err
	}
	return gate.Compile(src, gate.ForSources)
}

// judgeSource returns what is found but what passes, as the comments have it.
func judgeSource(set *gate.Set, document json.RawMessage) (lines []string, blocks bool, err error) {
	result, err := set.JudgeSource(context.Background(), document)
	if err != nil {
		return nil, false, err
	}
	for _, f := range result.Findings {
		if f.Verdict == change.Pass {
			continue
		}
		blocks = blocks || f.Blocks()
		warn, place := "", "-"
		if f.Severity == change.Warn {
			warn = "(warn)"
		}
		if f.File != "" {
			place = fmt.Sprintf("%s:%d", f.File, f.Line)
		}
		lines = append(lines, fmt.Sprintf("%s%s %s %s", f.Verdict, warn, f.Rule, place))
	}
	slices.Sort(lines)
	return slices.Compact(lines), blocks, nil
}

func mustJudgeSource(t *testing.T, set *gate.Set, document json.RawMessage) (lines []string, blocks bool) {
	t.Helper()
	lines, blocks, err := judgeSource(set, document)
	if err != nil {
		t.Fatal(err)
	}
	return lines, blocks
}

// Covers: T39, T40, T41, T42, T43, T44, T45, T46, T47, T48, T49, T50, T51, T53, T58, T66, T68, T69, T70, T71
func TestHostilePullRequestsAreRefused(t *testing.T) {
	t.Parallel()
	set, err := sourceSet(sources(t))
	if err != nil {
		t.Fatal(err)
	}
	cases := hostileCases(t)
	for _, c := range cases {
		t.Run(c.family+"/"+c.name, func(t *testing.T) {
			t.Parallel()
			if len(c.covers) == 0 {
				t.Error("it does not say what it covers")
			}
			got, blocks := mustJudgeSource(t, set, c.document(t))
			if diff := gocmp.Diff(c.want, got); diff != "" || !blocks {
				t.Errorf("refused is %t, findings (-want +got):\n%s", blocks, diff)
			}
			if got, blocks := mustJudgeSource(t, set, c.twin(t)); blocks {
				t.Errorf("the twin is refused: %v", got)
			}
			c.tryAllowed(t, set)
		})
	}
	if len(cases) < 100 {
		t.Errorf("%d cases", len(cases))
	}
}

var digestInMessage = regexp.MustCompile(`Its digest is (sha256:[0-9a-f]{64})`)

// tryAllowed judges the case by parameters that allow it.
func (c *hostileCase) tryAllowed(t *testing.T, set *gate.Set) {
	t.Helper()
	if len(c.allowed) == 0 {
		return
	}
	result, err := set.JudgeSource(context.Background(), c.document(t))
	if err != nil {
		t.Fatal(err)
	}
	files := sources(t)
	for name, text := range c.allowed {
		for _, f := range result.Findings {
			if digest := digestInMessage.FindStringSubmatch(f.Message); digest != nil {
				text = strings.ReplaceAll(text, "DIGEST", digest[1])
			}
			if f.Verdict != change.Pass && strings.Contains(name, "/parameters.yaml") && !strings.Contains(f.Remediation, name) {
				t.Errorf("the finding of %s does not name %s: %s", f.Rule, name, f.Remediation)
			}
		}
		if files[name] == nil {
			t.Fatalf("%s is no file of the policies", name)
		}
		files[name] = []byte(text)
	}
	lenient, err := sourceSet(files)
	if err != nil {
		t.Fatal(err)
	}
	if got, blocks := mustJudgeSource(t, lenient, c.document(t)); blocks {
		t.Errorf("it is refused all the same: %v", got)
	}
}

// Every refusal rests on the rules of its family: with these silenced, what only they find is not
// refused. And every clause and condition is needed by some case.
func TestMistakesInRulesForCodeAreNoticed(t *testing.T) {
	t.Parallel()
	original := sources(t)
	cases := hostileCases(t)
	slices.SortStableFunc(cases, func(a, b hostileCase) int { return cmp.Compare(a.sizes["many"], b.sizes["many"]) })
	documents, twins := make([]json.RawMessage, len(cases)), make([]json.RawMessage, len(cases))
	wants, fines := make([][]string, len(cases)), make([][]string, len(cases))
	set, err := sourceSet(original)
	if err != nil {
		t.Fatal(err)
	}
	for i, c := range cases {
		documents[i], twins[i] = c.document(t), c.twin(t)
		wants[i], _ = mustJudgeSource(t, set, documents[i])
		fines[i], _ = mustJudgeSource(t, set, twins[i])
	}
	var all []mutant
	for name, text := range original {
		if strings.HasPrefix(name, "source/") && path.Ext(name) == ".rego" {
			all = append(all, mutants(t, name, text)...)
		}
	}
	all = slices.DeleteFunc(all, func(m mutant) bool { return !m.sampled() })
	var mu sync.Mutex
	var wait sync.WaitGroup
	work := make(chan mutant)
	unnoticed := map[string]bool{}
	for range 2 {
		wait.Go(func() {
			for m := range work {
				files := maps.Clone(original)
				files[m.file] = m.text
				mutated, err := sourceSet(files)
				if err != nil {
					continue // it is none, because it does not compile
				}
				noticed := false
				for i := 0; i < len(cases) && !noticed; i++ {
					got, _, err := judgeSource(mutated, documents[i])
					noticed = err != nil || !slices.Equal(got, wants[i])
					if !noticed {
						got, _, err = judgeSource(mutated, twins[i])
						noticed = err != nil || !slices.Equal(got, fines[i])
					}
				}
				if !noticed {
					mu.Lock()
					unnoticed[m.key()] = true
					if equivalentForCode[m.key()] == "" && m.strict {
						t.Errorf("no case notices %s", m)
					} else if equivalentForCode[m.key()] == "" {
						t.Logf("no case notices %s", m)
					}
					mu.Unlock()
				}
			}
		})
	}
	for _, m := range all {
		work <- m
	}
	close(work)
	wait.Wait()
	for key := range equivalentForCode {
		if *allMutants && !unnoticed[key] {
			t.Errorf("%s: this is listed as equivalent, but it is noticed, or it is there no more", key)
		}
	}
}

// equivalentForCode are mistakes that no code can show, and why.
var equivalentForCode = map[string]string{}

func TestSilencedFamilyRefusesNothing(t *testing.T) {
	t.Parallel()
	original := sources(t)
	family := map[string]string{} // by rule
	for name, text := range original {
		for _, id := range ruleID.FindAllSubmatch(text, -1) {
			family[string(id[1])] = name
		}
	}
	sets := map[string]*gate.Set{} // by the files that are silenced
	for _, c := range hostileCases(t) {
		files := maps.Clone(original)
		var key []string
		for _, want := range c.want {
			name := family[strings.Fields(want)[1]]
			if !slices.Contains(key, name) {
				key = append(key, name)
				files[name] = clause.ReplaceAll(files[name], []byte("$0\tfalse\n"))
			}
		}
		slices.Sort(key)
		at := strings.Join(key, " ")
		if sets[at] == nil {
			silenced, err := sourceSet(files)
			if err != nil {
				t.Fatal(err)
			}
			sets[at] = silenced
		}
		if got, blocks := mustJudgeSource(t, sets[at], c.document(t)); blocks {
			t.Errorf("%s/%s is refused all the same: %v", c.family, c.name, got)
		}
	}
}

// Ordinary code passes: the payment infrastructure, as it is and as a change to what is there.
func TestOrdinaryCodeIsNotRefused(t *testing.T) {
	t.Parallel()
	set, err := sourceSet(sources(t))
	if err != nil {
		t.Fatal(err)
	}
	m, err := hclsource.Load(infrastructure.Files, ".")
	if err != nil {
		t.Fatal(err)
	}
	tree, err := m.ListDir(infrastructure.Files)
	if err != nil {
		t.Fatal(err)
	}
	for name, base := range map[string]*hclsource.Tree{"changed": &tree, "without a base": nil, "new": {FS: fstest.MapFS{}}} {
		d, err := json.Marshal(hclsource.Describe(hclsource.DocumentRoot{Name: "payments", Dir: "."}, tree, base))
		if err != nil {
			t.Fatal(err)
		}
		if got, blocks := mustJudgeSource(t, set, d); blocks || len(got) > 0 {
			t.Errorf("%s: refused is %t: %v", name, blocks, got)
		}
	}
}
