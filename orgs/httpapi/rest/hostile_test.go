package rest_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/orgkit/orgkit/billing"
	"github.com/orgkit/orgkit/orgs"
	"github.com/orgkit/orgkit/orgs/httpapi/rest"
	"github.com/orgkit/orgkit/store"
	"github.com/orgkit/orgkit/store/storetest"
)

// guarded is a team in which some models need an approval.
type guarded struct {
	*client
	org, at, team string
	devID         string
	dev           *client
}

func newGuarded(t *testing.T, s *store.Store) guarded {
	c := newClient(t, s)
	org := c.post("/v1/organizations", `{"name": "Acme"}`)["id"].(string)
	at := "/v1/organizations/" + org
	c.post(at+"/roles", `{"name": "Developer", "permissions": ["models.use", "members.read"]}`)
	team := c.post(at+"/teams", `{"name": "Lab", "settings": {"models": {"require_approval": ["o3*"]}}}`)["id"].(string)
	id, dev := c.person(org, "dev@acme.com", "developer")
	return guarded{c, org, at, team, id, dev}
}

func TestARefusedRehearsalLeavesAnEvent(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store, _ *storetest.Clock) {
		w := newGuarded(t, s)
		denials := func() int {
			return len(w.call(200, "GET", w.at+"/audit/logs?event_types=authorization.denied", "")["data"].([]any))
		}
		n := denials()
		w.dev.call(403, "PATCH", w.at+"/roles/developer", `{"permissions": ["*"]}`)
		require.Equal(t, n+1, denials())
		w.dev.call(403, "PATCH", w.at+"/roles/developer?narrowing=true", `{"permissions": ["*"]}`)
		require.Equal(t, n+2, denials(), "narrowing")
		w.dev.call(403, "PATCH", w.at+"/roles/developer?dry_run=true", `{"permissions": ["*"]}`)
		require.Equal(t, n+3, denials(), "dry run")
	})
}

// What does not clearly say that nothing shall be changed, and what cannot be rehearsed, is refused, and changes
// nothing.
func TestAnUnclearDryRunChangesNothing(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store, _ *storetest.Clock) {
		w := newGuarded(t, s)
		for _, q := range []string{"?dry_run", "?dry_run=", "?dry_run=false&dry_run=true", "?dry_run=1", "?narrowing="} {
			w.call(400, "DELETE", "/v1/teams/"+w.team+q, "")
			w.call(200, "GET", "/v1/teams/"+w.team, "")
		}
		w.call(400, "POST", w.at+"/members/bulk?dry_run=true", `{"items": []}`)
		w.call(400, "POST", w.at+"/restore?dry_run=true", "")
		w.dev.with("If-Match", `"1"`).call(412, "POST", "/v1/teams/"+w.team+"/approvals", `{"resource": "model:o3"}`)
	})
}

func TestOddTextsAreRefused(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store, _ *storetest.Clock) {
		w := newGuarded(t, s)
		long := make([]byte, 9000)
		for i := range long {
			long[i] = byte('a' + rand.IntN(26))
		}
		path := "/v1/teams/" + w.team + "/approvals"
		for name, body := range map[string]string{
			"nul resource": `{"resource": "model:o3\u0000"}`, "nul reason": `{"resource": "model:o3x", "reason": "a\u0000b"}`,
			"long": `{"resource": "model:o3` + string(long) + `"}`, "long action": `{"resource": "model:o3", "action": "` + strings.Repeat("x", 5000) + `"}`,
			"no colon": `{"resource": "o3"}`, "colon": `{"resource": ":"}`, "nul action": `{"resource": "model:o3", "action": "a\u0000.b"}`,
		} {
			require.Equal(t, 400, w.dev.do("POST", path, body).Code, name)
		}
		at := "team_id=" + w.team
		for _, q := range []string{path + "?requester=%00", path + "?after=%00", "/v1/teams/" + w.team + "/who-can?action=%00&resource=%00",
			"/v1/users/me/can?" + at + "&resource=%00", "/v1/users/me/permissions?" + at + "&resource=model:o3%00&action=models.use"} {
			require.Equal(t, 400, w.dev.do("GET", q, "").Code, q)
		}
		for _, q := range []string{"/v1/approvals/%00", "/v1/approvals/%ff", "/v1/users/%00/can?" + at + "&resource=x:y", "/v1/users/key_%00/can?" + at + "&resource=x:y", "/v1/organizations/%00"} {
			require.Equal(t, 404, w.dev.do("GET", q, "").Code, q)
		}
		require.Equal(t, 400, w.do("POST", w.at+"/teams", `{"name": "a\u0000"}`).Code)
	})
}

func TestNarrowingLooksAtAliases(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store, _ *storetest.Clock) {
		models, err := billing.NewCatalogue(billing.Model{ID: "gpt-4-0613", Aliases: []string{"gpt-4-latest"}}, billing.Model{ID: "o3"})
		require.NoError(t, err)
		m, err := orgs.New(s, &orgs.Options{Catalogue: models})
		require.NoError(t, err)
		h, err := rest.New(m, &rest.Options{AdminKey: adminKey})
		require.NoError(t, err)
		c := &client{t: t, handler: h, token: adminKey}
		org := c.post("/v1/organizations", `{"name": "Acme"}`)["id"].(string)
		c.post("/v1/organizations/"+org+"/roles", `{"name": "Developer", "permissions": ["models.use"]}`)
		team := c.post("/v1/organizations/"+org+"/teams", `{"name": "Lab", "settings": {"models": {"allowed": ["gpt-4-*"], "blocked": ["*-latest"]}}}`)["id"].(string)
		_, dev := c.person(org, "dev@acme.com", "developer")
		may := "/v1/users/me/permissions?team_id=" + team + "&action=use&resource=model:gpt-4-latest"
		require.Equal(t, false, dev.call(200, "GET", may, "")["allowed_now"])
		require.Equal(t, "grants_new", c.call(409, "PATCH", "/v1/teams/"+team+"?narrowing=true", `{"settings": {"models": {"blocked": []}}}`)["code"])
		require.Equal(t, false, dev.call(200, "GET", may, "")["allowed_now"])
	})
}

type oneFault struct {
	store.Driver
	armed *bool
}

func (d oneFault) Begin(ctx context.Context, writable bool) (store.DriverTx, error) {
	tx, err := d.Driver.Begin(ctx, writable)
	if err == nil && writable && *d.armed {
		return faultyTx{tx, d.armed}, nil
	}
	return tx, err
}

type faultyTx struct {
	store.DriverTx
	armed *bool
}

func (t faultyTx) Update(ctx context.Context, k *store.Kind, rec any) error {
	if *t.armed {
		*t.armed = false
		return fmt.Errorf("%w: somebody was in the way", store.ErrTransient)
	}
	return t.DriverTx.Update(ctx, k, rec)
}

func TestANarrowingIsRunAgainAfterATransientFailure(t *testing.T) {
	armed := false
	s := storetest.Open(t, "memory", store.Options{Wrap: func(d store.Driver) store.Driver { return oneFault{d, &armed} }})
	w := newGuarded(t, s)
	w.audit.Close() // so that the change meets the fault, and not what works behind it
	armed = true
	w.call(200, "PATCH", w.at+"/roles/developer", `{"permissions": ["models.use"]}`)
	require.False(t, armed)
	armed = true
	r := w.do("PATCH", w.at+"/roles/developer?narrowing=true", `{"permissions": []}`)
	require.Equal(t, 200, r.Code, r.Body)
}

func TestNarrowingLooksBelow(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store, _ *storetest.Clock) {
		w := newGuarded(t, s)
		child := w.post(w.at+"/children", `{"name": "Child"}`)["id"].(string)
		w.dev.call(404, "GET", "/v1/users/me/permissions?organization_id="+child+"&action=use&resource=model:x", "")
		require.Equal(t, "grants_new", w.call(409, "PATCH", w.at+"/roles/developer?narrowing=true", `{"inherited": true}`)["code"])
		w.dev.call(404, "GET", "/v1/users/me/permissions?organization_id="+child+"&action=use&resource=model:x", "")
	})
}

func TestAnOutsiderFindsNothing(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store, _ *storetest.Clock) {
		w := newGuarded(t, s)
		id := w.dev.post("/v1/teams/"+w.team+"/approvals", `{"resource": "model:o3"}`)["id"].(string)
		other := w.post("/v1/organizations", `{"name": "Other"}`)["id"].(string)
		_, out := w.person(other, "out@other.com", "org_admin")
		for _, c := range [][3]string{{"GET", "/v1/approvals/" + id, ""}, {"DELETE", "/v1/approvals/" + id, "{"}, {"POST", "/v1/approvals/" + id + "/decision", "{"},
			{"POST", "/v1/approvals/" + id + "/decision", `{"decision": "approve"}`}, {"GET", "/v1/teams/" + w.team + "/approvals", ""}, {"POST", "/v1/teams/" + w.team + "/approvals", "{"},
			{"PATCH", "/v1/teams/" + w.team + "?dry_run=true", "{"}, {"PATCH", w.at + "?dry_run=true", `{"name": "x"}`}, {"POST", "/v1/organizations/" + other + "/projects/nope/members?dry_run=true", "{}"},
			{"GET", w.at + "/lint", ""}, {"GET", "/v1/users/" + w.devID + "/can?organization_id=" + other + "&resource=model:x", ""}, {"GET", "/v1/teams/" + w.team + "/who-can?action=models.use&resource=model:x", ""}} {
			r := out.do(c[0], c[1], c[2])
			require.Equal(t, 404, r.Code, "%v %s", c, r.Body)
		}
	})
}

func TestALargeCatalogueIsLookedAt(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store, _ *storetest.Clock) {
		list := make([]billing.Model, 1001)
		for i := range list {
			list[i].ID = fmt.Sprint("m", i)
		}
		models, err := billing.NewCatalogue(list...)
		require.NoError(t, err)
		m, err := orgs.New(s, &orgs.Options{Catalogue: models})
		require.NoError(t, err)
		h, err := rest.New(m, &rest.Options{AdminKey: adminKey})
		require.NoError(t, err)
		c := &client{t: t, handler: h, token: adminKey}
		org := c.post("/v1/organizations", `{"name": "Acme"}`)["id"].(string)
		c.call(200, "POST", "/v1/organizations/"+org+"/roles?dry_run=true", `{"name": "x", "permissions": []}`)
	})
}
