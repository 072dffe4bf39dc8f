package rest_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/orgkit/orgkit/store"
	"github.com/orgkit/orgkit/store/storetest"
)

func TestProvisioningIsSetAndItsTokensAreShownOnce(t *testing.T) { // F185 to F190, F336
	storetest.Each(t, func(t *testing.T, s *store.Store, _ *storetest.Clock) {
		c := newClient(t, s)
		org := c.post("/v1/organizations", `{"name": "Acme"}`)["id"].(string)
		c.post("/v1/organizations/"+org+"/roles", `{"name": "Developer", "permissions": ["models.use"]}`)
		at := "/v1/organizations/" + org + "/provisioning"
		before := c.call(200, "GET", at, "")
		require.Equal(t, false, before["scim_enabled"])

		body := `{"scim_enabled": true, "scim_base_url": "https://gateway.example/scim/v2", "auto_provision_users": true, "sync_groups": true,
			"role_mapping": {"Engineering": "developer", "IT-Admins": "org_admin"}, "allowed_roles": ["developer"], "link": "never"}`
		set := c.call(200, "PUT", at, body)
		require.Equal(t, object{"Engineering": "developer", "IT-Admins": "org_admin"}, set["role_mapping"])
		require.Equal(t, "member", set["default_role"])
		require.Equal(t, true, set["auto_deprovision_users"])
		require.Equal(t, "role_mapping.IT-Admins", set["warnings"].([]any)[0].(object)["field"])
		delete(set, "warnings")
		require.Equal(t, set, c.call(200, "GET", at, ""))
		again := c.call(200, "PUT", at, body)
		delete(again, "warnings")
		require.Equal(t, set, again)
		c.call(400, "PUT", at, `{"role_mapping": {"Engineering": "nobody"}}`)
		c.call(400, "PUT", at, `{"allowed_roles": ["org_admin"]}`)
		c.call(400, "PUT", at, `{"scim_base_url": "http://gateway.example"}`)
		c.call(400, "PUT", at, `{"default_role": "org_admin"}`)

		made := c.post(at+"/tokens", `{"name": "Okta"}`)
		require.Regexp(t, "^ok_scim_", made["token"])
		page := c.call(200, "GET", at+"/tokens", "")["data"].([]any)
		require.Len(t, page, 1)
		require.NotContains(t, page[0], "token")
		require.Equal(t, made["token"].(string)[:12], page[0].(object)["hint"])
		c.post(at+"/tokens", `{"name": "Next"}`)
		c.call(409, "POST", at+"/tokens", `{"name": "Third"}`)
		c.call(200, "DELETE", at+"/tokens/"+made["id"].(string), "")
		c.call(404, "DELETE", at+"/tokens/"+made["id"].(string), "")
		chosen := c.post(at+"/tokens", `{"name": "Chosen", "secret": "a-secret-of-their-own"}`)
		require.NotContains(t, chosen, "token")
		require.Nil(t, chosen["hint"])
	})
}

// TestThePlatformSaysWhichDomainsAreAnOrganizations: neither its owners do, nor is a mail service anybody's.
func TestThePlatformSaysWhichDomainsAreAnOrganizations(t *testing.T) { // F184, SSO-2, A21
	storetest.Each(t, func(t *testing.T, s *store.Store, _ *storetest.Clock) {
		c := newClient(t, s)
		org := c.post("/v1/organizations", `{"name": "Acme"}`)["id"].(string)
		at := "/v1/organizations/" + org + "/provisioning"
		set := c.call(200, "PUT", at+"/verified-domains", `{"verified_domains": ["ACME.example", "acme.co.uk", "acme.example"]}`)
		require.Equal(t, []any{"acme.example", "acme.co.uk"}, set["verified_domains"])
		require.Equal(t, []any{true, "member"}, []any{set["auto_deprovision_users"], set["default_role"]})
		c.call(200, "PUT", at, `{"auto_provision_users": true}`)
		require.Equal(t, set["verified_domains"], c.call(200, "GET", at, "")["verified_domains"], "which is not of these fields")

		_, owner := c.person(org, "owner@acme.example", "org_admin")
		owner.call(403, "PUT", at+"/verified-domains", `{"verified_domains": ["other.example"]}`)
		for bad, field := range map[string]string{`["acme.example", "gmail.com"]`: "verified_domains[1]", `["yahoo.co.uk"]`: "verified_domains[0]", `["gmx.at"]`: "verified_domains[0]", `["no domain"]`: "verified_domains[0]",
			`[""]`: "verified_domains[0]", `["x@acme.example"]`: "verified_domains[0]", `"acme.example"`: "verified_domains", `["a.b"` + strings.Repeat(`,"a.b"`, 100) + `]`: "verified_domains"} {
			require.Equal(t, "body."+field, c.call(400, "PUT", at+"/verified-domains", `{"verified_domains": `+bad+`}`)["errors"].([]any)[0].(object)["location"], bad)
		}
		require.Equal(t, set["verified_domains"], c.call(200, "GET", at, "")["verified_domains"])
		require.Equal(t, []any{}, c.call(200, "PUT", at+"/verified-domains", `{"verified_domains": []}`)["verified_domains"])
	})
}
