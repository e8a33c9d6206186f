package hclsource

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
)

// InitKey is "sha256:…" over everything in the repository that `terraform init` depends on: the
// lock file, the terraform blocks, the module calls and which providers are used, in the whole
// closure. Other edits leave it as it is; of JSON files every edit counts. A provider that only
// the state still needs is not seen.
func (m *Module) InitKey() string {
	h := sha256.New()
	field(h, "lock", m.lock)
	computed := len(m.Backend().Computed) > 0
	for _, dir := range m.Dirs() {
		m.dirs[dir].initKey(h)
		for _, call := range m.dirs[dir].calls {
			computed = computed || call.source == ""
		}
	}
	if computed { // OpenTofu evaluates variables and locals in these places, so any edit may matter
		for _, dir := range m.Dirs() {
			writeFiles(h, m.dirs[dir].files)
		}
		writeFiles(h, m.values)
	}
	return "sha256:" + hex.EncodeToString(h.Sum(nil))
}

func writeFiles(h hash.Hash, files []sourceFile) {
	for _, f := range files {
		field(h, f.name, f.src)
	}
}

// field writes a name and a value so that no two sequences of fields have the same bytes.
func field[T string | []byte](w io.Writer, name string, value T) {
	_, _ = fmt.Fprintf(w, "%q %d\n%s\n", name, len(value), value) // a hash never fails
}

// initKey writes what of a directory concerns init. Providers are a set, so that a further
// resource of a provider already used changes nothing.
func (d *directory) initKey(h hash.Hash) {
	field(h, "directory", d.path)
	providers := map[string]bool{}
	for _, f := range d.files {
		body, native := f.body.(*hclsyntax.Body)
		if !native {
			field(h, f.name, f.src)
			continue
		}
		for _, b := range body.Blocks {
			switch b.Type {
			case "terraform", "import", "removed":
				field(h, b.Type, text(f, b.Range()))
			case "module":
				writeCall(h, f, b)
			case "check":
				for _, inner := range b.Body.Blocks {
					usesProvider(providers, f, inner)
				}
			default:
				usesProvider(providers, f, b)
			}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(providers)) {
		field(h, "provider", name)
	}
}

func writeCall(h hash.Hash, f sourceFile, b *hclsyntax.Block) {
	field(h, "module", strings.Join(b.Labels, "."))
	for _, argument := range []string{"source", "version"} {
		if attr := b.Body.Attributes[argument]; attr != nil {
			field(h, argument, text(f, attr.Expr.Range()))
		}
	}
}

// usesProvider notes the provider that a resource, a data source or a provider block needs.
func usesProvider(providers map[string]bool, f sourceFile, b *hclsyntax.Block) {
	switch {
	case len(b.Labels) == 2:
		providers[implied(b.Labels[0])] = true
		if attr := b.Body.Attributes["provider"]; attr != nil {
			name, _, _ := strings.Cut(text(f, attr.Expr.Range()), ".")
			providers[name] = true
		}
	case b.Type == "provider" && len(b.Labels) == 1:
		name := b.Labels[0]
		if attr := b.Body.Attributes["version"]; attr != nil { // deprecated, and still a constraint
			name += " " + text(f, attr.Expr.Range())
		}
		providers[name] = true
	}
}

func text(f sourceFile, r hcl.Range) string { return string(r.SliceBytes(f.src)) }

// implied is the local name of the provider of a resource type.
func implied(kind string) string {
	name, _, _ := strings.Cut(kind, "_")
	return name
}
