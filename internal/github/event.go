package github

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/tollgate/tollgate/internal/change"
)

// Kind is what happened, by GitHub's name for the event.
type Kind string

// The kinds that Tollgate acts upon. Everything else, also an action of these that changes nothing
// for us, is ignored.
const (
	KindPullRequest  Kind = "pull_request"
	KindReview       Kind = "pull_request_review"
	KindComment      Kind = "issue_comment"
	KindCheckRun     Kind = "check_run"
	KindCheckSuite   Kind = "check_suite"
	KindPush         Kind = "push"
	KindMergeGroup   Kind = "merge_group"
	KindInstallation Kind = "installation"
	KindRepositories Kind = "installation_repositories"
	KindPing         Kind = "ping"
	KindIgnored      Kind = "ignored"
)

// Event is what a webhook tells. It is a hint where to look: what it says of states, commits and
// people is read again before anything is decided.
type Event struct {
	Kind           Kind          `json:"kind"`
	Action         string        `json:"action,omitempty"`
	InstallationID int64         `json:"installation_id,omitempty"`
	Repo           change.Repo   `json:"repo"`            // zero for events of an installation
	Repos          []change.Repo `json:"repos,omitempty"` // added to or removed from an installation
	Sender         change.User   `json:"sender"`

	// Pull is the number of the pull request; for events of a check only if it belongs to just one.
	Pull        int    `json:"pull,omitempty"`
	HeadSHA     string `json:"head_sha,omitempty"`
	BeforeSHA   string `json:"before_sha,omitempty"`   // of a push; the base of a merge group
	BaseRef     string `json:"base_ref,omitempty"`     // branch the pull request or merge group goes to
	BaseChanged bool   `json:"base_changed,omitempty"` // the pull request was edited to go to another branch
	Ref         string `json:"ref,omitempty"`          // full name of the pushed ref

	CommentID    int64  `json:"comment_id,omitempty"`
	CommentBody  string `json:"comment_body,omitempty"`
	CommentAppID int64  `json:"comment_app_id,omitempty"` // the App through which the comment was written
	ReviewID     int64  `json:"review_id,omitempty"`

	CheckRunID       int64  `json:"check_run_id,omitempty"`
	CheckSuiteID     int64  `json:"check_suite_id,omitempty"`
	CheckName        string `json:"check_name,omitempty"`
	ExternalID       string `json:"external_id,omitempty"`
	ButtonIdentifier string `json:"button_identifier,omitempty"`
	AppID            int64  `json:"app_id,omitempty"` // whose check it is

	// UpdatedAt is of the pull request, when this happened.
	UpdatedAt time.Time `json:"updated_at,omitzero"`

	// Stamp tells this occurrence from an earlier one that is otherwise the same.
	Stamp string `json:"stamp,omitempty"`
}

// actions says which actions of a kind concern us. A comment that is edited is no command: people
// with write access can edit the comments of others.
var actions = map[Kind][]string{
	KindPullRequest:  {"opened", "synchronize", "reopened", "ready_for_review", "converted_to_draft", "edited", "closed"},
	KindReview:       {"submitted", "dismissed"},
	KindComment:      {"created"},
	KindCheckRun:     {"rerequested", "requested_action"},
	KindCheckSuite:   {"rerequested"},
	KindMergeGroup:   {"checks_requested", "destroyed"},
	KindInstallation: {"created", "deleted", "suspend", "unsuspend", "new_permissions_accepted"},
	KindRepositories: {"added", "removed"},
}

// subjects says which of the marks a body must bear to be of that kind, and it must bear no
// other. The event's name is not signed, so a body could be sent under another name.
var subjects = map[Kind][]string{
	KindPullRequest:  {"number", "pull_request", "repository"},
	KindReview:       {"pull_request", "repository", "review"},
	KindComment:      {"comment", "issue", "repository"},
	KindCheckRun:     {"check_run", "repository"},
	KindCheckSuite:   {"check_suite", "repository"},
	KindPush:         {"pusher", "repository"},
	KindMergeGroup:   {"merge_group", "repository"},
	KindInstallation: {},
	KindRepositories: {"repositories_added", "repositories_removed"},
}

// marks are the keys by which the bodies of all GitHub's events can be told apart.
var marks = []string{
	"alert", "check_run", "check_suite", "comment", "deployment", "discussion", "issue", "merge_group", "number",
	"pull_request", "pusher", "ref_type", "release", "repositories_added", "repositories_removed", "repository",
	"review", "target_type", "thread", "workflow", "workflow_job", "workflow_run",
}

// Decode reads the body of a webhook. An event that is of no interest has KindIgnored; an error means
// that the body is not what an event of that name looks like.
func Decode(name string, body []byte) (Event, error) {
	kind := Kind(name)
	if kind == KindPing {
		return Event{Kind: KindPing}, nil
	}
	marked, known := subjects[kind]
	if !known {
		return Event{Kind: KindIgnored}, nil
	}
	if err := checkSubjects(marked, body); err != nil {
		return Event{}, fmt.Errorf("decode %s event: %w", kind, err)
	}
	var p payload
	if err := json.Unmarshal(body, &p); err != nil {
		return Event{}, fmt.Errorf("decode %s event: %w", kind, err)
	}
	if kind != KindPush && p.Action == "" {
		return Event{}, fmt.Errorf("decode %s event: no action", kind)
	}
	if kind != KindPush && !slices.Contains(actions[kind], p.Action) {
		return Event{Kind: KindIgnored, Action: p.Action}, nil
	}
	e, err := p.event(kind)
	if err != nil {
		return Event{}, fmt.Errorf("decode %s event: %w", kind, err)
	}
	return e, nil
}

func checkSubjects(want []string, body []byte) error {
	var keys map[string]json.RawMessage
	if err := json.Unmarshal(body, &keys); err != nil {
		return err
	}
	for _, mark := range marks {
		_, has := keys[mark]
		if wanted := slices.Contains(want, mark); has != wanted {
			return fmt.Errorf("key %q: present %t, expected %t", mark, has, wanted)
		}
	}
	return nil
}

// Meaning identifies what happened, for an event that has an effect: the same thing told twice
// under two delivery ids has one meaning, so a recorded webhook cannot be played again. It is
// empty for events that have no effect.
//
// A press of a button on a check is told from the previous press only by the check itself: after
// each press that it refuses, Tollgate must give the check a new external id.
func (e Event) Meaning() string {
	if e.Kind == KindIgnored || e.Kind == KindPing || e.Kind == "" {
		return ""
	}
	parts := []string{string(e.Kind), e.Action, id(e.InstallationID), id(e.Repo.ID)}
	switch e.Kind {
	case KindComment:
		parts = append(parts, id(e.CommentID))
	case KindReview:
		parts = append(parts, id(e.ReviewID))
	case KindPullRequest:
		parts = append(parts, strconv.Itoa(e.Pull), e.HeadSHA, e.Stamp)
	case KindCheckRun:
		parts = append(parts, id(e.CheckRunID), id(e.Sender.ID), strconv.Quote(e.ButtonIdentifier), strconv.Quote(e.ExternalID), e.Stamp)
	case KindCheckSuite:
		parts = append(parts, id(e.CheckSuiteID), e.HeadSHA, e.Stamp)
	case KindPush:
		parts = append(parts, strconv.Quote(e.Ref), e.BeforeSHA, e.HeadSHA, e.Stamp)
	case KindMergeGroup:
		parts = append(parts, e.HeadSHA)
	case KindRepositories:
		for _, repo := range e.Repos {
			parts = append(parts, id(repo.ID))
		}
		parts = append(parts, e.Stamp)
	case KindInstallation:
		parts = append(parts, e.Stamp)
	}
	return strings.Join(parts, "/")
}

func id(n int64) string { return strconv.FormatInt(n, 10) }

// stamp writes times so that equal ones compare equal.
func stamp(times ...time.Time) string {
	parts := make([]string, 0, len(times))
	for _, t := range times {
		if !t.IsZero() {
			parts = append(parts, id(t.Unix()))
		}
	}
	return strings.Join(parts, ".")
}
