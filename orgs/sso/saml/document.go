package saml

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"strings"
	"unicode/utf8"

	"github.com/beevik/etree"
	validator "github.com/mattermost/xml-roundtrip-validator"
)

// Bounds of a response, far above what identity providers send and far below what costs time. The library that
// verifies signatures gives up, not always gracefully, at 1000 nodes.
const (
	MaxResponse   = 256 << 10 // bytes of XML
	maxElements   = 900
	maxDepth      = 32
	maxAttributes = 64       // of one element
	maxValue      = 16 << 10 // bytes of one attribute
)

const (
	nsProtocol  = "urn:oasis:names:tc:SAML:2.0:protocol"
	nsAssertion = "urn:oasis:names:tc:SAML:2.0:assertion"
	nsSignature = "http://www.w3.org/2000/09/xmldsig#"
	nsExclusive = "http://www.w3.org/2001/10/xml-exc-c14n#"
)

// read returns the document as a tree, once it is one that every parser reads alike and that has the form of a
// response: see [pass]. No signature is looked at.
func read(raw []byte) (*etree.Element, error) {
	switch {
	case len(raw) > MaxResponse:
		return nil, refuse("too_large", "the response is too long")
	case !utf8.Valid(raw):
		return nil, refuse("encoding", "the response is not UTF-8")
	case bytes.Contains(raw, []byte("<![CDATA[")):
		return nil, refuse("xml_feature", "the response holds a CDATA section")
	}
	p := pass{ids: map[string]bool{}}
	if err := p.run(raw); err != nil {
		return nil, err
	}
	if err := validator.Validate(bytes.NewReader(raw)); err != nil {
		return nil, refuse("malformed", "the response changes when it is read and written again")
	}
	doc := etree.NewDocument()
	if err := doc.ReadFromBytes(raw); err != nil || doc.Root() == nil {
		return nil, refuse("malformed", "the response is not well-formed XML")
	}
	return doc.Root(), nil
}

// pass walks over the tokens of a document before anything keeps them. It lets through what has one root, a Response,
// at most one Assertion, right below it, at most one Signature of each of the two, right below what it signs, and ids of
// which no two are equal. So a signature cannot be of one element and the identity be read from another, however the
// document is laid out (signature wrapping). Names are looked at without their namespaces first: what has the name of an
// assertion and not its namespace is refused, not skipped.
type pass struct {
	ids        map[string]bool
	open       []xml.Name
	elements   int
	roots      int
	assertions int
	signatures [2]int // of the response, of the assertion
}

func (p *pass) run(raw []byte) error {
	for d := xml.NewDecoder(bytes.NewReader(raw)); ; {
		begin := d.InputOffset()
		t, err := d.Token()
		if errors.Is(err, io.EOF) && p.roots == 1 {
			return nil
		} else if err != nil {
			return refuse("malformed", "the response is not well-formed XML")
		}
		switch t := t.(type) {
		case xml.StartElement:
			err = p.start(t)
		case xml.EndElement:
			p.open = p.open[:len(p.open)-1]
		case xml.CharData:
			if len(p.open) == 0 && len(bytes.Trim(t, " \t\r\n")) > 0 {
				err = refuse("malformed", "there is text outside of the response")
			}
		case xml.Comment:
			err = refuse("xml_feature", "the response holds a comment")
		case xml.Directive:
			err = refuse("xml_feature", "the response holds a document type or another directive")
		case xml.ProcInst:
			if t.Target != "xml" || begin != 0 {
				err = refuse("xml_feature", "the response holds a processing instruction")
			}
		}
		if err != nil {
			return err
		}
	}
}

func (p *pass) start(t xml.StartElement) error {
	if p.elements++; p.elements > maxElements {
		return refuse("too_large", "the response has too many elements; groups in such numbers are for SCIM")
	}
	if err := p.attributes(t.Attr); err != nil {
		return err
	}
	if err := p.place(t.Name); err != nil {
		return err
	}
	if p.open = append(p.open, t.Name); len(p.open) > maxDepth {
		return refuse("too_large", "the response is nested too deeply")
	}
	return nil
}

// place says whether an element of this name may stand here.
func (p *pass) place(name xml.Name) error {
	depth := len(p.open)
	if depth == 0 {
		if p.roots++; p.roots > 1 {
			return refuse("malformed", "there is a second element beside the response")
		}
		if name != (xml.Name{Space: nsProtocol, Local: "Response"}) {
			return refuse("not_a_response", "the document is not a SAML response")
		}
		return nil
	}
	switch {
	case name.Local == "Response":
		return refuse("wrapped", "there is a response within the response")
	case name.Local == "Assertion":
		if p.assertions++; p.assertions > 1 {
			return refuse("several_assertions", "the response holds more than one assertion")
		}
		if depth != 1 || name.Space != nsAssertion {
			return refuse("wrapped", "the assertion is not where one belongs")
		}
	case strings.HasPrefix(name.Local, "Encrypted"):
		return refuse("encrypted", "the response holds encrypted parts, which are not offered")
	case name.Local == "Signature":
		if name.Space != nsSignature || depth > 2 || depth == 2 && p.open[1].Local != "Assertion" {
			return refuse("wrapped", "a signature is not where one belongs")
		}
		if p.signatures[depth-1]++; p.signatures[depth-1] > 1 {
			return refuse("several_signatures", "an element has more than one signature")
		}
	}
	return nil
}

// attributes looks at those of an element. An id has no namespace, and no attribute is there twice, since libraries do
// not agree on which of two counts.
func (p *pass) attributes(attrs []xml.Attr) error {
	if len(attrs) > maxAttributes {
		return refuse("too_large", "an element has too many attributes")
	}
	seen := map[xml.Name]bool{}
	for _, a := range attrs {
		switch {
		case seen[a.Name]:
			return refuse("malformed", "an element has an attribute twice")
		case len(a.Value) > maxValue:
			return refuse("too_large", "an attribute is too long")
		case a.Name.Space == "xmlns" && (a.Value == "" || a.Name.Local == "xml" || a.Name.Local == "xmlns"):
			return refuse("malformed", "a namespace is declared that cannot be")
		}
		seen[a.Name] = true
		switch strings.ToLower(a.Name.Local) {
		case "id", "assertionid":
			if a.Name.Space == "xmlns" {
				continue
			}
			if a.Name.Space != "" || a.Value == "" || p.ids[a.Value] {
				return refuse("duplicate_id", "an id is empty, has a namespace or is there twice")
			}
			p.ids[a.Value] = true
		}
	}
	return nil
}
