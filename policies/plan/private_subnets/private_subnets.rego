# METADATA
# title: Workloads are private
# description: >-
#   Workloads take no public address and stand in no public subnet; only load balancers and gateways
#   face the internet.
package plan.private_subnets

import data.plan.lib.network
import data.plan.lib.tfplan
import data.plan.private_subnets.parameters

exposed contains {"resource": r, "path": path, "exposure": exposure} if {
	some type, exposures in parameters.exposures
	some r in tfplan.of_type(type)
	some exposure in exposures
	some path in tfplan.paths(r, exposure.attribute)
}

judged contains tfplan.subject("public-address", e.resource) if some e in exposed

# METADATA
# title: The workload takes no public address
# description: >-
#   A public address makes a workload reachable from the internet past the load balancer, its
#   firewall and its logs.
# custom:
#   id: public-address
#   severity: deny
#   remediation: Set the attribute to false and reach the workload through a load balancer, a VPN or Session Manager.
# related_resources:
# - ref: https://docs.aws.amazon.com/securityhub/latest/userguide/ecs-controls.html#ecs-2
#   description: AWS Security Hub, ECS.2, EC2.9, RDS.2
# - ref: https://www.pcisecuritystandards.org/document_library/
#   description: PCI DSS 4.0.1, requirements 1.3.1 and 1.4.4
deny contains f if {
	some e in exposed
	f := exposure_problem(e.resource, e.path, e.exposure)
}

exposure_problem(r, path, exposure) := tfplan.finding("public-address", r, path, msg) if {
	value := tfplan.value(r, path)
	value in exposure.public
	msg := sprintf("%s is %v, so the workload gets a public address and is open to the internet.", [tfplan.attribute(path), value])
} else := tfplan.finding("public-address", r, path, msg) if {
	tfplan.unknown(r, path)
	tfplan.unset(r, path)
	exposure.unset == "public"
	msg := sprintf("%s is not set, and AWS then gives the workload a public address.", [tfplan.attribute(path)])
} else := tfplan.undetermined("public-address", r, path, msg) if {
	tfplan.unknown(r, path)
	not tfplan.unset(r, path)
	msg := sprintf("Whether %s gives the workload a public address is known only after the apply.", [tfplan.attribute(path)])
}

placed contains {"resource": r, "path": path} if {
	some type, placements in parameters.placements
	some r in tfplan.of_type(type)
	some placement in placements
	some path in tfplan.paths(r, placement)
	chosen(r, path)
}

chosen(r, path) if count(network.values(r, path)) > 0

chosen(r, path) if {
	tfplan.unknown(r, path)
	not tfplan.unset(r, path)
}

judged contains tfplan.subject("public-subnet", p.resource) if some p in placed

# METADATA
# title: The workload stands in private subnets
# description: >-
#   Hosts in a subnet that routes to an internet gateway are one setting away from the internet. A
#   private subnet takes that setting away.
# custom:
#   id: public-subnet
#   severity: deny
#   remediation: Use subnets whose route table leads to a NAT gateway or stays inside the VPC.
# related_resources:
# - ref: https://docs.aws.amazon.com/vpc/latest/userguide/configure-subnets.html
#   description: Amazon VPC, public and private subnets
# - ref: https://www.pcisecuritystandards.org/document_library/
#   description: PCI DSS 4.0.1, requirement 1.4.4
deny contains f if {
	some p in placed
	f := placement_problem(p.resource, p.path)
}

warn contains f if {
	some p in placed
	not placement_problem(p.resource, p.path)
	f := placement_doubt(p.resource, p.path)
}

subnets_of(r, path) := network.meant(r, path, {"aws_subnet", "aws_default_subnet"})

placement_problem(r, path) := object.union(tfplan.finding("public-subnet", r, path, msg), {"touched": touched(r, public)}) if {
	subnets := subnets_of(r, path)
	public := {s | some s in subnets; network.public_subnets[s]}
	count(public) > 0
	count(public) == count(subnets)
	msg := sprintf("The workload stands in %s, which is public.", [concat(", ", public)])
} else := object.union(tfplan.undetermined("public-subnet", r, path, msg), {"touched": touched(r, public)}) if {
	public := {s | some s in subnets_of(r, path); network.public_subnets[s]}
	count(public) > 0
	msg := sprintf("The workload may stand in %s, which is public.", [concat(", ", public)])
}

placement_doubt(r, path) := tfplan.undetermined("public-subnet", r, path, msg) if {
	unclear := {s | some s in subnets_of(r, path); not s in network.private_subnets}
	count(unclear) > 0
	msg := sprintf("The plan does not tell how %s is routed, so it may be public.", [concat(", ", unclear)])
} else := tfplan.undetermined("public-subnet", r, path, msg) if {
	count(subnets_of(r, path)) == 0
	msg := "The plan does not hold the subnets that the workload stands in, so they may be public."
}

# A new route makes an untouched workload public, so what makes the subnet public counts too.
touched(r, _) if tfplan.touched(r)

touched(r, subnets) if {
	not tfplan.touched(r)
	some s in subnets
	some cause in network.public_subnets[s]
	cause in network.changed
}

touched(r, subnets) := false if {
	not tfplan.touched(r)
	causes := {cause | some s in subnets; some cause in network.public_subnets[s]}
	count(causes & network.changed) == 0
}
