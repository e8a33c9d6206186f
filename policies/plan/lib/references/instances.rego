package plan.lib.references

import data.plan.lib.references.parameters
import data.plan.lib.tfplan

# METADATA
# description: >-
#   The resources of these types that an attribute means, by address. They are found by id where the
#   plan knows it, and by reference where it does not. If a reference leaves open which instance is
#   meant, it is the one with the same key as the resource, or else all of them.
meant(r, path, types) := identified(r, path, types) | same_key(r, named(r, path, types))

identified(r, path, types) := {address |
	some id in values(r, path)
	some type in types
	some address in by_id(type)[id]
}

named(r, path, types) := {instance |
	tfplan.unknown(r, path)
	trail := reached(r, path)
	some type in types
	places := by_node(type)
	some end in trail
	candidates := places[end]
	home := [home | some home in homes_of(r, trail); candidates[home]][0]
	some instance in candidates[home]
	passed(instance.module, r, trail)
}

# METADATA
# description: The known values at a path as a set, whether it holds one or many.
values(r, path) := {v | some v in tfplan.value(r, path); is_string(v)} if {
	is_array(tfplan.value(r, path))
} else := {tfplan.value(r, path)} if {
	is_string(tfplan.value(r, path))
} else := set()

# METADATA
# description: The addresses of the resources of a type by id.
by_id(type) := ids[type]

# Asked for by type, so that the types that nobody asks for cost nothing.
ids[type][r.change.after.id] contains r.address if {
	some type, _ in tfplan.positions
	some r in tfplan.of_type(type)
}

ids[type][r.change.after.name] contains r.address if {
	some type in parameters.known_by_name
	some r in tfplan.of_type(type)
}

# The resources of a type by node, and then by each module that they are in, so that a resource finds
# what is in its own module without looking at every other instance of that module.
by_node(type) := instances[type]

instances[type][instance_node][home] contains {"address": r.address, "key": key, "module": module} if {
	some type, _ in tfplan.positions
	some r in tfplan.of_type(type)
	key := object.get(r, "index", null)
	module := object.get(r, "module_address", "")
	some instance_node in instance_nodes(r)
	some home in homes(module)
}

# The module and those around it, innermost first.
homes(module) := array.concat(
	array.reverse([concat(".", array.slice(names, 0, n)) | some n in numbers.range(1, count(names))]),
	[""],
) if {
	module != ""
	names := regex.find_n(`module\.[^.\[]+(?:\["(?:[^"\\]|\\.)*"\]|\[\d+\])?`, module, -1)
} else := [""]

# Those modules around a resource that the trail does not leave by way of another instance.
homes_of(r, trail) := [home |
	some home in homes(object.get(r, "module_address", ""))
	every step in steps(home) {
		not step.any in trail
		not step.this in trail
	}
]

# An instance is meant by its resource's name alone, and by the name with its key.
instance_nodes(r) := {node(tfplan.module_of(r), name) |
	bare := concat(".", [r.type, r.name])
	some name in {bare, concat("", [bare, bracket(r)])}
}

bracket(r) := sprintf("[%d]", [r.index]) if is_number(r.index)

bracket(r) := sprintf("[%q]", [r.index]) if is_string(r.index)

bracket(r) := "" if object.get(r, "index", null) == null

# The modules with keys around an address, as nodes of their callers: "outer:module.inner["key"]".
steps(address) := {{"any": node(outside, concat("", ["module.", name, "[*]"])), "this": node(outside, step)} |
	found := regex.find_all_string_submatch_n(`module\.([^.\[]+)(\["(?:[^"\\]|\\.)*"\]|\[\d+\])?`, address, -1)
	some i, [step, name, key] in found
	key != ""
	outside := [outer_name | some k, [_, outer_name, _] in found; k < i]
}

# Whether the trail passes all instances of modules around an address.
passed(module, r, _) if module == object.get(r, "module_address", "")

passed(module, r, trail) if {
	every step in steps(module) {
		on_the_way(step, r, trail)
	}
}

# The trail passes an instance of a module if it names it or all of them, or starts inside of it.
on_the_way(step, _, trail) if step.this in trail

on_the_way(step, _, trail) if step.any in trail

on_the_way(step, r, _) if {
	some own in steps(object.get(r, "module_address", ""))
	own.this == step.this
}

same_key(r, candidates) := {instance.address | some instance in paired} if {
	paired := [instance | some instance in candidates; instance.key == r.index]
	count(paired) > 0
} else := {instance.address | some instance in candidates}
