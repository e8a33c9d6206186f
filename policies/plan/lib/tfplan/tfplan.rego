# METADATA
# title: Reading Terraform plans
# description: >-
#   What every family needs to know of a plan: which resources to judge, what is known of an
#   attribute, what the configuration says about one that is unknown, and how a finding looks.
package plan.lib.tfplan

# METADATA
# description: >-
#   Positions in resource_changes of the resources to judge, by type. Data sources are read, not made,
#   and what is deleted or forgotten has no planned value.
positions := {by_type[from][0]: [entry[1] | some entry in array.slice(by_type, from, to)] |
	some k, from in starts
	to := array.concat(starts, [count(by_type)])[k + 1]
}

# Sorting puts the types together. A rule with the type as its key would do the same, but the engine
# takes quadratic time for it, which matters in a large plan.
by_type := sort([[r.type, i] |
	some i, r in input.resource_changes
	r.mode == "managed"
	is_object(r.change.after)
])

starts := [k | some k, [type, _] in by_type; not by_type[k - 1][0] == type]

# METADATA
# description: The resources of a type that exist after the apply.
of_type(type) := [input.resource_changes[i] | some i in positions[type]]

# METADATA
# description: The resources of several types that exist after the apply.
of_types(types) := [input.resource_changes[i] | some type in types; some i in positions[type]]

# METADATA
# description: Whether the plan changes the resource. Importing counts, because it is new to us.
touched(r) if r.change.actions != ["no-op"]

touched(r) if r.change.importing

# METADATA
# description: >-
#   The value at a path, null if it is absent or unknown. A path is an array of attribute names
#   and positions.
value(r, path) := object.get(r.change.after, path, null)

# METADATA
# description: The value at a path as it may be shown. The plan holds sensitive values in clear.
shown(r, path) := "sensitive" if {
	some n in numbers.range(1, count(path))
	object.get(r.change.after_sensitive, array.slice(path, 0, n), false) == true
} else := value(r, path)

# METADATA
# description: >-
#   Whether the value at the path, a part of it or a block around it is known only after the apply.
unknown(r, path) if hidden(r.change.after_unknown[path[0]], r, path)

# The engine remembers what is false, but not what is undefined.
default unknown(_, _) := false

hidden(true, _, _)

hidden(_, r, path) if {
	some n in numbers.range(2, count(path))
	object.get(r.change.after_unknown, array.slice(path, 0, n), false) == true
}

hidden(_, r, path) if true in object.get(r.change.after_unknown, path, [])

# METADATA
# description: >-
#   Every path of the resource with these attribute names, whatever the positions between: ["a", "b"]
#   finds a[0].b and a[1].b. It holds known and unknown values, and blocks that are unknown as a whole.
paths(r, [name]) := {[name]} if {
	plain(r, name)
} else := set()

# Most resources leave most blocks out, and blocks are seldom nested. Walking finds the rest.
paths(r, names) := set() if {
	count(names) > 1
	object.get(r.change.after, names[0], null) in {null, []}
	object.get(r.change.after_unknown, names[0], false) in {false, [], {}}
} else := known | hidden if {
	[outer, inner] = names
	is_object(r.change.after[outer][0])
	known := {[outer, i, inner] | some i, block in r.change.after[outer]; _ = block[inner]}
	hidden := unknown_blocks(r, outer) | {[outer, i, inner] | r.change.after_unknown[outer][i][inner] == true}
} else := known | hidden if {
	count(names) > 1
	rest := array.slice(names, 1, count(names))
	known := {array.concat([names[0]], p) |
		walk(r.change.after[names[0]], [p, _])
		is_name(p)
		[name | some name in p; is_string(name)] == rest
	}
	hidden := {array.concat([names[0]], p) |
		walk(object.get(r.change.after_unknown, names[0], false), [p, true])
		is_name(p)
		inside := [name | some name in p; is_string(name)]
		inside == array.slice(rest, 0, count(inside))
	}
}

plain(r, name) if _ = r.change.after[name]

plain(r, name) if r.change.after_unknown[name] == true

unknown_blocks(r, outer) := {[outer] | r.change.after_unknown[outer] == true}

# Elements of a list belong to the list; a block in a list is found through its attributes.
is_name([])

is_name(path) if is_string(path[count(path) - 1])

# METADATA
# description: The path as it is written in HCL, such as network_configuration[0].assign_public_ip.
attribute(path) := substring(concat("", [step(s) | some s in path]), 1, -1)

step(s) := sprintf("[%d]", [s]) if is_number(s)

step(s) := sprintf(".%s", [s]) if is_string(s)

# METADATA
# description: The names of the modules around a resource, without their keys, outermost first.
module_of(r) := module_path(object.get(r, "module_address", ""))

module_path(address) := [name |
	plain := regex.replace(address, `\["(?:[^"\\]|\\.)*"\]|\[\d+\]`, "")
	some i, name in split(plain, ".")
	i % 2 == 1
]

# METADATA
# description: The configuration of a module at any depth.
module_config(names) := object.get(input.configuration.root_module, steps, {}) if {
	steps := [s | some name in names; some s in ["module_calls", name, "module"]]
}

resource_configs(names) := {concat(".", [c.type, c.name]): c |
	some c in module_config(names).resources
	c.mode == "managed"
}

# METADATA
# description: The configuration of a resource; undefined if the plan holds none.
config(r) := resource_configs(module_of(r))[concat(".", [r.type, r.name])]

# METADATA
# description: >-
#   The expression that the configuration gives for a path, or for the attribute around it; undefined
#   if there is none. Dynamic blocks are not in the configuration of a plan.
expression(r, path) := innermost(config(r).expressions, path)

innermost(expressions, [name]) := e if {
	e := expressions[name]
	is_expression(e)
}

innermost(expressions, path) := found[count(found) - 1] if {
	count(path) > 1
	found := [e |
		some n in numbers.range(1, count(path))
		e := object.get(expressions, array.slice(path, 0, n), null)
		is_expression(e)
	]
	count(found) > 0
}

is_expression(e) if is_array(e.references)

is_expression(e) if e.constant_value != null

# METADATA
# description: >-
#   Whether the configuration leaves out the attribute at the path, so that AWS or the provider
#   decides. Undefined for what may stand in a dynamic block.
unset(r, path) if {
	not expression(r, path)
	written := object.get(config(r), "expressions", {}) # not there if the resource sets nothing at all
	is_object(object.get(written, array.slice(path, 0, count(path) - 1), null))
}

# METADATA
# description: What a rule looked at. Whatever has no finding of the same rule has passed.
subject(rule, r) := {"rule": rule, "address": r.address}

# METADATA
# description: A finding about an attribute of a resource.
finding(rule, r, path, msg) := {
	"rule": rule,
	"address": r.address,
	"attribute": attribute(path),
	"msg": msg,
}

# METADATA
# description: A finding about a value that the plan does not tell.
undetermined(rule, r, path, msg) := object.union(finding(rule, r, path, msg), {"verdict": "undetermined"})
