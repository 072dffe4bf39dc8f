package billing_test

import (
	"encoding/csv"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/orgkit/orgkit/billing"
	"github.com/orgkit/orgkit/rbac"
	"github.com/orgkit/orgkit/store"
	"github.com/orgkit/orgkit/store/storetest"
)

// zone gives org_1 another one.
func (a alerting) zone(name string) {
	a.t.Helper()
	require.NoError(a.t, a.store.Update(a.t.Context(), func(ctx ctx, tx *store.Tx) error {
		scope, err := rbac.Scopes.Get(ctx, tx, "org_1")
		if err != nil {
			return err
		}
		scope.Zone = name
		return rbac.Scopes.Update(ctx, tx, &scope)
	}))
}

// used has a call of org_1 kept.
func (a alerting) used(m *billing.Metering, id string, at time.Time, cost string) {
	a.t.Helper()
	e := callAt(id, at)
	e.Cost = usd(cost)
	done, err := m.Ingest(a.t.Context(), []billing.UsageEvent{e})
	require.NoError(a.t, err)
	require.Equal(a.t, 1, done.Accepted)
}

func TestAnomaliesAreThoseOfTheDataSet(t *testing.T) { // F220 and F221; billing edge 52
	file, err := os.Open("testdata/anomaly.csv")
	require.NoError(t, err)
	defer file.Close()
	r := csv.NewReader(file)
	r.Comment = '#'
	rows, err := r.ReadAll()
	require.NoError(t, err)
	var want []string
	for _, row := range rows {
		for _, s := range strings.Fields(row[2]) {
			want = append(want, row[0]+" "+s)
		}
	}
	require.Greater(t, len(want), 20)
	eachAlerting(t, func(t *testing.T, a alerting, clock *storetest.Clock) {
		a.zone("Europe/Berlin")
		a.alerts(billing.Alert{ID: "low", Type: billing.AnomalyAlert, Sensitivity: billing.LowSensitivity},
			billing.Alert{ID: "medium", Type: billing.AnomalyAlert, Sensitivity: billing.MediumSensitivity},
			billing.Alert{ID: "high", Type: billing.AnomalyAlert, Sensitivity: billing.HighSensitivity})
		m := metering(t, a.store, &billing.MeteringOptions{Alerts: a.Ledger})
		for i, row := range rows {
			hour := at(t, row[0])
			clock.Set(hour.Add(40 * time.Minute))
			half := usd(row[1]).Div(decimal.NewFromInt(2))
			e, f := callAt(fmt.Sprint("a", i), hour.Add(10*time.Minute)), callAt(fmt.Sprint("b", i), hour.Add(30*time.Minute))
			e.Cost, f.Cost = half, usd(row[1]).Sub(half)
			_, err := m.Ingest(t.Context(), []billing.UsageEvent{e, f})
			require.NoError(t, err)
		}
		var got []string
		for _, f := range *a.fired {
			got = append(got, f.PeriodStart.Format(time.RFC3339)+" "+f.AlertID)
			require.Equal(t, []any{billing.AnomalyAlert, f.PeriodStart.Add(time.Hour)}, []any{f.Kind, f.PeriodEnd})
			require.True(t, f.Spent.GreaterThan(f.Reference))
		}
		require.Equal(t, want, got)
	})
}

func TestAnAnomalyIsFarFromUsual(t *testing.T) { // billing edge 52
	_, enough := billing.NewBaseline(make([]decimal.Decimal, billing.AnomalySamples-1))
	require.False(t, enough)
	rapid.Check(t, func(t *rapid.T) {
		var hours []decimal.Decimal
		for _, cents := range rapid.SliceOfN(rapid.Int64Range(0, 10_000), billing.AnomalySamples, 30).Draw(t, "hours") {
			hours = append(hours, decimal.New(cents, -2))
		}
		b, enough := billing.NewBaseline(hours)
		require.True(t, enough)
		slices.Reverse(hours)
		again, _ := billing.NewBaseline(hours)
		require.Equal(t, []string{b.Median.String(), b.Deviation.String()}, []string{again.Median.String(), again.Deviation.String()}, "in any order")
		x := decimal.New(rapid.Int64Range(0, 100_000).Draw(t, "x"), -2)
		low, medium, high := b.Anomalous(x, billing.LowSensitivity), b.Anomalous(x, billing.MediumSensitivity), b.Anomalous(x, billing.HighSensitivity)
		require.True(t, (!low || medium) && (!medium || high), "who is more sensitive sees what who is less does")
		require.True(t, !high || x.GreaterThanOrEqual(b.Median.Add(decimal.NewFromInt(5))))
		require.True(t, !high || b.Anomalous(x.Add(decimal.New(1, -2)), billing.HighSensitivity), "more is no less of one")
	})
}

func TestAnAlertFiresWhenTheOrganizationHasSpentSoMuch(t *testing.T) { // F217 to F219; billing edges 45, 48, 50 and 57
	eachAlerting(t, func(t *testing.T, a alerting, clock *storetest.Clock) {
		m := metering(t, a.store, &billing.MeteringOptions{Alerts: a.Ledger})
		alert := func(id, cost, period string) billing.Alert {
			return billing.Alert{ID: id, Type: billing.ThresholdAlert, Amount: amount(cost), Period: period}
		}
		a.alerts(alert("d", "10", "daily"), alert("w", "25", "weekly"), alert("m", "30", "monthly"), alert("q", "35", "quarterly"), alert("y", "40", "yearly"))
		now := at(t, "2024-02-01T04:59:00Z") // Wednesday, January 31 in New York
		told := func() (list []string) {
			for _, f := range *a.fired {
				list = append(list, f.AlertID+" "+f.PeriodStart.Format(time.DateOnly)+" "+f.Spent.String())
			}
			*a.fired = nil
			return list
		}
		clock.Set(now)
		a.used(m, "1", now, "9.99")
		require.Empty(t, told())
		a.used(m, "2", now, "0.01")
		require.Equal(t, []string{"d 2024-01-31 10"}, told())
		a.used(m, "3", now, "1")
		require.Empty(t, told(), "once in a period")

		now = now.Add(time.Minute) // February
		clock.Set(now)
		a.used(m, "4", now, "12")
		require.Equal(t, []string{"d 2024-02-01 12"}, told())
		a.used(m, "5", now, "2")
		require.Equal(t, []string{"w 2024-01-29 25"}, told())
		a.used(m, "6", now.Add(-time.Hour), "19") // late, and of January
		require.Equal(t, []string{"m 2024-01-01 30", "q 2024-01-01 44", "y 2024-01-01 44"}, told(), "in its own time, and all that it crosses by their amounts")

		back := callAt("7", now)
		back.Corrects, back.Cost, back.InputTokens, back.CachedTokens, back.OutputTokens = "4", usd("-12"), 0, 0, 0
		_, err := m.Ingest(t.Context(), []billing.UsageEvent{back})
		require.NoError(t, err)
		a.used(m, "8", now, "12")
		require.Empty(t, told(), "a refund and another crossing")

		a.alerts(alert("late", "5", "daily"), alert("more", "1000", "daily"))
		for range 2 {
			require.NoError(t, a.store.Update(t.Context(), func(ctx ctx, tx *store.Tx) error { return a.AlertOn(ctx, tx, m, "org_1") }))
		}
		require.Equal(t, []string{"late 2024-02-01 14"}, told(), "what was reached before is told at once")
		var batch []billing.UsageEvent
		for i, day := range []string{"2024-01-20", "2024-01-21", "2024-01-22"} {
			e := callAt(fmt.Sprint("batch", i), at(t, day+"T12:00:00Z"))
			e.Cost = usd("5")
			batch = append(batch, e)
		}
		_, err = m.Ingest(t.Context(), batch)
		require.NoError(t, err)
		require.Equal(t, []string{"late 2024-01-20 5", "late 2024-01-21 5", "late 2024-01-22 5"}, told(), "each of its periods")
		off := metering(t, a.store, nil)
		a.used(off, "9", now, "990")
		require.Empty(t, told(), "nobody watches")
		require.NoError(t, a.store.Update(t.Context(), func(ctx ctx, tx *store.Tx) error { return m.WatchAlerts(ctx, tx, "org_1", "org_2") }))
		require.Equal(t, []string{"more 2024-02-01 1004"}, told())
	})
}

func TestTwoProcessesFireOneAnomaly(t *testing.T) { // billing edges 45 and 52
	eachAlerting(t, func(t *testing.T, a alerting, clock *storetest.Clock) {
		a.alerts(billing.Alert{ID: "alrt_1", Type: billing.AnomalyAlert, Sensitivity: billing.HighSensitivity})
		hour := at(t, "2024-03-04T15:00:00Z")
		plain := metering(t, a.store, nil)
		for day := range 28 {
			clock.Set(hour.Add(time.Duration(day) * 24 * time.Hour))
			a.used(plain, fmt.Sprint("day", day), clock.Now(), "1")
		}
		clock.Set(hour.Add(28*24*time.Hour + time.Minute))
		var wg sync.WaitGroup
		for i := range 8 {
			m := metering(t, a.store, &billing.MeteringOptions{Alerts: billing.NewLedger(a.store, a.guard, nil)})
			wg.Go(func() {
				e := callAt(fmt.Sprint("racer", i), clock.Now().Add(-time.Duration(i%2)*time.Hour))
				e.Cost = usd("50")
				_, err := m.Ingest(t.Context(), []billing.UsageEvent{e})
				require.NoError(t, err)
			})
		}
		wg.Wait()
		var n int
		require.NoError(t, a.store.View(t.Context(), func(ctx ctx, tx *store.Tx) (err error) {
			n, err = billing.FiredAlerts.Count(ctx, tx, store.Eq("alert_id", "alrt_1"))
			return err
		}))
		require.Equal(t, 1, n, "of two hours beside each other")
	})
}

func TestEveryHourOfABatchIsLookedAt(t *testing.T) { // billing edge 52
	eachAlerting(t, func(t *testing.T, a alerting, clock *storetest.Clock) {
		a.alerts(billing.Alert{ID: "alrt_1", Type: billing.AnomalyAlert, Sensitivity: billing.HighSensitivity})
		noon := at(t, "2024-03-04T17:00:00Z")
		m := metering(t, a.store, &billing.MeteringOptions{Alerts: a.Ledger})
		batch := func(day int, costs ...string) {
			t.Helper()
			var list []billing.UsageEvent
			for i, cost := range costs {
				e := callAt(fmt.Sprint(day, "-", i), noon.Add(time.Duration(day*24+i)*time.Hour))
				e.Cost = usd(cost)
				list = append(list, e)
			}
			clock.Set(noon.Add(time.Duration(day)*24*time.Hour + 3*time.Hour))
			_, err := m.Ingest(t.Context(), list)
			require.NoError(t, err)
		}
		for day := range 28 {
			batch(day, "1", "1", "1")
		}
		batch(28, "1", "50", "1")
		require.Len(t, *a.fired, 1)
		require.Equal(t, noon.Add(28*24*time.Hour+time.Hour), (*a.fired)[0].PeriodStart)
		late := callAt("late", noon.Add(24*24*time.Hour))
		late.Cost = usd("500")
		_, err := m.Ingest(t.Context(), []billing.UsageEvent{late})
		require.NoError(t, err)
		require.Len(t, *a.fired, 1, "four days ago is history")
	})
}
