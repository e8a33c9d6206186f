# METADATA
# title: Everything says whose it is
# description: >-
#   Tags tie a resource to its environment, its team and its cost centre. They count wherever they
#   come from: the resource, or default_tags of its provider. taggable.yaml lists the types that can
#   carry tags at all.
package plan.required_tags

import data.plan.lib.tfplan
import data.plan.required_tags.parameters

subjects := array.concat(
	[r |
		some type in types
		listed(type)
		some r in tfplan.of_type(type)
	],
	[r |
		some type in types
		not listed(type)
		some r in tfplan.of_type(type)
		shows_tags(r)
	],
)

types := [type |
	some type, _ in tfplan.positions
	startswith(type, "aws_")
	not type in parameters.exempt_types
]

listed(type) if data.plan.required_tags.taggable[type]

listed(type) if parameters.tag_blocks[type]

# Types that came with a newer provider than the list. What can carry tags always plans tags_all.
shows_tags(r) if "tags_all" in object.keys(r.change.after)

shows_tags(r) if r.change.after_unknown.tags_all

judged contains tfplan.subject("tags", r) if some r in subjects

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
deny contains f if {
	some r in subjects
	not sound(r)
	f := problem(r)
}

# The usual case, told quickly: it is known what AWS gets, and nothing is wrong with it.
sound(r) if {
	tags := r.change.after.tags_all
	not written(r)
	every key in keys {
		not flaw(key, object.get(tags, key, null))
	}
}

# Keys that something is asked of.
keys := array.concat(parameters.required, [key |
	some key, _ in parameters.allowed_values
	not key in parameters.required
])

problem(r) := f if {
	tags := have(r)
	states := {key: s | some key in keys; s := state(r, tags, key)}
	wrong := [key | some key in keys; states[key] != "open"]
	count(wrong) > 0
	f := {
		"rule": "tags",
		"address": r.address,
		"attribute": attribute(r, wrong),
		"msg": complaint(r, tags, states),
		"remediation": remediation(r, wrong),
	}
} else := f if {
	tags := have(r)
	open := [key | some key in keys; state(r, tags, key) == "open"]
	count(open) > 0
	f := {
		"rule": "tags",
		"address": r.address,
		"attribute": attribute(r, open),
		"msg": sprintf("Whether %s will be as required is known only after the apply.", [tags_named(open)]),
		"remediation": remediation(r, open),
		"verdict": "undetermined",
	}
}

# What is wrong with a key: it is missing, blank or foreign; open if that depends on what is unknown.
state(r, tags, key) := "missing" if {
	ignored(r, key)
	key in parameters.required
} else := "open" if {
	flaw(key, object.get(tags, key, null))
	hidden(r)

	# What the resource itself sets wins over any default, known or not.
	not is_string(object.get(r.change.after, ["tags", key], null))
} else := flaw(key, object.get(tags, key, null))

flaw(key, null) := "missing" if key in parameters.required

flaw(key, value) := "blank" if {
	is_string(value)
	trim_space(value) == ""
	key in parameters.required
} else := "foreign" if {
	is_string(value)
	not value in parameters.allowed_values[key]
}

# A tag whose value is unknown will be there, but may hold anything.
flaw(key, true) := "open" if parameters.allowed_values[key]

# The tags that the resource will have, as far as the plan tells, and true for an unknown value.
# tags_all is what AWS gets; it is unknown as soon as a single value is, and for a new resource
# without any tag.
have(r) := object.union_n([{tag.key: object.get(tag, "value", true)} | some tag in r.change.after[block]]) if {
	block := parameters.tag_blocks[r.type]
} else := r.change.after.tags_all if {
	settled(r)
} else := object.remove(tags, [key | some key, _ in tags; ignored(r, key)]) if {
	tags := object.union_n([default_tags(r), unknown_values(r), known_tags(r)])
}

settled(r) if {
	is_object(r.change.after.tags_all)
	not written(r)
}

known_tags(r) := tags if {
	tags := r.change.after.tags
	is_object(tags)
} else := {}

unknown_values(r) := {key: true | some key, true in r.change.after_unknown.tags}

# Whether tags may be there that the plan does not tell.
hidden(r) if {
	some tag in r.change.after_unknown[parameters.tag_blocks[r.type]]
	tag.key == true
}

hidden(r) if r.change.after_unknown[parameters.tag_blocks[r.type]] == true

hidden(r) if {
	not settled(r)
	r.change.after_unknown.tags == true
}

hidden(r) if {
	not settled(r)
	count(default_expression(r).references) > 0
}
