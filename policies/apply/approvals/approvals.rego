# METADATA
# title: Four eyes on every apply
# description: >-
#   A plan is applied only when someone other than its makers approved exactly this commit, when its
#   policies passed, and when the person who asks may write to the repository.
package apply.approvals

import data.apply.break_glass

head := input.pull.head_sha

writers := {"write", "maintain", "admin"}

# Who made the change: whoever has a hand in a commit cannot also be its second pair of eyes.
hands contains input.pull.author

hands contains user if {
	some commit in input.commits
	some user in [commit.author, commit.committer]
}

hands contains user if {
	some commit in input.commits
	some user in commit.co_authors
}

makers contains user.id if some user in hands

# Whoever pushed the head has decided what is in it, whoever wrote it.
pushers contains user.id if some user in input.last_pushers

# GitHub found no account for an e-mail address, so this maker could be anyone, the approver too.
# Then one approval more is asked for, because one of them may be the maker's own.
unknown_maker if 0 in makers

default required := 1

required := asked + 1 if {
	unknown_maker
	asked > 0
} else := asked

# Plans that take something away may need more.
asked := max([input.config.approvals, input.config.destructive.approvals]) if destroys

asked := input.config.approvals if not destroys

default destroys := true

destroys := false if {
	counts := input.plan.counts
	(counts.delete + counts.replace) + counts.forget == 0
}

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

# Who approved exactly this commit and counts. The other rules of this gate build on it.
approved contains {"id": review.author.id, "login": review.author.login} if {
	some review in latest
	review.state == "approved"
	review.commit_sha == head
	review.permission in writers
	not review.author.bot
	not review.author.id in makers
	not review.author.id in pushers
	not excluded(review.author)
	review.author.id != 0
}

# Whoever asks for the apply is one pair of eyes, where the settings want another.
excluded(person) if {
	not input.config.approver_may_apply
	person.id == input.actor.id
}

approvers contains user.login if some user in approved

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
	not enough
	not break_glass.holds
	msg := sprintf("%d of %d approvals of commit %s by people who may write and did not make the change.%s", [
		count(approvers),
		required,
		substring(head, 0, 7),
		concat("", reasons),
	])
}

default enough := false

enough if {
	asked >= 0
	count(approvers) >= required
	is_array(input.last_pushers)
}

requirements contains {"text": text, "met": enough} if {
	not break_glass.holds
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

reasons contains sprintf(" %s pushed last.", [review.author.login]) if {
	some review in latest
	review.state == "approved"
	review.author.id in pushers
	not review.author.id in makers
}

reasons contains sprintf(" %s asks for the apply, and the approval of another is wanted.", [review.author.login]) if {
	some review in latest
	review.state == "approved"
	excluded(review.author)
}

reasons contains " Who pushed last was not looked at." if not is_array(input.last_pushers)

reasons contains " The plan deletes, replaces or forgets something." if {
	destroys
	asked > input.config.approvals
}

reasons contains sprintf(" %s is a bot.", [review.author.login]) if {
	some review in latest
	review.state == "approved"
	review.author.bot
}

reasons contains " GitHub does not know the author, committer or co-author of a commit, who could be the approver, so one more approval is needed." if {
	unknown_maker
	asked > 0
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

obstacles contains "The pull request is a draft." if not ready

ready if input.pull.draft == false

obstacles contains "The pull request comes from a fork, whose commits people without write access control." if not at_home

at_home if input.pull.fork == false

obstacles contains "The list of commits is not complete, so their authors cannot all be checked." if not all_commits

all_commits if {
	some commit in input.commits
	commit.sha == head
	count(input.commits) == input.pull.commits
	every c in input.commits {
		is_array(c.co_authors)
	}
}

# METADATA
# title: The person who asks may apply
# custom:
#   id: actor
deny contains {"rule": "actor", "msg": msg} if {
	not actor_may_write
	msg := sprintf("%s may not write to the repository.", [object.get(input, ["actor", "login"], "?")])
}

actor_may_write if input.actor_permission in writers

deny contains {"rule": "actor", "msg": "Applies are asked for by people, not by bots."} if input.actor.bot

# METADATA
# title: This way of asking is switched on
# custom:
#   id: trigger
deny contains {"rule": "trigger", "msg": msg} if {
	not switched_on
	msg := sprintf("Applying by %s is switched off in .tollgate.yaml.", [object.get(input, "trigger", "?")])
}

switched_on if input.trigger in input.config.on

# A button is a comment with fewer keystrokes.
switched_on if {
	input.trigger == "button"
	"comment" in input.config.on
}

# METADATA
# title: Every policy passed
# custom:
#   id: policies
deny contains {"rule": "policies", "msg": msg} if {
	count(blocking) > 0
	msg := sprintf("%d %s of the policies block the plan.", [count(blocking), findings(count(blocking))])
}

deny contains {"rule": "policies", "msg": "The plan is not complete, or not every policy has judged it."} if not judged_as_a_whole

judged_as_a_whole if input.plan_complete

# A severity or verdict that is not known blocks.
blocking := [f |
	some f in input.findings
	not f.severity == "warn"
	not f.verdict in {"pass", "waived"}
	not lifted(f)
]

# Breaking the glass lifts what a waiver could.
lifted(f) if {
	break_glass.holds
	is_array(input.unwaivable)
	f.address != ""
	rule := sprintf("%s/%s", [f.policy, f.rule])
	not rule in input.unwaivable
}

findings(n) := "finding" if n == 1

findings(n) := "findings" if n != 1

requirements contains {"text": "Every policy passed", "met": passed}

default passed := false

passed if {
	judged_as_a_whole
	count(blocking) == 0
}
