package audit_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/orgkit/orgkit/audit"
	"github.com/orgkit/orgkit/store"
	"github.com/orgkit/orgkit/store/storetest"
)

// TestGapsAreWhereEventsAreMissing holds gaps against what happened: random changes of what is logged, events among them,
// and prunes. An event is in the log exactly where no gap says that one like it may be missing.
func TestGapsAreWhereEventsAreMissing(t *testing.T) { // F335
	storetest.Each(t, func(t *testing.T, s *store.Store, clock *storetest.Clock) {
		for round, org := range []string{"org_1", "org_2", "org_3", "org_4", "org_5", "org_6"} {
			l, begin := logs(s), clock.Now()
			made := begin.Add(24 * time.Hour)
			clock.Set(made)
			happened := map[time.Time]string{} // types by their time
			log := func(c audit.Change) {
				require.NoError(t, s.Update(as(t, alice), func(ctx context.Context, tx *store.Tx) error {
					_, err := l.Append(ctx, tx, org, "x", c)
					return err
				}))
			}
			for range 30 {
				clock.Advance(time.Duration(1+rand.N(48)) * time.Hour)
				if rand.N(3) == 0 {
					c := audit.DefaultConfig(org)
					switch rand.N(4) {
					case 0:
						c.Enabled = false
					case 1:
						c.EventsToLog = []string{"team.*", "member.*"}
					case 2:
						c.EventsToLog = []string{"*"}
					}
					log(c.Changed(audit.DefaultConfig(org)))
				} else {
					typ := pick("team.created", "budget.updated")
					happened[clock.Now()] = typ
					log(audit.Change{Type: typ, Resource: audit.Resource{Type: "x", ID: "1"}})
				}
			}
			clock.Advance(time.Hour)
			if round > 0 { // once nothing is pruned
				require.NoError(t, s.Update(as(t, alice), func(ctx context.Context, tx *store.Tx) error {
					c, n, err := l.Prune(ctx, tx, org, audit.Cut{Before: begin.Add(time.Duration(rand.N(60*24)) * time.Hour)})
					if err == nil && n > 0 {
						_, err = l.Append(ctx, tx, org, "audit.prune", c)
					}
					return err
				}))
				_, err := l.Shrink(t.Context(), org)
				require.NoError(t, err)
			}
			kept := map[time.Time]bool{}
			for _, e := range eventsOf(t, l, org, "team.created", "budget.updated") {
				kept[e.Time] = true
			}
			now := clock.Now()
			gaps, err := l.Gaps(t.Context(), org, made, begin, now)
			require.NoError(t, err)
			require.Equal(t, audit.Gap{From: begin, To: made, Reason: audit.GapBeforeCreation}, gaps[0])
			for i, g := range gaps {
				require.True(t, g.From.Before(g.To))
				require.True(t, i == 0 || !g.From.Before(gaps[i-1].To), "none twice")
			}
			for at, typ := range happened {
				missing := slices.ContainsFunc(gaps, func(g audit.Gap) bool {
					return !at.Before(g.From) && at.Before(g.To) && (g.Reason == audit.GapRetention || slices.Contains(g.NotLogged, audit.Category(typ)))
				})
				require.Equal(t, !missing, kept[at], "%s at %s, %v", typ, at, gaps)
			}

			// Of a part they are the part.
			from, to := begin.Add(time.Duration(rand.N(30*24))*time.Hour), now.Add(-time.Duration(rand.N(20*24))*time.Hour)
			if !from.Before(to) {
				continue
			}
			part, err := l.Gaps(t.Context(), org, made, from, to)
			require.NoError(t, err)
			var want []audit.Gap
			for _, g := range gaps {
				if g.From.Before(from) {
					g.From = from
				}
				if g.To.After(to) {
					g.To = to
				}
				if g.From.Before(g.To) {
					want = append(want, g)
				}
			}
			require.Equal(t, want, part)
		}
	})
}

func TestAHoldKeepsEvents(t *testing.T) { // F335
	storetest.Each(t, func(t *testing.T, s *store.Store, clock *storetest.Clock) {
		c := audit.DefaultConfig("org_1")
		kept := func() (from time.Time) {
			require.NoError(t, s.View(t.Context(), func(ctx context.Context, tx *store.Tx) (err error) {
				from, err = audit.KeptFrom(ctx, tx, c)
				return err
			}))
			return from
		}
		days := func(n int) time.Time { return clock.Now().AddDate(0, 0, -n) }
		require.Equal(t, days(365), kept())
		until := clock.Now().Add(time.Hour)
		first := audit.Hold{OrgID: "org_1", From: days(400), Reason: "report rep_1", Until: &until}
		require.NoError(t, s.Update(t.Context(), func(ctx context.Context, tx *store.Tx) error {
			other := audit.Hold{OrgID: "org_2", From: days(900)}
			return errors.Join(audit.Holds.Insert(ctx, tx, &first), audit.Holds.Insert(ctx, tx, &audit.Hold{OrgID: "org_1", From: days(380)}), audit.Holds.Insert(ctx, tx, &other))
		}))
		require.Equal(t, first.From, kept())
		clock.Set(until)
		require.Equal(t, until.Add(-time.Hour).AddDate(0, 0, -380), kept(), "it has ended by itself")
		legal := days(500)
		c.HoldFrom = &legal
		require.Equal(t, legal, kept(), "the earliest of all")
	})
}
