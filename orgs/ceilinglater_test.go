package orgs_test

import (
	"context"
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

// offered is an invitation by somebody who held all that it offers then.
type offered struct {
	hall
	inviter orgs.User
	role    string // of the inviter, in the team
	offer   string // a role of the organization that is offered
	invitee orgs.User
	token   string
}

func newOffered(t *testing.T, w *orgstest.World, slug string) offered {
	t.Helper()
	h := newHall(t, w, slug)
	o := offered{hall: h, role: h.role("members.invite", "models.use"), offer: h.role("models.use"), invitee: w.User("invitee@" + slug + ".example")}
	grants := orgs.Grants{Add: []string{"usage.read"}}
	o.inviter = h.member(h.team, o.role, grants)
	var err error
	_, o.token, err = w.Invite(w.As(o.inviter), h.team, orgs.NewInvitation{Email: o.invitee.Email, Role: o.offer, Permissions: grants})
	require.NoError(t, err)
	return o
}

func (o offered) accept() error {
	_, _, err := o.AnswerInvitation(o.As(o.invitee), o.token, true)
	return err
}

func TestWhatTheInviterHasLostIsNotAccepted(t *testing.T) { // S4.10
	platform := func(o offered) context.Context { return o.Platform() }
	losses := map[string]func(o offered) error{
		"the role": func(o offered) error {
			_, err := o.UpdateMember(platform(o), o.team, o.inviter.ID, orgs.MemberUpdate{Role: ptr(o.hall.role("members.invite"))})
			return err
		},
		"a grant": func(o offered) error {
			_, err := o.UpdateMember(platform(o), o.team, o.inviter.ID, orgs.MemberUpdate{Permissions: &orgs.Grants{}})
			return err
		},
		"a right that was removed": func(o offered) error {
			_, err := o.UpdateMember(platform(o), o.team, o.inviter.ID, orgs.MemberUpdate{Permissions: &orgs.Grants{Remove: []string{"models.use"}}})
			return err
		},
		"a right of the role": func(o offered) error {
			_, err := o.UpdateRole(platform(o), o.at.OrgID, o.role, rbac.RoleUpdate{Permissions: &[]string{"members.invite"}})
			return err
		},
		"a right of the role in the team": func(o offered) error {
			_, _, err := o.SetOverride(platform(o), o.at.OrgID, o.team.TeamID, o.role, nil, []string{"models.use"})
			return err
		},
		"the height: the role offered has grown": func(o offered) error {
			_, err := o.UpdateRole(platform(o), o.at.OrgID, o.offer, rbac.RoleUpdate{Permissions: &[]string{"models.use", "billing.read"}})
			return err
		},
		"the height: the role offered has grown in the team": func(o offered) error {
			_, _, err := o.SetOverride(platform(o), o.at.OrgID, o.team.TeamID, o.offer, []string{"billing.read"}, nil)
			return err
		},
		"the team": func(o offered) error {
			_, err := o.RemoveMember(platform(o), o.team, o.inviter.ID, orgs.MemberRemoval{})
			return err
		},
		"the organization": func(o offered) error {
			_, err := o.RemoveMember(platform(o), o.at, o.inviter.ID, orgs.MemberRemoval{})
			return err
		},
		"the account": func(o offered) error {
			_, err := o.DeleteUser(platform(o), o.inviter.ID, "")
			return err
		},
		"the use of the account": func(o offered) error {
			_, err := o.UpdateUser(platform(o), o.inviter.ID, orgs.UserUpdate{Status: ptr(rbac.Suspended)})
			return err
		},
	}
	eachRecorded(t, func(t *testing.T, w *orgstest.World, rec *recorder, _ *storetest.Clock) {
		n := 0
		for name, lose := range losses {
			n++
			o := newOffered(t, w, fmt.Sprint("acme", n))
			t.Run(name, func(t *testing.T) {
				o.t = t
				require.NoError(t, lose(o))
				inTheWay(t, rec.leavesNothing(t, o.accept), "conflict")
				_, err := w.Member(w.Platform(), o.at, o.invitee.ID)
				require.ErrorIs(t, err, store.ErrNotFound)
			})
		}
		require.NoError(t, newOffered(t, w, "acme").accept())
	})
}

func TestARoleThatIsGoneIsNotAccepted(t *testing.T) { // S6.5
	each(t, func(t *testing.T, w *orgstest.World, _ *storetest.Clock) {
		o := newOffered(t, w, "acme")
		_, err := w.DeleteRole(w.Platform(), o.at.OrgID, o.offer, "")
		inTheWay(t, err, "in_use")
		_, err = w.DeleteRole(w.Platform(), o.at.OrgID, o.offer, o.hall.role("models.read"))
		require.NoError(t, err)
		inTheWay(t, o.accept(), "conflict") // the inviter does not hold what took its place
		_, err = w.DeleteTeam(w.Platform(), o.team.TeamID, true)
		require.NoError(t, err)
		inTheWay(t, o.accept(), "invitation_revoked")
	})
}

// keyed is a key with every right of the owner who made it; there is another owner.
func keyed(t *testing.T, w *orgstest.World, slug string) (h hall, key context.Context, id string) {
	t.Helper()
	h = newHall(t, w, slug)
	w.Add(h.at, w.User("second@"+slug+".example"), rbac.OwnerRole)
	k, secret, err := w.CreateAPIKey(w.As(h.owner), orgs.NewAPIKey{Name: "k", Organization: h.at.OrgID, User: ptr(""), Permissions: []string{"*"}})
	require.NoError(t, err)
	a, err := w.Authenticate(t.Context(), secret)
	require.NoError(t, err)
	return h, audit.WithActor(t.Context(), a), k.ID
}

func TestAKeyHandsOutNoMoreThanItsMakerHoldsNow(t *testing.T) {
	eachRecorded(t, func(t *testing.T, w *orgstest.World, rec *recorder, _ *storetest.Clock) {
		h, key, _ := keyed(t, w, "acme")
		_, err := w.UpdateMember(w.Platform(), h.at, h.owner.ID, orgs.MemberUpdate{Role: ptr(h.role(clerks...))})
		require.NoError(t, err)
		for _, d := range doors {
			t.Run(d.name, func(t *testing.T) {
				pass := d.open(h.in(t), []string{"billing.update"})
				rec.leavesADenial(t, "grant_ceiling", func() error { return pass(key) })
			})
		}
	})
}

func TestWhatAKeyHasMadeEndsWithItsMakersRights(t *testing.T) {
	each(t, func(t *testing.T, w *orgstest.World, _ *storetest.Clock) {
		h, key, _ := keyed(t, w, "acme")
		_, secret, err := w.CreateAPIKey(key, orgs.NewAPIKey{Name: "of a key", Organization: h.at.OrgID, Permissions: []string{"teams.read"}})
		require.NoError(t, err)
		second, err := w.Authenticate(t.Context(), secret)
		require.NoError(t, err)
		ctx := audit.WithActor(t.Context(), second)
		_, err = w.Teams(ctx, h.at.OrgID, orgs.PartFilter{})
		require.NoError(t, err)
		_, err = w.UpdateMember(w.Platform(), h.at, h.owner.ID, orgs.MemberUpdate{Role: ptr(h.role("usage.read"))})
		require.NoError(t, err)
		_, err = w.Teams(key, h.at.OrgID, orgs.PartFilter{})
		refused(t, err, "permission_denied")
		_, err = w.Teams(ctx, h.at.OrgID, orgs.PartFilter{})
		refused(t, err, "permission_denied")
	})
}

func TestWhatAKeyHasOfferedEndsWithIt(t *testing.T) {
	ends := map[string]func(w *orgstest.World, h hall, id string) error{
		"revoked": func(w *orgstest.World, _ hall, id string) error {
			_, err := w.RevokeAPIKey(w.Platform(), id, "leaked")
			return err
		},
		"disabled": func(w *orgstest.World, _ hall, id string) error {
			_, err := w.DisableAPIKey(w.Platform(), id, "leaked?")
			return err
		},
		"narrowed": func(w *orgstest.World, _ hall, id string) error {
			_, err := w.UpdateAPIKey(w.Platform(), id, orgs.KeyUpdate{Permissions: &[]string{"members.*"}})
			return err
		},
		"left by its maker": func(w *orgstest.World, h hall, _ string) error {
			_, err := w.RemoveMember(w.Platform(), h.at, h.owner.ID, orgs.MemberRemoval{})
			return err
		},
	}
	eachRecorded(t, func(t *testing.T, w *orgstest.World, rec *recorder, _ *storetest.Clock) {
		n := 0
		for name, end := range ends {
			n++
			h, key, id := keyed(t, w, fmt.Sprint("acme", n))
			t.Run(name, func(t *testing.T) {
				invitee := w.User("invitee@" + h.slug + ".example")
				_, token, err := w.Invite(key, h.at, orgs.NewInvitation{Email: invitee.Email, Role: h.in(t).role("billing.update")})
				require.NoError(t, err)
				require.NoError(t, end(w, h, id))
				inTheWay(t, rec.leavesNothing(t, func() error {
					_, _, err := w.AnswerInvitation(w.As(invitee), token, true)
					return err
				}), "conflict")
			})
		}
	})
}

func TestAKeyIsNotThePersonItIsFor(t *testing.T) {
	calls := map[string]func(h hall, key context.Context, u orgs.User, token string) error{
		"leaves the organization": func(h hall, key context.Context, _ orgs.User, _ string) error {
			_, err := h.RemoveMember(key, h.at, "me", orgs.MemberRemoval{})
			return err
		},
		"leaves the team": func(h hall, key context.Context, u orgs.User, _ string) error {
			_, err := h.RemoveMember(key, h.team, u.ID, orgs.MemberRemoval{})
			return err
		},
		"ends a token": func(h hall, key context.Context, _ orgs.User, token string) error {
			_, err := h.RevokeToken(key, "me", token)
			return err
		},
		"makes a token": func(h hall, key context.Context, _ orgs.User, _ string) error {
			_, _, err := h.CreateToken(key, "me", orgs.NewToken{Name: "x"})
			return err
		},
		"renames the person": func(h hall, key context.Context, u orgs.User, _ string) error {
			_, err := h.UpdateUser(key, u.ID, orgs.UserUpdate{Name: ptr("x")})
			return err
		},
	}
	eachRecorded(t, func(t *testing.T, w *orgstest.World, rec *recorder, _ *storetest.Clock) {
		n := 0
		for name, call := range calls {
			n++
			h := newHall(t, w, fmt.Sprint("acme", n))
			u := h.member(h.team, h.role("teams.read"), orgs.Grants{})
			token, _, err := w.CreateToken(w.Platform(), u.ID, orgs.NewToken{Name: "laptop"})
			require.NoError(t, err)
			a, err := w.Authenticate(t.Context(), w.Key(orgs.Team{Meta: store.Meta{ID: h.team.TeamID}}, u))
			require.NoError(t, err)
			t.Run(name, func(t *testing.T) {
				before := rec.state(t)
				require.Error(t, call(h, audit.WithActor(t.Context(), a), u, token.ID))
				require.Empty(t, before.to(rec.state(t)).records)
			})
		}
	})
}
