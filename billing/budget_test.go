package billing_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/orgkit/orgkit/audit"
	"github.com/orgkit/orgkit/billing"
	"github.com/orgkit/orgkit/store"
	"github.com/orgkit/orgkit/store/storetest"
)

func (b books) spend(cost string) {
	b.t.Helper()
	r, err := b.Reserve(b.t.Context(), path, amount(cost))
	require.NoError(b.t, err)
	require.NoError(b.t, r.Settle(b.t.Context(), usd(cost)))
}

func (b books) refuses(cost string) *billing.Exceeded {
	b.t.Helper()
	_, err := b.Reserve(b.t.Context(), path, amount(cost))
	var ex *billing.Exceeded
	require.ErrorAs(b.t, err, &ex)
	return ex
}

// events are the types of those of budgets, oldest first, without the changes by people.
func (b books) events() (types []string) {
	require.NoError(b.t, b.Flush(b.t.Context()))
	page, err := audit.New(b.store, nil).List(b.t.Context(), "org_1", audit.Filter{Types: []string{"budget.*"}})
	require.NoError(b.t, err)
	for i := len(page.Items) - 1; i >= 0; i-- {
		if e := page.Items[i].Type; e != "budget.updated" {
			types = append(types, e)
		}
	}
	return types
}

var asPlatform = func(t testing.TB) ctx { return audit.WithActor(t.Context(), audit.PlatformAdmin()) }

func TestABalanceIsSpentAndNeverBeginsAnew(t *testing.T) {
	each(t, func(t *testing.T, b books, clock *storetest.Clock) {
		org := billing.Budget{OrgID: "org_1", Scope: billing.ScopeOrg, ScopeID: "org_1", Hard: true}
		_, err := b.SetBalance(asPlatform(t), org, usd("10"))
		require.NoError(t, err)
		b.spend("7")
		clock.Advance(5000 * 24 * time.Hour)
		ex := b.refuses("3.01")
		require.True(t, ex.ResetAt.IsZero())
		require.Equal(t, "3", ex.Remaining.String())
		require.Equal(t, "the org budget has 3 of 10 left", ex.Error())

		_, err = b.SetBalance(asPlatform(t), org, usd("4")) // so much from now on
		require.NoError(t, err)
		b.refuses("4.01")
		b.spend("4")
		s := b.states()[billing.ScopeOrg]
		require.Equal(t, []string{"11", "11", "0", "over"}, []string{s.Limit.String(), s.Spent.String(), s.Remaining.String(), s.State})
		require.True(t, s.PeriodEnd.IsZero())
		_, err = b.SetBalance(asPlatform(t), org, usd("-1"))
		require.ErrorIs(t, err, store.ErrInvalid)
	})
}

func TestAnotherWindowIsNoWayToSpendTwice(t *testing.T) { // billing edge 7
	each(t, func(t *testing.T, b books, clock *storetest.Clock) {
		clock.Set(at(t, "2024-03-15T12:00:00Z"))
		org := billing.Budget{Scope: billing.ScopeOrg, ScopeID: "org_1", Limit: usd("10"), Hard: true, Window: "calendar_month"}
		b.budget(org)
		b.spend("8")
		require.NoError(t, b.Flush(t.Context()))
		org.Window = "calendar_day"
		b.budget(org)
		require.Equal(t, "2", b.refuses("2.01").Remaining.String())
		org.Window = "calendar_month"
		b.budget(org)
		b.refuses("2.01")
		org.Zone = "Asia/Tokyo" // whose month has begun at another instant
		b.budget(org)
		b.refuses("2.01")
		org.OrgID = "org_1"
		_, err := b.SetBalance(asPlatform(t), org, usd("5"))
		require.NoError(t, err)
		require.Equal(t, "5", b.refuses("5.01").Remaining.String())
		clock.Set(at(t, "2024-04-15T12:00:00Z"))
		b.spend("5")
	})
}

func TestWhatRollsOverIsCappedAndComesLate(t *testing.T) { // billing edge 9
	each(t, func(t *testing.T, b books, clock *storetest.Clock) {
		clock.Set(at(t, "2024-01-10T12:00:00Z"))
		b.budget(billing.Budget{Scope: billing.ScopeOrg, ScopeID: "org_1", Limit: usd("10"), Hard: true, Rollover: true, RolloverCap: amount("6")})
		long, err := b.Reserve(t.Context(), path, amount("7"))
		require.NoError(t, err)
		clock.Set(at(t, "2024-02-10T12:00:00Z"))
		b.spend("1")
		require.Equal(t, "13", b.states()[billing.ScopeOrg].Limit.String(), "three are left of January, and seven held")
		require.NoError(t, long.Settle(t.Context(), usd("2")))
		require.Equal(t, "16", b.states()[billing.ScopeOrg].Limit.String(), "eight were left, of which six are carried")
		clock.Set(at(t, "2024-05-10T12:00:00Z"))
		require.Equal(t, "16", b.states()[billing.ScopeOrg].Limit.String(), "of periods in which nobody called too")
		b.refuses("16.01")
		b.spend("16")
	})
}

func TestASleepOverPeriodsIsThatManyRollovers(t *testing.T) { // billing edge 5
	each(t, func(t *testing.T, b books, clock *storetest.Clock) {
		limits := func() (list []string) {
			states := b.states()
			for _, scope := range []billing.ScopeKind{billing.ScopeTeam, billing.ScopeOrg, billing.ScopeKey} {
				list = append(list, states[scope].Limit.String())
			}
			return list
		}
		clock.Set(at(t, "2023-12-10T12:00:00Z"))
		b.budget(billing.Budget{Scope: billing.ScopeKey, ScopeID: "key_1", Limit: usd("10"), Window: "1h", Rollover: true})
		clock.Set(at(t, "2024-01-10T12:00:00Z"))
		team := billing.Budget{Scope: billing.ScopeTeam, ScopeID: "team_1", Limit: usd("10"), Hard: true, Rollover: true}
		b.budget(team)
		b.budget(billing.Budget{Scope: billing.ScopeOrg, ScopeID: "org_1", Limit: usd("10"), Hard: true, Rollover: true, RolloverCap: amount("25")})
		require.Equal(t, []string{"10", "10", "7450"}, limits(), "744 hours in which nobody has called, and the one that runs")
		long, err := b.Hold(t.Context(), path, amount("4"))
		require.NoError(t, err)
		clock.Set(at(t, "2024-04-10T12:00:00Z")) // and nobody has called in February and March
		require.Equal(t, []string{"36", "35", "29286"}, limits())
		b.spend("1")
		require.Equal(t, []string{"36", "35", "29286"}, limits())
		require.NoError(t, long.Settle(t.Context(), usd("1")))
		require.Equal(t, []string{"39", "35", "29289"}, limits(), "what was held comes late, over the gap")
		clock.Set(at(t, "2024-06-10T12:00:00Z"))
		require.Equal(t, "58", limits()[0])
		team.Limit = usd("100") // what was left over before is by the limits of its time
		b.budget(team)
		clock.Set(at(t, "2024-07-10T12:00:00Z"))
		require.Equal(t, "248", limits()[0])
		team.Rollover = false
		b.budget(team)
		clock.Set(at(t, "2024-09-10T12:00:00Z"))
		require.Equal(t, "100", limits()[0])
		team.Rollover = true
		b.budget(team)
		clock.Set(at(t, "2024-10-10T12:00:00Z"))
		require.Equal(t, "200", limits()[0], "since it rolls over")
		team.Window = billing.CalendarDay // billing edge 7: which is no reason to carry anything
		b.budget(team)
		require.Equal(t, "100", limits()[0])
		clock.Set(at(t, "2024-10-12T12:00:00Z"))
		require.Equal(t, "300", limits()[0])
	})
}

func TestAnOpenedPeriodKeepsItsInstants(t *testing.T) { // billing edge 6
	for _, later := range []time.Duration{time.Hour, -time.Hour} {
		each(t, func(t *testing.T, b books, clock *storetest.Clock) {
			clock.Set(at(t, "2024-03-10T12:00:00Z"))
			b.budget(billing.Budget{Scope: billing.ScopeOrg, ScopeID: "org_1", Limit: usd("10"), Hard: true})
			require.NoError(t, b.store.Update(t.Context(), func(ctx ctx, tx *store.Tx) error {
				return b.OpenAs(ctx, tx, b.only(ctx, tx), later)
			}))
			require.Equal(t, at(t, "2024-04-01T04:00:00Z").Add(later), b.states()[billing.ScopeOrg].PeriodEnd)
			b.spend("7")
			boundary := at(t, "2024-04-01T04:00:00Z")
			for _, now := range []time.Time{boundary.Add(-30 * time.Minute), boundary.Add(max(later, 0) - time.Minute)} {
				clock.Set(now) // around what the two rules say no second month is to be had
				require.Equal(t, "3", b.states()[billing.ScopeOrg].Remaining.String(), now)
				b.refuses("3.01")
			}
			clock.Set(boundary.Add(max(later, 0)))
			require.Equal(t, "10", b.states()[billing.ScopeOrg].Remaining.String())
			b.spend("10")
			b.refuses("0.01")
			clock.Set(at(t, "2024-05-01T04:00:00Z"))
			b.spend("10")
		})
	}
}

// only is the one budget there is.
func (b books) only(ctx ctx, tx *store.Tx) (only billing.Budget) {
	for budget, err := range billing.Budgets.All(ctx, tx, store.Query{}) {
		require.NoError(b.t, err)
		only = budget
	}
	return only
}

func TestAPeriodEndsWhereItsZoneSays(t *testing.T) { // billing edges 1 and 8
	each(t, func(t *testing.T, b books, clock *storetest.Clock) {
		clock.Set(at(t, "2024-01-01T00:00:00Z"))
		b.budget(billing.Budget{Scope: billing.ScopeTeam, ScopeID: "team_1", Limit: usd("1"), Hard: true, Window: billing.CalendarDay, Zone: "Asia/Kathmandu"})
		for _, midnight := range []string{"2024-02-27T18:15:00Z", "2024-02-29T18:15:00Z", "2038-01-19T18:15:00Z", "9999-06-30T18:15:00Z"} {
			clock.Set(at(t, midnight).Add(-time.Microsecond))
			b.spend("1")
			require.Equal(t, at(t, midnight), b.refuses("0.01").ResetAt)
			clock.Set(at(t, midnight))
			b.spend("1")
			s := b.states()[billing.ScopeTeam]
			require.Equal(t, []time.Time{at(t, midnight), at(t, midnight).Add(24 * time.Hour)}, []time.Time{s.PeriodStart, s.PeriodEnd})
			require.Equal(t, time.UTC, s.PeriodEnd.Location())
		}
	})
}

func TestASuspendedBudgetStopsWhatCosts(t *testing.T) { // billing edge 39
	each(t, func(t *testing.T, b books, _ *storetest.Clock) {
		team := billing.Budget{OrgID: "org_1", Scope: billing.ScopeTeam, ScopeID: "team_1", Limit: usd("10"), Window: "calendar_month"}
		b.budget(team) // a soft one
		before, err := b.Reserve(t.Context(), path, amount("1"))
		require.NoError(t, err)
		_, err = b.SuspendBudget(asPlatform(t), team)
		require.NoError(t, err)
		var conflict *store.ConflictError
		_, err = b.SuspendBudget(asPlatform(t), team)
		require.ErrorAs(t, err, &conflict)
		ex := b.refuses("1")
		require.True(t, ex.Suspended)
		require.Equal(t, "the team budget is suspended", ex.Error())
		_, err = b.Hold(t.Context(), path, amount("1"))
		require.ErrorIs(t, err, billing.ErrExceeded)
		_, err = b.ReserveUpTo(t.Context(), path, usd("0"), usd("1"))
		require.ErrorIs(t, err, billing.ErrExceeded)
		_, err = b.Reserve(t.Context(), path, amount("0"))
		require.NoError(t, err, "what is free is not refused")
		require.NoError(t, before.Increase(t.Context(), usd("1")), "a call under way goes on")
		require.NoError(t, before.Settle(t.Context(), usd("2")))
		b.budget(team) // whoever changes it does not resume it
		require.Equal(t, "suspended", b.states()[billing.ScopeTeam].State)
		_, err = b.ResumeBudget(asPlatform(t), team)
		require.NoError(t, err)
		b.spend("1")
		require.Equal(t, "3", b.states()[billing.ScopeTeam].Spent.String())
		require.Equal(t, []string{"budget.suspended", "budget.resumed"}, b.events())
		team.Name = "none"
		_, err = b.ResumeBudget(asPlatform(t), team)
		require.ErrorIs(t, err, store.ErrNotFound)
	})
}

func TestASoftLimitIsToldOnceInAPeriod(t *testing.T) {
	each(t, func(t *testing.T, b books, clock *storetest.Clock) {
		clock.Set(at(t, "2024-01-10T12:00:00Z"))
		b.budget(billing.Budget{Scope: billing.ScopeOrg, ScopeID: "org_1", Limit: usd("10"), Hard: true, SoftLimit: amount("3"), AlertThreshold: amount("0.5")})
		b.spend("2.99")
		require.Empty(t, b.events())
		b.spend("0.01")
		b.spend("7") // edge 46: one call crosses the rest
		require.Equal(t, []string{"budget.soft_limit_reached", "budget.alert", "budget.exceeded"}, b.events())
		clock.Set(at(t, "2024-02-10T12:00:00Z"))
		b.spend("3")
		require.Len(t, b.events(), 4)
	})
}

func TestWhatIsThereIsReserved(t *testing.T) { // billing edge 14
	each(t, func(t *testing.T, b books, _ *storetest.Clock) {
		b.budget(billing.Budget{Scope: billing.ScopeOrg, ScopeID: "org_1", Limit: usd("10"), Hard: true})
		b.budget(billing.Budget{Scope: billing.ScopeTeam, ScopeID: "team_1", Limit: usd("4"), Hard: true})
		r, err := b.ReserveUpTo(t.Context(), path, usd("1"), usd("3"))
		require.NoError(t, err)
		require.Equal(t, "3", r.Amount.String())
		s, err := b.ReserveUpTo(t.Context(), path, usd("1"), usd("3"))
		require.NoError(t, err)
		require.Equal(t, "1", s.Amount.String(), "as much as the team has left")
		_, err = b.ReserveUpTo(t.Context(), path, usd("0.5"), usd("3"))
		require.ErrorIs(t, err, billing.ErrExceeded)
		_, err = b.ReserveUpTo(t.Context(), path, usd("0"), usd("3"))
		require.ErrorIs(t, err, billing.ErrExceeded)
		require.NoError(t, r.Settle(t.Context(), usd("3")))
		require.NoError(t, s.Settle(t.Context(), usd("2.5"))) // an answer that was longer than it was told to be
		states := b.states()
		require.Equal(t, "1.5", states[billing.ScopeTeam].Over.String())
		require.Equal(t, "5.5", states[billing.ScopeOrg].Spent.String())
	})
}

func TestSeveralWindowsHoldAtOnce(t *testing.T) {
	each(t, func(t *testing.T, b books, clock *storetest.Clock) {
		clock.Set(at(t, "2024-01-10T12:00:00Z"))
		org := billing.Budget{Scope: billing.ScopeOrg, ScopeID: "org_1", Hard: true}
		for name, of := range map[string]struct{ window, limit string }{"hour": {"1h", "2"}, "day": {"calendar_day", "5"}, "month": {"calendar_month", "8"}, "ever": {"lifetime", "9"}} {
			org.Name, org.Window, org.Limit = name, of.window, usd(of.limit)
			b.budget(org)
		}
		spend := func(want string) {
			t.Helper()
			b.spend(want)
			require.NoError(t, b.Flush(t.Context()))
		}
		spend("2")
		require.Equal(t, at(t, "2024-01-10T13:00:00Z"), b.refuses("0.01").ResetAt)
		clock.Advance(time.Hour)
		spend("2")
		clock.Advance(time.Hour)
		spend("1")
		require.Equal(t, at(t, "2024-01-11T05:00:00Z"), b.refuses("0.01").ResetAt, "midnight in New York")
		clock.Advance(24 * time.Hour)
		spend("2")
		clock.Advance(24 * time.Hour)
		spend("1")
		require.Equal(t, at(t, "2024-02-01T05:00:00Z"), b.refuses("0.01").ResetAt)
		clock.Advance(40 * 24 * time.Hour)
		spend("1")
		require.True(t, b.refuses("0.01").ResetAt.IsZero(), "and then never")
	})
}
