package plan.required_tags

import data.plan.required_tags.parameters

# The line of the one tag, or of the tags as a whole.
attribute(r, wrong) := block if {
	block := parameters.tag_blocks[r.type]
} else := sprintf("tags[%q]", wrong) if {
	count(wrong) == 1
} else := "tags"

complaint(r, tags, states) := concat("", [upper(substring(what, 0, 1)), substring(what, 1, -1), ": it is unknown whose resource this is."]) if {
	absent := [concat("", [tags_named(wrong), verb(wrong), how, near_misses(wrong, tags)]) |
		some how in ["missing", "blank"]
		wrong := [key | some key in keys; states[key] == how]
		count(wrong) > 0
	]
	foreign := [sprintf("the tag %s is %s, which is none of %s", [key, shown(r, key, tags[key]), list(parameters.allowed_values[key])]) |
		some key in keys
		states[key] == "foreign"
	]
	what := concat(", and ", array.concat(absent, foreign))
}

tags_named([key]) := sprintf("the tag %s", [key])

tags_named(several) := sprintf("the tags %s", [list(several)]) if count(several) > 1

verb([_]) := " is "

verb(several) := " are " if count(several) > 1

list(words) := concat(" and ", [rest | some rest in [concat(", ", array.slice(words, 0, last)), words[last]]; rest != ""]) if {
	last := count(words) - 1
}

# Keys are case sensitive, which surprises people who have written cost_center.
near_misses(wrong, tags) := sprintf(" (%s is another key)", [list(near)]) if {
	near := [other | some other, _ in tags; some key in wrong; other != key; plain(other) == plain(key)]
	count(near) > 0
} else := ""

plain(key) := regex.replace(lower(key), `[^\pL\pN]`, "")

# The plan holds sensitive values in clear.
shown(r, key, value) := "a sensitive value" if {
	some path in [["tags"], ["tags", key], ["tags_all"], ["tags_all", key], ["tag"]]
	object.get(r.change.after_sensitive, path, false) == true
} else := sprintf("%q", [value])

remediation(r, wrong) := sprintf("Add a tag block for %s: default_tags of the provider do not reach it.", [list(wrong)]) if {
	parameters.tag_blocks[r.type]
} else := sprintf("Set %s in default_tags of the provider, or in tags of the resource.", [list(wrong)])
