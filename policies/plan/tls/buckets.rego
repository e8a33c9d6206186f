package plan.tls

import data.plan.lib.references
import data.plan.lib.tfplan

bucket_policies := [r |
	some r in tfplan.of_types({"aws_s3_bucket_policy", "aws_s3_bucket"})
	has_policy(r)
]

# A bucket without a policy is planned with an empty one.
has_policy(r) if not tfplan.value(r, ["policy"]) in {null, ""}

has_policy(r) if {
	tfplan.unknown(r, ["policy"])
	not references.left_out(r, ["policy"])
}

judged contains tfplan.subject("bucket-policy", r) if some r in bucket_policies

# METADATA
# title: The bucket policy denies plain HTTP
# description: >-
#   S3 answers plain HTTP unless the bucket's policy denies requests without TLS. Clients of AWS use
#   HTTPS by themselves, so this is a warning.
# custom:
#   id: bucket-policy
#   severity: warn
#   remediation: >-
#     Add a statement that denies s3:* on the bucket and its objects to everyone if aws:SecureTransport is false.
# related_resources:
# - ref: https://docs.aws.amazon.com/securityhub/latest/userguide/s3-controls.html#s3-5
#   description: AWS Security Hub, S3.5
# - ref: https://www.pcisecuritystandards.org/document_library/
#   description: PCI DSS 4.0.1, requirement 4.2.1
warn contains f if {
	some r in bucket_policies
	f := bucket_problem(r)
}

bucket_problem(r) := tfplan.finding("bucket-policy", r, ["policy"], msg) if {
	written := tfplan.value(r, ["policy"])
	is_string(written)
	not denies_plain_http(written)
	msg := "The policy does not deny requests without TLS, so the bucket answers plain HTTP."
} else := tfplan.undetermined("bucket-policy", r, ["policy"], msg) if {
	tfplan.unknown(r, ["policy"])
	not drafted(r)
	msg := "Whether the policy denies plain HTTP is known only after the apply."
}

denies_plain_http(written) if {
	json.is_valid(written)
	some s in as_array(json.unmarshal(written).Statement)
	s.Effect == "Deny"
	some action in as_array(s.Action)
	action in {"s3:*", "*"}
	s.Principal in ["*", {"AWS": "*"}, {"AWS": ["*"]}]
	object.get(s, ["Condition", "Bool", "aws:SecureTransport"], null) in ["false", ["false"], false]
}

as_array(x) := x if is_array(x)

as_array(x) := [x] if not is_array(x)

# A policy document that refers to a new bucket is unknown as a whole, but its statements are in the
# plan, as a data source to be read.
drafted(r) if {
	drafts := references.reached(r, ["policy"])
	some document in input.resource_changes
	document.mode == "data"
	document.type == "aws_iam_policy_document"
	node := references.node(tfplan.module_of(document), concat(".", ["data", document.type, document.name]))
	node in drafts
	some s in document.change.after.statement
	s.effect == "Deny"
	some action in s.actions
	action in {"s3:*", "*"}
	some c in s.condition
	lower(c.test) == "bool"
	lower(c.variable) == "aws:securetransport"
	c.values == ["false"]
}
