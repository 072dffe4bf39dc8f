package orgs

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/orgkit/orgkit/audit"
	"github.com/orgkit/orgkit/billing"
	"github.com/orgkit/orgkit/rbac"
	"github.com/orgkit/orgkit/store"
)

// PlatformRole is what people may do with the host as a whole, whatever organizations they are in: a name for words that
// mean something to the dialect that keeps them.
type PlatformRole struct {
	store.Meta
	// OrgID is the organization within which, and below which, the role counts; elsewhere it is as none. "" is everywhere.
	OrgID       string   `json:"org_id,omitempty"`
	Name        string   `json:"name"` // unique among those of the OrgID
	Permissions []string `json:"permissions"`
	// Limited says that who holds the role uses models within the Limits alone, each for themselves: what is not among them, none
	// of them may use. Others are not limited by their role.
	Limited bool        `json:"limited"`
	Limits  []RoleLimit `json:"limits"`
}

// RoleLimit is a limit of one person's calls of one model.
type RoleLimit struct {
	Model string `json:"model"` // id in the catalogue
	Type  string `json:"type"`  // one of LimitTypes
	Value *int64 `json:"value"` // nil is no limit, 0 no access
}

// LimitTypes are what roles limit: requests and tokens of the input, in minutes and days of UTC. A model may be used by who has
// a limit of each type for it.
var LimitTypes = []string{"rpm", "rpd", "tpm", "tpd"}

// CountsIn says whether the role counts in an organization of that lineage, as rbac.Lineage has it.
func (r PlatformRole) CountsIn(chain []rbac.Scope) bool {
	return r.OrgID == "" || slices.ContainsFunc(chain, func(s rbac.Scope) bool { return s.ID == r.OrgID })
}

// MayUse says whether who holds the role may use a model at all: an error is a *rbac.Denied, unsupported_model where nothing is
// said of the model and model_not_allowed where a type of limit is missing, or lets nothing through.
func (r PlatformRole) MayUse(model string) error {
	named, open := false, 0
	for _, l := range r.Limits {
		if l.Model == model {
			named = true
			if i := slices.Index(LimitTypes, l.Type); i >= 0 && (l.Value == nil || *l.Value > 0) {
				open |= 1 << i
			}
		}
	}
	switch {
	case !r.Limited:
		return nil
	case !named:
		return modelDenied("unsupported_model", model, r.ID, "no such model is served here")
	case open != 1<<len(LimitTypes)-1:
		return modelDenied("model_not_allowed", model, r.ID, "the role of the person does not let them use this model")
	}
	return nil
}

// modelDenied is the refusal of a model by the limits of a record.
func modelDenied(code, model, id, text string) error {
	return &rbac.Denied{Code: code, Action: "models.use", Resource: rbac.ModelPattern(model),
		Decision: rbac.Decision{Code: code, Reasons: []rbac.Reason{{Kind: "state", ID: id, Text: text}}, Remedy: []string{"have the limits changed"}}}
}

// limit is what the role limits of one person's calls of a model; ok says whether it does.
func (r PlatformRole) limit(userID, model string) (l billing.RateLimit, ok bool) {
	l = billing.RateLimit{Meta: r.Meta, Scope: billing.ScopeUser, ScopeID: userID, Model: model, Name: ofRole}
	into := map[string]**int64{"rpm": &l.RequestsPerMinute, "rpd": &l.RequestsPerDay, "tpm": &l.InputTokensPerMinute, "tpd": &l.InputTokensPerDay}
	for _, one := range r.Limits {
		if one.Model == model && one.Value != nil && into[one.Type] != nil {
			*into[one.Type], ok = one.Value, true
		}
	}
	return l, ok
}

// ofRole is the name of the limits of roles, which no limit that is set can have.
const ofRole = "role\n"

// RoleLimits are the limits of calls of a model that the role of the caller's person asks for.
func (c Caller) RoleLimits(model string) []billing.RateLimit {
	if c.Role == nil || !c.Role.Limited {
		return nil
	}
	if l, ok := c.Role.limit(c.Actor.Person(), model); ok {
		return []billing.RateLimit{l}
	}
	return nil
}

// StirHolders has every organization of who holds the role look at them again, and locks the role: it is a part of a change of its
// limits.
func StirHolders(ctx context.Context, tx *store.Tx, roleID string) (PlatformRole, error) {
	before, err := holdersOf(ctx, tx, roleID)
	if err != nil {
		return PlatformRole{}, err
	}
	if _, err := rbac.Stir(ctx, tx, before...); err != nil {
		return PlatformRole{}, err
	}
	role, err := PlatformRoles.Lock(ctx, tx, roleID) // from here on nobody gets it
	if err != nil {
		return role, err
	}
	now, err := holdersOf(ctx, tx, roleID)
	if err == nil && !slices.Equal(before, now) {
		err = fmt.Errorf("%w: somebody has got the role", store.ErrTransient)
	}
	return role, err
}

func holdersOf(ctx context.Context, tx *store.Tx, roleID string) (ids []string, err error) {
	held, err := PlatformRoleHeldBy(ctx, tx, roleID)
	for _, u := range held {
		ids = append(ids, u.ID)
	}
	slices.Sort(ids)
	return ids, err
}

// PlatformRoleHeldBy are the people who hold the role. It asks no permission: it serves the floors above.
func PlatformRoleHeldBy(ctx context.Context, tx *store.Tx, roleID string) (held []User, err error) {
	for u, err := range users.All(ctx, tx, store.Query{Where: []store.Cond{store.Eq("platform_role_id", roleID)}}) {
		if err != nil {
			return nil, err
		}
		held = append(held, u)
	}
	return held, nil
}

// PlatformRoles holds all of them. The floor above writes it inside rbac.Guard.Change, for the platform.
var PlatformRoles = store.Define[PlatformRole]("platform_roles", "prole",
	store.Unique("org_id", "name"))

// AuditResource is how the log names the role.
func (r PlatformRole) AuditResource() audit.Resource {
	return audit.Resource{Type: "role", ID: r.ID, Slug: r.Name}
}

// EnsurePlatformRole returns the role of that name that counts everywhere, which is made where there is none. One that has other permissions is a
// *store.ConflictError. Only the platform can.
func (m *Manager) EnsurePlatformRole(ctx context.Context, name string, permissions ...string) (r PlatformRole, err error) {
	if err := rbac.CheckText("name", name, 1, rbac.MaxName); err != nil {
		return r, err
	}
	find := func(ctx context.Context, tx *store.Tx) error {
		r, err = PlatformRoles.Find(ctx, tx, store.Eq("org_id", ""), store.Eq("name", name))
		if err == nil && !slices.Equal(r.Permissions, permissions) {
			err = &store.ConflictError{Code: "conflict", Message: "a role with this name exists, which means something else", ID: r.ID}
		}
		return err
	}
	op := rbac.Op{Action: "roles.create", Platform: true}
	if err = m.Read(ctx, op, find); !errors.Is(err, store.ErrNotFound) {
		return r, err
	}
	err = m.Change(ctx, op, func(ctx context.Context, tx *store.Tx) (audit.Change, error) {
		r = PlatformRole{Name: name, Permissions: permissions}
		err := PlatformRoles.Insert(ctx, tx, &r)
		if errors.Is(err, store.ErrExists) {
			err = fmt.Errorf("%w: another call has made the role", store.ErrTransient)
		}
		return audit.Created(&r), err
	})
	return r, err
}

// PlatformRoleOf is the role that a user has, the zero one for none. Anybody may ask about themselves, all others are the
// platform's.
func (m *Manager) PlatformRoleOf(ctx context.Context, ref string) (r PlatformRole, err error) {
	u, err := m.User(ctx, ref)
	if err != nil || u.PlatformRoleID == "" {
		return r, err
	}
	err = m.View(ctx, func(ctx context.Context, tx *store.Tx) error {
		r, err = PlatformRoles.Get(ctx, tx, u.PlatformRoleID)
		return err
	})
	return r, err
}

// PlatformRoleHolders is how many people hold the role. It asks no permission: it serves the floors above.
func PlatformRoleHolders(ctx context.Context, tx *store.Tx, roleID string) (int, error) {
	return users.Count(ctx, tx, store.Eq("platform_role_id", roleID))
}
