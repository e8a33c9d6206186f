package terraform

import (
	"context"
	"sync"
)

// keyed is a set of named locks whose waiters give up with their context. The zero value is ready.
type keyed struct {
	mu    sync.Mutex
	locks map[string]*named
}

type named struct {
	held  chan struct{}
	users int
}

// lock waits for the lock of that name and returns what releases it.
func (k *keyed) lock(ctx context.Context, name string) (func(), error) {
	l := k.join(name)
	select {
	case l.held <- struct{}{}:
		return func() { <-l.held; k.leave(name) }, nil
	case <-ctx.Done():
		k.leave(name)
		return nil, ctx.Err()
	}
}

func (k *keyed) join(name string) *named {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.locks == nil {
		k.locks = make(map[string]*named)
	}
	l, ok := k.locks[name]
	if !ok {
		l = &named{held: make(chan struct{}, 1)}
		k.locks[name] = l
	}
	l.users++
	return l
}

func (k *keyed) leave(name string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	l := k.locks[name]
	if l.users--; l.users == 0 {
		delete(k.locks, name)
	}
}
