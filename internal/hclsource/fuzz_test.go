package hclsource_test

import (
	"encoding/json"
	"testing"
	"testing/fstest"

	"github.com/tollgate/tollgate/internal/hclsource"
)

// Whatever a pull request holds becomes a document, and is never read in silence as less than it is:
// what cannot be read is said.
//
// Covers: T78
func FuzzDescribe(f *testing.F) {
	for _, seed := range []string{
		"resource \"terraform_data\" \"a\" {\n  provisioner \"local-exec\" {\n    command = \"id\"\n  }\n}\n",
		"provider \"aws\" {\n  dynamic \"endpoints\" {\n    for_each = [1]\n    content { sts = file(\"${path.module}/x\") }\n  }\n}\n",
		"terraform {\n  backend \"s3\" { endpoints = { (var.a) = [1, null, \"x\"] } }\n  required_providers { a = { source = \"b/c\" } }\n}\n",
		"module \"m\" {\n  source = \"git::https://h/a//b?ref=c\"\n}\nmodule \"n\" { source = \"./\" }\n",
		"check \"c\" {\n  data \"http\" \"x\" {}\n}\nremoved {\n  from = a.b\n  provisioner \"x\" {}\n}\n",
		`{"resource": {"a": {"b": [{"provisioner": {"local-exec": {"command": "${file(\"/x\")}"}}}]}}, "//": 1}`,
		`{"terraform": [{"backend": {"s3": {}}}], "data": {"terraform_remote_state": {"x": {"config": {"${a}": 1}}}}}`,
		"a = <<X\n${fileset(\"~\", \"..\")}\nX\n", "{{{", "", "\xff\xfe",
	} {
		f.Add([]byte(seed), false)
		f.Add([]byte(seed), true)
	}
	f.Fuzz(func(t *testing.T, code []byte, inJSON bool) {
		name := "app/main.tf"
		if inJSON {
			name += ".json"
		}
		tree := hclsource.Tree{FS: fstest.MapFS{name: {Data: code}, "app/.terraform.lock.hcl": {Data: code}, "app/x.auto.tfvars": {Data: code}}}
		d := hclsource.Describe(hclsource.DocumentRoot{Name: "app", Dir: "app"}, tree, &tree)
		if _, err := json.Marshal(d); err != nil {
			t.Fatalf("the document cannot be passed on: %v", err)
		}
		if _, err := hclsource.Load(tree.FS, "app"); err != nil && len(d.Errors) == 0 {
			t.Fatalf("no word of an error: %v", err)
		}
	})
}
