package billing

import (
	"context"
	"errors"
	"maps"
	"slices"
	"time"

	"github.com/shopspring/decimal"

	"github.com/orgkit/orgkit/rbac"
	"github.com/orgkit/orgkit/store"
)

// watched is an organization whose usage has changed, and the quarters of hours in which it has: every period begins with
// one, whatever the zone.
type watched struct {
	orgID    string
	quarters map[time.Time]bool
}

// watchedBy are the organizations of those events that are new.
func watchedBy(events []UsageEvent, fresh []bool) (list []watched) {
	at := map[string]int{}
	var last watched
	var quarter time.Time
	for i := range events {
		e := &events[i]
		if !fresh[i] {
			continue
		}
		q := e.Time.UTC().Truncate(15 * time.Minute)
		if e.OrgID == last.orgID && q.Equal(quarter) { // as most are
			continue
		}
		n, known := at[e.OrgID]
		if !known {
			n = len(list)
			at[e.OrgID], list = n, append(list, watched{e.OrgID, map[time.Time]bool{}})
		}
		last, quarter = list[n], q
		last.quarters[q] = true
	}
	return list
}

// watch fires the alerts of settings that the usage of organizations calls for, in the unit that has kept it. What was late
// is looked at in its own time (billing edge 57). What an organization spends is what analytics say, those below not
// included.
func (m *Metering) watch(ctx context.Context, tx *store.Tx, list []watched) error {
	for some := range slices.Chunk(list, store.MaxLimit) {
		by, ids := map[string]watched{}, make([]string, len(some))
		for i, w := range some {
			by[w.orgID], ids[i] = w, w.orgID
		}
		page, err := SettingsRecords.List(ctx, tx, store.Query{Where: []store.Cond{store.In("id", ids)}, Limit: store.MaxLimit})
		if err != nil {
			return err
		}
		for _, s := range page.Items {
			if err := m.watchOne(ctx, tx, &s, by[s.OrgID]); err != nil {
				return err
			}
		}
	}
	return nil
}

func (m *Metering) watchOne(ctx context.Context, tx *store.Tx, s *Settings, w watched) error {
	if !slices.ContainsFunc(s.Alerts, func(a Alert) bool { return a.Type == ThresholdAlert || a.Type == AnomalyAlert }) {
		return nil
	}
	scope, err := rbac.Scopes.Get(ctx, tx, s.OrgID)
	if errors.Is(err, store.ErrNotFound) {
		return nil
	} else if err != nil {
		return err
	}
	zone, err := time.LoadLocation(scope.Zone)
	if err != nil {
		return err
	}
	if err := m.watchThresholds(ctx, tx, s, w, zone); err != nil {
		return err
	}
	return m.watchHours(ctx, tx, s, w, zone)
}

// watchThresholds fires alerts of spending that has reached their amount in a period (F217 to F219).
func (m *Metering) watchThresholds(ctx context.Context, tx *store.Tx, s *Settings, w watched, zone *time.Location) error {
	var list []*FiredAlert
	for _, a := range s.Alerts {
		if a.Type != ThresholdAlert {
			continue
		}
		window, err := ParseWindow(alertPeriods[a.Period])
		if err != nil {
			return err
		}
		var start, end time.Time
		for _, at := range slices.SortedFunc(maps.Keys(w.quarters), time.Time.Compare) { // mostly in one period
			if at.Before(end) {
				continue
			}
			start, end = window.Period(zone, time.Time{}, at)
			f := &FiredAlert{OrgID: s.OrgID, AlertID: a.ID, Kind: a.Type, Scope: ScopeOrg, ScopeID: s.OrgID, Threshold: *a.Amount, Reference: *a.Amount, PeriodStart: start, PeriodEnd: end}
			f.named()
			list = append(list, f)
		}
	}
	list, err := m.unfired(ctx, tx, list)
	if err != nil {
		return err
	}
	var due []*FiredAlert
	for _, f := range list {
		got, err := m.covering(tx, s.OrgID, Span{f.PeriodStart, f.PeriodEnd}).read(ctx, wanted{dim: ByOrg})
		if err != nil {
			return err
		}
		if f.Spent = got[0].sum("").cost(); f.Spent.GreaterThanOrEqual(f.Threshold) {
			due = append(due, f)
		}
	}
	slices.SortStableFunc(due, func(x, y *FiredAlert) int { return x.Threshold.Cmp(y.Threshold) })
	_, err = m.opt.Alerts.fire(ctx, tx, due)
	return err
}

// unfired are those that nobody has fired.
func (m *Metering) unfired(ctx context.Context, tx *store.Tx, list []*FiredAlert) ([]*FiredAlert, error) {
	ids := make([]string, len(list))
	for i, f := range list {
		ids[i] = f.ID
	}
	if len(ids) == 0 {
		return nil, nil
	}
	fired := map[string]bool{}
	for some := range slices.Chunk(ids, store.MaxLimit) {
		page, err := FiredAlerts.List(ctx, tx, store.Query{Where: []store.Cond{store.In("id", some)}, Limit: store.MaxLimit})
		if err != nil {
			return nil, err
		}
		for _, f := range page.Items {
			fired[f.ID] = true
		}
	}
	return slices.DeleteFunc(list, func(f *FiredAlert) bool { return fired[f.ID] }), nil
}

// anomalyAge is how old an hour may be of which is told that it is an anomaly: what was long ago is history.
const anomalyAge = 24 * time.Hour

// watchHours fires alerts of hours that are anomalies.
func (m *Metering) watchHours(ctx context.Context, tx *store.Tx, s *Settings, w watched, zone *time.Location) error {
	wants := slices.Clone(s.Alerts)
	if wants = slices.DeleteFunc(wants, func(a Alert) bool { return a.Type != AnomalyAlert }); len(wants) == 0 {
		return nil
	}
	changed := map[time.Time]bool{}
	for q := range w.quarters {
		if hour := q.Truncate(time.Hour); tx.Now().Sub(hour) < anomalyAge {
			changed[hour] = true
		}
	}
	for _, hour := range slices.SortedFunc(maps.Keys(changed), time.Time.Compare) {
		spent, err := hourly(ctx, tx, s.OrgID, hour, hour.Add(time.Hour))
		if err != nil {
			return err
		}
		x := spent[hour]
		if !slices.ContainsFunc(wants, func(a Alert) bool { return x.GreaterThanOrEqual(sensitivities[a.Sensitivity].least) }) {
			continue // as it is most of the time
		}
		usual, enough, err := baseline(ctx, tx, s.OrgID, hour, zone)
		if err != nil {
			return err
		}
		if !enough {
			continue
		}
		for _, a := range wants {
			if !usual.Anomalous(x, a.Sensitivity) {
				continue
			}
			if err := m.anomaly(ctx, tx, s.OrgID, a, &FiredAlert{OrgID: s.OrgID, AlertID: a.ID, Kind: a.Type, Scope: ScopeOrg, ScopeID: s.OrgID,
				Spent: x, Reference: usual.Median, PeriodStart: hour, PeriodEnd: hour.Add(time.Hour)}); err != nil {
				return err
			}
		}
	}
	return nil
}

// anomaly fires one unless the alert has had another one shortly before or after. Whoever would fire two of them waits here.
func (m *Metering) anomaly(ctx context.Context, tx *store.Tx, orgID string, a Alert, f *FiredAlert) error {
	if _, err := SettingsRecords.Lock(ctx, tx, orgID); err != nil {
		return err
	}
	page, err := FiredAlerts.List(ctx, tx, store.Query{Where: []store.Cond{store.Eq("alert_id", a.ID),
		store.From("period_start", f.PeriodStart.Add(time.Hour-AnomalyCooldown)), store.Below("period_start", f.PeriodStart.Add(AnomalyCooldown))}, Limit: 1})
	if err != nil || len(page.Items) > 0 {
		return err
	}
	_, err = m.opt.Alerts.fire(ctx, tx, []*FiredAlert{f})
	return err
}

// baseline is what is usual in an hour.
func baseline(ctx context.Context, tx *store.Tx, orgID string, hour time.Time, zone *time.Location) (b Baseline, enough bool, err error) {
	spent, err := hourly(ctx, tx, orgID, hour.Add(-AnomalyMemory), hour)
	if err != nil {
		return b, false, err
	}
	since := hour
	for h, x := range spent {
		if x.IsPositive() && h.Before(since) {
			since = h
		}
	}
	var samples []decimal.Decimal
	for _, h := range comparedWith(hour, since, zone) {
		samples = append(samples, spent[h])
	}
	b, enough = NewBaseline(samples)
	return b, enough, nil
}

// hourly is what an organization has spent in each hour that has anything.
func hourly(ctx context.Context, tx *store.Tx, orgID string, from, below time.Time) (map[time.Time]decimal.Decimal, error) {
	spent := map[time.Time]decimal.Decimal{}
	rows, err := rollups.Scan(ctx, tx, store.Range{Equal: []any{orgID, ByOrg.of(hours)}, From: from, Below: below, Limit: store.MaxAppend})
	for i := range rows {
		s := rows[i].sums()
		spent[rows[i].Start.UTC()] = s.cost()
	}
	return spent, err
}

// WatchAlerts looks whether the usage of organizations calls for alerts that nobody has fired, such as when somebody has set an
// alert in the moment in which it was reached. It asks no permission: it serves the floors above.
func (m *Metering) WatchAlerts(ctx context.Context, tx *store.Tx, orgIDs ...string) error {
	if m.opt.Alerts == nil {
		return nil
	}
	list := make([]watched, len(orgIDs))
	for i, id := range orgIDs {
		list[i] = watched{id, map[time.Time]bool{tx.Now().UTC().Truncate(15 * time.Minute): true}}
	}
	return m.watch(ctx, tx, list)
}

// AlertOn fires for what has been reached before the settings of an organization were set (billing edge 50). It runs in the
// unit that has set them.
func (l *Ledger) AlertOn(ctx context.Context, tx *store.Tx, m *Metering, orgID string) error {
	if err := l.alertAll(ctx, tx, orgID); err != nil {
		return err
	}
	return m.WatchAlerts(ctx, tx, orgID)
}
