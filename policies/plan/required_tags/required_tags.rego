# METADATA
# title: Everything says whose it is
# description: >-
#   Tags tie a resource to its environment, its team and its cost centre. They count wherever they
#   come from: the resource, or default_tags of its provider. taggable.yaml lists the types that can
#   carry tags at all.
package plan.required_tags

import data.plan.lib.tfplan
import data.plan.required_tags.parameters

# Positions in resource_changes, because these are cheap to hand around in a plan of many thousands.
subjects := {i |
	some type in types
	listed(type)
	some i in tfplan.positions[type]
} | {i |
	some type in types
	not listed(type)
	some i in tfplan.positions[type]
	shows_tags(i)
}

types := [type |
	some type, _ in tfplan.positions
	startswith(type, "aws_")
	not type in parameters.exempt_types
]

listed(type) if data.plan.required_tags.taggable[type]

listed(type) if parameters.tag_blocks[type]

# Types that came with a newer provider than the list. What can carry tags always plans tags_all.
shows_tags(i) if is_object(input.resource_changes[i].change.after.tags_all)

shows_tags(i) if input.resource_changes[i].change.after_unknown.tags_all == true

judged contains {"rule": "tags", "address": input.resource_changes[i].address} if some i in subjects

# METADATA
# title: The resource carries every required tag
# description: >-
#   Without these tags nobody can say at once which environment a resource belongs to, whom to call
#   about it and who pays for it, so scope and inventory of the cardholder environment have gaps.
# custom:
#   id: tags
#   severity: deny
#   remediation: Set the tags Environment, Team and CostCenter in default_tags of the provider, or in tags of the resource.
# related_resources:
# - ref: https://docs.aws.amazon.com/whitepapers/latest/tagging-best-practices/tagging-best-practices.html
#   description: AWS, best practices for tagging resources
# - ref: https://www.pcisecuritystandards.org/document_library/
#   description: PCI DSS 4.0.1, requirement 12.5.1
deny contains finding if {
	some i in (subjects - sound)
	r := input.resource_changes[i]
	finding := object.union({"rule": "tags", "address": r.address}, verdict(facts(essence(r))))
}

# The usual case, told quickly: it is known what AWS gets, and nothing is wrong with it.
sound := {i |
	count(writers) == 0
	some i in subjects
	tags := input.resource_changes[i].change.after.tags_all
	is_object(tags)
	flawless(object.filter(tags, keys))
}

# Most resources have the same few tags, and the engine remembers what a function has returned.
flawless(tags) if {
	every key in keys {
		not flaw(key, object.get(tags, key, null))
	}
}

# Keys that something is asked of.
keys := array.concat(parameters.required, [key |
	some key, _ in parameters.allowed_values
	not key in parameters.required
])

# All of a resource that a verdict depends on. Most have it in common, so that few verdicts have to be found.
essence(r) := {
	"block": object.get(parameters.tag_blocks, r.type, ""),
	"after": picked(r.change.after),
	"unknown": picked(object.get(r.change, "after_unknown", {})),
	"sensitive": picked(object.get(r.change, "after_sensitive", {})),
	"provider": provider(r),
	"written": written(r),
}

picked(values) := object.filter(values, about_tags) if {
	is_object(values)
} else := {}

about_tags := {"override_provider", "tag", "tags", "tags_all"} | {block | some block in parameters.tag_blocks}

facts(e) := {
	"block": e.block,
	"tags": object.filter(tags, keys),
	"others": object.keys(object.remove(tags, keys)),
	"open": {key | hidden(e); some key in keys; not decided(e, key)},
	"secret": {key | some key, _ in parameters.allowed_values; secret(e, key)},
} if {
	tags := have(e)
}

verdict(about) := {
	"attribute": attribute(about, wrong),
	"msg": complaint(about, states),
	"remediation": remediation(about, wrong),
} if {
	states := {key: state(about, key) | some key in keys}
	wrong := [key | some key in keys; not states[key] in ["fine", "open"]]
	count(wrong) > 0
} else := {
	"attribute": attribute(about, open),
	"msg": sprintf("Whether %s will be as required is known only after the apply.", [tags_named(open)]),
	"remediation": remediation(about, open),
	"verdict": "undetermined",
} if {
	open := [key | some key in keys; state(about, key) == "open"]
	count(open) > 0
}

state(about, key) := "open" if {
	key in about.open
	flaw(key, object.get(about.tags, key, null))
} else := what if {
	what := flaw(key, object.get(about.tags, key, null))
} else := "fine"

# What is wrong with the value of a key; null stands for none and true for one that is unknown.
flaw(key, null) := "missing" if key in parameters.required

flaw(key, value) := "blank" if {
	is_string(value)
	trim_space(value) == ""
	key in parameters.required
} else := "foreign" if {
	is_string(value)
	not value in parameters.allowed_values[key]
}

# The tag will be there, but may hold anything.
flaw(key, true) := "open" if parameters.allowed_values[key]

# The tags that the resource will have, as far as the plan tells. tags_all is what AWS gets; it is
# unknown as soon as a single value is, and for a new resource without any tag.
have(e) := object.union_n([{tag.key: object.get(tag, "value", true)} | some tag in e.after[e.block]; is_string(tag.key)]) if {
	e.block != ""
} else := object.union(e.after.tags_all, unknown_values(e, "tags_all")) if {
	settled(e)
} else := object.remove(tags, [key | some key, _ in tags; ignored(e, key)]) if {
	tags := object.union_n([default_tags(e), unknown_values(e, "tags"), known_tags(e)])
}

settled(e) if {
	is_object(e.after.tags_all)
	not e.written
}

known_tags(e) := tags if {
	tags := e.after.tags
	is_object(tags)
} else := {}

unknown_values(e, attribute) := {key: true | some key, true in e.unknown[attribute]}

# Whether tags may be there that the plan does not tell.
hidden(e) if {
	some tag in e.unknown[e.block]
	tag.key == true
}

hidden(e) if e.unknown[e.block] == true

hidden(e) if {
	e.unknown.tags == true
	not settled(e)
}

hidden(e) if {
	not settled(e)
	count(default_expression(e).references) > 0
}

# What the resource itself sets wins over any default, and what is ignored is not there at all.
decided(e, key) if is_string(e.after.tags[key])

decided(e, key) if ignored(e, key)

# The plan holds sensitive values in clear.
secret(e, key) if {
	some path in [["tags"], ["tags", key], ["tags_all"], ["tags_all", key], ["tag"]]
	object.get(e.sensitive, path, false) == true
}
