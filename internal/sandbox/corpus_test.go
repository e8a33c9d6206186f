package sandbox_test

import (
	"cmp"
	"flag"
	"io/fs"
	"maps"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"golang.org/x/tools/txtar"

	"github.com/tollgate/tollgate/internal/ghsim"
	"github.com/tollgate/tollgate/internal/sandbox"
	"github.com/tollgate/tollgate/internal/toolchain"
)

var wholeCorpus = flag.Bool("corpus", false, "play every hostile pull request of the source gate, not only some of each kind")

// someOfCorpus is how many of them are played otherwise.
const someOfCorpus = 30

// hostilePull is a case of policies/testdata/source: a tree before, and what a pull request makes of it.
type hostilePull struct {
	name         string
	before, head map[string]string
	links        map[string]string // before, with their targets
	modes        map[string]string // of head, as ghsim has them
}

// unmade are cases that are judged by policies_test alone: as pull requests they would take gigabytes.
var unmade = regexp.MustCompile(`(?m)^# size: `)

// notRun is what a check says. What Git LFS keeps is not even fetched, so that nothing is judged.
var notRun = regexp.MustCompile("^Not run: the code is refused|^No verdict: A file of the project is kept by Git LFS")

// place is where a file of a case lies in the repository that has all of them. What matters in the root of
// a repository is there, the rest in a directory of the case.
func (c hostilePull) place(name string) string {
	if strings.HasPrefix(name, ".") {
		return name
	}
	return path.Join(c.name, name)
}

func corpus(t *testing.T) (all []hostilePull) {
	t.Helper()
	files, err := filepath.Glob("../../policies/testdata/source/*/*.txtar")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		archive, err := txtar.ParseFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if !unmade.Match(txtar.Format(archive)) {
			name := filepath.Base(filepath.Dir(file)) + "-" + strings.TrimSuffix(filepath.Base(file), ".txtar")
			all = append(all, hostile(name, archive))
		}
	}
	return all
}

func hostile(name string, archive *txtar.Archive) hostilePull {
	p := hostilePull{name, map[string]string{}, map[string]string{}, map[string]string{}, map[string]string{}}
	base, without := map[string]string{}, []string{}
	outward := strings.NewReplacer("../../other", "../../../other") // from the directory of the case as well
	for _, f := range archive.Files {
		text := outward.Replace(string(f.Data))
		switch first, rest, _ := strings.Cut(f.Name, "/"); first {
		case "fixed":
			p.before[rest] = text
		case "base":
			base[rest] = text
		case "allowed":
		default:
			p.head[f.Name] = text
		}
	}
	for line := range strings.Lines(string(archive.Comment)) {
		key, value, _ := strings.Cut(strings.TrimSpace(strings.TrimPrefix(line, "# ")), ": ")
		switch key {
		case "fixed without":
			without = append(without, value)
		case "link":
			link, target, _ := strings.Cut(outward.Replace(value), " -> ")
			p.head[link], p.modes[link] = target, "120000"
		case "fixed link":
			link, target, _ := strings.Cut(value, " -> ")
			p.links[link] = target
		case "submodule":
			p.head[value], p.modes[value] = strings.Repeat("1", 40), "160000"
		}
	}
	if len(base) > 0 {
		p.before = base
	} else {
		fixed := p.before
		p.before = maps.Clone(p.head)
		maps.Copy(p.before, fixed)
		maps.DeleteFunc(p.before, func(name, _ string) bool { return p.modes[name] != "" || slices.Contains(without, name) })
	}
	p.before["app/main.tf"] = cmp.Or(p.before["app/main.tf"], "# Empty.\n") // the project is there before
	if !slices.ContainsFunc(sorted(p.head), func(name string) bool {
		return strings.HasPrefix(name, "app/") && p.head[name] != p.before[name]
	}) {
		p.head["app/touched.txt"] = "This is why it is planned.\n"
	}
	return p
}

// repository holds all cases as they are before, each as a project in a directory of its own.
func repository(cases []hostilePull) fstest.MapFS {
	files := fstest.MapFS{"fine/app/main.tf": {Data: []byte(one)}}
	config := "version: 1\nprojects:\n  - {name: fine, dir: fine/app}\n"
	for _, c := range cases {
		config += "  - {name: " + c.name + ", dir: " + c.name + "/app}\n"
		for name, text := range c.before {
			files[c.place(name)] = &fstest.MapFile{Data: []byte(text)}
		}
		for name, target := range c.links {
			files[c.place(name)] = &fstest.MapFile{Data: []byte(target), Mode: fs.ModeSymlink}
		}
	}
	files[".tollgate.yaml"] = &fstest.MapFile{Data: []byte(config)}
	return files
}

func (c hostilePull) propose(t *testing.T, w *sandbox.World) *ghsim.Pull {
	t.Helper()
	p := ghsim.Push{Branch: c.name, By: sandbox.Author, Message: c.name, Files: map[string]string{}, Modes: map[string]string{}}
	for name, text := range c.head {
		p.Files[c.place(name)], p.Modes[c.place(name)] = text, c.modes[name]
	}
	for name := range c.before {
		if _, ok := c.head[name]; !ok {
			p.Delete = append(p.Delete, c.place(name))
		}
	}
	if _, err := w.Repo.Push(p); err != nil {
		t.Fatal(err)
	}
	pull, err := w.Repo.OpenPull(ghsim.OpenPull{By: sandbox.Author, Head: c.name, Title: c.name})
	if err != nil {
		t.Fatal(err)
	}
	return pull
}

// Of hostile pull requests that the source gate refuses, nothing is run, by the real server as well. Its
// twin is planned.
//
// Covers: T35, T39, T40, T41, T42, T43, T44, T45, T46, T47, T48, T50, T51, T53, T57, T58, T66, T68, T69, T70, T71
func TestNothingOfTheHostileCorpusIsRun(t *testing.T) {
	t.Parallel()
	found := parts(t, toolchain.Terraform, toolchain.Git)
	program, flags, started := recorder(t, found.Terraform)
	all := corpus(t)
	var cases []hostilePull
	for i, c := range all {
		if *wholeCorpus || len(c.modes) > 0 || i*someOfCorpus/len(all) != (i-1)*someOfCorpus/len(all) || i == 0 {
			cases = append(cases, c)
		}
	}
	if len(cases) < someOfCorpus {
		t.Errorf("only %d hostile pull requests", len(cases))
	}
	w := start(t, sandbox.Config{Terraform: program, Files: repository(cases), Args: flags})
	pulls := make([]*ghsim.Pull, len(cases))
	for i, c := range cases {
		pulls[i] = c.propose(t, w)
	}
	for i, c := range cases {
		check := await(t, w, pulls[i].Info().HeadSHA, "tollgate/plan: "+c.name)
		if check.Conclusion != "failure" || !notRun.MatchString(check.Title) {
			t.Errorf("%s: the check concluded %q: %s\n%s", c.name, check.Conclusion, check.Title, check.Summary)
		}
	}
	if ran := started(); ran != "" {
		t.Errorf("Terraform was started:\n%s", ran)
	}
	fine := propose(t, w, "fine", map[string]string{"fine/app/main.tf": strings.Replace(one, "one", "two", 1)})
	want(t, w, fine.Info().HeadSHA, "tollgate", "success")
	if ran := started(); !strings.Contains(ran, "plan") {
		t.Errorf("the twin was not planned; Terraform was started:\n%s", ran)
	}
	t.Logf("%d hostile pull requests refused", len(cases))
}
