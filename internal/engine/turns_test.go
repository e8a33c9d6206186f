package engine

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
)

// holder has a place, and gives it back when done is closed.
type holder struct {
	who  tenant
	done chan struct{}
}

// queueUp has tenants take places one after the other, and sends those who have got one to got.
func queueUp(ctx context.Context, turns *turns, got chan<- holder, all ...tenant) {
	for _, who := range all {
		go func() {
			giveBack, err := turns.take(ctx, who)
			if err != nil {
				return
			}
			h := holder{who, make(chan struct{})}
			got <- h
			<-h.done
			giveBack()
		}()
		synctest.Wait() // it is in the queue, or has its place
	}
}

// Places go to whoever of the installation, and of the repository, has the fewest; there is one more for who has none.
//
// Covers: T79
func TestTurns(t *testing.T) {
	t.Parallel()
	one := func(installation, repo int64, times int) (all []tenant) {
		for range times {
			all = append(all, tenant{installation, repo})
		}
		return all
	}
	cases := map[string]struct {
		places  int
		waiting []tenant
		want    []int64 // repositories, in the order in which they get places; the first that is held is given back when nobody can get one more
	}{
		"alone":                        {2, one(1, 1, 5), []int64{1, 1, 1, 1, 1}},
		"in the order of coming":       {1, append(one(1, 1, 1), append(one(1, 2, 1), one(1, 3, 1)...)...), []int64{1, 2, 3}},
		"after a storm":                {2, append(one(1, 1, 6), one(1, 2, 3)...), []int64{1, 1, 2, 1, 2, 1, 2, 1, 1}},
		"a storm over an installation": {1, append(one(1, 1, 3), append(one(1, 2, 3), one(2, 3, 2)...)...), []int64{1, 2, 3, 1, 3, 2, 1, 2}},
		"two storms":                   {1, append(one(1, 1, 3), append(one(1, 2, 3), one(1, 3, 1)...)...), []int64{1, 2, 3, 1, 2, 1, 2}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				turns, got := newTurns(c.places), make(chan holder, len(c.waiting))
				queueUp(t.Context(), turns, got, c.waiting...)
				var order []int64
				for range c.waiting {
					synctest.Wait()
					h := <-got
					order = append(order, h.who.repo)
					close(h.done)
				}
				synctest.Wait()
				same(t, "order", fmt.Sprint(c.want), fmt.Sprint(order))
				same(t, "places that are still held", 0, len(turns.held))
			})
		})
	}
}

func TestWhoGivesUpItsTurnTakesNoPlace(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		turns, got := newTurns(1), make(chan holder, 3)
		queueUp(t.Context(), turns, got, tenant{1, 1})
		first := <-got
		ctx, cancel := context.WithCancel(t.Context())
		queueUp(ctx, turns, got, tenant{1, 1})
		queueUp(t.Context(), turns, got, tenant{1, 1})
		cancel()
		synctest.Wait()
		close(first.done)
		synctest.Wait()
		close((<-got).done)
		synctest.Wait()
		same(t, "places that are still held", 0, len(turns.held))
		same(t, "still waiting", 0, len(turns.waiting))
	})
}
