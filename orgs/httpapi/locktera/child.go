package locktera

import (
	"context"
	"errors"
	"net/http"
	"strings"

	"github.com/orgkit/orgkit/audit"
	"github.com/orgkit/orgkit/orgs"
	"github.com/orgkit/orgkit/rbac"
	"github.com/orgkit/orgkit/store"
)

// userAdmin is the role of people who manage people, made where it is first given.
var userAdmin = rbac.NewRole{Name: "User admin", Slug: "user_admin", Description: "Manages the members of the organization",
	Permissions: []string{"members.*", "teams.read"}}

// child makes an organization below this one, or brings a person into it, as the role says.
func (a *api) child(w http.ResponseWriter, r *http.Request, at place) (answer, error) {
	in, err := read(r)
	if err != nil {
		return answer{}, err
	}
	role, err := in.text("role")
	if err != nil {
		return answer{}, err
	}
	switch role {
	case "", "group", "org":
	case "org_admin":
		return answer{status: http.StatusNoContent}, a.person(r.Context(), at, in, "org_admin")
	case "user":
		return answer{status: http.StatusNoContent}, a.person(r.Context(), at, in, "member")
	case userAdmin.Slug:
		if err := a.seed(r.Context(), at, userAdmin); err != nil {
			return answer{}, err
		}
		return answer{status: http.StatusNoContent}, a.person(r.Context(), at, in, userAdmin.Slug)
	default:
		return answer{}, store.Invalid("role", "enum", "must be org, group, org_admin, user_admin or user")
	}
	o, err := a.newOrganization(r.Context(), in, at.id)
	if err != nil {
		return answer{}, err
	}
	w.Header().Set("X-Org-Id", o.ID)
	w.Header().Set("Location", a.link(a.opt.Prefix+"/orgs/"+o.ID))
	if strings.EqualFold(strings.TrimSpace(r.Header.Get("Prefer")), "return=representation") {
		w.Header().Set("Preference-Applied", "return=representation") // RFC 7240 §3
		return ok(a.render(o, at.root)), nil
	}
	return answer{status: http.StatusNoContent}, nil
}

// seed makes the role where there is none of its slug.
func (a *api) seed(ctx context.Context, at place, role rbac.NewRole) error {
	_, err := a.Role(ctx, at.id, role.Slug)
	if errors.Is(err, store.ErrNotFound) {
		_, err = a.CreateRole(ctx, at.id, role)
	}
	return err
}

// person makes a member of somebody: the platform at once, with a user where there is none, and everybody else by an
// invitation.
func (a *api) person(ctx context.Context, at place, in body, role string) error {
	email, err := in.text("email")
	if err != nil {
		return err
	}
	if email = strings.TrimSpace(email); email == "" {
		return store.Invalid("email", "required", "is required")
	}
	first, err := in.text("first_name")
	if err != nil {
		return err
	}
	last, err := in.text("last_name")
	if err != nil {
		return err
	}
	here := orgs.Place{OrgID: at.id}
	if by, _ := audit.ActorFrom(ctx); !by.Sovereign() {
		if !a.Mails() {
			return &store.ConflictError{Code: "conflict", Message: "no mail is sent here; ask the operator of the platform to make them a member"}
		}
		_, _, err := a.Invite(ctx, here, orgs.NewInvitation{Email: email, Role: role, SendEmail: true})
		return err
	}
	known, err := a.User(ctx, email)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return err
	}
	return a.Store().Update(ctx, func(ctx context.Context, _ *store.Tx) error {
		u := known
		if u.ID == "" {
			var err error
			if u, err = a.CreateUser(ctx, orgs.NewUser{Email: email, Name: strings.TrimSpace(first + " " + last)}); err != nil {
				return err
			}
		}
		_, err := a.AddMember(ctx, here, orgs.NewMember{User: u.ID, Role: role})
		return err
	})
}
