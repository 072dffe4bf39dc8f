package store

import "sync"

// Notice is a word of [Tx.Notify] on its way to a listener.
type Notice struct {
	Word string
	// Gap says that words may have been missed, so that everything has to be looked at again. It has
	// no Word.
	Gap bool
}

// Feed is what a driver may be able to do beside [Driver]: carry words between the processes that
// share its database. Within a process the [Store] carries them itself.
type Feed interface {
	// Publish sends words to all other processes, or a gap if it cannot keep up. It does not wait.
	Publish(words []string)
	// Subscribe calls deliver, one notice at a time, for what other processes publish, until the driver
	// is closed. The first notice is a gap: what was before the subscription is unknown. It is called
	// at most once.
	Subscribe(deliver func(Notice))
}

// feed carries words to the listeners of one store.
type feed struct {
	remote Feed // nil: the database belongs to this process

	once      sync.Once
	mu        sync.Mutex
	last      int
	listeners map[int]func(Notice)
}

// Listen calls fn with the words of units that are committed from now on, by this store before its
// Update returns, and by other processes soon afterwards: PostgreSQL tells within milliseconds, for
// SQLite a change of the file is a gap, seen within a quarter of a second. Where words may have been
// lost, as after a broken connection, fn is told of a gap. The order of notices is not the order of
// commits, and a word may be lost with the process that has it to send: who must not miss a change
// compares from time to time as well.
//
// fn returns soon and does not write to the store. It may be called by several goroutines at once, and
// once more while stop is called.
func (s *Store) Listen(fn func(Notice)) (stop func()) {
	f := &s.feed
	f.mu.Lock()
	f.last++
	id := f.last
	if f.listeners == nil {
		f.listeners = map[int]func(Notice){}
	}
	f.listeners[id] = fn
	f.mu.Unlock()
	if f.remote != nil {
		f.once.Do(func() { f.remote.Subscribe(f.deliver) })
	}
	return func() {
		f.mu.Lock()
		defer f.mu.Unlock()
		delete(f.listeners, id)
	}
}

func (f *feed) tell(words []string) {
	if len(words) == 0 {
		return
	}
	for _, w := range words {
		f.deliver(Notice{Word: w})
	}
	if f.remote != nil {
		f.remote.Publish(words)
	}
}

func (f *feed) deliver(n Notice) {
	f.mu.Lock()
	fns := make([]func(Notice), 0, len(f.listeners))
	for _, fn := range f.listeners {
		fns = append(fns, fn)
	}
	f.mu.Unlock()
	for _, fn := range fns {
		fn(n)
	}
}
