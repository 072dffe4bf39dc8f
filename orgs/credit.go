package orgs

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/shopspring/decimal"

	"github.com/orgkit/orgkit/audit"
	"github.com/orgkit/orgkit/billing"
	"github.com/orgkit/orgkit/rbac"
	"github.com/orgkit/orgkit/store"
)

// Credit is what somebody may still spend, where they are.
type Credit struct {
	Left   *decimal.Decimal // of the hard budget on their path that has least, USD; 0 where one is suspended, nil where none is hard
	Detail *CreditDetail    // nil for who may not see what is used there
}

// CreditDetail is what has been used, and what limits it.
type CreditDetail struct {
	Today, Month      billing.Totals // of the calendar of the organization, so far
	RequestsPerMinute *int64         // the lowest on the path, of limits of all models
	TokensPerMinute   *int64
	Daily             *billing.BudgetState // the hard budget of a day that has least left
	NextInvoice       *time.Time           // when the month ends that is invoiced next; nil: nobody has a payment method
}

// whereabouts is where the actor spends: a key where it belongs, everybody else in an organization of theirs, which need not be
// named by who is in only one.
func (m *Manager) whereabouts(ctx context.Context, org string) (p billing.Path, err error) {
	by, is := audit.ActorFrom(ctx)
	if !is {
		return p, rbac.ErrNoActor
	}
	if org != "" {
		if p.OrgID, err = m.OrgID(ctx, org); err != nil {
			return p, err
		}
	}
	err = m.View(ctx, func(ctx context.Context, tx *store.Tx) error {
		if by.Type == audit.APIKey {
			k, err := apiKeys.Get(ctx, tx, by.ID)
			if err == nil && p.OrgID != "" && p.OrgID != k.OrgID {
				return store.ErrNotFound
			}
			p = billing.Path{OrgID: k.OrgID, TeamID: k.TeamID, ProjectID: k.ProjectID, UserID: by.Person(), KeyID: k.ID}
			return err
		}
		if p.UserID = by.Person(); p.OrgID != "" {
			return nil
		}
		var in []string
		if p.UserID != "" {
			if in, err = OrganizationsOf(ctx, tx, p.UserID); err != nil {
				return err
			}
		}
		if len(in) != 1 {
			return store.Invalid("organization_id", "required", "is required of who is not in exactly one organization")
		}
		p.OrgID = in[0]
		return nil
	})
	return p, err
}

// CurrentUsage is what has been used today: in the team of a key, and by everybody else in an organization of theirs, which may be
// left out by who is in only one. The groups are its hours so far, the minutes of the last hour, or the day in one; who sees
// only what is their own has none, and of a project's key it is the organization. It leaves the event analytics.read.
func (m *Manager) CurrentUsage(ctx context.Context, org, by string) (a Analytics, err error) {
	if err := oneOf("granularity", by, billing.ByMinute, billing.ByHour, billing.ByDay); err != nil {
		return a, err
	}
	p, err := m.whereabouts(ctx, org)
	if err != nil {
		return a, err
	}
	if err := m.metering.Flush(ctx); err != nil {
		return a, err
	}
	err = m.seesUsage(ctx, p.OrgID, func(ctx context.Context, tx *store.Tx, see sight) (err error) {
		in := AnalyticsQuery{Period: billing.Period{Name: "today"}}
		if see.own == "" && p.TeamID != "" {
			in.Teams = []string{p.TeamID}
		}
		var q billing.AnalyticsQuery
		if a, q, err = m.analyse(ctx, tx, p.OrgID, in, see); err != nil || see.own != "" {
			return err
		}
		q.GroupBy, q.Metrics = by, []billing.Metric{billing.TotalCost}
		if by != billing.ByDay {
			q.Below = tx.Now().Truncate(time.Minute).Add(time.Minute)
		}
		if hour := q.Below.Add(-time.Hour); by == billing.ByMinute && hour.After(q.From) {
			q.From = hour
		}
		parts, err := m.metering.Analytics(ctx, tx, p.OrgID, q)
		a.Groups = parts.Groups
		return err
	})
	if err != nil {
		return Analytics{}, err
	}
	return a, m.usageWasRead(ctx, p.OrgID, map[string]any{"period": a.Period, "metrics": a.Metrics})
}

// Credit says what the actor may still spend: a key of its path, everybody else of their own in an organization, which may be
// left out by who is in only one. The detail is of the team of the key, or else of the organization, and is for those who may see
// the usage there. It leaves no event: it is a sum beside what it is of.
func (m *Manager) Credit(ctx context.Context, org string) (c Credit, err error) {
	p, err := m.whereabouts(ctx, org)
	if err != nil {
		return c, err
	}
	if err := errors.Join(m.Flush(ctx), m.metering.Flush(ctx)); err != nil {
		return c, err
	}
	err = m.View(ctx, func(ctx context.Context, tx *store.Tx) error {
		states, err := m.States(ctx, tx, p)
		if err != nil {
			return err
		}
		c = Credit{}
		if s := tightest(states, func(billing.Budget) bool { return true }); s != nil {
			left := spendable(s)
			c.Left = &left
		}
		whole, in, err := m.usageTeams(ctx, tx, p.OrgID)
		if err != nil {
			return err
		}
		if !whole && !slices.Contains(in, p.TeamID) {
			return nil
		}
		c.Detail, err = m.creditDetail(ctx, tx, p, states)
		return err
	})
	return c, err
}

func (m *Manager) creditDetail(ctx context.Context, tx *store.Tx, p billing.Path, states []billing.BudgetState) (*CreditDetail, error) {
	d := &CreditDetail{Daily: tightest(states, billing.Budget.OfDays)}
	q := billing.AnalyticsQuery{Metrics: []billing.Metric{billing.TotalCost}}
	if p.TeamID != "" {
		q.Teams = []string{p.TeamID}
	}
	for _, of := range []struct {
		period string
		into   *billing.Totals
	}{{"today", &d.Today}, {"month_to_date", &d.Month}} {
		var err error
		if q.Zone, q.Span, err = spanOf(ctx, tx, p.OrgID, billing.Period{Name: of.period}); err != nil {
			return nil, err
		}
		a, err := m.metering.Analytics(ctx, tx, p.OrgID, q)
		if err != nil {
			return nil, err
		}
		*of.into = a.Totals
	}
	limits, err := m.Limits(ctx, tx, p, false)
	if err != nil {
		return nil, err
	}
	d.RequestsPerMinute, d.TokensPerMinute = limits.Least(billing.RequestsPerMinute), limits.Least(billing.TokensPerMinute)
	chain, err := rbac.Lineage(ctx, tx, p.OrgID)
	if err != nil {
		return nil, err
	}
	for _, o := range chain { // the nearest that pays
		s, err := billing.SettingsOf(ctx, tx, o.ID)
		if err != nil {
			return nil, err
		}
		if s.InvoicedFrom != nil {
			month, err := nextMonth(ctx, tx, s)
			d.NextInvoice = &month.Below
			return d, err
		}
	}
	return d, nil
}

// tightest is the hard budget that has least left, of those that count.
func tightest(states []billing.BudgetState, counts func(billing.Budget) bool) (least *billing.BudgetState) {
	for i := range states {
		s := &states[i]
		if (s.Budget.Hard || s.State == "suspended") && counts(s.Budget) && (least == nil || spendable(s).LessThan(spendable(least))) {
			least = s
		}
	}
	return least
}

// spendable is what a budget lets through.
func spendable(s *billing.BudgetState) decimal.Decimal {
	if s.State == "suspended" {
		return decimal.Zero
	}
	return s.Remaining
}
