package rbac

// RoleTemplate is a role as it can be created.
type RoleTemplate struct {
	Name, Slug, Description string
	Permissions             []string
	Inherited               bool
}

// SystemRoles are the two roles that every organization is born with.
func SystemRoles() []RoleTemplate {
	return []RoleTemplate{
		{"Organization Admin", OwnerRole, "Holds every permission", []string{"*"}, true},
		{"Member", MemberRole, "Sees itself, its own teams and projects", []string{"organizations.read", "teams.read:own", "projects.read:own", "members.read:own", "usage.read:own"}, false},
	}
}

// Templates are roles that most organizations want. None is made by itself.
func Templates() []RoleTemplate {
	return []RoleTemplate{
		{"Team Lead", "team_lead", "Manages members and resources of a team", []string{"teams.read", "teams.update",
			"members.read", "members.invite", "members.remove", "api_keys.create", "api_keys.read", "api_keys.update", "usage.read", "billing.read"}, false},
		{"Developer", "developer", "Uses models and sees own usage", []string{"api_keys.use", "models.read", "models.use", "usage.read:own", "teams.read:own"}, false},
		{"Finance", "finance", "Sees billing and usage", []string{"billing.*", "usage.read", "invoices.*", "payment_methods.read"}, false},
		{"Viewer", "viewer", "Reads everything", []string{"*.read"}, false},
	}
}
