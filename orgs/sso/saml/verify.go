package saml

import (
	"fmt"
	"time"

	"github.com/beevik/etree"
)

// RequestFor is how long a request can be answered.
const RequestFor = 10 * time.Minute

// Ages of an assertion when it arrives, without the skew of clocks.
const (
	maxAge          = 5 * time.Minute
	maxAgeUnsolicit = 2 * time.Minute
)

// Verify returns whom a response signs in, or a *[Refused] that says why it signs in nobody. It reads the XML of the
// response at the time now, as the answer to req; req is nil where the browser brings no request of ours that can still
// be answered, which only a connection that allows it takes.
//
// Verify is a function of its arguments: it calls nobody and remembers nothing. What has to be remembered is the
// caller's: a request is answered once, and neither [Identity].AssertionID nor ResponseID comes again before
// [Identity].ReplayUntil. Safe for concurrent use.
func Verify(c *Connection, req *Request, now time.Time, raw []byte) (id Identity, err error) {
	defer func() { // no input is known that gets here; none shall be worth looking for
		if recover() != nil {
			id, err = Identity{}, refuse("malformed", "the response cannot be read")
		}
	}()
	if err := c.Validate(); err != nil {
		return Identity{}, err
	}
	response, err := read(raw)
	if err != nil {
		return Identity{}, err
	}
	response, signed, assertion, err := authentic(c, now, response)
	if err != nil {
		return Identity{}, err
	}
	v := verification{Connection: c, req: req, now: now, skew: c.skew()}
	if err := v.response(response, signed); err != nil {
		return Identity{}, err
	}
	if id, err = v.assertion(assertion); err != nil {
		return Identity{}, err
	}
	id.ResponseID = attribute(response, "ID")
	return id, nil
}

// authentic verifies the signatures of a response: that of itself, of its assertion, or both. It returns the response,
// whether it is signed, and the assertion, both as they were signed.
func authentic(c *Connection, now time.Time, in *etree.Element) (response *etree.Element, signed bool, assertion *etree.Element, err error) {
	response = in
	outer, err := signatureOf(response)
	if err != nil {
		return nil, false, nil, err
	}
	if assertion = child(response, nsAssertion, "Assertion"); assertion == nil {
		if err := status(response); err != nil {
			return nil, false, nil, err
		}
		return nil, false, nil, refuse("no_assertion", "the response holds no assertion")
	}
	inner, err := signatureOf(assertion)
	if err != nil {
		return nil, false, nil, err
	}
	if outer == nil && inner == nil {
		return nil, false, nil, refuse("unsigned", "neither the response nor its assertion is signed")
	}
	if outer != nil {
		if response, err = verified(response, c.Certificates, now); err != nil {
			return nil, false, nil, err
		}
		if assertion = child(response, nsAssertion, "Assertion"); assertion == nil {
			return nil, false, nil, refuse("no_assertion", "what is signed holds no assertion")
		}
	}
	if inner != nil {
		if assertion, err = verified(assertion, c.Certificates, now); err != nil {
			return nil, false, nil, err
		}
	}
	return response, outer != nil, assertion, nil
}

// status refuses a response that does not tell of success (SAML core §3.2.2.2).
func status(response *etree.Element) error {
	s := child(response, nsProtocol, "Status")
	if s == nil {
		return refuse("status", "the response has no status")
	}
	code := child(s, nsProtocol, "StatusCode")
	if code == nil || attribute(code, "Value") != "urn:oasis:names:tc:SAML:2.0:status:Success" {
		return refuse("status", "the identity provider says that it has signed nobody in")
	}
	return nil
}

type verification struct {
	*Connection
	req  *Request
	now  time.Time
	skew time.Duration
}

// response checks what stands around the assertion. Where only the assertion is signed that can be anything: it is
// compared all the same, and nothing is taken from it.
func (v *verification) response(el *etree.Element, signed bool) error {
	if attribute(el, "Version") != "2.0" {
		return refuse("version", "the response is not of SAML 2.0")
	}
	if attribute(el, "ID") == "" {
		return refuse("malformed", "the response has no id")
	}
	if err := status(el); err != nil {
		return err
	}
	switch issuers := children(el, nsAssertion, "Issuer"); {
	case len(issuers) > 1:
		return refuse("issuer", "the response has several issuers")
	case len(issuers) == 1:
		if err := v.issuer(issuers[0]); err != nil {
			return err
		}
	}
	if d := attribute(el, "Destination"); d != v.ACS && (signed || d != "") {
		return refuse("destination", "the response is not meant for this address")
	}
	if err := v.issued(el); err != nil {
		return err
	}
	return v.answers(attribute(el, "InResponseTo"))
}

func (v *verification) issuer(el *etree.Element) error {
	s, ok := text(el)
	if format := attribute(el, "Format"); !ok || s != v.Issuer || format != "" && format != "urn:oasis:names:tc:SAML:2.0:nameid-format:entity" {
		return refuse("issuer", "the response is not of the identity provider of the connection")
	}
	return nil
}

// issued checks when something was made.
func (v *verification) issued(el *etree.Element) error {
	at, err := instant(attribute(el, "IssueInstant"))
	age := maxAge
	if v.req == nil {
		age = maxAgeUnsolicit
	}
	switch {
	case err != nil:
		return err
	case at.IsZero():
		return refuse("time", "there is no time of issue")
	case at.After(v.now.Add(v.skew)):
		return refuse("time", "the response is of the future")
	case at.Before(v.now.Add(-age - v.skew)):
		return refuse("expired", "the response is too old")
	}
	return nil
}

// answers checks what is said of the request that is answered. Without a request nothing may be said.
func (v *verification) answers(id string) error {
	switch {
	case v.req == nil && id != "":
		return refuse("in_response_to", "the response answers a request that this browser has not sent, or not of late")
	case v.req == nil && !v.AllowIdPInitiated:
		return refuse("unsolicited", "the response answers no request")
	case v.req == nil:
		return nil
	case v.req.ID == "" || id != v.req.ID:
		return refuse("in_response_to", "the response answers another request")
	case v.now.Sub(v.req.IssuedAt) > RequestFor || v.req.IssuedAt.After(v.now.Add(v.skew)): // sent by a process with another clock
		return refuse("in_response_to", "the request is too old")
	}
	return nil
}

// within checks that now is in an interval, of which the end is required and the begin where it is asked for.
func (v *verification) within(el *etree.Element, begins bool) (end time.Time, err error) {
	from, err := instant(attribute(el, "NotBefore"))
	if err != nil {
		return end, err
	}
	if end, err = instant(attribute(el, "NotOnOrAfter")); err != nil {
		return end, err
	}
	switch {
	case end.IsZero() || begins && from.IsZero():
		return end, refuse("time", fmt.Sprintf("%s has no time until which it holds, or from which", el.Tag))
	case from.After(v.now.Add(v.skew)):
		return end, refuse("not_yet_valid", "the assertion is not valid yet")
	case !v.now.Before(end.Add(v.skew)):
		return end, refuse("expired", "the assertion is not valid any more")
	}
	return end, nil
}
