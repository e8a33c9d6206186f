package plan.tls

import data.plan.lib.tfplan
import data.plan.tls.parameters

distributions := tfplan.of_type("aws_cloudfront_distribution")

judged contains tfplan.subject("default-certificate", r) if some r in distributions

# METADATA
# title: The distribution has a certificate of its own
# description: >-
#   With CloudFront's default certificate a distribution accepts TLS 1.0, whatever minimum version it sets.
# custom:
#   id: default-certificate
#   severity: deny
#   remediation: >-
#     Set acm_certificate_arn, ssl_support_method "sni-only" and minimum_protocol_version "TLSv1.2_2021"
#     in viewer_certificate.
# related_resources:
# - ref: https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/distribution-web-values-specify.html
#   description: Amazon CloudFront, security policy
# - ref: https://www.pcisecuritystandards.org/document_library/
#   description: PCI DSS 4.0.1, requirement 4.2.1
deny contains f if {
	some r in distributions
	some path in tfplan.paths(r, ["viewer_certificate", "cloudfront_default_certificate"])
	f := certificate_problem(r, path)
}

certificate_problem(r, path) := tfplan.finding("default-certificate", r, path, msg) if {
	tfplan.value(r, path) == true
	msg := "The distribution uses CloudFront's default certificate, with which it accepts TLS 1.0."
} else := tfplan.undetermined("default-certificate", r, path, msg) if {
	tfplan.unknown(r, path)
	msg := "Whether the distribution has a certificate of its own is known only after the apply."
}

# The protocol that CloudFront speaks with an origin, and the versions it would use.
origins := [{"resource": r, "protocol": array.concat(block, ["origin_protocol_policy"]), "versions": array.concat(block, versions)} |
	parameters.judge_origins
	some type, place in {
		"aws_cloudfront_distribution": {"block": ["origin", "custom_origin_config"], "versions": ["origin_ssl_protocols"]},
		"aws_cloudfront_vpc_origin": {"block": ["vpc_origin_endpoint_config"], "versions": ["origin_ssl_protocols", 0, "items"]},
	}
	some r in tfplan.of_type(type)
	some path in tfplan.paths(r, array.concat(place.block, ["origin_protocol_policy"]))
	block := array.slice(path, 0, count(path) - 1)
	versions := place.versions
]

judged contains tfplan.subject("origin", o.resource) if some o in origins

# METADATA
# title: CloudFront reaches the origin by TLS 1.2
# description: >-
#   The way from CloudFront to an origin crosses the internet as well, so it needs the same protection.
# custom:
#   id: origin
#   severity: deny
#   remediation: Set origin_protocol_policy to "https-only" and origin_ssl_protocols to ["TLSv1.2"].
# related_resources:
# - ref: https://docs.aws.amazon.com/securityhub/latest/userguide/cloudfront-controls.html#cloudfront-9
#   description: AWS Security Hub, CloudFront.9
# - ref: https://docs.aws.amazon.com/securityhub/latest/userguide/cloudfront-controls.html#cloudfront-10
#   description: AWS Security Hub, CloudFront.10
# - ref: https://www.pcisecuritystandards.org/document_library/
#   description: PCI DSS 4.0.1, requirement 4.2.1
deny contains f if {
	some o in origins
	f := origin_problem(o)
}

deny contains f if {
	some o in origins
	tfplan.value(o.resource, o.protocol) != "http-only"
	old := {v | some v in tfplan.value(o.resource, o.versions); is_string(v); not v in {"TLSv1.2", "TLSv1.3"}}
	count(old) > 0
	f := tfplan.finding("origin", o.resource, o.versions, sprintf(
		"CloudFront may reach the origin by %s, which can be broken.",
		[concat(" or ", old)],
	))
}

origin_problem(o) := tfplan.finding("origin", o.resource, o.protocol, msg) if {
	policy := tfplan.value(o.resource, o.protocol)
	is_string(policy)
	policy != "https-only"
	msg := sprintf("origin_protocol_policy is %s, so requests and answers may cross the internet unencrypted.", [policy])
} else := tfplan.undetermined("origin", o.resource, o.protocol, msg) if {
	tfplan.unknown(o.resource, o.protocol)
	msg := "How CloudFront reaches the origin is known only after the apply."
} else := tfplan.undetermined("origin", o.resource, o.versions, msg) if {
	tfplan.value(o.resource, o.protocol) == "https-only"
	tfplan.unknown(o.resource, o.versions)
	msg := "Which TLS versions CloudFront uses towards the origin is known only after the apply."
}
