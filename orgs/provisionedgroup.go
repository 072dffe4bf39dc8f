package orgs

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"

	"github.com/orgkit/orgkit/audit"
	"github.com/orgkit/orgkit/rbac"
	"github.com/orgkit/orgkit/store"
)

// ProvisionedGroup is a group of the identity provider: a team, where the organization syncs groups.
type ProvisionedGroup struct {
	store.Meta
	OrgID      string  `json:"organization_id"`
	TeamID     *string `json:"team_id"`
	Name       string  `json:"name"`
	NameKey    string  `json:"-"` // as it is compared
	ExternalID *string `json:"external_id"`
}

var provisionedGroups = store.Define[ProvisionedGroup]("provisioned_groups", "scg",
	store.Unique("org_id", "name_key"), store.Unique("org_id", "external_id"), store.Unique("team_id"), store.Index("org_id"))

// AuditResource is how the log names the group.
func (g ProvisionedGroup) AuditResource() audit.Resource {
	return audit.Resource{Type: "scim_group", ID: g.ID}
}

// RecordVersion is that of the record.
func (g ProvisionedGroup) RecordVersion() int64 { return g.Version }

// Team is the id of the group's team, "" where it has none.
func (g ProvisionedGroup) Team() string {
	if g.TeamID == nil {
		return ""
	}
	return *g.TeamID
}

// ProvisionedMember is a user or group in a group.
type ProvisionedMember struct {
	store.Meta
	OrgID    string `json:"organization_id"`
	GroupID  string `json:"group_id"`
	MemberID string `json:"member_id"`
	IsGroup  bool   `json:"is_group"`
}

var provisionedMembers = store.Define[ProvisionedMember]("provisioned_members", "scm",
	store.Unique("group_id", "member_id"), store.Index("group_id"), store.Index("member_id"))

// unusedGroup refuses a name or external id that another group has; those that it had itself before need no look.
func (p *Provisioner) unusedGroup(ctx context.Context, before, g ProvisionedGroup) error {
	for field, conds := range map[string][]store.Cond{"displayName": {store.Eq("name_key", g.NameKey)}, "externalId": {store.Eq("external_id", g.ExternalID)}} {
		if field == "externalId" && (g.ExternalID == nil || sameText(before.ExternalID, g.ExternalID)) || field == "displayName" && before.NameKey == g.NameKey {
			continue
		}
		other, err := provisionedGroups.Find(ctx, p.tx, append(conds, store.Eq("org_id", p.orgID))...)
		if err == nil && other.ID != g.ID {
			return uniqueness(field, other.ID)
		} else if err != nil && !errors.Is(err, store.ErrNotFound) {
			return err
		}
	}
	return nil
}

// CreateGroup makes a group without members, and its team.
func (p *Provisioner) CreateGroup(ctx context.Context, g ProvisionedGroup) (ProvisionedGroup, audit.Change, error) {
	g.Meta, g.OrgID, g.TeamID = store.Meta{}, p.orgID, nil
	if err := rbac.CheckText("displayName", g.Name, 1, rbac.MaxName); err != nil {
		return g, audit.Change{}, err
	}
	if err := p.unusedGroup(ctx, ProvisionedGroup{}, g); err != nil {
		return g, audit.Change{}, err
	}
	g.ID = p.tx.NewID(provisionedGroups.Kind().Prefix)
	if err := p.makeTeam(ctx, &g); err != nil {
		return g, audit.Change{}, err
	}
	if err := provisionedGroups.Insert(ctx, p.tx, &g); err != nil {
		return g, audit.Change{}, err
	}
	return g, audit.Created(&g).As("scim.group_created").In(g.Team()), nil
}

// makeTeam gives a group its team, as a team is made by hand.
func (p *Provisioner) makeTeam(ctx context.Context, g *ProvisionedGroup) error {
	if !p.Settings.SyncGroups {
		return nil
	}
	slug := store.SlugFrom(g.Name)
	if slug == "" {
		slug = "group"
	}
	if _, err := teams.Find(ctx, p.tx, store.Eq("org_id", p.orgID), store.Eq("slug_key", store.SlugKey(slug))); err == nil {
		tail := g.ID[max(0, len(g.ID)-10):]
		slug = store.SlugFrom(strings.Trim(slug[:min(len(slug), store.MaxSlug-len(tail)-1)], "-_") + "-" + tail)
	} else if !errors.Is(err, store.ErrNotFound) {
		return err
	}
	t, err := p.m.makeTeam(ctx, p.tx, p.orgID, NewTeam{Name: g.Name, Slug: slug})
	g.TeamID = &t.ID
	return err
}

// UpdateGroup replaces what the provider knows of a group; its team takes the name. Members have functions of their own, of
// which only this one tells that they are others now.
func (p *Provisioner) UpdateGroup(ctx context.Context, before, g ProvisionedGroup) (ProvisionedGroup, audit.Change, error) {
	if err := rbac.CheckText("displayName", g.Name, 1, rbac.MaxName); err != nil {
		return g, audit.Change{}, err
	}
	if err := p.unusedGroup(ctx, before, g); err != nil {
		return g, audit.Change{}, err
	}
	if g.Name != before.Name && g.TeamID != nil {
		t, err := teams.Lock(ctx, p.tx, *g.TeamID)
		if err != nil {
			return g, audit.Change{}, err
		}
		t.Name = g.Name
		if err := teams.Update(ctx, p.tx, &t); err != nil {
			return g, audit.Change{}, err
		}
	}
	c := audit.Updated(before, &g).As("scim.group_updated").In(g.Team())
	if err := provisionedGroups.Update(ctx, p.tx, &g); err != nil {
		return g, c, err
	}
	renamed := g.Name != before.Name || !sameText(g.ExternalID, before.ExternalID)
	if !renamed || !p.Settings.SyncGroups || len(p.Settings.RoleMapping) == 0 {
		return g, c, nil
	}
	// An entry of the mapping may be of this group now, or no more.
	return g, c, p.eachUser(ctx, g, func(some []ProvisionedUser) error { return p.regrantAll(ctx, some) })
}

// eachUser calls fn with the users in a group, some at a time.
func (p *Provisioner) eachUser(ctx context.Context, g ProvisionedGroup, fn func(some []ProvisionedUser) error) error {
	var members []string
	flush := func() error {
		some, err := p.UsersWith(ctx, "id", members)
		if members = members[:0]; err != nil {
			return err
		}
		return fn(some)
	}
	for m, err := range p.Members(ctx, g) {
		if err != nil {
			return err
		}
		if m.IsGroup {
			continue
		}
		if members = append(members, m.MemberID); len(members) == store.MaxLimit/2 {
			if err := flush(); err != nil {
				return err
			}
		}
	}
	return flush()
}

// DeleteGroup ends a group and takes back what its members have by it. A team that has keys or a budget of its own is
// archived, any other is gone with it.
func (p *Provisioner) DeleteGroup(ctx context.Context, g ProvisionedGroup) (audit.Change, error) {
	c := audit.Deleted(g).As("scim.group_deleted").In(g.Team())
	if _, err := p.RemoveMembers(ctx, g, nil); err != nil {
		return c, err
	}
	for m, err := range provisionedMembers.All(ctx, p.tx, store.Query{Where: []store.Cond{store.Eq("member_id", g.ID)}}) {
		if err != nil {
			return c, err
		}
		if err := provisionedMembers.Delete(ctx, p.tx, m.ID); err != nil {
			return c, err
		}
	}
	if err := provisionedGroups.Delete(ctx, p.tx, g.ID); err != nil {
		return c, err
	}
	if g.TeamID == nil {
		return c, nil
	}
	archived, err := p.endTeam(ctx, *g.TeamID)
	c.Data = map[string]bool{"team_archived": archived}
	return c, err
}

func (p *Provisioner) endTeam(ctx context.Context, id string) (archived bool, err error) {
	t, err := teams.Lock(ctx, p.tx, id)
	if errors.Is(err, store.ErrNotFound) {
		return false, nil
	} else if err != nil {
		return false, err
	}
	keys := []store.Cond{store.Eq("org_id", p.orgID), store.Eq("team_id", id)}
	n, err := apiKeys.Count(ctx, p.tx, keys...)
	if err != nil {
		return false, err
	}
	if n == 0 && t.Settings.Budget == nil {
		return false, p.m.endTeam(ctx, p.tx, t, false)
	}
	t.State = rbac.Archived
	if err := teams.Update(ctx, p.tx, &t); err != nil {
		return false, err
	}
	return true, p.m.applySettings(ctx, p.tx, t, false)
}

// Group returns a group of the provider; one of another organization is store.ErrNotFound.
func (p *Provisioner) Group(ctx context.Context, id string) (ProvisionedGroup, error) {
	g, err := provisionedGroups.Get(ctx, p.tx, id)
	if err == nil && g.OrgID != p.orgID {
		return ProvisionedGroup{}, store.ErrNotFound
	}
	return g, err
}

// GroupsWith returns the groups that have one of some values in a column: id, name_key, external_id or member, in the order
// of their ids.
func (p *Provisioner) GroupsWith(ctx context.Context, column string, values []string) (found []ProvisionedGroup, err error) {
	if column == "member" {
		column = "id"
		values, err = ids(provisionedMembers.All(ctx, p.tx, store.Query{Where: []store.Cond{store.In("member_id", values)}}),
			func(m ProvisionedMember) string { return m.GroupID })
		if err != nil {
			return nil, err
		}
	}
	return inChunks(column, values, func(some []string) iter.Seq2[ProvisionedGroup, error] {
		return provisionedGroups.All(ctx, p.tx, p.having(column, some))
	}, func(g ProvisionedGroup) string { return g.ID })
}

// Groups are all groups of the provider behind an id, as [Provisioner.Users].
func (p *Provisioner) Groups(ctx context.Context, after string, atOnce int) iter.Seq2[ProvisionedGroup, error] {
	return provisionedGroups.All(ctx, p.tx, behind(p.orgID, after, atOnce))
}

// CountGroups counts the groups of the provider.
func (p *Provisioner) CountGroups(ctx context.Context) (int, error) {
	return provisionedGroups.Count(ctx, p.tx, store.Eq("org_id", p.orgID))
}

// Members are those of a group, in the order in which they came.
func (p *Provisioner) Members(ctx context.Context, g ProvisionedGroup) iter.Seq2[ProvisionedMember, error] {
	return provisionedMembers.All(ctx, p.tx, store.Query{Where: []store.Cond{store.Eq("group_id", g.ID)}})
}

// MembersWith are those members of a group who have one of the ids, in their order: see having.
func (p *Provisioner) MembersWith(ctx context.Context, g ProvisionedGroup, memberIDs []string) iter.Seq2[ProvisionedMember, error] {
	return provisionedMembers.All(ctx, p.tx, store.Query{Where: []store.Cond{store.Eq("group_id", g.ID), store.In("member_id", memberIDs)},
		Order: []store.Order{store.Asc("member_id")}})
}

// CountMembers counts the members of a group.
func (p *Provisioner) CountMembers(ctx context.Context, g ProvisionedGroup) (int, error) {
	return provisionedMembers.Count(ctx, p.tx, store.Eq("group_id", g.ID))
}

// InGroup is a group that somebody is in, by a group in it or not.
type InGroup struct {
	ProvisionedGroup
	Direct bool
}

// maxNesting bounds how far groups in groups are followed.
const maxNesting = 8

// GroupsOf returns the groups that users or groups are in, by their ids, the direct ones first.
func (p *Provisioner) GroupsOf(ctx context.Context, memberIDs ...string) (map[string][]InGroup, error) {
	above := map[string][]string{} // the groups that somebody is in, for all whom it may concern
	var all []string
	for level, of := 0, memberIDs; len(of) > 0 && level < maxNesting; level++ {
		var next []string
		for some := range slices.Chunk(of, store.MaxLimit/2) {
			for m, err := range provisionedMembers.All(ctx, p.tx, store.Query{Where: []store.Cond{store.In("member_id", some)}}) {
				if err != nil {
					return nil, err
				}
				if above[m.MemberID] = append(above[m.MemberID], m.GroupID); !slices.Contains(all, m.GroupID) {
					all, next = append(all, m.GroupID), append(next, m.GroupID)
				}
			}
		}
		of = next
	}
	groups, err := p.GroupsWith(ctx, "id", all)
	if err != nil {
		return nil, err
	}
	known := make(map[string]ProvisionedGroup, len(groups))
	for _, g := range groups {
		known[g.ID] = g
	}
	in := make(map[string][]InGroup, len(memberIDs))
	for _, id := range memberIDs {
		seen := map[string]bool{id: true}
		for level, of := 0, []string{id}; len(of) > 0; level++ {
			var next []string
			for _, one := range of {
				for _, groupID := range above[one] {
					if !seen[groupID] {
						seen[groupID] = true
						in[id] = append(in[id], InGroup{known[groupID], level == 0})
						next = append(next, groupID)
					}
				}
			}
			of = next
		}
	}
	return in, nil
}

// noMember is the error of an id in a list of members that is nobody's here.
func noMember(i int) error {
	return store.Invalid(fmt.Sprintf("members[%d].value", i), "unknown", "is no user or group of the organization")
}
