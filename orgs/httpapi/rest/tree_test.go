package rest_test

import (
	"net/netip"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/orgkit/orgkit/billing"
	"github.com/orgkit/orgkit/orgs/gate"
	"github.com/orgkit/orgkit/store"
	"github.com/orgkit/orgkit/store/memory"
	"github.com/orgkit/orgkit/store/storetest"
)

// uses says how the gate answers a call with the key: "" for admitted, else the code.
func (c *client) uses(secret string) string {
	c.t.Helper()
	adm, err := c.gate.Admit(c.t.Context(), gate.Call{Secret: secret, Model: "gpt-4-32k", InputTokens: 10, MaxOutputTokens: 10})
	if err == nil {
		require.NoError(c.t, adm.Settle(c.t.Context(), billing.Usage{InputTokens: 10}))
		return ""
	}
	var d *gate.Denied
	require.ErrorAs(c.t, err, &d)
	return d.Code
}

func TestAnOrganizationEndsAndComesBack(t *testing.T) { // F038
	storetest.Each(t, func(t *testing.T, s *store.Store, clock *storetest.Clock) {
		c := newClient(t, s)
		root := c.post("/v1/organizations", `{"name": "Holding", "tags": ["eu"], "customizations": {"logo": "h.png"}}`)
		path := "/v1/organizations/" + root["id"].(string)
		require.Nil(t, root["parent_id"])
		require.Equal(t, root["id"], root["root_id"])
		require.Equal(t, []any{"eu"}, root["tags"])
		require.Equal(t, object{"logo": "h.png"}, root["customizations"])

		child := c.post(path+"/children", `{"name": "Subsidiary"}`)
		below := "/v1/organizations/" + child["id"].(string)
		require.Equal(t, root["id"], child["parent_id"])
		require.Equal(t, root["id"], child["root_id"])
		require.Equal(t, []string{child["id"].(string)}, c.ids(path+"/children"))
		require.Equal(t, []string{child["id"].(string)}, c.ids("/v1/organizations?parent_id=holding"))
		c.call(400, "POST", path+"/children", `{"name": "x", "parent_id": "elsewhere"}`)

		team := c.post(below+"/teams", `{"name": "Lab"}`)["id"].(string)
		key := c.post("/v1/api-keys", `{"name": "k", "team_id": "`+team+`"}`)["key"].(string)
		require.Empty(t, c.uses(key))

		suspended := c.call(200, "POST", path+"/suspend", `{"reason": "unpaid"}`)
		require.Equal(t, "suspended", suspended["status"])
		require.Equal(t, "suspended", c.call(200, "GET", below, "")["status"], "what lies below goes with it")
		require.Equal(t, "org_suspended", c.uses(key))
		require.Equal(t, []string{root["id"].(string)}, c.ids("/v1/organizations?status=suspended&slug=holding"))
		c.call(200, "POST", path+"/resume", "")
		require.Equal(t, "conflict", c.call(409, "POST", path+"/resume", "")["code"])
		require.Empty(t, c.uses(key))

		require.Equal(t, "not_empty", c.call(409, "DELETE", path, "")["code"])
		require.Equal(t, "not_empty", c.call(409, "DELETE", below, "")["code"])
		require.Equal(t, object{"id": root["id"], "deleted": true}, c.call(200, "DELETE", path+"?cascade=true", `{"reason": "sold"}`))
		require.Equal(t, "invalid_api_key", c.uses(key))
		require.Empty(t, c.ids("/v1/organizations"))
		require.Len(t, c.ids("/v1/organizations?status=deleted"), 2)
		require.Equal(t, "deleted", c.call(200, "GET", below, "")["status"])
		require.Equal(t, "slug_taken", c.call(409, "POST", "/v1/organizations", `{"name": "x", "slug": "holding"}`)["code"])

		clock.Advance(30*24*time.Hour - time.Microsecond)
		require.Equal(t, "active", c.call(200, "POST", path+"/restore", "")["status"])
		require.Empty(t, c.uses(key), "the same state is given back")
		c.call(200, "DELETE", path+"?cascade=true", "")
		clock.Advance(30 * 24 * time.Hour)
		c.call(409, "POST", path+"/restore", "")
		c.post("/v1/organizations", `{"name": "x", "slug": "holding"}`)

		log := c.call(200, "GET", path+"/audit/logs?event_types=organization.*&order=asc", "")["data"].([]any)
		var types []string
		for _, e := range log {
			types = append(types, e.(object)["type"].(string))
		}
		require.Equal(t, []string{"organization.created", "organization.suspended", "organization.resumed", "organization.deleted",
			"organization.restored", "organization.deleted"}, types)
		require.Equal(t, "unpaid", log[1].(object)["reason"])
	})
}

func TestOrganizationsMoveButNeverBelowThemselves(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store, _ *storetest.Clock) {
		c := newClient(t, s)
		a := c.post("/v1/organizations", `{"name": "A"}`)["id"].(string)
		b := c.post("/v1/organizations/"+a+"/children", `{"name": "B"}`)["id"].(string)
		d := c.post("/v1/organizations", `{"name": "D", "parent_id": "`+b+`"}`)["id"].(string)
		move := func(status int, org, to string) object {
			return c.call(status, "POST", "/v1/organizations/"+org+"/move", `{"parent_id": `+to+`}`)
		}
		require.Equal(t, "cycle", move(409, a, `"d"`)["code"])
		require.Equal(t, "cycle", move(409, a, `"a"`)["code"])
		require.Nil(t, move(200, d, "null")["parent_id"])
		require.Equal(t, d, move(200, a, `"`+d+`"`)["root_id"])
		require.Equal(t, d, c.call(200, "GET", "/v1/organizations/"+b, "")["root_id"])
		require.Equal(t, "body.parent_id", c.call(400, "POST", "/v1/organizations/"+a+"/move", `{}`)["errors"].([]any)[0].(object)["location"])
		move(404, a, `"nobody"`)

		_, admin := c.person(a, "admin@a.example", "org_admin")
		require.Equal(t, "permission_denied", admin.call(403, "POST", "/v1/organizations/"+b+"/move", `{"parent_id": null}`)["code"])
	})
}

func TestRightsFlowDownTheTree(t *testing.T) { // F365
	c := newClient(t, memory.New(nil))
	a := c.post("/v1/organizations", `{"name": "A"}`)["id"].(string)
	b := c.post("/v1/organizations/"+a+"/children", `{"name": "B"}`)["id"].(string)
	c.post("/v1/organizations/"+a+"/roles", `{"name": "Auditor", "permissions": ["*.read"], "inherited": true}`)
	c.post("/v1/organizations/"+a+"/roles", `{"name": "Reader", "permissions": ["*.read"]}`)
	_, auditor := c.person(a, "auditor@a.example", "auditor")
	_, reader := c.person(a, "reader@a.example", "reader")
	_, boss := c.person(b, "boss@b.example", "org_admin")
	auditor.call(200, "GET", "/v1/organizations/"+b+"/teams", "")
	auditor.call(403, "POST", "/v1/organizations/"+b+"/teams", `{"name": "x"}`)
	reader.call(404, "GET", "/v1/organizations/"+b, "")
	boss.call(404, "GET", "/v1/organizations/"+a, "")
	boss.post("/v1/organizations/"+b+"/children", `{"name": "C"}`)
}

func TestASlugThatWasGivenUpStillLeadsHome(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store, clock *storetest.Clock) {
		c := newClient(t, s)
		path := "/v1/organizations/" + c.post("/v1/organizations", `{"name": "Acme", "slug": "acme_corp"}`)["id"].(string)
		require.Equal(t, "acme-corp", c.call(200, "GET", path, "")["slug"]) // F318
		require.Equal(t, "better", c.call(200, "PATCH", path, `{"slug": "better"}`)["slug"])
		require.Equal(t, "better", c.call(200, "GET", "/v1/organizations/acme-corp", "")["slug"])
		require.Equal(t, "slug_taken", c.call(409, "POST", "/v1/organizations", `{"name": "x", "slug": "acme-corp"}`)["code"])
		clock.Advance(90 * 24 * time.Hour)
		c.post("/v1/organizations", `{"name": "x", "slug": "acme-corp"}`)
		require.Equal(t, "slug_taken", c.call(409, "PATCH", path, `{"slug": "ACME_CORP"}`)["code"])
		require.Equal(t, "body.slug", c.call(400, "PATCH", path, `{"slug": "api"}`)["errors"].([]any)[0].(object)["location"])
	})
}

func TestOrganizationsAreFoundByTheirMetadata(t *testing.T) { // F036
	c := newClient(t, memory.New(nil))
	a := c.post("/v1/organizations", `{"name": "A", "metadata": {"industry": "banking", "size": 12}}`)["id"].(string)
	c.post("/v1/organizations", `{"name": "B", "metadata": {"industry": "mining", "size": 12}}`)
	require.Equal(t, []string{a}, c.ids("/v1/organizations?metadata.industry=banking&metadata.size=12"))
	require.Empty(t, c.ids("/v1/organizations?metadata.industry=banking&metadata.size=13"))
	require.Equal(t, []string{a}, c.ids("/v1/organizations?name=a"))
	c.call(400, "GET", "/v1/organizations/"+a+"?metadata.industry=banking", "")
}

func TestNobodyShutsThemselvesOutByMistake(t *testing.T) { // F030
	c := newClient(t, memory.New(nil))
	org := c.post("/v1/organizations", `{"name": "A"}`)["id"].(string)
	path := "/v1/organizations/" + org
	_, admin := c.person(org, "admin@a.example", "org_admin")
	admin.ip = "198.51.100.7"
	require.True(t, netip.MustParseAddr(admin.ip).IsValid())
	change := `{"settings": {"security": {"ip_allowlist": ["203.0.113.0/24"]}}}`
	require.Equal(t, "would_lock_out", admin.call(409, "PATCH", path, change)["code"])
	admin.call(200, "GET", path, "")
	admin.call(200, "PATCH", path+"?force=true", change)
	require.Equal(t, "ip_denied", admin.call(403, "GET", path, "")["code"])
	c.call(200, "GET", path, "") // F457
}
