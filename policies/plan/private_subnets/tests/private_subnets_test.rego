package plan.private_subnets_test

import data.plan.private_subnets

plan := {
	"resource_changes": [{
		"address": "aws_efs_mount_target.x", "mode": "managed", "type": "aws_efs_mount_target",
		"change": {"actions": ["create"], "after": {"subnet_id": "subnet-1"}, "after_unknown": {}},
	}],
	"prior_state": {"values": {"root_module": {"resources": [
		{"mode": "data", "type": "aws_subnet", "values": {"id": "subnet-1", "map_public_ip_on_launch": false}},
		{"mode": "data", "type": "aws_route_table", "values": {
			"id": "rtb-1",
			"associations": [{"subnet_id": "subnet-1"}],
			"routes": [{"cidr_block": "0.0.0.0/0", "gateway_id": "nat-1"}],
		}},
	]}}},
}

findings := private_subnets.deny | private_subnets.warn

test_subnet_that_is_only_read if {
	count(findings) == 0 with input as plan
	open := json.patch(plan, [{
		"op": "replace", "value": "igw-1",
		"path": "/prior_state/values/root_module/resources/1/values/routes/0/gateway_id",
	}])
	{f.msg | some f in private_subnets.deny} == {"The workload stands in subnet-1, which the internet can reach: rtb-1 leads to an internet gateway."} with input as open
}

test_types_that_face_the_internet if {
	other := json.patch(plan, [{"op": "remove", "path": "/prior_state"}])
	count(findings) == 1 with input as other
	count(findings) == 0 with input as other with data.plan.private_subnets.parameters.facing_the_internet as {"aws_efs_mount_target": "test"}
}

cluster := {"resource_changes": [{
	"address": "aws_eks_cluster.x", "mode": "managed", "type": "aws_eks_cluster",
	"change": {"actions": ["create"], "after": {"vpc_config": [{"endpoint_public_access": true}]}, "after_unknown": {}},
}]}

test_what_endpoints_are if {
	[count(private_subnets.deny), count(private_subnets.warn)] == [0, 1] with input as cluster
	[count(private_subnets.deny), count(private_subnets.warn)] == [1, 0] with input as cluster
		with data.plan.private_subnets.parameters.endpoints_are as "deny"
	count(private_subnets.judged) == 0 with input as cluster
		with data.plan.private_subnets.parameters.endpoints_are as "ignore"
}

# What must be found in each of these plans is written in their code, and tested in fixtures_test.go.
test_fixtures if {
	every plan_ in data.testdata.private_subnets {
		count(private_subnets.judged) > 0 with input as plan_
		count(private_subnets.deny) > 0 with input as plan_
	}
}
