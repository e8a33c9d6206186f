package plan.private_subnets_test

import data.plan.private_subnets

resource(type, name, after) := {
	"address": sprintf("%s.%s", [type, name]), "mode": "managed", "type": type, "name": name,
	"change": {"actions": ["create"], "after": after, "after_unknown": {}},
}

untouched(r) := object.union(r, {"change": {"actions": ["no-op"]}})

hidden(r, attribute) := object.union(
	json.remove(r, [["change", "after", attribute]]),
	{"change": {"after_unknown": {attribute: true}}},
)

target := resource("aws_efs_mount_target", "x", {"subnet_id": "subnet-1"})

plan := {
	"resource_changes": [target],
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

messages := {f.msg | some f in findings}

test_subnet_that_is_only_read if {
	count(findings) == 0 with input as plan
	open := json.patch(plan, [{
		"op": "replace", "value": "igw-1",
		"path": "/prior_state/values/root_module/resources/1/values/routes/0/gateway_id",
	}])
	{f.msg | some f in private_subnets.deny} == {concat("", [
		"The workload stands in subnet-1, which the internet can reach:",
		" rtb-1 leads to an internet gateway.",
	])} with input as open
}

test_types_that_face_the_internet if {
	other := json.patch(plan, [{"op": "remove", "path": "/prior_state"}])
	count(findings) == 1 with input as other
	count(findings) == 0 with input as other with data.plan.private_subnets.parameters.facing_the_internet as {"aws_efs_mount_target": "test"}
}

facing := data.plan.private_subnets.parameters.facing_the_internet

balancers := {"resource_changes": [
	resource("aws_lb", "public", {"internal": false, "load_balancer_type": "application"}),
	resource("aws_lb", "inside", {"internal": true, "load_balancer_type": "network"}),
	resource("aws_lb", "gateway", {"internal": false, "load_balancer_type": "gateway"}),
]}

test_load_balancers_are_judged_if_they_are_not_named if {
	count(private_subnets.judged) == 0 with input as balancers
	strict := json.remove(facing, ["aws_lb"])
	{f.address | some f in findings} == {"aws_lb.public"} with input as balancers
		with data.plan.private_subnets.parameters.facing_the_internet as strict
	count(private_subnets.judged) == 2 with input as balancers
		with data.plan.private_subnets.parameters.facing_the_internet as strict
	named := object.union(strict, {"aws_lb.pub*": "the way in"})
	count(findings) == 0 with input as balancers
		with data.plan.private_subnets.parameters.facing_the_internet as named
}

# Brackets of an address are no pattern.
test_instances_that_face_the_internet if {
	nat := [object.union(
		resource("aws_instance", sprintf("nat[%d]", [i]), {
			"subnet_id": "subnet-1",
			"associate_public_ip_address": true,
		}),
		{},
	) |
		some i in [0, 1]
	]
	named := object.union(facing, {"aws_instance.nat[0]": "NAT instance"})
	{f.address | some f in private_subnets.deny} == {"aws_instance.nat[1]"} with input as {"resource_changes": nat}
		with data.plan.private_subnets.parameters.facing_the_internet as named
}

cluster := {"resource_changes": [resource("aws_eks_cluster", "x", {"vpc_config": [{"endpoint_public_access": true}]})]}

test_what_endpoints_are if {
	[count(private_subnets.deny), count(private_subnets.warn)] == [0, 1] with input as cluster
	[count(private_subnets.deny), count(private_subnets.warn)] == [1, 0] with input as cluster
		with data.plan.private_subnets.parameters.endpoints_are as "deny"
	count(private_subnets.judged) == 0 with input as cluster
		with data.plan.private_subnets.parameters.endpoints_are as "ignore"
}

test_domains_without_a_vpc_are_open if {
	messages == {"vpc_options is not set, so the service is open to the internet."} with input as {"resource_changes": [resource("aws_opensearch_domain", "x", {"vpc_options": []})]}
}

network := [
	resource("aws_subnet", "open", {"id": "subnet-1", "map_public_ip_on_launch": true}),
	untouched(resource("aws_subnet", "also", {"id": "subnet-2", "map_public_ip_on_launch": true})),
	untouched(resource("aws_subnet", "third", {"id": "subnet-3", "map_public_ip_on_launch": true})),
]

test_long_lists_are_cut if {
	function := resource("aws_lambda_function", "x", {"vpc_config": [{"subnet_ids": ["subnet-1", "subnet-2", "subnet-3"]}]})
	messages["The workload stands in aws_subnet.also and 2 more, which the internet can reach: it gives its hosts public addresses."] with input as {"resource_changes": array.concat(network, [function])}
}

test_one_finding_for_all_blocks if {
	template := resource("aws_launch_template", "x", {"network_interfaces": [
		{"associate_public_ip_address": "false"},
		{"associate_public_ip_address": "true"},
		{"associate_public_ip_address": "true"},
		{"associate_public_ip_address": "true"},
	]})
	findings == {{
		"rule": "public-address", "address": "aws_launch_template.x",
		"attribute": "network_interfaces[1].associate_public_ip_address",
		"msg": concat("", [
			"network_interfaces[1].associate_public_ip_address is true, so the workload gets a public address.",
			" The same in network_interfaces[2].associate_public_ip_address and 1 more.",
		]),
	}} with input as {"resource_changes": [template]}
}

touched := {f.address: f.touched |
	some f in private_subnets.deny
	f.rule == "public-subnet"
}

# An untouched workload is pushed into a public subnet by what is touched.
test_what_touches_a_workload if {
	old := [untouched(resource("aws_efs_mount_target", n, {"subnet_id": id})) | some n, id in {"a": "subnet-1", "b": "subnet-2"}]
	touched == {"aws_efs_mount_target.a": true, "aws_efs_mount_target.b": false} with input as {"resource_changes": array.concat(network, old)}

	group := resource("aws_db_subnet_group", "g", {"name": "g", "subnet_ids": ["subnet-2"]})
	database := untouched(resource("aws_db_instance", "d", {"db_subnet_group_name": "g"}))
	touched == {"aws_db_instance.d": true} with input as {"resource_changes": array.concat(network, [group, database])}
	touched == {"aws_db_instance.d": false} with input as {"resource_changes": array.concat(network, [untouched(group), database])}
}

test_import_touches if {
	target_2 := untouched(resource("aws_efs_mount_target", "x", {"subnet_id": "subnet-2"}))
	imported := object.union(target_2, {"change": {"importing": {"id": "fsmt-1"}}})
	touched == {"aws_efs_mount_target.x": true} with input as {"resource_changes": array.concat(network, [imported])}
	touched == {"aws_efs_mount_target.x": false} with input as {"resource_changes": array.concat(network, [target_2])}
}

test_what_is_not_judged if {
	every change in [{"mode": "data"}, {"change": {"actions": ["delete"], "after": null}}, {"change": {"actions": ["forget"], "after": null}}] {
		count(private_subnets.judged) == 0 with input as {"resource_changes": [object.union(target, change)]}
	}
	count(private_subnets.judged) == 1 with input as {"resource_changes": [target]}
}

test_subnets_by_arn if {
	agent := resource("aws_datasync_agent", "x", {"subnet_arns": ["arn:aws:ec2:eu-central-1:123456789012:subnet/subnet-1"]})
	{f.address | some f in private_subnets.deny; f.rule == "public-subnet"} == {"aws_datasync_agent.x"} with input as {"resource_changes": array.concat(network, [agent])}
}

# Unknown subnets of a module that passes them on, by key or as they are.
module_plan(references) := {
	"resource_changes": [
		hidden(resource("aws_subnet", "open", {"map_public_ip_on_launch": true}), "id"),
		hidden(resource("aws_subnet", "closed", {"map_public_ip_on_launch": false}), "id"),
		{
			"address": "module.m.aws_efs_mount_target.x", "module_address": "module.m", "mode": "managed",
			"type": "aws_lambda_function", "name": "x",
			"change": {"actions": ["create"], "after": {"vpc_config": [{}]}, "after_unknown": {"vpc_config": [{"subnet_ids": true}]}},
		},
	],
	"configuration": {"root_module": {"module_calls": {"m": {
		"expressions": {"subnets": {"references": references}},
		"module": {"resources": [{
			"mode": "managed", "type": "aws_lambda_function", "name": "x",
			"expressions": {"vpc_config": [{"subnet_ids": {"references": ["var.subnets"]}}]},
		}]},
	}}}},
}

verdicts := {object.get(f, "verdict", "fail") | some f in private_subnets.deny; f.rule == "public-subnet"}

test_a_list_through_a_module_is_no_choice if {
	both := ["aws_subnet.open.id", "aws_subnet.open", "aws_subnet.closed.id", "aws_subnet.closed"]
	verdicts == {"fail"} with input as module_plan(both)
	every choice in ["each.key", "count.index", "var.public", "local.public"] {
		verdicts == {"undetermined"} with input as module_plan(array.concat(both, [choice]))
	}
	messages["The plan does not tell how aws_subnet.closed is routed, so it may be public."] with input as module_plan(["aws_subnet.closed.id", "aws_subnet.closed"])
	messages["The subnets come from local.subnets, which is not in the plan, so they may be public."] with input as module_plan(["local.subnets"])
}

batch(capabilities) := hidden(resource("aws_batch_job_definition", "x", {"platform_capabilities": capabilities}), "container_properties")

test_unknown_documents if {
	messages == {"container_properties is known only after the apply, so the job may get a public address."} with input as {"resource_changes": [batch(["FARGATE"])]}
	count(private_subnets.judged) == 0 with input as {"resource_changes": [batch(["EC2"])]}
}

# Names in a document may hold dots, so that two places in it read alike.
test_places_in_documents_that_read_alike if {
	document := json.marshal({"a.b": {"assignPublicIp": "DISABLED"}, "a": {"b": {"assignPublicIp": "ENABLED"}}})
	messages == {"container_properties holds a.b.assignPublicIp ENABLED, so the job gets a public address."} with input as {"resource_changes": [resource("aws_batch_job_definition", "x", {"container_properties": document})]}
}

# A setting whose namespace the configuration takes from elsewhere.
test_settings_with_a_namespace_from_elsewhere if {
	environment := resource("aws_elastic_beanstalk_environment", "x", {"setting": [{"namespace": "aws:ec2:vpc", "name": "AssociatePublicIpAddress", "value": "true"}]})
	other := {"namespace": {"constant_value": "aws:autoscaling:asg"}, "name": {"constant_value": "AssociatePublicIpAddress"}}
	written := {"namespace": {"references": ["local.vpc"]}, "name": {"constant_value": "AssociatePublicIpAddress"}}
	every settings, attribute in {[other, written]: "setting[1].value", [other]: "setting[0].value"} {
		{f.attribute | some f in private_subnets.deny} == {attribute} with input as {
			"resource_changes": [environment],
			"configuration": {"root_module": {"resources": [object.union(made_by(environment, "aws"), {"expressions": {"setting": settings}})]}},
		}
	}
}

# Where the configuration does not show the settings, they are found in the plan's list.
test_settings_of_a_dynamic_block if {
	settings := [
		{"namespace": "aws:autoscaling:asg", "name": "MinSize", "value": "1"},
		{"namespace": "aws:ec2:vpc", "name": "Subnets", "value": "subnet-9,subnet-1"},
	]
	environment := resource("aws_elastic_beanstalk_environment", "x", {"setting": settings})
	{f.attribute | some f in private_subnets.deny; f.rule == "public-subnet"} == {"setting[1].value"} with input as {"resource_changes": array.concat(network, [environment])}
	unknown := resource("aws_elastic_beanstalk_environment", "x", {"setting": [{"namespace": "aws:ec2:vpc", "name": "Subnets"}]})
	messages["The plan does not tell which subnets the workload stands in, so they may be public."] with input as {"resource_changes": [unknown]}
}

test_unset_means_public_where_aws_says_so if {
	unset := object.union(
		hidden(resource("aws_apprunner_service", "x", {}), "network_configuration"),
		{"change": {"after": {}}},
	)
	messages == {"network_configuration is not set, so the service is open to the internet."} with input as {
		"resource_changes": [unset],
		"configuration": {"root_module": {"resources": [{"mode": "managed", "type": "aws_apprunner_service", "name": "x", "expressions": {"service_name": {"constant_value": "x"}}}]}},
	}
}

# A list that is known holds a public subnet and one that may be: only the first is a failure.
test_what_is_perhaps_public_is_not_named if {
	perhaps := resource("aws_subnet", "a_perhaps", {"id": "subnet-9", "map_public_ip_on_launch": false})
	association := hidden(resource("aws_route_table_association", "t", {"subnet_id": "subnet-9"}), "route_table_id")
	tables := [
		resource("aws_route_table", "open", {"route": [{"cidr_block": "0.0.0.0/0", "gateway_id": "igw-1"}]}),
		resource("aws_route_table", "closed", {"route": []}),
	]
	function := resource("aws_lambda_function", "x", {"vpc_config": [{"subnet_ids": ["subnet-9", "subnet-1"]}]})
	{f.msg | some f in private_subnets.deny; f.rule == "public-subnet"} == {"The workload stands in aws_subnet.open, which the internet can reach: it gives its hosts public addresses."} with input as {
		"resource_changes": array.flatten([network, tables, [perhaps, association, function]]),
		"configuration": {"root_module": {"resources": [{
			"mode": "managed", "type": "aws_route_table_association", "name": "t",
			"expressions": {"route_table_id": {"references": [
				"aws_route_table.open.id", "aws_route_table.open",
				"aws_route_table.closed.id", "aws_route_table.closed",
			]}},
		}]}},
	}
}

# Groups of one name in two regions, both in other modules than the database.
in_module(r, module) := object.union(r, {
	"address": sprintf("module.%s.%s", [module, r.address]),
	"module_address": sprintf("module.%s", [module]),
})

made_by(r, provider) := {"mode": "managed", "type": r.type, "name": r.name, "provider_config_key": provider, "expressions": {}}

test_groups_of_other_regions if {
	group := resource("aws_db_subnet_group", "g", {"name": "g", "subnet_ids": ["subnet-1"]})
	private := json.patch(group, [{"op": "replace", "path": "/change/after/subnet_ids", "value": ["subnet-8"]}])
	database := resource("aws_db_instance", "d", {"db_subnet_group_name": "g"})
	config := {"root_module": {
		"resources": [made_by(database, "aws.here")],
		"module_calls": {
			"near": {"module": {"resources": [made_by(group, "aws.here")]}},
			"far": {"module": {"resources": [made_by(group, "aws.far")]}},
		},
	}}
	{f.address | some f in private_subnets.deny; f.rule == "public-subnet"} == {"aws_db_instance.d"} with input as {
		"resource_changes": array.concat(network, [in_module(group, "near"), in_module(private, "far"), database]),
		"configuration": config,
	}
	{f.address | some f in private_subnets.deny; f.rule == "public-subnet"} == set() with input as {
		"resource_changes": array.concat(network, [in_module(private, "near"), in_module(group, "far"), database]),
		"configuration": config,
	}
}

# What must be found in each of these plans is written in their code, and tested in fixtures_test.go.
test_fixtures if {
	every plan_ in data.testdata.private_subnets {
		min([count(private_subnets.judged), count(private_subnets.deny), count(findings)]) > 0 with input as plan_
	}
}
