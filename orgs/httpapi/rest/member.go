package rest

import (
	"context"
	"encoding/json"
	"net/http"

	"github.com/orgkit/orgkit/orgs"
	"github.com/orgkit/orgkit/rbac"
	"github.com/orgkit/orgkit/store"
)

type memberView struct {
	ID             string     `json:"id"`
	UserID         string     `json:"user_id"`
	Email          string     `json:"email"`
	Name           string     `json:"name"`
	ExternalID     *string    `json:"external_id"`
	OrganizationID string     `json:"organization_id"`
	TeamID         *string    `json:"team_id"`
	Role           string     `json:"role"`
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
	return memberView{ID: m.ID, UserID: m.User.ID, Email: m.User.Email, Name: m.User.Name, OrganizationID: m.Place.OrgID, TeamID: optional(m.Place.TeamID),
		Role: m.Role, Permissions: grantsOf(m.Permissions), Effective: none(m.Effective), Status: m.State, Source: m.Source,
		JoinedAt: stamp(m.JoinedAt), CreatedAt: stamp(m.JoinedAt), UpdatedAt: stamp(m.UpdatedAt), ETag: etag(m.Version)}
}

// memberPatch has three states per field: absent leaves it, null takes custom grants away.
type memberPatch struct {
	Role        string  `json:"role,omitempty"`
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
	Removed        bool           `json:"removed"`
	Reassigned     reassignedView `json:"reassigned"`
	DisabledKeys   int            `json:"disabled_keys"`
	AccessEndsAt   string         `json:"access_ends_at"`
}

type reassignedView struct {
	APIKeys int `json:"api_keys"`
}

// members serves the members of teams and of organizations alike.
func (a *api) members() {
	membersAt(a, "/v1/teams/{team}/members", func(ctx context.Context, in *memberOfTeam) (orgs.Place, string, error) {
		at, err := a.TeamPlace(ctx, in.Team)
		return at, in.User, err
	}, func(ctx context.Context, in *teamList) (orgs.Place, paging, error) {
		at, err := a.TeamPlace(ctx, in.Team)
		return at, paging{in.Limit, in.After}, err
	})
	membersAt(a, "/v1/organizations/{org}/members", func(ctx context.Context, in *memberOfOrg) (orgs.Place, string, error) {
		at, err := a.OrgPlace(ctx, in.Org)
		return at, in.User, err
	}, func(ctx context.Context, in *orgList) (orgs.Place, paging, error) {
		at, err := a.OrgPlace(ctx, in.Org)
		return at, paging{in.Limit, in.After}, err
	})
}

type memberOfTeam struct {
	Team string `path:"team"`
	User string `path:"user"`
}

type memberOfOrg struct {
	Org  string `path:"org"`
	User string `path:"user"`
}

func membersAt[One, Many any](a *api, path string, one func(context.Context, *One) (orgs.Place, string, error), many func(context.Context, *Many) (orgs.Place, paging, error)) {
	add[Many, struct{}](a, http.MethodGet, path, "List members", func(ctx context.Context, in *Many) (*answer[list[memberView]], error) {
		at, p, err := many(ctx, in)
		if err != nil {
			return nil, err
		}
		page, err := a.Members(ctx, at, p.Limit, p.After)
		return listOf(page, renderMember), err
	})
	add[One, struct{}](a, http.MethodGet, path+"/{user}", "Get a member", func(ctx context.Context, in *One) (*answer[memberView], error) {
		at, user, err := one(ctx, in)
		if err != nil {
			return nil, err
		}
		ms, err := a.Member(ctx, at, user)
		return &answer[memberView]{Status: 200, ETag: etag(ms.Version), Body: renderMember(ms)}, err
	})
	add[One, memberPatch](a, http.MethodPatch, path+"/{user}", "Change a member", func(ctx context.Context, in *One) (*answer[memberView], error) {
		at, user, err := one(ctx, in)
		if err != nil {
			return nil, err
		}
		change, err := a.readMemberPatch(ctx)
		if err != nil {
			return nil, err
		}
		ms, err := a.UpdateMember(ctx, at, user, change)
		return &answer[memberView]{Status: 200, ETag: etag(ms.Version), Body: renderMember(ms)}, err
	})
	add[One, memberRemoval](a, http.MethodDelete, path+"/{user}", "Remove a member", func(ctx context.Context, in *One) (*answer[removedView], error) {
		at, user, err := one(ctx, in)
		if err != nil {
			return nil, err
		}
		body, err := read[memberRemoval](ctx, a, false)
		if err != nil {
			return nil, err
		}
		r, err := a.RemoveMember(ctx, at, user, orgs.MemberRemoval{ReassignTo: body.ReassignTo,
			Later: body.Immediately != nil && !*body.Immediately, Reason: body.Reason})
		if err != nil {
			return nil, err
		}
		return ok(removedView{UserID: r.UserID, OrganizationID: at.OrgID, TeamID: optional(at.TeamID), Removed: true,
			Reassigned: reassignedView{r.Reassigned}, DisabledKeys: r.Disabled, AccessEndsAt: stamp(r.AccessEndsAt)})
	})
}

// readMemberPatch reads the body twice: as fields, since presence and null mean something, and by
// their types.
func (a *api) readMemberPatch(ctx context.Context) (change orgs.MemberUpdate, err error) {
	body, err := read[object](ctx, a, true)
	if err != nil {
		return change, err
	}
	patch, err := decode[memberPatch](a, body, false)
	if err != nil {
		return change, err
	}
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(body, &fields); err != nil {
		return change, err
	}
	if role, there := fields["role"]; there {
		if string(role) == "null" {
			return change, store.Invalid("role", "required", "has no default")
		}
		change.Role = &patch.Role
	}
	if _, there := fields["permissions"]; there {
		change.Permissions = &orgs.Grants{}
		if patch.Permissions != nil {
			*change.Permissions = orgs.Grants{Add: patch.Permissions.Add, Remove: patch.Permissions.Remove}
		}
	}
	change.Reason = patch.Reason
	return change, nil
}
