package engine

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/tollgate/tollgate/internal/audit"
	"github.com/tollgate/tollgate/internal/change"
	"github.com/tollgate/tollgate/internal/fault"
	"github.com/tollgate/tollgate/internal/github"
	"github.com/tollgate/tollgate/internal/hclsource"
	"github.com/tollgate/tollgate/internal/project"
	"github.com/tollgate/tollgate/internal/redact"
	"github.com/tollgate/tollgate/internal/store"
	"github.com/tollgate/tollgate/internal/workspace"
)

// How long a run waits for GitHub, git or the database to come back before it ends as errored.
const outagePatience = 15 * time.Minute

// job is one run while it is worked on.
type job struct {
	run      store.Run
	pull     store.Pull
	config   project.Config
	rules    rules
	tree     fs.FS             // the merged tree, for reading
	root     string            // the merged tree on disk, for Terraform
	pointers []string          // files of which Git LFS keeps the content elsewhere
	projects []project.Project // all of the merged tree
	plans    []store.Plan
	changed  map[string]bool    // files that the pull request changes
	code     map[string]verdict // on the code of each project, by name
	prepared func()             // lets another run be prepared
}

// begin works on a run in the background after a pause, when it is the turn of its repository.
func (e *Engine) begin(run store.Run, who tenant, pause time.Duration) {
	ctx, cancel := context.WithCancelCause(e.life)
	e.mu.Lock()
	e.active[run.ID] = cancel
	e.mu.Unlock()
	e.wg.Go(func() {
		defer cancel(nil)
		defer func() {
			e.mu.Lock()
			delete(e.active, run.ID)
			e.mu.Unlock()
		}()
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return // whoever cancelled it has recorded so
		}
		if madeAgain(run) { // there may be many, and people who push must not wait for them
			giveBack, err := e.unasked.take(ctx, who)
			if err != nil {
				return
			}
			defer giveBack()
		}
		giveBack, err := e.preparing.take(ctx, who)
		if err != nil {
			return
		}
		prepared := sync.OnceFunc(giveBack)
		defer prepared()
		e.work(ctx, &job{run: run, prepared: prepared})
	})
}

// work makes, judges and reports the plans of a run.
func (e *Engine) work(ctx context.Context, j *job) {
	run := j.run
	log := e.cfg.Logger.With("run", run.ID, "pull", run.Number, "head", run.HeadSHA)
	attempt := 0
	err := patiently(ctx, func() (err error) { attempt, err = e.beginAttempt(ctx, run); return err })
	if err != nil {
		log.Info("run is not started", "reason", err)
		return
	}
	defer func() { _ = os.RemoveAll(e.workDir(run.ID)) }()
	if attempt > maxAttempts {
		err = fault.New(fmt.Sprintf("The server ended %d times while it made this plan.", maxAttempts), "The plan may be what ends it, so it is not made again by itself.",
			"The server's log and the machine's say why it ended. Comment `/plan` when that is mended.")
	} else {
		// A plan changes nothing, so one that a database without an answer has ended is made again.
		err = e.survive(func() error {
			return patiently(ctx, func() error { *j = job{run: run, prepared: j.prepared}; return e.attempt(ctx, j) })
		})
	}
	if ctx.Err() != nil {
		log.Info("run stopped", "cause", context.Cause(ctx))
		e.forgetAttempt(ctx, run)
		return // cancelled: the state was recorded; or the server stops: the next one starts it again
	}
	state, flt := outcome(j, err)
	if err != nil {
		log.Warn("run ended without a verdict", "error", err)
	}
	for {
		err = e.cfg.Store.Write(ctx, func(tx *store.Tx) error {
			if err := tx.MoveRun(ctx, run.ID, state, flt); err != nil {
				return err
			}
			return audit.Append(ctx, tx, e.verdict(j, state, flt))
		})
		if err == nil {
			break
		}
		log.Error("record the end of a run", "error", err)
		select { // a disk that is full now may not be later; a run that was superseded is over
		case <-time.After(e.cfg.Pace.FollowPause):
		case <-ctx.Done():
			return
		}
	}
	e.cfg.At(RunEnded)
	e.cfg.Ended("run", string(state))
	e.reportSoon(pullKey{run.RepoID, run.Number})
}

// beginAttempt makes the run ours and counts that somebody begins with it.
func (e *Engine) beginAttempt(ctx context.Context, run store.Run) (attempt int, err error) {
	err = e.cfg.Store.Write(ctx, func(tx *store.Tx) error {
		if run.State != change.RunRunning { // or else it was interrupted and adopted
			if err := tx.MoveRun(ctx, run.ID, change.RunRunning, nil); err != nil {
				return err
			}
		}
		attempt, err = tx.BeginAttempt(ctx, run.ID, e.boot)
		return err
	})
	return attempt, err
}

// forgetAttempt keeps an orderly stop of the server from counting against the run.
func (e *Engine) forgetAttempt(ctx context.Context, run store.Run) {
	if e.life.Err() == nil {
		return // it was cancelled
	}
	ctx = context.WithoutCancel(ctx)
	if err := e.cfg.Store.Write(ctx, func(tx *store.Tx) error { return tx.ForgetAttempt(ctx, run.ID) }); err != nil {
		e.cfg.Logger.Warn("forget an attempt", "run", run.ID, "error", err)
	}
}

// attempt makes the plans of a run.
func (e *Engine) attempt(ctx context.Context, j *job) error {
	if err := os.RemoveAll(e.workDir(j.run.ID)); err != nil {
		return err
	}
	if err := e.prepare(ctx, j); err != nil {
		return err
	}
	j.prepared()
	return e.planAndPreview(ctx, j)
}

// outcome is the verdict of a run: the worst of its plans.
func outcome(j *job, err error) (change.RunState, *fault.Error) {
	if errors.Is(err, errSuperseded) {
		return change.RunSuperseded, nil
	}
	if err != nil {
		return change.RunErrored, fault.Public(err)
	}
	state := change.RunPassed
	for _, p := range j.plans {
		switch {
		case p.State == change.RunErrored:
			state = change.RunErrored
		case p.State != change.RunPassed && state == change.RunPassed:
			state = change.RunFailed
		}
	}
	return state, nil
}

// workDir is this process's directory for a run. Terraform of a process that died may still be
// about to leave another's.
func (e *Engine) workDir(runID string) string {
	return filepath.Join(e.cfg.DataDir, "work", e.boot, runID)
}

// prepare finds out what is to be planned and puts it on disk.
func (e *Engine) prepare(ctx context.Context, j *job) (err error) {
	j.pull, err = store.Read(ctx, e.cfg.Store, func(tx *store.Tx) (store.Pull, error) {
		return tx.Pull(ctx, j.run.RepoID, j.run.Number)
	})
	if err != nil {
		return err
	}
	e.reportSoon(keyOf(j.pull.Pull))
	if err := patiently(ctx, func() error { return e.fetch(ctx, j) }); err != nil {
		return err
	}
	if err := e.settings(ctx, j); err != nil {
		return err
	}
	pending, err := e.cfg.Judge.PrepareSources(ctx, j.rules.sets) // compiles while projects are looked for
	if err != nil {
		return err
	}
	defer pending.Close()
	if err := e.discover(ctx, j); err != nil {
		return err
	}
	if err := e.forgetInterrupted(ctx, j.run); err != nil {
		return err
	}
	err = e.cfg.Store.Write(ctx, func(tx *store.Tx) error {
		if err := tx.SetRunInputs(ctx, j.run); err != nil {
			return err
		}
		for _, p := range j.plans {
			if err := tx.PutPlan(ctx, p); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil || len(j.plans) == 0 {
		return err
	}
	e.wg.Go(func() { e.readApprovals(ctx, j.pull) })
	e.reportSoon(keyOf(j.pull.Pull))
	if err := e.refuseCode(ctx, j, pending); err != nil || j.nothingToRun() {
		return err
	}
	j.root = filepath.Join(e.workDir(j.run.ID), "tree")
	if err := os.MkdirAll(e.workDir(j.run.ID), 0o700); err != nil {
		return err
	}
	out, err := e.cfg.Git.Checkout(ctx, j.run.RepoID, j.run.Tree, j.root)
	j.pointers = out.LFSPointers
	return err
}

// readApprovals reads who wrote and who approved the change while Terraform works, so that the
// check can say what is still needed. An apply does not rely on it.
func (e *Engine) readApprovals(ctx context.Context, p store.Pull) {
	reviews, err := e.cfg.GitHub.Reviews(ctx, p.Repo, p.Number)
	if err != nil {
		e.cfg.Logger.Info("reviews are not shown", "pull", p.Number, "error", err)
		return
	}
	commits, err := e.cfg.GitHub.Commits(ctx, p.Repo, p.Number)
	if err != nil {
		e.cfg.Logger.Info("authors are not shown", "pull", p.Number, "error", err)
		return
	}
	var authors []change.Commit
	for _, c := range commits {
		authors = append(authors, change.Commit(c))
	}
	people, err := e.readPeople(ctx, p, reviews)
	if err != nil {
		e.cfg.Logger.Info("teams are not shown", "pull", p.Number, "error", err)
	}
	err = e.cfg.Store.Write(ctx, func(tx *store.Tx) error { return tx.SetApprovals(ctx, p.Repo.ID, p.Number, reviews, authors, people) })
	if err != nil && ctx.Err() == nil {
		e.cfg.Logger.Warn("keep reviews", "pull", p.Number, "error", err)
	}
}

// patiently repeats f while GitHub or the database cannot be reached.
func patiently(ctx context.Context, f func() error) error {
	deadline := time.Now().Add(outagePatience)
	for pause := time.Second; ; pause = min(2*pause, 30*time.Second) {
		err := f()
		if err == nil || !unreachable(err) || time.Now().Add(pause).After(deadline) {
			return err
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// fetch brings the commits here and computes the merge result.
func (e *Engine) fetch(ctx context.Context, j *job) error {
	return e.cfg.GitHub.WithToken(ctx, j.pull.Repo, func(token redact.Secret) error { return e.fetchWith(ctx, j, token) })
}

func (e *Engine) fetchWith(ctx context.Context, j *job, token redact.Secret) error {
	repo := j.pull.Repo
	f := workspace.Fetch{RepoID: repo.ID, URL: e.cfg.GitHub.CloneURL(repo), Token: string(token.Reveal()), Pull: j.run.Number, BaseRef: j.run.BaseRef}
	if j.run.GroupSHA != "" {
		return e.fetchGroup(ctx, j, f)
	}
	if ofMerge(j.run) {
		f.Commit = j.pull.MergeSHA
	}
	commits, err := e.cfg.Git.Fetch(ctx, f)
	if err != nil {
		return err
	}
	j.run.BaseSHA, j.run.ProtectedSHA = commits.Base, ""
	if err := e.beginHistory(ctx, branchKey{repo, j.run.BaseRef}, commits.Base); err != nil {
		return err
	}
	if main := j.pull.DefaultRef; main != "" && main != j.run.BaseRef {
		// Anybody with write permission can make a branch with settings of their own and open a
		// pull request onto it, so those of the default branch hold as well.
		c, err := e.cfg.Git.Fetch(ctx, workspace.Fetch{RepoID: repo.ID, URL: f.URL, Token: f.Token, BaseRef: main})
		if err != nil {
			return err
		}
		j.run.ProtectedSHA = c.Base
	}
	if ofMerge(j.run) {
		return e.mergedTree(ctx, j)
	}
	if commits.Head != j.run.HeadSHA {
		// A newer push is on its way as an event of its own, or the event was lost.
		if j.run.Reason != actionLookAgain {
			ev := github.Event{Kind: github.KindPullRequest, Repo: repo, Pull: j.run.Number, Action: actionLookAgain}
			if err := e.put(ctx, taskEvent, ev, time.Now().Add(e.cfg.Pace.Lag[0])); err != nil {
				return err
			}
		}
		moved := fault.New("The head of the pull request moved while it was fetched.", "Only the newest commit is planned.", "The new commit is planned by itself.")
		// Or git is behind: then this commit is the newest, and has no verdict.
		if now, err := e.cfg.GitHub.Pull(ctx, repo, j.run.Number); err == nil && now.HeadSHA != j.run.HeadSHA {
			return fault.Wrap(errSuperseded, moved.What, moved.Why, moved.Fix)
		}
		return moved
	}
	merge, err := e.cfg.Git.Merge(ctx, repo.ID, commits.Base, commits.Head)
	if err != nil {
		return err
	}
	if len(merge.Conflicts) > 0 {
		return conflict(merge.Conflicts)
	}
	j.run.Tree = merge.Tree
	return nil
}

// mergedTree is the tree of the commit that the pull request became.
func (e *Engine) mergedTree(ctx context.Context, j *job) (err error) {
	onBase, err := e.cfg.Git.IsAncestor(ctx, j.run.RepoID, j.pull.MergeSHA, j.run.BaseSHA)
	if err != nil {
		return err
	}
	if !onBase {
		return fault.New("The merge commit is not on the base branch.", "What was merged is not what the branch holds.", "Look at what happened to the branch, then comment `/apply`.")
	}
	j.run.Tree, err = e.cfg.Git.Tree(ctx, j.run.RepoID, j.pull.MergeSHA)
	return err
}

func conflict(files []string) error {
	shown := strings.Join(files[:min(5, len(files))], ", ")
	if len(files) > 5 {
		shown += fmt.Sprintf(" and %d more", len(files)-5)
	}
	return fault.New("The pull request conflicts with its base in "+shown+".",
		"What would be applied is the merge of the two, and there is none.", "Merge or rebase onto the base branch and resolve the conflict.")
}

// settings reads configuration and policies from the base, never from the pull request. Where
// the pull request is merged already, the base is what it was before, and what was approved had
// further settings: all of them have to allow it, and on each point the stricter word counts.
func (e *Engine) settings(ctx context.Context, j *job, further ...string) error {
	base, err := e.before(ctx, j)
	if err != nil {
		return err
	}
	if j.run.ProtectedSHA != "" {
		further = append(further, j.run.ProtectedSHA)
	}
	j.rules = e.base()
	for i, commit := range append([]string{base}, further...) {
		cfg, err := e.repoConfig(ctx, j.run.RepoID, commit)
		if err != nil {
			return err
		}
		if i == 0 {
			j.config = cfg
		}
		j.config.Apply = j.config.Apply.And(cfg.Apply)
		if j.rules, err = e.with(ctx, j.rules, j.run.RepoID, commit, cfg.Policies.Dir); err != nil {
			return err
		}
	}
	j.run.PolicyDigest = j.rules.digest()
	config, err := json.Marshal(j.config)
	j.run.Config = string(config)
	return err
}

func (e *Engine) repoConfig(ctx context.Context, repoID int64, commit string) (project.Config, error) {
	b, err := e.cfg.Git.ReadFile(ctx, repoID, commit, project.File, 1<<20)
	if errors.Is(err, fs.ErrNotExist) {
		return project.Default(), nil
	}
	if err != nil {
		return project.Config{}, err
	}
	return project.Parse(b)
}

// discover finds the projects of the merged tree that the pull request affects. A run that serves
// an apply looks at the projects that people looked at.
func (e *Engine) discover(ctx context.Context, j *job) (err error) {
	if j.tree, err = e.cfg.Git.FS(ctx, j.run.RepoID, j.run.Tree, ".", hclsource.Reads); err != nil {
		return err
	}
	before, err := e.before(ctx, j)
	if err != nil {
		return err
	}
	if servesApply(j.run) || ofMerge(j.run) {
		v, err := e.view(ctx, keyOf(j.pull.Pull))
		if err != nil {
			return err
		}
		for _, p := range v.lookedAt() {
			j.add(p.Project)
		}
	}
	changed, err := e.cfg.Git.ChangedFiles(ctx, j.run.RepoID, before, j.run.Tree)
	if err != nil {
		return err
	}
	j.changed = map[string]bool{}
	for _, f := range changed {
		j.changed[f] = true
	}
	found, err := hclsource.Scan(j.tree)
	if err != nil {
		return err
	}
	projects, err := e.projects(ctx, j, before, found)
	if err != nil {
		return err
	}
	j.projects = projects
	deps := func(dir string) ([]string, bool) { return hclsource.Closure(found, dir) }
	for _, p := range project.Affected(projects, changed, deps) {
		j.add(p)
	}
	return nil
}

// before is the commit that the pull request changes.
func (e *Engine) before(ctx context.Context, j *job) (string, error) {
	if ofMerge(j.run) {
		return e.cfg.Git.FirstParent(ctx, j.run.RepoID, j.pull.MergeSHA)
	}
	return j.run.BaseSHA, nil
}

// projects are the configured ones, or the root modules of the tree. One that was a root module
// before counts as long as its directory holds anything, whatever is left of it; one that is gone
// would leave its resources without anybody to look after them, so it needs a word.
func (e *Engine) projects(ctx context.Context, j *job, before string, found []hclsource.Info) ([]project.Project, error) {
	projects := projectsOf(j.config, found)
	if len(j.config.Projects) > 0 {
		return projects, nil
	}
	old, err := e.cfg.Git.FS(ctx, j.run.RepoID, before, ".", hclsource.Reads)
	if err != nil {
		return nil, err
	}
	foundBefore, err := hclsource.Scan(old)
	if err != nil {
		return nil, err
	}
	for _, p := range projectsOf(j.config, foundBefore) {
		if slices.ContainsFunc(projects, func(q project.Project) bool { return q.Dir == p.Dir }) {
			continue
		}
		if !slices.ContainsFunc(found, func(m hclsource.Info) bool { return m.Dir == p.Dir }) {
			if e.neverApplied(j.run.RepoID, p.Dir, foundBefore) {
				continue
			}
			return nil, fault.New("The root module in "+p.Dir+" disappears.", "Its resources would stay, with nobody to look after them.",
				"Destroy or forget them first, in a pull request that empties the module with `removed` blocks, then list the remaining projects in "+project.File+".")
		}
		projects = append(projects, p)
	}
	return projects, nil
}

// neverApplied reports whether a directory cannot have had resources: it named no place for a
// state, and none was kept for it here. A module that nobody calls is such a directory.
func (e *Engine) neverApplied(repoID int64, dir string, before []hclsource.Info) bool {
	for _, m := range before {
		if m.Dir == dir && (m.HasBackend || m.HasProvider || m.Broken) {
			return false
		}
	}
	_, err := os.Stat(filepath.Join(e.cfg.DataDir, "states", fmt.Sprint(repoID), filepath.FromSlash(dir), "terraform.tfstate"))
	return errors.Is(err, fs.ErrNotExist)
}

// add adds a plan of the project unless it has one.
func (j *job) add(p change.Project) {
	if slices.ContainsFunc(j.plans, func(q store.Plan) bool { return q.Project.Name == p.Name }) {
		return
	}
	j.plans = append(j.plans, store.Plan{ID: store.NewID(), RunID: j.run.ID, Project: p, State: change.RunQueued})
}

// projectsOf are the configured projects, or those that the tree shows.
func projectsOf(cfg project.Config, found []hclsource.Info) []project.Project {
	if len(cfg.Projects) > 0 {
		return cfg.Projects
	}
	var infos []project.ModuleInfo
	for _, m := range found {
		infos = append(infos, project.ModuleInfo{Dir: m.Dir, HasBackend: m.HasBackend, HasProvider: m.HasProvider,
			HasResources: m.HasResources, Broken: m.Broken, Calls: m.Calls})
	}
	return project.Discover(infos)
}

// planAndPreview plans the projects while changed policies are tried on earlier plans.
func (e *Engine) planAndPreview(ctx context.Context, j *job) error {
	var preview *change.Preview
	var wg sync.WaitGroup
	var broke error
	wg.Go(func() { broke = e.survive(func() error { preview = e.preview(ctx, j); return nil }) })
	e.planAll(ctx, j)
	wg.Wait()
	notices := e.orphans(ctx, j)
	if ctx.Err() != nil || broke != nil || preview == nil && len(notices) == 0 {
		return broke
	}
	return e.cfg.Store.Write(ctx, func(tx *store.Tx) error {
		if preview != nil {
			if err := tx.SetPreview(ctx, j.run.ID, preview); err != nil {
				return err
			}
		}
		return tx.SetNotices(ctx, j.run.ID, notices)
	})
}

// planAll plans the projects side by side.
func (e *Engine) planAll(ctx context.Context, j *job) {
	var wg sync.WaitGroup
	for i := range j.plans {
		if !j.plans[i].Refused {
			wg.Go(func() { e.planOne(ctx, j, &j.plans[i]) })
		}
	}
	wg.Wait()
}
