# METADATA
# title: A plan runs nothing of its own
# description: Code can run programs and read files of the machine that it is planned on, with what the plan's process may do.
# custom:
#   waivable: false
package source.execution

import data.source.execution.parameters
import data.source.lib.code

judged contains {"rule": "provisioner", "address": provisioner.address} if some provisioner in input.provisioners

# METADATA
# title: No provisioners
# description: A provisioner is a program that runs beside the provider, with all that the apply may do. One that runs when a resource is destroyed is not even part of the plan.
# custom:
#   id: provisioner
#   severity: deny
#   remediation: Do it with a resource of a provider, or have the digest of exactly this provisioner added to `provisioners` in source/execution/parameters.yaml of the organisation's policies.
# related_resources:
# - ref: https://developer.hashicorp.com/terraform/language/resources/provisioners/syntax
#   description: Terraform, provisioners are a last resort
deny contains code.finding("provisioner", provisioner, msg) if {
	some provisioner in input.provisioners
	provisioner.digest != ""
	not provisioner.digest in parameters.provisioners
	msg := sprintf("A provisioner runs a program (%s, on %s). Its digest is %s.", [provisioner.type, provisioner.when, provisioner.digest])
}

deny contains code.undetermined("provisioner", provisioner, msg) if {
	some provisioner in input.provisioners
	provisioner.digest == ""
	msg := sprintf("A provisioner runs a program (%s, on %s). What it runs cannot be told from its block and the files that it names, so it cannot be listed.", [provisioner.type, provisioner.when])
}

# METADATA
# title: No data sources that run or fetch what they like
# description: These are read while the plan is made. They run a program, send a request to any server, or read files of the machine.
# custom:
#   id: data-source
#   severity: deny
#   remediation: Use a data source of the cloud's provider, or have the type taken out of `refused_data` in source/execution/parameters.yaml of the organisation's policies.
# related_resources:
# - ref: https://registry.terraform.io/providers/hashicorp/external/latest/docs/data-sources/external
#   description: Terraform, external data source
deny contains code.finding("data-source", data_source, msg) if {
	some data_source in input.resources
	data_source.mode == "data"
	data_source.type in parameters.refused_data
	msg := sprintf("The data source %s runs or fetches something while the plan is made.", [data_source.address])
}

# METADATA
# title: Files are read from the repository
# description: What a function reads ends up in the plan. A path that leaves the repository leads to files of the machine.
# custom:
#   id: file-path
#   severity: deny
#   remediation: Read files of the repository, by paths that begin with path.module, or have the path added to `files` in source/execution/parameters.yaml of the organisation's policies.
# related_resources:
# - ref: https://developer.hashicorp.com/terraform/language/functions/file
#   description: Terraform, the file function
deny contains code.finding("file-path", call, msg) if {
	some call in input.functions
	call.path == "outside"
	not code.listed(call.text, parameters.files)
	msg := sprintf("%s reads %s, which is outside of the repository.", [call.name, call.text])
}

deny contains code.undetermined("file-path", call, msg) if {
	some call in input.functions
	call.path == "computed"
	msg := sprintf("Which file %s reads is known only when the plan is made.", [call.name])
}

# METADATA
# title: Secrets stay marked
# description: nonsensitive() takes away the mark by which Terraform keeps a value out of its output.
# custom:
#   id: uncovered
#   severity: warn
#   remediation: Leave the value sensitive, or make sure that it is no secret.
# related_resources:
# - ref: https://developer.hashicorp.com/terraform/language/functions/nonsensitive
#   description: Terraform, the nonsensitive function
warn contains code.finding("uncovered", call, "nonsensitive() lets a value be shown that was marked as secret.") if {
	some call in input.functions
	call.name == "nonsensitive"
}
