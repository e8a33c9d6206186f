package plan.private_subnets

import data.plan.lib.network
import data.plan.lib.references
import data.plan.lib.tfplan
import data.plan.private_subnets.parameters

# Where workloads are placed: attributes with subnets, and attributes that name a subnet group.
placements := [{"resource": r, "path": path} |
	some type, attributes in parameters.placements
	not parameters.facing_the_internet[type]
	some r in tfplan.of_type(type)
	some attribute in attributes
	some path in tfplan.paths(r, split(attribute, "."))
	chosen(r, path)
]

group_placements := [{"resource": r, "path": path, "group": group} |
	some group, setting in parameters.groups
	some type, attribute in setting.users
	not parameters.facing_the_internet[type]
	some r in tfplan.of_type(type)
	some path in tfplan.paths(r, split(attribute, "."))
	chosen(r, path)
]

chosen(r, path) if count(references.values(r, path)) > 0

chosen(r, path) if {
	tfplan.unknown(r, path)
	not references.left_out(r, path)
}

placed := array.concat(placements, group_placements)

# The subnets of a placement that the plan makes or changes.
subnets_of(p) := references.meant(p.resource, p.path, network.subnet_types) if {
	not p.group
} else := {subnet |
	some group in tfplan.of_type(p.group)
	group.address in references.meant(p.resource, p.path, {p.group})
	path := split(parameters.groups[p.group].subnets, ".")
	some subnet in references.meant(group, path, network.subnet_types)
}

# Ids of subnets that the plan does not make.
other_ids(p) := {id |
	not p.group
	some id in references.values(p.resource, p.path)
	not made_here(id)
}

made_here(id) if {
	some type in network.subnet_types
	references.by_id(type)[id]
}

judged contains tfplan.subject("public-subnet", p.resource) if some p in placed

judged contains tfplan.subject("public-subnet", r) if some r in homeless

# METADATA
# title: The workload stands in private subnets
# description: >-
#   Hosts in a subnet that routes to an internet gateway are one setting away from the internet. A
#   private subnet takes that setting away. Where the plan does not hold the subnets, the finding is
#   a warning, because no change to this code could make it certain.
# custom:
#   id: public-subnet
#   remediation: Use subnets whose route table leads to a NAT gateway or stays inside the VPC.
# related_resources:
# - ref: https://docs.aws.amazon.com/vpc/latest/userguide/configure-subnets.html
#   description: Amazon VPC, public and private subnets
# - ref: https://www.pcisecuritystandards.org/document_library/
#   description: PCI DSS 4.0.1, requirement 1.4.4
deny contains f if {
	some p in placed
	f := misplaced(p)
}

warn contains f if {
	some p in placed
	not misplaced(p)
	f := unproven(p)
}

misplaced(p) := placement_finding(p, "fail", public, "The workload stands in %s, which the internet can reach.") if {
	public := public_of(p)
	count(public) > 0
	certain(p, public)
} else := placement_finding(p, "undetermined", public, "The workload may stand in %s, which the internet can reach.") if {
	public := public_of(p)
	count(public) > 0
}

# A reference to public and private subnets may be a list of both or a choice between them.
certain(p, public) if public == subnets_of(p) | other_ids(p)

certain(p, _) if not tfplan.unknown(p.resource, p.path)

public_of(p) := made | read if {
	made := {s | some s in subnets_of(p); network.public_subnets[s]}
	read := {id | some id in other_ids(p); network.read_public(id)}
}

placement_finding(p, verdict, subnets, format) := {
	"rule": "public-subnet",
	"address": p.resource.address,
	"attribute": tfplan.attribute(p.path),
	"verdict": verdict,
	"msg": sprintf(format, [concat(", ", subnets)]),
	"touched": touched(p.resource, subnets),
}

# A new route makes an untouched workload public, so what opens the subnet counts too.
default touched(_, _) := false

touched(r, _) if tfplan.touched(r)

touched(_, subnets) if network.opened(subnets)

unproven(p) := tfplan.undetermined("public-subnet", p.resource, p.path, msg) if {
	unclear := {s | some s in subnets_of(p); not s in network.private_subnets}
	count(unclear) > 0
	msg := sprintf("The plan does not tell how %s is routed, so it may be public.", [concat(", ", unclear)])
} else := tfplan.undetermined("public-subnet", p.resource, p.path, msg) if {
	unclear := {id | some id in other_ids(p); not network.read_private(id)}
	count(unclear) > 0
	msg := sprintf("The plan does not hold %s, so it may be public.", [concat(", ", unclear)])
} else := tfplan.undetermined("public-subnet", p.resource, p.path, msg) if {
	loose := references.loose_ends(p.resource, p.path)
	count(loose) > 0
	msg := sprintf("The subnets come from %s, which is not in the plan, so they may be public.", [concat(", ", loose)])
} else := tfplan.undetermined("public-subnet", p.resource, p.path, msg) if {
	count(subnets_of(p) | other_ids(p)) == 0
	msg := "The plan does not tell which subnets the workload stands in, so they may be public."
}

homeless contains r if {
	some type, attribute in parameters.default_vpc
	some r in tfplan.of_type(type)
	tfplan.value(r, [attribute]) == null
	references.left_out(r, [attribute])
}

warn contains f if {
	some r in homeless
	f := tfplan.undetermined("public-subnet", r, [parameters.default_vpc[r.type]], concat("", [
		"No subnet is set, so AWS takes one of the default VPC, whose subnets are public",
		" unless somebody changed them.",
	]))
}

judged contains tfplan.subject("public-ip-on-launch", r) if some r in network.subnets

# METADATA
# title: The subnet gives nobody a public address by itself
# description: >-
#   With map_public_ip_on_launch every host in the subnet gets a public address unless it declines.
#   Neither load balancers nor NAT gateways need it, so a public subnet can do without, too.
# custom:
#   id: public-ip-on-launch
#   severity: deny
#   remediation: Set map_public_ip_on_launch to false, or remove it.
# related_resources:
# - ref: https://docs.aws.amazon.com/securityhub/latest/userguide/ec2-controls.html#ec2-15
#   description: AWS Security Hub, EC2.15
# - ref: https://www.pcisecuritystandards.org/document_library/
#   description: PCI DSS 4.0.1, requirements 1.3.1 and 1.4.4
deny contains f if {
	some r in network.subnets
	f := mapping_problem(r, ["map_public_ip_on_launch"])
}

mapping_problem(r, path) := tfplan.finding("public-ip-on-launch", r, path, msg) if {
	tfplan.value(r, path) == true
	msg := "Whatever starts in this subnet gets a public address, because map_public_ip_on_launch is true."
} else := tfplan.undetermined("public-ip-on-launch", r, path, msg) if {
	tfplan.unknown(r, path)
	not references.left_out(r, path)
	msg := "Whether hosts in this subnet get public addresses is known only after the apply."
}
