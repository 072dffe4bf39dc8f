package orgs

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"github.com/orgkit/orgkit/audit"
	"github.com/orgkit/orgkit/rbac"
	"github.com/orgkit/orgkit/store"
)

// save writes a changed key and lets its assignment follow.
func (k *APIKey) save(ctx context.Context, tx *store.Tx) error {
	if err := apiKeys.Update(ctx, tx, k); err != nil {
		return err
	}
	a, err := rbac.Assignments.Find(ctx, tx, store.Eq("subject", k.ID), store.Eq("org_id", k.OrgID), store.Eq("team_id", k.Context()))
	if err != nil {
		return err
	}
	a.State, a.Bound, a.CreatedBy, a.Add, a.ActsAsTeam = rbac.Active, k.UserID, k.CreatedBy, k.Permissions, k.InheritTeam
	if k.Disabled || k.RevokedAt != nil {
		a.State = rbac.Suspended
	}
	return rbac.Assignments.Update(ctx, tx, &a)
}

// keyOp finds the key and says what doing something with it asks for. The key of another tenant
// does not exist.
func (m *Manager) keyOp(ctx context.Context, action, id string) (op rbac.Op, err error) {
	by, ok := audit.ActorFrom(ctx)
	if !ok {
		return op, rbac.ErrNoActor
	}
	err = m.View(ctx, func(ctx context.Context, tx *store.Tx) error {
		k, err := findKey(ctx, tx, id)
		if err != nil {
			return err
		}
		op = rbac.Op{Action: action, OrgID: k.OrgID, TeamID: k.Context(), Past: true, Resource: "api_key:" + k.ID, Owner: k.UserID}
		return m.mustBelong(ctx, tx, by, k.OrgID)
	})
	return op, err
}

// findKey returns a key by its id, or by the hash of its secret in hexadecimal.
func findKey(ctx context.Context, tx *store.Tx, ref string) (APIKey, error) {
	if len(ref) == len(KeyHash{}.text()) {
		return apiKeys.Find(ctx, tx, store.Eq("hash", ref))
	}
	return apiKeys.Get(ctx, tx, ref)
}

// APIKey returns a key, which is named by its id or by the hash of its secret, without its secret. It needs api_keys.read in its team.
func (m *Manager) APIKey(ctx context.Context, id string) (k APIKey, err error) {
	op, err := m.keyOp(ctx, "api_keys.read", id)
	if err != nil {
		return k, err
	}
	err = m.Read(ctx, op, func(ctx context.Context, tx *store.Tx) error {
		k, err = findKey(ctx, tx, id)
		return err
	})
	return k, err
}

// KeyFilter says which keys to list; what is empty does not matter.
type KeyFilter struct {
	User   string // id or e-mail address of the person bound to it
	Status KeyStatus
	Limit  int
	After  string
}

// APIKeys lists the keys of a team or project, or of the whole organization, newest first.
func (m *Manager) APIKeys(ctx context.Context, at Place, f KeyFilter) (page store.Page[APIKey], err error) {
	if err := oneOf("status", string(f.Status), "", string(KeyActive), string(KeyDisabled), string(KeyRevoked), string(KeyExpired)); err != nil {
		return page, err
	}
	op := rbac.Op{Action: "api_keys.read", OrgID: at.OrgID, TeamID: at.TeamID}
	err = m.Visible(ctx, op, func(ctx context.Context, tx *store.Tx, all bool) error {
		q := store.Query{Where: []store.Cond{store.Eq("org_id", at.OrgID)},
			Order: []store.Order{store.Desc("created_at")}, Limit: f.Limit, After: f.After}
		switch {
		case at.TeamID == "":
		case at.IsProject():
			q.Where = append(q.Where, store.Eq("project_id", at.TeamID))
		default:
			q.Where = append(q.Where, store.Eq("team_id", at.TeamID))
		}
		switch {
		case !all:
			if err := mustBeIn(ctx, tx, at); err != nil {
				return err
			}
			q.Where = append(q.Where, store.Eq("user_id", actor(ctx).Person()))
		case f.User != "":
			u, err := findUser(ctx, tx, f.User)
			if errors.Is(err, store.ErrNotFound) { // nobody learns here who has an account
				page = store.Page[APIKey]{}
				return nil
			} else if err != nil {
				return err
			}
			q.Where = append(q.Where, store.Eq("user_id", u.ID))
		}
		page, err = apiKeys.Filter(ctx, tx, q, func(k *APIKey) bool { return f.Status == "" || k.StatusAt(tx.Now()) == f.Status })
		return err
	})
	return page, err
}

// changeKey changes a key that was not revoked.
func (m *Manager) changeKey(ctx context.Context, id, action, event, reason string, fn func(ctx context.Context, tx *store.Tx, k *APIKey) error) (k APIKey, err error) {
	op, err := m.keyOp(ctx, action, id)
	if err != nil {
		return k, err
	}
	err = m.Change(ctx, op, func(ctx context.Context, tx *store.Tx) (audit.Change, error) {
		if err := rbac.CheckText("reason", reason, 0, rbac.MaxDescription); err != nil {
			return audit.Change{}, err
		}
		if k, err = apiKeys.Lock(ctx, tx, id); err != nil {
			return audit.Change{}, err
		}
		if k.RevokedAt != nil {
			return audit.Change{}, &store.ConflictError{Code: "conflict", Message: "the key was revoked"}
		}
		before := k
		if err := fn(ctx, tx, &k); err != nil {
			return audit.Change{}, err
		}
		if err := m.applyLimit(ctx, tx, k); err != nil {
			return audit.Change{}, err
		}
		return audit.Updated(before, &k).As(event).In(k.TeamID).Because(reason), k.save(ctx, tx)
	})
	return k, err
}

// KeyUpdate changes a key; nil leaves as it is.
type KeyUpdate struct {
	Name         *string
	Description  *string
	User         *string // id or e-mail address; "" makes it a service key
	InheritTeam  *bool
	Permissions  *[]string
	Restrictions *KeyRestrictions
	DefaultTags  *map[string]string
	Metadata     *json.RawMessage
	ExpiresAt    *time.Time // the zero time takes the expiry away
}

// UpdateAPIKey changes a key, from its next use on. Nobody grants by it what they do not hold.
func (m *Manager) UpdateAPIKey(ctx context.Context, id string, in KeyUpdate) (APIKey, error) {
	return m.changeKey(ctx, id, "api_keys.update", "", "", func(ctx context.Context, tx *store.Tx, k *APIKey) error {
		at := Place{k.OrgID, k.Context()}
		if in.User != nil && *in.User != k.UserID {
			bound, err := m.boundPerson(ctx, tx, at, in.User)
			if err != nil {
				return err
			}
			k.UserID = bound
		}
		if in.Permissions != nil {
			if err := rbac.CheckPermissions("permissions", *in.Permissions); err != nil {
				return err
			}
			if err := m.Ceiling(ctx, tx, at.handout("permissions", *in.Permissions...)); err != nil {
				return err
			}
		}
		if in.InheritTeam != nil && *in.InheritTeam && !k.InheritTeam {
			if at.TeamID == "" {
				return store.Invalid("inherit_team_permissions", "state", "the key belongs to no team or project")
			}
			if err := m.Ceiling(ctx, tx, at.handout("inherit_team_permissions", "api_keys.create")); err != nil {
				return err
			}
		}
		if in.ExpiresAt != nil {
			k.ExpiresAt = nil
			if !in.ExpiresAt.IsZero() {
				k.ExpiresAt = micros(in.ExpiresAt)
			}
			if err := inFuture("expires_at", k.ExpiresAt, tx.Now()); err != nil {
				return err
			}
		}
		set(&k.Name, in.Name)
		set(&k.Description, in.Description)
		set(&k.InheritTeam, in.InheritTeam)
		set(&k.Permissions, in.Permissions)
		set(&k.Restrictions, in.Restrictions)
		set(&k.DefaultTags, in.DefaultTags)
		set(&k.Metadata, in.Metadata)
		return k.validate()
	})
}

// MaxOverlap is the longest time for which the secret before a rotation works on.
const MaxOverlap = 30 * 24 * time.Hour

// RotateAPIKey gives a key a new secret, and returns it; id, rights and restrictions stay. The old secret
// works until the overlap is over, exactly; one from a rotation before ends now.
func (m *Manager) RotateAPIKey(ctx context.Context, id string, overlap time.Duration) (k APIKey, secret string, err error) {
	k, err = m.changeKey(ctx, id, "api_keys.update", "api_key.rotated", "", func(ctx context.Context, tx *store.Tx, k *APIKey) error {
		if overlap < 0 || overlap > MaxOverlap {
			return store.Invalid("overlap_minutes", "range", "must be from 0 to %d", MaxOverlap/time.Minute)
		}
		if err := m.Ceiling(ctx, tx, Place{k.OrgID, k.Context()}.handout("", k.Permissions...)); err != nil {
			return err
		}
		k.PreviousHash, k.PreviousExpiresAt = nil, nil
		if overlap > 0 {
			old, until := k.Hash, tx.Now().Add(overlap.Truncate(time.Microsecond))
			k.PreviousHash, k.PreviousExpiresAt = &old, &until
		}
		secret = k.newSecret()
		return nil
	})
	return k, secret, err
}

// DisableAPIKey stops a key until it is enabled again.
func (m *Manager) DisableAPIKey(ctx context.Context, id, reason string) (APIKey, error) {
	return m.changeKey(ctx, id, "api_keys.update", "api_key.disabled", reason, func(_ context.Context, _ *store.Tx, k *APIKey) error {
		return able(k, true)
	})
}

// EnableAPIKey lets a disabled key work again.
func (m *Manager) EnableAPIKey(ctx context.Context, id, reason string) (APIKey, error) {
	return m.changeKey(ctx, id, "api_keys.update", "api_key.enabled", reason, func(_ context.Context, _ *store.Tx, k *APIKey) error {
		return able(k, false)
	})
}

func able(k *APIKey, disabled bool) error {
	if k.BlockedBy != "" && !disabled {
		return &store.ConflictError{Code: "scim_managed", Message: "the person of the key has no access any more; the identity provider of the organization gives it back"}
	}
	if k.BlockedBy != "" { // and now for a reason that outlasts that
		k.BlockedBy = ""
		return nil
	}
	if k.Disabled == disabled {
		return &store.ConflictError{Code: "conflict", Message: "the key is so already"}
	}
	k.Disabled = disabled
	return nil
}

// RevokeAPIKey ends a key for good; its next use is refused.
func (m *Manager) RevokeAPIKey(ctx context.Context, id, reason string) (APIKey, error) {
	return m.changeKey(ctx, id, "api_keys.delete", "api_key.revoked", reason, func(_ context.Context, tx *store.Tx, k *APIKey) error {
		now := tx.Now()
		k.RevokedAt = &now
		return nil
	})
}
