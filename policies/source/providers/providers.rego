# METADATA
# title: Only known providers run
# description: >-
#   Terraform downloads every provider that the code names, and runs it already to make a plan. So
#   which ones, in which version and with which content, is decided before that.
# custom:
#   waivable: false
package source.providers

import data.source.lib.code
import data.source.providers.parameters

external contains used if {
	some used in input.used
	not used.source in parameters.builtin
}

judged contains {"rule": "provider", "address": used.address} if some used in input.used

# METADATA
# title: The provider is on the list
# description: A provider is a program that runs with the credentials of the plan, so a name that looks like another's is enough to take them.
# custom:
#   id: provider
#   severity: deny
#   remediation: Use a provider that is on the list, or have its source added to `allowed` in source/providers/parameters.yaml of the organisation's policies.
# related_resources:
# - ref: https://developer.hashicorp.com/terraform/language/providers/requirements
#   description: Terraform, provider requirements
deny contains code.finding("provider", used, msg) if {
	some used in external
	used.source != ""
	not code.listed(used.source, parameters.allowed)
	msg := sprintf("The provider %s is not on the list of those that may run.", [used.source])
}

deny contains code.undetermined("provider", used, msg) if {
	some used in external
	used.source == ""
	msg := sprintf("Which provider %s is cannot be told from its source.", [used.written])
}

# METADATA
# title: The lock file knows the provider
# description: Without version and hashes in the lock file, the plan runs whatever the registry or a mirror serves at that moment, and the apply may run something else.
# custom:
#   id: lock
#   severity: deny
#   remediation: Commit the .terraform.lock.hcl that `terraform init` writes, or have the provider added to `unlocked` in source/providers/parameters.yaml of the organisation's policies.
# related_resources:
# - ref: https://developer.hashicorp.com/terraform/language/files/dependency-lock
#   description: Terraform, dependency lock file
deny contains code.finding("lock", used, msg) if {
	some used in external
	used.source != ""
	not locked(used.source)
	not code.listed(used.source, parameters.unlocked)
	msg := sprintf("The lock file has no version and hashes of the provider %s.", [used.source])
}

locked(source) if {
	some entry in input.lock
	entry.source == source
	entry.version != ""
	some hash in entry.hashes
	regex.match(`^(h1|zh):[0-9A-Za-z+/=]{40,}$`, hash)
}

# METADATA
# title: The locked version is not lowered
# description: An older version of a provider has the mistakes that were mended since, and its package may no longer be what it was.
# custom:
#   id: lock-version
#   severity: deny
#   remediation: Keep the version that the base branch has locked or take a newer one, or have the provider added to `lock_changes` in source/providers/parameters.yaml of the organisation's policies.
# related_resources:
# - ref: https://developer.hashicorp.com/terraform/language/files/dependency-lock
#   description: Terraform, dependency lock file
deny contains code.finding("lock-version", entry, msg) if {
	some [entry, before] in compared
	semver.is_valid(entry.version)
	semver.is_valid(before.version)
	semver.compare(entry.version, before.version) < 0
	msg := sprintf("The lock file lowers the version of %s from %s to %s.", [entry.source, before.version, entry.version])
}

deny contains code.undetermined("lock-version", entry, msg) if {
	some [entry, before] in compared
	entry.version != before.version
	not comparable(entry, before)
	msg := sprintf("Whether the lock file lowers the version of %s cannot be told: %q was %q.", [entry.source, entry.version, before.version])
}

comparable(a, b) if {
	semver.is_valid(a.version)
	semver.is_valid(b.version)
}

# METADATA
# title: The hashes of a locked version stay
# description: The hashes are what the package of a provider is recognised by. One more lets another package in, one less keeps the right one out.
# custom:
#   id: lock-hashes
#   severity: deny
#   remediation: Leave the hashes of a version as the base branch has them, or have the provider added to `lock_changes` in source/providers/parameters.yaml of the organisation's policies.
# related_resources:
# - ref: https://developer.hashicorp.com/terraform/language/files/dependency-lock
#   description: Terraform, dependency lock file
deny contains code.finding("lock-hashes", entry, msg) if {
	some [entry, before] in compared
	entry.version == before.version
	hashes := {hash | some hash in entry.hashes}
	known := {hash | some hash in before.hashes}
	hashes != known
	msg := sprintf("The hashes of %s %s are not those of the base branch: %d more, %d fewer.", [entry.source, entry.version, count(hashes - known), count(known - hashes)])
}

compared contains [entry, before] if {
	some entry in input.lock
	some before in input.base.lock
	entry.source == before.source
	not code.listed(entry.source, parameters.lock_changes)
}
