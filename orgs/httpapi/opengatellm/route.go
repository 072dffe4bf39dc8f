package opengatellm

import (
	"context"
	"errors"
	"net/http"
	"strings"

	"github.com/orgkit/orgkit/audit"
	"github.com/orgkit/orgkit/orgs"
	"github.com/orgkit/orgkit/orgs/httpapi"
	"github.com/orgkit/orgkit/rbac"
	"github.com/orgkit/orgkit/store"
)

func (a *api) routes() {
	a.admin("POST /v1/admin/organizations", a.createOrganization)
	a.admin("GET /v1/admin/organizations", a.organizations)
	a.admin("GET /v1/admin/organizations/{id}", a.organization)
	a.admin("PATCH /v1/admin/organizations/{id}", a.updateOrganization)
	a.admin("DELETE /v1/admin/organizations/{id}", a.deleteOrganization)
	if a.opt.SignIn == nil {
		return
	}
	a.admin("POST /v1/admin/users", a.createUser)
	a.admin("GET /v1/admin/users", a.users)
	a.admin("GET /v1/admin/users/{id}", a.user)
	a.admin("PATCH /v1/admin/users/{id}", a.updateUser)
	a.admin("DELETE /v1/admin/users/{id}", a.deleteUser)
	a.admin("POST /v1/admin/roles", a.createRole)
	a.admin("GET /v1/admin/roles", a.roles)
	a.admin("GET /v1/admin/roles/{id}", a.role)
	a.admin("PATCH /v1/admin/roles/{id}", a.updateRole)
	a.admin("DELETE /v1/admin/roles/{id}", a.deleteRole)
	a.admin("GET /v1/admin/routers", a.routers)
	a.admin("GET /v1/admin/routers/{id}", a.router)
	a.admin("POST /v1/admin/projects", a.createProject)
	a.admin("GET /v1/admin/projects", a.projects)
	a.admin("GET /v1/admin/projects/{id}", a.project)
	a.admin("PATCH /v1/admin/projects/{id}", a.updateProject)
	a.admin("DELETE /v1/admin/projects/{id}", a.deleteProject)
	a.admin("GET /v1/admin/projects/{id}/users", a.projectUsers)
	a.admin("POST /v1/admin/projects/{id}/users", a.addProjectUser)
	a.admin("DELETE /v1/admin/projects/{id}/users/{user}", a.removeProjectUser)
	tokens, own := "/v1/admin/tokens", []string{"/v1/me/keys"}
	if a.opt.Generation == GenerationC {
		tokens, own = "/v1/admin/keys", append(own, "/v1/keys")
	}
	a.admin("POST "+tokens, a.createToken)
	a.admin("GET "+tokens, a.tokens)
	a.admin("GET "+tokens+"/{id}", a.token)
	a.admin("DELETE "+tokens+"/{id}", a.deleteToken)
	for _, path := range own {
		a.own("POST "+path, a.createOwnKey)
		a.own("GET "+path, a.ownKeys)
		a.own("GET "+path+"/{id}", a.ownKey)
		a.own("DELETE "+path+"/{id}", a.deleteOwnKey)
		if a.opt.Generation == GenerationC {
			a.own("PATCH "+path+"/{id}", a.renameOwnKey)
		}
	}
	for _, path := range a.infoPaths() {
		a.own("GET "+path, a.me)
		a.own("PATCH "+path, a.updateMe)
	}
	if a.own("GET /v1/me/usage", a.ownUsage); a.opt.Generation == GenerationC {
		a.own("GET /v1/usage", a.ownUsage)
		a.own("GET /v1/organizations/me", a.ownOrganization)
	}
	a.anybody("POST /v1/auth/login", a.login)
	if a.opt.Generation != GenerationC || a.root != "" {
		return
	}
	a.admin("GET /v1/admin/sso", a.ssoPolicy)
	a.admin("PUT /v1/admin/sso", a.setSSOPolicy)
	if a.opt.IDToken != nil {
		a.anybody("POST /v1/auth/sso/login", a.ssoLogin)
	}
}

// infoPaths are where one's own account is.
func (a *api) infoPaths() []string {
	if a.opt.Generation == GenerationC {
		return []string{"/v1/me/info", "/v1/me"}
	}
	return []string{"/v1/me/info"}
}

// handler serves a request of an actor who is let through.
type handler func(r *http.Request) (answer, error)

// admin serves the platform, and people whose role is admin.
func (a *api) admin(pattern string, h handler) { a.handle(a.mux, pattern, a.asPlatform, h) }

// own serves whoever is a person, and the platform.
func (a *api) own(pattern string, h handler) { a.handle(a.mux, pattern, a.asPerson, h) }

// anybody serves who has no credential yet.
func (a *api) anybody(pattern string, h handler) {
	a.handle(a.open, pattern, func(ctx context.Context) (context.Context, error) { return ctx, nil }, h)
}

// answer is a success.
type answer struct {
	status int
	body   any // nil: none
}

func (a *api) handle(mux *http.ServeMux, pattern string, as func(context.Context) (context.Context, error), h handler) {
	method, path, _ := strings.Cut(pattern, " ")
	mux.HandleFunc(method+" "+a.opt.Prefix+path, func(w http.ResponseWriter, r *http.Request) {
		var out answer
		ctx, err := as(r.Context())
		if err == nil {
			out, err = h(r.WithContext(ctx))
		}
		switch {
		case err != nil:
			a.fail(w, r, err)
		case out.body == nil:
			w.WriteHeader(out.status)
		default:
			httpapi.WriteJSON(w, out.status, out.body)
		}
	})
}

// serve is all of it.
func (a *api) serve() http.Handler {
	known := httpapi.Actor(a.authenticate, a.edge, httpapi.Fallback(a.mux, a.edge))
	strangers := httpapi.Actor(func(*http.Request) (audit.Actor, error) { return audit.Actor{}, nil }, a.edge, a.open)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, pattern := a.open.Handler(r); pattern != "" {
			strangers.ServeHTTP(w, r)
			return
		}
		known.ServeHTTP(w, r)
	})
}

// authenticate tells a header of another scheme from none, and lets whose account has expired see that.
func (a *api) authenticate(r *http.Request) (audit.Actor, error) {
	if h := r.Header.Get("Authorization"); h != "" {
		if scheme, _, _ := strings.Cut(h, " "); !strings.EqualFold(scheme, "Bearer") {
			return audit.Actor{}, &orgs.AuthError{Code: wrongScheme}
		}
	}
	by, err := a.opt.Authenticate(r)
	auth := (*orgs.AuthError)(nil)
	if !errors.As(err, &auth) || !auth.AccountExpired() {
		return by, err
	}
	for _, path := range a.infoPaths() {
		if r.URL.Path == a.opt.Prefix+path && (r.Method == http.MethodGet || r.Method == http.MethodHead) {
			return by, nil
		}
	}
	return audit.Actor{}, &orgs.AuthError{Code: expiredAccount}
}

// asPlatform has a person whose role is admin act for the platform, by their own name.
func (a *api) asPlatform(ctx context.Context) (context.Context, error) {
	by, _ := audit.ActorFrom(ctx)
	if by.Sovereign() {
		return ctx, nil
	}
	if by.Type == audit.User && a.opt.SignIn != nil {
		admin, err := a.isAdmin(ctx, by.ID)
		if err != nil {
			return ctx, err
		}
		if admin {
			return sovereign(ctx), nil
		}
	}
	return ctx, &rbac.Denied{Code: "permission_denied"}
}

// sovereign has the actor do something for the platform, which this API lets them do.
func sovereign(ctx context.Context) context.Context {
	by, _ := audit.ActorFrom(ctx)
	by.Type, by.Session, by.SessionID, by.TokenID = audit.Platform, false, "", ""
	return audit.WithActor(ctx, by)
}

// asPerson lets people through, by whatever they come, and the platform.
func (a *api) asPerson(ctx context.Context) (context.Context, error) {
	by, _ := audit.ActorFrom(ctx)
	switch {
	case by.Sovereign():
		return ctx, nil
	case by.Person() == "":
		return ctx, &rbac.Denied{Code: "permission_denied"}
	}
	err := a.mayBeCaller(ctx, by)
	if errors.Is(err, store.ErrNotFound) {
		err = &orgs.AuthError{Code: "invalid_api_key"}
	}
	return ctx, err
}

// self is the person who calls; it is not there where the platform does.
func (a *api) self(ctx context.Context) (u orgs.User, there bool, err error) {
	by, _ := audit.ActorFrom(ctx)
	if by.Person() == "" {
		return u, false, nil
	}
	u, err = a.User(ctx, "me")
	if errors.Is(err, store.ErrNotFound) { // deleted at this moment
		err = &orgs.AuthError{Code: "invalid_api_key"}
	}
	return u, true, err
}

// account is self for what nobody but a person does, and no key of one: it has fewer rights than they.
func (a *api) account(ctx context.Context) (u orgs.User, err error) {
	if by, _ := audit.ActorFrom(ctx); by.Type != audit.User {
		return u, &rbac.Denied{Code: "permission_denied"}
	}
	u, _, err = a.self(ctx)
	return u, err
}
