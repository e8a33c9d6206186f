package apply.windows_test

import data.apply.windows

office := {"days": ["mon", "tue", "wed", "thu"], "from": "09:00", "to": "16:00", "zone": "Europe/Berlin"}

# A Wednesday, 10:30 in Berlin.
request := {"now": "2026-07-01T08:30:00Z", "config": {"windows": [[office]], "freezes": []}}

at(now) := json.patch(request, [{"op": "replace", "path": "/now", "value": now}])

rules(asked) := result if {
	result := {d.rule | some d in windows.deny} with input as asked
}

test_open if {
	every now in ["2026-07-01T07:00:00Z", "2026-07-01T13:59:59Z", "2026-01-07T08:00:00Z", "2026-01-07T14:59:59.5Z"] {
		rules(at(now)) == set()
	}
}

# The clock is that of the zone, in summer and in winter, and so is the day.
test_closed if {
	every now in [
		"2026-07-01T06:59:59Z", "2026-07-01T14:00:00Z", "2026-01-07T07:59:59Z", "2026-01-07T15:00:00Z",
		"2026-07-03T08:30:00Z", "2026-07-05T08:30:00Z",
	] {
		rules(at(now)) == {"windows"}
	}
	night := json.patch(at("2026-07-05T22:30:00Z"), [{"op": "replace", "path": "/config/windows/0/0/from", "value": "00:00"}])
	rules(night) == set() # it is Monday in Berlin
}

test_message if {
	{d.msg | some d in windows.deny} == {"No change window is open: mon, tue, wed, thu from 09:00 to 16:00 Europe/Berlin."} with input as at("2026-07-05T08:30:00Z")
}

# One window of every list has to be open.
test_lists if {
	never := object.union(office, {"days": ["sun"]})
	rules(json.patch(request, [{"op": "add", "path": "/config/windows/0/-", "value": never}])) == set()
	rules(json.patch(request, [{"op": "add", "path": "/config/windows/-", "value": [never]}])) == {"windows"}
	rules(json.patch(request, [{"op": "add", "path": "/config/windows/-", "value": []}])) == {"windows"}
	rules(json.patch(request, [{"op": "replace", "path": "/config/windows", "value": []}])) == set()
}

frozen(from, until) := json.patch(request, [{"op": "add", "path": "/config/freezes/-", "value": {"from": from, "until": until, "zone": "Asia/Tokyo", "reason": "sale"}}])

test_freezes if {
	every days in [["2026-07-01", "2026-07-01"], ["2026-06-01", "2026-07-01"], ["2026-07-01", "2027-01-01"]] {
		rules(frozen(days[0], days[1])) == {"freezes"}
	}
	every days in [["2026-07-02", "2026-07-03"], ["2026-06-01", "2026-06-30"]] {
		rules(frozen(days[0], days[1])) == set()
	}
	{d.msg | some d in windows.deny} == {"Applies are frozen until 2026-07-01 has passed in Asia/Tokyo: sale."} with input as frozen("2026-07-01", "2026-07-01")

	# It is the next day in Tokyo already.
	late := json.patch(frozen("2026-07-02", "2026-07-02"), [
		{"op": "replace", "path": "/now", "value": "2026-07-01T15:30:00Z"},
		{"op": "replace", "path": "/config/windows", "value": []},
	])
	rules(late) == {"freezes"}
}

test_what_is_missing_denies if {
	free := json.patch(request, [{"op": "replace", "path": "/config/windows", "value": []}])
	rules(free) == set()
	every path in ["/now", "/config", "/config/windows", "/config/freezes"] {
		"windows" in rules(json.remove(free, [path]))
	}
	every path in ["/config/windows/0/0/days", "/config/windows/0/0/from", "/config/windows/0/0/to", "/config/windows/0/0/zone"] {
		rules(json.remove(request, [path])) == {"windows"}
	}
	past := frozen("2026-06-01", "2026-06-02")
	every path in ["/config/freezes/0/from", "/config/freezes/0/until", "/config/freezes/0/zone", "/config/freezes/0/reason"] {
		rules(json.remove(past, [path])) == {"windows"}
	}
}

test_requirements if {
	windows.requirements == {
		{"text": "A change window is open (mon, tue, wed, thu from 09:00 to 16:00 Europe/Berlin)", "met": true},
		{"text": "No freeze is in force", "met": false},
	} with input as frozen("2026-07-01", "2026-07-01")
	windows.requirements == {{"text": "A change window is open (mon, tue, wed, thu from 09:00 to 16:00 Europe/Berlin)", "met": false}} with input as at("2026-07-05T08:30:00Z")
}

test_break_glass if {
	every asked in [at("2026-07-05T08:30:00Z"), frozen("2026-07-01", "2026-07-01"), {}] {
		count(windows.deny) == 0 with input as asked with data.apply.break_glass.holds as true
		count(windows.requirements) == 0 with input as asked with data.apply.break_glass.holds as true
	}
}
