package main

import (
	"encoding/json"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/orgkit/orgkit/store/seal"
	"github.com/orgkit/orgkit/store/storetest"
)

// provisions is a call of an identity provider.
func (p *process) provisions(t *testing.T, token, method, path, body string) (int, http.Header, map[string]any) {
	t.Helper()
	r, err := http.NewRequest(method, p.url+"/scim/v2"+path, strings.NewReader(body))
	require.NoError(t, err)
	r.Header.Set("Authorization", "Bearer "+token)
	r.Header.Set("Content-Type", "application/scim+json")
	res, err := http.DefaultClient.Do(r)
	require.NoError(t, err)
	defer res.Body.Close()
	raw, err := io.ReadAll(res.Body)
	require.NoError(t, err)
	var o map[string]any
	if len(raw) > 0 {
		require.NoError(t, json.Unmarshal(raw, &o))
		require.Equal(t, "application/scim+json", res.Header.Get("Content-Type"))
	}
	require.NotContains(t, string(raw), token)
	return res.StatusCode, res.Header, o
}

// TestTheIdentityProviderOfTheSeed: single sign-on and provisioning as the document configures them, in two processes: who is
// let go in one is refused in the other within a second.
func TestTheIdentityProviderOfTheSeed(t *testing.T) { // calls 12 and 13; F174 to F203, F333, F336, F462
	t.Setenv("ORGKIT_SEAL_KEY", seal.GenerateKey())
	for name, db := range map[string]func() string{
		"sqlite":   func() string { return "sqlite:" + filepath.Join(t.TempDir(), "gateway.db") },
		"postgres": func() string { return storetest.Postgres(t) },
	} {
		t.Run(name, func(t *testing.T) {
			dsn := db()
			one, other := start(t, dsn), start(t, dsn)
			must := func(want int, p *process, method, path, body string) map[string]any {
				t.Helper()
				status, out, err := p.call(method, path, body)
				require.NoError(t, err)
				require.Equal(t, want, status, out)
				return out
			}
			must(201, one, "POST", "/v1/organizations", `{"name": "Acme Corp", "slug": "acme", "settings": {"security": {"sso_enabled": true, "sso_provider": "okta"}}}`)
			for _, role := range []string{"developer", "team_lead"} {
				must(201, one, "POST", "/v1/organizations/acme/roles", `{"name": "`+role+`", "slug": "`+role+`", "permissions": ["models.use"]}`)
			}
			const token = "scim_token_secure_123"
			body := func(cert string) string {
				return `{"provider": "okta", "enabled": true, "settings": {"sso_url": "https://acme.okta.com/app/parrotrouter/sso/saml", "issuer": "http://www.okta.com/exk1fxpiewvjfH0h7", "x509_cert": ` + cert + `,
					"attribute_mapping": {"email": "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/emailaddress", "name": "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/name", "groups": "http://schemas.xmlsoap.org/claims/Group"},
					"role_mapping": {"Engineering": "developer", "Engineering-Leads": "team_lead", "IT-Admins": "org_admin"}},
					"provisioning": {"scim_enabled": true, "scim_base_url": "https://api.parrotrouter.com/scim/v2", "scim_bearer_token": "` + token + `", "auto_provision_users": true, "auto_deprovision_users": true, "sync_groups": true}}`
			}
			bad := must(400, one, "PUT", "/v1/organizations/acme/sso", body(`"-----BEGIN CERTIFICATE-----\nMIID\n-----END CERTIFICATE-----"`))
			require.Equal(t, "body.settings.x509_cert", bad["errors"].([]any)[0].(map[string]any)["location"])
			must(200, one, "PUT", "/v1/organizations/acme/sso", body(certificateOf(t)))
			shown := must(200, other, "GET", "/v1/organizations/acme/sso", "")
			require.Equal(t, []any{"okta", "unproved", true}, []any{shown["provider"], shown["status"], shown["provisioning"].(map[string]any)["scim_bearer_token_set"]})

			status, head, made := other.provisions(t, token, "POST", "/Users", `{"schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"], "userName": "alice@acme.com", "externalId": "Okta|Alice",
				"name": {"givenName": "Alice", "familyName": "Smith"}, "emails": [{"value": "alice@acme.com", "primary": true}], "active": true, "groups": [{"value": "Engineering"}]}`)
			require.Equal(t, 201, status, made)
			id := made["id"].(string)
			require.Equal(t, "https://api.parrotrouter.com/scim/v2/Users/"+id, head.Get("Location"))
			require.Equal(t, []any{[]any{"urn:ietf:params:scim:schemas:core:2.0:User"}, "Okta|Alice", true}, []any{made["schemas"], made["externalId"], made["active"]})
			meta := made["meta"].(map[string]any)
			require.Equal(t, []any{"User", head.Get("Location")}, []any{meta["resourceType"], meta["location"]})
			_, err := time.Parse(time.RFC3339, meta["created"].(string))
			require.NoError(t, err)
			status, _, _ = one.provisions(t, token, "POST", "/Users", `{"schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"], "userName": "alice2@acme.com", "externalId": "Okta|Alice"}`)
			require.Equal(t, 409, status)
			status, _, found := one.provisions(t, token, "GET", "/Users?filter=externalId+eq+%22Okta%7CAlice%22", "")
			require.Equal(t, []any{200, 1.0}, []any{status, found["totalResults"]})
			status, _, group := one.provisions(t, token, "POST", "/Groups", `{"schemas": ["urn:ietf:params:scim:schemas:core:2.0:Group"], "displayName": "Engineering", "members": [{"value": "`+id+`"}]}`)
			require.Equal(t, 201, status, group)

			member := must(200, other, "GET", "/v1/organizations/acme/members/alice@acme.com", "")
			require.Equal(t, []any{"alice@acme.com", "Alice Smith", "Okta|Alice", "developer", "scim"}, []any{member["email"], member["name"], member["external_id"], member["role"], member["source"]})
			must(201, one, "POST", "/v1/users", `{"email": "other@acme.com"}`)
			must(201, one, "POST", "/v1/organizations/acme/members", `{"user_id": "other@acme.com", "role": "developer"}`)
			for query, n := range map[string]int{"": 2, "?external_id=Okta%7CAlice": 1, "?external_id=okta%7CAlice": 0, "?external_id=Okta%7CAlice&status=suspended": 0} {
				require.Len(t, must(200, other, "GET", "/v1/organizations/acme/members"+query, "")["data"], n, query)
			}
			must(400, one, "PATCH", "/v1/organizations/acme/members/alice@acme.com", `{"external_id": "Okta|Eve"}`) // which is the provider's
			require.Equal(t, "Okta|Alice", must(200, other, "GET", "/v1/organizations/acme/members/alice@acme.com", "")["external_id"])
			team := must(200, other, "GET", "/v1/organizations/acme/teams?slug=engineering", "")["data"].([]any)[0].(map[string]any)["id"].(string)
			key := must(201, one, "POST", "/v1/api-keys", `{"name": "alice", "team_id": "`+team+`", "user_id": "`+member["user_id"].(string)+`"}`)["key"].(string)
			calls := func(p *process) int { return p.as(t, key, "GET", "/v1/users/me", "") }
			require.Equal(t, calls(one), calls(other))
			worked := calls(other)
			require.NotEqual(t, 401, worked)

			change := func(active string) {
				t.Helper()
				status, _, _ := one.provisions(t, token, "PATCH", "/Users/"+id, `{"schemas": ["urn:ietf:params:scim:api:messages:2.0:PatchOp"], "Operations": [{"op": "replace", "path": "active", "value": `+active+`}]}`)
				require.Equal(t, 200, status)
			}
			change("false")
			require.Eventually(t, func() bool { return calls(other) == 401 }, time.Second, 5*time.Millisecond, "in the other process")
			require.Equal(t, 401, calls(one))
			require.Equal(t, "suspended", must(200, other, "GET", "/v1/organizations/acme/members/alice@acme.com", "")["status"])
			change("true")
			require.Eventually(t, func() bool { return calls(other) == worked }, time.Second, 5*time.Millisecond)

			// Switched off its token is no token, in every process.
			must(200, one, "PATCH", "/v1/organizations/acme/sso", `{"provisioning": {"scim_enabled": false}}`)
			status, _, _ = other.provisions(t, token, "GET", "/Users", "")
			require.Equal(t, 401, status)
			must(200, one, "PATCH", "/v1/organizations/acme/sso", `{"provisioning": {"scim_enabled": true, "auto_provision_users": false}}`)
			status, _, _ = other.provisions(t, token, "POST", "/Users", `{"schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"], "userName": "bob@acme.com"}`)
			require.Equal(t, 403, status)
			status, _, _ = other.provisions(t, token, "DELETE", "/Users/"+id, "")
			require.Equal(t, 204, status)
			require.Eventually(t, func() bool { return calls(one) == 401 }, time.Second, 5*time.Millisecond)
			must(404, one, "GET", "/v1/organizations/acme/members/alice@acme.com", "")
			for _, p := range []*process{one, other} {
				require.NoError(t, p.Process.Signal(os.Interrupt))
				require.NoError(t, p.Wait())
				require.NotContains(t, p.log.String(), token)
			}
		})
	}
}

// certificateOf is a certificate as a JSON text.
func certificateOf(t *testing.T) string {
	t.Helper()
	cert, _, _ := strings.Cut(string(signingKey(t)), "-----BEGIN PRIVATE")
	text, err := json.Marshal(cert)
	require.NoError(t, err)
	return string(text)
}
