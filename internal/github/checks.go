package github

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	gh "github.com/google/go-github/v60/github"

	"github.com/tollgate/tollgate/internal/change"
)

// annotationsPerRequest is GitHub's limit. It adds those of a later request to the earlier ones.
const annotationsPerRequest = 50

// CheckRun is what GitHub has of one of our checks.
type CheckRun struct {
	ID          int64
	ExternalID  string
	Status      string
	Conclusion  string
	Annotations int
}

// CreateCheck creates a check run and returns its id: one request for up to 50 annotations, one
// more for each further 50. The status of the last request alone is the check's own, so that it
// never is complete with a part of its annotations. If a later request fails, the id comes with
// the error, and ResumeCheck sends the rest.
func (a *App) CreateCheck(ctx context.Context, repo change.Repo, check change.Check) (int64, error) {
	if err := validate(check); err != nil {
		return 0, err
	}
	part, rest := nextPart(check, 0)
	run, err := onRepo(a, repo, checkOperation("create the check"), func(c *gh.Client) (*gh.CheckRun, *gh.Response, error) {
		return c.Checks.CreateCheckRun(ctx, repo.Owner, repo.Name, gh.CreateCheckRunOptions{
			Name: check.Name, HeadSHA: check.HeadSHA, DetailsURL: optional(check.DetailsURL), ExternalID: optional(check.ExternalID),
			Status: &part.status, Conclusion: optional(part.conclusion), Output: part.output, Actions: part.actions,
		})
	})
	if err != nil || rest == 0 {
		return run.GetID(), err
	}
	return run.GetID(), a.sendCheck(ctx, repo, run.GetID(), check, annotationsPerRequest)
}

// UpdateCheck replaces what a check run says and adds its annotations; requests as for CreateCheck.
// To repeat an update whose outcome is unknown, use ResumeCheck: UpdateCheck would add the
// annotations a second time.
func (a *App) UpdateCheck(ctx context.Context, repo change.Repo, id int64, check change.Check) error {
	if err := validate(check); err != nil {
		return err
	}
	return a.sendCheck(ctx, repo, id, check, 0)
}

// ResumeCheck brings about what CreateCheck or UpdateCheck began: it looks for our check of that
// external id, creates it if there is none, or else sends what is missing. One request more than
// these. If a request that was given up has made a second one all the same, both say the same
// afterwards, so that no leftover stays in progress.
func (a *App) ResumeCheck(ctx context.Context, repo change.Repo, check change.Check) (int64, error) {
	if err := validate(check); err != nil {
		return 0, err
	}
	runs, err := a.FindChecks(ctx, repo, check.HeadSHA, check.Name, check.ExternalID)
	if err != nil {
		return 0, err
	}
	if len(runs) == 0 {
		return a.CreateCheck(ctx, repo, check)
	}
	for _, run := range slices.Backward(runs) { // GitHub shows the newest
		err = errors.Join(err, a.sendCheck(ctx, repo, run.ID, check, min(run.Annotations, len(check.Annotations))))
	}
	return runs[len(runs)-1].ID, err
}

// FindChecks looks for the App's own check runs of that name on a commit with that external id, or
// with any if it is empty, the oldest first. One request per hundred check runs of the name.
func (a *App) FindChecks(ctx context.Context, repo change.Repo, sha, name, externalID string) ([]CheckRun, error) {
	if err := checkSHA(sha); err != nil {
		return nil, err
	}
	all := "all"
	runs, err := pages(a, repo, operation{"look for the check", "Checks: read and write"}, func(c *gh.Client, page gh.ListOptions) ([]*gh.CheckRun, *gh.Response, error) {
		list, resp, err := c.Checks.ListCheckRunsForRef(ctx, repo.Owner, repo.Name, sha,
			&gh.ListCheckRunsOptions{CheckName: &name, Filter: &all, AppID: &a.id, ListOptions: page})
		if err != nil {
			return nil, resp, err
		}
		return list.CheckRuns, resp, nil
	})
	var found []CheckRun
	for _, run := range runs {
		ours := run.GetApp().GetID() == a.id && run.GetName() == name && run.GetHeadSHA() == sha
		if ours && (externalID == "" || run.GetExternalID() == externalID) {
			found = append(found, CheckRun{
				ID: run.GetID(), ExternalID: run.GetExternalID(), Status: run.GetStatus(),
				Conclusion: run.GetConclusion(), Annotations: run.GetOutput().GetAnnotationsCount(),
			})
		}
	}
	slices.SortFunc(found, func(a, b CheckRun) int { return cmp.Compare(a.ID, b.ID) })
	// A check that comes into being meanwhile shifts the pages, and one is listed twice.
	return slices.CompactFunc(found, func(a, b CheckRun) bool { return a.ID == b.ID }), err
}

// sendCheck sends the check from the given annotation on, in order.
func (a *App) sendCheck(ctx context.Context, repo change.Repo, id int64, check change.Check, from int) error {
	for {
		part, rest := nextPart(check, from)
		_, err := onRepo(a, repo, checkOperation("update the check"), func(c *gh.Client) (*gh.CheckRun, *gh.Response, error) {
			return c.Checks.UpdateCheckRun(ctx, repo.Owner, repo.Name, id, gh.UpdateCheckRunOptions{
				Name: check.Name, DetailsURL: optional(check.DetailsURL), ExternalID: optional(check.ExternalID),
				Status: &part.status, Conclusion: optional(part.conclusion), Output: part.output, Actions: part.actions,
			})
		})
		if err != nil || rest == 0 {
			return err
		}
		from = len(check.Annotations) - rest
	}
}

// checkPart is what one request carries of a check.
type checkPart struct {
	status, conclusion string
	output             *gh.CheckRunOutput
	actions            []*gh.CheckRunAction
}

// nextPart takes up to 50 annotations and says how many are left after them.
func nextPart(check change.Check, from int) (part checkPart, rest int) {
	to := min(from+annotationsPerRequest, len(check.Annotations))
	rest = len(check.Annotations) - to
	part = checkPart{status: check.Status, conclusion: check.Conclusion, actions: toActions(check.Buttons)}
	if rest > 0 && check.Status == "completed" {
		part = checkPart{status: "in_progress"}
	}
	if check.Title != "" {
		part.output = &gh.CheckRunOutput{
			Title: &check.Title, Summary: &check.Summary, Text: optional(check.Text),
			Annotations: toAnnotations(check.Annotations[from:to]),
		}
	}
	return part, rest
}

// validate catches what GitHub would accept and show wrongly, or refuse without saying why.
func validate(check change.Check) error {
	switch {
	case check.Name == "" || check.Status == "":
		return fmt.Errorf("check %q has no name or no status", check.Name)
	case (check.Status == "completed") != (check.Conclusion != ""):
		return fmt.Errorf("check %q is %s with the conclusion %q", check.Name, check.Status, check.Conclusion)
	case (check.Title == "") != (check.Summary == ""), check.Title == "" && len(check.Annotations) > 0:
		return fmt.Errorf("check %q needs both a title and a summary", check.Name)
	}
	return checkSHA(check.HeadSHA)
}

func toAnnotations(annotations []change.Annotation) []*gh.CheckRunAnnotation {
	out := make([]*gh.CheckRunAnnotation, 0, len(annotations))
	for _, a := range annotations {
		out = append(out, &gh.CheckRunAnnotation{
			Path: &a.Path, StartLine: &a.StartLine, EndLine: &a.EndLine,
			AnnotationLevel: &a.Level, Title: optional(a.Title), Message: &a.Message,
		})
	}
	return out
}

func toActions(buttons []change.Button) []*gh.CheckRunAction {
	var out []*gh.CheckRunAction
	for _, b := range buttons {
		out = append(out, &gh.CheckRunAction{Label: b.Label, Description: b.Description, Identifier: b.Identifier})
	}
	return out
}

func checkOperation(action string) operation { return operation{action, "Checks: read and write"} }

// optional leaves an empty text out of the request.
func optional(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}
