package plan.required_tags_test

import data.plan.required_tags

plan(tags) := {"resource_changes": [{
	"address": "aws_sqs_queue.x", "mode": "managed", "type": "aws_sqs_queue",
	"change": {"actions": ["create"], "after": {"tags": tags, "tags_all": tags}, "after_unknown": {}},
}]}

complete := {"Environment": "production", "Team": "payments", "CostCenter": "engineering"}

messages contains f.msg if some f in required_tags.deny

test_complete if count(required_tags.deny) == 0 with input as plan(complete)

test_missing_tags_are_named if {
	messages == {"The tags Team and CostCenter are missing: it is unknown whose resource this is."} with input as plan({"Environment": "production"})
}

test_allowed_values if {
	parameters := object.union(data.plan.required_tags.parameters, {"allowed_values": {"Environment": ["production", "staging"]}})
	count(required_tags.deny) == 0 with input as plan(complete) with data.plan.required_tags.parameters as parameters
	messages == {`The tag Environment is "x", which is none of production and staging: it is unknown whose resource this is.`} with input as plan(object.union(complete, {"Environment": "x"}))
		with data.plan.required_tags.parameters as parameters
}

test_other_providers_are_not_judged if {
	other := json.patch(plan({}), [{"op": "replace", "path": "/resource_changes/0/type", "value": "google_x"}])
	count(required_tags.judged) == 0 with input as other
}

# What must be found in each of these plans is written in their code, and tested in fixtures_test.go.
test_fixtures if {
	every plan_ in data.testdata.required_tags {
		count(required_tags.judged) > 0 with input as plan_
		count(required_tags.deny) > 0 with input as plan_
	}
}
