package rest

import (
	"context"
	"net/http"
	"time"

	"github.com/orgkit/orgkit/orgs"
	"github.com/orgkit/orgkit/orgs/httpapi"
	"github.com/orgkit/orgkit/store"
	"github.com/orgkit/orgkit/store/seal"
)

type provisioningView struct {
	OrganizationID  string            `json:"organization_id"`
	Enabled         bool              `json:"scim_enabled"`
	BaseURL         *string           `json:"scim_base_url"`
	AutoProvision   bool              `json:"auto_provision_users"`
	AutoDeprovision bool              `json:"auto_deprovision_users"`
	SyncGroups      bool              `json:"sync_groups"`
	RoleMapping     map[string]string `json:"role_mapping"`
	DefaultRole     *string           `json:"default_role"`
	AllowedRoles    []string          `json:"allowed_roles"` // null: every role but the owner's
	Link            orgs.LinkPolicy   `json:"link"`
	LocalEdits      bool              `json:"local_edits"`
	Domains         []string          `json:"verified_domains"`
	Warnings        []store.Warning   `json:"warnings,omitempty"` // in the answer to a change
}

func renderProvisioning(p orgs.ProvisioningSettings) provisioningView {
	v := provisioningView{OrganizationID: p.ID, Enabled: p.Enabled, BaseURL: optional(p.BaseURL), AutoProvision: p.AutoProvision, AutoDeprovision: p.AutoDeprovision,
		SyncGroups: p.SyncGroups, RoleMapping: map[string]string{}, DefaultRole: optional(p.Slugs[p.DefaultRole]), Link: p.Link, LocalEdits: p.LocalEdits, Domains: filled(p.Domains)}
	for _, r := range p.RoleMapping {
		v.RoleMapping[r.Group] = p.Slugs[r.RoleID]
	}
	if p.AllowedRoles != nil {
		v.AllowedRoles = []string{}
	}
	for _, id := range p.AllowedRoles {
		v.AllowedRoles = append(v.AllowedRoles, p.Slugs[id])
	}
	return v
}

type provisioningBody struct {
	Enabled         bool              `json:"scim_enabled,omitempty"`
	BaseURL         string            `json:"scim_base_url,omitempty"`
	AutoProvision   bool              `json:"auto_provision_users,omitempty"`
	AutoDeprovision *bool             `json:"auto_deprovision_users,omitempty"` // absent: true
	SyncGroups      bool              `json:"sync_groups,omitempty"`
	RoleMapping     map[string]string `json:"role_mapping,omitempty" doc:"role by the id, external id or name of a group"`
	DefaultRole     string            `json:"default_role,omitempty"`  // absent: the plain member's
	AllowedRoles    []string          `json:"allowed_roles,omitempty"` // absent: every role but the owner's
	Link            orgs.LinkPolicy   `json:"link,omitempty" enum:"verified,never,invite"`
	LocalEdits      bool              `json:"local_edits,omitempty"`
}

type verifiedDomainsBody struct {
	Domains []string `json:"verified_domains"`
}

type scimTokenView struct {
	Base
	OrganizationID string     `json:"organization_id"`
	Name           string     `json:"name"`
	Hint           *string    `json:"hint"` // how it begins, of one that was made here
	ExpiresAt      *string    `json:"expires_at"`
	LastUsedAt     *string    `json:"last_used_at"`
	Token          *shownOnce `json:"token,omitempty"`
}

func renderSCIMToken(t orgs.SCIMToken, used map[string]time.Time) scimTokenView {
	v := scimTokenView{Base: baseOf(t.Meta), OrganizationID: t.OrgID, Name: t.Name, Hint: optional(t.Hint), ExpiresAt: httpapi.StampOf(t.ExpiresAt)}
	if at, ok := used[t.ID]; ok {
		v.LastUsedAt = httpapi.StampOf(&at)
	}
	return v
}

type newSCIMToken struct {
	Name      string       `json:"name"`
	Secret    *seal.Secret `json:"secret,omitempty" doc:"one of your own, of at least 16 characters; absent: one is made"`
	ExpiresAt *time.Time   `json:"expires_at,omitempty"`
}

func (a *api) provisioning() {
	const path = "/v1/organizations/{org}/provisioning"
	add[none, none](a, http.MethodGet, path, "What the identity provider may do by SCIM", func(ctx context.Context, _ *none) (*answer[provisioningView], error) {
		p, err := a.Provisioning(ctx, param(ctx, "org"))
		return one(p.Version, renderProvisioning(p), err)
	})
	add[none, provisioningBody](a, http.MethodPut, path, "Set what the identity provider may do by SCIM", func(ctx context.Context, _ *none) (*answer[provisioningView], error) {
		at, in, err := placed[provisioningBody](ctx, a)
		if err != nil {
			return nil, err
		}
		p, warnings, err := a.SetProvisioning(ctx, at.OrgID, orgs.NewProvisioning{Enabled: in.Enabled, BaseURL: in.BaseURL, AutoProvision: in.AutoProvision,
			AutoDeprovision: in.AutoDeprovision, SyncGroups: in.SyncGroups, RoleMapping: in.RoleMapping, DefaultRole: in.DefaultRole,
			AllowedRoles: in.AllowedRoles, Link: in.Link, LocalEdits: in.LocalEdits})
		view := renderProvisioning(p)
		view.Warnings = warnings
		return one(p.Version, view, err)
	})
	add[none, verifiedDomainsBody](a, http.MethodPut, path+"/verified-domains", "Say which domains the platform knows to be the organization's own",
		func(ctx context.Context, _ *none) (*answer[provisioningView], error) {
			at, in, err := placed[verifiedDomainsBody](ctx, a)
			if err != nil {
				return nil, err
			}
			p, err := a.SetVerifiedDomains(ctx, at.OrgID, in.Domains...)
			return one(p.Version, renderProvisioning(p), err)
		})
	create[newSCIMToken](a, path+"/tokens", "Create a token for the identity provider", func(ctx context.Context, _ *none) (*answer[scimTokenView], error) {
		at, in, err := placed[newSCIMToken](ctx, a)
		if err != nil {
			return nil, err
		}
		token := orgs.NewSCIMToken{Name: in.Name, ExpiresAt: in.ExpiresAt}
		if in.Secret != nil {
			token.Secret = *in.Secret
		}
		t, secret, err := a.CreateSCIMToken(ctx, at.OrgID, token)
		view := renderSCIMToken(t, nil)
		view.Token = once(secret)
		return made(a, pathOf(at)+"/provisioning/tokens/"+t.ID, t.Version, view, err)
	})
	add[paging, none](a, http.MethodGet, path+"/tokens", "List the tokens of the identity provider", func(ctx context.Context, q *paging) (*answer[list[scimTokenView]], error) {
		at, err := a.place(ctx)
		if err != nil {
			return nil, err
		}
		page, err := a.SCIMTokens(ctx, at.OrgID, q.Limit, q.After)
		if err != nil {
			return nil, err
		}
		ids := make([]string, len(page.Items))
		for i, t := range page.Items {
			ids[i] = t.ID
		}
		used := map[string]time.Time{}
		if len(ids) > 0 {
			used, err = a.LastUsed(ctx, at.OrgID, ids...)
		}
		return listOf(page, err, always(func(t orgs.SCIMToken) scimTokenView { return renderSCIMToken(t, used) }))
	})
	add[none, none](a, http.MethodDelete, path+"/tokens/{scim_token}", "Revoke a token of the identity provider", func(ctx context.Context, _ *none) (*answer[deletedView], error) {
		t, err := a.RevokeSCIMToken(ctx, param(ctx, "org"), param(ctx, "scim_token"))
		return deleted(t.ID, err)
	})
}
