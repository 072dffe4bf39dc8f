package orgs_test

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"runtime"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/orgkit/orgkit/orgs"
	"github.com/orgkit/orgkit/orgs/orgstest"
	"github.com/orgkit/orgkit/rbac"
	"github.com/orgkit/orgkit/store"
	"github.com/orgkit/orgkit/store/memory"
	"github.com/orgkit/orgkit/store/storetest"
)

// asked is one developer in a team, who is asked about.
type asked struct {
	*orgstest.World
	org  orgs.Organization
	team orgs.Team
	dev  orgs.User
}

func newAsked(t *testing.T, s *store.Store, o *orgs.Options) asked {
	w := orgstest.New(t, s, o)
	org, _ := w.Org("acme")
	w.Roles(org)
	team := w.Team(org, "crew", orgs.TeamSettings{})
	return asked{w, org, team, w.Join(team, "dev@acme.example", "developer")}
}

func (c asked) request(action, resource string) *rbac.Request {
	return &rbac.Request{OrgID: c.org.ID, TeamID: c.team.ID, Action: action, Call: rbac.Call{Resource: resource, At: time.Now(), IP: netip.MustParseAddr("10.1.2.3")}}
}

func (c asked) principal(t *testing.T) *rbac.Principal {
	p, err := c.Principal(t.Context(), c.org.ID, c.team.ID, c.dev.ID)
	require.NoError(t, err)
	return p
}

func TestWhatIsDeletedIsNotInMemory(t *testing.T) {
	each(t, func(t *testing.T, w *orgstest.World, _ *storetest.Clock) {
		above, chief := w.Org("above")
		org, err := w.CreateOrganization(w.As(chief), orgs.NewOrganization{Name: "Acme", Parent: above.ID})
		require.NoError(t, err)
		r := &rbac.Request{OrgID: org.ID, Action: "teams.create", Call: rbac.Call{Resource: "organization:" + org.ID}}
		p, err := w.Principal(t.Context(), org.ID, "", chief.ID)
		require.NoError(t, err)
		ask := func() (bool, error) {
			a, err := w.Allows(t.Context(), chief.ID, r)
			b, err2 := p.Allows(t.Context(), w.Action("teams.create"), &r.Call)
			require.Equal(t, a.Allowed, b.Allowed)
			require.Equal(t, err, err2)
			return a.Allowed, err
		}
		for range 2 {
			is, err := ask()
			require.NoError(t, err)
			require.True(t, is)
			_, err = w.DeleteOrganization(w.Platform(), above.ID, true, "for a test")
			require.NoError(t, err)
			for range 2 {
				_, err = ask()
				require.ErrorIs(t, err, store.ErrNotFound)
			}
			_, err = w.RestoreOrganization(w.Platform(), above.ID, "")
			require.NoError(t, err)
		}
		_, err = w.Allows(t.Context(), chief.ID, &rbac.Request{OrgID: "org_none", Action: "teams.create"})
		require.ErrorIs(t, err, store.ErrNotFound)
		other, _ := w.Org("other")
		foreign := w.Team(other, "crew", orgs.TeamSettings{})
		r.TeamID = foreign.ID
		_, err = w.Allows(t.Context(), chief.ID, r)
		require.ErrorIs(t, err, store.ErrNotFound, "another organization's team")
	})
}

// A demand that nothing can meet is an error, not an old answer.
func TestMemoryKeepsTheDemandOfAToken(t *testing.T) {
	c := newAsked(t, memory.New(nil), nil)
	defer c.Close()
	r := c.request("models.use", "model:m")
	_, err := c.Allows(t.Context(), c.dev.ID, r)
	require.NoError(t, err)
	r.Least = rbac.Revision{c.org.ID: 10_000}
	_, err = c.Allows(t.Context(), c.dev.ID, r)
	require.ErrorIs(t, err, store.ErrTransient)
	_, err = c.principal(t).Allows(t.Context(), c.Action("models.use"), &r.Call)
	require.ErrorIs(t, err, store.ErrTransient)
}

// A unit that has written is not seen before it is committed, and memory learns nothing from within it.
func TestMemoryIsOfWhatIsCommitted(t *testing.T) {
	each(t, func(t *testing.T, w *orgstest.World, _ *storetest.Clock) {
		org, _ := w.Org("acme")
		w.Roles(org)
		u := w.User("u@acme.example")
		w.Add(orgs.Place{OrgID: org.ID}, u, "viewer")
		for _, warm := range []bool{false, true} {
			r := &rbac.Request{OrgID: org.ID, Action: "billing.update", Call: rbac.Call{Resource: "organization:" + org.ID}}
			if warm {
				a, err := w.Allows(t.Context(), u.ID, r)
				require.NoError(t, err)
				require.False(t, a.Allowed)
			}
			err := w.Together(w.Platform(), func(ctx context.Context) error {
				_, err := w.UpdateMember(ctx, orgs.Place{OrgID: org.ID}, u.ID, orgs.MemberUpdate{Role: ptr("finance")})
				require.NoError(t, err)
				a, err := w.Allows(ctx, u.ID, r)
				require.NoError(t, err)
				require.False(t, a.Allowed)
				return errUndone
			})
			require.ErrorIs(t, err, errUndone)
			a, err := w.Allows(t.Context(), u.ID, r)
			require.NoError(t, err)
			require.False(t, a.Allowed)
		}
	})
}

// keepsNothing does what must keep nothing. Other goroutines of the process may take memory meanwhile: what
// is kept is kept each time.
func keepsNothing(t *testing.T, do func()) {
	t.Helper()
	var kept []int64
	for range 4 {
		before := used()
		do()
		more := used() - before
		if more < 200_000 {
			return
		}
		kept = append(kept, more)
	}
	require.Fail(t, "memory is kept", "bytes, each time: %v", kept)
}

// used is how much is in use after what is not was collected.
func used() int64 {
	var m runtime.MemStats
	for range 3 {
		runtime.GC()
	}
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// Whatever strangers ask for, and whatever resources are asked for, nothing of it is kept.
func TestHostileQuestionsTakeNoMemory(t *testing.T) {
	c := newAsked(t, memory.New(nil), nil)
	defer c.Close()
	_, _, err := c.CreatePolicy(c.Platform(), c.org.ID, c.team.ID, rbac.NewPolicy{Name: "p", Statements: []rbac.Statement{
		{Effect: rbac.EffectDeny, Actions: []string{"models:use"}, Resources: []string{"model:x*", "model:*y"}}}})
	require.NoError(t, err)
	asked := 0
	flood := func() {
		for range 100_000 {
			asked++
			name := strconv.Itoa(asked) // which nobody has asked about
			_, err := c.Allows(t.Context(), "usr_"+name, c.request("models.use", "model:m"))
			if !errors.Is(err, store.ErrNotFound) {
				t.Fatal(err)
			}
			a, err := c.Allows(t.Context(), c.dev.ID, c.request("models.use", "model:"+name))
			if err != nil || !a.Allowed {
				t.Fatal(a, err)
			}
		}
	}
	flood()
	keepsNothing(t, flood)
}

// Who holds the same shares what is kept of it; what differs in one thing is not the same.
func TestWhoHoldsNearlyTheSameIsToldApart(t *testing.T) {
	c := newAsked(t, memory.New(nil), nil)
	defer c.Close()
	at := orgs.Place{OrgID: c.org.ID, TeamID: c.team.ID}
	for i, who := range []struct {
		grants      orgs.Grants
		uses, bills bool
	}{
		{uses: true},
		{grants: orgs.Grants{Remove: []string{"models.use"}}},
		{grants: orgs.Grants{Add: []string{"billing.read"}}, uses: true, bills: true},
		{grants: orgs.Grants{Add: []string{"billing.read"}, Remove: []string{"models.use"}}, bills: true},
		{grants: orgs.Grants{Add: []string{"billing.read", "models.use"}}, uses: true, bills: true},
		{grants: orgs.Grants{Remove: []string{"billing.read"}}, uses: true},
		{uses: true},
	} {
		u := c.Join(c.team, fmt.Sprintf("u%d@acme.example", i), "developer")
		_, err := c.UpdateMember(c.Platform(), at, u.ID, orgs.MemberUpdate{Permissions: &who.grants})
		require.NoError(t, err)
		for action, want := range map[string]bool{"models.use": who.uses, "billing.read": who.bills} {
			a, err := c.Allows(t.Context(), u.ID, c.request(action, "model:m"))
			require.NoError(t, err)
			require.Equal(t, want, a.Allowed, "%d: %s", i, action)
		}
	}
}
