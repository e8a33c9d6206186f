package enginetest_test

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tollgate/tollgate/internal/engine/enginetest"
	"github.com/tollgate/tollgate/internal/ghsim"
)

var disorders = flag.Int("disorders", 8, "how many orders of the webhooks of a session are tried")

// disorder is what becomes of webhooks on their way: 30 % are lost, as many come twice, and they come in
// any order, some of them many minutes late.
type disorder struct {
	w    *enginetest.World
	rng  *rand.Rand // nil: every webhook comes once and in order
	late []enginetest.Hook
}

// step is something that people do, and the time in which its webhooks come or do not. People wait
// until they see in the checks what came of it.
func (d *disorder) step(act func()) {
	d.w.Hooks.Hold()
	act()
	d.w.Let(time.Second)
	hooks := append(d.late, d.w.Hooks.Take()...)
	d.w.Hooks.Release()
	d.late = nil
	if d.rng != nil {
		hooks = d.shuffle(hooks)
	}
	for _, h := range hooks {
		d.w.Hooks.Deliver(h)
	}
	d.w.Let(4 * time.Minute)
}

func (d *disorder) shuffle(hooks []enginetest.Hook) (out []enginetest.Hook) {
	for _, h := range hooks {
		switch n := d.rng.IntN(100); {
		case n < 30: // lost
		case n < 50:
			d.late = append(d.late, h)
		case n < 80:
			out = append(out, h, h)
		default:
			out = append(out, h)
		}
	}
	d.rng.Shuffle(len(out), func(i, j int) { out[i], out[j] = out[j], out[i] })
	return out
}

// session is what a few people do in a morning. It returns what is left of it.
func session(t *testing.T, w *enginetest.World, d *disorder) map[string]string {
	t.Helper()
	reconciling(t, w)
	begun(t, w)
	var p []*ghsim.Pull
	push := func(branch, name, value string) {
		file, text := enginetest.Resource(name, value)
		_, err := w.Repo.Push(ghsim.Push{Branch: branch, By: enginetest.Ada, Files: map[string]string{file: text}})
		must(t, err)
	}
	d.step(func() {
		for n := range 4 {
			p = append(p, numbered(t, w, n+1))
		}
	})
	d.step(func() { push("r1", "r1", "2"); push("r2", "r2", "forbidden") })
	d.step(func() { push("r2", "r2", "2") })
	d.step(func() {
		for _, pull := range p {
			must(t, pull.Approve(enginetest.Grace))
		}
		_, err := p[3].Review(ghsim.NewReview{By: enginetest.Linus, State: "REQUEST_CHANGES", Body: "No."})
		must(t, err)
	})
	d.step(func() {
		_, err := w.Repo.Push(ghsim.Push{Branch: "main", By: enginetest.Linus, Files: map[string]string{enginetest.Dir + "/notes.tf": "# Nothing new.\n"}})
		must(t, err)
	})
	d.step(func() {
		_, err := p[0].Comment(enginetest.Grace, "/apply")
		must(t, err)
		must(t, p[2].ConvertToDraft(enginetest.Ada))
	})
	d.step(func() { _, err := p[0].Merge(enginetest.Grace, ghsim.Squash); must(t, err) })
	d.step(func() { must(t, p[1].Approve(enginetest.Grace)) }) // until the merge it would have undone the apply
	d.step(func() {
		_, err := p[1].Merge(enginetest.Grace, ghsim.Merge)
		must(t, err)
		must(t, p[2].ReadyForReview(enginetest.Ada))
	})
	d.step(func() {
		_, err := p[3].Comment(enginetest.Ada, "/apply") // changes are requested
		must(t, err)
		_, err = p[2].Comment(enginetest.Eve, "/apply") // may not write
		must(t, err)
	})
	d.step(func() { must(t, p[3].Close(enginetest.Ada)) })
	d.step(func() {})
	w.Let(10 * time.Minute)
	must(t, w.Settle(10*time.Minute))
	return remains(t, w, p)
}

// remains is the state of the world as people see it, without what only says when or how often.
func remains(t *testing.T, w *enginetest.World, pulls []*ghsim.Pull) map[string]string {
	t.Helper()
	out := map[string]string{"effects": strings.Join(effects(w), "\n")}
	for _, p := range pulls {
		id := fmt.Sprintf("#%d ", p.Number())
		for _, name := range []string{"tollgate", "tollgate/plan: " + enginetest.Project, "tollgate/apply: " + enginetest.Project} {
			out[id+name] = conclusion(w, p, name)
		}
		execs, err := w.Executions(p.Number())
		must(t, err)
		for _, x := range execs {
			out[id+"applies"] += string(x.State) + " "
		}
		var answers []string
		for _, c := range p.Comments() {
			body := c.Body
			if _, marked, ok := strings.Cut(body, " -->\n"); ok && strings.HasPrefix(body, "<!-- tollgate:") {
				body = marked
			}
			first, _, _ := strings.Cut(body, "\n")
			answers = append(answers, c.Author+": "+first)
		}
		slices.Sort(answers)
		out[id+"comments"] = strings.Join(answers, "\n")
	}
	return out
}

// Whatever becomes of its webhooks, a session ends in the same.
//
// Covers: R17, R18, R19
func TestWebhooksInDisorder(t *testing.T) {
	t.Parallel()
	var want map[string]string
	world(t, func(t *testing.T, w *enginetest.World) { want = session(t, w, &disorder{w: w}) })
	for _, done := range []string{"r1", "r2"} {
		if !strings.Contains(want["effects"], done) {
			t.Fatalf("the session does not apply %s:\n%v", done, want)
		}
	}
	for seed := range uint64(*disorders) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			inWorld(t, func(t *testing.T, w *enginetest.World) {
				got := session(t, w, &disorder{w: w, rng: rand.New(rand.NewPCG(seed, 18))})
				if diff := cmp.Diff(want, got); diff != "" {
					t.Errorf("it ends otherwise (-in order +in this disorder):\n%s", diff)
				}
			})
		})
	}
}
