package billing_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/orgkit/orgkit/billing"
	"github.com/orgkit/orgkit/store"
	"github.com/orgkit/orgkit/store/storetest"
)

func TestAnOverrideHoldsForItsPeriods(t *testing.T) { // billing edge 42
	each(t, func(t *testing.T, b books, clock *storetest.Clock) {
		clock.Set(at(t, "2024-01-31T12:00:00Z"))
		org := billing.Budget{Scope: billing.ScopeOrg, ScopeID: "org_1", Limit: usd("10"), Hard: true}
		b.budget(org)
		b.spend("10")
		org.LimitOverride = &billing.LimitOverride{Limit: usd("30"), Periods: 3}
		b.budget(org)
		require.True(t, org.LimitOverride.EndsAt.IsZero(), "what was given is left as it was")
		b.spend("20")
		b.refuses("0.01")
		is := b.states()[billing.ScopeOrg]
		require.Equal(t, at(t, "2024-04-01T04:00:00Z"), is.Budget.LimitOverride.EndsAt, "January, February and March in New York, which has daylight time by then")
		require.Equal(t, "30", is.Limit.String())

		clock.Set(at(t, "2024-02-10T12:00:00Z"))
		require.Equal(t, "30", b.refuses("30.01").Limit.String())
		clock.Set(at(t, "2024-04-01T03:59:59Z"))
		b.spend("30")
		clock.Set(at(t, "2024-04-01T04:00:00Z"))
		require.Equal(t, "10", b.states()[billing.ScopeOrg].Limit.String())
		require.Equal(t, "10", b.refuses("10.01").Limit.String())
		b.spend("10")

		org.LimitOverride = &billing.LimitOverride{Limit: usd("2"), Periods: 1} // it may be less, and what is spent stays spent
		b.budget(org)
		is = b.states()[billing.ScopeOrg]
		require.Equal(t, "8", is.Over.String())
		b.refuses("0.01")
		org.LimitOverride = nil
		b.budget(org)
		is = b.states()[billing.ScopeOrg]
		require.Equal(t, "0", is.Over.String())
		require.Equal(t, "10", is.Limit.String())
	})
}

// TestWhatAnOverrideLeavesRollsOver: also of periods in which nobody has called.
func TestWhatAnOverrideLeavesRollsOver(t *testing.T) { // billing edges 5, 9, 42
	for _, calls := range []bool{false, true} {
		each(t, func(t *testing.T, b books, clock *storetest.Clock) {
			clock.Set(at(t, "2024-01-10T12:00:00Z"))
			b.budget(billing.Budget{Scope: billing.ScopeOrg, ScopeID: "org_1", Limit: usd("10"), Hard: true, Rollover: true,
				LimitOverride: &billing.LimitOverride{Limit: usd("100"), Periods: 2}})
			b.spend("1")
			for _, month := range []time.Month{time.February, time.March} {
				clock.Set(time.Date(2024, month, 10, 12, 0, 0, 0, time.UTC))
				if calls {
					b.spend("0.5")
				}
			}
			clock.Set(at(t, "2024-04-10T12:00:00Z"))
			want := "219" // 99, 100, 10 and 10
			if calls {
				want = "218"
			}
			require.Equal(t, want, b.states()[billing.ScopeOrg].Limit.String())
			b.refuses(want + ".01")
			b.spend(want)
		})
	}
}

func TestAnOverrideIsNamedWhereItIsWrong(t *testing.T) {
	for field, o := range map[string]billing.LimitOverride{"limit_override.periods": {Limit: usd("1")}, "limit_override.limit": {Limit: usd("-1"), Periods: 1}} {
		b := billing.Budget{OrgID: "org_1", Scope: billing.ScopeOrg, ScopeID: "org_1", Limit: usd("1"), Window: "1h", Zone: "UTC", LimitOverride: &o}
		var wrong *store.FieldError
		require.ErrorAs(t, b.Validate(), &wrong)
		require.Equal(t, field, wrong.Field)
		o = billing.LimitOverride{Limit: usd("1"), Periods: billing.MaxLimitOverride + 1}
		require.ErrorIs(t, b.Validate(), store.ErrInvalid)
		o.Periods = 1
		require.NoError(t, b.Validate())
		b.Window = billing.Lifetime
		require.ErrorIs(t, b.Validate(), store.ErrInvalid)
	}
}
