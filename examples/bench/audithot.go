package main

import (
	"context"
	"fmt"
	"time"

	"github.com/orgkit/orgkit/audit"
	"github.com/orgkit/orgkit/store"
)

const (
	hotCallers = 256
	hotEvents  = 20_000 // of a round
)

// groupCommit writes events of many callers in few units: package audit has no such thing, a host that wants it
// writes this. A unit takes whoever waits when it begins.
type groupCommit struct {
	store *store.Store
	log   *audit.Log
	queue chan standalone
}

// standalone is an event that belongs to no change, such as a denial.
type standalone struct {
	actor  audit.Actor
	orgID  string
	action string
	change audit.Change
	done   chan error
}

// run writes until ctx ends.
func (g *groupCommit) run(ctx context.Context) {
	var batch []standalone
	for {
		batch = batch[:0]
		select {
		case <-ctx.Done():
			return
		case one := <-g.queue:
			batch = append(batch, one)
		}
		for more := true; more && len(batch) < hotCallers; {
			select {
			case one := <-g.queue:
				batch = append(batch, one)
			default:
				more = false
			}
		}
		err := g.store.Update(ctx, func(ctx context.Context, tx *store.Tx) error {
			for _, one := range batch {
				if _, err := g.log.Append(audit.WithActor(ctx, one.actor), tx, one.orgID, one.action, one.change); err != nil {
					return err
				}
			}
			return nil
		})
		for _, one := range batch {
			one.done <- err
		}
	}
}

// append is when the event is committed.
func (g *groupCommit) append(orgID string, i int, done chan error) error {
	actor, action, change := newAuditEvent(i)
	g.queue <- standalone{actor, orgID, action, change, done}
	return <-done
}

// benchHotOrg has 256 callers append events of one organization, and waits until all are in order.
func benchHotOrg(ctx context.Context, b *bench, l *loadedLogs) error {
	if l.postgres == nil {
		return nil
	}
	b.begin("audit: one hot organization on PostgreSQL")
	s := l.postgres.store
	log := l.newLog(s, false)
	defer log.Close()
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	g := &groupCommit{s, log, make(chan standalone, hotCallers)}
	go g.run(ctx)
	orgID := idOf("org", 5000)
	done := make([]chan error, hotCallers)
	for i := range done {
		done[i] = make(chan error, 1)
	}
	const rounds = 3
	var acked, ordered, calls sample
	for round := range rounds + 1 {
		began := make([]sample, hotCallers)
		begin := time.Now()
		err := atOnce(hotCallers, hotEvents, func(i int) error {
			at := time.Now()
			err := g.append(orgID, round*hotEvents+i, done[i%hotCallers])
			began[i%hotCallers].add(time.Since(at), 1)
			return err
		})
		if err != nil {
			return err
		}
		all := time.Since(begin)
		page, err := log.List(ctx, orgID, audit.Filter{Limit: 1}) // whoever reads waits until all are in order
		if err != nil {
			return err
		}
		inOrder := time.Since(begin)
		if got := page.Items[0].Seq + 1; got != int64((round+1)*hotEvents) {
			return fmt.Errorf("%d events are in order", got)
		}
		if round > 0 {
			acked.add(all, hotEvents)
			ordered.add(inOrder, hotEvents)
			for _, s := range began {
				calls = append(calls, s...)
			}
		}
	}
	rate := func(ns float64) float64 { return 1e9 / ns }
	b.set("audit.hot_org_s", ordered, rate)
	b.note("PostgreSQL, one hot organization, %d callers through group commit: %.0f acknowledged a second, %.0f in order; a call p50 %.1f ms, p99 %.1f ms",
		hotCallers, rate(acked.median()), rate(ordered.median()), millis(calls.median()), millis(calls.p99()))
	return nil
}
