package engine

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/tollgate/tollgate/internal/audit"
	"github.com/tollgate/tollgate/internal/change"
	"github.com/tollgate/tollgate/internal/fault"
	"github.com/tollgate/tollgate/internal/store"
)

// self is the server in the ledger, by the id of its GitHub App.
func (e *Engine) self() change.User { return change.User{ID: e.cfg.GitHub.ID(), Login: "tollgate"} }

// Record writes a row about the server itself.
func (e *Engine) Record(ctx context.Context, action, outcome, origin string, subject map[string]any) error {
	return e.cfg.Store.Write(ctx, func(tx *store.Tx) error {
		return audit.Append(ctx, tx, audit.Entry{Actor: e.self(), Kind: audit.ActorApp, Action: action, Outcome: outcome, Origin: origin, Subject: subject})
	})
}

// RecordSchema writes a row if the database was upgraded since the ledger last told of it.
func (e *Engine) RecordSchema(ctx context.Context) error {
	return e.cfg.Store.Write(ctx, func(tx *store.Tx) error {
		told, now, err := tx.SchemaVersions(ctx)
		if err != nil || told == now {
			return err
		}
		err = audit.Append(ctx, tx, audit.Entry{Actor: e.self(), Kind: audit.ActorApp, Action: audit.ActionSchema, Outcome: audit.Succeeded, Origin: "start",
			Subject: map[string]any{"from": told, "to": now}})
		if err != nil {
			return err
		}
		return tx.ToldSchemaVersion(ctx, now)
	})
}

// of is what rows about a pull request have in common.
func of(repo change.Repo, number int, more map[string]any) map[string]any {
	out := map[string]any{"repository": repo.ID, "name": repo.Owner + "/" + repo.Name, "pull": number}
	for k, v := range more {
		out[k] = v
	}
	return out
}

// verdict is the row about the end of a run: what the policies said of a commit, and by which
// settings of which base.
func (e *Engine) verdict(j *job, state change.RunState, flt *fault.Error) audit.Entry {
	outcome := map[change.RunState]string{change.RunPassed: audit.Allowed, change.RunFailed: audit.Refused}[state]
	if outcome == "" {
		outcome = audit.Unknown
	}
	more := map[string]any{"run": j.run.ID, "cause": j.run.Reason, "head": j.run.HeadSHA, "base": j.run.BaseSHA, "base_branch": j.run.BaseRef, "tree": j.run.Tree,
		"policies": j.run.PolicyDigest, "state": state}
	if j.run.Config != "" {
		more["settings"] = json.RawMessage(j.run.Config)
	}
	if flt != nil {
		more["reason"] = flt.Text()
	}
	var plans []map[string]any
	for _, p := range j.plans {
		x := map[string]any{"project": p.Project.Name, "plan": p.ID, "state": p.State, "effect": p.Summary.EffectDigest, "waivers": p.Waivers}
		if p.Fault != nil {
			x["reason"] = p.Fault.Text()
		}
		denied := map[string]bool{}
		for _, f := range p.Findings {
			if f.Blocks() {
				denied[f.Policy+"/"+f.Rule] = true
			}
		}
		x["denied_by"] = sorted(denied)
		plans = append(plans, x)
	}
	more["plans"] = plans
	return audit.Entry{Actor: e.self(), Kind: audit.ActorApp, Action: audit.ActionVerdict, Outcome: outcome, Origin: "run " + j.run.ID, Subject: of(j.pull.Repo, j.run.Number, more)}
}

// recordAsked writes the row about a plan or a cancellation that a person with write permission asked for.
func (e *Engine) recordAsked(ctx context.Context, action, origin string, actor change.User, repo change.Repo, number int, more map[string]any) error {
	return e.cfg.Store.Write(ctx, func(tx *store.Tx) error {
		return audit.Append(ctx, tx, audit.Entry{Actor: actor, Action: action, Outcome: audit.Allowed, Origin: origin, Subject: of(repo, number, more)})
	})
}

// about appends a row about an execution, which its check on GitHub then names.
func about(ctx context.Context, tx *store.Tx, executionID string, entry audit.Entry) error {
	if err := audit.Append(ctx, tx, entry); err != nil {
		return err
	}
	return tx.SetExecutionLedger(ctx, executionID)
}

// approvals are those whose approvals of the head count, with the reviews that they are.
func approvals(f facts) (out []audit.Approver) {
	for _, r := range f.reviews {
		if r.State == "approved" && r.CommitSHA == f.pull.HeadSHA {
			out = append(out, audit.Approver{ID: r.Author.ID, Login: r.Author.Login, Review: r.ID, At: r.SubmittedAt.UTC().Format(time.RFC3339)})
		}
	}
	return out
}

// held refuses while the ledger is not what its anchor knows: what was consumed since the backup
// is forgotten, and would be applied again.
func (e *Engine) held(ctx context.Context) error {
	if e.cfg.Held == nil {
		return nil
	}
	flaw, err := e.cfg.Held(ctx)
	if err != nil {
		return fmt.Errorf("compare the ledger with its anchor: %w", err)
	}
	if flaw == nil {
		return nil
	}
	return fault.Wrap(flaw, "Nothing is applied: the database of this server was restored from a backup, or changed.",
		"What was applied since is not in it, and could be applied a second time.",
		"An operator looks at what was applied, runs `bot audit acknowledge`, and then comment `/apply` again.")
}

// githubs is a time of ours by GitHub's clock, for comparison with times that GitHub tells.
func (e *Engine) githubs(t time.Time) time.Time { return t.Add(e.cfg.GitHub.Skew()) }

func sorted(set map[string]bool) []string { return slices.Sorted(maps.Keys(set)) }
