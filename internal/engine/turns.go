package engine

import (
	"cmp"
	"context"
	"slices"
	"sync"

	"github.com/tollgate/tollgate/internal/change"
)

// tenant is who places are shared among.
type tenant struct{ installation, repo int64 }

func tenantOf(r change.Repo) tenant { return tenant{r.InstallationID, r.ID} }

// turns hands out places for work that there may be much of. The next place is for the installation, and in it for
// the repository, that holds the fewest, of several such for the one that got its last place the longest ago, and
// there for whoever has waited longest. So a storm of pushes delays its own repository, and others hardly.
//
// Beyond the places there is one for a repository that holds none, since those who hold all the others may keep
// them for as long as a plan may take.
type turns struct {
	places int

	mu      sync.Mutex
	held    map[tenant]int
	served  map[tenant]int // when it got its last place, by count; a tenant without a repository is an installation
	count   int
	waiting []*turn // the oldest first
}

type turn struct {
	who  tenant
	come chan struct{}
}

func newTurns(places int) *turns {
	return &turns{places: places, held: map[tenant]int{}, served: map[tenant]int{}}
}

// take waits for a place, and returns what gives it back.
func (t *turns) take(ctx context.Context, who tenant) (giveBack func(), err error) {
	w := &turn{who, make(chan struct{})}
	t.mu.Lock()
	t.waiting = append(t.waiting, w)
	t.serve()
	t.mu.Unlock()
	giveBack = func() {
		t.mu.Lock()
		defer t.mu.Unlock()
		if t.held[who]--; t.held[who] == 0 {
			delete(t.held, who)
		}
		t.serve()
	}
	select {
	case <-w.come:
		return giveBack, nil
	case <-ctx.Done():
	}
	t.mu.Lock()
	at := slices.Index(t.waiting, w)
	if at >= 0 {
		t.waiting = slices.Delete(t.waiting, at, at+1)
	}
	t.mu.Unlock()
	if at < 0 { // its turn came at the same moment
		giveBack()
	}
	return nil, ctx.Err()
}

// serve gives places to those whose turn it is. The caller holds the lock.
func (t *turns) serve() {
	for {
		at, ok := t.next()
		if !ok {
			return
		}
		w := t.waiting[at]
		t.waiting = slices.Delete(t.waiting, at, at+1)
		t.held[w.who]++
		t.count++
		t.served[w.who], t.served[tenant{installation: w.who.installation}] = t.count, t.count
		close(w.come)
	}
}

// next is the one whose turn it is, if there is a place for one.
func (t *turns) next() (at int, ok bool) {
	all, of := 0, map[int64]int{} // places that are held, by installation
	for who, n := range t.held {
		all, of[who.installation] = all+n, of[who.installation]+n
	}
	sooner := func(a, b tenant) bool {
		return cmp.Or(cmp.Compare(of[a.installation], of[b.installation]),
			cmp.Compare(t.served[tenant{installation: a.installation}], t.served[tenant{installation: b.installation}]),
			cmp.Compare(t.held[a], t.held[b]), cmp.Compare(t.served[a], t.served[b])) < 0
	}
	for i, w := range t.waiting {
		mayTake := all < t.places || all == t.places && t.held[w.who] == 0
		if mayTake && (!ok || sooner(w.who, t.waiting[at].who)) {
			at, ok = i, true
		}
	}
	return at, ok
}
