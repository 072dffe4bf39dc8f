package billing_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/orgkit/orgkit/billing"
	"github.com/orgkit/orgkit/store"
	"github.com/orgkit/orgkit/store/memory"
	"github.com/orgkit/orgkit/store/storetest"
)

// onThePath are hard budgets of every kind on the path.
func onThePath(limit string) []billing.Budget {
	var all []billing.Budget
	for _, b := range []billing.Budget{
		{Scope: billing.ScopeKey, ScopeID: "key_1"}, {Scope: billing.ScopeMember, ScopeID: "usr_1", TeamID: "team_1"},
		{Scope: billing.ScopeTeam, ScopeID: "team_1"}, {Scope: billing.ScopeModel, ScopeID: "gpt-*"}, {Scope: billing.ScopeOrg, ScopeID: "org_1"},
	} {
		b.OrgID, b.Limit, b.Hard, b.Window = "org_1", usd(limit), true, "calendar_month"
		all = append(all, b)
	}
	return all
}

func TestAPurseCountsNothingTwiceAndLosesNothing(t *testing.T) {
	each(t, func(t *testing.T, b books, _ *storetest.Clock) {
		for _, on := range onThePath("1000") {
			b.budget(on)
		}
		p := b.Purse(path)
		var h billing.Hold
		require.ErrorIs(t, h.Settle(1), billing.ErrSettled, "the zero Hold")
		h.Release()
		require.NoError(t, p.Reserve(t.Context(), &h, 5e12))
		require.EqualValues(t, 5e12, h.Amount())
		require.NoError(t, h.Increase(t.Context(), 2e12)) // billing edge 15
		require.NoError(t, h.Settle(6e12))
		require.NoError(t, h.Settle(6e12))
		require.ErrorIs(t, h.Settle(5e12), billing.ErrSettled)
		require.ErrorIs(t, h.Increase(t.Context(), 1), billing.ErrSettled)
		h.Release()
		require.ErrorIs(t, h.Settle(-1), billing.ErrRange)
		require.ErrorIs(t, p.Reserve(t.Context(), &h, -1), billing.ErrRange)
		require.ErrorIs(t, p.Reserve(t.Context(), &h, billing.MaxHold+1), billing.ErrRange)

		require.NoError(t, p.Reserve(t.Context(), &h, 3e12))
		h.Release()
		h.Release()
		require.ErrorIs(t, h.Settle(1), billing.ErrSettled)
		require.NoError(t, p.Reserve(t.Context(), &h, 0)) // billing edge 22
		require.NoError(t, h.Settle(1e12))                // and yet it did cost something
		for _, s := range b.states() {
			require.Equal(t, "7", s.Spent.String())
			require.Equal(t, "0", s.Reserved.String())
			require.Equal(t, "0", s.Over.String())
		}
		require.ErrorIs(t, b.store.Update(t.Context(), func(ctx ctx, tx *store.Tx) error {
			return b.Purse(billing.Path{OrgID: "org_1", KeyID: "key_2"}).Reserve(ctx, new(billing.Hold), 1)
		}), billing.ErrInUnit)
	})
}

// TestAPocketSpendsAsItsPurseDoes, whatever becomes of the budgets on its path.
func TestAPocketSpendsAsItsPurseDoes(t *testing.T) {
	each(t, func(t *testing.T, b books, clock *storetest.Clock) {
		clock.Set(at(t, "2024-03-31T23:00:00Z"))
		on := billing.Budget{Scope: billing.ScopeOrg, ScopeID: "org_1", Limit: usd("10"), Hard: true, Zone: "UTC"}
		b.budget(on)
		var p billing.Pocket
		p.Open(b.Purse(path))
		spend := func(amount billing.Pico) error {
			var h billing.Hold
			if err := p.Reserve(t.Context(), &h, amount, clock.Now()); err != nil {
				return err
			}
			return h.Settle(amount)
		}
		var h billing.Hold
		require.ErrorIs(t, p.Reserve(t.Context(), &h, -1, clock.Now()), billing.ErrRange)
		require.ErrorIs(t, p.Reserve(t.Context(), &h, billing.MaxHold+1, clock.Now()), billing.ErrRange)
		for range 4 {
			require.NoError(t, spend(1e12))
		}
		require.ErrorIs(t, spend(7e12), billing.ErrExceeded)
		on.Limit = usd("5") // lowered: from the very next call on
		b.budget(on)
		require.NoError(t, spend(1e12))
		require.ErrorIs(t, spend(1), billing.ErrExceeded)
		require.NoError(t, spend(0))
		on.Limit = usd("6")
		b.budget(on)
		require.NoError(t, spend(1e12))
		require.ErrorIs(t, spend(1), billing.ErrExceeded)
		clock.Set(at(t, "2024-04-01T00:00:00Z")) // to the microsecond
		for range 6 {
			require.NoError(t, spend(1e12))
		}
		require.ErrorIs(t, spend(1), billing.ErrExceeded)
		second, err := b.SetBudget(platform(t), billing.Budget{OrgID: "org_1", Scope: billing.ScopeKey, ScopeID: path.KeyID, Limit: usd("1"), Hard: true, Window: billing.CalendarMonth})
		require.NoError(t, err)
		on.Limit = usd("100")
		b.budget(on)
		require.NoError(t, spend(1e12)) // of both
		require.ErrorIs(t, spend(1), billing.ErrExceeded)
		_, err = b.DeleteBudget(platform(t), "org_1", second.ID)
		require.NoError(t, err)
		for range 20 {
			require.NoError(t, spend(1e12))
		}
		require.Equal(t, "27", b.states()[billing.ScopeOrg].Spent.String())
	})
}

func TestAStreamIsCutWhenItsBudgetIsEmpty(t *testing.T) { // billing edge 15
	each(t, func(t *testing.T, b books, clock *storetest.Clock) {
		clock.Set(at(t, "2024-03-31T23:00:00Z"))
		b.budget(billing.Budget{Scope: billing.ScopeOrg, ScopeID: "org_1", Limit: usd("10"), Hard: true})
		r, err := b.Reserve(t.Context(), path, amount("6"))
		require.NoError(t, err)
		require.ErrorIs(t, r.Increase(t.Context(), usd("5")), billing.ErrExceeded)
		clock.Set(at(t, "2024-04-02T23:00:00Z")) // its budget is still that of March
		require.NoError(t, r.Increase(t.Context(), usd("4")))
		require.Equal(t, "10", r.Amount.String())
		require.ErrorIs(t, r.Increase(t.Context(), usd("1")), billing.ErrExceeded)
		april, err := b.Reserve(t.Context(), path, amount("10"))
		require.NoError(t, err)
		require.NoError(t, r.Settle(t.Context(), usd("10")))
		require.NoError(t, april.Release(t.Context()))
		s := b.states()[billing.ScopeOrg]
		require.Equal(t, "0", s.Spent.String())
		require.Equal(t, "10", s.Remaining.String())
	})
}

func TestWhatMemoryCannotCountGoesThroughTheDatabase(t *testing.T) { // billing edge 20
	each(t, func(t *testing.T, b books, _ *storetest.Clock) {
		b.budget(billing.Budget{Scope: billing.ScopeOrg, ScopeID: "org_1", Limit: usd("100000000"), Hard: true})
		large, err := b.Reserve(t.Context(), path, amount("20000000"))
		require.NoError(t, err)
		require.NotEmpty(t, large.ID)
		require.NoError(t, large.Settle(t.Context(), usd("15000000")))
		small, err := b.Reserve(t.Context(), path, amount("1"))
		require.NoError(t, err)
		require.Empty(t, small.ID)
		require.NoError(t, small.Settle(t.Context(), usd("30000000.000000000001")))
		require.Equal(t, "45000000.000000000001", b.states()[billing.ScopeOrg].Spent.String())
		_, err = b.Reserve(t.Context(), path, amount("60000000"))
		require.ErrorIs(t, err, billing.ErrExceeded)
	})
}

func TestBudgetsThatComeAndGoBindTheNextCall(t *testing.T) { // billing edges 37 to 41
	each(t, func(t *testing.T, b books, _ *storetest.Clock) {
		wide := billing.Budget{Scope: billing.ScopeOrg, ScopeID: "org_1", Limit: usd("100"), Hard: true}
		b.budget(wide)
		p := b.Purse(path)
		var before, h billing.Hold
		require.NoError(t, p.Reserve(t.Context(), &before, 20e12))
		team := billing.Budget{Scope: billing.ScopeTeam, ScopeID: "team_1", Limit: usd("5"), Hard: true}
		b.budget(team) // edge 41: it binds what comes from now on
		require.ErrorIs(t, p.Reserve(t.Context(), &h, 6e12), billing.ErrExceeded)
		require.NoError(t, p.Reserve(t.Context(), &h, 5e12))
		require.ErrorIs(t, p.Reserve(t.Context(), new(billing.Hold), 1), billing.ErrExceeded)
		require.NoError(t, before.Settle(20e12)) // edge 40: and nothing of what was before
		team.Limit = usd("9")
		b.budget(team) // edge 37
		var more billing.Hold
		require.NoError(t, p.Reserve(t.Context(), &more, 4e12))
		team.Hard = false // edge 38
		b.budget(team)
		require.NoError(t, p.Reserve(t.Context(), new(billing.Hold), 50e12))
		require.ErrorIs(t, p.Reserve(t.Context(), new(billing.Hold), 50e12), billing.ErrExceeded)
		team.Hard = true // and back: what the soft one let pass and holds is not known to it, what it has spent is
		b.budget(team)
		require.NoError(t, h.Settle(5e12))
		more.Release()
		s := b.states()
		require.Equal(t, "5", s[billing.ScopeTeam].Spent.String())
		require.Equal(t, "25", s[billing.ScopeOrg].Spent.String())
		require.NoError(t, b.store.Update(t.Context(), func(ctx ctx, tx *store.Tx) error { // edge 39
			return b.Drop(ctx, tx, "org_1", billing.ScopeTeam, "team_1", "")
		}))
		require.NoError(t, p.Reserve(t.Context(), new(billing.Hold), 25e12))
		require.ErrorIs(t, p.Reserve(t.Context(), new(billing.Hold), 1), billing.ErrExceeded)
	})
}

func TestWhatWentBackIsLeasedAgain(t *testing.T) {
	each(t, func(t *testing.T, b books, clock *storetest.Clock) {
		b.budget(billing.Budget{Scope: billing.ScopeOrg, ScopeID: "org_1", Limit: usd("100"), Hard: true, Window: "1h"})
		l := billing.NewLedger(b.store, b.guard, &billing.Options{Flush: time.Millisecond, Idle: time.Millisecond})
		defer func() { require.NoError(t, l.Close()) }()
		p := l.Purse(path)
		for i := range 12 {
			if i == 6 {
				clock.Advance(time.Hour)
			}
			var h billing.Hold
			require.NoError(t, p.Reserve(t.Context(), &h, 2e12))
			require.NoError(t, h.Settle(1e12))
			if i%2 == 0 {
				time.Sleep(5 * time.Millisecond) // long enough that everything goes back
			}
			require.NoError(t, l.Flush(t.Context()))
		}
		require.Equal(t, "6", b.states()[billing.ScopeOrg].Spent.String())
	})
}

func TestAClosedLedgerAdmitsNothing(t *testing.T) {
	each(t, func(t *testing.T, b books, _ *storetest.Clock) {
		b.budget(billing.Budget{Scope: billing.ScopeOrg, ScopeID: "org_1", Limit: usd("10"), Hard: true})
		l := billing.NewLedger(b.store, b.guard, nil)
		p := l.Purse(path)
		var open, done billing.Hold
		require.NoError(t, p.Reserve(t.Context(), &open, 2e12))
		require.NoError(t, p.Reserve(t.Context(), &done, 3e12))
		require.NoError(t, done.Settle(1e12))
		require.NoError(t, l.Close())
		require.NoError(t, l.Close())
		require.ErrorIs(t, p.Reserve(t.Context(), new(billing.Hold), 1), store.ErrClosed)
		_, err := l.Reserve(t.Context(), billing.Path{OrgID: "org_1"}, amount("1"))
		require.ErrorIs(t, err, store.ErrClosed)
		require.NoError(t, open.Settle(2e12), "too late to be written, and counted")
		s := b.states()[billing.ScopeOrg]
		require.Equal(t, "3", s.Spent.String())
		require.Equal(t, "2", s.Forfeited.String())
		require.Equal(t, "0", s.Reserved.String())
	})
}

func TestAFencedNodeSpendsNothingMore(t *testing.T) { // billing edge 28
	each(t, func(t *testing.T, b books, _ *storetest.Clock) {
		b.budget(billing.Budget{Scope: billing.ScopeOrg, ScopeID: "org_1", Limit: usd("10"), Hard: true})
		p := b.Purse(path)
		var open, done, late billing.Hold
		require.NoError(t, p.Reserve(t.Context(), &open, 1e12))
		require.NoError(t, p.Reserve(t.Context(), &done, 2e12))
		other := billing.NewLedger(b.store, b.guard, &billing.Options{Silence: time.Nanosecond})
		defer func() { require.NoError(t, other.Close()) }()
		for fenced := false; !fenced; { // what writes in between is not taken for dead
			require.NoError(t, other.Reclaim(t.Context()))
			require.NoError(t, b.store.View(t.Context(), func(ctx ctx, tx *store.Tx) error {
				rows, err := billing.NodeRows(ctx, tx)
				for _, is := range rows {
					fenced = fenced || is
				}
				return err
			}))
		}
		require.NoError(t, done.Settle(1.5e12)) // it does not know yet, and this is counted already
		require.NoError(t, b.Flush(t.Context()))
		require.NoError(t, b.Reclaim(t.Context())) // and now it has said what it had
		require.NoError(t, p.Reserve(t.Context(), &late, 0.5e12))
		require.NoError(t, late.Settle(0.25e12))
		require.NoError(t, open.Settle(1e12))
		s := b.states()[billing.ScopeOrg]
		if s.Forfeited.String() == "3" { // it has found out before the second call ended, which nobody knows of either
			require.Equal(t, "3.25", s.Spent.String())
		} else {
			require.Equal(t, "2.75", s.Spent.String(), "what was held, what was spent, and nothing else")
			require.Equal(t, "1", s.Forfeited.String())
		}
		require.Equal(t, "0", s.Reserved.String())
	})
}

func BenchmarkReserveSettle(b *testing.B) {
	books := newBooks(b, memory.New(nil))
	for _, on := range onThePath("1000000000") {
		books.budget(on)
	}
	p, ctx := books.Purse(path), context.Background()
	b.ReportAllocs()
	for b.Loop() {
		var h billing.Hold
		if err := p.Reserve(ctx, &h, 40_000_000); err != nil {
			b.Fatal(err)
		}
		if err := h.Settle(30_000_000); err != nil {
			b.Fatal(err)
		}
	}
}

// TestWhatCallsLookAtIsALine of memory: of 100,000 keys each line more is a wait.
func TestWhatCallsLookAtIsALine(t *testing.T) {
	require.EqualValues(t, 64, billing.CellSize)
	require.LessOrEqual(t, int(billing.FundHead), 64, "the head of a fund, with the cell behind it")
}
