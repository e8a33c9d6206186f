package plan.log_retention_test

import data.plan.log_retention

plan(days) := {"resource_changes": [{
	"address": "aws_cloudwatch_log_group.x", "mode": "managed", "type": "aws_cloudwatch_log_group",
	"change": {"actions": ["create"], "after": {"retention_in_days": days}, "after_unknown": {}},
}]}

messages contains f.msg if some f in log_retention.deny

parameters := {"minimum_days": 30, "maximum_days": 0, "allow_never_expire": false, "fixed_classes": []}

test_limits if {
	every days in [30, 365, 3653] {
		count(log_retention.deny) == 0 with input as plan(days)
	}
	every days in [1, 29, 0, null] {
		count(log_retention.deny) == 1 with input as plan(days)
	}
}

test_message_names_the_value if {
	some msg in messages with input as plan(14)
	startswith(msg, "Events are deleted after 14 days, but 30 are required")
}

test_never_expire_can_be_allowed if {
	allowed := object.union(parameters, {"allow_never_expire": true})
	count(log_retention.deny) == 0 with input as plan(0) with data.plan.log_retention.parameters as allowed
	count(log_retention.deny) == 1 with input as plan(7) with data.plan.log_retention.parameters as allowed
}

test_maximum if {
	limited := object.union(parameters, {"maximum_days": 400})
	count(log_retention.deny) == 0 with input as plan(400) with data.plan.log_retention.parameters as limited
	count(log_retention.deny) == 1 with input as plan(3653) with data.plan.log_retention.parameters as limited
}

test_sensitive_days_are_not_shown if {
	plan_ := json.patch(plan(14), [{"op": "add", "path": "/resource_changes/0/change/after_sensitive", "value": {"retention_in_days": true}}])
	some msg in messages with input as plan_
	startswith(msg, "Events are deleted after sensitive days")
}

# What must be found in each of these plans is written in their code, and tested in fixtures_test.go.
test_fixtures if {
	every plan_ in data.testdata.log_retention {
		count(log_retention.judged) > 0 with input as plan_
		count(log_retention.deny) > 0 with input as plan_
	}
}
