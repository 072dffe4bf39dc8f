package locktera_test

import (
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/require"

	"github.com/orgkit/orgkit/audit"
	"github.com/orgkit/orgkit/billing"
	"github.com/orgkit/orgkit/orgs"
	"github.com/orgkit/orgkit/orgs/httpapi"
	"github.com/orgkit/orgkit/orgs/httpapi/locktera"
)

// used has an organization use something, at noon of the first day of the clock's month.
func (w *world) used(orgID, id string, tokens int64, cost string) {
	w.t.Helper()
	at := w.clock.Now().Add(-time.Minute)
	_, err := w.IngestUsage(w.Platform(), orgID, []billing.UsageEvent{
		{Source: "test", ID: id, Time: at, OrgID: orgID, UserID: w.owner.ID, Model: "gpt-4o", Endpoint: "/v1/chat/completions", Method: "POST", Status: 200,
			InputTokens: tokens, Cost: decimal.RequireFromString(cost), Tags: map[string]string{"env": "prod"}},
		{Source: "test", ID: id + "-disk", Time: at, OrgID: orgID, Unit: billing.UnitGigabyte, Resource: "disk", Quantity: decimal.RequireFromString("1.5")},
	})
	require.NoError(w.t, err)
}

// TestTheSeedIsAnsweredAsItsPageSays replays every call of the page, and those that its overview names.
func TestTheSeedIsAnsweredAsItsPageSays(t *testing.T) { // F339-F367
	each(t, func(t *testing.T, w *world) {
		org := "/orgs/" + w.org.ID
		w.golden("organization.get", "GET", org, "")
		w.golden("organization.update", "PATCH", org, `{"name": "Updated Organization Name", "customizations": {"branding_color": "#0047AB"}, "email": "it@acme.example"}`)
		w.golden("organization.below", "GET", "/orgs/acme-labs", "")
		w.golden("organization.own", "GET", "/org", "", "Authorization", "", "X-API-Key", w.of(w.owner).token)
		w.golden("organization.create", "POST", "/orgs", `{"org_name": "Initech", "parent_org_id": null, "first_name": "Bill"}`)
		w.golden("customizations.set", "PUT", org+"/customizations", `{"theme": "light", "font": {"size": 12.50}}`)
		w.golden("customizations.wrapped", "PUT", org+"/customizations", `{"customizations": {"logo_url": "https://acme.example/logo.png"}}`)
		w.golden("customizations.get", "GET", org+"/customizations", "")
		w.golden("customizations.bad", "PUT", org+"/customizations", `{"branding_color": "blue", "logo_url": "http://acme.example"}`)
		w.golden("child", "POST", org+"/children", `{"role": "group", "org_name": "Acme Sales"}`)
		w.golden("child.representation", "POST", org+"/children", `{"name": "Acme Ops"}`, "Prefer", "return=representation")
		w.golden("child.person", "POST", "/orgs/acme-labs/children", `{"role": "user_admin", "email": "new@acme.example", "first_name": "New", "last_name": "Person"}`)
		key := w.golden("api_key.create", "POST", org+"/api_keys", `{"name": "ci", "permissions": ["read", "write"]}`).(object)
		w.golden("api_keys", "GET", org+"/api_keys", "")
		require.Equal(t, w.org.ID, w.as(key["key"].(string)).get("/org")["id"], "the key works, and knows its organization")
		w.golden("access_log", "GET", org+"/access_log", "")
		w.golden("children_audit", "GET", org+"/children_audit", "")
		w.golden("api_key.delete", "DELETE", org+"/api_keys/"+key["id"].(string), "")
		w.as(key["key"].(string)).fails(401, "GET", "/org", "")
		require.Empty(t, w.list(org+"/api_keys"))

		w.used(w.org.ID, "1", 1000, "0.25")
		w.used(w.child.ID, "2", 500, "0.125")
		w.golden("consumption", "GET", org+"/consumption", "")
		w.golden("consumption.none", "GET", org+"/consumption?month=2020-01", "")
		_, err := w.UpdateOrganization(w.Platform(), w.org.ID, orgs.OrganizationUpdate{Tags: &[]string{"eu"}})
		require.NoError(t, err)
		w.golden("tags", "GET", org+"/tags", "")
		w.golden("unauthorized", "GET", org, "", "Authorization", "Bearer nobody")
		w.golden("unpermitted", "DELETE", org, "", "Authorization", "Bearer "+w.member("ann@acme.example").token)
		w.golden("unknown", "GET", "/orgs/org-123", "")
		w.golden("method", "PUT", org, "")
		w.golden("organization.delete", "DELETE", org, "")
		w.golden("organization.gone", "GET", org, "")
	})
}

// member is a member of the organization who manages nothing.
func (w *world) member(email string) *world {
	w.t.Helper()
	u := w.User(email)
	w.Add(orgs.Place{OrgID: w.org.ID}, u, "member")
	return w.of(u)
}

func TestSpecShapesAreThoseOfTheFile(t *testing.T) { // F339, F364, F367
	w := onMemory(t, &locktera.Options{SpecShapes: true, Prefix: "/api/v1", PublicURL: "https://ai.example"})
	org := "/api/v1/orgs/" + w.org.ID
	w.golden("spec.organization", "GET", org, "")
	w.golden("spec.customizations", "PUT", org+"/customizations", `{"theme": "dark"}`)
	key := w.golden("spec.api_key.create", "POST", org+"/api_keys", `{"name": "ci", "permissions": ["read"]}`).(object)
	w.golden("spec.api_key.delete", "DELETE", org+"/api_keys/"+key["key_id"].(string), "")
	w.used(w.org.ID, "1", 1000, "0.25")
	w.golden("spec.tags", "GET", org+"/tags", "")
	w.golden("spec.child", "POST", org+"/children", `{"org_name": "Acme Sales"}`)
	w.as(key["key"].(string)).fails(401, "GET", org, "")
	w.golden("spec.access_log", "GET", org+"/access_log", "")
	w.golden("spec.organization.delete", "DELETE", org, "")
	w.fails(404, "GET", "/orgs/"+w.org.ID, "")
}

func TestNamesOfOptionsAreChecked(t *testing.T) {
	w := onMemory(t, nil)
	for _, o := range []*locktera.Options{{Prefix: "api"}, {Prefix: "/api/"}, {LogCap: -1}} {
		_, err := locktera.New(w.Manager, o)
		require.Error(t, err)
	}
	_, err := locktera.New(nil, nil)
	require.Error(t, err)
	h, err := locktera.New(w.Manager, nil)
	require.NoError(t, err)
	w.handler = h
	w.fails(401, "GET", "/org", "") // nobody is the platform
}

func TestDeletingTakesEverythingBelow(t *testing.T) { // F349, F365
	each(t, func(t *testing.T, w *world) {
		key := w.call(200, "POST", "/orgs/acme-labs/api_keys", `{"name": "ci", "permissions": ["read"]}`).(object)["key"].(string)
		w.as(key).get("/orgs/" + w.child.ID)
		member := w.member("ann@acme.example")
		member.fails(401, "DELETE", "/orgs/"+w.org.ID, "")
		w.get("/orgs/" + w.child.ID) // nothing happened
		w.of(w.owner).call(200, "DELETE", "/orgs/"+w.org.ID, `{"reason": "unknown fields are nothing"}`)
		for _, org := range []orgs.Organization{w.org, w.child} {
			for _, who := range []*world{w, w.of(w.owner)} {
				for _, path := range []string{"", "/access_log", "/children_audit", "/consumption", "/customizations", "/api_keys", "/tags"} {
					who.fails(404, "GET", "/orgs/"+org.ID+path, "")
				}
				who.fails(404, "DELETE", "/orgs/"+org.ID, "")
			}
		}
		w.as(key).fails(401, "GET", "/org", "")
		w.get("/orgs/" + w.other.ID)
	})
}

// TestAnotherTenantIsNobody asks for everything of an organization that the caller is not in, and of one that there is not.
func TestAnotherTenantIsNobody(t *testing.T) { // F338, S1
	each(t, func(t *testing.T, w *world) {
		key := w.call(200, "POST", "/orgs/globex/api_keys", `{"name": "ci", "permissions": ["read"]}`).(object)["id"].(string)
		caller := w.of(w.owner)
		for _, c := range []string{"GET ", "PATCH ", "DELETE ", "POST /children", "GET /access_log", "GET /children_audit", "GET /consumption", "GET /customizations",
			"PUT /customizations", "GET /api_keys", "POST /api_keys", "DELETE /api_keys/" + key, "GET /tags"} {
			method, path, _ := strings.Cut(c, " ")
			unknown := caller.do(method, "/orgs/org_unknown"+path, `{"name": 1, "customizations": 1}`)
			require.Equal(t, 404, unknown.Code)
			for _, ref := range []string{w.other.ID, "globex", "a%00b"} {
				foreign := caller.do(method, "/orgs/"+ref+path, `{"name": 1, "customizations": 1}`)
				require.Equal(t, 404, foreign.Code, c)
				require.Equal(t, unknown.Body.String(), foreign.Body.String(), c)
				require.Equal(t, unknown.Header(), foreign.Header(), c)
			}
			w.as("").fails(401, method, "/orgs/globex"+path, "")
			w.as("ok_live_nobody").fails(401, method, "/orgs/org_unknown"+path, "")
		}
		caller.fails(404, "DELETE", "/orgs/acme/api_keys/"+key, "")
		w.fails(404, "DELETE", "/orgs/acme/api_keys/"+key, "") // the platform too: it is no key of that organization
		require.Len(t, w.list("/orgs/globex/api_keys"), 1)
		caller.fails(401, "POST", "/orgs", `{"name": "Mine"}`)
		w.fails(404, "POST", "/orgs", `{"name": "Lost", "parent_org_id": "org_unknown"}`)
		below := w.User("bob@acme.example")
		w.Add(orgs.Place{OrgID: w.child.ID}, below, "org_admin")
		w.of(below).fails(404, "GET", "/orgs/acme", "") // rights flow down, never up
		require.Equal(t, w.child.ID, w.of(below).get("/org")["id"])
	})
}

func TestSuspendedOrganizationsAreNoneToTheirKeys(t *testing.T) {
	w := onMemory(t, nil)
	key := w.call(200, "POST", "/orgs/acme/api_keys", `{"name": "ci", "permissions": ["read"]}`).(object)["key"].(string)
	_, err := w.SuspendOrganization(w.Platform(), w.org.ID, "")
	require.NoError(t, err)
	w.as(key).fails(404, "GET", "/orgs/acme", "")
	w.get("/orgs/acme")
}

func TestBadRequestsNameTheirFields(t *testing.T) { // F339, F346, F347, F363
	w := onMemory(t, nil)
	before := w.do("GET", "/orgs/acme", "").Body.String()
	for _, c := range []struct{ method, path, body, field string }{
		{"PATCH", "", `{"name": "  "}`, "name"},
		{"PATCH", "", `{"name": "", "customizations": {"theme": "dark"}}`, "name"},
		{"PATCH", "", `{"name": 5}`, "name"},
		{"PATCH", "", `{"org_name": "a", "name": "b"}`, "org_name"},
		{"PATCH", "", `{"name": "a\u0000b"}`, "name"},
		{"PATCH", "", `{"name": "new", "customizations": {"branding_color": "red"}}`, "customizations.branding_color"},
		{"PATCH", "", `{"customizations": null}`, "customizations"},
		{"PATCH", "", `{"customizations": ["a"]}`, "customizations"},
		{"PATCH", "", `{"email": ["a"]}`, "email"},
		{"PATCH", "", `["name"]`, ""},
		{"PATCH", "", `{"name`, ""},
		{"PUT", "/customizations", ``, "customizations"},
		{"PUT", "/customizations", `{"customizations": null}`, "customizations"},
		{"PUT", "/customizations", `{"customizations": "dark"}`, "customizations"},
		{"PUT", "/customizations", `"dark"`, ""},
		{"POST", "/children", `{"role": "king"}`, "role"},
		{"POST", "/children", `{"role": "group"}`, "name"},
		{"POST", "/children", `{"role": "user"}`, "email"},
		{"POST", "/children", `{"role": "user", "email": "nobody"}`, "email"},
		{"POST", "/api_keys", `{"permissions": ["read"]}`, "name"},
		{"POST", "/api_keys", `{"name": "ci"}`, "permissions"},
		{"POST", "/api_keys", `{"name": "ci", "permissions": "read"}`, "permissions"},
		{"POST", "/api_keys", `{"name": "ci", "permissions": ["no permission"]}`, "permissions[0]"},
		{"GET", "/access_log?start=yesterday", "", "start"},
		{"GET", "/access_log?before=nonsense", "", "before"},
		{"GET", "/children_audit?start=2024-02-01T00:00:00Z&end=2024-01-01T00:00:00Z", "", "end"},
		{"GET", "/consumption?month=2024", "", "month"},
		{"GET", "/consumption?month=9000-01", "", "month"},
		{"GET", "/consumption?month=%00", "", "query"},
	} {
		fields := w.fails(400, c.method, "/orgs/acme"+c.path, c.body)
		if c.field == "" {
			require.Empty(t, fields, "%s %s", c.path, c.body)
			continue
		}
		require.Contains(t, fields, c.field, "%s %s", c.path, c.body)
		require.Len(t, fields, 1)
	}
	w.golden("organization.bad", "PATCH", "/orgs/acme", `{"name": "  "}`)
	w.golden("customizations.none", "PUT", "/orgs/acme/customizations", "")
	require.Equal(t, before, w.do("GET", "/orgs/acme", "").Body.String(), "nothing has changed")
	w.fails(400, "PATCH", "/orgs/acme", `{"name": "`+strings.Repeat("x", httpapi.MaxBody)+`"}`)
	w.fails(400, "PATCH", "/orgs/acme", `{"name": "x"}`, "Content-Type", "text/plain")
	require.Contains(t, w.fails(400, "GET", "/org", ""), "org_id", "the platform has none of its own")
	w.fails(404, "GET", "/orgs/acme/service_status", "")
	require.Equal(t, "GET, HEAD, PATCH, DELETE", allowed(w, "/orgs/acme"))
	require.Equal(t, 200, w.do("HEAD", "/orgs/acme", "").Code)
}

func TestWhatFailsHereSaysNothing(t *testing.T) { // F339
	w := onMemory(t, nil)
	h, err := locktera.New(w.Manager, &locktera.Options{Authenticate: func(*http.Request) (audit.Actor, error) {
		return audit.Actor{}, errors.New("a text of the database")
	}})
	require.NoError(t, err)
	w.handler = h
	w.golden("failed", "GET", "/orgs/acme", "")
}

func allowed(w *world, path string) string {
	answer := w.do("PUT", path, "")
	require.Equal(w.t, 405, answer.Code)
	parts := strings.Split(answer.Header().Get("Allow"), ", ")
	order := []string{}
	for _, m := range []string{"GET", "HEAD", "PATCH", "DELETE"} {
		for _, p := range parts {
			if p == m {
				order = append(order, m)
			}
		}
	}
	require.Len(w.t, order, len(parts))
	return strings.Join(order, ", ")
}
