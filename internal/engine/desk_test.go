package engine

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
	"testing/synctest"
	"time"

	"github.com/tollgate/tollgate/internal/audit"
	"github.com/tollgate/tollgate/internal/change"
	"github.com/tollgate/tollgate/internal/ghsim"
	"github.com/tollgate/tollgate/internal/github"
	"github.com/tollgate/tollgate/internal/queue"
	"github.com/tollgate/tollgate/internal/redact"
	"github.com/tollgate/tollgate/internal/store"
	"github.com/tollgate/tollgate/internal/workspace"
)

// desk is an engine at the stand-in's counter, in a bubble in which time passes when nobody works:
// an outage of half an hour takes a moment, and every pause is exact. Nothing is planned there; the
// tests write into the store what GitHub has to be told.
type desk struct {
	t    *testing.T
	e    *Engine
	db   *store.DB
	sim  *ghsim.Server
	app  ghsim.App
	inst int64
	repo *ghsim.Repo
	pull *ghsim.Pull
	key  pullKey
	ids  map[string]int64 // of people
	line *line
	dir  string
}

var deskKey = sync.OnceValue(func() *rsa.PrivateKey {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	return key
})

// people of the stand-in; each may write.
var people = []string{"ann", "bob", "cay", "dee", "eve"}

// atDesk runs a test in a bubble with a pull request that the store knows and that has a run.
func atDesk(t *testing.T, test func(*desk)) {
	t.Helper()
	deskKey()
	d := &desk{dir: t.TempDir(), ids: map[string]int64{}}
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	var err error
	d.sim, err = ghsim.New(ghsim.Config{Memory: true})
	must(err)
	t.Cleanup(func() { must(d.sim.Close()) })
	roles := map[string]string{}
	for _, p := range people {
		u, err := d.sim.CreateUser(ghsim.User{Login: p})
		must(err)
		d.ids[p], roles[p] = u.ID, "write"
	}
	d.repo, err = d.sim.CreateRepo(ghsim.NewRepo{Owner: "acme", Name: "shop", Private: true, Author: "ann", Roles: roles, Files: fstest.MapFS{"main.tf": {Data: []byte("# one\n")}}})
	must(err)
	d.app, err = d.sim.CreateApp(ghsim.NewApp{Slug: "tollgate", Owner: "acme", Key: deskKey(), Permissions: map[string]string{
		"checks": "write", "contents": "read", "pull_requests": "write", "issues": "write", "deployments": "write"}})
	must(err)
	d.inst, err = d.sim.Install(d.app.ID, "acme")
	must(err)
	_, err = d.repo.Push(ghsim.Push{Branch: "topic", By: "ann", Message: "Two", Files: map[string]string{"main.tf": "# two\n"}})
	must(err)
	d.pull, err = d.repo.OpenPull(ghsim.OpenPull{By: "ann", Head: "topic", Title: "Two"})
	must(err)
	d.key = pullKey{d.repo.ID(), d.pull.Number()}
	synctest.Test(t, func(t *testing.T) {
		d.t = t
		d.line = &line{to: d.sim}
		d.open()
		d.write(func(ctx context.Context, tx *store.Tx) error { return tx.PutPull(ctx, store.Pull{Pull: d.facts()}) })
		test(d)
		d.shut()
	})
}

func (d *desk) facts() change.Pull {
	return change.Pull{Repo: d.at(), Number: d.key.Number, Title: "Two", Open: true, HeadSHA: d.pull.Info().HeadSHA, BaseRef: "main", Author: change.User{ID: 1, Login: "ann"}}
}

func (d *desk) at() change.Repo {
	return change.Repo{ID: d.key.Repo, InstallationID: d.inst, Owner: "acme", Name: "shop"}
}

// open starts an engine on the store, as a new process of the server would.
func (d *desk) open() {
	d.t.Helper()
	var err error
	d.db, err = store.Open(d.t.Context(), filepath.Join(d.dir, "store.db"))
	d.ok(err)
	pemKey := pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(deskKey())})
	app, err := github.New(github.Config{URL: d.sim.URL(), AppID: d.app.ID, Key: redact.New(pemKey), Transport: d.line})
	d.ok(err)
	d.e, err = New(d.t.Context(), Config{Store: d.db, GitHub: app, Git: noGit{}, Pace: Usual(), ServerID: "desk", DataDir: d.dir,
		PublicURL: "http://tollgate.test", Logger: slog.New(slog.NewTextHandler(d.t.Output(), &slog.HandlerOptions{Level: slog.LevelWarn}))})
	d.ok(err)
	d.ok(d.e.tellUnfinished(d.t.Context()))
}

func (d *desk) shut() {
	d.t.Helper()
	d.ok(d.e.Stop(context.Background()))
	d.ok(d.db.Close())
}

func (d *desk) ok(err error) {
	d.t.Helper()
	if err != nil {
		d.t.Fatal(err)
	}
}

func (d *desk) write(f func(context.Context, *store.Tx) error) {
	d.t.Helper()
	d.ok(d.db.Write(d.t.Context(), func(tx *store.Tx) error { return f(d.t.Context(), tx) }))
}

// run begins a run of the head with one plan, and tells.
func (d *desk) run() store.Run {
	d.t.Helper()
	r := store.Run{ID: store.NewID(), RepoID: d.key.Repo, Number: d.key.Number, HeadSHA: d.pull.Info().HeadSHA, BaseRef: "main", Reason: "opened"}
	d.write(func(ctx context.Context, tx *store.Tx) error {
		if err := tx.AddRun(ctx, &r); err != nil {
			return err
		}
		return tx.PutPlan(ctx, store.Plan{ID: store.NewID(), RunID: r.ID, Project: change.Project{Name: "payments"}, State: change.RunRunning})
	})
	d.e.reportSoon(d.key)
	return r
}

// move moves a run on, and tells.
func (d *desk) move(r store.Run, to change.RunState) {
	d.t.Helper()
	d.write(func(ctx context.Context, tx *store.Tx) error { return tx.MoveRun(ctx, r.ID, to, nil) })
	d.e.reportSoon(d.key)
}

// ask writes an answer to a comment, as a command does.
func (d *desk) ask(comment int64, body string) {
	d.t.Helper()
	d.ok(d.e.answer(d.t.Context(), github.Event{Kind: github.KindComment, Repo: d.at(), Pull: d.key.Number, CommentID: comment}, body))
}

// push pushes a commit to the pull request.
func (d *desk) push(i int) string {
	d.t.Helper()
	sha, err := d.repo.Push(ghsim.Push{Branch: "topic", By: "ann", Message: "More", Files: map[string]string{"main.tf": fmt.Sprintf("# more %d\n", i)}})
	d.ok(err)
	return sha
}

// work does the tasks that wait in the queue, which nobody works on here.
func (d *desk) work() {
	d.t.Helper()
	var tasks []queue.Task
	d.write(func(ctx context.Context, tx *store.Tx) error {
		rows, err := tx.SQL.QueryContext(ctx, `select json(args) from river_job order by id`)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var args string
			var t queue.Task
			if err := errors.Join(rows.Scan(&args), json.Unmarshal([]byte(args), &t)); err != nil {
				return err
			}
			tasks = append(tasks, t)
		}
		return rows.Err()
	})
	d.write(func(ctx context.Context, tx *store.Tx) error {
		_, err := tx.SQL.ExecContext(ctx, `delete from river_job`)
		return err
	})
	for _, t := range tasks {
		d.ok(d.e.dispatch(d.t.Context(), t))
	}
}

// audited counts the rows of the ledger whose action begins so.
func (d *desk) audited(action string) (n int) {
	d.t.Helper()
	d.write(func(ctx context.Context, tx *store.Tx) error {
		return audit.Each(ctx, tx, func(r audit.Row) error {
			if strings.HasPrefix(r.Action, action) {
				n++
			}
			return nil
		})
	})
	return n
}

// pass lets time pass.
func (d *desk) pass(t time.Duration) {
	<-time.After(t)
	synctest.Wait()
}

// told fails the test unless GitHub shows exactly one check of each name on the commit, completed, and one summary.
func (d *desk) told(sha string, answers ...string) {
	d.t.Helper()
	names := map[string]int{}
	for _, c := range d.repo.CheckRuns(sha) {
		names[c.Name]++
		if c.Status != "completed" {
			d.t.Errorf("check %s is %s: %s", c.Name, c.Status, c.Title)
		}
	}
	same(d.t, "checks by name", map[string]int{"tollgate": 1, "tollgate/plan: payments": 1}, names)
	d.commented(answers...)
}

// commented fails the test unless there is one summary, and after it just these answers.
func (d *desk) commented(answers ...string) {
	d.t.Helper()
	var got []string
	summaries := 0
	for _, c := range d.pull.Comments() {
		switch _, text, _ := strings.Cut(c.Body, "\n"); {
		case strings.HasPrefix(c.Body, "<!-- tollgate:summary -->"):
			summaries++
		case c.Author == d.app.BotLogin:
			got = append(got, text)
		}
	}
	same(d.t, "answers", answers, got)
	if summaries != 1 {
		d.t.Errorf("%d summary comments", summaries)
	}
	left, err := store.Read(d.t.Context(), d.db, func(tx *store.Tx) ([]store.PullKey, error) { return tx.AllUntold(d.t.Context(), completed) })
	if d.ok(err); len(left) != 0 {
		d.t.Errorf("%v is not told, by the store", left)
	}
}

// line carries requests to the stand-in without a network, and can hold one back until long after it
// was given up.
type line struct {
	to   http.Handler
	mu   sync.Mutex
	keep func(*http.Request) bool // the next one to hold back
	held *http.Request
	sent []call
}

// call is a request as it arrived, by the clock of the bubble.
type call struct {
	at   time.Time
	what string
}

func (l *line) RoundTrip(r *http.Request) (*http.Response, error) {
	body := []byte{}
	if r.Body != nil {
		b, err := io.ReadAll(r.Body)
		if err != nil {
			return nil, err
		}
		body = b
	}
	l.mu.Lock()
	l.sent = append(l.sent, call{time.Now(), r.Method + " " + r.URL.Path})
	keep := l.keep != nil && l.keep(r)
	if keep {
		l.keep = nil
		l.held = r.Clone(context.WithoutCancel(r.Context()))
		l.held.Body = io.NopCloser(bytes.NewReader(body))
	}
	l.mu.Unlock()
	if keep {
		<-r.Context().Done()
		return nil, r.Context().Err()
	}
	in := r.Clone(r.Context())
	in.Body = io.NopCloser(bytes.NewReader(body))
	return l.deliver(in)
}

func (l *line) deliver(r *http.Request) (resp *http.Response, err error) {
	rec := httptest.NewRecorder()
	r.RequestURI = r.URL.RequestURI()
	if r.UserAgent() == "" {
		r.Header.Set("User-Agent", "Go-http-client/1.1") // as on the network
	}
	defer func() {
		if recover() == http.ErrAbortHandler {
			resp, err = nil, io.ErrUnexpectedEOF
		}
	}()
	l.to.ServeHTTP(rec, r)
	if r.Context().Err() != nil {
		return nil, r.Context().Err()
	}
	return rec.Result(), nil
}

// arrive lets the request that was held back arrive after all.
func (l *line) arrive() {
	_, _ = l.deliver(l.held) // nobody hears the answer
}

// rate is the largest number of requests of one kind within a window.
func (l *line) rate(window time.Duration, since time.Time) (most int, what string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	times := map[string][]time.Time{}
	for _, c := range l.sent {
		if c.at.Before(since) {
			continue
		}
		of := append(times[c.what], c.at)
		for of[0].Before(c.at.Add(-window)) {
			of = of[1:]
		}
		if times[c.what] = of; len(of) > most {
			most, what = len(of), c.what
		}
	}
	return most, what
}

// noGit never gets done fetching, so that a run goes on until it is cancelled.
type noGit struct{ Git }

func (noGit) Fetch(ctx context.Context, _ workspace.Fetch) (workspace.Commits, error) {
	<-ctx.Done()
	return workspace.Commits{}, ctx.Err()
}
