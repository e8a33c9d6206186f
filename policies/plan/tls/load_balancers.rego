package plan.tls

import data.plan.lib.references
import data.plan.lib.tfplan

listeners := tfplan.of_types({"aws_lb_listener", "aws_alb_listener"})

# The protocol of a listener; an application load balancer takes HTTP if there is none.
protocol(r) := tfplan.value(r, ["protocol"]) if {
	is_string(tfplan.value(r, ["protocol"]))
} else := "HTTP" if {
	references.left_out(r, ["protocol"])
	some balancer in tfplan.of_types({"aws_lb", "aws_alb"})
	balancer.address in references.meant(r, ["load_balancer_arn"], {"aws_lb", "aws_alb"})
	tfplan.value(balancer, ["load_balancer_type"]) == "application"
}

encrypted_listeners := [r | some r in listeners; protocol(r) in {"HTTPS", "TLS"}]

plain_listeners := [r | some r in listeners; protocol(r) == "HTTP"]

unclear_listeners := [r |
	some r in listeners
	tfplan.unknown(r, ["protocol"])
	not references.left_out(r, ["protocol"])
]

judged contains tfplan.subject("listener-policy", r) if some r in encrypted_listeners

# METADATA
# title: The listener accepts TLS 1.2 or newer only
# description: >-
#   A listener accepts every version that its security policy names. Without one it takes
#   ELBSecurityPolicy-2016-08, which accepts TLS 1.0.
# custom:
#   id: listener-policy
#   severity: deny
#   remediation: Set ssl_policy to "ELBSecurityPolicy-TLS13-1-2-2021-06", which accepts TLS 1.2 and 1.3.
# related_resources:
# - ref: https://docs.aws.amazon.com/elasticloadbalancing/latest/application/describe-ssl-policies.html
#   description: Elastic Load Balancing, security policies
# - ref: https://www.pcisecuritystandards.org/document_library/
#   description: PCI DSS 4.0.1, requirement 4.2.1
deny contains f if {
	some r in encrypted_listeners
	f := listener_problem(r, ["ssl_policy"])
}

listener_problem(r, path) := object.union(tfplan.finding("listener-policy", r, path, ""), problem) if {
	name := tfplan.value(r, path)
	is_string(name)
	problem := name_problem(name, tfplan.shown(r, path))
} else := tfplan.finding("listener-policy", r, path, msg) if {
	tfplan.value(r, path) == null
	references.left_out(r, path)
	msg := "No security policy is set, so AWS takes ELBSecurityPolicy-2016-08, which accepts TLS 1.0 and 1.1."
} else := tfplan.undetermined("listener-policy", r, path, msg) if {
	tfplan.value(r, path) == null
	msg := "The security policy is known only after the apply."
}

# What an HTTP listener does with a request: its default actions, and those of its rules.
plain_actions contains {"resource": r, "path": ["default_action", i], "action": action} if {
	some r in plain_listeners
	some i, action in r.change.after.default_action
}

plain_actions contains {"resource": r, "path": ["action", i], "action": action} if {
	plain := {listener.address | some listener in plain_listeners}
	some r in tfplan.of_types({"aws_lb_listener_rule", "aws_alb_listener_rule"})
	count(references.meant(r, ["listener_arn"], {"aws_lb_listener", "aws_alb_listener"}) & plain) > 0
	some i, action in r.change.after.action
}

judged contains tfplan.subject("plain-http", a.resource) if some a in plain_actions

judged contains tfplan.subject("plain-http", r) if some r in unclear_listeners

# METADATA
# title: Plain HTTP only redirects to HTTPS
# description: >-
#   An HTTP listener may do nothing but send the client to HTTPS. Anything else carries requests and
#   answers unencrypted. A fixed answer carries no data of ours, so it is only a warning.
# custom:
#   id: plain-http
#   remediation: >-
#     Make the action a redirect with protocol "HTTPS", port "443" and status_code "HTTP_301", or give
#     the listener the protocol "HTTPS" and a certificate.
# related_resources:
# - ref: https://docs.aws.amazon.com/securityhub/latest/userguide/elb-controls.html#elb-1
#   description: AWS Security Hub, ELB.1
# - ref: https://www.pcisecuritystandards.org/document_library/
#   description: PCI DSS 4.0.1, requirement 4.2.1
deny contains f if {
	some a in plain_actions
	a.action.type != "fixed-response"
	f := action_problem(a)
}

warn contains f if {
	some a in plain_actions
	a.action.type == "fixed-response"
	f := action_problem(a)
}

deny contains f if {
	some r in unclear_listeners
	f := tfplan.undetermined("plain-http", r, ["protocol"], "Whether the listener speaks plain HTTP is known only after the apply.")
}

action_problem(a) := tfplan.finding("plain-http", a.resource, array.concat(a.path, ["type"]), msg) if {
	a.action.type != "redirect"
	msg := sprintf("The listener answers plain HTTP with the action %s, so traffic is not encrypted.", [a.action.type])
} else := tfplan.finding("plain-http", a.resource, path, msg) if {
	path := array.concat(a.path, ["redirect", 0, "protocol"])
	protocol := tfplan.value(a.resource, path)
	is_string(protocol)
	protocol != "HTTPS"
	msg := sprintf(
		"The listener redirects to the protocol %s, which need not be HTTPS, so traffic stays unencrypted.",
		[tfplan.shown(a.resource, path)],
	)
} else := tfplan.undetermined("plain-http", a.resource, a.path, msg) if {
	not redirects_safely(a.action)
	msg := "Where the listener redirects plain HTTP to is known only after the apply."
}

redirects_safely(action) if {
	some redirect in action.redirect
	redirect.protocol == "HTTPS"
}
