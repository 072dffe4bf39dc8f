package saml

import (
	"crypto/x509"
	"errors"
	"time"
)

// Connection is what both sides of a sign-in know of each other: this service provider and one identity provider of
// one organization. It is only read, so any number of sign-ins may share it.
type Connection struct {
	// EntityID names this side: the address of its metadata. Audiences have to contain it.
	EntityID string
	// ACS is where responses are posted: their Recipient and Destination. From configuration, never from a request.
	ACS string

	// SSOURL is where the browser goes with a request, by https. It is never called from here.
	SSOURL string
	// Issuer names the identity provider. It is compared byte by byte and never opened.
	Issuer string
	// Certificates are those whose keys the identity provider may sign with: one, or two while it changes its key. One
	// outside of its validity counts for nothing.
	Certificates []*x509.Certificate

	// ClockSkew is how far the clocks of both sides may be apart; 0 is a minute, three are the most.
	ClockSkew time.Duration
	// AllowIdPInitiated takes responses that answer no request. Whoever can post a form from the browser of somebody else
	// can sign them in as the wrong person then.
	AllowIdPInitiated bool
	// ForceAuthn asks that the person prove anew who they are, and refuses an answer by which they have not.
	ForceAuthn bool
	// SignRequests signs requests by the key of a [Signer].
	SignRequests bool

	Attributes Attributes
}

// Attributes name those attributes of an assertion that are read, each by its Name or, where none has it, by its
// FriendlyName. "" is for none.
type Attributes struct {
	Email  string
	Name   string
	Groups string
	// GroupSeparator splits values of Groups, such as ",", for identity providers that put all into one.
	GroupSeparator string
}

// MaxClockSkew is the most that ClockSkew may be.
const MaxClockSkew = 3 * time.Minute

// Validate says what keeps the connection from working.
func (c *Connection) Validate() error {
	switch {
	case c == nil || c.EntityID == "" || c.ACS == "" || c.Issuer == "":
		return errors.New("saml: a connection needs its own names and that of its identity provider")
	case len(c.Certificates) == 0:
		return errors.New("saml: a connection needs a certificate")
	case c.ClockSkew < 0 || c.ClockSkew > MaxClockSkew:
		return errors.New("saml: the clock skew of a connection is between 0 and three minutes")
	}
	return nil
}

func (c *Connection) skew() time.Duration {
	if c.ClockSkew == 0 {
		return time.Minute
	}
	return c.ClockSkew
}

// Request is what has to be kept of a request for the answer: see [Verify].
type Request struct {
	ID       string // of the AuthnRequest
	IssuedAt time.Time
}
