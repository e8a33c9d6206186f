# METADATA
# title: Which subnets are public
# description: >-
#   A subnet is public if it gives its hosts public addresses, or if its route table leads to an
#   internet gateway. Names say nothing. Resources are found by id where the plan knows it, and by
#   reference where it does not.
package plan.lib.network

import data.plan.lib.references
import data.plan.lib.tfplan

everywhere := {"0.0.0.0/0", "::/0"}

subnets := tfplan.of_types(["aws_subnet", "aws_default_subnet"])

tables := tfplan.of_types(["aws_route_table", "aws_default_route_table"])

gateways := tfplan.of_type("aws_internet_gateway")

associations := tfplan.of_type("aws_route_table_association")

# Resources by id, for later plans, and by node, for first ones.
by_id[r.change.after.id] contains r.address if {
	some r in array.concat(subnets, array.concat(tables, gateways))
}

resources[r.address] := r if some r in array.concat(subnets, array.concat(tables, gateways))

by_node[node] contains r.address if {
	some r in resources
	some node in nodes(r)
}

# A resource is meant by its name alone and by its name with its key.
nodes(r) := {references.node(tfplan.module_of(r), name) |
	bare := concat(".", [r.type, r.name])
	some name in {bare, concat("", [bare, key(r)])}
}

key(r) := sprintf("[%d]", [r.index]) if is_number(r.index)

key(r) := sprintf("[%q]", [r.index]) if is_string(r.index)

key(r) := "" if not r.index

# METADATA
# description: The values at a path as a set, whether it holds one or many.
values(r, path) := {v | some v in tfplan.value(r, path)} if {
	is_array(tfplan.value(r, path))
} else := {tfplan.value(r, path)} if {
	is_string(tfplan.value(r, path))
} else := set()

# METADATA
# description: >-
#   The addresses of the resources of these types that an attribute means. If the plan has several instances and does
#   not tell which, all of them, unless one has the same key as the resource itself.
meant(r, path, types) := same_key(r, candidates) if {
	candidates := named(r, path, types) | identified(r, path)
}

identified(r, path) := {address | some id in values(r, path); some address in by_id[id]}

named(r, path, types) := {address |
	tfplan.unknown(r, path)
	some node in references.reached(r, path)
	some address in by_node[node]
	resources[address].type in types
	same_module(r, address)
}

# Of a module with keys, an instance refers to its own resources only.
same_module(r, address) if tfplan.module_of(resources[address]) != tfplan.module_of(r)

same_module(r, address) if {
	object.get(resources[address], "module_address", "") == object.get(r, "module_address", "")
}

same_key(r, candidates) := paired if {
	r.index
	paired := {address | some address in candidates; resources[address].index == r.index}
	count(paired) > 0
} else := candidates

# METADATA
# description: The addresses of the route tables that lead to an internet gateway, and what makes them do so.
public_tables[address] contains cause if {
	some r in tables
	some i, route in r.change.after.route
	leads_everywhere(route)
	to_gateway(r, ["route", i, "gateway_id"], ["route"])
	address := r.address
	cause := r.address
}

public_tables[address] contains r.address if {
	some r in tfplan.of_type("aws_route")
	leads_everywhere(r.change.after)
	to_gateway(r, ["gateway_id"], ["gateway_id"])
	some address in meant(r, ["route_table_id"], {"aws_route_table", "aws_default_route_table"})
}

leads_everywhere(route) if {
	some attribute in ["cidr_block", "ipv6_cidr_block", "destination_cidr_block", "destination_ipv6_cidr_block"]
	route[attribute] in everywhere
}

to_gateway(r, path, _) if {
	id := tfplan.value(r, path)
	is_string(id)
	startswith(id, "igw-")
}

to_gateway(r, path, written) if {
	tfplan.unknown(r, path)
	some node in references.reached(r, written)
	some address in by_node[node]
	resources[address].type == "aws_internet_gateway"
}

# METADATA
# description: The route tables of each subnet, as far as the plan names them.
tables_of[subnet] contains {"table": table, "association": r.address} if {
	some r in associations
	some subnet in meant(r, ["subnet_id"], {"aws_subnet", "aws_default_subnet"})
	some table in meant(r, ["route_table_id"], {"aws_route_table", "aws_default_route_table"})
}

# METADATA
# description: The addresses of the public subnets, and the resources that make each public.
public_subnets[r.address] contains r.address if {
	some r in subnets
	tfplan.value(r, ["map_public_ip_on_launch"]) == true
}

public_subnets[subnet] contains cause if {
	some subnet, routed in tables_of
	some route in routed
	some cause in (public_tables[route.table] | {route.association})
	public_tables[route.table]
}

# METADATA
# description: The addresses of the subnets that are known to be private.
private_subnets contains r.address if {
	some r in subnets
	not public_subnets[r.address]
	tfplan.value(r, ["map_public_ip_on_launch"]) == false
	routed_inside(r)
}

routed_inside(r) if tables_of[r.address]

# A new VPC's main route table leads nowhere but into the VPC, unless the plan says otherwise.
routed_inside(r) if {
	not tables_of[r.address]
	count(tfplan.of_type("aws_vpc")) > 0
	count(tfplan.of_types(["aws_default_route_table", "aws_main_route_table_association"])) == 0
}

# METADATA
# description: The addresses of the subnets, tables, routes and associations that the plan changes.
changed contains r.address if {
	some r in array.concat(subnets, array.concat(tables, array.concat(associations, tfplan.of_type("aws_route"))))
	tfplan.touched(r)
}
