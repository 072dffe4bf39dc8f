package rest

import (
	"cmp"
	"context"
	"net/http"
	"net/netip"
	"strconv"
	"time"

	"github.com/orgkit/orgkit/orgs"
	"github.com/orgkit/orgkit/orgs/httpapi"
	"github.com/orgkit/orgkit/rbac"
	"github.com/orgkit/orgkit/store"
)

type userView struct {
	Base
	Email         string     `json:"email"`
	Name          string     `json:"name"`
	ExternalID    *string    `json:"external_id"`
	Status        rbac.State `json:"status"`
	EmailVerified bool       `json:"email_verified"`
	ExpiresAt     *string    `json:"expires_at" doc:"from then on no credential of theirs is good"`
}

func renderUser(u orgs.User) userView {
	return userView{Base: baseOf(u.Meta), Email: u.Email, Name: u.Name, Status: u.State, EmailVerified: u.EmailVerified,
		ExpiresAt: httpapi.StampOf(u.ExpiresAt)}
}

type newUser struct {
	Email         string `json:"email"`
	Name          string `json:"name,omitempty"`
	EmailVerified *bool  `json:"email_verified,omitempty"` // absent: true
}

// userBody is what a user can be changed to.
type userBody struct {
	Email         string     `json:"email"`
	Name          string     `json:"name,omitempty"`
	EmailVerified bool       `json:"email_verified,omitempty"`
	Status        rbac.State `json:"status,omitempty" enum:"active,suspended"`
	ExpiresAt     *time.Time `json:"expires_at,omitempty" doc:"in the future; null is never"`
}

type tokenView struct {
	Base
	Name          string     `json:"name"`
	ExpiresAt     *string    `json:"expires_at" doc:"null, of a token of another dialect: never"`
	MFAVerifiedAt *string    `json:"mfa_verified_at"`
	Revoked       bool       `json:"revoked"`
	Token         *shownOnce `json:"token,omitempty"`
}

func renderToken(t orgs.Token) tokenView {
	return tokenView{Base: baseOf(t.Meta), Name: t.Name, ExpiresAt: httpapi.StampOf(t.ExpiresAt), MFAVerifiedAt: httpapi.StampOf(t.MFAVerifiedAt), Revoked: t.Revoked}
}

type newToken struct {
	Name          string     `json:"name"`
	ExpiresInDays int        `json:"expires_in_days,omitempty" minimum:"1" maximum:"365"`
	MFAVerifiedAt *time.Time `json:"mfa_verified_at,omitempty"`
}

func (a *api) users() {
	const path = "/v1/users/{user}"
	create[newUser](a, "/v1/users", "Create a user", func(ctx context.Context, _ *none) (*answer[userView], error) {
		in, err := read[newUser](ctx, a, false)
		if err != nil {
			return nil, err
		}
		u, err := a.CreateUser(ctx, orgs.NewUser{Email: in.Email, Name: in.Name, EmailVerified: or(in.EmailVerified, true)})
		return made(a, "/v1/users/"+u.ID, u.Version, renderUser(u), err)
	})
	add[paging, none](a, http.MethodGet, "/v1/users", "List users", func(ctx context.Context, q *paging) (*answer[list[userView]], error) {
		page, err := a.Users(ctx, q.Limit, q.After)
		return listOf(page, err, always(renderUser))
	})
	get := func(ctx context.Context) (orgs.User, error) { return a.User(ctx, param(ctx, "user")) }
	add[none, none](a, http.MethodGet, path, "Get a user", func(ctx context.Context, _ *none) (*answer[userView], error) {
		u, err := get(ctx)
		return one(u.Version, renderUser(u), err)
	})
	add[none, userBody](a, http.MethodPatch, path, "Change a user", func(ctx context.Context, _ *none) (*answer[userView], error) {
		u, err := patch(ctx, a, editing[orgs.User, userBody]{
			get:     get,
			version: func(u orgs.User) int64 { return u.Version },
			view:    func(_ context.Context, u orgs.User) (any, error) { return renderUser(u), nil },
			body:    func(u orgs.User) userBody { return userBody{u.Email, u.Name, u.EmailVerified, u.State, u.ExpiresAt} },
			put: func(ctx context.Context, u orgs.User, b userBody, has fields) (orgs.User, error) {
				return a.UpdateUser(ctx, u.ID, orgs.UserUpdate{Name: given(has, "name", b.Name), Email: given(has, "email", b.Email),
					EmailVerified: given(has, "email_verified", b.EmailVerified), Status: given(has, "status", cmp.Or(b.Status, rbac.Active)),
					ExpiresAt: given(has, "expires_at", or(b.ExpiresAt, time.Time{}))})
			}})
		return one(u.Version, renderUser(u), err)
	})
	add[none, because](a, http.MethodDelete, path, "Delete a user", func(ctx context.Context, _ *none) (*answer[deletedView], error) {
		u, err := get(ctx)
		if err != nil {
			return nil, err
		}
		in, err := read[because](ctx, a, false)
		if err != nil {
			return nil, err
		}
		u, err = a.DeleteUser(ctx, u.ID, in.Reason)
		return deleted(u.ID, err)
	})
	a.tokens(path + "/tokens")
	a.permissions()
}

func (a *api) tokens(path string) {
	create[newToken](a, path, "Create a personal token", func(ctx context.Context, _ *none) (*answer[tokenView], error) {
		u, err := a.User(ctx, param(ctx, "user"))
		if err != nil {
			return nil, err
		}
		in, err := read[newToken](ctx, a, false)
		if err != nil {
			return nil, err
		}
		t, secret, err := a.CreateToken(ctx, u.ID, orgs.NewToken{Name: in.Name, ExpiresInDays: in.ExpiresInDays, MFAVerifiedAt: in.MFAVerifiedAt})
		view := renderToken(t)
		view.Token = once(secret)
		return made(a, "/v1/users/"+u.ID+"/tokens/"+t.ID, t.Version, view, err)
	})
	add[paging, none](a, http.MethodGet, path, "List personal tokens", func(ctx context.Context, q *paging) (*answer[list[tokenView]], error) {
		page, err := a.Tokens(ctx, param(ctx, "user"), q.Limit, q.After)
		return listOf(page, err, always(renderToken))
	})
	add[none, none](a, http.MethodDelete, path+"/{token}", "Revoke a personal token", func(ctx context.Context, _ *none) (*answer[tokenView], error) {
		t, err := a.RevokeToken(ctx, param(ctx, "user"), param(ctx, "token"))
		return one(t.Version, renderToken(t), err)
	})
}

type permissionQuery struct {
	TeamID         string `query:"team_id"`
	OrganizationID string `query:"organization_id"`
	Resource       string `query:"resource"`
	Action         string `query:"action"`
	IP             string `query:"ip"`
	At             string `query:"at"`
	MFAAgeMinutes  string `query:"mfa_age_minutes"`
	Cost           string `query:"cost"`
}

type permissionView struct {
	UserID            string            `json:"user_id"`
	OrganizationID    string            `json:"organization_id"`
	TeamID            *string           `json:"team_id"`
	Action            string            `json:"action"`
	Resource          string            `json:"resource"`
	Allowed           bool              `json:"allowed"`     // if the conditions hold
	AllowedNow        bool              `json:"allowed_now"` // as the call stands
	Decision          rbac.Verdict      `json:"decision"`
	Conditions        rbac.Conditions   `json:"conditions"`
	Alternatives      []rbac.Conditions `json:"alternatives"`
	Code              *string           `json:"code"`
	Reasons           []rbac.Reason     `json:"reasons"`
	Missing           []string          `json:"missing"`
	MissingPermission *string           `json:"missing_permission"`
	Remedy            []string          `json:"remedy"`
	Explanation       string            `json:"explanation"` // all of it in one sentence
	DecisionID        string            `json:"decision_id"`
	Revision          string            `json:"revision"`
	ValidUntil        *string           `json:"valid_until"` // when the same call may be answered otherwise though no rule is changed; null: never
}

func (a *api) permissions() {
	add[permissionQuery, none](a, http.MethodGet, "/v1/users/{user}/permissions", "May the user do this?", func(ctx context.Context, in *permissionQuery) (*answer[permissionView], error) {
		q, err := in.parse(param(ctx, "user"))
		if err != nil {
			return nil, err
		}
		p, err := a.Permission(ctx, q)
		if err != nil {
			return nil, err
		}
		d := p.Decision
		v := permissionView{UserID: p.User.ID, OrganizationID: p.Place.OrgID, TeamID: optional(p.Place.TeamID), Action: p.Action, Resource: p.Resource,
			Allowed: d.Verdict != rbac.VerdictDeny, AllowedNow: d.Allowed, Decision: d.Verdict, Conditions: d.Conditions,
			Alternatives: d.Others, Code: optional(d.Code), Reasons: d.Reasons, Missing: filled(d.Missing), MissingPermission: optional(d.MissingPermission),
			Remedy: filled(d.Remedy), Explanation: d.Sentence(), DecisionID: d.ID, Revision: d.Revision.String()}
		if !d.Until.IsZero() {
			v.ValidUntil = optional(httpapi.Stamp(d.Until))
		}
		if v.Alternatives == nil {
			v.Alternatives = []rbac.Conditions{}
		}
		return ok(v)
	})
}

func (in *permissionQuery) parse(user string) (q orgs.PermissionQuery, err error) {
	q = orgs.PermissionQuery{User: user, Team: in.TeamID, Organization: in.OrganizationID, Action: in.Action, Resource: in.Resource}
	if in.IP != "" {
		if q.IP, err = netip.ParseAddr(in.IP); err != nil {
			return q, store.Invalid("ip", "ip", "must be an address")
		}
	}
	if in.At != "" {
		if q.At, err = time.Parse(time.RFC3339, in.At); err != nil {
			return q, store.Invalid("at", "time", "must be an RFC 3339 time")
		}
	}
	if in.MFAAgeMinutes != "" {
		n, err := strconv.Atoi(in.MFAAgeMinutes)
		if err != nil {
			return q, store.Invalid("mfa_age_minutes", "type", "must be a number of minutes")
		}
		q.MFAAgeMinutes = &n
	}
	if in.Cost != "" {
		d, err := rbac.ParseAmount(in.Cost)
		if err != nil {
			return q, store.Invalid("cost", "amount", "%s", err.Error())
		}
		q.Cost = &d
	}
	return q, nil
}

// optional is null in JSON for "".
func optional(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}
