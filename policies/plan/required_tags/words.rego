package plan.required_tags

import data.plan.required_tags.parameters

# The line of the one tag, or of the tags as a whole.
attribute(about, wrong) := about.block if {
	about.block != ""
} else := sprintf("tags[%q]", wrong) if {
	count(wrong) == 1
} else := "tags"

complaint(about, states) := concat("", [upper(substring(what, 0, 1)), substring(what, 1, -1), ": ", consequence(absent)]) if {
	absent := [concat("", [tags_named(wrong), verb(wrong), how, near_misses(wrong, about.others)]) |
		some how in ["missing", "blank"]
		wrong := [key | some key in keys; states[key] == how]
		count(wrong) > 0
	]
	foreign := [sprintf("the tag %s is %s, which is none of %s", [key, shown(about, key), list(parameters.allowed_values[key])]) |
		some key in keys
		states[key] == "foreign"
	]
	what := concat(", and ", array.concat(absent, foreign))
}

consequence([]) := "who searches by the agreed values does not find this resource."

consequence(absent) := "it is unknown whose resource this is." if count(absent) > 0

tags_named([key]) := sprintf("the tag %s", [key])

tags_named(several) := sprintf("the tags %s", [list(several)]) if count(several) > 1

verb([_]) := " is "

verb(several) := " are " if count(several) > 1

list(words) := concat(" and ", [part | some part in [concat(", ", array.slice(words, 0, last)), words[last]]; part != ""]) if {
	last := count(words) - 1
}

# Keys are case sensitive, which surprises people who have written cost_center.
near_misses(wrong, others) := sprintf(", but there%s%s", [verb(near), list(near)]) if {
	near := [other | some other in others; some key in wrong; plain(other) == plain(key)]
	count(near) > 0
} else := ""

plain(key) := regex.replace(lower(key), `[^\pL\pN]`, "")

shown(about, key) := "a sensitive value" if {
	key in about.secret
} else := sprintf("%q", [about.tags[key]])

remediation(about, wrong) := sprintf("Add a %s block for %s: default_tags of the provider do not reach this type.", [about.block, list(wrong)]) if {
	about.block != ""
} else := sprintf("Set %s in default_tags of the provider, or in tags of the resource.", [list(wrong)])
