// Package saml signs people in by the identity provider of their organization, over SAML 2.0.
//
// [New] makes the [Protocol] that package orgs/sso serves. [Verify] is its heart: of a connection, the request that was sent,
// the time and the bytes of a response it makes an [Identity], or says why not. [NewRequest] makes the request and [Metadata]
// what an identity provider is set up with; [Protocol.Import] reads what such a one publishes.
//
//	protocol, err := saml.New(m.Store().Now, nil)
//	handler, err := sso.New(m, &sso.Options{Protocols: []sso.Protocol{protocol}, …})
//
// # What a response has to be
//
// It comes by the browser of whoever wants to be let in, so nothing of it is believed before its signature. First one pass
// over the tokens refuses whatever libraries read differently, or slowly: document types, comments, CDATA, processing
// instructions, other encodings, attributes that are there twice, and more than 900 elements. Then its form is fixed, so
// that what is signed and what is read cannot be two things: one Response, in it at most one Assertion, signatures right
// below these two and of them, by ids that are there once. Then the signatures are verified by the certificates of the
// connection, each by itself, whatever a message says of its key; with RSA or ECDSA and SHA-2, over exclusive canonical XML.
// The identity is read from the bytes that were signed, and from nowhere else.
//
// An assertion counts when its issuer, audience, recipient, times, conditions and the request that it answers all are right,
// and its bearer is confirmed. What the standard lets be left out and would be missed (an audience, a time until which it
// holds, a recipient) is required.
//
// # Who somebody is
//
// A persistent NameID is who somebody is for good. By any other one the address is, within the verified domains of the
// organization; where no attribute has it, a NameID in the form of one is taken.
//
// # What is left out
//
// Encrypted assertions, single logout and the artifact binding: the metadata offers none of them. A response with an encrypted
// part is refused, and a dry run says so ("encrypted"). A session ends by itself, by whoever signs out here, and at once when
// SCIM or an administrator ends the membership; what ends at the provider ends nothing here. Libraries do not verify responses
// here: the one whose types are used reads identities from the document that came in, takes SHA-1, and ends in a
// panic where an assertion lacks a part that it expects. It is what tests hold this package against.
//
// # Refusals
//
// A [Refused] has one of these codes; the log of the organization has it too, and the browser is told nothing:
//
//	too_large encoding xml_feature malformed not_a_response   how it is written
//	wrapped several_assertions several_signatures duplicate_id no_assertion encrypted   its form
//	unsigned signature_form signature_reference signature_algorithm digest_algorithm
//	canonicalization transform signature certificate_expired   its signature
//	version status issuer destination in_response_to unsolicited   whose answer it is, and to what
//	conditions audience subject confirmation recipient authentication attribute   what it says
//	time expired not_yet_valid   when
package saml
