package litellm

import "github.com/orgkit/orgkit/orgs"

// userRow is a person. What belongs to other organizations is said to nobody here.
type userRow struct {
	ID              string         `json:"user_id"`
	Alias           *string        `json:"user_alias"`
	TeamID          *string        `json:"team_id"`
	SSOUserID       *string        `json:"sso_user_id"`
	OrganizationID  *string        `json:"organization_id"`
	Teams           []string       `json:"teams"`
	Role            string         `json:"user_role"`
	MaxBudget       *usd           `json:"max_budget"`
	Spend           usd            `json:"spend"`
	Email           *string        `json:"user_email"`
	Models          []string       `json:"models"`
	Metadata        raw            `json:"metadata"`
	MaxParallel     *int64         `json:"max_parallel_requests"`
	TPM             *int64         `json:"tpm_limit"`
	RPM             *int64         `json:"rpm_limit"`
	Duration        *string        `json:"budget_duration"`
	ResetAt         *stamp         `json:"budget_reset_at"`
	CacheControls   []string       `json:"allowed_cache_controls"`
	Policies        []string       `json:"policies"`
	ModelSpend      map[string]usd `json:"model_spend"`
	ModelMaxBudget  map[string]any `json:"model_max_budget"`
	CreatedAt       stamp          `json:"created_at"`
	UpdatedAt       stamp          `json:"updated_at"`
	Memberships     []memberRow    `json:"organization_memberships"`
	Permission      any            `json:"object_permission"`
	PermissionID    *string        `json:"object_permission_id"`
	AccessGroupsIDs []string       `json:"access_group_ids"`
}

func (c *call) userRow(u orgs.User) userRow {
	return userRow{ID: u.PublicID(), Alias: optional(u.Name), Email: optional(u.Email), Role: roleUser, Teams: []string{}, Models: []string{}, Metadata: raw("{}"), Spend: zero,
		CacheControls: []string{}, Policies: []string{}, ModelSpend: map[string]usd{}, ModelMaxBudget: map[string]any{}, AccessGroupsIDs: []string{},
		CreatedAt: stamp(u.CreatedAt), UpdatedAt: stamp(u.UpdatedAt)}
}
