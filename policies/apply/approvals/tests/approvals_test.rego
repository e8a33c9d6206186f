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
	"commits": [{"sha": "head", "author": writer(1, "author"), "committer": writer(1, "author"), "co_authors": []}],
	"last_pushers": [writer(1, "author")],
	"actor": writer(1, "author"), "actor_permission": "write", "trigger": "merge",
	"plan": {"counts": {"create": 1, "delete": 0, "replace": 0, "forget": 0}},
	"plan_complete": true, "findings": [], "unwaivable": [], "break_glass": null,
	"config": {"approvals": 1, "on": ["merge"], "approver_may_apply": true, "destructive": {"approvals": 0}},
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
		"/actor_permission", "/trigger", "/plan_complete", "/config", "/last_pushers", "/commits/0/co_authors",
		"/config/approvals",
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
	"/commits/0/co_authors": {
		[writer(2, "reviewer")]: {"approvals"},
		[writer(0, "")]: {"approvals"},
		[writer(3, "helper")]: set(),
		"none": {"pull-request"},
	},
	"/last_pushers": {[writer(2, "reviewer")]: {"approvals"}, [writer(3, "helper")]: set(), []: set(), null: {"approvals"}},
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

test_the_asker_is_one_pair_of_eyes if {
	strict := json.patch(request, [
		{"op": "replace", "path": "/actor", "value": writer(2, "reviewer")},
		{"op": "replace", "path": "/config/approver_may_apply", "value": false},
	])
	{d.rule | some d in approvals.deny} == {"approvals"} with input as strict
	another := json.patch(strict, [{"op": "replace", "path": "/actor/id", "value": 3}])
	count(approvals.deny) == 0 with input as another
	lax := json.patch(strict, [{"op": "replace", "path": "/config/approver_may_apply", "value": true}])
	count(approvals.deny) == 0 with input as lax
	silent := json.patch(strict, [{"op": "remove", "path": "/config/approver_may_apply"}])
	count(approvals.deny) == 1 with input as silent
}

test_what_takes_away_needs_more if {
	two := json.patch(request, [{"op": "replace", "path": "/config/destructive/approvals", "value": 2}])
	count(approvals.deny) == 0 with input as two
	every count_of in ["delete", "replace", "forget"] {
		plan := json.patch(two, [{"op": "replace", "path": sprintf("/plan/counts/%s", [count_of]), "value": 1}])
		{d.rule | some d in approvals.deny} == {"approvals"} with input as plan
		twice := json.patch(plan, [{"op": "add", "path": "/reviews/-", "value": review(writer(4, "second"), "approved", "2026-01-01T12:00:00Z")}])
		count(approvals.deny) == 0 with input as twice
	}

	# Where nobody counted, it may take away.
	unknown := json.patch(two, [{"op": "remove", "path": "/plan/counts/forget"}])
	count(approvals.deny) == 1 with input as unknown
	unsettled := json.patch(request, [
		{"op": "remove", "path": "/config/destructive"},
		{"op": "replace", "path": "/plan/counts/delete", "value": 1},
	])
	count(approvals.deny) == 1 with input as unsettled
}

# Breaking the glass lifts what consent is for, and nothing else.
test_break_glass_lifts if {
	unapproved := changed("/reviews", [])
	{d.rule | some d in approvals.deny} == {"approvals"} with input as unapproved
	count(approvals.deny) == 0 with input as unapproved with data.apply.break_glass.holds as true
	every path, value in {
		"/pull/draft": true, "/pull/fork": true, "/actor_permission": "read", "/trigger": "button", "/plan_complete": false,
		"/reviews/0/state": "changes_requested",
	} {
		count(approvals.deny) > 0 with input as changed(path, value) with data.apply.break_glass.holds as true
	}
}

finding := {"severity": "deny", "verdict": "fail", "policy": "plan.tls", "rule": "version", "address": "aws_lb.a"}

test_break_glass_lifts_what_a_waiver_could if {
	failing := changed("/findings", [finding])
	{d.rule | some d in approvals.deny} == {"policies"} with input as failing
	count(approvals.deny) == 0 with input as failing with data.apply.break_glass.holds as true
	every patch in [
		{"op": "replace", "path": "/unwaivable", "value": ["plan.tls/version"]},
		{"op": "remove", "path": "/unwaivable"},
		{"op": "replace", "path": "/findings/0/address", "value": ""},
		{"op": "remove", "path": "/findings/0/address"},
		{"op": "remove", "path": "/findings/0/policy"},
		{"op": "remove", "path": "/findings/0/rule"},
	] {
		kept := json.patch(failing, [patch])
		{d.rule | some d in approvals.deny} == {"policies"} with input as kept with data.apply.break_glass.holds as true
	}
}

test_reasons if {
	every path, words in {
		"/last_pushers": {"reviewer pushed last"},
		"/commits/0/co_authors": {"reviewer made the change"},
	} {
		said := concat(" ", {d.msg | some d in approvals.deny}) with input as changed(path, [writer(2, "reviewer")])
		every w in words {
			contains(said, w)
		}
	}
}
