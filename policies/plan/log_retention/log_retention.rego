# METADATA
# title: Logs are kept long enough
# description: >-
#   CloudWatch log groups keep their events for a set time. Backups, queues and streams have
#   retention periods too, but these keep no logs and are not judged here.
package plan.log_retention

import data.plan.lib.tfplan
import data.plan.log_retention.parameters

log_groups := [r |
	some r in tfplan.of_type("aws_cloudwatch_log_group")
	not tfplan.value(r, ["log_group_class"]) in parameters.fixed_classes
]

judged contains tfplan.subject("retention", r) if some r in log_groups

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
	some r in log_groups
	f := problem(r)
}

attribute := ["retention_in_days"]

days(r) := tfplan.value(r, attribute)

problem(r) := tfplan.undetermined("retention", r, attribute, "The retention is known only after the apply.") if {
	tfplan.unknown(r, attribute)
} else := tfplan.finding("retention", r, attribute, msg) if {
	# The provider plans an unset value as 0; null is here for one that does not.
	days(r) in {0, null}
	not parameters.allow_never_expire
	msg := "Events never expire, as retention_in_days is 0 or not set: data is kept without limit and without an owner."
} else := tfplan.finding("retention", r, attribute, msg) if {
	days(r) > 0
	days(r) < parameters.minimum_days
	msg := sprintf("Events are deleted after %v days, but %v are required: evidence would be gone when it is asked for.", [tfplan.shown(r, attribute), parameters.minimum_days])
} else := tfplan.finding("retention", r, attribute, msg) if {
	parameters.maximum_days > 0
	days(r) > parameters.maximum_days
	msg := sprintf("Events are kept for %v days, but at most %v are allowed.", [tfplan.shown(r, attribute), parameters.maximum_days])
}
