package rest_test

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestWhoMayDoSomethingIsAsked(t *testing.T) {
	c, org, team, _ := world(t)
	c.post("/v1/organizations/"+org+"/roles", `{"name": "Reader", "permissions": ["models.read"]}`)
	id, _ := c.person(org, "reader@acme.com", "reader")
	at := "/v1/organizations/" + org
	is := c.call(200, "GET", at+"/who-can?action=read&resource=model:gpt-4o", "")
	require.Contains(t, is["always"], id)
	is = c.call(200, "GET", at+"/who-can?action=models:use&resource=model:gpt-4o", "")
	require.NotContains(t, is["always"], id)
	require.GreaterOrEqual(t, is["never"], 1.0)

	c.post("/v1/teams/"+team+"/policies", `{"name": "office", "statements": [{"effect": "allow", "actions": ["models:read"], "resources": ["model:gpt-*"],
		"conditions": {"ip_address": {"type": "ip_in_range", "value": "10.0.0.0/8"}}}]}`)
	is = c.call(200, "GET", "/v1/teams/"+team+"/who-can?action=read&resource=model:gpt-4o", "")
	require.Contains(t, is["conditional"], id)
	require.NotContains(t, is["always"], id)
	is = c.call(200, "GET", at+"/who-can?action=no.such&resource=model:gpt-4o", "")
	require.Empty(t, is["always"])

	for path, field := range map[string]string{"/who-can?resource=model:x": "action", "/who-can?action=models.use": "resource", "/who-can?action=a%20b.c&resource=model:x": "action"} {
		problem := c.call(400, "GET", at+path, "")
		require.Contains(t, problem["detail"], field)
	}
	x := c.call(200, "GET", at+"/policies/export", "")
	require.Contains(t, x["model"], "[matchers]")
	require.Contains(t, x["policy"], "g, "+id+", profile_")
}

func TestWhatSomebodyMayDoIsAsked(t *testing.T) {
	c, org, team, _ := world(t)
	id, dev := c.person(org, "dev@acme.com", "developer")
	is := dev.call(200, "GET", "/v1/users/me/can?organization_id="+org+"&resource=model:gpt-4o", "")
	require.Equal(t, id, is["subject"])
	require.Equal(t, []any{object{"action": "models.use", "decision": "allow"}}, is["actions"])
	c.post("/v1/teams/"+team+"/policies", `{"name": "office", "statements": [{"effect": "allow", "actions": ["models:use"], "resources": ["model:gpt-*"],
		"conditions": {"ip_address": {"type": "ip_in_range", "value": "10.0.0.0/8"}}}]}`)
	is = c.call(200, "GET", "/v1/users/dev@acme.com/can?team_id="+team+"&resource=model:gpt-4o", "")
	require.Equal(t, []any{object{"action": "models.use", "decision": "conditional"}}, is["actions"])
	key := c.post("/v1/api-keys", `{"name": "k", "team_id": "`+team+`", "user_id": null}`)["id"].(string)
	is = c.call(200, "GET", "/v1/users/"+key+"/can?team_id="+team+"&resource=model:o3", "")
	require.Contains(t, is["actions"], object{"action": "models.use", "decision": "allow"})

	other, _ := c.person(org, "other@acme.com", "developer")
	require.Equal(t, 403, dev.do("GET", "/v1/users/"+other+"/can?organization_id="+org+"&resource=model:o3", "").Code)
	require.Contains(t, dev.call(400, "GET", "/v1/users/me/can?organization_id="+org, "")["detail"], "resource")
	require.Contains(t, dev.call(400, "GET", "/v1/users/me/can?resource=model:o3", "")["detail"], "team_id")
}

func TestWhatCannotDoWhatItLooksLikeIsSaid(t *testing.T) {
	c, org, team, _ := world(t)
	at := "/v1/organizations/" + org
	require.Equal(t, []any{}, c.call(200, "GET", at+"/lint", "")["findings"])
	role := c.post(at+"/roles", `{"name": "Typo", "permissions": ["modles.use", "teams.read"]}`)
	require.Equal(t, "permissions[0]", role["warnings"].([]any)[0].(object)["field"])
	require.NotContains(t, c.call(200, "PATCH", at+"/roles/typo", `{"permissions": ["teams.read"]}`), "warnings")
	require.Contains(t, c.call(200, "PATCH", at+"/roles/typo", `{"permissions": ["team.read"]}`), "warnings")
	o := c.post("/v1/teams/"+team+"/roles", `{"role": "developer", "permissions_override": {"remove": ["usages.*"]}}`)
	require.Equal(t, "permissions_override.remove[0]", o["warnings"].([]any)[0].(object)["field"])
	var codes []any
	for _, f := range c.call(200, "GET", at+"/lint", "")["findings"].([]any) {
		codes = append(codes, f.(object)["type"], f.(object)["code"])
	}
	require.Equal(t, []any{"override", "unknown_action", "role", "unknown_action"}, codes)
}
