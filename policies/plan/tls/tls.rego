# METADATA
# title: Connections use TLS 1.2 or newer
# description: >-
#   Whatever accepts connections accepts them encrypted, with TLS 1.2 or newer. Older versions, and
#   plain HTTP other than a redirect to HTTPS, let card data be read or changed on its way.
package plan.tls

import data.plan.lib.references
import data.plan.lib.tfplan
import data.plan.tls.parameters

# A security policy is modern if the oldest version that it accepts is TLS 1.2 or newer.
modern(name) if {
	some pattern in parameters.modern_policies
	regex.match(pattern, name)
}

outdated(name) if {
	some pattern in parameters.outdated_policies
	regex.match(pattern, name)
}

# What is wrong with a policy of this name; undefined if nothing is. It is shown as it may be shown.
name_problem(name, shown) := {"verdict": "fail", "msg": msg} if {
	outdated(name)
	msg := sprintf("The security policy %s accepts TLS versions older than 1.2, which can be broken.", [shown])
} else := {"verdict": "undetermined", "msg": msg} if {
	not modern(name)
	msg := sprintf("The security policy %s is not known, so neither is the oldest TLS version that it accepts.", [shown])
}

# The attributes of a table in parameters.yaml, as they occur in the plan.
occurrences(table) := [{"resource": r, "path": path, "setting": setting} |
	some type, settings in table
	some r in tfplan.of_type(type)
	some setting in settings
	some path in tfplan.paths(r, split(setting.attribute, "."))
	not excused(r, setting)
	not missing_block(r, path)
]

# A whole block that is left out is one finding of its own.
missing_block(r, path) if {
	path == [parameters.blocks[r.type]]
	references.left_out(r, path)
}

# Something else in the resource makes the setting pointless.
excused(r, setting) if {
	some path in tfplan.paths(r, split(setting.unless, "."))
	not tfplan.value(r, path) in {null, false, ""}
}

excused(r, setting) if {
	some path in tfplan.paths(r, split(setting.unless, "."))
	tfplan.unknown(r, path)
	not references.left_out(r, path)
}

versions := occurrences(parameters.versions)

judged contains tfplan.subject("version", o.resource) if some o in versions

# METADATA
# title: The endpoint accepts TLS 1.2 or newer only
# description: >-
#   An endpoint accepts every version that its security policy names, and what AWS takes without a
#   policy is often older than 1.2.
# custom:
#   id: version
#   severity: deny
#   remediation: Name a security policy whose oldest version is TLS 1.2.
# related_resources:
# - ref: https://docs.aws.amazon.com/wellarchitected/latest/security-pillar/sec_protect_data_transit_encrypt.html
#   description: AWS Well-Architected, enforce encryption in transit
# - ref: https://www.pcisecuritystandards.org/document_library/
#   description: PCI DSS 4.0.1, requirement 4.2.1
deny contains f if {
	some o in versions
	f := version_problem(o)
}

warn contains f if {
	some o in versions
	tfplan.value(o.resource, o.path) == null
	references.left_out(o.resource, o.path)
	o.setting.unset == "unclear"
	f := tfplan.undetermined("version", o.resource, o.path, sprintf(
		"%s is not set, and AWS may then accept TLS 1.0: say %q.",
		[tfplan.attribute(o.path), o.setting.instead],
	))
}

version_problem(o) := object.union(instead(o), object.union(tfplan.finding("version", o.resource, o.path, ""), problem)) if {
	name := tfplan.value(o.resource, o.path)
	is_string(name)
	problem := name_problem(name, tfplan.shown(o.resource, o.path))
} else := object.union(instead(o), tfplan.finding("version", o.resource, o.path, msg)) if {
	tfplan.value(o.resource, o.path) == null
	references.left_out(o.resource, o.path)
	o.setting.unset == "outdated"
	msg := sprintf("%s is not set, and AWS then accepts TLS versions older than 1.2.", [tfplan.attribute(o.path)])
} else := object.union(instead(o), tfplan.undetermined("version", o.resource, o.path, msg)) if {
	tfplan.unknown(o.resource, o.path)
	not references.left_out(o.resource, o.path)
	msg := sprintf("The security policy in %s is known only after the apply.", [tfplan.attribute(o.path)])
}

instead(o) := {"remediation": sprintf("Set %s to %q.", [tfplan.attribute(o.path), o.setting.instead])}

switches := occurrences(parameters.encryption)

judged contains tfplan.subject("encryption", o.resource) if some o in switches

judged contains tfplan.subject("encryption", r) if {
	some type, _ in parameters.blocks
	some r in tfplan.of_type(type)
}

# METADATA
# title: Connections are encrypted
# description: >-
#   Many services accept plain connections unless they are told otherwise, also inside the network,
#   where whoever gets in could then read along.
# custom:
#   id: encryption
#   remediation: Switch encryption in transit on.
# related_resources:
# - ref: https://docs.aws.amazon.com/wellarchitected/latest/security-pillar/sec_protect_data_transit_encrypt.html
#   description: AWS Well-Architected, enforce encryption in transit
# - ref: https://www.pcisecuritystandards.org/document_library/
#   description: PCI DSS 4.0.1, requirements 4.2.1 and 2.2.7
deny contains f if {
	some o in switches
	object.get(o.setting, "level", "deny") == "deny"
	f := encryption_problem(o)
}

warn contains f if {
	some o in switches
	o.setting.level == "warn"
	f := encryption_problem(o)
}

deny contains f if {
	some type, block in parameters.blocks
	some r in tfplan.of_type(type)
	object.get(r.change.after, block, []) in [[], null]
	references.left_out(r, [block])
	f := object.union(
		tfplan.finding("encryption", r, [block], sprintf("There is no %s, and AWS then accepts plain HTTP.", [block])),
		{"remediation": sprintf("Add %s that enforces HTTPS and names a policy with TLS 1.2.", [block])},
	)
}

encryption_problem(o) := object.union(tfplan.finding("encryption", o.resource, o.path, msg), required(o)) if {
	value := tfplan.value(o.resource, o.path)
	value != null
	not value in o.setting.required
	msg := sprintf("%s is %v, so data crosses the network unencrypted.", [tfplan.attribute(o.path), tfplan.shown(o.resource, o.path)])
} else := object.union(tfplan.finding("encryption", o.resource, o.path, msg), required(o)) if {
	tfplan.value(o.resource, o.path) == null
	absent(o)
	o.setting.unset == "plain"
	msg := sprintf("%s is not set, so data crosses the network unencrypted.", [tfplan.attribute(o.path)])
} else := object.union(tfplan.undetermined("encryption", o.resource, o.path, msg), required(o)) if {
	tfplan.unknown(o.resource, o.path)
	not references.left_out(o.resource, o.path)
	msg := sprintf("Whether %s encrypts connections is known only after the apply.", [tfplan.attribute(o.path)])
}

absent(o) if not tfplan.unknown(o.resource, o.path)

absent(o) if references.left_out(o.resource, o.path)

required(o) := {"remediation": sprintf("Set %s to %s.", [
	tfplan.attribute(o.path),
	concat(" or ", [json.marshal(value) | some value in o.setting.required]),
])}
