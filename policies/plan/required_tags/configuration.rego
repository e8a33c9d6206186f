package plan.required_tags

import data.plan.lib.references
import data.plan.lib.tfplan
import data.plan.required_tags.parameters

# What follows is asked only where tags_all does not tell: then the configuration is all there is.

default_tags(e) := tags if {
	tags := default_expression(e).constant_value
	is_object(tags)
} else := {}

# S3 objects may do without the defaults of their provider, because they can carry fewer tags.
default_expression(e) := e.provider.default_tags[0].tags if not e.after.override_provider[0].default_tags

# The tags that the provider ignores do not reach AWS.
ignored(e, key) if {
	key in e.provider.ignore_tags[0].keys.constant_value
}

ignored(e, key) if {
	some prefix in e.provider.ignore_tags[0].key_prefixes.constant_value
	startswith(key, prefix)
}

# The configuration of the resource's provider, empty if it cannot matter. Tags in blocks are left alone by it.
provider(r) := input.configuration.provider_config[key].expressions if {
	count(providers_with_tags) > 0
	not parameters.tag_blocks[r.type]
	key := tfplan.config(r).provider_config_key
	key in providers_with_tags
} else := {}

providers_with_tags := {key |
	some key, provider in input.configuration.provider_config
	some name in ["default_tags", "ignore_tags"]
	provider.expressions[name]
}

# Whether the resource writes tags_all itself: it is planned as written, but nothing of it is applied.
written(r) if {
	count(writers) > 0
	is_object(r.change.after.tags_all)
	[tfplan.module_of(r), r.type, r.name] in writers
}

default written(_) := false

writers := {[names, c.type, c.name] |
	some names, module in references.modules
	some c in module.resources
	c.expressions.tags_all
}
