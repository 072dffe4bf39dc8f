package opengatellm

import (
	"cmp"
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"

	"github.com/orgkit/orgkit/orgs"
	"github.com/orgkit/orgkit/store"
)

func (a *api) users(r *http.Request) (answer, error) {
	in, err := query(r)
	if err != nil {
		return answer{}, err
	}
	p := in.paging(columns...)
	role, organization := in.wanted("role", "role_id"), in.wanted("organization", "organization_id")
	email, byEmail := in.parameter("email", "")
	if err := in.err(); err != nil {
		return answer{}, err
	}
	ctx := r.Context()
	entryOf := func(n map[string]int64) func(orgs.User) entry {
		return func(u orgs.User) entry { return entry{n[u.ID], u.Name, u.CreatedAt.Unix(), u.UpdatedAt.Unix()} }
	}
	if !byEmail && role == nil && organization == nil {
		part, n, enough, err := beginning(ctx, a, userNoun, p, orgs.UsersByID)
		if err != nil {
			return answer{}, err
		}
		if enough {
			p.offset = 0
			return listed(a, p, part, entryOf(n), func(u orgs.User) (any, error) { return a.renderUser(ctx, u, n[u.ID]) })
		}
	}
	exact := ""
	if byEmail && a.opt.Generation == GenerationA {
		exact = email
	}
	all, err := a.usersAmong(ctx, exact, role, organization)
	if err != nil {
		return answer{}, err
	}
	n, err := a.userNumbers(ctx, all)
	if err != nil {
		return answer{}, err
	}
	var kept []orgs.User
	for _, u := range all {
		keep := true
		switch {
		case byEmail && a.opt.Generation == GenerationC:
			keep = strings.Contains(strings.ToLower(u.Email), strings.ToLower(email))
		case byEmail:
			keep = strings.EqualFold(u.Email, email)
		}
		if keep && role != nil {
			has, err := a.roleOf(ctx, u)
			if err != nil {
				return answer{}, err
			}
			keep = has == *role
		}
		if keep && organization != nil {
			if keep, err = a.livesIn(ctx, u, *organization); err != nil {
				return answer{}, err
			}
		}
		if keep {
			kept = append(kept, u)
		}
	}
	if byEmail && len(kept) == 0 && a.opt.Generation == GenerationA {
		return answer{}, &refusal{http.StatusNotFound, "User not found."}
	}
	return listed(a, p, kept, entryOf(n), func(u orgs.User) (any, error) { return a.renderUser(ctx, u, n[u.ID]) })
}

// livesIn says whether the organization of that number is that of a person.
func (a *api) livesIn(ctx context.Context, u orgs.User, organization int64) (bool, error) {
	home, err := a.home(ctx, u)
	if err != nil || home == "" {
		return false, err
	}
	n, err := a.numbersOf(ctx, orgNoun, home)
	return n[home] == organization, err
}

// usersAmong reads those among whom all are that the filters keep, by whichever of them an index serves; all people, where none
// does. An address counts as it is, "" for any.
func (a *api) usersAmong(ctx context.Context, email string, role, organization *int64) ([]orgs.User, error) {
	switch {
	case email != "":
		u, err := a.User(ctx, email)
		if err == nil {
			err = a.knownAccount(ctx, u)
		}
		if errors.Is(err, store.ErrNotFound) || err == nil && !strings.EqualFold(u.Email, email) { // by an id of theirs
			return nil, nil
		}
		return []orgs.User{u}, err
	case a.root != "":
		var all []orgs.User
		err := a.View(ctx, func(ctx context.Context, tx *store.Tx) (err error) {
			all, err = a.peopleBelow(ctx, tx)
			return err
		})
		return all, err
	case role != nil:
		found, err := a.roleNumbered(ctx, *role)
		if err != nil {
			return nil, nobodyFor(err)
		}
		return a.holdersOf(ctx, found)
	case organization != nil:
		o, err := a.organizationNumbered(ctx, *organization)
		if err != nil {
			return nil, nobodyFor(err)
		}
		members, err := every(func(after string) (store.Page[orgs.Membership], error) {
			return a.Members(ctx, orgs.Place{OrgID: o.ID}, orgs.MemberFilter{Limit: store.MaxLimit, After: after})
		})
		var list []orgs.User
		for _, ms := range members {
			list = append(list, ms.User)
		}
		return list, err
	}
	return every(func(after string) (store.Page[orgs.User], error) { return a.Users(ctx, store.MaxLimit, after) })
}

// nobodyFor is nil for what is not there: nobody has it.
func nobodyFor(err error) error {
	if refused := (*refusal)(nil); errors.As(err, &refused) {
		return nil
	}
	return err
}

// holdersOf are the people of a role; of the default one also those who have none.
func (a *api) holdersOf(ctx context.Context, role orgs.PlatformRole) (list []orgs.User, err error) {
	err = a.View(ctx, func(ctx context.Context, tx *store.Tx) error {
		if list, err = orgs.PlatformRoleHeldBy(ctx, tx, role.ID); err != nil || !a.isDefault(role) {
			return err
		}
		without, err := orgs.PlatformRoleHeldBy(ctx, tx, "")
		list = append(list, without...)
		return err
	})
	return list, err
}

// userNumbers are the numbers of people; those who have none yet get them in the order in which they were made.
func (a *api) userNumbers(ctx context.Context, all []orgs.User) (map[string]int64, error) {
	slices.SortFunc(all, func(a, b orgs.User) int { return cmp.Or(a.CreatedAt.Compare(b.CreatedAt), cmp.Compare(a.ID, b.ID)) })
	ids := make([]string, len(all))
	for i, u := range all {
		ids[i] = u.ID
	}
	return a.numbersOf(ctx, userNoun, ids...)
}
