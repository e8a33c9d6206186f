package plan.log_retention_test

import data.plan.log_retention

plan(days) := {"resource_changes": [{
	"address": "aws_cloudwatch_log_group.x", "mode": "managed", "type": "aws_cloudwatch_log_group",
	"change": {"actions": ["create"], "after": {"retention_in_days": days}, "after_unknown": {}},
}]}

messages contains f.msg if some f in log_retention.deny

parameters := object.union(data.plan.log_retention.parameters, {"fixed_classes": []})

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

lambda := {
	"address": "aws_lambda_function.f", "mode": "managed", "type": "aws_lambda_function",
	"change": {"actions": ["create"], "after": {"function_name": "f"}, "after_unknown": {}},
}

group(name) := {
	"address": "aws_cloudwatch_log_group.f", "mode": "managed", "type": "aws_cloudwatch_log_group",
	"change": {"actions": ["create"], "after": {"name": name, "retention_in_days": 30}, "after_unknown": {}},
}

warnings contains f.msg if some f in log_retention.warn

test_groups_of_services if {
	warnings == {"This plan does not manage the log group /aws/lambda/f: what the service makes itself never expires."} with input as {"resource_changes": [lambda, group("other")]}
	count(warnings) == 0 with input as {"resource_changes": [lambda, group("/aws/lambda/f")]}
}

test_groups_of_services_may_last if {
	allowed := object.union(parameters, {"allow_never_expire": true})
	count(log_retention.warn) == 0 with input as {"resource_changes": [lambda]} with data.plan.log_retention.parameters as allowed
	count(log_retention.judged) == 0 with input as {"resource_changes": [lambda]} with data.plan.log_retention.parameters as allowed
}

stream(settings) := {"resource_changes": [{
	"address": "aws_elastic_beanstalk_environment.e", "mode": "managed", "type": "aws_elastic_beanstalk_environment",
	"change": {"actions": ["create"], "after_unknown": {}, "after": {"setting": [
	{"namespace": "aws:elasticbeanstalk:cloudwatch:logs", "name": name, "value": value} |
		some name, value in settings
	]}},
}]}

test_streams if {
	count(log_retention.judged) == 0 with input as stream({"StreamLogs": "false"})
	count(log_retention.warn) == 0 with input as stream({"StreamLogs": "true", "RetentionInDays": "30"})
	warnings == {"Events are deleted after 7 days, but 30 are required: evidence would be gone when it is asked for."} with input as stream({"StreamLogs": "true"})
	count(log_retention.warn) == 0 with input as stream({"StreamLogs": "true", "RetentionInDays": "many"})
}

task(containers) := {"resource_changes": [{
	"address": "aws_ecs_task_definition.t", "mode": "managed", "type": "aws_ecs_task_definition",
	"change": {"actions": ["create"], "after": {"container_definitions": containers}, "after_unknown": {}},
}]}

# What cannot be read makes no group, and is no error either.
test_documents if {
	every text in [null, "[", "[]", "7", `[{"options": {"awslogs-create-group": "false", "awslogs-group": "g"}}]`, `[{"awslogs-create-group": true, "awslogs-group": 7}]`] {
		count(log_retention.judged) == 0 with input as task(text)
	}
	every text in [`[{"o": {"awslogs-create-group": "true", "awslogs-group": "g"}}]`, `{"o": {"awslogs-create-group": true, "awslogs-group": "g"}}`] {
		count(log_retention.warn) == 1 with input as task(text)
	}
}

test_encryption_is_judged_if_required if {
	required := object.union(parameters, {"encryption_required": true})
	count(log_retention.deny) == 0 with input as plan(30)
	count(log_retention.deny) == 1 with input as plan(30) with data.plan.log_retention.parameters as required
}

test_sensitive_days_are_not_shown if {
	plan_ := json.patch(plan(14), [{"op": "add", "path": "/resource_changes/0/change/after_sensitive", "value": {"retention_in_days": true}}])
	some msg in messages with input as plan_
	startswith(msg, "Events are deleted after sensitive days")
}

# A service that names several groups, known or not, with a table that an organisation has written.
functions(groups, unknown) := {
	"resource_changes": [{
		"address": "aws_lambda_function.f", "mode": "managed", "type": "aws_lambda_function", "name": "f",
		"change": {"actions": ["create"], "after": {"function_name": "f", "logging_config": groups}, "after_unknown": {"logging_config": unknown}},
	}],
	"configuration": {"root_module": {"resources": [{
		"mode": "managed", "type": "aws_lambda_function", "name": "f",
		"expressions": {"logging_config": [{"log_group": {"references": ["local.a"]}}, {"log_group": {"references": ["local.b"]}}]},
	}]}},
}

test_several_groups_of_a_service if {
	warnings == {"This plan does not manage the log groups a, b: what the service makes itself never expires."} with input as functions([{"log_group": "a"}, {"log_group": "b"}], [])
	warnings == {"The service writes to a log group whose name is known only after the apply: what the service makes itself never expires."} with input as functions([{}, {}], [{"log_group": true}, {"log_group": true}])
}

# What must be found in each of these plans is written in their code, and tested in fixtures_test.go.
test_fixtures if {
	every plan_ in data.testdata.log_retention {
		own := object.get(plan_, "parameters", data.plan.log_retention.parameters)
		count(log_retention.judged) > 0 with input as plan_ with data.plan.log_retention.parameters as own
		count(log_retention.deny | log_retention.warn) > 0 with input as plan_ with data.plan.log_retention.parameters as own
	}
}
