package saml

import (
	"encoding/base64"
	"encoding/xml"
	"time"

	xsaml "github.com/crewjam/saml"
)

// metadataFor is how long metadata is valid. It only changes with the key that signs requests.
const metadataFor = 7 * 24 * time.Hour

// Metadata returns what an identity provider has to know of this side of a connection, as XML (SAML metadata §2.4.4).
// There is no key in it to encrypt for. The signer's certificate is there where the connection signs requests; else it
// may be nil.
func Metadata(c *Connection, s *Signer, now time.Time) ([]byte, error) {
	until := now.UTC().Add(metadataFor).Truncate(time.Second)
	want, first := true, true
	sp := xsaml.SPSSODescriptor{
		SSODescriptor: xsaml.SSODescriptor{
			RoleDescriptor: xsaml.RoleDescriptor{ProtocolSupportEnumeration: nsProtocol},
			NameIDFormats:  []xsaml.NameIDFormat{Persistent, xsaml.EmailAddressNameIDFormat, xsaml.UnspecifiedNameIDFormat},
		},
		AuthnRequestsSigned:       &c.SignRequests,
		WantAssertionsSigned:      &want,
		AssertionConsumerServices: []xsaml.IndexedEndpoint{{Binding: xsaml.HTTPPostBinding, Location: c.ACS, Index: 0, IsDefault: &first}},
	}
	if c.SignRequests {
		if err := s.Validate(); err != nil {
			return nil, err
		}
		data := xsaml.X509Data{X509Certificates: []xsaml.X509Certificate{{Data: base64.StdEncoding.EncodeToString(s.Certificate.Raw)}}}
		sp.KeyDescriptors = []xsaml.KeyDescriptor{{Use: "signing", KeyInfo: xsaml.KeyInfo{X509Data: data}}}
	}
	body, err := xml.MarshalIndent(xsaml.EntityDescriptor{EntityID: c.EntityID, ValidUntil: until, SPSSODescriptors: []xsaml.SPSSODescriptor{sp}}, "", "  ")
	if err != nil {
		return nil, err
	}
	return append([]byte(xml.Header), append(body, '\n')...), nil
}
