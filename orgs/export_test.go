package orgs_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/casbin/casbin/v2"
	"github.com/stretchr/testify/require"

	"github.com/orgkit/orgkit/orgs"
	"github.com/orgkit/orgkit/orgs/orgstest"
	"github.com/orgkit/orgkit/rbac"
	"github.com/orgkit/orgkit/store"
	"github.com/orgkit/orgkit/store/memory"
)

// stockCasbin loads what was exported with nothing of this library.
func stockCasbin(t *testing.T, x rbac.CasbinExport) *casbin.Enforcer {
	dir := t.TempDir()
	model, policy := filepath.Join(dir, "model.conf"), filepath.Join(dir, "policy.csv")
	require.NoError(t, os.WriteFile(model, []byte(x.Model), 0o600))
	require.NoError(t, os.WriteFile(policy, []byte(x.Policy), 0o600))
	e, err := casbin.NewEnforcer(model, policy)
	require.NoError(t, err)
	return e
}

func TestStockCasbinAnswersAlike(t *testing.T) {
	w := orgstest.New(t, memory.New(nil), &orgs.Options{Options: rbac.Options{Actions: []string{"deployments.manage"}}})
	above, chief := w.Org("above")
	org, err := w.CreateOrganization(w.As(chief), orgs.NewOrganization{Name: "Acme", Parent: above.ID})
	require.NoError(t, err)
	w.Roles(org)
	_, err = w.CreateRole(w.Platform(), org.ID, rbac.NewRole{Name: "deployer", Permissions: []string{"deployments.*", "models:use", "usage.read:own"}})
	require.NoError(t, err)
	set := &orgs.ModelSettings{Allowed: []string{"gpt-4o", "claude-3-*", "odd, \"name\" #1.5"}, Blocked: []string{"*-preview", "gpt-4*o"}, RequireApproval: []string{"o3"}}
	limited := w.Team(org, "limited", orgs.TeamSettings{Models: set, Features: &orgs.FeatureSettings{Vision: ptr(false)}})
	open := w.Team(org, "open", orgs.TeamSettings{})
	_, _, err = w.SetOverride(w.Platform(), org.ID, open.ID, "developer", []string{"billing.*"}, []string{"api_keys.*"})
	require.NoError(t, err)
	policy := func(orgID, team string, statements string) {
		var list []rbac.Statement
		require.NoError(t, json.Unmarshal([]byte(statements), &list))
		_, _, err := w.CreatePolicy(w.Platform(), orgID, team, rbac.NewPolicy{Name: "p", Statements: list})
		require.NoError(t, err)
	}
	policy(above.ID, "", `[{"effect": "deny", "actions": ["*.delete", "policies.*"], "resources": ["*"]}]`)
	policy(org.ID, open.ID, `[
		{"effect": "allow", "actions": ["models:use"], "resources": ["model:claude-*"], "conditions": {"ip_address": {"type": "ip_in_range", "value": "10.0.0.0/8"}}},
		{"effect": "deny", "actions": ["models:*"], "resources": ["model:*/secret", "team:*"]},
		{"effect": "deny", "actions": ["*"], "resources": ["*"], "conditions": {"anomaly_score": {"type": "greater_than", "value": 0.8}}}]`)
	people := map[orgs.User][]string{chief: {""}}
	for _, role := range []string{"team_lead", "developer", "viewer", "finance", "deployer", rbac.OwnerRole} {
		for _, team := range []orgs.Team{limited, open} {
			u := w.Join(team, role+"."+team.Slug+"@acme.example", role)
			people[u] = append(people[u], "", team.ID)
		}
	}
	x, err := w.CasbinExport(w.As(chief), org.ID)
	require.NoError(t, err)
	require.NotContains(t, x.Policy, above.ID)
	e := stockCasbin(t, x)
	allowed := 0
	vocabulary, err := rbac.NewVocabulary("deployments.manage")
	require.NoError(t, err)
	for u, contexts := range people {
		for _, team := range contexts {
			dom := team
			if dom == "" {
				dom = org.ID
			}
			for _, action := range vocabulary.Actions() {
				for _, resource := range []string{"model:gpt-4o", "model:claude-3-opus", "model:o3", "model:x/secret", "model:gpt-4-preview", "model:odd, \"name\" #1.5",
					"feature:vision", "team:" + limited.ID, "organization:" + org.ID, "model:a\nb"} {
					d, err := w.Decide(t.Context(), u.ID, &rbac.Request{OrgID: org.ID, TeamID: team, Action: action, Call: rbac.Call{Resource: resource}})
					require.NoError(t, err)
					got, err := e.Enforce(u.ID, dom, action, resource)
					require.NoError(t, err)
					require.Equal(t, d.Verdict != rbac.VerdictDeny || d.NotOwn, got, "%s in %s: %s on %q: %+v", u.Email, dom, action, resource, d)
					if got {
						allowed++
					}
				}
			}
		}
	}
	require.Greater(t, allowed, 1000)
	for _, question := range [][]any{{chief.ID, limited.ID, "models.use", "model:gpt-4o"}, {"usr_stranger", org.ID, "teams.read", "team:x"}, {chief.ID, org.ID, "no.such", "x"}} {
		got, err := e.Enforce(question...)
		require.NoError(t, err)
		require.False(t, got, question)
	}
	require.False(t, strings.Contains(x.Policy, "key_"))
	_, err = w.CasbinExport(w.As(w.User("stranger@acme.example")), org.ID)
	require.ErrorIs(t, err, store.ErrNotFound)
}
