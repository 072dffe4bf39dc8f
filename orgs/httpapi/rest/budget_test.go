package rest_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/orgkit/orgkit/store"
	"github.com/orgkit/orgkit/store/storetest"
)

func TestBudgetsStandInTheOrganization(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store, _ *storetest.Clock) {
		c := newClient(t, s)
		org := c.post("/v1/organizations", `{"name": "Acme"}`)["id"].(string)
		path := "/v1/organizations/" + org + "/budgets"
		team := c.post("/v1/organizations/"+org+"/teams", `{"name": "Engineering", "settings": {"budget": {"monthly_limit": 9}}}`)["id"].(string)

		monthly := c.call(200, "PUT", path, `{"scope": "org", "limit": "100.50", "hard_limit": true, "rollover": true, "rollover_cap": 10, "soft_limit": 60, "alert_threshold": 0.8}`)
		require.Equal(t, []any{100.5, 100.5, 100.5, 0.0, "ok", "calendar_month", 10.0, 60.0, 0.8}, []any{monthly["limit"], monthly["effective_limit"], monthly["remaining"],
			monthly["spent"], monthly["state"], monthly["window"], monthly["rollover_cap"], monthly["soft_limit"], monthly["alert_threshold"]})
		require.NotNil(t, monthly["period_end"])
		again := c.call(200, "PUT", path, `{"scope": "org", "limit": 50}`)
		require.Equal(t, monthly["id"], again["id"], "the same scope and name")
		require.Nil(t, again["rollover_cap"])

		balance := c.call(200, "PUT", path, `{"scope": "org", "name": "credit", "balance": 7, "hard_limit": true}`)
		require.Equal(t, []any{"lifetime", 7.0, nil}, []any{balance["window"], balance["remaining"], balance["period_end"]})
		at := path + "/" + balance["id"].(string)
		require.Equal(t, "suspended", c.call(200, "POST", at+"/suspend", "")["state"])
		c.call(409, "POST", at+"/suspend", "")
		require.Equal(t, "ok", c.call(200, "POST", at+"/resume", "")["state"])
		require.Len(t, c.ids(path), 3)
		c.call(200, "DELETE", at, "")
		c.call(404, "GET", at, "")

		doubled := c.call(200, "PUT", path, `{"scope": "key", "scope_id": "*", "limit": 5, "limit_override": {"limit": "10", "periods": 2}}`) // billing edges 42, 43
		require.Equal(t, []any{5.0, 10.0, "*"}, []any{doubled["limit"], doubled["effective_limit"], doubled["scope_id"]})
		require.Equal(t, []any{10.0, 2.0, "2024-05-01T00:00:00.000Z"}, []any{doubled["limit_override"].(object)["limit"], doubled["limit_override"].(object)["periods"], doubled["limit_override"].(object)["expires_at"]})

		for body, field := range map[string]string{
			`{"scope": "org", "limit": 1, "limit_override": {"limit": 1, "periods": 0}}`: "body.limit_override.periods",
			`{"scope": "org"}`:                                                                    "body.limit",
			`{"scope": "org", "limit": 1, "balance": 1}`:                                          "body.balance",
			`{"scope": "org", "limit": -1}`:                                                       "body.limit",
			`{"scope": "org", "limit": 1, "window": "fortnight"}`:                                 "body.window",
			`{"scope": "org", "limit": 1, "rollover_cap": 1}`:                                     "body.rollover_cap",
			`{"scope": "org", "limit": 1, "window": "lifetime", "rollover": true}`:                "body.rollover",
			`{"scope": "org", "limit": 1, "timezone": "Mars/Olympus"}`:                            "body.timezone",
			`{"scope": "user", "scope_id": "usr_1", "limit": 1}`:                                  "body.scope",
			`{"scope": "team", "scope_id": "` + team + `", "limit": 1, "name": "settings"}`:       "body.name",
			`{"scope": "org", "limit": 1, "unknown_price": "allow_and_flag", "hard_limit": true}`: "body.unknown_price",
		} {
			p := c.call(400, "PUT", path, body)
			require.Equal(t, field, p["errors"].([]any)[0].(object)["location"], body)
		}
		for _, b := range c.call(200, "GET", path, "")["data"].([]any) {
			if b := b.(object); b["name"] == "settings" {
				c.call(400, "DELETE", path+"/"+b["id"].(string), "")
			}
		}
	})
}

func TestBudgetSettingsMeanTheSameOverHTTP(t *testing.T) { // F022, F082, F085, F086, F088, F089, F327, F334
	storetest.Each(t, func(t *testing.T, s *store.Store, clock *storetest.Clock) {
		c := newClient(t, s)
		org := c.post("/v1/organizations", `{"name": "Acme", "settings": {"billing": {"payment_method_id": "pm_1234567890"}}}`)
		require.Equal(t, "***7890", org["settings"].(object)["billing"].(object)["payment_method_id"])
		id := org["id"].(string)
		team := c.post("/v1/organizations/"+id+"/teams", `{"name": "Lab", "settings": {"budget": {"monthly_limit": 0.001, "hard_limit": true, "require_project_tag": true}}}`)
		require.Equal(t, true, team["effective"].(object)["budget"].(object)["require_project_tag"])
		path := "/v1/teams/" + team["id"].(string)
		key := c.post("/v1/api-keys", `{"name": "k", "team_id": "`+team["id"].(string)+`", "inherit_team_permissions": true, "permissions": ["models.use"]}`)
		secret := key["key"].(string)
		require.Equal(t, "missing_tags", c.uses(secret)) // F089, and before the money is looked at
		c.call(200, "PATCH", "/v1/api-keys/"+key["id"].(string), `{"default_tags": {"project": "apollo"}}`)
		require.Equal(t, "budget_exceeded", c.uses(secret)) // F334: the key fills it in; F085

		c.call(200, "PATCH", path, `{"settings": {"budget": {"hard_limit": null}}}`)
		require.Empty(t, c.uses(secret)) // F086
		require.Equal(t, "ok", c.call(200, "GET", path, "")["budget_state"].(object)["state"], "0.0006 of 0.001")
		c.call(200, "PATCH", path, `{"settings": {"budget": {"rollover": true}}}`)
		clock.Set(clock.Now().AddDate(0, 1, 0))
		state := c.call(200, "GET", path, "")["budget_state"].(object)
		require.Equal(t, []any{0.001, 0.0014, 0.0}, []any{state["limit"], state["effective_limit"], state["spent"]}) // F088
		c.call(200, "PATCH", path, `{"settings": {"budget": {"monthly_limit": 0, "hard_limit": true, "rollover": false}}}`)
		require.Equal(t, "budget_exceeded", c.uses(secret)) // F082: 0 is nothing
		c.call(200, "PATCH", path, `{"settings": {"budget": {"monthly_limit": null}}}`)
		require.Empty(t, c.uses(secret)) // and absent is unlimited (F327)
		require.Empty(t, c.call(200, "GET", path+"/budget", "")["data"])
	})
}
