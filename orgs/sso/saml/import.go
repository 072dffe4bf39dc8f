package saml

import (
	"bytes"
	"encoding/base64"
	"encoding/xml"
	"errors"
	"io"
	"slices"
	"strings"
	"time"

	xsaml "github.com/crewjam/saml"

	"github.com/orgkit/orgkit/orgs"
	"github.com/orgkit/orgkit/store"
)

// Bounds of metadata: that of large providers describes many claims.
const (
	maxMetadata         = 1 << 20 // bytes
	maxMetadataElements = 20_000
	nsMetadata          = "urn:oasis:names:tc:SAML:2.0:metadata"
)

// Import reads the metadata of one identity provider (SAML metadata §2.4.3). A signature of it is not looked at, since there is
// no key that it could be held against. What is wrong with it is a *store.FieldError of document.
func (p *Protocol) Import(document []byte) (d orgs.SSODocument, err error) {
	if len(document) > maxMetadata {
		return d, wrongMetadata("range", "must have at most %d bytes", maxMetadata)
	}
	w := metadataWalk{now: p.now()}
	if err := w.run(document); err != nil {
		return d, err
	}
	d = w.found
	if w.post != "" && d.URL == "" {
		d.URL = w.post
	}
	switch {
	case d.Issuer == "":
		return d, wrongMetadata("required", "must have an entityID")
	case w.providers != 1:
		return d, wrongMetadata("type", "must describe one identity provider of SAML 2.0")
	case d.URL == "":
		return d, wrongMetadata("required", "must say where requests are sent, by redirect or POST")
	case len(d.Certificates) == 0:
		return d, wrongMetadata("certificate", "must have a certificate that is valid now")
	}
	return d, nil
}

func wrongMetadata(code, format string, args ...any) error {
	return store.Invalid("document", code, format, args...)
}

// metadataWalk walks over the tokens of metadata and takes what it needs: nothing else is kept, and no entity expanded.
type metadataWalk struct {
	now       time.Time
	open      []xml.Name
	elements  int
	providers int
	signing   bool // in a key that signs, of the provider
	text      strings.Builder
	post      string // where requests are posted
	found     orgs.SSODocument
}

func (w *metadataWalk) run(document []byte) error {
	for d := xml.NewDecoder(bytes.NewReader(document)); ; {
		t, err := d.Token()
		if errors.Is(err, io.EOF) && w.elements > 0 && len(w.open) == 0 {
			return nil
		} else if err != nil {
			return wrongMetadata("xml", "is not well-formed XML in UTF-8")
		}
		switch t := t.(type) {
		case xml.Directive:
			return wrongMetadata("xml", "must not have a document type")
		case xml.StartElement:
			err = w.start(t)
		case xml.EndElement:
			err = w.end(t.Name)
		case xml.CharData:
			if w.at("KeyInfo", "X509Data", "X509Certificate") {
				w.text.Write(t)
			}
		}
		if err != nil {
			return err
		}
	}
}

// at says whether the innermost elements have these names.
func (w *metadataWalk) at(names ...string) bool {
	return len(w.open) >= len(names) && slices.EqualFunc(w.open[len(w.open)-len(names):], names, func(n xml.Name, name string) bool { return n.Local == name })
}

func (w *metadataWalk) start(t xml.StartElement) error {
	if w.elements++; w.elements > maxMetadataElements || len(w.open) >= maxDepth || len(t.Attr) > maxAttributes {
		return wrongMetadata("range", "is larger than the metadata of an identity provider is")
	}
	if len(w.open) == 0 && (w.elements > 1 || t.Name != xml.Name{Space: nsMetadata, Local: "EntityDescriptor"}) {
		return wrongMetadata("type", "must be the metadata of one entity")
	}
	w.open = append(w.open, t.Name)
	value := func(name string) string {
		for _, a := range t.Attr {
			if a.Name == (xml.Name{Local: name}) {
				return a.Value
			}
		}
		return ""
	}
	if len(w.open) == 1 {
		w.found.Issuer = value("entityID")
		if until, err := time.Parse(time.RFC3339, value("validUntil")); err == nil && !w.now.Before(until) {
			return wrongMetadata("time", "is not valid any more")
		}
		return nil
	}
	if w.open[1] != (xml.Name{Space: nsMetadata, Local: "IDPSSODescriptor"}) {
		return nil
	}
	switch {
	case len(w.open) == 2:
		w.providers++
		signed := value("WantAuthnRequestsSigned")
		w.found.WantsSigned = signed == "true" || signed == "1"
	case len(w.open) == 3 && t.Name.Local == "SingleSignOnService":
		switch value("Binding") {
		case xsaml.HTTPRedirectBinding:
			w.found.URL = value("Location")
		case xsaml.HTTPPostBinding:
			w.post = value("Location")
		}
	case len(w.open) == 3 && t.Name.Local == "KeyDescriptor":
		use := value("use")
		w.signing = use == "" || use == "signing"
	case w.at("X509Certificate"):
		w.text.Reset()
	}
	return nil
}

func (w *metadataWalk) end(name xml.Name) error {
	defer func() { w.open = w.open[:len(w.open)-1] }()
	if len(w.open) < 3 || w.open[1].Local != "IDPSSODescriptor" || !w.signing || !w.at("KeyInfo", "X509Data", "X509Certificate") {
		return nil
	}
	der, err := base64.StdEncoding.DecodeString(strings.Join(strings.Fields(w.text.String()), ""))
	if err != nil {
		return wrongMetadata("certificate", "has a certificate that is none")
	}
	c, err := orgs.NewCertificate(der)
	if err != nil {
		return wrongMetadata("certificate", "has a certificate that is none")
	}
	known := slices.ContainsFunc(w.found.Certificates, func(o orgs.Certificate) bool { return o.Fingerprint == c.Fingerprint })
	if !known && w.now.Before(c.NotAfter) && !w.now.Before(c.NotBefore) { // a configuration takes no others
		w.found.Certificates = append(w.found.Certificates, c)
	}
	return nil
}
