package hclsource_test

import (
	"slices"
	"testing"

	"github.com/tollgate/tollgate/internal/hclsource"
)

func TestLocateInTheBlock(t *testing.T) {
	t.Parallel()
	const archive = `
-- live/main.tf --
resource "aws_ecs_service" "api" { # @header
  name = "api" # @name
  network_configuration { # @net-0
    assign_public_ip = true # @public-0
  }
  network_configuration { # @net-1
    subnets = [ # @subnets
      "a", # @subnet-a
      "b", # @subnet-b
    ]
    deep { # @deep
      deeper { # @deeper
        x = 1 # @x
      }
    }
  }
  environment = { # @environment
    PLAIN        = "1" # @plain
    "quoted.key" = "2" # @quoted
    (local.k)    = "3"
    nested = { # @nested
      inner = [{ a = 1 }, { # @inner-1
        b = 2 # @b
      }]
    }
  }
  policy = <<-EOT
    one
    @two
  EOT
}
data "aws_ecs_service" "api" { # @data
  name = "x" # @data-name
}
ephemeral "random_password" "p" { # @ephemeral
}
locals {
  k = "x"
}
`
	testLocate(t, archive, "live", []locateCase{
		{"aws_ecs_service.api", "name", []string{"name"}},
		{"aws_ecs_service.api", "network_configuration[0].assign_public_ip", []string{"public-0"}},
		{"aws_ecs_service.api", "network_configuration.assign_public_ip", []string{"public-0"}},
		{"aws_ecs_service.api", "network_configuration[0]", []string{"net-0"}},
		{"aws_ecs_service.api", "network_configuration[1].assign_public_ip", []string{"net-1"}},
		{"aws_ecs_service.api", "network_configuration[7].subnets", []string{"subnets"}},
		{"aws_ecs_service.api", "network_configuration[1].subnets", []string{"subnets"}},
		{"aws_ecs_service.api", "network_configuration[1].subnets[1]", []string{"subnet-b"}},
		{"aws_ecs_service.api", "network_configuration[1].subnets[9]", []string{"subnets"}},
		{"aws_ecs_service.api", "network_configuration[1].deep[0].deeper[0].x", []string{"x"}},
		{"aws_ecs_service.api", "network_configuration[1].deep[0].deeper[0].y", []string{"deeper"}},
		{"aws_ecs_service.api", "environment.PLAIN", []string{"plain"}},
		{"aws_ecs_service.api", `environment["quoted.key"]`, []string{"quoted"}},
		{"aws_ecs_service.api", "environment.nested.inner[1].b", []string{"b"}},
		{"aws_ecs_service.api", "environment.nested.inner[1]", []string{"inner-1"}},
		{"aws_ecs_service.api", "load_balancer[0].x", []string{"header"}},
		{"aws_ecs_service.api", "", []string{"header"}},
		{"aws_ecs_service.api", "not a path", []string{"header"}},
		{`aws_ecs_service.api["k"]`, "name", []string{"name"}},
		{"data.aws_ecs_service.api", "name", []string{"data-name"}},
		{"data.aws_ecs_service.api", "", []string{"data"}},
		{"ephemeral.random_password.p", "length", []string{"ephemeral"}},
		{"aws_ecs_service.other", "name", nil},
		{"aws_ecs_service", "name", nil},
		{"not an address", "name", nil},
		{"", "", nil},
	})
	m := load(t, archive, "live")
	for attribute, want := range map[string]hclsource.Location{
		"network_configuration[1].subnets": {File: "live/main.tf", Line: 7, EndLine: 10},
		"policy":                           {File: "live/main.tf", Line: 27, EndLine: 30},
		"missing":                          {File: "live/main.tf", Line: 1, EndLine: 1},
	} {
		if got := m.Locate("aws_ecs_service.api", attribute); !slices.Equal(got, []hclsource.Location{want}) {
			t.Errorf("%s: got %v to %d, want %v to %d", attribute, got, got[0].EndLine, want, want.EndLine)
		}
	}
}

func TestLocateThroughModules(t *testing.T) {
	t.Parallel()
	const archive = `
-- live/main.tf --
module "service" { # @call
  source   = "../modules/service"
  for_each = local.services # @for-each
  public   = each.value.public # @arg-public
  size     = var.size # @arg-size
  fixed    = 7 # @arg-fixed
  settings = { # @arg-settings
    retention = var.days # @arg-retention
  }
  name     = each.key # @arg-name
}
module "remote" { # @remote
  source = "terraform-aws-modules/vpc/aws"
}
locals {
  services = merge(local.more, { # @services
    "pay.ment[0]" = { public = true, cpu = 1 } # @payment
    "say \"hi\""  = { public = false } # @hi
  })
  more = { # @more
    extra = var.extra # @extra
  }
}
-- live/variables.tf --
variable "size" { # @var-size
  type = number
}
variable "days" {
  default = 30 # @default-days
}
variable "extra" {
  default = { public = true } # @default-extra
}
-- live/a.auto.tfvars --
size = 1 # @auto-a
-- live/b.auto.tfvars --
size = 2 # @auto-b
-- live/terraform.tfvars --
size = 3
-- modules/service/main.tf --
module "inner" { # @inner-call
  source = "./inner"
  count  = 2
  public = var.public # @inner-public
  size   = var.size # @inner-size
  days   = var.settings.retention # @inner-days
  either = var.fixed > 3 ? var.size : local.other # @inner-either
  name   = "x-${var.name}" # @inner-name
}
module "gone" { # @inner-remote
  source = "git::https://example.com/x.git"
}
variable "public" {}
variable "size" {}
variable "fixed" {}
variable "settings" {}
variable "name" {}
locals {
  other = var.fixed # @other
}
-- modules/service/inner/main.tf --
resource "aws_x" "y" { # @resource
  public = var.public # @public
  size   = var.size # @size
  days   = var.days # @days
  either = var.either # @either
  unset  = var.unset # @unset
  name   = var.name # @name
  index  = var.list[count.index] # @index
}
variable "public" {}
variable "size" {}
variable "days" {}
variable "either" {}
variable "name" {}
variable "unset" {
  default = "d" # @default-unset
}
variable "list" {
  default = [ # @default-list
    1, # @item-0
    2, # @item-1
  ]
}
`
	payment := `module.service["pay.ment[0]"].module.inner[1].aws_x.y`
	testLocate(t, archive, "live", []locateCase{
		{payment, "public", []string{"public", "inner-public", "arg-public", "for-each", "services", "payment"}},
		{`module.service["say \"hi\""].module.inner[0].aws_x.y`, "public", []string{"public", "inner-public", "arg-public", "for-each", "services", "hi"}},
		{`module.service["extra"].module.inner[0].aws_x.y`, "public", []string{"public", "inner-public", "arg-public", "for-each", "services", "extra", "default-extra"}},
		{payment, "size", []string{"size", "inner-size", "arg-size", "auto-b"}},
		{payment, "days", []string{"days", "inner-days", "arg-retention", "default-days"}},
		{payment, "either", []string{"either", "inner-either", "arg-size", "auto-b", "other", "arg-fixed"}},
		{payment, "unset", []string{"unset", "default-unset"}},
		{payment, "name", []string{"name", "inner-name", "arg-name", "for-each", "services", "payment"}},
		{payment + "[1]", "index", []string{"index", "item-1"}},
		{payment, "absent", []string{"resource"}},
		{"module.remote.aws_vpc.this", "cidr", []string{"remote"}},
		{"module.remote.module.deeper.aws_vpc.this", "cidr", []string{"remote"}},
		{`module.service["pay.ment[0]"].module.gone.aws_x.y`, "a", []string{"inner-remote", "call"}},
		{`module.service["pay.ment[0]"].aws_nothing.here`, "a", []string{"call"}},
		{`module.service["pay.ment[0]"]`, "", []string{"call"}},
		{"module.nowhere.aws_x.y", "a", nil},
	})
}

func TestLocateDynamicBlocks(t *testing.T) {
	t.Parallel()
	const archive = `
-- main.tf --
resource "aws_lb_listener" "l" {
  for_each = var.listeners # @for-each
  default_action { # @static
    type = "a" # @static-type
  }
  dynamic "default_action" { # @dynamic
    for_each = each.value.actions # @actions
    content {
      type = default_action.value.type # @content-type
      redirect { # @redirect
        port = 443 # @port
      }
    }
  }
  dynamic "tag" {
    for_each = local.tags # @tag-for-each
    iterator = it
    content {
      key = it.key # @key
      value = it.value.v # @value
    }
  }
}
locals {
  tags = { # @local-tags
    a = { v = 1 }
  }
}
variable "listeners" {
  default = {
    "k.1" = { # @k
      actions = [{ type = "x" }] # @k-actions
    }
  }
}
`
	address := `aws_lb_listener.l["k.1"]`
	testLocate(t, archive, ".", []locateCase{
		{address, "default_action[0].type", []string{"static-type"}},
		{address, "default_action[1].type", []string{"content-type", "actions", "for-each", "k-actions"}},
		{address, "default_action[4].redirect[0].port", []string{"port", "actions", "for-each", "k-actions"}},
		{address, "default_action[1].redirect[0].nothing", []string{"redirect", "actions", "for-each", "k-actions"}},
		{address, "default_action[1]", []string{"dynamic", "actions", "for-each", "k-actions"}},
		{address, "tag[3].value", []string{"value", "tag-for-each", "local-tags"}},
	})
}

func TestLocateTags(t *testing.T) {
	t.Parallel()
	const archive = `
-- live/main.tf --
provider "aws" {
  region = "eu-central-1"
  default_tags { # @default-tags
    tags = local.tags # @default-tags-attr
  }
}
provider "aws" {
  alias = "west"
  default_tags {
    tags = { Team = "west" } # @west-tags
  }
}
locals {
  tags = merge({ # @local-tags
    Team        = var.team # @team
    Environment = "production" # @environment
  }, var.more)
}
variable "team" {
  default = "payments" # @var-team
}
variable "more" {
  default = {} # @var-more
}
resource "aws_vpc" "plain" { # @plain
}
resource "aws_vpc" "tagged" {
  tags = merge(var.more, { # @tagged
    Team = "own" # @own-team
  })
}
resource "aws_vpc" "west" { # @west
  provider = aws.west
}
module "inherits" {
  source = "../m"
}
module "passed" {
  source = "../m"
  providers = {
    aws       = aws.west
    aws.other = aws
  }
}
resource "google_thing" "g" { # @google
}
-- m/main.tf --
resource "aws_vpc" "v" { # @m
}
resource "aws_vpc" "other" { # @m-other
  provider = aws.other
}
`
	chain := []string{"default-tags-attr", "local-tags"}
	testLocate(t, archive, "live", []locateCase{
		{"aws_vpc.plain", `tags["Team"]`, []string{"default-tags-attr", "local-tags", "var-more", "team", "var-team", "plain"}},
		{"aws_vpc.plain", "tags_all.Environment", []string{"default-tags-attr", "local-tags", "var-more", "environment", "plain"}},
		{"aws_vpc.plain", `tags["CostCenter"]`, append([]string{"plain"}, append(chain, "var-more")...)},
		{"aws_vpc.plain", "tags", append(append([]string{}, chain...), "var-more", "var-team", "plain")},
		{"aws_vpc.tagged", `tags["Team"]`, []string{"tagged", "own-team"}},
		{"aws_vpc.west", `tags["Team"]`, []string{"west-tags", "west"}},
		{"module.inherits.aws_vpc.v", `tags["Environment"]`, []string{"default-tags-attr", "local-tags", "var-more", "environment", "m"}},
		{"module.passed.aws_vpc.v", `tags["Team"]`, []string{"west-tags", "m"}},
		{"module.passed.aws_vpc.other", `tags["Environment"]`, []string{"default-tags-attr", "local-tags", "var-more", "environment", "m-other"}},
		{"module.inherits.aws_vpc.other", `tags["Environment"]`, []string{"m-other"}},
		{"google_thing.g", "tags", []string{"google"}},
	})
}

func TestLocateOverrides(t *testing.T) {
	t.Parallel()
	const archive = `
-- a_override.tf --
resource "aws_x" "y" {
  size = 2 # @override-a
  net {
    public = true # @override-net
  }
}
variable "v" {
  default = 2 # @override-v
}
-- main.tf --
resource "aws_x" "y" { # @header
  size  = 1 # @size
  other = var.v # @other
  net {
    public = false
  }
}
variable "v" {
  default = 1
}
-- override.tf --
resource "aws_x" "y" {
  size = 3 # @override-last
}
-- main_override_not.tf --
locals {}
`
	testLocate(t, archive, ".", []locateCase{
		{"aws_x.y", "size", []string{"override-last"}},
		{"aws_x.y", "net[0].public", []string{"override-net"}},
		{"aws_x.y", "other", []string{"other", "override-v"}},
		{"aws_x.y", "missing", []string{"header"}},
	})
}

func TestLocateInJSON(t *testing.T) {
	t.Parallel()
	const archive = `
-- main.tf.json --
{
  "provider": { "aws": { "default_tags": { "tags": {
    "Team": "t" } } } },
  "module": {
    "m": {
      "source": "./m",
      "size": "${var.size}"
    }
  },
  "variable": { "size": {
    "default": 7
  } },
  "resource": {
    "aws_x": {
      "y": {
        "name": "n",
        "net": [
          { "public": false },
          { "public": true,
            "subnets": ["a",
              "b"] }
        ],
        "single": {
          "inside": 1
        },
        "dynamic": {
          "rule": {
            "for_each": ["x"],
            "content": {
              "port": 443
            }
          }
        }
      }
    }
  }
}
-- m/main.tf.json --
{
  "variable": { "size": {} },
  "resource": { "aws_x": { "y": {
    "size": "${var.size}",
    "text": "a ${var.size} b"
  } } }
}
`
	testLocate(t, archive, ".", []locateCase{
		{"aws_x.y", "name", []string{"main.tf.json:16"}},
		{"aws_x.y", "net[0].public", []string{"main.tf.json:18"}},
		{"aws_x.y", "net[1].public", []string{"main.tf.json:19"}},
		{"aws_x.y", "net[1].subnets[1]", []string{"main.tf.json:21"}},
		{"aws_x.y", "single[0].inside", []string{"main.tf.json:24"}},
		{"aws_x.y", "single.inside", []string{"main.tf.json:24"}},
		{"aws_x.y", "rule[0].port", []string{"main.tf.json:30", "main.tf.json:28"}},
		{"aws_x.y", "missing", []string{"main.tf.json:15"}},
		{"aws_x.y", `tags["Team"]`, []string{"main.tf.json:3", "main.tf.json:15"}},
		{"module.m.aws_x.y", "size", []string{"m/main.tf.json:4", "main.tf.json:7", "main.tf.json:11"}},
		{"module.m.aws_x.y", "text", []string{"m/main.tf.json:5", "main.tf.json:7", "main.tf.json:11"}},
	})
}
