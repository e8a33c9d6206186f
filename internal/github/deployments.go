package github

import (
	"context"
	"encoding/json"

	gh "github.com/google/go-github/v60/github"

	"github.com/tollgate/tollgate/internal/change"
)

// deploymentTask tells our deployments from others' of the same environment.
const deploymentTask = "tollgate:apply"

// Deployment is an apply as GitHub's deployments page shows it.
type Deployment struct {
	SHA         string
	Environment string
	Production  bool
	Description string // at most 140 characters
	ExecutionID string // ours, to find it again
}

// DeploymentStatus is one step of a deployment.
type DeploymentStatus struct {
	State          string // queued, in_progress, success, failure, error or inactive
	Description    string // at most 140 characters
	LogURL         string
	EnvironmentURL string
}

type deploymentPayload struct {
	ExecutionID string `json:"execution_id"`
}

// CreateDeployment creates a deployment of exactly that commit, in one request, and returns its
// id. GitHub neither merges anything for it nor waits for other checks: Tollgate has decided.
func (a *App) CreateDeployment(ctx context.Context, repo change.Repo, d Deployment) (int64, error) {
	if err := checkSHA(d.SHA); err != nil {
		return 0, err
	}
	task, no, none := deploymentTask, false, []string{}
	deployment, err := onRepo(a, repo, deployOperation("create a deployment"), func(c *gh.Client) (*gh.Deployment, *gh.Response, error) {
		return c.Repositories.CreateDeployment(ctx, repo.Owner, repo.Name, &gh.DeploymentRequest{
			Ref: &d.SHA, Task: &task, AutoMerge: &no, RequiredContexts: &none, Payload: deploymentPayload{d.ExecutionID},
			Environment: &d.Environment, Description: optional(d.Description), ProductionEnvironment: &d.Production,
		})
	})
	return deployment.GetID(), err
}

// FindDeployment looks for the deployment of an execution, one request per hundred deployments of
// the same commit and environment.
func (a *App) FindDeployment(ctx context.Context, repo change.Repo, d Deployment) (id int64, found bool, err error) {
	deployments, err := pages(a, repo, deployOperation("look for a deployment"), func(c *gh.Client, page gh.ListOptions) ([]*gh.Deployment, *gh.Response, error) {
		return c.Repositories.ListDeployments(ctx, repo.Owner, repo.Name,
			&gh.DeploymentsListOptions{SHA: d.SHA, Task: deploymentTask, Environment: d.Environment, ListOptions: page})
	})
	for _, candidate := range deployments {
		var payload deploymentPayload
		if candidate != nil && json.Unmarshal(candidate.Payload, &payload) == nil && payload.ExecutionID == d.ExecutionID {
			return candidate.GetID(), true, nil
		}
	}
	return 0, false, err
}

// SetDeploymentStatus adds a status to a deployment, in one request. A second one of the same
// state does no harm beyond a line on the page.
func (a *App) SetDeploymentStatus(ctx context.Context, repo change.Repo, deploymentID int64, s DeploymentStatus) error {
	_, err := onRepo(a, repo, deployOperation("update a deployment"), func(c *gh.Client) (*gh.DeploymentStatus, *gh.Response, error) {
		return c.Repositories.CreateDeploymentStatus(ctx, repo.Owner, repo.Name, deploymentID, &gh.DeploymentStatusRequest{
			State: &s.State, Description: optional(s.Description), LogURL: optional(s.LogURL), EnvironmentURL: optional(s.EnvironmentURL),
		})
	})
	return err
}

func deployOperation(action string) operation {
	return operation{action, "Deployments: read and write"}
}
