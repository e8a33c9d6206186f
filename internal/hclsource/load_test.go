package hclsource_test

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/tollgate/tollgate/internal/fault"
	"github.com/tollgate/tollgate/internal/hclsource"
)

const closure = `
-- live/main.tf --
terraform {
  required_version = ">= 1.11"
  required_providers {
    aws = { source = "hashicorp/aws", version = "~> 5.0" }
  }
  backend "s3" {
    bucket = "states"
    encrypt = true
    workspace_key_prefix = var.prefix
    assume_role = { role_arn = "arn:x" }
    endpoints { s3 = "http://127.0.0.1" }
  }
}
provider "aws" {
  region = "eu-central-1"
}
module "a" {
  source = "../modules/a"
  size   = 1
}
module "again" {
  source = "../modules/a"
}
module "registry" {
  source  = "terraform-aws-modules/vpc/aws"
  version = "5.0.0"
}
resource "aws_vpc" "v" {
  cidr_block = "10.0.0.0/16"
}
-- live/variables.tf --
variable "prefix" {
  default = "env"
}
variable "needed" {
  type = string
}
-- live/.terraform.lock.hcl --
provider "registry.terraform.io/hashicorp/aws" {}
-- live/.hidden.tf --
not hcl {
-- live/main.tf~ --
not hcl {
-- live/a.tftest.hcl --
run "x" {}
-- modules/a/main.tf --
module "b" {
  source = "./b/../b"
}
-- modules/a/b/main.tf --
resource "random_id" "x" {}
-- modules/unused/main.tf --
not hcl {
`

func TestLoad(t *testing.T) {
	t.Parallel()
	m := load(t, closure, "live")
	if got, want := m.Dirs(), []string{"live", "modules/a", "modules/a/b"}; !slices.Equal(got, want) {
		t.Errorf("directories %q, want %q", got, want)
	}
	vars := m.Variables()
	if len(vars) != 2 || vars[0].Name != "needed" || !vars[0].Required || vars[1].Name != "prefix" || vars[1].Required ||
		vars[0].Location.String() != "live/variables.tf:4" {
		t.Errorf("variables %+v", vars)
	}
	b := m.Backend()
	want := map[string]string{"bucket": "states", "encrypt": "true", "assume_role.role_arn": "arn:x", "endpoints.s3": "http://127.0.0.1"}
	if !b.Present || b.Cloud || b.Type != "s3" || !maps.Equal(b.Attributes, want) ||
		!slices.Equal(b.Computed, []string{"workspace_key_prefix"}) || b.Location.String() != "live/main.tf:6" {
		t.Errorf("backend %+v", b)
	}
}

func TestReads(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]bool{
		"a/main.tf": true, "a.tf.json": true, "x/y.tofu": true, "x/y.tofu.json": true, "a/.terraform.lock.hcl": true, "terraform.tfvars": true,
		"a/terraform.tfvars.json": true, "p.auto.tfvars": true, "p.auto.tfvars.json": true,
		"prod.tfvars": false, "main.go": false, "a.tftest.hcl": false, ".hidden.tf": false, "a.tf/readme": false, "a.json": false,
	} {
		if hclsource.Reads(name) != want {
			t.Errorf("%s: got %v", name, !want)
		}
	}
}

func TestBackend(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		archive     string
		kind        string
		cloud, none bool
		attribute   string
	}{
		"none":     {archive: "-- main.tf --\nterraform {}\n", none: true},
		"cloud":    {archive: "-- main.tf --\nterraform {\n cloud {\n organization = \"o\"\n workspaces {\n name = \"w\"\n }\n }\n}\n", cloud: true, attribute: "workspaces.name=w"},
		"override": {archive: "-- z.tf --\nterraform {\n backend \"s3\" {\n bucket = \"a\"\n }\n}\n-- a_override.tf --\nterraform {\n backend \"local\" {\n path = \"p\"\n }\n}\n", kind: "local", attribute: "path=p"},
		"json":     {archive: "-- main.tf.json --\n{\"terraform\": {\"backend\": {\"s3\": {\"bucket\": \"j\", \"assume_role\": {\"role_arn\": \"r\"}}}}}\n", kind: "s3", attribute: "assume_role.role_arn=r"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := load(t, test.archive, ".").Backend()
			if b.Present == test.none || b.Cloud != test.cloud || b.Type != test.kind {
				t.Errorf("got %+v", b)
			}
			if key, want, ok := strings.Cut(test.attribute, "="); ok && b.Attributes[key] != want {
				t.Errorf("got %+v, want %s", b.Attributes, test.attribute)
			}
		})
	}
}

func TestLoadTellsWhereTheMistakeIs(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		archive string
		at      string
		message string
	}{
		"syntax":              {"-- live/main.tf --\nresource \"a\" \"b\" {\n  x = \n}\n", "live/main.tf:2", "Invalid expression"},
		"several":             {"-- live/main.tf --\nresource \"a\" {\n}\nmodule {\n}\n", "live/main.tf:1", "(and 1 more)"},
		"unclosed":            {"-- live/main.tf --\nresource \"a\" \"b\" {\n", "live/main.tf:1", "Unclosed configuration block"},
		"labels":              {"-- live/main.tf --\n\nresource \"a\" {\n}\n", "live/main.tf:2", "Missing name for resource"},
		"in a module":         {"-- live/main.tf --\nmodule \"m\" {\n source = \"../m\"\n}\n-- m/x.tf --\n\n}\n", "m/x.tf:2", ""},
		"json":                {"-- live/main.tf.json --\n{\"resource\": \n ]}\n", "live/main.tf.json:2", ""},
		"values":              {"-- live/main.tf --\n-- live/terraform.tfvars --\nx = \n", "live/terraform.tfvars:1", ""},
		"module that is gone": {"-- live/main.tf --\n\nmodule \"m\" {\n source = \"./gone\"\n}\n", "live/main.tf:2", `"live/gone" does not exist`},
		"module outside":      {"-- live/main.tf --\nmodule \"m\" {\n source = \"../../gone\"\n}\n", "live/main.tf:1", "leads out of the repository"},
		"module in a circle":  {"-- live/main.tf --\nmodule \"m\" {\n source = \"../m\"\n}\n-- m/x.tf --\nmodule \"back\" {\n source = \"../live\"\n}\n", "m/x.tf:1", "calls itself"},
		"too deep":            {"-- live/main.tf --\n\nlocals {\n x = " + strings.Repeat("[", 1500) + "\n}\n", "live/main.tf:3", "nested too deeply"},
		"too long":            {"-- live/main.tf --\n#" + strings.Repeat("x", 3<<20) + "\n", "live/main.tf:1", "at most"},
		"a heredoc too long":  {"-- live/main.tf --\nlocals {\n  x = <<-EOT\n" + strings.Repeat("  y\n", 50_000) + "  EOT\n}\n", "live/main.tf:1", "too large"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := hclsource.Load(fixture(test.archive), "live")
			var source *hclsource.SourceError
			var shown *fault.Error
			if !errors.As(err, &source) || !errors.As(err, &shown) {
				t.Fatalf("got %v, want a fault around a SourceError", err)
			}
			if source.Location.String() != test.at || !strings.Contains(source.Message, test.message) {
				t.Errorf("got %s: %s, want %s: …%s…", source.Location, source.Message, test.at, test.message)
			}
			if !strings.Contains(shown.What, test.at) || shown.Why != source.Message {
				t.Errorf("the fault says %q", shown.Text())
			}
		})
	}
	_, err := hclsource.Load(fixture("-- a/main.tf --\n"), "b")
	var shown *fault.Error
	if !errors.As(err, &shown) || !strings.Contains(shown.What, "holds no Terraform configuration") {
		t.Errorf("an empty directory: %v", err)
	}
}

// The parser's recursion would end the process; each of these is a few kilobytes.
func TestHostileNestingIsRefused(t *testing.T) {
	t.Parallel()
	const deep = 200_000
	for name, source := range map[string]string{
		"parentheses": "x = " + strings.Repeat("(", deep),
		"lists":       "x = " + strings.Repeat("[", deep),
		"objects":     "x = " + strings.Repeat("{a=", deep),
		"templates":   "x = " + strings.Repeat("\"${", deep),
		"directives":  "x = \"" + strings.Repeat("%{if true}", deep),
		"calls":       "x = " + strings.Repeat("f(", deep),
		"negation":    "x = " + strings.Repeat("!", deep),
		"minus":       "x = " + strings.Repeat("-", deep),
		"conditions":  "x = " + strings.Repeat("a?b:", deep) + "c",
		"sums":        "x = 1" + strings.Repeat("+1", deep),
		"indices":     "x = a" + strings.Repeat("[b]", deep),
		"splats":      "x = a" + strings.Repeat("[*]", deep),
		"blocks":      strings.Repeat("a {\n", deep),
		"hidden":      "x = " + strings.Repeat("( # )\n", deep),
		"for":         "x = " + strings.Repeat("[for a in ", deep),
		"heredoc":     "x = " + strings.Repeat("<<A\n${", 20_000),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := hclsource.Load(fstest.MapFS{"main.tf": {Data: []byte(source)}}, ".")
			var sourceErr *hclsource.SourceError
			if !errors.As(err, &sourceErr) || !strings.Contains(sourceErr.Message, "nested too deeply") {
				t.Errorf("got %v", err)
			}
		})
	}
	t.Run("json", func(t *testing.T) {
		t.Parallel()
		_, err := hclsource.Load(fstest.MapFS{"main.tf.json": {Data: []byte(`{"a":` + strings.Repeat("[", deep))}}, ".")
		if err == nil || !strings.Contains(err.Error(), "nested too deeply") {
			t.Errorf("got %v", err)
		}
	})
}

// Large files that are long rather than deep are ordinary.
func TestLongFilesAreAccepted(t *testing.T) {
	t.Parallel()
	var hcl, list, template, json strings.Builder
	hcl.WriteString("locals {\n")
	list.WriteString("locals {\n  x = [\n")
	template.WriteString("locals {\n  x = <<-EOT\n")
	json.WriteString(`{"locals": {`)
	for i := range 5000 {
		fmt.Fprintf(&hcl, "  a%d = { b = [1, 2, f(-3 + 4)], c = \"x-${var.y}\" } # [[[ ---\n", i)
		fmt.Fprintf(&list, "    { a = %d, b = [\"x\", !true] },\n", i)
		fmt.Fprintf(&template, "    line %d has ${var.a} and \"quotes\" - or so\n", i)
		fmt.Fprintf(&json, `"a%d": {"b": ["[[[[", {"c": 1}]}, `, i)
	}
	hcl.WriteString("}\n")
	list.WriteString("  ]\n}\n")
	template.WriteString("  EOT\n}\n")
	json.WriteString(`"z": 1}}`)
	fsys := fstest.MapFS{
		"a.tf": {Data: []byte(hcl.String())}, "b.tf": {Data: []byte(list.String())},
		"c.tf": {Data: []byte(template.String())}, "d.tf.json": {Data: []byte(json.String())},
	}
	if _, err := hclsource.Load(fsys, "."); err != nil {
		t.Error(err)
	}
}

// Forks that lead to forks are as many ways as there are atoms in the universe.
func TestLocateEndsSoon(t *testing.T) {
	t.Parallel()
	var source strings.Builder
	source.WriteString("resource \"a_b\" \"c\" {\n  x = local.v0\n}\nlocals {\n")
	for i := range 300 {
		fmt.Fprintf(&source, "  v%d = var.z ? [local.v%d, local.v%d] : merge(local.v%d, local.v%d)\n", i, i+1, i+1, i+1, i)
	}
	source.WriteString("}\n")
	m, err := hclsource.Load(fstest.MapFS{"main.tf": {Data: []byte(source.String())}}, ".")
	if err != nil {
		t.Fatal(err)
	}
	start := time.Now()
	if got := m.Locate("a_b.c", "x.y[0]"); len(got) == 0 {
		t.Error("found nothing")
	}
	if took := time.Since(start); took > 5*time.Second {
		t.Errorf("took %v", took)
	}
}

// No configuration makes the reading panic, which would end the server.
func FuzzLoad(f *testing.F) {
	for _, seed := range []string{closure, "resource \"a\" \"b\" {\n dynamic \"c\" {\n content {\n d = c.value\n }\n }\n}", "locals {\n a = {for k, v in local.a : k => v}\n}"} {
		f.Add(seed, `{"resource": {"a": {"b": {"c": ["${local.a}"]}}}}`, `module.a["x"].a.b[0]`, `c[0].d["e"]`)
	}
	f.Fuzz(func(t *testing.T, native, json, address, attribute string) {
		fsys := fstest.MapFS{
			"a.tf": {Data: []byte(native)}, "m/a.tf": {Data: []byte(native)}, "b.tf.json": {Data: []byte(json)},
			"z.tf": {Data: []byte("module \"a\" {\n  source = \"./m\"\n}\n")},
		}
		if _, err := hclsource.Scan(fsys); err != nil {
			t.Error(err)
		}
		for _, skip := range []string{"", "a.tf", "b.tf.json"} {
			delete(fsys, skip)
			m, err := hclsource.Load(fsys, ".")
			if err != nil {
				continue
			}
			m.InitKey()
			m.Backend()
			m.Variables()
			m.Locate(address, attribute)
			m.Locate("a.b", attribute)
			m.Locate("module.a.a.b", "tags."+attribute)
		}
	})
}
