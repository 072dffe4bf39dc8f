package saml

import (
	"time"

	"github.com/beevik/etree"

	"github.com/orgkit/orgkit/store"
)

// Formats of a NameID.
const (
	Persistent = "urn:oasis:names:tc:SAML:2.0:nameid-format:persistent"
	Transient  = "urn:oasis:names:tc:SAML:2.0:nameid-format:transient"
)

// Bounds of what is read. Of more groups none is known: see [Identity].
const (
	MaxGroups = 500
	maxText   = 256 // bytes of a name id, a name or a group
)

// Identity is whom an assertion is about and what it says of them. All of it was signed.
type Identity struct {
	Issuer  string
	Subject string // the NameID
	Format  string // of the NameID; only a [Persistent] one names the same person for ever

	Email string
	Name  string
	// Groups are those of the assertion. Where GroupsKnown is false they are not all, or none was sent because there are
	// too many: nothing is to be concluded from who is missing.
	Groups      []string
	GroupsKnown bool

	AuthenticatedAt time.Time
	Context         string    // AuthnContextClassRef: how
	SessionIndex    string    // of the session at the identity provider
	SessionUntil    time.Time // zero for no bound

	AssertionID string
	ResponseID  string
	// ReplayUntil is until when the assertion would be accepted again if nobody remembered it.
	ReplayUntil time.Time
}

// assertion checks what was signed, and reads it.
func (v *verification) assertion(el *etree.Element) (id Identity, err error) {
	if attribute(el, "Version") != "2.0" {
		return id, refuse("version", "the assertion is not of SAML 2.0")
	}
	issuer := child(el, nsAssertion, "Issuer")
	if issuer == nil {
		return id, refuse("issuer", "the assertion has no issuer, or several")
	}
	if err := v.issuer(issuer); err != nil {
		return id, err
	}
	if err := v.issued(el); err != nil {
		return id, err
	}
	id.Issuer, id.AssertionID = v.Issuer, attribute(el, "ID")
	if id.AssertionID == "" || len(id.AssertionID) > maxText {
		return id, refuse("malformed", "the assertion has no id, or a long one")
	}
	conditions, err := v.conditions(el)
	if err != nil {
		return id, err
	}
	confirmed, err := v.subject(el, &id)
	if err != nil {
		return id, err
	}
	id.ReplayUntil = conditions
	if confirmed.After(conditions) {
		id.ReplayUntil = confirmed
	}
	id.ReplayUntil = id.ReplayUntil.Add(v.skew)
	if err := v.statement(el, &id); err != nil {
		return id, err
	}
	return id, v.attributes(el, &id)
}

// conditions checks those of the assertion (SAML core §2.5); what is not understood is not met.
func (v *verification) conditions(el *etree.Element) (end time.Time, err error) {
	conditions := child(el, nsAssertion, "Conditions")
	if conditions == nil {
		return end, refuse("conditions", "the assertion has no conditions")
	}
	if end, err = v.within(conditions, true); err != nil {
		return end, err
	}
	restricted := false
	for _, c := range conditions.ChildElements() {
		switch {
		case c.NamespaceURI() != nsAssertion:
			return end, refuse("conditions", "the assertion has a condition that is not known")
		case c.Tag == "AudienceRestriction":
			restricted = true
			if !v.audience(c) {
				return end, refuse("audience", "the assertion is meant for somebody else")
			}
		case c.Tag != "OneTimeUse" && c.Tag != "ProxyRestriction":
			return end, refuse("conditions", "the assertion has a condition that is not known")
		}
	}
	if !restricted {
		return end, refuse("audience", "the assertion does not say for whom it is meant")
	}
	return end, nil
}

// audience says whether one of the audiences of a restriction is this side.
func (v *verification) audience(restriction *etree.Element) bool {
	for _, a := range children(restriction, nsAssertion, "Audience") {
		if s, ok := text(a); ok && s == v.EntityID {
			return true
		}
	}
	return false
}

// subject reads whom the assertion is about and checks that who brings it may (SAML profiles §4.1.4.2). It returns until
// when they may.
func (v *verification) subject(el *etree.Element, id *Identity) (end time.Time, err error) {
	subject := child(el, nsAssertion, "Subject")
	if subject == nil {
		return end, refuse("subject", "the assertion is about nobody")
	}
	name := child(subject, nsAssertion, "NameID")
	if name == nil {
		return end, refuse("subject", "the assertion does not name whom it is about")
	}
	s, ok := text(name)
	if !ok || s == "" || store.PlainText(s, maxText) != s {
		return end, refuse("subject", "the name of whom the assertion is about is empty, long or not plain text")
	}
	id.Subject, id.Format = s, attribute(name, "Format")

	err = refuse("confirmation", "the assertion does not say how its bearer is known")
	for _, c := range children(subject, nsAssertion, "SubjectConfirmation") {
		if attribute(c, "Method") != "urn:oasis:names:tc:SAML:2.0:cm:bearer" {
			continue
		}
		until, fault := v.bearer(child(c, nsAssertion, "SubjectConfirmationData"))
		if fault == nil {
			return until, nil
		}
		err = fault
	}
	return end, err
}

func (v *verification) bearer(data *etree.Element) (end time.Time, err error) {
	switch {
	case data == nil:
		return end, refuse("confirmation", "the assertion does not say for what its bearer may use it")
	case attribute(data, "Recipient") != v.ACS:
		return end, refuse("recipient", "the assertion is meant for another address")
	case attribute(data, "NotBefore") != "":
		return end, refuse("confirmation", "the bearer of the assertion has to wait, which is not allowed")
	}
	if err := v.answers(attribute(data, "InResponseTo")); err != nil {
		return end, err
	}
	return v.within(data, false)
}

// statement reads how and when the person proved who they are.
func (v *verification) statement(el *etree.Element, id *Identity) error {
	s := child(el, nsAssertion, "AuthnStatement")
	if s == nil {
		return refuse("authentication", "the assertion does not tell of one sign-in")
	}
	at, err := instant(attribute(s, "AuthnInstant"))
	if err != nil {
		return err
	}
	until, err := instant(attribute(s, "SessionNotOnOrAfter"))
	switch {
	case err != nil:
		return err
	case at.IsZero() || at.After(v.now.Add(v.skew)):
		return refuse("authentication", "the assertion does not tell when the person signed in, or in the future")
	case !until.IsZero() && !v.now.Before(until):
		return refuse("expired", "the session at the identity provider is over")
	case v.ForceAuthn && (v.req == nil || at.Before(v.req.IssuedAt.Add(-v.skew))):
		return refuse("authentication", "the person has not proved anew who they are")
	}
	if c := child(s, nsAssertion, "AuthnContext"); c != nil {
		if class := child(c, nsAssertion, "AuthnContextClassRef"); class != nil {
			id.Context, _ = text(class)
		}
	}
	id.AuthenticatedAt, id.SessionUntil, id.SessionIndex = at, until, attribute(s, "SessionIndex")
	if store.PlainText(id.Context, maxText) != id.Context || store.PlainText(id.SessionIndex, maxText) != id.SessionIndex {
		return refuse("authentication", "what the assertion tells of the sign-in is long or not plain text")
	}
	return nil
}
