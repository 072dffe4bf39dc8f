package orgs

import (
	"context"
	"iter"
	"slices"

	"github.com/orgkit/orgkit/rbac"
	"github.com/orgkit/orgkit/store"
)

// AddMembers makes users and groups, by their ids, members of a group, and says how many were none before. All of them are
// looked at before anything is written; one that is unknown is a *store.FieldError, as is a group that this one is in.
func (p *Provisioner) AddMembers(ctx context.Context, g ProvisionedGroup, memberIDs []string) (added int, err error) {
	return p.addMembers(ctx, g, memberIDs, nil)
}

// addMembers is AddMembers of ids that stand at other places of what was sent, if places says where.
func (p *Provisioner) addMembers(ctx context.Context, g ProvisionedGroup, memberIDs []string, places []int) (added int, err error) {
	users, err := p.classify(ctx, g, memberIDs, places)
	if err != nil {
		return 0, err
	}
	var fresh []ProvisionedUser
	for _, id := range memberIDs {
		u, isUser := users[id]
		isNew, err := provisionedMembers.InsertNew(ctx, p.tx, &ProvisionedMember{OrgID: p.orgID, GroupID: g.ID, MemberID: id, IsGroup: !isUser})
		if err != nil {
			return added, err
		}
		if !isNew {
			continue
		}
		if added++; isUser {
			fresh = append(fresh, u)
		}
	}
	return added, p.joined(ctx, g, fresh)
}

// classify returns the users among the ids. The others are groups.
func (p *Provisioner) classify(ctx context.Context, g ProvisionedGroup, memberIDs []string, places []int) (users map[string]ProvisionedUser, err error) {
	list, err := p.UsersWith(ctx, "id", memberIDs)
	if err != nil {
		return nil, err
	}
	users = make(map[string]ProvisionedUser, len(list))
	for _, u := range list {
		users[u.ID] = u
	}
	var rest []string
	for _, id := range memberIDs {
		if _, is := users[id]; !is {
			rest = append(rest, id)
		}
	}
	if len(rest) == 0 {
		return users, nil
	}
	nested, err := p.GroupsWith(ctx, "id", rest)
	if err != nil {
		return nil, err
	}
	groups := map[string]bool{}
	for _, n := range nested {
		groups[n.ID] = true
	}
	above, err := p.above(ctx, g.ID)
	if err != nil {
		return nil, err
	}
	for i, id := range memberIDs {
		_, isUser := users[id]
		if places != nil {
			i = places[i]
		}
		switch {
		case isUser:
		case !groups[id]:
			return nil, noMember(i)
		case above[id]:
			cycle := noMember(i).(*store.FieldError)
			cycle.Code, cycle.Message = "cycle", "is this group, or one that it is in"
			return nil, cycle
		}
	}
	return users, nil
}

// above are the groups that a group is in, itself too, however deep.
func (p *Provisioner) above(ctx context.Context, groupID string) (map[string]bool, error) {
	seen := map[string]bool{groupID: true}
	for members := []string{groupID}; len(members) > 0; {
		up, err := ids(provisionedMembers.All(ctx, p.tx, store.Query{Where: []store.Cond{store.In("member_id", members)}}),
			func(m ProvisionedMember) string { return m.GroupID })
		if err != nil {
			return nil, err
		}
		members = nil
		for _, id := range up {
			if !seen[id] {
				seen[id] = true
				members = append(members, id)
			}
		}
	}
	return seen, nil
}

// RemoveMembers ends memberships of a group, nil all of them, and says how many there were. Ids that are no members do not
// matter.
func (p *Provisioner) RemoveMembers(ctx context.Context, g ProvisionedGroup, memberIDs []string) (removed int, err error) {
	var gone []ProvisionedMember
	collect := func(members iter.Seq2[ProvisionedMember, error]) error {
		for m, err := range members {
			if err != nil {
				return err
			}
			gone = append(gone, m)
		}
		return nil
	}
	if memberIDs == nil {
		err = collect(p.Members(ctx, g))
	}
	memberIDs = slices.Compact(slices.Sorted(slices.Values(memberIDs)))
	for some := range slices.Chunk(memberIDs, store.MaxLimit/2) {
		if err == nil {
			err = collect(p.MembersWith(ctx, g, some))
		}
	}
	if err != nil {
		return 0, err
	}
	return len(gone), p.drop(ctx, g, gone)
}

// SetMembers makes these the members of a group: who is not among them is none any more. It says how many that has
// changed.
func (p *Provisioner) SetMembers(ctx context.Context, g ProvisionedGroup, memberIDs []string) (changed int, err error) {
	want := make(map[string]bool, len(memberIDs))
	for _, id := range memberIDs {
		want[id] = true
	}
	var gone []ProvisionedMember
	for m, err := range p.Members(ctx, g) {
		if err != nil {
			return 0, err
		}
		if want[m.MemberID] {
			want[m.MemberID] = false
		} else {
			gone = append(gone, m)
		}
	}
	var fresh []string // the others are looked at no more: providers send all of a group to add one
	var places []int
	for i, id := range memberIDs {
		if want[id] {
			fresh, places = append(fresh, id), append(places, i)
		}
	}
	added, err := p.addMembers(ctx, g, fresh, places)
	if err != nil {
		return 0, err
	}
	return added + len(gone), p.drop(ctx, g, gone)
}

// drop ends memberships of a group.
func (p *Provisioner) drop(ctx context.Context, g ProvisionedGroup, gone []ProvisionedMember) error {
	for some := range slices.Chunk(gone, store.MaxLimit/2) {
		var rows, members []string
		for _, m := range some {
			if rows = append(rows, m.ID); !m.IsGroup {
				members = append(members, m.MemberID)
			}
		}
		if err := provisionedMembers.DeleteMany(ctx, p.tx, rows); err != nil {
			return err
		}
		users, err := p.UsersWith(ctx, "id", members)
		if err != nil {
			return err
		}
		if err := p.leaveTeam(ctx, g, users); err != nil {
			return err
		}
		if !p.Settings.SyncGroups {
			continue
		}
		if err := p.regrantAll(ctx, users); err != nil {
			return err
		}
	}
	return nil
}

// joined gives users what membership of a group gives.
func (p *Provisioner) joined(ctx context.Context, g ProvisionedGroup, users []ProvisionedUser) error {
	if !p.Settings.SyncGroups {
		return nil
	}
	for some := range slices.Chunk(users, store.MaxLimit/2) {
		held, err := p.memberships(ctx, some)
		if err != nil {
			return err
		}
		for _, u := range some {
			a, is := held[u.UserID]
			if !is { // somebody has removed them here
				continue
			}
			if err := p.joinTeam(ctx, g, a); err != nil {
				return err
			}
		}
		if err := p.regrantIn(ctx, some, held); err != nil {
			return err
		}
	}
	return nil
}

// joinTeam makes a member of the organization one of the team of a group, unless they are.
func (p *Provisioner) joinTeam(ctx context.Context, g ProvisionedGroup, org rbac.Assignment) error {
	if g.TeamID == nil {
		return nil
	}
	plain, err := p.role(ctx, rbac.MemberRole)
	if err != nil {
		return err
	}
	_, err = rbac.Assignments.InsertNew(ctx, p.tx, &rbac.Assignment{OrgID: p.orgID, TeamID: *g.TeamID, Subject: org.Subject, Kind: rbac.Member,
		State: org.State, RoleID: plain, Source: sourceSCIM})
	return err
}

// leaveTeam takes back memberships of the team of a group that the provider gave. Nothing follows from most of them, which go at
// once; who has keys or approvals there loses these too.
func (p *Provisioner) leaveTeam(ctx context.Context, g ProvisionedGroup, users []ProvisionedUser) error {
	if g.TeamID == nil || len(users) == 0 {
		return nil
	}
	accounts := accountsOf(users)
	at := Place{OrgID: p.orgID, TeamID: *g.TeamID}
	more, err := rbac.Requesters(ctx, p.tx, at.OrgID, at.TeamID)
	if err != nil {
		return err
	}
	for k, err := range apiKeys.All(ctx, p.tx, store.Query{Where: []store.Cond{store.Eq("org_id", at.OrgID), store.In("user_id", accounts)}}) {
		if err != nil {
			return err
		}
		more[k.UserID] = true
	}
	var plain []string
	var rest []rbac.Assignment
	where := []store.Cond{store.In("subject", accounts), store.Eq("org_id", at.OrgID), store.Eq("team_id", at.TeamID)}
	for a, err := range rbac.Assignments.All(ctx, p.tx, store.Query{Where: where}) {
		switch {
		case err != nil:
			return err
		case a.Source != sourceSCIM:
		case more[a.Subject]:
			rest = append(rest, a)
		default:
			plain = append(plain, a.ID)
		}
	}
	if len(plain) > 0 {
		if err := rbac.Assignments.DeleteMany(ctx, p.tx, plain); err != nil {
			return err
		}
	}
	for _, a := range rest {
		if _, _, err := p.m.endMembership(ctx, p.tx, at, a, MemberRemoval{}); err != nil {
			return err
		}
	}
	return nil
}

// accountsOf are the ids of the accounts of users.
func accountsOf(users []ProvisionedUser) []string {
	accounts := make([]string, len(users))
	for i, u := range users {
		accounts[i] = u.UserID
	}
	return accounts
}

// membership is that of a user in the organization.
func (p *Provisioner) membership(ctx context.Context, u ProvisionedUser) (rbac.Assignment, error) {
	return rbac.Assignments.Find(ctx, p.tx, store.Eq("subject", u.UserID), store.Eq("org_id", p.orgID), store.Eq("team_id", ""))
}

// memberships are those of users in the organization, by the ids of their accounts.
func (p *Provisioner) memberships(ctx context.Context, users []ProvisionedUser) (map[string]rbac.Assignment, error) {
	held := make(map[string]rbac.Assignment, len(users))
	where := []store.Cond{store.In("subject", accountsOf(users)), store.Eq("org_id", p.orgID), store.Eq("team_id", "")}
	for a, err := range rbac.Assignments.All(ctx, p.tx, store.Query{Where: where}) {
		if err != nil {
			return nil, err
		}
		held[a.Subject] = a
	}
	return held, nil
}
