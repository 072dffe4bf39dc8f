package rest_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/orgkit/orgkit/orgs"
	"github.com/orgkit/orgkit/orgs/httpapi/rest"
	"github.com/orgkit/orgkit/store/memory"
)

// canary stands in every faulty body: no answer may repeat it.
const canary = "canary-5ecret-value"

// world is a client with one organization, team and user.
func world(t *testing.T) (c *client, org, team, user string) {
	c = newClient(t, memory.New(nil))
	org = c.post("/v1/organizations", `{"name": "Acme"}`)["id"].(string)
	c.post("/v1/organizations/"+org+"/roles", `{"name": "Developer", "permissions": ["models.use"]}`)
	team = c.post("/v1/organizations/"+org+"/teams", `{"name": "Engineering"}`)["id"].(string)
	user, _ = c.user("bob@acme.com", time.Time{})
	return c, org, team, user
}

func TestFaultyBodiesAreRefusedByField(t *testing.T) { // F006
	c, org, team, _ := world(t)
	orgPath := "/v1/organizations/" + org
	teamPath := "/v1/teams/" + team
	for _, b := range []struct{ path, body, field string }{
		{"/v1/organizations", `{"name": "` + canary, "body"},
		{"/v1/organizations", `[]`, "body"},
		{"/v1/organizations", `{}`, "body.name"},
		{"/v1/organizations", `{"name": "  "}`, "body.name"},
		{"/v1/organizations", `{"name": {"` + canary + `": 1}}`, "body.name"},
		{"/v1/organizations", `{"name": "x", "slug": "Not A Slug"}`, "body.slug"},
		{"/v1/organizations", `{"name": "x", "slug": "admin"}`, "body.slug"},
		{"/v1/organizations", `{"name": "x", "metadata": "` + canary + `"}`, "body.metadata"},
		{"/v1/organizations", `{"name": "x", "settings": {"billing": {"type": "` + canary + `"}}}`, "body.settings.billing.type"},
		{"/v1/organizations", `{"name": "x", "settings": {"billing": {"typo": "` + canary + `"}}}`, "body.settings.billing.typo"},
		{"/v1/organizations", `{"name": "x", "settings": {"billing": {"billing_email": "` + canary + `"}}}`, "body.settings.billing.billing_email"},
		{"/v1/organizations", `{"name": "x", "settings": {"security": {"ip_allowlist": ["10.0.0.0/8", "` + canary + `"]}}}`, "body.settings.security.ip_allowlist[1]"},
		{"/v1/organizations", `{"name": "x", "settings": {"security": {"session_timeout_minutes": 1}}}`, "body.settings.security.session_timeout_minutes"},
		{"/v1/organizations", `{"name": "x", "settings": {"defaults": {"timezone": "` + canary + `"}}}`, "body.settings.defaults.timezone"},
		{"/v1/organizations", `{"name": "x", "settings": {"defaults": {"date_format": "` + canary + `"}}}`, "body.settings.defaults.date_format"},
		{orgPath + "/roles", `{"name": "x"}`, "body.permissions"},
		{orgPath + "/roles", `{"name": "x", "permissions": ["teams.read", "bill*"]}`, "body.permissions[1]"},
		{orgPath + "/roles", `{"name": "x", "permissions": "` + canary + `"}`, "body.permissions"},
		{orgPath + "/teams", `{"name": "x", "settings": {"budget": {"monthly_limit": -1}}}`, "body.settings.budget.monthly_limit"},
		{orgPath + "/teams", `{"name": "x", "settings": {"models": {"rate_limits": {"gpt-4": {"tokens_per_hour": -1}}}}}`, "body.settings.models.rate_limits.gpt-4.tokens_per_hour"},
		{orgPath + "/teams", `{"name": "x", "settings": {"models": {"rate_limits": {"gpt-4": {"requests_per_day": 1000000000000001}}}}}`, "body.settings.models.rate_limits.gpt-4.requests_per_day"},
		{orgPath + "/teams", `{"name": "x", "settings": {"resources": {"max_parallel_requests": 0}}}`, "body.settings.resources.max_parallel_requests"},
		{orgPath + "/teams", `{"name": "x", "settings": {"budget": {"monthly_limit": "NaN"}}}`, "body.settings.budget.monthly_limit"},
		{orgPath + "/teams", `{"name": "x", "settings": {"budget": {"monthly_limit": 1e30}}}`, "body.settings.budget.monthly_limit"},
		{orgPath + "/teams", `{"name": "x", "settings": {"budget": {"monthly_limit": "1e1000000000"}}}`, "body.settings.budget.monthly_limit"},
		{orgPath + "/teams", `{"name": "x", "settings": {"budget": {"monthly_limit": true}}}`, "body.settings.budget.monthly_limit"},
		{orgPath + "/teams", `{"name": "x", "settings": {"budget": {"alert_threshold": 1.5}}}`, "body.settings.budget.alert_threshold"},
		{orgPath + "/teams", `{"name": "x", "settings": {"budget": {"hard_limit": "` + canary + `"}}}`, "body.settings.budget.hard_limit"},
		{orgPath + "/teams", `{"name": "x", "settings": {"models": {"allowed": [""]}}}`, "body.settings.models.allowed[0]"},
		{orgPath + "/teams", `{"name": "x", "settings": {"notifications": {"usage_alerts": ["` + canary + `@"]}}}`, "body.settings.notifications.usage_alerts[0]"},
		{orgPath + "/teams", `{"name": "x", "settings": {"resources": {"max_parallel_requests": 0}}}`, "body.settings.resources.max_parallel_requests"},
		{orgPath + "/teams", `{"name": "x", "settings": {"billing": {"billing_email": "` + canary + `"}}}`, "body.settings.billing.billing_email"},
		{orgPath + "/teams", `{"name": "x", "settings": {"billing": {"payment_method_id": "` + canary + `"}}}`, "body.settings.billing.payment_method_id"},
		{"/v1/organizations", `{"name": "x", "settings": {"billing": {"tax_id": "a` + strings.Repeat("0", 300) + `"}}}`, "body.settings.billing.tax_id"},
		{teamPath + "/roles", `{"role": "` + canary + `", "permissions_override": {}}`, "body.role"},
		{teamPath + "/roles", `{"role": "developer"}`, "body.permissions_override"},
		{teamPath + "/roles", `{"role": "developer", "permissions_override": {"add": ["a..b"]}}`, "body.permissions_override.add[0]"},
		{teamPath + "/invitations", `{"email": "` + canary + `", "role": "developer"}`, "body.email"},
		{teamPath + "/invitations", `{"email": "a@b.example", "role": "` + canary + `"}`, "body.role"},
		{teamPath + "/invitations", `{"email": "a@b.example", "role": "developer", "expires_in_days": 91}`, "body.expires_in_days"},
		{teamPath + "/policies", `{"name": "x", "statements": []}`, "body.statements"},
		{teamPath + "/policies", `{"name": "x", "statements": [{"effect": "perhaps", "actions": ["a.b"], "resources": ["*"]}]}`, "body.statements[0].effect"},
		{teamPath + "/policies", `{"name": "x", "statements": [{"effect": "allow", "actions": ["a.b"], "resources": ["*"], "conditions": {"weather": "` + canary + `"}}]}`, "body.statements[0].conditions.weather"},
		{teamPath + "/policies", `{"name": "x", "statements": [{"effect": "allow", "actions": ["a.b"], "resources": ["*"], "conditions": {"ip_address": {"type": "ip_in_range", "value": "` + canary + `"}}}]}`, "body.statements[0].conditions.ip_address.value"},
		{teamPath + "/policies", `{"name": "x", "statements": [{"effect": "allow", "actions": ["a.b"], "resources": ["*"], "conditions": {"cost_limit": {"type": "per_request", "max_amount": 1e99}}}]}`, "body.statements[0].conditions.cost_limit.max_amount"},
		{"/v1/api-keys", `{"name": "", "team_id": "` + team + `"}`, "body.name"},
		{"/v1/api-keys", `{"name": "x", "team_id": "` + team + `", "additional_restrictions": {"allowed_ips": ["` + canary + `"]}}`, "body.additional_restrictions.allowed_ips[0]"},
		{"/v1/api-keys", `{"name": "x", "team_id": "` + team + `", "expires_at": "2001-01-01T00:00:00Z"}`, "body.expires_at"},
		{"/v1/api-keys", `{"name": "x", "team_id": "` + team + `", "secret": "` + canary + `"}`, "body.secret"},
		{"/v1/users", `{"email": "nobody"}`, "body.email"},
		{"/v1/users/bob@acme.com/tokens", `{"name": "x", "expires_in_days": 1000}`, "body.expires_in_days"},
		{"/v1/users/bob@acme.com/tokens", `{"name": "x", "mfa_verified_at": "2999-01-01T00:00:00Z"}`, "body.mfa_verified_at"},
		{"/v1/invitations/accept", `{"accept": true}`, "body.token"},
	} {
		w := c.do("POST", b.path, b.body)
		require.Equal(t, 400, w.Code, "%s %s: %s", b.path, b.body, w.Body)
		var p struct {
			Code   string
			Errors []struct{ Location, Code, Message string }
		}
		require.NoError(t, json.Unmarshal(w.Body.Bytes(), &p))
		require.Equal(t, "invalid_request", p.Code)
		require.NotEmpty(t, p.Errors, w.Body)
		require.Equal(t, b.field, p.Errors[0].Location, "%s: %s", b.body, w.Body)
		require.NotContains(t, w.Body.String(), canary)
		require.NotContains(t, w.Body.String(), "1e1000000000")
	}
	require.Len(t, c.call(200, "GET", "/v1/organizations", "")["data"], 1, "nothing was stored")
	require.Len(t, c.call(200, "GET", orgPath+"/teams", "")["data"], 1)
	require.Len(t, c.call(200, "GET", teamPath+"/policies", "")["data"], 0)
}

func TestFaultyQueriesAreRefused(t *testing.T) {
	c, org, _, user := world(t)
	logs := "/v1/organizations/" + org + "/audit/logs"
	for _, path := range []string{
		"/v1/organizations?limit=0", "/v1/organizations?limit=201", "/v1/organizations?limit=x", "/v1/organizations?after=" + canary,
		"/v1/organizations?nmae=" + canary, logs + "?start_time=yesterday", logs + "?event_types=x;y", logs + "?actors=" + canary,
		logs + "?start_time=2024-02-01T00:00:00Z&end_time=2024-01-01T00:00:00Z", logs + "?outcome=good", logs + "?order=up",
		"/v1/users/" + user + "/permissions?organization_id=" + org + "&action=use", "/v1/users/" + user + "/permissions?organization_id=" + org + "&resource=model:x",
		"/v1/users/" + user + "/permissions?action=use&resource=model:x", "/v1/users/" + user + "/permissions?organization_id=" + org + "&action=use&resource=model:x&ip=" + canary,
		"/v1/users/" + user + "/permissions?organization_id=" + org + "&action=use&resource=model:x&cost=-1", "/v1/api-keys",
	} {
		w := c.do("GET", path, "")
		require.Equal(t, 400, w.Code, "%s: %s", path, w.Body)
		require.NotContains(t, w.Body.String(), canary)
	}
}

func TestWrongRequestsHaveTheirStatus(t *testing.T) { // F014: client.call holds every error against the form of both
	c, _, team, _ := world(t)
	require.Equal(t, "payload_too_large", c.call(413, "POST", "/v1/organizations", `{"name": "`+strings.Repeat("x", rest.MaxBody)+`"}`)["code"])
	r := httptest.NewRequest("POST", "/v1/organizations", strings.NewReader("name=x"))
	r.Header.Set("Authorization", "Bearer "+adminKey)
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	w := httptest.NewRecorder()
	c.handler.ServeHTTP(w, r)
	require.Equal(t, 415, w.Code)
	require.Equal(t, "not_found", c.call(404, "GET", "/v1/nothing", "")["code"])
	w = c.do("PUT", "/v1/organizations", "")
	require.Equal(t, 405, w.Code)
	require.Contains(t, w.Header().Get("Allow"), "POST")
	require.Equal(t, 200, c.do("HEAD", "/v1/teams/"+team, "").Code)
	require.Equal(t, "not_found", c.call(404, "GET", "/v1/teams/team_01hr00000000000000000000xx", "")["code"])
}

// operations are the method and path of every operation, from the description of the API itself.
func operations(t *testing.T, c *client) (ops [][2]string) {
	w := c.as("", "").do("GET", "/openapi.json", "")
	require.Equal(t, 200, w.Code)
	var doc struct{ Paths map[string]map[string]any }
	require.NoError(t, json.Unmarshal(w.Body.Bytes(), &doc))
	for path, methods := range doc.Paths {
		for method := range methods {
			ops = append(ops, [2]string{strings.ToUpper(method), path})
		}
	}
	require.Greater(t, len(ops), 30)
	return ops
}

func TestEveryOperationNeedsACredential(t *testing.T) {
	c, _, _, _ := world(t)
	for _, op := range operations(t, c) {
		require.Equal(t, "missing_api_key", c.as("", "").call(401, op[0], op[1], "")["code"], op)
		require.Equal(t, "invalid_api_key", c.as("ok_pat_"+canary, "").call(401, op[0], op[1], "")["code"], op)
	}
	w := c.as("", "").do("GET", "/v1/organizations", "")
	require.Equal(t, "Bearer", w.Header().Get("WWW-Authenticate"))
}

func TestAnotherTenantDoesNotExist(t *testing.T) { // S1, F009
	c, org, team, user := world(t)
	policy := c.post("/v1/teams/"+team+"/policies", `{"name": "p", "statements": [{"effect": "deny", "actions": ["x.y"], "resources": ["*"]}]}`)["id"].(string)
	invitation := c.post("/v1/teams/"+team+"/invitations", `{"email": "carol@acme.com", "role": "developer"}`)["id"].(string)
	key := c.post("/v1/api-keys", `{"name": "k", "team_id": "`+team+`"}`)["id"].(string)

	project := c.post("/v1/organizations/"+org+"/projects", `{"name": "Apollo"}`)["id"].(string)
	c.call(200, "PATCH", "/v1/teams/"+team, `{"settings": {"models": {"require_approval": ["gated"]}}}`)
	_, dev := c.person(org, "dev@acme.com", "developer")
	approval := dev.post("/v1/teams/"+team+"/approvals", `{"resource": "model:gated"}`)["id"].(string)

	destination := destination(c.call(200, "PUT", "/v1/organizations/"+org+"/audit", `{"export_destinations": [{"type": "s3", "bucket": "acme-audit-logs"}]}`), 0)["id"].(string)

	// The stranger owns an organization of their own.
	stranger, token := c.user("mallory@evil.example", time.Time{})
	c.post("/v1/organizations", `{"name": "Evil", "owner": {"user_id": "`+stranger+`"}}`)
	m := c.as(token, "")
	webhook := c.post("/v1/organizations/"+org+"/webhooks", `{"url": "https://hooks.acme.com/"}`)["id"].(string)
	budget := c.call(200, "PUT", "/v1/organizations/"+org+"/budgets", `{"scope": "org", "limit": 5}`)["id"].(string)
	raise := dev.post("/v1/organizations/"+org+"/budgets/"+budget+"/raises", `{"amount": 5}`)["id"].(string)
	limit := c.call(200, "PUT", "/v1/organizations/"+org+"/limits", `{"scope": "org", "requests_per_day": 5}`)["id"].(string)
	provider := c.post("/v1/organizations/"+org+"/provisioning/tokens", `{"name": "t"}`)["id"].(string)
	invoice := draft(t, c.manager.Store(), org)
	ours := strings.NewReplacer("{invoice}", invoice, "{scim_token}", provider, "{raise}", raise, "{limit}", limit, "{budget}", budget, "{org}", org, "{team}", team, "{user}", user, "{policy}", policy, "{invitation}", invitation, "{key}", key,
		"{role}", "org_admin", "{token}", "tok_1", "{approval}", approval, "{project}", project, "{sequence}", "0", "{webhook}", webhook, "{failure}", "job_1", "{destination}", destination)
	theirs := strings.NewReplacer("{invoice}", invoice, "{scim_token}", provider, "{raise}", raise, "{limit}", limit, "{budget}", budget, "{org}", "org_01hr00000000000000000000xx", "{team}", "team_01hr00000000000000000000xx", "{user}", "usr_01hr00000000000000000000xx",
		"{policy}", policy, "{invitation}", invitation, "{key}", "key_01hr00000000000000000000xx", "{role}", "org_admin", "{token}", "tok_1", "{approval}", "apr_1", "{project}", "proj_01hr00000000000000000000xx", "{sequence}", "0", "{webhook}", webhook, "{failure}", "job_1", "{destination}", destination)
	for _, op := range operations(t, c) {
		if !strings.Contains(op[1], "{") {
			continue
		}
		query := ""
		if strings.HasSuffix(op[1], "/permissions") {
			query = "?action=use&resource=model:x&organization_id=" + org
		} else if strings.HasSuffix(op[1], "/can") {
			query = "?resource=model:x&organization_id=" + org
		} else if strings.HasSuffix(op[1], "/consistency") {
			query = "?from=1&to=2"
		}
		require.NotContains(t, ours.Replace(op[1]), "{", "what is there is asked for")
		foreign := m.call(404, op[0], ours.Replace(op[1])+query, "")
		unknown := m.call(404, op[0], theirs.Replace(op[1])+strings.ReplaceAll(query, org, "org_01hr00000000000000000000xx"), "")
		delete(foreign, "request_id")
		delete(unknown, "request_id")
		require.Equal(t, unknown, foreign, op)
	}
	for _, body := range []string{`{"name": "k", "team_id": "` + team + `"}`, `{"name": "k", "organization_id": "` + org + `"}`} {
		require.Equal(t, "not_found", m.call(404, "POST", "/v1/api-keys", body)["code"])
	}
	m.call(404, "GET", "/v1/api-keys?team_id="+team, "")
	list := m.call(200, "GET", "/v1/organizations", "")["data"].([]any)
	require.Len(t, list, 1)
	require.Equal(t, "Evil", list[0].(object)["name"])
}

func TestHandlerWorksUnderAnyPrefix(t *testing.T) {
	m, err := orgs.New(memory.New(nil), nil)
	require.NoError(t, err)
	direct, err := rest.New(m, &rest.Options{AdminKey: adminKey, Prefix: "/ai/gateway", PublicURL: "https://api.example.com"})
	require.NoError(t, err)
	c := &client{t: t, handler: direct, token: adminKey, prefix: "/ai/gateway"}
	w := c.do("POST", "/v1/organizations", `{"name": "One"}`)
	require.Equal(t, 201, w.Code, w.Body)
	require.Regexp(t, "^https://api.example.com/ai/gateway/v1/organizations/org_", w.Header().Get("Location"))
	require.Equal(t, 200, c.as("", "").do("GET", "/openapi.yaml", "").Code)

	plain, err := rest.New(m, &rest.Options{AdminKey: adminKey})
	require.NoError(t, err)
	stripped := &client{t: t, handler: http.StripPrefix("/x", plain), token: adminKey, prefix: "/x"}
	require.Len(t, stripped.call(200, "GET", "/v1/organizations", "")["data"], 1)

	for _, prefix := range []string{"ai", "/ai/", "/"} {
		_, err := rest.New(m, &rest.Options{Prefix: prefix})
		require.Error(t, err, prefix)
	}
}
