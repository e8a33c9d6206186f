package webhook_test

import (
	"context"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tollgate/tollgate/internal/webhook"
)

// notices keeps what the ledger was told.
type notices struct {
	mu  sync.Mutex
	all []webhook.Notice
}

func (n *notices) take(_ context.Context, x webhook.Notice) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.all = append(n.all, x)
	return nil
}

func (n *notices) told() []webhook.Notice {
	n.mu.Lock()
	defer n.mu.Unlock()
	return append([]webhook.Notice(nil), n.all...)
}

// A flood of unsigned deliveries leaves two notices in ten minutes, with their number; so does a
// flood of repetitions, beside it. A delivery that is new leaves none.
//
// Covers: T03
func TestAFloodIsNoticedTwice(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var n notices
		s := newSetup(t, func(c *webhook.Config) { c.Noticed = n.take })
		forged := func() *http.Request {
			r := s.delivery("issue_comment", comment(5, "/apply"))
			r.Header.Set("X-Hub-Signature-256", "sha256="+strings.Repeat("0", 64))
			r.RemoteAddr = "192.0.2.7:4711"
			return r
		}
		again := func() *http.Request {
			r := s.delivery("issue_comment", comment(5, "/apply"))
			r.Header.Set("X-GitHub-Delivery", "the-same")
			r.RemoteAddr = "192.0.2.8:4711"
			return r
		}
		if status, a := s.send(again()); status != http.StatusAccepted || a.Result != "queued" {
			t.Fatalf("the first: %d, %+v", status, a)
		}
		if got := n.told(); len(got) != 0 {
			t.Errorf("a delivery that is new is noticed: %+v", got)
		}
		for range 50 {
			if status, _ := s.send(forged()); status != http.StatusUnauthorized {
				t.Errorf("status %d", status)
			}
			if _, a := s.send(again()); a.Result != "duplicate" {
				t.Errorf("%+v", a)
			}
		}
		const reason = "signature does not fit the body"
		want := []webhook.Notice{{Count: 1, Reason: reason, From: "192.0.2.7"}, {Again: true, Count: 1, Reason: "came again", From: "192.0.2.8", Delivery: "the-same"}}
		if diff := cmp.Diff(want, n.told()); diff != "" {
			t.Errorf("at once (-want +got):\n%s", diff)
		}
		time.Sleep(11 * time.Minute) // of the test's own clock
		synctest.Wait()
		got := n.told()
		if len(got) != 4 || got[2].Count != 49 || got[3].Count != 49 {
			t.Errorf("after the window: %+v", got)
		}
		s.send(forged())
		if got := n.told(); len(got) != 5 || got[4].Count != 1 {
			t.Errorf("in the next window: %+v", got)
		}
		time.Sleep(11 * time.Minute)
		synctest.Wait()
		if got := n.told(); len(got) != 5 {
			t.Errorf("a window with nothing more: %+v", got)
		}
	})
}
