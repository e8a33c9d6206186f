package hclsource

import (
	"crypto/sha1" // by which git names contents
	"encoding/hex"
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"
)

// readingFunctions read the file or directory that their first argument names.
var readingFunctions = []string{"file", "filebase64", "filebase64sha256", "filebase64sha512", "fileexists", "filemd5",
	"fileset", "filesha1", "filesha256", "filesha512", "templatefile"}

// functions notes the calls in a file that read files or uncover secrets.
func (r *describer) functions(f sourceFile) {
	if native, ok := f.body.(*hclsyntax.Body); ok {
		_ = hclsyntax.VisitAll(native, func(n hclsyntax.Node) hcl.Diagnostics { r.function(n); return nil })
		return
	}
	attrs, _ := f.body.JustAttributes()
	for _, a := range attrs {
		r.functionsInJSON(a.Expr)
	}
}

// functionsInJSON looks into every string below an expression in JSON, each of which is a template.
func (r *describer) functionsInJSON(expr hcl.Expression) {
	if items, diags := hcl.ExprMap(expr); !diags.HasErrors() {
		for _, item := range items {
			r.functionsInJSON(item.Value)
		}
		return
	}
	if elements, diags := hcl.ExprList(expr); !diags.HasErrors() {
		for _, e := range elements {
			r.functionsInJSON(e)
		}
		return
	}
	value, diags := expr.Value(nil) // without a scope it is the string as written
	if diags.HasErrors() || value.IsNull() || value.Type() != cty.String || !strings.Contains(value.AsString(), "{") {
		return
	}
	at := expr.Range()
	template, diags := hclsyntax.ParseTemplate([]byte(value.AsString()), at.Filename, at.Start)
	if template == nil || diags.HasErrors() {
		return // Terraform reads it no better
	}
	_ = hclsyntax.VisitAll(template, func(n hclsyntax.Node) hcl.Diagnostics { r.function(n); return nil })
}

func (r *describer) function(n hclsyntax.Node) {
	call, ok := n.(*hclsyntax.FunctionCallExpr)
	if !ok {
		return
	}
	name := strings.TrimPrefix(call.Name, "core::")
	f := Function{Place: r.place(call.NameRange), Name: name}
	switch {
	case slices.Contains(readingFunctions, name) && len(call.Args) > 0:
		f.Path, f.Text = r.reach(call.Args[0])
		if name == "fileset" && len(call.Args) > 1 && f.Path == "inside" {
			f.Path, f.Text = reachOfPattern(call.Args[1], f.Text)
		}
	case name == "nonsensitive", name == "ephemeralasnull":
		f.Path = "none"
	default:
		return
	}
	r.document.Functions = append(r.document.Functions, f)
}

// inTree stands for the root of the repository while a path is put together.
const inTree = "/@repository"

// reach says whether a path that is read stays in the repository. Terraform resolves relative paths
// from the root module.
func (r *describer) reach(expr hclsyntax.Expression) (reach, text string) {
	at := func(dir string) cty.Value { return cty.StringVal(path.Join(inTree, dir)) }
	scope := &hcl.EvalContext{Variables: map[string]cty.Value{"path": cty.ObjectVal(map[string]cty.Value{
		"module": at(r.dir.path), "root": at(r.root), "cwd": at(r.root)})}}
	value, diags := expr.Value(scope)
	if diags.HasErrors() || !value.IsKnown() || value.IsNull() || value.Type() != cty.String {
		return "computed", ""
	}
	name := value.AsString()
	full := name
	if !path.IsAbs(full) && !strings.HasPrefix(full, "~") { // which stands for the home directory
		full = path.Join(inTree, r.root, full)
	}
	full = path.Clean(full)
	if full != inTree && !strings.HasPrefix(full, inTree+"/") {
		return "outside", strings.TrimPrefix(name, inTree)
	}
	return "inside", strings.TrimPrefix(strings.TrimPrefix(full, inTree), "/")
}

func reachOfPattern(expr hclsyntax.Expression, dir string) (reach, text string) {
	value, diags := expr.Value(nil)
	switch {
	case diags.HasErrors() || !value.IsKnown() || value.IsNull() || value.Type() != cty.String:
		return "computed", ""
	case slices.Contains(strings.Split(value.AsString(), "/"), ".."):
		return "outside", path.Join(dir, value.AsString())
	}
	return "inside", dir
}

// gitID is the name that git gives to a file's content.
func gitID(content []byte) string {
	h := sha1.New()
	fmt.Fprintf(h, "blob %d\x00", len(content))
	h.Write(content)
	return hex.EncodeToString(h.Sum(nil))
}
