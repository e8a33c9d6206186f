package plan.private_subnets

import data.plan.lib.network
import data.plan.lib.references
import data.plan.lib.tfplan
import data.plan.private_subnets.parameters

# A placement is an attribute that puts a workload into subnets. It has a spot for each block that
# the attribute stands in, and each spot has its sources: the attributes that hold the subnets.
placed := array.concat(array.concat(direct, grouped), beanstalk_placements)

direct := [{"resource": r, "spots": spots} |
	some type, attributes in parameters.placements
	some attribute in attributes
	names := split(attribute, ".")
	some r in workloads(type)
	spots := [{"path": path, "sources": [source(r, path)]} | some path in chosen(r, names)]
	count(spots) > 0
]

grouped := [{"resource": r, "spots": spots} |
	some group, setting in parameters.groups
	some type, attribute in setting.users
	names := split(attribute, ".")
	some r in workloads(type)
	spots := [{"path": path, "sources": sources} |
		some path in chosen(r, names)
		sources := [source(g, split(setting.subnets, ".")) | some g in groups_at(r, path, group)]
	]
	count(spots) > 0
]

workloads(type) := tfplan.of_type(type) if {
	not parameters.facing_the_internet[type]
	count(facing_addresses) == 0
} else := [r | some r in tfplan.of_type(type); not exempt(r)] if {
	not parameters.facing_the_internet[type]
} else := []

exempt(r) if {
	some pattern in facing_addresses
	glob.match(pattern, [], r.address)
}

# Brackets are part of addresses here, not of patterns.
facing_addresses := {strings.replace_n({"[": `\[`, "]": `\]`}, name) |
	some name, _ in parameters.facing_the_internet
	contains(name, ".")
}

# The paths at which the resource gives the attribute a value.
chosen(r, names) := [path | some path in [names]; given(r, path)] if {
	count(names) == 1
} else := [path | some path in sort(tfplan.paths(r, names)); given_inside(r, path)]

given_inside(r, path) if given(r, path)

given_inside(r, path) if uncounted(r, path)

given(r, path) if not tfplan.value(r, path) in {null, "", []}

given(r, path) if {
	tfplan.unknown(r, path)
	not references.left_out(r, path)
}

source(r, path) := {"resource": r, "path": path, "subnets": network.subnets_at(r, path)}

# Subnet groups of the same name may stand in several regions and, with a module that is called twice,
# in several modules.
groups_at(r, path, type) := here if {
	here := [g | some g in groups_named(r, path, type); same_module(g, r)]
	count(here) > 0
} else := near if {
	near := [g | some g in groups_named(r, path, type); same_provider(g, r)]
	count(near) > 0
} else := groups_named(r, path, type)

same_module(a, b) if {
	object.get(a, "module_address", "") == object.get(b, "module_address", "")
	same_provider(a, b)
}

groups_named(r, path, type) := [g |
	addresses := references.meant(r, path, {type}) | {address |
		some name in references.values(r, path)
		some address in groups_by_name[type][name]
	}
	some address in addresses
	some g in groups_by_address[type][address]
]

# Where the name of a group stands in an attribute of another name, plans know it before the id.
groups_by_name[type][name] contains g.address if {
	some type, setting in parameters.groups
	some g in tfplan.of_type(type)
	name := tfplan.value(g, [setting.name])
	is_string(name)
}

groups_by_address := {type: by_address |
	some type, _ in parameters.groups
	by_address := {g.address: [g] | some g in tfplan.of_type(type)}
}

same_provider(a, b) if tfplan.config(a).provider_config_key == tfplan.config(b).provider_config_key

judged contains tfplan.subject("public-subnet", p.resource) if some p in placed

judged contains tfplan.subject("public-subnet", h.resource) if some h in homeless

# METADATA
# title: The workload stands in private subnets
# description: >-
#   Hosts in a subnet that routes to an internet gateway are one setting away from the internet. A
#   private subnet takes that setting away. Where the plan does not hold the subnets, the finding is
#   a warning, because no change to this code could make it certain.
# custom:
#   id: public-subnet
#   remediation: >-
#     Use subnets whose route table leads to a NAT gateway or stays inside the VPC, and that do not set
#     map_public_ip_on_launch.
# related_resources:
# - ref: https://docs.aws.amazon.com/vpc/latest/userguide/configure-subnets.html
#   description: Amazon VPC, public and private subnets
# - ref: https://www.pcisecuritystandards.org/document_library/
#   description: PCI DSS 4.0.1, requirement 1.4.4
deny contains f if {
	some p in unsettled
	f := misplaced(p)
}

warn contains f if {
	some p in unsettled
	not misplaced(p)
	f := unproven(p)
}

# Most workloads are known to stand in private subnets, which is quickly told.
unsettled := [p | some p in placed; not settled(p)]

settled(p) if {
	every spot in p.spots {
		proven(p.resource, spot)
	}
}

proven(r, spot) if {
	count(spot.sources) > 0
	every from in spot.sources {
		count(from.subnets) > 0
		count(from.subnets - network.private_subnets) == 0
	}
	count(loose_ends(r, spot)) == 0
}

misplaced(p) := placement_finding(p, "fail", spots, "The workload stands in %s, which the internet can reach: %s.%s") if {
	spots := [spot | some spot in p.spots; exposed(spot)]
	count(spots) > 0
} else := placement_finding(p, "undetermined", spots, "The workload may stand in %s, which the internet can reach: %s.%s") if {
	spots := [spot | some spot in p.spots; count(open_subnets(spot)) > 0]
	count(spots) > 0
}

# The subnets of a spot that are public or may be.
open_subnets(spot) := {name |
	some from in spot.sources
	some name in from.subnets
	is_open(name)
}

is_open(name) if network.public_subnets[name]

is_open(name) if name in network.contested_subnets

# Several sources are a choice: the spot is public only if each of them is.
exposed(spot) if {
	count(spot.sources) > 0
	every from in spot.sources {
		public := {name | some name in from.subnets; network.public_subnets[name]}
		count(public) > 0
		certain(from, public)
	}
}

# A reference to public and private subnets may be a list of both or a choice between them.
certain(from, public) if public == from.subnets

certain(from, _) if not tfplan.unknown(from.resource, from.path)

certain(from, public) if {
	holds_many(from.path)
	not chooses(from)
	some name in public
	member(name, from, public)
}

# A subnet is a member of the list if it is named with its key, or if all of its block are public.
member(name, from, _) if {
	some end in references.ends_of(from.resource, from.path)
	endswith(end, "]")
	endswith(name, regex.replace(end, `^[^:]*:`, ""))
}

member(name, from, public) if {
	every other in from.subnets {
		all_or_other(other, base(name), public)
	}
}

holds_many(path) if not endswith(path[count(path) - 1], "subnet_id")

base(name) := regex.replace(name, `\["(?:[^"\\]|\\.)*"\]|\[\d+\]`, "")

all_or_other(name, _, public) if name in public

all_or_other(name, resource, _) if base(name) != resource

# Whether anything but subnets has a say in the list: a condition, a key, a local.
chooses(from) if {
	some end in references.ends_of(from.resource, from.path)
	not regex.match(`:aws_(default_)?subnet\.`, end)
}

chooses(from) if picks(tfplan.expression(from.resource, from.path))

chooses(from) if {
	some node in references.reached(from.resource, from.path)
	[place, name] := split(node, ":")
	startswith(name, "var.")
	modules := split(place, ".")
	caller := array.slice(modules, 0, count(modules) - 1)
	call := references.modules[caller].module_calls[modules[count(modules) - 1]]
	picks(call.expressions[trim_prefix(name, "var.")])
}

picks(expression) if {
	some reference in expression.references
	regex.match(`^(each|count|self|path|terraform)\.`, reference)
}

placement_finding(p, verdict, spots, format) := {
	"rule": "public-subnet",
	"address": p.resource.address,
	"attribute": tfplan.attribute(spots[0].path),
	"verdict": verdict,
	"msg": sprintf(format, [several(names), why(names), elsewhere([spot.path | some spot in spots])]),
	"touched": touched(p.resource, spots, names),
} if {
	found := union({open_subnets(spot) | some spot in spots})
	names := {name | some name in found; not hedged(verdict, name)}
}

# What is only perhaps public is no ground for a failure.
hedged("fail", name) if not network.public_subnets[name]

# A long list helps nobody: the first, and how many more.
several(names) := sort(names)[0] if {
	count(names) == 1
} else := sprintf("%s and %d more", [sort(names)[0], count(names) - 1])

why(names) := "it gives its hosts public addresses" if {
	sort(names)[0] in network.mapping
} else := sprintf("%s leads to an internet gateway", [opening]) if {
	opening := [cause.by | some cause in network.public_subnets[sort(names)[0]]][0]
} else := "its route table may lead to an internet gateway"

elsewhere(paths) := "" if {
	count(paths) == 1
} else := sprintf(" The same in %s.", [several({tfplan.attribute(path) | some path in array.slice(paths, 1, count(paths))})])

# A new route or another list in the subnet group makes an untouched workload public, so what opens
# the subnet counts too.
default touched(_, _, _) := false

touched(r, _, _) if tfplan.touched(r)

touched(_, spots, _) if {
	some spot in spots
	some from in spot.sources
	tfplan.touched(from.resource)
}

touched(_, _, names) if network.opened(names)

unproven(p) := tfplan.undetermined("public-subnet", p.resource, doubts[0].path, doubts[0].msg) if {
	doubts := [{"path": spot.path, "msg": msg} | some spot in p.spots; msg := doubt(p.resource, spot)]
}

doubt(r, spot) := sprintf("The plan does not tell how %s is routed, so it may be public.", [several(unclear)]) if {
	unclear := {name | some name in unproven_subnets(spot); contains(name, ".")}
	count(unclear) > 0
} else := sprintf("The plan does not hold %s, so it may be public.", [several(foreign)]) if {
	foreign := unproven_subnets(spot)
	count(foreign) > 0
} else := sprintf("The subnets come from %s, which is not in the plan, so they may be public.", [several(loose)]) if {
	loose := loose_ends(r, spot)
	count(loose) > 0
} else := "The plan does not tell which subnets the workload stands in, so they may be public." if {
	some from in spot.sources
	count(from.subnets) == 0
} else := "The plan does not hold the subnet group, so its subnets may be public." if {
	count(spot.sources) == 0
}

unproven_subnets(spot) := {name |
	some from in spot.sources
	some name in from.subnets
	not name in network.private_subnets
}

loose_ends(r, spot) := references.loose_ends(r, spot.path) | {end |
	some from in spot.sources
	some end in references.loose_ends(from.resource, from.path)
}

# --- No subnet at all --------------------------------------------------------

homeless := array.concat(unplaced, beanstalk_homeless)

unplaced := [{"resource": r, "path": split(setting.attribute, ".")} |
	some type, setting in parameters.default_vpc
	some r in workloads(type)
	every attribute in array.concat([setting.attribute], setting.unless) {
		count(chosen(r, split(attribute, "."))) == 0
	}
]

warn contains f if {
	some h in homeless
	f := tfplan.undetermined("public-subnet", h.resource, h.path, concat("", [
		"No subnet is set, so AWS takes one of the default VPC, whose subnets are public",
		" unless somebody changed them.",
	]))
}

# --- Addresses on launch ------------------------------------------------------

judged contains tfplan.subject("public-ip-on-launch", r) if some r in network.subnets

# METADATA
# title: The subnet gives nobody a public address by itself
# description: >-
#   With map_public_ip_on_launch every host in the subnet gets a public address unless it declines.
#   Neither load balancers nor NAT gateways need it, so a public subnet can do without, too.
# custom:
#   id: public-ip-on-launch
#   severity: deny
#   remediation: Set map_public_ip_on_launch to false. In an aws_subnet, leaving it out does the same.
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
	msg := sprintf("Whatever starts in this subnet gets a public address, because map_public_ip_on_launch is %v.", [tfplan.shown(r, path)])
} else := tfplan.undetermined("public-ip-on-launch", r, path, msg) if {
	tfplan.unknown(r, path)
	msg := "map_public_ip_on_launch is known only after the apply, so hosts in this subnet may get public addresses."
}
