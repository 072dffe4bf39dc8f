package rest_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/orgkit/orgkit/store"
	"github.com/orgkit/orgkit/store/storetest"
)

func TestAKeyLivesItsLife(t *testing.T) { // F167
	storetest.Each(t, func(t *testing.T, s *store.Store, clock *storetest.Clock) {
		c := newClient(t, s)
		org := c.post("/v1/organizations", `{"name": "Acme"}`)["id"].(string)
		team := c.post("/v1/organizations/"+org+"/teams", `{"name": "Lab"}`)["id"].(string)
		id, _ := c.person(org, "ann@acme.com", "member")
		c.post("/v1/teams/"+team+"/members", `{"user_id": "`+id+`", "role": "member"}`)
		key := c.post("/v1/api-keys", `{"name": "k", "team_id": "`+team+`", "user_id": null, "default_tags": {"cost": "lab"}}`)
		path, old := "/v1/api-keys/"+key["id"].(string), key["key"].(string)
		require.Nil(t, key["user_id"])
		require.Nil(t, key["last_used_at"])
		require.Empty(t, c.uses(old))
		require.Equal(t, "2024-03-05T12:00:00.000Z", c.call(200, "GET", path, "")["last_used_at"])
		clock.Advance(90 * time.Second)
		c.uses(old)
		require.Equal(t, "2024-03-05T12:01:30.000Z", c.call(200, "GET", "/v1/api-keys?team_id="+team, "")["data"].([]any)[0].(object)["last_used_at"])

		rotated := c.call(200, "POST", path+"/rotate", `{"overlap_minutes": 10}`)
		require.Equal(t, key["id"], rotated["id"])
		require.NotEqual(t, old, rotated["key"])
		require.Equal(t, object{"previous_expires_at": "2024-03-05T12:11:30.000Z"}, rotated["rotation"])
		fresh := rotated["key"].(string)
		clock.Advance(10*time.Minute - time.Microsecond)
		require.Empty(t, c.uses(old))
		require.Empty(t, c.uses(fresh))
		clock.Advance(time.Microsecond)
		require.Equal(t, "invalid_api_key", c.uses(old), "at the very moment")
		require.Equal(t, object{"previous_expires_at": nil}, c.call(200, "GET", path, "")["rotation"])
		c.call(400, "POST", path+"/rotate", `{"overlap_minutes": 43201}`)
		require.NotEqual(t, fresh, c.call(200, "POST", path+"/rotate", "")["key"])
		require.Equal(t, "invalid_api_key", c.uses(fresh))
		now := c.call(200, "POST", path+"/rotate", "")["key"].(string)

		require.Equal(t, "disabled", c.call(200, "POST", path+"/disable", `{"reason": "leaked?"}`)["status"])
		require.Equal(t, "invalid_api_key", c.uses(now))
		c.call(409, "POST", path+"/disable", "")
		require.Equal(t, []string{key["id"].(string)}, c.ids("/v1/api-keys?organization_id=acme&status=disabled"))
		c.call(200, "POST", path+"/enable", "")
		require.Empty(t, c.uses(now))

		changed := c.call(200, "PATCH", path, `{"name": "renamed", "user_id": "ann@acme.com", "additional_restrictions": {"allowed_ips": ["10.0.0.0/8"]}, "default_tags": {"cost": null, "x": "y"}, "expires_at": "2024-03-06T00:00:00+02:00"}`)
		require.Equal(t, id, changed["user_id"])
		require.Equal(t, object{"x": "y"}, changed["default_tags"])
		require.Equal(t, "2024-03-05T22:00:00.000Z", changed["expires_at"])
		require.Equal(t, "ip_denied", c.uses(now)) // F165
		c.call(200, "PATCH", path, `{"additional_restrictions": null, "user_id": null}`)
		require.Empty(t, c.uses(now))
		clock.Advance(10 * time.Hour)
		require.Equal(t, "expired_api_key", c.uses(now))
		c.call(400, "PATCH", path, `{"expires_at": "2024-03-05T00:00:00Z"}`)
		require.Equal(t, "active", c.call(200, "PATCH", path, `{"expires_at": null}`)["status"])
		require.Empty(t, c.uses(now))

		require.Equal(t, "revoked", c.call(200, "DELETE", path, `{"reason": "done"}`)["status"])
		require.Equal(t, "invalid_api_key", c.uses(now))
		for _, again := range [][2]string{{"DELETE", path}, {"POST", path + "/enable"}, {"POST", path + "/rotate"}, {"PATCH", path}} {
			c.call(409, again[0], again[1], "")
		}
		c.call(400, "GET", "/v1/api-keys?team_id="+team+"&organization_id="+org, "")
		c.user("elsewhere@other.example", time.Time{})
		for _, who := range []string{"elsewhere@other.example", "nobody@other.example", "usr_none"} {
			require.Empty(t, c.ids("/v1/api-keys?organization_id="+org+"&user_id="+who), "nobody learns who has an account")
		}
		rows := c.call(207, "POST", "/v1/api-keys/bulk", `{"items": [{"name": "a", "team_id": "`+team+`"}, {"name": "", "team_id": "`+team+`"}, {"name": "c", "team_id": "nowhere"}]}`)["results"].([]any)
		require.NotEmpty(t, rows[0].(object)["body"].(object)["key"])
		require.Equal(t, []any{400.0, 404.0}, []any{rows[1].(object)["status"], rows[2].(object)["status"]})
	})
}

// TestNoSecretComesBack makes one of every secret and looks for it in everything that can be read (F336).
func TestNoSecretComesBack(t *testing.T) {
	c, org, team, user := world(t)
	real := existing(c, org, team)
	secrets := []string{adminKey}
	keep := func(o object, fields ...string) {
		for _, f := range fields {
			require.NotEmpty(t, o[f])
			secrets = append(secrets, o[f].(string))
		}
	}
	key := c.post("/v1/api-keys", `{"name": "k", "team_id": "`+team+`"}`)
	keep(key, "key")
	keep(c.call(200, "POST", "/v1/api-keys/"+key["id"].(string)+"/rotate", `{"overlap_minutes": 5}`), "key")
	inv := c.post("/v1/teams/"+team+"/invitations", `{"email": "x@acme.com", "role": "developer"}`)
	keep(inv, "token")
	keep(c.call(200, "POST", "/v1/teams/"+team+"/invitations/"+inv["id"].(string)+"/resend", ""), "token")
	keep(c.post("/v1/users/"+user+"/tokens", `{"name": "t"}`), "token")
	hook := c.post("/v1/organizations/"+org+"/webhooks", `{"url": "https://hooks.acme.com/"}`)
	at := "/v1/organizations/" + org + "/webhooks/" + hook["id"].(string)
	keep(hook, "secret")
	keep(c.call(200, "POST", at+"/rotate", `{"overlap_minutes": 5}`), "secret")
	c.call(200, "POST", at+"/test", "")
	for i := range 3 { // errors repeat none either
		c.as(secrets[i+1][:len(secrets[i+1])-1]+"x", "").call(401, "GET", "/v1/organizations", "")
	}
	paths := []string{at, "/v1/users/existing@acme.com/can?resource=model:x&organization_id=" + org, "/v1/api-keys?organization_id=" + org, "/v1/api-keys/" + key["id"].(string), "/v1/keys?organization_id=" + org, "/v1/users/" + user + "/tokens",
		"/v1/teams/" + team + "/invitations/" + inv["id"].(string), "/v1/organizations/" + org + "/audit/logs?limit=200"}
	for _, op := range operations(t, c) {
		path := real.Replace(op[1])
		if query := queryOf(op[1]); !strings.Contains(path, "?") {
			path += real.Replace(query)
		}
		if op[0] == "GET" && !strings.HasSuffix(op[1], "/permissions") && !strings.HasSuffix(op[1], "/can") {
			paths = append(paths, path)
		}
	}
	for _, path := range paths {
		answer := c.do("GET", path, "")
		require.Equal(t, 200, answer.Code, "%s: %s", path, answer.Body)
		text := answer.Body.String()
		for _, secret := range secrets {
			require.NotContains(t, text, secret, path)
			require.NotContains(t, text, secret[8:len(secret)-5], path)
		}
		require.NotContains(t, strings.ToLower(text), `"hash"`, path)
	}
}

func TestAKeyThatInheritsActsAsItsTeam(t *testing.T) { // F472, F162, F163
	storetest.Each(t, func(t *testing.T, s *store.Store, _ *storetest.Clock) {
		c := newClient(t, s)
		org := c.post("/v1/organizations", `{"name": "Acme"}`)["id"].(string)
		path := "/v1/organizations/" + org
		team := c.post(path+"/teams", `{"name": "Lab"}`)["id"].(string)
		c.post(path+"/roles", `{"name": "Key Maker", "permissions": ["api_keys.create", "api_keys.read"]}`)
		id, maker := c.person(org, "maker@acme.com", "key-maker")
		secret := maker.post("/v1/api-keys", `{"name": "k", "team_id": "`+team+`"}`)["key"].(string)
		require.Empty(t, c.uses(secret), "its maker holds neither models.use nor api_keys.use")
		another := c.post("/v1/organizations", `{"name": "Another"}`)["id"].(string)
		c.call(400, "POST", "/v1/api-keys", `{"name": "k", "team_id": "`+team+`", "organization_id": "`+another+`"}`)
		c.post("/v1/api-keys", `{"name": "k", "team_id": "`+team+`", "organization_id": "`+org+`"}`)
		c.as(secret, "").call(403, "GET", path+"/teams", "")
		alone := maker.post("/v1/api-keys", `{"name": "k", "team_id": "`+team+`", "inherit_team_permissions": false}`)["key"].(string)
		require.Equal(t, "permission_denied", c.uses(alone))
		maker.call(403, "POST", "/v1/api-keys", `{"name": "k", "team_id": "`+team+`", "permissions": ["models.use"]}`)

		blocked := `{"settings": {"models": {"blocked": ["gpt-4-*"]}}}`
		c.call(200, "PATCH", "/v1/teams/"+team, blocked)
		require.Equal(t, "model_not_allowed", c.uses(secret), "live, no copy")
		c.call(200, "PATCH", "/v1/teams/"+team, `{"settings": null}`)
		c.call(200, "PATCH", path+"/members/"+id, `{"role": "member"}`)
		require.Empty(t, c.uses(secret), "the bound person counts by state, not by role")
		c.call(200, "PATCH", "/v1/users/"+id, `{"status": "suspended"}`)
		require.Equal(t, "invalid_api_key", c.uses(secret))
	})
}
