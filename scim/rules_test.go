package scim_test

import (
	"bytes"
	"log/slog"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/orgkit/orgkit/audit"
	"github.com/orgkit/orgkit/audit/export"
	"github.com/orgkit/orgkit/orgs/httpapi"
	"github.com/orgkit/orgkit/scim"
	"github.com/orgkit/orgkit/store"
	"github.com/orgkit/orgkit/store/storetest"
)

// TestNobodysNameIsInTheHostsLog though it is in the URL of a request that fails: neither is it in the organization's.
func TestNobodysNameIsInTheHostsLog(t *testing.T) { // rule 131
	var out bytes.Buffer
	broken := &failing{}
	s := storetest.Open(t, "memory", store.Options{Wrap: broken.wrap})
	p := newProvider(t, s, "acme", &scim.Options{HTTP: &httpapi.Options{Fail: httpapi.LogFailures(slog.New(slog.NewTextHandler(&out, nil)))}})
	p.user("anna")
	p.find("/Users", "filter", `userName eq "anna@acme.example"`)
	p.find("/Users", "filter", `userName eq "secretly@acme.example"`)
	for _, e := range p.events("*") {
		require.NotContains(t, e.Action+e.ResourceID+string(e.Data), "secretly")
	}
	broken.on.Store(true)
	p.refused(500, "", "GET", "/Users?filter="+url.QueryEscape(`userName eq "secretly@acme.example"`), "")
	require.Contains(t, out.String(), "path=/Users ")
	require.Contains(t, out.String(), errBroken.Error())
	require.NotContains(t, out.String(), "secretly")
}

// TestNoMoreIsSaidToBeThereThanThereIs: nobody is told by security event tokens.
func TestNoMoreIsSaidToBeThereThanThereIs(t *testing.T) { // rules 9, 134
	for _, o := range []*scim.Options{nil, strict} {
		p, _ := here(t, o)
		c := p.must(200, "GET", "/ServiceProviderConfig", "").json
		require.NotContains(t, c, "securityEvents")
		require.Equal(t, o != nil, c["interopProfileConformant"] == true)
	}
}

// TestEveryChangeLeavesOneEvent by the token that made it; what is refused or changes nothing leaves none.
func TestEveryChangeLeavesOneEvent(t *testing.T) { // rules 122, 130
	each(t, func(t *testing.T, p *provider) {
		anna, gone := p.user("anna"), p.user("gone")
		g, old := p.group("Staff"), p.group("Old", anna)
		page, err := p.SCIMTokens(p.As(p.owner), p.org.ID, 1, "")
		require.NoError(t, err)
		events := func() []audit.Event { return p.events("user.*", "scim.*", "team.*", "member.*", "security.*") }
		for _, c := range []struct{ method, path, body, want string }{
			{"POST", "/Users", `{` + userSchema + `,"userName":"new@acme.example"}`, "user.provisioned scim.users.create"},
			{"PUT", "/Users/" + anna, `{` + userSchema + `,"userName":"anna@acme.example","title":"x"}`, "user.updated scim.users.replace"},
			{"PATCH", "/Users/" + anna, `{` + patchSchema + `,"Operations":[{"op":"remove","path":"title"}]}`, "user.updated scim.users.patch"},
			{"PATCH", "/Users/" + anna, `{` + patchSchema + `,"Operations":[{"op":"replace","path":"active","value":false}]}`, "user.deprovisioned scim.users.patch"},
			{"PATCH", "/Users/" + anna, `{` + patchSchema + `,"Operations":[{"op":"replace","path":"active","value":true}]}`, "user.reprovisioned scim.users.patch"},
			{"DELETE", "/Users/" + gone, "", "user.deprovisioned scim.users.delete"},
			{"POST", "/Groups", `{` + groupSchema + `,"displayName":"New","members":[{"value":"` + anna + `"}]}`, "scim.group_created scim.groups.create"},
			{"PUT", "/Groups/" + g, `{` + groupSchema + `,"displayName":"Staff","members":[{"value":"` + anna + `"}]}`, "scim.group_updated scim.groups.replace"},
			{"PATCH", "/Groups/" + g, `{` + patchSchema + `,"Operations":[{"op":"remove","path":"members"}]}`, "scim.group_updated scim.groups.patch"},
			{"DELETE", "/Groups/" + old, "", "scim.group_deleted scim.groups.delete"},
			{"POST", "/Bulk", bulk(`{"method":"DELETE","path":"/Users/` + anna + `"}`), "user.deprovisioned scim.users.delete"},
			{"POST", "/Bulk", bulk(`{"method":"DELETE","path":"/Users/` + anna + `"}`), ""},
			{"PATCH", "/Groups/" + g, `{` + patchSchema + `,"Operations":[{"op":"remove","path":"members"}]}`, ""},
			{"POST", "/Users", `{` + userSchema + `,"userName":"new@acme.example"}`, ""},
			{"DELETE", "/Groups/" + old, "", ""},
		} {
			before := len(events())
			p.do(c.method, c.path, c.body)
			after := events()
			if c.want == "" {
				require.Len(t, after, before, "%s %s", c.method, c.path)
				continue
			}
			require.Len(t, after, before+1, "%s %s", c.method, c.path)
			e := after[0]
			require.True(t, export.Maps(e.Type), "%s has its place in the formats of sinks", e.Type)
			require.Equal(t, c.want, e.Type+" "+e.Action)
			require.Equal(t, []any{audit.SCIM, page.Items[0].ID, audit.Success}, []any{e.ActorType, e.ActorID, e.Outcome})
		}
	})
}

// bulk is a request of several operations.
func bulk(operations ...string) string {
	return `{"schemas":["urn:ietf:params:scim:api:messages:2.0:BulkRequest"],"Operations":[` + strings.Join(operations, ",") + `]}`
}

func TestValueIsThereOnce(t *testing.T) { // rule 45
	p, _ := here(t, nil)
	a := p.must(201, "POST", "/Users", `{`+userSchema+`,"userName":"anna@acme.example","roles":[{"value":"a","type":"x"},{"type":"x","value":"a"},{"value":"a","type":"y"}]}`)
	require.Len(t, a.json["roles"], 2)
}
