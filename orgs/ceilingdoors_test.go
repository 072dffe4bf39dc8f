package orgs_test

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/orgkit/orgkit/orgs"
	"github.com/orgkit/orgkit/rbac"
)

// door is a way in which rights are handed out, given back, or taken from who has them. open prepares what it
// takes and returns the step that hands out.
type door struct {
	name  string
	noOwn bool // it knows no rights that are limited to what is one's own
	open  func(h hall, rights []string) func(ctx context.Context) error
}

// takes says whether such rights go through the door.
func (d door) takes(rights []string) bool {
	return !d.noOwn || !slices.ContainsFunc(rights, func(r string) bool { return strings.HasSuffix(r, ":own") })
}

type step = func(ctx context.Context) error

var doors = slices.Concat(roleDoors, memberDoors, keyDoors, policyDoors)

var roleDoors = []door{
	{name: "makes a role", open: func(h hall, rights []string) step {
		return func(ctx context.Context) error {
			_, err := h.CreateRole(ctx, h.at.OrgID, rbac.NewRole{Name: h.fresh(), Permissions: rights})
			return err
		}
	}},
	{name: "widens a role", open: func(h hall, rights []string) step {
		role := h.role("teams.read")
		return func(ctx context.Context) error {
			_, err := h.UpdateRole(ctx, h.at.OrgID, role, rbac.RoleUpdate{Permissions: ptr(slices.Concat(rights, []string{"teams.read"}))})
			return err
		}
	}},
	{name: "narrows a role", open: func(h hall, rights []string) step {
		role := h.role(rights...)
		return func(ctx context.Context) error {
			_, err := h.UpdateRole(ctx, h.at.OrgID, role, rbac.RoleUpdate{Permissions: &[]string{}})
			return err
		}
	}},
	{name: "renames a role", open: func(h hall, rights []string) step {
		role := h.role(rights...)
		return func(ctx context.Context) error {
			_, err := h.UpdateRole(ctx, h.at.OrgID, role, rbac.RoleUpdate{Name: ptr(h.fresh())})
			return err
		}
	}},
	{name: "deletes a role", open: func(h hall, rights []string) step {
		role := h.role(rights...)
		return func(ctx context.Context) error {
			_, err := h.DeleteRole(ctx, h.at.OrgID, role, "")
			return err
		}
	}},
	{name: "puts a role in the place of another", open: func(h hall, rights []string) step {
		role, other := h.role("teams.read"), h.role(rights...)
		return func(ctx context.Context) error {
			_, err := h.DeleteRole(ctx, h.at.OrgID, role, other)
			return err
		}
	}},
	{name: "overrides a role", open: func(h hall, rights []string) step {
		role := h.role("teams.read")
		return func(ctx context.Context) error {
			_, _, err := h.SetOverride(ctx, h.at.OrgID, h.team.TeamID, role, rights, nil)
			return err
		}
	}},
	{name: "overrides a role again, without what it removed", open: func(h hall, rights []string) step {
		role := h.override(rights...)
		return func(ctx context.Context) error {
			_, _, err := h.SetOverride(ctx, h.at.OrgID, h.team.TeamID, role, nil, nil)
			return err
		}
	}},
	{name: "deletes an override that removes", open: func(h hall, rights []string) step {
		role := h.override(rights...)
		return func(ctx context.Context) error {
			_, err := h.DeleteOverride(ctx, h.at.OrgID, h.team.TeamID, role)
			return err
		}
	}},
}

var memberDoors = []door{
	{name: "invites with a role", open: func(h hall, rights []string) step {
		role := h.role(rights...)
		return func(ctx context.Context) error {
			_, _, err := h.Invite(ctx, h.at, orgs.NewInvitation{Email: h.fresh() + "@new.example", Role: role})
			return err
		}
	}},
	{name: "invites with grants", open: func(h hall, rights []string) step {
		role := h.role("teams.read")
		return func(ctx context.Context) error {
			_, _, err := h.Invite(ctx, h.team, orgs.NewInvitation{Email: h.fresh() + "@new.example", Role: role, Permissions: orgs.Grants{Add: rights}})
			return err
		}
	}},
	{name: "invites several", open: func(h hall, rights []string) step {
		less, more := h.role("teams.read"), h.role(rights...)
		return func(ctx context.Context) error {
			_, err := several(h.InviteMany(ctx, h.at, []orgs.NewInvitation{{Email: h.fresh() + "@new.example", Role: less}, {Email: h.fresh() + "@new.example", Role: more}}, true))
			return err
		}
	}},
	{name: "sends an invitation with a role again", open: func(h hall, rights []string) step {
		id := h.invitation(h.role(rights...), orgs.Grants{})
		return func(ctx context.Context) error {
			_, _, err := h.ResendInvitation(ctx, h.at, id)
			return err
		}
	}},
	{name: "sends an invitation with grants again", open: func(h hall, rights []string) step {
		id := h.invitation(h.role("teams.read"), orgs.Grants{Add: rights})
		return func(ctx context.Context) error {
			_, _, err := h.ResendInvitation(ctx, h.at, id)
			return err
		}
	}},
	{name: "adds to a team with a role", open: func(h hall, rights []string) step {
		u, role := h.member(h.at, h.role("teams.read"), orgs.Grants{}), h.role(rights...)
		return func(ctx context.Context) error {
			_, err := h.AddMember(ctx, h.team, orgs.NewMember{User: u.ID, Role: role})
			return err
		}
	}},
	{name: "adds to a team with grants", open: func(h hall, rights []string) step {
		u, role := h.member(h.at, h.role("teams.read"), orgs.Grants{}), h.role("teams.read")
		return func(ctx context.Context) error {
			_, err := several(h.AddMembers(ctx, h.team, []orgs.NewMember{{User: u.ID, Role: role, Permissions: orgs.Grants{Add: rights}}}, true))
			return err
		}
	}},
	{name: "raises a member by a role", open: func(h hall, rights []string) step {
		u, role := h.member(h.at, h.role("teams.read"), orgs.Grants{}), h.role(rights...)
		return func(ctx context.Context) error {
			_, err := h.UpdateMember(ctx, h.at, u.ID, orgs.MemberUpdate{Role: &role})
			return err
		}
	}},
	{name: "raises a member by grants", open: func(h hall, rights []string) step {
		u := h.member(h.team, h.role("teams.read"), orgs.Grants{})
		return func(ctx context.Context) error {
			_, err := h.UpdateMember(ctx, h.team, u.ID, orgs.MemberUpdate{Permissions: &orgs.Grants{Add: rights}})
			return err
		}
	}},
	{name: "gives a member back what was removed", open: func(h hall, rights []string) step {
		u := h.member(h.team, h.role("teams.read"), orgs.Grants{Remove: rights})
		return func(ctx context.Context) error {
			_, err := h.UpdateMember(ctx, h.team, u.ID, orgs.MemberUpdate{Permissions: &orgs.Grants{}})
			return err
		}
	}},
	{name: "lowers a member with such a role", open: func(h hall, rights []string) step {
		u, role := h.member(h.at, h.role(rights...), orgs.Grants{}), h.role("teams.read")
		return func(ctx context.Context) error {
			_, err := h.UpdateMember(ctx, h.at, u.ID, orgs.MemberUpdate{Role: &role})
			return err
		}
	}},
	{name: "lowers a member with such grants", open: func(h hall, rights []string) step {
		u := h.member(h.at, h.role("teams.read"), orgs.Grants{Add: rights})
		return func(ctx context.Context) error {
			_, err := h.UpdateMember(ctx, h.at, u.ID, orgs.MemberUpdate{Permissions: &orgs.Grants{}})
			return err
		}
	}},
	{name: "removes a member with such a role", open: func(h hall, rights []string) step {
		u := h.member(h.at, h.role(rights...), orgs.Grants{})
		return func(ctx context.Context) error {
			_, err := h.RemoveMember(ctx, h.at, u.ID, orgs.MemberRemoval{})
			return err
		}
	}},
}

var keyDoors = []door{
	{name: "makes a key", open: func(h hall, rights []string) step {
		return func(ctx context.Context) error {
			_, _, err := h.CreateAPIKey(ctx, orgs.NewAPIKey{Name: "k", Organization: h.at.OrgID, User: ptr(""), Permissions: rights})
			return err
		}
	}},
	{name: "makes several keys", open: func(h hall, rights []string) step {
		return func(ctx context.Context) error {
			_, err := several(h.CreateAPIKeys(ctx, []orgs.NewAPIKey{{Name: "k", Team: h.team.TeamID, User: ptr("")}, {Name: "l", Team: h.team.TeamID, User: ptr(""), Permissions: rights}}, true))
			return err
		}
	}},
	{name: "widens a key", open: func(h hall, rights []string) step {
		id := h.key("teams.read")
		return func(ctx context.Context) error {
			_, err := h.UpdateAPIKey(ctx, id, orgs.KeyUpdate{Permissions: &rights})
			return err
		}
	}},
	{name: "takes over the secret of a key", open: func(h hall, rights []string) step { // S9.8
		id := h.key(rights...)
		return func(ctx context.Context) error {
			_, _, err := h.RotateAPIKey(ctx, id, time.Hour)
			return err
		}
	}},
}

var policyDoors = []door{
	{name: "allows by a policy", noOwn: true, open: func(h hall, rights []string) step {
		return func(ctx context.Context) error {
			p, _, err := h.CreatePolicy(ctx, h.at.OrgID, h.team.TeamID, allow(h.fresh(), rights))
			return h.dropped(p, err)
		}
	}},
	{name: "allows by a policy of the organization", noOwn: true, open: func(h hall, rights []string) step {
		return func(ctx context.Context) error {
			p, _, err := h.CreatePolicy(ctx, h.at.OrgID, "", allow(h.fresh(), rights))
			return h.dropped(p, err)
		}
	}},
	{name: "allows by what a policy becomes", noOwn: true, open: func(h hall, rights []string) step {
		p, _, err := h.CreatePolicy(h.Platform(), h.at.OrgID, h.team.TeamID, allow(h.fresh(), []string{"models.use"}))
		if err != nil {
			h.t.Fatal(err)
		}
		return func(ctx context.Context) error {
			p, _, err := h.UpdatePolicy(ctx, h.at.OrgID, h.team.TeamID, p.ID, allow(p.Name, rights))
			return h.dropped(p, err)
		}
	}},
}

// dropped takes a policy away again, whose word would count at the next door.
func (h hall) dropped(p rbac.Policy, err error) error {
	if err == nil {
		_, err = h.DeletePolicy(h.Platform(), p.OrgID, p.TeamID, p.ID)
	}
	return err
}
