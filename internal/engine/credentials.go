package engine

import (
	"context"

	"github.com/tollgate/tollgate/internal/change"
	"github.com/tollgate/tollgate/internal/cloud"
	"github.com/tollgate/tollgate/internal/redact"
	"github.com/tollgate/tollgate/internal/store"
)

// Credentials mints those of one plan or apply as environment variables; none means that Terraform
// uses the server's own.
type Credentials interface {
	Mint(context.Context, cloud.Use, cloud.Subject) ([]string, error)
}

// mint returns the credentials for one use of one plan. Those of an apply are asked for only after its
// claim is committed, so that there is a row of the ledger for every session of that role.
func (e *Engine) mint(ctx context.Context, use cloud.Use, repo change.Repo, number int, commit string, p store.Plan) ([]string, error) {
	if e.cfg.Credentials == nil {
		return nil, nil
	}
	env, err := e.cfg.Credentials.Mint(ctx, use, cloud.Subject{Repository: repo.FullName(), RepoID: repo.ID, Pull: number, Commit: commit,
		Project: p.Project.Name, Plan: p.ID})
	e.cfg.Known.Add(redact.Environment(env)...)
	return env, err
}
