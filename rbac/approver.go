package rbac

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/orgkit/orgkit/store"
)

// approving is what an approver of calls holds.
const approving = "members.approve_requests"

// permission is what an approver holds.
func (n *ApprovalNeed) permission() string { return cmp.Or(n.Permission, approving) }

// qualifies says whether the user may meet a requirement: holds its permission in the team and, where it names
// approvers, is one of them, by a role in the team or at the level of the organization.
func qualifies(ctx context.Context, w world, team, user string, need *ApprovalNeed) (bool, error) {
	st, err := w.stand(ctx, user)
	if errors.Is(err, store.ErrNotFound) {
		return false, nil
	} else if err != nil {
		return false, err
	}
	fits := slices.ContainsFunc(in(st.held, team), func(a seat) bool {
		role := store.SlugKey(st.snap.role(a.roleID).Slug)
		return slices.ContainsFunc(need.Approvers, func(who string) bool {
			return store.SlugKey(who) == role || who == "user:"+user
		})
	})
	if !fits && len(need.Approvers) > 0 {
		return false, nil
	}
	h, err := st.holdings(team, false)
	return h.contain(Permission{pattern: need.permission()}), err
}

// qualifiesForAny is qualifies for any of the requirements.
func qualifiesForAny(ctx context.Context, w world, team, user string, needs []ApprovalNeed) (bool, error) {
	for i := range needs {
		if ok, err := qualifies(ctx, w, team, user, &needs[i]); err != nil || ok {
			return ok, err
		}
	}
	return false, nil
}

// met says whether one of those who approved qualifies for the requirement, now (S17).
func (a *Approval) met(ctx context.Context, w world, need *ApprovalNeed) (bool, error) {
	for _, v := range a.Decisions {
		if !v.Approve {
			continue
		}
		if ok, err := qualifies(ctx, w, a.TeamID, v.By, need); err != nil || ok {
			return ok, err
		}
	}
	return false, nil
}

// open are the requirements that nobody who approved meets.
func (a *Approval) open(ctx context.Context, w world) (open []ApprovalNeed, err error) {
	for i := range a.Requirements {
		ok, err := a.met(ctx, w, &a.Requirements[i])
		if err != nil {
			return nil, err
		}
		if !ok {
			open = append(open, a.Requirements[i])
		}
	}
	return open, nil
}

// approvers are the users who may meet what is open of a request, sorted.
func (g *Guard) approvers(ctx context.Context, tx *store.Tx, a *Approval) ([]string, error) {
	chain, err := Lineage(ctx, tx, a.OrgID)
	if err != nil {
		return nil, err
	}
	w := &records{guard: g, tx: tx, chain: chain, locked: true}
	open, err := a.open(ctx, w)
	if err != nil {
		return nil, err
	}
	some, err := candidates(ctx, tx, chain, a.TeamID, open)
	if err != nil {
		return nil, err
	}
	var users []string
	for _, user := range some {
		if user == a.Requester {
			continue
		}
		ok, err := qualifiesForAny(ctx, w, a.TeamID, user, open)
		if err != nil {
			return nil, err
		}
		if ok {
			users = append(users, user)
		}
	}
	return users, nil
}

// candidates are the users whom requirements name, themselves or by a role that they hold somewhere in the
// organization or above it, sorted. Where a requirement names nobody they are the holders of roles with its permission:
// who has it in another way may decide too, and is not among them.
func candidates(ctx context.Context, tx *store.Tx, chain []Scope, team string, needs []ApprovalNeed) (users []string, err error) {
	for _, need := range needs {
		for _, scope := range chain {
			named := need.Approvers
			if len(named) == 0 {
				if named, err = whoseRolesAllow(ctx, tx, scope.ID, team, need.permission()); err != nil {
					return nil, err
				}
			}
			for _, who := range named {
				if user, ok := strings.CutPrefix(who, "user:"); ok {
					users = append(users, user)
					continue
				}
				held, err := roleHolders(ctx, tx, scope.ID, who)
				if err != nil {
					return nil, err
				}
				users = append(users, held...)
			}
		}
	}
	slices.Sort(users)
	return slices.Compact(users), nil
}

// roleHolders are the users who hold a role somewhere in an organization, which may not have it.
func roleHolders(ctx context.Context, tx *store.Tx, orgID, slug string) (users []string, err error) {
	role, err := FindRole(ctx, tx, orgID, slug)
	if errors.Is(err, store.ErrNotFound) {
		return nil, nil
	} else if err != nil {
		return nil, err
	}
	for a, err := range Assignments.All(ctx, tx, store.Query{Where: []store.Cond{store.Eq("org_id", orgID), store.Eq("role_id", role.ID)}}) {
		if err != nil {
			return nil, err
		}
		if a.Kind == Member {
			users = append(users, a.Subject)
		}
	}
	return users, nil
}

// replaceApprovers puts another role in the place of one that goes in what pending requests want.
func replaceApprovers(ctx context.Context, tx *store.Tx, role, other Role) error {
	var naming []Approval
	for a, err := range approvals.All(ctx, tx, store.Query{Where: []store.Cond{store.Eq("org_id", role.OrgID), store.Eq("status", ApprovalPending)}}) {
		if err != nil {
			return err
		}
		if slices.ContainsFunc(a.Requirements, func(n ApprovalNeed) bool {
			return slices.ContainsFunc(n.Approvers, func(who string) bool { return store.SlugKey(who) == role.SlugKey })
		}) {
			naming = append(naming, a)
		}
	}
	for _, a := range naming {
		needs := make([]ApprovalNeed, len(a.Requirements)) // what was read may be shared
		for i, n := range a.Requirements {
			needs[i] = ApprovalNeed{slices.Clone(n.Approvers), n.ReasonRequired, n.Permission}
			for j, who := range n.Approvers {
				if store.SlugKey(who) == role.SlugKey {
					needs[i].Approvers[j] = other.Slug
				}
			}
		}
		a.Requirements = needs
		if err := approvals.Update(ctx, tx, &a); err != nil {
			return err
		}
	}
	return nil
}
