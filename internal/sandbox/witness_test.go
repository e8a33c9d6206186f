package sandbox_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	_ "modernc.org/sqlite" // reads what the server has left

	"github.com/tollgate/tollgate/internal/ghsim"
	"github.com/tollgate/tollgate/internal/sandbox"
)

// witness gathers what the oracles look at, in a world that lies in dir.
type witness struct {
	dir      string
	canaries map[string]string
	expected []string // violations that the test itself brings about, by how they begin
}

// notes is where what the wrapper and the resources write down lies.
func (w *witness) notes() string { return filepath.Join(w.dir, "witness") }

// wrapper runs Terraform, and writes down each apply before it begins, with the digest of what is
// applied. Resources that leave marks find that digest in their environment, and how long they are to take.
const wrapper = `#!/bin/sh
if [ "$1" = apply ]; then
  for plan; do :; done
  TEST_PLAN=$(sha256sum <"$plan" | cut -d' ' -f1)
  TEST_MARKS='%[1]s/marks'
  TEST_PAUSE=$(cat '%[1]s/pause')
  export TEST_PLAN TEST_MARKS TEST_PAUSE
  echo "$(date +%%s%%N) $$ $TEST_PLAN $PWD $plan" >>'%[1]s/applies'
fi
exec '%[2]s' "$@"
`

// newWitness prepares a world to be watched: a wrapper around Terraform, and canaries where secrets lie.
func newWitness(cfg *sandbox.Config) (*witness, error) {
	w := &witness{dir: cfg.Dir, canaries: map[string]string{}}
	for _, place := range []string{"environment", "neighbour", "variable"} {
		w.canaries[place] = canary(place)
	}
	cfg.Environ = append(slices.Clone(cfg.Environ), "PAYMENTS_TOKEN="+w.canaries["environment"])
	neighbour := filepath.Join(w.dir, "server", "states", "999999", "app", "terraform.tfstate")
	script := filepath.Join(w.notes(), "terraform")
	err := errors.Join(os.MkdirAll(filepath.Dir(neighbour), 0o700), os.MkdirAll(w.notes(), 0o700),
		os.WriteFile(neighbour, []byte(w.canaries["neighbour"]), 0o600),
		os.WriteFile(filepath.Join(w.notes(), "pause"), []byte("0.3"), 0o600),
		os.WriteFile(script, fmt.Appendf(nil, wrapper, w.notes(), cfg.Terraform), 0o700))
	// In a room the wrapper has to find what it wraps.
	cfg.Args = append([]string{"--sandbox-paths", cfg.Terraform + "," + w.notes() + ":rw"}, cfg.Args...)
	cfg.Terraform = script
	return w, err
}

// judge reports what the oracles find in a world whose test is over, unless the test has failed already.
func (w *witness) judge(t testing.TB, world *sandbox.World) {
	t.Helper()
	if t.Failed() {
		return
	}
	// The test's own context has ended by now.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), patience)
	defer cancel()
	violations, err := w.violations(ctx, world)
	if err != nil {
		t.Error(err)
	}
	for _, v := range violations {
		if !slices.ContainsFunc(w.expected, func(e string) bool { return strings.HasPrefix(v, e) }) {
			t.Error(v)
		}
	}
	for _, e := range w.expected {
		if !slices.ContainsFunc(violations, func(v string) bool { return strings.HasPrefix(v, e) }) {
			t.Errorf("the oracles do not see what the test has done: %s", e)
		}
	}
}

// violations ends the server once nothing is under way any more, and asks the oracles. If a test has
// ended it, it shows no pages, and what is under way will not come to its end.
func (w *witness) violations(ctx context.Context, world *sandbox.World) ([]string, error) {
	r := &record{texts: map[string][]byte{}}
	if resp, err := http.Get(world.Bot.URL + "/healthz"); err == nil {
		if err := errors.Join(resp.Body.Close(), w.settled(ctx, world), w.pages(ctx, r, world), world.Bot.Stop()); err != nil {
			return nil, err
		}
	}
	if err := w.look(r, world); err != nil {
		return nil, err
	}
	return r.violations(), nil
}

// settled waits until nothing is under way any more, so that what is left then is left for ever.
func (w *witness) settled(ctx context.Context, world *sandbox.World) error {
	for {
		checks, err := w.checks(world)
		if err != nil {
			return err
		}
		open := slices.DeleteFunc(checks, func(c ghsim.CheckRun) bool { return c.Status == "completed" })
		busy, err := w.count(`select (select count(*) from runs where state in ('queued', 'running'))
			+ (select count(*) from executions where state in ('claimed', 'running'))
			+ (select count(*) from river_job where state in ('available', 'running') or state = 'scheduled' and json_extract(args, '$.name') = 'apply'
				and scheduled_at < datetime('now', '+2 seconds'))`)
		if err != nil || len(open) == 0 && busy == 0 {
			return err
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("the work does not end: %d tasks, checks %+v", busy, open)
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// checks are those of every commit that was ever planned or is a head now.
func (w *witness) checks(world *sandbox.World) (out []ghsim.CheckRun, err error) {
	heads, err := w.column(`select distinct head_sha from runs`)
	if err != nil {
		return nil, err
	}
	for _, repo := range world.GitHub.Repos() {
		all := slices.Clone(heads)
		for _, p := range repo.Pulls() {
			all = append(all, p.Info().HeadSHA)
		}
		slices.Sort(all)
		for _, sha := range slices.Compact(all) {
			out = append(out, repo.CheckRuns(sha)...)
		}
	}
	return out, nil
}

// pages reads what the server shows; it has to run.
func (w *witness) pages(ctx context.Context, r *record, world *sandbox.World) error {
	paths := []string{"/", "/metrics"}
	runs, err := w.column(`select id from runs order by seq desc limit 3`)
	if err != nil {
		return err
	}
	for _, id := range runs {
		paths = append(paths, "/runs/"+id)
	}
	executions, err := w.column(`select id from executions order by created_at desc limit 10`)
	if err != nil {
		return err
	}
	for _, id := range executions {
		paths = append(paths, "/executions/"+id, "/executions/"+id+"/log")
	}
	reader, err := visit(ctx, world, sandbox.Author)
	if err != nil {
		return err
	}
	for _, path := range paths {
		resp, body, err := reader.do(ctx, http.MethodGet, world.Bot.URL+path, nil)
		if err != nil {
			return err
		}
		if resp.StatusCode != http.StatusOK && !strings.HasSuffix(path, "/log") { // of an apply that did not begin
			return fmt.Errorf("page %s: %s", path, resp.Status)
		}
		r.texts["page "+path] = []byte(body)
	}
	return nil
}

// look fills in the record once the server has stopped.
func (w *witness) look(r *record, world *sandbox.World) (err error) {
	r.canaries = maps.Clone(w.canaries)
	if r.checks, err = w.checks(world); err != nil {
		return err
	}
	r.approvers = map[string][]string{}
	for _, repo := range world.GitHub.Repos() {
		for _, p := range repo.Pulls() {
			for _, v := range p.Reviews() {
				if v.State == "APPROVED" {
					r.approvers[v.Commit] = append(r.approvers[v.Commit], v.Author)
				}
			}
		}
	}
	for _, ex := range world.GitHub.Requests() {
		header := ex.Header.Clone()
		if token := header.Get("Authorization"); ex.TokenKind == "installation" && ex.Kind == "rest" {
			_, token, _ = strings.Cut(token, " ")
			r.canaries["a token of the App"+fmt.Sprintf(" (%.8s…)", token)] = token
		}
		header.Del("Authorization") // where a token belongs
		where := "request to GitHub " + ex.Method + " " + ex.Path
		r.texts[where] = fmt.Append(r.texts[where], ex.Path, header, string(ex.Body), "\n")
	}
	for _, d := range world.GitHub.Deliveries(world.App.ID) {
		r.texts["answers to webhooks"] = append(r.texts["answers to webhooks"], d.Answer...)
	}
	r.canaries["webhook secret"] = readFile(filepath.Join(w.dir, "webhook-secret"))
	r.canaries["App key"] = strings.Split(readFile(filepath.Join(w.dir, "app-key.pem")), "\n")[2]
	r.texts["the server's log"] = []byte(readFile(world.Bot.Log))
	if world.Emulator != nil {
		if r.calls, err = world.Emulator.Calls(); err != nil {
			return err
		}
	}
	w.processes(r)
	return errors.Join(w.applies(r), w.database(r), w.residue(r))
}

// readFile returns "" if there is no such file: what is missing is missed by the oracle that needs it.
func readFile(name string) string {
	b, _ := os.ReadFile(name)
	return string(b)
}

func (w *witness) applies(r *record) error {
	for line := range strings.Lines(readFile(filepath.Join(w.notes(), "applies"))) {
		f := strings.SplitN(strings.TrimSpace(line), " ", 5)
		if len(f) != 5 {
			return fmt.Errorf("the record of applies has the line %q", line)
		}
		at, err := strconv.ParseInt(f[0], 10, 64)
		if err != nil {
			return err
		}
		pid, err := strconv.Atoi(f[1])
		if err != nil {
			return err
		}
		r.applies = append(r.applies, applyExec{time.Unix(0, at), pid, f[2], f[3], f[4]})
	}
	for line := range strings.Lines(readFile(filepath.Join(w.notes(), "marks"))) {
		plan, address, _ := strings.Cut(strings.TrimSpace(line), " ")
		r.marks = append(r.marks, mark{plan, address})
	}
	return nil
}

func (w *witness) open() (*sql.DB, error) {
	return sql.Open("sqlite", "file:"+filepath.Join(w.dir, "server", "tollgate.db")+"?_pragma=busy_timeout(5000)")
}

func (w *witness) count(query string) (n int, err error) {
	db, err := w.open()
	if err != nil {
		return 0, err
	}
	defer db.Close()
	return n, db.QueryRow(query).Scan(&n)
}

func (w *witness) column(query string) (out []string, err error) {
	err = w.rows(query, func(_ []string, values []any) error {
		out = append(out, fmt.Sprint(values[0]))
		return nil
	})
	return out, err
}

// rows calls f with the names and the values of each row.
func (w *witness) rows(query string, f func(names []string, values []any) error) error {
	db, err := w.open()
	if err != nil {
		return err
	}
	defer db.Close()
	rows, err := db.Query(query)
	if err != nil {
		return err
	}
	defer rows.Close()
	names, err := rows.Columns()
	if err != nil {
		return err
	}
	for rows.Next() {
		values, into := make([]any, len(names)), make([]any, len(names))
		for i := range values {
			into[i] = &values[i]
		}
		if err := rows.Scan(into...); err != nil {
			return err
		}
		if err := f(names, values); err != nil {
			return err
		}
	}
	return rows.Err()
}

// database reads what the oracles need to know, and the text of every column.
func (w *witness) database(r *record) error {
	tables, err := w.column(`select name from sqlite_master where type = 'table'`)
	if err != nil {
		return err
	}
	for _, table := range tables {
		err := w.rows(`select * from "`+table+`"`, func(names []string, values []any) error {
			for i, v := range values {
				if b, ok := v.([]byte); ok {
					v = string(b)
				}
				where := "column " + table + "." + names[i]
				r.texts[where] = fmt.Append(r.texts[where], v, "\n")
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	err = w.rows(`select at, action, outcome, subject from audit order by seq`, func(_ []string, v []any) error {
		row := ledgerRow{Action: fmt.Sprint(v[1]), Outcome: fmt.Sprint(v[2])}
		r.ledger = append(r.ledger, row)
		return r.ledger[len(r.ledger)-1].fill(fmt.Sprint(v[0]), fmt.Sprint(v[3]))
	})
	if err != nil {
		return err
	}
	return w.rows(`select id, plan_id, json_extract(project, '$.name'), state, head_sha, proof, coalesce(json_extract(nullif(resolved, ''), '$.as'), '') from executions order by created_at`, func(_ []string, v []any) error {
		s := make([]string, len(v))
		for i := range v {
			s[i] = fmt.Sprint(v[i])
		}
		r.executions = append(r.executions, execution{s[0], s[1], s[2], s[3], s[4], s[5], s[6]})
		return nil
	})
}

// processes finds what still runs in the world's directory, and what is mounted there.
func (w *witness) processes(r *record) {
	for _, pid := range inside(w.dir) {
		r.residue = append(r.residue, fmt.Sprintf("O5: process %d is left: %q", pid, strings.ReplaceAll(readFile(fmt.Sprintf("/proc/%d/cmdline", pid)), "\x00", " ")))
	}
	for _, file := range []string{"/proc/self/mountinfo", "/proc/net/unix"} {
		for line := range strings.Lines(readFile(file)) {
			if strings.Contains(line, w.dir+"/server/") {
				r.residue = append(r.residue, "O5: "+file+" has "+strings.TrimSpace(line))
			}
		}
	}
}

// inside are the processes that work in a server's data directory, or were told of it.
func inside(dir string) (pids []int) {
	all, _ := filepath.Glob("/proc/[0-9]*")
	for _, p := range all {
		pid, err := strconv.Atoi(filepath.Base(p))
		if err != nil || pid == os.Getpid() {
			continue
		}
		cwd, _ := os.Readlink(p + "/cwd") // gone, or somebody else's
		if strings.Contains(readFile(p+"/cmdline"), dir+"/server") || strings.HasPrefix(cwd+"/", dir+"/server/") {
			pids = append(pids, pid)
		}
	}
	return pids
}

// residue finds files of finished jobs: workspaces, homes of processes, and plans in clear.
func (w *witness) residue(r *record) error {
	data := filepath.Join(w.dir, "server")
	for _, empty := range []string{"work/*/*", "terraform/run/*", "terraform/apply/*/*/*", "executions/*/plan.tfplan", "executions/*/proof"} {
		left, err := filepath.Glob(filepath.Join(data, empty))
		if err != nil {
			return err
		}
		for _, f := range left {
			r.residue = append(r.residue, "O5: left behind: "+f)
		}
	}
	return filepath.WalkDir(data, func(path string, d fs.DirEntry, err error) error {
		rel, _ := filepath.Rel(data, path) // path lies below data
		top, _, _ := strings.Cut(rel, string(filepath.Separator))
		switch {
		case err != nil:
			return err
		case top == "states", top == "mirrors", top == "terraform": // states that Tollgate keeps, git, and installed providers
			return filepath.SkipDir
		case !d.Type().IsRegular():
			return nil
		}
		if kind := clear(path); kind != "" {
			r.residue = append(r.residue, "O5: "+kind+" in clear: "+path)
		}
		return nil
	})
}

// clear says what secret thing a file is, or "".
func clear(path string) string {
	f, err := os.Open(path)
	if err != nil {
		return ""
	}
	defer f.Close()
	head := make([]byte, 4096)
	n, _ := io.ReadFull(f, head) // short files are short
	switch text := string(head[:n]); {
	case strings.HasPrefix(text, "PK\x03\x04") && strings.Contains(text, "tfplan"):
		return "a plan"
	case strings.Contains(text, `"format_version"`) && strings.Contains(text, `"terraform_version"`):
		return "the JSON of a plan"
	case strings.Contains(text, `"lineage"`) && strings.Contains(text, `"serial"`):
		return "a state"
	}
	return ""
}
