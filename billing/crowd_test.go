package billing_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/orgkit/orgkit/billing"
	"github.com/orgkit/orgkit/store/storetest"
)

// dorm is a ledger whose funds fall asleep at once, while a call that is under way keeps it going.
type dorm struct {
	books
	*billing.Ledger
	clock *storetest.Clock
	busy  billing.Hold
}

func eachDorm(t *testing.T, fn func(t *testing.T, d *dorm)) {
	each(t, func(t *testing.T, b books, clock *storetest.Clock) {
		b.budget(billing.Budget{Scope: billing.ScopeOrg, ScopeID: "org_1", Limit: usd("100"), Hard: true})
		b.budget(billing.Budget{Scope: billing.ScopeKey, ScopeID: "key_1", Limit: usd("50"), Hard: true})
		d := &dorm{books: b, clock: clock, Ledger: billing.NewLedger(b.store, b.guard, &billing.Options{Flush: time.Millisecond, Idle: time.Millisecond})}
		t.Cleanup(func() { require.NoError(t, d.Close()) })
		require.NoError(t, d.Purse(billing.Path{OrgID: "org_1", KeyID: "key_busy"}).Reserve(t.Context(), &d.busy, 1e12))
		fn(t, d)
	})
}

func (d *dorm) spend(p *billing.Purse, cost billing.Pico) error {
	var h billing.Hold
	if err := p.Reserve(d.t.Context(), &h, cost); err != nil {
		return err
	}
	return h.Settle(cost)
}

// night waits until so many funds sleep.
func (d *dorm) night(n int) {
	d.t.Helper()
	require.Eventually(d.t, func() bool { return d.Asleep() == n }, 20*time.Second, time.Millisecond)
	require.Empty(d.t, d.Unbalanced())
}

// spent is what a budget has spent when everything is written.
func (d *dorm) spent(scope billing.ScopeKind) string {
	d.t.Helper()
	require.NoError(d.t, d.Ledger.Flush(d.t.Context()))
	return d.states()[scope].Spent.String()
}

func TestAFundThatSleepsKnowsItsBudgets(t *testing.T) {
	eachDorm(t, func(t *testing.T, d *dorm) {
		p := d.Purse(path)
		for n := range 3 {
			require.NoError(t, d.spend(p, 2e12))
			fund := p.Fund()
			d.night(1)
			require.Same(t, fund, p.Fund(), "call %d", n)
			require.NotContains(t, fmt.Sprint(d.leases()), "key_1", "nothing is leased for it")
		}
		require.Equal(t, "6", d.spent(billing.ScopeKey))
		require.NoError(t, d.busy.Settle(1e12))
		require.Eventually(t, d.Idle, 20*time.Second, time.Millisecond, "sleepers do not keep a process busy")
		require.Nil(t, p.Fund())
		require.NoError(t, d.spend(p, 2e12))
		require.Equal(t, "8", d.spent(billing.ScopeKey))
		require.Equal(t, "9", d.spent(billing.ScopeOrg))
	})
}

func TestACallForNothingThatCostsWakesAFund(t *testing.T) { // billing edge 22
	eachDorm(t, func(t *testing.T, d *dorm) {
		p := d.Purse(path)
		require.NoError(t, d.spend(p, 1e12))
		d.night(1)
		var h billing.Hold
		require.NoError(t, p.Reserve(t.Context(), &h, 0))
		require.NoError(t, h.Settle(3e12))
		d.night(1)
		require.Equal(t, "4", d.spent(billing.ScopeKey))
		require.NoError(t, p.Reserve(t.Context(), &h, 0))
		d.budget(billing.Budget{Scope: billing.ScopeKey, ScopeID: "key_1", Limit: usd("60"), Hard: true})
		require.NoError(t, h.Settle(3e12), "of a fund that was closed in its sleep")
		require.Equal(t, "7", d.spent(billing.ScopeKey))
		require.Equal(t, "7", d.spent(billing.ScopeOrg))
	})
}

func TestAFundHearsOfChangesInItsSleep(t *testing.T) {
	eachDorm(t, func(t *testing.T, d *dorm) {
		p := d.Purse(path)
		require.NoError(t, d.spend(p, 4e12))
		d.night(1)
		d.budget(billing.Budget{Scope: billing.ScopeKey, ScopeID: "key_1", Limit: usd("5"), Hard: true})
		require.ErrorIs(t, d.spend(p, 2e12), billing.ErrExceeded)
		d.night(1)
		d.budget(billing.Budget{Scope: billing.ScopeTeam, ScopeID: "team_1", Limit: usd("0.5"), Hard: true})
		require.ErrorIs(t, d.spend(p, 1e12), billing.ErrExceeded)
	})
}

func TestAPeriodEndsForThoseWhoSleep(t *testing.T) { // billing edge 11
	eachDorm(t, func(t *testing.T, d *dorm) {
		p := d.Purse(path)
		require.NoError(t, d.spend(p, 50e12))
		require.ErrorIs(t, d.spend(p, 1), billing.ErrExceeded)
		d.night(1)
		d.clock.Advance(31 * 24 * time.Hour)
		d.night(0)
		require.NoError(t, d.spend(p, 2e12))
		require.Equal(t, "2", d.spent(billing.ScopeKey))
	})
}

func TestNoMoreSleepThanThereIsRoomFor(t *testing.T) {
	eachDorm(t, func(t *testing.T, d *dorm) {
		d.Beds(3)
		for n := range 10 {
			require.NoError(t, d.spend(d.Purse(billing.Path{OrgID: "org_1", KeyID: fmt.Sprint("key_of_", n)}), 1e12))
			d.night(min(n+1, 3))
		}
		require.Equal(t, "10", d.spent(billing.ScopeOrg))
	})
}
