package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"io"
	"math/big"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/orgkit/orgkit/store/seal"
)

// TestBrowsersAreSentToTheIdentityProviderBySAML, and a key is needed for what they keep.
func TestBrowsersAreSentToTheIdentityProviderBySAML(t *testing.T) {
	t.Setenv("ORGKIT_SEAL_KEY", seal.GenerateKey())
	p := start(t, "memory:", "-url", "https://gateway.example")
	status, org, err := p.call("POST", "/v1/organizations", `{"name": "Acme", "slug": "acme"}`)
	require.NoError(t, err)
	require.Equal(t, 201, status, org)

	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	tmpl := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, k.Public(), k)
	require.NoError(t, err)
	cert, err := json.Marshal(string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})))
	require.NoError(t, err)
	status, out, err := p.call("PUT", "/v1/organizations/acme/sso", `{"provider": "okta", "enabled": true, "settings": {
		"sso_url": "https://acme.okta.com/app/orgkit/sso/saml", "issuer": "http://www.okta.com/exk1", "x509_cert": `+string(cert)+`}}`)
	require.NoError(t, err)
	require.Equal(t, 200, status, out)
	sp := out["sp"].(map[string]any)
	at := "https://gateway.example/sso/" + org["id"].(string)
	require.Equal(t, at+"/saml/metadata", sp["entity_id"])
	require.Equal(t, at+"/saml/acs", sp["acs_url"])

	browser := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	get := func(path string) (*http.Response, string) {
		res, err := browser.Get(p.url + path)
		require.NoError(t, err)
		body, err := io.ReadAll(res.Body)
		require.NoError(t, err)
		require.NoError(t, res.Body.Close())
		return res, string(body)
	}
	res, meta := get("/sso/" + org["id"].(string) + "/saml/metadata")
	require.Equal(t, 200, res.StatusCode)
	require.Contains(t, meta, `entityID="`+at+`/saml/metadata"`)
	res, _ = get("/sso/acme/login?return_to=/console")
	require.Equal(t, 303, res.StatusCode)
	require.True(t, strings.HasPrefix(res.Header.Get("Location"), "https://acme.okta.com/app/orgkit/sso/saml?SAMLRequest="))
	require.Len(t, res.Cookies(), 1)
	answer, err := browser.PostForm(p.url+"/sso/"+org["id"].(string)+"/saml/acs", url.Values{"SAMLResponse": {"PHg+PC94Pg=="}})
	require.NoError(t, err)
	require.NoError(t, answer.Body.Close())
	require.Equal(t, 403, answer.StatusCode)
	status, out, err = p.call("PATCH", "/v1/organizations/acme/sso", `{"settings": {"sign_requests": true}}`)
	require.NoError(t, err)
	require.Equal(t, 400, status, out)
	require.NoError(t, p.Process.Signal(os.Interrupt))
	require.NoError(t, p.Wait(), p.log)
	require.Empty(t, p.log.String())

	// Below a path, whether the proxy takes it away or not; and with a key that signs.
	file := filepath.Join(t.TempDir(), "saml.pem")
	require.NoError(t, os.WriteFile(file, signingKey(t), 0o600))
	p = start(t, "memory:", "-url", "https://example.org/gateway/", "-saml-key", file)
	_, org, err = p.call("POST", "/gateway/v1/organizations", `{"name": "Acme", "slug": "acme"}`)
	require.NoError(t, err)
	status, out, err = p.call("PUT", "/v1/organizations/acme/sso", `{"provider": "okta", "enabled": true, "settings": {"sign_requests": true,
		"sso_url": "https://acme.okta.com/app/orgkit/sso/saml", "issuer": "http://www.okta.com/exk1", "x509_cert": `+string(cert)+`}}`)
	require.NoError(t, err)
	require.Equal(t, 200, status, out)
	at = "https://example.org/gateway/sso/" + org["id"].(string)
	require.Equal(t, at+"/saml/acs", out["sp"].(map[string]any)["acs_url"])
	for _, before := range []string{"", "/gateway"} {
		_, meta = get(before + "/sso/" + org["id"].(string) + "/saml/metadata")
		require.Contains(t, meta, `entityID="`+at+`/saml/metadata"`)
		require.Contains(t, meta, `AuthnRequestsSigned="true"`)
		res, _ = get(before + "/sso/acme/login")
		require.Equal(t, 303, res.StatusCode)
		require.Contains(t, res.Header.Get("Location"), "&Signature=")
		answer, err = browser.PostForm(p.url+before+"/sso/"+org["id"].(string)+"/saml/acs", url.Values{"SAMLResponse": {"PHg+PC94Pg=="}})
		require.NoError(t, err)
		require.NoError(t, answer.Body.Close())
		require.Equal(t, 403, answer.StatusCode)
		status, _, err = p.call("GET", before+"/scim/v2/ServiceProviderConfig", "")
		require.NoError(t, err)
		require.Equal(t, 200, status)
	}

	t.Setenv("ORGKIT_SEAL_KEY", "")
	p = start(t, "memory:")
	status, _, err = p.call("GET", "/sso/acme/login", "")
	require.NoError(t, err)
	require.Equal(t, 404, status)
}

// signingKey is an RSA key and its certificate.
func signingKey(t *testing.T) []byte {
	k, err := rsa.GenerateKey(rand.Reader, 2048)
	require.NoError(t, err)
	tmpl := &x509.Certificate{SerialNumber: big.NewInt(2), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, k.Public(), k)
	require.NoError(t, err)
	secret, err := x509.MarshalPKCS8PrivateKey(k)
	require.NoError(t, err)
	return append(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret})...)
}
