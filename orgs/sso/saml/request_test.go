package saml_test

import (
	"bytes"
	"compress/flate"
	"crypto"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/xml"
	"io"
	"net/url"
	"strings"
	"testing"

	"github.com/beevik/etree"
	xsaml "github.com/crewjam/saml"
	dsig "github.com/russellhaering/goxmldsig"
	"github.com/stretchr/testify/require"

	"github.com/orgkit/orgkit/orgs/sso/saml"
)

func signer() *saml.Signer { return &saml.Signer{Key: other().key, Certificate: other().cert} }

// sent reads a request as an identity provider does.
func sent(t *testing.T, raw []byte) xsaml.AuthnRequest {
	t.Helper()
	var r xsaml.AuthnRequest
	require.NoError(t, xml.Unmarshal(raw, &r))
	return r
}

func inflated(t *testing.T, s string) []byte {
	t.Helper()
	b, err := base64.StdEncoding.DecodeString(s)
	require.NoError(t, err)
	raw, err := io.ReadAll(flate.NewReader(bytes.NewReader(b)))
	require.NoError(t, err)
	return raw
}

func TestRequestByRedirect(t *testing.T) {
	c := connection()
	c.SSOURL += "?tenant=1"
	c.ForceAuthn = true
	r, err := saml.NewRequest(c, *asked)
	require.NoError(t, err)
	require.Equal(t, *asked, r.Request)

	to, err := r.Redirect("handle&1", nil)
	require.NoError(t, err)
	require.True(t, strings.HasPrefix(to, c.SSOURL+"&SAMLRequest="), to)
	u, err := url.Parse(to)
	require.NoError(t, err)
	require.Equal(t, "handle&1", u.Query().Get("RelayState"))
	require.False(t, u.Query().Has("Signature"))

	got := sent(t, inflated(t, u.Query().Get("SAMLRequest")))
	require.Equal(t, r.ID, got.ID)
	require.True(t, asked.IssuedAt.Equal(got.IssueInstant))
	require.Equal(t, c.SSOURL, got.Destination)
	require.Equal(t, entityID, got.Issuer.Value)
	require.Equal(t, acs, got.AssertionConsumerServiceURL)
	require.Equal(t, xsaml.HTTPPostBinding, got.ProtocolBinding)
	require.Nil(t, got.NameIDPolicy)
	require.True(t, *got.ForceAuthn)

	_, err = saml.NewRequest(c, saml.Request{ID: "1 or <", IssuedAt: now})
	require.Error(t, err)
	_, err = r.Redirect(strings.Repeat("x", saml.MaxRelayState+1), nil)
	require.Error(t, err)
}

// TestRequestSignedInTheAddress: what is signed is the query as it is sent (SAML bindings §3.4.4.1).
func TestRequestSignedInTheAddress(t *testing.T) {
	c := connection()
	c.SignRequests, c.SSOURL = true, ssoURL+"?tenant=1"
	r, err := saml.NewRequest(c, *asked)
	require.NoError(t, err)
	_, err = r.Redirect("handle", nil)
	require.Error(t, err, "nobody signs")

	to, err := r.Redirect("handle", signer())
	require.NoError(t, err)
	u, err := url.Parse(to)
	require.NoError(t, err)
	text, value, found := strings.Cut(strings.TrimPrefix(u.RawQuery, "tenant=1&"), "&Signature=")
	require.True(t, found)
	require.Contains(t, text, "&SigAlg="+url.QueryEscape(dsig.RSASHA256SignatureMethod))
	value, err = url.QueryUnescape(value)
	require.NoError(t, err)
	sig, err := base64.StdEncoding.DecodeString(value)
	require.NoError(t, err)
	sum := sha256.Sum256([]byte(text))
	require.NoError(t, rsa.VerifyPKCS1v15(other().key.Public().(*rsa.PublicKey), crypto.SHA256, sum[:], sig))
}

func TestRequestSignedInAForm(t *testing.T) {
	c := connection()
	r, err := saml.NewRequest(c, *asked)
	require.NoError(t, err)
	field, err := r.Form(nil)
	require.NoError(t, err)
	plain, err := base64.StdEncoding.DecodeString(field)
	require.NoError(t, err)
	require.Equal(t, r.ID, sent(t, plain).ID)

	c.SignRequests = true
	_, err = r.Form(nil)
	require.Error(t, err, "nobody signs")
	field, err = r.Form(signer())
	require.NoError(t, err)
	raw, err := base64.StdEncoding.DecodeString(field)
	require.NoError(t, err)
	doc := etree.NewDocument()
	require.NoError(t, doc.ReadFromBytes(raw))
	require.Equal(t, "Signature", doc.Root().ChildElements()[1].Tag, "after the issuer, where the schema has it")
	v := dsig.NewDefaultValidationContext(&dsig.MemoryX509CertificateStore{Roots: signerCerts()})
	v.Clock = dsig.NewFakeClockAt(now)
	_, err = v.Validate(doc.Root())
	require.NoError(t, err)
}

// TestRequestGoesByHTTPSAlone: the address comes from a tenant, and a browser is sent there (A15).
func TestRequestGoesByHTTPSAlone(t *testing.T) {
	for _, u := range []string{"", "javascript:alert(1)", "http://acme.okta.com/sso", "//acme.okta.com/sso", "/sso", "https:///sso",
		"https://ann:secret@acme.okta.com/sso", "https://acme.okta.com/sso#x", "data:text/html,x"} {
		c := connection()
		c.SSOURL = u
		_, err := saml.NewRequest(c, *asked)
		require.Error(t, err, u)
		require.NotContains(t, err.Error(), "secret")
	}
}

func TestConnectionThatCannotWork(t *testing.T) {
	for name, spoil := range map[string]func(*saml.Connection){
		"no issuer":       func(c *saml.Connection) { c.Issuer = "" },
		"no name":         func(c *saml.Connection) { c.EntityID = "" },
		"no address":      func(c *saml.Connection) { c.ACS = "" },
		"no certificate":  func(c *saml.Connection) { c.Certificates = nil },
		"a negative skew": func(c *saml.Connection) { c.ClockSkew = -1 },
	} {
		c := connection()
		spoil(c)
		require.Error(t, c.Validate(), name)
		_, err := saml.Verify(c, asked, now, message{}.build(t))
		require.Error(t, err, name)
		_, err = saml.NewRequest(c, *asked)
		require.Error(t, err, name)
	}
}

func TestSignerThatCannotWork(t *testing.T) {
	key := ecdsaParty()
	for name, s := range map[string]*saml.Signer{
		"none": nil, "no key": {Certificate: other().cert}, "no certificate": {Key: other().key},
		"the certificate of another key": {Key: other().key, Certificate: idp().cert},
		"a key that few can verify":      {Key: key.key, Certificate: key.cert},
	} {
		require.Error(t, s.Validate(), name)
	}
	require.NoError(t, signer().Validate())
}
