# METADATA
# title: Logs are kept long enough
# description: >-
#   CloudWatch log groups keep their events for a set time. Backups, queues and streams have
#   retention periods too, but these keep no logs and are not judged here.
package plan.log_retention

import data.plan.lib.references
import data.plan.lib.tfplan
import data.plan.log_retention.parameters

log_groups := tfplan.of_type("aws_cloudwatch_log_group")

own_retention := [r | some r in log_groups; not tfplan.value(r, ["log_group_class"]) in parameters.fixed_classes]

judged contains tfplan.subject("retention", r) if some r in own_retention

# METADATA
# title: The log group keeps its events for the required time, and not for ever
# description: >-
#   Audit logs have to be at hand for a set time. A group that deletes them too early destroys
#   evidence; one that never expires keeps personal data without limit and without an owner.
# custom:
#   id: retention
#   severity: deny
#   remediation: Set retention_in_days to 30, or to a longer time that CloudWatch Logs offers, such as 90 or 365.
# related_resources:
# - ref: https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/Working-with-log-groups-and-streams.html
#   description: Amazon CloudWatch Logs, change log data retention
# - ref: https://www.pcisecuritystandards.org/document_library/
#   description: PCI DSS 4.0.1, requirements 10.5.1 and 3.2.1
deny contains f if {
	some r in own_retention
	f := retention_problem(r, ["retention_in_days"])
}

retention_problem(r, path) := tfplan.undetermined("retention", r, path, "The retention is known only after the apply.") if {
	tfplan.unknown(r, path)
} else := tfplan.finding("retention", r, path, wrong_days(tfplan.value(r, path), tfplan.shown(r, path)))

# What is wrong with a time in days. The provider plans an unset value as 0; null is here for one that
# does not.
wrong_days(days, shown) := msg if {
	days in {0, null}
	not parameters.allow_never_expire
	msg := "Events never expire, as retention_in_days is 0 or not set: data is kept without limit and without an owner."
} else := msg if {
	days > 0
	days < parameters.minimum_days
	msg := sprintf("Events are deleted after %v days, but %v are required: evidence would be gone when it is asked for.", [shown, parameters.minimum_days])
} else := msg if {
	parameters.maximum_days > 0
	days > parameters.maximum_days
	msg := sprintf("Events are kept for %v days, but at most %v are allowed: data that nobody needs can only leak.", [shown, parameters.maximum_days])
}

judged contains tfplan.subject("log-encryption", r) if {
	parameters.encryption_required
	some r in log_groups
}

# METADATA
# title: The log group is encrypted with a KMS key of its own
# description: >-
#   CloudWatch Logs encrypts all events with a key of its own. A key of yours says who may decrypt
#   them, and leaves a trail of who did. Required only if encryption_required is set.
# custom:
#   id: log-encryption
#   severity: deny
#   remediation: Set kms_key_id to the ARN of a KMS key whose policy allows CloudWatch Logs to use it.
# related_resources:
# - ref: https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/encrypt-log-data-kms.html
#   description: Amazon CloudWatch Logs, encrypt log data using AWS KMS
# - ref: https://www.pcisecuritystandards.org/document_library/
#   description: PCI DSS 4.0.1, requirement 10.3.2
deny contains f if {
	parameters.encryption_required
	some r in log_groups
	f := encryption_problem(r)
}

encryption_problem(r) := tfplan.undetermined("log-encryption", r, ["kms_key_id"], msg) if {
	tfplan.unknown(r, ["kms_key_id"])
	not leads_to_key(r)
	msg := "Whether the log group has a key is known only after the apply."
} else := tfplan.finding("log-encryption", r, ["kms_key_id"], msg) if {
	tfplan.value(r, ["kms_key_id"]) in {null, ""}
	not tfplan.unknown(r, ["kms_key_id"])
	msg := "The log group has no KMS key of its own, so whoever may read logs may decrypt them."
}

leads_to_key(r) if {
	some node in references.reached(r, ["kms_key_id"])
	contains(node, ":aws_kms_")
}
