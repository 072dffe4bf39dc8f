package scim_test

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/orgkit/orgkit/audit"
	"github.com/orgkit/orgkit/orgs"
	"github.com/orgkit/orgkit/orgs/orgstest"
	"github.com/orgkit/orgkit/scim"
	"github.com/orgkit/orgkit/store"
	"github.com/orgkit/orgkit/store/storetest"
)

// provider is the identity provider of an organization.
type provider struct {
	*orgstest.World
	t      *testing.T
	h      http.Handler
	org    orgs.Organization
	owner  orgs.User
	secret string
}

const base = "https://gateway.example/scim/v2"

// everything is what most providers may do.
var everything = orgs.NewProvisioning{Enabled: true, AutoProvision: true, SyncGroups: true}

func newProvider(t *testing.T, s *store.Store, slug string, o *scim.Options) *provider {
	t.Helper()
	w := orgstest.New(t, s, nil)
	return join(t, w, slug, o, everything)
}

func join(t *testing.T, w *orgstest.World, slug string, o *scim.Options, may orgs.NewProvisioning) *provider {
	t.Helper()
	if o == nil {
		o = &scim.Options{RequestsPerSecond: 1e6, Burst: 1e6}
	}
	h, err := scim.New(w.Manager, base, o)
	require.NoError(t, err)
	p := &provider{World: w, t: t, h: http.StripPrefix("/scim/v2", h)}
	p.org, p.owner = w.Org(slug)
	p.may(may)
	_, p.secret, err = w.CreateSCIMToken(w.As(p.owner), p.org.ID, orgs.NewSCIMToken{Name: "provider"})
	require.NoError(t, err)
	return p
}

func (p *provider) may(in orgs.NewProvisioning) []store.Warning {
	p.t.Helper()
	_, warnings, err := p.SetProvisioning(p.As(p.owner), p.org.ID, in)
	require.NoError(p.t, err)
	return warnings
}

// reply is what the service answered.
type reply struct {
	*httptest.ResponseRecorder
	json map[string]any
}

func (p *provider) send(r *http.Request) reply {
	p.t.Helper()
	w := httptest.NewRecorder()
	p.h.ServeHTTP(w, r)
	a := reply{ResponseRecorder: w}
	if w.Body.Len() > 0 {
		require.NoError(p.t, json.Unmarshal(w.Body.Bytes(), &a.json), w.Body.String())
		require.Equal(p.t, "application/scim+json", w.Header().Get("Content-Type"))
	}
	require.NotContains(p.t, w.Body.String(), p.secret)
	require.NotContains(p.t, w.Body.String(), "hunter2", "no answer has a password")
	return a
}

func (p *provider) request(method, path, body string) *http.Request {
	r := httptest.NewRequest(method, "/scim/v2"+strings.ReplaceAll(path, " ", "%20"), strings.NewReader(body))
	r.Header.Set("Authorization", "Bearer "+p.secret)
	if body != "" {
		r.Header.Set("Content-Type", "application/scim+json")
	}
	return r
}

func (p *provider) do(method, path, body string) reply {
	p.t.Helper()
	return p.send(p.request(method, path, body))
}

// must is do for what has to work.
func (p *provider) must(status int, method, path, body string) reply {
	p.t.Helper()
	a := p.do(method, path, body)
	require.Equal(p.t, status, a.Code, "%s %s: %s", method, path, a.Body.String())
	return a
}

// refused is do for what must not.
func (p *provider) refused(status int, scimType, method, path, body string) reply {
	p.t.Helper()
	a := p.must(status, method, path, body)
	require.Equal(p.t, []any{"urn:ietf:params:scim:api:messages:2.0:Error"}, a.json["schemas"])
	require.Equal(p.t, http.StatusText(status), http.StatusText(a.Code))
	require.IsType(p.t, "", a.json["status"])
	require.NotEmpty(p.t, a.json["detail"])
	if scimType == "" {
		require.NotContains(p.t, a.json, "scimType")
	} else {
		require.Equal(p.t, scimType, a.json["scimType"], a.Body.String())
	}
	return a
}

func (a reply) id() string { s, _ := a.json["id"].(string); return s }

func (a reply) total() int { n, _ := a.json["totalResults"].(float64); return int(n) }

// ids are those of the resources of a list.
func (a reply) ids() []string {
	all := []string{}
	list, _ := a.json["Resources"].([]any)
	for _, r := range list {
		all = append(all, r.(map[string]any)["id"].(string))
	}
	return all
}

const (
	userSchema  = `"schemas":["urn:ietf:params:scim:schemas:core:2.0:User"]`
	groupSchema = `"schemas":["urn:ietf:params:scim:schemas:core:2.0:Group"]`
	patchSchema = `"schemas":["urn:ietf:params:scim:api:messages:2.0:PatchOp"]`
	enterprise  = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"
)

// user makes a user of a name and returns the id.
func (p *provider) user(name string) string {
	p.t.Helper()
	return p.must(201, "POST", "/Users", `{`+userSchema+`,"userName":"`+name+`@acme.example"}`).id()
}

func (p *provider) group(name string, members ...string) string {
	p.t.Helper()
	list := []map[string]string{}
	for _, m := range members {
		list = append(list, map[string]string{"value": m})
	}
	raw, err := json.Marshal(list)
	require.NoError(p.t, err)
	return p.must(201, "POST", "/Groups", `{`+groupSchema+`,"displayName":"`+name+`","members":`+string(raw)+`}`).id()
}

func (p *provider) patch(path, operations string) reply {
	p.t.Helper()
	return p.do("PATCH", path, `{`+patchSchema+`,"Operations":`+operations+`}`)
}

// members are the ids of the members of a group.
func (p *provider) members(group string) []string {
	p.t.Helper()
	all := []string{}
	list, _ := p.must(200, "GET", "/Groups/"+group, "").json["members"].([]any)
	for _, m := range list {
		all = append(all, m.(map[string]any)["value"].(string))
	}
	return all
}

// account is the account of a user of the provider.
func (p *provider) account(email string) orgs.User {
	p.t.Helper()
	u, err := p.Manager.User(p.Platform(), email)
	require.NoError(p.t, err)
	return u
}

func (p *provider) member(email string) (orgs.Membership, error) {
	return p.Member(p.Platform(), orgs.Place{OrgID: p.org.ID}, email)
}

// events are the events of the organization, the newest first.
func (p *provider) events(types ...string) []audit.Event {
	p.t.Helper()
	page, err := p.AuditLog(p.Platform(), p.org.ID, audit.Filter{Types: types, Limit: 100})
	require.NoError(p.t, err)
	return page.Items
}

// each runs a test with a provider on every store.
func each(t *testing.T, fn func(t *testing.T, p *provider)) {
	storetest.Each(t, func(t *testing.T, s *store.Store, _ *storetest.Clock) { fn(t, newProvider(t, s, "acme", nil)) })
}

// here runs a test with a provider on the memory store.
func here(t *testing.T, o *scim.Options) (*provider, *storetest.Clock) {
	clock := storetest.NewClock()
	return newProvider(t, storetest.Open(t, "memory", store.Options{Now: clock.Now, NewID: storetest.IDs()}), "acme", o), clock
}

// indented is JSON for people.
func indented(t *testing.T, raw []byte) string {
	t.Helper()
	if len(raw) == 0 {
		return ""
	}
	var b bytes.Buffer
	require.NoError(t, json.Indent(&b, bytes.TrimSpace(raw), "", "  "))
	return b.String() + "\n"
}

var (
	strict         = &scim.Options{Strict: true}
	groupsOnCreate = scim.Options{GroupsOnCreate: true}
)

func decoded(t *testing.T, text string) (o map[string]any) {
	t.Helper()
	require.NoError(t, json.Unmarshal([]byte(text), &o))
	return o
}
