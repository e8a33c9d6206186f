package hclsource

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/hashicorp/hcl/v2/json"
	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/convert"
)

// directory is one module as written. Blocks of the same kind and name are listed in the order in
// which they are read, those of override files last.
type directory struct {
	path  string
	files []sourceFile

	terraform []*hcl.Block
	providers map[string][]*hcl.Block // by local name
	variables map[string][]*hcl.Block
	locals    map[string]*hcl.Attribute
	resources map[resourceKey][]*hcl.Block
	modules   map[string][]*hcl.Block
	calls     map[string]*moduleCall
}

type sourceFile struct {
	name string
	body hcl.Body
	src  []byte
}

type resourceKey struct{ mode, kind, name string }

// moduleCall is a module block, with its overrides.
type moduleCall struct {
	name   string
	blocks []*hcl.Block
	source string // as written; empty when it is not a literal
	local  bool
	dir    string // of a local source, relative to the file system; empty when it leads out of it
}

func (c *moduleCall) location() Location { return headerOf(c.blocks[0]) }

var rootSchema = &hcl.BodySchema{Blocks: []hcl.BlockHeaderSchema{
	{Type: "terraform"},
	{Type: "provider", LabelNames: []string{"name"}},
	{Type: "variable", LabelNames: []string{"name"}},
	{Type: "locals"},
	{Type: "module", LabelNames: []string{"name"}},
	{Type: "resource", LabelNames: []string{"type", "name"}},
	{Type: "data", LabelNames: []string{"type", "name"}},
	{Type: "ephemeral", LabelNames: []string{"type", "name"}},
}}

var terraformSchema = &hcl.BodySchema{Blocks: []hcl.BlockHeaderSchema{
	{Type: "backend", LabelNames: []string{"type"}},
	{Type: "cloud"},
	{Type: "required_providers"},
}}

// Reads reports whether this package looks into a file of that path: whoever chooses the files of
// a file system for it has to keep these.
func Reads(name string) bool {
	base := path.Base(name)
	return isConfig(base) || isValues(base) || base == lockFile
}

const lockFile = ".terraform.lock.hcl"

// isValues reports whether Terraform loads a file of values by itself.
func isValues(name string) bool {
	return name == "terraform.tfvars" || name == "terraform.tfvars.json" ||
		strings.HasSuffix(name, ".auto.tfvars") || strings.HasSuffix(name, ".auto.tfvars.json")
}

// isConfig reports whether Terraform or OpenTofu reads a file as configuration.
func isConfig(name string) bool {
	if strings.HasPrefix(name, ".") || strings.HasSuffix(name, "~") {
		return false
	}
	return configExtension(name) != ""
}

func configExtension(name string) string {
	for _, ext := range []string{".tf", ".tf.json", ".tofu", ".tofu.json"} {
		if strings.HasSuffix(name, ext) {
			return ext
		}
	}
	return ""
}

func isOverride(name string) bool {
	base := strings.TrimSuffix(name, configExtension(name))
	return base == "override" || strings.HasSuffix(base, "_override")
}

// configFiles lists the configuration files of a directory in the order in which they are read.
func configFiles(fsys fs.FS, dir string) ([]string, error) {
	entries, err := fs.ReadDir(fsys, dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("list the module %s: %w", dir, err)
	}
	var names, overrides []string
	for _, e := range entries {
		switch {
		case e.IsDir() || !isConfig(e.Name()):
		case isOverride(e.Name()):
			overrides = append(overrides, e.Name())
		default:
			names = append(names, e.Name())
		}
	}
	return append(names, overrides...), nil
}

// parseDir parses a directory. One that does not exist is empty.
func parseDir(fsys fs.FS, dir string, spent *budget) (*directory, error) {
	names, err := configFiles(fsys, dir)
	if err != nil {
		return nil, err
	}
	d := newDirectory(dir)
	for _, name := range names {
		file, err := parseFile(fsys, path.Join(dir, name), spent)
		if err != nil {
			return nil, err
		}
		d.files = append(d.files, file)
		if err := d.add(file.body); err != nil {
			return nil, err
		}
	}
	d.link()
	return d, nil
}

func newDirectory(dir string) *directory {
	return &directory{
		path:      dir,
		providers: map[string][]*hcl.Block{},
		variables: map[string][]*hcl.Block{},
		locals:    map[string]*hcl.Attribute{},
		resources: map[resourceKey][]*hcl.Block{},
		modules:   map[string][]*hcl.Block{},
		calls:     map[string]*moduleCall{},
	}
}

// parseFile reads and parses one file of either syntax.
func parseFile(fsys fs.FS, name string, spent *budget) (sourceFile, error) {
	src, err := fs.ReadFile(fsys, name)
	if err != nil {
		return sourceFile{}, fmt.Errorf("read %s: %w", name, err)
	}
	return parseSource(name, src, spent)
}

// parseSource parses the content of a file. What could be parsed of one with a mistake is
// returned beside the error.
func parseSource(name string, src []byte, spent *budget) (sourceFile, error) {
	if err := spent.check(name, src); err != nil {
		return sourceFile{}, err
	}
	var file *hcl.File
	var diags hcl.Diagnostics
	if strings.HasSuffix(name, ".json") {
		file, diags = json.Parse(src, name)
	} else {
		file, diags = hclsyntax.ParseConfig(src, name, hcl.InitialPos)
	}
	if file == nil || file.Body == nil {
		file = &hcl.File{Body: hcl.EmptyBody()}
	}
	return sourceFile{name, file.Body, src}, diagnosed(name, diags)
}

// diagnosed turns the first error of the parser's findings into a fault.
func diagnosed(name string, diags hcl.Diagnostics) error {
	if !diags.HasErrors() {
		return nil
	}
	errs := slices.DeleteFunc(slices.Clone(diags), func(d *hcl.Diagnostic) bool { return d.Severity != hcl.DiagError })
	at := Location{File: name, Line: 1, EndLine: 1}
	if subject := errs[0].Subject; subject != nil {
		at = locationOf(*subject)
	}
	message := errs[0].Summary
	if errs[0].Detail != "" {
		message += ": " + errs[0].Detail
	}
	if len(errs) > 1 {
		message += fmt.Sprintf(" (and %d more)", len(errs)-1)
	}
	return fail(at, message)
}

// add sorts the blocks of a file into the directory.
func (d *directory) add(body hcl.Body) error {
	content, _, diags := body.PartialContent(rootSchema)
	for _, b := range content.Blocks {
		switch b.Type {
		case "terraform":
			d.terraform = append(d.terraform, b)
		case "provider":
			d.providers[b.Labels[0]] = append(d.providers[b.Labels[0]], b)
		case "variable":
			d.variables[b.Labels[0]] = append(d.variables[b.Labels[0]], b)
		case "module":
			d.modules[b.Labels[0]] = append(d.modules[b.Labels[0]], b)
		case "resource", "data", "ephemeral":
			key := resourceKey{b.Type, b.Labels[0], b.Labels[1]}
			d.resources[key] = append(d.resources[key], b)
		case "locals":
			attrs, _ := b.Body.JustAttributes()
			for name, attr := range attrs {
				d.locals[name] = attr
			}
		}
	}
	return diagnosed("", diags)
}

// link reads the sources of the module calls once all overrides are known.
func (d *directory) link() {
	for name, blocks := range d.modules {
		c := &moduleCall{name: name, blocks: blocks}
		if attr, ok := find(blocks, "source"); ok {
			c.source, _ = literal(attr.Expr)
		}
		c.local = strings.HasPrefix(c.source, "./") || strings.HasPrefix(c.source, "../") || c.source == "." || c.source == ".."
		if dir := path.Join(d.path, c.source); c.local && fs.ValidPath(dir) {
			c.dir = dir
		}
		d.calls[name] = c
	}
}

// find returns the attribute that holds among a block and its overrides.
func find(blocks []*hcl.Block, name string) (*hcl.Attribute, bool) {
	for _, b := range slices.Backward(blocks) {
		if attr, _ := lookup(b.Body, name); attr != nil {
			return attr, true
		}
	}
	return nil, false
}

// lookup finds an attribute of the name or, where there is none, the blocks of that type.
func lookup(body hcl.Body, name string) (*hcl.Attribute, []*hcl.Block) {
	content, _, _ := body.PartialContent(&hcl.BodySchema{Attributes: []hcl.AttributeSchema{{Name: name}}})
	// In JSON a nested block is an attribute too, unless it is asked for as a block. The lines
	// are the same.
	if attr := content.Attributes[name]; attr != nil {
		return attr, nil
	}
	return nil, nestedBlocks(body, name)
}

// nestedBlocks returns the blocks of a type, dynamic ones included, in the order of the source.
func nestedBlocks(body hcl.Body, name string) []*hcl.Block {
	content, _, _ := body.PartialContent(&hcl.BodySchema{Blocks: []hcl.BlockHeaderSchema{
		{Type: name}, {Type: "dynamic", LabelNames: []string{"type"}},
	}})
	var blocks []*hcl.Block
	for _, b := range content.Blocks {
		if b.Type == name || b.Type == "dynamic" && b.Labels[0] == name {
			blocks = append(blocks, b)
		}
	}
	slices.SortStableFunc(blocks, func(a, b *hcl.Block) int { return a.DefRange.Start.Byte - b.DefRange.Start.Byte })
	return blocks
}

// everything returns all attributes, by name, and blocks of a body.
func everything(body hcl.Body) ([]*hcl.Attribute, []*hcl.Block) {
	var blocks []*hcl.Block
	if native, ok := body.(*hclsyntax.Body); ok {
		for _, b := range native.Blocks {
			blocks = append(blocks, b.AsHCLBlock())
		}
	}
	found, _ := body.JustAttributes() // complains of blocks, which were taken above
	attrs := make([]*hcl.Attribute, 0, len(found))
	for _, a := range found {
		attrs = append(attrs, a)
	}
	slices.SortFunc(attrs, func(a, b *hcl.Attribute) int { return strings.Compare(a.Name, b.Name) })
	return attrs, blocks
}

// literal returns the text of an expression that is a plain string, number or boolean.
func literal(expr hcl.Expression) (string, bool) {
	if len(expr.Variables()) > 0 {
		return "", false
	}
	value, diags := expr.Value(nil)
	if diags.HasErrors() {
		return "", false
	}
	return asText(value)
}

func asText(value cty.Value) (string, bool) {
	value, err := convert.Convert(value, cty.String)
	if err != nil || value.IsNull() || !value.IsKnown() || value.IsMarked() {
		return "", false
	}
	return value.AsString(), true
}

// itemKey returns the key of an object's item, which may be written as a bare word.
func itemKey(item hcl.KeyValuePair) (string, bool) {
	if word := hcl.ExprAsKeyword(item.Key); word != "" {
		return word, true
	}
	return literal(item.Key)
}

func locationOf(r hcl.Range) Location {
	l := Location{File: r.Filename, Line: r.Start.Line, EndLine: max(r.End.Line, r.Start.Line)}
	if r.End.Column == 1 && r.End.Line > r.Start.Line {
		l.EndLine-- // a heredoc ends at the beginning of the line after it
	}
	return l
}

func headerOf(b *hcl.Block) Location { return locationOf(b.DefRange) }

// loadTfvars reads the files of values that Terraform loads by itself; of a variable that several
// set, the last holds.
func (m *Module) loadTfvars(fsys fs.FS) error {
	entries, err := fs.ReadDir(fsys, m.dir)
	if err != nil {
		return fmt.Errorf("list the module %s: %w", m.dir, err)
	}
	names := []string{"terraform.tfvars", "terraform.tfvars.json"}
	for _, e := range entries {
		if isValues(e.Name()) && !slices.Contains(names, e.Name()) {
			names = append(names, e.Name())
		}
	}
	m.tfvars = map[string]*hcl.Attribute{}
	for _, name := range names {
		file, err := parseFile(fsys, path.Join(m.dir, name), &m.spent)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return err
		}
		m.values = append(m.values, file)
		attrs, _ := file.body.JustAttributes()
		maps.Copy(m.tfvars, attrs)
	}
	return nil
}
