package rbac

import (
	"context"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/orgkit/orgkit/store"
)

// Changed says that an organization has come to a new revision, and by what: the type and id of a record.
// Those are empty where a change was found by comparing and not by being told.
type Changed struct {
	OrgID    string
	Revision int64
	Resource string
	ID       string
}

func (c Changed) word() string {
	return c.OrgID + " " + strconv.FormatInt(c.Revision, 10) + " " + c.Resource + " " + c.ID
}

func readWord(word string) (c Changed, ok bool) {
	parts := strings.SplitN(word, " ", 4)
	if len(parts) != 4 {
		return c, false
	}
	n, err := strconv.ParseInt(parts[1], 10, 64)
	return Changed{parts[0], n, parts[2], parts[3]}, err == nil
}

// WatchOptions of [Guard.Watch]; nil works.
type WatchOptions struct {
	// Poll is how often the revisions of the organizations in memory are compared with those in the
	// database, whatever was told; 0 is a second. It is the floor of freshness: the feed may be late.
	Poll time.Duration
}

// Watch calls fn for every change of an organization's rules, by this process before the change returns, by
// others as soon as it is told or found. Organizations that were never asked about in this process are
// reported when they are told of, but not looked for. Revisions that were reported are not reported again;
// of several that come close together the last may be the only one.
//
// fn returns soon and changes nothing itself. It may be called by several goroutines at once.
func (g *Guard) Watch(o *WatchOptions, fn func(Changed)) (stop func()) {
	w := &watcher{guard: g, tell: fn, seen: g.memory.resident(), gap: make(chan struct{}, 1), end: make(chan struct{})}
	every := time.Second
	if o != nil && o.Poll > 0 {
		every = o.Poll
	}
	quiet := g.store.Listen(w.hear)
	w.running.Go(func() { w.poll(every) })
	var once sync.Once
	return func() {
		once.Do(func() {
			quiet()
			close(w.end)
			w.running.Wait()
		})
	}
}

type watcher struct {
	guard   *Guard
	tell    func(Changed)
	gap     chan struct{}
	end     chan struct{}
	running sync.WaitGroup

	mu   sync.Mutex
	seen Revision
}

func (w *watcher) hear(n store.Notice) {
	if n.Gap {
		select {
		case w.gap <- struct{}{}:
		default: // one is waiting already
		}
		return
	}
	if c, ok := readWord(n.Word); ok {
		w.report(c)
	}
}

func (w *watcher) report(c Changed) {
	w.mu.Lock()
	last, known := w.seen[c.OrgID]
	news := !known || c.Revision > last
	if news {
		w.seen[c.OrgID] = c.Revision
	}
	w.mu.Unlock()
	if news {
		w.tell(c)
	}
}

func (w *watcher) poll(every time.Duration) {
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		select {
		case <-w.end:
			return
		case <-w.gap:
		case <-tick.C:
		}
		w.compare()
	}
}

// compare asks for the revisions of everything in memory: values, never times, since the order of commits is
// not that of time.
func (w *watcher) compare() {
	resident := w.guard.memory.resident()
	ids := make([]string, 0, len(resident))
	w.mu.Lock()
	for id, revision := range resident {
		ids = append(ids, id)
		if _, known := w.seen[id]; !known {
			w.seen[id] = revision
		}
	}
	w.mu.Unlock()
	// What fails now is compared at the next tick.
	_ = w.guard.newer(context.Background(), ids, func(s Scope) error {
		w.report(Changed{OrgID: s.ID, Revision: s.Revision})
		return nil
	})
}
