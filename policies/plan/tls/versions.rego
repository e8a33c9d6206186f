package plan.tls

import data.plan.lib.tfplan
import data.plan.tls.parameters

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

# What AWS accepts depends on something that the plan does not hold; it is easily said, though.
warn contains object.union(instead(o), f) if {
	some o in versions
	fallback(o) == "unclear"
	f := tfplan.undetermined("version", o.resource, o.path, sprintf(
		"%s is not set, and AWS may then accept TLS versions older than 1.2.",
		[written(o)],
	))
}

version_problem(o) := object.union_n([instead(o), tfplan.finding("version", o.resource, o.path, ""), problem]) if {
	name := tfplan.value(o.resource, o.path)
	is_string(name)
	problem := name_problem(name, tfplan.shown(o.resource, o.path))
} else := object.union(instead(o), tfplan.finding("version", o.resource, o.path, msg)) if {
	fallback(o) == "insecure"
	msg := sprintf("%s is not set, and AWS then accepts TLS versions older than 1.2, which can be broken.", [written(o)])
} else := object.union(instead(o), tfplan.undetermined("version", o.resource, o.path, msg)) if {
	unclear_there(o)
	msg := sprintf("The security policy in %s is known only after the apply.", [written(o)])
}

instead(o) := {"remediation": sprintf("Set %s to %q.", [written(o), o.setting.instead])}
