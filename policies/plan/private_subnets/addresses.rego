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
occurrences(table) := [{"resource": r, "path": path, "setting": setting} |
	some type, settings in table
	some r in tfplan.of_type(type)
	some setting in settings
	some path in tfplan.paths(r, split(setting.attribute, "."))
]

addresses := occurrences(parameters.addresses)

endpoints := occurrences(parameters.endpoints)

judged contains tfplan.subject("public-address", o.resource) if some o in addresses

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
	some o in addresses
	f := openness(o, "public-address", "the workload gets a public address")
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

open_endpoints contains openness(o, "public-endpoint", "the service is open to the internet") if some o in endpoints

openness(o, rule, consequence) := tfplan.finding(rule, o.resource, o.path, msg) if {
	public(o)
	msg := sprintf("%s is %v, so %s.", [tfplan.attribute(o.path), shown(o), consequence])
} else := tfplan.finding(rule, o.resource, o.path, msg) if {
	o.setting.unset == "public"
	tfplan.value(o.resource, o.path) == null
	references.left_out(o.resource, o.path)
	msg := sprintf("%s is not set, so %s.", [tfplan.attribute(o.path), consequence])
} else := tfplan.undetermined(rule, o.resource, o.path, msg) if {
	tfplan.unknown(o.resource, o.path)
	not references.left_out(o.resource, o.path)
	msg := sprintf("Whether %s by %s is known only after the apply.", [consequence, tfplan.attribute(o.path)])
}

public(o) if tfplan.value(o.resource, o.path) in o.setting.public

# An attribute that AWS fills in by itself does not count: an address on a NAT gateway has an
# interface too.
public(o) if {
	o.setting.public == "any"
	not tfplan.value(o.resource, o.path) in {null, "", []}
	not references.left_out(o.resource, o.path)
}

public(o) if {
	o.setting.public == "any"
	tfplan.unknown(o.resource, o.path)
	workloads := {"aws_instance", "aws_network_interface", "aws_spot_instance_request"}
	count(references.meant(o.resource, o.path, workloads)) > 0
}

shown(o) := tfplan.shown(o.resource, o.path) if o.setting.public != "any"

shown(o) := "set" if o.setting.public == "any"

judged contains tfplan.subject("notebook-internet", r) if some r in tfplan.of_type("aws_sagemaker_notebook_instance")

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
	some r in tfplan.of_type("aws_sagemaker_notebook_instance")
	tfplan.value(r, ["direct_internet_access"]) != "Disabled"
	tfplan.value(r, ["subnet_id"]) == null
	not tfplan.unknown(r, ["subnet_id"])
	f := tfplan.finding("notebook-internet", r, ["direct_internet_access"], concat("", [
		"The notebook has no subnet and direct_internet_access is not Disabled,",
		" so it reaches the internet, and data can leave, past every control of the VPC.",
	]))
}
