package sandbox_test

import (
	"context"
	"flag"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/tollgate/tollgate/internal/ghsim"
	"github.com/tollgate/tollgate/internal/sandbox"
	"github.com/tollgate/tollgate/internal/toolchain"
)

var (
	kills        = flag.Int("kills", 2, "how many processes TestKills kills, at least")
	killsSeed    = flag.Uint64("kills-seed", 1, "what TestKills draws its moments and victims from")
	killServers  = flag.Int("kills-server", 3, "how often the server is killed in each round of TestKills, at most")
	killPause    = flag.Duration("kills-pause", 300*time.Millisecond, "how long each effect takes in TestKills")
	killProvider = flag.Bool("kills-provider", false, "whether TestKills also has something applied by a provider that is killed; needs the emulator")
	killProjects = flag.Int("kills-projects", 2, "projects that TestKills has applied side by side")
)

// victims are what is killed of an apply. Some are spared, so that there are applies that only the server's
// deaths can harm.
var victims = []string{"nobody", "terraform", "runner", "terraform and runner", "terraform", "runner", "provisioner"}

// cloud is the project whose resources come from a provider.
const cloud = "cloud"

// TestKills kills processes with SIGKILL at random moments of applies: afterwards each apply has happened
// once, or nobody claims to know. Round after round, a pull request changes some projects, which are
// applied side by side; of each one a process may be killed, and the server some times meanwhile.
// `make kills` does it two hundred times.
//
// Covers: R05, R06, R09, R12
func TestKills(t *testing.T) {
	t.Parallel()
	want := []toolchain.Part{toolchain.Terraform, toolchain.Git}
	if *killProvider {
		want = append(want, toolchain.Moto, toolchain.Providers)
	}
	found := parts(t, want...)
	w := start(t, sandbox.Config{Terraform: found.Terraform, Python: found.Python, Mirrors: found.Mirrors, Files: small("# Nothing yet.\n"), Args: mayMark(t)})
	k := &killer{World: w, dir: filepath.Dir(w.Bot.Log), chance: rand.New(rand.NewPCG(*killsSeed, 0)), kills: map[string]int{}, ends: map[string]int{}}
	write(t, filepath.Join(k.dir, "witness", "pause"), fmt.Sprint(killPause.Seconds()))
	begun := time.Now()
	for round := 0; k.total() < *kills; round++ {
		k.round(t, round)
	}
	t.Logf("seed %d: %d kills in %d applies, %s\nkilled: %v\nends: %v\nlongest wait for a check to complete after a kill: %s", *killsSeed, k.total(),
		len(k.attempts()), time.Since(begun).Round(time.Second), k.kills, k.ends, k.longest.Round(time.Millisecond))
}

// markingGroups is the same with resources of a provider, which is a process of its own.
func markingGroups(text string) string {
	var b strings.Builder
	b.WriteString("terraform {\n  required_version = \"~> 1.11\"\n\n  required_providers {\n    aws = {\n      source  = \"hashicorp/aws\"\n      version = \"~> 5.100\"\n    }\n  }\n}\n")
	fmt.Fprintf(&b, "\nresource \"terraform_data\" \"r\" {\n  input = %q\n}\n", text)
	after := "terraform_data.r"
	for i := range effects {
		fmt.Fprintf(&b, "\nresource \"aws_iam_group\" \"r%d\" {\n  name       = %q\n  depends_on = [%s]\n%s\n  lifecycle {\n    replace_triggered_by = [terraform_data.r]\n  }\n}\n",
			i, fmt.Sprintf("%s-%d", strings.ReplaceAll(text, " ", "-"), i), after, marks(i))
		after = fmt.Sprintf("aws_iam_group.r%d", i)
	}
	return b.String()
}

type killer struct {
	*sandbox.World
	dir string

	mu      sync.Mutex
	chance  *rand.Rand
	kills   map[string]int // by victim
	ends    map[string]int // by what the database and the marks say
	longest time.Duration
}

func (k *killer) total() (n int) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for n1 := range maps.Values(k.kills) {
		n += n1
	}
	return n
}

func (k *killer) draw(n int) int {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.chance.IntN(n)
}

// round is one pull request and its applies.
func (k *killer) round(t *testing.T, round int) {
	t.Helper()
	files := map[string]string{}
	var names []string
	for i := range *killProjects {
		names = append(names, fmt.Sprintf("p%d", i))
		files[names[i]+"/main.tf"] = marking(fmt.Sprintf("round %d", round))
	}
	if *killProvider && round%4 == 0 {
		names = append(names, cloud)
		files[cloud+"/main.tf"] = markingGroups(fmt.Sprintf("round %d", round))
		files[cloud+"/.terraform.lock.hcl"] = readFile(filepath.FromSlash("../../infrastructure/.terraform.lock.hcl"))
	}
	p := propose(t, k.World, fmt.Sprintf("round-%d", round), files)
	want(t, k.World, p.Info().HeadSHA, "tollgate", "success")
	approve(t, p)
	before := len(k.attempts())
	command(t, p, sandbox.Author, "/apply")
	var applies sync.WaitGroup
	for _, name := range names {
		victims := victims
		if name == cloud {
			victims = []string{"provider", "provider", "terraform and runner"} // the last leaves a provider alone
		}
		victim, after, pause := victims[k.draw(len(victims))], k.draw(effects+1), time.Duration(k.draw(int(*killPause)))
		applies.Go(func() { k.one(t, p, before, name, victim, after, pause) })
	}
	done := make(chan struct{})
	go func() { applies.Wait(); close(done) }()
	k.killServer(t, done)
	<-done
	if t.Failed() {
		t.FailNow()
	}
	k.ask(t, p, names)
	if err := p.Close(sandbox.Author); err != nil {
		t.Fatal(err)
	}
}

// killServer kills the server while something is applied, and starts it again.
func (k *killer) killServer(t *testing.T, done <-chan struct{}) {
	applying := func() bool { return len(terraforms(filepath.Join(k.dir, "server", "executions"))) > 0 }
	for range *killServers {
		for !applying() {
			select {
			case <-time.After(100 * time.Millisecond):
			case <-done:
				return
			}
		}
		<-time.After(time.Duration(k.draw(600)) * time.Millisecond)
		if !applying() {
			continue
		}
		k.killed("server")
		if err := k.Bot.Kill(); err != nil {
			t.Error(err)
		}
		if err := k.Bot.Start(t.Context()); err != nil {
			t.Error(err)
		}
	}
}

func (k *killer) killed(victim string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.kills[victim]++
}

// one follows the apply of a project, kills somebody, and compares what is told with what was done.
func (k *killer) one(t *testing.T, p *ghsim.Pull, before int, name, victim string, after int, pause time.Duration) {
	head := p.Info().HeadSHA
	completed := func() bool {
		c, _ := k.Repo.CheckRun(head, "tollgate/apply: "+name)
		return c.Status == "completed"
	}
	// An apply whose server was killed before it could start never begins.
	a, ok := k.await(t, before, name, completed)
	for ok && a.lives() && len(k.marksOf(a)) < after {
		<-time.After(50 * time.Millisecond)
	}
	<-time.After(pause)
	if ok && a.kill(victim) {
		k.killed(victim)
	}
	since := time.Now()
	if !until(t.Context(), completed) {
		t.Errorf("the check of the apply of %s is in progress for ever, after the death of %s", name, victim)
		return
	}
	took := time.Since(since)
	done, state := k.marksOf(a), k.state(t, head, name)
	k.mu.Lock()
	defer k.mu.Unlock()
	k.longest = max(k.longest, took)
	k.ends[fmt.Sprintf("%s %d/%d", state, len(done), effects)]++
	slices.Sort(done)
	switch whole := len(slices.Compact(done)); {
	case whole != len(done):
		t.Errorf("%s: effects were made twice: %q", name, done)
	case state == "applied" && whole != effects, state == "failed_clean" && whole != 0, state == "failed_clean" && ok:
		t.Errorf("%s: the apply is %s, and %d of %d effects are there", name, state, whole, effects)
	case victim == "nobody" && ok && state != "applied":
		t.Errorf("%s: an apply needs no server, and is %s", name, state)
	}
}

// ask repeats the request, which must not do anything a second time, and resolves what is unknown.
func (k *killer) ask(t *testing.T, p *ghsim.Pull, names []string) {
	t.Helper()
	frozen := k.column(t, `select json_extract(project, '$.name') from executions where state = 'unknown' and released_by = ''`)
	if len(frozen) > 0 {
		begun := len(k.attempts())
		answered(t, p, sandbox.Author, "/apply "+frozen[0], "**Refused:**")
		if n := len(k.attempts()); n != begun {
			t.Errorf("%s: it was applied again, and nobody knows how it ended", frozen[0])
		}
	}
	for _, id := range k.column(t, `select id from executions where state = 'unknown' and released_by = ''`) {
		bot(t, k.World, 0, "resolve", id, "applied", "--by", "test", "--reason", "It was killed by a test.")
	}
}

func (k *killer) column(t *testing.T, query string) []string {
	out, err := (&witness{dir: k.dir}).column(query)
	if err != nil {
		t.Error(err)
	}
	return out
}

func (k *killer) state(t *testing.T, head, name string) string {
	return strings.Join(k.column(t, fmt.Sprintf(`select state from executions where head_sha = '%s' and json_extract(project, '$.name') = '%s'`, head, name)), ", ")
}

// attempts are the applies so far, in their order.
func (k *killer) attempts() []applyExec {
	var r record
	_ = (&witness{dir: k.dir}).applies(&r) // a last line that is being written is read the next time
	return r.applies
}

// await returns the apply of a project in this round, or nothing if there is none and will not be.
func (k *killer) await(t *testing.T, before int, name string, completed func() bool) (a applyExec, ok bool) {
	until(t.Context(), func() bool {
		for _, x := range k.attempts()[before:] {
			if filepath.Base(x.dir) == name {
				a, ok = x, true
			}
		}
		return ok || completed()
	})
	return a, ok
}

// marksOf are the addresses that have left their marks in an apply.
func (k *killer) marksOf(a applyExec) (addresses []string) {
	for _, m := range marksOf(k.dir, filepath.Base(a.dir)) {
		if m.plan == a.plan {
			addresses = append(addresses, m.address)
		}
	}
	return addresses
}

// until waits for f with much patience, and says whether it has come true.
func until(ctx context.Context, f func() bool) bool {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for !f() {
		select {
		case <-ctx.Done():
			return false
		case <-time.After(50 * time.Millisecond):
		}
	}
	return true
}

// terraforms are the processes of Terraform that apply a plan below a directory. In a room they have other
// ids than they know of.
func terraforms(dir string) []int {
	return processesThat(func(pid int, args []string) bool {
		return filepath.Base(args[0]) == "terraform" && strings.HasPrefix(args[len(args)-1], dir) && slices.Contains(args, "apply")
	})
}

// lives reports whether Terraform still runs.
func (a applyExec) lives() bool { return len(terraforms(filepath.Dir(a.planned))) > 0 }

// kill kills somebody and reports whether there was somebody to kill.
func (a applyExec) kill(victim string) (hit bool) {
	terraform := terraforms(filepath.Dir(a.planned))
	for _, pid := range processesThat(func(pid int, args []string) bool {
		ours := slices.Contains(terraform, parent(pid))
		return strings.Contains(victim, "terraform") && slices.Contains(terraform, pid) ||
			strings.Contains(victim, "runner") && len(args) == 3 && args[1] == "runner" && filepath.Dir(args[2]) == filepath.Dir(a.planned) ||
			victim == "provider" && ours && strings.Contains(args[0], "terraform-provider-") ||
			victim == "provisioner" && ours && strings.Contains(args[len(args)-1], "$TEST_MARKS")
	}) {
		hit = syscall.Kill(pid, syscall.SIGKILL) == nil || hit
	}
	return hit
}

// processesThat are all processes of a kind.
func processesThat(are func(pid int, args []string) bool) (pids []int) {
	for _, e := range must(os.ReadDir("/proc")) {
		pid, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		args := strings.Split(strings.TrimRight(readFile("/proc/"+e.Name()+"/cmdline"), "\x00"), "\x00")
		if are(pid, args) {
			pids = append(pids, pid)
		}
	}
	return pids
}

func must[T any](v T, _ error) T { return v }

// parent is the id of a process's parent.
func parent(pid int) int {
	for line := range strings.Lines(readFile(fmt.Sprintf("/proc/%d/status", pid))) {
		if value, ok := strings.CutPrefix(line, "PPid:"); ok {
			return must(strconv.Atoi(strings.TrimSpace(value))) // the kernel writes numbers
		}
	}
	return 0
}
