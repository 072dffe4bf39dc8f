package rest

import (
	"context"
	"net/http"

	"github.com/orgkit/orgkit/orgs"
	"github.com/orgkit/orgkit/orgs/httpapi"
	"github.com/orgkit/orgkit/rbac"
)

type memberView struct {
	ID             string     `json:"id"`
	UserID         string     `json:"user_id"`
	Email          string     `json:"email"`
	Name           string     `json:"name"`
	ExternalID     *string    `json:"external_id"`
	OrganizationID string     `json:"organization_id"`
	TeamID         *string    `json:"team_id"`
	ProjectID      *string    `json:"project_id"`
	Role           string     `json:"role"`  // of several the highest
	Roles          []string   `json:"roles"` // that one, and those that the identity provider gives beside it
	Permissions    grantsView `json:"permissions"`
	Effective      []string   `json:"effective_permissions"`
	Status         rbac.State `json:"status"`
	Source         string     `json:"source"`
	JoinedAt       string     `json:"joined_at"`
	CreatedAt      string     `json:"created_at"`
	UpdatedAt      string     `json:"updated_at"`
	ETag           string     `json:"etag"`
}

func renderMember(m orgs.Membership) memberView {
	v := memberView{ID: m.ID, UserID: m.User.ID, Email: m.User.Email, Name: m.User.Name, OrganizationID: m.Place.OrgID,
		ExternalID: m.ExternalID, Role: m.Role, Roles: m.Roles, Permissions: grantsOf(m.Permissions), Effective: filled(m.Effective), Status: m.State, Source: m.Source,
		JoinedAt: httpapi.Stamp(m.JoinedAt), CreatedAt: httpapi.Stamp(m.JoinedAt), UpdatedAt: httpapi.Stamp(m.UpdatedAt), ETag: etag(m.Version)}
	v.TeamID, v.ProjectID = partOf(m.Place)
	return v
}

type newMember struct {
	UserID      string `json:"user_id" doc:"id or e-mail address"`
	Role        string `json:"role"`
	Permissions grants `json:"permissions,omitzero"`
}

func (in newMember) input() orgs.NewMember {
	return orgs.NewMember{User: in.UserID, Role: in.Role, Permissions: in.Permissions.input()}
}

// memberBody is what a member can be changed to. Permissions are replaced whole: null and {} take the custom
// grants away (F331).
type memberBody struct {
	Role        string  `json:"role"`
	Permissions *grants `json:"permissions,omitempty"`
	Reason      string  `json:"reason,omitempty"`
}

type memberRemoval struct {
	ReassignTo  string `json:"reassign_resources_to,omitempty"`
	Immediately *bool  `json:"revoke_access_immediately,omitempty"` // absent: true
	Reason      string `json:"reason,omitempty"`
}

type removedView struct {
	UserID         string         `json:"user_id"`
	OrganizationID string         `json:"organization_id"`
	TeamID         *string        `json:"team_id"`
	ProjectID      *string        `json:"project_id"`
	Removed        bool           `json:"removed"`
	Reassigned     reassignedView `json:"reassigned"`
	DisabledKeys   int            `json:"disabled_keys"`
	SessionsEnded  int            `json:"sessions_ended"`
	AccessEndsAt   string         `json:"access_ends_at"`
}

type reassignedView struct {
	APIKeys int `json:"api_keys"`
}

// places are the paths of everything that has members.
var places = []string{"/v1/organizations/{org}", "/v1/teams/{team}", "/v1/organizations/{org}/projects/{project}"}

// members serves the members of organizations, teams and projects alike.
func (a *api) members() {
	for _, place := range places {
		a.membersAt(place + "/members")
		a.oneMemberAt(place + "/members/{user}")
	}
}

func (a *api) membersAt(path string) {
	type query struct {
		Role       string     `query:"role" doc:"slug or id"`
		Status     rbac.State `query:"status" enum:"active,suspended"`
		ExternalID string     `query:"external_id" maxLength:"1000" doc:"what the identity provider of the organization calls the person"`
		Limit      int        `query:"limit" minimum:"1" maximum:"200" default:"50"`
		After      string     `query:"after" maxLength:"1000"`
	}
	add[query, none](a, http.MethodGet, path, "List members", func(ctx context.Context, q *query) (*answer[list[memberView]], error) {
		at, err := a.place(ctx)
		if err != nil {
			return nil, err
		}
		page, err := a.Members(ctx, at, orgs.MemberFilter{Role: q.Role, Status: q.Status, ExternalID: q.ExternalID, Limit: q.Limit, After: q.After})
		return listOf(page, err, always(renderMember))
	})
	create[newMember](a, path, "Add a member without an invitation", func(ctx context.Context, _ *none) (*answer[memberView], error) {
		at, in, err := placed[newMember](ctx, a)
		if err != nil {
			return nil, err
		}
		ms, err := a.AddMember(ctx, at, in.input())
		return made(a, pathOf(at)+"/members/"+ms.User.ID, ms.Version, renderMember(ms), err)
	})
	addBulk(a, path+"/bulk", "Add many members", func(ctx context.Context, _ *none) (*answer[rowsView], error) {
		at, err := a.place(ctx)
		if err != nil {
			return nil, err
		}
		return bulk(ctx, a, newMember.input, func(ctx context.Context, rows []orgs.NewMember, atomic bool) ([]orgs.Row[orgs.Membership], error) {
			return a.AddMembers(ctx, at, rows, atomic)
		}, renderMember)
	})
}

func (a *api) oneMemberAt(path string) {
	get := func(ctx context.Context) (orgs.Membership, error) {
		at, err := a.place(ctx)
		if err != nil {
			return orgs.Membership{}, err
		}
		return a.Member(ctx, at, param(ctx, "user"))
	}
	add[none, none](a, http.MethodGet, path, "Get a member", func(ctx context.Context, _ *none) (*answer[memberView], error) {
		ms, err := get(ctx)
		return one(ms.Version, renderMember(ms), err)
	})
	add[none, memberBody](a, http.MethodPatch, path, "Change a member", func(ctx context.Context, _ *none) (*answer[memberView], error) {
		ms, err := patch(ctx, a, editing[orgs.Membership, memberBody]{
			get:     get,
			version: func(ms orgs.Membership) int64 { return ms.Version },
			view:    func(_ context.Context, ms orgs.Membership) (any, error) { return renderMember(ms), nil },
			body:    func(ms orgs.Membership) memberBody { return memberBody{Role: ms.Role} },
			put: func(ctx context.Context, ms orgs.Membership, b memberBody, has fields) (orgs.Membership, error) {
				return a.UpdateMember(ctx, ms.Place, ms.User.ID, orgs.MemberUpdate{Role: given(has, "role", b.Role),
					Permissions: given(has, "permissions", orZero(b.Permissions).input()), Reason: b.Reason})
			}})
		return one(ms.Version, renderMember(ms), err)
	})
	add[none, memberRemoval](a, http.MethodDelete, path, "Remove a member", func(ctx context.Context, _ *none) (*answer[removedView], error) {
		at, in, err := placed[memberRemoval](ctx, a)
		if err != nil {
			return nil, err
		}
		r, err := a.RemoveMember(ctx, at, param(ctx, "user"), orgs.MemberRemoval{ReassignTo: in.ReassignTo, Later: !or(in.Immediately, true), Reason: in.Reason})
		if err != nil {
			return nil, err
		}
		v := removedView{UserID: r.UserID, OrganizationID: at.OrgID, Removed: true, Reassigned: reassignedView{r.Reassigned},
			DisabledKeys: r.Disabled, SessionsEnded: r.Sessions, AccessEndsAt: httpapi.Stamp(r.AccessEndsAt)}
		v.TeamID, v.ProjectID = partOf(at)
		return ok(v)
	})
}
