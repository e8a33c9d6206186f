# METADATA
# title: Every team that has a say approved
# description: >-
#   A repository names teams of which somebody has to have approved, for every plan or for those that delete, replace
#   or forget something.
package apply.teams

import data.apply.approvals
import data.apply.break_glass

needed contains team if some team in input.config.teams

needed contains team if {
	approvals.destroys
	some team in input.config.destructive.teams
}

approvers(team) := {user.login |
	some known in input.teams
	known.name == team
	some user in approvals.approved
	user.id in known.members
}

# METADATA
# title: Somebody of each team approved this commit
# custom:
#   id: teams
deny contains {"rule": "teams", "msg": msg} if {
	not break_glass.holds
	some team in needed
	count(approvers(team)) == 0
	msg := sprintf("Nobody of the team %s approved.%s", [team, concat("", problems(team))])
}

deny contains {"rule": "teams", "msg": "It is not known which teams have to approve."} if {
	not break_glass.holds
	not settled
}

settled if {
	is_array(input.config.teams)
	is_array(input.config.destructive.teams)
}

problems(team) := {sprintf(" %s", [known.problem]) |
	some known in input.teams
	known.name == team
	known.problem != ""
}

requirements contains {"text": text, "met": count(names) > 0} if {
	not break_glass.holds
	some team in needed
	names := approvers(team)
	text := sprintf("An approval by the team %s%s", [team, named(names)])
}

# Its own, and not that of apply.approvals, which an organisation may replace.
named(people) := "" if count(people) == 0

named(people) := sprintf(" (%s)", [concat(", ", people)]) if count(people) > 0
