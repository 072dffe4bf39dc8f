package saml_test

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/beevik/etree"
	dsig "github.com/russellhaering/goxmldsig"
	"github.com/stretchr/testify/require"

	"github.com/orgkit/orgkit/orgs/sso/saml"
)

// forged is an assertion about somebody else, in the form of one that is signed.
func forged(signed *etree.Element, id string) *etree.Element {
	f := signed.Copy()
	if sig := f.FindElement("./Signature"); sig != nil {
		f.RemoveChild(sig)
	}
	f.CreateAttr("ID", id)
	at(f, "./Subject/NameID").SetText("root")
	return f
}

// TestVerifyRefusesWrapping: the signed assertion, or the signed response, is still there, somewhere, and another one where
// identities are read from (A1). Every permutation is refused by its form, before a signature is looked at.
func TestVerifyRefusesWrapping(t *testing.T) {
	// replace puts a forged assertion in the place of the signed one, which put then takes somewhere.
	replace := func(id string, put func(response, forged, signed *etree.Element)) func(*testing.T, *etree.Element) {
		return func(_ *testing.T, r *etree.Element) {
			signed := at(r, "./Assertion")
			f := forged(signed, id)
			i := signed.Index()
			r.RemoveChild(signed)
			r.InsertChildAt(i, f)
			put(r, f, signed)
		}
	}
	object := func(in, what *etree.Element) {
		in.CreateElement("ds:Object").AddChild(what)
	}
	for _, c := range []struct {
		name, code string
		m          message
	}{
		{"a forged assertion before the signed one", "several_assertions", message{after: replace("_evil", func(r, _, signed *etree.Element) { r.AddChild(signed) })}},
		{"a forged assertion after the signed one", "several_assertions", message{after: func(_ *testing.T, r *etree.Element) {
			r.AddChild(forged(at(r, "./Assertion"), "_evil"))
		}}},
		{"with the same id", "duplicate_id", message{after: func(_ *testing.T, r *etree.Element) {
			r.InsertChildAt(0, forged(at(r, "./Assertion"), "_assertion1"))
		}}},
		{"the signed one in extensions", "several_assertions", message{after: replace("_evil", func(r, f, signed *etree.Element) {
			e := etree.NewElement("samlp:Extensions")
			e.AddChild(signed)
			r.InsertChildAt(f.Index()+1, e)
		})}},
		{"the signed one in extensions, and before", "wrapped", message{after: replace("_evil", func(r, _, signed *etree.Element) {
			e := etree.NewElement("samlp:Extensions")
			e.AddChild(signed)
			r.InsertChildAt(0, e)
		})}},
		{"the signed one within the forged one", "several_assertions", message{after: replace("_evil", func(_, f, signed *etree.Element) { f.AddChild(signed) })}},
		{"the signed one as advice of the forged one", "several_assertions", message{after: replace("_evil", func(_, f, signed *etree.Element) {
			f.CreateElement("saml:Advice").AddChild(signed)
		})}},
		{"the signed one in its own signature, taken over by the forged one", "several_assertions", message{after: replace("_evil", func(_, f, signed *etree.Element) {
			sig := at(signed, "./Signature")
			signed.RemoveChild(sig)
			f.InsertChildAt(1, sig)
			object(sig, signed)
		})}},
		{"its signature alone taken over by the forged one", "signature_reference", message{after: replace("_evil", func(_, f, signed *etree.Element) {
			f.InsertChildAt(1, at(signed, "./Signature"))
		})}},
		{"its signature and its id taken over by the forged one", "signature", message{after: replace("_assertion1", func(_, f, signed *etree.Element) {
			f.InsertChildAt(1, at(signed, "./Signature"))
		})}},
		{"the signed one in an element of nobody's", "several_assertions", message{after: replace("_evil", func(r, _, signed *etree.Element) {
			e := r.CreateElement("x:Wrapper")
			e.CreateAttr("xmlns:x", "urn:x")
			e.AddChild(signed)
		})}},
		{"a forged one of another namespace", "wrapped", message{after: replace("_evil", func(r, f, _ *etree.Element) {
			f.Space = "x"
			f.CreateAttr("xmlns:x", "urn:x")
		})}},
		{"the signed response in a forged one", "wrapped", message{keepAssertion: true, signResponse: true, after: func(_ *testing.T, r *etree.Element) {
			signed := r.Copy()
			remove("./Signature")(r)
			r.CreateAttr("ID", "_evil")
			remove("./Assertion")(r)
			r.CreateElement("samlp:Extensions").AddChild(signed)
			r.AddChild(forged(at(signed, "./Assertion"), "_evil2"))
		}}},
		{"the signed response in its own signature", "wrapped", message{keepAssertion: true, signResponse: true, after: func(_ *testing.T, r *etree.Element) {
			signed := r.Copy()
			remove("./Signature")(signed)
			r.CreateAttr("ID", "_evil")
			object(at(r, "./Signature"), signed)
		}}},
		{"a signature in the subject", "wrapped", message{after: func(_ *testing.T, r *etree.Element) {
			sig := at(r, "./Assertion/Signature")
			sig.Parent().RemoveChild(sig)
			at(r, "./Assertion/Subject").AddChild(sig)
		}}},
		{"a signature of another namespace", "wrapped", message{after: func(_ *testing.T, r *etree.Element) {
			at(r, "./Assertion/Signature").CreateAttr("xmlns:ds", "urn:x")
		}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			raw := c.m.build(t)
			_, err := saml.Verify(connection(), asked, now, raw)
			require.Equal(t, c.code, code(t, err))
		})
	}
}

// TestVerifyRefusesSeveralAssertions: also where each of them, or both, are signed (A3, L8).
func TestVerifyRefusesSeveralAssertions(t *testing.T) {
	second := func(sign bool) message {
		return message{after: func(t *testing.T, r *etree.Element) {
			a := newAssertion("_assertion2").Element()
			if sign {
				a = message{}.sign(t, a)
			}
			r.AddChild(a)
		}}
	}
	for _, m := range []message{second(true), second(false), {response: func(r *etree.Element) {
		r.AddChild(newAssertion("_assertion2").Element())
	}, signResponse: true}} {
		_, err := saml.Verify(connection(), asked, now, m.build(t))
		require.Equal(t, "several_assertions", code(t, err))
	}
}

// TestVerifyRefusesAnAssertionForSomebodyElse, in a response that is ours in all that nobody has signed (A2).
func TestVerifyRefusesAnAssertionForSomebodyElse(t *testing.T) {
	const data, audience = "./Subject/SubjectConfirmation/SubjectConfirmationData", "./Conditions/AudienceRestriction/Audience"
	of := func(steps ...func(*etree.Element)) func(*etree.Element) {
		return func(a *etree.Element) {
			for _, step := range steps {
				step(a)
			}
		}
	}
	theirs := set(data, "InResponseTo", "_theirs")
	for name, c := range map[string]struct {
		code string
		m    message
	}{
		"of another service": {"audience", message{assertion: of(setText(audience, "https://elsewhere.example.com"), set(data, "Recipient", "https://elsewhere.example.com/acs"), theirs)}},
		"of another organization": {"audience", message{assertion: of(setText(audience, "https://sp.example.com/sso/org_2/saml/metadata"),
			set(data, "Recipient", "https://sp.example.com/sso/org_2/saml/acs"), theirs)}},
		"of another organization that has our name":      {"recipient", message{assertion: of(set(data, "Recipient", "https://sp.example.com/sso/org_2/saml/acs"), theirs)}},
		"of another sign-in here":                        {"in_response_to", message{assertion: theirs}},
		"by the provider of another connection":          {"signature", message{by: other(), assertion: setText("./Issuer", "http://www.okta.com/exk2")}},
		"by that provider in the name of ours":           {"signature", message{by: other()}},
		"by our provider in the name of another":         {"issuer", message{assertion: setText("./Issuer", "http://www.okta.com/exk2")}},
		"of a provider with our key and another address": {"issuer", message{assertion: setText("./Issuer", issuer+"/")}},
	} {
		for _, m := range []message{c.m, {by: c.m.by, assertion: c.m.assertion, after: afterwards(set(".", "ID", "_evil"))}} {
			_, err := saml.Verify(connection(), asked, now, m.build(t))
			require.Equal(t, c.code, code(t, err), name)
		}
	}
}

// TestVerifyRefusesChanges: whatever is changed after it was signed.
func TestVerifyRefusesChanges(t *testing.T) {
	for _, path := range []string{"./Assertion/Subject/NameID", "./Assertion/AttributeStatement/Attribute[3]/AttributeValue"} {
		for _, m := range []message{{}, {keepAssertion: true, signResponse: true}, {signResponse: true}} {
			m.after = afterwards(setText(path, "root"))
			_, err := saml.Verify(connection(), asked, now, m.build(t))
			require.Equal(t, "signature", code(t, err))
		}
	}
	both := message{signResponse: true, after: afterwards(setText("./Assertion/Signature/SignatureValue", base64Of(make([]byte, 256))))}
	_, err := saml.Verify(connection(), asked, now, both.build(t))
	require.Equal(t, "signature", code(t, err), "of two signatures both have to hold")
}

// TestVerifyRefusesSignaturesThatAreNone (A4).
func TestVerifyRefusesSignaturesThatAreNone(t *testing.T) {
	const info = "./Assertion/Signature/SignedInfo"
	twice := func(path string) func(*etree.Element) {
		return func(el *etree.Element) { e := at(el, path); e.Parent().AddChild(e.Copy()) }
	}
	for _, c := range []struct {
		name, code string
		after      func(*etree.Element)
	}{
		{"none", "unsigned", remove("./Assertion/Signature")},
		{"an empty one", "signature_form", func(r *etree.Element) {
			sig := at(r, "./Assertion/Signature")
			for _, c := range sig.ChildElements() {
				sig.RemoveChild(c)
			}
		}},
		{"no value", "signature_form", setText("./Assertion/Signature/SignatureValue", "")},
		{"no digest", "signature_form", setText(info+"/Reference/DigestValue", "")},
		{"another value", "signature", setText("./Assertion/Signature/SignatureValue", base64Of(make([]byte, 256)))},
		{"a value that is none", "signature", setText("./Assertion/Signature/SignatureValue", "?")},
		{"two values", "signature_form", twice("./Assertion/Signature/SignatureValue")},
		{"two SignedInfo", "signature_form", twice(info)},
		{"two references", "signature_form", twice(info + "/Reference")},
		{"no reference", "signature_form", remove(info + "/Reference")},
		{"a reference to all", "signature_reference", set(info+"/Reference", "URI", "")},
		{"a reference to nothing", "signature_reference", unset(info+"/Reference", "URI")},
		{"a reference to another file", "signature_reference", set(info+"/Reference", "URI", "https://evil.example.com/#_assertion1")},
		{"a reference by XPointer", "signature_reference", set(info+"/Reference", "URI", "#xpointer(id('_assertion1'))")},
		{"an object beside it", "signature_form", func(r *etree.Element) { at(r, "./Assertion/Signature").CreateElement("ds:Object") }},
		{"two KeyInfo", "signature_form", twice("./Assertion/Signature/KeyInfo")},
		{"two signatures", "several_signatures", twice("./Assertion/Signature")},
	} {
		_, err := saml.Verify(connection(), asked, now, message{after: afterwards(c.after)}.build(t))
		require.Equal(t, c.code, code(t, err), c.name)
	}
}

// TestVerifyTrustsNoKeyOfTheMessage: keys are those of the connection alone (A8, L20).
func TestVerifyTrustsNoKeyOfTheMessage(t *testing.T) {
	const keyInfo = "./Assertion/Signature/KeyInfo"
	pinned := base64Of(idp().cert.Raw)
	for name, f := range map[string]func(*etree.Element){
		"the attacker's certificate":                  func(*etree.Element) {},
		"the pinned certificate over the other's key": setText(keyInfo+"/X509Data/X509Certificate", pinned),
		"no KeyInfo": remove(keyInfo),
		"a key without a certificate": func(r *etree.Element) {
			k := at(r, keyInfo)
			remove("./X509Data")(k)
			k.CreateElement("ds:KeyValue").CreateElement("ds:RSAKeyValue")
		},
		"the name of a key": func(r *etree.Element) {
			k := at(r, keyInfo)
			remove("./X509Data")(k)
			k.CreateElement("ds:KeyName").SetText("idp")
		},
		"the pinned certificate beside the attacker's": func(r *etree.Element) { at(r, keyInfo+"/X509Data").CreateElement("ds:X509Certificate").SetText(pinned) },
		"a key to fetch": func(r *etree.Element) {
			at(r, keyInfo).CreateElement("ds:RetrievalMethod").CreateAttr("URI", "https://evil.example.com")
		},
	} {
		_, err := saml.Verify(connection(), asked, now, message{by: other(), after: afterwards(f)}.build(t))
		require.Equal(t, "signature", code(t, err), name)
	}
	_, err := saml.Verify(connection(), asked, now, message{after: afterwards(setText(keyInfo+"/X509Data/X509Certificate", base64Of(other().cert.Raw)))}.build(t))
	require.NoError(t, err, "what it says of its key matters not even when it is wrong")
}

// TestVerifyRefusesWeakAlgorithms: each by its name, before anything is computed (A9, L2).
func TestVerifyRefusesWeakAlgorithms(t *testing.T) {
	const info = "./Assertion/Signature/SignedInfo"
	step := func(i, algorithm string) func(*etree.Element) {
		return set(info+"/Reference/Transforms/Transform["+i+"]", "Algorithm", algorithm)
	}
	for _, c := range []struct {
		name, code string
		m          message
	}{
		{"signed by rsa-sha1", "signature_algorithm", message{method: dsig.RSASHA1SignatureMethod}},
		{"exclusive with comments", "canonicalization", message{c14n: dsig.MakeC14N10ExclusiveWithCommentsCanonicalizerWithPrefixList("")}},
		{"inclusive", "canonicalization", message{c14n: dsig.MakeC14N11Canonicalizer()}},
		{"a digest by sha1", "digest_algorithm", message{after: afterwards(set(info+"/Reference/DigestMethod", "Algorithm", "http://www.w3.org/2000/09/xmldsig#sha1"))}},
		{"a digest by md5", "digest_algorithm", message{after: afterwards(set(info+"/Reference/DigestMethod", "Algorithm", "http://www.w3.org/2001/04/xmldsig-more#md5"))}},
		{"rsa-md5", "signature_algorithm", message{after: afterwards(set(info+"/SignatureMethod", "Algorithm", "http://www.w3.org/2001/04/xmldsig-more#rsa-md5"))}},
		{"none", "signature_algorithm", message{after: afterwards(set(info+"/SignatureMethod", "Algorithm", ""))}},
		{"SignedInfo with comments", "canonicalization", message{after: afterwards(set(info+"/CanonicalizationMethod", "Algorithm", "http://www.w3.org/2001/10/xml-exc-c14n#WithComments"))}},
		{"XSLT", "transform", message{after: afterwards(step("2", "http://www.w3.org/TR/1999/REC-xslt-19991116"))}},
		{"XPath", "transform", message{after: afterwards(step("2", "http://www.w3.org/TR/1999/REC-xpath-19991116"))}},
		{"XPath filter", "transform", message{after: afterwards(step("1", "http://www.w3.org/2002/06/xmldsig-filter2"))}},
		{"base64", "transform", message{after: afterwards(step("1", "http://www.w3.org/2000/09/xmldsig#base64"))}},
		{"a third transform", "transform", message{after: afterwards(func(r *etree.Element) {
			e := at(r, info+"/Reference/Transforms/Transform[2]")
			e.Parent().AddChild(e.Copy())
		})}},
		{"no canonicalization", "transform", message{after: afterwards(remove(info + "/Reference/Transforms/Transform[2]"))}},
		{"no transforms", "signature_form", message{after: afterwards(remove(info + "/Reference/Transforms"))}},
		{"a program below a transform", "transform", message{after: afterwards(func(r *etree.Element) {
			at(r, info+"/Reference/Transforms/Transform[1]").CreateElement("ds:XPath").SetText("1")
		})}},
		{"a truncated HMAC", "signature_algorithm", message{after: afterwards(func(r *etree.Element) {
			at(r, info+"/SignatureMethod").CreateElement("ds:HMACOutputLength").SetText("0")
		})}},
	} {
		_, err := saml.Verify(connection(), asked, now, c.m.build(t))
		require.Equal(t, c.code, code(t, err), c.name)
	}

	// The certificate is public, so whoever has it could sign with it as a shared key.
	m := message{after: func(t *testing.T, r *etree.Element) {
		set(info+"/SignatureMethod", "Algorithm", "http://www.w3.org/2001/04/xmldsig-more#hmac-sha256")(r)
		mac := hmac.New(sha256.New, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: idp().cert.Raw}))
		signed := at(r, info).Copy()
		signed.CreateAttr("xmlns:ds", "http://www.w3.org/2000/09/xmldsig#")
		mac.Write(write(t, signed))
		setText("./Assertion/Signature/SignatureValue", base64Of(mac.Sum(nil)))(r)
	}}
	_, err := saml.Verify(connection(), asked, now, m.build(t))
	require.Equal(t, "signature_algorithm", code(t, err))
}

// TestVerifyReadsOneDocument: what parsers do not agree on is in no response (A6, A12, L9, L19).
func TestVerifyReadsOneDocument(t *testing.T) {
	raw := string(message{}.build(t))
	in := func(old, new string) string {
		require.Contains(t, raw, old)
		return strings.Replace(raw, old, new, 1)
	}
	utf16 := []byte{0xFE, 0xFF}
	for _, r := range raw {
		utf16 = append(utf16, byte(r>>8), byte(r))
	}
	for name, c := range map[string]struct{ code, raw string }{
		"a document type":                {"xml_feature", `<!DOCTYPE x>` + raw},
		"an external entity":             {"xml_feature", `<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]>` + in(">00u1<", ">&e;<")},
		"a parameter entity":             {"xml_feature", `<!DOCTYPE x [<!ENTITY % e SYSTEM "https://evil.example.com/x.dtd"> %e;]>` + raw},
		"a billion laughs":               {"xml_feature", `<!DOCTYPE x [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;"><!ENTITY c "&b;&b;&b;&b;&b;&b;">]>` + in(">00u1<", ">&c;<")},
		"an entity that nobody declares": {"malformed", in(">00u1<", ">&e;<")},
		"a document type within":         {"xml_feature", in("<saml:Subject>", "<!DOCTYPE x><saml:Subject>")},
		"a comment in the name":          {"xml_feature", in(">00u1<", ">00<!-- -->u1<")},
		"a comment in the address":       {"xml_feature", in(">ann@acme.com<", ">ann@acme.com<!---->.evil.example.com<")},
		"a comment after the root":       {"xml_feature", raw + "<!-- -->"},
		"CDATA":                          {"xml_feature", in(">00u1<", "><![CDATA[00u1]]><")},
		"a processing instruction":       {"xml_feature", in(">00u1<", ">00<?x y?>u1<")},
		"a second XML declaration":       {"xml_feature", in("<saml:Subject>", `<?xml version="1.0"?><saml:Subject>`)},
		"white space before it":          {"xml_feature", ` <?xml version="1.0"?>` + raw},
		"another encoding":               {"malformed", `<?xml version="1.0" encoding="ISO-8859-1"?>` + raw},
		"another version":                {"malformed", `<?xml version="1.1"?>` + raw},
		"UTF-16":                         {"encoding", string(utf16)},
		"UTF-7":                          {"malformed", `<?xml version="1.0" encoding="UTF-7"?>` + raw},
		"a byte order mark":              {"malformed", "\uFEFF" + raw},
		"bytes that are no text":         {"encoding", in(">00u1<", ">\xff<")},
		"a control character":            {"malformed", in(">00u1<", ">00\x01u1<")},
		"a second root":                  {"duplicate_id", raw + raw},
		"another second root":            {"malformed", raw + "<x/>"},
		"text before it":                 {"malformed", "x" + raw},
		"text after it":                  {"malformed", raw + "x"},
		"half of it":                     {"malformed", raw[:len(raw)/2]},
		"nothing":                        {"malformed", ""},
		"something else":                 {"not_a_response", "<html/>"},
		"a response of nobody":           {"not_a_response", `<Response/>`},
		"a request":                      {"not_a_response", `<samlp:AuthnRequest xmlns:samlp="urn:oasis:names:tc:SAML:2.0:protocol"/>`},
		"an assertion alone":             {"not_a_response", `<saml:Assertion xmlns:saml="urn:oasis:names:tc:SAML:2.0:assertion"/>`},
		"an id twice in one element":     {"malformed", in(` ID="_assertion1"`, ` ID="_assertion1" ID="_evil"`)},
		"an id in a namespace":           {"duplicate_id", in(` ID="_assertion1"`, ` ID="_assertion1" xmlns:x="urn:x" x:ID="_evil"`)},
		"an xml:id":                      {"duplicate_id", in(` ID="_assertion1"`, ` ID="_assertion1" xml:id="_evil"`)},
		"an attribute in two prefixes":   {"malformed", in(` ID="_assertion1"`, ` ID="_assertion1" xmlns:x="urn:x" xmlns:y="urn:x" x:a="1" y:a="2"`)},
		"an id that is there already":    {"duplicate_id", in("<saml:Subject>", `<saml:Subject Id="_assertion1">`)},
		"an empty id":                    {"duplicate_id", in("<saml:Subject>", `<saml:Subject id="">`)},
		"a prefix taken back":            {"malformed", in("<saml:Subject>", `<saml:Subject xmlns:saml="">`)},
		"a prefix that is reserved":      {"malformed", in("<saml:Subject>", `<saml:Subject xmlns:xml="urn:x">`)},
		"a namespace declared anew":      {"signature", in("<saml:Subject>", `<saml:Subject xmlns:saml="urn:x">`)},
		"a prefix without a namespace":   {"signature", in("<saml:Subject>", "<x:y/><saml:Subject>")},
	} {
		_, err := saml.Verify(connection(), asked, now, []byte(c.raw))
		require.Equal(t, c.code, code(t, err), name)
	}
	_, err := saml.Verify(connection(), asked, now, []byte(`<?xml version="1.0" encoding="UTF-8"?>`+"\n"+raw+"\n"))
	require.NoError(t, err)
}

// TestVerifyIsQuick: what is large is refused before it costs anything (A7, L12, L15).
func TestVerifyIsQuick(t *testing.T) {
	const open = `<samlp:Response xmlns:samlp="urn:oasis:names:tc:SAML:2.0:protocol">`
	attributes := strings.Builder{}
	for i := range 65 {
		attributes.WriteString(" a" + strings.Repeat("b", i) + `="1"`)
	}
	for name, raw := range map[string]string{
		"200,000 elements":       open + strings.Repeat("<a/>", 200_000),
		"too many elements":      open + strings.Repeat("<a/>", 900) + "</samlp:Response>",
		"L12":                    open + `<ds:Signature xmlns:ds="http://www.w3.org/2000/09/xmldsig#"/>` + strings.Repeat("<a/>", 1200) + "</samlp:Response>",
		"as many as fit":         open + strings.Repeat("<a/>", saml.MaxResponse/4-100),
		"200,000 deep":           open + strings.Repeat("<a>", 200_000),
		"too deep":               open + strings.Repeat("<a>", 40) + strings.Repeat("</a>", 40) + "</samlp:Response>",
		"an attribute of 64 KiB": open[:len(open)-1] + ` a="` + strings.Repeat("a", 64<<10) + `"/>`,
		"many attributes":        open[:len(open)-1] + attributes.String() + "/>",
		"a text of a megabyte":   open + strings.Repeat("a", 1<<20) + "</samlp:Response>",
	} {
		began := time.Now()
		_, err := saml.Verify(connection(), asked, now, []byte(raw))
		require.Equal(t, "too_large", code(t, err), name)
		require.Less(t, time.Since(began), time.Second, name)
	}
}

// TestVerifyIsQuickWhateverIsSigned: so is what only the signature of refuses, within all bounds, with many certificates.
func TestVerifyIsQuickWhateverIsSigned(t *testing.T) {
	certs := slices.Repeat([]*x509.Certificate{other().cert}, 10)
	for _, m := range []message{{signResponse: true}, {}} {
		m.after = func(_ *testing.T, r *etree.Element) {
			in := at(r, "./Assertion/AttributeStatement")
			for i := range 800 {
				e := in.CreateElement("saml:Attribute")
				for j := range 8 {
					e.CreateAttr(fmt.Sprintf("xmlns:n%d", j), fmt.Sprintf("urn:%d:%d", i, j))
				}
				if i%40 < 20 {
					in = e
				} else if p := in.Parent(); p.Tag == "Attribute" {
					in = p
				}
			}
		}
		raw := m.build(t)
		require.Less(t, len(raw), saml.MaxResponse)
		began := time.Now()
		_, err := saml.Verify(connection(certs...), asked, now, raw)
		require.Equal(t, "signature", code(t, err))
		require.Less(t, time.Since(began), time.Second)
	}
}

// TestVerifyOfManyGroups: who is in more groups than are looked at can sign in, and nothing is concluded from those that
// are missing (A23).
func TestVerifyOfManyGroups(t *testing.T) {
	with := func(names ...string) message {
		return message{assertion: func(a *etree.Element) {
			g := at(a, "./AttributeStatement/Attribute[@Name='"+groups+"']")
			for _, n := range names {
				g.CreateElement("saml:AttributeValue").SetText(n)
			}
		}}
	}
	many := make([]string, saml.MaxGroups)
	for i := range many {
		many[i] = strings.Repeat("g", i%200+1) + string(rune('a'+i/200))
	}
	id, err := saml.Verify(connection(), asked, now, with(many...).build(t))
	require.NoError(t, err)
	require.Len(t, id.Groups, saml.MaxGroups)
	require.False(t, id.GroupsKnown)

	_, err = saml.Verify(connection(), asked, now, with(append(many, many...)...).build(t))
	require.Equal(t, "too_large", code(t, err))

	id, err = saml.Verify(connection(), asked, now, with(strings.Repeat("g", 300)).build(t))
	require.NoError(t, err)
	require.False(t, id.GroupsKnown)

	id, err = saml.Verify(connection(), asked, now, message{assertion: func(a *etree.Element) {
		remove("./AttributeStatement/Attribute[@Name='" + groups + "']")(a)
		link := attr("http://schemas.microsoft.com/claims/groups.link", "", "https://graph.windows.net/x")
		at(a, "./AttributeStatement").AddChild(link.Element())
	}}.build(t))
	require.NoError(t, err)
	require.Empty(t, id.Groups)
	require.False(t, id.GroupsKnown, "Entra has left them out")

	raw := with("a,b", " Engineering ").build(t)
	id, err = saml.Verify(connection(), asked, now, raw)
	require.NoError(t, err)
	require.Equal(t, []string{"Engineering", "IT-Admins", "a,b"}, id.Groups)
	c := connection()
	c.Attributes.GroupSeparator = ","
	id, err = saml.Verify(c, asked, now, raw)
	require.NoError(t, err)
	require.Equal(t, []string{"Engineering", "IT-Admins", "a", "b"}, id.Groups)
}

// TestVerifyMapsAttributes by their names, and by their friendly names where no name is the one.
func TestVerifyMapsAttributes(t *testing.T) {
	c := connection()
	raw := message{}.build(t)
	for mapped, want := range map[string]string{email: "ann@acme.com", "mail": "ann@acme.com", "cn": "Ann", "Mail": "", "": ""} {
		c.Attributes.Email = mapped
		id, err := saml.Verify(c, asked, now, raw)
		require.NoError(t, err)
		require.Equal(t, want, id.Email, mapped)
	}
	c.Attributes = saml.Attributes{Email: "mail"}
	id, err := saml.Verify(c, asked, now, message{assertion: func(a *etree.Element) {
		x := attr("mail", "", "named@acme.com")
		at(a, "./AttributeStatement").AddChild(x.Element())
	}}.build(t))
	require.NoError(t, err)
	require.Equal(t, "named@acme.com", id.Email, "the name goes before the friendly name")
	require.Empty(t, id.Groups)
	require.True(t, id.GroupsKnown)
}

// TestRefusalsRepeatNothing: no error holds what the response did (A28).
func TestRefusalsRepeatNothing(t *testing.T) {
	raw := message{}.build(t)
	for i := 0; i < len(raw); i += 7 {
		broken := bytes.Clone(raw)
		broken[i] ^= 1
		if _, err := saml.Verify(connection(), asked, now, broken); err != nil {
			require.NotContains(t, err.Error(), "00u1")
			require.NotContains(t, err.Error(), "acme")
		}
	}
}
