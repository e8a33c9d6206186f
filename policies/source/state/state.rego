# METADATA
# title: The state stays where it is
# description: >-
#   The state says what exists. Code that names another one plans against something else, or writes to what
#   belongs to somebody else.
# custom:
#   waivable: false
package source.state

import data.source.lib.code
import data.source.state.parameters

# Backends of modules that are called hold nothing.
own contains block if {
	some block in input.backends
	block.module == input.project.dir
}

type(block) := "cloud" if block.type == "cloud"

type(block) := block.name if block.type == "backend"

judged contains {"rule": "backend", "address": block.address} if some block in own

# METADATA
# title: The backend is of a known kind
# description: A backend is a server that gets the state, with all the secrets in it.
# custom:
#   id: backend
#   severity: deny
#   remediation: Keep the state in a backend that `backends` in source/state/parameters.yaml of the organisation's policies lists; a local one in the project, or in a path of `local_paths` there.
# related_resources:
# - ref: https://developer.hashicorp.com/terraform/language/backend
#   description: Terraform, backends
deny contains code.finding("backend", block, msg) if {
	some block in own
	not type(block) in parameters.backends
	msg := sprintf("A state may not be kept in %s.", [type(block)])
}

deny contains code.finding("backend", object.union(setting, {"address": block.address}), msg) if {
	some block in own
	type(block) == "local"
	some setting in block.settings
	setting.path in {"path", "workspace_dir"}
	leaves(setting)
	msg := sprintf("The state is kept in %v, outside of the project.", [setting.value])
}

leaves(setting) if setting.computed

leaves(setting) if {
	regex.match(`^[/~]|(^|/)\.\.(/|$)`, setting.value)
	not code.listed(setting.value, parameters.local_paths)
}

# METADATA
# title: The backend is that of the base branch
# description: With another backend Terraform finds an empty state, or that of something else, and plans to make again what exists. A move needs care of its own.
# custom:
#   id: backend-moved
#   severity: deny
#   remediation: Leave the backend as it is. To move the state, have the project added to `moving` in source/state/parameters.yaml of the organisation's policies until it is done.
# related_resources:
# - ref: https://developer.hashicorp.com/terraform/language/backend#change-a-backend-block
#   description: Terraform, changing a backend
deny contains code.finding("backend-moved", where, msg) if {
	input.base.known
	not input.project.name in parameters.moving
	some msg in differences
}

where := input.backend if {
	is_object(input.backend)
} else := {"file": sprintf("%s/", [input.project.dir]), "line": 1}

# Without a block the state is where a local backend without arguments has it.
kind(null) := "local"

kind(block) := type(block)

contents(null) := set()

contents(block) := {[s.path, object.get(s, "value", null), object.get(s, "computed", false)] | some s in block.settings; not s.block}

differences contains sprintf("The backend is %s, and was %s.", [kind(input.backend), kind(input.base.backend)]) if {
	kind(input.backend) != kind(input.base.backend)
}

differences contains sprintf("The backend has other arguments than on the base branch: %s.", [concat(", ", names)]) if {
	kind(input.backend) == kind(input.base.backend)
	now := contents(input.backend)
	before := contents(input.base.backend)
	names := {path | some [path, _, _] in (before - now)} | {path | some [path, value, computed] in (now - before); not harmless(path, value, computed)}
	count(names) > 0
}

harmless(path, value, false) if parameters.harmless[path] == value

# METADATA
# title: Other states are read from known places
# description: Reading another state is a request that is sent while the plan is made, and everything in that state can be read.
# custom:
#   id: remote-state
#   severity: deny
#   remediation: Read the state from a backend that `remote_state_backends` in source/state/parameters.yaml of the organisation's policies lists; by http from a server that `remote_state_hosts` there lists.
# related_resources:
# - ref: https://developer.hashicorp.com/terraform/language/state/remote-state-data
#   description: Terraform, the terraform_remote_state data source
deny contains code.finding("remote-state", object.union(remote.at, {"address": remote.address}), msg) if {
	some remote in remotes
	is_string(remote.backend)
	not remote.backend in parameters.remote_state_backends
	not known_server(remote)
	msg := sprintf("Another state may not be read from %s.", [place(remote)])
}

deny contains code.undetermined("remote-state", object.union(remote.at, {"address": remote.address}), "Where another state is read from is no literal, so it cannot be told.") if {
	some remote in remotes
	not is_string(remote.backend)
}

remotes contains remote if {
	some r in input.resources
	r.type == "terraform_remote_state"
	named := [s | some s in r.settings; s.path == "backend"]
	written := [s | some s in r.settings; s.path == "config"; s.computed]
	addresses := [s | some s in r.settings; s.path == "config.address"]
	at := array.concat(array.concat(written, addresses), named)
	remote := {
		"address": r.address,
		"at": array.concat(at, [r])[0],
		"backend": literal(named, written),
		"server": server(addresses),
	}
}

# A value that is not known, the backend's or all of its arguments, is null.
literal(named, written) := named[0].value if {
	count(named) == 1
	count(written) == 0
} else := null

server(addresses) := regex.find_all_string_submatch_n(`^https?://([^/?#@:\\]+)(?::[0-9]+)?(?:[/?]|$)`, addresses[0].value, 1)[0][1] if {
	count(addresses) == 1
	is_string(addresses[0].value)
} else := ""

known_server(remote) if {
	remote.backend == "http"
	remote.server != ""
	remote.server in parameters.remote_state_hosts
}

place(remote) := sprintf("%s of %s", [remote.backend, remote.server]) if {
	remote.server != ""
} else := remote.backend
