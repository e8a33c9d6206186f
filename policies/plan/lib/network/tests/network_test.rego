package plan.lib.network_test

import data.plan.lib.network

resource(type, name, after) := {
	"address": sprintf("%s.%s", [type, name]), "mode": "managed", "type": type, "name": name,
	"change": {"actions": ["no-op"], "after": after, "after_unknown": {}},
}

subnet := resource("aws_subnet", "s", {"id": "subnet-1", "vpc_id": "vpc-1", "map_public_ip_on_launch": false})

vpc := resource("aws_vpc", "v", {"id": "vpc-1", "main_route_table_id": "rtb-1", "default_route_table_id": "rtb-1"})

internet(table) := resource("aws_route", "r", {"route_table_id": table, "destination_cidr_block": "0.0.0.0/0", "gateway_id": "igw-1"})

plan(resources) := {"resource_changes": resources}

test_main_table_of_a_known_vpc if {
	network.private_subnets == {"aws_subnet.s"} with input as plan([subnet, vpc])
	network.public_subnets["aws_subnet.s"] with input as plan([subnet, vpc, internet("rtb-1")])
	network.private_subnets == set() with input as plan([subnet, vpc, internet("rtb-1")])
}

test_main_table_of_a_foreign_vpc if {
	network.private_subnets == set() with input as plan([subnet])
	network.public_subnets == {} with input as plan([subnet])
}

test_adopted_main_table if {
	open := resource("aws_default_route_table", "d", {
		"id": "rtb-1", "default_route_table_id": "rtb-1",
		"route": [{"cidr_block": "0.0.0.0/0", "gateway_id": "igw-1"}],
	})
	network.public_subnets["aws_subnet.s"] with input as plan([subnet, vpc, open])
}

test_replaced_main_table if {
	table := resource("aws_route_table", "t", {"id": "rtb-2", "route": [{"ipv6_cidr_block": "::/0", "gateway_id": "igw-1"}]})
	main := resource("aws_main_route_table_association", "m", {"vpc_id": "vpc-1", "route_table_id": "rtb-2"})
	network.public_subnets["aws_subnet.s"] == {{"by": "aws_route_table.t", "tie": "aws_main_route_table_association.m"}} with input as plan([subnet, vpc, table, main])
}

test_split_default_route if {
	half := resource("aws_route", "h", {"route_table_id": "rtb-1", "destination_cidr_block": "128.0.0.0/1", "gateway_id": "igw-1"})
	network.public_subnets["aws_subnet.s"] with input as plan([subnet, vpc, half])
}

test_other_ways_out if {
	every way in [
		{"nat_gateway_id": "nat-1"},
		{"egress_only_gateway_id": "eigw-1"},
		{"transit_gateway_id": "tgw-1"},
		{"gateway_id": "vgw-1"},
	] {
		route := resource("aws_route", "r", object.union({"route_table_id": "rtb-1", "destination_cidr_block": "0.0.0.0/0"}, way))
		network.private_subnets == {"aws_subnet.s"} with input as plan([subnet, vpc, route])
	}
}

# A gateway, a table or a subnet that cannot be followed leaves everything open.
test_doubt if {
	gateway := hidden(internet("rtb-1"), "gateway_id")
	network.private_subnets == set() with input as plan([subnet, vpc, gateway])
	table := hidden(internet("rtb-1"), "route_table_id")
	network.private_subnets == set() with input as plan([subnet, vpc, table])
	association := hidden(resource("aws_route_table_association", "a", {"route_table_id": "rtb-9"}), "subnet_id")
	network.private_subnets == set() with input as plan([subnet, vpc, association])
}

hidden(r, attribute) := object.union(
	json.remove(r, [["change", "after", attribute]]),
	{"change": {"after_unknown": {attribute: true}}},
)

read(values) := {"prior_state": {"values": {"root_module": {"child_modules": [{"child_modules": [{"resources": [
	{"mode": "data", "type": "aws_subnet", "values": {"id": "subnet-1", "map_public_ip_on_launch": values.launch}},
	{"mode": "data", "type": "aws_route_table", "values": {
		"id": "rtb-1", "vpc_id": "vpc-1",
		"associations": [{"subnet_id": "subnet-1", "main": false}],
		"routes": [{"cidr_block": "0.0.0.0/0", "gateway_id": values.gateway}],
	}},
]}]}]}}}}

test_read_subnets if {
	network.public_subnets["subnet-1"] with input as read({"launch": true, "gateway": ""})
	network.public_subnets["subnet-1"] with input as read({"launch": false, "gateway": "igw-1"})
	network.private_subnets == {"subnet-1"} with input as read({"launch": false, "gateway": "vgw-1"})
	network.public_subnets == {} with input as read({"launch": false, "gateway": "vgw-1"})
}

# A VPC of which only a data source knows, with its main table or without.
test_read_vpc if {
	main := {"mode": "data", "type": "aws_route_table", "values": {
		"id": "rtb-1", "vpc_id": "vpc-1",
		"associations": [{"subnet_id": "", "main": true}],
		"routes": [{"cidr_block": "0.0.0.0/0", "gateway_id": "igw-1"}],
	}}
	foreign := {"mode": "data", "type": "aws_vpc", "values": {"id": "vpc-1", "main_route_table_id": "rtb-1"}}
	network.public_subnets["aws_subnet.s"] with input as reading([main])
	network.public_subnets == {} with input as reading([foreign])
	network.private_subnets == set() with input as reading([foreign])
	by_id := json.patch(main, [{"op": "replace", "path": "/values/associations", "value": []}])
	network.public_subnets["aws_subnet.s"] with input as reading([foreign, by_id])
}

reading(resources) := {
	"resource_changes": [subnet],
	"prior_state": {"values": {"root_module": {"resources": resources}}},
}

# A table or a route that other code made, by its id.
test_foreign_tables if {
	tied := resource("aws_route_table_association", "a", {"subnet_id": "subnet-1", "route_table_id": "rtb-9"})
	network.private_subnets == set() with input as plan([subnet, vpc, tied])
	network.public_subnets == {} with input as plan([subnet, vpc, tied])
	network.public_subnets["aws_subnet.s"] with input as plan([subnet, vpc, tied, internet("rtb-9")])
}

listed(list) := resource("aws_route", "r", {"route_table_id": "rtb-1", "destination_prefix_list_id": list, "gateway_id": "igw-1"})

test_prefix_lists if {
	own := resource("aws_ec2_managed_prefix_list", "l", {"id": "pl-1", "entry": []})
	entry := resource("aws_ec2_managed_prefix_list_entry", "e", {"prefix_list_id": "pl-1", "cidr": "0.0.0.0/0"})
	office := resource("aws_ec2_managed_prefix_list", "l", {"id": "pl-1", "entry": [{"cidr": "10.9.0.0/16"}]})
	network.public_subnets["aws_subnet.s"] with input as plan([subnet, vpc, own, entry, listed("pl-1")])
	network.private_subnets == {"aws_subnet.s"} with input as plan([subnet, vpc, office, listed("pl-1")])
	network.private_subnets == set() with input as plan([subnet, vpc, listed("pl-2")])
	network.private_subnets == set() with input as plan([subnet, vpc, hidden(listed("pl-2"), "destination_prefix_list_id")])
	read_list := {"mode": "data", "type": "aws_ec2_managed_prefix_list", "values": {"id": "pl-2", "entries": [{"cidr": "8.0.0.0/8"}]}}
	network.public_subnets["aws_subnet.s"] with input as object.union(
		plan([subnet, vpc, listed("pl-2")]),
		{"prior_state": {"values": {"root_module": {"resources": [read_list]}}}},
	)
}

configured(r, references) := {"resources": [{"mode": "managed", "type": r.type, "name": r.name, "expressions": references}]}

# Gateways that a data source will read, and a choice between gateways.
to_gateway(references) := {
	"resource_changes": [
		subnet, vpc, hidden(internet("rtb-1"), "gateway_id"),
		resource("aws_vpn_gateway", "g", {}), resource("aws_internet_gateway", "g", {}),
	],
	"configuration": {"root_module": configured(internet("rtb-1"), {"gateway_id": {"references": references}})},
}

test_unknown_gateways if {
	network.public_subnets["aws_subnet.s"] with input as to_gateway(["data.aws_internet_gateway.g.id", "data.aws_internet_gateway.g"])
	network.public_subnets["aws_subnet.s"] with input as to_gateway(["aws_internet_gateway.g.id", "aws_internet_gateway.g"])
	network.private_subnets == {"aws_subnet.s"} with input as to_gateway(["aws_vpn_gateway.g.id", "aws_vpn_gateway.g"])
	choice := ["aws_vpn_gateway.g.id", "aws_vpn_gateway.g", "aws_internet_gateway.g.id", "aws_internet_gateway.g"]
	network.public_subnets == {} with input as to_gateway(choice)
	network.private_subnets == set() with input as to_gateway(choice)
}

# A route into one of two tables: only the key of a count or a for_each makes it both.
test_route_into_several_tables if {
	route := hidden(internet("rtb-1"), "route_table_id")
	tables := [resource("aws_route_table", name, {}) | some name in ["a", "b"]]
	tied := resource("aws_route_table_association", "t", {"subnet_id": "subnet-1"})
	both := {"route_table_id": {"references": ["aws_route_table.a.id", "aws_route_table.a", "aws_route_table.b.id", "aws_route_table.b"]}}
	one := {"route_table_id": {"references": ["aws_route_table.a.id", "aws_route_table.a"]}}
	config := {"configuration": {"root_module": {"resources": array.concat(
		configured(route, both).resources,
		configured(tied, one).resources,
	)}}}
	changes := array.concat([subnet, vpc, hidden(tied, "route_table_id")], tables)
	single := object.union(config, {"resource_changes": array.concat(changes, [route])})
	network.public_subnets == {} with input as single
	network.private_subnets == set() with input as single
	counted := object.union(config, {"resource_changes": array.concat(changes, [object.union(route, {"index": 0})])})
	network.public_subnets["aws_subnet.s"] with input as counted
}

test_opened if {
	public := resource("aws_subnet", "s", {"id": "subnet-1", "map_public_ip_on_launch": true})
	not network.opened({"aws_subnet.s"}) with input as plan([public])
	network.opened({"aws_subnet.s"}) with input as plan([object.union(public, {"change": {"actions": ["update"]}})])
	gone := object.union(
		resource("aws_route_table_association", "a", null),
		{"change": {"actions": ["delete"], "before": {"subnet_id": "subnet-1"}}},
	)
	network.opened({"aws_subnet.s"}) with input as plan([public, gone])
}

# Providers leave out what is not set, or say null.
test_nulls if {
	table := {"mode": "data", "type": "aws_route_table", "values": {
		"id": "rtb-1", "vpc_id": null,
		"associations": [{"subnet_id": null, "main": null}, {"subnet_id": "subnet-1"}],
		"routes": [{"cidr_block": null, "gateway_id": null}],
	}}
	gone := object.union(
		resource("aws_route_table_association", "a", null),
		{"change": {"actions": ["delete"], "before": {"subnet_id": null}}},
	)
	own := resource("aws_route_table", "t", {"id": "rtb-2", "route": null})
	network.private_subnets == {"aws_subnet.s"} with input as object.union(reading([table]), {"resource_changes": [subnet, gone, own]})
	network.public_subnets == {} with input as object.union(reading([table]), {"resource_changes": [subnet, gone, own]})
	not network.opened({"aws_subnet.s"}) with input as object.union(reading([table]), {"resource_changes": [subnet, gone, own]})
}

other(r) := json.patch(r, [{"op": "replace", "path": "/address", "value": concat(".", ["module.far", r.address])}])

# Ids are unique in a region of an account only, and a plan may span several. What data sources have read
# may have the address of a resource, too.
test_equal_ids if {
	public := resource("aws_subnet", "s", {"id": "subnet-1", "vpc_id": "vpc-1", "map_public_ip_on_launch": true})
	twice := plan([subnet, vpc, other(subnet), other(vpc), internet("rtb-1"), other(internet("rtb-1"))])
	network.main_table_ids == {"rtb-1": {"aws_vpc.v", "module.far.aws_vpc.v"}} with input as twice

	# Nobody can say which of the two VPCs is meant.
	network.private_subnets == set() with input as twice
	network.private_subnets == set() with input as plan([subnet, vpc, other(vpc)])
	object.keys(network.public_subnets) == {"module.far.aws_subnet.s"} with input as plan([subnet, vpc, other(public)])

	unknown := hidden(hidden(vpc, "main_route_table_id"), "default_route_table_id")
	network.private_subnets == {"aws_subnet.s"} with input as plan([subnet, unknown])
	network.main_table_ids == {} with input as plan([unknown, other(unknown)])
	network.main_table_ids == {} with input as plan([resource("aws_vpc", "v", {"id": "vpc-1", "main_route_table_id": null})])

	again := [object.union(r, {"address": "aws_subnet.s", "values": {"map_public_ip_on_launch": launch}}) |
		some launch in [true, false]
		some r in read({"launch": false, "gateway": "igw-1"}).prior_state.values.root_module.child_modules[0].child_modules[0].resources
	]
	network.public_subnets["aws_subnet.s"] with input as object.union(plan([subnet, vpc]), {"prior_state": {"values": {"root_module": {"resources": again}}}})
}
