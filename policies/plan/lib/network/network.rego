# METADATA
# title: Which subnets are public
# description: >-
#   A subnet is public if it gives its hosts public addresses, or if its route table leads to an
#   internet gateway. Names say nothing. A subnet is private only if the plan tells how it is routed.
#   Subnets go by their address, or by their id if the plan does not make them.
package plan.lib.network

import data.plan.lib.references
import data.plan.lib.tfplan

subnet_types := {"aws_subnet", "aws_default_subnet"}

subnets := tfplan.of_types(subnet_types)

associations := tfplan.of_type("aws_route_table_association")

# METADATA
# description: >-
#   The subnets that an attribute with ids or ARNs means: by address, or by id if the plan does not
#   make them.
subnets_at(r, path) := {name | some value in references.values(r, path); some name in named(value)} if {
	not tfplan.unknown(r, path)
} else := references.meant(r, path, subnet_types) | {name |
	some value in references.values(r, path)
	some name in named(value)
}

named(value) := managed[value] if {
	managed[value]
} else := managed[id] if {
	id := arn_id(value)
	managed[id]
} else := {arn_id(value)}

arn_id(value) := regex.replace(value, `^arn:.*:subnet/`, "") if is_string(value)

managed := managed_subnet

managed_subnet[id] contains address if {
	some type in subnet_types
	some id, addresses in references.by_id(type)
	some address in addresses
}

# --- Which table a subnet uses ----------------------------------------------

# The tables of each subnet, of which it uses one, and the resource that ties them together.
ways_of := way_of

way_of[subnet] contains {"tables": found.tables, "cause": found.cause} if {
	some found in associated_tables
	some subnet in found.subnets
}

way_of[id] contains {"tables": {table.values.id}, "cause": id} if {
	some table in read("aws_route_table")
	some association in table.values.associations
	some id in named(association.subnet_id)
}

# Without an association of its own, a subnet uses the main table of its VPC.
way_of[r.address] contains way if {
	some r in subnets
	not r.address in associated
	vpcs := vpcs_at(r, ["vpc_id"])
	count(vpcs) == 1
	some vpc in vpcs
	some way in main_ways(vpc)
}

# Associations whose subnet is not in doubt.
associated_tables := [{"subnets": found, "tables": tables_at(r, ["route_table_id"]), "cause": r.address} |
	some r in associations
	found := subnets_at(r, ["subnet_id"])
	single(r, found)
]

associated := {subnet | some found in associated_tables; some subnet in found.subnets} | {id |
	some table in read("aws_route_table")
	some association in table.values.associations
	some id in named(association.subnet_id)
}

# An association that cannot be followed may be any subnet's.
stray_association if {
	some r in associations
	tfplan.unknown(r, ["subnet_id"])
	found := subnets_at(r, ["subnet_id"])
	not followed(r, found)
}

followed(r, found) if {
	count(found) > 0
	single(r, found)
}

# The VPCs that an attribute means: by address, or by id if the plan does not make them.
vpcs_at(r, path) := references.meant(r, path, vpc_types) | {id |
	some id in references.values(r, path)
	not made_vpc(id)
}

made_vpc(id) if {
	some type in vpc_types
	references.by_id(type)[id]
}

# A VPC's own main table counts only while no other has taken its place.
main_ways(vpc) := main_way[vpc] if {
	main_way[vpc]
} else := own_ways[vpc]

main_way := main_table

main_table[vpc] contains {"tables": entry.tables, "cause": entry.cause} if {
	some entry in main_associations
	some vpc in entry.vpcs
}

main_associations := array.concat(
	[{"vpcs": vpcs_at(r, ["vpc_id"]), "tables": tables_at(r, ["route_table_id"]), "cause": r.address} |
		some r in tfplan.of_type("aws_main_route_table_association")
	],
	[{"vpcs": {r.values.vpc_id}, "tables": {r.values.id}, "cause": r.values.id} |
		some r in read("aws_route_table")
		some association in r.values.associations
		association.main
	],
)

own_ways := own_way

own_way[vpc] contains {"tables": {vpc}, "cause": vpc} if {
	some r in tfplan.of_types(vpc_types)
	vpc := r.address
}

own_way[vpc] contains {"tables": {r.address}, "cause": r.address} if {
	some r in tfplan.of_type("aws_default_route_table")
	some vpc in main_tables(r, ["default_route_table_id"])
}

own_way[r.values.id] contains {"tables": tables_of, "cause": r.values.id} if {
	some r in read("aws_vpc")
	tables_of := {r.values.main_route_table_id}
}

# --- Public, private or neither ---------------------------------------------

# METADATA
# description: >-
#   The public subnets, and what makes each of them so: the resources that open it, and those that tie
#   it to them.
public_subnets := public_subnet

public_subnet[name] contains {"by": name, "tie": name} if some name in mapping

public_subnet[name] contains {"by": opening, "tie": way.cause} if {
	some name, ways in ways_of
	some way in ways
	all_public(way)
	some table in way.tables
	some opening in public_tables[table]
}

# METADATA
# description: Subnets that give their hosts public addresses.
mapping := {r.address |
	some r in subnets
	tfplan.value(r, ["map_public_ip_on_launch"]) == true
} | {name |
	some r in read("aws_subnet")
	r.values.map_public_ip_on_launch
	some name in named(r.values.id)
	name == r.values.id
}

all_public(way) if {
	count(way.tables) > 0
	every table in way.tables {
		public_tables[table]
	}
}

# METADATA
# description: Subnets that use one of several route tables, of which some lead to the internet.
contested_subnets := {name |
	some name, ways in ways_of
	not public_subnets[name]
	some way in ways
	some table in way.tables
	led_out(table)
}

led_out(table) if public_tables[table]

led_out(table) if table in contested_tables

# METADATA
# description: The subnets that are proven to be private.
private_subnets := {name |
	not stray_route
	some name in known_subnets
	not public_subnets[name]
	ways_of[name]
	every way in ways_of[name] {
		leads_nowhere(way)
	}
	not doubtful(name)
}

leads_nowhere(way) if {
	count(way.tables) > 0
	every table in way.tables {
		known_tables[table]
		not public_tables[table]
		not doubtful_tables[table]
	}
}

doubtful(name) if {
	stray_association
	not name in associated
}

known_subnets := ({r.address |
	some r in subnets
	not tfplan.unknown(r, ["map_public_ip_on_launch"])
} | {r.address |
	some r in subnets
	references.left_out(r, ["map_public_ip_on_launch"])
}) | {r.values.id | some r in read("aws_subnet")}

# METADATA
# description: Whether the plan changes what makes one of the subnets public.
opened(names) if {
	some name in names
	some cause in public_subnets[name]
	some address in cause
	address in changed
}

opened(names) if {
	some name in names
	name in released
}

changed contains r.address if {
	some list in [subnets, tables, routes, associations, tfplan.of_type("aws_main_route_table_association")]
	some r in list
	tfplan.touched(r)
}

# Subnets that fall back to the main table, because their association goes.
released := {name |
	some r in input.resource_changes
	r.type == "aws_route_table_association"
	"delete" in r.change.actions
	some name in named(object.get(r.change.before, "subnet_id", ""))
}
