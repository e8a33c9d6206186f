# METADATA
# title: Breaking the glass takes two people
# description: >-
#   In an emergency one apply may go without approvals, teams, owners and windows, and in spite of findings that a
#   waiver could cover. One person asks and says why, a second one confirms within 15 minutes, and an issue tells everybody.
#   It replaces consent that is missing; it overrides nobody who asks for changes.
package apply.break_glass

default holds := false

holds if {
	asked
	count(faults) == 0
}

asked if input.break_glass != null

glass := input.break_glass

writers := {"write", "maintain", "admin"}

# METADATA
# title: Two people broke the glass for this plan, in time
# custom:
#   id: break-glass
deny contains {"rule": "break-glass", "msg": msg} if {
	asked
	some fault in faults
	msg := sprintf("The glass is not broken: %s.", [fault])
}

requirements contains {"text": text, "met": true} if {
	holds
	text := sprintf("Two people broke the glass (%s, %s)", [glass.asked_by.login, glass.confirmed_by.login])
}

faults contains "it takes two different people" if not two_people

two_people if {
	glass.asked_by.id > 0
	glass.confirmed_by.id > 0
	glass.asked_by.id != glass.confirmed_by.id
}

faults contains "a bot is no person" if {
	some person in [glass.asked_by, glass.confirmed_by]
	person.bot
}

faults contains "both have to have write permission" if not both_may_write

both_may_write if {
	glass.asked_permission in writers
	glass.confirmed_permission in writers
}

faults contains "whoever confirms it has to ask for the apply" if not input.actor.id == glass.confirmed_by.id

faults contains "no reason is given" if not with_reason

with_reason if trim_space(glass.reason) != ""

faults contains "no issue tells of it" if not told

told if glass.issue > 0

faults contains "it is of another commit" if not glass.head_sha == input.pull.head_sha

faults contains "it is of a plan with another effect" if not of_this_plan

of_this_plan if {
	glass.effect_digest == input.plan.effect_digest
	glass.effect_digest != ""
}

minute := 60000000000

faults contains "its 15 minutes are over" if not in_time

in_time if {
	now := time.parse_rfc3339_ns(input.now)
	from := time.parse_rfc3339_ns(glass.asked_at)
	until := time.parse_rfc3339_ns(glass.until)
	from <= now
	now <= until
	until - from <= 15 * minute
}
