package saml_test

import (
	"bytes"
	"encoding/xml"
	"errors"
	"testing"

	"github.com/stretchr/testify/require"

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
