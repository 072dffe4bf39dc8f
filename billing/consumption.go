package billing

import (
	"context"
	"time"

	"github.com/shopspring/decimal"

	"github.com/orgkit/orgkit/store"
)

// Consumption is what an organization and those below it have used in a time: what belongs to the organization itself and
// the sums of the others add up to the whole.
type Consumption struct {
	Span
	Totals
	ActiveUsers int64           // each counted once, in however many of the organizations they were
	Stored      decimal.Decimal // GB: the last that was told of each resource within the time, 0 where nothing was
	Direct      Totals          // of the organization itself
}

// Consumption returns what organizations have used together, the first of which is the one that is asked about. It asks no
// permission: it serves the floors above, who flush before.
func (m *Metering) Consumption(ctx context.Context, tx *store.Tx, orgIDs []string, s Span) (c Consumption, err error) {
	c.Span = s
	var all usageSums
	active := map[string]userSet{}
	for i, orgID := range orgIDs {
		got, err := m.covering(tx, orgID, s).read(ctx, wanted{dim: ByOrg, users: true})
		if err != nil {
			return c, err
		}
		sum := got[0].sum("")
		if i == 0 {
			c.Direct = sum.totals()
		}
		all.add(sum)
		if users := got[0].userSet(""); users.count() > 0 {
			active[orgID] = users
		}
		gigabytes, err := stored(ctx, tx, orgID, UnitGigabyte, s.From, s.Below)
		if err != nil {
			return c, err
		}
		c.Stored = c.Stored.Add(gigabytes)
	}
	c.Totals = all.totals()
	c.ActiveUsers, err = together(ctx, tx, active)
	return c, err
}

// together counts the users of several organizations, whose numbers say nothing to each other.
func together(ctx context.Context, tx *store.Tx, active map[string]userSet) (int64, error) {
	if len(active) <= 1 {
		for _, users := range active {
			return users.count(), nil
		}
		return 0, nil
	}
	names := map[string]bool{}
	for orgID, users := range active {
		for n, err := range usageNames.All(ctx, tx, store.Range{Equal: []any{orgID, userNames}}) {
			if err != nil {
				return 0, err
			}
			if users.has(n.N) {
				names[n.Name] = true
			}
		}
	}
	return int64(len(names)), nil
}

func (u userSet) has(n int64) bool {
	c := u[n/chunkUsers]
	return c != nil && c[n%chunkUsers/64]&(1<<(n%64)) != 0
}

// MonthOf returns the month of a zone that is written as 2024-01, "" for that of now. One that is none, or lies in the future,
// is a *store.FieldError on month.
func MonthOf(text string, zone *time.Location, now time.Time) (s Span, err error) {
	local := now.In(zone)
	y, mo := local.Year(), local.Month()
	if text != "" {
		at, err := time.Parse("2006-01", text)
		if err != nil || at.Year() < 1 || at.Year() > 9998 {
			return s, store.Invalid("month", "pattern", "must be a month such as 2024-01")
		}
		if at.Year() > y || at.Year() == y && at.Month() > mo {
			return s, store.Invalid("month", "range", "lies in the future")
		}
		y, mo = at.Year(), at.Month()
	}
	return Span{first(zone, y, mo, 1, 0, 0, 0, 0), first(zone, y, mo+1, 1, 0, 0, 0, 0)}, nil
}

// UsageTag is a tag that events of an organization have had.
type UsageTag struct {
	Name, Value string
	At          time.Time // of the event that had it first, in the order in which they were told
}

// Tags lists the tags of the events of an organization by name and value, as far as each has sums of its own; see
// [MaxTagValues]. It asks no permission: it serves the floors above.
func (m *Metering) Tags(ctx context.Context, tx *store.Tx, orgID string, limit int, after string) (page store.Page[UsageTag], err error) {
	rows, err := usageNames.List(ctx, tx, store.Range{Equal: []any{orgID, tagNames}, Limit: limit}, after, nil)
	if err != nil {
		return page, err
	}
	page.Next = rows.Next
	for _, r := range rows.Items {
		name, value := splitTag(r.Name)
		page.Items = append(page.Items, UsageTag{name, value, r.At})
	}
	return page, nil
}
