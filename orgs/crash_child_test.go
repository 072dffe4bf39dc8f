package orgs_test

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	random "math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/shopspring/decimal"

	"github.com/orgkit/orgkit/audit"
	"github.com/orgkit/orgkit/billing"
	"github.com/orgkit/orgkit/orgs"
	"github.com/orgkit/orgkit/rbac"
	"github.com/orgkit/orgkit/store"
)

// walk makes changes at random in organizations that no other walk knows. What a change needs is made first.
type walk struct {
	*orgs.Manager
	ctx  context.Context
	mine []*tenant
}

type tenant struct {
	id, owner string
	gone      bool
	crews     []*crew
}

type crew struct {
	at      orgs.Place
	members []string
	keys    []string
}

// resume deals out the newest organizations, so that a child goes on with what those before it left. Those of
// one tree go to one walk.
func resume(ctx context.Context, m *orgs.Manager, walks []*walk) error {
	return m.View(ctx, func(ctx context.Context, tx *store.Tx) error {
		page, err := m.Organizations(ctx, orgs.OrganizationFilter{Limit: 2 * len(walks)})
		if err != nil {
			return err
		}
		dealt := map[string]*walk{}
		for i, o := range page.Items {
			chain, err := rbac.Lineage(ctx, tx, o.ID)
			if err != nil {
				return err
			}
			root := chain[len(chain)-1].ID
			if dealt[root] == nil {
				dealt[root] = walks[i%len(walks)]
			}
			t, err := known(ctx, tx, o.ID)
			if err != nil {
				return err
			}
			dealt[root].mine = append(dealt[root].mine, t)
		}
		return nil
	})
}

func known(ctx context.Context, tx *store.Tx, orgID string) (*tenant, error) {
	o, crews := &tenant{id: orgID}, map[string]*crew{}
	owner, err := rbac.FindRole(ctx, tx, orgID, rbac.OwnerRole)
	if err != nil {
		return nil, err
	}
	all := store.Query{Where: []store.Cond{store.Eq("org_id", orgID)}}
	for r, err := range rbac.Restrictions.All(ctx, tx, all) { // one for each team
		if err != nil {
			return nil, err
		}
		crews[r.ID] = &crew{at: orgs.Place{OrgID: orgID, TeamID: r.ID}}
		o.crews = append(o.crews, crews[r.ID])
	}
	for a, err := range rbac.Assignments.All(ctx, tx, all) {
		if err != nil {
			return nil, err
		}
		if a.RoleID == owner.ID {
			o.owner = a.Subject
		}
		switch c := crews[a.TeamID]; {
		case c == nil || a.State != rbac.Active:
		case a.Kind == rbac.Member:
			c.members = append(c.members, a.Subject)
		default:
			c.keys = append(c.keys, a.Subject)
		}
	}
	return o, nil
}

func (w *walk) step() error {
	if len(w.mine) < 2 || random.IntN(30) == 0 {
		return w.found()
	}
	o := pick(w.mine)
	switch {
	case o.gone:
		return w.restore(o)
	case len(o.crews) == 0 || random.IntN(30) == 0:
		return w.team(o)
	}
	c := pick(o.crews)
	switch {
	case len(c.members) < 2:
		return w.join(c)
	case len(c.keys) < 2:
		return w.keys(c)
	}
	return pick([]func(*tenant, *crew) error{w.rename, w.move, w.remove, w.archive, w.disband, w.rotate, w.promote, w.leave, w.expel, w.transfer})(o, c)
}

func pick[T any](from []T) T { return from[random.IntN(len(from))] }

func unique() string { return strings.ToLower(rand.Text()) }

// change makes one change and says so. Where something is in its way, such as an organization above that is
// deleted, there is nothing to say.
func (w *walk) change(event string, do func(ctx context.Context) (id string, err error)) error {
	ctx, receipt := rbac.WithReceipt(w.ctx)
	id, err := do(ctx)
	var conflict *store.ConflictError
	if errors.Is(err, store.ErrNotFound) || errors.As(err, &conflict) {
		return nil
	} else if err != nil {
		return fmt.Errorf("%s: %w", event, err)
	}
	say("%s %s %s", event, id, receipt.Revision())
	return nil
}

func by(ctx context.Context, user string) context.Context {
	return audit.WithActor(ctx, audit.Actor{Type: audit.User, ID: user})
}

func (w *walk) user() (u orgs.User, err error) {
	err = w.change("user.created", func(ctx context.Context) (string, error) {
		u, err = w.CreateUser(ctx, orgs.NewUser{Email: unique() + "@crash.example", EmailVerified: true})
		return u.ID, err
	})
	return u, err
}

// found: the organization, its slug, its scope, two roles and its owner.
func (w *walk) found() error {
	owner, err := w.user()
	if err != nil {
		return err
	}
	in := orgs.NewOrganization{Name: "Crash", Slug: unique(), Owner: owner.ID}
	if len(w.mine) > 0 && random.IntN(2) == 0 {
		in.Parent = pick(w.mine).id
	}
	return w.change("organization.created", func(ctx context.Context) (string, error) {
		o, err := w.CreateOrganization(ctx, in)
		if err == nil {
			w.mine = append(w.mine, &tenant{id: o.ID, owner: owner.ID})
		}
		return o.ID, err
	})
}

// team: the team, its restriction and its budget.
func (w *walk) team(o *tenant) error {
	return w.change("team.created", func(ctx context.Context) (string, error) {
		limit := billing.NewAmount(decimal.NewFromInt(100))
		t, err := w.CreateTeam(ctx, o.id, orgs.NewTeam{Name: "Crew", Slug: unique(), Settings: orgs.TeamSettings{
			Budget: &orgs.BudgetSettings{MonthlyLimit: &limit}}})
		if err == nil {
			o.crews = append(o.crews, &crew{at: orgs.Place{OrgID: o.id, TeamID: t.ID}})
		}
		return t.ID, err
	})
}

// join: the invitation, then it and two memberships.
func (w *walk) join(c *crew) error {
	u, err := w.user()
	if err != nil {
		return err
	}
	var token string
	err = w.change("member.invited", func(ctx context.Context) (id string, err error) {
		inv, secret, err := w.Invite(ctx, c.at, orgs.NewInvitation{Email: u.Email, Role: rbac.MemberRole})
		token = secret
		return inv.ID, err
	})
	if err != nil || token == "" || random.IntN(8) == 0 { // some stay pending
		return err
	}
	return w.change("member.joined", func(ctx context.Context) (string, error) {
		_, _, err := w.AnswerInvitation(by(ctx, u.ID), token, true)
		if err == nil {
			c.members = append(c.members, u.ID)
		}
		return u.ID, err
	})
}

// keys: two keys of one name and their assignments, in one unit.
func (w *walk) keys(c *crew) error {
	return w.change("api_key.created", func(ctx context.Context) (string, error) {
		in := orgs.NewAPIKey{Name: unique(), Team: c.at.TeamID, User: ptr(pick(c.members)), InheritTeam: true}
		made, err := w.CreateAPIKeys(ctx, []orgs.NewAPIKey{in, in}, true)
		if err != nil {
			return "", err
		}
		for _, row := range made {
			c.keys = append(c.keys, row.Value.Key.ID)
		}
		return c.keys[len(c.keys)-1], nil
	})
}

// about is a change of something that is known.
func (w *walk) about(event, id string, do func(ctx context.Context) error) error {
	return w.change(event, func(ctx context.Context) (string, error) { return id, do(ctx) })
}

// rotate: the key and its assignment.
func (w *walk) rotate(_ *tenant, c *crew) error {
	key := pick(c.keys)
	return w.about("api_key.rotated", key, func(ctx context.Context) error {
		_, _, err := w.RotateAPIKey(ctx, key, time.Hour)
		return err
	})
}

// rename: the organization, its scope and two slugs.
func (w *walk) rename(o *tenant, _ *crew) error {
	return w.about("organization.updated", o.id, func(ctx context.Context) error {
		return second(w.UpdateOrganization(ctx, o.id, orgs.OrganizationUpdate{Slug: ptr(unique())}))
	})
}

// move: the organization and its scope.
func (w *walk) move(o *tenant, _ *crew) error {
	parent := pick(w.mine).id
	if parent == o.id {
		parent = ""
	}
	return w.about("organization.moved", o.id, func(ctx context.Context) error {
		return second(w.MoveOrganization(ctx, o.id, parent))
	})
}

// remove: the organization, its scope and its slug.
func (w *walk) remove(o *tenant, _ *crew) error {
	return w.about("organization.deleted", o.id, func(ctx context.Context) error {
		err := second(w.DeleteOrganization(ctx, o.id, true, ""))
		o.gone = err == nil
		return err
	})
}

func (w *walk) restore(o *tenant) error {
	return w.about("organization.restored", o.id, func(ctx context.Context) error {
		err := second(w.RestoreOrganization(ctx, o.id, ""))
		o.gone = err != nil
		return err
	})
}

// archive: the team, its restriction and its budget.
func (w *walk) archive(_ *tenant, c *crew) error {
	err := w.about("team.archived", c.at.TeamID, func(ctx context.Context) error { return second(w.ArchiveTeam(ctx, c.at.TeamID)) })
	if err != nil {
		return err
	}
	return w.about("team.unarchived", c.at.TeamID, func(ctx context.Context) error { return second(w.UnarchiveTeam(ctx, c.at.TeamID)) })
}

// disband: the team with its members, keys, invitations, restriction and budget.
func (w *walk) disband(o *tenant, c *crew) error {
	return w.about("team.deleted", c.at.TeamID, func(ctx context.Context) error {
		err := second(w.DeleteTeam(ctx, c.at.TeamID, true))
		if err == nil {
			o.crews = slices.DeleteFunc(o.crews, func(other *crew) bool { return other == c })
		}
		return err
	})
}

// promote: a membership.
func (w *walk) promote(_ *tenant, c *crew) error {
	user, grants := pick(c.members), &orgs.Grants{Add: []string{pick([]string{"usage.read", "teams.read"})}}
	return w.about("member.role_changed", user, func(ctx context.Context) error {
		return second(w.UpdateMember(ctx, c.at, user, orgs.MemberUpdate{Permissions: grants}))
	})
}

// leave: one or all memberships of a user, and the keys, which another one may take over.
func (w *walk) leave(_ *tenant, c *crew) error {
	at, user, heir := c.at, pick(c.members), pick(c.members)
	if heir == user {
		heir = ""
	}
	if random.IntN(2) == 0 {
		at.TeamID = ""
	}
	return w.about("member.removed", user, func(ctx context.Context) error {
		err := second(w.RemoveMember(ctx, at, user, orgs.MemberRemoval{ReassignTo: heir}))
		c.left(user, err)
		return err
	})
}

// expel: the user with all memberships and keys, those in deleted organizations too.
func (w *walk) expel(o *tenant, c *crew) error {
	user := pick(c.members)
	if user == o.owner { // who may go where an organization above is deleted, and leaves none behind
		return nil
	}
	return w.about("user.deleted", user, func(ctx context.Context) error {
		err := second(w.DeleteUser(ctx, user, ""))
		c.left(user, err)
		return err
	})
}

func (c *crew) left(user string, err error) {
	if err == nil {
		c.members = slices.DeleteFunc(c.members, func(u string) bool { return u == user })
	}
}

// transfer: two memberships.
func (w *walk) transfer(o *tenant, c *crew) error {
	heir := pick(c.members)
	if heir == o.owner {
		return nil
	}
	return w.about("organization.transferred", o.id, func(ctx context.Context) error {
		err := second(w.TransferOwnership(by(ctx, o.owner), o.id, orgs.Transfer{To: heir}))
		if err == nil {
			o.owner = heir
		}
		return err
	})
}
