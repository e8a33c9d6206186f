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
