package orgs_test

import (
	"context"

	"github.com/orgkit/orgkit/orgs"
)

var provisioningMethods = []method{
	{name: "SetSSO",
		call: func(ctx context.Context, f *fixture) (any, error) {
			s, _, err := f.SetSSO(ctx, f.id.Org, orgs.NewSSO{Provider: "azure", RoleMapping: map[string]string{"Engineering": "member"}})
			return s, err
		},
		wrong: func(ctx context.Context, f *fixture) (any, error) {
			s, _, err := f.SetSSO(ctx, f.id.Org, orgs.NewSSO{Provider: "azure", RoleMapping: map[string]string{"Engineering": "nobody"}})
			return s, err
		}},
	{name: "PlatformSSO", reads: true, by: byPlatform, global: true, foreign: denied, because: "it is the platform's, and names nobody",
		call: func(ctx context.Context, f *fixture) (any, error) { return f.PlatformSSO(ctx) }},
	{name: "SetPlatformSSO", by: byPlatform, global: true, foreign: denied, because: "it is the platform's, and names nobody",
		call: func(ctx context.Context, f *fixture) (any, error) {
			return f.SetPlatformSSO(ctx, []orgs.PlatformSSORule{{Type: "email", Value: "@acme.example"}})
		},
		wrong: func(ctx context.Context, f *fixture) (any, error) {
			return f.SetPlatformSSO(ctx, []orgs.PlatformSSORule{{Value: "@acme.example"}})
		}},
	{name: "SSO", reads: true,
		call: func(ctx context.Context, f *fixture) (any, error) { return f.SSO(ctx, f.id.Org) }},
	{name: "DeleteSSO",
		call: func(ctx context.Context, f *fixture) (any, error) { return f.DeleteSSO(ctx, f.id.Org) },
		wrong: func(ctx context.Context, f *fixture) (any, error) {
			return f.DeleteSSO(ctx, f.id.Org+"x")
		}},
	{name: "SetProvisioning",
		call: func(ctx context.Context, f *fixture) (any, error) {
			p, _, err := f.SetProvisioning(ctx, f.id.Org, orgs.NewProvisioning{Enabled: true, RoleMapping: map[string]string{"Engineering": "member"}})
			return p, err
		},
		wrong: func(ctx context.Context, f *fixture) (any, error) {
			p, _, err := f.SetProvisioning(ctx, f.id.Org, orgs.NewProvisioning{BaseURL: "http://acme.example"})
			return p, err
		}},
	{name: "SetVerifiedDomains", by: byPlatform,
		call: func(ctx context.Context, f *fixture) (any, error) {
			return f.SetVerifiedDomains(ctx, f.id.Org, "acme.example")
		},
		wrong: func(ctx context.Context, f *fixture) (any, error) {
			return f.SetVerifiedDomains(ctx, f.id.Org, "no domain")
		}},
	{name: "Provisioning", reads: true,
		call: func(ctx context.Context, f *fixture) (any, error) { return f.Provisioning(ctx, f.id.Org) }},
	{name: "CreateSCIMToken",
		call: func(ctx context.Context, f *fixture) (any, error) {
			t, _, err := f.CreateSCIMToken(ctx, f.id.Org, orgs.NewSCIMToken{Name: "okta"})
			return t, err
		},
		wrong: func(ctx context.Context, f *fixture) (any, error) {
			t, _, err := f.CreateSCIMToken(ctx, f.id.Org, orgs.NewSCIMToken{})
			return t, err
		}},
	{name: "RevokeSCIMToken", nested: true,
		call: func(ctx context.Context, f *fixture) (any, error) {
			return f.RevokeSCIMToken(ctx, f.id.Org, f.id.SCIMToken)
		},
		wrong: func(ctx context.Context, f *fixture) (any, error) {
			return f.RevokeSCIMToken(ctx, f.id.Org, f.id.Policy)
		}},
	{name: "SCIMTokens", reads: true,
		call: func(ctx context.Context, f *fixture) (any, error) { return f.SCIMTokens(ctx, f.id.Org, 10, "") }},
}
