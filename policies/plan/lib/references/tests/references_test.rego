package plan.lib.references_test

import data.plan.lib.references

test_targets if {
	references.targets("var.x.y") == {"var.x"}
	references.targets("local.x[0]") == {"local.x"}
	references.targets("data.aws_x.y.id") == {"data.aws_x.y"}
	references.targets("aws_x.y[0].id") == {"aws_x.y[0]"}
	references.targets(`aws_x.y["a.b"].id`) == {`aws_x.y["a.b"]`}
	references.targets("random_shuffle.y[0].result") == {"random_shuffle.y"}
	references.targets("module.m.out") == {"module.m.out", "module.m[*]"}
	references.targets(`module.m["a.b"].out[0]`) == {"module.m.out", `module.m["a.b"]`}
	references.targets("module.m[0].out") == {"module.m.out", "module.m[0]"}
}

test_targets_of_nothing if {
	every reference in ["module.m", "each.key", "each.value.id", "count.index", "path.module", "terraform.workspace"] {
		references.targets(reference) == set()
	}
}

# An output that comes from a module within a module within a module.
passing(inner, module) := {
	"module_calls": {inner: {"module": module}},
	"outputs": {"out": {"expression": {"references": [sprintf("module.%s.out", [inner]), sprintf("module.%s", [inner])]}}},
}

innermost := {"outputs": {"out": {"expression": {"references": ["aws_subnet.x.id", "aws_subnet.x"]}}}}

deep := passing("a", passing("b", passing("c", innermost)))

user := {
	"address": "aws_x.user", "mode": "managed", "type": "aws_x", "name": "user",
	"change": {"actions": ["create"], "after": {}, "after_unknown": {"subnet_id": true}},
}

subnet := {
	"address": "module.a.module.b.module.c.aws_subnet.x", "module_address": "module.a.module.b.module.c",
	"mode": "managed", "type": "aws_subnet", "name": "x",
	"change": {"actions": ["create"], "after": {}, "after_unknown": {"id": true}},
}

plan_with(reference) := {
	"resource_changes": [user, subnet],
	"configuration": {"root_module": object.union(deep, {"resources": [{
		"mode": "managed", "type": "aws_x", "name": "user",
		"expressions": {"subnet_id": {"references": [reference]}},
	}]})},
}

test_through_modules if {
	references.meant(user, ["subnet_id"], {"aws_subnet"}) == {subnet.address} with input as plan_with("module.a.out")
}

test_not_through_locals if {
	references.meant(user, ["subnet_id"], {"aws_subnet"}) == set() with input as plan_with("local.x")
	references.loose_ends(user, ["subnet_id"]) == {"local.x"} with input as plan_with("local.x")
}

test_by_id if {
	known := {"change": {"after": {"subnet_id": "subnet-1"}, "after_unknown": {"subnet_id": false}}}
	there := {"change": {"after": {"id": "subnet-1"}, "after_unknown": {"id": false}}}
	plan := {"resource_changes": [object.union(user, known), object.union(subnet, there)]}
	references.meant(plan.resource_changes[0], ["subnet_id"], {"aws_subnet"}) == {subnet.address} with input as plan
	references.meant(plan.resource_changes[0], ["subnet_id"], {"aws_vpc"}) == set() with input as plan
}

test_steps if {
	references.steps(`module.a["x"].module.b.module.c[0]`) == {
		{"any": ":module.a[*]", "this": `:module.a["x"]`},
		{"any": "a.b:module.c[*]", "this": "a.b:module.c[0]"},
	}
	references.steps("") == set()
}

null_plan(declared, call) := {
	"resource_changes": [in_module],
	"configuration": {"root_module": {"module_calls": {"m": {
		"expressions": call,
		"module": {
			"variables": {"x": declared},
			"resources": [{
				"mode": "managed", "type": "aws_x", "name": "user",
				"expressions": {"subnet_id": {"references": ["var.x"]}},
			}],
		},
	}}}},
}

in_module := object.union(user, {"module_address": "module.m"})

test_left_out_through_a_variable if {
	references.left_out(in_module, ["subnet_id"]) with input as null_plan({"default": null}, {})
	references.left_out(in_module, ["subnet_id"]) with input as null_plan({"default": "x"}, {"x": {}})
	references.left_out(in_module, ["subnet_id"]) with input as null_plan({}, {"x": {"constant_value": null}})
	not references.left_out(in_module, ["subnet_id"]) with input as null_plan({"default": "x"}, {})
	not references.left_out(in_module, ["subnet_id"]) with input as null_plan({"default": null}, {"x": {"constant_value": "x"}})
	not references.left_out(in_module, ["subnet_id"]) with input as null_plan({"default": null}, {"x": {"references": ["local.x"]}})
}
