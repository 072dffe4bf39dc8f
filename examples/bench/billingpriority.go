package main

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/orgkit/orgkit/audit"
	"github.com/orgkit/orgkit/billing"
	"github.com/orgkit/orgkit/store"
	"github.com/orgkit/orgkit/store/memory"
)

// The load of benchPriority: calls of so long for so many slots, and twice as many as fit. One in four has priority.
const (
	slotCount  = 8
	callTime   = 5 * time.Millisecond
	twice      = 2 * slotCount * int(time.Second/callTime) // calls a second
	mostWait   = time.Second
	loadedTime = 5 * time.Second
)

// benchPriority has calls with priority and without compete for slots.
func benchPriority(ctx context.Context, b *bench) error {
	b.begin("billing: priority")
	p, err := newPurses(ctx, memory.New(nil), "1")
	if err != nil {
		return err
	}
	l := billing.NewLimiter(p.store, p.guard, &billing.LimiterOptions{Nodes: p.ledger.Nodes()})
	most := int64(slotCount)
	if _, err := l.SetRateLimit(audit.WithActor(ctx, audit.PlatformAdmin()), billing.RateLimit{OrgID: "org_1", Scope: billing.ScopeOrg, ScopeID: "org_1", MaxParallelRequests: &most}); err != nil {
		return err
	}
	var limits *billing.Limits
	err = p.store.View(ctx, func(ctx context.Context, tx *store.Tx) (err error) {
		limits, err = l.Limits(ctx, tx, benchPath, false)
		return err
	})
	if err != nil {
		return err
	}
	var (
		running sync.WaitGroup
		mu      sync.Mutex
		waits   [2]sample // without and with priority
		served  [2]int
		failed  error
	)
	call := func(priority int) {
		begin := time.Now()
		h, err := limits.Take(ctx, billing.Ask{MaxWait: mostWait, Priority: priority})
		waited := time.Since(begin)
		if err == nil {
			time.Sleep(callTime)
			h.Settle(0)
		}
		mu.Lock()
		defer mu.Unlock()
		waits[priority].add(waited, 1)
		if err == nil {
			served[priority]++
		} else if !errors.Is(err, billing.ErrLimited) {
			failed = err
		}
	}
	began := time.Now()
	for n := 0; time.Since(began) < loadedTime; {
		for due := int(time.Since(began).Seconds() * float64(twice)); n < due; n++ {
			priority := 0
			if n%4 == 0 {
				priority = 1
			}
			running.Go(func() { call(priority) })
		}
		time.Sleep(time.Millisecond)
	}
	running.Wait()
	if failed != nil {
		return failed
	}
	normal, high := waits[0].p99(), waits[1].p99()
	b.values["billing.priority_wait_ratio"] = exactly(high / normal)
	b.note("at twice the load that fits 99 of 100 calls with priority wait at most %.1f ms, without %.0f ms; %d of %d and %d of %d are served, most others refused because the queue is full",
		millis(high), millis(normal), served[1], len(waits[1]), served[0], len(waits[0]))
	l.Close()
	return p.close()
}
