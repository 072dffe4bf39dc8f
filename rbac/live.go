package rbac

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/orgkit/orgkit/store"
)

// MemoryOptions say how decisions from memory are kept fresh; the zero value works.
type MemoryOptions struct {
	// Poll is how often the revisions of the organizations in memory are compared with those in the
	// database, whatever was told; 0 is 400 milliseconds. It is the floor of freshness: a change in another
	// process is seen that late if no notice of it arrives.
	Poll time.Duration
	// Trust is how long memory is trusted after it was last compared; 0 is 5 seconds. Beyond it, while the
	// database cannot be reached, every question asks the database and fails with it.
	Trust time.Duration
	// Organizations is how many are kept at most; 0 is 10,000.
	Organizations int
}

func (o MemoryOptions) orDefaults() MemoryOptions {
	if o.Poll <= 0 {
		o.Poll = 400 * time.Millisecond
	}
	if o.Trust <= 0 {
		o.Trust = 5 * time.Second
	}
	if o.Organizations <= 0 {
		o.Organizations = 10_000
	}
	return o
}

// freshness keeps the memory of a guard fresh from its first question on.
type freshness struct {
	trusted atomic.Bool // memory was compared with the database lately

	mu      sync.Mutex
	running bool
	closed  bool
	stop    func() // of listening
	gap     chan struct{}
	end     chan struct{}
	ended   sync.WaitGroup
	expiry  *time.Timer
}

// begin starts listening and comparing, once.
func (f *freshness) begin(g *Guard) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	switch {
	case f.closed:
		return store.ErrClosed
	case f.running:
		return nil
	}
	f.running, f.gap, f.end = true, make(chan struct{}, 1), make(chan struct{})
	f.stop = g.store.Listen(func(n store.Notice) { g.hear(n) })
	f.expiry = time.AfterFunc(g.opt.Memory.Trust, func() { f.trusted.Store(false) })
	f.trusted.Store(true) // nothing is in memory yet but what is read from now on
	f.ended.Go(func() { g.poll(f.gap, f.end) })
	return nil
}

// Close ends what keeps decisions from memory fresh, and with it those decisions: they answer
// store.ErrClosed. Everything else goes on; the log works no more in the background.
func (g *Guard) Close() error {
	f := &g.live
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.closed {
		return nil
	}
	f.closed = true
	g.log.Close()
	if f.running {
		f.stop()
		close(f.end)
		f.expiry.Stop()
		f.ended.Wait()
	}
	f.trusted.Store(false)
	return nil
}

// hear brings forward what a notice names, before the change that it tells of returns if it is of this
// process.
func (g *Guard) hear(n store.Notice) {
	if n.Gap {
		select {
		case g.live.gap <- struct{}{}:
		default: // one is waiting already
		}
		return
	}
	c, ok := readWord(n.Word)
	if !ok {
		return
	}
	m := &g.memory
	m.mu.Lock()
	if l := m.loading[c.OrgID]; l != nil {
		l.heard = max(c.Revision, l.heard)
	}
	m.mu.Unlock()
	// What fails was dropped from memory: the next question will say so.
	_ = g.refresh(context.Background(), c.OrgID)
}

func (g *Guard) poll(gap, end chan struct{}) {
	tick := time.NewTicker(g.opt.Memory.Poll)
	defer tick.Stop()
	for {
		select {
		case <-end:
			return
		case <-gap:
		case <-tick.C:
		}
		began := time.Now()
		err := g.compare(context.Background())
		switch {
		case errors.Is(err, store.ErrClosed):
			g.live.trusted.Store(false)
			return
		case err == nil:
			g.live.expiry.Reset(g.opt.Memory.Trust - time.Since(began))
			g.live.trusted.Store(true)
		}
	}
}

// compare asks for the revisions of everything in memory: values, never times, since the order of commits is
// not that of time.
func (g *Guard) compare(ctx context.Context) error {
	resident := g.memory.resident()
	ids := make([]string, 0, len(resident))
	for id := range resident {
		ids = append(ids, id)
	}
	return g.newer(ctx, ids, func(s Scope) error {
		if s.Revision == resident[s.ID] {
			return nil
		}
		return g.refresh(ctx, s.ID)
	})
}

// newer calls fn with the scopes of organizations as they are now, outside of any unit.
func (g *Guard) newer(ctx context.Context, ids []string, fn func(Scope) error) error {
	for len(ids) > 0 {
		some := ids[:min(len(ids), store.MaxLimit)]
		ids = ids[len(some):]
		var scopes []Scope
		err := g.store.View(ctx, func(ctx context.Context, tx *store.Tx) error {
			page, err := Scopes.List(ctx, tx, store.Query{Where: []store.Cond{store.In("id", some)}})
			scopes = page.Items
			return err
		})
		if err != nil {
			return err
		}
		for _, s := range scopes {
			if err := fn(s); err != nil {
				return err
			}
		}
	}
	return nil
}

// confirm compares one organization and those above it with the database, while memory is not trusted.
func (g *Guard) confirm(ctx context.Context, orgID string) error {
	var chain []Scope
	err := g.store.View(ctx, func(ctx context.Context, tx *store.Tx) (err error) {
		chain, err = Lineage(ctx, tx, orgID)
		return err
	})
	if err != nil {
		return err
	}
	for _, s := range chain {
		if _, st := g.memory.peek(s.ID); st != nil && st.scope.Revision < s.Revision {
			if err := g.refresh(ctx, s.ID); err != nil {
				return err
			}
		}
	}
	return nil
}
