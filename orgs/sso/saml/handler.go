package saml

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/orgkit/orgkit/audit"
	"github.com/orgkit/orgkit/orgs"
	"github.com/orgkit/orgkit/orgs/httpapi"
	"github.com/orgkit/orgkit/store"
	"github.com/orgkit/orgkit/store/seal"
)

// Options of the handler.
type Options struct {
	// Seal seals what a browser keeps between a request and its answer; required. All processes that serve the same
	// browsers have the same key.
	Seal *seal.Sealer
	// Signer signs requests, of all organizations; nil leaves them unsigned.
	Signer *Signer
	// PostRequests sends requests by a form instead of in the address.
	PostRequests bool
	// Lifetime is how long a session lasts at most; 0 is 24 hours.
	Lifetime time.Duration
	// StartPage is where a browser goes that has asked for no page, a path of this host; "" is "/".
	StartPage string
	// Authenticate finds out who tries a connection; nil leaves out the call for that.
	Authenticate httpapi.Authenticate
	// HTTP are the trusted proxies, and who is told of errors that nobody else is.
	HTTP *httpapi.Options
}

// Timeout is how long an answer of an identity provider may take to be looked at.
const timeout = 5 * time.Second

// Handler serves the sign-in of organizations. It is safe for concurrent use.
type Handler struct {
	m    *orgs.Manager
	base string
	opt  Options
	mux  *http.ServeMux
}

// New returns the handler of
//
//	GET  /{org}/saml/metadata                  what the identity provider is set up with; {org} is the id
//	GET  /{org}/saml/login?return_to=/path     sends the browser to the identity provider
//	POST /{org}/saml/acs                       takes its answer: a session, in the cookie of package sessions
//	POST /{org}/saml/test                      the same for an administrator who only tries: see [Trial]
//
// baseURL is where browsers reach it, such as https://gateway.example/sso: mount it behind http.StripPrefix. It is what
// identity providers are told, whatever host a request names.
func New(m *orgs.Manager, baseURL string, o *Options) (*Handler, error) {
	if m == nil || o == nil || !o.Seal.Ready() {
		return nil, errors.New("saml: a manager and a Sealer are required")
	}
	h := &Handler{m: m, base: strings.TrimRight(baseURL, "/"), opt: *o, mux: http.NewServeMux()}
	if u, err := url.Parse(h.base); err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return nil, errors.New("saml: the base URL must be an absolute one, without query")
	}
	if h.opt.Signer != nil {
		if err := h.opt.Signer.Validate(); err != nil {
			return nil, err
		}
	}
	if h.opt.Lifetime == 0 {
		h.opt.Lifetime = 24 * time.Hour
	}
	if h.opt.StartPage == "" {
		h.opt.StartPage = "/"
	}
	if h.opt.Lifetime < 0 || local(h.opt.StartPage) == "" {
		return nil, errors.New("saml: an option is out of range")
	}
	anybody := func(*http.Request) (audit.Actor, error) { return audit.Actor{}, nil }
	h.mux.Handle("GET /{org}/saml/metadata", httpapi.Actor(anybody, o.HTTP, http.HandlerFunc(h.metadata)))
	h.mux.Handle("GET /{org}/saml/login", httpapi.Actor(anybody, o.HTTP, http.HandlerFunc(h.login)))
	h.mux.Handle("POST /{org}/saml/acs", httpapi.Actor(anybody, o.HTTP, http.HandlerFunc(h.acs)))
	if o.Authenticate != nil {
		h.mux.Handle("POST /{org}/saml/test", httpapi.Actor(o.Authenticate, o.HTTP, http.HandlerFunc(h.test)))
	}
	return h, nil
}

// ServeHTTP serves one request.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) { h.mux.ServeHTTP(w, r) }

// own is this side of the connection of an organization. It is named by ids: slugs change.
func (h *Handler) own(orgID string) *Connection {
	at := h.base + "/" + url.PathEscape(orgID) + "/saml/"
	return &Connection{EntityID: at + "metadata", ACS: at + "acs", SignRequests: h.opt.Signer != nil, PostRequests: h.opt.PostRequests}
}

// The names that most identity providers have for what an organization has named nothing for.
const (
	usualEmail  = "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/emailaddress"
	usualName   = "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/name"
	usualGroups = "http://schemas.xmlsoap.org/claims/Group"
)

// connection is that of an organization, by its id or slug: store.ErrNotFound where nobody signs in so.
func (h *Handler) connection(ctx context.Context, org string) (orgs.SSOConnection, *Connection, error) {
	settings, err := h.m.SSOConnection(ctx, org)
	if err != nil {
		return settings, nil, err
	}
	if settings.Protocol != orgs.ProtocolSAML {
		return settings, nil, store.ErrNotFound
	}
	c := h.own(settings.ID)
	c.SSOURL, c.Issuer = settings.URL, settings.Issuer
	c.ClockSkew, c.AllowIdPInitiated, c.ForceAuthn = settings.Skew(), settings.Unsolicited, settings.ForceAuthn
	if c.ClockSkew == 0 { // none at all, where 0 is the default here
		c.ClockSkew = 1
	}
	c.Attributes = Attributes{Email: or(settings.Attributes.Email, usualEmail), Name: or(settings.Attributes.Name, usualName), Groups: or(settings.Attributes.Groups, usualGroups)}
	for _, cert := range settings.Certificates() {
		c.Certificates = append(c.Certificates, cert.Certificate)
	}
	return settings, c, nil
}

func or(s, otherwise string) string {
	if s == "" {
		return otherwise
	}
	return s
}

func (h *Handler) metadata(w http.ResponseWriter, r *http.Request) {
	// Nothing of the organization is in it, so nothing is looked up: an identity provider is set up before there is a
	// configuration here.
	org := r.PathValue("org")
	if !orgID.MatchString(org) {
		h.page(w, r, http.StatusNotFound)
		return
	}
	b, err := Metadata(h.own(org), h.opt.Signer, h.m.Store().Now())
	if err != nil {
		h.fail(w, r, err)
		return
	}
	w.Header().Set("Content-Type", "application/samlmetadata+xml")
	w.Header().Set("Content-Disposition", `attachment; filename="metadata.xml"`)
	w.Header().Set("X-Content-Type-Options", "nosniff")
	_, _ = w.Write(b) // a client that is gone hears nothing
}
