package orgs_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/require"

	"github.com/orgkit/orgkit/orgs"
	"github.com/orgkit/orgkit/orgs/orgstest"
	"github.com/orgkit/orgkit/rbac"
	"github.com/orgkit/orgkit/store"
	"github.com/orgkit/orgkit/store/memory"
	"github.com/orgkit/orgkit/store/storetest"
)

// A read that fails while the organization is evicted and comes back must not part a principal from what tells
// it of changes.
func TestAPrincipalHearsOfChangesAfterAnOlderReadHasFailed(t *testing.T) {
	w, database := limited(t, 1)
	dials, org, _ := newDials(t, w)
	role := dials[0]
	other, chief := w.Org("other")
	ask := func(orgID, subject string) (bool, error) {
		a, err := w.Allows(t.Context(), subject, &rbac.Request{OrgID: orgID, Action: shown(1), Call: rbac.Call{Resource: "organization:" + orgID}})
		return a.Allowed, err
	}
	require.NoError(t, role.turn(w.Platform(), w.Manager, 1))
	_, err := ask(org.ID, role.subject)
	require.NoError(t, err)

	waits, goesOn := make(chan struct{}), make(chan struct{})
	database.before(func() error { close(waits); <-goesOn; return errDown })
	changed := make(chan error)
	go func() { // brings memory forward, and cannot read
		_, err := w.UpdateRole(w.Platform(), org.ID, "overridden", rbac.RoleUpdate{Description: ptr("changed")})
		changed <- err
	}()
	<-waits
	_, err = ask(other.ID, chief.ID) // which evicts the other
	require.NoError(t, err)
	_, kept, err := role.memory(t.Context(), w.Manager)
	require.NoError(t, err)
	is, err := kept(shown(1))
	require.NoError(t, err)
	require.True(t, is)
	close(goesOn)
	require.NoError(t, <-changed)

	require.NoError(t, role.turn(w.Platform(), w.Manager, 2))
	is, err = ask(org.ID, role.subject)
	require.NoError(t, err)
	require.False(t, is)
	is, err = kept(shown(1))
	require.NoError(t, err)
	require.False(t, is, "the role has lost it")
}

// However few organizations there is room for, each is answered, with those above it.
func TestEveryOrganizationIsAnsweredWhereFewFitIntoMemory(t *testing.T) {
	w, _ := limited(t, 8)
	for i := range 40 {
		above, chief := w.Org(fmt.Sprint("above-", i))
		o, err := w.CreateOrganization(w.As(chief), orgs.NewOrganization{Name: "Below", Parent: above.ID})
		require.NoError(t, err)
		a, err := w.Allows(t.Context(), chief.ID, &rbac.Request{OrgID: o.ID, Action: "teams.create", Call: rbac.Call{Resource: "organization:" + o.ID}})
		require.NoError(t, err)
		require.True(t, a.Allowed)
	}
}

// What is evicted is gone, also below an organization that never changes.
func TestEvictedOrganizationsTakeNoMemory(t *testing.T) {
	w, _ := limited(t, 8)
	top, chief := w.Org("top")
	_, err := w.CreateRole(w.Platform(), top.ID, rbac.NewRole{Name: "heir", Permissions: []string{"models.*"}, Inherited: true})
	require.NoError(t, err)
	var below []string
	for i := range 100 {
		o, err := w.CreateOrganization(w.As(chief), orgs.NewOrganization{Name: fmt.Sprint("below ", i), Parent: top.ID})
		require.NoError(t, err)
		below = append(below, o.ID)
	}
	walk := func(rounds int) {
		for range rounds {
			for _, id := range below {
				a, err := w.Allows(t.Context(), chief.ID, &rbac.Request{OrgID: id, Action: "teams.create", Call: rbac.Call{Resource: "organization:" + id}})
				require.NoError(t, err)
				require.True(t, a.Allowed)
			}
		}
	}
	walk(3)
	keepsNothing(t, func() { walk(30) })
}

// Memory that knows nothing yet keeps the demand of a token as memory does that knows an older state.
func TestAFirstQuestionKeepsTheDemandOfAToken(t *testing.T) {
	c := newAsked(t, memory.New(nil), nil)
	defer c.Close()
	r := c.request("models.use", "model:m")
	r.Least = rbac.Revision{c.org.ID: 10_000}
	_, err := c.Allows(t.Context(), c.dev.ID, r)
	require.ErrorIs(t, err, store.ErrTransient)
}

// A grant is in force until it ends, however often more than it allows was asked for and denied.
func TestAGrantOutlastsTheRequestsThatWereDeniedAfterIt(t *testing.T) {
	each(t, func(t *testing.T, w *orgstest.World, clock *storetest.Clock) {
		org, owner := w.Org("acme")
		w.Roles(org)
		team := w.Team(org, "crew", orgs.TeamSettings{Models: &orgs.ModelSettings{RequireApproval: []string{"o3"}}})
		dev := w.Join(team, "dev@acme.example", "developer")
		request := rbac.Request{OrgID: org.ID, TeamID: team.ID, Action: "models.use", Person: dev.ID,
			Call: rbac.Call{Resource: "model:o3", Cost: ptr(decimal.NewFromInt(1))}}
		decide := func(cost int64, d rbac.ApprovalDecision) {
			r := request
			r.Cost = ptr(decimal.NewFromInt(cost))
			a, _, err := w.RequestApproval(w.As(dev), r, "more")
			require.NoError(t, err)
			_, err = w.DecideApproval(w.As(owner), org.ID, a.ID, d)
			require.NoError(t, err)
		}
		decide(1, rbac.ApprovalDecision{Approve: true, Lasts: 300 * 24 * time.Hour, MaxAmount: ptr(decimal.NewFromInt(2))})
		for range 20 {
			decide(3, rbac.ApprovalDecision{})
			clock.Advance(25 * time.Hour)
		}
		request.At = clock.Now()
		remembered, err := w.Allows(t.Context(), dev.ID, &request)
		require.NoError(t, err)
		require.NoError(t, w.View(t.Context(), func(ctx context.Context, tx *store.Tx) error {
			d, err := w.Check(ctx, tx, dev.ID, request)
			require.Equal(t, remembered.Allowed, d.Allowed, "memory and the unit differ")
			require.True(t, d.Allowed)
			return err
		}))
	})
}
