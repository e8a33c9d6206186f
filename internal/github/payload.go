package github

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/tollgate/tollgate/internal/change"
)

// payload is the part of a webhook's body that we read. go-github's types leave every field
// optional; here what is missing is an error.
type payload struct {
	Action       string            `json:"action"`
	Number       int               `json:"number"`
	Installation payloadInstall    `json:"installation"`
	Repository   payloadRepository `json:"repository"`
	Sender       payloadUser       `json:"sender"`

	PullRequest struct {
		Number    int       `json:"number"`
		UpdatedAt time.Time `json:"updated_at"`
		Merged    bool      `json:"merged"`
		Head      struct {
			SHA string `json:"sha"`
		} `json:"head"`
		Base struct {
			Ref  string            `json:"ref"`
			Repo payloadRepository `json:"repo"`
		} `json:"base"`
	} `json:"pull_request"`
	Changes struct {
		Base *struct{} `json:"base"`
	} `json:"changes"`

	Review struct {
		ID   int64       `json:"id"`
		User payloadUser `json:"user"`
	} `json:"review"`

	Issue struct {
		Number      int       `json:"number"`
		PullRequest *struct{} `json:"pull_request"`
	} `json:"issue"`
	Comment struct {
		ID   int64       `json:"id"`
		Body *string     `json:"body"`
		User payloadUser `json:"user"`
		App  payloadApp  `json:"performed_via_github_app"`
	} `json:"comment"`

	CheckRun struct {
		ID          int64        `json:"id"`
		Name        string       `json:"name"`
		HeadSHA     string       `json:"head_sha"`
		ExternalID  string       `json:"external_id"`
		StartedAt   time.Time    `json:"started_at"`
		CompletedAt time.Time    `json:"completed_at"`
		App         payloadApp   `json:"app"`
		Pulls       payloadPulls `json:"pull_requests"`
		Suite       struct {
			ID int64 `json:"id"`
		} `json:"check_suite"`
	} `json:"check_run"`
	RequestedAction struct {
		Identifier string `json:"identifier"`
	} `json:"requested_action"`
	CheckSuite struct {
		ID        int64        `json:"id"`
		HeadSHA   string       `json:"head_sha"`
		UpdatedAt time.Time    `json:"updated_at"`
		App       payloadApp   `json:"app"`
		Pulls     payloadPulls `json:"pull_requests"`
	} `json:"check_suite"`

	Ref    string `json:"ref"`
	Before string `json:"before"`
	After  string `json:"after"`

	MergeGroup struct {
		HeadSHA string `json:"head_sha"`
		HeadRef string `json:"head_ref"`
		BaseSHA string `json:"base_sha"`
		BaseRef string `json:"base_ref"`
	} `json:"merge_group"`

	Repositories []payloadRepository `json:"repositories"`
	Added        []payloadRepository `json:"repositories_added"`
	Removed      []payloadRepository `json:"repositories_removed"`
}

type payloadUser struct {
	ID    int64  `json:"id"`
	Login string `json:"login"`
	Type  string `json:"type"`
}

func (u payloadUser) user() change.User {
	return change.User{ID: u.ID, Login: u.Login, Bot: u.Type == "Bot"}
}

type payloadApp struct {
	ID int64 `json:"id"`
}

type payloadInstall struct {
	ID        int64       `json:"id"`
	AppID     int64       `json:"app_id"`
	Account   payloadUser `json:"account"`
	UpdatedAt looseTime   `json:"updated_at"`
}

type payloadRepository struct {
	ID       int64       `json:"id"`
	Name     string      `json:"name"`
	FullName string      `json:"full_name"`
	Owner    payloadUser `json:"owner"`
	PushedAt looseTime   `json:"pushed_at"`
}

// looseTime keeps a time as it is written: GitHub uses seconds in some events and text in others.
type looseTime string

// UnmarshalJSON implements json.Unmarshaler.
func (t *looseTime) UnmarshalJSON(data []byte) error {
	*t = looseTime(strings.Trim(string(data), `"`))
	return nil
}

type payloadPulls []struct {
	Number int `json:"number"`
}

// only is the number of the pull request if there is just one.
func (p payloadPulls) only() int {
	if len(p) != 1 {
		return 0
	}
	return p[0].Number
}

// repo takes the owner from the full name where the event is of an installation.
func (r payloadRepository) repo(installation int64) change.Repo {
	owner := r.Owner.Login
	if owner == "" {
		owner, _, _ = strings.Cut(r.FullName, "/")
	}
	return change.Repo{ID: r.ID, InstallationID: installation, Owner: owner, Name: r.Name}
}

// event builds the event of that kind.
func (p *payload) event(kind Kind) (Event, error) {
	e := Event{Kind: kind, Action: p.Action, InstallationID: p.Installation.ID, Sender: p.Sender.user()}
	// GitHub itself may cause these two, and then names no sender.
	byGitHub := kind == KindPush || kind == KindMergeGroup
	if e.InstallationID <= 0 || !byGitHub && (e.Sender.ID <= 0 || e.Sender.Login == "") {
		return Event{}, errors.New("no installation or no sender")
	}
	if err := p.fill(&e); err != nil {
		return Event{}, err
	}
	return e, nil
}

func (p *payload) fill(e *Event) error {
	if e.Kind == KindInstallation || e.Kind == KindRepositories {
		return p.installation(e)
	}
	e.Repo = p.Repository.repo(e.InstallationID)
	if err := checkRepo(e.Repo); err != nil {
		return err
	}
	switch e.Kind {
	case KindPullRequest:
		return p.pullRequest(e)
	case KindReview:
		return p.review(e)
	case KindComment:
		return p.issueComment(e)
	case KindCheckRun:
		return p.checkRun(e)
	case KindCheckSuite:
		return p.checkSuite(e)
	case KindPush:
		return p.push(e)
	case KindMergeGroup:
		return p.mergeGroup(e)
	}
	return fmt.Errorf("no reader for %s", e.Kind)
}

func (p *payload) pullRequest(e *Event) error {
	if err := p.pull(e); err != nil {
		return err
	}
	if p.Number != e.Pull {
		return fmt.Errorf("two numbers: %d and %d", p.Number, e.Pull)
	}
	e.UpdatedAt, e.Stamp = p.PullRequest.UpdatedAt, stamp(p.PullRequest.UpdatedAt)
	if p.PullRequest.Merged {
		e.Stamp += "/merged" // closing, reopening and merging may fall into one second
	}
	if e.BaseChanged = p.Changes.Base != nil; e.Action == "edited" && !e.BaseChanged {
		*e = Event{Kind: KindIgnored, Action: e.Action}
	}
	return nil
}

func (p *payload) review(e *Event) error {
	if p.Review.ID <= 0 || p.Review.User.ID <= 0 {
		return errors.New("no review or no reviewer")
	}
	e.ReviewID = p.Review.ID
	return p.pull(e)
}

// pull fills in what the pull request says, and refuses one of another repository.
func (p *payload) pull(e *Event) error {
	pr := p.PullRequest
	if pr.Number <= 0 || pr.Base.Ref == "" || pr.Base.Repo.ID != e.Repo.ID {
		return errors.New("pull request without number or base, or of another repository")
	}
	e.Pull, e.HeadSHA, e.BaseRef = pr.Number, pr.Head.SHA, pr.Base.Ref
	return checkSHA(e.HeadSHA)
}

// issueComment ignores comments on issues that are no pull requests.
func (p *payload) issueComment(e *Event) error {
	c := p.Comment
	if c.ID <= 0 || c.Body == nil || p.Issue.Number <= 0 {
		return errors.New("no comment or no issue")
	}
	if c.User.ID != e.Sender.ID {
		return errors.New("the comment is not its sender's")
	}
	if p.Issue.PullRequest == nil {
		*e = Event{Kind: KindIgnored, Action: e.Action}
		return nil
	}
	e.Pull, e.CommentID, e.CommentBody, e.CommentAppID = p.Issue.Number, c.ID, *c.Body, c.App.ID
	return nil
}

func (p *payload) checkRun(e *Event) error {
	run := p.CheckRun
	if run.ID <= 0 || run.Name == "" || run.App.ID <= 0 {
		return errors.New("check run without id, name or App")
	}
	e.ButtonIdentifier = p.RequestedAction.Identifier
	if (e.Action == "requested_action") != (e.ButtonIdentifier != "") {
		return fmt.Errorf("button %q with the action %s", e.ButtonIdentifier, e.Action)
	}
	e.Pull, e.HeadSHA, e.CheckRunID, e.CheckSuiteID = run.Pulls.only(), run.HeadSHA, run.ID, run.Suite.ID
	e.CheckName, e.ExternalID, e.AppID = run.Name, run.ExternalID, run.App.ID
	e.Stamp = stamp(run.StartedAt, run.CompletedAt)
	return checkSHA(e.HeadSHA)
}

func (p *payload) checkSuite(e *Event) error {
	suite := p.CheckSuite
	if suite.ID <= 0 || suite.App.ID <= 0 {
		return errors.New("check suite without id or App")
	}
	e.Pull, e.HeadSHA, e.CheckSuiteID, e.AppID = suite.Pulls.only(), suite.HeadSHA, suite.ID, suite.App.ID
	e.Stamp = stamp(suite.UpdatedAt)
	return checkSHA(e.HeadSHA)
}

func (p *payload) push(e *Event) error {
	if !strings.HasPrefix(p.Ref, "refs/") {
		return errors.New("no ref")
	}
	e.Ref, e.BeforeSHA, e.HeadSHA, e.Stamp = p.Ref, p.Before, p.After, string(p.Repository.PushedAt)
	return errors.Join(checkSHA(e.BeforeSHA), checkSHA(e.HeadSHA))
}

func (p *payload) mergeGroup(e *Event) error {
	branch, ok := strings.CutPrefix(p.MergeGroup.BaseRef, "refs/heads/")
	if !ok {
		return errors.New("merge group without base")
	}
	e.HeadSHA, e.BaseRef = p.MergeGroup.HeadSHA, branch
	e.Pull = groupPull(p.MergeGroup.HeadRef, branch)
	if base := p.MergeGroup.BaseSHA; base != "" {
		if err := checkSHA(base); err != nil {
			return err
		}
		e.BeforeSHA = base
	}
	return checkSHA(e.HeadSHA)
}

// groupPull is the number of the pull request that a merge group's branch is named after, or 0:
// refs/heads/gh-readonly-queue/BASE/pr-NUMBER-SHA.
func groupPull(ref, base string) int {
	rest, ok := strings.CutPrefix(ref, "refs/heads/"+groupBranches+base+"/pr-")
	number, _, found := strings.Cut(rest, "-")
	n, err := strconv.Atoi(number)
	if !ok || !found || err != nil || n <= 0 {
		return 0
	}
	return n
}

func (p *payload) installation(e *Event) error {
	if p.Installation.AppID <= 0 || p.Installation.Account.ID <= 0 {
		return errors.New("installation without App or account")
	}
	e.AppID, e.Stamp = p.Installation.AppID, string(p.Installation.UpdatedAt)
	for _, list := range [][]payloadRepository{p.Repositories, p.Added, p.Removed} {
		for _, r := range list {
			e.Repos = append(e.Repos, r.repo(e.InstallationID))
		}
	}
	return nil
}

// groupBranches begins the names of the branches that GitHub makes for merge groups.
const groupBranches = "gh-readonly-queue/"
