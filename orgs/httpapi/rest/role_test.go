package rest_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/orgkit/orgkit/store"
	"github.com/orgkit/orgkit/store/memory"
	"github.com/orgkit/orgkit/store/storetest"
)

func TestRolesChangeForEverybodyWhoHoldsThem(t *testing.T) { // F043
	storetest.Each(t, func(t *testing.T, s *store.Store, _ *storetest.Clock) {
		c := newClient(t, s)
		org := c.post("/v1/organizations", `{"name": "Acme"}`)["id"].(string)
		path := "/v1/organizations/" + org
		role := c.post(path+"/roles", `{"name": "Clerk", "permissions": ["teams.read"]}`)
		require.Equal(t, 0.0, role["members_count"])
		_, clerk := c.person(org, "clerk@acme.com", "clerk")
		clerk.call(403, "GET", path+"/members", "")
		changed := c.call(200, "PATCH", path+"/roles/clerk", `{"permissions": ["teams.read", "members.read"], "description": "reads"}`)
		require.Equal(t, 1.0, changed["members_count"])
		clerk.call(200, "GET", path+"/members", "")
		require.Equal(t, "body.slug", c.call(400, "PATCH", path+"/roles/clerk", `{"slug": "other"}`)["errors"].([]any)[0].(object)["location"])

		require.Equal(t, "in_use", c.call(409, "DELETE", path+"/roles/clerk", "")["code"])
		require.Equal(t, "in_use", c.call(409, "DELETE", path+"/roles/clerk", "")["code"])
		c.call(400, "DELETE", path+"/roles/clerk?replace_with=nobody", "")
		c.call(400, "DELETE", path+"/roles/clerk?replace_with=clerk", "")
		require.Equal(t, object{"id": role["id"], "deleted": true}, c.call(200, "DELETE", path+"/roles/clerk?replace_with=member", ""))
		c.call(404, "GET", path+"/roles/clerk", "")
		clerk.call(403, "GET", path+"/roles", "")
		require.Equal(t, "member", clerk.call(200, "GET", path+"/members/me", "")["role"])
	})
}

func TestSystemRolesBelongToThePlatform(t *testing.T) { // F324
	c, org, _, _ := world(t)
	path := "/v1/organizations/" + org
	_, admin := c.person(org, "admin@acme.com", "org_admin")
	c.post(path+"/roles", `{"name": "Guard", "permissions": ["teams.read"], "is_system": true}`)
	require.Equal(t, "system_role_forbidden", admin.call(403, "POST", path+"/roles", `{"name": "Mine", "permissions": ["teams.read"], "is_system": true}`)["code"])
	admin.post(path+"/roles", `{"name": "Mine", "permissions": ["teams.read"], "is_system": false}`)
	for _, slug := range []string{"guard", "org_admin", "member"} {
		require.Equal(t, true, admin.call(200, "GET", path+"/roles/"+slug, "")["is_system"])
		require.Equal(t, "system_role", admin.call(403, "PATCH", path+"/roles/"+slug, `{"name": "Other"}`)["code"])
		require.Equal(t, "system_role", admin.call(403, "DELETE", path+"/roles/"+slug, "")["code"])
	}
	c.call(400, "PATCH", path+"/roles/guard", `{"is_system": false}`)
	c.call(200, "PATCH", path+"/roles/guard", `{"name": "Other"}`)
	require.Equal(t, "conflict", c.call(409, "PATCH", path+"/roles/member", `{"permissions": ["*"]}`)["code"])
	require.Equal(t, "conflict", c.call(409, "DELETE", path+"/roles/member?replace_with=guard", "")["code"])
	c.call(200, "DELETE", path+"/roles/guard", "")
}

// TestAViewerReadsEverythingAndChangesNothing asks every operation of the description (F055, F325).
func TestAViewerReadsEverythingAndChangesNothing(t *testing.T) {
	c, org, team, _ := world(t)
	c.post("/v1/organizations/"+org+"/roles", `{"name": "Viewer", "permissions": ["*.read"]}`)
	_, viewer := c.person(org, "viewer@acme.com", "viewer")
	real := existing(c, org, team)
	before := c.do("GET", "/v1/organizations/"+org+"/audit/logs?event_types=organization.*&event_types=team.*&event_types=member.*&event_types=api_key.*&event_types=settings.*", "").Body.String()
	bodies := map[string]string{
		"/roles": `{"name": "x", "permissions": ["teams.read"], "role": "developer", "permissions_override": {}}`, "/teams": `{"name": "x"}`, "/projects": `{"name": "x"}`,
		"/children": `{"name": "x"}`, "/transfer": `{"to": "viewer@acme.com"}`, "/move": `{"parent_id": null}`,
		"/invitations": `{"email": "x@y.example", "role": "viewer"}`, "/members": `{"user_id": "bob@acme.com", "role": "viewer"}`,
		"/policies":  `{"name": "x", "statements": [{"effect": "deny", "actions": ["models.use"], "resources": ["*"]}]}`,
		"/approvals": `{"resource": "model:gated"}`, "/erasures": `{"user_id": "bob@acme.com"}`,
		"/usage": `[]`, "/webhooks": `{"url": "https://hooks.acme.com/"}`, "/raises": `{"amount": 5}`, "/decision": `{"decision": "approve"}`,
		"/tokens": `{"name": "x"}`,
	}
	for _, op := range operations(t, c) {
		path := real.Replace(op[1])
		if !strings.Contains(op[1], "{org}") && !strings.Contains(op[1], "{team}") && !strings.Contains(op[1], "{key}") {
			continue // what belongs to no organization
		}
		if strings.HasSuffix(op[1], "/download") { // which is another verb
			require.Equal(t, 403, viewer.do("GET", path, "").Code)
			continue
		}
		if op[0] == "GET" {
			viewer.call(200, "GET", path, "")
			continue
		}
		body := ""
		switch {
		case op[0] == "PUT" && strings.HasSuffix(op[1], "/budgets"):
			body = `{"scope": "org", "limit": 5}`
		case op[0] == "PUT" && strings.HasSuffix(op[1], "/provisioning"):
			body = `{"scim_enabled": true}`
		case op[0] == "PUT" && strings.HasSuffix(op[1], "/verified-domains"):
			body = `{"verified_domains": ["acme.com"]}`
		case op[0] == "PUT" && strings.HasSuffix(op[1], "/sso"):
			body = `{"provider": "okta", "enabled": false}`
		case op[0] == "PUT" && strings.HasSuffix(op[1], "/billing"):
			body = `{"payment_methods": []}`
		case op[0] == "PUT" && strings.HasSuffix(op[1], "/limits"):
			body = `{"scope": "org", "requests_per_day": 5}`
		case op[0] == "PUT" && strings.HasSuffix(op[1], "/audit"):
			body = `{"enabled": false}`
		case op[0] == "PUT":
			body = bodies["/policies"]
		case op[0] == "POST":
			body = bodies[op[1][strings.LastIndex(op[1], "/"):]]
			if strings.HasSuffix(op[1], "/teams/{team}/roles") {
				body = `{"role": "developer", "permissions_override": {}}`
			} else if strings.HasSuffix(op[1], "/roles") {
				body = `{"name": "x", "permissions": ["teams.read"]}`
			} else if bulk, ok := strings.CutSuffix(op[1], "/bulk"); ok {
				for _, r := range viewer.call(207, "POST", path, `{"items": [`+bodies[bulk[strings.LastIndex(bulk, "/"):]]+`]}`)["results"].([]any) {
					require.Equal(t, 403.0, r.(object)["status"], op)
				}
				continue
			}
		}
		want := 403
		if strings.HasSuffix(op[1], "/raises") {
			want = 404 // they are not in the team
		}
		require.Equal(t, want, viewer.do(op[0], path, body).Code, "%v %s", op, viewer.do(op[0], path, body).Body)
	}
	require.Equal(t, before, c.do("GET", "/v1/organizations/"+org+"/audit/logs?event_types=organization.*&event_types=team.*&event_types=member.*&event_types=api_key.*&event_types=settings.*", "").Body.String(), "nothing was changed")
}

// existing puts what is there into the places of a path.
func existing(c *client, org, team string) *strings.Replacer {
	teamPath, orgPath := "/v1/teams/"+team, "/v1/organizations/"+org
	user, their := c.person(org, "existing@acme.com", "developer")
	project := c.post(orgPath+"/projects", `{"name": "Apollo"}`)["id"].(string)
	projectPath := orgPath + "/projects/" + project
	policy := `{"name": "existing", "statements": [{"effect": "deny", "actions": ["models.use"], "resources": ["model:none"]}]}`
	c.post(orgPath+"/children", `{"name": "Below"}`)
	at := map[string][3]string{} // by the beginning of a path: an invitation, a policy and a role
	for _, place := range []string{orgPath, teamPath, projectPath} {
		inv := c.post(place+"/invitations", `{"email": "existing-invitee@acme.com", "role": "developer"}`)["id"].(string)
		pol := ""
		if place != projectPath {
			pol = c.post(place+"/policies", policy)["id"].(string)
		}
		if place != orgPath {
			c.post(place+"/members", `{"user_id": "`+user+`", "role": "developer"}`)
		}
		at[place] = [3]string{inv, pol}
	}
	c.post(teamPath+"/roles", `{"role": "developer", "permissions_override": {"add": ["usage.read"]}}`)
	key := c.post("/v1/api-keys", `{"name": "k", "team_id": "`+team+`", "user_id": null}`)["id"].(string)
	c.call(200, "PATCH", teamPath, `{"settings": {"models": {"require_approval": ["gated"]}}}`)
	approval := their.post(teamPath+"/approvals", `{"resource": "model:gated"}`)["id"].(string)
	webhook := c.post(orgPath+"/webhooks", `{"url": "https://hooks.acme.com/"}`)["id"].(string)
	budget := c.call(200, "PUT", orgPath+"/budgets", `{"scope": "team", "scope_id": "`+team+`", "limit": 1000}`)["id"].(string)
	raise := their.post(teamPath+"/budget/raises", `{"amount": 5}`)["id"].(string)
	limit := c.call(200, "PUT", orgPath+"/limits", `{"scope": "org", "requests_per_day": 1000}`)["id"].(string)
	invoice := draft(c.t, c.manager.Store(), org)
	provider := c.post(orgPath+"/provisioning/tokens", `{"name": "existing"}`)["id"].(string)
	c.call(200, "PUT", orgPath+"/sso", `{"provider": "okta", "enabled": false}`)
	return strings.NewReplacer("{invoice}", invoice, "{scim_token}", provider, "{approval}", approval, "{limit}", limit, "{budget}", budget, "{raise}", raise, "{webhook}", webhook, "{failure}", "job_1", "/who-can", "/who-can?action=models.use&resource=model:x",
		"{sequence}", "0", "/consistency", "/consistency?from=1&to=2",
		"{org}/projects/{project}/invitations/{invitation}", org+"/projects/"+project+"/invitations/"+at[projectPath][0],
		"{org}/invitations/{invitation}", org+"/invitations/"+at[orgPath][0], "{team}/invitations/{invitation}", team+"/invitations/"+at[teamPath][0],
		"{org}/policies/{policy}", org+"/policies/"+at[orgPath][1], "{team}/policies/{policy}", team+"/policies/"+at[teamPath][1],
		"{org}", org, "{team}", team, "{project}", project, "{user}", user, "{role}", "developer", "{key}", key)
}

func TestWhoMayChangeButNotReadHearsWhatCameOfIt(t *testing.T) {
	c, org, team, _ := world(t)
	path := "/v1/organizations/" + org
	c.post(path+"/roles", `{"name": "Maker", "permissions": ["teams.create", "teams.update", "teams.delete", "roles.create", "roles.update", "projects.create", "organizations.suspend", "api_keys.create", "api_keys.update", "models.use"]}`)
	_, maker := c.person(org, "maker@acme.com", "maker")
	made := maker.post(path+"/teams", `{"name": "Made"}`)
	require.Equal(t, 0.0, made["members_count"])
	maker.call(403, "GET", "/v1/teams/"+made["id"].(string), "")
	maker.post(path+"/roles", `{"name": "Less", "permissions": ["models.use"]}`)
	maker.post("/v1/teams/"+team+"/roles", `{"role": "developer", "permissions_override": {"add": ["models.use"]}}`)
	maker.post(path+"/projects", `{"name": "Made"}`)
	maker.call(200, "POST", "/v1/teams/"+team+"/archive", "")
	key := maker.post("/v1/api-keys", `{"name": "k", "team_id": "`+team+`", "user_id": null}`)
	maker.call(200, "POST", "/v1/api-keys/"+key["id"].(string)+"/rotate", "")
	require.Equal(t, "suspended", maker.call(200, "POST", path+"/suspend", "")["status"])
	maker.call(200, "DELETE", "/v1/teams/"+made["id"].(string), "")
}

func TestAnOverrideSaysWhatTheRoleMeansThere(t *testing.T) { // F074 to F077
	c := newClient(t, memory.New(nil))
	org := c.post("/v1/organizations", `{"name": "Acme"}`)["id"].(string)
	path := "/v1/organizations/" + org
	c.post(path+"/roles", `{"name": "Developer", "permissions": ["models.use", "api_keys.create", "usage.read:own"]}`)
	team := c.post(path+"/teams", `{"name": "Lab"}`)["id"].(string)
	roles := "/v1/teams/" + team + "/roles"
	o := c.post(roles, `{"role": "developer", "permissions_override": {"add": ["usage.read"], "remove": ["api_keys.create", "nothing.held"]}}`)
	require.Equal(t, []any{"models.use", "usage.read", "usage.read:own"}, o["effective_permissions"])
	require.Equal(t, o["id"], c.call(200, "GET", roles, "")["data"].([]any)[0].(object)["id"])
	id, dev := c.user("dev@acme.com", time.Time{})
	c.post(path+"/members", `{"user_id": "`+id+`", "role": "member"}`)
	c.post("/v1/teams/"+team+"/members", `{"user_id": "`+id+`", "role": "developer"}`)
	may := func() any {
		return c.as(dev, "").call(200, "GET", "/v1/users/me/permissions?team_id="+team+"&action=create&resource=api_key:x", "")["allowed"]
	}
	require.Equal(t, false, may())
	c.call(404, "DELETE", roles+"/org_admin", "")
	c.call(200, "DELETE", roles+"/developer", "")
	require.Equal(t, true, may())
	require.Empty(t, c.ids(roles))
}
