package webhook

import (
	"context"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"
)

// Notice is what the ledger is told of deliveries that led to nothing.
type Notice struct {
	Again    bool   // GitHub's own, handled before; else refused, because nothing proves that they are GitHub's
	Count    int    // of them
	Reason   string // of the last of them
	From     string // the address that it came from, which may be a proxy's
	Delivery string // its id, if it was GitHub's own
}

// noticeWindow is how long further deliveries are counted before they are told of.
const noticeWindow = 10 * time.Minute

// tallies count what is noticed: what was refused and what came again each have their own.
type tallies struct {
	mu   sync.Mutex
	open [2]*Notice // not told yet, of the window that runs; nil outside a window
}

// notice tells of the first of a window at once, and of the others when it ends.
func (h *Handler) notice(r *http.Request, again bool, reason, delivery string) {
	if h.cfg.Noticed == nil {
		return
	}
	i := 0
	if again {
		i = 1
	}
	from, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		from = r.RemoteAddr
	}
	n := Notice{Again: again, Count: 1, Reason: reason, From: from, Delivery: delivery}
	h.mu.Lock()
	if counted := h.open[i]; counted != nil {
		n.Count += counted.Count
		*counted = n
		h.mu.Unlock()
		return
	}
	h.open[i] = &Notice{}
	h.mu.Unlock()
	time.AfterFunc(noticeWindow, func() {
		h.mu.Lock()
		counted := h.open[i]
		h.open[i] = nil
		h.mu.Unlock()
		if counted.Count > 0 {
			h.tell(*counted)
		}
	})
	h.tell(n)
}

func (h *Handler) tell(n Notice) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := h.cfg.Noticed(ctx, n); err != nil {
		h.cfg.Logger.Error("write refused deliveries into the ledger", slog.Int("count", n.Count), slog.String(KeyError, clip(err.Error(), 300)))
	}
}
