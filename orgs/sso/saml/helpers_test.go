package saml_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/x509"
	"encoding/base64"
)

func base64Of(b []byte) string { return base64.StdEncoding.EncodeToString(b) }

func concatenatedSigner(key *ecdsa.PrivateKey) crypto.Signer { return concatenated{key} }

func signerCerts() []*x509.Certificate { return []*x509.Certificate{other().cert} }

func ecdsaParty() party {
	return newParty(ecdsaKey(elliptic.P256()), now.AddDate(-1, 0, 0), now.AddDate(1, 0, 0))
}
