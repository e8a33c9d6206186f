package plan.required_tags_test

import data.plan.required_tags

plan(tags) := {"resource_changes": [{
	"address": "aws_sqs_queue.x", "mode": "managed", "type": "aws_sqs_queue",
	"change": {"actions": ["create"], "after": {"tags": tags, "tags_all": tags}, "after_unknown": {}},
}]}

complete := {"Environment": "production", "Team": "payments", "CostCenter": "engineering"}

messages contains f.msg if some f in required_tags.deny

test_complete if count(required_tags.deny) == 0 with input as plan(complete)

test_one_missing_tag_is_named if {
	messages == {"The tag Team is missing: it is unknown whose resource this is."} with input as plan(object.remove(complete, ["Team"]))
}

test_missing_tags_are_named if {
	messages == {"The tags Team and CostCenter are missing: it is unknown whose resource this is."} with input as plan({"Environment": "production"})
}

test_all_that_is_wrong_is_said_at_once if {
	messages == {"The tag CostCenter is missing, and the tag Team is blank: it is unknown whose resource this is."} with input as plan({"Environment": "production", "Team": " "})
}

test_other_spellings_are_named if {
	tags := {"environment": "production", "Team": "payments", "cost-center": "engineering"}
	messages == {"The tags Environment and CostCenter are missing, but there are cost-center and environment: it is unknown whose resource this is."} with input as plan(tags)
}

test_the_line_of_a_single_tag if {
	{f.attribute | some f in required_tags.deny} == {`tags["Team"]`} with input as plan(object.remove(complete, ["Team"]))
	{f.attribute | some f in required_tags.deny} == {"tags"} with input as plan({})
}

# A type that the schema does not list is judged if its plan shows tags, as types of a newer provider do.
test_types_that_are_not_listed if {
	new := json.patch(plan({}), [{"op": "replace", "path": "/resource_changes/0/type", "value": "aws_brand_new"}])
	count(required_tags.deny) == 1 with input as new

	unknown := json.patch(new, [
		{"op": "replace", "path": "/resource_changes/0/change/after", "value": {}},
		{"op": "replace", "path": "/resource_changes/0/change/after_unknown", "value": {"tags_all": true}},
	])
	count(required_tags.deny) == 1 with input as unknown

	untaggable := json.patch(new, [{"op": "replace", "path": "/resource_changes/0/change/after", "value": {}}])
	count(required_tags.judged) == 0 with input as untaggable
}

test_unknown_value_in_known_tags if {
	unknown := json.patch(plan(object.remove(complete, ["Team"])), [{"op": "add", "path": "/resource_changes/0/change/after_unknown/tags_all", "value": {"Team": true}}])
	count(required_tags.deny) == 0 with input as unknown
}

# Providers before tags_all plan tags only.
test_tags_without_tags_all if {
	old := json.patch(plan(complete), [{"op": "remove", "path": "/resource_changes/0/change/after/tags_all"}])
	count(required_tags.deny) == 0 with input as old
	count(required_tags.judged) == 1 with input as old
}

test_nothing_is_asked if {
	count(required_tags.deny) == 0 with input as plan({}) with data.plan.required_tags.parameters as {"required": [], "allowed_values": {}, "tag_blocks": {}, "exempt_types": []}
}

test_allowed_values if {
	parameters := object.union(data.plan.required_tags.parameters, {"allowed_values": {"Environment": ["production", "staging"]}})
	count(required_tags.deny) == 0 with input as plan(complete) with data.plan.required_tags.parameters as parameters
	messages == {`The tag Environment is "x", which is none of production and staging: who searches by the agreed values does not find this resource.`} with input as plan(object.union(complete, {"Environment": "x"}))
		with data.plan.required_tags.parameters as parameters
}

test_other_providers_are_not_judged if {
	other := json.patch(plan({}), [{"op": "replace", "path": "/resource_changes/0/type", "value": "google_x"}])
	count(required_tags.judged) == 0 with input as other
}

# What must be found in each of these plans is written in their code, and tested in fixtures_test.go.
test_fixtures if {
	every plan_ in data.testdata.required_tags {
		own := object.get(plan_, "parameters", data.plan.required_tags.parameters)
		count(required_tags.judged) > 0 with input as plan_ with data.plan.required_tags.parameters as own
		count(required_tags.deny) > 0 with input as plan_ with data.plan.required_tags.parameters as own
	}
}
