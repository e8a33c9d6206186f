package apply.approvals_test

import data.apply.approvals

writer(id, login) := {"id": id, "login": login}

review(by, state, time) := {
	"id": 1, "author": by, "state": state, "commit_sha": "head", "permission": "write",
	"submitted_at": time,
}

request := {
	"pull": {"author": writer(1, "author"), "open": true, "draft": false, "fork": false, "merged": false, "head_sha": "head", "commits": 1},
	"reviews": [review(writer(2, "reviewer"), "approved", "2026-01-01T12:00:00Z")],
	"commits": [{"sha": "head", "author": writer(1, "author"), "committer": writer(1, "author")}],
	"actor": writer(1, "author"), "actor_permission": "write", "trigger": "merge",
	"plan_complete": true, "findings": [],
	"config": {"approvals": 1, "on": ["merge"]},
}

test_allowed if {
	count(approvals.deny) == 0 with input as request
	every requirement in approvals.requirements {
		requirement.met
	} with input as request
}

# Whatever is missing from the input denies, rather than being passed over.
test_each_fact_is_needed if {
	every path in [
		"/pull/draft", "/pull/fork", "/pull/head_sha", "/pull/commits", "/reviews", "/commits",
		"/actor_permission", "/trigger", "/plan_complete", "/config",
	] {
		count(approvals.deny) > 0 with input as json.patch(request, [{"op": "remove", "path": path}])
	}
}

changed(path, value) := json.patch(request, [{"op": "replace", "path": path, "value": value}])

# The rule that denies for each change to a request that is allowed.
denials := {
	"/reviews/0/state": {"dismissed": {"approvals"}, "changes_requested": {"approvals", "objections"}},
	"/reviews/0/permission": {"read": {"approvals"}},
	"/reviews/0/commit_sha": {"older": {"approvals"}},
	"/config/on": {[]: {"trigger"}},
	"/config/approvals": {2: {"approvals"}, 0: set()},
	"/pull/open": {false: {"pull-request"}},
	"/pull/draft": {true: {"pull-request"}},
	"/pull/fork": {true: {"pull-request"}},
	"/actor_permission": {"read": {"actor"}, "admin": set()},
	"/plan_complete": {false: {"policies"}},
	"/findings": {
		[{"severity": "deny", "verdict": "undetermined"}]: {"policies"},
		[{"severity": "deny", "verdict": "fail"}, {"severity": "deny", "verdict": "fail"}]: {"policies"},
		[{"severity": "deny", "verdict": "waived"}]: set(),
		[{"severity": "warn", "verdict": "fail"}]: set(),
	},
	"/reviews/0/author": {
		writer(1, "author"): {"approvals"},
		{"id": 3, "login": "robot", "bot": true}: {"approvals"},
	},
	"/actor": {{"id": 3, "login": "robot", "bot": true}: {"actor"}},
	"/commits/0/committer": {writer(0, ""): {"approvals"}, writer(2, "reviewer"): {"approvals"}},
	"/trigger": {"button": {"trigger"}},
}

test_denials if {
	every path, cases in denials {
		every value, rules in cases {
			{d.rule | some d in approvals.deny} == rules with input as changed(path, value)
		}
	}
}

test_buttons_are_comments if {
	button := json.patch(request, [
		{"op": "replace", "path": "/trigger", "value": "button"},
		{"op": "replace", "path": "/config/on", "value": ["comment"]},
	])
	count(approvals.deny) == 0 with input as button
}
