package audit_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/orgkit/orgkit/audit"
	"github.com/orgkit/orgkit/store"
	"github.com/orgkit/orgkit/store/storetest"
)

// TestCountsAreThoseOfTheList holds the counters against the events, counted one by one: random events over some days,
// random bounds, types and organizations.
func TestCountsAreThoseOfTheList(t *testing.T) { // F304
	storetest.Each(t, func(t *testing.T, s *store.Store, clock *storetest.Clock) {
		l, begin := logs(s), clock.Now()
		orgs := []string{"org_1", "org_2", "org_3"}
		typs := []string{"team.created", "team.updated", "role.created", "api_key.denied", "audit.read"}
		for range 40 {
			clock.Advance(time.Duration(rand.N(5*3600)) * time.Second)
			require.NoError(t, s.Update(as(t, alice), func(ctx context.Context, tx *store.Tx) error {
				for range 1 + rand.N(8) {
					if _, err := l.Append(ctx, tx, pick(orgs...), "x", audit.Change{Type: pick(typs...), Outcome: pick[audit.Outcome]("", audit.Denied), Resource: audit.Resource{Type: "x", ID: "1"}}); err != nil {
						return err
					}
				}
				return nil
			}))
		}
		length := clock.Now().Sub(begin)
		for range 60 {
			in := orgs[:1+rand.N(3)]
			start := begin.Add(time.Duration(rand.Int64N(int64(length))))
			q := audit.CountQuery{Start: start, End: start.Add(time.Duration(rand.Int64N(int64(length)))), By: pick("", audit.ByHour, audit.ByDay)}
			if rand.N(2) == 0 {
				q.Types = []string{pick("team.*", "data_access.*", "role.created", "api_key.*"), "role.*"}
			}
			c, err := l.Counts(t.Context(), in, q)
			require.NoError(t, err)
			require.True(t, c.From.Equal(q.Start.Truncate(time.Hour)), "widened to whole hours")
			require.True(t, c.Below.After(q.End) && c.Below.Sub(q.End) <= time.Hour)

			want := map[string]int64{}
			for f := (audit.Filter{Start: c.From, End: c.Below.Add(-time.Microsecond), Types: q.Types, Limit: audit.MaxPage}); ; {
				page, err := l.ListOf(t.Context(), in, f)
				require.NoError(t, err)
				for _, e := range page.Items {
					at := e.Time.Truncate(time.Hour)
					switch day := e.Time.Truncate(24 * time.Hour); {
					case q.By == "", q.By == audit.ByDay && day.Before(c.From):
						at = c.From
					case q.By == audit.ByDay:
						at = day
					}
					want[fmt.Sprint(at.UTC(), e.Type, e.Outcome)]++
				}
				if f.After = page.Next; f.After == "" {
					break
				}
			}
			got := map[string]int64{}
			for _, n := range c.Items {
				got[fmt.Sprint(n.Start, n.Type, n.Outcome)] = n.Events
			}
			require.Equal(t, want, got)
			require.Len(t, c.Items, len(got))
			require.True(t, slices.IsSortedFunc(c.Items, func(a, b audit.Count) int { return a.Start.Compare(b.Start) }))
		}
	})
}

func TestFaultyCountsAreRefused(t *testing.T) {
	l := logs(storetest.Open(t, "memory", store.Options{}))
	now := time.Date(2024, 3, 5, 0, 0, 0, 0, time.UTC)
	for field, q := range map[string]audit.CountQuery{
		"group":          {By: "minute"},
		"end_time":       {Start: now, End: now.Add(-time.Second)},
		"event_types[0]": {Types: []string{"x;y"}},
		"start_time":     {Start: now.AddDate(0, -3, 0), End: now, By: audit.ByHour},
	} {
		_, err := l.Counts(t.Context(), []string{"org_1"}, q)
		var f *store.FieldError
		require.ErrorAs(t, err, &f)
		require.Equal(t, field, f.Field)
	}
}
