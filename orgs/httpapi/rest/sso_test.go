package rest_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"math/big"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/orgkit/orgkit/store"
	"github.com/orgkit/orgkit/store/storetest"
)

// certificate is one of an identity provider that is valid from an hour before a time on, as a JSON string.
func certificate(t *testing.T, now time.Time) string {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "acme.okta.com"}, NotBefore: now.Add(-time.Hour), NotAfter: now.AddDate(0, 0, 90)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	require.NoError(t, err)
	text, err := json.Marshal(string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})))
	require.NoError(t, err)
	return string(text)
}

func TestSSOIsConfiguredAsTheSeedDoes(t *testing.T) { // call 12; F029, F174 to F190, F336, F462
	storetest.Each(t, func(t *testing.T, s *store.Store, clock *storetest.Clock) {
		c := newClient(t, s)
		org := c.post("/v1/organizations", `{"name": "Acme", "settings": {"security": {"sso_enabled": true, "sso_provider": "okta"}}}`)["id"].(string)
		require.Equal(t, "not_configured", c.call(200, "GET", "/v1/organizations/"+org, "")["sso_status"])
		for _, role := range []string{"developer", "team_lead"} {
			c.post("/v1/organizations/"+org+"/roles", `{"name": "`+role+`", "slug": "`+role+`", "permissions": ["models.use"]}`)
		}
		at := "/v1/organizations/" + org + "/sso"
		c.call(404, "GET", at, "")
		seed := func(provider, enabled, cert, more string) string {
			return `{"provider": "` + provider + `", "enabled": ` + enabled + `, "settings": {"sso_url": "https://acme.okta.com/app/parrotrouter/sso/saml", "issuer": "http://www.okta.com/exk1fxpiewvjfH0h7",
				"x509_cert": ` + cert + `,
				"attribute_mapping": {"email": "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/emailaddress", "name": "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/name", "groups": "http://schemas.xmlsoap.org/claims/Group"},
				"role_mapping": {"Engineering": "developer", "Engineering-Leads": "team_lead", "IT-Admins": "org_admin"}},
				"provisioning": {"scim_enabled": true, "scim_base_url": "https://api.parrotrouter.com/scim/v2", ` + more + `"auto_provision_users": true, "auto_deprovision_users": true, "sync_groups": true}}`
		}
		cert, token := certificate(t, clock.Now()), `"scim_bearer_token": "scim_token_secure_123", `
		set := c.call(200, "PUT", at, seed("okta", "true", cert, token))
		require.Equal(t, "settings.role_mapping.IT-Admins", set["warnings"].([]any)[0].(object)["field"])
		delete(set, "warnings")
		require.Equal(t, set, c.call(200, "GET", at, ""))
		require.Equal(t, "unproved", set["status"])
		require.Equal(t, "unproved", c.call(200, "GET", "/v1/organizations/"+org, "")["sso_status"])
		settings, provisioning := set["settings"].(object), set["provisioning"].(object)
		require.Equal(t, object{"Engineering": "developer", "Engineering-Leads": "team_lead", "IT-Admins": "org_admin"}, settings["role_mapping"])
		require.Equal(t, "CN=acme.okta.com", settings["certificates"].([]any)[0].(object)["subject"])
		require.Equal(t, true, provisioning["scim_bearer_token_set"])
		require.Equal(t, "https://gateway.example/sso/"+org+"/saml/acs", set["sp"].(object)["acs_url"])
		raw, err := json.Marshal(set)
		require.NoError(t, err)
		require.NotContains(t, string(raw), "scim_token_secure_123")
		require.NotContains(t, c.do("GET", "/v1/organizations/"+org+"/audit/logs", "").Body.String(), "scim_token_secure_123")

		// Again it is the same, what was read can be written, and a token that is absent stays.
		again := c.call(200, "PUT", at, seed("okta", "true", cert, token))
		require.Equal(t, provisioning["scim_bearer_token_updated_at"], again["provisioning"].(object)["scim_bearer_token_updated_at"])
		again = c.call(200, "PUT", at, string(raw))
		require.Equal(t, set["settings"], again["settings"])
		require.Equal(t, set["provisioning"], again["provisioning"])
		require.Len(t, c.call(200, "GET", "/v1/organizations/"+org+"/provisioning/tokens", "")["data"], 1)
		again = c.call(200, "PUT", at, seed("okta", "true", cert, `"scim_bearer_token": null, `))
		require.Equal(t, false, again["provisioning"].(object)["scim_bearer_token_set"])
		require.Empty(t, c.call(200, "GET", "/v1/organizations/"+org+"/provisioning/tokens", "")["data"])

		wrong := func(field, body string) {
			t.Helper()
			require.Equal(t, "body."+field, c.call(400, "PUT", at, body)["errors"].([]any)[0].(object)["location"])
		}
		wrong("provider", seed("azure", "true", cert, ""))
		wrong("settings.x509_cert", seed("okta", "false", `"-----BEGIN CERTIFICATE-----\nMIID...\n-----END CERTIFICATE-----"`, ""))
		for _, out := range []time.Time{clock.Now().AddDate(0, 0, -91), clock.Now().Add(2 * time.Hour)} { // expired, and not valid yet
			wrong("settings.x509_cert", seed("okta", "true", certificate(t, out), ""))
			wrong("settings.x509_cert", seed("okta", "false", certificate(t, out), ""))
		}
		wrong("provider", `{"provider": "oktopus", "enabled": false}`)
		require.Equal(t, again["settings"], c.call(200, "GET", at, "")["settings"], "what is refused changes nothing")
		wrong("settings.sso_url", `{"provider": "okta", "enabled": false, "settings": {"sso_url": "javascript:alert(1)"}}`)
		wrong("settings.sso_url", `{"provider": "okta", "enabled": true, "settings": {"issuer": "x", "x509_cert": [`+cert+`]}}`)
		wrong("settings.x509_cert", `{"provider": "okta", "enabled": true, "settings": {"issuer": "x", "sso_url": "https://acme.okta.com/"}}`)
		wrong("settings.issuer", `{"provider": "okta", "enabled": true, "settings": {"sso_url": "https://acme.okta.com/", "x509_cert": `+cert+`}}`)
		wrong("settings.role_mapping.Engineering", `{"provider": "okta", "enabled": false, "settings": {"role_mapping": {"Engineering": "nobody"}}}`)
		wrong("provisioning.scim_base_url", `{"provider": "okta", "enabled": false, "provisioning": {"scim_base_url": "http://x.example"}}`)
		wrong("provisioning.scim_bearer_token", `{"provider": "okta", "enabled": false, "provisioning": {"scim_bearer_token": "short"}}`)
		wrong("settings.break_glass[0]", `{"provider": "okta", "enabled": false, "settings": {"break_glass": ["nobody@acme.com"]}}`)
		wrong("settings.clock_skew_seconds", `{"provider": "okta", "enabled": false, "settings": {"clock_skew_seconds": 181}}`)
		wrong("settings.allowed_algs[0]", `{"provider": "okta", "protocol": "oidc", "enabled": false, "settings": {"allowed_algs": ["HS256"]}}`)
		wrong("settings.allowed_algs[1]", `{"provider": "okta", "protocol": "oidc", "enabled": false, "settings": {"allowed_algs": ["RS256", "none"]}}`)
		require.Equal(t, "disabled", c.call(200, "PUT", at, `{"provider": "okta", "enabled": false}`)["status"])

		// OpenID Connect. Its secret belongs to its issuer and client.
		oidc := func(issuer, secret string) string {
			return `{"provider": "okta", "protocol": "oidc", "enabled": true, "settings": {"issuer": "` + issuer + `", ` + secret + `"client_id": "c1"}}`
		}
		set = c.call(200, "PUT", at, oidc("https://acme.okta.com", `"client_secret": "canary-of-the-client", `))
		require.Equal(t, true, set["settings"].(object)["client_secret_set"])
		require.Equal(t, "https://gateway.example/sso/"+org+"/oidc/callback", set["sp"].(object)["redirect_uri"])
		require.Equal(t, true, set["provisioning"].(object)["auto_provision_users"], "what is absent stays")
		require.Equal(t, true, c.call(200, "PUT", at, oidc("https://acme.okta.com", ""))["settings"].(object)["client_secret_set"])
		wrong("settings.client_secret", oidc("https://evil.okta.com", ""))
		wrong("settings.issuer", oidc("https://127.0.0.1", `"client_secret": null, `))
		require.Equal(t, false, c.call(200, "PUT", at, oidc("https://acme.okta.com", `"client_secret": null, `))["settings"].(object)["client_secret_set"])
		require.NotContains(t, c.do("GET", "/v1/organizations/"+org+"/audit/logs", "").Body.String(), "canary")

		c.call(200, "DELETE", at, "")
		c.call(404, "DELETE", at, "")
		require.Equal(t, "not_configured", c.call(200, "GET", "/v1/organizations/"+org, "")["sso_status"])
	})
}

// TestSSOIsChangedInParts: a merge patch changes what it names and nothing else, secrets included.
func TestSSOIsChangedInParts(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store, clock *storetest.Clock) {
		c := newClient(t, s)
		org := c.post("/v1/organizations", `{"name": "Acme"}`)["id"].(string)
		at := "/v1/organizations/" + org + "/sso"
		c.post("/v1/organizations/"+org+"/roles", `{"name": "developer", "slug": "developer", "permissions": ["models.use"]}`)
		c.call(404, "PATCH", at, `{"enabled": true}`)
		c.call(200, "PUT", "/v1/organizations/"+org+"/provisioning", `{"local_edits": true}`)
		was := c.call(200, "PUT", at, `{"provider": "okta", "protocol": "oidc", "enabled": true, "settings": {"issuer": "https://acme.okta.com", "client_id": "c1", "client_secret": "canary-of-the-client",
			"scopes": ["openid", "groups"], "role_mapping": {"Engineering": "developer", "Sales": "member"}, "allowed_roles": [], "link": "never", "clock_skew_seconds": 5},
			"provisioning": {"scim_enabled": true, "scim_bearer_token": "scim_token_secure_123", "auto_provision_users": true, "auto_deprovision_users": false}}`)
		delete(was, "warnings")
		same := func(now object, but ...string) {
			t.Helper()
			for _, o := range []object{was, now} {
				for _, name := range append(but, "warnings", "etag", "updated_at") {
					delete(o, name)
				}
			}
			require.Equal(t, was, now)
		}
		same(c.call(200, "PATCH", at, `{}`))
		same(c.call(200, "PATCH", at, `{"enabled": false}`), "enabled", "status")
		require.Equal(t, true, c.call(200, "GET", "/v1/organizations/"+org+"/provisioning", "")["local_edits"], "which is not of these fields")

		now := c.call(200, "PATCH", at, `{"settings": {"role_mapping": {"Sales": null, "Ops": "developer"}, "clock_skew_seconds": null}}`)
		settings := now["settings"].(object)
		require.Equal(t, object{"Engineering": "developer", "Ops": "developer"}, settings["role_mapping"])
		require.Equal(t, 60.0, settings["clock_skew_seconds"])
		require.Equal(t, []any{}, settings["allowed_roles"], "nobody may be given more than before")
		require.Equal(t, []any{true, "never"}, []any{settings["client_secret_set"], settings["link"]})
		require.Equal(t, true, now["provisioning"].(object)["scim_bearer_token_set"])

		now = c.call(200, "PATCH", at, `{"settings": {"client_secret": null}, "provisioning": {"scim_bearer_token": null}}`)
		require.Equal(t, false, now["settings"].(object)["client_secret_set"])
		require.Equal(t, false, now["provisioning"].(object)["scim_bearer_token_set"])
		now = c.call(200, "PATCH", at, `{"settings": {"client_secret": "canary-of-the-next"}}`)
		require.Equal(t, true, now["settings"].(object)["client_secret_set"])

		require.Equal(t, "version_mismatch", c.with("If-Match", `"1"`).call(412, "PATCH", at, `{"enabled": true}`)["code"])
		for field, body := range map[string]string{"settings.sso_url": `{"protocol": "saml", "settings": {"client_id": null, "client_secret": null, "scopes": null, "allowed_algs": null, "sso_url": "javascript:alert(1)"}}`,
			"status": `{"status": "enforced"}`, "settings.sign_requests": `{"settings": {"sign_requests": true}}`} {
			before := c.do("GET", at, "").Body.String()
			require.Equal(t, "body."+field, c.call(400, "PATCH", at, body)["errors"].([]any)[0].(object)["location"])
			require.Equal(t, before, c.do("GET", at, "").Body.String())
		}
		require.NotContains(t, c.do("GET", "/v1/organizations/"+org+"/audit/logs", "").Body.String(), "canary")
	})
}

func TestNobodyMapsToWhatTheyDoNotHold(t *testing.T) { // S4.6, SSO-14, A24
	c, org, _, _ := world(t)
	c.post("/v1/organizations/"+org+"/roles", `{"name": "sso keeper", "slug": "keeper", "permissions": ["sso.*", "*.read"]}`)
	_, keeper := c.person(org, "keeper@acme.com", "keeper")
	body := func(role string) string {
		return `{"provider": "okta", "enabled": false, "settings": {"role_mapping": {"All": "` + role + `"}}}`
	}
	keeper.call(200, "PUT", "/v1/organizations/"+org+"/sso", body("keeper"))
	require.Equal(t, "grant_ceiling", keeper.call(403, "PUT", "/v1/organizations/"+org+"/sso", body("org_admin"))["code"])
	require.Equal(t, "grant_ceiling", keeper.call(403, "PUT", "/v1/organizations/"+org+"/sso", body("developer"))["code"])
}
