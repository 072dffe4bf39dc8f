package opengatellm

import (
	"context"
	"net/http"
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
	all, n, err := a.everyUser(ctx)
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
	return listed(a, p, kept, func(u orgs.User) entry { return entry{n[u.ID], u.Name, u.CreatedAt.Unix(), u.UpdatedAt.Unix()} },
		func(u orgs.User) (any, error) { return a.renderUser(ctx, u, n[u.ID]) })
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

// everyUser reads all people, the oldest first, with their numbers.
func (a *api) everyUser(ctx context.Context) (all []orgs.User, n map[string]int64, err error) {
	all, err = every(func(after string) (store.Page[orgs.User], error) { return a.Users(ctx, store.MaxLimit, after) })
	if err != nil {
		return nil, nil, err
	}
	ids := make([]string, len(all))
	for i, u := range all {
		ids[len(all)-1-i] = u.ID
	}
	n, err = a.numbersOf(ctx, userNoun, ids...)
	return all, n, err
}
