package rest

import (
	"context"
	"net/http"
	"net/netip"
	"time"

	"github.com/orgkit/orgkit/orgs"
	"github.com/orgkit/orgkit/rbac"
	"github.com/orgkit/orgkit/store"
)

type userView struct {
	base
	Email         string     `json:"email"`
	Name          string     `json:"name"`
	ExternalID    *string    `json:"external_id"`
	Status        rbac.State `json:"status"`
	EmailVerified bool       `json:"email_verified"`
}

func renderUser(u orgs.User) userView {
	return userView{base: baseOf(u.Meta), Email: u.Email, Name: u.Name, Status: u.State, EmailVerified: u.EmailVerified}
}

type newUser struct {
	Email         string `json:"email"`
	Name          string `json:"name,omitempty"`
	EmailVerified *bool  `json:"email_verified,omitempty"` // absent: true
}

type tokenView struct {
	base
	Name          string  `json:"name"`
	ExpiresAt     string  `json:"expires_at"`
	MFAVerifiedAt *string `json:"mfa_verified_at"`
	Revoked       bool    `json:"revoked"`
	Token         string  `json:"token,omitempty"` // in the answer that made it
}

func renderToken(t orgs.Token) tokenView {
	return tokenView{base: baseOf(t.Meta), Name: t.Name, ExpiresAt: stamp(t.ExpiresAt), MFAVerifiedAt: stampOf(t.MFAVerifiedAt), Revoked: t.Revoked}
}

type newToken struct {
	Name          string     `json:"name"`
	ExpiresInDays int        `json:"expires_in_days,omitempty" minimum:"1" maximum:"365"`
	MFAVerifiedAt *time.Time `json:"mfa_verified_at,omitempty"`
}

type userPath struct {
	User string `path:"user"`
}

func (a *api) users() {
	add[struct{}, newUser](a, http.MethodPost, "/v1/users", "Create a user", func(ctx context.Context, _ *struct{}) (*answer[userView], error) {
		in, err := read[newUser](ctx, a, false)
		if err != nil {
			return nil, err
		}
		u, err := a.CreateUser(ctx, orgs.NewUser{Email: in.Email, Name: in.Name, EmailVerified: in.EmailVerified == nil || *in.EmailVerified})
		return &answer[userView]{Status: 201, Location: a.created("/v1/users/" + u.ID), ETag: etag(u.Version), Body: renderUser(u)}, err
	})
	add[paging, struct{}](a, http.MethodGet, "/v1/users", "List users", func(ctx context.Context, in *paging) (*answer[list[userView]], error) {
		page, err := a.Users(ctx, in.Limit, in.After)
		return listOf(page, renderUser), err
	})
	add[userPath, struct{}](a, http.MethodGet, "/v1/users/{user}", "Get a user", func(ctx context.Context, in *userPath) (*answer[userView], error) {
		u, err := a.User(ctx, in.User)
		return &answer[userView]{Status: 200, ETag: etag(u.Version), Body: renderUser(u)}, err
	})
	a.tokens()
	a.permissions()
}

func (a *api) tokens() {
	add[userPath, newToken](a, http.MethodPost, "/v1/users/{user}/tokens", "Create a personal token", func(ctx context.Context, in *userPath) (*answer[tokenView], error) {
		if _, err := a.User(ctx, in.User); err != nil {
			return nil, err
		}
		body, err := read[newToken](ctx, a, false)
		if err != nil {
			return nil, err
		}
		t, secret, err := a.CreateToken(ctx, in.User, orgs.NewToken{Name: body.Name, ExpiresInDays: body.ExpiresInDays, MFAVerifiedAt: body.MFAVerifiedAt})
		view := renderToken(t)
		view.Token = secret
		return &answer[tokenView]{Status: 201, Location: a.created("/v1/users/" + t.UserID + "/tokens/" + t.ID), Body: view}, err
	})
	type listIn struct {
		User  string `path:"user"`
		Limit int    `query:"limit" minimum:"1" maximum:"200" default:"50"`
		After string `query:"after" maxLength:"1000"`
	}
	add[listIn, struct{}](a, http.MethodGet, "/v1/users/{user}/tokens", "List personal tokens", func(ctx context.Context, in *listIn) (*answer[list[tokenView]], error) {
		page, err := a.Tokens(ctx, in.User, in.Limit, in.After)
		return listOf(page, renderToken), err
	})
	type tokenPath struct {
		User  string `path:"user"`
		Token string `path:"token"`
	}
	add[tokenPath, struct{}](a, http.MethodDelete, "/v1/users/{user}/tokens/{token}", "Revoke a personal token", func(ctx context.Context, in *tokenPath) (*answer[tokenView], error) {
		t, err := a.RevokeToken(ctx, in.User, in.Token)
		if err != nil {
			return nil, err
		}
		return ok(renderToken(t))
	})
}

type permissionQuery struct {
	User           string `path:"user"`
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
	DecisionID        string            `json:"decision_id"`
	Revision          string            `json:"revision"`
}

func (a *api) permissions() {
	add[permissionQuery, struct{}](a, http.MethodGet, "/v1/users/{user}/permissions", "May the user do this?", func(ctx context.Context, in *permissionQuery) (*answer[permissionView], error) {
		q, err := in.parse()
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
			Alternatives: d.Others, Code: optional(d.Code), Reasons: d.Reasons, Missing: none(d.Missing), MissingPermission: optional(d.MissingPermission),
			Remedy: none(d.Remedy), DecisionID: d.ID, Revision: d.Revision.String()}
		if v.Alternatives == nil {
			v.Alternatives = []rbac.Conditions{}
		}
		return ok(v)
	})
}

func (in *permissionQuery) parse() (q orgs.PermissionQuery, err error) {
	q = orgs.PermissionQuery{User: in.User, Team: in.TeamID, Organization: in.OrganizationID, Action: in.Action, Resource: in.Resource}
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
		n, err := parseInt(in.MFAAgeMinutes)
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
