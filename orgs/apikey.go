package orgs

import (
	"cmp"
	"context"
	"encoding/json"
	"regexp"
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
	OrgID        string            `json:"organization_id"`
	TeamID       string            `json:"team_id"`    // "" for a key outside of teams
	ProjectID    string            `json:"project_id"` // "" for a key outside of projects
	Name         string            `json:"name"`
	Description  string            `json:"description,omitempty"`
	UserID       string            `json:"user_id"` // the person bound to it, "" for a service key
	CreatedBy    string            `json:"created_by"`
	InheritTeam  bool              `json:"inherit_team_permissions"`
	Permissions  []string          `json:"permissions"` // explicit grants
	Restrictions KeyRestrictions   `json:"additional_restrictions"`
	DefaultTags  map[string]string `json:"default_tags"` // of calls that do not set them
	Metadata     json.RawMessage   `json:"metadata"`
	Prefix       string            `json:"prefix"`
	Last4        string            `json:"last4"`
	Hash         string            `json:"-"`
	Disabled     bool              `json:"disabled"`
	Dialect      string            `json:"dialect,omitempty"`    // of the API by which it was made; "" is the native one
	BlockedBy    string            `json:"blocked_by,omitempty"` // scim: with the membership of its person, and given back with it
	RevokedAt    *time.Time        `json:"revoked_at"`
	ExpiresAt    *time.Time        `json:"expires_at"`

	// The secret before the last rotation, for as long as both work.
	PreviousHash      *string    `json:"-"`
	PreviousExpiresAt *time.Time `json:"previous_expires_at"`
}

var apiKeys = store.Define[APIKey]("api_keys", "key",
	store.Unique("hash"), store.Unique("previous_hash"), store.Index("org_id", "created_at"), store.Index("org_id", "team_id", "created_at"),
	store.Index("org_id", "user_id"), store.Index("user_id", "created_at"), store.Index("created_at"), store.Index("org_id", "project_id"), store.Index("name", "org_id"))

// APIKeysNamed are the ids of the keys of that name that are not revoked, in the organization or, where that is "", the
// first two of all organizations. It asks no permission: it serves the floors above, which then read the keys.
func APIKeysNamed(ctx context.Context, tx *store.Tx, orgID, name string) (ids []string, err error) {
	q := store.Query{Where: []store.Cond{store.Eq("name", name)}}
	if orgID != "" {
		q.Where = append(q.Where, store.Eq("org_id", orgID))
	}
	for k, err := range apiKeys.All(ctx, tx, q) {
		if err != nil {
			return nil, err
		}
		if k.RevokedAt == nil {
			ids = append(ids, k.ID)
		}
		if orgID == "" && len(ids) == 2 { // it is not unique: more need not be read
			break
		}
	}
	return ids, nil
}

// Context is where the key acts: its team, or its project if it has none, "" for the organization.
func (k APIKey) Context() string {
	if k.TeamID != "" {
		return k.TeamID
	}
	return k.ProjectID
}

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

// NewAPIKey is the input of [Manager.CreateAPIKey].
type NewAPIKey struct {
	Name         string
	Description  string
	Team         string  // id or slug; "" for a key outside of teams
	Organization string  // id or slug, for a key outside of teams; "" is the only one the caller has
	Project      string  // id or slug; "" for a key outside of projects
	User         *string // the person bound to it; nil is the caller, "" nobody
	// InheritTeam lets the key act as its team on the data plane, under the team's settings and
	// policies (F472). Otherwise it has its Permissions only, and never more than its maker and the
	// person bound to it.
	InheritTeam  bool
	Permissions  []string
	Restrictions KeyRestrictions
	DefaultTags  map[string]string
	Metadata     json.RawMessage
	ExpiresAt    *time.Time
	Prefix       string // begins the secret; "" is that of the manager
	Dialect      string // of the API that makes it, in which its refusals are written; "" is the native one
}

// CreateAPIKey makes a key and returns its secret, which is kept nowhere. It needs api_keys.create
// in the team, or in the project of a key without one; for a key of one's own api_keys.create:own will do, which does not act
// as its team.
func (m *Manager) CreateAPIKey(ctx context.Context, in NewAPIKey) (k APIKey, secret string, err error) {
	at, err := m.keyPlace(ctx, in)
	if err != nil {
		return k, "", err
	}
	project, err := m.keyProject(ctx, at.OrgID, in.Project)
	if err != nil {
		return k, "", err
	}
	k = APIKey{OrgID: at.OrgID, TeamID: at.TeamID, ProjectID: project, Name: in.Name, Description: in.Description, Permissions: in.Permissions,
		Restrictions: in.Restrictions, DefaultTags: in.DefaultTags, Metadata: in.Metadata, ExpiresAt: micros(in.ExpiresAt), Prefix: cmp.Or(in.Prefix, m.opt.KeyPrefix), Dialect: in.Dialect}
	k.InheritTeam = in.InheritTeam && k.Context() != ""
	at.TeamID = k.Context()
	op := rbac.Op{Action: "api_keys.create", OrgID: at.OrgID, TeamID: at.TeamID}
	if by := actor(ctx).Person(); in.User == nil || *in.User == by {
		op.Owner = by
	}
	err = m.Change(ctx, op, func(ctx context.Context, tx *store.Tx) (audit.Change, error) {
		k.Meta = store.Meta{}
		if k.CreatedBy, err = makerOf(ctx, tx, at.OrgID); err != nil {
			return audit.Change{}, err
		}
		if err := k.validate(); err != nil {
			return audit.Change{}, err
		}
		if p := in.Prefix; p != "" && (!keyPrefixForm.MatchString(p) || strings.HasPrefix(p, "ok_") && p != m.opt.KeyPrefix) { // which would be another credential
			return audit.Change{}, store.Invalid("prefix", "pattern", "must be 1 to 20 letters, digits, _ and -, and not begin with ok_")
		}
		if err := inFuture("expires_at", k.ExpiresAt, tx.Now()); err != nil {
			return audit.Change{}, err
		}
		if err := m.Ceiling(ctx, tx, at.handout("permissions", k.Permissions...)); err != nil {
			return audit.Change{}, err
		}
		if k.InheritTeam {
			if err := m.Ceiling(ctx, tx, at.handout("inherit_team_permissions", "api_keys.create")); err != nil {
				return audit.Change{}, err
			}
		}
		if k.UserID, err = m.boundPerson(ctx, tx, at, in.User); err != nil {
			return audit.Change{}, err
		}
		secret = k.newSecret()
		if err := apiKeys.Insert(ctx, tx, &k); err != nil {
			return audit.Change{}, err
		}
		grants := rbac.Assignment{OrgID: k.OrgID, TeamID: k.Context(), Subject: k.ID, Kind: rbac.Key, State: rbac.Active,
			Add: k.Permissions, Bound: k.UserID, CreatedBy: k.CreatedBy, ActsAsTeam: k.InheritTeam, Source: "manual"}
		if err := rbac.Assignments.Insert(ctx, tx, &grants); err != nil {
			return audit.Change{}, err
		}
		return audit.Created(&k).In(k.TeamID), m.applyLimit(ctx, tx, k)
	})
	return k, secret, err
}

// makerOf is on whose rights a new key rests: the actor's, or those of the maker of the acting key.
func makerOf(ctx context.Context, tx *store.Tx, orgID string) (string, error) {
	by := actor(ctx)
	if by.Type != audit.APIKey {
		return by.Person(), nil
	}
	held, err := rbac.Held(ctx, tx, orgID, by.ID)
	if err != nil || len(held) == 0 {
		return "", err
	}
	return held[0].CreatedBy, nil
}

// CreateAPIKeys makes keys, each by itself, or, with atomic, all or none.
func (m *Manager) CreateAPIKeys(ctx context.Context, in []NewAPIKey, atomic bool) ([]Row[CreatedAPIKey], error) {
	return eachRow(ctx, m, in, atomic, func(ctx context.Context, in NewAPIKey) (CreatedAPIKey, error) {
		k, secret, err := m.CreateAPIKey(ctx, in)
		return CreatedAPIKey{k, secret}, err
	})
}

// CreatedAPIKey is a key with its secret.
type CreatedAPIKey struct {
	Key    APIKey
	Secret string
}

// newSecret gives the key a new secret and keeps a hash of it.
func (k *APIKey) newSecret() string {
	secret := newSecret(k.Prefix)
	k.Last4, k.Hash = secret[len(secret)-4:], hashSecret(secret)
	return secret
}

// validate checks what the key is to be.
func (k *APIKey) validate() error {
	k.Name = strings.TrimSpace(k.Name)
	if err := rbac.CheckText("name", k.Name, 1, rbac.MaxName); err != nil {
		return err
	}
	if err := rbac.CheckPermissions("permissions", k.Permissions); err != nil {
		return err
	}
	if err := rbac.CheckText("description", k.Description, 0, rbac.MaxDescription); err != nil {
		return err
	}
	if err := k.Restrictions.validate(); err != nil {
		return err
	}
	if k.Dialect != "" && !dialectForm.MatchString(k.Dialect) {
		return store.Invalid("dialect", "pattern", "must be 1 to 32 small letters and digits")
	}
	if len(k.DefaultTags) > MaxCallTags {
		return store.Invalid("default_tags", "range", "must have at most %d entries", MaxCallTags)
	}
	for name, value := range k.DefaultTags {
		if name == "" || len(name) > MaxTagName || len(value) > MaxTagValue {
			return store.Invalid("default_tags", "range", "names must have 1 to %d characters, values at most %d", MaxTagName, MaxTagValue)
		}
	}
	return checkObject("metadata", &k.Metadata)
}

var (
	keyPrefixForm = regexp.MustCompile(`^[a-zA-Z0-9_-]{1,20}$`)
	dialectForm   = regexp.MustCompile(`^[a-z0-9]{1,32}$`)
)

func inFuture(field string, at *time.Time, now time.Time) error {
	if at != nil && !at.After(now) {
		return store.Invalid(field, "range", "must lie in the future")
	}
	return nil
}

// Limits of the tags of one call.
const (
	MaxCallTags = 20
	MaxTagName  = 64
	MaxTagValue = 256
)

// keyProject returns the id of a project of the organization.
func (m *Manager) keyProject(ctx context.Context, orgID, ref string) (string, error) {
	if ref == "" {
		return "", nil
	}
	at, err := m.ProjectPlace(ctx, orgID, ref)
	return at.TeamID, err
}

// keyPlace is where a new key will belong. A team of another tenant does not exist.
func (m *Manager) keyPlace(ctx context.Context, in NewAPIKey) (Place, error) {
	switch {
	case in.Team != "":
		at, err := m.TeamPlace(ctx, in.Team)
		if err != nil || in.Organization == "" {
			return at, err
		}
		org, err := m.OrgPlace(ctx, in.Organization)
		if err == nil && org.OrgID != at.OrgID {
			err = store.Invalid("organization_id", "range", "must be that of the team")
		}
		return at, err
	case in.Organization != "":
		return m.OrgPlace(ctx, in.Organization)
	}
	mine, err := m.Organizations(ctx, OrganizationFilter{Limit: 2})
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
