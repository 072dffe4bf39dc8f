package billing_test

import (
	"testing"
	"time"

	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/require"

	"github.com/orgkit/orgkit/billing"
	"github.com/orgkit/orgkit/store"
	"github.com/orgkit/orgkit/store/storetest"
)

func TestChildrenAndDirectAreTheWhole(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store, clock *storetest.Clock) {
		m := metering(t, s, nil)
		zone, err := time.LoadLocation("America/New_York")
		require.NoError(t, err)
		month, err := billing.MonthOf("", zone, clock.Now())
		require.NoError(t, err)
		call := func(id, org, user string, at time.Time) billing.UsageEvent {
			e := callAt(id, at)
			e.OrgID, e.UserID = org, user
			return e
		}
		told := func(id, org, resource, gb string, at time.Time) billing.UsageEvent {
			return billing.UsageEvent{Source: "host", ID: id, OrgID: org, Time: at, Unit: billing.UnitGigabyte, Resource: resource, Quantity: decimal.RequireFromString(gb)}
		}
		_, err = m.Ingest(t.Context(), []billing.UsageEvent{
			call("evt_1", "org_1", "usr_1", month.From), call("evt_2", "org_1", "usr_2", clock.Now()), call("evt_3", "org_2", "usr_1", clock.Now()), call("evt_4", "org_2", "", clock.Now()),
			call("evt_5", "org_1", "usr_3", month.From.Add(-time.Microsecond)), call("evt_6", "org_3", "usr_9", clock.Now()),
			told("gb_1", "org_1", "a", "7.5", clock.Now().Add(-2*time.Hour)), told("gb_2", "org_1", "a", "2.25", clock.Now().Add(-time.Hour)), told("gb_3", "org_1", "a b", "1", clock.Now()),
			told("gb_4", "org_2", "a", "10", clock.Now()), told("gb_5", "org_2", "old", "99", month.From.Add(-time.Hour)),
		})
		require.NoError(t, err)
		var c billing.Consumption
		require.NoError(t, s.View(t.Context(), func(ctx ctx, tx *store.Tx) error {
			c, err = m.Consumption(ctx, tx, []string{"org_1", "org_2"}, month)
			return err
		}))
		require.Equal(t, []any{int64(4), int64(4800), "0.1", int64(2), "13.25"}, []any{c.Requests, c.Tokens, c.Cost.String(), c.ActiveUsers, c.Stored.String()}, "a user of both counts once")
		require.Equal(t, []any{int64(2), int64(2400), "0.05"}, []any{c.Direct.Requests, c.Direct.Tokens, c.Direct.Cost.String()})

		february, err := billing.MonthOf("2024-02", zone, clock.Now())
		require.NoError(t, err)
		require.Equal(t, month.From, february.Below)
		for _, bad := range []string{"2024-04", "2024-13", "24-01", "2024-1"} {
			_, err := billing.MonthOf(bad, zone, clock.Now())
			require.ErrorIs(t, err, store.ErrInvalid, bad)
		}
		var tags store.Page[billing.UsageTag]
		require.NoError(t, s.View(t.Context(), func(ctx ctx, tx *store.Tx) error {
			tags, err = m.Tags(ctx, tx, "org_1", 1, "")
			return err
		}))
		require.Equal(t, []billing.UsageTag{{Name: "environment", Value: "prod", At: month.From}}, tags.Items, "of the event that was told first")
		require.NotEmpty(t, tags.Next)
	})
}

func TestCostCentresAddUpToWhatWasSpent(t *testing.T) { // F227, F232, F318
	storetest.Each(t, func(t *testing.T, s *store.Store, clock *storetest.Clock) {
		m := metering(t, s, nil)
		spend := func(id, team, tag, cost string) billing.UsageEvent {
			e := callAt(id, clock.Now())
			e.TeamID, e.Cost, e.Tags = team, decimal.RequireFromString(cost), map[string]string{"team": tag}
			if tag == "" {
				e.Tags = nil
			}
			return e
		}
		_, err := m.Ingest(t.Context(), []billing.UsageEvent{
			spend("evt_1", "team_e", "engineering", "10.004"), spend("evt_2", "team_m", "marketing", "5.004"), spend("evt_3", "team_d", "data-science", "1.004"),
			spend("evt_4", "team_x", "", "0.004"), spend("evt_5", "", "Data_Science", "2"),
		})
		require.NoError(t, err)
		slugs := map[string]string{"team_e": "engineering", "team_m": "marketing", "team_d": "data-science", "team_x": "extra"}
		centers := map[string]string{"engineering": "CC-001", "marketing": "CC-002", "data_science": "CC-003"}
		allocate := func(strategy string) (list [][3]string) {
			var got []billing.CostCenter
			require.NoError(t, s.View(t.Context(), func(ctx ctx, tx *store.Tx) (err error) {
				got, err = m.Allocate(ctx, tx, "org_1", billing.Period{Name: "today"}.Resolve(time.UTC, clock.Now()), billing.CostAllocation{Strategy: strategy, CostCenters: centers}, slugs)
				return err
			}))
			sum, exact := decimal.Zero, decimal.Zero
			for _, c := range got {
				list = append(list, [3]string{c.Code, c.Cost.String(), c.Amount.String()})
				sum, exact = sum.Add(c.Amount), exact.Add(c.Cost)
			}
			require.Equal(t, []string{"18.016", "18.02"}, []string{exact.String(), sum.String()})
			return list
		}
		require.Equal(t, [][3]string{{"CC-001", "10.004", "10.01"}, {"CC-002", "5.004", "5.01"}, {"CC-003", "3.004", "3"}, {"", "0.004", "0"}}, allocate(billing.TagBased))
		require.Equal(t, [][3]string{{"CC-001", "10.004", "10.01"}, {"CC-002", "5.004", "5.01"}, {"CC-003", "1.004", "1"}, {"", "2.004", "2"}}, allocate(billing.TeamBased))
		require.Equal(t, [][3]string{{"", "18.016", "18.02"}}, allocate(billing.NotAllotted))
		for field, a := range map[string]billing.CostAllocation{"strategy": {Strategy: "guess"}, "cost_centers": {Strategy: billing.TagBased, CostCenters: map[string]string{"a_b": "1", "a-b": "2"}}} {
			var fault *store.FieldError
			require.ErrorAs(t, a.Validate(), &fault)
			require.Equal(t, field, fault.Field)
		}
	})
}

func TestWhatWasSpentAndHasNoEventIsNamed(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store, clock *storetest.Clock) {
		l := newBooks(t, s)
		m := metering(t, s, nil)
		require.NoError(t, s.Update(t.Context(), func(ctx ctx, tx *store.Tx) error {
			return l.Put(ctx, tx, &billing.Budget{OrgID: "org_1", Scope: billing.ScopeOrg, ScopeID: "org_1", Limit: decimal.NewFromInt(10), Window: billing.CalendarMonth, Zone: "UTC", Hard: true})
		}))
		pay := func(amount string) {
			d := decimal.RequireFromString(amount)
			r, err := l.Reserve(t.Context(), billing.Path{OrgID: "org_1"}, &d)
			require.NoError(t, err)
			require.NoError(t, r.Settle(t.Context(), d))
		}
		pay("0.025")
		e := callAt("evt_1", clock.Now())
		require.NoError(t, m.Record(t.Context(), &e))
		reconcile := func() []string {
			require.NoError(t, l.Flush(t.Context()))
			require.NoError(t, m.Flush(t.Context()))
			var list []billing.Reconciliation
			require.NoError(t, s.View(t.Context(), func(ctx ctx, tx *store.Tx) (err error) {
				list, err = m.Unaccounted(ctx, tx, "org_1")
				return err
			}))
			require.Len(t, list, 1)
			return []string{list[0].Spent.String(), list[0].Events.String(), list[0].Unaccounted.String()}
		}
		require.Equal(t, []string{"0.025", "0.025", "0"}, reconcile())
		pay("1.5") // by a process that died before it wrote the event
		require.Equal(t, []string{"1.525", "0.025", "1.5"}, reconcile())
	})
}
