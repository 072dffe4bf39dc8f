package rest

import (
	"context"
	"encoding/json"
	"net/http"

	"github.com/orgkit/orgkit/orgs"
	"github.com/orgkit/orgkit/orgs/httpapi"
	"github.com/orgkit/orgkit/rbac"
)

type organizationView struct {
	Base
	ParentID       *string          `json:"parent_id"`
	RootID         string           `json:"root_id"`
	Name           string           `json:"name"`
	Slug           string           `json:"slug"`
	Description    string           `json:"description"`
	Settings       orgs.OrgSettings `json:"settings"`
	Metadata       json.RawMessage  `json:"metadata"`
	Tags           []string         `json:"tags"`
	Customizations json.RawMessage  `json:"customizations"`
	Status         rbac.State       `json:"status"` // with that of the organizations above
	DeletedAt      *string          `json:"deleted_at"`
	SSOStatus      orgs.SSOStatus   `json:"sso_status"`
	MembersCount   int              `json:"members_count"`
	TeamsCount     int              `json:"teams_count"`
}

// renderOrganization says of single sign-on how far it is in force (F323).
func (a *api) renderOrganization(ctx context.Context, o orgs.Organization) (organizationView, error) {
	f, err := a.OrganizationFigures(ctx, o.ID)
	return organizationView{Base: baseOf(o.Meta), ParentID: optional(o.ParentID), RootID: f.RootID, Name: o.Name, Slug: o.Slug,
		Description: o.Description, Settings: o.Settings.Masked(), Metadata: o.Metadata, Tags: filled(o.Tags), Customizations: o.Customizations,
		Status: f.State, DeletedAt: httpapi.StampOf(o.DeletedAt), SSOStatus: f.SSO, MembersCount: f.Members, TeamsCount: f.Teams}, err
}

func (a *api) organization(ctx context.Context, o orgs.Organization, err error) (*answer[organizationView], error) {
	if err != nil {
		return nil, err
	}
	view, err := a.renderOrganization(ctx, o)
	return one(o.Version, view, err)
}

// OrganizationBody is what an organization can be changed to.
type OrganizationBody struct {
	Name           string           `json:"name"`
	Slug           string           `json:"slug,omitempty"`
	Description    string           `json:"description,omitempty"`
	Settings       orgs.OrgSettings `json:"settings,omitzero"`
	Metadata       object           `json:"metadata,omitempty"`
	Tags           []string         `json:"tags,omitempty"`
	Customizations object           `json:"customizations,omitempty"`
}

type newOrganization struct {
	OrganizationBody
	Owner    *owner `json:"owner,omitempty"`
	ParentID string `json:"parent_id,omitempty"`
}

type owner struct {
	Email  string `json:"email,omitempty"`
	UserID string `json:"user_id,omitempty"`
}

func (in newOrganization) input() orgs.NewOrganization {
	n := orgs.NewOrganization{Name: in.Name, Slug: in.Slug, Description: in.Description, Settings: in.Settings, Metadata: json.RawMessage(in.Metadata),
		Tags: in.Tags, Customizations: json.RawMessage(in.Customizations), Parent: in.ParentID}
	if in.Owner != nil {
		if n.Owner = in.Owner.UserID; n.Owner == "" {
			n.Owner = in.Owner.Email
		}
	}
	return n
}

type organizationQuery struct {
	Slug     string     `query:"slug"`
	Name     string     `query:"name" doc:"a part of it"`
	ParentID string     `query:"parent_id"`
	Status   rbac.State `query:"status" enum:"active,suspended,deleted"`
	Limit    int        `query:"limit" minimum:"1" maximum:"200" default:"50"`
	After    string     `query:"after" maxLength:"1000"`
}

func (q *organizationQuery) filter(ctx context.Context) orgs.OrganizationFilter {
	return orgs.OrganizationFilter{Slug: q.Slug, Name: q.Name, Parent: q.ParentID, Status: q.Status, Metadata: metadataOf(ctx), Limit: q.Limit, After: q.After}
}

func (a *api) organizations() {
	create[newOrganization](a, "/v1/organizations", "Create an organization", func(ctx context.Context, _ *none) (*answer[organizationView], error) {
		in, err := read[newOrganization](ctx, a, false)
		if err != nil {
			return nil, err
		}
		return a.createOrganization(ctx, in)
	})
	add[organizationQuery, none](a, http.MethodGet, "/v1/organizations", "List organizations; metadata.KEY=VALUE filters too", func(ctx context.Context, q *organizationQuery) (*answer[list[organizationView]], error) {
		return a.listOrganizations(ctx, q.filter(ctx))
	})
	add[none, none](a, http.MethodGet, "/v1/organizations/{org}", "Get an organization", func(ctx context.Context, _ *none) (*answer[organizationView], error) {
		o, err := a.Organization(ctx, param(ctx, "org"))
		return a.organization(ctx, o, err)
	})
	type force struct {
		Force bool `query:"force" doc:"even where the settings shut the caller out"`
	}
	add[force, OrganizationBody](a, http.MethodPatch, "/v1/organizations/{org}", "Change an organization", func(ctx context.Context, q *force) (*answer[organizationView], error) {
		o, err := patch(ctx, a, editing[orgs.Organization, OrganizationBody]{
			get:     func(ctx context.Context) (orgs.Organization, error) { return a.Organization(ctx, param(ctx, "org")) },
			version: func(o orgs.Organization) int64 { return o.Version },
			view:    func(ctx context.Context, o orgs.Organization) (any, error) { return a.renderOrganization(ctx, o) },
			body: func(o orgs.Organization) OrganizationBody {
				return OrganizationBody{o.Name, o.Slug, o.Description, o.Settings, object(o.Metadata), o.Tags, object(o.Customizations)}
			},
			put: func(ctx context.Context, o orgs.Organization, b OrganizationBody, has fields) (orgs.Organization, error) {
				return a.UpdateOrganization(ctx, o.ID, orgs.OrganizationUpdate{Name: given(has, "name", b.Name), Slug: given(has, "slug", b.Slug),
					Description: given(has, "description", b.Description), Settings: given(has, "settings", b.Settings),
					Metadata: given(has, "metadata", json.RawMessage(b.Metadata)), Tags: given(has, "tags", b.Tags),
					Customizations: given(has, "customizations", json.RawMessage(b.Customizations)), Force: q.Force})
			}})
		return a.organization(ctx, o, err)
	})
	a.transfers()
	a.budgets()
	a.raises()
}

func (a *api) createOrganization(ctx context.Context, in newOrganization) (*answer[organizationView], error) {
	o, err := a.CreateOrganization(ctx, in.input())
	if err != nil {
		return nil, err
	}
	view, err := a.renderOrganization(ctx, o)
	return made(a, "/v1/organizations/"+o.ID, o.Version, view, err)
}

func (a *api) listOrganizations(ctx context.Context, f orgs.OrganizationFilter) (*answer[list[organizationView]], error) {
	page, err := a.Organizations(ctx, f)
	return listOf(page, err, func(o orgs.Organization) (organizationView, error) { return a.renderOrganization(ctx, o) })
}

type transferBody struct {
	To     string `json:"to" doc:"id or e-mail address of a member"`
	Leave  bool   `json:"leave,omitempty"`
	Reason string `json:"reason,omitempty"`
}

func (a *api) transfers() {
	add[none, transferBody](a, http.MethodPost, "/v1/organizations/{org}/transfer", "Give the ownership to another member", func(ctx context.Context, _ *none) (*answer[memberView], error) {
		at, in, err := placed[transferBody](ctx, a)
		if err != nil {
			return nil, err
		}
		ms, err := a.TransferOwnership(ctx, at.OrgID, orgs.Transfer{To: in.To, Leave: in.Leave, Reason: in.Reason})
		return one(ms.Version, renderMember(ms), err)
	})
}
