package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"sync/atomic"

	"github.com/orgkit/orgkit/audit"
	"github.com/orgkit/orgkit/orgs"
	"github.com/orgkit/orgkit/scim"
	"github.com/orgkit/orgkit/scim/schema"
	"github.com/orgkit/orgkit/store"
)

// directory is an organization as its identity provider sees it, through the handler.
type directory struct {
	m       *orgs.Manager
	handler *scim.Handler
	secret  string
	rand    *rand.Rand
	ids     []string // of the users
	users   int      // that were loaded
	all     string   // id of the group of them
}

func newDirectory(ctx context.Context, s *store.Store) (d *directory, err error) {
	d = &directory{rand: rand.New(rand.NewPCG(1, 2))}
	if d.m, err = orgs.New(s, nil); err != nil {
		return nil, err
	}
	as := audit.WithActor(ctx, audit.PlatformAdmin())
	owner, err := d.m.CreateUser(as, orgs.NewUser{Email: "owner@acme.example", EmailVerified: true})
	if err != nil {
		return nil, err
	}
	org, err := d.m.CreateOrganization(as, orgs.NewOrganization{Name: "Acme", Slug: "acme", Owner: owner.ID})
	if err != nil {
		return nil, err
	}
	if _, _, err := d.m.SetProvisioning(as, org.ID, orgs.NewProvisioning{Enabled: true, AutoProvision: true, SyncGroups: true, RoleMapping: map[string]string{"Few": "member"}}); err != nil {
		return nil, err
	}
	if _, d.secret, err = d.m.CreateSCIMToken(as, org.ID, orgs.NewSCIMToken{Name: "bench"}); err != nil {
		return nil, err
	}
	d.handler, err = scim.New(d.m, "https://gateway.example/scim/v2", &scim.Options{RequestsPerSecond: 1e9, Burst: 1e9})
	return d, err
}

func nameOf(i int) string { return fmt.Sprintf("user%d@acme.example", i) }

// load makes n users, some in one unit, and the group of all of them by requests of 1,000 members.
func (d *directory) load(ctx context.Context, n int) error {
	by, err := d.m.AuthenticateSCIM(ctx, d.secret)
	if err != nil {
		return err
	}
	for first := 0; first < n; first += 500 {
		var some []string
		err := d.m.Provision(audit.WithActor(ctx, by), "scim.users.create", func(ctx context.Context, p *orgs.Provisioner) (c audit.Change, err error) {
			some = nil
			for i := first; i < min(n, first+500); i++ {
				external := fmt.Sprint("ext-", i)
				u := orgs.ProvisionedUser{UserName: nameOf(i), UserNameKey: schema.Fold(nameOf(i)), ExternalID: &external, Active: true,
					Attributes: fmt.Appendf(nil, `{"name":{"givenName":"User","familyName":"%d"},"title":"Engineer","emails":[{"value":%q,"type":"work","primary":true}]}`, i, nameOf(i))}
				if u, c, err = p.CreateUser(ctx, u, orgs.Person{Email: nameOf(i), Name: fmt.Sprint("User ", i), EmailKeys: []string{nameOf(i)}}); err != nil {
					return c, err
				}
				some = append(some, u.ID)
			}
			return c, nil
		})
		if err != nil {
			return err
		}
		d.ids = append(d.ids, some...)
	}
	d.users = n
	d.all, err = d.group("Everybody", d.ids)
	return err
}

// group makes a group and adds its members, 1,000 at a time.
func (d *directory) group(name string, members []string) (id string, err error) {
	made, err := d.call(http.MethodPost, "/Groups", nil, map[string]any{"schemas": []string{schema.GroupURN}, "displayName": name}, http.StatusCreated)
	if err != nil {
		return "", err
	}
	var g struct{ ID string }
	if err := json.Unmarshal(made, &g); err != nil {
		return "", err
	}
	for len(members) > 0 {
		some := members[:min(len(members), 1000)]
		members = members[len(some):]
		if err := d.member(g.ID, "add", some...); err != nil {
			return "", err
		}
	}
	return g.ID, nil
}

// member adds members to a group or removes them, as Entra does.
func (d *directory) member(group, verb string, ids ...string) error {
	list := make([]map[string]string, len(ids))
	for i, id := range ids {
		list[i] = map[string]string{"value": id}
	}
	return d.patch("/Groups/"+group, map[string]any{"op": verb, "path": "members", "value": list}, http.StatusNoContent)
}

func (d *directory) patch(path string, operation map[string]any, want int) error {
	_, err := d.call(http.MethodPatch, path, nil, map[string]any{"schemas": []string{"urn:ietf:params:scim:api:messages:2.0:PatchOp"}, "Operations": []any{operation}}, want)
	return err
}

// newUser is the body of a new user.
func newUser(name string) map[string]any {
	return map[string]any{"schemas": []string{schema.UserURN}, "userName": name + "@acme.example", "externalId": name,
		"name": map[string]string{"givenName": "User", "familyName": name}, "emails": []map[string]any{{"value": name + "@acme.example", "type": "work", "primary": true}}}
}

// cycle makes a user, changes them, adds them to the group of all and removes them from it: four writes.
func (d *directory) cycle(name string, done *atomic.Int64) error {
	made, err := d.call(http.MethodPost, "/Users", nil, newUser(name), http.StatusCreated)
	if err != nil {
		return err
	}
	var u struct{ ID string }
	if err := json.Unmarshal(made, &u); err != nil {
		return err
	}
	if err := d.patch("/Users/"+u.ID, map[string]any{"op": "replace", "path": "title", "value": "Boss"}, http.StatusOK); err != nil {
		return err
	}
	for _, verb := range []string{"add", "remove"} {
		if err := d.member(d.all, verb, u.ID); err != nil {
			return err
		}
	}
	done.Add(4)
	return nil
}

// bulk makes n users by one request.
func (d *directory) bulk(round, n int) error {
	list := make([]map[string]any, n)
	for i := range list {
		list[i] = map[string]any{"method": http.MethodPost, "path": "/Users", "bulkId": strconv.Itoa(i), "data": newUser(fmt.Sprintf("bulk%d-%d", round, i))}
	}
	answer, err := d.call(http.MethodPost, "/Bulk", nil, map[string]any{"schemas": []string{"urn:ietf:params:scim:api:messages:2.0:BulkRequest"}, "Operations": list}, http.StatusOK)
	if err != nil {
		return err
	}
	var a struct{ Operations []struct{ Status string } }
	if err := json.Unmarshal(answer, &a); err != nil {
		return err
	}
	for i, o := range a.Operations {
		if o.Status != "201" {
			return fmt.Errorf("operation %d came to %s", i, o.Status)
		}
	}
	if len(a.Operations) != n {
		return fmt.Errorf("%d of %d operations were answered", len(a.Operations), n)
	}
	return nil
}

// scimList is a page of a list.
type scimList struct {
	Total      int `json:"totalResults"`
	NextCursor string
	Resources  []struct{ ID string }
}

func (d *directory) list(path string, q url.Values) (l scimList, err error) {
	answer, err := d.call(http.MethodGet, path, q, nil, http.StatusOK)
	if err == nil {
		err = json.Unmarshal(answer, &l)
	}
	return l, err
}

// call is a request to the handler and what it must come to.
func (d *directory) call(method, path string, q url.Values, body any, want int) ([]byte, error) {
	raw, err := json.Marshal(body)
	if err != nil {
		return nil, err
	}
	r := httptest.NewRequest(method, path+"?"+q.Encode(), bytes.NewReader(raw))
	r.Header.Set("Authorization", "Bearer "+d.secret)
	r.Header.Set("Content-Type", "application/scim+json")
	w := httptest.NewRecorder()
	d.handler.ServeHTTP(w, r)
	if w.Code != want {
		return nil, fmt.Errorf("%s %s came to %d: %s", method, path, w.Code, w.Body.Bytes()[:min(w.Body.Len(), 300)])
	}
	return w.Body.Bytes(), nil
}
