package saml

import (
	"crypto/ecdsa"
	"crypto/rsa"
	"crypto/x509"
	"encoding/asn1"
	"encoding/base64"
	"math/big"
	"regexp"
	"strings"
	"time"

	"github.com/beevik/etree"
	dsig "github.com/russellhaering/goxmldsig"
	"github.com/russellhaering/goxmldsig/etreeutils"
)

// What a signature may be made with: XML Signature 1.1 §6 without SHA-1, without keys that both sides know and
// without transforms that run programs.
var (
	signatureMethods = map[string]bool{ // to whether it is ECDSA
		"http://www.w3.org/2001/04/xmldsig-more#rsa-sha256":   false,
		"http://www.w3.org/2001/04/xmldsig-more#rsa-sha384":   false,
		"http://www.w3.org/2001/04/xmldsig-more#rsa-sha512":   false,
		"http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha256": true,
		"http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha384": true,
		"http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha512": true,
	}
	digestMethods = map[string]bool{
		"http://www.w3.org/2001/04/xmlenc#sha256":       true,
		"http://www.w3.org/2001/04/xmldsig-more#sha384": true,
		"http://www.w3.org/2001/04/xmlenc#sha512":       true,
	}
)

const (
	enveloped = "http://www.w3.org/2000/09/xmldsig#enveloped-signature"
	exclusive = "http://www.w3.org/2001/10/xml-exc-c14n#"
)

// ncName is what an id looks like; the library's own idea of it.
var ncName = regexp.MustCompile(`^[a-zA-Z_][\w.-]*$`)

// signatureOf is the Signature right below an element, nil for none, once it is one that has the only form that is
// taken: it is of that element, by its id, and made with what is allowed.
func signatureOf(el *etree.Element) (*etree.Element, error) {
	sigs := children(el, nsSignature, "Signature")
	if len(sigs) == 0 {
		return nil, nil
	}
	sig := sigs[0]
	info, value := child(sig, nsSignature, "SignedInfo"), child(sig, nsSignature, "SignatureValue")
	want := 2
	if len(children(sig, nsSignature, "KeyInfo")) == 1 {
		want++
	}
	if info == nil || value == nil || len(sig.ChildElements()) != want {
		return nil, refuse("signature_form", "a signature has not the parts that one has, each once")
	}
	if v, ok := text(value); !ok || v == "" {
		return nil, refuse("signature_form", "a signature is empty")
	}
	return sig, checkInfo(info, attribute(el, "ID"))
}

// checkInfo looks at a SignedInfo: what it is of and how it is made.
func checkInfo(info *etree.Element, id string) error {
	c14n, method, ref := child(info, nsSignature, "CanonicalizationMethod"), child(info, nsSignature, "SignatureMethod"), child(info, nsSignature, "Reference")
	if c14n == nil || method == nil || ref == nil || len(info.ChildElements()) != 3 {
		return refuse("signature_form", "a signature is not of exactly one reference")
	}
	if attribute(c14n, "Algorithm") != exclusive || !prefixes(c14n) {
		return refuse("canonicalization", "a signature is not over exclusive canonical XML without comments")
	}
	if _, known := signatureMethods[attribute(method, "Algorithm")]; !known || len(method.ChildElements()) > 0 {
		return refuse("signature_algorithm", "a signature is made with an algorithm that is not taken")
	}
	if !ncName.MatchString(id) || attribute(ref, "URI") != "#"+id {
		return refuse("signature_reference", "a signature is not of the element that it is in")
	}
	transforms, digest, value := child(ref, nsSignature, "Transforms"), child(ref, nsSignature, "DigestMethod"), child(ref, nsSignature, "DigestValue")
	if transforms == nil || digest == nil || value == nil || len(ref.ChildElements()) != 3 {
		return refuse("signature_form", "a reference has not the parts that one has, each once")
	}
	if !digestMethods[attribute(digest, "Algorithm")] || len(digest.ChildElements()) > 0 {
		return refuse("digest_algorithm", "a digest is made with an algorithm that is not taken")
	}
	if v, ok := text(value); !ok || v == "" {
		return refuse("signature_form", "a digest is empty")
	}
	steps := children(transforms, nsSignature, "Transform")
	if len(steps) != 2 || len(transforms.ChildElements()) != 2 ||
		attribute(steps[0], "Algorithm") != enveloped || len(steps[0].ChildElements()) > 0 ||
		attribute(steps[1], "Algorithm") != exclusive || !prefixes(steps[1]) {
		return refuse("transform", "a signature is over other transforms than enveloped-signature and exclusive canonical XML")
	}
	return nil
}

// prefixes says whether below a canonicalization there is nothing but, at most, its list of prefixes.
func prefixes(el *etree.Element) bool {
	all := el.ChildElements()
	return len(all) == 0 || len(all) == 1 && child(el, nsExclusive, "InclusiveNamespaces") != nil
}

// verified returns what a signature is of, read anew from the bytes that were signed. The element is not changed. Keys
// are those of the certificates, each tried by itself; what the signature says of its key is not looked at.
func verified(el *etree.Element, certificates []*x509.Certificate, now time.Time) (*etree.Element, error) {
	alone, err := detached(el)
	if err != nil {
		return nil, refuse("malformed", "a prefix has no namespace")
	}
	sig := child(alone, nsSignature, "Signature")
	if sig == nil {
		return nil, refuse("signature_form", "a signature is gone")
	}
	for _, info := range children(sig, nsSignature, "KeyInfo") {
		sig.RemoveChild(info)
	}
	isECDSA := signatureMethods[attribute(child(child(sig, nsSignature, "SignedInfo"), nsSignature, "SignatureMethod"), "Algorithm")]
	plainValue(child(sig, nsSignature, "SignatureValue"), isECDSA)

	valid := false
	for _, cert := range certificates {
		if now.Before(cert.NotBefore) || now.After(cert.NotAfter) {
			continue
		}
		valid = true
		switch cert.PublicKey.(type) {
		case *rsa.PublicKey:
			if isECDSA {
				continue
			}
		case *ecdsa.PublicKey:
			if !isECDSA {
				continue
			}
		default:
			continue
		}
		v := dsig.NewDefaultValidationContext(&dsig.MemoryX509CertificateStore{Roots: []*x509.Certificate{cert}})
		v.Clock = dsig.NewFakeClockAt(now)
		out, err := v.Validate(alone)
		if err != nil || out == nil {
			continue
		}
		if out.Tag != el.Tag || out.NamespaceURI() != el.NamespaceURI() || attribute(out, "ID") != attribute(el, "ID") {
			return nil, refuse("signature_reference", "a signature is of another element")
		}
		return out, nil
	}
	if !valid {
		return nil, refuse("certificate_expired", "no certificate of the connection is valid now")
	}
	return nil, refuse("signature", "a signature is not by a key of the connection, or not of these bytes")
}

// detached is a copy of an element that stands by itself, with the namespaces it has from above.
func detached(el *etree.Element) (*etree.Element, error) {
	above, err := etreeutils.NSBuildParentContext(el)
	if err != nil {
		return nil, err
	}
	here, err := above.SubContext(el)
	if err != nil {
		return nil, err
	}
	return etreeutils.NSDetatch(here, el)
}

// plainValue brings a signature's value, which is not itself signed, into the form that the library reads: base64
// without white space, and for ECDSA the ASN.1 of the two numbers that XML Signature 1.1 §6.4.3 puts one after the other.
func plainValue(el *etree.Element, isECDSA bool) {
	s := strings.Join(strings.Fields(el.Text()), "")
	if b, err := base64.StdEncoding.DecodeString(s); err == nil && isECDSA && (len(b) == 64 || len(b) == 96 || len(b) == 132) {
		half := len(b) / 2
		der, err := asn1.Marshal(struct{ R, S *big.Int }{new(big.Int).SetBytes(b[:half]), new(big.Int).SetBytes(b[half:])})
		if err == nil {
			s = base64.StdEncoding.EncodeToString(der)
		}
	}
	el.SetText(s)
}
