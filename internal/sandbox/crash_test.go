package sandbox_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tollgate/tollgate/internal/ghsim"
	"github.com/tollgate/tollgate/internal/sandbox"
	"github.com/tollgate/tollgate/internal/toolchain"
)

// fragile is the bot that dies where it is told to.
var fragile = build("fragile", "-tags=failpoints")

// crasher is a world whose server and runners die where they are told to.
type crasher struct {
	*sandbox.World
	t   *testing.T
	dir string // of the world
}

func startFragile(t *testing.T) *crasher {
	t.Helper()
	bot, err := fragile()
	if err != nil {
		t.Fatal(err)
	}
	found := parts(t, toolchain.Terraform, toolchain.Git)
	w := start(t, sandbox.Config{Bot: bot, Terraform: found.Terraform, Files: small("# Nothing yet.\n"), Args: mayMark(t)})
	return &crasher{w, t, filepath.Dir(w.Bot.Log)}
}

func (c *crasher) failpoint() string { return filepath.Join(c.dir, "server", "failpoint") }

// arm says where the next process is to die.
func (c *crasher) arm(point string) {
	c.t.Helper()
	if err := os.WriteFile(c.failpoint(), []byte(point), 0o600); err != nil {
		c.t.Fatal(err)
	}
}

// dead waits until a process has died where it was told to.
func (c *crasher) dead(point string) {
	c.t.Helper()
	eventually(c.t, "something dies at "+point, func() bool {
		_, err := os.Stat(c.failpoint())
		return os.IsNotExist(err)
	})
}

// dies waits for the death of the server and starts it again, with further deaths before it gets anywhere.
func (c *crasher) dies(points ...string) {
	c.t.Helper()
	for i, point := range points {
		c.dead(point)
		if err := c.Bot.Kill(); err != nil { // it is dead, or about to be
			c.t.Fatal(err)
		}
		if i+1 < len(points) {
			c.arm(points[i+1])
		}
		if err := c.Bot.Start(c.t.Context()); err != nil && i+1 == len(points) {
			c.t.Fatal(err) // a server that dies at once is not ready first
		}
		c.again()
	}
}

// again redelivers what has not reached the server.
func (c *crasher) again() {
	arrived := map[string]bool{}
	all := c.GitHub.Deliveries(c.App.ID)
	for _, d := range all {
		arrived[d.GUID] = arrived[d.GUID] || d.StatusCode == 202 || d.StatusCode == 200
	}
	for _, d := range all {
		if d.Done() && !arrived[d.GUID] {
			arrived[d.GUID] = true
			if err := c.GitHub.Redeliver(c.App.ID, d.ID); err != nil {
				c.t.Error(err)
			}
		}
	}
}

// marks counts the effects of a project.
func (c *crasher) marks(name string) int { return len(marksOf(c.dir, name)) }

func (c *crasher) comment(p *ghsim.Pull, text string) {
	c.t.Helper()
	command(c.t, p, sandbox.Author, text)
}

// A change goes its whole way while the server dies at every point of it, one after the other.
//
// Covers: R01, R03, R05, R07, R08, R17
func TestTheServerDiesAtEveryPoint(t *testing.T) {
	t.Parallel()
	c := startFragile(t)
	c.arm("accept.before-commit")
	p := propose(t, c.World, "a", map[string]string{"a/main.tf": marking("a")})
	head := p.Info().HeadSHA
	c.dies("accept.before-commit", "accept.after-commit", "task.begins", "plan.made", "run.ended", "report.after")
	want(t, c.World, head, "tollgate", "success")
	approve(t, p)
	c.arm("claim.before")
	c.comment(p, "/apply")
	c.dies("claim.before", "start.after", "end.before", "end.after", "report.after")
	want(t, c.World, head, "tollgate/apply: a", "success")
	if n := c.marks("a"); n != effects {
		t.Errorf("%d effects, want %d", n, effects)
	}
	names := map[string]int{}
	for _, check := range c.Repo.CheckRuns(head) {
		names[check.Name]++
	}
	for name, n := range names {
		if n != 1 {
			t.Errorf("%d checks %q, want 1", n, name)
		}
	}
	summaries := slices.DeleteFunc(p.Comments(), func(x ghsim.CommentInfo) bool { return !strings.Contains(x.Body, "tollgate:summary") })
	if len(summaries) != 1 {
		t.Errorf("%d summaries, want 1", len(summaries))
	}
}

// What nobody has seen the end of is unknown, and is not repeated: not by a request, not by a merge, not by a start.
// What can be proven not to have started is not unknown.
//
// Covers: R04, R06, R09, R10
func TestAnApplyWhoseEndNobodyHasSeen(t *testing.T) {
	t.Parallel()
	c := startFragile(t)
	files := map[string]string{}
	for _, name := range []string{"b", "c", "d", "e", "f"} {
		files[name+"/main.tf"] = marking(name)
	}
	p := propose(t, c.World, "all", files)
	head := p.Info().HeadSHA
	want(t, c.World, head, "tollgate", "success")
	approve(t, p)
	// Claimed and never started: that can be proven.
	c.arm("claim.after")
	c.comment(p, "/apply b")
	c.dies("claim.after")
	check := want(t, c.World, head, "tollgate/apply: b", "failure")
	if !strings.Contains(check.Title+check.Summary, "not started") || c.marks("b") != 0 {
		t.Errorf("%d effects; the check says: %s\n%s", c.marks("b"), check.Title, check.Summary)
	}
	// Whatever the runner could not record is unknown, also if nothing or everything was done.
	for _, x := range []struct {
		name, point string
		effects     int
	}{{"c", "runner.started", 0}, {"d", "runner.ended", effects}} {
		c.arm(x.point)
		c.comment(p, "/apply "+x.name)
		c.dead(x.point)
		c.unknown(head, x.name)
		if n := c.marks(x.name); n != x.effects {
			t.Errorf("%s: %d effects, want %d", x.name, n, x.effects)
		}
	}
	// The machine loses power while the end is written. Before, the server was stopped in good order.
	c.arm("runner.recorded")
	c.comment(p, "/apply e")
	eventually(t, "something is applied", func() bool { return c.marks("e") > 0 })
	if err := c.Bot.Stop(); err != nil {
		t.Fatal(err)
	}
	c.dead("runner.recorded")
	ends, err := filepath.Glob(filepath.Join(c.dir, "server", "executions", "*", "run", "exit.json"))
	if err != nil {
		t.Fatal(err)
	}
	newest := slices.MaxFunc(ends, func(a, b string) int { return modified(a).Compare(modified(b)) })
	whole := readFile(newest)
	if output := readFile(filepath.Join(filepath.Dir(newest), "output.log")); strings.Contains(output, "nterrupt") {
		t.Errorf("the stop of the server reached Terraform:\n%s", output)
	}
	write(t, newest, whole[:len(whole)/2])
	if err := c.Bot.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	c.unknown(head, "e")
	// The same with a whole record is an apply that went well.
	c.arm("runner.recorded")
	c.comment(p, "/apply f")
	c.dead("runner.recorded")
	want(t, c.World, head, "tollgate/apply: f", "success")

	done := readFile(filepath.Join(c.dir, "witness", "marks"))
	for _, name := range []string{"c", "d", "e"} {
		refused(t, p, sandbox.Reviewer, "/apply "+name, "unknown")
	}
	c.Repo.Protect("main", ghsim.Protection{})
	before := len(p.Comments())
	if _, err := p.Merge(sandbox.Author, ghsim.Squash); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the merge is refused", func() bool { return len(p.Comments()) > before })
	if again := readFile(filepath.Join(c.dir, "witness", "marks")); again != done {
		t.Errorf("effects:\n%s\nand after everybody has asked again:\n%s", done, again)
	}
}

// unknown waits for a check that says that nobody knows.
func (c *crasher) unknown(head, name string) {
	c.t.Helper()
	check := await(c.t, c.World, head, "tollgate/apply: "+name)
	if check.Conclusion == "success" || !strings.Contains(check.Title, "nknown") {
		c.t.Errorf("%s: nobody can know how it ended, and the check says %s: %s", name, check.Conclusion, check.Title)
	}
}

func modified(file string) time.Time {
	info, err := os.Stat(file)
	if err != nil {
		return time.Time{}
	}
	return info.ModTime()
}

// A plan that ends its server each time is not made for ever, and an orderly stop does not count.
//
// Covers: R03, R10, R27
func TestAPlanThatKillsItsServer(t *testing.T) {
	t.Parallel()
	c := startFragile(t)
	c.arm("plan.made")
	p := propose(t, c.World, "deadly", map[string]string{"deadly/main.tf": one})
	head := p.Info().HeadSHA
	c.dies("plan.made", "plan.made", "plan.made")
	check := want(t, c.World, head, "tollgate", "failure")
	if !strings.Contains(check.Summary, "The server ended 3 times") {
		t.Errorf("the check does not say why there is no plan:\n%s", check.Summary)
	}
	c.comment(p, "/plan")
	eventually(t, "it is planned when somebody asks", func() bool {
		check, _ := c.Repo.CheckRun(head, "tollgate")
		return check.Conclusion == "success"
	})
}

// What panics is given up, with a check that says so, and disturbs nobody else.
//
// Covers: R27
func TestPanics(t *testing.T) {
	t.Parallel()
	c := startFragile(t)
	for name, point := range map[string]string{"plan": "panic plan.made", "task": "panic task.begins"} {
		c.arm(point)
		p := propose(t, c.World, name, map[string]string{name + "/main.tf": one})
		head := p.Info().HeadSHA
		check := want(t, c.World, head, "tollgate", "failure")
		if !strings.Contains(check.Summary, "it has a defect") {
			t.Errorf("%s: the check does not say why there is no verdict:\n%s", point, check.Summary)
		}
		if err := os.Remove(c.failpoint()); err != nil {
			t.Fatal(err)
		}
		c.comment(p, "/plan")
		eventually(t, "it is planned once the defect is mended", func() bool {
			check, _ := c.Repo.CheckRun(head, "tollgate")
			return check.Conclusion == "success"
		})
	}
}

// A fetch that is killed leaves nothing behind that would stop the next.
//
// Covers: R02
func TestServerKilledDuringAFetch(t *testing.T) {
	t.Parallel()
	w := startSmall(t, one)
	slow := w.GitHub.Hold(ghsim.Match{Method: "POST", Path: "/acme/**"})
	p := propose(t, w, "two", map[string]string{"app/main.tf": strings.Replace(one, "one", "two", 1)})
	head := p.Info().HeadSHA
	for i := range 2 {
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		err := slow.Reached(ctx, 1)
		cancel()
		if err != nil {
			t.Fatalf("nothing is fetched: %v", err)
		}
		if err := w.Bot.Kill(); err != nil {
			t.Fatal(err)
		}
		slow.Release()
		if i == 0 {
			slow = w.GitHub.Hold(ghsim.Match{Method: "POST", Path: "/acme/**"})
		}
		if err := w.Bot.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	want(t, w, head, "tollgate", "success")
	checks := w.Repo.CheckRuns(head)
	if len(checks) != 2 {
		t.Errorf("%d checks, want that of the plan and that of the gate", len(checks))
	}
	var locks []string
	for _, pattern := range []string{"*/*.lock", "*/*/*.lock", "*/*/*/*/*.lock"} { // git's own, inside the mirror
		found, err := filepath.Glob(filepath.Join(filepath.Dir(w.Bot.Log), "server", "mirrors", pattern))
		if err != nil {
			t.Fatal(err)
		}
		locks = append(locks, found...)
	}
	if len(locks) > 0 {
		t.Error(fmt.Sprint("locks are left: ", locks))
	}
}
