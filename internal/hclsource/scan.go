package hclsource

import (
	"fmt"
	"io/fs"
	"path"
	"regexp"
	"slices"
	"strings"
)

// Info is what tells a root module from a module that others call.
type Info struct {
	Dir         string
	HasBackend  bool // or a cloud block
	HasProvider bool
	// HasResources says that it declares a resource, a data source or a module call: it does
	// something, and a provider may need no block of its own.
	HasResources bool
	Broken       bool     // holds a file with a syntax error, so that the rest may be incomplete
	Calls        []string // directories that it calls as modules, sorted
}

// interesting recognises native files that can hold what Scan looks for; most hold only resources
// and need not be parsed. A block begins a line, or follows a comment.
var interesting = regexp.MustCompile(`(?m)(?:^|\*/)[ \t\x{FEFF}]*(?:terraform|provider|module)(?:\s*["{/]|\s+[^=\s])`)

// deploying recognises blocks that make or read something.
var deploying = regexp.MustCompile(`(?m)(?:^|\*/)[ \t\x{FEFF}]*(?:resource|data|ephemeral|module)(?:\s*["/]|\s+[A-Za-z_])`)

// Scan looks at all directories that hold Terraform configuration, sorted by path. Terraform's
// own working directories are left out. An error in a file does not end the scan.
func Scan(fsys fs.FS) ([]Info, error) {
	var infos []Info
	var spent budget
	err := fs.WalkDir(fsys, ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if !entry.IsDir() {
			return nil
		}
		if entry.Name() == ".terraform" || entry.Name() == ".git" {
			return fs.SkipDir
		}
		info, found, err := scanDir(fsys, name, &spent)
		if found {
			infos = append(infos, info)
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("scan the repository for Terraform configuration: %w", err)
	}
	slices.SortFunc(infos, func(a, b Info) int { return strings.Compare(a.Dir, b.Dir) })
	return infos, nil
}

func scanDir(fsys fs.FS, dir string, spent *budget) (Info, bool, error) {
	names, err := configFiles(fsys, dir)
	if err != nil || len(names) == 0 {
		return Info{}, false, err
	}
	info := Info{Dir: dir}
	d := newDirectory(dir)
	for _, name := range names {
		src, err := fs.ReadFile(fsys, path.Join(dir, name))
		if err != nil {
			return Info{}, false, fmt.Errorf("read %s: %w", path.Join(dir, name), err)
		}
		deploys := strings.HasSuffix(name, ".json") || deploying.Match(src)
		info.HasResources = info.HasResources || deploys
		// A file that shows neither may be anything, and is parsed to tell whether it is broken.
		if deploys && !strings.HasSuffix(name, ".json") && !interesting.Match(src) {
			continue
		}
		file, err := parseSource(path.Join(dir, name), src, spent)
		info.Broken = info.Broken || err != nil
		if file.body != nil {
			info.Broken = d.add(file.body) != nil || info.Broken
		}
	}
	d.link()
	info.HasProvider = len(d.providers) > 0
	for _, t := range d.terraform {
		content, _, _ := t.Body.PartialContent(terraformSchema)
		for _, b := range content.Blocks {
			info.HasBackend = info.HasBackend || b.Type == "backend" || b.Type == "cloud"
		}
	}
	for _, call := range d.calls {
		if call.dir != "" {
			info.Calls = append(info.Calls, call.dir)
		}
	}
	slices.Sort(info.Calls)
	info.Calls = slices.Compact(info.Calls)
	return info, true, nil
}

// Closure returns the directories that a root module is made of, sorted: itself and, however
// deep, what it calls. It reports false when they cannot all be known: one holds a syntax error
// or no configuration.
func Closure(infos []Info, root string) ([]string, bool) {
	byDir := make(map[string]Info, len(infos))
	for _, i := range infos {
		byDir[i.Dir] = i
	}
	dirs, known := []string{root}, true
	for next := 0; next < len(dirs); next++ {
		info, ok := byDir[dirs[next]]
		known = known && ok && !info.Broken
		for _, call := range info.Calls {
			if !slices.Contains(dirs, call) {
				dirs = append(dirs, call)
			}
		}
	}
	slices.Sort(dirs)
	return dirs, known
}
