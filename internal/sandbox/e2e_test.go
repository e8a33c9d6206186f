package sandbox_test

import (
	"bufio"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
	"time"

	"github.com/tollgate/tollgate/internal/ghsim"
	"github.com/tollgate/tollgate/internal/ghsim/contract"
	"github.com/tollgate/tollgate/internal/sandbox"
	"github.com/tollgate/tollgate/internal/toolchain"
)

// programs is where the bot is built, once for all tests.
var programs = sync.OnceValues(func() (string, error) { return os.MkdirTemp("", "tollgate-e2e-") })

// program is the bot.
var program = build("bot")

func build(name string, flags ...string) func() (string, error) {
	return sync.OnceValues(func() (string, error) {
		dir, err := programs()
		if err != nil {
			return "", err
		}
		file := filepath.Join(dir, name)
		args := append(append([]string{"build"}, flags...), "-o", file, "github.com/tollgate/tollgate/cmd/bot")
		out, err := exec.Command("go", args...).CombinedOutput()
		if err != nil {
			return "", fmt.Errorf("build the bot: %w\n%s", err, out)
		}
		return file, nil
	})
}

// patience is how long a test waits for what has to come. It bounds a test that fails, and is long:
// on a busy machine, one that passes may take minutes.
const patience = 10 * time.Minute

// atOnce is how many tests run side by side, unless -parallel says otherwise. It is more than the
// cores of a small machine, because a test waits most of its time: for an emulator, a pause or a queue.
const atOnce = 4

func TestMain(m *testing.M) {
	flag.Parse()
	if f := flag.Lookup("test.parallel"); f.Value.String() == strconv.Itoa(runtime.GOMAXPROCS(0)) {
		_ = f.Value.Set(strconv.Itoa(max(atOnce, runtime.GOMAXPROCS(0))))
	}
	code := m.Run()
	if dir, err := programs(); err == nil {
		_ = os.RemoveAll(dir)
	}
	os.Exit(code)
}

// parts finds what the tests need; a test that lacks something fails and says what.
func parts(t testing.TB, want ...toolchain.Part) toolchain.Found {
	t.Helper()
	cache, err := os.UserCacheDir()
	if err != nil {
		t.Fatal(err)
	}
	found, err := toolchain.Ensure(t.Context(), toolchain.Config{CacheDir: filepath.Join(cache, "tollgate"), Home: os.Getenv("HOME"),
		CLIConfigFile: os.Getenv("TF_CLI_CONFIG_FILE")}, want...)
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// start brings a world up whose every exchange with GitHub is held against GitHub's description, and
// which is judged by the oracles when its test is over.
func start(t testing.TB, cfg sandbox.Config) *sandbox.World {
	t.Helper()
	w, witness := startUnjudged(t, cfg)
	t.Cleanup(func() { witness.judge(t, w) }) // before it is closed
	return w
}

func startUnjudged(t testing.TB, cfg sandbox.Config) (*sandbox.World, *witness) {
	t.Helper()
	if cfg.Bot == "" {
		bot, err := program()
		if err != nil {
			t.Fatal(err)
		}
		cfg.Bot = bot
	}
	checker, err := contract.New()
	if err != nil {
		t.Fatal(err)
	}
	cfg.Dir, cfg.Environ = t.TempDir(), os.Environ()
	witness, err := newWitness(&cfg)
	if err != nil {
		t.Fatal(err)
	}
	cfg.Observe, cfg.ObserveDelivery = checker.Exchange, checker.Delivery
	w, err := sandbox.Start(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := w.Close(); err != nil {
			t.Error(err)
		}
		for _, d := range checker.Differences() {
			t.Errorf("differs from GitHub's description: %s", d)
		}
		if t.Failed() {
			for _, p := range w.Repo.Pulls() {
				for _, c := range p.Comments() {
					t.Logf("#%d %s: %.1500s", p.Number(), c.Author, c.Body)
				}
			}
			log, _ := os.ReadFile(w.Bot.Log)
			t.Logf("the server's log ends with:\n%s", log[max(0, len(log)-6000):])
		}
	})
	return w, witness
}

// small is a repository whose plans take a moment and need no cloud.
func small(main string) fs.FS {
	return fstest.MapFS{"app/main.tf": {Data: []byte(main)}}
}

const one = `resource "terraform_data" "a" {
  input = "one"
}
`

func startSmall(t testing.TB, main string, args ...string) *sandbox.World {
	t.Helper()
	found := parts(t, toolchain.Terraform, toolchain.Git)
	return start(t, sandbox.Config{Terraform: found.Terraform, Files: small(main), Args: args})
}

func propose(t testing.TB, w *sandbox.World, branch string, files map[string]string) *ghsim.Pull {
	t.Helper()
	p, err := w.Propose(branch, "Change "+branch, "", files)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// await waits for a completed check.
func await(t testing.TB, w *sandbox.World, sha, name string) ghsim.CheckRun {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	c, err := sandbox.Tell(w, testWriter{t}).Await(ctx, sha, name)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// want waits for a check and its conclusion.
func want(t testing.TB, w *sandbox.World, sha, name, conclusion string) ghsim.CheckRun {
	t.Helper()
	c := await(t, w, sha, name)
	if c.Conclusion != conclusion {
		t.Fatalf("check %q of %.7s concluded %q (%s), want %q\n%s\n%s", name, sha, c.Conclusion, c.Title, conclusion, c.Summary, c.Text)
	}
	return c
}

// eventually waits until f holds.
func eventually(t testing.TB, what string, f func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	for !f() {
		select {
		case <-ctx.Done():
			t.Fatalf("it does not come to it that %s", what)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

type testWriter struct{ testing.TB }

func (w testWriter) Write(b []byte) (int, error) {
	w.Log(strings.TrimRight(string(b), "\n"))
	return len(b), nil
}

// process is a Terraform process as the server logged it.
type process struct {
	Msg      string    `json:"msg"`
	Command  string    `json:"command"`
	Start    time.Time `json:"start"`
	Duration float64   `json:"duration"` // seconds
	CPU      float64   `json:"cpu"`      // seconds
	Exit     int       `json:"exit"`
}

// processes reads from the server's log which Terraform processes ran.
func processes(t testing.TB, w *sandbox.World) (out []process) {
	t.Helper()
	f, err := os.Open(w.Bot.Log)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		var p process
		if json.Unmarshal(lines.Bytes(), &p) == nil && p.Msg == "terraform" {
			out = append(out, p)
		}
	}
	return out
}

func count(ps []process, command string) (n int) {
	for _, p := range ps {
		if p.Command == command {
			n++
		}
	}
	return n
}

func TestPlanApproveMergeApply(t *testing.T) {
	t.Parallel()
	w := startSmall(t, one)
	p := propose(t, w, "two", map[string]string{"app/main.tf": strings.Replace(one, "one", "two", 1)})
	head := p.Info().HeadSHA
	want(t, w, head, "tollgate/plan: app", "success")
	want(t, w, head, "tollgate", "success")
	if err := p.Approve(sandbox.Reviewer); err != nil {
		t.Fatal(err)
	}
	if _, err := p.Merge(sandbox.Author, ghsim.Squash); err != nil {
		t.Fatal(err)
	}
	want(t, w, head, "tollgate/apply: app", "success")
	again := propose(t, w, "again", map[string]string{"app/main.tf": "# Nothing new.\n" + strings.Replace(one, "one", "two", 1)})
	if c := want(t, w, again.Info().HeadSHA, "tollgate/plan: app", "success"); !strings.Contains(c.Title, "no changes") {
		t.Errorf("the second plan is not empty: %s", c.Title)
	}
	if n := count(processes(t, w), "version"); n > 1 {
		t.Errorf("terraform version ran %d times, want once per server", n)
	}
}

// Covers: T28
func TestWithoutApprovalNothingIsApplied(t *testing.T) {
	t.Parallel()
	w := startSmall(t, one)
	p := propose(t, w, "two", map[string]string{"app/main.tf": strings.Replace(one, "one", "two", 1)})
	head := p.Info().HeadSHA
	want(t, w, head, "tollgate", "success")
	pagesAreForReaders(t, w, want(t, w, head, "tollgate/plan: app", "success"))
	refused(t, p, sandbox.Author, "/apply", "may not be applied")
	_ = p.Approve(sandbox.Author) // GitHub itself refuses it
	refused(t, p, sandbox.Author, "/apply", "may not be applied")
	if _, ok := w.Repo.CheckRun(head, "tollgate/apply: app"); ok {
		t.Fatal("an apply began without an approval")
	}
	// The same pull request is applied once it is approved.
	if err := p.Approve(sandbox.Reviewer); err != nil {
		t.Fatal(err)
	}
	if _, err := p.Comment(sandbox.Author, "/apply"); err != nil {
		t.Fatal(err)
	}
	want(t, w, head, "tollgate/apply: app", "success")
}

// newServer serves on loopback for as long as the test runs.
func newServer(t testing.TB, f http.HandlerFunc) (url string) {
	t.Helper()
	srv := httptest.NewServer(f)
	t.Cleanup(srv.Close)
	return srv.URL
}

func nowUnix() int64 { return time.Now().Unix() }
