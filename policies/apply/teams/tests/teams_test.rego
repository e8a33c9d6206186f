package apply.teams_test

import data.apply.teams

approved := {{"id": 2, "login": "reviewer"}}

request := {
	"teams": [
		{"name": "acme/platform", "members": [2], "problem": ""},
		{"name": "acme/dba", "members": [], "problem": "It has no members."},
	],
	"config": {"teams": ["acme/platform"], "destructive": {"teams": []}},
}

deny(asked) := result if {
	result := teams.deny with input as asked
		with data.apply.approvals.approved as approved
		with data.apply.approvals.destroys as false
}

changed(path, value) := json.patch(request, [{"op": "replace", "path": path, "value": value}])

test_teams if {
	count(deny(request)) == 0
	some d in deny(changed("/config/teams", ["acme/platform", "acme/dba"]))
	d.rule == "teams"
	d.msg == "Nobody of the team acme/dba approved. It has no members."
	count(deny(changed("/config/teams", ["acme/nosuch"]))) == 1
	count(deny(changed("/teams/0/members", [3]))) == 1
	count(deny(changed("/teams/0/name", "acme/other"))) == 1
	count(deny(changed("/config/teams", []))) == 0
}

test_teams_of_what_takes_away if {
	asked := changed("/config/destructive/teams", ["acme/dba"])
	count(deny(asked)) == 0
	count(teams.deny) == 1 with input as asked
		with data.apply.approvals.approved as approved
		with data.apply.approvals.destroys as true
}

test_what_is_missing_denies if {
	every path in ["/config", "/config/teams", "/config/destructive", "/config/destructive/teams", "/teams"] {
		count(deny(json.remove(request, [path]))) > 0
	}
	count(deny(changed("/config/teams", null))) > 0
}

test_requirements if {
	asked := changed("/config/teams", ["acme/platform", "acme/dba"])
	got := teams.requirements with input as asked with data.apply.approvals.approved as approved
	got == {
		{"text": "An approval by the team acme/platform (reviewer)", "met": true},
		{"text": "An approval by the team acme/dba", "met": false},
	}
}

test_break_glass if {
	asked := changed("/config/teams", ["acme/dba"])
	count(deny(asked)) == 1
	count(deny(asked)) == 0 with data.apply.break_glass.holds as true
	count(deny({})) == 0 with data.apply.break_glass.holds as true
	count(teams.requirements) == 0 with input as asked with data.apply.break_glass.holds as true
}
