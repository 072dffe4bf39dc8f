package opengatellm

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/orgkit/orgkit/audit"
	"github.com/orgkit/orgkit/orgs"
	"github.com/orgkit/orgkit/rbac"
	"github.com/orgkit/orgkit/store"
)

// confine finds the organization that the handler is confined to.
func (a *api) confine() (err error) {
	if a.opt.Root == "" {
		return nil
	}
	if a.opt.IDToken != nil {
		return errors.New("opengatellm: with a Root there is no IDToken: the rules of who signs in by the host's provider are the whole host's")
	}
	ctx := audit.WithActor(context.Background(), audit.System("a dialect is confined"))
	if a.root, err = a.OrgID(ctx, a.opt.Root); err == nil {
		var f orgs.OrganizationFigures
		if f, err = a.OrganizationFigures(ctx, a.root); err == nil && f.State == rbac.Gone {
			err = store.ErrNotFound
		}
	}
	if err != nil {
		return fmt.Errorf("opengatellm: the root %q: %w", a.opt.Root, err)
	}
	return nil
}

// within says whether an organization is the root or lies below it.
func (a *api) within(ctx context.Context, tx *store.Tx, orgID string) (bool, error) {
	if a.root == "" || orgID == a.root {
		return true, nil
	}
	chain, err := rbac.Lineage(ctx, tx, orgID)
	return slices.ContainsFunc(chain, func(s rbac.Scope) bool { return s.ID == a.root }), err
}

// mustBeWithin answers store.ErrNotFound for an organization that is not.
func (a *api) mustBeWithin(ctx context.Context, tx *store.Tx, orgID string) error {
	is, err := a.within(ctx, tx, orgID)
	if err == nil && !is {
		err = store.ErrNotFound
	}
	return err
}

// below are the root and all organizations below it, deleted ones too.
func (a *api) below(ctx context.Context, tx *store.Tx) ([]string, error) {
	levels, err := rbac.Descendants(ctx, tx, a.root)
	ids := []string{a.root}
	for _, level := range levels {
		for _, s := range level {
			ids = append(ids, s.ID)
		}
	}
	return ids, err
}

// organizationsBelow are those of them that are not deleted, the oldest first.
func (a *api) organizationsBelow(ctx context.Context) (all []orgs.Organization, err error) {
	err = a.View(ctx, func(ctx context.Context, tx *store.Tx) error {
		ids, err := a.below(ctx, tx)
		if err != nil {
			return err
		}
		all = nil
		for some := range slices.Chunk(ids, store.MaxLimit) {
			living, err := orgs.LivingOrganizations(ctx, tx, some)
			if err != nil {
				return err
			}
			all = slices.AppendSeq(all, maps.Values(living))
		}
		return nil
	})
	slices.SortFunc(all, func(a, b orgs.Organization) int {
		return cmp.Or(a.CreatedAt.Compare(b.CreatedAt), cmp.Compare(a.ID, b.ID))
	})
	return all, err
}

// peopleBelow are the members of them.
func (a *api) peopleBelow(ctx context.Context, tx *store.Tx) (list []orgs.User, err error) {
	ids, err := a.below(ctx, tx)
	if err != nil {
		return nil, err
	}
	members := map[string]bool{}
	for some := range slices.Chunk(ids, store.MaxLimit) {
		for m, err := range rbac.Assignments.All(ctx, tx, store.Query{Where: []store.Cond{store.In("org_id", some), store.Eq("kind", rbac.Member)}}) {
			if err != nil {
				return nil, err
			}
			members[m.Subject] = true
		}
	}
	for some := range slices.Chunk(slices.Sorted(maps.Keys(members)), store.MaxLimit) {
		found, err := orgs.UsersByID(ctx, tx, some)
		if err != nil {
			return nil, err
		}
		for _, id := range some {
			if u, there := found[id]; there {
				list = append(list, u)
			}
		}
	}
	return list, nil
}

// standing is whose a person is, to a handler that is confined; without a root everybody is its own.
type standing int

const (
	unknown standing = iota // in no organization within
	shared                  // in one within, and in others, or in a role, that are not
	own                     // in organizations within alone
)

func (a *api) standing(ctx context.Context, tx *store.Tx, u orgs.User) (standing, error) {
	if a.root == "" {
		return own, nil
	}
	inside, outside := false, false
	for m, err := range rbac.Assignments.All(ctx, tx, store.Query{Where: []store.Cond{store.Eq("subject", u.ID)}}) {
		if err != nil {
			return unknown, err
		}
		is, err := a.within(ctx, tx, m.OrgID)
		if err != nil {
			return unknown, err
		}
		inside, outside = inside || is, outside || !is
	}
	if !inside {
		return unknown, nil
	}
	if u.PlatformRoleID != "" {
		role, err := orgs.PlatformRoles.Get(ctx, tx, u.PlatformRoleID)
		if err != nil {
			return unknown, err
		}
		outside = outside || role.OrgID != a.root
	}
	if outside {
		return shared, nil
	}
	return own, nil
}

// mustBeKnown answers store.ErrNotFound for a person in no organization within.
func (a *api) mustBeKnown(ctx context.Context, tx *store.Tx, u orgs.User) error {
	is, err := a.standing(ctx, tx, u)
	if err == nil && is == unknown {
		err = store.ErrNotFound
	}
	return err
}

// mustBeOwn refuses what acts on a person's account wherever they are, where they are elsewhere too.
func (a *api) mustBeOwn(ctx context.Context, tx *store.Tx, u orgs.User) error {
	is, err := a.standing(ctx, tx, u)
	if err == nil && is != own {
		err = &rbac.Denied{Code: "permission_denied"}
	}
	return err
}

// knownAccount and ownAccount are mustBeKnown and mustBeOwn outside of a unit.
func (a *api) knownAccount(ctx context.Context, u orgs.User) error {
	if a.root == "" {
		return nil
	}
	return a.View(ctx, func(ctx context.Context, tx *store.Tx) error { return a.mustBeKnown(ctx, tx, u) })
}

func (a *api) ownAccount(ctx context.Context, u orgs.User) error {
	if a.root == "" {
		return nil
	}
	return a.View(ctx, func(ctx context.Context, tx *store.Tx) error { return a.mustBeOwn(ctx, tx, u) })
}

// mayBeCaller says whether who calls is anybody here: a person of an organization within, by no key of another one.
func (a *api) mayBeCaller(ctx context.Context, by audit.Actor) error {
	if a.root == "" {
		return nil
	}
	place := ""
	if by.Type == audit.APIKey {
		k, err := a.APIKey(sovereign(ctx), by.ID)
		if err != nil {
			return err
		}
		place = k.OrgID
	}
	return a.View(ctx, func(ctx context.Context, tx *store.Tx) error {
		if place != "" {
			if err := a.mustBeWithin(ctx, tx, place); err != nil {
				return err
			}
		}
		u, err := orgs.UserByID(ctx, tx, by.Person())
		if err != nil {
			return err
		}
		return a.mustBeKnown(ctx, tx, u)
	})
}

// homeWithin is the organization within that a person has been in for longest, beside one, "" for none.
func (a *api) homeWithin(ctx context.Context, tx *store.Tx, userID, beside string) (id string, err error) {
	var oldest rbac.Assignment
	for m, err := range rbac.Assignments.All(ctx, tx, store.Query{Where: []store.Cond{store.Eq("subject", userID)}}) {
		if err != nil {
			return "", err
		}
		if m.TeamID != "" || m.OrgID == beside || oldest.ID != "" && !m.CreatedAt.Before(oldest.CreatedAt) {
			continue
		}
		chain, err := rbac.Lineage(ctx, tx, m.OrgID)
		if err != nil {
			return "", err
		}
		if rbac.Effective(chain) != rbac.Gone && slices.ContainsFunc(chain, func(s rbac.Scope) bool { return s.ID == a.root }) {
			oldest = m
		}
	}
	return oldest.OrgID, nil
}

// tokenWithin says whether a token is one of this handler: a key of an organization within, or a personal token, which acts wherever
// its person is at home, of who is in those alone. To its owner every token of theirs is, but keys of other organizations.
func (a *api) tokenWithin(ctx context.Context, tx *store.Tx, t token, byOwner bool) (bool, error) {
	if a.root == "" {
		return true, nil
	}
	if t.isKey() {
		if is, err := a.within(ctx, tx, t.orgID); err != nil || !is {
			return false, err
		}
	}
	if byOwner {
		return true, nil
	}
	u, err := orgs.UserByID(ctx, tx, t.userID)
	if err != nil {
		return false, err
	}
	is, err := a.standing(ctx, tx, u)
	return is == own || is == shared && t.isKey(), err
}

// tokensWithin leaves out those that are not.
func (a *api) tokensWithin(ctx context.Context, all []token, byOwner bool) (kept []token, err error) {
	if a.root == "" {
		return all, nil
	}
	err = a.View(ctx, func(ctx context.Context, tx *store.Tx) error {
		kept = nil
		for _, t := range all {
			is, err := a.tokenWithin(ctx, tx, t, byOwner)
			if err != nil {
				return err
			}
			if is {
				kept = append(kept, t)
			}
		}
		return nil
	})
	return kept, err
}

// leave ends all that a person has here who is elsewhere too: they stay there.
func (a *api) leave(ctx context.Context, tx *store.Tx, u orgs.User) error {
	ids, err := orgs.OrganizationsOf(ctx, tx, u.ID)
	if err != nil {
		return err
	}
	for _, id := range ids {
		if is, err := a.within(ctx, tx, id); err != nil {
			return err
		} else if !is {
			continue
		}
		if _, err := a.RemoveMember(ctx, orgs.Place{OrgID: id}, u.ID, orgs.MemberRemoval{}); err != nil {
			return err
		}
	}
	if u.PlatformRoleID == "" {
		return nil
	}
	role, err := orgs.PlatformRoles.Get(ctx, tx, u.PlatformRoleID)
	if err != nil || role.OrgID != a.root {
		return err
	}
	none := ""
	_, err = a.UpdateUser(ctx, u.ID, orgs.UserUpdate{PlatformRole: &none})
	return err
}
