package orgs

import (
	"context"

	"github.com/orgkit/orgkit/audit"
	"github.com/orgkit/orgkit/store"
)

// PlatformRole is what people may do with the host as a whole, whatever organizations they are in: a name for words that
// mean something to the dialect that keeps them.
type PlatformRole struct {
	store.Meta
	Name        string   `json:"name"` // unique
	Permissions []string `json:"permissions"`
}

// PlatformRoles holds all of them. The floor above writes it inside rbac.Guard.Change, for the platform.
var PlatformRoles = store.Define[PlatformRole]("platform_roles", "prole",
	store.Unique("name"))

// AuditResource is how the log names the role.
func (r PlatformRole) AuditResource() audit.Resource {
	return audit.Resource{Type: "role", ID: r.ID, Slug: r.Name}
}

// PlatformRoleHolders is how many people hold the role. It asks no permission: it serves the floors above.
func PlatformRoleHolders(ctx context.Context, tx *store.Tx, roleID string) (int, error) {
	return users.Count(ctx, tx, store.Eq("platform_role_id", roleID))
}
