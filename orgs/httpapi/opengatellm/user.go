package opengatellm

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/shopspring/decimal"

	"github.com/orgkit/orgkit/orgs"
	"github.com/orgkit/orgkit/store"
)

// userNoun is of what people are numbered.
const userNoun = "usr"

// reserved is the address of the platform itself.
const reserved = "master"

// maxPassword is how many bytes a password has at most.
const maxPassword = 72

// userForm is what a body says of a person; nil is what is absent or null.
type userForm struct {
	email, name, password *string
	role, organization    *int64
	budget                *decimal.Decimal
	expires, priority     *int64
	orgID, roleID         string
}

func (a *api) userForm(in *form, now time.Time) (f userForm) {
	in.alias("role", "role_id")
	in.alias("organization", "organization_id")
	f.email = in.text("email", 1, 254)
	f.name = in.text("name", 1, maxName)
	f.password = in.secret("password", 1, maxPassword)
	if in.has("current_password") { // rather than to set a password without looking at it
		in.wrong("body", "current_password", "value_error", "Value error, current_password is not taken here.", nil)
	}
	f.role = in.integer("role", 0)
	f.organization = in.integer("organization", 0)
	f.budget = in.amount("budget")
	f.expires = in.future("expires", now)
	f.priority = in.integer("priority", 0)
	return f
}

// look finds what the form names by its number, and refuses the address of the platform.
func (a *api) look(ctx context.Context, f *userForm) error {
	if f.email != nil && strings.EqualFold(*f.email, reserved) {
		return &refusal{http.StatusForbidden, "Reserved email."}
	}
	if f.role != nil {
		role, err := a.roleNumbered(ctx, *f.role)
		if err != nil {
			return err
		}
		f.roleID = role.ID
	}
	if f.organization != nil {
		o, err := a.organizationNumbered(ctx, *f.organization)
		if err != nil {
			return err
		}
		f.orgID = o.ID
	}
	return nil
}

// update is what of the form the account itself takes.
func (f userForm) update() orgs.UserUpdate {
	u := orgs.UserUpdate{Name: f.name, Priority: f.priority}
	if f.roleID != "" {
		u.PlatformRole = &f.roleID
	}
	if f.expires != nil {
		at := time.Unix(*f.expires, 0)
		u.ExpiresAt = &at
	}
	return u
}

func (a *api) userTaken(email string) error {
	return &refusal{http.StatusConflict, a.text("User already exists.", fmt.Sprintf("User %s already exists.", email))}
}

func (a *api) createUser(r *http.Request) (answer, error) {
	in, err := body(r)
	if err != nil {
		return answer{}, err
	}
	f := a.userForm(in, a.Store().Now())
	for _, name := range []string{"email", "password", "role"} {
		in.required(name)
	}
	in.notNull("email", "string_type", "Input should be a valid string")
	in.notNull("password", "string_type", "Input should be a valid string")
	in.notNull("role", "int_type", intType)
	if err := in.err(); err != nil {
		return answer{}, err
	}
	ctx := r.Context()
	if err := a.look(ctx, &f); err != nil {
		return answer{}, err
	}
	if f.orgID == "" {
		f.orgID = a.root
	}
	var u orgs.User
	err = a.Store().Update(ctx, func(ctx context.Context, _ *store.Tx) error {
		if u, err = a.CreateUser(ctx, orgs.NewUser{Email: *f.email, EmailVerified: a.root == ""}); err != nil {
			return err
		}
		if err := a.opt.SignIn.SetPassword(ctx, u.ID, *f.password); err != nil {
			return err
		}
		in := f.update()
		if f.orgID != "" {
			if err := a.join(ctx, orgs.Place{OrgID: f.orgID}, u.ID); err != nil {
				return err
			}
			in.Home = &f.orgID
		}
		u, err = a.UpdateUser(ctx, u.ID, in)
		return err
	})
	var conflict *store.ConflictError
	if errors.As(err, &conflict) && conflict.Code == "conflict" {
		err = a.userTaken(*f.email)
	}
	if err == nil && f.budget != nil {
		if err = a.setBalance(ctx, purse(u.ID), f.budget); err != nil { // nobody has a key yet to spend with
			_, undone := a.DeleteUser(ctx, u.ID, "the budget could not be set")
			err = errors.Join(err, undone)
		}
	}
	if err != nil {
		return answer{}, err
	}
	n, err := a.numbersOf(ctx, userNoun, u.ID)
	if err != nil {
		return answer{}, err
	}
	return a.created(n[u.ID], func() (any, error) { return a.renderUser(ctx, u, n[u.ID]) })
}

// updateUser changes a person. Of organization, budget and expires what is absent or null is taken away, as that system does;
// all else stays where it is absent or null.
func (a *api) updateUser(r *http.Request) (answer, error) {
	in, err := body(r)
	if err != nil {
		return answer{}, err
	}
	f := a.userForm(in, a.Store().Now())
	if a.opt.Generation == GenerationC {
		for _, name := range []string{"email", "name", "role", "organization", "budget", "expires", "priority"} {
			in.required(name)
		}
	}
	if err := in.err(); err != nil {
		return answer{}, err
	}
	ctx := r.Context()
	u, n, err := a.userAt(r)
	if err == nil {
		err = a.ownAccount(ctx, u)
	}
	if err != nil {
		return answer{}, err
	}
	if err := a.look(ctx, &f); err != nil {
		return answer{}, err
	}
	if err := a.mayBeAddress(ctx, u, f.email); err != nil {
		return answer{}, err
	}
	clears := func(name string) bool {
		_, there := in.fields[name]
		return there || !a.opt.PatchKeepsAbsent
	}
	nobody, never, before := "", time.Time{}, u
	admin, err := a.isAdmin(ctx, u.ID)
	if err != nil {
		return answer{}, err
	}
	err = a.Store().Update(ctx, func(ctx context.Context, tx *store.Tx) error {
		change := f.update()
		change.Email = f.email
		if a.opt.Generation == GenerationC && f.name == nil {
			change.Name = &nobody
		}
		if f.expires == nil && clears("expires") {
			change.ExpiresAt = &never
		}
		if f.organization != nil || clears("organization") {
			home, err := a.move(ctx, before, f.orgID)
			if err != nil {
				return err
			}
			change.Home = &home
		}
		if u, err = a.UpdateUser(ctx, before.ID, change); err != nil {
			return err
		}
		if err := a.mustBeOwn(ctx, tx, before); err != nil { // after what has others wait who make them a member elsewhere
			return err
		}
		if err := a.keepAdmin(ctx, tx, admin); err != nil || f.password == nil {
			return err
		}
		return a.opt.SignIn.SetPassword(ctx, before.ID, *f.password) // after what locks organizations
	})
	if err == nil && (f.budget != nil || clears("budget")) {
		err = a.setBalance(ctx, purse(u.ID), f.budget)
	}
	if err != nil {
		return answer{}, a.orMissing(err, "User", n)
	}
	return a.changed(func() (any, error) { return a.renderUser(ctx, u, n) })
}

// mayBeAddress refuses an address that another one has, or nobody may.
func (a *api) mayBeAddress(ctx context.Context, u orgs.User, email *string) error {
	if email == nil {
		return nil
	}
	if strings.EqualFold(*email, reserved) {
		return &refusal{http.StatusForbidden, "Reserved email."}
	}
	other, err := a.User(sovereign(ctx), *email)
	switch {
	case err == nil && other.ID != u.ID:
		return a.userTaken(*email)
	case errors.Is(err, store.ErrNotFound):
		return nil
	}
	return err
}

// move ends the membership in the organization of a person and begins that in another one, "" for none: below a root that is the
// root, unless they are in another one there. It returns the one that they are given.
func (a *api) move(ctx context.Context, u orgs.User, to string) (string, error) {
	from, err := a.home(ctx, u)
	if err == nil && to == "" && a.root != "" {
		to, err = a.orRoot(ctx, u.ID, from)
	}
	if err != nil || from == to {
		return to, err
	}
	if from != "" {
		if _, err := a.RemoveMember(ctx, orgs.Place{OrgID: from}, u.ID, orgs.MemberRemoval{}); err != nil {
			return "", err
		}
	}
	if to == "" {
		return "", nil
	}
	member := false
	err = a.View(ctx, func(ctx context.Context, tx *store.Tx) error {
		ids, err := orgs.OrganizationsOf(ctx, tx, u.ID)
		member = slices.Contains(ids, to)
		return err
	})
	if err != nil || member {
		return to, err
	}
	return to, a.join(ctx, orgs.Place{OrgID: to}, u.ID)
}

// orRoot is the organization below the root that a person has beside one, and the root itself where there is none.
func (a *api) orRoot(ctx context.Context, userID, beside string) (id string, err error) {
	err = a.View(ctx, func(ctx context.Context, tx *store.Tx) error {
		id, err = a.homeWithin(ctx, tx, userID, beside)
		return err
	})
	return cmp.Or(id, a.root), err
}

func (a *api) user(r *http.Request) (answer, error) {
	u, n, err := a.userAt(r)
	if err != nil {
		return answer{}, err
	}
	v, err := a.renderUser(r.Context(), u, n)
	return answer{http.StatusOK, v}, err
}

// deleteUser ends a person's tokens, sessions and memberships; what they have used stays. Of who is elsewhere too it ends what they
// have here.
func (a *api) deleteUser(r *http.Request) (answer, error) {
	ctx := r.Context()
	u, n, err := a.userAt(r)
	if err != nil {
		return answer{}, err
	}
	v, err := a.renderUser(ctx, u, n)
	if err != nil {
		return answer{}, err
	}
	admin, err := a.isAdmin(ctx, u.ID)
	if err != nil {
		return answer{}, err
	}
	gone := true
	err = a.Store().Update(ctx, func(ctx context.Context, tx *store.Tx) error {
		is, err := a.standing(ctx, tx, u)
		if err != nil {
			return err
		}
		if gone = is == own; gone {
			_, err = a.DeleteUser(ctx, u.ID, "")
		} else {
			err = a.leave(ctx, tx, u)
		}
		if err != nil {
			return err
		}
		return a.keepAdmin(ctx, tx, admin)
	})
	if err == nil && gone {
		err = a.setBalance(ctx, purse(u.ID), nil)
	}
	if err != nil {
		return answer{}, a.orMissing(err, "User", n)
	}
	return a.changed(func() (any, error) { return v, nil })
}
