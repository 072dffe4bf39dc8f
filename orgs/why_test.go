package orgs_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/orgkit/orgkit/audit"
	"github.com/orgkit/orgkit/orgs"
	"github.com/orgkit/orgkit/orgs/orgstest"
	"github.com/orgkit/orgkit/rbac"
	"github.com/orgkit/orgkit/store"
	"github.com/orgkit/orgkit/store/storetest"
)

// A decision names the statement, role, override, member or setting that it comes from.
func TestADecisionNamesWhatItComesFrom(t *testing.T) {
	each(t, func(t *testing.T, w *orgstest.World, clock *storetest.Clock) {
		org, _ := w.Org("acme")
		w.Roles(org)
		team := w.Team(org, "crew", orgs.TeamSettings{Models: &orgs.ModelSettings{Blocked: []string{"o3"}}})
		at := orgs.Place{OrgID: org.ID, TeamID: team.ID}
		dev, less, away := w.Join(team, "dev@acme.example", "developer"), w.Join(team, "less@acme.example", "developer"), w.Join(team, "away@acme.example", "developer")
		_, err := w.UpdateMember(w.Platform(), at, less.ID, orgs.MemberUpdate{Permissions: &orgs.Grants{Add: []string{"reports.read"}, Remove: []string{"models.use"}}})
		require.NoError(t, err)
		require.NoError(t, w.Change(w.Platform(), rbac.Op{Action: "members.update", OrgID: org.ID}, func(ctx context.Context, tx *store.Tx) (audit.Change, error) {
			held, err := rbac.Held(ctx, tx, org.ID, away.ID)
			for _, a := range held {
				if a.State = rbac.Suspended; a.TeamID != "" {
					require.NoError(t, rbac.Assignments.Update(ctx, tx, &a))
				}
			}
			return audit.Change{Type: "member.role_changed", Resource: audit.Resource{Type: "user", ID: away.ID}}, err
		}))
		over, _, err := w.SetOverride(w.Platform(), org.ID, team.ID, "developer", []string{"billing.read"}, []string{"models.read"})
		require.NoError(t, err)
		policy, _, err := w.CreatePolicy(w.Platform(), org.ID, team.ID, office("model:gpt-*", "10.0.0.0/8"))
		require.NoError(t, err)
		role, err := w.Role(w.Platform(), org.ID, "developer")
		require.NoError(t, err)
		for name, c := range map[string]struct {
			who              orgs.User
			action, resource string
			allowed          bool
			kind, id, text   string
		}{
			"a role":                     {dev, "models.use", "model:claude-3", true, "role", role.ID, "allowed by role (developer)"},
			"an override that adds":      {dev, "billing.read", "team:" + team.ID, true, "override", over.ID, "allowed by override (of developer)"},
			"an override that takes":     {dev, "models.read", "model:claude-3", false, "override", over.ID, "taken from role developer by its override here"},
			"a policy":                   {dev, "models.use", "model:gpt-4o", false, "policy", policy.ID + "/statements[0]", "allowed under conditions only, by policy (office)"},
			"a setting":                  {dev, "models.use", "model:o3", false, "settings", team.ID + "/models.blocked", "denied by settings (team settings, models.blocked)"},
			"what was added to a member": {less, "reports.read", "team:" + team.ID, true, "member", role.ID + "/member", "allowed by member (member grants)"},
			"what was taken from one":    {less, "models.use", "model:claude-3", false, "member", "", "taken from the member"},
			"a membership that rests":    {away, "models.use", "model:claude-3", false, "member", "", "the membership is suspended, which would give models.use"},
			"nothing":                    {dev, "policies.read", "team:" + team.ID, false, "none", "", "no role, grant or policy gives policies.read"},
			"no action":                  {dev, "no.such", "team:" + team.ID, false, "unknown_action", "", "no such action is registered"},
		} {
			r := rbac.Request{OrgID: org.ID, TeamID: team.ID, Action: c.action, Call: rbac.Call{Resource: c.resource, At: clock.Now()}}
			d, err := w.Decide(t.Context(), c.who.ID, &r)
			require.NoError(t, err, name)
			require.Equal(t, c.allowed, d.Allowed, name)
			require.Equal(t, []rbac.Reason{{Kind: c.kind, ID: c.id, Text: c.text}}, d.Reasons, name)
			require.NoError(t, w.View(t.Context(), func(ctx context.Context, tx *store.Tx) error {
				unit, err := w.Check(ctx, tx, c.who.ID, r)
				require.NotEqual(t, d.ID, unit.ID)
				unit.ID = d.ID
				require.Equal(t, d, unit, name)
				return err
			}))
		}
	})
}
