package plan.private_subnets

import data.plan.lib.network
import data.plan.lib.tfplan

# Elastic Beanstalk keeps everything in a list of settings with a namespace, a name and a text. The
# plan sorts them, the configuration has them as they are written.
beanstalk_types := {"aws_elastic_beanstalk_configuration_template", "aws_elastic_beanstalk_environment"}

vpc_settings := [{"resource": r, "name": setting.name, "value": object.get(setting, "value", null), "path": path} |
	some type in beanstalk_types
	some r in workloads(type)
	some i, setting in r.change.after.setting
	setting.namespace == "aws:ec2:vpc"
	path := ["setting", written_at(r, setting.name, i), "value"]
]

# Where the configuration has it, or else the plan: dynamic blocks are in no configuration.
written_at(r, name, i) := array.flatten([written_in(r, name, "aws:ec2:vpc"), written_in(r, name, "unknown"), i])[0]

written_in(r, name, namespace) := [k |
	some k, setting in tfplan.config(r).expressions.setting
	setting.name.constant_value == name
	object.get(setting, ["namespace", "constant_value"], "unknown") == namespace
]

beanstalk_addresses contains tfplan.finding("public-address", s.resource, s.path, msg) if {
	some s in vpc_settings
	s.name == "AssociatePublicIpAddress"
	s.value in {"true", "True", "TRUE"}
	msg := "AssociatePublicIpAddress is true, so the instances of the environment get public addresses."
}

beanstalk_addresses contains tfplan.undetermined("public-address", s.resource, s.path, msg) if {
	some s in vpc_settings
	s.name == "AssociatePublicIpAddress"
	s.value == null
	msg := "Whether the instances of the environment get public addresses is known only after the apply."
}

beanstalk_placements := [{"resource": s.resource, "spots": [{"path": s.path, "sources": [setting_source(s)]}]} |
	some s in vpc_settings
	s.name in {"DBSubnets", "Subnets"}
	s.value != ""
]

setting_source(s) := {"resource": s.resource, "path": s.path, "subnets": subnets} if {
	s.value != null
	subnets := union({network.named(trim_space(id)) | some id in split(s.value, ",")})
} else := source(object.union(s.resource, {"change": {"after": {"setting": []}, "after_unknown": {"setting": unknowns}}}), s.path) if {
	# The unknown value stands elsewhere in the plan's list than in the configuration's.
	unknowns := [{"value": true} | some _ in tfplan.config(s.resource).expressions.setting]
}

# A template brings settings that the plan does not show.
beanstalk_homeless := [{"resource": r, "path": ["setting"]} |
	some r in workloads("aws_elastic_beanstalk_environment")
	not given(r, ["template_name"])
	not placed_by_setting[r.address]
	not tfplan.unknown(r, ["setting"])
]

placed_by_setting := {s.resource.address: true | some s in vpc_settings; s.name == "Subnets"}
