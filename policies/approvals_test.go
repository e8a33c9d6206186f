package policies_test

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tollgate/tollgate/internal/change"
	"github.com/tollgate/tollgate/internal/gate"
)

var (
	author   = change.User{ID: 1, Login: "author"}
	reviewer = change.User{ID: 2, Login: "reviewer"}
	second   = change.User{ID: 3, Login: "second"}
	helper   = change.User{ID: 4, Login: "helper"}
	robot    = change.User{ID: 5, Login: "robot[bot]", Bot: true}
	stranger = change.User{} // GitHub matched no account
)

func review(by change.User, state string, minute int) change.Review {
	return change.Review{
		ID: int64(minute), Author: by, State: state, CommitSHA: "head", Permission: "write",
		SubmittedAt: time.Date(2026, 1, 1, 12, minute, 0, 0, time.UTC),
	}
}

func commit(sha string) gate.Commit {
	return gate.Commit{SHA: sha, Author: author, Committer: author, CoAuthors: []change.User{}}
}

// approved is an apply that the default gate allows; each test changes one thing about it.
func approved() gate.ApplyInput {
	return gate.ApplyInput{
		Pull:            change.Pull{Author: author, Open: true, HeadSHA: "head", Commits: 2},
		Reviews:         []change.Review{review(reviewer, "approved", 1)},
		Commits:         []gate.Commit{commit("first"), commit("head")},
		LastPushers:     []change.User{author},
		Actor:           author,
		ActorPermission: "write",
		Trigger:         "comment",
		PlanComplete:    true,
		Findings: []change.Finding{
			{Rule: "a", Verdict: change.Pass, Severity: change.Deny},
			{Rule: "b", Verdict: change.Waived, Severity: change.Deny},
			{Rule: "c", Verdict: change.Fail, Severity: change.Warn},
		},
		Unwaivable: []string{},
		Teams:      []change.Team{},
		Owners:     []gate.Owners{{Commit: "base", Rules: []gate.Owned{}}},
		Config: gate.ApplyConfig{
			Approvals: 1, On: []string{"merge", "comment"}, ApproverMayApply: true, Teams: []string{}, Codeowners: true,
			Destructive: gate.Destructive{Teams: []string{}}, Windows: [][]gate.Window{}, Freezes: []gate.Freeze{},
		},
		Now: time.Date(2026, 1, 1, 13, 0, 0, 0, time.UTC),
	}
}

// broken is an apply that only two people's word lets pass.
func broken() gate.ApplyInput {
	in := approved()
	in.Reviews, in.Actor = []change.Review{}, second
	in.Plan.EffectDigest = "sha256:1"
	in.Findings[0].Verdict, in.Findings[0].Address = change.Fail, "aws_lb.a"
	in.Config.Teams, in.Owners = []string{"acme/ops"}, []gate.Owners{{Problem: "line 1"}}
	in.Config.Freezes = []gate.Freeze{{From: "2026-01-01", Until: "2026-01-01", Zone: "UTC", Reason: "holidays"}}
	in.BreakGlass = &gate.BreakGlass{
		AskedBy: author, AskedPermission: "write", ConfirmedBy: second, ConfirmedPermission: "write", Reason: "down", Issue: 1,
		HeadSHA: "head", EffectDigest: "sha256:1", AskedAt: in.Now.Add(-time.Minute), Until: in.Now.Add(time.Minute),
	}
	return in
}

// Covers: T19, T25, T26, T27, T64, T77
func TestApprovals(t *testing.T) {
	t.Parallel()
	set := builtIn(t)
	reviews := func(rs ...change.Review) func(*gate.ApplyInput) {
		return func(in *gate.ApplyInput) { in.Reviews = rs }
	}
	with := func(r change.Review, edit func(*change.Review)) change.Review { edit(&r); return r }
	tests := map[string]struct {
		edit func(*gate.ApplyInput)
		deny string // "rule: part of the message"; empty if it is allowed
	}{
		"approved by another writer":             {func(*gate.ApplyInput) {}, ""},
		"approved by a maintainer":               {func(in *gate.ApplyInput) { in.Reviews[0].Permission = "maintain" }, ""},
		"approved by an administrator":           {func(in *gate.ApplyInput) { in.Reviews[0].Permission = "admin" }, ""},
		"nobody approved":                        {reviews(), "approvals: 0 of 1"},
		"approver may only read":                 {func(in *gate.ApplyInput) { in.Reviews[0].Permission = "read" }, "approvals: reviewer may not write"},
		"approver may only triage":               {func(in *gate.ApplyInput) { in.Reviews[0].Permission = "triage" }, "approvals: reviewer may not write"},
		"approver's permission is unknown":       {func(in *gate.ApplyInput) { in.Reviews[0].Permission = "" }, "approvals: reviewer may not write"},
		"approver is the author":                 {reviews(review(author, "approved", 1)), "approvals: author made the change"},
		"approver wrote a commit":                {func(in *gate.ApplyInput) { in.Commits[0].Author = reviewer }, "approvals: reviewer made the change"},
		"approver committed a commit":            {func(in *gate.ApplyInput) { in.Commits[1].Committer = reviewer }, "approvals: reviewer made the change"},
		"approver was renamed and is the author": {reviews(review(change.User{ID: 1, Login: "other"}, "approved", 1)), "approvals: other made the change"},
		"approver is a bot":                      {reviews(review(robot, "approved", 1)), "approvals: robot[bot] is a bot"},
		"approver has no account":                {reviews(review(stranger, "approved", 1)), "approvals: 0 of 1"},
		"an older commit was approved":           {reviews(with(review(reviewer, "approved", 1), func(r *change.Review) { r.CommitSHA = "first" })), "approvals: reviewer approved an older commit"},
		"approval dismissed":                     {reviews(review(reviewer, "dismissed", 1)), "approvals: 0 of 1"},
		"only a comment":                         {reviews(review(reviewer, "commented", 1)), "approvals: 0 of 1"},
		"approval not submitted":                 {reviews(review(reviewer, "pending", 1)), "approvals: 0 of 1"},
		"a comment after the approval":           {reviews(review(reviewer, "approved", 1), review(reviewer, "commented", 2)), ""},
		"changes requested after the approval":   {reviews(review(reviewer, "approved", 1), review(reviewer, "changes_requested", 2)), "objections: requested by reviewer"},
		"approved after changes requested":       {reviews(review(reviewer, "approved", 2), review(reviewer, "changes_requested", 1)), ""},
		"another writer requests changes":        {reviews(review(reviewer, "approved", 1), review(second, "changes_requested", 2)), "objections: requested by second"},
		"a reader requests changes":              {reviews(review(reviewer, "approved", 1), with(review(second, "changes_requested", 2), func(r *change.Review) { r.Permission = "read" })), ""},
		"two needed, one there":                  {func(in *gate.ApplyInput) { in.Config.Approvals = 2 }, "approvals: 1 of 2"},
		"two needed, one twice": {func(in *gate.ApplyInput) {
			in.Config.Approvals = 2
			in.Reviews = []change.Review{review(reviewer, "approved", 1), review(reviewer, "approved", 2)}
		}, "approvals: 1 of 2"},
		"two needed, two there": {func(in *gate.ApplyInput) {
			in.Config.Approvals = 2
			in.Reviews = []change.Review{review(reviewer, "approved", 1), review(second, "approved", 2)}
		}, ""},
		"none needed":                     {func(in *gate.ApplyInput) { in.Config.Approvals, in.Reviews = 0, nil }, ""},
		"unknown committer, one approval": {func(in *gate.ApplyInput) { in.Commits[0].Committer = stranger }, "approvals: one more approval is needed"},
		"unknown committer, two approvals": {func(in *gate.ApplyInput) {
			in.Commits[0].Committer = stranger
			in.Reviews = []change.Review{review(reviewer, "approved", 1), review(second, "approved", 2)}
		}, ""},
		"approver is a co-author":                {func(in *gate.ApplyInput) { in.Commits[0].CoAuthors = []change.User{reviewer} }, "approvals: reviewer made the change"},
		"a co-author is unknown":                 {func(in *gate.ApplyInput) { in.Commits[0].CoAuthors = []change.User{stranger} }, "approvals: one more approval is needed"},
		"another is a co-author":                 {func(in *gate.ApplyInput) { in.Commits[0].CoAuthors = []change.User{helper} }, ""},
		"approver pushed last":                   {func(in *gate.ApplyInput) { in.LastPushers = []change.User{author, reviewer} }, "approvals: reviewer pushed last"},
		"another pushed last":                    {func(in *gate.ApplyInput) { in.LastPushers = []change.User{helper} }, ""},
		"nobody looked who pushed":               {func(in *gate.ApplyInput) { in.LastPushers = nil }, "approvals: was not looked at"},
		"approver asks for it, which is allowed": {func(in *gate.ApplyInput) { in.Actor = reviewer }, ""},
		"approver asks for it":                   {func(in *gate.ApplyInput) { in.Actor, in.Config.ApproverMayApply = reviewer, false }, "approvals: reviewer asks for the apply"},
		"another asks for it":                    {func(in *gate.ApplyInput) { in.Config.ApproverMayApply = false }, ""},
		"a team has not approved":                {func(in *gate.ApplyInput) { in.Config.Teams = []string{"acme/ops"} }, "teams: Nobody of the team acme/ops approved"},
		"a team has approved": {func(in *gate.ApplyInput) {
			in.Config.Teams, in.Teams = []string{"acme/ops"}, []change.Team{{Name: "acme/ops", Members: []int64{2}}}
		}, ""},
		"an owner has not approved": {func(in *gate.ApplyInput) {
			in.Owners[0].Rules = []gate.Owned{{Line: 1, Paths: []string{"a"}, Owners: []string{"@second"}}}
		}, "owners: a has to be approved by @second"},
		"an owner has approved": {func(in *gate.ApplyInput) {
			in.Owners[0].Rules = []gate.Owned{{Line: 1, Paths: []string{"a"}, Owners: []string{"@second", "@reviewer"}}}
		}, ""},
		"no window is open": {func(in *gate.ApplyInput) {
			in.Config.Windows = [][]gate.Window{{{Days: []string{"mon"}, From: "00:00", To: "24:00", Zone: "UTC"}}}
		}, "windows: No change window is open"},
		"a window is open": {func(in *gate.ApplyInput) {
			in.Config.Windows = [][]gate.Window{{{Days: []string{"thu"}, From: "00:00", To: "24:00", Zone: "UTC"}}}
		}, ""},
		"a freeze is in force": {func(in *gate.ApplyInput) {
			in.Config.Freezes = []gate.Freeze{{From: "2026-01-01", Until: "2026-01-01", Zone: "UTC", Reason: "holidays"}}
		}, "freezes: holidays"},
		"a freeze has passed": {func(in *gate.ApplyInput) {
			in.Config.Freezes = []gate.Freeze{{From: "2025-12-01", Until: "2025-12-31", Zone: "UTC", Reason: "holidays"}}
		}, ""},
		"the glass is broken":                     {func(in *gate.ApplyInput) { *in = broken() }, ""},
		"the glass was broken for another commit": {func(in *gate.ApplyInput) { *in = broken(); in.BreakGlass.HeadSHA = "first" }, "break-glass: of another commit"},
		"one person broke the glass":              {func(in *gate.ApplyInput) { *in = broken(); in.BreakGlass.AskedBy = second }, "break-glass: two different people"},
		"somebody objects to breaking the glass": {func(in *gate.ApplyInput) {
			*in = broken()
			in.Reviews = []change.Review{review(reviewer, "changes_requested", 1)}
		}, "objections: requested by reviewer"},
		"commits are missing":                    {func(in *gate.ApplyInput) { in.Pull.Commits = 3 }, "pull-request: list of commits is not complete"},
		"the head commit is missing":             {func(in *gate.ApplyInput) { in.Commits[1].SHA = "other" }, "pull-request: list of commits is not complete"},
		"another person committed":               {func(in *gate.ApplyInput) { in.Commits[1].Committer = helper }, ""},
		"merged":                                 {func(in *gate.ApplyInput) { in.Pull.Open, in.Pull.Merged, in.Trigger = false, true, "merge" }, ""},
		"closed":                                 {func(in *gate.ApplyInput) { in.Pull.Open = false }, "pull-request: closed without being merged"},
		"draft":                                  {func(in *gate.ApplyInput) { in.Pull.Draft = true }, "pull-request: draft"},
		"fork":                                   {func(in *gate.ApplyInput) { in.Pull.Fork = true }, "pull-request: fork"},
		"actor may only read":                    {func(in *gate.ApplyInput) { in.ActorPermission = "read" }, "actor: author may not write"},
		"actor is a bot":                         {func(in *gate.ApplyInput) { in.Actor = robot }, "actor: not by bots"},
		"comments are switched off":              {func(in *gate.ApplyInput) { in.Config.On = []string{"merge"} }, "trigger: by comment is switched off"},
		"buttons are comments":                   {func(in *gate.ApplyInput) { in.Trigger = "button" }, ""},
		"buttons are switched off with comments": {func(in *gate.ApplyInput) { in.Trigger, in.Config.On = "button", []string{"merge"} }, "trigger: by button is switched off"},
		"merges are switched off":                {func(in *gate.ApplyInput) { in.Trigger, in.Config.On = "merge", []string{"comment"} }, "trigger: by merge is switched off"},
		"a policy failed":                        {func(in *gate.ApplyInput) { in.Findings[0].Verdict = change.Fail }, "policies: 1 finding of the policies"},
		"a policy is undetermined":               {func(in *gate.ApplyInput) { in.Findings[0].Verdict = change.Undetermined }, "policies: 1 finding of the policies"},
		"a verdict is unknown":                   {func(in *gate.ApplyInput) { in.Findings[0].Verdict = "maybe" }, "policies: 1 finding of the policies"},
		"the plan is not complete":               {func(in *gate.ApplyInput) { in.PlanComplete = false }, "policies: not complete"},
		"nothing is known":                       {func(in *gate.ApplyInput) { *in = gate.ApplyInput{Config: gate.ApplyConfig{Approvals: 1}, Now: in.Now} }, "approvals: 0 of 2"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			in := approved()
			test.edit(&in)
			got, err := set.JudgeApply(context.Background(), in)
			if err != nil {
				t.Fatal(err)
			}
			if got.Allowed != (test.deny == "") {
				t.Fatalf("allowed is %t: %+v", got.Allowed, got)
			}
			rule, message, _ := strings.Cut(test.deny, ": ")
			matches := func(d gate.Denial) bool { return d.Rule == rule && strings.Contains(d.Message, message) }
			if test.deny != "" && !slices.ContainsFunc(got.Denials, matches) {
				t.Errorf("denied with %+v; want %q", got.Denials, test.deny)
			}
		})
	}
}

func TestRequirements(t *testing.T) {
	t.Parallel()
	set := builtIn(t)
	in := approved()
	got, err := set.JudgeApply(context.Background(), in)
	if err != nil {
		t.Fatal(err)
	}
	want := []gate.Requirement{
		{Text: "1 approval by someone other than the author and the committers (reviewer)", Met: true},
		{Text: "Every policy passed", Met: true},
		{Text: "No changes requested", Met: true},
	}
	if diff := cmp.Diff(want, got.Requirements); diff != "" {
		t.Errorf("requirements (-want +got):\n%s", diff)
	}
	in.Reviews, in.Config.Approvals = nil, 2
	in.Findings[0].Verdict = change.Fail
	if got, err = set.JudgeApply(context.Background(), in); err != nil {
		t.Fatal(err)
	}
	want = []gate.Requirement{
		{Text: "2 approvals by someone other than the author and the committers"},
		{Text: "Every policy passed"},
		{Text: "No changes requested", Met: true},
	}
	if diff := cmp.Diff(want, got.Requirements); diff != "" {
		t.Errorf("requirements (-want +got):\n%s", diff)
	}
}
