package sandbox_test

import (
	"encoding/json"
	"io/fs"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/tollgate/tollgate/internal/ghsim"
	"github.com/tollgate/tollgate/internal/sandbox"
	"github.com/tollgate/tollgate/internal/toolchain"
)

// inBucket keeps its state in a bucket.
const inBucket = "terraform {\n  backend \"s3\" {\n    use_lockfile = true\n  }\n}\n\n" + one

// bucket stands before the emulator and can refuse.
type bucket struct {
	url   string
	gone  atomic.Bool // answers nothing
	full  atomic.Bool // takes no state
	asked atomic.Int64
}

func newBucket(t *testing.T, w *sandbox.World) *bucket {
	t.Helper()
	emulator, err := url.Parse(w.Emulator.URL)
	if err != nil {
		t.Fatal(err)
	}
	b := &bucket{}
	pass := httputil.NewSingleHostReverseProxy(emulator)
	b.url = newServer(t, func(rw http.ResponseWriter, r *http.Request) {
		b.asked.Add(1)
		switch {
		case b.gone.Load():
			panic(http.ErrAbortHandler)
		case b.full.Load() && r.Method == http.MethodPut && strings.HasSuffix(r.URL.Path, ".tfstate"):
			rw.WriteHeader(http.StatusForbidden)
		default:
			pass.ServeHTTP(rw, r)
		}
	})
	return b
}

// restart starts the server again with further variables and flags.
func restart(t *testing.T, w *sandbox.World, environ []string, flags ...string) {
	t.Helper()
	if err := w.Bot.Stop(); err != nil {
		t.Fatal(err)
	}
	w.Bot.Environ = append(slices.Clone(w.Bot.Environ), environ...)
	w.Bot.Args = append(w.Bot.Args, flags...)
	if err := w.Bot.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// The state can be neither read nor, later, saved. A plan that cannot read it says which host does not answer; an
// apply that cannot save it ends as unknown: its state is kept, encrypted, and can be had, the project is
// frozen, and a person on the server's machine resolves it while the server runs.
//
// Covers: R15, R16, R12
func TestStateThatCannotBeReadOrSaved(t *testing.T) {
	t.Parallel()
	found := parts(t, toolchain.Terraform, toolchain.Git, toolchain.Moto)
	w := start(t, sandbox.Config{Terraform: found.Terraform, Python: found.Python, Files: small(inBucket)})
	b := newBucket(t, w)
	restart(t, w, []string{"AWS_ENDPOINT_URL=" + b.url, "AWS_MAX_ATTEMPTS=1"}, outside(b.url)...)

	b.gone.Store(true)
	p := propose(t, w, "two", map[string]string{"app/main.tf": strings.Replace(inBucket, "one", "two", 1)})
	head := p.Info().HeadSHA
	host := strings.TrimPrefix(b.url, "http://")
	if c := await(t, w, head, "tollgate/plan: app"); c.Conclusion != "failure" || !strings.Contains(c.Summary+c.Text, host) {
		t.Fatalf("the check is %s and does not name %s:\n%s\n%s", c.Conclusion, host, c.Summary, c.Text)
	}
	b.gone.Store(false)
	if _, err := p.Comment(sandbox.Author, "/plan"); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the plan is made once the bucket answers", func() bool {
		c, _ := w.Repo.CheckRun(head, "tollgate")
		return c.Conclusion == "success"
	})

	approve(t, p)
	b.full.Store(true)
	if _, err := p.Comment(sandbox.Author, "/apply"); err != nil {
		t.Fatal(err)
	}
	c := want(t, w, head, "tollgate/apply: app", "action_required")
	_, rest, _ := strings.Cut(c.Summary, "--errored-state ")
	execution, _, ok := strings.Cut(rest, " ")
	if !ok {
		t.Fatalf("the check does not say how to get the state:\n%s", c.Summary)
	}
	var state struct{ Resources []any }
	if err := json.Unmarshal([]byte(bot(t, w, 0, "resolve", "--errored-state", execution)), &state); err != nil || len(state.Resources) != 1 {
		t.Errorf("the state that was kept has %d resources: %v", len(state.Resources), err)
	}
	if err := filepath.WalkDir(dataDir(w), func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.Name() == "errored.tfstate" {
			t.Errorf("the state lies in clear in %s", path)
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	refused(t, p, sandbox.Author, "/apply", "unknown outcome")
	b.full.Store(false)
	first, _ := w.Repo.CheckRun(head, "tollgate/plan: app")
	bot(t, w, 0, "resolve", execution, "reconcile", "--reason", "the state was not saved", "--by", "grace")
	eventually(t, "the check says who has resolved it", func() bool {
		c, _ := w.Repo.CheckRun(head, "tollgate/apply: app")
		return c.Conclusion == "failure" && strings.Contains(c.Summary, "grace")
	})
	replanned(t, w, first) // an approval of the first plan would be used up
	approve(t, p)
	if _, err := p.Comment(sandbox.Author, "/apply"); err != nil {
		t.Fatal(err)
	}
	eventually(t, "what is left is applied", func() bool {
		c, _ := w.Repo.CheckRun(head, "tollgate/apply: app")
		return c.Conclusion == "success"
	})
}

// Everything that the plan had on disk is exchanged before the apply: what runs is what the commit holds.
//
// Covers: T31
func TestApplyRunsWhatTheCommitHolds(t *testing.T) {
	t.Parallel()
	marks := filepath.Join(t.TempDir(), "marks")
	script := func(word string) string { return "echo " + word + " >>" + marks + "\n" }
	found := parts(t, toolchain.Terraform, toolchain.Git)
	w := start(t, sandbox.Config{Terraform: found.Terraform, Files: small(one), Args: lenient(t, filepath.Dir(marks))})
	p := propose(t, w, "script", map[string]string{"app/s.sh": script("good"),
		"app/b.tf": "resource \"terraform_data\" \"b\" {\n  provisioner \"local-exec\" {\n    command = \"sh ${path.module}/s.sh\"\n  }\n}\n"})
	head := p.Info().HeadSHA
	want(t, w, head, "tollgate", "success")
	exchanged := 0
	if err := filepath.WalkDir(dataDir(w), func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.Name() != "s.sh" {
			return nil
		}
		exchanged++
		_ = os.Chmod(path, 0o700)
		return os.WriteFile(path, []byte(script("evil")), 0o600)
	}); err != nil {
		t.Fatal(err)
	}
	approve(t, p)
	if _, err := p.Merge(sandbox.Author, ghsim.Squash); err != nil {
		t.Fatal(err)
	}
	want(t, w, head, "tollgate/apply: app", "success")
	if got, err := os.ReadFile(marks); err != nil || string(got) != "good\n" {
		t.Errorf("%q was run, %v (%d files of the plan were exchanged)", got, err, exchanged)
	}
}
