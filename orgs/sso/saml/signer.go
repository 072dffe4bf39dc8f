package saml

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"errors"

	"github.com/beevik/etree"
	dsig "github.com/russellhaering/goxmldsig"
)

// Signer signs requests: rsa-sha256, which every identity provider knows. The certificate is in the metadata; its other
// contents than the key matter to nobody.
type Signer struct {
	Key         crypto.Signer // RSA, of 2048 bits or more
	Certificate *x509.Certificate
}

// Validate says what keeps the signer from working.
func (s *Signer) Validate() error {
	if s == nil || s.Key == nil || s.Certificate == nil {
		return errors.New("saml: a key and its certificate are required to sign requests")
	}
	key, is := s.Key.Public().(*rsa.PublicKey)
	switch {
	case !is || key.N.BitLen() < 2048:
		return errors.New("saml: requests are signed with an RSA key of 2048 bits or more")
	case !key.Equal(s.Certificate.PublicKey):
		return errors.New("saml: the certificate is of another key")
	}
	return nil
}

const rsaSHA256 = dsig.RSASHA256SignatureMethod

// text signs bytes, for the redirect binding.
func (s *Signer) text(b string) ([]byte, error) {
	sum := sha256.Sum256([]byte(b))
	return s.Key.Sign(rand.Reader, sum[:], crypto.SHA256)
}

// element returns the signature of an element, for the POST binding.
func (s *Signer) element(el *etree.Element) (*etree.Element, error) {
	c, err := dsig.NewSigningContext(s.Key, [][]byte{s.Certificate.Raw})
	if err != nil {
		return nil, err
	}
	c.Canonicalizer = dsig.MakeC14N10ExclusiveCanonicalizerWithPrefixList("")
	if err := c.SetSignatureMethod(rsaSHA256); err != nil {
		return nil, err
	}
	return c.ConstructSignature(el, true)
}
