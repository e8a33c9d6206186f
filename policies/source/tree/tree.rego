# METADATA
# title: The repository holds what a reviewer can read
# description: >-
#   Files that nobody looks at in a review can decide what runs: what Terraform keeps for itself, links,
#   overrides. And a repository can be too large to be laid out at all.
# custom:
#   waivable: false
package source.tree

import data.source.lib.code
import data.source.tree.parameters

at(file) := {"file": file.path, "line": 1}

name(file) := parts[count(parts) - 1] if parts := split(file.path, "/")

# METADATA
# title: The code can be read
# description: What cannot be read cannot be judged, and Terraform may read it otherwise.
# custom:
#   id: unreadable
#   severity: deny
#   remediation: Correct the file.
# related_resources:
# - ref: https://developer.hashicorp.com/terraform/language/syntax/configuration
#   description: Terraform, configuration syntax
deny contains code.undetermined("unreadable", problem, msg) if {
	some problem in input.errors
	msg := sprintf("The Terraform configuration has an error: %s", [problem.message])
}

# METADATA
# title: Nothing is committed that Terraform makes itself
# description: Terraform runs providers that lie in its own directories, takes the workspace from them, and obeys configuration, states and plans that lie beside the code.
# custom:
#   id: committed
#   severity: deny
#   remediation: Remove it from the repository and add it to .gitignore, or have its path added to `committed` in source/tree/parameters.yaml of the organisation's policies.
# related_resources:
# - ref: https://developer.hashicorp.com/terraform/cli/config/config-file#implied-local-mirror-directories
#   description: Terraform, implied local mirror directories
deny contains code.finding("committed", at(file), sprintf("%s is made by Terraform and decides what it runs.", [file.path])) if {
	some file in input.files
	made(file)
	not code.listed(file.path, parameters.committed)
}

made(file) if {
	some pattern in parameters.made
	regex.match(pattern, lower(name(file)))
}

made(file) if {
	some part in split(lower(file.path), "/")
	part in parameters.own
}

# METADATA
# title: Links stay in the repository
# description: Through a link that leaves the repository Terraform would read what belongs to the machine or to somebody else.
# custom:
#   id: link
#   severity: deny
#   remediation: Replace the link with a file, or let it lead to a file or directory of the repository that holds no further links.
# related_resources:
# - ref: https://git-scm.com/docs/git-config#Documentation/git-config.txt-coresymlinks
#   description: git, symbolic links
deny contains code.finding("link", at(file), sprintf("The link %s leads out of the repository, to %s.", [file.path, file.target])) if {
	some file in input.files
	file.kind == "link"
	not file.leads
}

deny contains code.finding("link", at(file), sprintf("The link %s leads to a directory with the link %s in it, and what that shows cannot be told.", [file.path, inner.path])) if {
	some file in links
	some inner in links
	inner.path != file.path
	below(inner.path, file.leads)
}

links contains file if {
	some file in input.files
	file.kind == "link"
	file.leads
}

below(_, ".")

below(path, dir) if startswith(path, concat("", [dir, "/"]))

# METADATA
# title: There are no submodules
# description: The address and the content of a submodule are outside of the review. They are not fetched.
# custom:
#   id: submodule
#   severity: deny
#   remediation: Copy what is needed into the repository, or use a module source with a version. One that has nothing to do with Terraform can be added to `submodules` in source/tree/parameters.yaml of the organisation's policies.
# related_resources:
# - ref: https://git-scm.com/docs/gitsubmodules
#   description: git, submodules
deny contains code.finding("submodule", at(file), sprintf("%s is a submodule.", [file.path])) if {
	some file in input.files
	file.kind in {"submodule", "other"}
	not file.path in parameters.submodules
}

# METADATA
# title: Files are in the repository
# description: What Git LFS keeps elsewhere is not fetched. Terraform would read a few lines about the file in its place.
# custom:
#   id: lfs
#   severity: deny
#   remediation: Commit the file itself.
# related_resources:
# - ref: https://github.com/git-lfs/git-lfs/blob/main/docs/spec.md
#   description: Git LFS, pointers
deny contains code.finding("lfs", at(file), sprintf("%s is kept by Git LFS.", [file.path])) if {
	some file in input.files
	file.pointer
}

# METADATA
# title: Nothing is overridden
# description: An override file changes blocks of other files without a trace in them, so who reviews those sees something else than what is planned.
# custom:
#   id: override
#   severity: deny
#   remediation: Write it where it belongs, or have the path added to `overrides` in source/tree/parameters.yaml of the organisation's policies.
# related_resources:
# - ref: https://developer.hashicorp.com/terraform/language/files/override
#   description: Terraform, override files
deny contains code.finding("override", at(file), sprintf("%s overrides blocks of other files.", [file.path])) if {
	some file in input.files
	regex.match(`^(.*_)?override\.(tf|tofu)(\.json)?$`, lower(name(file)))
	not code.listed(file.path, parameters.overrides)
}

# METADATA
# title: A new file sets values by itself
# description: Terraform loads every .auto.tfvars file beside the code, so a new one changes what is planned without being named anywhere.
# custom:
#   id: values
#   severity: warn
#   remediation: Make sure that the values are meant to hold for every plan of the project.
# related_resources:
# - ref: https://developer.hashicorp.com/terraform/language/values/variables#variable-definitions-tfvars-files
#   description: Terraform, variable definitions files
warn contains code.finding("values", at(file), sprintf("%s is new, and Terraform loads it by itself.", [file.path])) if {
	input.base.known
	some file in input.files
	regex.match(`(^terraform|\.auto)\.tfvars(\.json)?$`, name(file))
	in_project(file)
	not file.path in input.base.values
}

in_project(file) if {
	parts := split(file.path, "/")
	dir := concat("/", array.slice(parts, 0, count(parts) - 1))
	dir == trim_prefix(input.project.dir, ".")
}

# METADATA
# title: The repository is of a size that can be handled
# description: A few kilobytes of git can unfold to millions of files, or to one that fills the disk.
# custom:
#   id: size
#   severity: deny
#   remediation: Keep large and generated files out of the repository, or have `limits` raised in source/tree/parameters.yaml of the organisation's policies.
# related_resources:
# - ref: https://docs.github.com/en/repositories/working-with-files/managing-large-files/about-large-files-on-github
#   description: GitHub, large files
deny contains finding if {
	some what, [is, limit, where] in sizes
	is > limit
	finding := object.union(where, {"rule": "size", "msg": sprintf("The repository has %s: %d, and at most %d are accepted.", [what, is, limit])})
}

sizes["files in all"] := [input.tree.entries, parameters.limits.entries, {}]

sizes["bytes in all"] := [input.tree.bytes, parameters.limits.bytes, {}]

sizes["directories within each other"] := [input.tree.depth, parameters.limits.depth, {}]

sizes["bytes in one file"] := [input.tree.largest.size, parameters.limits.file, {"file": input.tree.largest.path, "line": 1}]
