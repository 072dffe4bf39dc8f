package rest_test

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/orgkit/orgkit/orgs/gate"
	"github.com/orgkit/orgkit/store"
	"github.com/orgkit/orgkit/store/memory"
	"github.com/orgkit/orgkit/store/storetest"
)

// TestTwoWaysToOneKey: what the vendor's page makes is the object of /v1/api-keys, both show it alike, and what it says counts.
func TestTwoWaysToOneKey(t *testing.T) { // F464
	storetest.Each(t, func(t *testing.T, s *store.Store, _ *storetest.Clock) {
		c := newClient(t, s)
		org := c.post("/v1/organizations", `{"name": "Acme"}`)["id"].(string)
		team := c.post("/v1/organizations/"+org+"/teams", `{"name": "Lab"}`)["id"].(string)
		made := c.post("/v1/keys", `{"name": "Production", "description": "of the app", "team_id": "`+team+`",
			"permissions": {"models": {"allowed": ["gpt-4-*"], "denied": ["gpt-4-32k"]}, "features": ["chat_completion", "vision"], "operations": ["read", "write"]},
			"max_requests_per_minute": 60, "max_requests_per_day": 1000, "max_cost_per_day": 100.50,
			"restrictions": {"ip_whitelist": ["192.168.1.0/24"], "domains": ["*.acme.com"], "referrers": ["https://app.acme.com/*"], "user_agents": ["AcmeApp/"]},
			"metadata": {"environment": "production"}, "expires_at": "2099-01-01T00:00:00Z"}`)
		require.Regexp(t, "^ok_live_", made["key"])
		id := made["id"].(string)
		same := c.call(200, "GET", "/v1/api-keys/"+id, "")
		require.Equal(t, same, c.call(200, "GET", "/v1/keys/"+id, ""))
		require.Equal(t, "of the app", same["description"])
		require.Equal(t, object{"allowed_ips": []any{"192.168.1.0/24"}, "max_requests_per_minute": 60.0, "max_requests_per_day": 1000.0, "max_cost_per_day": 100.5,
			"models":   object{"allowed": []any{"gpt-4-*"}, "blocked": []any{"gpt-4-32k"}},
			"features": []any{"chat_completion", "vision"}, "operations": []any{"read", "write"}, "domains": []any{"*.acme.com"},
			"referrers": []any{"https://app.acme.com/*"}, "user_agents": []any{"AcmeApp/"}}, same["additional_restrictions"])
		require.Equal(t, []string{id}, c.ids("/v1/keys?team_id="+team))
		require.Equal(t, c.call(200, "GET", "/v1/api-keys?team_id="+team, ""), c.call(200, "GET", "/v1/keys?team_id="+team, ""))

		again := c.post("/v1/api-keys", `{"name": "the same", "team_id": "`+team+`", "additional_restrictions": `+text(t, same["additional_restrictions"])+`}`)
		require.Equal(t, same["additional_restrictions"], again["additional_restrictions"], "neither says what the other does not")
		require.Equal(t, "revoked", c.call(200, "DELETE", "/v1/keys/"+id, "")["status"])

		// Outside of teams a key has what its operations need, of what its maker has.
		c.post("/v1/organizations/"+org+"/roles", `{"name": "Developer", "permissions": ["api_keys.create", "api_keys.use", "models.use", "models.read"]}`)
		_, dev := c.person(org, "dev@acme.com", "developer")
		own := dev.post("/v1/keys", `{"name": "mine", "permissions": {"models": ["gpt-4-turbo-preview"]}}`)
		call := gate.Call{Secret: own["key"].(string), Model: "gpt-4-turbo-preview", InputTokens: 1, MaxOutputTokens: 1}
		_, err := c.gate.Admit(t.Context(), call)
		require.NoError(t, err)
		call.Model = "gpt-4-32k"
		_, err = c.gate.Admit(t.Context(), call)
		require.ErrorContains(t, err, "model_not_allowed")
		reader := dev.post("/v1/keys", `{"name": "reads", "permissions": {"operations": ["read"]}}`)
		require.Equal(t, []any{"api_keys.use", "models.read"}, reader["permissions"])
		_, little := c.person(org, "little@acme.com", "member")
		little.call(403, "POST", "/v1/keys", `{"name": "too much"}`)
	})
}

func TestTheVendorsFieldsAreNamedByTheirNames(t *testing.T) { // F464
	c := newClient(t, memory.New(nil))
	org := c.post("/v1/organizations", `{"name": "Acme"}`)["id"].(string)
	for body, field := range map[string]string{
		`"permissions": {"models": "` + canary + `"}`:                        "body.permissions.models",
		`"permissions": {"models": {"allow": []}}`:                           "body.permissions.models",
		`"permissions": {"models": [""]}`:                                    "body.permissions.models[0]",
		`"permissions": {"models": {"denied": [""]}}`:                        "body.permissions.models.denied[0]",
		`"permissions": {"features": ["chat_completion", "` + canary + `"]}`: "body.permissions.features[1]",
		`"permissions": {"operations": ["admin"]}`:                           "body.permissions.operations[0]",
		`"permissions": {"scopes": ["` + canary + `"]}`:                      "body.permissions.scopes",
		`"restrictions": {"ip_whitelist": ["` + canary + `"]}`:               "body.restrictions.ip_whitelist[0]",
		`"restrictions": {"domains": ["https://` + canary + `/"]}`:           "body.restrictions.domains[0]",
		`"restrictions": {"user_agents": [""]}`:                              "body.restrictions.user_agents[0]",
		`"max_requests_per_minute": -1`:                                      "body.max_requests_per_minute",
		`"max_cost_per_day": -1`:                                             "body.max_cost_per_day",
		`"max_cost_per_day": "` + canary + `"`:                               "body.max_cost_per_day",
		`"additional_restrictions": {}`:                                      "body.additional_restrictions",
	} {
		w := c.do("POST", "/v1/keys", `{"name": "k", "organization_id": "`+org+`", `+body+`}`)
		require.Equal(t, 400, w.Code, body)
		require.Equal(t, field, parse(t, w.Body.String())["errors"].([]any)[0].(object)["location"], "%s: %s", body, w.Body)
		require.NotContains(t, w.Body.String(), canary)
	}
	require.Empty(t, c.ids("/v1/keys?organization_id="+org))
}

func text(t *testing.T, v any) string {
	b, err := json.Marshal(v)
	require.NoError(t, err)
	return string(b)
}
