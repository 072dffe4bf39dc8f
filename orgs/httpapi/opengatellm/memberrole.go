package opengatellm

import (
	"context"
	"errors"

	"github.com/orgkit/orgkit/orgs"
	"github.com/orgkit/orgkit/rbac"
	"github.com/orgkit/orgkit/store"
)

// The roles that people have in organizations and projects who are put there by this API, where membership alone lets somebody
// use models. What they may do with the host as a whole their [orgs.PlatformRole] says.
var (
	modelUser = rbac.NewRole{Name: "Model user", Slug: "model_user", Description: "Uses models, and sees what is their own",
		Permissions: []string{"organizations.read", "teams.read:own", "projects.read:own", "members.read:own", "usage.read:own",
			"api_keys.read:own", "api_keys.delete:own", "api_keys.update:own", "api_keys.use", "models.read", "models.use"}}
	projectUser = rbac.NewRole{Name: "Project user", Slug: "project_user", Description: "Makes keys of a project, and uses models by them",
		Permissions: []string{"projects.read", "members.read:own", "usage.read:own",
			"api_keys.create", "api_keys.read:own", "api_keys.delete:own", "api_keys.update:own", "api_keys.use", "models.read", "models.use"}}
)

// join makes a person a member, in a role that is made where the organization has none of that name yet.
func (a *api) join(ctx context.Context, at orgs.Place, userID string) error {
	role := modelUser
	if at.TeamID != "" {
		role = projectUser
	}
	if _, err := a.Role(ctx, at.OrgID, role.Slug); errors.Is(err, store.ErrNotFound) {
		if _, err := a.CreateRole(ctx, at.OrgID, role); err != nil {
			return err
		}
	} else if err != nil {
		return err
	}
	_, err := a.AddMember(ctx, at, orgs.NewMember{User: userID, Role: role.Slug})
	return err
}
