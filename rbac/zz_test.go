package rbac_test

import (
	"context"
	"fmt"
	"net/netip"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/orgkit/orgkit/audit"
	"github.com/orgkit/orgkit/rbac"
	"github.com/orgkit/orgkit/store"
	"github.com/orgkit/orgkit/store/memory"
)

func world(b testing.TB, orgs, users int) (*rbac.Guard, func(o int) string, func(o, u int) (subject, team string)) {
	s := memory.New(nil)
	g, err := rbac.NewGuard(s, nil)
	require.NoError(b, err)
	ctx := audit.WithActor(context.Background(), audit.PlatformAdmin())
	var orgIDs []string
	teams := map[int][]string{}
	for o := range orgs {
		id := fmt.Sprintf("org_01hzzzzzzzzzzzzzzzzzzz%04d", o)
		orgIDs = append(orgIDs, id)
		require.NoError(b, s.Update(ctx, func(ctx context.Context, tx *store.Tx) error {
			scope := rbac.Scope{Meta: store.Meta{ID: id}, Zone: "UTC", State: rbac.Active}
			if err := rbac.Scopes.Insert(ctx, tx, &scope); err != nil {
				return err
			}
			_, _, err := rbac.SeedRoles(ctx, tx, id)
			return err
		}))
		var roles []rbac.Role
		for _, t := range rbac.Templates() {
			r, err := g.CreateRole(ctx, id, rbac.NewRole{Name: t.Name, Slug: t.Slug, Permissions: t.Permissions})
			require.NoError(b, err)
			roles = append(roles, r)
		}
		for t := range 4 {
			team := fmt.Sprintf("team_01hzzzzzzzzz%04d%d", o, t)
			teams[o] = append(teams[o], team)
			require.NoError(b, g.Change(ctx, rbac.Op{Action: "teams.create", OrgID: id}, func(ctx context.Context, tx *store.Tx) (audit.Change, error) {
				r := rbac.Restriction{Meta: store.Meta{ID: team}, OrgID: id, State: rbac.Active}
				return audit.Change{}, rbac.Restrictions.Insert(ctx, tx, &r)
			}))
		}
		_, _, err := g.CreatePolicy(ctx, id, "", rbac.NewPolicy{Name: "p", Statements: []rbac.Statement{
			{Effect: rbac.EffectAllow, Actions: []string{"models:use"}, Resources: []string{"model:claude-3-*"}, Conditions: rbac.Conditions{IPAddress: &rbac.IPCondition{Type: rbac.IPInRange, Value: rbac.IPRanges{Ranges: []string{"10.0.0.0/8"}}}}},
			{Effect: rbac.EffectDeny, Actions: []string{"models:use"}, Resources: []string{"model:*"}, Conditions: rbac.Conditions{AnomalyScore: &rbac.ScoreCondition{Type: rbac.GreaterThan, Value: 0.8}}},
			{Effect: rbac.EffectAllow, Actions: []string{"models:use"}, Resources: []string{"model:gpt-4o-mini"}},
		}})
		require.NoError(b, err)
		require.NoError(b, g.Change(ctx, rbac.Op{Action: "members.add", OrgID: id}, func(ctx context.Context, tx *store.Tx) (audit.Change, error) {
			for u := range users {
				a := rbac.Assignment{OrgID: id, Subject: fmt.Sprintf("usr_01hzzzzzzzzzzzz%04d%06d", o, u), TeamID: teams[o][u%4], Kind: rbac.Member, State: rbac.Active, RoleID: roles[u%len(roles)].ID}
				if err := rbac.Assignments.Insert(ctx, tx, &a); err != nil {
					return audit.Change{}, err
				}
			}
			return audit.Change{}, nil
		}))
	}
	return g, func(o int) string { return orgIDs[o] }, func(o, u int) (string, string) {
		return fmt.Sprintf("usr_01hzzzzzzzzzzzz%04d%06d", o, u), teams[o][u%4]
	}
}

func BenchmarkHandle(b *testing.B) {
	g, org, user := world(b, 1, 100)
	var ps []*rbac.Principal
	for u := range 100 {
		s, t := user(0, u)
		p, err := g.Principal(b.Context(), org(0), t, s)
		require.NoError(b, err)
		ps = append(ps, p)
	}
	actions := []rbac.Action{g.Action("teams.read"), g.Action("billing.read"), g.Action("members.remove"), g.Action("invoices.read")}
	call := rbac.Call{Resource: "team:x", At: time.Now(), IP: netip.MustParseAddr("10.1.2.3")}
	for name, a := range map[string][]rbac.Action{"plain": actions} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for i := range b.N {
				if _, err := ps[i%100].Allows(b.Context(), a[i&3], &call); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
	use := g.Action("models.use")
	for _, m := range []string{"model:claude-3-opus", "model:gpt-4o-mini", "model:other"} {
		call.Resource = m
		b.Run(m, func(b *testing.B) {
			b.ReportAllocs()
			for i := range b.N {
				if _, err := ps[i%100].Allows(b.Context(), use, &call); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
	b.Run("strings", func(b *testing.B) {
		b.ReportAllocs()
		var rs []rbac.Request
		var ss []string
		for u := range 100 {
			s, t := user(0, u)
			ss = append(ss, s)
			rs = append(rs, rbac.Request{OrgID: org(0), TeamID: t, Action: "teams.read", Call: call})
		}
		b.ResetTimer()
		for i := range b.N {
			if _, err := g.Allows(b.Context(), ss[i%100], &rs[i%100]); err != nil {
				b.Fatal(err)
			}
		}
	})
}
