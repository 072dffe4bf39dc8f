package orgs

import (
	"context"
	"errors"
	"fmt"
	"net/mail"
	"slices"
	"strings"
	"time"

	"github.com/orgkit/orgkit/audit"
	"github.com/orgkit/orgkit/rbac"
	"github.com/orgkit/orgkit/store"
)

// User is a person, once for all organizations.
type User struct {
	store.Meta
	Email         string     `json:"email"` // as first written
	EmailKey      string     `json:"-"`
	Name          string     `json:"name"`
	EmailVerified bool       `json:"email_verified"`
	State         rbac.State `json:"status"`             // active or suspended
	AliasID       *string    `json:"alias_id,omitempty"` // an id that a client of another system has chosen; unique over all

	ExpiresAt      *time.Time `json:"expires_at,omitempty"`       // from then on no credential of theirs is good; nil: never
	HomeID         string     `json:"home_id,omitempty"`          // which of their organizations is shown where one is; "" is the oldest
	PlatformRoleID string     `json:"platform_role_id,omitempty"` // see [PlatformRole]; "" is none
	Priority       int64      `json:"priority,omitempty"`         // of their calls, where the host has a queue: the higher go first
}

var users = store.Define[User]("users", "usr",
	store.Unique("email_key"), store.Unique("alias_id"), store.Index("created_at"), store.Index("platform_role_id"))

// AuditResource is how the log names the user.
func (u User) AuditResource() audit.Resource { return audit.Resource{Type: "user", ID: u.ID} }

// NewUser is the input of [Manager.CreateUser].
type NewUser struct {
	Email         string
	Name          string
	EmailVerified bool // only a verified address can accept invitations
	// AliasID is an id of the client's own choice, under which the user is found beside their own. With one the address may
	// be missing. One with @ has to be the address.
	AliasID string
}

// CreateUser makes a user; only the platform can. A known e-mail address is a *store.ConflictError
// with the id of its user.
func (m *Manager) CreateUser(ctx context.Context, in NewUser) (u User, err error) {
	err = m.Change(ctx, rbac.Op{Action: "users.create"}, func(ctx context.Context, tx *store.Tx) (audit.Change, error) {
		u, err = makeUser(ctx, tx, in)
		return audit.Created(&u), err
	})
	if errors.Is(err, store.ErrExists) { // lost the race to another call
		err = &store.ConflictError{Code: "conflict", Message: "a user with this e-mail address exists"}
	}
	return u, err
}

// makeUser makes a user for whoever has asked already.
func makeUser(ctx context.Context, tx *store.Tx, in NewUser) (u User, err error) {
	u = User{Name: strings.TrimSpace(in.Name), EmailVerified: in.EmailVerified, State: rbac.Active}
	if in.Email != "" || in.AliasID == "" {
		if u.Email, err = checkEmail("email", in.Email); err != nil {
			return u, err
		}
	}
	if err := rbac.CheckText("name", in.Name, 0, rbac.MaxName); err != nil {
		return u, err
	}
	if in.AliasID != "" {
		if err := checkAlias(in.AliasID, users.Kind().Prefix); err != nil {
			return u, err
		}
		if strings.Contains(in.AliasID, "@") && emailKey(in.AliasID) != emailKey(u.Email) {
			return u, store.Invalid("alias_id", "range", "must be the address where it looks like one")
		}
		if taken, err := users.Find(ctx, tx, store.Eq("alias_id", in.AliasID)); err == nil {
			return u, &store.ConflictError{Code: errUserAliasTaken.Code, Message: errUserAliasTaken.Message, ID: taken.ID}
		} else if !errors.Is(err, store.ErrNotFound) {
			return u, err
		}
		u.AliasID = &in.AliasID
	}
	if u.Email == "" {
		u.EmailKey, u.EmailVerified = noAddress+in.AliasID, false
		return u, users.Insert(ctx, tx, &u)
	}
	u.EmailKey = emailKey(u.Email)
	known, err := users.Find(ctx, tx, store.Eq("email_key", u.EmailKey))
	if err == nil {
		return u, &store.ConflictError{Code: "conflict", Message: "a user with this e-mail address exists", ID: known.ID}
	} else if !errors.Is(err, store.ErrNotFound) {
		return u, err
	}
	return u, users.Insert(ctx, tx, &u)
}

// noAddress begins the keys of users without an address: no address has a blank.
const noAddress = "alias "

// checkEmail returns the address in the form in which it is kept.
func checkEmail(field, s string) (string, error) {
	s = strings.TrimSpace(s)
	a, err := mail.ParseAddress(s)
	if err != nil || a.Address != s || len(s) > 254 || !strings.Contains(s[strings.LastIndex(s, "@"):], ".") && !strings.HasSuffix(s, "@localhost") {
		return "", store.Invalid(field, "email", "must be an e-mail address")
	}
	return s, nil
}

// emailKey is the form in which addresses are compared: case folded. Look-alikes are different
// addresses.
func emailKey(email string) string { return strings.ToLower(email) }

// User returns a user by id, alias id, e-mail address or "me". Anybody may read themselves, all others are
// for the platform: people are found through their memberships.
func (m *Manager) User(ctx context.Context, ref string) (u User, err error) {
	by, ok := audit.ActorFrom(ctx)
	if !ok {
		return u, rbac.ErrNoActor
	}
	err = m.View(ctx, func(ctx context.Context, tx *store.Tx) error {
		if u, err = findUser(ctx, tx, ref); err != nil {
			return err
		}
		if !by.Sovereign() && u.ID != by.Person() {
			return store.ErrNotFound
		}
		return nil
	})
	return u, err
}

// Places are where a user is a member, the organizations before their teams and projects; deleted organizations are none. Anybody
// may ask about themselves, all others are the platform's.
func (m *Manager) Places(ctx context.Context, ref string) (list []Place, err error) {
	by, ok := audit.ActorFrom(ctx)
	if !ok {
		return nil, rbac.ErrNoActor
	}
	err = m.View(ctx, func(ctx context.Context, tx *store.Tx) error {
		u, err := findUser(ctx, tx, ref)
		if err != nil {
			return err
		}
		if !by.Sovereign() && u.ID != by.Person() {
			return store.ErrNotFound
		}
		list = nil
		gone := map[string]bool{}
		for a, err := range rbac.Assignments.All(ctx, tx, store.Query{Where: []store.Cond{store.Eq("subject", u.ID)}, Order: []store.Order{store.Asc("org_id"), store.Asc("team_id")}}) {
			if err != nil {
				return err
			}
			if _, known := gone[a.OrgID]; !known {
				if gone[a.OrgID], err = isGone(ctx, tx, a.OrgID); err != nil {
					return err
				}
			}
			if !gone[a.OrgID] {
				list = append(list, Place{a.OrgID, a.TeamID})
			}
		}
		return nil
	})
	return list, err
}

func findUser(ctx context.Context, tx *store.Tx, ref string) (User, error) {
	switch {
	case ref == "me":
		return users.Get(ctx, tx, actor(ctx).Person())
	case strings.Contains(ref, "@"):
		return users.Find(ctx, tx, store.Eq("email_key", emailKey(ref)))
	case strings.HasPrefix(ref, users.Kind().Prefix+"_"):
		return users.Get(ctx, tx, ref)
	}
	return users.Find(ctx, tx, store.Eq("alias_id", ref))
}

// Users lists all users, newest first; only the platform can.
func (m *Manager) Users(ctx context.Context, limit int, after string) (page store.Page[User], err error) {
	err = m.Read(ctx, rbac.Op{Action: "users.read"}, func(ctx context.Context, tx *store.Tx) error {
		page, err = users.List(ctx, tx, store.Query{Order: []store.Order{store.Desc("created_at")}, Limit: limit, After: after})
		return err
	})
	return page, err
}

// UserUpdate changes a user; nil leaves as it is.
type UserUpdate struct {
	Name          *string
	Email         *string     // the platform only
	EmailVerified *bool       // the platform only
	Status        *rbac.State // active or suspended; the platform only

	// The platform only.
	ExpiresAt    *time.Time // in the future; zero: never
	Home         *string    // id of an organization of theirs; "": the oldest
	PlatformRole *string    // id
	Priority     *int64
}

// platformOnly says whether the update has what only the platform changes.
func (in UserUpdate) platformOnly() bool {
	in.Name = nil
	return in != UserUpdate{}
}

// account changes what systems keep of a person that manage people over all organizations.
func (in UserUpdate) account(ctx context.Context, tx *store.Tx, u *User) error {
	if in.ExpiresAt != nil {
		if u.ExpiresAt = nil; !in.ExpiresAt.IsZero() {
			u.ExpiresAt = micros(in.ExpiresAt)
		}
		if err := inFuture("expires_at", u.ExpiresAt, tx.Now()); err != nil {
			return err
		}
	}
	if in.Home != nil && *in.Home != "" {
		if _, err := rbac.Assignments.Find(ctx, tx, store.Eq("subject", u.ID), store.Eq("org_id", *in.Home), store.Eq("team_id", "")); err != nil {
			return err
		}
	}
	if in.PlatformRole != nil && *in.PlatformRole != "" {
		if _, err := PlatformRoles.Lock(ctx, tx, *in.PlatformRole); err != nil { // so that it is not deleted at this moment
			return err
		}
	}
	if in.Priority != nil && *in.Priority < 0 {
		return store.Invalid("priority", "range", "must not be negative")
	}
	set(&u.HomeID, in.Home)
	set(&u.PlatformRoleID, in.PlatformRole)
	set(&u.Priority, in.Priority)
	return nil
}

// Expired says whether the account has ended by that time.
func (u User) Expired(now time.Time) bool { return u.ExpiresAt != nil && !now.Before(*u.ExpiresAt) }

// UpdateUser changes a user: the platform anything, people their own name. A suspended user's tokens and
// keys are refused from the next request on, as are those of one who has expired, and sessions end for good. The last owner of an organization cannot be suspended, nor
// their address become unverified: *store.ConflictError last_owner.
func (m *Manager) UpdateUser(ctx context.Context, ref string, in UserUpdate) (u User, err error) {
	err = m.Change(ctx, rbac.Op{Action: "users.update", Open: true}, func(ctx context.Context, tx *store.Tx) (audit.Change, error) {
		by := actor(ctx)
		if u, err = findUser(ctx, tx, ref); err != nil {
			return audit.Change{}, err
		}
		if !by.Sovereign() && (by.Type != audit.User || by.ID != u.ID) {
			return audit.Change{}, store.ErrNotFound
		}
		if !by.Sovereign() && in.platformOnly() {
			return audit.Change{}, &rbac.Denied{Code: "permission_denied", Action: "users.update", Resource: "user:" + u.ID,
				Decision: rbac.Decision{MissingPermission: "users.update", Remedy: []string{"ask the operator of the platform"}}}
		}
		before := u
		if in.Email != nil {
			if u.Email, err = checkEmail("email", *in.Email); err != nil {
				return audit.Change{}, err
			}
			u.EmailKey = emailKey(u.Email)
			u.EmailVerified = u.EmailVerified && u.EmailKey == before.EmailKey
		}
		set(&u.EmailVerified, in.EmailVerified)
		set(&u.State, in.Status)
		if in.Name != nil {
			u.Name = strings.TrimSpace(*in.Name)
		}
		if err := rbac.CheckText("name", u.Name, 0, rbac.MaxName); err != nil {
			return audit.Change{}, err
		}
		if err := oneOf("status", string(u.State), string(rbac.Active), string(rbac.Suspended)); err != nil {
			return audit.Change{}, err
		}
		if err := in.account(ctx, tx, &u); err != nil {
			return audit.Change{}, err
		}
		if was, is := before.counts(), u.counts(); was && !is {
			if err := m.keepOwners(ctx, tx, u.ID); err != nil {
				return audit.Change{}, err
			}
		}
		if u.State != before.State || in.ExpiresAt != nil || u.HomeID != before.HomeID || u.PlatformRoleID != before.PlatformRoleID {
			if err := stir(ctx, tx, u.ID); err != nil {
				return audit.Change{}, err
			}
		}
		if u.EmailKey != before.EmailKey {
			if err := dropReset(ctx, tx, u.ID); err != nil {
				return audit.Change{}, err
			}
		}
		if u.State != before.State {
			if _, err := EndAllSessions(ctx, tx, u.ID, "", whyUserSuspended); err != nil {
				return audit.Change{}, err
			}
		}
		err := users.Update(ctx, tx, &u)
		if errors.Is(err, store.ErrExists) {
			err = &store.ConflictError{Code: "conflict", Message: "a user with this e-mail address exists"}
		}
		return audit.Updated(before, &u), err
	})
	return u, err
}

// counts says whether the user can be the owner of an organization.
func (u User) counts() bool { return u.State == rbac.Active && u.EmailVerified }

// keepOwners refuses where the user is the last owner of an organization.
func (m *Manager) keepOwners(ctx context.Context, tx *store.Tx, userID string) error {
	held, err := everywhere(ctx, tx, userID)
	if err != nil {
		return err
	}
	for _, a := range held {
		if gone, err := isGone(ctx, tx, a.OrgID); err != nil {
			return err
		} else if gone {
			continue
		}
		if _, err := rbac.Scopes.Lock(ctx, tx, a.OrgID); err != nil {
			return err
		}
		a, err := rbac.Assignments.Get(ctx, tx, a.ID) // what it is by now
		if errors.Is(err, store.ErrNotFound) {
			continue
		} else if err != nil {
			return err
		}
		if _, err := m.keepOwner(ctx, tx, a, false); err != nil {
			return err
		}
	}
	return nil
}

// everywhere returns the user's memberships at the level of organizations, deleted ones too, in the order in
// which organizations are locked.
func everywhere(ctx context.Context, tx *store.Tx, userID string) (held []rbac.Assignment, err error) {
	for a, err := range rbac.Assignments.All(ctx, tx, store.Query{Where: []store.Cond{store.Eq("subject", userID)},
		Order: []store.Order{store.Asc("org_id")}}) {
		if err != nil {
			return nil, err
		}
		if a.TeamID == "" {
			held = append(held, a)
		}
	}
	return held, nil
}

// stir has every organization of a person look at them again, and locks the person: who joins one meanwhile waits, and who
// has joined one meanwhile has it stirred too.
func stir(ctx context.Context, tx *store.Tx, userID string) error {
	stirred, err := rbac.Stir(ctx, tx, userID)
	if err != nil {
		return err
	}
	if _, err := users.Lock(ctx, tx, userID); err != nil {
		return err
	}
	held, err := everywhere(ctx, tx, userID)
	if err != nil {
		return err
	}
	for _, a := range held {
		if !slices.Contains(stirred, a.OrgID) {
			return fmt.Errorf("%w: the user has joined an organization", store.ErrTransient)
		}
	}
	return nil
}

func isGone(ctx context.Context, tx *store.Tx, orgID string) (bool, error) {
	chain, err := rbac.Lineage(ctx, tx, orgID)
	return rbac.Effective(chain) == rbac.Gone, err
}
