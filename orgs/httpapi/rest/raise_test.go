package rest_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/orgkit/orgkit/billing"
	"github.com/orgkit/orgkit/orgs/gate"
	"github.com/orgkit/orgkit/orgs/httpapi"
	"github.com/orgkit/orgkit/store"
	"github.com/orgkit/orgkit/store/storetest"
)

// refused is how the refusal of a call that a key makes goes out.
func (c *client) refused(secret string) httpapi.Problem {
	c.t.Helper()
	_, err := c.gate.Admit(c.t.Context(), gate.Call{Secret: secret, Model: "gpt-4-32k", InputTokens: 10, MaxOutputTokens: 10})
	require.Error(c.t, err)
	return httpapi.Classify(err)
}

// From the refusal to the raise, with nothing but what the refusal says.
func TestWhoIsRefusedAsksForARaise(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store, clock *storetest.Clock) {
		c := newClient(t, s)
		org := c.post("/v1/organizations", `{"name": "Acme"}`)["id"].(string)
		c.post("/v1/organizations/"+org+"/roles", `{"name": "Developer", "permissions": ["models.use"]}`)
		c.post("/v1/organizations/"+org+"/roles", `{"name": "Finance", "permissions": ["budget.modify"]}`)
		team := c.post("/v1/organizations/"+org+"/teams", `{"name": "Lab", "settings": {"budget": {"monthly_limit": 0.001, "hard_limit": true}}}`)["id"].(string)
		devID, dev := c.person(org, "dev@acme.com", "developer")
		c.post("/v1/teams/"+team+"/members", `{"user_id": "`+devID+`", "role": "developer"}`)
		_, other := c.person(org, "other@acme.com", "developer")
		_, finance := c.person(org, "finance@acme.com", "finance")
		secret := c.post("/v1/api-keys", `{"name": "k", "team_id": "`+team+`", "user_id": "`+devID+`", "inherit_team_permissions": true}`)["key"].(string)

		p := c.refused(secret) // 0.0018 USD
		require.Equal(t, []any{402, "budget_exceeded", "team", "/v1/teams/" + team + "/budget/raises"}, []any{p.Status, p.Code, p.Scope, p.RequestIncreaseURL})
		require.Equal(t, "https://api.acme.com/ai"+p.RequestIncreaseURL, p.LinkedTo("https://api.acme.com/ai").RequestIncreaseURL)
		path := p.RequestIncreaseURL
		for body, field := range map[string]string{`{}`: "body.amount", `{"amount": 0}`: "body.amount", `{"amount": -1}`: "body.amount",
			`{"amount": 1, "until": "2020-01-01T00:00:00Z"}`: "body.until", `{"amount": 1, "until": "soon"}`: "body.until", `{"amount": 1, "limit": 1}`: "body.limit"} {
			wrong := dev.call(400, "POST", path, body)
			require.Equal(t, field, wrong["errors"].([]any)[0].(object)["location"], body)
		}
		other.call(404, "POST", path, `{"amount": 1}`) // in the organization, and not in the team
		asked := dev.post(path, `{"amount": "1.50", "reason": "a launch"}`)
		id, budget := asked["id"].(string), asked["budget_id"].(string)
		require.Equal(t, []any{"pending", devID, 1.5, nil, "a launch", nil, p.BudgetID}, []any{asked["status"], asked["requester"], asked["amount"], asked["until"], asked["reason"], asked["grant"], budget})
		require.Equal(t, id, dev.call(200, "POST", path, `{"amount": 1.5}`)["id"])
		require.Equal(t, id, dev.call(409, "POST", path, `{"amount": 2}`)["existing_id"])
		byBudget := "/v1/organizations/" + org + "/budgets/" + budget + "/raises"
		require.Equal(t, []string{id}, finance.ids(path))
		require.Equal(t, []string{id}, finance.ids(byBudget+"?status=pending"))
		require.Equal(t, []string{id}, dev.ids(path))
		require.Empty(t, other.ids(path))

		decide := "/" + id + "/decision"
		other.call(403, "POST", path+decide, `{"decision": "approve"}`)
		dev.call(403, "POST", path+decide, `{"decision": "approve"}`)
		p2 := finance.call(400, "POST", path+decide, `{"decision": "approve", "amount": 1.51}`)
		require.Equal(t, "body.amount", p2["errors"].([]any)[0].(object)["location"])
		org2 := c.post("/v1/organizations", `{"name": "Rival"}`)["id"].(string)
		finance.call(404, "POST", "/v1/organizations/"+org2+"/budgets/"+budget+"/raises"+decide, `{"decision": "approve"}`)
		c.call(404, "POST", "/v1/organizations/"+org+"/budgets/bud_other/raises"+decide, `{"decision": "approve"}`)
		granted := finance.call(200, "POST", byBudget+decide, `{"decision": "approve", "amount": "0.005", "reason": "for now"}`)
		require.Equal(t, []any{"approved", 0.005, "2024-04-01T00:00:00.000Z"}, []any{granted["status"], granted["grant"].(object)["amount"], granted["grant"].(object)["expires_at"]})
		finance.call(409, "POST", path+decide, `{"decision": "deny"}`)
		require.Empty(t, c.uses(secret))

		state := finance.call(200, "GET", "/v1/teams/"+team+"/budget", "")["data"].([]any)[0].(object)
		require.Equal(t, []any{0.001, 0.006, 0.0006, 10.0, "2024-04-01T00:00:00.000Z"}, []any{state["limit"], state["effective_limit"], state["spent"], state["percent"], state["period_end"]})
		require.Equal(t, []any{object{"id": id, "amount": 0.005, "expires_at": "2024-04-01T00:00:00.000Z"}}, state["raises"])
		dev.call(403, "GET", "/v1/teams/"+team+"/budget", "")

		clock.Set(clock.Now().Add(31 * 24 * time.Hour))
		require.Equal(t, "budget_exceeded", c.refused(secret).Code, "it was for that period")
		require.Equal(t, "expired", dev.call(200, "GET", "/v1/approvals/"+id, "")["status"])
	})
}

func TestARefusalNamesTheBudgetToBeRaised(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store, _ *storetest.Clock) {
		c := newClient(t, s)
		above := c.post("/v1/organizations", `{"name": "Holding"}`)["id"].(string)
		org := c.post("/v1/organizations/"+above+"/children", `{"name": "Acme"}`)["id"].(string)
		team := c.post("/v1/organizations/"+org+"/teams", `{"name": "Lab"}`)["id"].(string)
		secret := c.post("/v1/api-keys", `{"name": "k", "team_id": "`+team+`", "inherit_team_permissions": true, "permissions": ["models.use"]}`)["key"].(string)
		budget := c.call(200, "PUT", "/v1/organizations/"+above+"/budgets", `{"scope": "org", "limit": 0, "hard_limit": true}`)["id"].(string)
		p := c.refused(secret)
		require.Equal(t, "/v1/organizations/"+above+"/budgets/"+budget+"/raises", p.RequestIncreaseURL)
		c.call(200, "POST", "/v1/organizations/"+above+"/budgets/"+budget+"/suspend", "")
		require.Equal(t, []string{"budget_suspended", ""}, []string{c.refused(secret).Code, c.refused(secret).RequestIncreaseURL}, "more money would not help")
		require.Empty(t, httpapi.Classify(&billing.Exceeded{Scope: billing.ScopeUser, ScopeID: "usr_1"}).RequestIncreaseURL, "a user's has no organization to be asked in")
	})
}

func TestATeamIsResumed(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store, _ *storetest.Clock) {
		c := newClient(t, s)
		org := c.post("/v1/organizations", `{"name": "Acme"}`)["id"].(string)
		c.post("/v1/organizations/"+org+"/roles", `{"name": "Lead", "permissions": ["teams.*"]}`)
		c.post("/v1/organizations/"+org+"/roles", `{"name": "Finance", "permissions": ["budget.modify"]}`)
		team := c.post("/v1/organizations/"+org+"/teams", `{"name": "Lab", "settings": {"budget": {"monthly_limit": 9}}}`)["id"].(string)
		_, lead := c.person(org, "lead@acme.com", "lead")
		_, finance := c.person(org, "finance@acme.com", "finance")
		budgets := "/v1/organizations/" + org + "/budgets"
		daily := c.call(200, "PUT", budgets, `{"scope": "team", "scope_id": "`+team+`", "name": "daily", "window": "calendar_day", "limit": 1}`)["id"].(string)
		c.call(200, "PUT", budgets, `{"scope": "org", "limit": 50}`)
		c.call(404, "PUT", budgets, `{"scope": "member", "scope_id": "usr_none", "limit": 1}`)
		c.call(404, "PUT", budgets, `{"scope": "project", "scope_id": "`+team+`", "limit": 1}`)

		resume := "/v1/teams/" + team + "/resume"
		require.Equal(t, "conflict", finance.call(409, "POST", resume, "")["code"])
		for _, id := range finance.ids("/v1/teams/" + team + "/budget") {
			finance.call(200, "POST", budgets+"/"+id+"/suspend", "")
		}
		lead.call(403, "POST", resume, "")
		require.Equal(t, "suspended", c.call(200, "GET", "/v1/teams/"+team, "")["budget_state"].(object)["state"])
		resumed := finance.call(200, "POST", resume, "")["data"].([]any)
		require.Len(t, resumed, 2, "the team's alone")
		for _, b := range resumed {
			require.Equal(t, "ok", b.(object)["state"])
		}
		require.Len(t, c.call(200, "GET", "/v1/organizations/"+org+"/audit/logs?event_types=budget.resumed", "")["data"], 2)
		raises := "/v1/teams/" + team + "/budget/raises"
		c.call(200, "PATCH", "/v1/teams/"+team, `{"settings": null}`)
		require.Equal(t, "budget.modify", lead.call(403, "POST", resume, "")["missing_permission"])
		c.call(404, "POST", "/v1/organizations/"+org+"/budgets/"+daily+"x/raises", `{"amount": 1}`)
		require.Empty(t, c.ids(raises))
	})
}
