package orgs_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/orgkit/orgkit/audit"
	"github.com/orgkit/orgkit/orgs"
	"github.com/orgkit/orgkit/orgs/orgstest"
	"github.com/orgkit/orgkit/rbac"
	"github.com/orgkit/orgkit/store/storetest"
)

// hall is an organization with a door for everything by which rights are handed out, and a clerk who has the
// keys to all doors and little to hand out.
type hall struct {
	*orgstest.World
	t     *testing.T
	at    orgs.Place // the organization
	team  orgs.Place
	slug  string
	owner orgs.User
	clerk orgs.User
	made  *int
}

// clerks is what the clerk holds; of invoices.* all but to download them.
var clerks = []string{"roles.*", "members.*", "api_keys.*", "policies.*", "teams.read", "usage.read:own", "invoices.*"}

// newHall makes one; its slug keeps several in one world apart.
func newHall(t *testing.T, w *orgstest.World, slug string) hall {
	t.Helper()
	org, owner := w.Org(slug)
	h := hall{World: w, t: t, at: orgs.Place{OrgID: org.ID}, slug: slug, owner: owner, made: new(int)}
	h.team = orgs.Place{OrgID: org.ID, TeamID: w.Team(org, "lab", orgs.TeamSettings{}).ID}
	h.clerk = h.member(h.at, h.role(clerks...), orgs.Grants{Remove: []string{"invoices.download"}})
	return h
}

// in is the same hall for a test inside of a test.
func (h hall) in(t *testing.T) hall {
	h.t = t
	return h
}

// fresh is a name that nothing has.
func (h hall) fresh() string {
	*h.made++
	return fmt.Sprintf("n%d-%s", *h.made, h.slug)
}

// role is a new role with the permissions.
func (h hall) role(permissions ...string) string {
	h.t.Helper()
	r, err := h.CreateRole(h.Platform(), h.at.OrgID, rbac.NewRole{Name: h.fresh(), Permissions: append([]string{}, permissions...)})
	require.NoError(h.t, err)
	return r.Slug
}

// member is a new member of the place.
func (h hall) member(at orgs.Place, role string, grants orgs.Grants) orgs.User {
	h.t.Helper()
	u := h.World.User(h.fresh() + "@acme.example")
	if at.TeamID != "" {
		_, err := h.AddMember(h.Platform(), h.at, orgs.NewMember{User: u.ID, Role: h.role("teams.read")})
		require.NoError(h.t, err)
	}
	_, err := h.AddMember(h.Platform(), at, orgs.NewMember{User: u.ID, Role: role, Permissions: grants})
	require.NoError(h.t, err)
	return u
}

// override is one of a new role in the team.
func (h hall) override(remove ...string) string {
	h.t.Helper()
	role := h.role("teams.read")
	_, _, err := h.SetOverride(h.Platform(), h.at.OrgID, h.team.TeamID, role, nil, remove)
	require.NoError(h.t, err)
	return role
}

// invitation is a new one by the platform.
func (h hall) invitation(role string, grants orgs.Grants) string {
	h.t.Helper()
	inv, _, err := h.Invite(h.Platform(), h.at, orgs.NewInvitation{Email: h.fresh() + "@new.example", Role: role, Permissions: grants})
	require.NoError(h.t, err)
	return inv.ID
}

// key is a new one by the platform, for nobody.
func (h hall) key(permissions ...string) string {
	h.t.Helper()
	k, _, err := h.CreateAPIKey(h.Platform(), orgs.NewAPIKey{Name: "k", Organization: h.at.OrgID, User: ptr(""), Permissions: permissions})
	require.NoError(h.t, err)
	return k.ID
}

func allow(name string, actions []string) rbac.NewPolicy {
	return rbac.NewPolicy{Name: name, Statements: []rbac.Statement{{Effect: rbac.EffectAllow, Actions: actions, Resources: []string{"*"}}}}
}

// right is what somebody tries to hand out.
type right struct {
	what   string
	grants []string
}

// What the clerk cannot hand out, and can.
var (
	refusedRights = []right{
		{"another right beside one's own", []string{"teams.read", "billing.update"}},
		{"another right", []string{"billing.update"}},
		{"a wildcard", []string{"billing.*"}},
		{"a wildcard over one's own", []string{"teams.*"}},
		{"a wildcard across", []string{"*.read"}},
		{"everything", []string{"*"}},
		{"more than what is one's own", []string{"usage.read"}},
	}
	removedRights = []right{
		{"a wildcard with a hole", []string{"invoices.*"}},
		{"what was removed", []string{"invoices.download"}},
		{"what was removed, one's own", []string{"invoices.download:own"}},
	}
	allowedRights = []right{
		{"one's own right and a part of a wildcard", []string{"teams.read", "members.read", "invoices.read"}},
		{"the same wildcard", []string{"members.*"}},
		{"no more than what is one's own", []string{"usage.read:own"}},
		{"less than one's right", []string{"teams.read:own"}},
	}
)

// some are all rights in memory, where they are cheap, and the first elsewhere.
func some(t *testing.T, rights []right) []right {
	if strings.Contains(t.Name(), "/memory") {
		return rights
	}
	return rights[:1:1]
}

func TestNobodyHandsOutMoreThanTheyHoldAtAnyDoor(t *testing.T) { // S4
	eachRecorded(t, func(t *testing.T, w *orgstest.World, rec *recorder, _ *storetest.Clock) {
		h := newHall(t, w, "acme")
		for _, d := range doors {
			t.Run(d.name, func(t *testing.T) {
				h := h.in(t)
				for _, r := range slices.Concat(some(t, refusedRights), some(t, removedRights)) {
					if d.takes(r.grants) {
						pass := d.open(h, r.grants)
						refusal := rec.leavesADenial(t, "grant_ceiling", func() error { return pass(h.As(h.clerk)) })
						require.NotEmpty(t, refusal.Decision.MissingPermission, r.what)
					}
				}
				for _, r := range some(t, allowedRights) {
					if d.takes(r.grants) {
						require.NoError(t, d.open(h, r.grants)(h.As(h.clerk)), r.what)
					}
				}
			})
		}
	})
}

func TestAKeyHandsOutNoMoreThanItHolds(t *testing.T) {
	eachRecorded(t, func(t *testing.T, w *orgstest.World, rec *recorder, _ *storetest.Clock) {
		h := newHall(t, w, "acme")
		ctx := audit.WithActor(t.Context(), audit.Actor{Type: audit.APIKey, ID: h.key(clerks...)})
		for _, d := range doors {
			t.Run(d.name, func(t *testing.T) {
				h := h.in(t)
				for _, r := range some(t, refusedRights) {
					if d.takes(r.grants) {
						pass := d.open(h, r.grants)
						rec.leavesADenial(t, "grant_ceiling", func() error { return pass(ctx) })
					}
				}
				require.NoError(t, d.open(h, []string{"teams.read"})(ctx))
			})
		}
	})
}

func TestRightsOfATeamAreHandedOutThereAlone(t *testing.T) {
	eachRecorded(t, func(t *testing.T, w *orgstest.World, rec *recorder, _ *storetest.Clock) {
		h := newHall(t, w, "acme")
		other, err := w.CreateTeam(w.Platform(), h.at.OrgID, orgs.NewTeam{Name: "other"})
		require.NoError(t, err)
		_, err = w.AddMember(w.Platform(), h.team, orgs.NewMember{User: h.clerk.ID, Role: h.role("billing.update")})
		require.NoError(t, err)
		invite := func(at orgs.Place) func() error {
			role := h.role("billing.update")
			return func() error {
				_, _, err := w.Invite(w.As(h.clerk), at, orgs.NewInvitation{Email: h.fresh() + "@new.example", Role: role})
				return err
			}
		}
		require.NoError(t, invite(h.team)())
		rec.leavesADenial(t, "grant_ceiling", invite(h.at))
		rec.leavesADenial(t, "grant_ceiling", invite(orgs.Place{OrgID: h.at.OrgID, TeamID: other.ID}))
	})
}

func TestAnInheritedRoleIsHandedOutByWhoHoldsItBelow(t *testing.T) {
	eachRecorded(t, func(t *testing.T, w *orgstest.World, rec *recorder, _ *storetest.Clock) {
		h := newHall(t, w, "acme")
		inherited := func() string {
			r, err := w.CreateRole(w.Platform(), h.at.OrgID, rbac.NewRole{Name: h.fresh(), Permissions: []string{"teams.read"}, Inherited: true})
			require.NoError(t, err)
			return r.Slug
		}
		ways := map[string]func(ctx context.Context) error{
			"makes it": func(ctx context.Context) error {
				_, err := w.CreateRole(ctx, h.at.OrgID, rbac.NewRole{Name: h.fresh(), Permissions: []string{"teams.read"}, Inherited: true})
				return err
			},
			"makes it of another": func(ctx context.Context) error {
				_, err := w.UpdateRole(ctx, h.at.OrgID, h.role("teams.read"), rbac.RoleUpdate{Inherited: ptr(true)})
				return err
			},
			"ends it": func(ctx context.Context) error {
				_, err := w.UpdateRole(ctx, h.at.OrgID, inherited(), rbac.RoleUpdate{Inherited: ptr(false)})
				return err
			},
			"invites": func(ctx context.Context) error {
				_, _, err := w.Invite(ctx, h.at, orgs.NewInvitation{Email: h.fresh() + "@new.example", Role: inherited()})
				return err
			},
			"invites again": func(ctx context.Context) error {
				_, _, err := w.ResendInvitation(ctx, h.at, h.invitation(inherited(), orgs.Grants{}))
				return err
			},
			"assigns it": func(ctx context.Context) error {
				_, err := w.UpdateMember(ctx, h.at, h.member(h.at, h.role("teams.read"), orgs.Grants{}).ID, orgs.MemberUpdate{Role: ptr(inherited())})
				return err
			},
			"takes it away": func(ctx context.Context) error {
				_, err := w.UpdateMember(ctx, h.at, h.member(h.at, inherited(), orgs.Grants{}).ID, orgs.MemberUpdate{Role: ptr(h.role("teams.read"))})
				return err
			},
			"puts it in the place of another": func(ctx context.Context) error {
				_, err := w.DeleteRole(ctx, h.at.OrgID, h.role("teams.read"), inherited())
				return err
			},
		}
		// All hold teams.read in the organization; of them the owner alone holds it below.
		key := audit.WithActor(t.Context(), audit.Actor{Type: audit.APIKey, ID: h.key("*")})
		for name, way := range ways {
			t.Run(name, func(t *testing.T) {
				h.t = t
				require.Equal(t, "teams.read", refused(t, way(w.As(h.clerk)), "grant_ceiling").Decision.MissingPermission)
				refused(t, way(key), "grant_ceiling")
				require.NoError(t, way(w.As(h.owner)))
			})
		}
		_, _, err := w.Invite(w.As(h.clerk), h.team, orgs.NewInvitation{Email: "x@new.example", Role: inherited()})
		require.NoError(t, err, "in a team it is a role like any other")
		rec.leavesADenial(t, "grant_ceiling", func() error {
			_, _, err := w.Invite(w.As(h.clerk), h.at, orgs.NewInvitation{Email: "x@new.example", Role: rbac.OwnerRole})
			return err
		})
	})
}

func TestNobodyTakesFromWhoHoldsMore(t *testing.T) {
	ways := map[string]func(h hall, ctx context.Context, remove []string) error{
		"by an override of their role": func(h hall, ctx context.Context, remove []string) error {
			_, _, err := h.SetOverride(ctx, h.at.OrgID, h.team.TeamID, rbac.OwnerRole, nil, remove)
			return err
		},
		"by making them a member with less": func(h hall, ctx context.Context, remove []string) error {
			_, err := h.AddMember(ctx, h.team, orgs.NewMember{User: h.owner.ID, Role: h.role(), Permissions: orgs.Grants{Remove: remove}})
			return err
		},
		"by making less of their membership": func(h hall, ctx context.Context, remove []string) error {
			if _, err := h.AddMember(h.Platform(), h.team, orgs.NewMember{User: h.owner.ID, Role: h.role()}); err != nil {
				return err
			}
			_, err := h.UpdateMember(ctx, h.team, h.owner.ID, orgs.MemberUpdate{Permissions: &orgs.Grants{Remove: remove}})
			return err
		},
	}
	each(t, func(t *testing.T, w *orgstest.World, _ *storetest.Clock) {
		n := 0
		for name, take := range ways {
			for _, remove := range []string{"*", "teams.*", "billing.update"} {
				t.Run(name+": "+remove, func(t *testing.T) {
					n++
					h := newHall(t, w, fmt.Sprint("acme", n))
					lead := h.member(h.team, h.role("roles.*", "members.*"), orgs.Grants{})
					refused(t, take(h, w.As(lead), []string{remove}), "grant_ceiling")
					_, err := w.UpdateTeam(w.As(h.owner), h.team.TeamID, orgs.TeamUpdate{Name: ptr("mine")})
					require.NoError(t, err, "the owner is not locked out of the team")
				})
			}
		}
	})
}
