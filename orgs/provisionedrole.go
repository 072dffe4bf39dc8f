package orgs

import (
	"context"
	"maps"
	"slices"
	"strings"

	"github.com/orgkit/orgkit/rbac"
	"github.com/orgkit/orgkit/store"
)

// regrant gives a user exactly the roles that their groups are mapped to now, beside what others gave them.
func (p *Provisioner) regrant(ctx context.Context, u ProvisionedUser) error {
	return p.regrantAll(ctx, []ProvisionedUser{u})
}

// regrantAll is regrant of as many as are asked for at once.
func (p *Provisioner) regrantAll(ctx context.Context, users []ProvisionedUser) error {
	held, err := p.memberships(ctx, users)
	if err != nil {
		return err
	}
	return p.regrantIn(ctx, users, held)
}

// regrantIn is regrant of users whose memberships are known.
func (p *Provisioner) regrantIn(ctx context.Context, users []ProvisionedUser, held map[string]rbac.Assignment) error {
	mapping := p.Settings.SyncGroups && len(p.Settings.RoleMapping) > 0
	var in map[string][]ProvisionedGroup
	if mapping {
		var err error
		if in, err = p.directGroups(ctx, users); err != nil {
			return err
		}
	}
	for _, u := range users {
		a, is := held[u.UserID]
		if !is || !mapping && len(a.Given) == 0 {
			continue
		}
		given, err := p.mapped(ctx, in[u.ID])
		if err != nil {
			return err
		}
		if slices.Equal(given, a.Given) {
			continue
		}
		a.Given = given
		if err := rbac.Assignments.Update(ctx, p.tx, &a); err != nil {
			return err
		}
	}
	return nil
}

// directGroups are the groups that users are in themselves, in the order of their ids.
func (p *Provisioner) directGroups(ctx context.Context, users []ProvisionedUser) (map[string][]ProvisionedGroup, error) {
	members, all := make([]string, len(users)), map[string][]string{}
	for i, u := range users {
		members[i] = u.ID
	}
	for m, err := range provisionedMembers.All(ctx, p.tx, store.Query{Where: []store.Cond{store.In("member_id", members)}}) {
		if err != nil {
			return nil, err
		}
		all[m.GroupID] = append(all[m.GroupID], m.MemberID)
	}
	groups, err := p.GroupsWith(ctx, "id", slices.Sorted(maps.Keys(all)))
	if err != nil {
		return nil, err
	}
	in := map[string][]ProvisionedGroup{}
	for _, g := range groups {
		for _, id := range all[g.ID] {
			in[id] = append(in[id], g)
		}
	}
	return in, nil
}

// mapped are the ids of the roles that groups are mapped to, within what the provider may give, sorted.
func (p *Provisioner) mapped(ctx context.Context, in []ProvisionedGroup) (given []string, err error) {
	for _, g := range in {
		for i := range p.Settings.RoleMapping {
			r := &p.Settings.RoleMapping[i]
			is, err := p.isOf(ctx, r, g)
			if err != nil {
				return nil, err
			}
			if !is {
				continue
			}
			owner, err := p.role(ctx, rbac.OwnerRole)
			if err != nil {
				return nil, err
			}
			if p.Settings.allows(r.RoleID, owner) {
				given = append(given, r.RoleID)
			}
		}
	}
	slices.Sort(given)
	return slices.Compact(given), nil
}

// isOf says whether an entry of the role mapping is of a group. One that names it is pinned to it from now on.
func (p *Provisioner) isOf(ctx context.Context, r *MappedRole, g ProvisionedGroup) (bool, error) {
	if r.Pinned != "" {
		return r.Pinned == g.ID, nil
	}
	switch {
	case r.Group == g.ID, g.ExternalID != nil && r.Group == *g.ExternalID:
		return true, nil
	case !strings.EqualFold(r.Group, g.Name) || !p.tx.Writable():
		return false, nil
	}
	r.Pinned = g.ID
	return true, provisionings.Update(ctx, p.tx, &p.Settings)
}
