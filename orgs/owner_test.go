package orgs_test

import (
	"context"
	"encoding/json"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/orgkit/orgkit/audit"
	"github.com/orgkit/orgkit/orgs"
	"github.com/orgkit/orgkit/orgs/orgstest"
	"github.com/orgkit/orgkit/rbac"
	"github.com/orgkit/orgkit/store"
	"github.com/orgkit/orgkit/store/storetest"
)

// owned is an organization with two owners, and a plain member who might follow them.
type owned struct {
	*orgstest.World
	at                  orgs.Place
	first, second, heir orgs.User
}

// newOwned makes one in one unit; the number keeps several in one world apart.
func newOwned(t *testing.T, w *orgstest.World, n int) (o owned) {
	t.Helper()
	require.NoError(t, w.Together(w.Platform(), func(ctx context.Context) error {
		o = owned{World: w}
		for i, u := range []*orgs.User{&o.first, &o.second, &o.heir} {
			made, err := w.CreateUser(ctx, orgs.NewUser{Email: fmt.Sprintf("u%d-%d@acme.example", i, n), EmailVerified: true})
			require.NoError(t, err)
			*u = made
		}
		org, err := w.CreateOrganization(ctx, orgs.NewOrganization{Name: fmt.Sprint("acme", n), Owner: o.first.ID})
		require.NoError(t, err)
		o.at = orgs.Place{OrgID: org.ID}
		for user, role := range map[string]string{o.second.ID: rbac.OwnerRole, o.heir.ID: rbac.MemberRole} {
			_, err := w.AddMember(ctx, o.at, orgs.NewMember{User: user, Role: role})
			require.NoError(t, err)
		}
		return nil
	}))
	return o
}

// owners are those that count: active, with a verified address.
func (o owned) owners(t *testing.T) (ids []string) {
	t.Helper()
	page, err := o.Members(o.Platform(), o.at, orgs.MemberFilter{Role: rbac.OwnerRole, Status: rbac.Active})
	require.NoError(t, err)
	for _, m := range page.Items {
		if m.User.State == rbac.Active && m.User.EmailVerified {
			ids = append(ids, m.User.ID)
		}
	}
	return ids
}

// parting is a way in which somebody stops being an owner.
type parting struct {
	name string
	do   func(o owned, who, other orgs.User) error
}

var partings = []parting{
	{"is removed", func(o owned, who, _ orgs.User) error {
		_, err := o.RemoveMember(o.Platform(), o.at, who.ID, orgs.MemberRemoval{})
		return err
	}},
	{"is removed by the other", func(o owned, who, other orgs.User) error {
		_, err := o.RemoveMember(o.As(other), o.at, who.ID, orgs.MemberRemoval{})
		return err
	}},
	{"is demoted by the other", func(o owned, who, other orgs.User) error {
		_, err := o.UpdateMember(o.As(other), o.at, who.ID, orgs.MemberUpdate{Role: ptr(rbac.MemberRole)})
		return err
	}},
	{"leaves", func(o owned, who, _ orgs.User) error {
		_, err := o.RemoveMember(o.As(who), o.at, "me", orgs.MemberRemoval{})
		return err
	}},
	{"is suspended", func(o owned, who, _ orgs.User) error {
		_, err := o.UpdateUser(o.Platform(), who.ID, orgs.UserUpdate{Status: ptr(rbac.Suspended)})
		return err
	}},
	{"loses the verified address", func(o owned, who, _ orgs.User) error {
		_, err := o.UpdateUser(o.Platform(), who.ID, orgs.UserUpdate{EmailVerified: ptr(false)})
		return err
	}},
	{"has another address", func(o owned, who, _ orgs.User) error {
		_, err := o.UpdateUser(o.Platform(), who.ID, orgs.UserUpdate{Email: ptr("new-" + who.Email)})
		return err
	}},
	{"is deleted", func(o owned, who, _ orgs.User) error {
		_, err := o.DeleteUser(o.Platform(), who.ID, "")
		return err
	}},
}

// handsOver is the parting that leaves another owner behind.
func handsOver(leave bool) parting {
	return parting{fmt.Sprint("hands over, leaving: ", leave), func(o owned, who, _ orgs.User) error {
		_, err := o.TransferOwnership(o.As(who), o.at.OrgID, orgs.Transfer{To: o.heir.ID, Leave: leave})
		return err
	}}
}

func TestTheLastOwnerPartsByNoRoute(t *testing.T) {
	each(t, func(t *testing.T, w *orgstest.World, _ *storetest.Clock) {
		o := newOwned(t, w, 0)
		_, err := w.UpdateMember(w.As(o.first), o.at, o.second.ID, orgs.MemberUpdate{Role: ptr(rbac.MemberRole)})
		require.NoError(t, err)
		for _, p := range partings {
			inTheWay(t, p.do(o, o.first, o.first), "last_owner")
			require.Equal(t, []string{o.first.ID}, o.owners(t), p.name)
		}
		_, err = w.DeleteRole(w.Platform(), o.at.OrgID, rbac.OwnerRole, rbac.MemberRole)
		inTheWay(t, err, "conflict")
		_, err = w.UpdateRole(w.Platform(), o.at.OrgID, rbac.OwnerRole, rbac.RoleUpdate{Permissions: &[]string{"teams.read"}})
		inTheWay(t, err, "conflict")
	})
}

func TestOfTwoOwnersEitherMayPart(t *testing.T) {
	each(t, func(t *testing.T, w *orgstest.World, _ *storetest.Clock) {
		for i, p := range append(partings, handsOver(true), handsOver(false)) {
			o := newOwned(t, w, i)
			require.NoError(t, p.do(o, o.first, o.second), p.name)
			require.Contains(t, o.owners(t), o.second.ID, p.name)
			require.NotContains(t, o.owners(t), o.first.ID, p.name)
		}
	})
}

func TestOwnershipIsHandedOverInOneUnit(t *testing.T) {
	eachRecorded(t, func(t *testing.T, w *orgstest.World, rec *recorder, _ *storetest.Clock) {
		for i, leave := range []bool{false, true} {
			o := newOwned(t, w, i)
			_, err := w.RemoveMember(w.As(o.first), o.at, o.second.ID, orgs.MemberRemoval{})
			require.NoError(t, err)
			rec.take()
			ms, err := w.TransferOwnership(w.As(o.first), o.at.OrgID, orgs.Transfer{To: o.heir.Email, Leave: leave, Reason: "retired"})
			require.NoError(t, err)
			require.Equal(t, []string{o.heir.ID, rbac.OwnerRole}, []string{ms.User.ID, ms.Role})
			require.Len(t, rec.take(), 1)
			require.Equal(t, []string{o.heir.ID}, o.owners(t))

			was, err := w.Member(w.Platform(), o.at, o.first.ID)
			if leave {
				require.ErrorIs(t, err, store.ErrNotFound)
			} else {
				require.NoError(t, err)
				require.Equal(t, rbac.MemberRole, was.Role, "who stays is a plain member")
			}
			e := lastEvent(t, w, o.at.OrgID)
			require.Equal(t, []string{"organization.transferred", "retired"}, []string{e.Type, e.Reason})
			require.JSONEq(t, `{"owner": "`+o.first.ID+`"}`, string(e.Before))
			require.JSONEq(t, `{"owner": "`+o.heir.ID+`"}`, string(e.After))
			require.JSONEq(t, fmt.Sprintf(`{"left": %t}`, leave), string(e.Data))
		}
	})
}

func TestOnlyAnOwnerHandsOver(t *testing.T) {
	eachRecorded(t, func(t *testing.T, w *orgstest.World, rec *recorder, _ *storetest.Clock) {
		o := newOwned(t, w, 0)
		_, err := w.CreateRole(w.Platform(), o.at.OrgID, rbac.NewRole{Name: "All", Permissions: []string{"*"}})
		require.NoError(t, err)
		mighty := w.User("mighty@acme.example")
		w.Add(o.at, mighty, "all")
		_, secret, err := w.CreateAPIKey(w.As(o.first), orgs.NewAPIKey{Name: "k", Organization: o.at.OrgID, Permissions: []string{"*"}})
		require.NoError(t, err)
		key, err := w.Authenticate(t.Context(), secret)
		require.NoError(t, err)
		for name, ctx := range map[string]context.Context{"who holds all": w.As(mighty), "a member": w.As(o.heir),
			"the key of an owner": audit.WithActor(t.Context(), key)} {
			t.Run(name, func(t *testing.T) {
				rec.leavesADenial(t, "permission_denied", func() error {
					_, err := w.TransferOwnership(ctx, o.at.OrgID, orgs.Transfer{To: mighty.ID})
					return err
				})
			})
		}
	})
}

func TestThePlatformGivesAndLosesNothing(t *testing.T) {
	each(t, func(t *testing.T, w *orgstest.World, _ *storetest.Clock) {
		o := newOwned(t, w, 0)
		_, err := w.TransferOwnership(w.Platform(), o.at.OrgID, orgs.Transfer{To: o.heir.ID, Leave: true})
		require.NoError(t, err)
		require.ElementsMatch(t, []string{o.first.ID, o.second.ID, o.heir.ID}, o.owners(t))
	})
}

func TestWhoTakesOverIsAnActiveMemberWithAVerifiedAddress(t *testing.T) {
	eachRecorded(t, func(t *testing.T, w *orgstest.World, rec *recorder, _ *storetest.Clock) {
		o := newOwned(t, w, 0)
		suspended, unverified, outsider := w.User("suspended@acme.example"), w.User("unverified@acme.example"), w.User("outsider@acme.example")
		w.Add(o.at, suspended, "member")
		w.Add(o.at, unverified, "member")
		_, err := w.UpdateUser(w.Platform(), suspended.ID, orgs.UserUpdate{Status: ptr(rbac.Suspended)})
		require.NoError(t, err)
		_, err = w.UpdateUser(w.Platform(), unverified.ID, orgs.UserUpdate{EmailVerified: ptr(false)})
		require.NoError(t, err)
		for _, by := range []context.Context{w.As(o.first), w.Platform()} {
			transfer := func(to string) error {
				return rec.leavesNothing(t, func() error {
					_, err := w.TransferOwnership(by, o.at.OrgID, orgs.Transfer{To: to})
					return err
				})
			}
			wrongField(t, transfer(suspended.ID), "to")
			wrongField(t, transfer(unverified.Email), "to")
			wrongField(t, transfer(""), "to")
			require.ErrorIs(t, transfer(outsider.ID), store.ErrNotFound)
			require.ErrorIs(t, transfer("usr_unknown"), store.ErrNotFound)
		}
		wrongField(t, rec.leavesNothing(t, func() error {
			_, err := w.TransferOwnership(w.As(o.first), o.at.OrgID, orgs.Transfer{To: "me"})
			return err
		}), "to")
	})
}

func TestTheLastOwnerMayGoWhereTheCallerSaysSo(t *testing.T) { // LD-36
	each(t, func(t *testing.T, w *orgstest.World, _ *storetest.Clock) {
		for i, part := range []func(o owned) error{
			func(o owned) error {
				_, err := w.RemoveMember(w.Platform(), o.at, o.first.ID, orgs.MemberRemoval{AllowOwnerless: true})
				return err
			},
			func(o owned) error {
				_, err := w.UpdateMember(w.Platform(), o.at, o.first.ID, orgs.MemberUpdate{Role: ptr("member"), AllowOwnerless: true})
				return err
			},
		} {
			o := newOwned(t, w, i)
			_, err := w.RemoveMember(w.Platform(), o.at, o.second.ID, orgs.MemberRemoval{AllowOwnerless: true})
			require.NoError(t, err)
			require.Empty(t, lastEvent(t, w, o.at.OrgID).Data, "it was not the last one")
			require.NoError(t, part(o))
			require.JSONEq(t, `{"last_owner": true}`, string(lastEvent(t, w, o.at.OrgID).Data))
			require.Empty(t, o.owners(t))
		}
	})
}

func TestWhoBeganWithoutAnOwnerKeepsTheFirst(t *testing.T) {
	each(t, func(t *testing.T, w *orgstest.World, _ *storetest.Clock) {
		ways := []func(org orgs.Organization, u orgs.User){
			func(org orgs.Organization, u orgs.User) { w.Add(orgs.Place{OrgID: org.ID}, u, rbac.OwnerRole) },
			func(org orgs.Organization, u orgs.User) {
				w.Add(orgs.Place{OrgID: org.ID}, u, rbac.MemberRole)
				_, err := w.UpdateMember(w.Platform(), orgs.Place{OrgID: org.ID}, u.ID, orgs.MemberUpdate{Role: ptr(rbac.OwnerRole)})
				require.NoError(t, err)
			},
			func(org orgs.Organization, u orgs.User) {
				w.Add(orgs.Place{OrgID: org.ID}, u, rbac.MemberRole)
				_, err := w.TransferOwnership(w.Platform(), org.ID, orgs.Transfer{To: u.ID})
				require.NoError(t, err)
			},
		}
		for i, becomes := range ways {
			org, err := w.CreateOrganization(w.Platform(), orgs.NewOrganization{Name: fmt.Sprint("acme", i)})
			require.NoError(t, err)
			o := owned{World: w, at: orgs.Place{OrgID: org.ID}, first: w.User(fmt.Sprintf("first%d@acme.example", i))}
			require.Empty(t, o.owners(t))
			becomes(org, o.first)
			for _, p := range partings {
				inTheWay(t, p.do(o, o.first, o.first), "last_owner")
			}
			require.Equal(t, []string{o.first.ID}, o.owners(t))
		}
	})
}

// lastEvent is the newest event of the organization.
func lastEvent(t *testing.T, w *orgstest.World, orgID string) audit.Event {
	t.Helper()
	page, err := w.AuditLog(w.Platform(), orgID, audit.Filter{Types: []string{"organization.*", "member.*", "user.*", "team.*", "api_key.*"}, Limit: 1})
	require.NoError(t, err)
	require.Len(t, page.Items, 1)
	require.True(t, page.Items[0].Data == nil || json.Valid(page.Items[0].Data))
	return page.Items[0]
}
