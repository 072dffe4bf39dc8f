package rest

import (
	"context"
	"encoding/json"
	"net/http"
	"slices"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/orgkit/orgkit/billing"
	"github.com/orgkit/orgkit/orgs"
)

// vendorKeyPath is another way to the objects of [keyPath], with the bodies of the vendor's own page (F464). What it takes is
// translated to what a key has, and neither says what the other does not.
const vendorKeyPath = "/v1/keys"

type newVendorKey struct {
	Name           string            `json:"name"`
	Description    string            `json:"description,omitempty"`
	TeamID         string            `json:"team_id,omitempty" doc:"id or slug"`
	OrganizationID string            `json:"organization_id,omitempty" doc:"id or slug, for a key outside of teams"`
	Permissions    vendorPermissions `json:"permissions,omitzero"`
	PerMinute      *int64            `json:"max_requests_per_minute,omitempty"`
	PerDay         *int64            `json:"max_requests_per_day,omitempty"`
	CostPerDay     *billing.Amount   `json:"max_cost_per_day,omitempty"`
	Restrictions   vendorLimits      `json:"restrictions,omitzero"`
	Metadata       object            `json:"metadata,omitempty"`
	ExpiresAt      *time.Time        `json:"expires_at,omitempty"`
}

type vendorPermissions struct {
	Models     vendorModels `json:"models,omitzero"`
	Features   []string     `json:"features,omitzero" doc:"what the key may make use of; absent: everything"`
	Operations []string     `json:"operations,omitzero" doc:"read: list models and read usage; write: use models; absent: both"`
}

// vendorModels is a list of models, or what is allowed and what is denied.
type vendorModels struct{ allowed, denied []string }

// IsZero says that nothing was said.
func (m vendorModels) IsZero() bool { return m.allowed == nil && m.denied == nil }

// Schema describes both forms to clients.
func (vendorModels) Schema(huma.Registry) *huma.Schema {
	list := &huma.Schema{Type: huma.TypeArray, Items: &huma.Schema{Type: huma.TypeString}}
	both := &huma.Schema{Type: huma.TypeObject, AdditionalProperties: false, Properties: map[string]*huma.Schema{"allowed": list, "denied": list}}
	both.PrecomputeMessages()
	return &huma.Schema{OneOf: []*huma.Schema{list, both}, Description: "globs of ids of models that the key may use, or {allowed, denied}"}
}

// UnmarshalJSON reads either form.
func (m *vendorModels) UnmarshalJSON(b []byte) error {
	if json.Unmarshal(b, &m.allowed) == nil {
		return nil
	}
	var both struct{ Allowed, Denied []string }
	err := json.Unmarshal(b, &both)
	m.allowed, m.denied = both.Allowed, both.Denied
	return err
}

type vendorLimits struct {
	IPWhitelist []string `json:"ip_whitelist,omitempty"`
	Domains     []string `json:"domains,omitempty" doc:"globs of the host of Origin"`
	Referrers   []string `json:"referrers,omitempty" doc:"globs of Referer"`
	UserAgents  []string `json:"user_agents,omitempty" doc:"beginnings of User-Agent"`
}

func (in newVendorKey) restrictions() orgs.KeyRestrictions {
	r := orgs.KeyRestrictions{AllowedIPs: in.Restrictions.IPWhitelist, MaxRequestsPerMinute: in.PerMinute, MaxRequestsPerDay: in.PerDay,
		MaxCostPerDay: in.CostPerDay, Features: in.Permissions.Features, Operations: in.Permissions.Operations,
		Domains: in.Restrictions.Domains, Referrers: in.Restrictions.Referrers, UserAgents: in.Restrictions.UserAgents}
	if m := in.Permissions.Models; !m.IsZero() {
		r.Models = &orgs.KeyModels{Allowed: m.allowed, Blocked: m.denied}
	}
	return r
}

// input is the key that the vendor's body asks for. Outside of teams it has nothing to inherit, and is granted what its
// operations need.
func (in newVendorKey) input() orgs.NewAPIKey {
	k := orgs.NewAPIKey{Name: in.Name, Description: in.Description, Team: in.TeamID, Organization: in.OrganizationID, InheritTeam: in.TeamID != "",
		Restrictions: in.restrictions(), Metadata: json.RawMessage(in.Metadata), ExpiresAt: in.ExpiresAt}
	if in.TeamID == "" {
		k.Permissions = []string{"api_keys.use", "models.read"}
		if ops := in.Permissions.Operations; ops == nil || slices.Contains(ops, orgs.WriteOperation) {
			k.Permissions = append(k.Permissions, "models.use")
		}
	}
	return k
}

// vendorFields are the fields of the vendor's body, by those of a key, for the faults of the latter.
var vendorFields = map[string]string{
	"additional_restrictions.allowed_ips": "restrictions.ip_whitelist", "additional_restrictions.domains": "restrictions.domains",
	"additional_restrictions.referrers": "restrictions.referrers", "additional_restrictions.user_agents": "restrictions.user_agents",
	"additional_restrictions.features": "permissions.features", "additional_restrictions.operations": "permissions.operations",
	"additional_restrictions.models.allowed": "permissions.models", "additional_restrictions.models.blocked": "permissions.models.denied",
	"additional_restrictions.max_requests_per_minute": "max_requests_per_minute", "additional_restrictions.max_requests_per_day": "max_requests_per_day",
	"additional_restrictions.max_cost_per_day": "max_cost_per_day",
}

func (a *api) vendorKeys() {
	create[newVendorKey](a, vendorKeyPath, "Create an API key, as the vendor's page has it", func(ctx context.Context, _ *none) (*answer[apiKeyView], error) {
		in, err := read[newVendorKey](ctx, a, false)
		if err != nil {
			return nil, err
		}
		k, secret, err := a.CreateAPIKey(ctx, in.input())
		return made(a, vendorKeyPath+"/"+k.ID, k.Version, a.withSecret(orgs.CreatedAPIKey{Key: k, Secret: secret}), renamed(err, vendorFields))
	})
	add[keyQuery, none](a, http.MethodGet, vendorKeyPath, "List API keys, as "+keyPath+" does", a.listKeys)
	path := vendorKeyPath + "/{key}"
	add[none, none](a, http.MethodGet, path, "Get an API key, as "+keyPath+" does", func(ctx context.Context, _ *none) (*answer[apiKeyView], error) {
		k, err := a.APIKey(ctx, param(ctx, "key"))
		return a.apiKey(ctx, k, err)
	})
	add[none, because](a, http.MethodDelete, path, "Revoke an API key, as "+keyPath+" does", func(ctx context.Context, _ *none) (*answer[apiKeyView], error) {
		return a.withReason(ctx, a.RevokeAPIKey)
	})
}
