package rest_test

import (
	"encoding/json"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/orgkit/orgkit/audit"
	"github.com/orgkit/orgkit/store"
	"github.com/orgkit/orgkit/store/storetest"
)

// done is how a mutating operation is called so that it succeeds in a [settled] world.
type done struct {
	body   string
	query  string
	first  [][3]string // what the platform has called before: method, path, body
	as     string      // dev, owner or invitee; the platform
	events int         // 0 is one
	open   bool        // the guest may as well: the policy lets everybody ask
}

// doings are the operations of the description that change something. In paths and bodies, {names} stand for ids.
var doings = map[string]done{
	"POST /v1/organizations":                                {body: `{"name": "New"}`},
	"PATCH /v1/organizations/{org}":                         {body: `{"name": "New"}`},
	"DELETE /v1/organizations/{org}":                        {query: "?cascade=true"},
	"POST /v1/organizations/{org}/children":                 {body: `{"name": "New"}`},
	"POST /v1/organizations/{org}/move":                     {body: `{"parent_id": "{above}"}`},
	"POST /v1/organizations/{org}/suspend":                  {},
	"POST /v1/organizations/{org}/resume":                   {first: [][3]string{{"POST", "/v1/organizations/{org}/suspend", "{}"}}},
	"POST /v1/organizations/{org}/restore":                  {first: [][3]string{{"DELETE", "/v1/organizations/{org}?cascade=true", ""}}},
	"POST /v1/organizations/{org}/transfer":                 {body: `{"to": "{user}"}`},
	"POST /v1/organizations/{org}/audit/erasures":           {body: `{"user_id": "{user}"}`},
	"PUT /v1/organizations/{org}/audit":                     {body: `{"retention_days": 400}`},
	"PATCH /v1/organizations/{org}/audit":                   {body: `{"retention_days": 400}`},
	"PUT /v1/organizations/{org}/billing":                   {body: `{"payment_methods": [{"type": "credit_card", "is_default": true, "details": {"stripe_payment_method_id": "pm_1234567890"}}]}`},
	"PUT /v1/organizations/{org}/budgets":                   {body: `{"scope": "team", "scope_id": "{team}", "limit": 5}`},
	"DELETE /v1/organizations/{org}/budgets/{budget}":       {},
	"POST /v1/organizations/{org}/budgets/{budget}/suspend": {},
	"POST /v1/organizations/{org}/budgets/{budget}/resume":  {first: [][3]string{{"POST", "/v1/organizations/{org}/budgets/{budget}/suspend", ""}}},
	"POST /v1/teams/{team}/resume":                          {first: [][3]string{{"POST", "/v1/organizations/{org}/budgets/{budget}/suspend", ""}}},
	"PUT /v1/organizations/{org}/limits":                    {body: `{"scope": "team", "scope_id": "{team}", "requests_per_day": 5}`},
	"DELETE /v1/organizations/{org}/limits/{limit}":         {},
	"POST /v1/organizations/{org}/usage":                    {body: `[]`},
	"POST /v1/organizations/{org}/webhooks":                 {body: `{"url": "https://hooks.acme.com/new"}`},
	"PATCH /v1/organizations/{org}/webhooks/{webhook}":      {body: `{"description": "new"}`},
	"DELETE /v1/organizations/{org}/webhooks/{webhook}":     {},
	"POST /v1/organizations/{org}/roles":                    {body: `{"name": "New", "permissions": ["teams.read"]}`},
	"PATCH /v1/organizations/{org}/roles/{role}":            {body: `{"name": "New"}`},
	"DELETE /v1/organizations/{org}/roles/{role}":           {},
	"POST /v1/organizations/{org}/teams":                    {body: `{"name": "New"}`},
	"PATCH /v1/teams/{team}":                                {body: `{"name": "New"}`},
	"POST /v1/teams/{team}/archive":                         {},
	"POST /v1/teams/{team}/unarchive":                       {first: [][3]string{{"POST", "/v1/teams/{team}/archive", ""}}},
	"DELETE /v1/teams/{team}":                               {query: "?cascade=true", events: 2}, // and the request for a raise that goes with it
	"POST /v1/teams/{team}/roles":                           {body: `{"role": "developer", "permissions_override": {"add": ["usage.read"]}}`},
	"DELETE /v1/teams/{team}/roles/{role}":                  {first: [][3]string{{"POST", "/v1/teams/{team}/roles", `{"role": "{role}", "permissions_override": {"add": ["usage.read"]}}`}}},
	"POST /v1/organizations/{org}/projects":                 {body: `{"name": "New"}`},
	"PATCH /v1/organizations/{org}/projects/{project}":      {body: `{"name": "New"}`},
	"DELETE /v1/organizations/{org}/projects/{project}":     {query: "?cascade=true"},
	"POST /v1/api-keys":                                     {body: `{"name": "new", "team_id": "{team}"}`},
	"POST /v1/api-keys/bulk":                                {body: `{"items": [{"name": "a", "team_id": "{team}"}, {"name": "b", "team_id": "{team}"}]}`, events: 2},
	"POST /v1/keys":                                         {body: `{"name": "new", "team_id": "{team}"}`},
	"DELETE /v1/keys/{key}":                                 {},
	"PATCH /v1/api-keys/{key}":                              {body: `{"name": "new"}`},
	"POST /v1/api-keys/{key}/disable":                       {},
	"POST /v1/api-keys/{key}/enable":                        {first: [][3]string{{"POST", "/v1/api-keys/{key}/disable", ""}}},
	"POST /v1/api-keys/{key}/rotate":                        {},
	"DELETE /v1/api-keys/{key}":                             {},
	"POST /v1/approvals/{approval}/decision":                {body: `{"decision": "approve"}`, as: "owner"},
	"DELETE /v1/approvals/{approval}":                       {},
	"POST /v1/invitations/accept":                           {body: `{"token": "{mail}", "accept": true}`, as: "invitee"},
	"POST /v1/users":                                        {body: `{"email": "new@acme.com"}`},
	"PATCH /v1/users/{user}":                                {body: `{"name": "New"}`},
	"DELETE /v1/users/{user}":                               {events: 2}, // and the membership that ends
	"POST /v1/users/{user}/tokens":                          {body: `{"name": "new"}`},
	"DELETE /v1/users/{user}/tokens/{token}":                {},
}

func init() {
	doings["POST /v1/organizations/{org}/webhooks/{webhook}/rotate"] = done{}
	doings["POST /v1/organizations/{org}/webhooks/{webhook}/test"] = done{}
	const invoice = "/v1/organizations/{org}/invoices/{invoice}"
	doings["POST "+invoice+"/finalize"] = done{body: `{"purchase_order": "PO-1"}`}
	doings["POST "+invoice+"/void"] = done{body: `{"reason": "a mistake"}`}
	doings["POST "+invoice+"/mark-paid"] = done{body: `{"reference": "transfer 7"}`, first: [][3]string{{"POST", invoice + "/finalize", "{}"}}}
	doings["PUT /v1/organizations/{org}/provisioning"] = done{body: `{"scim_enabled": true, "role_mapping": {"Engineering": "member"}}`}
	doings["PUT /v1/organizations/{org}/provisioning/verified-domains"] = done{body: `{"verified_domains": ["acme.com"]}`}
	doings["PUT /v1/organizations/{org}/sso"] = done{body: `{"provider": "okta", "enabled": false, "settings": {"role_mapping": {"Engineering": "member"}}}`}
	doings["PATCH /v1/organizations/{org}/sso"] = done{body: `{"settings": {"role_mapping": {"Engineering": "member"}}}`}
	doings["DELETE /v1/organizations/{org}/sso"] = done{}
	doings["POST /v1/organizations/{org}/provisioning/tokens"] = done{body: `{"name": "new"}`}
	doings["DELETE /v1/organizations/{org}/provisioning/tokens/{scim_token}"] = done{}
	doings["POST /v1/organizations/{org}/webhooks/{webhook}/failures/{failure}/retry"] = done{}
	doings["POST /v1/organizations/{org}/audit/destinations/{destination}/retry"] = done{}
	for _, at := range []string{"/v1/teams/{team}/budget", "/v1/organizations/{org}/budgets/{budget}"} {
		doings["POST "+at+"/raises"] = done{body: `{"amount": 5}`, as: "dev"}
		doings["POST "+at+"/raises/{raise}/decision"] = done{body: `{"decision": "approve"}`, as: "owner"}
	}
	const policy = `{"name": "new", "statements": [{"effect": "deny", "actions": ["x.y"], "resources": ["*"]}]}`
	for _, at := range []string{"/v1/organizations/{org}", "/v1/teams/{team}"} {
		doings["POST "+at+"/policies"] = done{body: policy}
		doings["PUT "+at+"/policies/{policy}"] = done{body: policy}
		doings["PATCH "+at+"/policies/{policy}"] = done{body: `{"name": "new"}`}
		doings["DELETE "+at+"/policies/{policy}"] = done{}
	}
	for _, at := range []string{"/v1/organizations/{org}", "/v1/teams/{team}", "/v1/organizations/{org}/projects/{project}"} {
		joins := "{coming}"
		if at != "/v1/organizations/{org}" {
			joins = "{other}"
		}
		doings["POST "+at+"/approvals"] = done{body: `{"resource": "model:guarded"}`, as: "dev", open: true}
		doings["POST "+at+"/invitations"] = done{body: `{"email": "a@new.com", "role": "member"}`}
		doings["POST "+at+"/invitations/bulk"] = done{body: `{"items": [{"email": "a@new.com", "role": "member"}, {"email": "b@new.com", "role": "member"}]}`, events: 2}
		doings["POST "+at+"/invitations/{invitation}/resend"] = done{}
		doings["DELETE "+at+"/invitations/{invitation}"] = done{}
		doings["POST "+at+"/members"] = done{body: `{"user_id": "` + joins + `", "role": "member"}`}
		doings["POST "+at+"/members/bulk"] = done{body: `{"items": [{"user_id": "` + joins + `", "role": "member"}]}`}
		doings["PATCH "+at+"/members/{user}"] = done{body: `{"role": "developer"}`}
		doings["DELETE "+at+"/members/{user}"] = done{}
	}
}

// settled is a world in which every name of a path stands for something.
type settled struct {
	*client
	dev, owner, invitee, guest *client
	ids                        map[string]string
}

func newSettled(t *testing.T) *settled {
	return settledOn(t, storetest.Open(t, "memory", store.Options{}))
}

func settledOn(t *testing.T, s *store.Store) *settled { return settledBy(newClient(t, s), s) }

// settledBy is the world that a program makes.
func settledBy(c *client, s *store.Store) *settled {
	t, w := c.t, &settled{client: c, ids: map[string]string{}}
	made := func(name, path, body string) {
		o := w.post(w.fill(path), w.fill(body))
		w.ids[name] = o["id"].(string)
		if token, has := o["token"].(string); has {
			w.ids[name+" token"] = token
		}
	}
	made("above", "/v1/organizations", `{"name": "Above"}`)
	made("org", "/v1/organizations", `{"name": "Acme"}`)
	made("role", "/v1/organizations/{org}/roles", `{"name": "Unheld", "permissions": ["teams.read"]}`)
	made("role developer", "/v1/organizations/{org}/roles", `{"name": "Developer", "permissions": ["models.use"]}`)
	made("role guest", "/v1/organizations/{org}/roles", `{"name": "Guest", "permissions": []}`)
	made("team", "/v1/organizations/{org}/teams", `{"name": "Lab"}`)
	made("project", "/v1/organizations/{org}/projects", `{"name": "Apollo"}`)
	_, w.guest = w.person(w.ids["org"], "guest@acme.com", "guest")
	w.ids["dev"], w.dev = w.person(w.ids["org"], "dev@acme.com", "developer")
	_, w.owner = w.person(w.ids["org"], "owner@acme.com", "org_admin")
	w.ids["other"], _ = w.person(w.ids["org"], "other@acme.com", "member")
	w.ids["coming"], _ = w.user("coming@acme.com", time.Time{})
	w.ids["user"], _ = w.person(w.ids["org"], "user@acme.com", "member")
	made("policy org", "/v1/organizations/{org}/policies", `{"name": "p", "statements": [{"effect": "allow", "actions": ["models.use"], "resources": ["model:guarded", "model:asked"], "conditions": {"approval": {"type": "required"}}}]}`)
	made("policy team", "/v1/teams/{team}/policies", `{"name": "p", "statements": [{"effect": "deny", "actions": ["x.y"], "resources": ["*"]}]}`)
	made("key", "/v1/api-keys", `{"name": "k", "team_id": "{team}"}`)
	made("token", "/v1/users/{user}/tokens", `{"name": "t"}`)
	for name, at := range map[string]string{"org": "/v1/organizations/{org}", "team": "/v1/teams/{team}", "project": "/v1/organizations/{org}/projects/{project}"} {
		made("invitation "+name, at+"/invitations", `{"email": "`+name+`@invited.com", "role": "member"}`)
		if name != "org" {
			for _, who := range []string{"user", "dev"} {
				w.post(w.fill(at)+"/members", w.fill(`{"user_id": "{`+who+`}", "role": "member"}`))
			}
		}
	}
	_, token := w.user("org@invited.com", time.Time{})
	w.call(200, "PATCH", "/v1/users/org@invited.com", `{"email_verified": true}`)
	w.invitee, w.ids["mail"] = w.as(token, ""), w.ids["invitation org token"]
	w.ids["approval"] = w.dev.post("/v1/organizations/"+w.ids["org"]+"/approvals", `{"resource": "model:asked"}`)["id"].(string)
	w.ids["budget"] = w.call(200, "PUT", "/v1/organizations/"+w.ids["org"]+"/budgets", w.fill(`{"scope": "team", "scope_id": "{team}", "limit": 100}`))["id"].(string)
	asker, asks := w.person(w.ids["org"], "asker@acme.com", "member")
	w.post("/v1/teams/"+w.ids["team"]+"/members", `{"user_id": "`+asker+`", "role": "member"}`)
	w.ids["raise"] = asks.post("/v1/teams/"+w.ids["team"]+"/budget/raises", `{"amount": 5}`)["id"].(string)
	w.ids["limit"] = w.call(200, "PUT", "/v1/organizations/"+w.ids["org"]+"/limits", `{"scope": "org", "requests_per_minute": 100}`)["id"].(string)
	made("scim_token", "/v1/organizations/{org}/provisioning/tokens", `{"name": "t"}`)
	w.call(200, "PUT", "/v1/organizations/"+w.ids["org"]+"/sso", `{"provider": "okta", "enabled": false}`)
	w.ids["invoice"] = draft(t, s, w.ids["org"])
	made("webhook", "/v1/organizations/{org}/webhooks", `{"url": "https://hooks.acme.com/"}`)
	w.ids["failure"], _ = undelivered(t, s, w.ids["org"], w.ids["webhook"])
	config := w.call(200, "PUT", "/v1/organizations/"+w.ids["org"]+"/audit", `{"export_destinations": [{"type": "siem", "endpoint": "https://siem.acme.com/"}]}`)
	w.ids["destination"] = config["export_destinations"].([]any)[0].(object)["id"].(string)
	return w
}

// fill puts ids for names. Of policies and invitations it is that of the place.
func (w *settled) fill(text string) string {
	place := "org"
	switch {
	case strings.Contains(text, "{team}"):
		place = "team"
	case strings.Contains(text, "{project}"):
		place = "project"
	}
	for name, id := range w.ids {
		text = strings.ReplaceAll(text, "{"+name+"}", id)
	}
	return strings.NewReplacer("{policy}", w.ids["policy "+place], "{invitation}", w.ids["invitation "+place], "{sequence}", "0").Replace(text)
}

// events are those of all organizations and of the platform, by their ids.
func (w *settled) events() map[string]audit.Event {
	all := []string{""}
	for _, status := range []string{"", "?status=deleted"} {
		all = append(all, w.client.ids("/v1/organizations"+status)...)
	}
	found := map[string]audit.Event{}
	for f := (audit.Filter{Limit: audit.MaxPage}); ; {
		page, err := w.audit.ListOf(w.t.Context(), all, f)
		require.NoError(w.t, err)
		for _, e := range page.Items {
			found[e.ID] = e
		}
		if f.After = page.Next; f.After == "" {
			return found
		}
	}
}

// leaves are the events that a call leaves.
func (w *settled) leaves(call func()) (list []audit.Event) {
	before := w.events()
	call()
	after := w.events()
	maps.DeleteFunc(after, func(id string, _ audit.Event) bool { _, old := before[id]; return old })
	return slices.Collect(maps.Values(after))
}

// queryOf is what a reading operation cannot do without.
func queryOf(path string) string {
	for end, query := range map[string]string{"/who-can": "?action=models.use&resource=model:x", "/can": "?resource=model:x&organization_id={org}",
		"/permissions": "?action=use&resource=model:x&organization_id={org}", "/consistency": "?from=1&to=2", "/api-keys": "?organization_id={org}", "/v1/keys": "?organization_id={org}", "/usage/current": "?organization_id={org}", "/credits": "?organization_id={org}", "/analytics": "?period=today"} {
		if strings.HasSuffix(path, end) {
			return query
		}
	}
	return ""
}

// TestEveryOperationLeavesItsEvent: what the description says changes something leaves exactly one event for each thing
// that it has changed, in whichever log, or the event of its refusal. Reading leaves none but where the log is read.
func TestEveryOperationLeavesItsEvent(t *testing.T) { // audit goal 4
	told := []string{"/audit/logs", "/audit/descendants/logs", "/proof", "/counts", "/access_log", "/analytics", "/usage/current", "/cost_centers"} // of which the reading is an event
	endsWith := func(path string, ends []string) bool {
		return slices.ContainsFunc(ends, func(end string) bool { return strings.HasSuffix(path, end) })
	}
	reading, known := newSettled(t), map[string]bool{}
	for _, op := range operations(t, reading.client) {
		method, path := op[0], op[1]
		if method == "GET" {
			query := queryOf(path)
			left := reading.leaves(func() {
				r := reading.do("GET", reading.fill(path)+reading.fill(query), "")
				require.Equal(t, 200, r.Code, "%s: %s", path, r.Body)
			})
			if !endsWith(path, told) {
				require.Empty(t, left, path)
				continue
			}
			require.Len(t, left, 1, path)
			typ := "audit.read"
			if endsWith(path, []string{"/analytics", "/usage/current", "/cost_centers"}) {
				typ = "analytics.read"
			}
			require.Equal(t, []any{typ, "data_access", reading.ids["org"]}, []any{left[0].Type, left[0].Category, left[0].OrgID})
			continue
		}
		name := method + " " + path
		how, is := doings[name]
		require.True(t, is, "%s is in the table", name)
		known[name] = true
		t.Run(name, func(t *testing.T) {
			w := newSettled(t)
			w.t = t
			for _, call := range how.first {
				r := w.do(call[0], w.fill(call[1]), w.fill(call[2]))
				require.Less(t, r.Code, 300, r.Body)
			}
			target, body := w.fill(path)+how.query, w.fill(strings.ReplaceAll(how.body, "{other}", w.ids["other"]))
			who := map[string]*client{"": w.client, "dev": w.dev, "owner": w.owner, "invitee": w.invitee}[how.as]

			if !how.open {
				w.refuses(method, target, body)
			}
			left := w.leaves(func() {
				r := who.do(method, target, body)
				require.Less(t, r.Code, 300, r.Body)
				require.Zero(t, refusals(t, r.Code, r.Body.String()))
			})
			var types []string
			for _, e := range left {
				require.Equal(t, audit.Success, e.Outcome, e.Type)
				types = append(types, e.Type)
			}
			require.Len(t, left, max(1, how.events), "%v", types)
		})
	}
	for name := range doings {
		require.True(t, known[name], "%s is no operation", name)
	}
}

// refuses has a call refused to the guest: with an event of each refusal, and none of what is not there for them.
func (w *settled) refuses(method, target, body string) {
	var r *httptest.ResponseRecorder
	left := w.leaves(func() { r = w.guest.do(method, target, body) })
	require.GreaterOrEqual(w.t, r.Code, 207, "the guest may not: %s", r.Body)
	require.Len(w.t, left, refusals(w.t, r.Code, r.Body.String()), "%d %s", r.Code, r.Body)
	for _, e := range left {
		require.Equal(w.t, []any{audit.Denied, audit.DeniedType}, []any{e.Outcome, e.Type})
	}
}

// refusals is how often an answer says that somebody may not: once, or in some of the rows. What is said not to be there
// is none.
func refusals(t *testing.T, status int, answer string) (n int) {
	switch status {
	case http.StatusForbidden:
		return 1
	case http.StatusMultiStatus:
		var rows struct{ Results []struct{ Status int } }
		require.NoError(t, json.Unmarshal([]byte(answer), &rows))
		for _, r := range rows.Results {
			if r.Status == http.StatusForbidden {
				n++
			} else {
				require.Equal(t, http.StatusCreated, r.Status, answer)
			}
		}
	}
	return n
}
