package orgs

import (
	"context"
	"slices"
	"time"

	"github.com/shopspring/decimal"

	"github.com/orgkit/orgkit/billing"
	"github.com/orgkit/orgkit/store"
)

// DayOfUsage is what an organization has used on one day of its zone.
type DayOfUsage struct {
	Date string // YYYY-MM-DD
	billing.Totals
	Models []billing.Share // the dearest first
	Keys   []billing.Share // by their ids; none where only some models are asked for
}

// DailyUsage is what an organization has used on each day of a time on which it has used anything, the newest first, for who sees
// all of it or that of their teams; to others it does not exist. It leaves the event analytics.read. Metrics and GroupBy of the
// query do not count.
func (m *Manager) DailyUsage(ctx context.Context, org string, in AnalyticsQuery) (days []DayOfUsage, err error) {
	orgID, err := m.OrgID(ctx, org)
	if err != nil {
		return nil, err
	}
	if err := m.metering.Flush(ctx); err != nil {
		return nil, err
	}
	err = m.seesUsage(ctx, orgID, func(ctx context.Context, tx *store.Tx, see sight) error {
		if days = nil; see.own != "" {
			return store.ErrNotFound
		}
		zone, span, err := spanOf(ctx, tx, orgID, in.Period)
		if err != nil {
			return err
		}
		if span.Below.Sub(span.From) > billing.MaxDays*24*time.Hour+time.Hour {
			return store.Invalid("period", "range", "must be of at most %d days", billing.MaxDays)
		}
		q := billing.AnalyticsQuery{Span: span, Zone: zone, GroupBy: billing.ByDay, Metrics: []billing.Metric{billing.TotalCost}}
		if q.Teams, q.Models, err = see.narrow(ctx, tx, orgID, in); err != nil {
			return err
		}
		all, err := m.metering.Analytics(ctx, tx, orgID, q)
		if err != nil {
			return err
		}
		q.Metrics, q.GroupBy = []billing.Metric{billing.ModelDistribution}, ""
		if q.Models == nil && q.Teams == nil {
			q.GroupBy = "key"
		}
		for _, day := range slices.Backward(all.Groups) {
			if day.Requests == 0 {
				continue
			}
			q.Span = billing.Period{Start: day.Value, End: day.Value}.Resolve(zone, tx.Now())
			of, err := m.metering.Analytics(ctx, tx, orgID, q)
			if err != nil {
				return err
			}
			days = append(days, DayOfUsage{day.Value, day.Totals, of.Models, of.Groups})
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return days, m.usageWasRead(ctx, orgID, map[string]any{"period": in.Period, "by": "day"})
}

// Spending is what an organization has spent (USD) since then, as far as the actor may see it, told apart by team, user, key or
// model; zero is ever. Who sees only what is their own is told it by user and by key, and to them the rest does not exist:
// store.ErrNotFound. It is a sum beside what it is of, and leaves no event.
func (m *Manager) Spending(ctx context.Context, org, by string, since time.Time) (spent map[string]decimal.Decimal, err error) {
	if err := oneOf("by", by, "team", "user", "key", "model"); err != nil {
		return nil, err
	}
	orgID, err := m.OrgID(ctx, org)
	if err != nil {
		return nil, err
	}
	if err := m.metering.Flush(ctx); err != nil {
		return nil, err
	}
	err = m.seesUsage(ctx, orgID, func(ctx context.Context, tx *store.Tx, see sight) error {
		zone, err := zoneOf(ctx, tx, orgID)
		if err != nil {
			return err
		}
		if since.IsZero() {
			since = time.Unix(0, 0).UTC()
		}
		span := billing.Span{From: since, Below: tx.Now().Truncate(time.Hour).Add(time.Hour)} // sums are kept of whole hours
		spent = map[string]decimal.Decimal{}
		if see.own != "" {
			keys, err := m.metering.UserCosts(ctx, tx, orgID, see.own, span)
			switch {
			case err != nil || by == "key":
				spent = keys
				return err
			case by != "user": // what others have used as well
				return store.ErrNotFound
			}
			for _, cost := range keys {
				spent[see.own] = spent[see.own].Add(cost)
			}
			return nil
		}
		a, err := m.metering.Analytics(ctx, tx, orgID, billing.AnalyticsQuery{Span: span, Metrics: []billing.Metric{billing.TotalCost}, Teams: see.teams, GroupBy: by, Zone: zone})
		for _, share := range a.Groups {
			spent[share.Value] = share.Cost
		}
		return err
	})
	return spent, err
}
