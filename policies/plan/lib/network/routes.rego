package plan.lib.network

import data.plan.lib.network.parameters
import data.plan.lib.references
import data.plan.lib.tfplan

table_types := {"aws_route_table", "aws_default_route_table"}

vpc_types := {"aws_vpc", "aws_default_vpc"}

tables := tfplan.of_types(table_types)

routes := tfplan.of_type("aws_route")

# Routes that lead, or may lead, to the internet through an internet gateway: what makes them, the
# tables they are in, and whether that is sure.
ways_out := array.concat(
	[{"cause": r.address, "tables": {r.address}, "sure": sure, "gateway": {"of": r, "at": ["route", i, "gateway_id"]}} |
		some r in tables
		some i, _ in r.change.after.route
		sure := leads_out(r, ["route", i])
	],
	[{"cause": r.address, "tables": in_tables, "sure": sure, "gateway": {"of": r, "at": ["gateway_id"]}} |
		some r in routes
		leads := leads_out(r, [])
		in_tables := tables_at(r, ["route_table_id"])
		sure := {leads, single(r, in_tables)} == {true}
	],
)

# Whether a route leads to the internet: true, false for perhaps, undefined for no.
leads_out(r, at) if {
	gateway(r, array.concat(at, ["gateway_id"]))
	to_internet(r, at)
} else := false if {
	_ := gateway(r, array.concat(at, ["gateway_id"]))
	_ := to_internet(r, at)
}

# Several candidates are the work of count or for_each, one for each instance, or else a choice.
default single(_, _) := false

single(_, candidates) if count(candidates) < 2

single(r, candidates) if {
	count(candidates) > 1
	not object.get(r, "index", null) == null
}

# Whether the target is an internet gateway: true, false for perhaps, undefined for no.
gateway(r, path) if {
	is_string(tfplan.value(r, path))
	startswith(tfplan.value(r, path), "igw-")
} else if {
	internet_gateway_named(r, path)
	not other_gateway_named(r, path)
} else := false if {
	tfplan.unknown(r, path)
	not only_other_gateway(r, path)
}

internet_gateway_named(r, path) if count(references.meant(r, path, {"aws_internet_gateway"})) > 0

internet_gateway_named(r, path) if {
	tfplan.unknown(r, path)
	some end in references.reached(r, path)
	contains(end, ":data.aws_internet_gateway.")
}

other_gateway_named(r, path) if {
	shared(r, path)
	count(references.meant(r, path, other_gateways)) > 0
}

# The routes inside a table share their references, which tell of a single one only what it is not.
shared(_, path) if count(path) == 1

shared(r, path) if {
	count(path) > 1
	count([i | some i, route in r.change.after_unknown.route; route.gateway_id]) > 1
}

only_other_gateway(r, path) if {
	not internet_gateway_named(r, path)
	count(references.meant(r, path, other_gateways)) > 0
	count(references.loose_ends(r, path)) == 0
}

other_gateways := {
	"aws_ec2_transit_gateway",
	"aws_egress_only_internet_gateway",
	"aws_nat_gateway",
	"aws_vpc_endpoint",
	"aws_vpn_gateway",
}

destinations := {"cidr_block", "ipv6_cidr_block", "destination_cidr_block", "destination_ipv6_cidr_block"}

# Whether the destination is on the internet: true, false for perhaps, undefined for no.
to_internet(r, at) if {
	some attribute in destinations
	on_internet(tfplan.value(r, array.concat(at, [attribute])))
} else if {
	some list in prefix_lists(r, array.concat(at, ["destination_prefix_list_id"]))
	some cidr in prefixes[list]
	on_internet(cidr)
} else := false if {
	some attribute in destinations
	tfplan.unknown(r, array.concat(at, [attribute]))
} else := false if {
	path := array.concat(at, ["destination_prefix_list_id"])
	in_prefix_list(r, path)
	count({list | some list in prefix_lists(r, path); prefixes[list]}) == 0
}

on_internet(cidr) if {
	is_string(cidr)
	cidr != ""
	not private_range(cidr)
}

private_range(cidr) if {
	some pattern in parameters.not_internet
	regex.match(pattern, cidr)
}

in_prefix_list(r, path) if tfplan.unknown(r, path)

in_prefix_list(r, path) if not tfplan.value(r, path) in {null, ""}

prefix_lists(r, path) := references.meant(r, path, {"aws_ec2_managed_prefix_list"}) | references.values(r, path)

# Lists by address, and those that a data source has read by id.
prefixes := prefix

prefix[r.address] contains entry.cidr if {
	some r in tfplan.of_type("aws_ec2_managed_prefix_list")
	some entry in r.change.after.entry
}

prefix[list] contains tfplan.value(r, ["cidr"]) if {
	some r in tfplan.of_type("aws_ec2_managed_prefix_list_entry")
	some list in references.meant(r, ["prefix_list_id"], {"aws_ec2_managed_prefix_list"})
}

prefix[r.values.id] contains entry.cidr if {
	some r in read("aws_ec2_managed_prefix_list")
	some entry in r.values.entries
}

# --- Tables -----------------------------------------------------------------

# The tables that an attribute means: by address, or by id if the plan does not make them. A VPC's
# own main table goes by the address of the VPC.
tables_at(r, path) := made | foreign if {
	made := references.meant(r, path, table_types) | main_tables(r, path)
	foreign := {id | some id in references.values(r, path); not made_table(id)}
}

main_tables(r, path) := references.meant(r, path, vpc_types) | {vpc |
	some id in references.values(r, path)
	some vpc in main_table_ids[id]
}

main_table_ids := main_table_id

main_table_id[id] contains vpc.address if {
	some vpc in tfplan.of_types(vpc_types)
	some attribute in ["main_route_table_id", "default_route_table_id"]
	id := tfplan.value(vpc, [attribute])
	is_string(id)
}

made_table(id) if main_table_ids[id]

made_table(id) if {
	some type in table_types
	references.by_id(type)[id]
}

# METADATA
# description: The route tables that lead to the internet, and the resources that make them do so.
public_tables := public_table

public_table[table] contains way.cause if {
	some way in ways_out
	way.sure
	some table in way.tables
}

public_table[id] contains id if {
	some r in read("aws_route_table")
	some route in r.values.routes
	is_string(route.gateway_id)
	startswith(route.gateway_id, "igw-")
	some attribute in ["cidr_block", "ipv6_cidr_block"]
	on_internet(route[attribute])
	some id in {r.values.id, object.get(r.values, "route_table_id", r.values.id)}
}

# METADATA
# description: The route tables that an internet gateway is written for, though perhaps another way leads to it.
contested_tables := {table |
	some way in ways_out
	not way.sure
	internet_gateway_named(way.gateway.of, way.gateway.at)
	some table in way.tables
}

# Tables that may lead to the internet for all that the plan tells.
doubtful_tables := ({table |
	some way in ways_out
	not way.sure
	some table in way.tables
} | {r.address |
	some r in tables
	tfplan.unknown(r, ["route"])
	tfplan.expression(r, ["route"])
	not r.change.after.route
}) | {vpc.address |
	# AWS makes the default VPC with a way to the internet.
	some vpc in tfplan.of_type("aws_default_vpc")
	not vpc.address in vpcs_with_adopted_table
}

vpcs_with_adopted_table := {vpc |
	some r in tfplan.of_type("aws_default_route_table")
	some vpc in main_tables(r, ["default_route_table_id"])
}

known_tables := ({r.address | some r in tables} | {vpc.address | some vpc in tfplan.of_types(vpc_types)}) | {id |
	some r in read("aws_route_table")
	some id in {r.values.id, object.get(r.values, "route_table_id", r.values.id)}
}

# A way to the internet in a table that cannot be found may be in any table.
stray_route if {
	some way in ways_out
	count(way.tables) == 0
}

# --- What data sources have read ---------------------------------------------

# METADATA
# description: What the data sources of a type have read, which stands in the prior state.
read(type) := [r | some r in read_resources; r.type == type]

read_resources := [r |
	some module in read_modules
	some r in module.resources
	r.mode == "data"
	r.type in {"aws_ec2_managed_prefix_list", "aws_route_table", "aws_subnet", "aws_vpc"}
]

read_modules := array.flatten([[root | some root in [input.prior_state.values.root_module]], inner_1, inner_2, inner_3, inner_4, inner_5, inner_6, inner_7])

inner_1 := [m | some m in input.prior_state.values.root_module.child_modules]

inner_2 := inside(inner_1)

inner_3 := inside(inner_2)

inner_4 := inside(inner_3)

inner_5 := inside(inner_4)

inner_6 := inside(inner_5)

inner_7 := inside(inner_6)

inside(modules) := [m | some outer in modules; some m in outer.child_modules]
