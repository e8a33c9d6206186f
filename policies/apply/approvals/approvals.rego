# METADATA
# title: Four eyes on every apply
# description: >-
#   A plan is applied only when someone other than its makers approved exactly this commit, when its
#   policies passed, and when the person who asks may write to the repository.
package apply.approvals

head := input.pull.head_sha

writers := {"write", "maintain", "admin"}

# Who made the change: whoever has a hand in a commit cannot also be its second pair of eyes.
hands contains input.pull.author

hands contains user if {
	some commit in input.commits
	some user in [commit.author, commit.committer]
}

makers contains user.id if some user in hands

# GitHub found no account for an e-mail address, so this maker could be anyone, the approver too.
# Then one approval more is asked for: of two approvers, at most one can be the unknown maker.
default unknown_makers := 0

unknown_makers := 1 if 0 in makers

required := input.config.approvals + unknown_makers

# The newest decisive review of each person counts; comments decide nothing.
decisive(person) := [review |
	some review in input.reviews
	review.author.id == person
	review.state in {"approved", "changes_requested", "dismissed"}
]

latest contains review if {
	some person in {review.author.id | some review in input.reviews}
	reviews := decisive(person)
	newest := max([age(review) | some review in reviews])
	some review in reviews
	age(review) == newest
}

age(review) := [time.parse_rfc3339_ns(review.submitted_at), review.id]

approvers contains review.author.login if {
	some review in latest
	review.state == "approved"
	review.commit_sha == head
	review.permission in writers
	not review.author.bot
	not review.author.id in makers
	review.author.id != 0
}

objectors contains review.author.login if {
	some review in latest
	review.state == "changes_requested"
	review.permission in writers
}

# METADATA
# title: Enough people approved this commit
# custom:
#   id: approvals
deny contains {"rule": "approvals", "msg": msg} if {
	count(approvers) < required
	msg := sprintf("%d of %d approvals of commit %s by people who may write and did not make the change.%s", [
		count(approvers),
		required,
		substring(head, 0, 7),
		concat("", [reason | some reason in reasons]),
	])
}

requirements contains {"text": text, "met": count(approvers) >= required} if {
	text := sprintf("%d %s by someone other than the author and the committers%s", [
		required,
		plural(required),
		names(approvers),
	])
}

plural(n) := "approval" if n == 1

plural(n) := "approvals" if n != 1

names(people) := "" if count(people) == 0

names(people) := sprintf(" (%s)", [concat(", ", people)]) if count(people) > 0

# Why approvals that are there do not count, so that nobody has to guess.
reasons contains sprintf(" %s approved an older commit.", [review.author.login]) if {
	some review in latest
	review.state == "approved"
	review.commit_sha != head
}

reasons contains sprintf(" %s may not write to the repository.", [review.author.login]) if {
	some review in latest
	review.state == "approved"
	not review.permission in writers
}

reasons contains sprintf(" %s made the change.", [review.author.login]) if {
	some review in latest
	review.state == "approved"
	review.author.id in makers
}

reasons contains sprintf(" %s is a bot.", [review.author.login]) if {
	some review in latest
	review.state == "approved"
	review.author.bot
}

reasons contains " GitHub does not know the author or committer of a commit, who could be the approver, so one more approval is needed." if {
	unknown_makers > 0
}

# METADATA
# title: Nobody who may write asks for changes
# custom:
#   id: objections
deny contains {"rule": "objections", "msg": msg} if {
	count(objectors) > 0
	msg := sprintf("Changes were requested by %s.", [concat(", ", objectors)])
}

requirements contains {"text": "No changes requested", "met": count(objectors) == 0}

# METADATA
# title: The pull request can be applied
# custom:
#   id: pull-request
deny contains {"rule": "pull-request", "msg": msg} if some msg in obstacles

obstacles contains "The pull request is closed without being merged." if {
	not input.pull.open
	not input.pull.merged
}

obstacles contains "The pull request is a draft." if input.pull.draft

obstacles contains "The pull request comes from a fork, whose commits people without write access control." if input.pull.fork

obstacles contains "The list of commits is not complete, so their authors cannot all be checked." if {
	count(input.commits) != input.pull.commits
}

obstacles contains "The list of commits does not hold the head commit." if {
	not head in {commit.sha | some commit in input.commits}
}

# METADATA
# title: The person who asks may apply
# custom:
#   id: actor
deny contains {"rule": "actor", "msg": msg} if {
	not input.actor_permission in writers
	msg := sprintf("%s may not write to the repository.", [input.actor.login])
}

deny contains {"rule": "actor", "msg": "Applies are asked for by people, not by bots."} if input.actor.bot

# METADATA
# title: This way of asking is switched on
# custom:
#   id: trigger
deny contains {"rule": "trigger", "msg": msg} if {
	not trigger in input.config.on
	msg := sprintf("Applying on %s is switched off in .tollgate.yaml.", [trigger])
}

# A button is a comment with fewer keystrokes.
trigger := "comment" if input.trigger == "button"

trigger := input.trigger if input.trigger != "button"

# METADATA
# title: Every policy passed
# custom:
#   id: policies
deny contains {"rule": "policies", "msg": msg} if {
	count(blocking) > 0
	msg := sprintf("%d findings of the policies block the plan.", [count(blocking)])
}

deny contains {"rule": "policies", "msg": "The plan is not complete or was not judged by every policy."} if {
	not input.plan_complete
}

blocking := [f |
	some f in input.findings
	f.severity == "deny"
	not f.verdict in {"pass", "waived"}
]

requirements contains {"text": "Every policy passed", "met": met} if {
	met := {count(blocking) == 0, input.plan_complete} == {true}
}
