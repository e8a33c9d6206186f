package hclsource

import (
	"io/fs"
	"path"
	"slices"
	"strings"
)

// Tree is what a repository holds at one moment.
type Tree struct {
	FS    fs.FS  // what Reads selects of it, with what links show
	Files []File // everything but its directories, as git has it
}

// File is an entry of a tree.
type File struct {
	Path   string `json:"path"`
	Kind   string `json:"kind"` // file, link, submodule, or other
	Size   int64  `json:"size"`
	ID     string `json:"-"`                // of the content, as git names it
	Target string `json:"target,omitempty"` // of a link, as written
	Leads  string `json:"leads,omitempty"`  // where a link ends inside the tree; empty if it leaves it
	// Pointer says that Git LFS keeps the content elsewhere.
	Pointer bool `json:"pointer,omitempty"`
}

// Document is all that policies in source/ can know of a project's code: the input document of that
// gate. Its JSON names are a contract with policies. Nothing in it has been evaluated by Terraform.
type Document struct {
	Version int          `json:"version"`
	Project DocumentRoot `json:"project"`
	Tree    TreeFacts    `json:"tree"`
	// Files are those beside the code in the directories of the project and in the root of the
	// repository, all links and submodules wherever they are, and what Git LFS keeps below those directories.
	Files []File `json:"files"`
	// Errors is what keeps the code from being read. If there is any, what follows is not complete.
	Errors []Problem `json:"errors"`

	Dirs         []string      `json:"dirs"` // that the project is made of
	Requirements []Requirement `json:"requirements"`
	Providers    []Block       `json:"providers"`
	Used         []Used        `json:"used"`
	Lock         []Locked      `json:"lock"`
	Calls        []Call        `json:"calls"`
	Resources    []Resource    `json:"resources"`
	Provisioners []Provisioner `json:"provisioners"`
	Backends     []Block       `json:"backends"` // every block, also of modules and those that an override replaces
	Backend      *Block        `json:"backend"`  // the one that holds
	Terraform    []Block       `json:"terraform"`
	Functions    []Function    `json:"functions"`
	Changes      []Change      `json:"changes"`
	// Base is the project before the change, or nil if there is nothing to compare with.
	Base *DocumentBase `json:"base"`
}

// DocumentRoot is the project that a Document describes.
type DocumentRoot struct {
	Name      string `json:"name"`
	Dir       string `json:"dir"`
	Workspace string `json:"workspace"`
}

// DocumentBase is what rules compare a project with: what it was before the change.
type DocumentBase struct {
	Known   bool     `json:"known"`   // there was configuration, and it could be read
	Backend *Block   `json:"backend"` // nil without a block
	Lock    []Locked `json:"lock"`
	Values  []string `json:"values"` // files of values that Terraform loads by itself
}

// TreeFacts says how large a repository is.
type TreeFacts struct {
	Entries int   `json:"entries"`
	Bytes   int64 `json:"bytes"`
	Depth   int   `json:"depth"` // directories around the deepest file, and itself
	Largest *File `json:"largest"`
}

// Place is where something stands.
type Place struct {
	Module string `json:"module"` // directory of the module
	File   string `json:"file"`
	Line   int    `json:"line"`
}

// Problem is a place at which the code cannot be read.
type Problem struct {
	File    string `json:"file"`
	Line    int    `json:"line"`
	Message string `json:"message"`
}

// Setting is one argument, however deep in nested blocks and objects.
type Setting struct {
	// Path is where it is in its block: names joined by dots, without positions, and without the
	// difference between a block, a dynamic block and an object.
	Path     string `json:"path"`
	Value    any    `json:"value"`              // of a literal
	Computed bool   `json:"computed,omitempty"` // it is no literal, so the value is not known
	Block    bool   `json:"block,omitempty"`    // a block or an object, whose arguments have entries of their own
	File     string `json:"file"`
	Line     int    `json:"line"`
}

// Block is a block with its arguments.
type Block struct {
	Place
	Type     string    `json:"type"`
	Name     string    `json:"name"` // its label, or empty
	Address  string    `json:"address"`
	Settings []Setting `json:"settings"`
}

// Requirement is an entry of required_providers.
type Requirement struct {
	Place
	Name    string `json:"name"` // in the module
	Source  string `json:"source"`
	Version string `json:"version"`
}

// Used is a provider that a module needs.
type Used struct {
	Place
	Name    string `json:"name"`    // in the module
	Source  string `json:"source"`  // host/namespace/type in small letters; empty if it cannot be told
	Written string `json:"written"` // as the source is written, or the name without one
	Address string `json:"address"` // what needs it
}

// Locked is a provider of the lock file.
type Locked struct {
	Source      string   `json:"source"`
	Version     string   `json:"version"`
	Constraints string   `json:"constraints"`
	Hashes      []string `json:"hashes"`
	File        string   `json:"file"`
	Line        int      `json:"line"`
}

// Call is a call of a module.
type Call struct {
	Place
	Name    string `json:"name"`
	Address string `json:"address"`
	Source  string `json:"source"` // as written; empty if it is no literal
	Version string `json:"version"`
	// Kind is local, registry, git, or other: whatever is none of these beyond doubt.
	Kind string `json:"kind"`
	// Repository is where it comes from: host/namespace/name/system of a registry, host/path of git.
	Repository string `json:"repository"`
	Ref        string `json:"ref"` // of git
}

// Resource is a resource, a data source or an ephemeral resource.
type Resource struct {
	Place
	Mode     string    `json:"mode"` // resource, data, ephemeral, or another that Terraform may bring
	Type     string    `json:"type"`
	Name     string    `json:"name"`
	Address  string    `json:"address"`
	Settings []Setting `json:"settings,omitempty"` // of terraform_remote_state
}

// Provisioner is a program that runs when a resource is made or destroyed.
type Provisioner struct {
	Place
	Type    string `json:"type"`
	When    string `json:"when"` // create or destroy
	Address string `json:"address"`
	// Digest is "sha256:…" over all that it says, over the connection that it uses, and over the
	// content of every file that it names. It is empty if that is not all that decides what it does.
	Digest string `json:"digest"`
}

// Function is a call of a function that reads files or uncovers secrets.
type Function struct {
	Place
	Name string `json:"name"`
	// Path is inside, outside (of the repository) or computed; none for a function without one.
	Path string `json:"path"`
	Text string `json:"text"` // the path, if it is known
}

// Change is a block that changes the state without changing resources, or takes them over.
type Change struct {
	Place
	Type string `json:"type"` // import, moved or removed
}

func (f File) regular() bool { return f.Kind == "file" }

// facts measures a tree.
func (t Tree) facts() TreeFacts {
	facts := TreeFacts{Entries: len(t.Files)}
	for _, f := range t.Files {
		facts.Bytes += f.Size
		facts.Depth = max(facts.Depth, 1+strings.Count(f.Path, "/"))
		if f.regular() && (facts.Largest == nil || f.Size > facts.Largest.Size) {
			facts.Largest = &f
		}
	}
	return facts
}

// beside selects the files that concern a project. Of what lies below Terraform's own directories one
// file is enough.
func (t Tree) beside(dirs []string) []File {
	files := []File{}
	seen := map[string]bool{}
	for _, f := range t.Files {
		dir := path.Dir(f.Path)
		switch own := ownDirectory(f.Path, dirs); {
		case own != "" && seen[own]:
		case own != "", !f.regular(), dir == ".", slices.Contains(dirs, dir), f.Pointer && belowAny(f.Path, dirs):
			seen[own] = true
			files = append(files, f)
		}
	}
	return files
}

// ownDirectory is the directory of Terraform's own that the file lies in, below one of dirs.
func ownDirectory(file string, dirs []string) string {
	parts := strings.Split(file, "/")
	for i, part := range parts[:len(parts)-1] {
		switch strings.ToLower(part) {
		case ".terraform", "terraform.d", "terraform.tfstate.d":
			around := path.Join(parts[:i]...)
			if around == "" {
				around = "."
			}
			if around == "." || slices.Contains(dirs, around) {
				return path.Join(parts[:i+1]...)
			}
		}
	}
	return ""
}
