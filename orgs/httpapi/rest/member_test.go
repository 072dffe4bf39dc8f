package rest_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/orgkit/orgkit/store"
	"github.com/orgkit/orgkit/store/memory"
	"github.com/orgkit/orgkit/store/storetest"
)

func TestMembersComeAndGo(t *testing.T) { // F124 to F132
	storetest.Each(t, func(t *testing.T, s *store.Store, clock *storetest.Clock) {
		c := newClient(t, s)
		org := c.post("/v1/organizations", `{"name": "Acme"}`)["id"].(string)
		path := "/v1/organizations/" + org
		c.post(path+"/roles", `{"name": "Developer", "permissions": ["models.use", "api_keys.create"]}`)
		team := c.post(path+"/teams", `{"name": "Lab"}`)["id"].(string)
		at := "/v1/teams/" + team + "/members"
		c.user("stranger@acme.com", time.Time{})
		c.call(404, "POST", at, `{"user_id": "stranger@acme.com", "role": "developer"}`)
		ids, people := map[string]string{}, map[string]*client{}
		for _, name := range []string{"ann", "ben", "cay"} {
			ids[name], people[name] = c.person(org, name+"@acme.com", "member")
			c.post(at, `{"user_id": "`+name+`@acme.com", "role": "developer"}`)
		}
		require.Equal(t, "already_member", c.call(409, "POST", at, `{"user_id": "`+ids["ann"]+`", "role": "developer"}`)["code"])
		key := func(name string) string {
			return c.post("/v1/api-keys", `{"name": "k", "team_id": "`+team+`", "user_id": "`+ids[name]+`"}`)["key"].(string)
		}
		ann, ben, cay := key("ann"), key("ben"), key("cay")

		c.call(400, "DELETE", at+"/"+ids["ann"], `{"reassign_resources_to": "stranger@acme.com"}`) // F129
		r := c.call(200, "DELETE", at+"/"+ids["ann"], `{"reassign_resources_to": "ben@acme.com", "reason": "moved on"}`)
		require.Equal(t, object{"api_keys": 1.0}, r["reassigned"])
		require.Equal(t, 0.0, r["disabled_keys"])
		require.Empty(t, c.uses(ann))
		require.Len(t, c.ids("/v1/api-keys?team_id="+team+"&user_id=ben@acme.com"), 2)

		r = people["ben"].call(200, "DELETE", at+"/me", `{"revoke_access_immediately": false}`) // F131
		require.Equal(t, 2.0, r["disabled_keys"])
		require.Equal(t, "2024-03-06T12:00:00.000Z", r["access_ends_at"])
		require.Empty(t, c.uses(ben))
		clock.Advance(24 * time.Hour)
		require.Equal(t, "expired_api_key", c.uses(ben))

		require.Equal(t, object{"add": []any{"models.read"}, "remove": []any{}},
			c.call(200, "PATCH", at+"/"+ids["cay"], `{"permissions": {"add": ["models.read"]}}`)["permissions"])
		require.Equal(t, object{"add": []any{"models.read"}, "remove": []any{}}, c.call(200, "PATCH", at+"/"+ids["cay"], `{"reason": "none"}`)["permissions"])
		require.Equal(t, object{"add": []any{}, "remove": []any{}}, c.call(200, "PATCH", at+"/"+ids["cay"], `{"permissions": {}}`)["permissions"]) // F331
		c.call(200, "DELETE", path+"/members/"+ids["cay"], "")                                                                                     // with the teams
		c.call(404, "GET", at+"/"+ids["cay"], "")
		require.Equal(t, "invalid_api_key", c.uses(cay)) // F130
		people["cay"].call(404, "GET", path, "")
		require.Empty(t, c.ids(at))
		require.Len(t, c.ids(path+"/members?role=member"), 2)
		c.call(400, "GET", path+"/members?role=nobody", "")
		bulk := c.call(207, "POST", at+"/bulk", `{"items": [{"user_id": "ann@acme.com", "role": "developer"}, {"user_id": "cay@acme.com", "role": "developer"}]}`)["results"].([]any)
		require.Equal(t, 201.0, bulk[0].(object)["status"])
		require.Equal(t, 404.0, bulk[1].(object)["status"])
	})
}

func TestTheLastOwnerStays(t *testing.T) {
	c := newClient(t, memory.New(nil))
	org := c.post("/v1/organizations", `{"name": "Acme"}`)["id"].(string)
	path := "/v1/organizations/" + org
	id, owner := c.person(org, "owner@acme.com", "org_admin")
	next, heir := c.person(org, "heir@acme.com", "member")
	for _, call := range [][3]string{{"DELETE", path + "/members/" + id, ""}, {"PATCH", path + "/members/" + id, `{"role": "member"}`},
		{"PATCH", "/v1/users/" + id, `{"status": "suspended"}`}, {"PATCH", "/v1/users/" + id, `{"email_verified": false}`},
		{"PATCH", "/v1/users/" + id, `{"email": "other@acme.com", "email_verified": false}`}, {"DELETE", "/v1/users/" + id, ""}} {
		require.Equal(t, "last_owner", c.call(409, call[0], call[1], call[2])["code"], call)
	}
	owner.call(409, "DELETE", path+"/members/me", "")
	heir.call(403, "POST", path+"/transfer", `{"to": "`+next+`"}`)
	owner.call(400, "POST", path+"/transfer", `{"to": "me"}`)
	owner.call(404, "POST", path+"/transfer", `{"to": "usr_none"}`)
	tag := c.do("GET", path, "").Header().Get("ETag")
	owner.with("If-Match", `"77"`).call(412, "POST", path+"/transfer", `{"to": "`+next+`"}`)
	require.Equal(t, "org_admin", owner.with("If-Match", tag).call(200, "POST", path+"/transfer", `{"to": "heir@acme.com"}`)["role"])
	require.Equal(t, "member", owner.call(200, "GET", path+"/members/me", "")["role"])
	heir.call(200, "POST", path+"/transfer", `{"to": "owner@acme.com", "leave": true}`)
	heir.call(404, "GET", path, "")
	require.Equal(t, "org_admin", owner.call(200, "GET", path+"/members/me", "")["role"])
}

func TestUsersAreChangedByThePlatformAndTheirNamesByThemselves(t *testing.T) {
	c := newClient(t, memory.New(nil))
	org := c.post("/v1/organizations", `{"name": "Acme"}`)["id"].(string)
	id, user := c.person(org, "ann@acme.com", "member")
	require.Equal(t, "Ann", user.call(200, "PATCH", "/v1/users/me", `{"name": "Ann"}`)["name"])
	user.call(403, "PATCH", "/v1/users/me", `{"email": "root@acme.com"}`)
	user.call(403, "DELETE", "/v1/users/me", "")
	moved := c.call(200, "PATCH", "/v1/users/"+id, `{"email": "ann@new.example"}`)
	require.Equal(t, false, moved["email_verified"], "an address that changed is not the one that was verified")
	other, _ := c.user("ben@acme.com", time.Time{})
	c.call(409, "PATCH", "/v1/users/"+other, `{"email": "ANN@new.example"}`)
	c.call(200, "PATCH", "/v1/users/"+id, `{"status": "suspended"}`)
	require.Equal(t, "invalid_api_key", user.call(401, "GET", "/v1/users/me", "")["code"])
	c.call(200, "PATCH", "/v1/users/"+id, `{"status": "active"}`)
	user.call(200, "GET", "/v1/users/me", "")
	c.call(200, "DELETE", "/v1/users/"+id, `{"reason": "asked for it"}`)
	require.Equal(t, "invalid_api_key", user.call(401, "GET", "/v1/users/me", "")["code"])
	c.call(404, "GET", "/v1/users/"+id, "")
	left := c.call(200, "GET", "/v1/organizations/"+org+"/audit/logs?event_types=member.removed", "")["data"].([]any)
	require.Equal(t, "asked for it", left[0].(object)["reason"])
}
