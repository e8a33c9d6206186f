package engine

import (
	"testing"
	"testing/fstest"

	"golang.org/x/tools/txtar"

	"github.com/tollgate/tollgate/internal/change"
	"github.com/tollgate/tollgate/internal/hclsource"
	"github.com/tollgate/tollgate/internal/terraform"
)

func source(t *testing.T, code string) *hclsource.Module {
	t.Helper()
	fsys := fstest.MapFS{}
	for _, f := range txtar.Parse([]byte("-- infra/main.tf --\n" + code)).Files {
		fsys[f.Name] = &fstest.MapFile{Data: f.Data}
	}
	m, err := hclsource.Load(fsys, "infra")
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func TestModule(t *testing.T) {
	t.Parallel()
	everything := Environment{"aws_region": "eu-central-1", "AWS_REGION": "eu-central-1", "environment_suffix": "pr7", "ENVIRONMENT_SUFFIX": "pr7",
		"TERRAFORM_STATE_BUCKET": "states", "TERRAFORM_STATE_BUCKET_REGION": "eu-west-1"}
	with := func(names ...string) Environment {
		out := Environment{}
		for _, n := range names {
			out[n] = everything[n]
		}
		return out
	}
	type values = map[string]string
	cases := map[string]struct {
		env       Environment
		code      string
		workspace string
		variables values
		backend   values
		statePath string
		named     bool
		stateKey  string
		fault     string
	}{
		"variables that it declares": {env: everything, code: `
variable "aws_region" {}
variable "unheard_of" {}
terraform {
  backend "gcs" {}
}`, variables: values{"aws_region": "eu-central-1"}, stateKey: "gcs/12/infra/default"},
		"a variable of a module that it calls": {env: everything, code: `
module "m" { source = "./m" }
terraform {
  cloud {}
}
-- infra/m/main.tf --
variable "aws_region" {}`, stateKey: "12/infra/default"},
		"no backend":                    {env: everything, code: `locals {}`, statePath: "/states/infra/terraform.tfstate", stateKey: "local/states/infra/terraform.tfstate/default"},
		"no backend, another workspace": {code: `locals {}`, workspace: "blue", statePath: "/states/infra/terraform.tfstate", stateKey: "local/states/infra/terraform.tfstate/blue"},
		"a local backend in the checkout": {code: `
terraform {
  backend "local" { path = "my.tfstate" }
}`, statePath: "/states/infra/terraform.tfstate", stateKey: "local/states/infra/terraform.tfstate/default"},
		"a local backend elsewhere": {code: `
terraform {
  backend "local" { path = "/srv/states/one" }
}`, statePath: "/srv/states/one", named: true, stateKey: "local/srv/states/one/default"},
		"a partial S3 backend": {env: everything, code: `
terraform {
  backend "s3" {}
}`, backend: values{"bucket": "states", "region": "eu-west-1", "key": "pr7/infra.tfstate"}, stateKey: "s3/states/pr7/infra.tfstate/default"},
		"a partial S3 backend without suffix": {env: with("TERRAFORM_STATE_BUCKET"), code: `
terraform {
  backend "s3" {}
}`, backend: values{"bucket": "states", "key": "infra.tfstate"}, stateKey: "s3/states/infra.tfstate/default"},
		"a bucket of its own": {env: everything, code: `
terraform {
  backend "s3" { bucket = "mine" }
}`, backend: values{"region": "eu-west-1", "key": "pr7/infra.tfstate"}, stateKey: "s3/mine/pr7/infra.tfstate/default"},
		"a full S3 backend": {env: everything, workspace: "blue", code: `
terraform {
  backend "s3" {
    bucket = "mine"
    region = "us-east-1"
    key    = "shop/one"
  }
}`, stateKey: "s3/mine/shop/one/blue"},
		"an S3 backend without bucket": {env: with("ENVIRONMENT_SUFFIX", "TERRAFORM_STATE_BUCKET_REGION"), code: `
terraform {
  backend "s3" { key = "shop/one" }
}`, fault: "The S3 backend of payments names no bucket."},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if c.workspace == "" {
				c.workspace = "default"
			}
			code := source(t, c.code)
			m, key, err := c.env.Module("/tree", change.Project{Name: "payments", Dir: "infra", Workspace: c.workspace}, code, "12", "/states")
			isFault(t, err, c.fault)
			if c.fault != "" {
				return
			}
			for _, v := range []*values{&c.variables, &c.backend} {
				if *v == nil {
					*v = values{}
				}
			}
			same(t, "state key", c.stateKey, key)
			same(t, "module", terraform.Module{Root: "/tree", Dir: "infra", Workspace: c.workspace, Key: "12/infra/" + c.workspace, InitKey: code.InitKey(),
				Variables: c.variables, Backend: c.backend, StatePath: c.statePath, StateNamed: c.named}, m)
		})
	}
}

// What tells two states apart must be in the key, and nothing else.
//
// Covers: T36
func TestTwoProjectsWithOneStateAreOne(t *testing.T) {
	t.Parallel()
	full := source(t, `
terraform {
  backend "s3" {
    bucket = "mine"
    key    = "one"
  }
}`)
	key := func(scope string, p change.Project, code *hclsource.Module) string {
		t.Helper()
		_, key, err := Environment{}.Module("/tree", p, code, scope, "/states/"+scope)
		if err != nil {
			t.Fatal(err)
		}
		return key
	}
	a, b := change.Project{Name: "a", Dir: "infra", Workspace: "default"}, change.Project{Name: "b", Dir: "again", Workspace: "default"}
	if key("1", a, full) != key("2", b, full) {
		t.Error("one S3 object, named in two places, has two locks")
	}
	local := source(t, `locals {}`)
	if key("1", a, local) == key("2", a, local) {
		t.Error("the local states of two repositories have one lock")
	}
	if key("1", a, local) == key("1", b, local) {
		t.Error("the local states of two directories have one lock")
	}
}

func TestBackendsOfOtherTypesAreKnownByWhatTheySay(t *testing.T) {
	t.Parallel()
	key := func(dir, code string) string {
		_, key, err := Environment{}.Module("/x", change.Project{Name: dir, Dir: dir, Workspace: "default"}, source(t, code), "12", "/states")
		if err != nil {
			t.Fatal(err)
		}
		return key
	}
	whole := func(prefix string) string {
		return "terraform {\n  backend \"gcs\" {\n    bucket = \"b\"\n    prefix = \"" + prefix + "\"\n  }\n}\n"
	}
	if key("one", whole("p")) != key("two", whole("p")) {
		t.Error("two directories with one state have two locks")
	}
	if key("one", whole("p")) == key("one", whole("q")) {
		t.Error("two states have one lock")
	}
	if empty := "terraform {\n  backend \"gcs\" {}\n}\n"; key("one", empty) == key("two", empty) {
		t.Error("two directories whose backend says nothing have one lock")
	}
}
