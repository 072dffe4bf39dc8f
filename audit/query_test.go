package audit_test

import (
	"cmp"
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/orgkit/orgkit/audit"
	"github.com/orgkit/orgkit/store"
	"github.com/orgkit/orgkit/store/storetest"
)

func pick[T any](list ...T) T { return list[rand.N(len(list))] }

// TestListIsANaiveFilter holds pages against all events, looked at one by one: random events with times that agree and a
// clock that goes back, random filters, organizations and sizes of pages.
func TestListIsANaiveFilter(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store, clock *storetest.Clock) {
		l := logs(s)
		orgs := []string{"org_1", "org_2", "org_3", "org_4", "org_5"}
		typs := []string{"team.created", "team.updated", "role.created", "api_key.denied", "token.revoked", "user.created", "audit.read", "rare.thing"}
		for range 60 {
			if rand.N(3) > 0 {
				clock.Advance(time.Duration(rand.N(5)) * time.Microsecond)
			} else if rand.N(10) == 0 {
				clock.Set(clock.Now().Add(-time.Duration(rand.N(300)) * time.Microsecond))
			}
			ctx := as(t, alice)
			require.NoError(t, s.Update(ctx, func(ctx context.Context, tx *store.Tx) error {
				for range 1 + rand.N(12) {
					id := rand.N(6)
					a := audit.Actor{Type: pick(audit.User, audit.APIKey), ID: fmt.Sprint("usr_", id), Label: pick(fmt.Sprintf("Mail%d@x.com", rand.N(4)), "", fmt.Sprint("usr_", id))}
					typ := typs[min(rand.N(len(typs)), rand.N(len(typs)))]
					_, err := l.Append(audit.WithActor(ctx, a), tx, pick(orgs...), "x", audit.Change{Type: typ, Outcome: pick[audit.Outcome]("", audit.Denied, audit.Failure, ""),
						Resource: audit.Resource{Type: pick("team", "role"), ID: fmt.Sprint("r_", rand.N(8)), Slug: pick("", "data_science", "data-science", "other")}})
					if err != nil {
						return err
					}
				}
				return nil
			}))
		}
		require.NoError(t, l.Flush(t.Context()))
		var all []audit.Event
		require.NoError(t, s.View(t.Context(), func(ctx context.Context, tx *store.Tx) error {
			all = nil
			for _, o := range orgs {
				for e, err := range l.Entries(ctx, tx, o, 0) {
					if err != nil {
						return err
					}
					all = append(all, e.Event)
				}
			}
			return nil
		}))
		slices.SortFunc(all, func(a, b audit.Event) int { return cmp.Or(a.Time.Compare(b.Time), strings.Compare(a.OrgID, b.OrgID)) })
		knownAs := map[string]bool{}
		for _, e := range all {
			if e.ActorLabel != e.ActorID && e.ActorLabel != "" {
				knownAs["a"+e.OrgID+"|"+strings.ToLower(e.ActorLabel)+"|"+e.ActorID] = true
			}
			if e.ResourceSlug != "" {
				knownAs["r"+e.OrgID+"|"+store.SlugKey(e.ResourceSlug)+"|"+e.ResourceID] = true
			}
		}
		some := func(max int, f func() string) (out []string) {
			for range rand.N(max + 1) {
				out = append(out, f())
			}
			return out
		}
		naive := func(e audit.Event, in []string, f audit.Filter) bool {
			if !slices.Contains(in, e.OrgID) || f.Outcome != "" && f.Outcome != e.Outcome || !f.Start.IsZero() && e.Time.Before(f.Start) || !f.End.IsZero() && e.Time.After(f.End) {
				return false
			}
			if len(f.Types) > 0 && !slices.ContainsFunc(f.Types, func(g string) bool { return audit.MatchType(g, e.Type) }) {
				return false
			}
			if len(f.Actors) > 0 && !slices.ContainsFunc(f.Actors, func(v string) bool {
				typ, val, _ := strings.Cut(v, ":")
				return typ == string(e.ActorType) && (val == e.ActorID || knownAs["a"+e.OrgID+"|"+strings.ToLower(val)+"|"+e.ActorID])
			}) {
				return false
			}
			return len(f.Resources) == 0 || slices.ContainsFunc(f.Resources, func(v string) bool {
				typ, val, _ := strings.Cut(v, ":")
				return typ == e.ResourceType && (val == e.ResourceID || knownAs["r"+e.OrgID+"|"+store.SlugKey(val)+"|"+e.ResourceID])
			})
		}
		rounds := 400 / fewer
		if strings.HasSuffix(t.Name(), "memory") {
			rounds = 3000 / fewer
		}
		defer audit.ManyRanges(audit.ManyRanges(0))
		defer audit.MaxPairs(audit.MaxPairs(0))
		for range rounds {
			audit.ManyRanges(rand.N(40)) // so that both ways are gone
			audit.MaxPairs(rand.N(80))   // likewise
			in := some(5, func() string { return pick(append(orgs, "org_none")...) })
			if len(in) == 0 {
				in = []string{"org_1"}
			}
			f := audit.Filter{Ascending: rand.N(2) == 0, Limit: 1 + rand.N(40)}
			if rand.N(2) == 0 {
				f.Types = some(3, func() string {
					return pick("team.*", "role.*", "settings.*", "api_key.*", "none.x", "rare.thing", "team.created", "*")
				})
			}
			if rand.N(2) == 0 {
				f.Actors = some(3, func() string {
					return pick("user:", "api_key:", "system:") + pick(fmt.Sprint("usr_", rand.N(7)), fmt.Sprintf("mAIL%d@x.com", rand.N(5)))
				})
			}
			if rand.N(2) == 0 {
				f.Resources = some(3, func() string {
					return pick("team:", "role:") + pick(fmt.Sprint("r_", rand.N(9)), "data-science", "Other", "nope")
				})
			}
			if rand.N(3) == 0 {
				f.Outcome = pick(audit.Success, audit.Denied, audit.Failure)
			}
			if rand.N(3) == 0 {
				f.Start = all[rand.N(len(all))].Time.Add(time.Duration(rand.N(3)-1) * 300 * time.Nanosecond)
			}
			if rand.N(3) == 0 {
				f.End = all[rand.N(len(all))].Time.Add(time.Duration(rand.N(3)-1) * 300 * time.Nanosecond)
			}
			if f.Validate() != nil {
				continue
			}
			var want, got []string
			for _, e := range all {
				if naive(e, in, f) {
					want = append(want, e.ID)
				}
			}
			if !f.Ascending {
				slices.Reverse(want)
			}
			for {
				page, err := l.ListOf(t.Context(), in, f)
				require.NoError(t, err)
				require.LessOrEqual(t, len(page.Items), f.Limit)
				for _, e := range page.Items {
					got = append(got, e.ID)
				}
				if f.After = page.Next; f.After == "" {
					break
				}
			}
			f.After = ""
			require.Equal(t, want, got, "%v %+v", in, f)
		}
	})
}
