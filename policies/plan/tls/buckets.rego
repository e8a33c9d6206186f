package plan.tls

import data.plan.lib.references
import data.plan.lib.tfplan
import data.plan.tls.parameters

# What holds a bucket's policy: a resource of its own, or the bucket itself in older code, where a
# policy that is not set is planned as an empty one or as unknown.
bucket_policies := array.concat(
	tfplan.of_type("aws_s3_bucket_policy"),
	[r |
		some r in tfplan.of_type("aws_s3_bucket")
		in_bucket(r)
	],
)

in_bucket(r) if not tfplan.value(r, ["policy"]) in {null, ""}

in_bucket(r) if unclear(r, ["policy"])

judged contains tfplan.subject("bucket-policy", r) if some r in bucket_policies

# METADATA
# title: The bucket policy denies plain HTTP
# description: >-
#   S3 answers plain HTTP unless the bucket's policy denies requests without TLS. What a policy says that
#   names a new bucket is known only after the apply, and so is whether a bucket gets its policy
#   elsewhere: no change to the code could settle that, so it is a warning.
# custom:
#   id: bucket-policy
#   remediation: >-
#     Add a statement that denies s3:* on the bucket and its objects to everyone if aws:SecureTransport is false.
# related_resources:
# - ref: https://docs.aws.amazon.com/securityhub/latest/userguide/s3-controls.html#s3-5
#   description: AWS Security Hub, S3.5
# - ref: https://www.pcisecuritystandards.org/document_library/
#   description: PCI DSS 4.0.1, requirement 4.2.1
deny contains f if {
	some r in bucket_policies
	written_policy := tfplan.value(r, ["policy"])
	is_string(written_policy)
	not denies_plain_http(written_policy)
	f := tfplan.finding("bucket-policy", r, ["policy"], policy_weakness(written_policy))
}

warn contains f if {
	some r in bucket_policies
	unclear(r, ["policy"])
	f := tfplan.undetermined("bucket-policy", r, ["policy"], "Whether the policy denies plain HTTP is known only after the apply.")
}

warn contains f if {
	some r in buckets_without_policy
	f := tfplan.undetermined(
		"bucket-policy", r, ["bucket"],
		"The plan holds no policy for the bucket. Without one that denies requests without TLS, it answers plain HTTP.",
	)
}

policy_weakness(written_policy) := "Only a part of the requests without TLS is denied: not all actions, not everybody's, not for the bucket and its objects, or under a further condition." if {
	some statement in statements(written_policy)
	statement.Effect == "Deny"
	some _, key in plain_conditions(statement)
	key == "aws:securetransport"
} else := "The policy does not deny requests without TLS, so the bucket answers plain HTTP."

# The statement may be split over several, for the bucket and for its objects.
denies_plain_http(written_policy) if {
	resources := {resource |
		some statement in statements(written_policy)
		denies_everything_plain(statement)
		some resource in as_array(statement.Resource)
		is_string(resource)
	}
	some bucket in resources
	regex.match(`^(\*|arn:[^/]*)$`, bucket)
	some objects in resources
	regex.match(`^(\*|arn:[^/]*/?\*)$`, objects)
}

statements(written_policy) := as_array(json.unmarshal(written_policy).Statement) if json.is_valid(written_policy)

denies_everything_plain(statement) if {
	statement.Effect == "Deny"
	some action in as_array(statement.Action)
	action in {"s3:*", "*"}
	everybody(statement)
	count(conditions(statement)) == 1
	count(plain_conditions(statement)) == 1
}

everybody(statement) if statement.Principal == "*"

everybody(statement) if "*" in as_array(statement.Principal.AWS)

conditions(statement) := [[operator, key] |
	some operator, tests in object.get(statement, "Condition", {})
	some key, _ in tests
]

# The conditions that hold for each request without TLS: either the transport is not secure, or a version
# below 1.2 is denied, too, where there is no version at all.
plain_conditions(statement) := {[operator, key]: lower(key) |
	some operator, tests in object.get(statement, "Condition", {})
	is_string(operator)
	is_object(tests)
	some key, value in tests
	covers_plain(lower(operator), lower(key), {lower(sprintf("%v", [v])) | some v in as_array(value)})
}

covers_plain(operator, "aws:securetransport", {"false"}) if operator in {"bool", "boolifexists"}

covers_plain("numericlessthanifexists", "s3:tlsversion", {"1.2"})

covers_plain("numericlessthanifexists", "s3:tlsversion", {"1.3"})

as_array(x) := x if is_array(x)

as_array(x) := [x] if not is_array(x)

# --- Buckets for which the plan holds no policy -----------------------------

buckets_without_policy := [r |
	parameters.judge_buckets_without_policy
	some r in tfplan.of_type("aws_s3_bucket")
	not in_bucket(r)
	not r.address in buckets_with_policy
]

buckets_with_policy contains address if {
	some r in tfplan.of_type("aws_s3_bucket_policy")
	some address in references.meant(r, ["bucket"], {"aws_s3_bucket"})
}

buckets_with_policy contains address if {
	some r in tfplan.of_type("aws_s3_bucket_policy")
	some address in bucket_names[tfplan.value(r, ["bucket"])]
}

bucket_names[r.change.after.bucket] contains r.address if some r in tfplan.of_type("aws_s3_bucket")
