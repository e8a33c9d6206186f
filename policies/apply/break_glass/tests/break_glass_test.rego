package apply.break_glass_test

import data.apply.break_glass

request := {
	"pull": {"head_sha": "head"},
	"plan": {"effect_digest": "sha256:1"},
	"actor": {"id": 2, "login": "second"},
	"now": "2026-01-01T12:10:00Z",
	"break_glass": {
		"asked_by": {"id": 1, "login": "first"}, "asked_permission": "write",
		"confirmed_by": {"id": 2, "login": "second"}, "confirmed_permission": "admin",
		"reason": "payments are down", "head_sha": "head", "effect_digest": "sha256:1",
		"asked_at": "2026-01-01T12:00:00Z", "until": "2026-01-01T12:15:00Z", "issue": 7,
	},
}

test_holds if {
	break_glass.holds with input as request
	count(break_glass.deny) == 0 with input as request
	{r.text | some r in break_glass.requirements} == {"Two people broke the glass (first, second)"} with input as request
}

test_nobody_asked if {
	every unasked in [json.remove(request, ["/break_glass"]), json.patch(request, [{"op": "replace", "path": "/break_glass", "value": null}])] {
		not break_glass.holds with input as unasked
		count(break_glass.deny) == 0 with input as unasked
	}
}

refused(changed) if {
	not break_glass.holds with input as changed
	count(break_glass.deny) > 0 with input as changed
}

# Whatever is missing is not there.
test_each_fact_is_needed if {
	every path in [
		"/pull/head_sha", "/plan/effect_digest", "/actor/id", "/now", "/break_glass/asked_by", "/break_glass/asked_permission",
		"/break_glass/confirmed_by", "/break_glass/confirmed_permission", "/break_glass/reason", "/break_glass/head_sha",
		"/break_glass/effect_digest", "/break_glass/asked_at", "/break_glass/until", "/break_glass/issue",
	] {
		refused(json.remove(request, [path]))
	}
}

cases := {
	"/break_glass/asked_by/id": [2, 0],
	"/break_glass/confirmed_by/id": [1, 0, 3],
	"/break_glass/asked_by": [{"id": 1, "login": "robot", "bot": true}],
	"/break_glass/confirmed_by": [{"id": 2, "login": "robot", "bot": true}],
	"/break_glass/asked_permission": ["read", "", null],
	"/break_glass/confirmed_permission": ["read", "triage"],
	"/break_glass/reason": ["", "  "],
	"/break_glass/head_sha": ["older"],
	"/break_glass/effect_digest": ["sha256:2"],
	"/break_glass/issue": [0],
	"/break_glass/until": ["2026-01-01T12:09:59Z", "2026-01-01T12:15:01Z"],
	"/break_glass/asked_at": ["2026-01-01T12:10:01Z", "2026-01-01T11:59:59Z"],
	"/actor/id": [1, 3],
	"/now": ["2026-01-01T12:15:01Z", "2026-01-01T11:59:59Z"],
}

test_refused if {
	every path, values in cases {
		every value in values {
			refused(json.patch(request, [{"op": "replace", "path": path, "value": value}]))
		}
	}
}

# A plan without an effect is no plan.
test_no_effect if {
	refused(json.patch(request, [
		{"op": "replace", "path": "/break_glass/effect_digest", "value": ""},
		{"op": "replace", "path": "/plan/effect_digest", "value": ""},
	]))
}
