package saml_test

import (
	"testing"

	"github.com/beevik/etree"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/orgkit/orgkit/orgs/sso/saml"
)

// TestVerifyReadsWhatWasSigned: whoever has one signed response and moves, copies, renames and forges its parts at will
// signs in as nobody but the one whom it is about (A1, A3, A4, A30, L14).
func TestVerifyReadsWhatWasSigned(t *testing.T) {
	originals := []*etree.Element{message{}.tree(t), message{signResponse: true}.tree(t), message{keepAssertion: true, signResponse: true}.tree(t)}
	c := connection()
	rapid.Check(t, func(t *rapid.T) {
		r := rapid.SampledFrom(originals).Draw(t, "original").Copy()
		kept := r.Copy() // what the attacker takes parts from
		for range rapid.IntRange(1, 5).Draw(t, "steps") {
			distort(t, r, kept)
		}
		doc := etree.NewDocument()
		doc.SetRoot(r)
		raw, err := doc.WriteToBytes()
		require.NoError(t, err)
		id, err := saml.Verify(c, asked, now, raw)
		if err != nil {
			require.ErrorIs(t, err, saml.ErrRefused)
			return
		}
		require.Equal(t, "00u1", id.Subject)
		require.Equal(t, "ann@acme.com", id.Email)
		require.Equal(t, []string{"Engineering", "IT-Admins"}, id.Groups)
	})
}

// everything is an element and all below it.
func everything(el *etree.Element) []*etree.Element {
	all := []*etree.Element{el}
	for _, c := range el.ChildElements() {
		all = append(all, everything(c)...)
	}
	return all
}

// distort takes one step of an attacker.
func distort(t *rapid.T, r, kept *etree.Element) {
	pick := func(from *etree.Element, what string) *etree.Element {
		return rapid.SampledFrom(everything(from)).Draw(t, what)
	}
	parts := []string{"./Assertion", "./Assertion/Signature", "./Signature", "./Assertion/Subject", "./Assertion/Subject/NameID", "./Assertion/AttributeStatement", "."}
	part := func() *etree.Element {
		if found := kept.FindElement(rapid.SampledFrom(parts).Draw(t, "part")); found != nil {
			return found.Copy()
		}
		return kept.Copy()
	}
	into := pick(r, "into")
	at := rapid.IntRange(0, len(into.Child)).Draw(t, "at")
	switch rapid.SampledFrom([]string{"forge", "insert", "wrap", "move", "remove", "name", "id", "uri", "text"}).Draw(t, "step") {
	case "forge": // a part that says something else
		p := part()
		for _, el := range everything(p) {
			switch {
			case el.Tag == "NameID":
				el.SetText("root")
			case el.Tag == "Signature" && el.Parent() != nil && rapid.Bool().Draw(t, "unsigned"):
				el.Parent().RemoveChild(el)
			case el.SelectAttr("ID") != nil && rapid.Bool().Draw(t, "new id"):
				el.CreateAttr("ID", "_evil")
			}
		}
		into.InsertChildAt(at, p)
	case "insert":
		into.InsertChildAt(at, part())
	case "wrap":
		w := etree.NewElement(rapid.SampledFrom([]string{"ds:Object", "samlp:Extensions", "saml:Advice", "x:y", "saml:AttributeValue"}).Draw(t, "wrapper"))
		w.CreateAttr("xmlns:ds", "http://www.w3.org/2000/09/xmldsig#")
		w.CreateAttr("xmlns:x", "urn:x")
		w.AddChild(part())
		into.InsertChildAt(at, w)
	case "move":
		el := pick(r, "moved")
		if el == r {
			return
		}
		for p := into; p != nil; p = p.Parent() {
			if p == el {
				return // not into itself
			}
		}
		el.Parent().RemoveChild(el)
		into.InsertChildAt(min(at, len(into.Child)), el)
	case "remove":
		if el := pick(r, "removed"); el != r {
			el.Parent().RemoveChild(el)
		}
	case "name":
		el := pick(r, "renamed")
		el.Tag = rapid.SampledFrom([]string{"Assertion", "Signature", "Subject", "NameID", "Response", "Object"}).Draw(t, "name")
	case "id":
		pick(r, "of").CreateAttr(rapid.SampledFrom([]string{"ID", "Id", "id", "x:ID", "AssertionID"}).Draw(t, "attribute"),
			rapid.SampledFrom([]string{"_assertion1", "_response1", "_evil", ""}).Draw(t, "id"))
	case "uri":
		for _, el := range everything(r) {
			if el.Tag == "Reference" && rapid.Bool().Draw(t, "this") {
				el.CreateAttr("URI", rapid.SampledFrom([]string{"#_assertion1", "#_response1", "#_evil", "", "#"}).Draw(t, "uri"))
			}
		}
	case "text":
		el := pick(r, "said")
		if len(el.ChildElements()) == 0 {
			el.SetText(rapid.SampledFrom([]string{"root", "root@acme.com", "00u1", ""}).Draw(t, "text"))
		}
	}
}

// TestVerifyOfAsMuchAsFits: what is below the bounds is verified, whatever the library's own are (L12).
func TestVerifyOfAsMuchAsFits(t *testing.T) {
	for _, m := range []message{{}, {signResponse: true}, {keepAssertion: true, signResponse: true}} {
		m.assertion = func(a *etree.Element) {
			g := at(a, "./AttributeStatement/Attribute[@Name='"+groups+"']")
			for range 835 {
				g.CreateElement("saml:AttributeValue").SetText("g")
			}
		}
		raw := m.build(t)
		id, err := saml.Verify(connection(), asked, now, raw)
		require.NoError(t, err)
		require.True(t, id.GroupsKnown)
	}
}
