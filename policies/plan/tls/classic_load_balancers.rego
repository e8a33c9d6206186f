package plan.tls

import data.plan.lib.references
import data.plan.lib.tfplan

balancers := tfplan.of_type("aws_elb")

classic_listeners := [l |
	some r in balancers
	some i, listener in r.change.after.listener
	is_object(listener)
	l := {
		"resource": r,
		"path": ["listener", i, "lb_protocol"],
		"protocol": protocol_of(listener),
		"port": object.get(listener, "lb_port", null),
	}
]

protocol_of(listener) := lower(listener.lb_protocol) if {
	is_string(listener.lb_protocol)
} else := "unknown"

judged contains tfplan.subject("classic-listener", r) if some r in balancers

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
	f := tfplan.finding("classic-listener", l.resource, l.path, "The listener speaks plain HTTP, so traffic is not encrypted.")
}

deny contains f if {
	some l in classic_listeners
	l.protocol in {"https", "ssl"}
	f := attachment_problem(l)
}

deny contains f if {
	some l in classic_listeners
	l.protocol == "unknown"
	f := tfplan.undetermined("classic-listener", l.resource, l.path, "Whether the listener speaks plain HTTP is known only after the apply.")
}

attachment_problem(l) := tfplan.finding("classic-listener", l.resource, l.path, msg) if {
	count(attached_policies(l)) == 0
	msg := "The listener has no security policy, so AWS takes ELBSecurityPolicy-2016-08, which accepts TLS 1.0 and 1.1."
} else := object.union(tfplan.finding("classic-listener", l.resource, l.path, msg), {"verdict": verdict}) if {
	# Several may be attached, in vain or to a port that is not known yet: the worst counts, and fail comes first.
	weak := sort([[weak_policies[policy.address], policy.address] | some policy in attached_policies(l)])
	[verdict, address] := weak[0]
	msg := sprintf("The security policy of the listener is %s, which does not keep to TLS 1.2 and newer.", [address])
} else := object.union(tfplan.finding("classic-listener", l.resource, l.path, ""), problem) if {
	not judged_apart(l)
	not null in attached_policies(l)
	names := [name | some name in attached_policies(l)]
	every name in names {
		not modern(name)
	}
	problem := name_problem(names[0], names[0])
} else := tfplan.undetermined("classic-listener", l.resource, l.path, msg) if {
	not judged_apart(l)
	null in attached_policies(l)
	msg := "The security policy of the listener is known only after the apply."
}

judged_apart(l) if {
	some policy in attached_policies(l)
	is_object(policy)
}

# The security policies that the plan attaches to the listener: the address of one in the plan, which
# is judged by itself, as an object, the name of another, or null if it is unknown.
attached_policies(l) := {policy |
	some attachment in attached[l.resource.address]
	attachment.port in {l.port, null}
	some policy in attachment.policies
}

# As a whole: asked for one key, the engine would go through all resources for each key anew.
attached := attachments

attachments[balancer] contains {"port": tfplan.value(r, ["lb_port"]), "policies": {{"address": r.address}}} if {
	some r in tfplan.of_type("aws_lb_ssl_negotiation_policy")
	some balancer in references.meant(r, ["load_balancer"], {"aws_elb"})
}

attachments[balancer] contains {"port": tfplan.value(r, ["load_balancer_port"]), "policies": policies} if {
	some r in tfplan.of_type("aws_load_balancer_listener_policy")
	some balancer in references.meant(r, ["load_balancer_name"], {"aws_elb"})
	policies := policies_of(r, balancer)
}

policies_of(r, balancer) := {null} if {
	tfplan.unknown(r, ["policy_names"])
} else := {policy |
	some name in tfplan.value(r, ["policy_names"])
	some policy in policies_named(balancer, name)
}

# Policies of the load balancer by name, without those that say nothing about TLS.
policies_named(balancer, name) := {{"address": p.address} | some p in named_policies[balancer][name]; p.negotiates} if {
	named_policies[balancer][name]
} else := {name}

named_policies := policies_on

policies_on[balancer][r.change.after.policy_name] contains {"address": r.address, "negotiates": negotiates} if {
	some r in tfplan.of_type("aws_load_balancer_policy")
	negotiates := tfplan.value(r, ["policy_type_name"]) == "SSLNegotiationPolicyType"
	some balancer in references.meant(r, ["load_balancer_name"], {"aws_elb"})
}

classic_policies := array.concat(
	[{"resource": r, "path": ["policy_attribute"], "attributes": object.get(r.change.after, "policy_attribute", [])} |
		some r in tfplan.of_type("aws_load_balancer_policy")
		tfplan.value(r, ["policy_type_name"]) == "SSLNegotiationPolicyType"
	],
	[{"resource": r, "path": ["attribute"], "attributes": object.get(r.change.after, "attribute", [])} |
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

# The policies in the plan that have a finding, and its verdict.
weak_policies[p.resource.address] := object.get(classic_problem(p), "verdict", "fail") if some p in classic_policies

old_protocols := {"Protocol-SSLv2", "Protocol-SSLv3", "Protocol-TLSv1", "Protocol-TLSv1.1"}

classic_problem(p) := tfplan.finding("classic-policy", p.resource, p.path, msg) if {
	old := {trim_prefix(a.name, "Protocol-") | some a in p.attributes; a.name in old_protocols; switched_on(a)}
	count(old) > 0
	msg := sprintf("The policy accepts %s, which can be broken.", [concat(" and ", old)])
} else := object.union(tfplan.finding("classic-policy", p.resource, p.path, ""), problem) if {
	problems := sort([[found.verdict, found] |
		some i, a in p.attributes
		a.name == "Reference-Security-Policy"
		is_string(a.value)
		found := name_problem(a.value, tfplan.shown(p.resource, array.concat(p.path, [i, "value"])))
	])
	[_, problem] := problems[0]
} else := tfplan.undetermined("classic-policy", p.resource, p.path, msg) if {
	hidden_versions(p)
	msg := "Which versions the policy accepts is known only after the apply."
} else := tfplan.undetermined("classic-policy", p.resource, p.path, msg) if {
	not states_versions(p)
	msg := "The policy names neither a security policy nor TLS 1.2, so the oldest version that it accepts is not known."
}

# A version may be switched on by what is not known yet.
hidden_versions(p) if {
	some a in p.attributes
	is_object(a)
	object.get(a, "name", "Protocol-TLSv1") in (old_protocols | {"Reference-Security-Policy"})
	not is_string(object.get(a, "value", null))
}

hidden_versions(p) if tfplan.unknown(p.resource, p.path)

states_versions(p) if {
	some a in p.attributes
	a.name == "Reference-Security-Policy"
	is_string(a.value)
}

states_versions(p) if {
	some a in p.attributes
	a.name == "Protocol-TLSv1.2"
	switched_on(a)
}

switched_on(attribute) if {
	is_string(attribute.value)
	lower(attribute.value) == "true"
}
