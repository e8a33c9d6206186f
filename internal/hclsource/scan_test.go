package hclsource_test

import (
	"reflect"
	"slices"
	"testing"

	"github.com/tollgate/tollgate/internal/hclsource"
)

func TestScan(t *testing.T) {
	t.Parallel()
	const archive = `
-- README.md --
terraform {}
-- live/backend.tf --
terraform {
  backend "s3" {}
}
-- live/main.tf --
provider "aws" {}
module "a" {
  source = "../modules/a"
}
module "b" {
  source = "../modules/a"
}
module "far" {
  source = "../../elsewhere"
}
module "registry" {
  source = "x/y/z"
}
-- cloud/main.tf --
# comment
/* and
another */ terraform {
  cloud {}
}
-- crlf/main.tf --
resource "a_b" "c" {}
  provider	"aws"	{
}
-- json/main.tf.json --
{"terraform": {"backend": {"s3": {}}}, "module": {"m": {"source": "./inner"}}}
-- json/inner/x.tf --
resource "a_b" "c" {}
-- modules/a/main.tf --
resource "a_b" "c" {
  provider = aws.x
  x        = module.y.z
}
-- broken/main.tf --
terraform {
  backend "s3" {}
}
provider "aws" {
-- split/main.tf --
terraform
{
}
-- live/.terraform/modules/x/main.tf --
provider "aws" {}
-- docs/x.txt --
x
`
	infos, err := hclsource.Scan(fixture(archive))
	if err != nil {
		t.Fatal(err)
	}
	want := []hclsource.Info{
		{Dir: "broken", HasBackend: true, HasProvider: true, Broken: true},
		{Dir: "cloud", HasBackend: true},
		{Dir: "crlf", HasProvider: true, HasResources: true},
		{Dir: "json", HasBackend: true, HasResources: true, Calls: []string{"json/inner"}},
		{Dir: "json/inner", HasResources: true},
		{Dir: "live", HasBackend: true, HasProvider: true, HasResources: true, Calls: []string{"modules/a"}},
		{Dir: "modules/a", HasResources: true},
		{Dir: "split", Broken: true},
	}
	if !reflect.DeepEqual(infos, want) {
		t.Errorf("got  %+v\nwant %+v", infos, want)
	}
}

func TestClosure(t *testing.T) {
	t.Parallel()
	infos := []hclsource.Info{
		{Dir: "live", Calls: []string{"m/a", "m/b"}},
		{Dir: "m/a", Calls: []string{"m/c"}},
		{Dir: "m/b", Calls: []string{"m/c"}},
		{Dir: "m/c", Calls: []string{"m/a"}}, // in a circle
		{Dir: "bad", Broken: true, Calls: []string{"m/c"}},
		{Dir: "dangling", Calls: []string{"gone"}},
		{Dir: "above", Calls: []string{"bad"}},
	}
	for _, test := range []struct {
		root  string
		want  []string
		known bool
	}{
		{"live", []string{"live", "m/a", "m/b", "m/c"}, true},
		{"m/c", []string{"m/a", "m/c"}, true},
		{"bad", []string{"bad", "m/a", "m/c"}, false},
		{"above", []string{"above", "bad", "m/a", "m/c"}, false},
		{"dangling", []string{"dangling", "gone"}, false},
		{"nowhere", []string{"nowhere"}, false},
	} {
		got, known := hclsource.Closure(infos, test.root)
		if !slices.Equal(got, test.want) || known != test.known {
			t.Errorf("%s: got %q, %v; want %q, %v", test.root, got, known, test.want, test.known)
		}
	}
}
