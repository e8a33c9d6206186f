package apply.owners_test

import data.apply.owners

approved := {{"id": 2, "login": "Grace"}}

request := {
	"owners": [{
		"commit": "base", "file": "CODEOWNERS", "problem": "", "rules": [
			{"line": 1, "pattern": "/a/", "paths": ["a/1", "a/2"], "owners": ["@ada", "@grace"]},
			{"line": 2, "pattern": "/b/", "paths": ["b/1"], "owners": ["@acme/dba"]},
			{"line": 3, "pattern": "/c/", "paths": ["c/1"], "owners": []},
		],
	}],
	"teams": [{"name": "acme/dba", "members": [2], "problem": ""}],
	"config": {"codeowners": true},
}

deny(asked) := result if {
	result := owners.deny with input as asked with data.apply.approvals.approved as approved
}

changed(path, value) := json.patch(request, [{"op": "replace", "path": path, "value": value}])

test_allowed if count(deny(request)) == 0

test_no_file if count(deny(changed("/owners", [{"commit": "base", "file": "", "problem": "", "rules": []}]))) == 0

test_switched_off if {
	count(deny(changed("/config/codeowners", false))) == 0
	count(deny(json.patch(request, [
		{"op": "replace", "path": "/config/codeowners", "value": false},
		{"op": "remove", "path": "/owners"},
	]))) == 0
}

cases := [
	{"path": "/owners/0/rules/0/owners", "value": ["@ada"], "msg": "a/1 and 1 more has to be approved by @ada (CODEOWNERS, line 1)."},
	{"path": "/owners/0/rules/1/owners", "value": ["@acme/ops"], "msg": "b/1 has to be approved by @acme/ops (CODEOWNERS, line 2)."},
	{"path": "/owners/0/rules/1/owners", "value": ["g@example.com"], "msg": "b/1 has to be approved by g@example.com (CODEOWNERS, line 2). Nobody can tell whose account g@example.com is: name the account."},
	{"path": "/owners/0/problem", "value": "line 2: not an owner", "msg": "Nobody can approve for CODEOWNERS, which is not sound: line 2: not an owner."},
	{"path": "/owners", "value": [], "msg": "Who owns the changed files was not looked at."},
	{"path": "/owners/0/rules", "value": null, "msg": "Which lines of CODEOWNERS decide was not looked at."},
	{"path": "/owners/0/rules/2/owners", "value": null, "msg": "c/1 has to be approved by an owner who is not known (CODEOWNERS, line 3)."},
]

test_refused if {
	every c in cases {
		{d.msg | some d in deny(changed(c.path, c.value))} == {c.msg}
	}
}

test_a_team_nobody_can_speak_for if {
	empty := json.patch(request, [
		{"op": "replace", "path": "/teams/0/members", "value": []},
		{"op": "replace", "path": "/teams/0/problem", "value": "It has no members."},
	])
	{d.msg | some d in deny(empty)} == {"b/1 has to be approved by @acme/dba (CODEOWNERS, line 2). It has no members."}
}

test_what_is_missing_denies if {
	every path in [
		"/owners", "/owners/0/problem", "/owners/0/rules", "/owners/0/rules/0/owners", "/owners/0/rules/2/owners",
		"/teams", "/teams/0/members",
	] {
		count(deny(json.remove(request, [path]))) > 0
	}
	nameless := json.remove(request, ["/owners/0/rules/2/owners", "/owners/0/rules/2/paths", "/owners/0/rules/2/line", "/owners/0/file"])
	{d.msg | some d in deny(nameless)} == {"A changed file has to be approved by an owner who is not known (CODEOWNERS, line ?)."}

	# Nobody said that owners do not matter.
	count(deny(json.patch(changed("/owners/0/rules/0/owners", ["@ada"]), [{"op": "remove", "path": "/config/codeowners"}]))) == 1
}

test_requirements if {
	asked := changed("/owners/0/rules/0/owners", ["@ada"])
	got := owners.requirements with input as asked with data.apply.approvals.approved as approved
	got == {
		{"text": "An owner of a/1 and 1 more: @ada", "met": false},
		{"text": "An owner of b/1: @acme/dba (Grace)", "met": true},
	}
	broken := owners.requirements with input as changed("/owners/0/problem", "x") with data.apply.approvals.approved as approved
	{"text": "CODEOWNERS can be read", "met": false} in broken
}

test_break_glass if {
	asked := changed("/owners/0/rules/0/owners", ["@ada"])
	count(deny(asked)) == 1
	count(deny(asked)) == 0 with data.apply.break_glass.holds as true
	count(owners.requirements) == 0 with input as asked with data.apply.break_glass.holds as true
}
