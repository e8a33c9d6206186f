package plan.tls

import data.plan.lib.tfplan
import data.plan.tls.parameters

switches := occurrences(parameters.encryption)

judged contains tfplan.subject("encryption", o.resource) if some o in switches

# METADATA
# title: Connections are encrypted
# description: >-
#   Many services accept plain connections unless they are told otherwise, also inside the network,
#   where whoever gets in could then read along.
# custom:
#   id: encryption
#   remediation: Switch encryption in transit on.
# related_resources:
# - ref: https://docs.aws.amazon.com/wellarchitected/latest/security-pillar/sec_protect_data_transit_encrypt.html
#   description: AWS Well-Architected, enforce encryption in transit
# - ref: https://www.pcisecuritystandards.org/document_library/
#   description: PCI DSS 4.0.1, requirements 4.2.1 and 2.2.7
deny contains f if {
	some o in switches
	not only_warns(o)
	f := encryption_problem(o)
}

warn contains f if {
	some o in switches
	only_warns(o)
	f := encryption_problem(o)
}

only_warns(o) if o.setting.level == "warn"

only_warns(o) if fallback(o) == "unclear"

encryption_problem(o) := object.union(tfplan.finding("encryption", o.resource, o.path, msg), required(o)) if {
	count(plain_values(o)) > 0
	msg := sprintf("%s is %v, so %s.", [setting_name(o), shown_value(o), harm(o)])
} else := object.union(tfplan.undetermined("encryption", o.resource, o.path, msg), required(o)) if {
	unclear_there(o)
	msg := sprintf("%s is known only after the apply, so it is open whether %s.", [written(o), harm(o)])
} else := object.union(tfplan.finding("encryption", o.resource, o.path, msg), required(o)) if {
	fallback(o) == "insecure"
	msg := sprintf("%s is not set, so %s.", [missing_name(o), harm(o)])
} else := object.union(tfplan.undetermined("encryption", o.resource, o.path, msg), required(o)) if {
	fallback(o) == "unclear"
	msg := sprintf("%s is not set, so %s.", [missing_name(o), harm(o)])
}

harm(o) := object.get(o.setting, "harm", "data crosses the network unencrypted")

# The values that do not encrypt.
plain_values(o) := [value |
	some value in values(o)
	value != null
	not encrypts(o.setting, value)
]

values(o) := [] if {
	o.block != "known"
} else := inner(o) if {
	o.setting.json
} else := value if {
	value := tfplan.value(o.resource, o.path)
	is_array(value)
} else := [tfplan.value(o.resource, o.path)]

encrypts(setting, value) if value in setting.required

encrypts(setting, value) if {
	pattern := setting.plain
	not regex.match(pattern, value)
}

# A URL may hold a password, so only its beginning is shown; of JSON only what is wrong with it.
shown_value(o) := "sensitive" if {
	tfplan.shown(o.resource, o.path) == "sensitive"
} else := concat(" and ", {sprintf("%v", [value]) | some value in plain_values(o)}) if {
	o.setting.json
} else := regex.find_n(`^\w+(://)?`, tfplan.value(o.resource, o.path), 1)[0] if {
	o.setting.plain
} else := tfplan.value(o.resource, o.path)

missing_name(o) := tfplan.attribute(o.path) if {
	o.block == "missing"
} else := setting_name(o)

setting_name(o) := sprintf("%s in %s", [o.setting.json, written(o)]) if {
	o.setting.json
} else := written(o)

required(o) := {"remediation": sprintf("Set %s to %s.", [name, wanted(o.setting)])} if {
	name := concat(".", [part | some part in [written(o), object.get(o.setting, "json", "")]; part != ""])
}

wanted(setting) := setting.instead if {
	setting.instead
} else := concat(" or ", [json.marshal(value) | some value in setting.required])
