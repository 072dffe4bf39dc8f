package saml_test

import (
	"crypto/elliptic"
	"crypto/x509"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/beevik/etree"
	xsaml "github.com/crewjam/saml"
	dsig "github.com/russellhaering/goxmldsig"
	"github.com/stretchr/testify/require"

	"github.com/orgkit/orgkit/orgs/sso/saml"
)

// code is that of a refusal.
func code(t *testing.T, err error) string {
	t.Helper()
	require.ErrorIs(t, err, saml.ErrRefused)
	var r *saml.Refused
	require.True(t, errors.As(err, &r))
	return r.Code
}

func TestVerifyReadsWhomAnAssertionIsAbout(t *testing.T) {
	want := saml.Identity{
		Issuer: issuer, Subject: "00u1", Format: saml.Persistent,
		Email: "ann@acme.com", Name: "Ann", Groups: []string{"Engineering", "IT-Admins"}, GroupsKnown: true,
		AuthenticatedAt: now.Add(-time.Hour), Context: password, SessionIndex: "s1", SessionUntil: now.Add(8 * time.Hour),
		AssertionID: "_assertion1", ResponseID: "_response1", ReplayUntil: now.Add(6 * time.Minute),
	}
	for name, m := range map[string]message{
		"the assertion is signed": {},
		"the response is signed":  {keepAssertion: true, signResponse: true},
		"both are signed":         {signResponse: true},
		"sha-384":                 {method: dsig.RSASHA384SignatureMethod},
		"sha-512":                 {method: dsig.RSASHA512SignatureMethod},
		"no KeyInfo":              {after: afterwards(remove("./Assertion/Signature/KeyInfo"))},
		"white space in the value of the signature": {after: func(_ *testing.T, el *etree.Element) {
			v := at(el, "./Assertion/Signature/SignatureValue")
			v.SetText("\n\t" + v.Text()[:60] + "\r\n    " + v.Text()[60:] + " ")
		}},
	} {
		t.Run(name, func(t *testing.T) {
			raw := m.build(t)
			id, err := saml.Verify(connection(), asked, now, raw)
			require.NoError(t, err)
			require.Equal(t, want, id)
			if !strings.HasPrefix(name, "white space") { // which the library does not know
				require.NoError(t, oracle(raw), "what is accepted here the library accepts too")
			}
		})
	}
}

// oracle asks the library whether it accepts a response.
func oracle(raw []byte) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("panic: %v", r)
		}
	}()
	timeNow, clock := xsaml.TimeNow, xsaml.Clock
	defer func() { xsaml.TimeNow, xsaml.Clock = timeNow, clock }()
	xsaml.TimeNow, xsaml.Clock = func() time.Time { return now }, dsig.NewFakeClockAt(now)
	u, _ := url.Parse(acs)
	sp := xsaml.ServiceProvider{EntityID: entityID, AcsURL: *u, IDPMetadata: &xsaml.EntityDescriptor{EntityID: issuer,
		IDPSSODescriptors: []xsaml.IDPSSODescriptor{{SSODescriptor: xsaml.SSODescriptor{RoleDescriptor: xsaml.RoleDescriptor{
			KeyDescriptors: []xsaml.KeyDescriptor{{Use: "signing", KeyInfo: xsaml.KeyInfo{X509Data: xsaml.X509Data{
				X509Certificates: []xsaml.X509Certificate{{Data: base64Of(idp().cert.Raw)}}}}}}}}}}}}
	_, err = sp.ParseXMLResponse(raw, []string{asked.ID}, *u)
	return err
}

func TestVerifyTakesECDSA(t *testing.T) {
	for _, c := range []struct {
		curve  elliptic.Curve
		method string
	}{
		{elliptic.P256(), dsig.ECDSASHA256SignatureMethod},
		{elliptic.P384(), dsig.ECDSASHA384SignatureMethod},
		{elliptic.P521(), dsig.ECDSASHA512SignatureMethod},
	} {
		key := ecdsaKey(c.curve)
		by := newParty(key, now.AddDate(-1, 0, 0), now.AddDate(1, 0, 0))
		asn1 := message{by: by, method: c.method}.build(t)
		by.key = concatenatedSigner(key)
		for form, raw := range map[string][]byte{"as the standard has it": message{by: by, method: c.method}.build(t), "as Go has it": asn1} {
			_, err := saml.Verify(connection(by.cert), asked, now, raw)
			require.NoError(t, err, "%s, %s", c.method, form)
			_, err = saml.Verify(connection(), asked, now, raw)
			require.Equal(t, "signature", code(t, err), "by the key of another kind")
		}
	}
}

// TestVerifyWhileKeysAreChanged: each certificate is tried, whatever the signature says of its key (L13); one that is
// taken away signs nobody in from then on (A13).
func TestVerifyWhileKeysAreChanged(t *testing.T) {
	for _, m := range []message{{by: other()}, {by: other(), after: afterwards(remove("./Assertion/Signature/KeyInfo"))}} {
		raw := m.build(t)
		_, err := saml.Verify(connection(idp().cert, other().cert), asked, now, raw)
		require.NoError(t, err)
		_, err = saml.Verify(connection(idp().cert), asked, now, raw)
		require.Equal(t, "signature", code(t, err))
	}
}

func TestVerifyWithCertificatesOutOfTheirTime(t *testing.T) {
	for name, c := range map[string]*x509.Certificate{
		"expired":       newParty(idp().key, now.AddDate(-1, 0, 0), now.Add(-time.Second)).cert,
		"not yet valid": newParty(idp().key, now.Add(time.Second), now.AddDate(1, 0, 0)).cert,
	} {
		_, err := saml.Verify(connection(c), asked, now, message{}.build(t))
		require.Equal(t, "certificate_expired", code(t, err), name)
		_, err = saml.Verify(connection(c, idp().cert), asked, now, message{}.build(t))
		require.NoError(t, err, "the other one is")
	}
}

// TestVerifyRefusesWhatIsSignedAndWrong: properly signed, by the right key, and not to be accepted (A10, A11, L3-L6, L10).
func TestVerifyRefusesWhatIsSignedAndWrong(t *testing.T) {
	const (
		conditions = "./Conditions"
		data       = "./Subject/SubjectConfirmation/SubjectConfirmationData"
		statement  = "./AuthnStatement"
	)
	for _, c := range []struct {
		name, code string
		assertion  func(*etree.Element)
	}{
		{"another audience", "audience", setText("./Conditions/AudienceRestriction/Audience", "https://elsewhere.example.com")},
		{"an audience that begins alike", "audience", setText("./Conditions/AudienceRestriction/Audience", entityID+"/")},
		{"no audience (L6)", "audience", remove("./Conditions/AudienceRestriction")},
		{"a restriction without an audience", "audience", remove("./Conditions/AudienceRestriction/Audience")},
		{"a second restriction to somebody else (L6)", "audience", func(a *etree.Element) {
			r := at(a, "./Conditions/AudienceRestriction").Copy()
			at(a, conditions).AddChild(r)
			at(r, "./Audience").SetText("https://elsewhere.example.com")
		}},
		{"a condition that is not known", "conditions", func(a *etree.Element) { at(a, conditions).CreateElement("saml:Condition") }},
		{"a condition of somebody's own", "conditions", func(a *etree.Element) {
			at(a, conditions).CreateElement("x:OneTimeUse").CreateAttr("xmlns:x", "urn:x")
		}},
		{"another recipient", "recipient", set(data, "Recipient", "https://sp.example.com/sso/org_2/saml/acs")},
		{"no recipient", "recipient", unset(data, "Recipient")},
		{"an answer to another request", "in_response_to", set(data, "InResponseTo", "_request2")},
		{"an answer to none", "in_response_to", unset(data, "InResponseTo")},
		{"another issuer", "issuer", setText("./Issuer", "http://www.okta.com/exk2")},
		{"an issuer in other letters", "issuer", setText("./Issuer", strings.ToUpper(issuer))},
		{"an issuer of another format", "issuer", set("./Issuer", "Format", "urn:oasis:names:tc:SAML:1.1:nameid-format:emailAddress")},
		{"no issuer", "issuer", remove("./Issuer")},
		{"expired", "expired", set(conditions, "NotOnOrAfter", stamp(-time.Minute))},
		{"expired for its bearer", "expired", set(data, "NotOnOrAfter", stamp(-time.Minute))},
		{"not yet valid", "not_yet_valid", set(conditions, "NotBefore", stamp(61*time.Second))},
		{"for ever", "time", unset(conditions, "NotOnOrAfter")},
		{"since ever", "time", unset(conditions, "NotBefore")},
		{"for its bearer for ever", "time", unset(data, "NotOnOrAfter")},
		{"its bearer has to wait", "confirmation", set(data, "NotBefore", stamp(-time.Minute))},
		{"of the future (L10)", "time", set(".", "IssueInstant", stamp(2*time.Hour))},
		{"of long ago", "expired", set(".", "IssueInstant", stamp(-time.Hour))},
		{"of no time", "time", unset(".", "IssueInstant")},
		{"of a time that is none", "time", set(".", "IssueInstant", "yesterday")},
		{"no conditions (L3)", "conditions", remove(conditions)},
		{"no subject (L3)", "subject", remove("./Subject")},
		{"no name", "subject", remove("./Subject/NameID")},
		{"an empty name", "subject", setText("./Subject/NameID", " ")},
		{"a name of a kilobyte", "subject", setText("./Subject/NameID", strings.Repeat("a", 1024))},
		{"no confirmation (L4)", "confirmation", remove("./Subject/SubjectConfirmation")},
		{"a confirmation without data (L3)", "confirmation", remove(data)},
		{"another method (L5)", "confirmation", set("./Subject/SubjectConfirmation", "Method", "urn:oasis:names:tc:SAML:2.0:cm:sender-vouches")},
		{"SAML 1.1", "version", set(".", "Version", "1.1")},
		{"no sign-in", "authentication", remove(statement)},
		{"a sign-in in the future", "authentication", set(statement, "AuthnInstant", stamp(time.Hour))},
		{"a sign-in at no time", "authentication", unset(statement, "AuthnInstant")},
		{"a session that is over", "expired", set(statement, "SessionNotOnOrAfter", stamp(-time.Second))},
		{"two addresses", "attribute", func(a *etree.Element) {
			v := at(a, "./AttributeStatement/Attribute[@Name='"+email+"']")
			v.CreateElement("saml:AttributeValue").SetText("root@acme.com")
		}},
		{"an address that is more than text", "attribute", func(a *etree.Element) {
			at(a, "./AttributeStatement/Attribute[@Name='"+email+"']/AttributeValue").CreateElement("saml:NameID").SetText("root@acme.com")
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			for form, m := range map[string]message{"assertion": {assertion: c.assertion}, "response": {assertion: c.assertion, keepAssertion: true, signResponse: true}} {
				_, err := saml.Verify(connection(), asked, now, m.build(t))
				require.Equal(t, c.code, code(t, err), "signed is the "+form)
			}
		})
	}
}

// TestVerifyRefusesResponses: what is around an assertion that is right.
func TestVerifyRefusesResponses(t *testing.T) {
	for _, c := range []struct {
		name, code string
		response   func(*etree.Element)
	}{
		{"another destination", "destination", set(".", "Destination", "https://sp.example.com/sso/org_2/saml/acs")},
		{"an answer to another request", "in_response_to", set(".", "InResponseTo", "_request2")},
		{"an answer to none", "in_response_to", unset(".", "InResponseTo")},
		{"another issuer", "issuer", setText("./Issuer", "http://www.okta.com/exk2")},
		{"two issuers", "issuer", func(r *etree.Element) { r.AddChild(at(r, "./Issuer").Copy()) }},
		{"no success", "status", set("./Status/StatusCode", "Value", "urn:oasis:names:tc:SAML:2.0:status:Responder")},
		{"no status", "status", remove("./Status")},
		{"SAML 1.1", "version", set(".", "Version", "1.1")},
		{"of the future", "time", set(".", "IssueInstant", stamp(time.Hour))},
		{"of long ago", "expired", set(".", "IssueInstant", stamp(-time.Hour))},
		{"no assertion", "no_assertion", remove("./Assertion")},
		{"no success and no assertion", "status", func(r *etree.Element) {
			remove("./Assertion")(r)
			set("./Status/StatusCode", "Value", "urn:oasis:names:tc:SAML:2.0:status:Requester")(r)
		}},
		{"encrypted (L17)", "encrypted", func(r *etree.Element) { r.CreateElement("saml:EncryptedAssertion") }},
		{"an encrypted name", "encrypted", func(r *etree.Element) { at(r, "./Assertion/Subject").CreateElement("saml:EncryptedID") }},
	} {
		for _, signed := range []bool{true, false} {
			_, err := saml.Verify(connection(), asked, now, message{response: c.response, signResponse: signed}.build(t))
			require.Equal(t, c.code, code(t, err), "%s, signed: %t", c.name, signed)
		}
	}

	_, err := saml.Verify(connection(), asked, now, message{response: unset(".", "Destination"), signResponse: true}.build(t))
	require.Equal(t, "destination", code(t, err), "who signs a response says for what address")
	_, err = saml.Verify(connection(), asked, now, message{response: unset(".", "Destination")}.build(t))
	require.NoError(t, err)
	_, err = saml.Verify(connection(), asked, now, message{response: remove("./Issuer")}.build(t))
	require.NoError(t, err)
}

// TestVerifyTakesWhatTheLibraryDoesNot: more than one audience (L7), and more than one confirmation.
func TestVerifyTakesWhatTheLibraryDoesNot(t *testing.T) {
	for name, f := range map[string]func(*etree.Element){
		"audiences, ours first": func(a *etree.Element) {
			at(a, "./Conditions/AudienceRestriction").CreateElement("saml:Audience").SetText("https://elsewhere.example.com")
		},
		"restrictions that all are ours": func(a *etree.Element) {
			at(a, "./Conditions").AddChild(at(a, "./Conditions/AudienceRestriction").Copy())
		},
		"once and no further": func(a *etree.Element) {
			at(a, "./Conditions").CreateElement("saml:OneTimeUse")
			at(a, "./Conditions").CreateElement("saml:ProxyRestriction").CreateAttr("Count", "0")
		},
		"a confirmation that does not hold before one that does": func(a *etree.Element) {
			c := at(a, "./Subject/SubjectConfirmation")
			bad := c.Copy()
			at(bad, "./SubjectConfirmationData").CreateAttr("Recipient", "https://elsewhere.example.com")
			at(a, "./Subject").InsertChildAt(c.Index(), bad)
		},
		"times without a zone": set("./Conditions", "NotOnOrAfter", "2026-11-26T16:05:00"),
	} {
		_, err := saml.Verify(connection(), asked, now, message{assertion: f}.build(t))
		require.NoError(t, err, name)
	}
}

func TestVerifyBearsWithClocks(t *testing.T) { // L18
	c := connection()
	for _, skew := range []time.Duration{0, 30 * time.Second, saml.MaxClockSkew} {
		c.ClockSkew = skew
		bound := skew
		if skew == 0 {
			bound = time.Minute
		}
		for late, want := range map[time.Duration]string{bound - time.Second: "", bound: "expired"} {
			_, err := saml.Verify(c, asked, now, message{assertion: set("./Conditions", "NotOnOrAfter", stamp(-late))}.build(t))
			if want == "" {
				require.NoError(t, err)
			} else {
				require.Equal(t, want, code(t, err))
			}
		}
		for early, want := range map[time.Duration]string{bound: "", bound + time.Second: "not_yet_valid"} {
			_, err := saml.Verify(c, asked, now, message{assertion: set("./Conditions", "NotBefore", stamp(early))}.build(t))
			if want == "" {
				require.NoError(t, err)
			} else {
				require.Equal(t, want, code(t, err))
			}
		}
	}
	c.ClockSkew = saml.MaxClockSkew + 1
	require.Error(t, c.Validate())
}

// TestVerifyWithoutARequest: who starts at the identity provider is let in only where the connection says so, and then
// an answer to somebody's request is none to nobody's (SAML-17, A14, L11).
func TestVerifyWithoutARequest(t *testing.T) {
	unsolicited := message{response: unset(".", "InResponseTo"), assertion: unset("./Subject/SubjectConfirmation/SubjectConfirmationData", "InResponseTo")}
	raw := unsolicited.build(t)

	_, err := saml.Verify(connection(), nil, now, raw)
	require.Equal(t, "unsolicited", code(t, err))

	c := connection()
	c.AllowIdPInitiated = true
	_, err = saml.Verify(c, nil, now, raw)
	require.NoError(t, err)
	_, err = saml.Verify(c, asked, now, raw)
	require.Equal(t, "in_response_to", code(t, err), "the browser waits for an answer, and this is none")

	_, err = saml.Verify(c, nil, now, message{}.build(t))
	require.Equal(t, "in_response_to", code(t, err), "an answer to somebody else")
	_, err = saml.Verify(c, nil, now, message{response: unset(".", "InResponseTo")}.build(t))
	require.Equal(t, "in_response_to", code(t, err), "of whom only the assertion tells")

	unsolicited.assertion = func(a *etree.Element) {
		unset("./Subject/SubjectConfirmation/SubjectConfirmationData", "InResponseTo")(a)
		set(".", "IssueInstant", stamp(-3*time.Minute-time.Second))(a)
	}
	_, err = saml.Verify(c, nil, now, unsolicited.build(t))
	require.Equal(t, "expired", code(t, err), "nobody waited for it")
}

func TestVerifyOfARequestThatIsTooOld(t *testing.T) {
	raw := message{}.build(t)
	_, err := saml.Verify(connection(), &saml.Request{ID: asked.ID, IssuedAt: now.Add(-saml.RequestFor)}, now, raw)
	require.NoError(t, err)
	_, err = saml.Verify(connection(), &saml.Request{ID: asked.ID, IssuedAt: now.Add(-saml.RequestFor - 1)}, now, raw)
	require.Equal(t, "in_response_to", code(t, err))
	_, err = saml.Verify(connection(), &saml.Request{IssuedAt: now}, now, message{response: set(".", "InResponseTo", "")}.build(t))
	require.Equal(t, "in_response_to", code(t, err), "no id is no id that is equal")
}

func TestVerifyThatSomebodyProvesAnewWhoTheyAre(t *testing.T) {
	c := connection()
	c.ForceAuthn = true
	_, err := saml.Verify(c, asked, now, message{}.build(t))
	require.Equal(t, "authentication", code(t, err), "an hour ago they did")
	_, err = saml.Verify(c, asked, now, message{assertion: set("./AuthnStatement", "AuthnInstant", stamp(-time.Second))}.build(t))
	require.NoError(t, err)
}

// TestVerifyKeepsWhatItReads: what is encoded is read whole, and not cut where it looks like markup (A12).
func TestVerifyKeepsWhatItReads(t *testing.T) {
	const name = "admin<!--x-->@acme.com & <b>"
	id, err := saml.Verify(connection(), asked, now, message{assertion: setText("./Subject/NameID", name)}.build(t))
	require.NoError(t, err)
	require.Equal(t, name, id.Subject)
}
