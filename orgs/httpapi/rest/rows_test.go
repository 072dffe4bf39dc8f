package rest_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/orgkit/orgkit/billing"
	"github.com/orgkit/orgkit/orgs/gate"
	"github.com/orgkit/orgkit/store"
	"github.com/orgkit/orgkit/store/memory"
	"github.com/orgkit/orgkit/store/storetest"
)

// TestWhatIsMadeCanBeReadWhereItSaysItIs: an id, the times, an entity tag, and a place that answers the same.
func TestWhatIsMadeCanBeReadWhereItSaysItIs(t *testing.T) { // F011, F012, F013, F037, F109
	storetest.Each(t, func(t *testing.T, s *store.Store, clock *storetest.Clock) {
		w := settledOn(t, s)
		for path, made := range map[string]struct{ body, prefix string }{
			"/v1/organizations":                                    {`{"name": "New"}`, "org_"},
			"/v1/organizations/{org}/children":                     {`{"name": "Child"}`, "org_"},
			"/v1/organizations/{org}/roles":                        {`{"name": "New", "permissions": ["teams.read"]}`, "role_"},
			"/v1/organizations/{org}/teams":                        {`{"name": "New"}`, "team_"},
			"/v1/organizations/{org}/projects":                     {`{"name": "New"}`, "proj_"},
			"/v1/organizations/{org}/webhooks":                     {`{"url": "https://hooks.acme.com/"}`, "hook_"},
			"/v1/teams/{team}/invitations":                         {`{"email": "new@acme.com", "role": "member"}`, "inv_"},
			"/v1/teams/{team}/policies":                            {`{"name": "new", "statements": [{"effect": "deny", "actions": ["x.y"], "resources": ["*"]}]}`, "pol_"},
			"/v1/organizations/{org}/policies":                     {`{"name": "new", "statements": [{"effect": "deny", "actions": ["x.y"], "resources": ["*"]}]}`, "pol_"},
			"/v1/api-keys":                                         {`{"name": "new", "team_id": "{team}"}`, "key_"},
			"/v1/keys":                                             {`{"name": "new", "team_id": "{team}"}`, "key_"},
			"/v1/users":                                            {`{"email": "somebody@acme.com"}`, "usr_"},
			"/v1/organizations/{org}/projects/{project}/approvals": {`{"resource": "model:guarded"}`, "apr_"},
		} {
			who := w.client
			if strings.HasSuffix(path, "/approvals") {
				who = w.dev
			}
			r := who.do("POST", w.fill(path), w.fill(made.body))
			require.Equal(t, 201, r.Code, "%s: %s", path, r.Body)
			o := parse(t, r.Body.String())
			require.True(t, strings.HasPrefix(o["id"].(string), made.prefix), "%s: %v", path, o["id"])
			for _, field := range []string{"created_at", "updated_at"} {
				at, err := time.Parse("2006-01-02T15:04:05.000Z", o[field].(string))
				require.NoError(t, err, path)
				require.Equal(t, clock.Now(), at)
			}
			at, err := url.Parse(r.Header().Get("Location"))
			require.NoError(t, err)
			read := who.do("GET", at.Path, "")
			require.Equal(t, 200, read.Code, "%s: %s", at.Path, read.Body)
			again := parse(t, read.Body.String())
			require.Equal(t, o["id"], again["id"], path)
			require.Equal(t, o["etag"], again["etag"], path)
			require.Equal(t, again["etag"], read.Header().Get("ETag"), path)
		}
	})
}

// TestAListInTheQueryIsWrittenInAnyWay: as the seed's client writes it, separated by commas, and with brackets.
func TestAListInTheQueryIsWrittenInAnyWay(t *testing.T) { // F008
	c, org, team, _ := world(t)
	c.call(200, "PATCH", "/v1/teams/"+team, `{"name": "New"}`)
	logs := "/v1/organizations/" + org + "/audit/logs?"
	want := c.ids(logs + "event_types=team.created&event_types=role.created")
	require.Len(t, want, 2)
	require.Equal(t, want, c.ids(logs+"event_types=team.created,role.created"))
	require.Equal(t, want, c.ids(logs+"event_types%5B%5D=team.created&event_types[]=role.created"))
}

// TestABodyIsReadOnDELETE as a client in Python sends it, without a media type too.
func TestABodyIsReadOnDELETE(t *testing.T) { // F007
	storetest.Each(t, func(t *testing.T, s *store.Store, _ *storetest.Clock) {
		c := newClient(t, s)
		org := c.post("/v1/organizations", `{"name": "Acme"}`)["id"].(string)
		id, _ := c.person(org, "bob@acme.com", "member")
		c.call(400, "DELETE", "/v1/organizations/"+org+"/members/"+id, `{"reasons": "x"}`)
		c.call(200, "DELETE", "/v1/organizations/"+org+"/members/"+id, `{"reason": "Team restructuring"}`)
		event := c.call(200, "GET", "/v1/organizations/"+org+"/audit/logs?event_types=member.removed", "")["data"].([]any)[0].(object)
		require.Equal(t, "Team restructuring", event["reason"])
	})
}

// TestThePlatformsKeyDoesEverythingAndIsLogged: each call is one of the platform.
func TestThePlatformsKeyDoesEverythingAndIsLogged(t *testing.T) { // F003
	storetest.Each(t, func(t *testing.T, s *store.Store, _ *storetest.Clock) {
		c := newClient(t, s)
		org := "/v1/organizations/" + c.post("/v1/organizations", body(t, "organization"))["id"].(string)
		c.post(org+"/teams", `{"name": "Lab"}`)
		c.post(org+"/policies", `{"name": "p", "statements": [{"effect": "deny", "actions": ["x.y"], "resources": ["*"]}]}`)
		c.call(200, "PUT", org+"/audit", `{"retention_days": 400}`)
		for _, e := range c.call(200, "GET", org+"/audit/logs", "")["data"].([]any) {
			require.Equal(t, object{"type": "platform", "id": "admin", "label": "platform admin"}, e.(object)["actor"].(object), e)
		}
		require.Equal(t, "invalid_api_key", c.as(adminKey+"x", "").call(401, "GET", org, "")["code"])
	})
}

// TestTextsAreTrimmedBoundAndReturned: names, descriptions and slugs of what the seed makes.
func TestTextsAreTrimmedBoundAndReturned(t *testing.T) { // F017, F019, F079, F080, F081
	storetest.Each(t, func(t *testing.T, s *store.Store, _ *storetest.Clock) {
		c := newClient(t, s)
		org := c.post("/v1/organizations", `{"name": "  Acme Corporation ", "description": "AI"}`)
		require.Equal(t, []any{"Acme Corporation", "acme-corporation", "AI"}, []any{org["name"], org["slug"], org["description"]})
		at := "/v1/organizations/" + org["id"].(string)
		team := c.post(at+"/teams", `{"name": " Data Science ", "slug": "data-science", "description": "models"}`)
		require.Equal(t, []any{"Data Science", "data-science", "models"}, []any{team["name"], team["slug"], team["description"]})
		require.Equal(t, "slug_taken", c.call(409, "POST", at+"/teams", `{"name": "x", "slug": "Data_Science"}`)["code"], "one key, however it is written")
		require.Equal(t, []string{team["id"].(string)}, c.ids(at+"/teams?slug=data_science"))
		require.Equal(t, team["id"], c.call(200, "GET", "/v1/teams/data-science", "")["id"])
		for _, path := range []string{at, "/v1/teams/" + team["id"].(string)} {
			require.Equal(t, "Renamed", c.call(200, "PATCH", path, `{"name": " Renamed "}`)["name"])
			require.Equal(t, "told", c.call(200, "PATCH", path, `{"description": "told"}`)["description"])
			require.Equal(t, "", c.call(200, "PATCH", path, `{"description": null}`)["description"])
			for _, bad := range []string{`{"name": " "}`, `{"name": null}`, `{"name": "` + strings.Repeat("x", 201) + `"}`, `{"description": "` + strings.Repeat("x", 2001) + `"}`} {
				c.call(400, "PATCH", path, bad)
			}
			require.Equal(t, "Renamed", c.call(200, "GET", path, "")["name"])
		}
	})
}

// TestMetadataComesBackAsItWasSent, whatever it is, up to 64 KiB.
func TestMetadataComesBackAsItWasSent(t *testing.T) { // F035
	storetest.Each(t, func(t *testing.T, s *store.Store, _ *storetest.Clock) {
		c := newClient(t, s)
		const free = `{"industry": "technology", "founded": 2020, "deep": {"list": [1, 2.50, null, true, {"a": []}]}, "empty": {}}`
		org := c.post("/v1/organizations", `{"name": "Acme", "metadata": `+free+`}`)
		sent, kept := any(nil), any(nil)
		require.NoError(t, json.Unmarshal([]byte(free), &sent))
		text, err := json.Marshal(c.call(200, "GET", "/v1/organizations/"+org["id"].(string), "")["metadata"])
		require.NoError(t, err)
		require.NoError(t, json.Unmarshal(text, &kept))
		require.Equal(t, sent, kept)
		c.call(400, "PATCH", "/v1/organizations/"+org["id"].(string), `{"metadata": {"long": "`+strings.Repeat("x", 64<<10)+`"}}`)
		c.call(400, "PATCH", "/v1/organizations/"+org["id"].(string), `{"metadata": [1]}`)
	})
}

// TestTheZoneOfAnOrganizationIsThatOfItsMonths: when a budget begins anew, and what today is.
func TestTheZoneOfAnOrganizationIsThatOfItsMonths(t *testing.T) { // F032, F082
	storetest.Each(t, func(t *testing.T, s *store.Store, clock *storetest.Clock) {
		clock.Set(time.Date(2024, 4, 1, 3, 30, 0, 0, time.UTC)) // still March in New York
		c := newClient(t, s)
		org := c.post("/v1/organizations", `{"name": "Acme", "settings": {"defaults": {"timezone": "America/New_York"}}}`)["id"].(string)
		team := c.post("/v1/organizations/"+org+"/teams", `{"name": "Lab", "settings": {"budget": {"monthly_limit": 5000.00}}}`)
		state := team["budget_state"].(object)
		require.Equal(t, []any{"2024-03-01T05:00:00.000Z", "2024-04-01T04:00:00.000Z"}, []any{state["period_start"], state["period_end"]})
		today := c.call(200, "GET", "/v1/organizations/"+org+"/analytics?period=today", "")["period"].(object)
		require.Equal(t, []any{"America/New_York", "2024-03-31T04:00:00.000000Z"}, []any{today["timezone"], today["start"]})
		c.call(400, "PATCH", "/v1/organizations/"+org, `{"settings": {"defaults": {"timezone": "Mars/Olympus"}}}`)
	})
}

// TestATeamIsAskedForModelsByGlobs: all of them, some, none, and what is blocked whatever is allowed.
func TestATeamIsAskedForModelsByGlobs(t *testing.T) { // F078, F091, F092
	storetest.Each(t, func(t *testing.T, s *store.Store, _ *storetest.Clock) {
		c := newClient(t, s)
		org := c.post("/v1/organizations", `{"name": "Acme"}`)["id"].(string)
		for settings, may := range map[string]map[string]bool{
			`{"allowed": ["*"]}`:                             {"gpt-4-32k": true, "dall-e-3": true},
			`{"allowed": ["*"], "blocked": ["dall-e-*"]}`:    {"gpt-4-32k": true, "dall-e-3": false},
			`{"allowed": ["dall-e-3"], "blocked": ["*e-3"]}`: {"gpt-4-32k": false, "dall-e-3": false},
			`{"allowed": ["gpt-*"]}`:                         {"gpt-4-32k": true, "dall-e-3": false},
			`{"allowed": []}`:                                {"gpt-4-32k": false, "dall-e-3": false},
			`{"allowed": null}`:                              {"gpt-4-32k": true, "dall-e-3": true},
		} {
			team := c.post("/v1/organizations/"+org+"/teams", `{"name": "Lab", "settings": {"models": `+settings+`}}`)
			require.Regexp(t, "^team_", team["id"])
			require.Equal(t, "Lab", team["name"])
			secret := c.post("/v1/api-keys", `{"name": "k", "user_id": null, "team_id": "`+team["id"].(string)+`"}`)["key"].(string)
			for model, may := range may {
				adm, err := c.gate.Admit(t.Context(), gate.Call{Secret: secret, Model: model, InputTokens: 1, MaxOutputTokens: 1, Images: 1})
				if !may {
					require.ErrorContains(t, err, "model_not_allowed", "%s %s", settings, model)
					continue
				}
				require.NoError(t, err, "%s %s", settings, model)
				require.NoError(t, adm.Release(t.Context()))
			}
			c.call(200, "DELETE", "/v1/teams/"+team["id"].(string)+"?cascade=true", "")
		}
	})
}

// TestSpendOfAllTeamsIsThatOfTheOrganization, in its analytics and in its budget.
func TestSpendOfAllTeamsIsThatOfTheOrganization(t *testing.T) { // F010
	storetest.Each(t, func(t *testing.T, s *store.Store, _ *storetest.Clock) {
		w := newShop(t, s)
		w.call(200, "PUT", w.at+"/budgets", `{"scope": "org", "limit": 1, "window": "calendar_month", "hard_limit": true}`)
		w.uses(t, w.engKey, "gpt-4-turbo-preview", &billing.Usage{InputTokens: 1000})
		w.uses(t, w.dataKey, "gpt-4-32k", &billing.Usage{InputTokens: 1000})
		m := w.call(200, "GET", w.at+"/analytics?period=today", "")["metrics"].(object)
		require.Equal(t, 0.07, m["total_cost"])
		sum := 0.0
		for _, team := range m["team_usage"].([]any) {
			sum += team.(object)["cost"].(float64)
		}
		require.InDelta(t, 0.07, sum, 1e-9)
		for _, b := range w.call(200, "GET", w.at+"/budgets", "")["data"].([]any) {
			if b := b.(object); b["scope"] == "org" {
				require.Equal(t, 0.07, b["spent"], "%v", b)
			}
		}
	})
}

// TestAnInvitationIsForOneAddressOnce: whoever has its token.
func TestAnInvitationIsForOneAddressOnce(t *testing.T) { // F111, F112, F113, F119, F120, F121
	storetest.Each(t, func(t *testing.T, s *store.Store, _ *storetest.Clock) {
		c := newClient(t, s)
		org := c.post("/v1/organizations", `{"name": "Acme"}`)["id"].(string)
		at := "/v1/organizations/" + org
		c.post(at+"/roles", `{"name": "Developer", "permissions": ["models.use"]}`)
		c.post(at+"/roles", `{"name": "Lead", "permissions": ["members.invite"]}`)
		team := c.post(at+"/teams", `{"name": "Lab"}`)["id"].(string)
		path := "/v1/teams/" + team + "/invitations"
		leadID, lead := c.person(org, "lead@acme.com", "member")
		c.post("/v1/teams/"+team+"/members", `{"user_id": "`+leadID+`", "role": "lead"}`)

		require.Equal(t, "grant_ceiling", lead.call(403, "POST", path, `{"email": "x@acme.com", "role": "developer"}`)["code"], "nobody gives what they have not")
		c.call(400, "POST", path, `{"email": "x@acme.com", "role": "emperor"}`)
		c.call(400, "POST", path, `{"email": "x@", "role": "developer"}`)
		inv := c.post(path, `{"email": "New.Person@Acme.com", "role": "developer"}`)
		require.Equal(t, "pending", inv["status"])
		again := c.call(409, "POST", path, `{"email": "new.person@acme.com", "role": "developer"}`)
		require.Equal(t, []any{"invitation_pending", inv["id"]}, []any{again["code"], again["existing_id"]})

		accept := `{"token": "` + inv["token"].(string) + `", "accept": true}`
		_, stranger := c.user("other@acme.com", time.Time{})
		require.Equal(t, "invitation_email_mismatch", c.as(stranger, "").call(403, "POST", "/v1/invitations/accept", accept)["code"])
		unverified := c.post("/v1/users", `{"email": "new.person@acme.com", "email_verified": false}`)["id"].(string)
		token := c.post("/v1/users/"+unverified+"/tokens", `{"name": "t"}`)["token"].(string)
		require.Equal(t, "invitation_email_mismatch", c.as(token, "").call(403, "POST", "/v1/invitations/accept", accept)["code"], "an address that nobody has proved")
		c.call(200, "PATCH", "/v1/users/"+unverified, `{"email_verified": true}`)
		c.as(token, "").call(404, "POST", "/v1/invitations/accept", `{"token": "ok_inv_unknown", "accept": true}`)

		joined := c.as(token, "").call(200, "POST", "/v1/invitations/accept", accept)
		require.Equal(t, "accepted", joined["status"])
		require.Equal(t, "developer", joined["membership"].(object)["role"])
		require.Equal(t, "member", c.call(200, "GET", at+"/members/"+unverified, "")["role"], "and a plain member of the organization")
		require.Equal(t, "invitation_used", c.as(token, "").call(409, "POST", "/v1/invitations/accept", accept)["code"])
		require.Len(t, c.ids(at+"/audit/logs?event_types=member.joined&resources=user:"+unverified), 1)
	})
}

// TestWithoutAThresholdOnlyTheEndIsTold: no alert of a share, and the event of the limit all the same.
func TestWithoutAThresholdOnlyTheEndIsTold(t *testing.T) { // F084
	storetest.Each(t, func(t *testing.T, s *store.Store, _ *storetest.Clock) {
		c := newClient(t, s)
		org := c.post("/v1/organizations", `{"name": "Acme"}`)["id"].(string)
		for _, bad := range []string{"0", "-0.1", "1.01", "true"} {
			c.call(400, "POST", "/v1/organizations/"+org+"/teams", `{"name": "x", "settings": {"budget": {"monthly_limit": 1, "alert_threshold": `+bad+`}}}`)
		}
		spend := func(settings string) (types []string) {
			org := c.post("/v1/organizations", `{"name": "Acme"}`)["id"].(string)
			team := c.post("/v1/organizations/"+org+"/teams", `{"name": "Lab", "settings": {"budget": `+settings+`}}`)["id"].(string)
			secret := c.post("/v1/api-keys", `{"name": "k", "user_id": null, "team_id": "`+team+`"}`)["key"].(string)
			for range 4 { // 0.06 each
				adm, err := c.gate.Admit(t.Context(), gate.Call{Secret: secret, Model: "gpt-4-32k", InputTokens: 1000, MaxOutputTokens: gate.NoOutput})
				require.NoError(t, err)
				require.NoError(t, adm.Settle(t.Context(), billing.Usage{InputTokens: 1000}))
			}
			c.call(200, "GET", "/v1/teams/"+team, "") // writes what was settled
			for _, e := range c.call(200, "GET", "/v1/organizations/"+org+"/audit/logs?event_types=budget.alert,budget.exceeded&order=asc", "")["data"].([]any) {
				types = append(types, e.(object)["type"].(string))
			}
			return types
		}
		require.Equal(t, []string{"budget.exceeded"}, spend(`{"monthly_limit": 0.20}`))
		require.Equal(t, []string{"budget.alert", "budget.exceeded"}, spend(`{"monthly_limit": 0.20, "alert_threshold": 0.5}`))
	})
}

// TestAnyPrefixAndHostWillDo: a stock client changes the host alone.
func TestAnyPrefixAndHostWillDo(t *testing.T) { // F001
	c := newClient(t, memory.New(nil))
	server := httptest.NewServer(c.handler)
	defer server.Close()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, server.URL+"/v1/organizations", strings.NewReader(body(t, "organization")))
	require.NoError(t, err)
	r.Header.Set("Authorization", "bearer "+adminKey) // in any case (F002)
	r.Header.Set("Content-Type", "application/json")
	res, err := http.DefaultClient.Do(r)
	require.NoError(t, err)
	defer res.Body.Close()
	require.Equal(t, 201, res.StatusCode)
	require.Equal(t, "application/json", res.Header.Get("Content-Type"))
}

// TestThePlatformIsNotBoundByATenantsRules: addresses, second factors and single sign-on are for its people, who are bound.
func TestThePlatformIsNotBoundByATenantsRules(t *testing.T) { // F457
	storetest.Each(t, func(t *testing.T, s *store.Store, _ *storetest.Clock) {
		c := newClient(t, s)
		org := "/v1/organizations/" + c.post("/v1/organizations", body(t, "organization"))["id"].(string) // as the seed has it
		elsewhere := c.as(adminKey, "198.51.100.1")
		team := elsewhere.post(org+"/teams", `{"name": "Lab"}`)["id"].(string)
		elsewhere.call(200, "PATCH", org, `{"settings": {"security": {"ip_allowlist": ["10.0.0.0/8"]}}}`) // which shuts nobody out who is bound
		elsewhere.call(200, "GET", "/v1/teams/"+team, "")
		for _, e := range c.call(200, "GET", org+"/audit/logs?event_types=team.*,organization.*", "")["data"].([]any) {
			require.Equal(t, "platform", e.(object)["actor"].(object)["type"])
		}
		id, ann := c.person(strings.TrimPrefix(org, "/v1/organizations/"), "ann@acme.com", "org_admin")
		require.NotEmpty(t, id)
		require.Equal(t, "ip_denied", c.as(ann.token, "198.51.100.1").call(403, "GET", "/v1/teams/"+team, "")["code"])
		c.as(ann.token, "10.1.2.3").call(200, "GET", "/v1/teams/"+team, "")
		require.Equal(t, "would_lock_out", c.as(ann.token, "10.1.2.3").call(409, "PATCH", org, `{"settings": {"security": {"ip_allowlist": ["192.0.2.0/24"]}}}`)["code"])
	})
}
