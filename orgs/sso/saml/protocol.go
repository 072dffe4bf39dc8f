package saml

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"time"

	xsaml "github.com/crewjam/saml"

	"github.com/orgkit/orgkit/orgs"
)

// Options of a [Protocol]; nil works.
type Options struct {
	// Signer signs the requests of those organizations that ask for it, see orgs.Options.SignsRequests.
	Signer *Signer
	// PostRequests sends requests by a form instead of in the address.
	PostRequests bool
}

// Protocol is SAML 2.0 for package orgs/sso. Its paths below an organization are
//
//	GET  /{org}/saml/metadata   what the identity provider is set up with
//	POST /{org}/saml/acs        takes its answers
//
// It is safe for concurrent use.
type Protocol struct {
	now func() time.Time
	opt Options
}

// New returns the protocol. now is the clock of the host, such as that of its store.
func New(now func() time.Time, o *Options) (*Protocol, error) {
	p := &Protocol{now: now}
	if o != nil {
		p.opt = *o
	}
	if now == nil {
		return nil, errors.New("saml: a clock is required")
	}
	if p.opt.Signer != nil {
		if err := p.opt.Signer.Validate(); err != nil {
			return nil, err
		}
	}
	return p, nil
}

// Name is that of configurations of the protocol.
func (p *Protocol) Name() string { return orgs.ProtocolSAML }

const (
	acsPath      = "/saml/acs"
	metadataPath = "/saml/metadata"
)

// Answer is how an identity provider answers: see sso.Protocol.
func (p *Protocol) Answer() (method, path, handle string) {
	return http.MethodPost, acsPath, "RelayState"
}

// own is this side of the connection of an organization.
func (p *Protocol) own(base string, signed bool) *Connection {
	return &Connection{EntityID: base + metadataPath, ACS: base + acsPath, SignRequests: signed}
}

// The names that most identity providers have for what an organization has named nothing for.
const (
	usualEmail  = "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/emailaddress"
	usualName   = "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/name"
	usualGroups = "http://schemas.xmlsoap.org/claims/Group"
)

// connection is that of an organization.
func (p *Protocol) connection(s orgs.SSOConnection, base string) *Connection {
	c := p.own(base, s.SignRequests)
	c.SSOURL, c.Issuer = s.URL, s.Issuer
	c.AllowIdPInitiated, c.ForceAuthn = s.Unsolicited, s.ForceAuthn
	c.ClockSkew = max(s.Skew(), 1) // 0 is the default here, and none at all there
	c.Attributes = Attributes{Email: or(s.Attributes.Email, usualEmail), Name: or(s.Attributes.Name, usualName), Groups: or(s.Attributes.Groups, usualGroups)}
	for _, cert := range s.Certificates() {
		c.Certificates = append(c.Certificates, cert.Certificate)
	}
	return c
}

func or(s, otherwise string) string {
	if s == "" {
		return otherwise
	}
	return s
}

// requestOf is the request of a flow. Its id tells nothing of the rest that the browser keeps.
func requestOf(f orgs.SSOFlow) Request {
	sum := sha256.Sum256([]byte("request " + f.Secret))
	return Request{ID: "_" + hex.EncodeToString(sum[:20]), IssuedAt: f.StartedAt}
}

// Start returns where a browser is sent with a request. With [Options].PostRequests it is "", and [Protocol.Form] has
// what the browser posts.
func (p *Protocol) Start(_ context.Context, s orgs.SSOConnection, f orgs.SSOFlow) (string, error) {
	if p.opt.PostRequests {
		return "", nil
	}
	r, err := NewRequest(p.connection(s, f.Base), requestOf(f))
	if err != nil {
		return "", err
	}
	return r.Redirect(f.Handle, p.opt.Signer)
}

// Form returns what a browser posts to begin, and where.
func (p *Protocol) Form(_ context.Context, s orgs.SSOConnection, f orgs.SSOFlow) (action string, fields url.Values, err error) {
	r, err := NewRequest(p.connection(s, f.Base), requestOf(f))
	if err != nil {
		return "", nil, err
	}
	field, err := r.Form(p.opt.Signer)
	return s.URL, url.Values{"SAMLRequest": {field}, "RelayState": {f.Handle}}, err
}

// Finish verifies the answer to a flow, see [Verify]. What is refused is an *orgs.SSORefused with the code of the [Refused].
func (p *Protocol) Finish(_ context.Context, s orgs.SSOConnection, f orgs.SSOFlow, answer url.Values) (orgs.Asserted, error) {
	raw, err := base64.StdEncoding.Strict().DecodeString(answer.Get("SAMLResponse"))
	if err != nil || len(raw) == 0 {
		return orgs.Asserted{}, &orgs.SSORefused{Code: "bad_answer"}
	}
	var asked *Request
	if f.Handle != "" {
		r := requestOf(f)
		asked = &r
	}
	id, err := Verify(p.connection(s, f.Base), asked, p.now(), raw)
	var refused *Refused
	if errors.As(err, &refused) {
		return orgs.Asserted{}, &orgs.SSORefused{Code: refused.Code}
	} else if err != nil {
		return orgs.Asserted{}, err
	}
	return asserted(s, id), nil
}

// asserted is what the sign-in of package orgs is told.
func asserted(s orgs.SSOConnection, id Identity) orgs.Asserted {
	in := orgs.Asserted{
		OrgID: s.ID, Issuer: id.Issuer, Subject: id.Subject, Transient: id.Format != Persistent,
		Email: id.Email, EmailVerified: true, Name: id.Name, // the domain has to be the organization's
		Groups: id.Groups, GroupsUnknown: !id.GroupsKnown,
		AuthenticatedAt: id.AuthenticatedAt, Context: id.Context, SessionIndex: id.SessionIndex, EndsAt: id.SessionUntil,
		Once: []orgs.Once{{Key: "assertion " + id.AssertionID, Until: id.ReplayUntil}, {Key: "response " + id.ResponseID, Until: id.ReplayUntil}},
	}
	if in.Email == "" && id.Format == string(xsaml.EmailAddressNameIDFormat) {
		in.Email = id.Subject
	}
	if slices.Contains(s.MFAContexts, id.Context) {
		in.MFAVerifiedAt = &id.AuthenticatedAt
	}
	return in
}

// DescribePath is that of the metadata.
func (p *Protocol) DescribePath() string { return metadataPath }

// Describe returns the metadata: see [Metadata].
func (p *Protocol) Describe(base string, signed bool) (contentType string, document []byte, err error) {
	document, err = Metadata(p.own(base, signed), p.opt.Signer, p.now())
	return "application/samlmetadata+xml", document, err
}
