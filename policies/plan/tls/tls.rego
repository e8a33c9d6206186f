# METADATA
# title: Connections use TLS 1.2 or newer
# description: >-
#   Whatever accepts connections accepts them encrypted, with TLS 1.2 or newer. Older versions, and
#   plain HTTP other than a redirect to HTTPS, let card data be read or changed on its way.
package plan.tls

import data.plan.lib.references
import data.plan.lib.tfplan
import data.plan.tls.parameters

# --- Names of security policies ---------------------------------------------

# A security policy is modern if the oldest version that it accepts is TLS 1.2 or newer.
modern(name) if {
	some pattern in parameters.modern_policies
	regex.match(pattern, name)
}

outdated(name) if {
	some pattern in parameters.outdated_policies
	regex.match(pattern, name)
}

# What is wrong with a policy of this name; undefined if nothing is. It is shown as it may be shown.
name_problem(name, shown) := {"verdict": "fail", "msg": msg} if {
	outdated(name)
	msg := sprintf("The security policy %s accepts TLS versions older than 1.2, which can be broken.", [shown])
} else := {"verdict": "undetermined", "msg": msg} if {
	not modern(name)
	msg := sprintf("The security policy %s is not known, so neither is the oldest TLS version that it accepts.", [shown])
}

# --- Tables of attributes ---------------------------------------------------

# Where the entries of a table in parameters.yaml apply in the plan: the attribute of a resource, or the
# block that is missing there.
occurrences(table) := [o |
	some type, settings in table
	some r in tfplan.of_type(type)
	some setting in settings
	applies(r, setting)
	some o in places(r, setting)
]

applies(r, setting) if {
	among(r, setting)
	not excused(r, setting)
}

among(_, setting) if not setting.when

among(r, setting) if tfplan.value(r, [setting.when]) in setting.among

# Something else in the resource makes the setting pointless.
excused(r, setting) if {
	some path in tfplan.paths(r, split(setting.unless, "."))
	not tfplan.value(r, path) in {null, false, ""}
}

excused(r, setting) if {
	some path in tfplan.paths(r, split(setting.unless, "."))
	unclear(r, path)
}

places(r, setting) := [{"resource": r, "path": path, "setting": setting, "block": "known"}] if {
	path := [setting.attribute, setting.key]
} else := there if {
	names := split(setting.attribute, ".")
	there := [{"resource": r, "path": path, "setting": setting, "block": block} |
		some path in tfplan.paths(r, names)
		block := block_at(r, path, count(names))
		block != "missing"
	]
	count(there) > 0
} else := [{"resource": r, "path": [split(setting.attribute, ".")[0]], "setting": setting, "block": "missing"}] if {
	setting.absent
} else := []

# A path that ends before the attribute leads to a block that is planned as unknown. One that AWS may
# fill in is so if it is not written; any other only if it is a dynamic block of unknown length.
block_at(r, path, depth) := "known" if {
	count([name | some name in path; is_string(name)]) == depth
} else := "missing" if {
	path[0] in parameters.computed_blocks
	references.left_out(r, path)
} else := "unclear"

# The value is written in the configuration, but known only after the apply.
unclear(r, path) if {
	tfplan.unknown(r, path)
	not references.left_out(r, path)
}

unclear_there(o) if o.block == "unclear"

unclear_there(o) if {
	o.block == "known"
	unclear(o.resource, o.path)
}

# What AWS does where the entry's attribute is not set: secure, insecure or unclear.
fallback(o) := o.setting.absent if {
	o.block == "missing"
} else := o.setting.absent if {
	o.setting.json
	count(inner(o)) == 0
	not unclear_there(o)
} else := o.setting.unset if {
	o.setting.json
	null in inner(o)
} else := o.setting.unset if {
	not o.setting.json
	tfplan.value(o.resource, o.path) == null
	not unclear_there(o)
}

# The values in an attribute that is JSON, null where the object around a value does not have it.
inner(o) := [object.get(around, steps[count(steps) - 1], null) |
	text := tfplan.value(o.resource, o.path)
	is_string(text)
	json.is_valid(text)
	steps := split(o.setting.json, ".")
	walk(json.unmarshal(text), [path, around])
	is_object(around)
	[name | some name in path; is_string(name)] == array.slice(steps, 0, count(steps) - 1)
]

# How the entry's attribute is written in HCL.
written(o) := tfplan.attribute(o.path) if o.block == "known"

written(o) := o.setting.attribute if o.block != "known"
