package plan.tls

import data.plan.lib.references
import data.plan.lib.tfplan

listeners := tfplan.of_types({"aws_lb_listener", "aws_alb_listener"})

# The protocol of a listener. Without one, AWS takes HTTP for an application load balancer and refuses
# a listener of a network load balancer; a gateway load balancer's has neither protocol nor port.
protocol(r) := upper(tfplan.value(r, ["protocol"])) if {
	is_string(tfplan.value(r, ["protocol"]))
} else := "HTTP" if {
	not unclear(r, ["protocol"])
	needs_protocol(r)
}

needs_protocol(r) if tfplan.value(r, ["port"]) != null

needs_protocol(r) if tfplan.unknown(r, ["port"])

needs_protocol(r) if {
	some address in references.meant(r, ["load_balancer_arn"], {"aws_lb", "aws_alb"})
	address in application_balancers
}

application_balancers := {r.address |
	some r in tfplan.of_types({"aws_lb", "aws_alb"})
	tfplan.value(r, ["load_balancer_type"]) == "application"
}

encrypted_listeners := [r | some r in listeners; protocol(r) in {"HTTPS", "TLS"}]

plain_listeners := [r | some r in listeners; protocol(r) == "HTTP"]

plain_addresses := {r.address | some r in plain_listeners}

unclear_listeners := [r | some r in listeners; unclear(r, ["protocol"])]

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
	name != ""
	problem := name_problem(name, tfplan.shown(r, path))
} else := tfplan.undetermined("listener-policy", r, path, msg) if {
	unclear(r, path)
	msg := "The security policy is known only after the apply."
} else := tfplan.finding("listener-policy", r, path, msg) if {
	tfplan.value(r, path) in {null, ""}
	msg := "No security policy is set, so AWS takes ELBSecurityPolicy-2016-08, which accepts TLS 1.0 and 1.1."
}

# What listeners and their rules do with a request. plain says whether it comes by plain HTTP, which is
# open if the plan does not tell which of several listeners a rule belongs to.
actions contains {"resource": r, "path": ["default_action", i], "action": action, "plain": plain} if {
	some r in listeners
	plain := plain_among({r.address})
	some i, action in r.change.after.default_action
	is_object(action)
}

actions contains {"resource": r, "path": ["action", i], "action": action, "plain": plain} if {
	some r in tfplan.of_types({"aws_lb_listener_rule", "aws_alb_listener_rule"})
	plain := plain_among(references.meant(r, ["listener_arn"], {"aws_lb_listener", "aws_alb_listener"}))
	some i, action in r.change.after.action
	is_object(action)
}

plain_among(addresses) := "no" if {
	count(addresses & plain_addresses) == 0
} else := "yes" if {
	count(addresses - plain_addresses) == 0
} else := "open"

plain_actions := [a | some a in actions; a.plain == "yes"]

open_actions := [a | some a in actions; a.plain == "open"]

judged contains tfplan.subject("plain-http", r) if {
	encrypted := {r.address | some r in encrypted_listeners}
	some r in listeners
	not r.address in encrypted
}

judged contains tfplan.subject("plain-http", a.resource) if some a in plain_actions

judged contains tfplan.subject("plain-http", a.resource) if some a in open_actions

judged contains tfplan.subject("plain-http", a.resource) if {
	some a in actions
	a.action.type == "redirect"
}

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
	action_type(a) != "fixed-response"
	f := action_problem(a)
}

warn contains f if {
	some a in plain_actions
	action_type(a) == "fixed-response"
	f := action_problem(a)
}

# No change to the code could settle it, as long as the listeners are new.
warn contains f if {
	some a in open_actions
	action_problem(a)
	f := tfplan.undetermined(
		"plain-http", a.resource, ["listener_arn"],
		"Some of the listeners that the rule may belong to speak plain HTTP. Which one is meant is known only after the apply.",
	)
}

# Sending a client away from HTTPS is no better than answering by HTTP.
deny contains f if {
	some a in actions
	action_type(a) == "redirect"
	target_protocol(a) == "HTTP"
	f := action_problem(a)
}

deny contains f if {
	some r in plain_listeners
	tfplan.unknown(r, ["default_action"])
	count(object.get(r.change.after, "default_action", [])) == 0
	f := tfplan.undetermined("plain-http", r, ["default_action"], "What the listener does with plain HTTP is known only after the apply.")
}

deny contains f if {
	some r in unclear_listeners
	f := tfplan.undetermined("plain-http", r, ["protocol"], "Whether the listener speaks plain HTTP is known only after the apply.")
}

action_type(a) := object.get(a.action, "type", "unknown")

redirect_path(a) := array.concat(a.path, ["redirect", 0, "protocol"])

# Without a protocol, the provider plans #{protocol}: that of the request.
target_protocol(a) := tfplan.value(a.resource, redirect_path(a))

action_problem(a) := tfplan.undetermined("plain-http", a.resource, array.concat(a.path, ["type"]), msg) if {
	action_type(a) == "unknown"
	msg := "What the listener does with plain HTTP is known only after the apply."
} else := tfplan.finding("plain-http", a.resource, array.concat(a.path, ["type"]), msg) if {
	action_type(a) != "redirect"
	msg := sprintf("The listener answers plain HTTP with the action %s, so traffic is not encrypted.", [action_type(a)])
} else := tfplan.finding("plain-http", a.resource, redirect_path(a), msg) if {
	is_string(target_protocol(a))
	target_protocol(a) != "HTTPS"
	msg := sprintf(
		"The listener redirects to the protocol %s, which is not always HTTPS, so traffic is not encrypted.",
		[tfplan.shown(a.resource, redirect_path(a))],
	)
} else := tfplan.undetermined("plain-http", a.resource, a.path, msg) if {
	not is_string(target_protocol(a))
	msg := "Where the listener redirects plain HTTP to is known only after the apply."
}
