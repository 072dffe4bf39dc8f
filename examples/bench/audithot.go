package main

import (
	"context"
	"fmt"
	"time"

	"github.com/orgkit/orgkit/audit"
)

const (
	hotCallers = 256
	hotEvents  = 12_000 // of a round
)

// benchHotOrg has 256 callers append events of one organization, and waits until all are in order.
func benchHotOrg(ctx context.Context, b *bench, l *loadedLogs) error {
	if l.postgres == nil {
		return nil
	}
	b.begin("audit: one hot organization on PostgreSQL")
	s := l.postgres.store
	log := l.newLog(s, false)
	defer log.Close()
	orgID := idOf("org", 5000)
	const rounds = 3
	var acked, ordered, calls sample
	for round := range rounds + 1 {
		began := make([]sample, hotCallers)
		begin := time.Now()
		err := atOnce(hotCallers, hotEvents, func(i int) error {
			at := time.Now()
			actor, action, change := newAuditEvent(round*hotEvents + i)
			err := log.Record(audit.WithActor(ctx, actor), orgID, action, change)
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
	b.note("PostgreSQL, one hot organization, %d callers of Log.Record: %.0f acknowledged a second, %.0f in order; a call p50 %.1f ms, p99 %.1f ms",
		hotCallers, rate(acked.median()), rate(ordered.median()), millis(calls.median()), millis(calls.p99()))
	return nil
}
