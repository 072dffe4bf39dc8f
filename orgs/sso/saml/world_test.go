package saml_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"html"
	"io"
	"log"
	"log/slog"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	xsaml "github.com/crewjam/saml"
	"github.com/crewjam/saml/samlidp"
	dsig "github.com/russellhaering/goxmldsig"
	"github.com/stretchr/testify/require"
	"golang.org/x/crypto/bcrypt"

	"github.com/orgkit/orgkit/audit"
	"github.com/orgkit/orgkit/orgs"
	"github.com/orgkit/orgkit/orgs/httpapi"
	"github.com/orgkit/orgkit/orgs/httpapi/rest"
	"github.com/orgkit/orgkit/orgs/httpapi/sessions"
	"github.com/orgkit/orgkit/orgs/orgstest"
	"github.com/orgkit/orgkit/orgs/sso"
	"github.com/orgkit/orgkit/orgs/sso/saml"
	"github.com/orgkit/orgkit/rbac"
	"github.com/orgkit/orgkit/store"
	"github.com/orgkit/orgkit/store/jobs/outbound"
	"github.com/orgkit/orgkit/store/seal"
	"github.com/orgkit/orgkit/store/storetest"
)

const secretOfAnn = "the password at the provider"

// world is a host with an organization, and an identity provider that runs for real.
type world struct {
	*orgstest.World
	t      *testing.T
	clock  *storetest.Clock
	opt    *saml.Options
	seal   *seal.Sealer
	auth   httpapi.Authenticate
	log    bytes.Buffer // of the host
	host   *httptest.Server
	mux    *http.ServeMux
	calls  *outbound.Guard // of metadata; nil for none
	idp    *samlidp.Server
	idpURL string
	org    orgs.Organization
	owner  orgs.User
	config orgs.NewSSO
	alter  func(*xsaml.Assertion) // what the identity provider signs; nil is what it does by itself
}

// asserting lets the world change what is signed.
type asserting struct{ w *world }

func (a asserting) MakeAssertion(req *xsaml.IdpAuthnRequest, s *xsaml.Session) error {
	err := xsaml.DefaultAssertionMaker{}.MakeAssertion(req, s)
	if err == nil && a.w.alter != nil {
		a.w.alter(req.Assertion)
	}
	return err
}

func each(t *testing.T, fn func(t *testing.T, w *world)) {
	storetest.Each(t, func(t *testing.T, s *store.Store, clock *storetest.Clock) { fn(t, newWorld(t, s, clock, nil)) })
}

func onMemory(t *testing.T, o *saml.Options) *world {
	clock := storetest.NewClock()
	return newWorld(t, storetest.Open(t, "memory", store.Options{Now: clock.Now, NewID: storetest.IDs()}), clock, o)
}

func newWorld(t *testing.T, s *store.Store, clock *storetest.Clock, o *saml.Options) *world {
	t.Helper()
	clock.Set(time.Now().UTC().Truncate(time.Millisecond)) // that of the identity provider
	key, err := seal.ParseKey(seal.GenerateKey())
	require.NoError(t, err)
	sealer, err := seal.New(key)
	require.NoError(t, err)
	w := &world{t: t, clock: clock, opt: o}
	w.World = orgstest.New(t, s, &orgs.Options{Seal: sealer, SignsRequests: o != nil && o.Signer != nil, Options: rbac.Options{Audit: audit.Options{NoBackground: true}}})
	w.org, w.owner = w.Org("acme")
	w.Roles(w.org)
	_, err = w.SetVerifiedDomains(w.Platform(), w.org.ID, "acme.example")
	require.NoError(t, err)

	w.seal = sealer
	w.auth, err = sessions.Cookie(w.Manager, httpapi.Bearer(w.Manager, "admin key"))
	require.NoError(t, err)
	w.host = httptest.NewUnstartedServer(nil)
	w.host.Config.ErrorLog = log.New(io.Discard, "", 0)
	w.host.StartTLS()
	t.Cleanup(w.host.Close)
	native, err := rest.New(w.Manager, &rest.Options{Authenticate: w.auth})
	require.NoError(t, err)
	w.mux = http.NewServeMux()
	mux := w.mux
	mux.Handle("/sso/", w.handler())
	mux.Handle("/v1/", native)
	w.host.Config.Handler = mux

	w.startIdP()
	w.config = orgs.NewSSO{Provider: "custom", Enabled: true, URL: w.idpURL + "/sso", Issuer: w.idpURL + "/metadata",
		Certificates: []string{string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: idp().cert.Raw}))},
		Attributes:   orgs.Attributes{Email: "mail", Name: "cn", Groups: "eduPersonAffiliation"},
		RoleMapping:  map[string]string{"Engineering": "developer", "Leads": "team_lead"},
		Provisioning: &orgs.NewProvisioning{AutoProvision: true}}
	w.configure()
	return w
}

// handler is one that a process of the host would mount.
func (w *world) handler() http.Handler {
	w.t.Helper()
	p, err := saml.New(w.Store().Now, w.opt)
	require.NoError(w.t, err)
	h, err := sso.New(w.Manager, &sso.Options{URL: w.host.URL + "/sso", Seal: w.seal, Protocols: []sso.Protocol{p}, Authenticate: w.auth, Guard: w.calls,
		Logger: slog.New(slog.NewTextHandler(&w.log, nil))})
	require.NoError(w.t, err)
	return h
}

func (w *world) configure() {
	w.t.Helper()
	_, _, err := w.SetSSO(w.Platform(), w.org.ID, w.config)
	require.NoError(w.t, err)
}

func (w *world) startIdP() {
	srv := httptest.NewUnstartedServer(nil)
	srv.Config.ErrorLog = log.New(io.Discard, "", 0)
	srv.StartTLS()
	w.t.Cleanup(srv.Close)
	w.idpURL = srv.URL
	u, err := url.Parse(srv.URL)
	require.NoError(w.t, err)
	w.idp, err = samlidp.New(samlidp.Options{URL: *u, Key: idp().key, Certificate: idp().cert, Store: &samlidp.MemoryStore{}, Logger: log.New(io.Discard, "", 0)})
	require.NoError(w.t, err)
	w.idp.IDP.SignatureMethod = dsig.RSASHA256SignatureMethod
	w.idp.IDP.AssertionMaker = asserting{w}
	srv.Config.Handler = w.idp

	w.person("Engineering", "Leads")
	b := w.browser()
	status, meta := b.get(w.host.URL + "/sso/" + w.org.ID + "/saml/metadata")
	require.Equal(w.t, 200, status)
	r, err := http.NewRequest("PUT", srv.URL+"/services/orgkit", strings.NewReader(meta))
	require.NoError(w.t, err)
	res, err := b.Do(r)
	require.NoError(w.t, err)
	require.NoError(w.t, res.Body.Close())
	require.Equal(w.t, 204, res.StatusCode, "the identity provider takes our metadata")
}

// person sets the groups of the one person whom the identity provider knows, and ends her session there.
func (w *world) person(groups ...string) {
	hash, err := bcrypt.GenerateFromPassword([]byte(secretOfAnn), bcrypt.MinCost)
	require.NoError(w.t, err)
	require.NoError(w.t, w.idp.Store.Put("/users/ann", samlidp.User{Name: "ann", HashedPassword: hash, Groups: groups, Email: "ann@acme.example", CommonName: "Ann"}))
}

// browser keeps cookies, and shows where it is sent to.
type browser struct {
	*http.Client
	w *world
}

func (w *world) browser() browser {
	jar, err := cookiejar.New(nil)
	require.NoError(w.t, err)
	return browser{&http.Client{Jar: jar, Transport: w.host.Client().Transport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}, w}
}

func (b browser) answer(res *http.Response, err error) (*http.Response, string) {
	b.w.t.Helper()
	require.NoError(b.w.t, err)
	body, err := io.ReadAll(res.Body)
	require.NoError(b.w.t, err)
	require.NoError(b.w.t, res.Body.Close())
	return res, string(body)
}

func (b browser) get(u string) (int, string) {
	b.w.t.Helper()
	res, body := b.answer(b.Get(u))
	return res.StatusCode, body
}

var hidden = regexp.MustCompile(`name="(SAMLRequest|SAMLResponse|RelayState)" value="([^"]*)"`)

// fields are those of the form of a page.
func fields(page string) url.Values {
	f := url.Values{}
	for _, m := range hidden.FindAllStringSubmatch(page, -1) {
		f.Set(m[1], html.UnescapeString(m[2]))
	}
	return f
}

// begin starts a sign-in and returns where the browser is sent.
func (b browser) begin(returnTo string) string {
	b.w.t.Helper()
	u := b.w.host.URL + "/sso/" + b.w.org.Slug + "/login"
	if returnTo != "" {
		u += "?return_to=" + url.QueryEscape(returnTo)
	}
	res, body := b.answer(b.Get(u))
	require.Equal(b.w.t, http.StatusSeeOther, res.StatusCode, body)
	return res.Header.Get("Location")
}

// prove signs in at the identity provider, and returns the form that it posts to us.
func (b browser) prove(at string) url.Values {
	b.w.t.Helper()
	_, page := b.answer(b.Get(at))
	f := fields(page)
	if f.Has("SAMLResponse") {
		return f // still signed in there
	}
	f.Set("user", "ann")
	f.Set("password", secretOfAnn)
	_, page = b.answer(b.PostForm(b.w.idpURL+"/sso", f))
	f = fields(page)
	require.True(b.w.t, f.Has("SAMLResponse"), page)
	return f
}

// bring posts the form to us.
func (b browser) bring(f url.Values) *http.Response {
	b.w.t.Helper()
	res, body := b.answer(b.PostForm(b.w.acs(), f))
	if res.StatusCode != http.StatusSeeOther {
		require.NotContains(b.w.t, body, "ann")
		require.NotContains(b.w.t, body, f.Get("SAMLResponse"))
	}
	return res
}

func (w *world) acs() string { return w.host.URL + "/sso/" + w.org.ID + "/saml/acs" }

// signIn is all of it.
func (b browser) signIn() *http.Response {
	b.w.t.Helper()
	return b.bring(b.prove(b.begin("/console?tab=1")))
}

// me is what the API says to the browser's cookie.
func (b browser) me() (int, map[string]any) {
	b.w.t.Helper()
	status, body := b.get(b.w.host.URL + "/v1/users/me")
	var out map[string]any
	require.NoError(b.w.t, json.Unmarshal([]byte(body), &out))
	return status, out
}

// xml is the response in a form.
func xmlOf(t *testing.T, f url.Values) []byte {
	t.Helper()
	raw, err := base64.StdEncoding.DecodeString(f.Get("SAMLResponse"))
	require.NoError(t, err)
	return raw
}

// people are how many users there are.
func (w *world) people() int {
	w.t.Helper()
	page, err := w.Users(w.Platform(), 100, "")
	require.NoError(w.t, err)
	return len(page.Items)
}

// logged are the events of a type in the log of the organization, as JSON.
func (w *world) logged(eventType string) (list []string) {
	w.t.Helper()
	require.NoError(w.t, w.Audit().Flush(w.t.Context()))
	page, err := w.AuditLog(w.Platform(), w.org.ID, audit.Filter{Types: []string{eventType}, Limit: 100})
	require.NoError(w.t, err)
	for _, e := range page.Items {
		text, err := json.Marshal(e)
		require.NoError(w.t, err)
		list = append(list, string(text))
	}
	return list
}

// refused does what has to be refused: nobody is signed in, nothing is made, and the log of the organization has the reason.
func (w *world) refused(code string, do func() *http.Response) {
	w.t.Helper()
	before := w.people()
	res := do()
	require.Equal(w.t, http.StatusForbidden, res.StatusCode)
	for _, c := range res.Cookies() {
		require.NotEqual(w.t, sessions.SessionCookie, c.Name)
	}
	require.Equal(w.t, before, w.people())
	require.Contains(w.t, strings.Join(w.logged(orgs.LoginFailedType), "\n"), `"`+code+`"`)
}
