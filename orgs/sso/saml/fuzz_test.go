package saml_test

import (
	"bytes"
	"encoding/pem"
	"encoding/xml"
	"errors"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/orgkit/orgkit/orgs"
	"github.com/orgkit/orgkit/orgs/sso/saml"
)

// FuzzVerify: whatever comes in is refused by its code, or is accepted because it says what was signed, and then the
// library accepts it as well (A30).
func FuzzVerify(f *testing.F) {
	// Keys are made anew in each process, so that an input of the corpus is accepted only by chance; what is around the
	// signature is found all the same. Seeds are signed in this one.
	t := &testing.T{}
	for _, m := range []message{{}, {signResponse: true}, {keepAssertion: true, signResponse: true}, {keepAssertion: true}, {by: other()}} {
		f.Add(m.build(t))
	}
	f.Add([]byte(`<samlp:Response xmlns:samlp="urn:oasis:names:tc:SAML:2.0:protocol"><ds:Signature xmlns:ds="http://www.w3.org/2000/09/xmldsig#"/></samlp:Response>`))
	c := connection()
	f.Fuzz(func(t *testing.T, raw []byte) {
		id, err := saml.Verify(c, asked, now, raw)
		if err != nil {
			var r *saml.Refused
			require.True(t, errors.As(err, &r), "%v", err)
			require.NotEmpty(t, r.Code)
			require.Equal(t, saml.Identity{}, id, "who is refused is nobody")
			return
		}
		require.Equal(t, "00u1", id.Subject, "the one whom the key has signed")
		require.Equal(t, "ann@acme.com", id.Email)
		var escaped bytes.Buffer
		require.NoError(t, xml.EscapeText(&escaped, []byte(id.Subject)))
		require.Contains(t, string(raw), escaped.String())
		require.NoError(t, oracle(raw))
	})
}

// FuzzAnswer: whatever is posted to the address for answers.
func FuzzAnswer(f *testing.F) {
	t := &testing.T{}
	base := strings.TrimSuffix(acs, "/saml/acs")
	flow := orgs.SSOFlow{Handle: "handle", Secret: "secret", StartedAt: asked.IssuedAt, Base: base}
	for _, m := range []message{{}, {signResponse: true}, {keepAssertion: true}} {
		f.Add(url.Values{"SAMLResponse": {base64Of(m.build(t))}, "RelayState": {"handle"}}.Encode(), true)
	}
	f.Add("SAMLResponse=&RelayState=", false)
	f.Add("SAMLResponse=PHg%2BPC94Pg%3D%3D", false)
	p, err := saml.New(func() time.Time { return now }, nil)
	require.NoError(f, err)
	c := orgs.SSOConnection{SSO: orgs.SSO{Issuer: issuer, Unsolicited: true, Certs: []string{string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: idp().cert.Raw}))}}}
	f.Fuzz(func(t *testing.T, body string, solicited bool) {
		answer, err := url.ParseQuery(body)
		if err != nil {
			return
		}
		in := flow
		if !solicited {
			in.Handle = ""
		}
		_, err = p.Finish(t.Context(), c, in, answer)
		var refused *orgs.SSORefused
		require.ErrorAs(t, err, &refused, "no seed answers this flow, and nobody else can sign")
		require.NotEmpty(t, refused.Code)
	})
}
