package enginetest_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tollgate/tollgate/internal/audit"
	"github.com/tollgate/tollgate/internal/engine"
	"github.com/tollgate/tollgate/internal/engine/enginetest"
	"github.com/tollgate/tollgate/internal/ghsim"
	"github.com/tollgate/tollgate/internal/store"
)

var (
	walks    = flag.Int("walks", 250, "how many random walks are made")
	walkFrom = flag.Uint64("walk.from", 1, "the seed of the first one")
	walkSeed = flag.Uint64("walk.seed", 0, "replay the walk of this seed, and tell what it does")
)

// Whatever people, GitHub, the cloud and the machine do, in whatever order: nothing is applied but
// what was approved, once; and what may be applied, is. A walk that fails tells its seed.
//
// Covers: T20, T21, T22, T23, T24, T26, T28, T37, R17, R18, O1, O3, O4, O6
func TestWalks(t *testing.T) {
	t.Parallel()
	if *walkSeed != 0 {
		walkOne(t, *walkSeed)
		return
	}
	seeds := make(chan uint64)
	var wg sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		wg.Go(func() {
			for seed := range seeds {
				t.Run(fmt.Sprint(seed), func(t *testing.T) { walkOne(t, seed) })
			}
		})
	}
	for seed := range uint64(*walks) {
		if t.Failed() {
			break
		}
		seeds <- *walkFrom + seed
	}
	close(seeds)
	wg.Wait()
	reached.enough(t, *walks)
}

func walkOne(t *testing.T, seed uint64) {
	p, err := parts()
	must(t, err)
	dir, err := os.MkdirTemp("", "tollgate-walk-")
	must(t, err)
	defer os.RemoveAll(dir)
	logger := slog.New(slog.DiscardHandler)
	if *walkSeed != 0 {
		logger = slog.New(slog.NewTextHandler(os.Stderr, nil))
	}
	synctest.Test(t, func(t *testing.T) {
		w := enginetest.New(t, p, dir, logger)
		k := &walk{w: w, rng: rand.New(rand.NewPCG(seed, 1)), m: &model{w: w, consumed: map[int]bool{}, asked: map[string]*request{}, starts: map[string]time.Time{},
			roles: map[string]string{enginetest.Ada: "write", enginetest.Grace: "write", enginetest.Linus: "write", enginetest.Eve: "read"}}}
		err := k.run()
		if err != nil || len(k.m.breaches) > 0 {
			t.Errorf("seed %d: %v\nsteps:\n  %s\nbreaches:\n  %s", seed, err, strings.Join(k.steps, "\n  "), strings.Join(k.m.breaches, "\n  "))
		}
		if *walkSeed != 0 {
			for _, c := range k.m.pull.Comments() {
				t.Logf("%s: %s", c.Author, c.Body)
			}
		}
		for _, a := range w.Cloud.Applies() {
			reached.count("apply ended " + string(a.Ending))
		}
		must(t, w.Close())
	})
}

// walk is a series of random steps.
type walk struct {
	w      *enginetest.World
	rng    *rand.Rand
	m      *model
	steps  []string
	heads  []string // of the topic so far
	held   []enginetest.Hook
	holds  bool
	faults []*ghsim.Injected
	mended bool // everything has arrived, but may not be dealt with yet
}

// step is something that somebody does. It says more of it, or errNotNow if it makes no sense now.
type step struct {
	name   string
	weight int
	do     func(k *walk) (string, error)
}

var errNotNow = errors.New("not now")

func (k *walk) pick(of ...string) string { return of[k.rng.IntN(len(of))] }

func (k *walk) chance(percent int) bool { return k.rng.IntN(100) < percent }

func (k *walk) value() string { return k.pick("1", "2", "3", "4", "odd1", "forbidden1") }

func (k *walk) run() error {
	file, text := enginetest.Resource("second", "2")
	_, err := k.w.Repo.Push(ghsim.Push{Branch: "topic", By: enginetest.Ada, Files: map[string]string{file: text}})
	if err != nil {
		return err
	}
	if k.m.pull, err = k.w.Repo.OpenPull(ghsim.OpenPull{By: enginetest.Ada, Head: "topic", Title: "Second"}); err != nil {
		return err
	}
	k.w.Cloud.Starting = k.m.starting
	k.m.pushed = time.Now()
	k.heads = []string{k.m.pull.Info().HeadSHA}
	if err := k.rest(); err != nil {
		return err
	}
	for n := 6 + k.rng.IntN(7); n > 0 && len(k.m.breaches) == 0; n-- {
		if err := k.next(); err != nil {
			return err
		}
	}
	return k.finish()
}

// next takes a step, and then lets everybody finish, or not quite.
func (k *walk) next() error {
	total := 0
	for _, s := range steps {
		total += s.weight
	}
	for {
		n := k.rng.IntN(total)
		var s step
		for _, s = range steps {
			if n -= s.weight; n < 0 {
				break
			}
		}
		k.m.remember()
		what, err := s.do(k)
		if err == errNotNow {
			continue
		}
		k.say("%s %s", s.name, what)
		if err != nil {
			return fmt.Errorf("%s: %w", s.name, err)
		}
		break
	}
	k.m.remember()
	if k.chance(25) {
		k.w.Let(time.Duration(k.rng.IntN(6000)) * time.Millisecond)
		return nil
	}
	return k.rest()
}

func (k *walk) say(format string, args ...any) {
	k.steps = append(k.steps, time.Now().Format("15:04:05.000 ")+fmt.Sprintf(format, args...))
}

// rest lets everybody finish, as far as they can.
func (k *walk) rest() error {
	k.w.Let(time.Duration(1000+k.rng.IntN(4000)) * time.Millisecond)
	if k.w.Server() == nil || k.holds || k.w.Cloud.Holding() {
		k.w.Let(15 * time.Second)
		k.m.unhealed = true
		return nil
	}
	for end := time.Now().Add(15 * time.Minute); ; {
		err := k.w.Settle(15 * time.Second)
		if err == nil {
			break
		}
		if k.w.Server() == nil || k.w.Cloud.Holding() {
			k.m.unhealed = true
			return nil
		}
		if time.Now().After(end) {
			return err
		}
	}
	if k.mended {
		k.mended, k.m.unhealed = false, false
	}
	k.learn()
	return k.m.settled()
}

// learn takes over what has happened.
func (k *walk) learn() {
	m := k.m
	for _, r := range m.requests {
		r.void = r.void || r.at.Before(m.cancelled)
	}
	for _, a := range k.w.Cloud.Applies() {
		if len(a.Effects) == 0 {
			continue
		}
		if r := m.asked[a.Execution]; r != nil {
			r.applied = true
		}
		if at := m.starts[a.Execution]; at.After(m.effect) {
			m.effect = at
		}
		if a.Ending == enginetest.Killed && m.frozen == "" && !k.released(a.Execution) {
			m.frozen = a.Execution
		}
	}
}

func (k *walk) released(id string) bool {
	execs, err := k.w.Executions(k.m.pull.Number())
	if err != nil {
		return false
	}
	for _, x := range execs {
		if x.ID == id {
			return x.ReleasedBy != ""
		}
	}
	return false
}

// finish mends all that is broken and expects everything to end well.
func (k *walk) finish() error {
	if len(k.m.breaches) > 0 {
		return nil
	}
	if err := k.calm(); err != nil {
		return err
	}
	if info := k.m.pull.Info(); info.State == "open" && k.w.Server() != nil {
		if err := k.w.Repo.Grant(enginetest.Grace, "write"); err != nil {
			return err
		}
		k.m.roles[enginetest.Grace] = "write"
		k.say("the last /plan")
		if _, err := k.m.pull.Comment(enginetest.Grace, "/plan"); err != nil {
			return err
		}
		k.m.unhealed = false
		return k.rest()
	}
	return nil
}

// mend brings the server and every webhook back.
func (k *walk) mend() error {
	k.w.Hooks.Release()
	k.holds = false
	if k.w.Server() == nil {
		reached.count("server ended")
		if err := k.w.Boot(); err != nil {
			return err
		}
	}
	k.held = append(k.held, k.w.Hooks.Take()...)
	for _, h := range k.held {
		k.w.Hooks.Deliver(h)
	}
	k.held = nil
	k.w.Hooks.Lose(0)
	k.w.Let(time.Second)
	k.mended = true
	return k.w.Redeliver()
}

// calm mends all that is broken, takes back all that would break, and lets everybody finish.
func (k *walk) calm() error {
	for _, f := range k.faults {
		f.Clear()
	}
	k.w.Spare()
	k.w.Cloud.Forget()
	k.w.Cloud.EndHeld(enginetest.Well)
	if err := k.mend(); err != nil {
		return err
	}
	return k.rest()
}

func (m *model) recorded(execution string) error {
	s := m.w.Server()
	if s == nil {
		return nil
	}
	found, err := store.Read(context.Background(), s.DB, func(tx *store.Tx) (bool, error) {
		found := false
		err := audit.Each(context.Background(), tx, func(r audit.Row) error {
			found = found || r.Action == "apply" && r.Outcome == "allowed" && strings.Contains(r.Subject, execution)
			return nil
		})
		return found, err
	})
	if err == nil && !found {
		err = fmt.Errorf("none for %s", execution)
	}
	return err
}

func (m *model) verify() error {
	r, err := store.Read(context.Background(), m.w.Server().DB, func(tx *store.Tx) (audit.Report, error) { return audit.Verify(context.Background(), tx, "") })
	if err == nil && r.Flaw != nil {
		err = r.Flaw
	}
	return err
}

// steps are what may happen.
var steps = []step{
	{"push", 8, func(k *walk) (string, error) {
		if k.m.pull.Info().State != "open" {
			return "", errNotNow
		}
		name, value := k.pick("second", "third", "first"), k.value()
		file, text := enginetest.Resource(name, value)
		sha, err := k.w.Repo.Push(ghsim.Push{Branch: "topic", By: enginetest.Ada, Message: fmt.Sprint("change ", len(k.heads)), Files: map[string]string{file: text}})
		k.heads, k.m.pushed = append(k.heads, sha), time.Now()
		return fmt.Sprintf("%.7s %s=%s", sha, name, value), err
	}},
	{"push an old head", 2, func(k *walk) (string, error) {
		if k.m.pull.Info().State != "open" || len(k.heads) < 2 {
			return "", errNotNow
		}
		sha := k.heads[k.rng.IntN(len(k.heads)-1)]
		k.m.pushed = time.Now()
		return fmt.Sprintf("%.7s", sha), k.w.Repo.SetBranch("topic", sha, enginetest.Ada)
	}},
	{"push to the base", 5, func(k *walk) (string, error) {
		files := map[string]string{}
		what := k.pick("resource", "resource", "one approval", "two approvals", "strict", "readme")
		switch what {
		case "resource":
			file, text := enginetest.Resource(k.pick("first", "fourth", "second"), k.value())
			files[file] = text
		case "one approval":
			files[".tollgate.yaml"] = enginetest.Settings(1)
		case "two approvals":
			files[".tollgate.yaml"] = enginetest.Settings(2)
		case "strict":
			files[strictFile] = strict
		default:
			files["README.md"] = fmt.Sprint(k.rng.Int())
		}
		_, err := k.w.Repo.Push(ghsim.Push{Branch: "main", By: enginetest.Ada, Message: what, Files: files})
		return what, err
	}},
	{"retarget", 2, func(k *walk) (string, error) {
		info := k.m.pull.Info()
		if info.State != "open" {
			return "", errNotNow
		}
		to := "main"
		if info.BaseRef == "main" {
			to = "side"
			if k.w.Repo.Ref("refs/heads/side") == "" {
				if err := k.w.Repo.SetBranch("side", k.w.Repo.Ref("refs/heads/main"), enginetest.Linus); err != nil {
					return "", err
				}
			}
		}
		k.m.retarget = time.Now()
		return to, k.m.pull.UpdateBase(enginetest.Ada, to)
	}},
	{"approve", 14, func(k *walk) (string, error) {
		by := k.pick(enginetest.Grace, enginetest.Grace, enginetest.Linus, enginetest.Eve)
		return by, now(k.m.pull.Approve(by))
	}},
	{"request changes", 2, func(k *walk) (string, error) {
		by := k.pick(enginetest.Grace, enginetest.Linus, enginetest.Eve)
		_, err := k.m.pull.Review(ghsim.NewReview{By: by, State: "REQUEST_CHANGES", Body: "no"})
		return by, now(err)
	}},
	{"dismiss", 2, func(k *walk) (string, error) {
		reviews := k.m.pull.Reviews()
		if len(reviews) == 0 {
			return "", errNotNow
		}
		r := reviews[len(reviews)-1]
		return r.Author, now(k.m.pull.Dismiss(enginetest.Ada, r.ID, "no"))
	}},
	{"grant", 3, func(k *walk) (string, error) {
		who, role := k.pick(enginetest.Grace, enginetest.Linus), k.pick("write", "write", "read")
		k.m.roles[who] = role
		return who + " " + role, k.w.Repo.Grant(who, role)
	}},
	{"/apply", 12, (*walk).apply},
	{"approve and apply", 10, (*walk).approvedApply},
	{"/plan", 4, func(k *walk) (string, error) {
		by := k.pick(enginetest.Grace, enginetest.Ada, enginetest.Eve)
		_, err := k.m.pull.Comment(by, "/plan")
		return by, err
	}},
	{"/cancel", 1, func(k *walk) (string, error) {
		by := k.pick(enginetest.Grace, enginetest.Eve)
		_, err := k.m.pull.Comment(by, "/cancel")
		if k.m.roles[by] == "write" && k.w.Server() != nil && !k.m.unhealed {
			k.m.cancelled = time.Now()
		}
		return by, err
	}},
	{"/unlock", 6, func(k *walk) (string, error) {
		by := k.pick(enginetest.Grace, enginetest.Linus, enginetest.Eve)
		if k.m.frozen == "" || k.holds || k.w.Server() == nil {
			return "", errNotNow
		}
		if _, err := k.m.pull.Comment(by, "/unlock "+enginetest.Project); err != nil {
			return "", err
		}
		if k.m.roles[by] == "write" {
			k.m.frozen = ""
		}
		return by, nil
	}},
	{"close", 1, func(k *walk) (string, error) {
		if k.m.pull.Info().State != "open" {
			return "", errNotNow
		}
		return "", k.m.pull.Close(enginetest.Ada)
	}},
	{"reopen", 3, func(k *walk) (string, error) {
		if info := k.m.pull.Info(); info.State == "open" || info.Merged {
			return "", errNotNow
		}
		return "", now(k.m.pull.Reopen(enginetest.Ada))
	}},
	{"merge", 5, (*walk).merge},
	{"change the cloud", 2, func(k *walk) (string, error) {
		name, value := k.pick("first", "second"), k.pick("1", "2", "7")
		k.w.Cloud.Change(name, value)
		return name + "=" + value, nil
	}},
	{"lose webhooks", 2, func(k *walk) (string, error) {
		k.w.Hooks.Lose(1 + k.rng.IntN(3))
		k.m.unhealed = true
		return "", nil
	}},
	{"hold webhooks", 2, func(k *walk) (string, error) {
		if k.holds {
			return "", errNotNow
		}
		k.w.Hooks.Hold()
		k.holds, k.m.unhealed = true, true
		return "", nil
	}},
	{"deliver late, doubled and shuffled", 4, func(k *walk) (string, error) {
		k.held = append(k.held, k.w.Hooks.Take()...)
		if len(k.held) == 0 {
			return "", errNotNow
		}
		k.w.Hooks.Release()
		k.holds = false
		all := append(k.held, k.held[:k.rng.IntN(len(k.held)+1)]...)
		k.rng.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
		for _, h := range all {
			k.w.Hooks.Deliver(h)
		}
		n := len(k.held)
		k.held = nil
		return fmt.Sprint(n, " as ", len(all)), nil
	}},
	{"mend", 4, func(k *walk) (string, error) {
		if k.w.Server() != nil && !k.m.unhealed {
			return "", errNotNow
		}
		return "", k.mend()
	}},
	{"GitHub stumbles", 4, func(k *walk) (string, error) {
		path := k.pick("/repos/*/*/pulls/*", "/repos/*/*/pulls/*/reviews", "/repos/*/*/pulls/*/commits", "/repos/*/*/check-runs", "/repos/*/*/check-runs/*",
			"/repos/*/*/issues/*/comments", "/repos/*/*/collaborators/*/permission", "/repos/*/*/deployments")
		f := ghsim.Fault{Status: 502, Times: 1 + k.rng.IntN(5), After: k.chance(40)}
		k.faults = append(k.faults, k.w.GitHub.Inject(ghsim.Match{Path: path}, f))
		return fmt.Sprint(path, " ", f.Times, f.After), nil
	}},
	{"the server will end", 4, func(k *walk) (string, error) {
		if k.w.Server() == nil {
			return "", errNotNow
		}
		p, n := points[k.rng.IntN(len(points))], 1+k.rng.IntN(3)
		k.w.CrashAt(p, n)
		return fmt.Sprint(p, n), nil
	}},
	{"the server ends", 1, func(k *walk) (string, error) {
		if k.w.Server() == nil {
			return "", errNotNow
		}
		k.w.Crash()
		k.m.unhealed = true
		return "", nil
	}},
	{"the next apply ends", 4, func(k *walk) (string, error) {
		e := endings[k.rng.IntN(len(endings))]
		k.w.Cloud.Next(e)
		return string(e), nil
	}},
	{"the held apply ends", 6, func(k *walk) (string, error) {
		if !k.w.Cloud.Holding() {
			return "", errNotNow
		}
		e := []enginetest.Ending{enginetest.Well, enginetest.Partial, enginetest.Killed}[k.rng.IntN(3)]
		k.w.Cloud.EndHeld(e)
		return string(e), nil
	}},
}

// now says that what GitHub refuses is no step.
func now(err error) error {
	if err != nil {
		return errNotNow
	}
	return nil
}

// apply asks for an apply by comment, and edits it at times.
func (k *walk) apply() (string, error) {
	by := k.pick(enginetest.Grace, enginetest.Ada, enginetest.Linus, enginetest.Eve)
	if k.chance(10) && !k.holds {
		return k.editedApply(by)
	}
	return by, k.ask(by, false, k.chance(50), func() error {
		_, err := k.m.pull.Comment(by, "/apply")
		return err
	})
}

// approvedApply is what people do who want to get something done: they mend what is broken, plan, look, approve and ask.
// Then either nothing goes wrong, or at the worst moment something does.
func (k *walk) approvedApply() (string, error) {
	if info := k.m.pull.Info(); k.m.frozen != "" || info.State != "open" && !info.Merged {
		return "", errNotNow
	}
	if err := k.calm(); err != nil {
		return "", err
	}
	for _, who := range []string{enginetest.Grace, enginetest.Linus} {
		if err := k.w.Repo.Grant(who, "write"); err != nil {
			return "", err
		}
		k.m.roles[who] = "write"
	}
	if _, err := k.m.pull.Comment(enginetest.Grace, "/plan"); err != nil {
		return "", err
	}
	if err := k.rest(); err != nil {
		return "", err
	}
	for _, who := range []string{enginetest.Grace, enginetest.Linus} {
		if err := k.m.pull.Approve(who); err != nil {
			return "", err
		}
	}
	k.m.remember()
	k.w.Let(4 * time.Second)
	what, peace := k.trouble()
	by := k.pick(enginetest.Grace, enginetest.Ada, enginetest.Linus)
	return by + what, k.ask(by, false, peace, func() error {
		_, err := k.m.pull.Comment(by, "/apply")
		return err
	})
}

// trouble prepares what is to go wrong with the next apply, or nothing.
func (k *walk) trouble() (what string, peace bool) {
	switch k.rng.IntN(5) {
	case 0:
		p, n := points[k.rng.IntN(len(points))], 1+k.rng.IntN(2)
		k.w.CrashAt(p, n)
		return fmt.Sprintf(", the server will end at %s %d", p, n), false
	case 1:
		e := endings[k.rng.IntN(len(endings))]
		k.w.Cloud.Next(e)
		return ", it ends " + string(e), false
	case 2:
		k.w.Cloud.Next(enginetest.Killed)
		return ", nobody will know how it ends", false
	}
	return "", true
}

// points are where a server may end, and endings how an apply may.
var (
	points = []engine.Point{engine.AcceptBeforeCommit, engine.AcceptAfterCommit, engine.ClaimBefore, engine.ClaimAfter,
		engine.StartAfter, engine.EndBefore, engine.EndAfter, engine.ReportAfter}
	endings = []enginetest.Ending{enginetest.Clean, enginetest.Partial, enginetest.Killed, enginetest.Unborn, enginetest.Held}
)

// editedApply is of a comment that somebody edits before the server looks at it.
func (k *walk) editedApply(by string) (string, error) {
	k.w.Hooks.Hold()
	defer k.w.Hooks.Release()
	id, err := k.m.pull.Comment(by, "/apply")
	if err != nil {
		return "", err
	}
	k.w.Let(time.Second)
	if err := k.m.pull.EditComment(by, id, k.pick("/apply", "/apply app", "looks good")+" "); err != nil {
		return "", err
	}
	k.w.Let(time.Second)
	for _, h := range k.w.Hooks.Take() {
		k.w.Hooks.Deliver(h)
	}
	return by + ", and edits it", nil
}

// ask lets a person ask for an apply. In peace nothing is in the way of the answer; then what must be
// applied has to be.
func (k *walk) ask(by string, merge, peace bool, do func() error) error {
	if peace {
		if err := k.calm(); err != nil {
			return err
		}
		k.w.Let(4 * time.Second)
	}
	before, said := len(k.w.Cloud.Applies()), len(k.m.pull.Comments())
	s := k.m.remember()
	var must []enginetest.Step
	if peace {
		must = k.m.must(s, by)
	}
	r := &request{at: time.Now(), by: by, head: s.pull.HeadSHA, merge: merge}
	k.m.requests = append(k.m.requests, r)
	if err := do(); err != nil || !peace {
		return err
	}
	if err := k.rest(); err != nil {
		return err
	}
	after := k.w.Cloud.Applies()[before:]
	switch {
	case len(must) > 0 && (len(after) != 1 || len(after[0].Effects) != len(must) || after[0].Ending != enginetest.Well):
		k.m.breach("%s asked, and nothing speaks against %v, but what happened is %+v", by, must, after)
	case len(after) == 0 && !merge && len(k.m.pull.Comments()) < said+2:
		k.m.breach("%s asked, nothing was applied, and nobody said why", by)
	}
	if len(must) > 0 {
		reached.count("had to be applied")
	}
	switch {
	case len(after) == 0:
		reached.count("refused in peace")
	case merge:
		reached.count("applied in peace, by a merge")
	default:
		reached.count("applied in peace, by a comment")
	}
	return nil
}

// reached counts how far the walks come: ones that apply nothing, or in which nothing goes wrong,
// would prove nothing.
var reached counts

type counts struct {
	mu sync.Mutex
	of map[string]int
}

func (c *counts) count(what string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.of == nil {
		c.of = map[string]int{}
	}
	c.of[what]++
}

// enough tells what was reached, and fails the test if that is little for so many walks.
func (c *counts) enough(t *testing.T, walks int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	t.Logf("reached in %d walks: %v", walks, c.of)
	for what, of100 := range map[string]int{"had to be applied": 10, "applied in peace, by a comment": 10, "applied in peace, by a merge": 1, "refused in peace": 30,
		"server ended": 15, "apply ended killed": 3, "apply ended partial": 1} {
		if walks >= 100 && !t.Failed() && 100*c.of[what] < walks*of100 {
			t.Errorf("%q is reached only %d times in %d walks", what, c.of[what], walks)
		}
	}
}

func (k *walk) merge() (string, error) {
	s := k.m.look()
	if s.pull.State != "open" || s.tree == nil {
		return "", errNotNow
	}
	by, method := k.pick(enginetest.Grace, enginetest.Linus), ghsim.MergeMethod(k.pick("merge", "squash", "rebase"))
	if k.m.roles[by] != "write" {
		return "", errNotNow
	}
	return by + " " + string(method), k.ask(by, true, k.chance(50), func() error {
		_, err := k.m.pull.Merge(by, method)
		return err
	})
}
