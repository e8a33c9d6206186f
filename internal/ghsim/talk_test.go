package ghsim_test

import (
	"strings"
	"testing"

	"github.com/google/go-github/v60/github"

	"github.com/tollgate/tollgate/internal/ghsim"
)

func TestCommentsInBothDirections(t *testing.T) {
	t.Parallel()
	b := setup(t)
	p := b.openPull(t, "change")
	id, err := p.Comment("ada", "/apply")
	ok(t, err)
	_, _, err = b.client.Reactions.CreateIssueCommentReaction(b.ctx, "acme", "payments", id, "rocket")
	ok(t, err)
	mine, _, err := b.client.Issues.CreateComment(b.ctx, "acme", "payments", p.Number(), &github.IssueComment{Body: github.String("Seen.")})
	ok(t, err)
	if !strings.Contains(mine.GetHTMLURL(), "/acme/payments/pull/1#issuecomment-") || mine.GetUser().GetType() != "Bot" {
		t.Errorf("unexpected comment %v", mine)
	}
	ok(t, p.EditComment("bob", id, "/plan"))
	refused(t, p.EditComment("eve", id, "/apply"), "403")
	ok(t, p.DeleteComment("ada", id))
	left := p.Comments()
	if len(left) != 1 || left[0].Author != b.app.BotLogin || left[0].Body != "Seen." {
		t.Errorf("left: %v", left)
	}
	b.settle(t)
	e, err := github.ParseWebHook("issue_comment", b.hooks.last(t, "issue_comment", "edited").body)
	ok(t, err)
	edited := e.(*github.IssueCommentEvent)
	if edited.GetSender().GetLogin() != "bob" || edited.GetComment().GetUser().GetLogin() != "ada" || edited.GetChanges().GetBody().GetFrom() != "/apply" {
		t.Errorf("unexpected event %v", edited)
	}
	if edited.GetIssue().GetPullRequestLinks() == nil {
		t.Error("the issue doesn't say that it is a pull request")
	}
}

func TestLengthOfAComment(t *testing.T) {
	t.Parallel()
	b := setup(t)
	p := b.openPull(t, "change")
	_, err := p.Comment("ada", strings.Repeat("€", 65536))
	ok(t, err)
	_, _, err = b.client.Issues.CreateComment(b.ctx, "acme", "payments", p.Number(), &github.IssueComment{Body: github.String(strings.Repeat("x", 65537))})
	refused(t, err, "Body is too long (maximum is 65536 characters)")
	_, err = p.Comment("mallory", "let me in")
	refused(t, err, "404 Not Found")
}

func TestReviews(t *testing.T) {
	t.Parallel()
	b := setup(t)
	p := b.openPull(t, "change")
	refused(t, p.Approve("ada"), "Can not approve your own pull request")
	first := p.Info().HeadSHA
	id, err := p.Review(ghsim.NewReview{By: "bob", State: "APPROVE"})
	ok(t, err)
	b.push(t, "change", "more.txt", "more\n")
	list, _, err := b.client.PullRequests.ListReviews(b.ctx, "acme", "payments", p.Number(), nil)
	ok(t, err)
	if len(list) != 1 || list[0].GetState() != "APPROVED" || list[0].GetCommitID() != first {
		t.Errorf("after a push: %v", list)
	}
	refused(t, p.Dismiss("eve", id, "no"), "403")
	ok(t, p.Dismiss("ada", id, "stale"))
	if got := p.Reviews()[0].State; got != "DISMISSED" {
		t.Errorf("state %s", got)
	}
	b.settle(t)
	e, err := github.ParseWebHook("pull_request_review", b.hooks.last(t, "pull_request_review", "submitted").body)
	ok(t, err)
	if state := e.(*github.PullRequestReviewEvent).GetReview().GetState(); state != "approved" {
		t.Errorf("webhooks spell the state %q", state)
	}
}

func TestProtectedBranch(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.repo.Protect("main", ghsim.Protection{Checks: []string{"tollgate"}, Approvals: 1})
	p := b.openPull(t, "change")
	try := func() error { _, err := p.Merge("bob", ghsim.Merge); return err }
	refused(t, try(), `405 Required status check "tollgate" is expected.`)
	_, err := b.createRun(t, github.CreateCheckRunOptions{Name: "tollgate", HeadSHA: p.Info().HeadSHA, Conclusion: github.String("success")})
	ok(t, err)
	refused(t, try(), "405 At least 1 approving review is required")
	ok(t, p.Approve("eve"))
	refused(t, try(), "405 At least 1 approving review is required") // eve may only read
	ok(t, p.Approve("bob"))
	_, err = p.Merge("eve", ghsim.Merge)
	refused(t, err, "403")
	ok(t, try())
}
