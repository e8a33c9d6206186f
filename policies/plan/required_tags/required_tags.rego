# METADATA
# title: Everything says whose it is
# description: >-
#   Tags tie a resource to its environment, its team and its cost centre. They count wherever they
#   come from: the resource, or default_tags of its provider.
package plan.required_tags

import data.plan.lib.tfplan
import data.plan.required_tags.parameters

taggable := [r |
	some type, _ in tfplan.positions
	startswith(type, "aws_")
	not type in parameters.exempt_types
	some r in tfplan.of_type(type)
	carries_tags(r)
]

# The schema is not in the plan, but a type with tags always plans tags, or tags_all as unknown.
carries_tags(r) if "tags" in object.keys(r.change.after)

carries_tags(r) if r.change.after_unknown.tags_all

carries_tags(r) if r.type == "aws_autoscaling_group"

judged contains tfplan.subject("tags", r) if some r in taggable

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
	some r in taggable
	f := problem(r)
}

problem(r) := object.union(tfplan.finding("tags", r, ["tags"], msg), {"attribute": attribute(r)}) if {
	missing := [key | some key in parameters.required; lacks(r, key)]
	count(missing) > 0
	msg := sprintf("The tags %s are missing: it is unknown whose resource this is.", [concat(", ", missing)])
} else := object.union(tfplan.finding("tags", r, ["tags"], msg), {"attribute": attribute(r)}) if {
	wrong := [sprintf("%s, which may be %s", [key, concat(" or ", allowed)]) |
		some key, allowed in parameters.allowed_values
		is_string(have(r)[key])
		not have(r)[key] in allowed
	]
	count(wrong) > 0
	msg := sprintf("A value is not allowed: %s.", [concat("; ", wrong)])
} else := object.union(tfplan.undetermined("tags", r, ["tags"], msg), {"attribute": attribute(r)}) if {
	unclear := [key | some key in parameters.required; not settled(r, key)]
	count(unclear) > 0
	msg := sprintf("Whether the tags %s are set is known only after the apply.", [concat(", ", unclear)])
}

attribute(r) := "tag" if {
	r.type == "aws_autoscaling_group"
} else := "tags"

settled(r, key) if lacks(r, key)

settled(r, key) if good(have(r)[key])

good(v) if {
	is_string(v)
	trim_space(v) != ""
}

# A tag whose value is unknown but whose key is known will be there.
good(true)

# A tag is missing only if nothing unknown could bring it.
lacks(r, key) if {
	not good(object.get(have(r), key, ""))
	not hidden(r)
}

# What the resource itself sets wins over any default, known or not.
lacks(r, key) if {
	value := r.change.after.tags[key]
	is_string(value)
	not good(value)
}

# The tags that the resource will have, as far as the plan tells. tags_all is what AWS gets; it is
# unknown as soon as a single value is, and for new resources without any tag.
have(r) := object.union_n([{tag.key: object.get(tag, "value", true)} | some tag in r.change.after.tag]) if {
	r.type == "aws_autoscaling_group"
} else := r.change.after.tags_all if {
	settled_all(r)
} else := object.union_n([default_tags(r), unknown_values(r), known_tags(r)])

settled_all(r) if {
	is_object(r.change.after.tags_all)

	# Written by hand it is planned as written, but the provider applies nothing of it.
	not tfplan.expression(r, ["tags_all"])
}

known_tags(r) := tags if {
	tags := r.change.after.tags
	is_object(tags)
} else := {}

unknown_values(r) := {key: true | some key, true in r.change.after_unknown.tags}

default_tags(r) := tags if {
	tags := default_expression(r).constant_value
	is_object(tags)
} else := {}

default_expression(r) := input.configuration.provider_config[tfplan.config(r).provider_config_key].expressions.default_tags[0].tags

# Whether tags may be there that the plan does not tell.
hidden(r) if {
	not settled_all(r)
	tfplan.unknown(r, ["tags"])
}

hidden(r) if {
	not settled_all(r)
	tfplan.unknown(r, ["tags_all"])
	count(default_expression(r).references) > 0
}

hidden(r) if {
	r.type == "aws_autoscaling_group"
	tfplan.unknown(r, ["tag"])
}
