# METADATA
# title: Workloads are private
# description: >-
#   Workloads take no public address and stand in no public subnet. What faces the internet on
#   purpose, such as load balancers and NAT gateways, is named in parameters.yaml.
package plan.private_subnets

import data.plan.lib.references
import data.plan.lib.tfplan
import data.plan.private_subnets.parameters

# The attributes of a table in parameters.yaml, as they occur in the plan.
occurrences(table) := [{"resource": r, "setting": setting, "paths": paths} |
	some type, settings in table
	some setting in settings
	names := split(setting.attribute, ".")
	some r in workloads(type)
	not excepted(r, setting)
	paths := sort(tfplan.paths(r, names))
	count(paths) > 0
]

excepted(r, setting) if {
	some attribute, value in setting.except
	tfplan.value(r, [attribute]) == value
}

addresses := occurrences(parameters.addresses)

endpoints := occurrences(parameters.endpoints)

# Most values are plainly private, which is quickly told.
suspects(table) := [o | some o in table; suspect(o)]

suspect(o) if is_string(o.setting.public)

suspect(o) if {
	some path in o.paths
	value := object.get(o.resource.change.after, path, null)
	value in array.concat(o.setting.public, [null])
}

judged contains tfplan.subject("public-address", o.resource) if some o in addresses

judged contains tfplan.subject("public-address", d.resource) if some d in documents

judged contains tfplan.subject("public-address", s.resource) if {
	some s in vpc_settings
	s.name == "AssociatePublicIpAddress"
}

# METADATA
# title: The workload takes no public address
# description: >-
#   A public address makes a workload reachable from the internet past the load balancer, its
#   firewall and its logs.
# custom:
#   id: public-address
#   severity: deny
#   remediation: >-
#     Take the public address away and reach the workload through a load balancer, a VPN or Session
#     Manager; let it reach the internet through a NAT gateway.
# related_resources:
# - ref: https://docs.aws.amazon.com/securityhub/latest/userguide/ecs-controls.html#ecs-2
#   description: AWS Security Hub, ECS.2
# - ref: https://docs.aws.amazon.com/securityhub/latest/userguide/ec2-controls.html#ec2-9
#   description: AWS Security Hub, EC2.9
# - ref: https://www.pcisecuritystandards.org/document_library/
#   description: PCI DSS 4.0.1, requirements 1.3.1 and 1.4.4
deny contains f if {
	some o in suspects(addresses)
	f := openness(o, "public-address", "the workload gets a public address")
}

deny contains f if some f in beanstalk_addresses

deny contains f if {
	some d in documents
	some [path, "ENABLED"] in d.settings
	msg := sprintf("%s holds %s ENABLED, so the job gets a public address.", [tfplan.attribute(d.path), path])
	f := tfplan.finding("public-address", d.resource, d.path, msg)
}

# A document is unknown as soon as one name in it is, which no change to it could avoid.
warn contains f if {
	some d in documents
	d.settings == null
	msg := sprintf("%s is known only after the apply, so the job may get a public address.", [tfplan.attribute(d.path)])
	f := tfplan.undetermined("public-address", d.resource, d.path, msg)
}

# Texts in JSON that may hold assignPublicIp, and what they say of it; null if the text is unknown.
documents := [{"resource": r, "path": [attribute], "settings": settings} |
	some type, attributes in parameters.documents
	some r in workloads(type)
	some attribute in attributes
	settings := addresses_in(r, [attribute])
]

addresses_in(r, path) := found if {
	json.is_valid(tfplan.value(r, path))
	found := [[concat(".", [sprintf("%v", [step]) | some step in at]), value] |
		walk(json.unmarshal(tfplan.value(r, path)), [at, value])
		at[count(at) - 1] == "assignPublicIp"
	]
	count(found) > 0
} else := null if {
	tfplan.unknown(r, path)
	not references.left_out(r, path)
	"FARGATE" in r.change.after.platform_capabilities
}

judged contains tfplan.subject("public-endpoint", o.resource) if {
	some o in endpoints
	parameters.endpoints_are in {"deny", "warn"}
}

# METADATA
# title: The endpoint of the managed service is private
# description: >-
#   Some managed services have an endpoint on the internet unless they are told otherwise. That is
#   no address in our network, but it is a door to it.
# custom:
#   id: public-endpoint
#   remediation: Make the endpoint private and reach it from inside the VPC, or restrict who may connect.
# related_resources:
# - ref: https://docs.aws.amazon.com/securityhub/latest/userguide/eks-controls.html#eks-1
#   description: AWS Security Hub, EKS.1
# - ref: https://www.pcisecuritystandards.org/document_library/
#   description: PCI DSS 4.0.1, requirement 1.4.4
deny contains f if {
	parameters.endpoints_are == "deny"
	some f in open_endpoints
}

warn contains f if {
	parameters.endpoints_are == "warn"
	some f in open_endpoints
}

open_endpoints contains openness(o, "public-endpoint", "the service is open to the internet") if some o in suspects(endpoints)

openness(o, rule, consequence) := tfplan.finding(rule, o.resource, paths[0], msg) if {
	paths := [path | some path in o.paths; public(o, path)]
	msg := concat("", [sprintf("%s is %v, so %s.", [tfplan.attribute(paths[0]), shown(o, paths[0]), consequence]), elsewhere(paths)])
} else := tfplan.finding(rule, o.resource, paths[0], msg) if {
	o.setting.unset == "public"
	paths := [path | some path in o.paths; tfplan.value(o.resource, path) == null; left_out(o, path)]
	msg := concat("", [sprintf("%s is not set, so %s.", [tfplan.attribute(paths[0]), consequence]), elsewhere(paths)])
} else := tfplan.undetermined(rule, o.resource, paths[0], msg) if {
	paths := [path | some path in o.paths; tfplan.unknown(o.resource, path); not left_out(o, path)]
	msg := concat("", [sprintf("%s is known only after the apply, so it is open whether %s.", [tfplan.attribute(paths[0]), consequence]), elsewhere(paths)])
}

left_out(o, path) if {
	references.left_out(o.resource, path)
	not uncounted_block(o, path)
}

uncounted_block(o, path) if {
	is_block(o.setting)
	uncounted(o.resource, path)
}

is_block(setting) if contains(setting.attribute, ".")

is_block(setting) if setting.public == "none"

# Whether a block is a dynamic one of unknown length. The configuration does not hold these, just as it
# does not hold what is not written; but then a block is known, unless AWS may fill it in.
uncounted(r, [block]) if {
	r.change.after_unknown[block] == true
	not block in object.get(parameters.computed_blocks, r.type, [])
}

public(o, path) if tfplan.value(o.resource, path) in o.setting.public

# An attribute that AWS fills in by itself does not count: an address on a NAT gateway has an
# interface too.
public(o, path) if {
	o.setting.public == "any"
	not tfplan.value(o.resource, path) in {null, "", []}
	not references.left_out(o.resource, path)
}

public(o, path) if {
	o.setting.public == "any"
	tfplan.unknown(o.resource, path)
	count(references.meant(o.resource, path, holders)) > 0
}

# What holds a public address, or is one.
holders := {"aws_eip", "aws_instance", "aws_lightsail_instance", "aws_network_interface", "aws_spot_instance_request"}

public(o, path) if {
	o.setting.public == "none"
	tfplan.value(o.resource, path) in {null, "", []}
	not tfplan.unknown(o.resource, path)
}

shown(o, path) := tfplan.shown(o.resource, path) if is_array(o.setting.public)

shown(o, _) := "set" if o.setting.public == "any"

shown(o, _) := "not set" if o.setting.public == "none"

judged contains tfplan.subject("notebook-internet", r) if some r in workloads("aws_sagemaker_notebook_instance")

# METADATA
# title: The notebook reaches the internet only through the VPC
# description: >-
#   Without a subnet of ours, a SageMaker notebook stands in a network of AWS with a direct way to
#   the internet.
# custom:
#   id: notebook-internet
#   severity: deny
#   remediation: Set subnet_id and security_groups, and direct_internet_access to "Disabled".
# related_resources:
# - ref: https://docs.aws.amazon.com/securityhub/latest/userguide/sagemaker-controls.html#sagemaker-1
#   description: AWS Security Hub, SageMaker.1
# - ref: https://www.pcisecuritystandards.org/document_library/
#   description: PCI DSS 4.0.1, requirements 1.3.2 and 1.4.4
deny contains f if {
	some r in notebooks
	tfplan.value(r, ["direct_internet_access"]) == "Enabled"
	f := tfplan.finding("notebook-internet", r, ["direct_internet_access"], concat("", [
		"The notebook has no subnet and direct_internet_access is Enabled,",
		" so it reaches the internet, and data can leave, past every control of the VPC.",
	]))
}

deny contains f if {
	some r in notebooks
	tfplan.unknown(r, ["direct_internet_access"])
	f := tfplan.undetermined("notebook-internet", r, ["direct_internet_access"], concat("", [
		"The notebook has no subnet, and whether it reaches the internet by direct_internet_access",
		" is known only after the apply.",
	]))
}

notebooks := [r |
	some r in workloads("aws_sagemaker_notebook_instance")
	tfplan.value(r, ["subnet_id"]) == null
	not tfplan.unknown(r, ["subnet_id"])
]
