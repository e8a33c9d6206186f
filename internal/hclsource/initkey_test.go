package hclsource_test

import (
	"strings"
	"testing"

	"github.com/tollgate/tollgate/internal/hclsource"
)

func TestInitKey(t *testing.T) {
	t.Parallel()
	static := strings.Replace(closure, "    workspace_key_prefix = var.prefix\n", "", 1)
	key := func(archive string) string {
		m, err := hclsource.Load(fixture(archive), "live")
		if err != nil {
			t.Fatal(err)
		}
		return m.InitKey()
	}
	before := key(static)
	if !strings.HasPrefix(before, "sha256:") || key(static) != before {
		t.Fatalf("the key %q is not stable", before)
	}
	for _, test := range []struct {
		name     string
		old, new string
		changes  bool
	}{
		{"an attribute", "10.0.0.0/16", "10.0.0.0/8", false},
		{"a variable's default", `default = "env"`, `default = "other"`, false},
		{"an argument of a module", "size   = 1", "size   = 2", false},
		{"the provider's settings", "eu-central-1", "us-east-1", false},
		{"one more resource of the provider", "resource \"aws_vpc\" \"v\"", "resource \"aws_eip\" \"e\" {}\nresource \"aws_vpc\" \"v\"", false},
		{"a file that is no configuration", "-- live/a.tftest.hcl --\n", "-- live/a.tftest.hcl --\n# x\n", false},
		{"a module that is not called", "-- modules/unused/main.tf --\n", "-- modules/unused/main.tf --\n# x\n", false},
		{"the lock file", "hashicorp/aws\" {}", "hashicorp/aws\" { version = \"5.1\" }", true},
		{"a provider's version", "~> 5.0", "~> 5.1", true},
		{"the version of Terraform", ">= 1.11", ">= 1.12", true},
		{"the backend's bucket", `"states"`, `"others"`, true},
		{"a module's version", `"5.0.0"`, `"5.0.1"`, true},
		{"a module's source", "terraform-aws-modules/vpc/aws", "terraform-aws-modules/ecs/aws", true},
		{"the source of an inner module", "./b/../b", "./b", true},
		{"one more call", "module \"again\"", "module \"more\" {\n  source = \"../modules/a\"\n}\nmodule \"again\"", true},
		{"a resource of another provider", "resource \"random_id\"", "resource \"null_resource\"", true},
		{"a provider's configuration of another name", `provider "aws" {`, "provider \"tls\" {}\nprovider \"aws\" {", true},
		{"a data source in a check", "provider \"aws\" {\n", "check \"c\" {\n  data \"http_x\" \"y\" {}\n}\nprovider \"aws\" {\n", true},
		{"an explicit provider", "cidr_block", "provider = other.x\n  cidr_block", true},
		{"an import", "provider \"aws\" {\n", "import {\n  to = tls_x.y\n  id = \"1\"\n}\nprovider \"aws\" {\n", true},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			edited := strings.Replace(static, test.old, test.new, 1)
			if edited == static {
				t.Fatal("the edit edits nothing")
			}
			if changed := key(edited) != before; changed != test.changes {
				t.Errorf("the key changed: %v, want %v", changed, test.changes)
			}
		})
	}
}

// Where the backend or a source is computed, any edit may change what init does.
func TestInitKeyOfComputedSettings(t *testing.T) {
	t.Parallel()
	for name, archive := range map[string]string{
		"backend": closure,
		"source":  "-- live/main.tf --\nmodule \"m\" {\n  source = var.x\n}\nvariable \"x\" {\n  default = \"env\"\n}\n",
		"json":    "-- live/main.tf.json --\n{\"locals\": {\"a\": \"env\"}}\n",
	} {
		before := load(t, archive, "live").InitKey()
		if after := load(t, strings.Replace(archive, `"env"`, `"other"`, 1), "live").InitKey(); after == before {
			t.Errorf("%s: the key did not change", name)
		}
		if values := load(t, archive+"-- live/terraform.tfvars --\nx = 1\n", "live").InitKey(); name != "json" && values == before {
			t.Errorf("%s: the key did not change with the values", name)
		}
	}
}
