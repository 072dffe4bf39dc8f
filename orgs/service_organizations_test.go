package orgs_test

import (
	"context"
	"strings"

	"github.com/orgkit/orgkit/orgs"
	"github.com/orgkit/orgkit/rbac"
)

// long is a text that nothing takes.
var long = strings.Repeat("x", rbac.MaxDescription+1)

var userMethods = []method{
	{name: "CreateUser", by: byPlatform, global: true, foreign: denied, because: "users belong to the platform; it names nobody",
		call: func(ctx context.Context, f *fixture) (any, error) {
			return f.CreateUser(ctx, orgs.NewUser{Email: "new@acme.example"})
		},
		wrong: func(ctx context.Context, f *fixture) (any, error) {
			return f.CreateUser(ctx, orgs.NewUser{Email: "nobody"})
		}},
	{name: "UpdateUser", by: byPlatform, global: true, member: hidden, because: "other users do not exist to a user",
		call: func(ctx context.Context, f *fixture) (any, error) {
			return f.UpdateUser(ctx, f.id.User, orgs.UserUpdate{Name: ptr("Zoe")})
		},
		wrong: func(ctx context.Context, f *fixture) (any, error) {
			return f.UpdateUser(ctx, f.id.User, orgs.UserUpdate{Status: ptr(rbac.Gone)})
		}},
	{name: "UpdateUser/what is not one's own to change", by: byPlatform, global: true, stirs: true, guest: hidden, because: "the member is the user",
		call: func(ctx context.Context, f *fixture) (any, error) {
			return f.UpdateUser(ctx, f.id.Joining, orgs.UserUpdate{Status: ptr(rbac.Suspended)})
		},
		wrong: func(ctx context.Context, f *fixture) (any, error) {
			return f.UpdateUser(ctx, f.id.Joining, orgs.UserUpdate{Email: ptr("nobody")})
		}},
	{name: "DeleteUser", by: byPlatform, global: true, more: 2, foreign: denied,
		because: "the platform alone can, refused before anybody is looked for; the membership and the approval request that end have events of their own",
		call: func(ctx context.Context, f *fixture) (any, error) {
			return f.DeleteUser(ctx, f.id.User, "gone")
		},
		wrong: func(ctx context.Context, f *fixture) (any, error) {
			return f.DeleteUser(ctx, f.id.User, long)
		}},
	{name: "DeleteUser/who is nowhere a member", by: byPlatform, global: true, foreign: denied,
		because: "the platform alone can, refused before anybody is looked for",
		call:    func(ctx context.Context, f *fixture) (any, error) { return f.DeleteUser(ctx, f.id.Coming, "gone") },
		wrong: func(ctx context.Context, f *fixture) (any, error) {
			return f.DeleteUser(ctx, f.id.Coming, long)
		}},
	{name: "User", reads: true, by: byPlatform, member: hidden, because: "other users do not exist to a user",
		call: func(ctx context.Context, f *fixture) (any, error) { return f.Manager.User(ctx, f.id.User) }},
	{name: "Places", reads: true, by: byPlatform, member: hidden, because: "other users do not exist to a user",
		call: func(ctx context.Context, f *fixture) (any, error) { return f.Places(ctx, f.id.User) }},
	{name: "EnsurePlatformRole", by: byPlatform, global: true, foreign: denied, because: "roles over all organizations are the platform's; it names nobody",
		call: func(ctx context.Context, f *fixture) (any, error) {
			return f.EnsurePlatformRole(ctx, "operators", "operate")
		},
		wrong: func(ctx context.Context, f *fixture) (any, error) { return f.EnsurePlatformRole(ctx, "", "operate") }},
	{name: "PlatformRoleOf", reads: true, by: byPlatform, member: hidden, because: "other users do not exist to a user",
		call: func(ctx context.Context, f *fixture) (any, error) { return f.PlatformRoleOf(ctx, f.id.User) }},
	{name: "Users", reads: true, by: byPlatform, global: true, foreign: denied, because: "users belong to the platform; it names nobody",
		call: func(ctx context.Context, f *fixture) (any, error) { return f.Users(ctx, 0, "") }},
	{name: "CreateToken", by: byPlatform, global: true, member: hidden, because: "other users do not exist to a user",
		call: func(ctx context.Context, f *fixture) (any, error) {
			token, _, err := f.CreateToken(ctx, f.id.User, orgs.NewToken{Name: "phone"})
			return token, err
		},
		wrong: func(ctx context.Context, f *fixture) (any, error) {
			token, _, err := f.CreateToken(ctx, f.id.User, orgs.NewToken{Name: "phone", ExpiresInDays: 366})
			return token, err
		}},
	{name: "CreateToken/by a token", by: byPlatform, global: true, guest: hidden, because: "the member is the user, who makes tokens from a session only",
		call: func(ctx context.Context, f *fixture) (any, error) {
			token, _, err := f.CreateToken(ctx, f.id.Joining, orgs.NewToken{Name: "phone"})
			return token, err
		},
		wrong: func(ctx context.Context, f *fixture) (any, error) {
			token, _, err := f.CreateToken(ctx, f.id.Joining, orgs.NewToken{})
			return token, err
		}},
	{name: "Token", reads: true, by: byPlatform, member: hidden, because: "other users do not exist to a user",
		call: func(ctx context.Context, f *fixture) (any, error) { return f.Token(ctx, f.id.User, f.id.Token) }},
	{name: "Tokens", reads: true, by: byPlatform, member: hidden, because: "other users do not exist to a user",
		call: func(ctx context.Context, f *fixture) (any, error) { return f.Tokens(ctx, f.id.User, 0, "") }},
	{name: "UpdateToken", by: byPlatform, global: true, member: hidden, because: "other users do not exist to a user",
		call: func(ctx context.Context, f *fixture) (any, error) {
			name := "desk"
			return f.UpdateToken(ctx, f.id.User, f.id.Token, orgs.TokenUpdate{Name: &name})
		},
		wrong: func(ctx context.Context, f *fixture) (any, error) {
			name := ""
			return f.UpdateToken(ctx, f.id.User, f.id.Token, orgs.TokenUpdate{Name: &name})
		}},
	{name: "RevokeToken", by: byPlatform, global: true, member: hidden, because: "other users do not exist to a user",
		call: func(ctx context.Context, f *fixture) (any, error) { return f.RevokeToken(ctx, f.id.User, f.id.Token) },
		wrong: func(ctx context.Context, f *fixture) (any, error) {
			return f.RevokeToken(ctx, f.id.Joining, f.id.Token)
		}},
	{name: "Session", reads: true, by: byPlatform, member: hidden, because: "other users do not exist to a user",
		call: func(ctx context.Context, f *fixture) (any, error) { return f.Session(ctx, f.id.User, f.id.Session) }},
	{name: "Sessions", reads: true, by: byPlatform, member: hidden, because: "other users do not exist to a user",
		call: func(ctx context.Context, f *fixture) (any, error) { return f.Sessions(ctx, f.id.User, 0, "") }},
	{name: "EndSession", by: byPlatform, global: true, member: hidden, because: "other users do not exist to a user",
		call: func(ctx context.Context, f *fixture) (any, error) { return f.EndSession(ctx, f.id.User, f.id.Session) },
		wrong: func(ctx context.Context, f *fixture) (any, error) {
			return f.EndSession(ctx, f.id.Joining, f.id.Session)
		}},
	{name: "EndSessions", by: byPlatform, global: true, member: hidden, because: "other users do not exist to a user",
		call:  func(ctx context.Context, f *fixture) (any, error) { return f.EndSessions(ctx, f.id.User, false) },
		wrong: func(ctx context.Context, f *fixture) (any, error) { return f.EndSessions(ctx, f.id.Session, false) }},
	{name: "Permission", reads: true, nested: true, member: hidden, guest: denied, because: "who may read members:own only knows of nobody else",
		call: func(ctx context.Context, f *fixture) (any, error) {
			return f.Permission(ctx, orgs.PermissionQuery{User: f.id.User, Organization: f.id.Org, Action: "models.use", Resource: "model:large"})
		}},
	{name: "Actions", reads: true, nested: true, member: hidden, guest: denied, because: "who may read members:own only knows of nobody else",
		call: func(ctx context.Context, f *fixture) (any, error) {
			return f.Actions(ctx, orgs.PermissionQuery{User: f.id.User, Organization: f.id.Org, Resource: "model:large"})
		}},
}

var organizationMethods = []method{
	{name: "CreateOrganization", by: byPlatform, global: true, makes: true, foreign: denied, because: "roots belong to the platform; it names none",
		call: func(ctx context.Context, f *fixture) (any, error) {
			return f.CreateOrganization(ctx, orgs.NewOrganization{Name: "New"})
		},
		wrong: func(ctx context.Context, f *fixture) (any, error) {
			return f.CreateOrganization(ctx, orgs.NewOrganization{Name: " ", Slug: "new-one"})
		}},
	{name: "CreateOrganization/below another", makes: true,
		call: func(ctx context.Context, f *fixture) (any, error) {
			return f.CreateOrganization(ctx, orgs.NewOrganization{Name: "New", Parent: f.id.Org})
		},
		wrong: func(ctx context.Context, f *fixture) (any, error) {
			return f.CreateOrganization(ctx, orgs.NewOrganization{Name: "New", Slug: "-", Parent: f.id.Org})
		}},
	{name: "UpdateOrganization",
		call: func(ctx context.Context, f *fixture) (any, error) {
			return f.UpdateOrganization(ctx, f.id.Org, orgs.OrganizationUpdate{Slug: ptr("acme-two")})
		},
		wrong: func(ctx context.Context, f *fixture) (any, error) {
			return f.UpdateOrganization(ctx, f.id.Org, orgs.OrganizationUpdate{Slug: ptr("rival")})
		}},
	{name: "Organization", reads: true, member: allowed, guest: denied, because: "the role member reads it",
		call: func(ctx context.Context, f *fixture) (any, error) { return f.Organization(ctx, f.id.Org) }},
	{name: "OrganizationFigures", reads: true, member: allowed, because: "they are for everybody who holds something there",
		call: func(ctx context.Context, f *fixture) (any, error) { return f.OrganizationFigures(ctx, f.id.Org) }},
	{name: "Organizations", reads: true, member: allowed, foreign: allowed, because: "everybody sees those in which they are a member",
		call: func(ctx context.Context, f *fixture) (any, error) {
			return f.Organizations(ctx, orgs.OrganizationFilter{})
		}},
	{name: "Organizations/below another", reads: true, member: allowed, because: "everybody sees those in which they hold something",
		call: func(ctx context.Context, f *fixture) (any, error) {
			return f.Organizations(ctx, orgs.OrganizationFilter{Parent: f.id.Org})
		}},
	{name: "TransferOwnership", nested: true,
		call: func(ctx context.Context, f *fixture) (any, error) {
			return f.TransferOwnership(ctx, f.id.Org, orgs.Transfer{To: f.id.User})
		},
		wrong: func(ctx context.Context, f *fixture) (any, error) {
			return f.TransferOwnership(ctx, f.id.Org, orgs.Transfer{})
		}},
}

var treeMethods = []method{
	{name: "DeleteOrganization",
		call: func(ctx context.Context, f *fixture) (any, error) {
			return f.DeleteOrganization(ctx, f.id.Org, true, "sold")
		},
		wrong: func(ctx context.Context, f *fixture) (any, error) {
			return f.DeleteOrganization(ctx, f.id.Org, false, "sold")
		}},
	{name: "RestoreOrganization", by: byPlatform, member: hidden, because: "what is deleted is there for the platform alone",
		first: func(ctx context.Context, f *fixture) error {
			_, err := f.DeleteOrganization(ctx, f.id.Org, true, "")
			return err
		},
		call: func(ctx context.Context, f *fixture) (any, error) {
			return f.RestoreOrganization(ctx, f.id.Org, "a mistake")
		},
		wrong: func(ctx context.Context, f *fixture) (any, error) {
			return f.RestoreOrganization(ctx, f.id.Org, long)
		}},
	{name: "SuspendOrganization",
		call: func(ctx context.Context, f *fixture) (any, error) {
			return f.SuspendOrganization(ctx, f.id.Org, "unpaid")
		},
		wrong: func(ctx context.Context, f *fixture) (any, error) {
			return f.SuspendOrganization(ctx, f.id.Org, long)
		}},
	{name: "ResumeOrganization",
		first: func(_ context.Context, f *fixture) error {
			_, err := f.SuspendOrganization(f.As(f.owner), f.id.Org, "")
			return err
		},
		call: func(ctx context.Context, f *fixture) (any, error) {
			return f.ResumeOrganization(ctx, f.id.Org, "paid")
		},
		wrong: func(ctx context.Context, f *fixture) (any, error) {
			return f.ResumeOrganization(ctx, f.id.Org, long)
		}},
	{name: "MoveOrganization", by: byPlatform,
		call: func(ctx context.Context, f *fixture) (any, error) { return f.MoveOrganization(ctx, f.id.Org, "") },
		wrong: func(ctx context.Context, f *fixture) (any, error) {
			return f.MoveOrganization(ctx, f.id.Org, f.id.Child)
		}},
}
