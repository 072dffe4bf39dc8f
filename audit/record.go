package audit

import (
	"context"
	"fmt"
	"sync"

	"github.com/orgkit/orgkit/store"
)

// group are events that stand for themselves and are committed together: while one unit is on its way to the disk
// the next one gathers.
type group struct {
	mu    sync.Mutex
	queue []*standalone
	led   bool // somebody commits
}

type standalone struct {
	event Event
	done  chan error
}

// maxGroup is how many events are committed together.
const maxGroup = 512

// Record writes an event that belongs to no change, such as that something was read or refused, and returns when it is
// committed. Many at once share their units. Inside of a unit it joins that one. The actor comes from ctx, as in
// [Log.Append]. Where ctx ends first, the event may be written all the same.
func (l *Log) Record(ctx context.Context, orgID, action string, c Change) error {
	e, err := newEvent(ctx, orgID, action, c)
	if err != nil {
		return err
	}
	if l.store.InUnit(ctx) {
		return l.store.Update(ctx, func(ctx context.Context, tx *store.Tx) error { return l.append(ctx, tx, []*Event{&e}) })
	}
	s := &standalone{e, make(chan error, 1)}
	g := &l.group
	g.mu.Lock()
	g.queue = append(g.queue, s)
	lead := !g.led
	g.led = true
	g.mu.Unlock()
	if lead {
		go l.lead(context.WithoutCancel(ctx)) // who waits may give up, what is under way may not
	}
	select {
	case err := <-s.done:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// lead commits what is queued until nothing is.
func (l *Log) lead(ctx context.Context) {
	g := &l.group
	for {
		g.mu.Lock()
		n := min(len(g.queue), maxGroup)
		some := g.queue[:n:n]
		g.queue = g.queue[n:]
		g.led = n > 0
		g.mu.Unlock()
		if n == 0 {
			return
		}
		events := make([]*Event, n)
		for i, s := range some {
			events[i] = &s.event
		}
		err := l.together(ctx, events)
		for _, s := range some {
			s.done <- err
		}
	}
}

// together commits events in one unit. What a host has hooked into the store may panic: that is an error, of which all
// who wait hear.
func (l *Log) together(ctx context.Context, events []*Event) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("audit: record: %v", p)
		}
	}()
	return l.store.Update(ctx, func(ctx context.Context, tx *store.Tx) error { return l.append(ctx, tx, events) })
}
