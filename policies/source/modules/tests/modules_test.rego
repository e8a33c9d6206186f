package source.modules_test

import data.source.modules

commit := "0123456789abcdef0123456789abcdef01234567"

call(kind, repository, more) := {"calls": [object.union(
	{
		"address": "module.m",
		"file": "main.tf",
		"line": 2,
		"source": "x",
		"kind": kind,
		"repository": repository,
		"version": "",
		"ref": "",
	},
	more,
)]}

vpc := "registry.terraform.io/terraform-aws-modules/vpc/aws"

verdicts(doc) := [object.get(f, "verdict", "fail") | some f in modules.deny with input as doc]

test_local if {
	verdicts(call("local", "", {})) == []
	count(modules.judged) == 1 with input as call("local", "", {})
}

test_registry if {
	verdicts(call("registry", vpc, {"version": "5.1.2"})) == []
	verdicts(call("registry", vpc, {"version": "= 5.1.2"})) == []
	verdicts(call("registry", vpc, {"version": "~> 5.1"})) == ["fail"]
	verdicts(call("registry", vpc, {})) == ["fail"]
	verdicts(call("registry", "registry.terraform.io/evil/vpc/aws", {"version": "5.1.2"})) == ["fail"]
}

test_git if {
	verdicts(call("git", "github.com/acme/modules", {"ref": commit})) == ["fail"]
	verdicts(call("git", "github.com/acme/modules", {"ref": commit})) == [] with data.source.modules.parameters.allowed as ["github.com/acme/*"]
	verdicts(call("git", "github.com/acme/modules", {"ref": "main"})) == ["fail"] with data.source.modules.parameters.allowed as ["github.com/acme/*"]
}

test_other if verdicts(call("other", "", {})) == ["fail"]

test_computed if verdicts(call("other", "", {"source": ""})) == ["undetermined"]
