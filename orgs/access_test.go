package orgs_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/orgkit/orgkit/orgs"
	"github.com/orgkit/orgkit/orgs/orgstest"
	"github.com/orgkit/orgkit/rbac"
	"github.com/orgkit/orgkit/store/storetest"
)

// Who can, and what can be done, is what the decisions say one by one.
func TestWhoCanIsWhomTheDecisionsAllow(t *testing.T) {
	each(t, func(t *testing.T, w *orgstest.World, _ *storetest.Clock) {
		above, chief := w.Org("above")
		org, err := w.CreateOrganization(w.As(chief), orgs.NewOrganization{Name: "Acme", Parent: above.ID})
		require.NoError(t, err)
		w.Roles(org)
		team := w.Team(org, "crew", orgs.TeamSettings{Models: &orgs.ModelSettings{Blocked: []string{"dall-e-*"}, RequireApproval: []string{"o3"}}})
		bob := w.Join(team, "bob@acme.example", "developer")
		w.Join(team, "eve@acme.example", "viewer")
		w.Key(team, bob)
		_, secret, err := w.CreateAPIKey(w.Platform(), orgs.NewAPIKey{Name: "granted", Organization: org.ID, Team: team.ID, User: &bob.ID, Permissions: []string{"models.*", "billing.read"}})
		require.NoError(t, err)
		require.NotEmpty(t, secret)
		vocabulary, err := rbac.NewVocabulary()
		require.NoError(t, err)
		for _, at := range []string{"", team.ID} {
			for _, resource := range []string{"model:gpt-4o", "model:o3", "model:dall-e-3", "team:" + team.ID} {
				can := map[string]map[string]rbac.Verdict{}
				for _, action := range vocabulary.Actions() {
					h, err := w.WhoCan(w.As(chief), rbac.AccessQuery{OrgID: org.ID, TeamID: at, Action: action, Resource: resource})
					require.NoError(t, err)
					verdicts := map[string]rbac.Verdict{}
					for _, s := range h.Always {
						verdicts[s] = rbac.VerdictAllow
					}
					for _, s := range h.Conditional {
						verdicts[s] = rbac.VerdictConditional
					}
					require.Len(t, verdicts, len(h.Always)+len(h.Conditional), "nobody is named twice")
					require.Equal(t, 5, len(verdicts)+h.Never, "chief, bob, eve and two keys")
					can[action] = verdicts
				}
				subjects := map[string]bool{chief.ID: true, bob.ID: true}
				for _, verdicts := range can {
					for s := range verdicts {
						subjects[s] = true
					}
				}
				for s := range subjects {
					list, err := w.WhatCan(w.As(chief), s, rbac.AccessQuery{OrgID: org.ID, TeamID: at, Resource: resource})
					require.NoError(t, err)
					what := map[string]rbac.Verdict{}
					for _, p := range list {
						what[p.Action] = p.Verdict
					}
					for _, action := range vocabulary.Actions() {
						require.Equal(t, can[action][s], what[action], action)
						d, err := w.Decide(t.Context(), s, &rbac.Request{OrgID: org.ID, TeamID: at, Action: action, Call: rbac.Call{Resource: resource}})
						require.NoError(t, err)
						switch can[action][s] {
						case rbac.VerdictAllow:
							require.True(t, d.Allowed, "%s %s on %s", s, action, resource)
						case "":
							require.Equal(t, rbac.VerdictDeny, d.Verdict, "%s %s on %s", s, action, resource)
						default:
							require.True(t, d.Verdict == rbac.VerdictConditional || d.NotOwn || d.Allowed, "%s %s on %s: %+v", s, action, resource, d)
						}
					}
				}
			}
		}
		own, err := w.WhatCan(w.As(bob), bob.ID, rbac.AccessQuery{OrgID: org.ID, TeamID: team.ID, Resource: "model:o3"})
		require.NoError(t, err, "everybody may ask about themselves")
		require.Contains(t, own, rbac.Permitted{Action: "models.use", Verdict: rbac.VerdictConditional})
	})
}
