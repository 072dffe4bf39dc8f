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
	is := c.call(200, "GET", at+"/access?action=read&resource=model:gpt-4o", "")
	require.Contains(t, is["always"], id)
	is = c.call(200, "GET", at+"/access?action=models:use&resource=model:gpt-4o", "")
	require.NotContains(t, is["always"], id)
	require.GreaterOrEqual(t, is["never"], 1.0)

	c.post("/v1/teams/"+team+"/policies", `{"name": "office", "statements": [{"effect": "allow", "actions": ["models:read"], "resources": ["model:gpt-*"],
		"conditions": {"ip_address": {"type": "ip_in_range", "value": "10.0.0.0/8"}}}]}`)
	is = c.call(200, "GET", "/v1/teams/"+team+"/access?action=read&resource=model:gpt-4o", "")
	require.Contains(t, is["conditional"], id)
	require.NotContains(t, is["always"], id)
	is = c.call(200, "GET", at+"/access?action=no.such&resource=model:gpt-4o", "")
	require.Empty(t, is["always"])

	for path, field := range map[string]string{"/access?resource=model:x": "action", "/access?action=models.use": "resource", "/access?action=a%20b.c&resource=model:x": "action"} {
		problem := c.call(400, "GET", at+path, "")
		require.Contains(t, problem["detail"], field)
	}
	x := c.call(200, "GET", at+"/casbin", "")
	require.Contains(t, x["model"], "[matchers]")
	require.Contains(t, x["policy"], "g, "+id+", profile_")
}
