package orgs

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/pem"
	"strings"
	"time"

	"github.com/orgkit/orgkit/store"
)

// Certificate is one by which an identity provider signs.
type Certificate struct {
	*x509.Certificate
	PEM         string
	Fingerprint string // SHA-256, in hex
}

// Limits of certificates.
const (
	maxCerts     = 10
	maxCertBytes = 16 << 10
	minRSA       = 2048 // bits
)

// certificates are those of a configuration, which were parsed when they were written.
func (s SSO) certificates() (all []Certificate) {
	for _, text := range s.Certs {
		if c, ok := parseCertificate([]byte(text)); ok {
			all = append(all, c)
		}
	}
	return all
}

// Certificates are those by which the identity provider signs, in the order in which they were given.
func (c SSOConnection) Certificates() []Certificate { return c.SSO.certificates() }

// parseCertificates reads certificates as they are pasted: PEM, several in one text or several texts, or bare base64. Each
// has to be valid now, and of a kind of key that signatures are accepted of (F179, F462).
func parseCertificates(field string, texts []string, now time.Time) (all []string, err error) {
	wrong := func(format string, args ...any) ([]string, error) {
		return nil, store.Invalid(field, "certificate", format, args...)
	}
	for _, text := range texts {
		if len(text) > maxCerts*maxCertBytes {
			return wrong("is too long")
		}
		rest := []byte(strings.TrimSpace(text))
		if len(rest) == 0 {
			return wrong("must be a certificate")
		}
		if !strings.Contains(text, "-----BEGIN") {
			der, err := base64.StdEncoding.Strict().DecodeString(strings.Join(strings.Fields(text), ""))
			if err != nil {
				return wrong("must be a certificate, in PEM or base64")
			}
			rest = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
		}
		for len(strings.TrimSpace(string(rest))) > 0 {
			if !strings.HasPrefix(strings.TrimSpace(string(rest)), "-----BEGIN CERTIFICATE-----") {
				return wrong("must be certificates in PEM and nothing else")
			}
			var block *pem.Block
			if block, rest = pem.Decode(rest); block == nil || block.Type != "CERTIFICATE" || len(block.Bytes) > maxCertBytes {
				return wrong("must be a certificate, in PEM or base64")
			}
			c, ok := parseCertificate(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: block.Bytes}))
			switch {
			case !ok:
				return wrong("does not parse as a certificate")
			case now.Before(c.NotBefore):
				return wrong("is not valid before %s", c.NotBefore.UTC().Format(time.RFC3339))
			case !now.Before(c.NotAfter):
				return wrong("has expired at %s", c.NotAfter.UTC().Format(time.RFC3339))
			case !strongKey(c.PublicKey):
				return wrong("must have an RSA key of at least %d bits, or one of ECDSA on P-256, P-384 or P-521", minRSA)
			}
			if all = append(all, c.PEM); len(all) > maxCerts {
				return wrong("must be at most %d certificates", maxCerts)
			}
		}
	}
	return all, nil
}

func parseCertificate(text []byte) (Certificate, bool) {
	block, _ := pem.Decode(text)
	if block == nil {
		return Certificate{}, false
	}
	c, err := NewCertificate(block.Bytes)
	return c, err == nil
}

// NewCertificate reads a certificate in DER.
func NewCertificate(der []byte) (Certificate, error) {
	c, err := x509.ParseCertificate(der)
	if err != nil {
		return Certificate{}, err
	}
	sum := sha256.Sum256(c.Raw)
	return Certificate{c, string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})), hex.EncodeToString(sum[:])}, nil
}

// SSODocument is what an identity provider publishes of itself, for a configuration to be made of. Nobody has signed for it:
// it counts once somebody who may has written it into one.
type SSODocument struct {
	Issuer       string
	URL          string
	Certificates []Certificate
	WantsSigned  bool // requests
}

func strongKey(key any) bool {
	switch k := key.(type) {
	case *rsa.PublicKey:
		return k.N.BitLen() >= minRSA
	case *ecdsa.PublicKey:
		return k.Curve == elliptic.P256() || k.Curve == elliptic.P384() || k.Curve == elliptic.P521()
	}
	return false
}
