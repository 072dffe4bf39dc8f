package main

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/orgkit/orgkit/store/seal"
)

// TestBrowsersAreSentToTheIdentityProvider of an organization whose configuration came by the native dialect.
func TestBrowsersAreSentToTheIdentityProvider(t *testing.T) { // F174, F184
	t.Setenv("ORGKIT_SEAL_KEY", seal.GenerateKey())
	var provider *httptest.Server
	provider = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_ = json.NewEncoder(w).Encode(map[string]string{"issuer": provider.URL, "authorization_endpoint": provider.URL + "/authorize",
			"token_endpoint": provider.URL + "/token", "jwks_uri": provider.URL + "/keys"})
	}))
	defer provider.Close()
	p := start(t, "memory:", "-allow", "127.0.0.1")
	status, org, err := p.call("POST", "/v1/organizations", `{"name": "Acme"}`)
	require.NoError(t, err)
	require.Equal(t, 201, status)
	status, set, err := p.call("PUT", "/v1/organizations/acme/sso", `{"provider": "custom", "protocol": "oidc", "enabled": true,
		"settings": {"issuer": "`+provider.URL+`", "client_id": "gateway", "client_secret": "secret-of-the-client"}}`)
	require.NoError(t, err)
	require.Equal(t, 200, status, set)
	sp := set["sp"].(map[string]any)
	require.Equal(t, p.url+"/sso/"+org["id"].(string)+"/login", sp["login_url"])

	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	res, err := client.Get(sp["login_url"].(string))
	require.NoError(t, err)
	require.NoError(t, res.Body.Close())
	require.Equal(t, http.StatusSeeOther, res.StatusCode)
	to, err := url.Parse(res.Header.Get("Location"))
	require.NoError(t, err)
	require.True(t, strings.HasPrefix(to.String(), provider.URL+"/authorize?"))
	require.Equal(t, sp["redirect_uri"], to.Query().Get("redirect_uri"))
	res, err = client.Get(sp["redirect_uri"].(string) + "?code=x&state=made-up")
	require.NoError(t, err)
	require.NoError(t, res.Body.Close())
	require.Equal(t, http.StatusForbidden, res.StatusCode)
	res, err = client.Get(p.url + "/sso/" + org["id"].(string) + "/saml/metadata")
	require.NoError(t, err)
	require.NoError(t, res.Body.Close())
	require.Equal(t, http.StatusOK, res.StatusCode)
	status, _, err = p.call("POST", "/sso/acme/test", "")
	require.NoError(t, err)
	require.Equal(t, 201, status)
}
