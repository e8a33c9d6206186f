package plan.tls

import data.plan.lib.references
import data.plan.lib.tfplan
import data.plan.tls.parameters

# What parameters.yaml demands of the parameter groups in the plan.
demands := [{"resource": r, "demand": demand} |
	some type, _ in parameters.parameter_group_users
	some r in tfplan.of_type(type)
	some demand in parameters.database_parameters
	regex.match(demand.family, r.change.after.family)
]

judged contains tfplan.subject("database", d.resource) if some d in demands

# METADATA
# title: The database accepts encrypted connections only
# description: >-
#   Databases take plain connections beside encrypted ones unless a parameter forbids it. A group that
#   nothing in the plan uses is only warned about: it may be no database's.
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
	d.resource.address in used_groups
	f := parameter_problem(d)
}

warn contains f if {
	some d in demands
	not d.resource.address in used_groups
	f := parameter_problem(d)
}

parameter_problem(d) := object.union(tfplan.finding("database", d.resource, ["parameter", i, "value"], msg), wanted(d)) if {
	some i, p in d.resource.change.after.parameter
	p.name == d.demand.name
	is_string(p.value)
	not regex.match(d.demand.secure, p.value)
	msg := sprintf("%s is %s, so the database accepts plain or outdated connections.", [p.name, tfplan.shown(d.resource, ["parameter", i, "value"])])
} else := object.union(tfplan.undetermined("database", d.resource, ["parameter", i, "value"], msg), wanted(d)) if {
	some i, p in d.resource.change.after.parameter
	p.name == d.demand.name
	not is_string(object.get(p, "value", null))
	msg := sprintf("The value of %s is known only after the apply.", [p.name])
} else := object.union(tfplan.finding("database", d.resource, ["parameter"], msg), wanted(d)) if {
	not set_parameter(d)
	not hidden_parameters(d)
	not regex.match(d.demand.secure, d.demand["default"])
	msg := sprintf("%s is not set and %s by default, so the database accepts plain connections.", [d.demand.name, d.demand["default"]])
} else := object.union(tfplan.undetermined("database", d.resource, ["parameter"], msg), wanted(d)) if {
	not set_parameter(d)
	hidden_parameters(d)
	msg := sprintf("Whether %s is set is known only after the apply.", [d.demand.name])
}

wanted(d) := {"remediation": sprintf("Add a parameter %s with the value %s.", [d.demand.name, d.demand.instead])}

set_parameter(d) if {
	some p in d.resource.change.after.parameter
	p.name == d.demand.name
}

hidden_parameters(d) if {
	some path in tfplan.paths(d.resource, ["parameter", "name"])
	tfplan.unknown(d.resource, path)
}

used_groups contains address if {
	some group, users in parameters.parameter_group_users
	some type, attribute in users
	some r in tfplan.of_type(type)
	some address in references.meant(r, [attribute], {group})
}
