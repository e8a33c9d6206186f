package plan.tls

import data.plan.lib.references
import data.plan.lib.tfplan
import data.plan.tls.parameters

# What holds parameters: where, and under which names.
parameter_groups := array.concat(
	[{"resource": r, "family": r.change.after.family, "block": "parameter", "name": "name", "value": "value"} |
		some type, _ in parameters.parameter_group_users
		some r in tfplan.of_type(type)
	],
	[{"resource": r, "family": "serverless", "block": "config_parameter", "name": "parameter_key", "value": "parameter_value"} |
		some r in tfplan.of_type("aws_redshiftserverless_workgroup")
	],
)

# What parameters.yaml demands of them.
demands := [object.union(group, {"demand": demand}) |
	some group in parameter_groups
	some demand in demanded(group.resource.type, group.family)
]

demanded(type, family) := [demand |
	some demand in parameters.database_parameters
	is_string(family)
	regex.match(demand.family, family)
	concerns(demand, type)
]

concerns(demand, _) if not demand.only

concerns(demand, type) if type in demand.only

judged contains tfplan.subject("database", d.resource) if some d in demands

judged contains tfplan.subject("database", r) if some r in nameless_groups

# METADATA
# title: The database accepts encrypted connections only
# description: >-
#   Databases take plain connections beside encrypted ones unless a parameter forbids it. A group that
#   nothing in the plan uses is only warned about: it may be no database's. So is a database that has
#   AWS's default group, which the plan does not hold.
# custom:
#   id: database
#   remediation: Set the parameter in the parameter group.
# related_resources:
# - ref: https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/UsingWithRDS.SSL.html
#   description: Amazon RDS, using SSL/TLS
# - ref: https://www.pcisecuritystandards.org/document_library/
#   description: PCI DSS 4.0.1, requirements 4.2.1 and 2.2.7
deny contains f if {
	some d in demands
	in_use(d)
	f := parameter_problem(d)
}

warn contains f if {
	some d in demands
	not in_use(d)
	f := parameter_problem(d)
}

deny contains f if {
	some r in nameless_groups
	f := tfplan.undetermined(
		"database", r, ["family"],
		"The family of the parameter group is known only after the apply, and with it which parameters have to be set.",
	)
}

# Groups whose family the plan does not tell.
nameless_groups := [r |
	some type, _ in parameters.parameter_group_users
	some r in tfplan.of_type(type)
	tfplan.unknown(r, ["family"])
]

parameter_problem(d) := object.union(tfplan.finding("database", d.resource, [d.block, i, d.value], msg), wanted_parameter(d)) if {
	i := weak_parameters(d)[0]
	msg := sprintf("%s is %s, so the database accepts plain or outdated connections.", [d.demand.name, tfplan.shown(d.resource, [d.block, i, d.value])])
} else := object.union(tfplan.undetermined("database", d.resource, [d.block, i, d.value], msg), wanted_parameter(d)) if {
	i := unknown_values(d)[0]
	msg := sprintf("The value of %s is known only after the apply.", [d.demand.name])
} else := object.union(tfplan.undetermined("database", d.resource, [d.block], msg), wanted_parameter(d)) if {
	not set_parameter(d)
	unclear_parameters(d)
	msg := sprintf("Whether %s is set is known only after the apply.", [d.demand.name])
} else := object.union(tfplan.undetermined("database", d.resource, [d.block], msg), wanted_parameter(d)) if {
	not set_parameter(d)
	d.demand["default"] == "unclear"
	msg := sprintf("%s is not set, and what the database then accepts depends on its version.", [d.demand.name])
} else := object.union(tfplan.finding("database", d.resource, [d.block], msg), wanted_parameter(d)) if {
	not set_parameter(d)
	not regex.match(d.demand.secure, d.demand["default"])
	msg := sprintf("%s is not set and %s by default, so the database accepts plain connections.", [d.demand.name, d.demand["default"]])
}

blocks(d) := object.get(d.resource.change.after, d.block, [])

# Positions of blocks with the parameter. Terraform plans it twice if it is written twice.
weak_parameters(d) := [i |
	some i, p in blocks(d)
	p[d.name] == d.demand.name
	is_string(p[d.value])
	not regex.match(d.demand.secure, p[d.value])
]

unknown_values(d) := [i |
	some i, p in blocks(d)
	p[d.name] == d.demand.name
	not is_string(object.get(p, d.value, null))
]

wanted_parameter(d) := {"remediation": sprintf("Add a %s %s with the value %s.", [d.block, d.demand.name, d.demand.instead])}

set_parameter(d) if {
	some p in blocks(d)
	p[d.name] == d.demand.name
}

# Parameters that are known only after the apply.
unclear_parameters(d) if tfplan.unknown(d.resource, [d.block])

unclear_parameters(d) if {
	some i, _ in blocks(d)
	tfplan.unknown(d.resource, [d.block, i, d.name])
}

in_use(d) if d.resource.address in used_groups

in_use(d) if not parameters.parameter_group_users[d.resource.type]

used_groups contains address if {
	some group, users in parameters.parameter_group_users
	some type, attribute in users
	some r in tfplan.of_type(type)
	some address in references.meant(r, [attribute], {group})
}

# --- Default groups ---------------------------------------------------------

defaults := [{"resource": r, "setting": setting, "group": group} |
	parameters.judge_default_groups
	some type, setting in parameters.default_groups
	some r in tfplan.of_type(type)
	not excused(r, setting)
	group := default_group(r, [setting.attribute])
]

# The default group of a database: of which family, and whether its version is still open. Patterns for
# families match the engine and its version just as well.
default_group(r, path) := {"family": trim_prefix(name, "default."), "open": false} if {
	name := tfplan.value(r, path)
	is_string(name)
	startswith(name, "default.")
} else := {"family": concat("", [engine, version]), "open": version == ""} if {
	tfplan.value(r, path) in {null, ""}
	not unclear(r, path)
	engine := engine_of(r)
	version := engine_version(r)
}

engine_of(r) := "redshift" if {
	r.type == "aws_redshift_cluster"
} else := tfplan.value(r, ["engine"]) if {
	is_string(tfplan.value(r, ["engine"]))
}

engine_version(r) := tfplan.value(r, ["engine_version"]) if {
	is_string(tfplan.value(r, ["engine_version"]))
} else := ""

judged contains tfplan.subject("database", d.resource) if some d in defaults

warn contains f if {
	some d in defaults
	f := default_problem(d)
}

default_problem(d) := tfplan.undetermined("database", d.resource, [d.setting.attribute], msg) if {
	weak := [sprintf("%s is %s", [demand.name, demand["default"]]) |
		some demand in demanded(d.setting.of, d.group.family)
		not regex.match(demand.secure, demand["default"])
	]
	count(weak) > 0
	msg := sprintf("No parameter group of its own is named. In AWS's default group for %s %s, as far as is known, so the database would accept plain connections.", [d.group.family, concat(" and ", weak)])
} else := tfplan.undetermined("database", d.resource, [d.setting.attribute], msg) if {
	d.group.open
	some demand in parameters.database_parameters
	contains(demand.family, d.group.family)
	msg := sprintf("No parameter group of its own is named. Whether AWS's default group for %s demands encryption depends on the version.", [d.group.family])
}
