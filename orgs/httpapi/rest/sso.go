package rest

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"github.com/orgkit/orgkit/orgs"
	"github.com/orgkit/orgkit/orgs/httpapi"
	"github.com/orgkit/orgkit/store"
	"github.com/orgkit/orgkit/store/seal"
)

type ssoView struct {
	Base
	OrganizationID string              `json:"organization_id"`
	Provider       string              `json:"provider"`
	Protocol       string              `json:"protocol"`
	Enabled        bool                `json:"enabled"`
	Status         orgs.SSOStatus      `json:"status"`
	ProvedAt       *string             `json:"proved_at" doc:"when somebody first signed in by it as it is"`
	Settings       ssoSettingsView     `json:"settings"`
	Provisioning   ssoProvisioningView `json:"provisioning"`
	SP             *ssoPartyView       `json:"sp" doc:"what the identity provider has to be told; null where the host has not said where it is"`
	Warnings       []store.Warning     `json:"warnings,omitempty"` // in the answer to a change
}

type ssoSettingsView struct {
	URL                   string            `json:"sso_url,omitempty"`
	Issuer                string            `json:"issuer"`
	Certs                 []string          `json:"x509_cert"`
	Certificates          []certificateView `json:"certificates"`
	ClientID              string            `json:"client_id,omitempty"`
	ClientSecretSet       *bool             `json:"client_secret_set,omitempty"`
	ClientSecretUpdatedAt *string           `json:"client_secret_updated_at,omitempty"`
	Scopes                []string          `json:"scopes,omitempty"`
	Algs                  []string          `json:"allowed_algs,omitempty"`
	Attributes            orgs.Attributes   `json:"attribute_mapping"`
	RoleMapping           map[string]string `json:"role_mapping"`
	DefaultRole           *string           `json:"default_role"`
	AllowedRoles          []string          `json:"allowed_roles"` // null: every role but the owner's
	Link                  orgs.LinkPolicy   `json:"link"`
	MFAContexts           []string          `json:"mfa_contexts"`
	ForceAuthn            bool              `json:"force_authn"`
	SignRequests          bool              `json:"sign_requests"`
	Unsolicited           bool              `json:"allow_idp_initiated"`
	SkewSeconds           int               `json:"clock_skew_seconds"`
	BreakGlass            []string          `json:"break_glass"`
}

type certificateView struct {
	Subject     string `json:"subject"`
	Fingerprint string `json:"fingerprint_sha256"`
	NotBefore   string `json:"not_before"`
	NotAfter    string `json:"not_after"`
}

type ssoProvisioningView struct {
	Enabled         bool    `json:"scim_enabled"`
	BaseURL         *string `json:"scim_base_url"`
	TokenSet        bool    `json:"scim_bearer_token_set"`
	TokenUpdatedAt  *string `json:"scim_bearer_token_updated_at"`
	AutoProvision   bool    `json:"auto_provision_users"`
	AutoDeprovision bool    `json:"auto_deprovision_users"`
	SyncGroups      bool    `json:"sync_groups"`
}

// ssoPartyView is the host's side, at the identity provider. It has the fields of its protocol only.
type ssoPartyView struct {
	LoginURL    string `json:"login_url"`
	EntityID    string `json:"entity_id,omitempty"`
	ACSURL      string `json:"acs_url,omitempty"`
	MetadataURL string `json:"metadata_url,omitempty"`
	RedirectURI string `json:"redirect_uri,omitempty"`
}

func (a *api) renderSSO(s orgs.SSOSettings) ssoView {
	p := renderProvisioning(s.Provisioning)
	v := ssoView{Base: baseOf(s.Meta), OrganizationID: s.ID, Provider: s.Provider, Protocol: s.Protocol, Enabled: s.Enabled, Status: s.Status, ProvedAt: httpapi.StampOf(s.ProvedAt),
		Settings: ssoSettingsView{URL: s.URL, Issuer: s.Issuer, Certs: filled(s.Certs), Certificates: []certificateView{}, ClientID: s.ClientID, Scopes: s.Scopes, Algs: s.Algs,
			Attributes: s.Attributes, RoleMapping: p.RoleMapping, DefaultRole: p.DefaultRole, AllowedRoles: p.AllowedRoles, Link: p.Link, MFAContexts: filled(s.MFAContexts),
			ForceAuthn: s.ForceAuthn, SignRequests: s.SignRequests, Unsolicited: s.Unsolicited, SkewSeconds: s.SkewSeconds, BreakGlass: filled(s.BreakGlass)},
		Provisioning: ssoProvisioningView{p.Enabled, p.BaseURL, s.SCIMTokenAt != nil, httpapi.StampOf(s.SCIMTokenAt), p.AutoProvision, p.AutoDeprovision, p.SyncGroups}}
	for _, c := range s.Certificates {
		v.Settings.Certificates = append(v.Settings.Certificates, certificateView{c.Subject.String(), c.Fingerprint, httpapi.Stamp(c.NotBefore), httpapi.Stamp(c.NotAfter)})
	}
	at := a.opt.SSOURL + "/" + s.ID
	if s.Protocol == orgs.ProtocolOIDC {
		set := s.Secret.IsSet()
		v.Settings.ClientSecretSet, v.Settings.ClientSecretUpdatedAt = &set, httpapi.StampOf(s.SecretAt)
		v.SP = &ssoPartyView{LoginURL: at + "/login", RedirectURI: at + "/oidc/callback"}
	} else {
		v.SP = &ssoPartyView{LoginURL: at + "/login", EntityID: at + "/saml/metadata", ACSURL: at + "/saml/acs", MetadataURL: at + "/saml/metadata"}
	}
	if a.opt.SSOURL == "" {
		v.SP = nil
	}
	return v
}

// certificates are one text or several.
type certificates []string

// Schema describes them to clients.
func (certificates) Schema(huma.Registry) *huma.Schema {
	return &huma.Schema{OneOf: []*huma.Schema{{Type: huma.TypeString}, {Type: huma.TypeArray, Items: &huma.Schema{Type: huma.TypeString}}},
		Description: "certificates in PEM, or bare base64; several for rollover"}
}

// UnmarshalJSON reads a text or a list.
func (c *certificates) UnmarshalJSON(b []byte) error {
	var one string
	if json.Unmarshal(b, &one) == nil {
		*c = certificates{one}
		return nil
	}
	var list []string
	if json.Unmarshal(b, &list) != nil {
		return errors.New("must be a text or a list of texts")
	}
	*c = list
	return nil
}

type ssoBody struct {
	Provider     string               `json:"provider"`
	Protocol     string               `json:"protocol,omitempty" enum:"saml,oidc"` // absent: saml
	Enabled      bool                 `json:"enabled"`
	Settings     ssoSettingsBody      `json:"settings,omitzero"`
	Provisioning *ssoProvisioningBody `json:"provisioning,omitempty"` // absent: as it is
	ServerWritten
	ServerWrittenOfSSO

	null fields // of settings and provisioning
}

type ssoSettingsBody struct {
	URL          string            `json:"sso_url,omitempty"`
	Issuer       string            `json:"issuer,omitempty"`
	Certs        certificates      `json:"x509_cert,omitempty"`
	ClientID     string            `json:"client_id,omitempty"`
	ClientSecret *seal.Secret      `json:"client_secret,omitempty"` // absent: as it is; null: none
	Scopes       []string          `json:"scopes,omitempty"`        // absent: openid, email and profile
	Algs         []string          `json:"allowed_algs,omitempty"`  // absent: RS256
	Attributes   attributesBody    `json:"attribute_mapping,omitzero"`
	RoleMapping  map[string]string `json:"role_mapping,omitempty" doc:"role by the name of a group"`
	DefaultRole  string            `json:"default_role,omitempty"` // absent: the plain member's
	AllowedRoles []string          `json:"allowed_roles,omitzero"` // absent: every role but the owner's
	Link         orgs.LinkPolicy   `json:"link,omitempty" enum:"verified,never,invite"`
	MFAContexts  []string          `json:"mfa_contexts,omitempty"`
	ForceAuthn   bool              `json:"force_authn,omitempty"`
	SignRequests bool              `json:"sign_requests,omitempty"` // SAML only
	Unsolicited  bool              `json:"allow_idp_initiated,omitempty"`
	SkewSeconds  *int              `json:"clock_skew_seconds,omitempty"` // absent: 60
	BreakGlass   []string          `json:"break_glass,omitempty"`        // owners, by id or address; absent: the first one
	ServerWrittenOfSSOSettings
}

type attributesBody struct {
	Email  string `json:"email,omitempty"`
	Name   string `json:"name,omitempty"`
	Groups string `json:"groups,omitempty"`
}

type ssoProvisioningBody struct {
	Enabled         bool         `json:"scim_enabled,omitempty"`
	BaseURL         string       `json:"scim_base_url,omitempty"`
	Token           *seal.Secret `json:"scim_bearer_token,omitempty"` // absent: as it is; null: none
	AutoProvision   bool         `json:"auto_provision_users,omitempty"`
	AutoDeprovision *bool        `json:"auto_deprovision_users,omitempty"` // absent: true
	SyncGroups      bool         `json:"sync_groups,omitempty"`
	ServerWrittenOfSCIMToken
}

// nulls keeps which secrets are null, and so to be removed.
func (b *ssoBody) nulls(has fields) {
	b.null = fields{}
	for part, secret := range map[string]string{"settings": "client_secret", "provisioning": "scim_bearer_token"} {
		var in fields
		_ = json.Unmarshal(has[part], &in) // it was read before
		b.null[secret] = in[secret]
	}
}

func (b *ssoBody) input() orgs.NewSSO {
	s := b.Settings
	in := orgs.NewSSO{Provider: b.Provider, Protocol: b.Protocol, Enabled: b.Enabled, URL: s.URL, Issuer: s.Issuer, Certificates: s.Certs, ClientID: s.ClientID, Scopes: s.Scopes,
		Algs: s.Algs, Attributes: orgs.Attributes(s.Attributes), MFAContexts: s.MFAContexts, ForceAuthn: s.ForceAuthn, SignRequests: s.SignRequests, Unsolicited: s.Unsolicited, SkewSeconds: s.SkewSeconds,
		BreakGlass: s.BreakGlass, RoleMapping: s.RoleMapping, DefaultRole: s.DefaultRole, AllowedRoles: s.AllowedRoles, Link: s.Link, Secrets: map[string]*seal.Secret{}}
	secrets := map[string]*seal.Secret{"client_secret": s.ClientSecret}
	if p := b.Provisioning; p != nil {
		in.Provisioning = &orgs.NewProvisioning{Enabled: p.Enabled, BaseURL: p.BaseURL, AutoProvision: p.AutoProvision, AutoDeprovision: p.AutoDeprovision, SyncGroups: p.SyncGroups}
		secrets["scim_bearer_token"] = p.Token
	}
	for field, secret := range secrets {
		if secret != nil || string(b.null[field]) == "null" {
			in.Secrets[field] = secret
		}
	}
	return in
}

func (a *api) sso() {
	const path = "/v1/organizations/{org}/sso"
	add[none, none](a, http.MethodGet, path, "How members sign in by the identity provider", func(ctx context.Context, _ *none) (*answer[ssoView], error) {
		s, err := a.SSO(ctx, param(ctx, "org"))
		if err != nil {
			return nil, err
		}
		return one(s.Version, a.renderSSO(s), nil)
	})
	add[none, ssoBody](a, http.MethodPut, path, "Set how members sign in by the identity provider", func(ctx context.Context, _ *none) (*answer[ssoView], error) {
		at, body, err := placed[ssoBody](ctx, a)
		if err != nil {
			return nil, err
		}
		s, warnings, err := a.SetSSO(ctx, at.OrgID, body.input())
		if err != nil {
			return nil, err
		}
		view := a.renderSSO(s)
		view.Warnings = warnings
		return one(s.Version, view, nil)
	})
	add[none, ssoBody](a, http.MethodPatch, path, "Change how members sign in by the identity provider", func(ctx context.Context, _ *none) (*answer[ssoView], error) {
		var warnings []store.Warning
		s, err := patch(ctx, a, editing[orgs.SSOSettings, ssoBody]{
			get:     func(ctx context.Context) (orgs.SSOSettings, error) { return a.SSO(ctx, param(ctx, "org")) },
			version: func(s orgs.SSOSettings) int64 { return s.Version },
			view:    func(_ context.Context, s orgs.SSOSettings) (any, error) { return a.renderSSO(s), nil },
			body:    a.ssoAs,
			put: func(ctx context.Context, s orgs.SSOSettings, b ssoBody, has fields) (orgs.SSOSettings, error) {
				b.nulls(has) // those of the patch, which are not in what it came to
				s, some, err := a.SetSSO(ctx, s.ID, b.input())
				warnings = some
				return s, err
			}})
		if err != nil {
			return nil, err
		}
		view := a.renderSSO(s)
		view.Warnings = warnings
		return one(s.Version, view, nil)
	})
	add[none, none](a, http.MethodDelete, path, "End sign-ins by the identity provider", func(ctx context.Context, _ *none) (*answer[deletedView], error) {
		s, err := a.DeleteSSO(ctx, param(ctx, "org"))
		return deleted(s.ID, err)
	})
}

// ssoAs is the body by which a configuration could be set as it is, with its secrets.
func (a *api) ssoAs(s orgs.SSOSettings) ssoBody {
	v := a.renderSSO(s)
	of, p := v.Settings, s.Provisioning
	return ssoBody{Provider: s.Provider, Protocol: s.Protocol, Enabled: s.Enabled,
		Settings: ssoSettingsBody{URL: of.URL, Issuer: of.Issuer, Certs: of.Certs, ClientID: of.ClientID, Scopes: of.Scopes, Algs: of.Algs, Attributes: attributesBody(of.Attributes),
			RoleMapping: of.RoleMapping, DefaultRole: or(of.DefaultRole, ""), AllowedRoles: of.AllowedRoles, Link: of.Link, MFAContexts: of.MFAContexts, ForceAuthn: of.ForceAuthn,
			SignRequests: of.SignRequests, Unsolicited: of.Unsolicited, SkewSeconds: &of.SkewSeconds, BreakGlass: s.BreakGlass},
		Provisioning: &ssoProvisioningBody{Enabled: p.Enabled, BaseURL: p.BaseURL, AutoProvision: p.AutoProvision, AutoDeprovision: &p.AutoDeprovision, SyncGroups: p.SyncGroups}}
}
