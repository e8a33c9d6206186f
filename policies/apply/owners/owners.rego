# METADATA
# title: The owners of every changed file approved
# description: >-
#   Who owns a file stands in CODEOWNERS on the base branch; the last line that matches it decides. Of a file that is
#   renamed, both names count. A pull request cannot change who owns its files.
package apply.owners

import data.apply.approvals
import data.apply.break_glass

default demanded := true

demanded := false if input.config.codeowners == false

demanded := false if break_glass.holds

# METADATA
# title: An owner of every changed file approved this commit
# custom:
#   id: owners
deny contains {"rule": "owners", "msg": msg} if {
	demanded
	some msg in missing
}

missing contains "Who owns the changed files was not looked at." if not looked_at

looked_at if {
	is_array(input.owners)
	count(input.owners) > 0
}

missing contains msg if {
	some file in input.owners
	not file.problem == ""
	msg := sprintf("Nobody can approve for %s, which is not sound: %s.", [
		object.get(file, "file", "CODEOWNERS"),
		object.get(file, "problem", "it was not read"),
	])
}

missing contains "Which lines of CODEOWNERS decide was not looked at." if {
	some file in input.owners
	not with_rules(file)
}

# A function, because "not is_array(file.rules)" is undefined for a file without them.
with_rules(file) if is_array(file.rules)

missing contains msg if {
	some [file, rule] in lines
	not approved(rule)
	msg := sprintf("%s has to be approved by %s (%s, line %v).%s", [
		subject(rule),
		who(rule),
		file,
		object.get(rule, "line", "?"),
		concat("", problems(rule)),
	])
}

# The lines that decide about changed files and name somebody.
lines contains [object.get(file, "file", "CODEOWNERS"), rule] if {
	some file in input.owners
	some rule in file.rules
	not nobodys(rule)
}

nobodys(rule) if rule.owners == []

approved(rule) if count(speakers(rule)) > 0

speakers(rule) := {user.login |
	some user in approvals.approved
	some owner in rule.owners
	speaks(user, owner)
}

# GitHub's names are the same in capitals.
speaks(user, owner) if lower(owner) == sprintf("@%s", [lower(user.login)])

speaks(user, owner) if {
	some team in input.teams
	lower(owner) == sprintf("@%s", [team.name])
	user.id in team.members
}

subject(rule) := rule.paths[0] if count(rule.paths) == 1

else := sprintf("%s and %d more", [rule.paths[0], count(rule.paths) - 1]) if count(rule.paths) > 1

else := "A changed file"

who(rule) := concat(" or ", rule.owners) if count(rule.owners) > 0

else := "an owner who is not known"

problems(rule) := {sprintf(" %s", [team.problem]) |
	some owner in rule.owners
	some team in input.teams
	lower(owner) == sprintf("@%s", [team.name])
	team.problem != ""
} | {sprintf(" Nobody can tell whose account %s is: name the account.", [owner]) |
	some owner in rule.owners
	not startswith(owner, "@")
}

requirements contains {"text": text, "met": count(names) > 0} if {
	demanded
	some [_, rule] in lines
	names := speakers(rule)
	text := sprintf("An owner of %s: %s%s", [subject(rule), who(rule), named(names)])
}

requirements contains {"text": "CODEOWNERS can be read", "met": false} if {
	demanded
	some file in input.owners
	not file.problem == ""
}

# Its own, and not that of apply.approvals, which an organisation may replace.
named(people) := "" if count(people) == 0

named(people) := sprintf(" (%s)", [concat(", ", people)]) if count(people) > 0
