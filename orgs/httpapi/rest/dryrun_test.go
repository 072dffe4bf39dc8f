package rest_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/orgkit/orgkit/store"
	"github.com/orgkit/orgkit/store/storetest"
)

func TestAChangeIsLookedAtBeforeItIsMade(t *testing.T) { // F158
	storetest.Each(t, func(t *testing.T, s *store.Store, _ *storetest.Clock) {
		c := newClient(t, s)
		org := c.post("/v1/organizations", `{"name": "Acme"}`)["id"].(string)
		at := "/v1/organizations/" + org
		c.post(at+"/roles", `{"name": "Developer", "permissions": ["models.use"]}`)
		team := c.post(at+"/teams", `{"name": "Lab"}`)["id"].(string)
		id, dev := c.person(org, "dev@acme.com", "developer")
		policy := `{"name": "office", "statements": [{"effect": "allow", "actions": ["models:use"], "resources": ["model:gpt-*"],
			"conditions": {"ip_address": {"type": "ip_in_range", "value": "10.0.0.0/8"}}}]}`

		w := c.do("POST", "/v1/teams/"+team+"/policies?dry_run=true", policy)
		require.Equal(t, 200, w.Code, w.Body)
		require.Equal(t, "application/json", w.Header().Get("Content-Type"))
		require.Empty(t, w.Header().Get("Orgkit-Revision"), "nothing was changed")
		is := c.call(200, "POST", "/v1/teams/"+team+"/policies?dry_run=true", policy)
		require.Equal(t, []any{true, false}, []any{is["dry_run"], is["widens"]})
		row := is["changes"].([]any)[0].(object)
		require.Equal(t, []any{"models.use", "model:gpt-*", []any{team}, []any{id}},
			[]any{row["action"], row["resource"], row["contexts"], row["subjects"]})
		require.Equal(t, []any{"allow", "conditional"}, []any{row["before"].(object)["decision"], row["after"].(object)["decision"]})
		require.Equal(t, []any{object{"conditions": object{"ip_address": object{"type": "ip_in_range", "value": "10.0.0.0/8"}}}}, row["after"].(object)["when"])
		require.Empty(t, c.ids("/v1/teams/"+team+"/policies"))

		// Whatever else changes who may do what, by the same parameter.
		for _, change := range [][3]string{
			{"PATCH", at + "/roles/developer", `{"permissions": ["models.*"]}`}, {"POST", at + "/members", `{"user_id": "new@acme.com", "role": "org_admin"}`},
			{"PATCH", at + "/members/" + id, `{"role": "org_admin"}`}, {"DELETE", at + "/members/" + id, ""},
			{"PATCH", "/v1/teams/" + team, `{"settings": {"models": {"blocked": ["o3"]}}}`},
			{"POST", "/v1/teams/" + team + "/roles", `{"role": "developer", "permissions_override": {"add": ["usage.read"]}}`},
			{"DELETE", "/v1/teams/" + team, ""},
		} {
			c.do("POST", "/v1/users", `{"email": "new@acme.com"}`)
			before := c.do("GET", at+"/audit/logs?event_types=settings.*&event_types=member.*&event_types=team.*", "").Body.String()
			is := c.call(200, change[0], change[1]+"?dry_run=true", change[2])
			require.NotEmpty(t, is["changes"], change)
			require.Equal(t, before, c.do("GET", at+"/audit/logs?event_types=settings.*&event_types=member.*&event_types=team.*", "").Body.String(), change)
		}

		// What is wrong with it is said as if it were made, and so it is who may not.
		for body, status := range map[string]int{`{"name": "x", "statements": []}`: 400, `{`: 400} {
			require.Equal(t, status, c.do("POST", "/v1/teams/"+team+"/policies?dry_run=true", body).Code)
		}
		require.Equal(t, 404, c.do("DELETE", at+"/roles/nobodys?dry_run=true", "").Code)
		require.Equal(t, 412, c.with("If-Match", `"999"`).do("PATCH", at+"/roles/developer?dry_run=true", `{"permissions": ["models.*"]}`).Code)
		require.Equal(t, 403, dev.do("POST", "/v1/teams/"+team+"/policies?dry_run=true", policy).Code)
		require.Contains(t, c.call(400, "POST", "/v1/teams/"+team+"/policies?dry_run=perhaps", policy)["detail"], "dry_run")
		require.Equal(t, 400, c.do("POST", "/v1/users?dry_run=true", `{"email": "x@acme.com"}`).Code, "which changes nobody's rights")
		require.Equal(t, 201, c.do("POST", at+"/teams?dry_run=false", `{"name": "Made"}`).Code)

		// A change that may only take away.
		problem := c.call(409, "PATCH", at+"/roles/developer?narrowing=true", `{"permissions": ["models.*"]}`)
		require.Equal(t, "grants_new", problem["code"])
		require.Equal(t, []any{"models.use"}, c.call(200, "GET", at+"/roles/developer", "")["permissions"])
		w = c.do("PATCH", at+"/roles/developer?narrowing=true", `{"permissions": []}`)
		require.Equal(t, 200, w.Code, w.Body)
		require.NotEmpty(t, w.Header().Get("Orgkit-Revision"))
		require.NotEmpty(t, w.Header().Get("ETag"))
		require.Equal(t, []any{}, c.call(200, "GET", at+"/roles/developer", "")["permissions"])
	})
}
