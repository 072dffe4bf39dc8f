package orgs

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"time"

	"github.com/orgkit/orgkit/audit"
	"github.com/orgkit/orgkit/rbac"
	"github.com/orgkit/orgkit/store"
)

// KeyStatus is where a key stands.
type KeyStatus string

// The statuses.
const (
	KeyActive   KeyStatus = "active"
	KeyDisabled KeyStatus = "disabled"
	KeyRevoked  KeyStatus = "revoked"
	KeyExpired  KeyStatus = "expired"
)

// APIKey is a credential of the data plane. Its secret is shown once, when it is made; a hash of it
// is kept.
type APIKey struct {
	store.Meta
	OrgID        string          `json:"organization_id"`
	TeamID       string          `json:"team_id"` // "" for a key outside of teams
	Name         string          `json:"name"`
	UserID       string          `json:"user_id"` // the person bound to it, "" for a service key
	CreatedBy    string          `json:"created_by"`
	InheritTeam  bool            `json:"inherit_team_permissions"`
	Permissions  []string        `json:"permissions"` // explicit grants
	Restrictions KeyRestrictions `json:"additional_restrictions"`
	Metadata     json.RawMessage `json:"metadata"`
	Prefix       string          `json:"prefix"`
	Last4        string          `json:"last4"`
	Hash         string          `json:"-"`
	Disabled     bool            `json:"disabled"`
	RevokedAt    *time.Time      `json:"revoked_at"`
	ExpiresAt    *time.Time      `json:"expires_at"`
}

var apiKeys = store.Define[APIKey]("api_keys", "key",
	store.Unique("hash"), store.Index("org_id", "team_id", "created_at"), store.Index("org_id", "user_id"))

// AuditResource is how the log names the key.
func (k APIKey) AuditResource() audit.Resource { return audit.Resource{Type: "api_key", ID: k.ID} }

// StatusAt is the status of the key at that time.
func (k APIKey) StatusAt(now time.Time) KeyStatus {
	switch {
	case k.RevokedAt != nil:
		return KeyRevoked
	case k.Disabled:
		return KeyDisabled
	case k.ExpiresAt != nil && !now.Before(*k.ExpiresAt):
		return KeyExpired
	}
	return KeyActive
}

// KeyRestrictions narrow what a key may do. They intersect with its rights and never widen them.
type KeyRestrictions struct {
	AllowedIPs           []string `json:"allowed_ips,omitempty"` // none is no limit
	MaxRequestsPerMinute *int64   `json:"max_requests_per_minute,omitempty"`
}

// NewAPIKey is the input of [Manager.CreateAPIKey].
type NewAPIKey struct {
	Name         string
	Team         string  // id or slug; "" for a key outside of teams
	Organization string  // id or slug, for a key outside of teams; "" is the only one the caller has
	User         *string // the person bound to it; nil is the caller, "" nobody
	// InheritTeam lets the key act as its team on the data plane, under the team's settings and
	// policies (F472). Otherwise it has its Permissions only, and never more than its maker and the
	// person bound to it.
	InheritTeam  bool
	Permissions  []string
	Restrictions KeyRestrictions
	Metadata     json.RawMessage
	ExpiresAt    *time.Time
}

// CreateAPIKey makes a key and returns its secret, which is kept nowhere. It needs api_keys.create
// in the team.
func (m *Manager) CreateAPIKey(ctx context.Context, in NewAPIKey) (k APIKey, secret string, err error) {
	at, err := m.keyPlace(ctx, in)
	if err != nil {
		return k, "", err
	}
	op := rbac.Op{Action: "api_keys.create", OrgID: at.OrgID, TeamID: at.TeamID}
	err = m.Change(ctx, op, func(ctx context.Context, tx *store.Tx) (audit.Change, error) {
		if err := in.validate(tx.Now()); err != nil {
			return audit.Change{}, err
		}
		if err := m.Ceiling(ctx, tx, at.handout("permissions", in.Permissions...)); err != nil {
			return audit.Change{}, err
		}
		bound, err := m.boundPerson(ctx, tx, at, in.User)
		if err != nil {
			return audit.Change{}, err
		}
		by := actor(ctx)
		secret = newSecret(m.opt.KeyPrefix)
		k = APIKey{OrgID: at.OrgID, TeamID: at.TeamID, Name: strings.TrimSpace(in.Name), UserID: bound, CreatedBy: by.Person(),
			InheritTeam: in.InheritTeam && at.TeamID != "", Permissions: in.Permissions, Restrictions: in.Restrictions, Metadata: in.Metadata,
			Prefix: m.opt.KeyPrefix, Last4: secret[len(secret)-4:], Hash: hashSecret(secret), ExpiresAt: micros(in.ExpiresAt)}
		if err := apiKeys.Insert(ctx, tx, &k); err != nil {
			return audit.Change{}, err
		}
		grants := rbac.Assignment{OrgID: k.OrgID, TeamID: k.TeamID, Subject: k.ID, Kind: rbac.Key, State: rbac.Active,
			Add: k.Permissions, Bound: k.UserID, CreatedBy: k.CreatedBy, ActsAsTeam: k.InheritTeam, Source: "manual"}
		return audit.Created(&k).In(k.TeamID), rbac.Assignments.Insert(ctx, tx, &grants)
	})
	return k, secret, err
}

func (in *NewAPIKey) validate(now time.Time) error {
	if err := rbac.CheckText("name", strings.TrimSpace(in.Name), 1, rbac.MaxName); err != nil {
		return err
	}
	if err := rbac.CheckPermissions("permissions", in.Permissions); err != nil {
		return err
	}
	if err := checkRanges("additional_restrictions.allowed_ips", in.Restrictions.AllowedIPs); err != nil {
		return err
	}
	if n := in.Restrictions.MaxRequestsPerMinute; n != nil && *n < 0 {
		return store.Invalid("additional_restrictions.max_requests_per_minute", "range", "must not be negative")
	}
	if in.ExpiresAt != nil && !in.ExpiresAt.After(now) {
		return store.Invalid("expires_at", "range", "must lie in the future")
	}
	return checkMetadata("metadata", &in.Metadata)
}

// keyPlace is where a new key will belong. A team of another tenant does not exist.
func (m *Manager) keyPlace(ctx context.Context, in NewAPIKey) (Place, error) {
	switch {
	case in.Team != "":
		return m.TeamPlace(ctx, in.Team)
	case in.Organization != "":
		return m.OrgPlace(ctx, in.Organization)
	}
	mine, err := m.Organizations(ctx, 2, "")
	if err != nil {
		return Place{}, err
	}
	if len(mine.Items) != 1 {
		return Place{}, store.Invalid("team_id", "required", "team_id or organization_id is required")
	}
	return Place{OrgID: mine.Items[0].ID}, nil
}

// boundPerson returns the id of the user whom the key stands for. Anybody but oneself has to be a
// member of the place, and takes members.update.
func (m *Manager) boundPerson(ctx context.Context, tx *store.Tx, at Place, ref *string) (string, error) {
	by := actor(ctx)
	if ref == nil {
		return by.Person(), nil
	}
	if *ref == "" {
		return "", nil
	}
	a, u, err := findMember(ctx, tx, at, *ref)
	if err != nil {
		return "", err
	}
	if u.ID == by.Person() {
		return u.ID, nil
	}
	if a.State != rbac.Active {
		return "", store.Invalid("user_id", "state", "must be an active member")
	}
	return u.ID, m.Ceiling(ctx, tx, at.handout("user_id", "members.update"))
}

// save writes a changed key and lets its assignment follow.
func (k *APIKey) save(ctx context.Context, tx *store.Tx) error {
	if err := apiKeys.Update(ctx, tx, k); err != nil {
		return err
	}
	a, err := rbac.Assignments.Find(ctx, tx, store.Eq("subject", k.ID), store.Eq("org_id", k.OrgID), store.Eq("team_id", k.TeamID))
	if err != nil {
		return err
	}
	a.State, a.Bound, a.Add = rbac.Active, k.UserID, k.Permissions
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
	err = m.store.View(ctx, func(ctx context.Context, tx *store.Tx) error {
		k, err := apiKeys.Get(ctx, tx, id)
		if err != nil {
			return err
		}
		op = rbac.Op{Action: action, OrgID: k.OrgID, TeamID: k.TeamID, Resource: "api_key:" + k.ID, Owner: k.UserID}
		return m.mustBelong(ctx, tx, by, k.OrgID)
	})
	return op, err
}

// APIKey returns a key without its secret. It needs api_keys.read in its team.
func (m *Manager) APIKey(ctx context.Context, id string) (k APIKey, err error) {
	op, err := m.keyOp(ctx, "api_keys.read", id)
	if err != nil {
		return k, err
	}
	err = m.Read(ctx, op, func(ctx context.Context, tx *store.Tx) error {
		k, err = apiKeys.Get(ctx, tx, id)
		return err
	})
	return k, err
}

// APIKeys lists the keys of a team, or of the whole organization, newest first.
func (m *Manager) APIKeys(ctx context.Context, at Place, limit int, after string) (page store.Page[APIKey], err error) {
	op := rbac.Op{Action: "api_keys.read", OrgID: at.OrgID, TeamID: at.TeamID}
	err = m.Visible(ctx, op, func(ctx context.Context, tx *store.Tx, all bool) error {
		q := store.Query{Where: []store.Cond{store.Eq("org_id", at.OrgID)},
			Order: []store.Order{store.Desc("created_at")}, Limit: limit, After: after}
		if at.TeamID != "" {
			q.Where = append(q.Where, store.Eq("team_id", at.TeamID))
		}
		if !all {
			q.Where = append(q.Where, store.Eq("user_id", actor(ctx).Person()))
		}
		page, err = apiKeys.List(ctx, tx, q)
		return err
	})
	return page, err
}

// RevokeAPIKey ends a key for good; its next use is refused. Revoking it again changes nothing.
func (m *Manager) RevokeAPIKey(ctx context.Context, id, reason string) (k APIKey, err error) {
	op, err := m.keyOp(ctx, "api_keys.delete", id)
	if err != nil {
		return k, err
	}
	err = m.Change(ctx, op, func(ctx context.Context, tx *store.Tx) (audit.Change, error) {
		if k, err = apiKeys.Lock(ctx, tx, id); err != nil {
			return audit.Change{}, err
		}
		before := k
		if k.RevokedAt == nil {
			now := tx.Now()
			k.RevokedAt = &now
		}
		return audit.Updated(before, &k).As("api_key.revoked").In(k.TeamID).Because(reason), k.save(ctx, tx)
	})
	return k, err
}

// Caller is a key at the moment in which it is used: with its organization, team and person as they
// are now.
type Caller struct {
	Key   APIKey
	Actor audit.Actor
	Scope rbac.Scope // its state is that of the whole lineage
	Team  *Team      // nil for a key outside of teams
}

// KeyCaller returns the caller behind a secret, for the data path. What is wrong with the secret is
// an *[AuthError].
func KeyCaller(ctx context.Context, tx *store.Tx, secret string) (c Caller, err error) {
	if secret == "" {
		return c, &AuthError{"missing_api_key"}
	}
	if c.Key, err = keyBySecret(ctx, tx, secret); err != nil {
		return c, err
	}
	if c.Actor, err = c.Key.actor(ctx, tx); err != nil {
		return c, err
	}
	chain, err := rbac.Lineage(ctx, tx, c.Key.OrgID)
	if err != nil {
		return c, err
	}
	c.Scope = chain[0]
	c.Scope.State = rbac.Effective(chain)
	if c.Key.TeamID != "" {
		t, err := teams.Get(ctx, tx, c.Key.TeamID)
		if errors.Is(err, store.ErrNotFound) {
			return c, &AuthError{"invalid_api_key"}
		} else if err != nil {
			return c, err
		}
		c.Team = &t
	}
	return c, nil
}
