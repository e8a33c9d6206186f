package plan.lib.tfplan_test

import data.plan.lib.tfplan

resource(change) := {
	"address": "aws_x.y",
	"mode": "managed",
	"type": "aws_x",
	"name": "y",
	"change": object.union({"actions": ["create"], "after": {}, "after_unknown": {}}, change),
}

test_judged_resources if {
	kept := object.union(resource({}), {"address": "kept"})
	read := object.union(resource({}), {"address": "read", "mode": "data"})
	deleted := object.union(resource({"after": null}), {"address": "deleted"})
	tfplan.of_type("aws_x") == [kept] with input as {"resource_changes": [read, kept, deleted]}
}

test_plan_without_changes if tfplan.of_type("aws_x") == [] with input as {"planned_values": {}}

test_touched if {
	tfplan.touched(resource({"actions": ["update"]}))
	tfplan.touched(resource({"actions": ["delete", "create"]}))
	tfplan.touched(resource({"actions": ["no-op"], "importing": {"id": "x"}}))
	not tfplan.touched(resource({"actions": ["no-op"]}))
}

test_unknown if {
	r := resource({"after_unknown": {"a": true, "b": [{"c": true}], "list": [false, true], "known": [{"c": false}]}})
	tfplan.unknown(r, ["a"])
	tfplan.unknown(r, ["a", 0, "below"])
	tfplan.unknown(r, ["b", 0, "c"])
	tfplan.unknown(r, ["list"])
	not tfplan.unknown(r, ["known", 0, "c"])
	not tfplan.unknown(r, ["absent"])
}

test_paths if {
	r := resource({
		"after": {"b": [{"c": 1}, {"c": null}], "list": ["x", "y"]},
		"after_unknown": {"b": [{}, {}, {"c": true}], "hidden": true},
	})
	tfplan.paths(r, ["b", "c"]) == {["b", 0, "c"], ["b", 1, "c"], ["b", 2, "c"]}
	tfplan.paths(r, ["list"]) == {["list"]}
	tfplan.paths(r, ["hidden", "c"]) == {["hidden"]}
	tfplan.paths(r, ["absent"]) == set()
}

test_attribute if {
	tfplan.attribute(["a"]) == "a"
	tfplan.attribute(["a", 0, "b", 12, "c"]) == "a[0].b[12].c"
}

test_modules if {
	tfplan.module_of({"address": "aws_x.y"}) == []
	tfplan.module_of({"module_address": `module.a["x.module.y"].module.b[0].module.c`}) == ["a", "b", "c"]
}

configuration := {"root_module": {"module_calls": {"m": {"module": {"resources": [{
	"mode": "managed",
	"type": "aws_x",
	"name": "y",
	"expressions": {
		"set": {"references": ["var.x"]},
		"constant": {"constant_value": 1},
		"empty": {},
		"block": [{"set": {"constant_value": "x"}}],
	},
}]}}}}}

in_module := object.union(resource({}), {"module_address": `module.m["k"]`})

test_expression if {
	tfplan.expression(in_module, ["set"]) == {"references": ["var.x"]} with input.configuration as configuration
	tfplan.expression(in_module, ["block", 0, "set"]).constant_value == "x" with input.configuration as configuration
	tfplan.expression(in_module, ["set", 0, "part"]).references with input.configuration as configuration
	not tfplan.expression(in_module, ["absent"]) with input.configuration as configuration
}

test_unset if {
	tfplan.unset(in_module, ["absent"]) with input.configuration as configuration
	tfplan.unset(in_module, ["empty"]) with input.configuration as configuration
	tfplan.unset(in_module, ["block", 0, "absent"]) with input.configuration as configuration
	not tfplan.unset(in_module, ["set"]) with input.configuration as configuration
	not tfplan.unset(in_module, ["block", 0, "set"]) with input.configuration as configuration
}

# Terraform writes no expressions for a resource that sets nothing at all.
test_everything_unset if {
	bare := object.union(resource({}), {"type": "aws_bare"})
	root := {"resources": [{"mode": "managed", "type": "aws_bare", "name": "y"}]}
	tfplan.unset(bare, ["x"]) with input.configuration as {"root_module": root}
	not tfplan.unset(bare, ["block", 0, "x"]) with input.configuration as {"root_module": root}
}

# What may come from a dynamic block, or from a resource without configuration, is not left out.
test_not_unset_if_not_known if {
	not tfplan.unset(in_module, ["dynamic", 0, "x"]) with input.configuration as configuration
	not tfplan.unset(in_module, ["x"]) with input.configuration as {}
}

test_paths_of_single_names if {
	r := resource({"after": {"a": 1, "b": [1, 2], "c": null}, "after_unknown": {"d": true, "e": [true], "f": false}})
	{name: paths | some name in ["a", "b", "c", "d", "e", "f", "g"]; paths := tfplan.paths(r, [name])} == {
		"a": {["a"]}, "b": {["b"]}, "c": {["c"]}, "d": {["d"]}, "e": set(), "f": set(), "g": set(),
	}
}

test_paths_of_blocks if {
	tfplan.paths(resource({"after": {"a": [{"b": 1}, {"c": 2}, {"b": null}]}}), ["a", "b"]) == {["a", 0, "b"], ["a", 2, "b"]}
	tfplan.paths(resource({"after": {"a": [{}]}, "after_unknown": {"a": [{"b": true}]}}), ["a", "b"]) == {["a", 0, "b"]}
	tfplan.paths(resource({"after": {}, "after_unknown": {"a": true}}), ["a", "b"]) == {["a"]}
	tfplan.paths(resource({"after": {"a": []}, "after_unknown": {"a": []}}), ["a", "b"]) == set()
	tfplan.paths(resource({"after": {"a": null}}), ["a", "b"]) == set()
	tfplan.paths(resource({"after": {"a": {"b": 1}}}), ["a", "b"]) == {["a", "b"]}
	tfplan.paths(resource({"after": {"a": [{"b": [{"c": 1}]}]}}), ["a", "b", "c"]) == {["a", 0, "b", 0, "c"]}
	tfplan.paths(resource({"after": {"a": [{}]}, "after_unknown": {"a": [{"b": true}]}}), ["a", "b", "c"]) == {["a", 0, "b"]}
}

test_unknown_parts if {
	r := resource({"after_unknown": {"a": true, "b": [{"c": true}], "d": [false, true], "e": {}, "f": false}})
	every path in [["a"], ["a", 0, "x"], ["b", 0, "c"], ["b", 0, "c", 0], ["d"]] {
		tfplan.unknown(r, path)
	}
	every path in [["b"], ["b", 0, "x"], ["e"], ["e", 0], ["f"], ["g"]] {
		not tfplan.unknown(r, path)
	}
}

test_shown if {
	r := resource({"after": {"a": 1, "b": [{"c": "x"}]}, "after_sensitive": {"b": true}})
	tfplan.shown(r, ["a"]) == 1
	tfplan.shown(r, ["b", 0, "c"]) == "sensitive"
}
