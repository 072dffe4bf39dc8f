package saml_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"io"
	"math/big"
	"sync"
	"testing"
	"time"

	"github.com/beevik/etree"
	xsaml "github.com/crewjam/saml"
	dsig "github.com/russellhaering/goxmldsig"
	"github.com/stretchr/testify/require"

	"github.com/orgkit/orgkit/orgs/sso/saml"
)

const (
	entityID = "https://sp.example.com/sso/org_1/saml/metadata"
	acs      = "https://sp.example.com/sso/org_1/saml/acs"
	ssoURL   = "https://acme.okta.com/app/orgkit/sso/saml"
	issuer   = "http://www.okta.com/exk1"
	email    = "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/emailaddress"
	fullName = "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/name"
	groups   = "http://schemas.xmlsoap.org/claims/Group"
	bearer   = "urn:oasis:names:tc:SAML:2.0:cm:bearer"
	password = "urn:oasis:names:tc:SAML:2.0:ac:classes:PasswordProtectedTransport"
)

// now is when all responses arrive.
var now = time.Date(2026, 11, 26, 16, 0, 0, 0, time.UTC)

// party is somebody with a key, such as an identity provider.
type party struct {
	key  crypto.Signer
	cert *x509.Certificate
}

func newParty(key crypto.Signer, from, until time.Time) party {
	tmpl := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "idp"}, NotBefore: from, NotAfter: until}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, key.Public(), key)
	if err != nil {
		panic(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		panic(err)
	}
	return party{key, cert}
}

func rsaParty() party {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	return newParty(key, now.AddDate(-1, 0, 0), now.AddDate(1, 0, 0))
}

// idp is the identity provider of the connection, other is some other one.
var idp, other = sync.OnceValue(rsaParty), sync.OnceValue(rsaParty)

// concatenated signs as XML Signature says, which the library does not.
type concatenated struct{ *ecdsa.PrivateKey }

func (c concatenated) Sign(r io.Reader, digest []byte, o crypto.SignerOpts) ([]byte, error) {
	der, err := c.PrivateKey.Sign(r, digest, o)
	if err != nil {
		return nil, err
	}
	var sig struct{ R, S *big.Int }
	if _, err := asn1.Unmarshal(der, &sig); err != nil {
		return nil, err
	}
	size := (c.Curve.Params().BitSize + 7) / 8
	return append(sig.R.FillBytes(make([]byte, size)), sig.S.FillBytes(make([]byte, size))...), nil
}

func ecdsaKey(curve elliptic.Curve) *ecdsa.PrivateKey {
	key, err := ecdsa.GenerateKey(curve, rand.Reader)
	if err != nil {
		panic(err)
	}
	return key
}

func connection(certs ...*x509.Certificate) *saml.Connection {
	if len(certs) == 0 {
		certs = []*x509.Certificate{idp().cert}
	}
	return &saml.Connection{EntityID: entityID, ACS: acs, SSOURL: ssoURL, Issuer: issuer, Certificates: certs,
		Attributes: saml.Attributes{Email: email, Name: fullName, Groups: groups}}
}

// asked is the request that responses answer.
var asked = &saml.Request{ID: "_request1", IssuedAt: now.Add(-time.Minute)}

// message is a response in the making: change what is signed in assertion and response, what is signed afterwards in
// after. The assertion is signed, and the response where signResponse says so.
type message struct {
	by            party
	method        string
	c14n          dsig.Canonicalizer
	keepAssertion bool // unsigned
	signResponse  bool
	assertion     func(*etree.Element)
	response      func(*etree.Element)
	after         func(t *testing.T, response *etree.Element)
}

func attr(name, friendly string, values ...string) xsaml.Attribute {
	a := xsaml.Attribute{Name: name, FriendlyName: friendly}
	for _, v := range values {
		a.Values = append(a.Values, xsaml.AttributeValue{Type: "xs:string", Value: v})
	}
	return a
}

func newAssertion(id string) *xsaml.Assertion {
	until := now.Add(8 * time.Hour)
	return &xsaml.Assertion{
		ID: id, IssueInstant: now, Version: "2.0", Issuer: xsaml.Issuer{Value: issuer},
		Subject: &xsaml.Subject{
			NameID: &xsaml.NameID{Format: saml.Persistent, Value: "00u1"},
			SubjectConfirmations: []xsaml.SubjectConfirmation{{Method: bearer, SubjectConfirmationData: &xsaml.SubjectConfirmationData{
				NotOnOrAfter: now.Add(5 * time.Minute), Recipient: acs, InResponseTo: asked.ID}}},
		},
		Conditions: &xsaml.Conditions{NotBefore: now.Add(-5 * time.Minute), NotOnOrAfter: now.Add(5 * time.Minute),
			AudienceRestrictions: []xsaml.AudienceRestriction{{Audience: xsaml.Audience{Value: entityID}}}},
		AuthnStatements: []xsaml.AuthnStatement{{AuthnInstant: now.Add(-time.Hour), SessionIndex: "s1", SessionNotOnOrAfter: &until,
			AuthnContext: xsaml.AuthnContext{AuthnContextClassRef: &xsaml.AuthnContextClassRef{Value: password}}}},
		AttributeStatements: []xsaml.AttributeStatement{{Attributes: []xsaml.Attribute{
			attr(email, "mail", "ann@acme.com"), attr(fullName, "cn", "Ann"), attr(groups, "", "Engineering", "IT-Admins"),
		}}},
	}
}

// build returns the response as bytes.
func (m message) build(t *testing.T) []byte {
	t.Helper()
	return write(t, m.tree(t))
}

func (m message) tree(t *testing.T) *etree.Element {
	t.Helper()
	a := newAssertion("_assertion1").Element()
	if m.assertion != nil {
		m.assertion(a)
	}
	if !m.keepAssertion {
		a = m.sign(t, a)
	}
	r := &xsaml.Response{ID: "_response1", Version: "2.0", IssueInstant: now, InResponseTo: asked.ID, Destination: acs,
		Issuer: &xsaml.Issuer{Value: issuer}, Status: xsaml.Status{StatusCode: xsaml.StatusCode{Value: xsaml.StatusSuccess}}}
	el := r.Element()
	el.AddChild(a)
	if m.response != nil {
		m.response(el)
	}
	if m.signResponse {
		el = m.sign(t, el)
	}
	if m.after != nil {
		m.after(t, el)
	}
	return el
}

// sign returns the element with its signature after the issuer, where the schema wants it.
func (m message) sign(t *testing.T, el *etree.Element) *etree.Element {
	t.Helper()
	by := m.by
	if by.key == nil {
		by = idp()
	}
	method := m.method
	if method == "" {
		method = dsig.RSASHA256SignatureMethod
	}
	c, err := dsig.NewSigningContext(by.key, [][]byte{by.cert.Raw})
	require.NoError(t, err)
	c.Canonicalizer = dsig.MakeC14N10ExclusiveCanonicalizerWithPrefixList("")
	if m.c14n != nil {
		c.Canonicalizer = m.c14n
	}
	require.NoError(t, c.SetSignatureMethod(method))
	sig, err := c.ConstructSignature(el, true)
	require.NoError(t, err)
	el = el.Copy()
	el.InsertChildAt(1, sig)
	return el
}

func write(t *testing.T, el *etree.Element) []byte {
	t.Helper()
	doc := etree.NewDocument()
	doc.SetRoot(el.Copy())
	raw, err := doc.WriteToBytes()
	require.NoError(t, err)
	return raw
}

// at is the element at a path below another, which has to be there.
func at(el *etree.Element, path string) *etree.Element {
	found := el.FindElement(path)
	if found == nil {
		panic("no " + path)
	}
	return found
}

func remove(path string) func(*etree.Element) {
	return func(el *etree.Element) { found := at(el, path); found.Parent().RemoveChild(found) }
}

func set(path, name, value string) func(*etree.Element) {
	return func(el *etree.Element) { at(el, path).CreateAttr(name, value) }
}

func unset(path, name string) func(*etree.Element) {
	return func(el *etree.Element) {
		if at(el, path).RemoveAttr(name) == nil {
			panic("no " + name)
		}
	}
}

func setText(path, value string) func(*etree.Element) {
	return func(el *etree.Element) { at(el, path).SetText(value) }
}

func afterwards(f func(*etree.Element)) func(*testing.T, *etree.Element) {
	return func(_ *testing.T, el *etree.Element) { f(el) }
}

// stamp is a time as assertions have it.
func stamp(d time.Duration) string { return now.Add(d).Format("2006-01-02T15:04:05.000Z") }
