# METADATA
# title: Providers use what they were given
# description: >-
#   A provider that is on the list can be told to run a program, to read files of the machine, or to
#   send its credentials elsewhere. Backends and terraform_remote_state can be told the same.
# custom:
#   waivable: false
package source.settings

import data.source.lib.code
import data.source.settings.parameters

subjects contains {"type": block.name, "address": block.address, "settings": block.settings} if some block in input.providers

subjects contains {"type": block.name, "address": block.address, "settings": block.settings} if some block in input.backends

subjects contains {"type": type, "address": data_source.address, "settings": settings} if {
	some data_source in input.resources
	data_source.type == "terraform_remote_state"
	settings := [object.union(s, {"path": trim_prefix(s.path, "config.")}) | some s in data_source.settings]
	type := concat("", [s.value | some s in settings; s.path == "backend"; is_string(s.value)])
}

judged contains {"rule": "provider-setting", "address": subject.address} if some subject in subjects

# Every argument with the names on the way to it.
arguments contains {"subject": subject, "setting": setting, "names": names} if {
	some subject in subjects
	some setting in subject.settings
	names := split(setting.path, ".")
	not free(names)
}

free(names) if {
	some name in array.slice(names, 0, count(names) - 1)
	name in parameters.free
}

at(argument) := object.union(argument.setting, {"address": argument.subject.address})

last(argument) := argument.names[count(argument.names) - 1]

# METADATA
# title: No program, no file of the machine, no other server
# description: These arguments make a provider run a program, read credentials of the machine, or send its own to somebody else, already while a plan is made.
# custom:
#   id: provider-setting
#   severity: deny
#   remediation: Leave the argument out and let the server's environment configure the provider, or have it added to `allowed` in source/settings/parameters.yaml of the organisation's policies.
# related_resources:
# - ref: https://registry.terraform.io/providers/hashicorp/aws/latest/docs#authentication-and-configuration
#   description: AWS provider, authentication and configuration
deny contains code.finding("provider-setting", at(argument), msg) if {
	some argument in arguments
	some refused in parameters.refused
	regex.match(refused.pattern, lower(last(argument)))
	not switched_off(argument.setting)
	not allowed(argument)
	msg := sprintf("%s %s.", [argument.setting.path, refused.does])
}

deny contains code.undetermined("provider-setting", at(argument), "The name of an argument is no literal, so what it does cannot be told.") if {
	some argument in arguments
	last(argument) == "?"
	not allowed(argument)
}

switched_off(setting) if {
	not setting.computed
	not setting.block
	code.off(setting.value)
}

allowed(argument) if sprintf("%s.%s", [argument.subject.type, argument.setting.path]) in parameters.allowed

# METADATA
# title: The role is one that may be taken
# description: A role that the plan's identity may assume can do what the plan's identity may not.
# custom:
#   id: assumed-role
#   severity: deny
#   remediation: Let the server's credentials be enough, or have the role added to `assumed` in source/settings/parameters.yaml of the organisation's policies.
# related_resources:
# - ref: https://registry.terraform.io/providers/hashicorp/aws/latest/docs#assuming-an-iam-role
#   description: AWS provider, assuming an IAM role
deny contains code.finding("assumed-role", at(argument), msg) if {
	some argument in identities
	not argument.setting.computed
	not code.listed(argument.setting.value, parameters.assumed)
	msg := sprintf("The identity %v is not on the list of those that may be taken.", [argument.setting.value])
}

deny contains code.undetermined("assumed-role", at(argument), "Which identity is taken is no literal, so it cannot be told.") if {
	some argument in identities
	argument.setting.computed
}

identities contains argument if {
	some argument in arguments
	last(argument) in parameters.identities
	not switched_off(argument.setting)
}
