// Package sso serves the browser that signs in by the identity provider of an organization, whatever the protocol: it begins
// the sign-in, takes the provider's answer, and gives the browser a session of package orgs in a cookie.
//
//	bySAML, err := saml.New(m.Store().Now, nil)
//	byOIDC := oidc.New(m.Store().Now, guard)
//	handler, err := sso.New(m, &sso.Options{URL: "https://gateway.example/sso", Seal: sealer, Protocols: []sso.Protocol{bySAML, byOIDC}})
//	mux.Handle("/sso/", handler)
//
// What is said by the provider is verified by a [Protocol]; what follows from it is the manager's, see
// orgs.Manager.SignInAsserted. The cookie is that of package orgs/httpapi/sessions.
//
// # Routes
//
// {org} is the id or slug of an organization; below the path of Options.URL:
//
//	GET  /{org}/login          return_to: where the browser goes in the end, a path of the host
//	POST /{org}/test           for who may sso.update: 201, the URL of a dry run, to be opened in a browser
//	POST /{org}/{protocol}/import  for who may sso.update: 200, what metadata says, pasted as document or at a url, of which
//	                           nothing is kept: it is for a change of the configuration
//	GET  /{org}/{protocol}/…   the provider's answer, and what else the protocol has: its own paths
//
// # Whose sign-in it is
//
// What the host has to know of a sign-in under way travels in a cookie of the browser, sealed for the organization: nothing is
// stored before somebody is known, so nobody fills a database by beginning. The provider's answer counts only with that
// cookie, within orgs.SSOFlowFor, for this organization, and once. So nobody is signed in by an answer that somebody else has
// got (login CSRF), nor by that of another organization's provider (mix-up). Where a configuration allows answers that nobody
// asked for, one that belongs to no sign-in of the browser is such a one.
//
// A browser may have eight sign-ins under way. Whoever begins or answers too often, at one organization from one address, has
// to wait: see [Options].
//
// # Whose addresses count
//
// A provider speaks for the addresses of the domains that the platform knows to be its organization's
// (orgs.Manager.SetVerifiedDomains) and for no others: without such a domain it signs in only whom it is known to have signed in
// before.
//
// # What the browser is told
//
// One neutral page with the id of the request, whatever the reason. The reason, a word, is in the log of the organization;
// nothing that a provider has sent is in any log, error or page. A dry run shows the reason to who began it.
package sso

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"net/url"
	"regexp"
	"strings"
	"time"

	"github.com/orgkit/orgkit/audit"
	"github.com/orgkit/orgkit/orgs"
	"github.com/orgkit/orgkit/orgs/httpapi"
	"github.com/orgkit/orgkit/store"
	"github.com/orgkit/orgkit/store/jobs/outbound"
	"github.com/orgkit/orgkit/store/seal"
)

// Protocol speaks with identity providers. It is safe for concurrent use.
type Protocol interface {
	// Name is that of configurations of the protocol.
	Name() string
	// Answer is how the provider answers: the method, the path below the organization, such as /oidc/callback, and the
	// parameter that brings the handle of the flow back.
	Answer() (method, path, handle string)
	// Start returns the URL to which the browser is sent, or "" where it posts a form: see [Poster]. An error that is no *orgs.SSORefused is one of the host's.
	Start(ctx context.Context, c orgs.SSOConnection, f orgs.SSOFlow) (string, error)
	// Finish verifies the answer to a flow. f.Handle is "" for an answer that nobody has asked for, where the configuration
	// allows that. What is refused is an *orgs.SSORefused.
	Finish(ctx context.Context, c orgs.SSOConnection, f orgs.SSOFlow, answer url.Values) (orgs.Asserted, error)
}

// Poster is a protocol that may begin by a form, which the browser posts to the identity provider.
type Poster interface {
	Protocol
	// Form returns the fields of the form, and the URL that they are posted to.
	Form(ctx context.Context, c orgs.SSOConnection, f orgs.SSOFlow) (action string, fields url.Values, err error)
}

// Describer is a protocol that publishes something of an organization's side of it, such as the metadata of SAML. It is
// there before a configuration is: the provider has to be set up first. So it is of the id of the organization, and of
// whether its configuration, if there is one, has requests signed.
type Describer interface {
	Protocol
	// DescribePath is the path of the document below the organization.
	DescribePath() string
	// Describe returns the document; base is the URL of the organization's routes.
	Describe(base string, signed bool) (contentType string, document []byte, err error)
}

// Options of the handler.
type Options struct {
	// URL is where browsers reach the handler, such as "https://gateway.example/sso"; required. The host names of requests
	// are never asked.
	URL string
	// Seal seals what browsers keep during a sign-in; required.
	Seal *seal.Sealer
	// Protocols are those that the host offers; required.
	Protocols []Protocol
	// Lifetime is how long a session lasts at most; 0 is 24 hours.
	Lifetime time.Duration
	// RequestsPerSecond and Burst are how often one address may begin or answer at one organization, a sign-in being one of
	// each; 0 is 10 and 100. The limit is of this process.
	RequestsPerSecond, Burst int
	// Home is the path to which browsers go that were not told where; "" is "/".
	Home string
	// Authenticate returns who begins a dry run; nil is httpapi.Bearer without an admin key.
	Authenticate httpapi.Authenticate
	// Guard says which URLs of metadata are called; nil: it has to be pasted.
	Guard *outbound.Guard
	// TrustedProxies may say in X-Forwarded-For for whom they call; none by default.
	TrustedProxies []netip.Prefix
	// Logger is told of failures that the caller is not to blame for; nil drops them.
	Logger *slog.Logger
}

type handler struct {
	m      *orgs.Manager
	opt    Options
	edge   *httpapi.Options
	prefix string
	mux    *http.ServeMux
	by     map[string]Protocol

	documents *outbound.Client // nil: nobody calls

	limiter httpapi.Limiter
}

// New returns the handler, which is mounted at the path of Options.URL without stripping it.
func New(m *orgs.Manager, o *Options) (http.Handler, error) {
	if m == nil || o == nil {
		return nil, errors.New("sso: a manager and options are required")
	}
	h := &handler{m: m, opt: *o, mux: http.NewServeMux(), by: map[string]Protocol{}}
	u, err := url.Parse(o.URL)
	if err != nil || u.Host == "" || u.RawQuery != "" || u.Fragment != "" || strings.HasSuffix(o.URL, "/") || u.Scheme != "https" && u.Scheme != "http" {
		return nil, fmt.Errorf("sso: %q is no URL that routes can begin with", o.URL)
	}
	switch {
	case !o.Seal.Ready():
		return nil, errors.New("sso: a Sealer is required: browsers keep what is under way")
	case len(o.Protocols) == 0 || o.Lifetime < 0 || o.RequestsPerSecond < 0 || o.Burst < 0:
		return nil, errors.New("sso: protocols are required, and no option is below 0")
	case o.Home != "" && !local(o.Home):
		return nil, fmt.Errorf("sso: Home %q must be a path", o.Home)
	}
	if h.opt.Lifetime == 0 {
		h.opt.Lifetime = 24 * time.Hour
	}
	if h.opt.RequestsPerSecond == 0 {
		h.opt.RequestsPerSecond = 10
	}
	if h.opt.Burst == 0 {
		h.opt.Burst = 100
	}
	if h.opt.Home == "" {
		h.opt.Home = "/"
	}
	if h.opt.Authenticate == nil {
		h.opt.Authenticate = httpapi.Bearer(m, "")
	}
	h.prefix, h.documents = u.Path, client(o.Guard)
	h.edge = &httpapi.Options{TrustedProxies: o.TrustedProxies, Fail: httpapi.LogFailures(h.opt.Logger)}
	h.route("GET", "/{org}/login", h.login)
	h.mux.Handle("POST "+h.prefix+"/{org}/test", httpapi.Actor(h.opt.Authenticate, h.edge, http.HandlerFunc(h.test)))
	for _, p := range o.Protocols {
		if h.by[p.Name()] != nil {
			return nil, fmt.Errorf("sso: the protocol %s is there twice", p.Name())
		}
		h.by[p.Name()] = p
		method, path, param := p.Answer()
		h.route(method, "/{org}"+path, h.answered(p, method, param))
		if i, ok := p.(Importer); ok {
			h.mux.Handle("POST "+h.prefix+"/{org}/"+p.Name()+"/import", h.imported(i))
		}
		if d, ok := p.(Describer); ok {
			h.route("GET", "/{org}"+d.DescribePath(), h.described(d))
		}
	}
	return httpapi.Fallback(h.mux, h.edge), nil
}

// route serves whoever calls.
func (h *handler) route(method, path string, serve func(w http.ResponseWriter, r *http.Request) error) {
	nobody := func(*http.Request) (audit.Actor, error) { return audit.Actor{}, nil }
	h.mux.Handle(method+" "+h.prefix+path, httpapi.Actor(nobody, h.edge, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		head := w.Header()
		head.Set("Cache-Control", "no-store")
		head.Set("Referrer-Policy", "no-referrer") // URLs have codes in them
		defer func() {
			if v := recover(); v != nil { // what providers send must not end more than their own request
				if v == http.ErrAbortHandler {
					panic(v)
				}
				h.refuse(w, r, fmt.Errorf("panic: %v", v))
			}
		}()
		if err := serve(w, r); err != nil {
			h.refuse(w, r, err)
		}
	})))
}

// connection is that of the path, of one protocol ("" for any that is offered).
func (h *handler) connection(r *http.Request, protocol string) (c orgs.SSOConnection, p Protocol, base string, err error) {
	if c, err = h.m.SSOConnection(r.Context(), r.PathValue("org")); err != nil {
		return c, nil, "", err
	}
	if p = h.by[c.Protocol]; p == nil || protocol != "" && c.Protocol != protocol {
		return c, nil, "", store.ErrNotFound
	}
	return c, p, h.opt.URL + "/" + c.ID, h.slow(r, c.ID)
}

func (h *handler) login(w http.ResponseWriter, r *http.Request) error {
	c, p, base, err := h.connection(r, "")
	if err != nil {
		return err
	}
	q := r.URL.Query()
	f := orgs.SSOFlow{Handle: random(), Secret: random(), StartedAt: h.m.Store().Now(), ReturnTo: h.opt.Home, Base: base}
	if to := q.Get("return_to"); to != "" {
		if !local(to) {
			return refused("return_to")
		}
		f.ReturnTo = to
	}
	if ticket := q.Get("test"); ticket != "" {
		t, err := h.openTicket(c.ID, ticket)
		if err != nil {
			h.m.SSOFailed(r.Context(), c.ID, "bad_test")
			return err
		}
		f.Tester = &t.By
	}
	to, err := p.Start(r.Context(), c, f)
	if err != nil {
		return h.failed(r, c.ID, err)
	}
	if err := h.keepFlow(w, c.ID, p, f); err != nil {
		return err
	}
	if poster, ok := p.(Poster); ok && to == "" {
		return posted(w, r, poster, c, f)
	}
	http.Redirect(w, r, to, http.StatusSeeOther)
	return nil
}

// answered takes the answer of a provider.
func (h *handler) answered(p Protocol, method, param string) func(w http.ResponseWriter, r *http.Request) error {
	return func(w http.ResponseWriter, r *http.Request) error {
		c, _, base, err := h.connection(r, p.Name())
		if err != nil {
			return err
		}
		answer := r.URL.Query()
		if method == http.MethodPost {
			r.Body = http.MaxBytesReader(w, r.Body, MaxAnswer)
			if err := r.ParseForm(); err != nil {
				h.m.SSOFailed(r.Context(), c.ID, "bad_answer")
				return refused("bad_answer")
			}
			answer = r.PostForm
		}
		for _, values := range answer {
			if len(values) > 1 { // whoever reads the first and whoever reads the last do not read the same
				h.m.SSOFailed(r.Context(), c.ID, "bad_answer")
				return refused("bad_answer")
			}
		}
		f, err := h.takeFlow(w, r, c, answer.Get(param))
		if err != nil {
			return h.failed(r, c.ID, err)
		}
		f.Base = base
		ctx, cancel := context.WithTimeout(r.Context(), finishFor)
		defer cancel()
		in, err := p.Finish(ctx, c, f, answer)
		if err != nil {
			return h.tried(w, r, f, orgs.AssertedSignIn{}, h.failed(r, c.ID, err))
		}
		in.OrgID = c.ID
		if f.Handle != "" {
			in.Once = append(in.Once, orgs.Once{Key: "flow " + f.Handle, Until: f.StartedAt.Add(orgs.SSOFlowFor)})
		}
		if f.Tester != nil {
			out, err := h.m.TryAsserted(audit.WithActor(ctx, f.Tester.From(ctx)), in)
			return h.tried(w, r, f, out, err)
		}
		out, err := h.m.SignInAsserted(ctx, in, h.opt.Lifetime)
		if err != nil {
			return err
		}
		httpapi.KeepCookie(w, httpapi.SessionCookie, out.Token, 0, http.SameSiteLaxMode)
		http.Redirect(w, r, f.ReturnTo, http.StatusSeeOther)
		return nil
	}
}

// MaxAnswer is the most bytes of an answer that is posted.
const MaxAnswer = 512 << 10

// finishFor is how long it may take to verify an answer, with the calls to the provider that it takes.
const finishFor = 15 * time.Second

// failed tells the log of the organization of what is refused before anybody is known.
func (h *handler) failed(r *http.Request, orgID string, err error) error {
	var no *orgs.SSORefused
	if errors.As(err, &no) {
		h.m.SSOFailed(r.Context(), orgID, no.Code)
	}
	return err
}

// orgID is what the id of an organization looks like.
var orgID = regexp.MustCompile(`^org_[A-Za-z0-9]{1,60}$`)

func (h *handler) described(d Describer) func(w http.ResponseWriter, r *http.Request) error {
	return func(w http.ResponseWriter, r *http.Request) error {
		org := r.PathValue("org")
		if !orgID.MatchString(org) {
			return store.ErrNotFound
		}
		if err := h.slow(r, "metadata "+org); err != nil {
			return err
		}
		signed, err := h.m.SSOSigns(r.Context(), org)
		if err != nil {
			return err
		}
		contentType, document, err := d.Describe(h.opt.URL+"/"+org, signed)
		if err != nil {
			return err
		}
		w.Header().Set("Content-Type", contentType)
		w.Header().Set("X-Content-Type-Options", "nosniff")
		_, err = w.Write(document)
		return err
	}
}

func refused(code string) error { return &orgs.SSORefused{Code: code} }

// random is a secret of 256 bits in letters, digits, - and _.
func random() string {
	var b [32]byte
	rand.Read(b[:])
	return base64.RawURLEncoding.EncodeToString(b[:])
}

// local says whether a text is a path of the host's own, whatever a browser makes of it.
func local(to string) bool {
	if len(to) > 2000 || !strings.HasPrefix(to, "/") || strings.HasPrefix(to, "//") ||
		strings.ContainsFunc(to, func(r rune) bool { return r <= ' ' || r > '~' || r == '\\' }) {
		return false
	}
	u, err := url.Parse(to)
	return err == nil && u.Scheme == "" && u.Host == "" && u.User == nil && !strings.HasPrefix(u.Path, "//") && !strings.Contains(u.Path, "\\")
}

// seal makes a text of something that only this host reads again, for this organization and use.
func (h *handler) seal(orgID, use string, v any) (string, error) {
	raw, err := json.Marshal(v)
	if err != nil {
		return "", err
	}
	box, err := h.opt.Seal.SealPayload(raw, seal.Place{OrgID: orgID, Field: use})
	return base64.RawURLEncoding.EncodeToString(box), err
}

func (h *handler) open(orgID, use, text string, v any) bool {
	box, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil {
		return false
	}
	raw, err := h.opt.Seal.OpenPayload(box, seal.Place{OrgID: orgID, Field: use})
	return err == nil && json.Unmarshal(raw, v) == nil
}
