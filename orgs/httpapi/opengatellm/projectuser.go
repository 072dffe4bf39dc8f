package opengatellm

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"

	"github.com/orgkit/orgkit/orgs"
	"github.com/orgkit/orgkit/store"
)

// projectUserView is a person in a project. The role is that which they have everywhere.
type projectUserView struct {
	Object string `json:"object"`
	User   int64  `json:"user"`
	Email  string `json:"email"`
	Role   int64  `json:"role"`
	Joined int64  `json:"created"`
}

func (a *api) renderProjectUser(ctx context.Context, ms orgs.Membership) (any, error) {
	n, err := a.numberOf(ctx, userNoun, ms.User.ID)
	if err != nil {
		return nil, err
	}
	role, err := a.roleOf(ctx, ms.User)
	return projectUserView{"project.user", n, ms.User.Email, role, ms.JoinedAt.Unix()}, err
}

// insiders are the people of those numbers, who have to be members of the organization.
func (a *api) insiders(ctx context.Context, orgID string, numbers []int64) (ids []string, err error) {
	for i, n := range numbers {
		u, err := a.userNumbered(ctx, n)
		if err != nil {
			return nil, err
		}
		if _, err := a.Member(ctx, orgs.Place{OrgID: orgID}, u.ID); errors.Is(err, store.ErrNotFound) {
			return nil, outsider("users", i)
		} else if err != nil {
			return nil, err
		}
		if !slices.Contains(ids, u.ID) {
			ids = append(ids, u.ID)
		}
	}
	return ids, nil
}

// outsider is the fault of a person who is not in the organization of a project.
func outsider(loc ...any) error {
	return &invalid{[]fault{{Type: "value_error", Loc: append([]any{"body"}, loc...), Msg: "Value error, the user does not belong to the organization of the project."}}}
}

func (a *api) projectUsers(r *http.Request) (answer, error) {
	in, err := query(r)
	if err != nil {
		return answer{}, err
	}
	p := in.paging("id", "name", "created")
	if err := in.err(); err != nil {
		return answer{}, err
	}
	ctx := r.Context()
	project, _, err := a.projectAt(r)
	if err != nil {
		return answer{}, err
	}
	all, err := every(func(after string) (store.Page[orgs.Membership], error) {
		return a.Members(ctx, orgs.Place{OrgID: project.OrgID, TeamID: project.ID}, orgs.MemberFilter{Limit: store.MaxLimit, After: after})
	})
	if err != nil {
		return answer{}, err
	}
	ids := make([]string, len(all))
	for i, ms := range all {
		ids[i] = ms.User.ID
	}
	n, err := a.numbersOf(ctx, userNoun, ids...)
	if err != nil {
		return answer{}, err
	}
	return listed(a, p, all, func(ms orgs.Membership) entry {
		return entry{id: n[ms.User.ID], name: ms.User.Name, created: ms.JoinedAt.Unix()}
	}, func(ms orgs.Membership) (any, error) { return a.renderProjectUser(ctx, ms) })
}

// addProjectUser makes a member of the organization one of the project.
func (a *api) addProjectUser(r *http.Request) (answer, error) {
	in, err := body(r)
	if err != nil {
		return answer{}, err
	}
	in.alias("user", "user_id")
	in.alias("role", "role_id")
	in.required("user")
	in.notNull("user", "int_type", intType)
	user, role := in.integer("user", 0), in.integer("role", 0)
	if err := in.err(); err != nil {
		return answer{}, err
	}
	ctx := r.Context()
	p, _, err := a.projectAt(r)
	if err != nil {
		return answer{}, err
	}
	u, err := a.userNumbered(ctx, *user)
	if err != nil {
		return answer{}, err
	}
	if role != nil {
		if _, err := a.roleNumbered(ctx, *role); err != nil {
			return answer{}, err
		}
		if own, err := a.roleOf(ctx, u); err != nil {
			return answer{}, err
		} else if own != *role {
			return answer{}, &invalid{[]fault{{Type: "value_error", Loc: []any{"body", "role"}, Msg: "Value error, a person has one role, in projects too."}}}
		}
	}
	if _, err := a.Member(ctx, orgs.Place{OrgID: p.OrgID}, u.ID); errors.Is(err, store.ErrNotFound) {
		return answer{}, outsider("user")
	} else if err != nil {
		return answer{}, err
	}
	at := orgs.Place{OrgID: p.OrgID, TeamID: p.ID}
	err = a.Store().Update(ctx, func(ctx context.Context, _ *store.Tx) error { return a.join(ctx, at, u.ID) })
	if conflict := (*store.ConflictError)(nil); errors.As(err, &conflict) {
		err = &refusal{http.StatusConflict, a.text("User already in project.", fmt.Sprintf("User %d already in project.", *user))}
	}
	if err != nil {
		return answer{}, err
	}
	ms, err := a.Member(ctx, at, u.ID)
	if err != nil {
		return answer{}, err
	}
	return a.created(*user, func() (any, error) { return a.renderProjectUser(ctx, ms) })
}

// removeProjectUser takes a person out of a project; their keys of it are stopped.
func (a *api) removeProjectUser(r *http.Request) (answer, error) {
	ctx := r.Context()
	p, _, err := a.projectAt(r)
	if err != nil {
		return answer{}, err
	}
	n, err := strconv.ParseInt(r.PathValue("user"), 10, 64)
	if err != nil && !errors.Is(err, strconv.ErrRange) {
		return answer{}, &invalid{[]fault{{Type: "int_parsing", Loc: []any{"path", "user"}, Msg: intParsing}}}
	}
	u, err := a.userNumbered(ctx, n)
	if err != nil {
		return answer{}, err
	}
	at := orgs.Place{OrgID: p.OrgID, TeamID: p.ID}
	ms, err := a.Member(ctx, at, u.ID)
	if err == nil {
		_, err = a.RemoveMember(ctx, at, u.ID, orgs.MemberRemoval{})
	}
	if err != nil {
		return answer{}, a.orMissing(err, "User", n)
	}
	return a.changed(func() (any, error) { return a.renderProjectUser(ctx, ms) })
}
