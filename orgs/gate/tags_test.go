package gate_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/orgkit/orgkit/audit"
	"github.com/orgkit/orgkit/billing"
	"github.com/orgkit/orgkit/orgs"
	"github.com/orgkit/orgkit/rbac"
	"github.com/orgkit/orgkit/store"
)

func TestACallWithoutAProjectIsRefusedWhereOneIsAskedFor(t *testing.T) { // F089
	each(t, func(t *testing.T, s *store.Store) {
		a := newAcme(t, s, `{"budget": {"monthly_limit": 1, "hard_limit": true, "require_project_tag": true}}`, nil)
		c := a.call("gpt-4-turbo-preview")
		for _, tags := range []map[string]string{nil, {}, {"project": ""}, {"cost_center": "research"}} {
			c.Tags = tags
			d := a.refuses(t, c, "missing_tags")
			require.Equal(t, []string{"project"}, d.Missing)
		}
		c.Tags = map[string]string{"project": "apollo"}
		adm := a.passes(t, c)
		require.Equal(t, "apollo", adm.Tags()["project"])
		require.NoError(t, adm.Settle(t.Context(), billing.Usage{InputTokens: 1000}))
		now := states(t, a)[0]
		require.Equal(t, []string{"0.01", "0"}, []string{now.Spent.String(), now.Reserved.String()}, "what was refused holds nothing")
		_, err := a.UpdateTeam(a.Platform(), a.eng.ID, set(settings(t, `{"budget": {"monthly_limit": 1}}`)))
		require.NoError(t, err)
		c.Tags = nil
		a.passes(t, c) // F327: absent is false
	})
}

// requires sets the tags that calls of the organization need.
func (a acme) requires(t *testing.T, tags ...string) {
	t.Helper()
	_, err := a.SetBilling(a.Platform(), a.org.ID, orgs.NewBilling{CostAllocation: billing.CostAllocation{Strategy: billing.TagBased, RequiredTags: tags}})
	require.NoError(t, err)
}

func TestACallWithoutATagThatTheOrganizationRequiresIsRefused(t *testing.T) { // F228 to F231
	each(t, func(t *testing.T, s *store.Store) {
		a := newAcme(t, s, `{"budget": {"require_project_tag": true}}`, nil)
		c := a.call("gpt-4-turbo-preview")
		missing := func(want ...string) {
			t.Helper()
			require.Equal(t, want, a.refuses(t, c, "missing_tags").Missing)
		}
		missing("project")
		a.requires(t, "project", "environment", "team")
		missing("project", "environment") // all of them at once, and the team is that of the key
		c.Tags = map[string]string{"environment": "", "team": ""}
		missing("project", "environment")
		c.Tags = map[string]string{"environment": "prod", "project": "apollo"}
		require.Equal(t, map[string]string{"team": "engineering", "project": "apollo", "environment": "prod"}, a.passes(t, c).Tags())

		keys, err := a.APIKeys(a.Platform(), orgs.Place{OrgID: a.org.ID, TeamID: a.eng.ID}, orgs.KeyFilter{})
		require.NoError(t, err)
		_, err = a.UpdateAPIKey(a.Platform(), keys.Items[0].ID, orgs.KeyUpdate{DefaultTags: &map[string]string{"project": "moon"}})
		require.NoError(t, err)
		c.Tags = nil
		missing("environment") // the key fills in the other
		c.Tags = map[string]string{"project": ""}
		missing("project", "environment") // what the call says comes first

		_, secret, err := a.CreateAPIKey(a.Platform(), orgs.NewAPIKey{Name: "of no team", Organization: a.org.ID, Permissions: []string{"models.use"}})
		require.NoError(t, err)
		c.Secret, c.Tags = secret, map[string]string{"project": "p", "environment": "e", "team": "engineering"}
		missing("team") // which nobody claims
		a.requires(t)
		c.Tags = nil
		a.passes(t, c)
	})
}

func TestTheTagsOfAKeyGoWithItsCalls(t *testing.T) { // F231, F334
	each(t, func(t *testing.T, s *store.Store) {
		a := newAcme(t, s, `{"budget": {"require_project_tag": true}}`, nil)
		c := a.call("gpt-4-turbo-preview")
		c.Tags = map[string]string{"team": "marketing", "project": "apollo"} // a team that the caller claims is no error
		require.Equal(t, map[string]string{"team": "engineering", "project": "apollo"}, a.passes(t, c).Tags())

		keys, err := a.APIKeys(a.Platform(), orgs.Place{OrgID: a.org.ID, TeamID: a.eng.ID}, orgs.KeyFilter{})
		require.NoError(t, err)
		_, err = a.UpdateAPIKey(a.Platform(), keys.Items[0].ID, orgs.KeyUpdate{DefaultTags: &map[string]string{"project": "moon", "team": "sales", "env": "prod"}})
		require.NoError(t, err)
		require.Equal(t, map[string]string{"team": "engineering", "project": "apollo", "env": "prod"}, a.passes(t, c).Tags(), "what the call says comes first")
		c.Tags = nil
		require.Equal(t, map[string]string{"team": "engineering", "project": "moon", "env": "prod"}, a.passes(t, c).Tags())
		slug := "builders"
		_, err = a.UpdateTeam(a.Platform(), a.eng.ID, orgs.TeamUpdate{Slug: &slug})
		require.NoError(t, err)
		require.Equal(t, "builders", a.passes(t, c).Tags()["team"])
	})
}

func TestABrokenStreamPaysForWhatItHasSent(t *testing.T) { // billing edge 16
	each(t, func(t *testing.T, s *store.Store) {
		a := newAcme(t, s, engineering, nil)
		for range 2 { // the client goes away after 200 tokens, and may say so twice
			adm := a.passes(t, a.call("gpt-4-turbo-preview"))
			sent := billing.Usage{InputTokens: 1000, OutputTokens: 200}
			require.NoError(t, adm.Settle(t.Context(), sent))
			require.NoError(t, adm.Release(t.Context()), "what is deferred frees nothing any more")
			require.NoError(t, adm.Settle(t.Context(), sent))
		}
		now := states(t, a)[0]
		require.Equal(t, []string{"0.032", "0"}, []string{now.Spent.String(), now.Reserved.String()})
	})
}

// The gate says what is needed to ask for more, and the raise lets the very next call pass.
func TestARaiseOpensTheGate(t *testing.T) { // F085
	each(t, func(t *testing.T, s *store.Store) {
		a := newAcme(t, s, `{"budget": {"monthly_limit": 0.05, "hard_limit": true}}`, nil) // a call of 0.04 fits
		require.NoError(t, a.passes(t, a.call("gpt-4-turbo-preview")).Settle(t.Context(), billing.Usage{InputTokens: 1000, OutputTokens: 1000}))
		d := a.refuses(t, a.call("gpt-4-turbo-preview"), "budget_exceeded")
		require.Equal(t, a.org.ID, d.OrgID)
		require.Contains(t, d.Remedy[0], "ask for a raise")
		asked, _, err := a.RequestRaise(a.As(a.dev), d.OrgID, "", d.BudgetID, billing.RaiseRequest{Amount: states(t, a)[0].Limit})
		require.NoError(t, err)
		_, err = a.DecideApproval(a.As(a.dev), a.org.ID, asked.ID, yes)
		require.ErrorIs(t, err, rbac.ErrDenied)
		_, err = a.DecideApproval(a.As(a.owner), a.org.ID, asked.ID, yes)
		require.NoError(t, err)
		require.NoError(t, a.passes(t, a.call("gpt-4-turbo-preview")).Settle(t.Context(), billing.Usage{InputTokens: 1000, OutputTokens: 1000}))
		require.Equal(t, []string{"0.1", "0.08", "0"}, []string{states(t, a)[0].Limit.String(), states(t, a)[0].Spent.String(), states(t, a)[0].Over.String()})
		a.refuses(t, a.call("gpt-4-turbo-preview"), "budget_exceeded")
		_, err = a.RemoveMember(a.Platform(), orgs.Place{OrgID: a.org.ID, TeamID: a.eng.ID}, a.dev.ID, orgs.MemberRemoval{})
		require.NoError(t, err)
		require.Equal(t, "0.1", states(t, a)[0].Limit.String(), "it is the team's, whoever has asked for it")
		_, err = a.DeleteTeam(a.Platform(), a.eng.ID, true)
		require.NoError(t, err)
		ended, err := a.Approval(a.Platform(), a.org.ID, asked.ID)
		require.NoError(t, err)
		require.EqualValues(t, "withdrawn", ended.Status)
	})
}

// An alert stops a team that has passed its budget, though that is a soft one, and who is refused can ask for a raise.
func TestAnAlertClosesTheGate(t *testing.T) { // F224; billing edge 53
	each(t, func(t *testing.T, s *store.Store) {
		a := newAcme(t, s, `{"budget": {"monthly_limit": 0.05}}`, nil)
		_, err := a.SetBilling(a.Platform(), a.org.ID, orgs.NewBilling{CostAllocation: billing.CostAllocation{Strategy: billing.NotAllotted},
			Alerts: []billing.Alert{{Type: billing.ExceededAlert, Action: billing.SuspendAction, Notify: []string{"cfo@acme.example"}}}})
		require.NoError(t, err)
		for range 2 {
			require.NoError(t, a.passes(t, a.call("gpt-4-turbo-preview")).Settle(t.Context(), billing.Usage{InputTokens: 1000, OutputTokens: 1000}))
		}
		require.NoError(t, a.Flush(t.Context()))
		d := a.refuses(t, a.call("gpt-4-turbo-preview"), "budget_suspended")
		require.Equal(t, a.org.ID, d.OrgID)
		require.Regexp(t, "^wait until .*, or have the budget raised or resumed, or ask for a raise of it$", d.Remedy[0])
		require.Equal(t, "suspended", states(t, a)[0].State)
		asked, _, err := a.RequestRaise(a.As(a.dev), d.OrgID, "", d.BudgetID, billing.RaiseRequest{Amount: states(t, a)[0].Limit})
		require.NoError(t, err)
		_, err = a.DecideApproval(a.As(a.owner), a.org.ID, asked.ID, yes)
		require.NoError(t, err)
		a.passes(t, a.call("gpt-4-turbo-preview"))
		log, err := a.AuditLog(a.Platform(), a.org.ID, audit.Filter{Types: []string{"budget.suspended", "budget.resumed", "billing.alert"}})
		require.NoError(t, err)
		var types []string
		for _, e := range log.Items {
			types = append(types, e.Type)
		}
		require.Equal(t, []string{"budget.resumed", "budget.suspended", "billing.alert"}, types)
	})
}

var yes = rbac.ApprovalDecision{Approve: true}

func states(t *testing.T, a acme) []billing.BudgetState {
	list, err := a.PlaceBudgets(a.Platform(), a.org.ID, a.eng.ID)
	require.NoError(t, err)
	return list
}
