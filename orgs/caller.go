package orgs

import (
	"context"
	"errors"
	"maps"
	"sync"
	"time"

	"github.com/orgkit/orgkit/audit"
	"github.com/orgkit/orgkit/billing"
	"github.com/orgkit/orgkit/rbac"
	"github.com/orgkit/orgkit/store"
)

// Caller is a key at the moment in which it is used: with its organization, team and person as they
// are now.
type Caller struct {
	Key     APIKey
	Actor   audit.Actor
	Scope   rbac.Scope    // its state is that of the whole lineage
	Token   *Token        // whose the key is in place of a record of its own, nil for others
	Team    *Team         // nil for a key outside of teams
	Project *Project      // nil for a key outside of projects
	Tags    []string      // that the organization requires of every call (F228)
	Role    *PlatformRole // that the person was given, nil for none
	// OrgTags are those of the organization itself, for who routes calls by them.
	OrgTags []string
	// Aliases are models by the names that the key has for them, the team after it, and then the organization.
	Aliases map[string]string
	// Priority of the person bound to the key, among calls that wait.
	Priority int64
	Until    time.Time // the first moment at which time alone ends the credential; zero: none
}

// Subject is who decisions about the caller are about: the key, or the person whose token it is.
func (c Caller) Subject() string {
	if c.Token != nil {
		return c.Token.UserID
	}
	return c.Key.ID
}

// resource is how the log names what the caller came by.
func (c Caller) resource() audit.Resource {
	if c.Token != nil {
		return c.Token.AuditResource()
	}
	return c.Key.AuditResource()
}

// unknown says whether an error of keyCaller means that there is no such key at all.
func (c Caller) unknown(err error) bool {
	return err != nil && c.Key.ID == "" && errors.Is(err, ErrUnauthenticated)
}

// KeyCaller returns the caller behind a secret, for the data path. What is wrong with the secret is
// an *[AuthError]; the caller is then the one whose it is, or was, as far as it is known, for [Manager.Refused].
//
// The token of a dialect is a key of its person, with their own rights, in the organization that they are at home in
// ([HomeOf]); one whose person is in none is a *rbac.Denied.
func KeyCaller(ctx context.Context, tx *store.Tx, h KeyHash) (c Caller, err error) {
	if c, err = keyCaller(ctx, tx, h); c.unknown(err) && h != noSecret {
		return tokenCaller(ctx, tx, h)
	}
	return c, err
}

func tokenCaller(ctx context.Context, tx *store.Tx, h KeyHash) (c Caller, err error) {
	if c, err = tokenHolder(ctx, tx, h); err != nil {
		return c, err
	}
	u, err := users.Get(ctx, tx, c.Token.UserID)
	if err != nil {
		return c, err
	}
	home, err := HomeOf(ctx, tx, u)
	if err != nil {
		return c, err
	}
	if home == "" {
		return c, &rbac.Denied{Code: "permission_denied", Action: "api_keys.use", Resource: "token:" + c.Token.ID,
			Decision: rbac.Decision{Code: "permission_denied", Reasons: []rbac.Reason{{Kind: "state", ID: u.ID, Text: "the person of the token is in no organization"}},
				Remedy: []string{"become a member of an organization"}}}
	}
	c.Key = c.Token.key(home)
	if c.Token.ExpiresAt != nil {
		c.Until = *c.Token.ExpiresAt
	}
	return c, c.complete(ctx, tx, u)
}

func keyCaller(ctx context.Context, tx *store.Tx, h KeyHash) (c Caller, err error) {
	if h == noSecret {
		return c, &AuthError{Code: "missing_api_key"}
	}
	if c.Key, c.Until, err = keyBySecret(ctx, tx, h); err != nil {
		c.Actor = c.Key.named()
		return c, err
	}
	var u User
	if c.Actor, u, err = c.Key.actor(ctx, tx); err != nil {
		return c, err
	}
	if err := c.complete(ctx, tx, u); err != nil {
		return c, err
	}
	if c.Key.TeamID != "" {
		t, err := teams.Get(ctx, tx, c.Key.TeamID)
		if errors.Is(err, store.ErrNotFound) {
			return c, &AuthError{"invalid_api_key", "team_deleted"}
		} else if err != nil {
			return c, err
		}
		c.Team = &t
		if m := t.Settings.Models; m != nil {
			c.alias(m.Aliases)
		}
	}
	if c.Key.ProjectID != "" {
		p, err := projects.Get(ctx, tx, c.Key.ProjectID)
		if errors.Is(err, store.ErrNotFound) {
			return c, &AuthError{"invalid_api_key", "project_deleted"}
		} else if err != nil {
			return c, err
		}
		c.Project = &p
	}
	c.alias(c.Key.Restrictions.ModelAliases)
	return c, nil
}

// complete adds what the person and the organization bring.
func (c *Caller) complete(ctx context.Context, tx *store.Tx, u User) error {
	if u.ExpiresAt != nil && (c.Until.IsZero() || u.ExpiresAt.Before(c.Until)) {
		c.Until = *u.ExpiresAt
	}
	c.Priority = u.Priority
	chain, err := rbac.Lineage(ctx, tx, c.Key.OrgID)
	if err != nil {
		return err
	}
	if u.PlatformRoleID != "" {
		role, err := PlatformRoles.Get(ctx, tx, u.PlatformRoleID)
		if err != nil {
			return err
		}
		if role.CountsIn(chain) {
			c.Role = &role
		}
	}
	c.Scope = chain[0]
	c.Scope.State = rbac.Effective(chain)
	s, err := billing.SettingsOf(ctx, tx, c.Key.OrgID)
	if err != nil {
		return err
	}
	c.Tags = s.CostAllocation.RequiredTags
	o, err := organizations.Get(ctx, tx, c.Key.OrgID)
	if err != nil {
		return err
	}
	c.OrgTags = o.Tags
	if m := o.Settings.Models; m != nil {
		c.alias(m.Aliases)
	}
	return nil
}

// alias takes other names of models, which win over those before.
func (c *Caller) alias(names map[string]string) {
	if len(names) == 0 {
		return
	}
	if c.Aliases == nil {
		c.Aliases = map[string]string{}
	}
	maps.Copy(c.Aliases, names)
}

// Stopped answers nil, or why the key does nothing for the time being, by a credential that is good as such:
// an *[AuthError] where its organization is deleted, else a *rbac.Denied with the code org_suspended,
// team_archived or project_archived.
func (c Caller) Stopped() error {
	stopped := func(code, text string) error {
		return &rbac.Denied{Code: code, Action: "api_keys.use", Resource: "api_key:" + c.Key.ID, TeamID: c.Key.Context(),
			Decision: rbac.Decision{Code: code, Reasons: []rbac.Reason{{Kind: "state", ID: c.Key.OrgID, Text: text}},
				Remedy: []string{"wait until it is active again"}}}
	}
	switch {
	case c.Scope.State == rbac.Suspended:
		return stopped("org_suspended", "the organization is suspended")
	case c.Scope.State != rbac.Active:
		return &AuthError{"invalid_api_key", "org_deleted"}
	case c.Team != nil && c.Team.State != rbac.Active:
		return stopped("team_archived", "the team is archived")
	case c.Project != nil && c.Project.State != rbac.Active:
		return stopped("project_archived", "the project is archived")
	}
	return nil
}

// keyUse is when a key was used last. It has a record of its own, so that a use is no change of the key.
type keyUse struct {
	store.Meta // the id of the key
	OrgID      string
	UsedAt     time.Time
}

var keyUses = store.Define[keyUse]("api_key_uses", "key")

// useEvery is how exactly the last use of a key is known.
const useEvery = time.Minute

// uses remembers which keys were noted lately.
type uses struct {
	mu   sync.Mutex
	last map[string]time.Time
}

// maxUses bounds what is remembered; beyond it everything is forgotten, and noted again.
const maxUses = 100_000

func (u *uses) due(id string, at time.Time) bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	if last, ok := u.last[id]; ok && at.Sub(last) < useEvery {
		return false
	}
	if u.last == nil || len(u.last) >= maxUses {
		u.last = map[string]time.Time{}
	}
	u.last[id] = at
	return true
}

// Used notes that a key was used, at most once a minute; the first use in an hour is an event as well. It is no part of
// what the key is used for: an error is for logs, and the next use is noted all the same.
func (m *Manager) Used(ctx context.Context, c Caller) error {
	return m.noteUse(audit.WithActor(ctx, c.Actor), c.Key.OrgID, c.Key.ID, func(ctx context.Context, tx *store.Tx) error {
		_, err := m.Audit().Append(ctx, tx, c.Key.OrgID, "api_keys.use", audit.Change{Type: KeyUsedType, Resource: c.resource(), TeamID: c.Key.TeamID})
		return err
	})
}

// noteUse notes that a key or token of an organization was used, at most once a minute, and calls first where it is the first
// use in an hour.
func (m *Manager) noteUse(ctx context.Context, orgID, id string, first func(ctx context.Context, tx *store.Tx) error) error {
	if now := m.store.Now(); !m.uses.due(id, now) {
		return nil
	}
	err := m.store.Update(ctx, func(ctx context.Context, tx *store.Tx) error {
		use, err := keyUses.Get(ctx, tx, id)
		before := use.UsedAt
		switch fresh := errors.Is(err, store.ErrNotFound); {
		case fresh:
			use.ID, use.OrgID, use.UsedAt = id, orgID, tx.Now()
			if isNew, err := keyUses.InsertNew(ctx, tx, &use); err != nil || !isNew {
				return err
			}
		case err != nil || !use.UsedAt.Before(tx.Now()):
			return err
		default:
			use.UsedAt = tx.Now()
			if err := keyUses.Update(ctx, tx, &use); err != nil {
				return err
			}
		}
		if first == nil || before.Truncate(time.Hour).Equal(tx.Now().Truncate(time.Hour)) {
			return nil
		}
		return first(ctx, tx)
	})
	if errors.Is(err, store.ErrConflict) { // another process noted it at this moment
		return nil
	}
	return err
}

// LastUsed says when keys of an organization were used last, to the minute; keys that never were are not
// in it. Everybody who holds something there may ask.
func (m *Manager) LastUsed(ctx context.Context, orgID string, keyIDs ...string) (used map[string]time.Time, err error) {
	op := rbac.Op{Action: "api_keys.read", OrgID: orgID, Self: true}
	if len(keyIDs) == 1 {
		op.Answer = keyIDs[0]
	}
	err = m.Read(ctx, op, func(ctx context.Context, tx *store.Tx) error {
		used = map[string]time.Time{}
		for use, err := range keyUses.All(ctx, tx, store.Query{Where: []store.Cond{store.In("id", keyIDs), store.Eq("org_id", orgID)}}) {
			if err != nil {
				return err
			}
			used[use.ID] = use.UsedAt
		}
		return nil
	})
	return used, err
}
