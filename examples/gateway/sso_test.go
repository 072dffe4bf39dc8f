package main

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"io"
	"math/big"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/pquerna/otp/totp"
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

// directory is an OpenID provider that says of one person at a time who they are.
type directory struct {
	*httptest.Server
	nonce string
	says  map[string]any
}

func newDirectory(t *testing.T) *directory {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	require.NoError(t, err)
	part := base64.RawURLEncoding.EncodeToString
	d := &directory{}
	answers := map[string]func() any{
		"/.well-known/openid-configuration": func() any {
			return map[string]string{"issuer": d.URL, "authorization_endpoint": d.URL + "/authorize", "token_endpoint": d.URL + "/token", "jwks_uri": d.URL + "/keys"}
		},
		"/keys": func() any {
			return map[string]any{"keys": []any{map[string]string{"kty": "RSA", "kid": "k1", "alg": "RS256", "n": part(key.N.Bytes()), "e": part(big.NewInt(int64(key.E)).Bytes())}}}
		},
		"/token": func() any {
			claims := map[string]any{"iss": d.URL, "aud": "gateway", "exp": time.Now().Add(time.Minute).Unix(), "iat": time.Now().Unix(), "nonce": d.nonce, "email_verified": true}
			for name, v := range d.says {
				claims[name] = v
			}
			raw, err := json.Marshal(claims)
			require.NoError(t, err)
			signed := part([]byte(`{"alg": "RS256", "kid": "k1"}`)) + "." + part(raw)
			sum := sha256.Sum256([]byte(signed))
			value, err := rsa.SignPKCS1v15(rand.Reader, key, crypto.SHA256, sum[:])
			require.NoError(t, err)
			return map[string]string{"access_token": "at", "token_type": "Bearer", "id_token": signed + "." + part(value)}
		},
	}
	d.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(answers[r.URL.Path]())
	}))
	t.Cleanup(d.Close)
	return d
}

// signIn is what a browser does, and how it ends: with the token of a session, if with one.
func (d *directory) signIn(t *testing.T, login string) (status int, token string) {
	t.Helper()
	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	res, err := client.Get(login)
	require.NoError(t, err)
	require.NoError(t, res.Body.Close())
	if res.StatusCode != http.StatusSeeOther {
		return res.StatusCode, ""
	}
	to, err := url.Parse(res.Header.Get("Location"))
	require.NoError(t, err)
	d.nonce = to.Query().Get("nonce")
	r, err := http.NewRequest("GET", to.Query().Get("redirect_uri")+"?code=c&state="+url.QueryEscape(to.Query().Get("state")), nil)
	require.NoError(t, err)
	for _, c := range res.Cookies() {
		r.AddCookie(&http.Cookie{Name: c.Name, Value: c.Value})
	}
	res, err = client.Do(r)
	require.NoError(t, err)
	_, err = io.Copy(io.Discard, res.Body)
	require.NoError(t, err)
	require.NoError(t, res.Body.Close())
	for _, c := range res.Cookies() {
		if c.Name == "__Host-orgkit_session" {
			token = c.Value
		}
	}
	return res.StatusCode, token
}

// TestPasswordsAreRefusedOnceTheProviderHasProvedItself, but to an owner with a second factor, and no longer than it is there.
func TestPasswordsAreRefusedOnceTheProviderHasProvedItself(t *testing.T) { // F028, F176, F180 to F184, F188, F323
	t.Setenv("ORGKIT_SEAL_KEY", seal.GenerateKey())
	d := newDirectory(t)
	p := start(t, "memory:", "-allow", "127.0.0.1")
	must := func(want int, method, path, body string) map[string]any {
		t.Helper()
		status, out, err := p.call(method, path, body)
		require.NoError(t, err)
		require.Equal(t, want, status, out)
		return out
	}
	const org, password = "/v1/organizations/acme", "correct horse battery staple"
	must(201, "POST", "/v1/organizations", `{"name": "Acme", "slug": "acme", "settings": {"security": {"sso_enabled": true, "sso_provider": "custom"}}}`)
	must(201, "POST", org+"/roles", `{"name": "developer", "slug": "developer", "permissions": ["models.use"]}`)
	for email, role := range map[string]string{"owner@acme.example": "org_admin", "ann@acme.example": "member"} {
		must(201, "POST", "/v1/users", `{"email": "`+email+`", "email_verified": true}`)
		must(201, "POST", org+"/members", `{"user_id": "`+email+`", "role": "`+role+`"}`)
		must(200, "PUT", "/v1/users/"+email+"/password", `{"password": "`+password+`"}`)
	}
	by := func(want int, email string) map[string]any {
		t.Helper()
		return must(want, "POST", "/v1/sessions", `{"email": "`+email+`", "password": "`+password+`"}`)
	}
	status := func(want string) {
		t.Helper()
		require.Equal(t, want, must(200, "GET", org, "")["sso_status"])
	}
	person := func(token, method, path, body string) (out map[string]any) {
		t.Helper()
		r, err := http.NewRequest(method, p.url+path, strings.NewReader(body))
		require.NoError(t, err)
		r.Header.Set("Authorization", "Bearer "+token)
		res, err := http.DefaultClient.Do(r)
		require.NoError(t, err)
		defer res.Body.Close()
		require.Less(t, res.StatusCode, 300)
		require.NoError(t, json.NewDecoder(res.Body).Decode(&out))
		return out
	}

	status("not_configured")
	by(201, "ann@acme.example")
	owner := by(201, "owner@acme.example")["token"].(string)
	code, err := totp.GenerateCode(person(owner, "POST", "/v1/users/me/mfa", "")["secret"].(string), time.Now())
	require.NoError(t, err)
	recovery := person(owner, "POST", "/v1/users/me/mfa/confirm", `{"code": "`+code+`"}`)["recovery_codes"].([]any)[0].(string)

	must(200, "PUT", org+"/provisioning/verified-domains", `{"verified_domains": ["acme.example"]}`)
	login := must(200, "PUT", org+"/sso", `{"provider": "custom", "protocol": "oidc", "enabled": true, "settings": {"issuer": "`+d.URL+`", "client_id": "gateway", "client_secret": "secret-of-the-client",
		"attribute_mapping": {"email": "mail", "name": "full_name", "groups": "member_of"}, "role_mapping": {"Engineering": "developer"}},
		"provisioning": {"auto_provision_users": true}}`)["sp"].(map[string]any)["login_url"].(string)
	status("unproved")
	by(201, "ann@acme.example")

	d.says = map[string]any{"sub": "1", "mail": "ann@acme.example", "full_name": "Ann", "member_of": []string{"Engineering"}}
	ended, token := d.signIn(t, login)
	require.Equal(t, http.StatusSeeOther, ended)
	require.Equal(t, "ann@acme.example", person(token, "GET", "/v1/users/me", "")["email"])
	require.Equal(t, "developer", must(200, "GET", org+"/members/ann@acme.example", "")["role"])
	status("enforced")
	require.Equal(t, "sso_required", by(403, "ann@acme.example")["code"])
	pending := by(201, "owner@acme.example")["token"].(string)
	person(pending, "POST", "/v1/sessions/current/mfa", `{"recovery_code": "`+recovery+`"}`)
	require.Len(t, must(200, "GET", org+"/audit/logs?event_types=security.break_glass", "")["data"], 1)

	d.says = map[string]any{"sub": "2", "mail": "bob@acme.example", "full_name": "Bob Lee"}
	ended, token = d.signIn(t, login)
	require.Equal(t, http.StatusSeeOther, ended)
	bob := must(200, "GET", org+"/members/bob@acme.example", "")
	require.Equal(t, []any{"Bob Lee", "member", "sso"}, []any{bob["name"], bob["role"], bob["source"]})
	must(200, "DELETE", org+"/members/bob@acme.example", "")
	require.Equal(t, 401, p.as(t, token, "GET", org, ""))
	must(200, "PATCH", org+"/sso", `{"provisioning": {"auto_provision_users": false}}`)
	for _, says := range []map[string]any{{"sub": "2", "mail": "bob@acme.example"}, {"sub": "3", "mail": "carl@acme.example"}, {"sub": "4", "mail": "ann@elsewhere.example"}} {
		d.says = says // who was removed, who is new, and who is of no domain of theirs
		ended, token = d.signIn(t, login)
		require.Equal(t, []any{http.StatusForbidden, ""}, []any{ended, token})
	}

	must(200, "PATCH", org+"/sso", `{"enabled": false}`)
	ended, _ = d.signIn(t, login)
	require.Equal(t, http.StatusNotFound, ended)
	by(201, "ann@acme.example")
}
