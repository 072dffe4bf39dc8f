package opengatellm

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"

	"github.com/orgkit/orgkit/orgs"
	"github.com/orgkit/orgkit/store"
)

// infoView is one's own account. The platform is number 0 of everything.
type infoView struct {
	Object      string       `json:"object"`
	ID          int64        `json:"id"`
	Email       string       `json:"email"`
	Name        *string      `json:"name"`
	Budget      *json.Number `json:"budget"`
	Permissions []string     `json:"permissions"`
	Limits      []limitView  `json:"limits"`
	Expires     *int64       `json:"expires"`
	Priority    int64        `json:"priority"`
	Created     int64        `json:"created"`
	Updated     int64        `json:"updated"`
}

// aInfo and cInfo name the organization as their generations do.
type aInfo struct {
	infoView
	Organization *int64 `json:"organization"`
}

type cInfo struct {
	infoView
	OrganizationID *int64 `json:"organization_id"`
}

func (a *api) inGeneration(v infoView, organization *int64) any {
	if a.opt.Generation == GenerationC {
		return cInfo{v, organization}
	}
	return aInfo{v, organization}
}

// me is one's own account, also when it has expired.
func (a *api) me(r *http.Request) (answer, error) {
	u, there, err := a.self(r.Context())
	if err != nil {
		return answer{}, err
	}
	if !there {
		master, none := reserved, int64(0)
		limits, err := a.unlimited(r.Context())
		return answer{http.StatusOK, a.inGeneration(infoView{Object: "userInfo", Email: reserved, Name: &master, Permissions: permissions, Limits: limits}, &none)}, err
	}
	v, err := a.info(sovereign(r.Context()), u)
	return answer{http.StatusOK, v}, err
}

func (a *api) info(ctx context.Context, u orgs.User) (any, error) {
	n, err := a.numbersOf(ctx, userNoun, u.ID)
	if err != nil {
		return nil, err
	}
	shown, organization, err := a.viewUser(ctx, u, n[u.ID])
	if err != nil {
		return nil, err
	}
	role, err := a.heldRole(ctx, u)
	if err != nil {
		return nil, err
	}
	limits, err := a.renderLimits(ctx, role.Limits, true)
	return a.inGeneration(infoView{"userInfo", n[u.ID], u.Email, shown.Name, shown.Budget, append([]string{}, role.Permissions...), limits,
		shown.Expires, u.Priority, shown.Created, shown.Updated}, organization), err
}

// updateMe changes one's own account. What is absent or null stays: organization, budget and expires are no business of its
// owner. The password, and the address of an account with a password, are changed by who knows the present one.
func (a *api) updateMe(r *http.Request) (answer, error) {
	in, err := body(r)
	if err != nil {
		return answer{}, err
	}
	name, email := in.text("name", 1, maxName), in.text("email", 1, 254)
	current, password := in.secret("current_password", 0, maxPassword), in.secret("password", 1, maxPassword)
	if err := in.err(); err != nil {
		return answer{}, err
	}
	ctx := r.Context()
	u, err := a.account(ctx)
	if err != nil {
		return answer{}, err
	}
	if email != nil && orgs.EmailKey(*email) == u.EmailKey {
		email = nil
	}
	if err := a.mayBeAddress(ctx, u, email); err != nil {
		return answer{}, err
	}
	if err := a.provesIt(ctx, u, current, email != nil, password != nil); err != nil {
		return answer{}, err
	}
	ctx = sovereign(ctx)
	err = a.Store().Update(ctx, func(ctx context.Context, _ *store.Tx) error {
		if name != nil || email != nil {
			if u, err = a.UpdateUser(ctx, u.ID, orgs.UserUpdate{Name: name, Email: email}); err != nil {
				return err
			}
		}
		if password == nil {
			return nil
		}
		return a.opt.SignIn.SetPassword(ctx, u.ID, *password)
	})
	if conflict := (*store.ConflictError)(nil); errors.As(err, &conflict) && conflict.Code == "conflict" {
		err = a.userTaken(*email)
	}
	if err != nil {
		return answer{}, err
	}
	return a.changed(func() (any, error) { return a.info(ctx, u) })
}

// provesIt asks for the present password where it matters: of whom has none, and gets no other one here, nothing is asked.
func (a *api) provesIt(ctx context.Context, u orgs.User, current *string, email, password bool) error {
	if !email && !password {
		return nil
	}
	has, err := a.hasPassword(ctx, u.ID)
	if err != nil || !has && !password {
		return err
	}
	wrong := &refusal{http.StatusUnauthorized, "Invalid current password."}
	if current == nil || !has {
		return wrong
	}
	if err = a.opt.SignIn.Prove(ctx, *current); errors.Is(err, orgs.ErrUnauthenticated) {
		return wrong
	}
	return err
}

// ownOrganization is that of who calls.
func (a *api) ownOrganization(r *http.Request) (answer, error) {
	u, there, err := a.self(r.Context())
	if err != nil {
		return answer{}, err
	}
	home := ""
	if there {
		if home, err = a.home(r.Context(), u); err != nil {
			return answer{}, err
		}
	}
	if home == "" {
		return answer{}, &refusal{http.StatusNotFound, "Organization not found."}
	}
	ctx := sovereign(r.Context())
	o, err := a.Organization(ctx, home)
	if err != nil {
		return answer{}, err
	}
	n, err := a.numbersOf(ctx, orgNoun, o.ID)
	if err != nil {
		return answer{}, err
	}
	v, err := a.renderOrganization(ctx, o, n[o.ID])
	return answer{http.StatusOK, v}, err
}
