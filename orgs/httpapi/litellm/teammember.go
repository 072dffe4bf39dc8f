package litellm

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strings"

	"github.com/orgkit/orgkit/orgs"
	"github.com/orgkit/orgkit/store"
)

// wantedTeamMembers reads the field member of a call of teams, whose roles are admin and user.
func (c *call) wantedTeamMembers() (list []wanted, err error) {
	given := c.in.given["member"]
	var all []map[string]raw
	var one map[string]raw
	switch {
	case len(given) == 0:
		c.in.fault("missing", "Field required", "member")
	case json.Unmarshal(given, &all) == nil && !isNull(given):
	case json.Unmarshal(given, &one) == nil && one != nil:
		all = []map[string]raw{one}
	default:
		c.in.fault("dict_type", "Input should be a valid dictionary", "member")
	}
	for _, m := range all {
		f := bodyFields(m)
		w := wanted{id: f.text("user_id").v, email: strings.TrimSpace(f.text("user_email").v), role: f.needed("role")}
		if w.id == "" && w.email == "" || len(f.list) > 0 || w.role != "admin" && w.role != "user" {
			c.in.fault("value_error", "Value error, a member has a role, admin or user, and a user_id or user_email", "member")
		}
		list = append(list, w)
	}
	return list, c.in.err()
}

// joinTeam makes a user a member of a team, and of its organization where they are none (A8).
func (c *call) joinTeam(ctx context.Context, o orgs.Organization, t orgs.Team, w wanted) (orgs.Membership, error) {
	ref := w.id
	if ref == "" {
		ref = w.email
	}
	ms, err := c.svc.Member(ctx, orgs.Place{OrgID: o.ID}, ref)
	if errors.Is(err, store.ErrNotFound) {
		if c.opt.TeamMembersOnlyOfOrg {
			return ms, detail(http.StatusBadRequest, "User "+plain(ref)+" is no member of organization "+o.PublicID()+", to which the team belongs")
		}
		ms, err = c.enlist(ctx, o, wanted{id: w.id, email: w.email, role: roleUser})
	}
	if err != nil {
		return ms, err
	}
	role := roleUser
	if w.role == "admin" {
		role = roleTeamAdmin
		if _, err = c.svc.Role(ctx, o.ID, role); errors.Is(err, store.ErrNotFound) {
			_, err = c.svc.CreateRole(ctx, o.ID, teamAdminRole)
		}
	} else {
		_, err = c.role(ctx, o.ID, role)
	}
	if err != nil {
		return ms, err
	}
	joined, err := c.svc.AddMember(ctx, orgs.Place{OrgID: o.ID, TeamID: t.ID}, orgs.NewMember{User: ms.User.ID, Role: role})
	return joined, coded(err, "already_member", wrapped(http.StatusBadRequest, "team_member_already_in_team", "user_id",
		"User "+ms.User.PublicID()+" is already in team "+t.PublicID()))
}

// changedTeamRow is a team whose members have changed.
type changedTeamRow struct {
	teamRow
	Users       []userRow `json:"updated_users"`
	Memberships []teamMem `json:"updated_team_memberships"`
}

// addTeamMembers is POST /team/member_add: all of them, or none.
func (c *call) addTeamMembers() (any, error) {
	id, budget, list, err := c.added("team_id", "max_budget_in_team", c.wantedTeamMembers)
	if err != nil {
		return nil, err
	}
	var t orgs.Team
	var o orgs.Organization
	var row changedTeamRow
	err = c.svc.Together(c.ctx(), func(ctx context.Context) error {
		row = changedTeamRow{Users: []userRow{}, Memberships: []teamMem{}}
		if t, o, err = c.team(ctx, id); err != nil {
			return as(err, store.ErrNotFound, unknownTeam(id))
		}
		for _, w := range list {
			ms, err := c.joinTeam(ctx, o, t, w)
			if err != nil {
				return err
			}
			u, err := c.userRow(ctx, ms.User)
			if err != nil {
				return err
			}
			row.Users = append(row.Users, u)
			row.Memberships = append(row.Memberships, teamMem{ms.User.PublicID(), t.PublicID()})
			if budget.some() {
				b := c.memberBudget(o.ID, ms.User.ID, budget.v)
				b.TeamID = t.ID
				if _, err := c.svc.SetBudget(ctx, b); err != nil {
					return err
				}
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	row.teamRow, err = c.teamRow(o, t)
	return row, err
}

// deleteTeamMember is POST /team/member_delete.
func (c *call) deleteTeamMember() (any, error) {
	id := c.in.needed("team_id")
	ref, _, err := c.named()
	if err != nil {
		return nil, err
	}
	var t orgs.Team
	var o orgs.Organization
	err = c.svc.Together(c.ctx(), func(ctx context.Context) error {
		if t, o, err = c.team(ctx, id); err != nil {
			return as(err, store.ErrNotFound, unknownTeam(id))
		}
		_, err := c.svc.RemoveMember(ctx, orgs.Place{OrgID: o.ID, TeamID: t.ID}, ref, orgs.MemberRemoval{})
		return as(err, store.ErrNotFound, detail(http.StatusBadRequest, "User not found in team. Passed user_id="+plain(ref)))
	})
	if err != nil {
		return nil, err
	}
	return c.teamRow(o, t)
}
