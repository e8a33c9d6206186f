package plan.log_retention

import data.plan.lib.references
import data.plan.lib.tfplan
import data.plan.log_retention.parameters

# Log groups that a service makes by itself: who, the attribute that asks for it, and the names of the
# groups, or what would have to be known to tell them.
made contains {"r": r, "path": path, "names": names(r, entry), "unnamed": unnamed(r, entry)} if {
	some type, entries in parameters.made_by_services
	some r in tfplan.of_type(type)
	some entry in entries
	some path in tfplan.paths(r, split(entry.attribute, "."))
	switched_on(r, path, object.get(entry, "off", []))
}

made contains {"r": r, "path": [attribute], "names": {name}, "unnamed": []} if {
	some type, attribute in parameters.containers
	some r in tfplan.of_type(type)
	text := tfplan.value(r, [attribute])
	json.is_valid(text)
	walk(json.unmarshal(text), [_, options])
	name := created(options)
}

made contains {"r": r, "path": array.concat(path, ["options"]), "names": {name}, "unnamed": []} if {
	some r in tfplan.of_type("aws_ecs_service")
	some path in [["service_connect_configuration", 0, "log_configuration", 0]]
	name := created(tfplan.value(r, array.concat(path, ["options"])))
}

# The group that the log driver of a container makes.
created(options) := name if {
	options["awslogs-create-group"] in {"true", true}
	name := options["awslogs-group"]
	is_string(name)
}

switched_on(r, path, off) if {
	value := tfplan.value(r, path)
	not value in {null, false, ""}
	not value in off
	not value == []
}

switched_on(r, path, _) if {
	tfplan.unknown(r, path)
	tfplan.expression(r, path)
}

names(r, entry) := chosen(r, entry) if {
	count(chosen(r, entry)) > 0
} else := set() if {
	count(chosen_later(r, entry)) > 0
} else := {sprintf(entry.group, [a]) | some a in parts(r, entry.named_by[0])} if {
	count(entry.named_by) == 1
} else := {sprintf(entry.group, [a, b]) |
	some a in parts(r, entry.named_by[0])
	some b in parts(r, entry.named_by[1])
}

chosen(r, entry) := {name | some name in parts(r, entry.chosen); name != ""}

# The paths of the attribute that names the group, where its value is known only after the apply.
chosen_later(r, entry) := [path |
	some path in tfplan.paths(r, split(entry.chosen, "."))
	tfplan.unknown(r, path)
	tfplan.expression(r, path)
]

parts(r, attribute) := {part |
	some path in tfplan.paths(r, split(attribute, "."))
	some part in references.values(r, path)
}

# The paths of what is unknown of the name.
unnamed(r, entry) := [] if {
	count(chosen(r, entry)) > 0
} else := chosen_later(r, entry) if {
	count(chosen_later(r, entry)) > 0
} else := [path |
	some attribute in entry.named_by
	some path in tfplan.paths(r, split(attribute, "."))
	tfplan.unknown(r, path)
]

managed_names := {name | some g in log_groups; name := tfplan.value(g, ["name"])}

# The group is one of this plan, whatever its name will be.
given(group) if {
	some path in group.unnamed
	some node in references.reached(group.r, path)
	contains(node, ":aws_cloudwatch_log_group.")
}

judged contains tfplan.subject("service-logs", group.r) if {
	not parameters.allow_never_expire
	some group in made
}

judged contains tfplan.subject("service-logs", stream.r) if some stream in streams

# METADATA
# title: Logs that a service keeps in a group of its own end when they should
# description: >-
#   A service that finds no log group makes one, whose events never expire and which nobody owns. The
#   rule looks for a managed log group with the name that the service uses. It cannot see groups that
#   are managed elsewhere, so it only warns. Elastic Beanstalk sets the retention itself.
# custom:
#   id: service-logs
#   severity: warn
#   remediation: >-
#     Manage an aws_cloudwatch_log_group with the name that the service uses and with retention_in_days, and let the
#     service depend on it.
# related_resources:
# - ref: https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/Working-with-log-groups-and-streams.html
#   description: Amazon CloudWatch Logs, change log data retention
# - ref: https://www.pcisecuritystandards.org/document_library/
#   description: PCI DSS 4.0.1, requirements 10.5.1 and 3.2.1
warn contains f if {
	not parameters.allow_never_expire
	some group in made
	not given(group)
	f := tfplan.undetermined("service-logs", group.r, group.path, unmanaged(group))
}

warn contains f if {
	some stream in streams
	f := stream_problem(stream)
}

unmanaged(group) := sprintf("This plan does not manage the log group%s %s: what the service makes itself never expires.", [plural, concat(", ", missing)]) if {
	missing := sort(group.names - managed_names)
	count(missing) > 0
	plural := ["", "s"][min([1, count(missing) - 1])]
} else := "The service writes to a log group whose name is known only after the apply: what the service makes itself never expires." if {
	count(group.unnamed) > 0
}

# What Elastic Beanstalk streams to log groups, which it makes with a retention of its own.
streams contains {"r": r, "days": days} if {
	some type in ["aws_elastic_beanstalk_environment", "aws_elastic_beanstalk_configuration_template"]
	some r in tfplan.of_type(type)
	some namespace, switch in parameters.streams
	some value in settings(r, namespace, switch)
	lower(value) == "true"
	days := settings(r, namespace, "RetentionInDays")
}

settings(r, namespace, name) := {value |
	some setting in r.change.after.setting
	setting.namespace == namespace
	setting.name == name
	value := object.get(setting, "value", "unknown")
	is_string(value)
}

stream_problem(stream) := tfplan.undetermined("service-logs", stream.r, ["setting"], "RetentionInDays is known only after the apply.") if {
	"unknown" in stream.days
}

stream_problem(stream) := object.union(
	tfplan.finding("service-logs", stream.r, ["setting"], wrong_days(days, days)),
	{"remediation": "Set RetentionInDays to 30 or more beside the setting that streams the logs."},
) if {
	not "unknown" in stream.days
	days := min(numbers(stream.days))
}

numbers(texts) := {to_number(text) | some text in texts; regex.match(`^\d+$`, text)} if {
	count(texts) > 0
} else := {parameters.streams_default_days}
