# METADATA
# title: Following references through modules
# description: >-
#   A value that is unknown in the plan is still written down in the configuration, as references.
#   This follows them through variables and outputs, through any number of modules, to resources.
#   What cannot be followed (locals, for example, are not in the plan) is a dead end and is said so.
package plan.lib.references

import data.plan.lib.references.parameters
import data.plan.lib.tfplan

# Modules by path. What lies deeper than seven levels is a dead end for whoever refers to it.
level_1[[name]] := call.module if some name, call in input.configuration.root_module.module_calls

level_2[array.concat(names, [name])] := call.module if {
	some names, module in level_1
	some name, call in module.module_calls
}

level_3[array.concat(names, [name])] := call.module if {
	some names, module in level_2
	some name, call in module.module_calls
}

level_4[array.concat(names, [name])] := call.module if {
	some names, module in level_3
	some name, call in module.module_calls
}

level_5[array.concat(names, [name])] := call.module if {
	some names, module in level_4
	some name, call in module.module_calls
}

level_6[array.concat(names, [name])] := call.module if {
	some names, module in level_5
	some name, call in module.module_calls
}

level_7[array.concat(names, [name])] := call.module if {
	some names, module in level_6
	some name, call in module.module_calls
}

root := {[]: input.configuration.root_module}

modules := object.union_n([root, level_1, level_2, level_3, level_4, level_5, level_6, level_7])

# A node is a module's path and something in it: "network:aws_subnet.private", ":var.name".
node(names, name) := sprintf("%s:%s", [concat(".", names), name])

variable_node(names, variable) := node(names, concat(".", ["var", variable]))

outer(names) := array.slice(names, 0, count(names) - 1)

edges := edge

# Variables lead to what the caller passes.
edge[variable_node(names, variable)] contains to if {
	some names, _ in modules
	count(names) > 0
	caller := outer(names)
	call := modules[caller].module_calls[names[count(names) - 1]]
	some variable, expression in call.expressions
	some to in nodes(caller, expression, object.get(call, "for_each_expression", {}))
}

# A call's output leads to the output's expression in the module.
edge[node(names, concat(".", ["module", name, output]))] contains to if {
	some names, module in modules
	some name, call in module.module_calls
	some output, declared in call.module.outputs
	some to in nodes(array.concat(names, [name]), declared.expression, {})
}

# Some resources only pass on what they are given, such as a subnet group its subnets.
edge[node(names, concat(".", [r.type, r.name]))] contains to if {
	some names, module in modules
	some r in module.resources
	r.mode == "managed"
	some path in parameters.carriers[r.type]
	some to in nodes(names, object.get(r.expressions, path, {}), object.get(r, "for_each_expression", {}))
}

# METADATA
# description: >-
#   The nodes that an expression refers to. A key or index selects among instances, so it counts
#   only if it is all that there is: then the values come from for_each.
nodes(names, expression, for_each) := direct if {
	direct := stated(names, expression)
	count(direct) > 0
} else := stated(names, for_each) if {
	some reference in expression.references
	startswith(reference, "each.")
} else := set()

stated(names, expression) := {node(names, name) |
	some reference in expression.references
	some name in targets(reference)
	not vague(name, expression.references)
}

# METADATA
# description: >-
#   The parts of a reference that name something: var.x, local.x, module.m.output, data.type.name,
#   type.name or type.name[index]. For an output there is also module.m["key"], or module.m[*] without
#   a key: it leads nowhere but tells which instances of the module are meant. Empty for a mere prefix
#   of another reference, and for each, count, path, self and terraform.
targets(reference) := {output, which} if {
	[_, name, key, output_name] := regex.find_all_string_submatch_n(output_pattern, reference, 1)[0]
	output := concat(".", ["module", name, output_name])
	which := module_instance(name, key)
} else := {name | some name in regex.find_n(name_pattern, reference, 1)}

module_instance(name, "") := concat("", ["module.", name, "[*]"])

module_instance(name, key) := concat("", ["module.", name, key]) if key != ""

output_pattern := `^module\.([\w-]+)(\["(?:[^"\\]|\\.)*"\]|\[\d+\])?\.([\w-]+)`

name_pattern := concat("|", [
	`^(?:var|local)\.[\w-]+`,
	`^data\.\w+\.[\w-]+`,
	concat("", ["^(?:", concat("|", object.keys(parameters.carriers)), `)\.[\w-]+`]),
	`^[a-z0-9]+_\w+\.[\w-]+(?:\["(?:[^"\\]|\\.)*"\]|\[\d+\])?`,
])

# Terraform lists each prefix of a reference too: beside x_y.z["k"], a bare x_y.z says nothing.
vague(name, references) if {
	not regex.match(`^(?:var|local|module|data)\.`, name)
	not split(name, ".")[0] in object.keys(parameters.carriers)
	some reference in references
	startswith(reference, concat("", [name, "["]))
}

# METADATA
# description: Everything that the expression at a path of a resource leads to.
reached(r, path) := (start | through) | {to | some node in through; some to in edges[node]} if {
	start := nodes(tfplan.module_of(r), tfplan.expression(r, path), for_each(r))

	# Only what leads further counts as reachable to the engine; hence the ends are added above.
	through := graph.reachable(edges, start)
}

for_each(r) := object.get(tfplan.config(r), "for_each_expression", {})

# METADATA
# description: >-
#   Whether everything that the expression at a path leads to ends in variables that are null, so that
#   the attribute is as good as left out.
nothing(r, path) if {
	ends := ends_of(r, path)
	count(ends) > 0
	every end in ends {
		null_variable(end)
	}
}

ends_of(r, path) := {end |
	some end in reached(r, path)
	not edges[end]
	not regex.match(`:module\.[\w-]+\[`, end)
}

# METADATA
# description: What an attribute comes from that the plan does not hold, such as locals.
loose_ends(r, path) := {name |
	tfplan.unknown(r, path)
	some end in ends_of(r, path)
	name := split(end, ":")[1]
	regex.match(`^(?:local|data)\.`, name)
}

# METADATA
# description: Whether the attribute at the path is not set, so that AWS or the provider decides.
left_out(r, path) if tfplan.unset(r, path)

left_out(r, path) if nothing(r, path)

null_variable(end) if {
	[place, name] := split(end, ":")
	startswith(name, "var.")
	names := [step | some step in split(place, "."); step != ""]
	given(names, modules[names], trim_prefix(name, "var.")) == null
}

given(names, module, variable) := value if {
	count(names) > 0
	call := modules[outer(names)].module_calls[names[count(names) - 1]]
	fallback := {"constant_value": object.get(module.variables[variable], "default", "required")}
	expression := object.get(call.expressions, variable, fallback)
	not expression.references
	value := object.get(expression, "constant_value", null)
}

given([], _, variable) := object.get(input, ["variables", variable, "value"], null)
