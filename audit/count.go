package audit

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/orgkit/orgkit/store"
)

// CountQuery asks how many events there were, by hours of UTC.
type CountQuery struct {
	// Start and End are widened to whole hours: Start to the beginning of its hour, End to the end of its own. A zero
	// End is now, a zero Start 24 hours before, of days 30 days.
	Start, End time.Time
	Types      []string // as those of [Filter]; none is all
	By         string   // ByHour, ByDay (of UTC) or "" for all of the time in one
}

// The values of CountQuery.By.
const (
	ByHour = "hour"
	ByDay  = "day"
)

// What may be asked for at once.
const (
	MaxHours = 62 * 24
	MaxDays  = 10 * 366
)

// Counts are the numbers of events from a time to another, both at whole hours.
type Counts struct {
	From, Below time.Time // Below itself is outside
	Items       []Count   // by time, then by type and outcome; what never occurred is left out
}

// Count is how many events of a type had an outcome.
type Count struct {
	Start   time.Time // of the hour or day; of a day that is cut by the bounds From
	Type    string
	Outcome Outcome
	Events  int64
}

// bounds checks the query and returns its hours.
func (q CountQuery) bounds(now time.Time) (from, below time.Time, err error) {
	most := MaxDays * 24 * time.Hour
	back := 24 * time.Hour
	switch q.By {
	case ByHour:
		most = MaxHours * time.Hour
	case ByDay:
		back = 30 * 24 * time.Hour
	case "":
	default:
		return from, below, store.Invalid("group", "enum", "must be hour or day")
	}
	if q.End.IsZero() {
		q.End = now
	}
	if q.Start.IsZero() {
		q.Start = q.End.Add(-back)
	}
	if err := (Filter{Start: q.Start, End: q.End, Types: q.Types}).Validate(); err != nil {
		return from, below, err
	}
	from, below = q.Start.UTC().Truncate(time.Hour), q.End.UTC().Truncate(time.Hour).Add(time.Hour)
	if below.Sub(from) > most+2*time.Hour {
		return from, below, store.Invalid("start_time", "range", "lies more than %d days before end_time", int(most.Hours()/24))
	}
	return from, below, nil
}

// Counts returns how many events organizations have had together, from the counters of each hour that are kept with the
// events: so it is as fast whatever their number, and exact. Of events that were pruned since the counters stay.
func (l *Log) Counts(ctx context.Context, orgIDs []string, q CountQuery) (c Counts, err error) {
	if c.From, c.Below, err = q.bounds(l.store.Now()); err != nil {
		return c, err
	}
	if err := l.catchUp(ctx); err != nil {
		return c, err
	}
	type key struct {
		start   int64
		typ     string
		outcome Outcome
	}
	sums := map[key]int64{}
	err = l.store.View(ctx, func(ctx context.Context, tx *store.Tx) error {
		clear(sums)
		for _, orgID := range slices.Compact(slices.Sorted(slices.Values(orgIDs))) {
			for t, err := range counts.All(ctx, tx, store.Range{Equal: []any{orgID}, From: c.From, Below: c.Below}) {
				if err != nil {
					return err
				}
				if len(q.Types) > 0 && !slices.ContainsFunc(q.Types, func(glob string) bool { return MatchType(glob, t.Type) }) {
					continue
				}
				sums[key{q.start(c.From, t.Hour).Unix(), t.Type, Outcome(t.Outcome)}] += t.Events
			}
		}
		return nil
	})
	c.Items = make([]Count, 0, len(sums))
	for k, n := range sums {
		c.Items = append(c.Items, Count{time.Unix(k.start, 0).UTC(), k.typ, k.outcome, n})
	}
	slices.SortFunc(c.Items, func(a, b Count) int {
		if c := a.Start.Compare(b.Start); c != 0 {
			return c
		}
		return strings.Compare(a.Type+" "+string(a.Outcome), b.Type+" "+string(b.Outcome))
	})
	return c, err
}

// start is that of what an hour is counted with. Days of UTC begin at multiples of 24 hours from the zero time.
func (q CountQuery) start(from, hour time.Time) time.Time {
	switch q.By {
	case ByHour:
		return hour
	case ByDay:
		return latest(from, hour.Truncate(24*time.Hour))
	}
	return from
}
