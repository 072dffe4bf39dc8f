package rest_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/orgkit/orgkit/store"
	"github.com/orgkit/orgkit/store/storetest"
)

func TestRateLimitsAreSetAndShowWhereTheyStand(t *testing.T) { // F094 to F096, F106, F166
	storetest.Each(t, func(t *testing.T, s *store.Store, _ *storetest.Clock) {
		c := newClient(t, s)
		org := c.post("/v1/organizations", `{"name": "Acme", "settings": {"defaults": {"timezone": "America/New_York"}}}`)["id"].(string)
		path := "/v1/organizations/" + org
		limits := path + "/limits"
		team := c.post(path+"/teams", `{"name": "Lab", "settings": {"models": {"rate_limits": {"gpt-4*": {"requests_per_day": 3, "tokens_per_hour": 1000}}}, "resources": {"max_parallel_requests": 50}}}`)["id"].(string)
		key := c.post("/v1/api-keys", `{"name": "k", "team_id": "`+team+`", "user_id": null, "inherit_team_permissions": true, "additional_restrictions": {"max_requests_per_minute": 2}}`)
		secret := key["key"].(string)
		set := c.call(200, "PUT", limits, `{"scope": "org", "requests_per_hour": 10, "fail_open": true}`)
		require.Equal(t, []any{org, "*", 10.0}, []any{set["scope_id"], set["model"], set["requests_per_hour"]})
		require.Equal(t, []any{object{"measure": "requests_per_hour", "limit": 10.0, "remaining": 10.0, "reset_at": "2024-03-05T13:00:00.000Z", "reset_after": 3600.0}}, set["state"])

		require.Empty(t, c.uses(secret))
		require.Empty(t, c.uses(secret))
		require.Equal(t, "rate_limit_exceeded", c.uses(secret))
		remaining := map[string]any{}
		for _, o := range c.call(200, "GET", limits, "")["data"].([]any) {
			for _, s := range o.(object)["state"].([]any) {
				remaining[o.(object)["scope"].(string)+" "+s.(object)["measure"].(string)] = s.(object)["remaining"]
				if s.(object)["measure"] == "requests_per_day" {
					require.Equal(t, "2024-03-06T05:00:00.000Z", s.(object)["reset_at"], "midnight in New York")
				}
			}
		}
		require.Equal(t, map[string]any{"org requests_per_hour": 8.0, "team requests_per_day": 1.0, "team tokens_per_hour": 980.0,
			"team max_parallel_requests": 50.0, "key requests_per_minute": 0.0}, remaining)

		// What settings make goes with them alone; a limit that is set is replaced whole.
		for _, o := range c.call(200, "GET", limits, "")["data"].([]any) {
			if id := o.(object)["id"].(string); id != set["id"] {
				require.Equal(t, "settings", o.(object)["name"])
				require.Equal(t, "conflict", c.call(409, "DELETE", limits+"/"+id, "")["code"])
			}
		}
		c.call(200, "PATCH", "/v1/teams/"+team, `{"settings": {"resources": null}}`)
		require.Len(t, c.ids(limits), 3)
		c.call(200, "PATCH", "/v1/api-keys/"+key["id"].(string), `{"additional_restrictions": null}`)
		require.Len(t, c.ids(limits), 2)
		again := c.call(200, "PUT", limits, `{"scope": "org", "requests_per_hour": 2}`)
		require.Equal(t, set["id"], again["id"])
		require.Equal(t, []any{true, false}, []any{set["fail_open"], again["fail_open"]})
		require.Equal(t, "rate_limit_exceeded", c.uses(secret), "two of the hour were used, under the limit before")
		c.call(200, "DELETE", limits+"/"+set["id"].(string), "")
		c.call(404, "GET", limits+"/"+set["id"].(string), "")
		require.Empty(t, c.uses(secret))
		require.Equal(t, "rate_limit_exceeded", c.uses(secret), "the fourth of the team's day")
		c.call(200, "DELETE", "/v1/teams/"+team+"?cascade=true", "")
		require.Empty(t, c.ids(limits))
	})
}

func TestAnythingWrongWithARateLimitIsNamed(t *testing.T) {
	c, org, team, _ := world(t)
	limits := "/v1/organizations/" + org + "/limits"
	for body, field := range map[string]string{
		`{}`: "body.scope",
		`{"scope": "model", "scope_id": "x", "requests_per_day": 1}`:                         "body.scope",
		`{"scope": "team", "requests_per_day": 1}`:                                           "body.scope_id",
		`{"scope": "org", "scope_id": "org_2", "requests_per_day": 1}`:                       "body.scope_id",
		`{"scope": "team", "scope_id": "` + team + `"}`:                                      "body.requests_per_minute",
		`{"scope": "team", "scope_id": "` + team + `", "tokens_per_day": -1}`:                "body.tokens_per_day",
		`{"scope": "team", "scope_id": "` + team + `", "requests_per_month": 1}`:             "body.requests_per_month",
		`{"scope": "team", "scope_id": "` + team + `", "requests_per_day": 1.5}`:             "body.requests_per_day",
		`{"scope": "org", "name": "settings", "requests_per_day": 1}`:                        "body.name",
		`{"scope": "org", "team_id": "` + team + `", "requests_per_day": 1}`:                 "body.team_id",
		`{"scope": "org", "max_parallel_requests": 1000000000000001, "requests_per_day": 1}`: "body.max_parallel_requests",
	} {
		p := c.call(400, "PUT", limits, body)
		require.Equal(t, field, p["errors"].([]any)[0].(object)["location"], body)
	}
	require.Empty(t, c.ids(limits))
	c.call(200, "PUT", limits+"?dry_run=true", `{"scope": "org", "requests_per_day": 0}`)
	require.Empty(t, c.ids(limits))
}
