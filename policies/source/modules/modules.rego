# METADATA
# title: Modules are what was reviewed
# description: >-
#   A module outside of the repository is code that nobody sees in the pull request. It has to come
#   from somebody who is trusted, and to be the same tomorrow.
# custom:
#   waivable: false
package source.modules

import data.source.lib.code
import data.source.modules.parameters

judged contains {"rule": "module-source", "address": call.address} if some call in input.calls

# METADATA
# title: The module comes from a known place, in a version that cannot change
# description: A branch, a tag or a range of versions is whatever its owner makes of it between the review, the plan and the apply.
# custom:
#   id: module-source
#   severity: deny
#   remediation: Use a directory of the repository, a registry with an exact version, or git with the full commit in `?ref=`, from a place that `allowed` in source/modules/parameters.yaml of the organisation's policies lists.
# related_resources:
# - ref: https://developer.hashicorp.com/terraform/language/modules/sources
#   description: Terraform, module sources
deny contains code.finding("module-source", call, msg) if {
	some call in input.calls
	call.source != ""
	msg := problem(call)
}

deny contains code.undetermined("module-source", call, "Where the module comes from is no literal, so it cannot be told.") if {
	some call in input.calls
	call.source == ""
}

problem(call) := sprintf("The module source %s is none of the kinds that can be pinned.", [call.source]) if {
	call.kind == "other"
}

problem(call) := sprintf("Modules of %s are not on the list of those that may be used.", [call.repository]) if {
	call.kind in {"registry", "git"}
	not code.listed(call.repository, parameters.allowed)
} else := sprintf("The version of the module %s is not exact, so it may change.", [call.repository]) if {
	call.kind == "registry"
	not regex.match(`^\s*=?\s*[0-9]+\.[0-9]+\.[0-9]+(-[0-9A-Za-z.-]+)?(\+[0-9A-Za-z.-]+)?\s*$`, call.version)
} else := sprintf("The module %s is not pinned to a full commit, so it may change.", [call.repository]) if {
	call.kind == "git"
	not regex.match(`^([0-9a-f]{40}|[0-9a-f]{64})$`, call.ref)
}
