# METADATA
# title: Connections use TLS 1.2 or newer
# description: >-
#   Whatever accepts connections accepts them encrypted, with TLS 1.2 or newer. Older versions, and
#   plain HTTP other than a redirect to HTTPS, let card data be read or changed on its way.
package plan.tls

import data.plan.lib.tfplan
import data.plan.tls.parameters

listeners := tfplan.of_types(["aws_lb_listener", "aws_alb_listener"])

protocol(r) := tfplan.value(r, ["protocol"])

encrypted_listeners := [r | some r in listeners; protocol(r) in {"HTTPS", "TLS"}]

http_listeners := [r | some r in listeners; protocol(r) == "HTTP"]

judged contains tfplan.subject("listener-policy", r) if some r in encrypted_listeners

# METADATA
# title: The listener accepts TLS 1.2 or newer only
# description: >-
#   A listener accepts every version that its security policy names. Without one it takes
#   ELBSecurityPolicy-2016-08, which accepts TLS 1.0.
# custom:
#   id: listener-policy
#   severity: deny
#   remediation: Set ssl_policy to ELBSecurityPolicy-TLS13-1-2-2021-06, which accepts TLS 1.2 and 1.3.
# related_resources:
# - ref: https://docs.aws.amazon.com/elasticloadbalancing/latest/application/describe-ssl-policies.html
#   description: Elastic Load Balancing, security policies
# - ref: https://www.pcisecuritystandards.org/document_library/
#   description: PCI DSS 4.0.1, requirement 4.2.1
deny contains f if {
	some r in encrypted_listeners
	f := policy_problem(r, "listener-policy", ["ssl_policy"])
}

policy_problem(r, rule, path) := tfplan.finding(rule, r, path, msg) if {
	name := tfplan.value(r, path)
	outdated(name)
	msg := sprintf("The security policy %s accepts TLS versions older than 1.2, which can be broken.", [name])
} else := tfplan.undetermined(rule, r, path, msg) if {
	name := tfplan.value(r, path)
	is_string(name)
	not modern(name)
	msg := sprintf("The security policy %s is not known, so neither is the oldest TLS version it accepts.", [name])
} else := tfplan.finding(rule, r, path, msg) if {
	not is_string(tfplan.value(r, path))
	tfplan.unset(r, path)
	msg := "No security policy is set, so AWS takes ELBSecurityPolicy-2016-08, which accepts TLS 1.0 and 1.1."
} else := tfplan.undetermined(rule, r, path, msg) if {
	not is_string(tfplan.value(r, path))
	msg := "The security policy is known only after the apply."
}

modern(name) if {
	some pattern in parameters.modern_policies
	regex.match(pattern, name)
}

outdated(name) if {
	some pattern in parameters.outdated_policies
	regex.match(pattern, name)
}

judged contains tfplan.subject("plain-http", r) if some r in http_listeners

# METADATA
# title: Plain HTTP only redirects to HTTPS
# description: >-
#   An HTTP listener may do nothing but send the client to HTTPS. Anything else carries requests and
#   answers unencrypted.
# custom:
#   id: plain-http
#   severity: deny
#   remediation: 'Make the default action redirect { protocol = "HTTPS", port = "443", status_code = "HTTP_301" }, or use protocol HTTPS with a certificate.'
# related_resources:
# - ref: https://docs.aws.amazon.com/securityhub/latest/userguide/elb-controls.html#elb-1
#   description: AWS Security Hub, ELB.1
# - ref: https://www.pcisecuritystandards.org/document_library/
#   description: PCI DSS 4.0.1, requirement 4.2.1
deny contains f if {
	some r in http_listeners
	some i, action in r.change.after.default_action
	f := action_problem(r, i, action)
}

action_problem(r, i, action) := tfplan.finding("plain-http", r, ["default_action", i, "type"], msg) if {
	is_string(action.type)
	action.type != "redirect"
	msg := sprintf("The listener answers plain HTTP with the action %s, so traffic is not encrypted.", [action.type])
} else := tfplan.finding("plain-http", r, ["default_action", i, "redirect"], msg) if {
	some redirect in action.redirect
	is_string(redirect.protocol)
	redirect.protocol != "HTTPS"
	msg := sprintf("The listener redirects to %s, not to HTTPS, so traffic stays unencrypted.", [redirect.protocol])
} else := tfplan.undetermined("plain-http", r, ["default_action", i], msg) if {
	not redirects(action)
	msg := "Where the listener redirects plain HTTP to is known only after the apply."
}

redirects(action) if {
	some redirect in action.redirect
	redirect.protocol == "HTTPS"
}
