package rest_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/orgkit/orgkit/store"
	"github.com/orgkit/orgkit/store/storetest"
)

func TestPoliciesAreReplacedAndPatched(t *testing.T) { // F158
	storetest.Each(t, func(t *testing.T, s *store.Store, _ *storetest.Clock) {
		c := newClient(t, s)
		org := c.post("/v1/organizations", `{"name": "Acme"}`)["id"].(string)
		team := c.post("/v1/organizations/"+org+"/teams", `{"name": "Lab"}`)["id"].(string)
		secret := c.post("/v1/api-keys", `{"name": "k", "team_id": "`+team+`"}`)["key"].(string)
		statements := `[{"effect": "deny", "actions": ["models:use"], "resources": ["model:gpt-4-*"], "conditions": {"cost_limit": {"type": "per_request", "max_amount": 10.00}}},
			{"effect": "deny", "actions": ["models.use"], "resources": ["*"]}]`
		for _, place := range []string{"/v1/teams/" + team, "/v1/organizations/" + org} {
			require.Empty(t, c.uses(secret))
			p := c.post(place+"/policies", `{"name": "p", "statements": `+statements+`}`)
			path := place + "/policies/" + p["id"].(string)
			require.Equal(t, "conflict", c.call(409, "POST", place+"/policies", `{"name": "p", "statements": `+statements+`}`)["code"]) // F134
			require.Equal(t, "policy_denied", c.uses(secret))
			off := c.call(200, "PATCH", path, `{"enabled": false}`)
			require.Equal(t, p["statements"], off["statements"])
			require.Empty(t, c.uses(secret))
			c.call(200, "PATCH", path, `{"enabled": null, "description": "all"}`)
			require.Equal(t, "policy_denied", c.uses(secret))
			require.Equal(t, "body.statements[0].effect", c.call(400, "PATCH", path, `{"statements": [{"effect": "maybe", "actions": ["a.b"], "resources": ["*"]}]}`)["errors"].([]any)[0].(object)["location"])
			require.Equal(t, "body.statements", c.call(400, "PUT", path, `{"name": "p"}`)["errors"].([]any)[0].(object)["location"])
			put := c.call(200, "PUT", path, `{"name": "q", "statements": [{"effect": "deny", "actions": ["models.use"], "resources": ["model:dall-e-*"]}]}`)
			require.Empty(t, put["description"])
			require.Empty(t, c.uses(secret))
			require.Equal(t, object{"id": p["id"], "deleted": true}, c.call(200, "DELETE", path, ""))
			c.call(404, "GET", path, "")
		}
	})
}
