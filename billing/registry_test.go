package billing_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/orgkit/orgkit/billing"
	"github.com/orgkit/orgkit/store"
	"github.com/orgkit/orgkit/store/storetest"
)

// gateway is a process with a ledger, and a limiter that is known by its nodes.
type gateway struct {
	rates
	ledger *billing.Ledger
}

func newGateway(t *testing.T, s *store.Store, o billing.Options) gateway {
	books := newRates(t, s, nil)
	l := billing.NewLedger(s, books.guard, &o)
	g := gateway{newRates(t, s, &billing.LimiterOptions{Nodes: l.Nodes()}), l}
	t.Cleanup(func() { require.NoError(t, l.Close()) })
	return g
}

// fences has a process look after the others until as many are fenced.
func (g gateway) fences(want int) {
	g.t.Helper()
	for end := time.Now().Add(20 * time.Second); ; {
		require.NoError(g.t, g.ledger.Reclaim(g.t.Context()))
		fenced := 0
		for _, is := range g.nodeRows() {
			if is {
				fenced++
			}
		}
		if fenced == want {
			return
		}
		require.True(g.t, time.Now().Before(end), "%d are fenced", fenced)
	}
}

func (g gateway) nodeRows() (rows map[string]bool) {
	require.NoError(g.t, g.store.View(g.t.Context(), func(ctx ctx, tx *store.Tx) (err error) {
		rows, err = billing.NodeRows(ctx, tx)
		return err
	}))
	return rows
}

func TestAFenceFreesTheSlotsOfItsNode(t *testing.T) { // F106, billing edge 28
	storetest.Each(t, func(t *testing.T, s *store.Store, clock *storetest.Clock) {
		first, second := newGateway(t, s, billing.Options{}), newGateway(t, s, billing.Options{Silence: time.Nanosecond})
		first.limit(billing.RateLimit{Scope: billing.ScopeTeam, ScopeID: "team_1", MaxParallelRequests: n(3), RequestsPerDay: n(40)})
		var running []*billing.Permit
		for range 3 {
			running = append(running, first.passes(path1, 0))
		}
		require.Equal(t, time.Second, second.refuses(path1, 0).RetryAfter)
		require.Equal(t, 2, second.ledger.Nodes().Live(), "though neither has any money")
		was := first.ledger.Nodes().Node()

		second.fences(1)
		clock.Advance(time.Minute)
		theirs := []*billing.Permit{second.passes(path1, 0), second.passes(path1, 0)}

		// It only slept, and what runs there still runs. It finds out with whatever it writes next, and no call is told.
		running[0].Settle(0)
		first.Sweep()
		first.Sweep()
		first.Settled()
		require.NotEqual(t, was, first.ledger.Nodes().Node())
		require.True(t, first.refuses(path1, 0).Parallel(), "two run here, and two there")
		for _, h := range running {
			h.Settle(0)
		}
		for _, h := range theirs {
			h.Settle(0)
		}
		first.Sweep()
		first.Settled()
		second.Sweep()
		second.Sweep()
		second.Settled()
		for range 3 { // nothing of what was fenced is left over
			clock.Advance(time.Minute)
			defer first.passes(path1, 0).Settle(0)
		}
		require.True(t, first.refuses(path1, 0).Parallel())
	})
}

func TestWhatAFencedNodeKeptReadyIsNotItsOwn(t *testing.T) { // billing edge 28
	storetest.Each(t, func(t *testing.T, s *store.Store, clock *storetest.Clock) {
		first, second := newGateway(t, s, billing.Options{}), newGateway(t, s, billing.Options{Silence: time.Nanosecond})
		on := func(user string) billing.Path { return billing.Path{OrgID: "org_1", UserID: user} }
		for _, user := range []string{"usr_8", "usr_9"} {
			first.limit(billing.RateLimit{Scope: billing.ScopeUser, ScopeID: user, MaxParallelRequests: n(1)})
		}
		first.passes(on("usr_8"), 0).Settle(0) // the slot stays for a while
		second.fences(1)
		second.passes(on("usr_8"), 0)
		first.passes(on("usr_9"), 0) // a claim, by which it finds out
		require.True(t, first.refuses(on("usr_8"), 0).Parallel())
	})
}

func TestALedgerThatClosesFreesTheSlots(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store, clock *storetest.Clock) {
		first, second := newGateway(t, s, billing.Options{}), newGateway(t, s, billing.Options{})
		first.limit(billing.RateLimit{Scope: billing.ScopeTeam, ScopeID: "team_1", MaxParallelRequests: n(1)})
		first.passes(path1, 0)
		second.refuses(path1, 0)
		first.Close()
		require.NoError(t, first.ledger.Close())
		clock.Advance(time.Minute)
		second.passes(path1, 0).Settle(0)
		require.Equal(t, map[string]bool{second.ledger.Nodes().Node(): false}, second.nodeRows())
	})
}

// TestWhoOnlyUsesLimitsIsHeardOf has a call run for long in a process that has no budgets, beside one that takes everybody
// for dead who is silent for a second.
func TestWhoOnlyUsesLimitsIsHeardOf(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		clock := storetest.NewClock()
		s, d := newDown(t, "memory", clock)
		first, second := newGateway(t, s, billing.Options{Silence: time.Second}), newGateway(t, s, billing.Options{Silence: time.Second})
		first.limit(billing.RateLimit{Scope: billing.ScopeTeam, ScopeID: "team_1", MaxParallelRequests: n(1), RequestsPerDay: n(1000)})
		running := first.passes(path1, 0)
		synctest.Wait()
		for range 600 {
			require.NoError(t, second.ledger.Reclaim(t.Context()))
			time.Sleep(100 * time.Millisecond)
		}
		require.Equal(t, map[string]bool{first.ledger.Nodes().Node(): false}, second.nodeRows())
		require.Equal(t, 2, second.ledger.Nodes().Live(), "with itself, who has nothing yet")
		second.refuses(path1, 0)

		running.Settle(0)
		time.Sleep(20 * time.Second)
		before := d.commits.Load()
		time.Sleep(time.Hour)
		require.Equal(t, before, d.commits.Load(), "who does nothing costs nothing")
		require.True(t, first.ledger.Idle() && second.ledger.Idle())
		second.fences(1) // and is forgotten
		clock.Advance(time.Minute)
		first.passes(path1, 0).Settle(0) // and comes back as another
		synctest.Wait()
		first.Close()
		second.Close()
		require.NoError(t, first.ledger.Close())
		require.NoError(t, second.ledger.Close())
	})
}

func TestTheNodesOfALedgerAreThoseOfOneLimiter(t *testing.T) {
	g := newGateway(t, storetest.Open(t, "memory", store.Options{}), billing.Options{})
	require.Panics(t, func() { billing.NewLimiter(g.store, g.guard, &billing.LimiterOptions{Nodes: g.ledger.Nodes()}) })
}
