package hclsource

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"
	"unicode"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"
	ctyjson "github.com/zclconf/go-cty/cty/json"

	"github.com/tollgate/tollgate/internal/fault"
)

// Describe describes the code of a project for the policies in source/, as it is in head. base is the
// tree before the change, or nil. Code that cannot be read is no error: the document says so.
func Describe(root DocumentRoot, head Tree, base *Tree) Document {
	root.Dir = path.Clean(root.Dir)
	d := Document{
		Version: 1, Project: root, Tree: head.facts(), Dirs: []string{root.Dir}, Errors: []Problem{},
		Requirements: []Requirement{}, Providers: []Block{}, Used: []Used{}, Lock: []Locked{}, Calls: []Call{},
		Resources: []Resource{}, Provisioners: []Provisioner{}, Backends: []Block{}, Terraform: []Block{},
		Functions: []Function{}, Changes: []Change{},
	}
	if base != nil {
		d.Base = describeBase(root.Dir, *base)
	}
	m, err := Load(head.FS, root.Dir)
	if err != nil {
		d.Errors = append(d.Errors, problem(root.Dir, err))
		d.Files = head.beside(d.Dirs)
		return d
	}
	d.Dirs = m.Dirs()
	d.Files = head.beside(d.Dirs)
	if d.Lock, err = m.locked(); err != nil {
		d.Errors = append(d.Errors, problem(path.Join(root.Dir, lockFile), err))
	}
	for _, dir := range d.Dirs {
		r := describer{document: &d, dir: m.dirs[dir], root: root.Dir, tree: head, used: map[string]bool{}}
		r.describe()
	}
	d.Backend = m.backend()
	return d
}

func describeBase(dir string, base Tree) *DocumentBase {
	b := &DocumentBase{Lock: []Locked{}, Values: []string{}}
	m, err := Load(base.FS, dir)
	if err != nil {
		return b
	}
	b.Known, b.Backend = true, m.backend()
	if lock, err := m.locked(); err == nil {
		b.Lock = lock
	}
	for _, f := range m.values {
		b.Values = append(b.Values, f.name)
	}
	return b
}

// problem is an error as something that a rule can point to.
func problem(where string, err error) Problem {
	var mistake *SourceError
	if errors.As(err, &mistake) {
		return Problem{mistake.File, mistake.Line, mistake.Message}
	}
	var f *fault.Error
	if errors.As(err, &f) {
		return Problem{where, 1, f.What}
	}
	return Problem{where, 1, "It cannot be read."}
}

// backend is the block that holds, or nil.
func (m *Module) backend() *Block {
	var last *Block
	for _, t := range m.dirs[m.dir].terraform {
		for _, b := range backendsOf(m.dir, t) {
			last = &b
		}
	}
	return last
}

func backendsOf(dir string, t *hcl.Block) []Block {
	var found []Block
	content, _, _ := t.Body.PartialContent(terraformSchema)
	for _, b := range content.Blocks {
		if b.Type == "backend" || b.Type == "cloud" {
			found = append(found, newBlock(dir, b))
		}
	}
	return found
}

// everyBlock is all that Terraform reads, also what Load has no use for.
var everyBlock = &hcl.BodySchema{Blocks: append(slices.Clone(rootSchema.Blocks), []hcl.BlockHeaderSchema{
	{Type: "output", LabelNames: []string{"name"}},
	{Type: "check", LabelNames: []string{"name"}},
	{Type: "import"},
	{Type: "moved"},
	{Type: "removed"},
	{Type: "action", LabelNames: []string{"type", "name"}},
}...)}

// describer takes one module into the document.
type describer struct {
	document *Document
	dir      *directory
	root     string
	tree     Tree
	used     map[string]bool // local names of providers that are in the document for this module
}

func (r *describer) describe() {
	for _, t := range r.dir.terraform {
		r.terraform(t)
	}
	for _, f := range r.dir.files {
		content, _, _ := f.body.PartialContent(everyBlock)
		for _, b := range content.Blocks {
			r.block(b)
		}
		r.functions(f)
	}
}

func placeOf(dir string, at hcl.Range) Place {
	l := locationOf(at)
	return Place{Module: dir, File: l.File, Line: l.Line}
}

func (r *describer) place(at hcl.Range) Place { return placeOf(r.dir.path, at) }

func newBlock(dir string, b *hcl.Block) Block {
	name := strings.Join(b.Labels, ".")
	return Block{Place: placeOf(dir, b.DefRange), Type: b.Type, Name: name,
		Address: strings.TrimSuffix(b.Type+"."+name, "."), Settings: settingsOf(b.Body)}
}

func (r *describer) terraform(t *hcl.Block) {
	d := r.document
	d.Backends = append(d.Backends, backendsOf(r.dir.path, t)...)
	content, rest, _ := t.Body.PartialContent(terraformSchema)
	for _, b := range content.Blocks {
		if b.Type == "required_providers" {
			r.requirements(b)
		}
	}
	own := newBlock(r.dir.path, t)
	own.Settings = settingsOf(rest)
	own.Settings = slices.DeleteFunc(own.Settings, func(s Setting) bool {
		first, _, _ := strings.Cut(s.Path, ".")
		return first == "backend" || first == "cloud" || first == "required_providers"
	})
	if len(own.Settings) > 0 {
		d.Terraform = append(d.Terraform, own)
	}
}

func (r *describer) requirements(b *hcl.Block) {
	attrs, _ := everything(b.Body)
	for _, a := range attrs {
		q := Requirement{Place: r.place(a.Range), Name: a.Name}
		written, known := "", true
		if items, diags := hcl.ExprMap(a.Expr); !diags.HasErrors() {
			for _, item := range items {
				switch key, _ := itemKey(item); key {
				case "source":
					q.Source, known = literal(item.Value)
					written = q.Source
				case "version":
					q.Version, _ = literal(item.Value)
				}
			}
		} else {
			q.Version, _ = literal(a.Expr) // the old form
		}
		r.document.Requirements = append(r.document.Requirements, q)
		u := Used{Place: q.Place, Name: a.Name, Written: a.Name, Address: "required_providers." + a.Name}
		switch {
		case known && written == "":
			u.Source = implicit(a.Name)
		case known:
			u.Source, u.Written = providerAddress(written), written
		}
		// One that an override file replaces counts as well.
		r.used[a.Name] = true
		r.document.Used = append(r.document.Used, u)
	}
}

// implicit is the provider that a name means without an entry in required_providers.
func implicit(name string) string {
	if name == "terraform" {
		return "terraform.io/builtin/terraform"
	}
	return providerAddress("hashicorp/" + name)
}

// needs adds the provider of a local name, unless required_providers says which it is or it is there.
func (r *describer) needs(name, address string, at hcl.Range) {
	if r.used[name] {
		return
	}
	r.used[name] = true
	r.document.Used = append(r.document.Used, Used{Place: r.place(at), Name: name, Source: implicit(name), Written: name, Address: address})
}

func (r *describer) block(b *hcl.Block) {
	d := r.document
	switch b.Type {
	case "provider":
		d.Providers = append(d.Providers, newBlock(r.dir.path, b))
		r.needs(b.Labels[0], "provider."+b.Labels[0], b.DefRange)
	case "module":
		r.call(b)
	case "resource", "data", "ephemeral", "action":
		r.resource(b)
	case "check":
		content, _, _ := b.Body.PartialContent(&hcl.BodySchema{Blocks: []hcl.BlockHeaderSchema{{Type: "data", LabelNames: []string{"type", "name"}}}})
		for _, inner := range content.Blocks {
			r.resource(inner)
		}
	case "import", "moved", "removed":
		d.Changes = append(d.Changes, Change{r.place(b.DefRange), b.Type})
		r.provisioners(b, b.Type)
	}
}

func (r *describer) call(b *hcl.Block) {
	c := Call{Place: r.place(b.DefRange), Name: b.Labels[0], Address: "module." + b.Labels[0]}
	source, _ := lookup(b.Body, "source")
	if source == nil && len(r.dir.modules[c.Name]) > 1 {
		return // an override of other arguments
	}
	if source != nil {
		c.Source, _ = literal(source.Expr)
		c.Place = r.place(source.Range)
	}
	if version, _ := find(r.dir.modules[c.Name], "version"); version != nil {
		c.Version, _ = literal(version.Expr)
	}
	c.classify()
	r.document.Calls = append(r.document.Calls, c)
}

func (r *describer) resource(b *hcl.Block) {
	address := strings.Join(b.Labels, ".")
	if b.Type != "resource" {
		address = b.Type + "." + address
	}
	s := Resource{Place: r.place(b.DefRange), Mode: b.Type, Type: b.Labels[0], Name: b.Labels[1], Address: address}
	if s.Type == "terraform_remote_state" {
		s.Settings = settingsOf(b.Body)
	}
	r.document.Resources = append(r.document.Resources, s)
	name := implied(s.Type)
	if attr, _ := lookup(b.Body, "provider"); attr != nil {
		if n, _, ok := providerRef(attr.Expr); ok {
			name = n
		}
	}
	r.needs(name, address, b.DefRange)
	r.provisioners(b, address)
}

var provisionerSchema = &hcl.BodySchema{Blocks: []hcl.BlockHeaderSchema{{Type: "provisioner", LabelNames: []string{"type"}}, {Type: "connection"}}}

func (r *describer) provisioners(b *hcl.Block, address string) {
	content, _, _ := b.Body.PartialContent(provisionerSchema)
	var connection []Setting
	for _, inner := range content.Blocks {
		if inner.Type == "connection" {
			connection = append(connection, settingsOf(inner.Body)...)
		}
	}
	for _, inner := range content.Blocks {
		if inner.Type != "provisioner" {
			continue
		}
		p := Provisioner{Place: r.place(inner.DefRange), Type: inner.Labels[0], When: "create", Address: address}
		settings := settingsOf(inner.Body)
		if when, _ := lookup(inner.Body, "when"); when != nil {
			if word := hcl.ExprAsKeyword(when.Expr); word != "" {
				p.When = word
			} else if text, ok := literal(when.Expr); ok {
				p.When = text
			}
		}
		keyword := func(s Setting) bool { return s.Path == "when" || s.Path == "on_failure" }
		settings = slices.DeleteFunc(settings, keyword)
		p.Digest = r.digest(p, append(settings, connection...))
		r.document.Provisioners = append(r.document.Provisioners, p)
	}
}

// digest is over all that decides what a provisioner does, or empty if that cannot be told.
func (r *describer) digest(p Provisioner, settings []Setting) string {
	lines := []string{p.Type, p.When}
	var words []string
	for _, s := range settings {
		if s.Computed {
			return ""
		}
		value, err := json.Marshal(s.Value)
		if err != nil {
			return ""
		}
		lines = append(lines, s.Path+" = "+string(value))
		if text, ok := s.Value.(string); ok {
			words = append(words, text)
		}
	}
	for _, f := range r.tree.Files {
		if !belowAny(f.Path, r.document.Dirs) {
			continue
		}
		if slices.ContainsFunc(words, func(text string) bool { return names(text, path.Base(f.Path)) }) {
			if !f.regular() || f.ID == "" {
				return ""
			}
			lines = append(lines, "file "+f.Path+" "+f.ID)
		}
	}
	if slices.ContainsFunc(words, func(text string) bool { return strings.Contains(text, "..") }) {
		return "" // what it names may lie anywhere
	}
	sum := sha256.Sum256([]byte(strings.Join(lines, "\n")))
	return "sha256:" + hex.EncodeToString(sum[:])
}

// names reports whether a text holds a file's name as a word.
func names(text, file string) bool {
	inName := func(r rune) bool {
		return r == '.' || r == '-' || r == '_' || unicode.IsLetter(r) || unicode.IsDigit(r)
	}
	if strings.ContainsFunc(file, func(r rune) bool { return !inName(r) }) {
		return strings.Contains(text, file)
	}
	return slices.Contains(strings.FieldsFunc(text, func(r rune) bool { return !inName(r) }), file)
}

func belowAny(file string, dirs []string) bool {
	return slices.ContainsFunc(dirs, func(dir string) bool { return dir == "." || strings.HasPrefix(file, dir+"/") })
}

// settingsOf lists the arguments of a block, in the order of the names, deep ones included.
func settingsOf(body hcl.Body) []Setting {
	settings := []Setting{}
	attrs, blocks := everything(body)
	for _, a := range attrs {
		settings = appendValue(settings, a.Name, a.Expr, a.Range)
	}
	for _, b := range blocks {
		settings = appendBlock(settings, "", b)
	}
	return settings
}

func setting(name string, at hcl.Range) Setting {
	l := locationOf(at)
	return Setting{Path: plainName(name), File: l.File, Line: l.Line}
}

// plainName takes out of a path what makes a block dynamic, which JSON writes as objects.
func plainName(name string) string {
	parts := strings.Split(name, ".")
	for i := 0; i+1 < len(parts); i++ {
		if parts[i] == "dynamic" {
			parts = slices.Delete(parts, i, i+1)
			if i+1 < len(parts) && parts[i+1] == "content" {
				parts = slices.Delete(parts, i+1, i+2)
			}
		}
	}
	return strings.Join(parts, ".")
}

func appendBlock(settings []Setting, prefix string, b *hcl.Block) []Setting {
	name := prefix + b.Type
	body := b.Body
	if b.Type == "dynamic" && len(b.Labels) == 1 {
		name += "." + b.Labels[0]
		if content := nestedBlocks(b.Body, "content"); len(content) > 0 {
			body = content[0].Body
		}
	}
	s := setting(name, b.DefRange)
	s.Block = true
	settings = append(settings, s)
	attrs, blocks := everything(body)
	for _, a := range attrs {
		settings = appendValue(settings, name+"."+a.Name, a.Expr, a.Range)
	}
	for _, inner := range blocks {
		settings = appendBlock(settings, name+".", inner)
	}
	return settings
}

func appendValue(settings []Setting, name string, expr hcl.Expression, at hcl.Range) []Setting {
	s := setting(name, at)
	if value, ok := plainValue(expr); ok {
		s.Value = value
		return append(settings, s)
	}
	if items, diags := hcl.ExprMap(expr); !diags.HasErrors() {
		s.Block = true
		settings = append(settings, s)
		for _, item := range items {
			key, ok := itemKey(item)
			if !ok {
				key = "?" // a computed name may be any
			}
			settings = appendValue(settings, name+"."+key, item.Value, item.Key.Range())
		}
		return settings
	}
	if elements, diags := hcl.ExprList(expr); !diags.HasErrors() {
		for _, e := range elements {
			settings = appendValue(settings, name, e, e.Range())
		}
		return settings
	}
	s.Computed = true
	return append(settings, s)
}

// plainValue is the value of a literal string, number, boolean or null.
func plainValue(expr hcl.Expression) (any, bool) {
	if len(expr.Variables()) > 0 {
		return nil, false
	}
	value, diags := expr.Value(nil)
	if diags.HasErrors() || !value.IsKnown() || value.IsMarked() {
		return nil, false
	}
	if value.IsNull() {
		return nil, true
	}
	if !value.Type().IsPrimitiveType() {
		return nil, false
	}
	if _, native := expr.(hclsyntax.Expression); !native && value.Type() == cty.String {
		// In JSON a template without variables, such as one that calls a function, looks like a literal.
		if text := value.AsString(); strings.Contains(text, "${") || strings.Contains(text, "%{") {
			return nil, false
		}
	}
	raw, err := ctyjson.Marshal(value, value.Type())
	if err != nil {
		return nil, false
	}
	var plain any
	if err := json.Unmarshal(raw, &plain); err != nil {
		return nil, false
	}
	return plain, true
}

// locked reads the lock file. Unlike Terraform's, a file with anything else than providers is an error.
func (m *Module) locked() ([]Locked, error) {
	found := []Locked{}
	if m.lock == nil {
		return found, nil
	}
	name := path.Join(m.dir, lockFile)
	f, err := parseSource(name, m.lock, &m.spent)
	if err != nil {
		return found, err
	}
	content, diags := f.body.Content(&hcl.BodySchema{Blocks: []hcl.BlockHeaderSchema{{Type: "provider", LabelNames: []string{"source"}}}})
	if err := diagnosed(name, diags); err != nil {
		return found, err
	}
	for _, b := range content.Blocks {
		l := Locked{Source: providerAddress(b.Labels[0]), Hashes: []string{}, File: name, Line: locationOf(b.DefRange).Line}
		for _, s := range settingsOf(b.Body) {
			text, _ := s.Value.(string)
			switch {
			case s.Computed:
				return found, fail(Location{File: s.File, Line: s.Line}, "The lock file holds something that is no literal.")
			case s.Path == "version":
				l.Version, l.Line = text, s.Line
			case s.Path == "constraints":
				l.Constraints = text
			case s.Path == "hashes":
				l.Hashes = append(l.Hashes, text)
			}
		}
		found = append(found, l)
	}
	return found, nil
}

// ListDir lists a project's files on disk as a Tree, for code that is in no repository: the directories
// that it is made of, without what Terraform and git keep there for themselves.
func (m *Module) ListDir(fsys fs.FS) (Tree, error) {
	t := Tree{FS: fsys}
	for _, dir := range m.Dirs() {
		entries, err := fs.ReadDir(fsys, dir)
		if err != nil {
			return Tree{}, fmt.Errorf("list %s: %w", dir, err)
		}
		for _, e := range entries {
			if !e.Type().IsRegular() || strings.HasPrefix(e.Name(), "terraform.tfstate") {
				continue
			}
			content, err := fs.ReadFile(fsys, path.Join(dir, e.Name()))
			if err != nil {
				return Tree{}, fmt.Errorf("read %s: %w", path.Join(dir, e.Name()), err)
			}
			t.Files = append(t.Files, File{Path: path.Join(dir, e.Name()), Kind: "file", Size: int64(len(content)), ID: gitID(content)})
		}
	}
	return t, nil
}
