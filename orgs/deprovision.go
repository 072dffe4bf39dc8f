package orgs

import (
	"context"
	"errors"
	"slices"

	"github.com/orgkit/orgkit/rbac"
	"github.com/orgkit/orgkit/store"
)

// Ended says what the end, or the return, of somebody's access has come to. It is the data of its event.
type Ended struct {
	AccessContinues bool     `json:"access_continues,omitempty"` // the organization keeps those whom its provider lets go
	Keys            int      `json:"keys"`                       // blocked, or given back
	Sessions        int      `json:"sessions,omitempty"`         // ended for good
	Invitations     int      `json:"invitations,omitempty"`      // revoked
	ServiceKeys     []string `json:"service_keys,omitempty"`     // keys that they made and that work on
}

// setActive ends or gives back the access of a user. It all counts with the commit, in every process as soon as that hears
// of it: their memberships are suspended, which no token of theirs survives, their sessions end, and their keys are blocked.
func (p *Provisioner) setActive(ctx context.Context, u *ProvisionedUser, active bool) (e Ended, err error) {
	u.Active = active
	if !p.Settings.AutoDeprovision && !active {
		return Ended{AccessContinues: true}, nil
	}
	a, err := p.membership(ctx, *u)
	if errors.Is(err, store.ErrNotFound) && active {
		return e, p.readmit(ctx, *u)
	} else if errors.Is(err, store.ErrNotFound) {
		return e, nil
	} else if err != nil {
		return e, err
	}
	state := rbac.Active
	if !active {
		state = rbac.Suspended
		if _, err := p.m.keepOwner(ctx, p.tx, a, false); err != nil {
			return e, err
		}
	}
	held, err := rbac.Held(ctx, p.tx, p.orgID, u.UserID)
	if err != nil {
		return e, err
	}
	for _, a := range held {
		if a.State == state {
			continue
		}
		a.State = state
		if err := rbac.Assignments.Update(ctx, p.tx, &a); err != nil {
			return e, err
		}
	}
	if err := p.blockKeys(ctx, *u, !active, &e); err != nil || active {
		return e, err
	}
	if e.Sessions, err = EndAllSessions(ctx, p.tx, u.UserID, "", "deprovisioned"); err != nil {
		return e, err
	}
	if err := p.m.EndApprovals(ctx, p.tx, p.orgID, "", u.UserID, "the membership is suspended"); err != nil {
		return e, err
	}
	return e, p.revokeInvitations(ctx, *u, &e)
}

// readmit makes somebody a member again whose membership has ended otherwise.
func (p *Provisioner) readmit(ctx context.Context, u ProvisionedUser) error {
	a := rbac.Assignment{OrgID: p.orgID, Subject: u.UserID, RoleID: p.Settings.DefaultRole, Source: sourceSCIM}
	a, err := admit(ctx, p.tx, a)
	if err != nil {
		return err
	}
	in, err := p.GroupsWith(ctx, "member", []string{u.ID})
	if err != nil {
		return err
	}
	for _, g := range in {
		if err := p.joinTeam(ctx, g, a); err != nil {
			return err
		}
	}
	return p.regrant(ctx, u)
}

// blockKeys blocks the keys of a user, or gives back those that were blocked so. What somebody else has disabled or
// revoked stays as it is.
func (p *Provisioner) blockKeys(ctx context.Context, u ProvisionedUser, block bool, e *Ended) error {
	var change []APIKey
	where := []store.Cond{store.Eq("org_id", p.orgID), store.In("user_id", []string{u.UserID, ""})}
	for k, err := range apiKeys.All(ctx, p.tx, store.Query{Where: where}) {
		switch {
		case err != nil:
			return err
		case k.UserID == "":
			if block && k.CreatedBy == u.UserID && k.StatusAt(p.tx.Now()) == KeyActive {
				e.ServiceKeys = append(e.ServiceKeys, k.ID)
			}
		case block && k.RevokedAt == nil && !k.Disabled:
			k.Disabled, k.BlockedBy = true, sourceSCIM
			change = append(change, k)
		case !block && k.RevokedAt == nil && k.BlockedBy == sourceSCIM:
			k.Disabled, k.BlockedBy = false, ""
			change = append(change, k)
		}
	}
	for _, k := range change {
		if err := k.save(ctx, p.tx); err != nil {
			return err
		}
	}
	e.Keys = len(change)
	return nil
}

// revokeInvitations ends what was offered to the person in the organization and its teams and not answered.
func (p *Provisioner) revokeInvitations(ctx context.Context, u ProvisionedUser, e *Ended) error {
	account, err := users.Get(ctx, p.tx, u.UserID)
	if err != nil {
		return err
	}
	for inv, err := range invitations.All(ctx, p.tx, store.Query{Where: []store.Cond{store.Eq("org_id", p.orgID)}}) {
		if err != nil {
			return err
		}
		if inv.Status != InvitationPending || inv.EmailKey != account.EmailKey {
			continue
		}
		inv.Status, inv.Pending = InvitationRevoked, nil
		if err := invitations.Update(ctx, p.tx, &inv); err != nil {
			return err
		}
		e.Invitations++
	}
	return nil
}

// endMember ends the membership of a user for good. What they had does not come back with them.
func (p *Provisioner) endMember(ctx context.Context, u ProvisionedUser) (e Ended, err error) {
	if !p.Settings.AutoDeprovision {
		return Ended{AccessContinues: true}, nil
	}
	for k, err := range apiKeys.All(ctx, p.tx, store.Query{Where: []store.Cond{store.Eq("org_id", p.orgID), store.Eq("user_id", u.UserID)}}) {
		if err != nil {
			return e, err
		}
		if k.BlockedBy == "" {
			continue
		}
		k.BlockedBy = ""
		if err := k.save(ctx, p.tx); err != nil {
			return e, err
		}
	}
	a, err := p.membership(ctx, u)
	if errors.Is(err, store.ErrNotFound) {
		return e, nil
	} else if err != nil {
		return e, err
	}
	r, _, err := p.m.endMembership(ctx, p.tx, Place{OrgID: p.orgID}, a, MemberRemoval{})
	if err != nil {
		return e, err
	}
	e.Keys, e.Sessions = r.Disabled, r.Sessions
	return e, p.revokeInvitations(ctx, u, &e)
}

// reapply brings teams and roles to what the settings say now. Groups that are synced no more give no roles; their teams stay
// what they are.
func (m *Manager) reapply(ctx context.Context, tx *store.Tx, before Provisioning, now *Provisioning) error {
	same := slices.Equal(before.RoleMapping, now.RoleMapping) && (before.AllowedRoles == nil) == (now.AllowedRoles == nil) && slices.Equal(before.AllowedRoles, now.AllowedRoles)
	if before.SyncGroups == now.SyncGroups && (same || !now.SyncGroups) {
		return nil
	}
	p := &Provisioner{m: m, tx: tx, orgID: now.ID, Settings: *now}
	defer func() { *now = p.Settings }() // groups may have been pinned
	for g, err := range p.Groups(ctx, "", 0) {
		if err != nil {
			return err
		}
		if now.SyncGroups && g.TeamID == nil {
			if err := p.makeTeam(ctx, &g); err != nil {
				return err
			}
			if err := provisionedGroups.Update(ctx, tx, &g); err != nil {
				return err
			}
		}
		if err := p.eachUser(ctx, g, func(some []ProvisionedUser) error {
			if now.SyncGroups {
				return p.joined(ctx, g, some)
			}
			return p.regrantAll(ctx, some)
		}); err != nil {
			return err
		}
	}
	return nil
}

// reapplySSO takes back at once what sign-ins gave and the mapping gives to nobody any more: all of it, where groups are
// synced from now on. What it gives anew is given at the next sign-in, since the groups of a person are not kept.
func (m *Manager) reapplySSO(ctx context.Context, tx *store.Tx, before Provisioning, p *Provisioning) error {
	if before.SyncGroups {
		return nil
	}
	owner, err := rbac.FindRole(ctx, tx, p.ID, rbac.OwnerRole)
	if err != nil {
		return err
	}
	for l, err := range ssoLinks.All(ctx, tx, store.Query{Where: []store.Cond{store.Eq("org_id", p.ID)}}) {
		if err != nil {
			return err
		}
		a, err := rbac.Assignments.Find(ctx, tx, store.Eq("subject", l.UserID), store.Eq("org_id", p.ID), store.Eq("team_id", ""))
		if errors.Is(err, store.ErrNotFound) {
			continue
		} else if err != nil {
			return err
		}
		kept := slices.DeleteFunc(slices.Clone(a.Given), func(id string) bool {
			return p.SyncGroups || !p.allows(id, owner.ID) || !slices.ContainsFunc(p.RoleMapping, func(r MappedRole) bool { return r.RoleID == id })
		})
		if len(kept) == len(a.Given) {
			continue
		}
		a.Given = kept
		if err := rbac.Assignments.Update(ctx, tx, &a); err != nil {
			return err
		}
	}
	return nil
}

// forgetProvisioned removes what identity providers know of a user who is about to go.
func forgetProvisioned(ctx context.Context, tx *store.Tx, userID string) error {
	for d, err := range departures.All(ctx, tx, store.Query{Where: []store.Cond{store.Eq("user_id", userID)}}) {
		if err != nil {
			return err
		}
		if err := departures.Delete(ctx, tx, d.ID); err != nil {
			return err
		}
	}
	for u, err := range provisionedUsers.All(ctx, tx, store.Query{Where: []store.Cond{store.Eq("user_id", userID)}}) {
		if err != nil {
			return err
		}
		p := &Provisioner{tx: tx, orgID: u.OrgID}
		if err := p.putEmails(ctx, u, nil); err != nil {
			return err
		}
		for m, err := range provisionedMembers.All(ctx, tx, store.Query{Where: []store.Cond{store.Eq("member_id", u.ID)}}) {
			if err != nil {
				return err
			}
			if err := provisionedMembers.Delete(ctx, tx, m.ID); err != nil {
				return err
			}
		}
		if err := provisionedUsers.Delete(ctx, tx, u.ID); err != nil {
			return err
		}
	}
	return nil
}

// unlinkGroup takes the team from a group, before it goes.
func unlinkGroup(ctx context.Context, tx *store.Tx, teamID string) error {
	g, err := provisionedGroups.Find(ctx, tx, store.Eq("team_id", teamID))
	if errors.Is(err, store.ErrNotFound) {
		return nil
	} else if err != nil {
		return err
	}
	g.TeamID = nil
	return provisionedGroups.Update(ctx, tx, &g)
}
