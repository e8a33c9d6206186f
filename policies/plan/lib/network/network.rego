# METADATA
# title: Which subnets are public
# description: >-
#   A subnet is public if it gives its hosts public addresses, or if its route table leads to an
#   internet gateway. Names say nothing. A subnet is private only if the plan tells how it is routed.
package plan.lib.network

import data.plan.lib.network.parameters
import data.plan.lib.references
import data.plan.lib.tfplan

subnet_types := {"aws_subnet", "aws_default_subnet"}

table_types := {"aws_route_table", "aws_default_route_table"}

vpc_types := {"aws_vpc", "aws_default_vpc"}

subnets := tfplan.of_types(subnet_types)

tables := tfplan.of_types(table_types)

routes := tfplan.of_type("aws_route")

associations := tfplan.of_type("aws_route_table_association")

# --- Route tables -----------------------------------------------------------

# Routes of their own and routes inside a table, as the table they are in, where the gateway stands
# and where the configuration speaks of it.
internet_routes contains {"route": r, "tables": {r.address}, "gateway": ["route", i, "gateway_id"]} if {
	some r in tables
	some i, route in r.change.after.route
	to_internet(route)
}

internet_routes contains {"route": r, "tables": in_tables, "gateway": ["gateway_id"]} if {
	some r in routes
	to_internet(r.change.after)
	in_tables := references.meant(r, ["route_table_id"], table_types) | main_tables(r, ["route_table_id"])
}

to_internet(route) if {
	some attribute in [
		"cidr_block", "ipv6_cidr_block",
		"destination_cidr_block", "destination_ipv6_cidr_block",
	]
	route[attribute] in parameters.internet
}

# A VPC's own main table is named after the VPC, unless the plan holds it.
main_tables(r, path) := references.meant(r, path, vpc_types) | known if {
	known := {vpc.address |
		some vpc in tfplan.of_types(vpc_types)
		some attribute in ["main_route_table_id", "default_route_table_id"]
		tfplan.value(vpc, [attribute]) in references.values(r, path)
	}
}

through_internet_gateway(r, path) if {
	id := tfplan.value(r, path)
	is_string(id)
	startswith(id, "igw-")
}

through_internet_gateway(r, path) if {
	count(references.meant(r, path, {"aws_internet_gateway"})) > 0
}

# METADATA
# description: The route tables that lead to an internet gateway, and the resources that make them do so.
public_tables := public_table

public_table[table] contains cause if {
	some entry in internet_routes
	through_internet_gateway(entry.route, entry.gateway)
	some table in entry.tables
	cause := entry.route.address
}

# Tables with a way out through a gateway that the plan does not tell.
doubtful_tables contains table if {
	some entry in internet_routes
	tfplan.unknown(entry.route, entry.gateway)
	not through_internet_gateway(entry.route, entry.gateway)
	not through_other_gateway(entry.route, entry.gateway)
	some table in entry.tables
}

through_other_gateway(r, path) if {
	count(references.meant(r, path, {"aws_vpn_gateway", "aws_vpc_endpoint"})) > 0
}

# A route to the internet in a table that cannot be found may be in any table.
stray_route if {
	some entry in internet_routes
	count(entry.tables) == 0
	tfplan.unknown(entry.route, ["route_table_id"])
	not through_nothing_public(entry)
}

through_nothing_public(entry) if {
	not tfplan.unknown(entry.route, entry.gateway)
	not through_internet_gateway(entry.route, entry.gateway)
}

through_nothing_public(entry) if through_other_gateway(entry.route, entry.gateway)

# --- Subnets ----------------------------------------------------------------

# METADATA
# description: The route tables of each subnet as far as the plan tells, and what ties them together.
tables_of := subnet_table

subnet_table[subnet] contains {"table": table, "cause": r.address} if {
	some r in associations
	some subnet in references.meant(r, ["subnet_id"], subnet_types)
	some table in references.meant(r, ["route_table_id"], table_types)
}

# Without an association of its own, a subnet uses the main table of its VPC.
subnet_table[r.address] contains {"table": table, "cause": cause} if {
	some r in subnets
	not r.address in associated
	some vpc in references.meant(r, ["vpc_id"], vpc_types)
	some {"table": table, "cause": cause} in tables_of_vpc[vpc]
}

associated contains subnet if {
	some r in associations
	some subnet in references.meant(r, ["subnet_id"], subnet_types)
}

tables_of_vpc := main_table

main_table[vpc] contains {"table": vpc, "cause": vpc} if {
	some r in tfplan.of_types(vpc_types)
	vpc := r.address
}

main_table[vpc] contains {"table": table, "cause": r.address} if {
	some r in tfplan.of_type("aws_main_route_table_association")
	some vpc in references.meant(r, ["vpc_id"], vpc_types)
	some table in references.meant(r, ["route_table_id"], table_types)
}

main_table[vpc] contains {"table": r.address, "cause": r.address} if {
	some r in tfplan.of_type("aws_default_route_table")
	some vpc in main_tables(r, ["default_route_table_id"])
}

# METADATA
# description: The public subnets, and the resources that make each of them public.
public_subnets := public_subnet

public_subnet[r.address] contains r.address if {
	some r in subnets
	tfplan.value(r, ["map_public_ip_on_launch"]) == true
}

public_subnet[subnet] contains cause if {
	some subnet, routed in tables_of
	some way in routed
	some opening in public_tables[way.table]
	some cause in {opening, way.cause}
}

# METADATA
# description: The subnets that the plan proves to be private.
private_subnets contains r.address if {
	some r in subnets
	not public_subnets[r.address]
	not tfplan.unknown(r, ["map_public_ip_on_launch"])
	tables_of[r.address]
	not doubtful(r)
}

doubtful(r) if {
	some way in tables_of[r.address]
	way.table in doubtful_tables
}

doubtful(_) if stray_route

doubtful(r) if {
	not r.address in associated
	stray_association
}

# An association that cannot be followed may be any subnet's.
stray_association if {
	some r in associations
	tfplan.unknown(r, ["subnet_id"])
	count(references.meant(r, ["subnet_id"], subnet_types)) == 0
}

# METADATA
# description: Whether the plan changes what makes one of the subnets public.
opened(addresses) if {
	some address in addresses
	some cause in public_subnets[address]
	cause in changed
}

changed contains r.address if {
	some list in [subnets, tables, routes, associations, tfplan.of_type("aws_main_route_table_association")]
	some r in list
	tfplan.touched(r)
}

# --- Subnets that are only read ---------------------------------------------

# Subnets and route tables that data sources have read stand in the prior state.
read_resources := [r |
	some module in array.concat([input.prior_state.values.root_module], nested_modules)
	some r in module.resources
	r.mode == "data"
]

nested_modules := array.concat(first, array.concat(second, third)) if {
	first := [m | some m in input.prior_state.values.root_module.child_modules]
	second := [m | some outer in first; some m in outer.child_modules]
	third := [m | some outer in second; some m in outer.child_modules]
}

read_tables[id] contains r if {
	some r in read_resources
	r.type == "aws_route_table"
	some association in r.values.associations
	id := association.subnet_id
}

# METADATA
# description: Whether a subnet that only a data source knows, by its id, is public.
read_public(id) if {
	some r in read_resources
	r.type == "aws_subnet"
	r.values.id == id
	r.values.map_public_ip_on_launch
}

read_public(id) if {
	some table in read_tables[id]
	some route in table.values.routes
	to_internet(route)
	startswith(route.gateway_id, "igw-")
}

# METADATA
# description: Whether a subnet that only a data source knows, by its id, is proven to be private.
read_private(id) if {
	not read_public(id)
	some r in read_resources
	r.type == "aws_subnet"
	r.values.id == id
	read_tables[id]
}
