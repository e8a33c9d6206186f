package plan.tls

import data.plan.lib.references
import data.plan.lib.tfplan

classic_listeners := [{"resource": r, "path": ["listener", i], "protocol": lower(listener.lb_protocol)} |
	some r in tfplan.of_type("aws_elb")
	some i, listener in r.change.after.listener
	is_string(listener.lb_protocol)
]

judged contains tfplan.subject("classic-listener", l.resource) if some l in classic_listeners

# METADATA
# title: The classic load balancer accepts TLS 1.2 or newer only
# description: >-
#   A classic load balancer cannot redirect HTTP, and without a policy for its listener it takes
#   ELBSecurityPolicy-2016-08, which accepts TLS 1.0.
# custom:
#   id: classic-listener
#   severity: deny
#   remediation: >-
#     Use lb_protocol "https" or "ssl" and attach ELBSecurityPolicy-TLS-1-2-2017-01 with
#     aws_load_balancer_policy and aws_load_balancer_listener_policy, or move to an application load balancer.
# related_resources:
# - ref: https://docs.aws.amazon.com/securityhub/latest/userguide/elb-controls.html#elb-3
#   description: AWS Security Hub, ELB.3
# - ref: https://www.pcisecuritystandards.org/document_library/
#   description: PCI DSS 4.0.1, requirement 4.2.1
deny contains f if {
	some l in classic_listeners
	l.protocol == "http"
	f := tfplan.finding(
		"classic-listener", l.resource, array.concat(l.path, ["lb_protocol"]),
		"The listener speaks plain HTTP, so traffic is not encrypted.",
	)
}

deny contains f if {
	some l in classic_listeners
	l.protocol in {"https", "ssl"}
	not l.resource.address in with_policy
	f := tfplan.finding(
		"classic-listener", l.resource, array.concat(l.path, ["lb_protocol"]),
		"The listener has no security policy, so AWS takes ELBSecurityPolicy-2016-08, which accepts TLS 1.0 and 1.1.",
	)
}

# Load balancers to which the plan attaches a policy, which is judged by itself.
with_policy contains address if {
	some r in tfplan.of_type("aws_load_balancer_listener_policy")
	some address in references.meant(r, ["load_balancer_name"], {"aws_elb"})
}

with_policy contains address if {
	some r in tfplan.of_type("aws_lb_ssl_negotiation_policy")
	some address in references.meant(r, ["load_balancer"], {"aws_elb"})
}

classic_policies := array.concat(
	[{"resource": r, "path": ["policy_attribute"], "attributes": r.change.after.policy_attribute} |
		some r in tfplan.of_type("aws_load_balancer_policy")
		tfplan.value(r, ["policy_type_name"]) == "SSLNegotiationPolicyType"
	],
	[{"resource": r, "path": ["attribute"], "attributes": r.change.after.attribute} |
		some r in tfplan.of_type("aws_lb_ssl_negotiation_policy")
	],
)

judged contains tfplan.subject("classic-policy", p.resource) if some p in classic_policies

# METADATA
# title: The policy of the classic load balancer names TLS 1.2 only
# description: >-
#   A policy either refers to one of AWS's own by name or lists the protocol versions to accept.
# custom:
#   id: classic-policy
#   severity: deny
#   remediation: Set Reference-Security-Policy to "ELBSecurityPolicy-TLS-1-2-2017-01".
# related_resources:
# - ref: https://docs.aws.amazon.com/elasticloadbalancing/latest/classic/elb-security-policy-table.html
#   description: Classic Load Balancers, predefined security policies
# - ref: https://www.pcisecuritystandards.org/document_library/
#   description: PCI DSS 4.0.1, requirement 4.2.1
deny contains f if {
	some p in classic_policies
	f := classic_problem(p)
}

old_protocols := {"Protocol-SSLv2", "Protocol-SSLv3", "Protocol-TLSv1", "Protocol-TLSv1.1"}

classic_problem(p) := tfplan.finding("classic-policy", p.resource, p.path, msg) if {
	old := {trim_prefix(a.name, "Protocol-") | some a in p.attributes; a.name in old_protocols; a.value == "true"}
	count(old) > 0
	msg := sprintf("The policy accepts %s, which can be broken.", [concat(" and ", old)])
} else := object.union(tfplan.finding("classic-policy", p.resource, p.path, ""), problem) if {
	some i, a in p.attributes
	a.name == "Reference-Security-Policy"
	is_string(a.value)
	problem := name_problem(a.value, tfplan.shown(p.resource, array.concat(p.path, [i, "value"])))
} else := tfplan.undetermined("classic-policy", p.resource, p.path, msg) if {
	not states_versions(p)
	msg := "The policy names neither a security policy nor TLS 1.2, so the oldest version that it accepts is not known."
}

states_versions(p) if {
	some a in p.attributes
	a.name == "Reference-Security-Policy"
	is_string(a.value)
}

states_versions(p) if {
	some a in p.attributes
	a.name == "Protocol-TLSv1.2"
	a.value == "true"
}
