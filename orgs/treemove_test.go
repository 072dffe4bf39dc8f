package orgs_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/orgkit/orgkit/orgs"
	"github.com/orgkit/orgkit/orgs/orgstest"
	"github.com/orgkit/orgkit/rbac"
	"github.com/orgkit/orgkit/store"
	"github.com/orgkit/orgkit/store/storetest"
)

func TestThePlatformMovesOrganizations(t *testing.T) {
	eachFamily(t, func(t *testing.T, f family, _ *storetest.Clock) {
		auditor := f.role("Auditor", true, "*.read")
		_, err := f.MoveOrganization(f.As(f.boss), f.grand.ID, f.root.ID)
		refused(t, err, "permission_denied")
		_, err = f.MoveOrganization(f.Platform(), f.grand.ID, f.child.ID)
		inTheWay(t, err, "conflict") // it is there
		_, err = f.MoveOrganization(f.Platform(), f.grand.ID, "nowhere")
		require.ErrorIs(t, err, store.ErrNotFound)

		reads := func(u orgs.User) error { _, err := f.Teams(f.As(u), f.grand.ID, orgs.PartFilter{}); return err }
		for _, u := range []orgs.User{auditor, f.boss, f.chief} {
			require.NoError(t, reads(u))
		}
		o, err := f.MoveOrganization(f.Platform(), f.grand.ID, f.sibling.Slug)
		require.NoError(t, err)
		require.Equal(t, f.sibling.ID, o.ParentID)
		e := lastEvent(t, f.World, f.grand.ID)
		require.Equal(t, "organization.moved", e.Type)
		require.JSONEq(t, `{"parent_id": "`+f.child.ID+`"}`, string(e.Before))
		require.JSONEq(t, `{"parent_id": "`+f.sibling.ID+`"}`, string(e.After))
		require.ErrorIs(t, reads(f.chief), store.ErrNotFound, "it is above no more")
		for _, u := range []orgs.User{auditor, f.boss, f.other} {
			require.NoError(t, reads(u))
		}
		o, err = f.MoveOrganization(f.Platform(), f.grand.ID, "")
		require.NoError(t, err)
		require.Empty(t, o.ParentID)
		require.ErrorIs(t, reads(auditor), store.ErrNotFound)
		require.NoError(t, reads(f.head))
		figures, err := f.OrganizationFigures(f.As(f.head), f.grand.ID)
		require.NoError(t, err)
		require.Equal(t, f.grand.ID, figures.RootID)
	})
}

func TestAnOrganizationCannotLieBelowItself(t *testing.T) {
	eachRecorded(t, func(t *testing.T, w *orgstest.World, rec *recorder, _ *storetest.Clock) {
		chain := line(t, w, 4)
		for i, o := range chain {
			for _, below := range chain[i:] {
				inTheWay(t, rec.leavesNothing(t, func() error {
					_, err := w.MoveOrganization(w.Platform(), o, below)
					return err
				}), "cycle")
			}
		}
	})
}

// line makes organizations, each below the one before, in one unit.
func line(t *testing.T, w *orgstest.World, n int) (ids []string) {
	t.Helper()
	require.NoError(t, w.Together(w.Platform(), func(ctx context.Context) error {
		ids = nil
		parent := ""
		for range n {
			o, err := w.CreateOrganization(ctx, orgs.NewOrganization{Name: "line", Parent: parent})
			if err != nil {
				return err
			}
			ids, parent = append(ids, o.ID), o.ID
		}
		return nil
	}))
	return ids
}

func TestOrganizationsLie32Deep(t *testing.T) {
	eachRecorded(t, func(t *testing.T, w *orgstest.World, rec *recorder, _ *storetest.Clock) {
		deep, short := line(t, w, rbac.MaxDepth), line(t, w, 2)
		inTheWay(t, rec.leavesNothing(t, func() error {
			_, err := w.CreateOrganization(w.Platform(), orgs.NewOrganization{Name: "x", Parent: deep[rbac.MaxDepth-1]})
			return err
		}), "conflict")
		inTheWay(t, rec.leavesNothing(t, func() error {
			_, err := w.MoveOrganization(w.Platform(), short[0], deep[rbac.MaxDepth-2])
			return err
		}), "conflict")
		_, err := w.MoveOrganization(w.Platform(), short[0], deep[rbac.MaxDepth-3])
		require.NoError(t, err)
		figures, err := w.OrganizationFigures(w.Platform(), short[1])
		require.NoError(t, err)
		require.Equal(t, deep[0], figures.RootID)
	})
}

func TestMovesThatMeetFormNoCycle(t *testing.T) {
	each(t, func(t *testing.T, w *orgstest.World, _ *storetest.Clock) {
		for range 2 { // PostgreSQL takes a second to see that they wait for each other
			a, b := line(t, w, 2), line(t, w, 2)
			errs := atOnce(func() error { _, err := w.MoveOrganization(w.Platform(), a[0], b[1]); return err },
				func() error { _, err := w.MoveOrganization(w.Platform(), b[0], a[1]); return err })
			failed := slices.DeleteFunc(errs, func(err error) bool { return err == nil })
			require.Len(t, failed, 1, "each alone would do, both would be a cycle")
			inTheWay(t, failed[0], "cycle")
			roots(t, w)
		}
	})
}

func TestAfterManyMovesAtOnceEveryOrganizationHasARoot(t *testing.T) {
	each(t, func(t *testing.T, w *orgstest.World, _ *storetest.Clock) {
		var ids []string
		for range 4 {
			ids = append(ids, line(t, w, 2)...)
		}
		var moves []func() error
		for mover := range uint64(3) {
			moves = append(moves, func() error {
				random := rand.New(rand.NewPCG(mover, 0))
				for range 8 {
					_, err := w.MoveOrganization(w.Platform(), ids[random.IntN(len(ids))], append(ids, "")[random.IntN(len(ids)+1)])
					if err != nil && !isConflict(err, "cycle") && !isConflict(err, "conflict") {
						return err
					}
				}
				return nil
			})
		}
		for _, err := range atOnce(moves...) {
			require.NoError(t, err)
		}
		roots(t, w)
	})
}

// roots follows every organization up to its root, by its record and by its scope.
func roots(t *testing.T, w *orgstest.World) {
	t.Helper()
	page, err := w.Organizations(w.Platform(), orgs.OrganizationFilter{})
	require.NoError(t, err)
	parent := map[string]string{}
	for _, o := range page.Items {
		parent[o.ID] = o.ParentID
	}
	for id := range parent {
		steps := 0
		at := id
		for ; parent[at] != "" && steps <= len(parent); steps++ {
			at = parent[at]
		}
		require.LessOrEqual(t, steps, len(parent), "%s lies below itself", id)
		figures, err := w.OrganizationFigures(w.Platform(), id)
		require.NoError(t, err)
		require.Equal(t, at, figures.RootID)
	}
}

func TestMovingASubtreeOf10000WritesOfItsTopAlone(t *testing.T) {
	for _, name := range []string{"memory", "sqlite"} {
		t.Run(name, func(t *testing.T) {
			s, rec, _ := recorded(t, name)
			f := newFamily(t, s)
			below := scopes(t, s, f.child.ID, 10_000)
			rec.take()
			began := time.Now()
			_, err := f.MoveOrganization(f.Platform(), f.child.ID, f.sibling.ID)
			t.Logf("moved %d organizations in %v", below+2, time.Since(began))
			require.NoError(t, err)

			units := rec.take()
			require.Len(t, units, 1)
			rows := map[write]bool{}
			for _, w := range units[0] {
				rows[w] = true
			}
			require.Equal(t, map[write]bool{
				{"organizations", f.child.ID}: true,
				{"scopes", f.child.ID}:        true,
				{"budget_marks", f.child.ID}:  true, // by which every process finds the budgets of the new path
				{"audit_events", ""}:          true,
			}, rows)
			_, err = f.Teams(f.As(f.other), f.grand.ID, orgs.PartFilter{})
			require.NoError(t, err, "who owns the place that they moved to")
			figures, err := f.OrganizationFigures(f.As(f.boss), f.grand.ID)
			require.NoError(t, err)
			require.Equal(t, f.root.ID, figures.RootID)
		})
	}
}

// scopes puts at least as many organizations below one, ten below each, and says how many. They are scopes
// alone, which is all that a move reads of those below: as whole organizations they would take minutes.
func scopes(t *testing.T, s *store.Store, top string, least int) (n int) {
	t.Helper()
	require.NoError(t, s.Update(t.Context(), func(ctx context.Context, tx *store.Tx) error {
		n = 0
		level := []string{top}
		for n < least {
			var next []string
			for _, parent := range level {
				for range 10 {
					scope := rbac.Scope{ParentID: parent, Zone: "UTC", State: rbac.Active}
					scope.ID = fmt.Sprint("org_below_", n)
					if err := rbac.Scopes.Insert(ctx, tx, &scope); err != nil {
						return err
					}
					next = append(next, scope.ID)
					n++
				}
			}
			level = next
		}
		return nil
	}))
	return n
}
