package rest_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/orgkit/orgkit/store"
	"github.com/orgkit/orgkit/store/memory"
	"github.com/orgkit/orgkit/store/storetest"
)

func TestATeamLivesItsLife(t *testing.T) { // F110
	storetest.Each(t, func(t *testing.T, s *store.Store, _ *storetest.Clock) {
		c := newClient(t, s)
		org := "/v1/organizations/" + c.post("/v1/organizations", `{"name": "Acme"}`)["id"].(string)
		c.post(org+"/roles", `{"name": "Developer", "permissions": ["models.use"]}`)
		team := c.post(org+"/teams", `{"name": "Data Science", "slug": "data_science", "settings": {"budget": {"monthly_limit": 2000.00}}}`)
		id := team["id"].(string)
		path := "/v1/teams/" + id
		require.Equal(t, object{"currency": "USD", "limit": 2000.0, "effective_limit": 2000.0, "spent": 0.0, "reserved": 0.0, "remaining": 2000.0, "state": "ok",
			"period_start": "2024-03-01T00:00:00.000Z", "period_end": "2024-04-01T00:00:00.000Z"}, team["budget_state"])
		require.Equal(t, "slug_taken", c.call(409, "POST", org+"/teams", `{"name": "x", "slug": "DATA-science"}`)["code"]) // F318
		require.Equal(t, id, c.call(200, "GET", "/v1/teams/data-science", "")["id"])
		other := c.post("/v1/organizations", `{"name": "Other"}`)["id"].(string)
		c.post("/v1/organizations/"+other+"/teams", `{"name": "Data Science"}`)
		require.Equal(t, "ambiguous_slug", c.call(409, "GET", "/v1/teams/data-science", "")["code"])
		require.Equal(t, []string{id}, c.ids(org+"/teams?slug=data-science"))

		changed := c.call(200, "PATCH", path, `{"name": "Research", "slug": "research", "settings": {"budget": {"monthly_limit": "12.50"}}}`)
		require.Equal(t, 12.5, changed["budget_state"].(object)["limit"])
		require.Equal(t, id, c.call(200, "GET", "/v1/teams/research", "")["id"])

		key := c.post("/v1/api-keys", `{"name": "k", "team_id": "`+id+`"}`)["key"].(string)
		require.Empty(t, c.uses(key))
		require.Equal(t, "archived", c.call(200, "POST", path+"/archive", "")["status"])
		require.Equal(t, "team_archived", c.uses(key))
		require.Equal(t, "conflict", c.call(409, "POST", path+"/archive", "")["code"])
		require.Equal(t, []string{id}, c.ids(org+"/teams?status=archived"))
		require.Empty(t, c.ids(org+"/teams?status=active"))
		require.Equal(t, "active", c.call(200, "POST", path+"/unarchive", "")["status"])
		require.Empty(t, c.uses(key))

		inv := c.post(path+"/invitations", `{"email": "late@acme.com", "role": "developer"}`)["token"].(string)
		require.Equal(t, "not_empty", c.call(409, "DELETE", path, "")["code"])
		c.call(200, "DELETE", path+"?cascade=true", "")
		c.call(404, "GET", path, "")
		require.Equal(t, "invalid_api_key", c.uses(key))
		_, late := c.user("late@acme.com", time.Time{})
		require.Equal(t, "invitation_revoked", c.as(late, "").call(410, "POST", "/v1/invitations/accept", `{"token": "`+inv+`", "accept": true}`)["code"])
		c.post(org+"/teams", `{"name": "Research"}`)
	})
}

func TestWhoChangesTeamsDoesNotChangeTheirBudgets(t *testing.T) { // F072
	c, org, team, _ := world(t)
	c.post("/v1/organizations/"+org+"/roles", `{"name": "Lead", "permissions": ["teams.read", "teams.update"]}`)
	_, lead := c.person(org, "lead@acme.com", "lead")
	path := "/v1/teams/" + team
	c.call(200, "PATCH", path, `{"settings": {"budget": {"monthly_limit": 10.00}}}`)
	lead.call(200, "PATCH", path, `{"name": "Renamed", "settings": {"models": {"blocked": ["dall-e-*"]}, "budget": {"monthly_limit": "10"}}}`)
	for _, change := range []string{`{"settings": {"budget": {"monthly_limit": 10.01}}}`, `{"settings": {"budget": null}}`, `{"settings": null}`, `{"settings": {"budget": {"hard_limit": true}}}`} {
		p := lead.call(403, "PATCH", path, change)
		require.Equal(t, "grant_ceiling", p["code"])
		require.Equal(t, "budget.modify", p["missing_permission"])
	}
	require.Equal(t, 10.0, c.call(200, "GET", path, "")["budget_state"].(object)["limit"])
}

func TestAbsentSettingsHaveTheirMeaning(t *testing.T) { // F327
	c := newClient(t, memory.New(nil))
	org := c.post("/v1/organizations", `{"name": "Acme"}`)["id"].(string)
	team := c.post("/v1/organizations/"+org+"/teams", `{"name": "Lab"}`)
	require.Equal(t, object{}, team["settings"])
	require.Equal(t, object{
		"budget": object{"monthly_limit": nil, "alert_threshold": nil, "hard_limit": false, "rollover": false, "require_project_tag": false},
		"models": object{"allowed": []any{"*"}, "blocked": []any{}, "require_approval": []any{}, "rate_limits": object{}, "preferred_providers": []any{},
			"allow_fine_tuning": true, "allow_embeddings": true},
		"features":      object{"function_calling": true, "vision": true, "web_search": true, "fine_tuning": true, "structured_outputs": true, "image_generation": true},
		"notifications": object{"usage_alerts": []any{}, "approval_requests": []any{}},
		"resources":     object{"max_parallel_requests": nil, "priority_queue": false, "dedicated_capacity": false},
	}, team["effective"])
	require.Nil(t, team["budget_state"])
	off := c.call(200, "PATCH", "/v1/teams/"+team["id"].(string), `{"settings": {"models": {"allow_fine_tuning": false}}}`)["effective"].(object)
	require.Equal(t, false, off["features"].(object)["fine_tuning"]) // F103
}

func TestAProjectIsAPlaceOfItsOwn(t *testing.T) { // F381 to F383
	storetest.Each(t, func(t *testing.T, s *store.Store, _ *storetest.Clock) {
		c := newClient(t, s)
		org := c.post("/v1/organizations", `{"name": "Acme"}`)["id"].(string)
		path := "/v1/organizations/" + org
		c.post(path+"/roles", `{"name": "Developer", "permissions": ["projects.read:own", "models.use", "members.read"]}`)
		apollo := c.post(path+"/projects", `{"name": "Apollo", "settings": {"budget": {"monthly_limit": 1, "hard_limit": true}}, "metadata": {"moon": true}}`)
		gemini := c.post(path+"/projects", `{"name": "Gemini"}`)["id"].(string)
		at := path + "/projects/" + apollo["id"].(string)
		id, bob := c.person(org, "bob@acme.com", "member")
		require.Equal(t, apollo["id"], c.post(at+"/members", `{"user_id": "bob@acme.com", "role": "developer"}`)["project_id"])
		require.Equal(t, 1.0, c.call(200, "GET", at, "")["members_count"])
		require.Equal(t, []string{apollo["id"].(string)}, bob.ids(path+"/projects"))
		bob.call(200, "GET", path+"/projects/apollo", "")
		bob.call(404, "GET", path+"/projects/"+gemini, "") // F382
		bob.call(200, "GET", at+"/members", "")
		bob.call(404, "GET", path+"/projects/"+gemini+"/members", "")

		key := c.post("/v1/api-keys", `{"name": "k", "organization_id": "acme", "project_id": "apollo", "user_id": "`+id+`"}`)
		require.Equal(t, apollo["id"], key["project_id"])
		require.Equal(t, []string{key["id"].(string)}, c.ids("/v1/api-keys?organization_id=acme&project_id=apollo"))
		require.Empty(t, c.ids("/v1/api-keys?organization_id=acme&project_id=gemini"))
		secret := key["key"].(string)
		require.Empty(t, c.uses(secret))
		require.Positive(t, c.call(200, "GET", at, "")["budget_state"].(object)["spent"])
		c.call(200, "PATCH", at, `{"settings": {"budget": {"monthly_limit": 0}}}`)
		require.Equal(t, "budget_exceeded", c.uses(secret)) // F383
		c.call(200, "PATCH", at, `{"settings": null, "status": "archived"}`)
		require.Equal(t, "project_archived", c.uses(secret))
		require.Equal(t, "active", c.call(200, "PATCH", at, `{"status": null, "metadata": {"mars": false}}`)["status"])
		require.Empty(t, c.uses(secret))

		require.Equal(t, "not_empty", c.call(409, "DELETE", at, "")["code"])
		c.call(200, "DELETE", at+"?cascade=true", "")
		c.call(404, "GET", at, "")
		require.Equal(t, "invalid_api_key", c.uses(secret))
		require.Empty(t, bob.ids(path+"/projects"))
	})
}
