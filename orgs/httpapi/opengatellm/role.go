package opengatellm

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"

	"github.com/orgkit/orgkit/audit"
	"github.com/orgkit/orgkit/orgs"
	"github.com/orgkit/orgkit/rbac"
	"github.com/orgkit/orgkit/store"
)

// roleNoun is of what roles are numbered.
const roleNoun = "role"

// The permissions of roles. What admin means this package says; the others are for the host to ask for.
var permissions = []string{adminPermission, "create_public_collection", "read_metric", "provide_models"}

const adminPermission = "admin"

// roleView is a role of the whole host.
type roleView struct {
	Object      string      `json:"object"`
	ID          int64       `json:"id"`
	Name        string      `json:"name"`
	Permissions []string    `json:"permissions"`
	Limits      []limitView `json:"limits"`
	Users       int         `json:"users"`
	Created     int64       `json:"created"`
	Updated     int64       `json:"updated"`
}

func (a *api) renderRole(ctx context.Context, role orgs.PlatformRole, id int64) (any, error) {
	v := roleView{"role", id, role.Name, append([]string{}, role.Permissions...), nil, 0, role.CreatedAt.Unix(), role.UpdatedAt.Unix()}
	limits, err := a.renderLimits(ctx, role.Limits, false)
	if err != nil {
		return nil, err
	}
	v.Limits = limits
	err = a.View(ctx, func(ctx context.Context, tx *store.Tx) (err error) {
		v.Users, err = a.holders(ctx, tx, role)
		return err
	})
	return v, err
}

// holders counts who has the role; the default one is also that of who has none.
func (a *api) holders(ctx context.Context, tx *store.Tx, role orgs.PlatformRole) (int, error) {
	n, err := orgs.PlatformRoleHolders(ctx, tx, role.ID)
	if err != nil || !a.isDefault(role) {
		return n, err
	}
	if a.root != "" {
		people, err := a.peopleBelow(ctx, tx)
		for _, u := range people {
			if has, err := a.hasRole(ctx, tx, u); err != nil {
				return 0, err
			} else if !has {
				n++
			}
		}
		return n, err
	}
	without, err := orgs.PlatformRoleHolders(ctx, tx, "")
	return n + without, err
}

// isDefault says whether the role is that of who has none here.
func (a *api) isDefault(role orgs.PlatformRole) bool {
	return role.OrgID == a.root && role.Name == a.opt.DefaultRole
}

// hasRole says whether a person has a role that is shown here: below a root, one of that.
func (a *api) hasRole(ctx context.Context, tx *store.Tx, u orgs.User) (bool, error) {
	if u.PlatformRoleID == "" || a.root == "" {
		return u.PlatformRoleID != "", nil
	}
	role, err := orgs.PlatformRoles.Get(ctx, tx, u.PlatformRoleID)
	return role.OrgID == a.root, err
}

// roleNumbered finds a role by its number.
func (a *api) roleNumbered(ctx context.Context, n int64) (role orgs.PlatformRole, err error) {
	err = a.View(ctx, func(ctx context.Context, tx *store.Tx) error {
		id, err := orgs.Numbered(ctx, tx, roleNoun, n)
		if err == nil {
			role, err = orgs.PlatformRoles.Get(ctx, tx, id)
		}
		if err == nil && a.root != "" && role.OrgID != a.root {
			err = store.ErrNotFound
		}
		return err
	})
	return role, a.orMissing(err, "Role", n)
}

func (a *api) roleAt(r *http.Request) (role orgs.PlatformRole, n int64, err error) {
	if n, err = a.pathID(r, "role"); err == nil {
		role, err = a.roleNumbered(r.Context(), n)
	}
	return role, n, err
}

// roleForm is what a body says of a role. Nil is what is absent or null.
type roleForm struct {
	name   *string
	words  *[]string
	limits *[]limitForm
}

func readRole(in *form) (f roleForm) {
	f.name = in.text("name", 1, maxName)
	if in.has("permissions") {
		list := in.words("permissions", permissions)
		f.words = &list
	}
	f.limits = in.limits("limits")
	return f
}

// put changes a role to what the form says.
func (f roleForm) put(role *orgs.PlatformRole, limits *[]orgs.RoleLimit) {
	if f.name != nil {
		role.Name = *f.name
	}
	if f.words != nil {
		role.Permissions = *f.words
	}
	if limits != nil {
		role.Limited, role.Limits = true, *limits
	}
}

func (a *api) createRole(r *http.Request) (answer, error) {
	in, err := body(r)
	if err != nil {
		return answer{}, err
	}
	in.required("name")
	in.notNull("name", "string_type", "Input should be a valid string")
	f := readRole(in)
	if err := in.err(); err != nil {
		return answer{}, err
	}
	limits, err := a.lookUp(r.Context(), f.limits)
	if err != nil {
		return answer{}, err
	}
	role := orgs.PlatformRole{OrgID: a.root, Limited: true}
	f.put(&role, limits)
	err = a.Change(r.Context(), rbac.Op{Action: "roles.create", Platform: true}, func(ctx context.Context, tx *store.Tx) (audit.Change, error) {
		role.Meta = store.Meta{}
		return audit.Created(&role), orgs.PlatformRoles.Insert(ctx, tx, &role)
	})
	if err != nil {
		return answer{}, a.roleTaken(err, role.Name)
	}
	n, err := a.numbersOf(r.Context(), roleNoun, role.ID)
	if err != nil {
		return answer{}, err
	}
	return a.created(n[role.ID], func() (any, error) { return a.renderRole(r.Context(), role, n[role.ID]) })
}

func (a *api) roleTaken(err error, name string) error {
	if errors.Is(err, store.ErrExists) {
		return &refusal{http.StatusConflict, a.text("Role already exists.", fmt.Sprintf("Role %s already exists.", name))}
	}
	return err
}

func (a *api) roles(r *http.Request) (answer, error) {
	in, err := query(r)
	if err != nil {
		return answer{}, err
	}
	p := in.paging(columns...)
	if err := in.err(); err != nil {
		return answer{}, err
	}
	var all []orgs.PlatformRole
	var ids []string
	err = a.View(r.Context(), func(ctx context.Context, tx *store.Tx) error {
		all, ids = nil, nil
		q := store.Query{}
		if a.root != "" {
			q.Where = []store.Cond{store.Eq("org_id", a.root)}
		}
		for role, err := range orgs.PlatformRoles.All(ctx, tx, q) {
			if err != nil {
				return err
			}
			all, ids = append(all, role), append(ids, role.ID)
		}
		return nil
	})
	if err != nil {
		return answer{}, err
	}
	n, err := a.numbersOf(r.Context(), roleNoun, ids...)
	if err != nil {
		return answer{}, err
	}
	return listed(a, p, all, func(o orgs.PlatformRole) entry { return entry{n[o.ID], o.Name, o.CreatedAt.Unix(), o.UpdatedAt.Unix()} },
		func(o orgs.PlatformRole) (any, error) { return a.renderRole(r.Context(), o, n[o.ID]) })
}

func (a *api) role(r *http.Request) (answer, error) {
	role, n, err := a.roleAt(r)
	if err != nil {
		return answer{}, err
	}
	v, err := a.renderRole(r.Context(), role, n)
	return answer{http.StatusOK, v}, err
}

// updateRole changes a role; what is absent or null stays.
func (a *api) updateRole(r *http.Request) (answer, error) {
	in, err := body(r)
	if err != nil {
		return answer{}, err
	}
	f := readRole(in)
	if err := in.err(); err != nil {
		return answer{}, err
	}
	role, n, err := a.roleAt(r)
	if err != nil {
		return answer{}, err
	}
	limits, err := a.lookUp(r.Context(), f.limits)
	if err != nil {
		return answer{}, err
	}
	if f != (roleForm{}) {
		err = a.Change(r.Context(), rbac.Op{Action: "roles.update", Platform: true}, func(ctx context.Context, tx *store.Tx) (audit.Change, error) {
			lock := orgs.PlatformRoles.Lock
			if limits != nil {
				lock = orgs.StirHolders
			}
			before, err := lock(ctx, tx, role.ID)
			if err != nil {
				return audit.Change{}, err
			}
			role = before
			f.put(&role, limits)
			if err := orgs.PlatformRoles.Update(ctx, tx, &role); err != nil {
				return audit.Change{}, err
			}
			return audit.Updated(before, &role), a.keepAdmin(ctx, tx, a.isAdminRole(before))
		})
	}
	if err != nil {
		return answer{}, a.orMissing(a.roleTaken(err, role.Name), "Role", n)
	}
	return a.changed(func() (any, error) { return a.renderRole(r.Context(), role, n) })
}

func (a *api) deleteRole(r *http.Request) (answer, error) {
	role, n, err := a.roleAt(r)
	if err != nil {
		return answer{}, err
	}
	v, err := a.renderRole(r.Context(), role, n)
	if err != nil {
		return answer{}, err
	}
	err = a.Change(r.Context(), rbac.Op{Action: "roles.delete", Platform: true}, func(ctx context.Context, tx *store.Tx) (audit.Change, error) {
		if _, err := orgs.PlatformRoles.Lock(ctx, tx, role.ID); err != nil { // who gets it waits, or was first
			return audit.Change{}, err
		}
		switch held, err := a.holders(ctx, tx, role); {
		case err != nil:
			return audit.Change{}, err
		case held > 0:
			return audit.Change{}, &refusal{http.StatusConflict, a.text("Delete role with users is not allowed.",
				fmt.Sprintf("Role %d still has users and cannot be removed.", n))}
		}
		return audit.Deleted(&role), orgs.PlatformRoles.Delete(ctx, tx, role.ID)
	})
	if err != nil {
		return answer{}, a.orMissing(err, "Role", n)
	}
	return a.changed(func() (any, error) { return v, nil })
}

// roleOf is the role of a person, made if it is the default one and there is none yet, and its number.
func (a *api) roleOf(ctx context.Context, u orgs.User) (n int64, err error) {
	id := u.PlatformRoleID
	if id != "" && a.root != "" {
		err = a.View(ctx, func(ctx context.Context, tx *store.Tx) error {
			has, err := a.hasRole(ctx, tx, u)
			if !has {
				id = ""
			}
			return err
		})
	}
	if err == nil && id == "" {
		id, err = a.theDefault(ctx)
	}
	if err != nil {
		return 0, err
	}
	numbers, err := a.numbersOf(ctx, roleNoun, id)
	return numbers[id], err
}

func (a *api) theDefault(ctx context.Context) (string, error) {
	for try := 1; ; try++ {
		var role orgs.PlatformRole
		err := a.View(ctx, func(ctx context.Context, tx *store.Tx) (err error) {
			role, err = orgs.PlatformRoles.Find(ctx, tx, store.Eq("org_id", a.root), store.Eq("name", a.opt.DefaultRole))
			return err
		})
		if !errors.Is(err, store.ErrNotFound) {
			return role.ID, err
		}
		err = a.Change(audit.WithActor(ctx, audit.System("the default role")), rbac.Op{Action: "roles.create", Platform: true},
			func(ctx context.Context, tx *store.Tx) (audit.Change, error) {
				role = orgs.PlatformRole{OrgID: a.root, Name: a.opt.DefaultRole}
				return audit.Created(&role), orgs.PlatformRoles.Insert(ctx, tx, &role)
			})
		if !errors.Is(err, store.ErrExists) || try == 3 {
			return role.ID, err
		}
	}
}

// heldRole is the role of a person that counts where they are at home, which nobody has made yet if it is the default one and
// empty. What it permits below a root, another handler does not.
func (a *api) heldRole(ctx context.Context, u orgs.User) (role orgs.PlatformRole, err error) {
	err = a.View(ctx, func(ctx context.Context, tx *store.Tx) error {
		role, err = a.roleHeldBy(ctx, tx, u)
		return err
	})
	return role, err
}

func (a *api) roleHeldBy(ctx context.Context, tx *store.Tx, u orgs.User) (role orgs.PlatformRole, err error) {
	if u.PlatformRoleID != "" {
		if role, err = orgs.PlatformRoles.Get(ctx, tx, u.PlatformRoleID); err != nil || role.OrgID == "" {
			return role, err
		}
		home, err := a.home(ctx, u)
		if err != nil {
			return role, err
		}
		var chain []rbac.Scope
		if home != "" {
			if chain, err = rbac.Lineage(ctx, tx, home); err != nil {
				return role, err
			}
		}
		if role.CountsIn(chain) {
			if role.OrgID != a.root {
				role.Permissions = nil
			}
			return role, nil
		}
	}
	role, err = orgs.PlatformRoles.Find(ctx, tx, store.Eq("org_id", a.root), store.Eq("name", a.opt.DefaultRole))
	if errors.Is(err, store.ErrNotFound) {
		return orgs.PlatformRole{Name: a.opt.DefaultRole}, nil
	}
	return role, err
}

// isAdmin says whether a person's role lets them act here: one of the whole host, or, below a root, one of that and of who is there.
func (a *api) isAdmin(ctx context.Context, userID string) (admin bool, err error) {
	err = a.View(ctx, func(ctx context.Context, tx *store.Tx) error {
		u, err := orgs.UserByID(ctx, tx, userID)
		if err != nil || u.PlatformRoleID == "" {
			return err
		}
		role, err := orgs.PlatformRoles.Get(ctx, tx, u.PlatformRoleID)
		if err != nil || role.OrgID != "" && role.OrgID != a.root {
			return err
		}
		if admin = slices.Contains(role.Permissions, adminPermission); !admin || role.OrgID == "" {
			return nil
		}
		is, err := a.standing(ctx, tx, u)
		admin = is != unknown
		return err
	})
	return admin, err
}
