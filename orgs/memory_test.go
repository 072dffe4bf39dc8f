package orgs_test

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"runtime"
	"sync/atomic"
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

// cut is a database that cannot be reached while it is down.
type cut struct {
	store.Driver
	down atomic.Bool
}

var errDown = errors.New("down")

func (c *cut) Begin(ctx context.Context, writable bool) (store.DriverTx, error) {
	if c.down.Load() {
		return nil, errDown
	}
	return c.Driver.Begin(ctx, writable)
}

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

// While the database cannot be reached memory is trusted for a while, and then refuses.
func TestMemoryThatCannotBeComparedRefuses(t *testing.T) {
	database := &cut{}
	s := memory.New(&memory.Options{Store: store.Options{Wrap: func(d store.Driver) store.Driver { database.Driver = d; return database }}})
	o := &orgs.Options{}
	o.Memory = rbac.MemoryOptions{Poll: 5 * time.Millisecond, Trust: 50 * time.Millisecond}
	c := newAsked(t, s, o)
	p, use := c.principal(t), c.Action("models.use")
	r := c.request("models.use", "model:m")
	both := func() (err error) {
		a, err := c.Allows(t.Context(), c.dev.ID, r)
		b, err2 := p.Allows(t.Context(), use, &r.Call)
		require.Equal(t, err == nil, a.Allowed)
		require.Equal(t, err2 == nil, b.Allowed)
		return errors.Join(err, err2)
	}
	require.NoError(t, both())
	database.down.Store(true)
	require.Eventually(t, func() bool { return errors.Is(both(), errDown) }, 20*time.Second, time.Millisecond)
	database.down.Store(false)
	require.NoError(t, both(), "at once: who asks compares")
	require.Eventually(t, func() bool { return both() == nil }, 20*time.Second, time.Millisecond)

	require.NoError(t, c.Close())
	require.ErrorIs(t, both(), store.ErrClosed)
	require.NoError(t, c.Close(), "twice")
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

// Whatever strangers ask for, and whatever resources are asked for, nothing of it is kept.
func TestHostileQuestionsTakeNoMemory(t *testing.T) {
	c := newAsked(t, memory.New(nil), nil)
	defer c.Close()
	_, _, err := c.CreatePolicy(c.Platform(), c.org.ID, c.team.ID, rbac.NewPolicy{Name: "p", Statements: []rbac.Statement{
		{Effect: rbac.EffectDeny, Actions: []string{"models:use"}, Resources: []string{"model:x*", "model:*y"}}}})
	require.NoError(t, err)
	heap := func() (size int64) {
		var m runtime.MemStats
		for range 3 {
			runtime.GC()
		}
		runtime.ReadMemStats(&m)
		return int64(m.HeapAlloc)
	}
	flood := func() {
		for i := range 20_000 {
			_, err := c.Allows(t.Context(), fmt.Sprint("usr_", i), c.request("models.use", "model:m"))
			require.ErrorIs(t, err, store.ErrNotFound)
			a, err := c.Allows(t.Context(), c.dev.ID, c.request("models.use", fmt.Sprint("model:", i)))
			require.NoError(t, err)
			require.True(t, a.Allowed)
		}
	}
	flood()
	before := heap()
	flood()
	require.Less(t, heap()-before, int64(200_000))
}
