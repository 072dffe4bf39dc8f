package orgs

import (
	"context"
	"slices"
	"time"

	"github.com/shopspring/decimal"

	"github.com/orgkit/orgkit/audit"
	"github.com/orgkit/orgkit/billing"
	"github.com/orgkit/orgkit/rbac"
	"github.com/orgkit/orgkit/store"
)

// CallQuery says which of one's own calls are asked for; what is empty does not matter.
type CallQuery struct {
	From, Below time.Time
	Endpoint    string
	Models      []string
	Key         string // id of the key or token by which they were made
	Limit       int    // of calls; 0 is none
}

// CallDay is what one has used on a day of UTC.
type CallDay struct {
	Start                     time.Time
	Calls                     int64
	InputTokens, OutputTokens int64
	Cost                      decimal.Decimal
}

// Calls returns the calls of the person who asks that were answered, over all of their organizations, newest first. A key sees
// those that its person has made where it belongs.
func (m *Manager) Calls(ctx context.Context, q CallQuery) (list []billing.UsageEvent, err error) {
	err = m.eachCall(ctx, q, func(e billing.UsageEvent) { list = append(list, e) })
	slices.SortStableFunc(list, func(a, b billing.UsageEvent) int { return b.Time.Compare(a.Time) })
	if q.Limit > 0 && len(list) > q.Limit {
		list = list[:q.Limit]
	}
	return list, err
}

// CallDays sums up what [Manager.Calls] lists by days of UTC, the first of them first; those without a call are left out.
func (m *Manager) CallDays(ctx context.Context, q CallQuery) (days []CallDay, err error) {
	q.Limit = 0
	byStart := map[time.Time]*CallDay{}
	err = m.eachCall(ctx, q, func(e billing.UsageEvent) {
		start := e.Time.UTC().Truncate(24 * time.Hour)
		d := byStart[start]
		if d == nil {
			d = &CallDay{Start: start}
			byStart[start] = d
		}
		d.Calls, d.InputTokens, d.OutputTokens, d.Cost = d.Calls+1, d.InputTokens+e.InputTokens, d.OutputTokens+e.OutputTokens, d.Cost.Add(e.Cost)
	})
	for _, d := range byStart {
		days = append(days, *d)
	}
	slices.SortFunc(days, func(a, b CallDay) int { return a.Start.Compare(b.Start) })
	return days, err
}

// eachCall walks the calls organization by organization, of each the newest first, and no more of it than may be asked for.
func (m *Manager) eachCall(ctx context.Context, q CallQuery, fn func(billing.UsageEvent)) error {
	by, ok := audit.ActorFrom(ctx)
	if !ok {
		return rbac.ErrNoActor
	}
	if err := m.metering.Flush(ctx); err != nil {
		return err
	}
	return m.View(ctx, func(ctx context.Context, tx *store.Tx) error {
		ids, err := OrganizationsOf(ctx, tx, by.Person())
		if err != nil || by.Person() == "" {
			return err
		}
		var self APIKey
		if by.Type == audit.APIKey {
			if self, err = apiKeys.Get(ctx, tx, by.ID); err != nil {
				return err
			}
			ids = []string{self.OrgID}
		}
		for _, id := range ids {
			n := 0
			for e, err := range m.metering.Latest(ctx, tx, id, by.Person(), q.From, q.Below) {
				if err != nil {
					return err
				}
				if !q.keeps(e) || self.ID != "" && (e.TeamID != self.TeamID || e.ProjectID != self.ProjectID) {
					continue
				}
				fn(e)
				if n++; n == q.Limit {
					break
				}
			}
		}
		return nil
	})
}

// keeps says whether an event is a call that is asked for.
func (q CallQuery) keeps(e billing.UsageEvent) bool {
	return e.Unit == "" && e.Status >= 200 && e.Status < 300 && e.Corrects == "" && (q.Endpoint == "" || e.Endpoint == q.Endpoint) &&
		(len(q.Models) == 0 || slices.Contains(q.Models, e.Model)) && (q.Key == "" || e.KeyID == q.Key)
}
