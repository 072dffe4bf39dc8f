package audit_test

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/orgkit/orgkit/audit"
	"github.com/orgkit/orgkit/store"
	"github.com/orgkit/orgkit/store/storetest"
)

// thing is a record with a secret.
type thing struct {
	ID     string `json:"id"`
	Slug   string `json:"slug"`
	Name   string `json:"name"`
	Secret string `json:"-"`
}

func (t thing) AuditResource() audit.Resource {
	return audit.Resource{Type: "team", ID: t.ID, Slug: t.Slug}
}

func as(t *testing.T, a audit.Actor) context.Context { return audit.WithActor(t.Context(), a) }

var alice = audit.Actor{Type: audit.User, ID: "usr_1", Label: "Alice@acme.com", IP: netip.MustParseAddr("10.0.0.1"), RequestID: "req_1"}

// logs returns a log of the store in which nothing happens in the background.
func logs(s *store.Store) *audit.Log { return audit.New(s, &audit.Options{NoBackground: true}) }

func write(t *testing.T, s *store.Store, ctx context.Context, org string, c audit.Change) audit.Event {
	t.Helper()
	var e audit.Event
	require.NoError(t, s.Update(ctx, func(ctx context.Context, tx *store.Tx) (err error) {
		e, err = logs(s).Append(ctx, tx, org, "teams.update", c)
		return err
	}))
	return e
}

func types(t *testing.T, s *store.Store, org string, f audit.Filter) (out []string) {
	t.Helper()
	page, err := logs(s).List(t.Context(), org, f)
	require.NoError(t, err)
	for _, e := range page.Items {
		out = append(out, e.Type)
	}
	return out
}

func TestEventKeepsWhatChangedAndNoSecret(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store, clock *storetest.Clock) {
		before := thing{"team_1", "data_science", "Old", "canary-1"}
		after := thing{"team_1", "data_science", "New", "canary-2"}
		e := write(t, s, as(t, alice), "org_1", audit.Updated(before, &after).In("team_1").Because("renamed"))
		require.Equal(t, "team.updated", e.Type)
		require.Equal(t, "team", e.Category)
		require.JSONEq(t, `{"name": "Old"}`, string(e.Before))
		require.JSONEq(t, `{"name": "New"}`, string(e.After))
		require.Equal(t, "renamed", e.Reason)
		require.Equal(t, "10.0.0.1", e.IP)
		require.Equal(t, "data_science", e.ResourceSlug)
		require.True(t, clock.Now().Equal(e.Time))
		require.NotContains(t, fmt.Sprintf("%+v", e), "canary")
	})
}

func TestEventOfANewRecordIsWrittenAfterItGotItsID(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store, _ *storetest.Clock) {
		fresh := &thing{Name: "x"}
		change := audit.Created(fresh)
		fresh.ID = "team_9"
		e := write(t, s, as(t, alice), "org_1", change)
		require.Equal(t, "team_9", e.ResourceID)
		require.Equal(t, "team.created", e.Type)
	})
}

func TestListFilters(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store, clock *storetest.Clock) {
		start := clock.Now()
		bob := audit.Actor{Type: audit.APIKey, ID: "key_1", Label: "bot"}
		for i, e := range []struct {
			by  audit.Actor
			typ string
		}{{alice, "api_key.created"}, {alice, "member.role_changed"}, {bob, "role.updated"}, {bob, "token.revoked"}, {audit.System("sweep"), "audit.read"}} {
			clock.Set(start.Add(time.Duration(i) * time.Second))
			write(t, s, as(t, e.by), "org_1", audit.Change{Type: e.typ, Resource: audit.Resource{Type: "team", ID: fmt.Sprint("team_", i), Slug: "data_science"}})
		}
		clock.Advance(time.Second)
		write(t, s, as(t, alice), "org_2", audit.Change{Type: "api_key.created"})
		write(t, s, as(t, alice), "org_1", audit.Change{Type: "api_key.denied", Outcome: audit.Denied})

		for _, c := range []struct {
			f    audit.Filter
			want []string
		}{
			{audit.Filter{}, []string{"api_key.denied", "audit.read", "token.revoked", "role.updated", "member.role_changed", "api_key.created"}},
			{audit.Filter{Ascending: true, Limit: 2}, []string{"api_key.created", "member.role_changed"}},
			{audit.Filter{Types: []string{"api_key.*"}}, []string{"api_key.denied", "token.revoked", "api_key.created"}}, // by noun or family
			{audit.Filter{Types: []string{"settings.*", "member.role_changed"}}, []string{"role.updated", "member.role_changed"}},
			{audit.Filter{Types: []string{"data_access.*"}}, []string{"audit.read"}},
			{audit.Filter{Actors: []string{"user:alice@ACME.com"}}, []string{"api_key.denied", "member.role_changed", "api_key.created"}},
			{audit.Filter{Actors: []string{"api_key:key_1", "system:sweep"}}, []string{"audit.read", "token.revoked", "role.updated"}},
			{audit.Filter{Resources: []string{"team:team_2"}}, []string{"role.updated"}},
			{audit.Filter{Resources: []string{"team:data-science"}, Types: []string{"role.*"}}, []string{"role.updated"}}, // F318
			{audit.Filter{Outcome: audit.Denied}, []string{"api_key.denied"}},
			{audit.Filter{Start: start.Add(time.Second), End: start.Add(2 * time.Second)}, []string{"role.updated", "member.role_changed"}}, // both inclusive
		} {
			require.Equal(t, c.want, types(t, s, "org_1", c.f), "%+v", c.f)
		}
	})
}

func TestPagesOfAFilteredListMissNothing(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store, clock *storetest.Clock) {
		for i := range 30 {
			clock.Advance(time.Second)
			write(t, s, as(t, alice), "org_1", audit.Change{Type: []string{"team.created", "team.updated", "role.created"}[i%3]})
		}
		f := audit.Filter{Types: []string{"team.updated"}, Limit: 3}
		var sizes []int
		for {
			page, err := logs(s).List(t.Context(), "org_1", f)
			require.NoError(t, err)
			sizes = append(sizes, len(page.Items))
			if f.After = page.Next; f.After == "" {
				break
			}
		}
		require.Equal(t, []int{3, 3, 3, 1}, sizes)
	})
}

func TestFaultyFiltersAreRefused(t *testing.T) {
	now := time.Now()
	for field, f := range map[string]audit.Filter{
		"end_time":       {Start: now, End: now.Add(-time.Second)},
		"event_types[1]": {Types: []string{"a.b", "A.b"}},
		"actors[0]":      {Actors: []string{"alice"}},
		"resources[0]":   {Resources: []string{":x"}},
		"outcome":        {Outcome: "good"},
		"limit":          {Limit: 201},
		"actors":         {Actors: slices.Repeat([]string{"user:x"}, 101)},
		"event_types":    {Types: slices.Repeat([]string{"a.b"}, 101)},
	} {
		var e *store.FieldError
		require.ErrorAs(t, f.Validate(), &e)
		require.Equal(t, field, e.Field)
	}
}

func TestChangeWithoutAnActorPanics(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store, _ *storetest.Clock) {
		require.Panics(t, func() {
			s.Update(t.Context(), func(ctx context.Context, tx *store.Tx) error {
				_, err := logs(s).Append(ctx, tx, "org_1", "x.y", audit.Change{Type: "x.y"})
				return err
			})
		})
	})
}
