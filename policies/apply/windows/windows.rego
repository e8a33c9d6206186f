# METADATA
# title: The time is right
# description: >-
#   A repository may allow applies in some hours of the week only, and freeze them for some days. Both go by the clock of
#   the time zone that they name.
package apply.windows

import data.apply.break_glass

now := time.parse_rfc3339_ns(input.now)

default restricted := true

restricted := false if break_glass.holds

# METADATA
# title: A change window is open
# custom:
#   id: windows
deny contains {"rule": "windows", "msg": msg} if {
	restricted
	some windows in input.config.windows
	not open(windows)
	msg := sprintf("No change window is open: %s.", [hours(windows)])
}

deny contains {"rule": "windows", "msg": "It is not known when applies are allowed."} if {
	restricted
	not known
}

known if {
	now > 0
	is_array(input.config.windows)
	is_array(input.config.freezes)
	every freeze in input.config.freezes {
		readable(freeze)
	}
}

readable(freeze) if {
	is_string(freeze.from)
	is_string(freeze.until)
	is_string(freeze.reason)
	today(freeze.zone)
}

open(windows) if {
	some window in windows
	day := lower(substring(time.weekday([now, window.zone]), 0, 3))
	day in window.days
	[hour, minute, _] := time.clock([now, window.zone])
	at := sprintf("%02d:%02d", [hour, minute])
	at >= window.from
	at < window.to
}

hours(windows) := concat(" or ", [text |
	some window in windows
	text := sprintf("%s from %s to %s %s", [concat(", ", window.days), window.from, window.to, window.zone])
])

requirements contains {"text": sprintf("A change window is open (%s)", [hours(windows)]), "met": true} if {
	restricted
	some windows in input.config.windows
	open(windows)
}

requirements contains {"text": sprintf("A change window is open (%s)", [hours(windows)]), "met": false} if {
	restricted
	some windows in input.config.windows
	not open(windows)
}

# METADATA
# title: No freeze is in force
# custom:
#   id: freezes
deny contains {"rule": "freezes", "msg": msg} if {
	restricted
	some freeze in frozen
	msg := sprintf("Applies are frozen until %s has passed in %s: %s.", [freeze.until, freeze.zone, freeze.reason])
}

frozen contains freeze if {
	some freeze in input.config.freezes
	freeze.from <= today(freeze.zone)
	today(freeze.zone) <= freeze.until
}

today(zone) := sprintf("%04d-%02d-%02d", time.date([now, zone]))

requirements contains {"text": "No freeze is in force", "met": count(frozen) == 0} if {
	restricted
	is_array(input.config.freezes)
	count(input.config.freezes) > 0
}
