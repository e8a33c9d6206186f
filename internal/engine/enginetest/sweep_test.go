package enginetest_test

import (
	"flag"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tollgate/tollgate/internal/engine/enginetest"
	"github.com/tollgate/tollgate/internal/ghsim"
)

// everywhere is what `make sweep` sets; otherwise each fact is changed at a sample of the reads.
var everywhere = flag.Bool("sweep", false, "change each fact at every read, not at a sample of them")

// fact is something that a decision rests on, and that changes under it.
type fact struct {
	name string
	flip func(w *enginetest.World, p *ghsim.Pull, comment int64) error
	read []string // parts of the questions whose answers tell
}

var facts = []fact{
	{"head pushed", func(w *enginetest.World, _ *ghsim.Pull, _ int64) error {
		file, text := enginetest.Resource("third", "3")
		_, err := w.Repo.Push(ghsim.Push{Branch: "topic", By: enginetest.Ada, Files: map[string]string{file: text}})
		return err
	}, []string{"/pulls/1", "/pulls/1/commits", "fetch"}},
	{"base pushed", func(w *enginetest.World, _ *ghsim.Pull, _ int64) error {
		file, text := enginetest.Resource("fourth", "4")
		_, err := w.Repo.Push(ghsim.Push{Branch: "main", By: enginetest.Grace, Files: map[string]string{file: text}})
		return err
	}, []string{"fetch"}},
	{"retargeted", func(_ *enginetest.World, p *ghsim.Pull, _ int64) error { return p.UpdateBase(enginetest.Ada, "dev") }, []string{"/pulls/1"}},
	{"closed", func(_ *enginetest.World, p *ghsim.Pull, _ int64) error { return p.Close(enginetest.Ada) }, []string{"/pulls/1"}},
	{"made a draft", func(_ *enginetest.World, p *ghsim.Pull, _ int64) error { return p.ConvertToDraft(enginetest.Ada) }, []string{"/pulls/1"}},
	{"review dismissed", func(_ *enginetest.World, p *ghsim.Pull, _ int64) error {
		return p.Dismiss(enginetest.Linus, p.Reviews()[0].ID, "No.")
	}, []string{"/pulls/1/reviews"}},
	{"changes requested", func(_ *enginetest.World, p *ghsim.Pull, _ int64) error {
		_, err := p.Review(ghsim.NewReview{By: enginetest.Linus, State: "REQUEST_CHANGES", Body: "No."})
		return err
	}, []string{"/pulls/1/reviews"}},
	{"approver's permission revoked", func(w *enginetest.World, _ *ghsim.Pull, _ int64) error {
		return w.Repo.Grant(enginetest.Grace, "read")
	}, []string{"/collaborators/grace/permission"}},
	{"actor's permission revoked", func(w *enginetest.World, _ *ghsim.Pull, _ int64) error {
		return w.Repo.Grant(enginetest.Linus, "read")
	}, []string{"/collaborators/linus/permission"}},
	{"comment edited", func(_ *enginetest.World, p *ghsim.Pull, comment int64) error {
		return p.EditComment(enginetest.Linus, comment, "never mind")
	}, []string{"/issues/comments/"}},
}

// question is one read of the server after /apply.
type question struct {
	what    string
	started bool // an apply had begun by then
}

// askApply brings a world to an approved pull request, comments /apply, changes a fact just before the kth question
// after that is answered, if k is not 0, and lets everything come to its end.
func askApply(t *testing.T, w *enginetest.World, f fact, k int) (asked []question, applied bool) {
	t.Helper()
	_, err := w.Repo.Push(ghsim.Push{Branch: "dev", By: enginetest.Ada, From: "main", Files: map[string]string{"README.md": "# dev\n"}})
	must(t, err)
	pull := propose(t, w)
	w.Let(10 * time.Second)
	must(t, w.Settle(5*time.Minute))
	must(t, pull.Approve(enginetest.Grace))
	w.Let(10 * time.Second)
	must(t, w.Settle(5*time.Minute))

	var mu sync.Mutex
	var comment int64
	ready := make(chan struct{}) // the comment's id is known
	w.OnRead(func(what string) {
		<-ready
		mu.Lock()
		defer mu.Unlock()
		asked = append(asked, question{what, len(w.Cloud.Applies()) > 0})
		if len(asked) == k {
			must(t, f.flip(w, pull, comment))
		}
	})
	comment, err = pull.Comment(enginetest.Linus, "/apply")
	must(t, err)
	close(ready)
	w.Let(10 * time.Second)
	must(t, w.Settle(time.Hour))
	mu.Lock()
	defer mu.Unlock()
	return slices.Clone(asked), len(w.Cloud.Applies()) > 0
}

// tells reports whether the answer to a question tells of the fact.
func (f fact) tells(q question) bool {
	return slices.ContainsFunc(f.read, func(part string) bool {
		return strings.HasSuffix(q.what, part) || strings.HasSuffix(part, "/") && strings.Contains(q.what, part)
	})
}

// A fact that a decision rests on changes at the kth question that is answered after /apply, for every k. Nothing is
// applied unless all questions about that fact were answered before: the last of them belong to the look
// that is taken immediately before the claim.
//
// Covers: T06, T20, T22, T23, T26, R40
func TestFactsFlipAtEveryRead(t *testing.T) {
	t.Parallel()
	t.Run("nothing changes", func(t *testing.T) {
		inWorld(t, func(t *testing.T, w *enginetest.World) {
			asked, applied := askApply(t, w, fact{}, 0)
			if !applied {
				t.Fatal("what nobody touches is not applied")
			}
			for _, f := range facts {
				if n := len(f.before(asked)); n < 2 {
					t.Errorf("whether %s is asked %d times before the claim, want at least twice", f.name, n)
				}
			}
		})
	})
	for i, f := range facts {
		t.Run(f.name, func(t *testing.T) {
			t.Parallel()
			first, step := 1, 1
			if !*everywhere {
				first, step = 1+i%sample, sample
			}
			refused, late := 0, false
			for k := first; !late; k += step {
				world(t, func(t *testing.T, w *enginetest.World) {
					asked, applied := askApply(t, w, f, k)
					before := f.before(asked)
					told := len(before) > 0 && before[len(before)-1] >= k-1
					if applied && told {
						t.Errorf("changed at question %d, told by the answer to question %d, and applied all the same: %v", k, before[len(before)-1]+1, asked)
					}
					if !applied {
						refused++
					}
					// Once an apply has begun before the kth question, no later one can keep it from beginning.
					late = applied && (len(asked) < k || asked[k-1].started)
				})
			}
			if refused == 0 {
				t.Error("it was never refused, so nothing was shown")
			}
		})
	}
}

// sample is at which part of the questions a fact is changed, unless at all.
const sample = 4

// before are the indices of the questions that tell of the fact, up to the claim.
func (f fact) before(asked []question) (at []int) {
	for i, q := range asked {
		if !q.started && f.tells(q) {
			at = append(at, i)
		}
	}
	return at
}
