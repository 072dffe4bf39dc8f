package opengatellm

import (
	"context"
	"encoding/json"
	"net/http"

	"github.com/orgkit/orgkit/orgs"
	"github.com/orgkit/orgkit/store"
)

// userView is a person.
type userView struct {
	Object   string       `json:"object"`
	ID       int64        `json:"id"`
	Email    string       `json:"email"`
	Name     *string      `json:"name"`
	Sub      *string      `json:"sub"` // of people who sign in elsewhere
	Iss      *string      `json:"iss"`
	Role     *int64       `json:"role,omitempty"`
	RoleID   *int64       `json:"role_id,omitempty"`
	Budget   *json.Number `json:"budget"` // what is left
	Expires  *int64       `json:"expires"`
	Created  int64        `json:"created"`
	Updated  int64        `json:"updated"`
	Priority int64        `json:"priority"`
}

// aUser and cUser name the organization as their generations do, null too.
type aUser struct {
	userView
	Organization *int64 `json:"organization"`
}

type cUser struct {
	userView
	OrganizationID *int64 `json:"organization_id"`
}

func (a *api) renderUser(ctx context.Context, u orgs.User, id int64) (any, error) {
	v, org, err := a.viewUser(ctx, u, id)
	if err != nil {
		return nil, err
	}
	role, err := a.roleOf(ctx, u)
	if err != nil {
		return nil, err
	}
	if a.opt.Generation == GenerationC {
		v.RoleID = &role
		return cUser{v, org}, nil
	}
	v.Role = &role
	return aUser{v, org}, nil
}

// viewUser is a person without their role, and the number of their organization.
func (a *api) viewUser(ctx context.Context, u orgs.User, id int64) (v userView, org *int64, err error) {
	v = userView{Object: "user", ID: id, Email: u.Email, Created: u.CreatedAt.Unix(), Updated: u.UpdatedAt.Unix(), Priority: u.Priority}
	if u.Name != "" {
		v.Name = &u.Name
	}
	if u.ExpiresAt != nil {
		ends := u.ExpiresAt.Unix()
		v.Expires = &ends
	}
	if v.Sub, v.Iss, err = a.issuerOf(ctx, u.ID); err != nil {
		return v, nil, err
	}
	left, err := a.balance(ctx, purse(u.ID))
	if err != nil {
		return v, nil, err
	}
	if left != nil {
		n := money(*left)
		v.Budget = &n
	}
	home, err := a.home(ctx, u)
	if err != nil || home == "" {
		return v, nil, err
	}
	n, err := a.numberOf(ctx, orgNoun, home)
	return v, &n, err
}

// issuerOf is how an identity provider knows a person; nil where none does.
func (a *api) issuerOf(ctx context.Context, userID string) (sub, iss *string, err error) {
	err = a.View(ctx, func(ctx context.Context, tx *store.Tx) error {
		issuer, subject, err := orgs.IssuerOf(ctx, tx, userID)
		if sub, iss = nil, nil; issuer != "" {
			sub, iss = &subject, &issuer
		}
		return err
	})
	return sub, iss, err
}

// home is the organization of a person, "" for none.
func (a *api) home(ctx context.Context, u orgs.User) (id string, err error) {
	err = a.View(ctx, func(ctx context.Context, tx *store.Tx) error {
		if id, err = orgs.HomeOf(ctx, tx, u); err != nil || id == "" {
			return err
		}
		if is, err := a.within(ctx, tx, id); err != nil || is {
			return err
		}
		id, err = a.homeWithin(ctx, tx, u.ID, "")
		return err
	})
	return id, err
}

// userAt finds the person of the path.
func (a *api) userAt(r *http.Request) (u orgs.User, n int64, err error) {
	if n, err = a.pathID(r, "user"); err != nil {
		return u, n, err
	}
	u, err = a.userNumbered(r.Context(), n)
	return u, n, err
}

// userNumbered finds a person by their number.
func (a *api) userNumbered(ctx context.Context, n int64) (u orgs.User, err error) {
	var id string
	err = a.View(ctx, func(ctx context.Context, tx *store.Tx) error {
		id, err = orgs.Numbered(ctx, tx, userNoun, n)
		return err
	})
	if err == nil {
		u, err = a.User(ctx, id)
	}
	if err == nil {
		err = a.knownAccount(ctx, u)
	}
	return u, a.orMissing(err, "User", n)
}
