package orgs_test

import (
	"context"

	"github.com/shopspring/decimal"

	"github.com/orgkit/orgkit/orgs"
)

var allowanceMethods = []method{
	{name: "CreateAllowance", by: byPlatform, global: true, foreign: denied, because: "allowances belong to the platform; it names none",
		call: func(ctx context.Context, f *fixture) (any, error) {
			return f.CreateAllowance(ctx, orgs.NewAllowance{ID: "gold"})
		},
		wrong: func(ctx context.Context, f *fixture) (any, error) {
			return f.CreateAllowance(ctx, orgs.NewAllowance{ID: f.id.Allowance})
		}},
	{name: "UpdateAllowance", by: byPlatform, global: true, foreign: denied, because: "allowances belong to the platform",
		call: func(ctx context.Context, f *fixture) (any, error) {
			return f.UpdateAllowance(ctx, f.id.Allowance, orgs.AllowanceLimits{Limit: ptr(decimal.NewFromInt(1))})
		},
		wrong: func(ctx context.Context, f *fixture) (any, error) {
			return f.UpdateAllowance(ctx, f.id.Allowance, orgs.AllowanceLimits{Limit: ptr(decimal.NewFromInt(-1))})
		}},
	{name: "DeleteAllowance", by: byPlatform, global: true, foreign: denied, because: "allowances belong to the platform",
		call:  func(ctx context.Context, f *fixture) (any, error) { return f.DeleteAllowance(ctx, f.id.Allowance) },
		wrong: func(ctx context.Context, f *fixture) (any, error) { return f.DeleteAllowance(ctx, "none") }},
	{name: "Allowance", reads: true, by: byPlatform, global: true, foreign: denied, because: "allowances belong to the platform",
		call: func(ctx context.Context, f *fixture) (any, error) { return f.Manager.Allowance(ctx, f.id.Allowance) }},
	{name: "Allowances", reads: true, by: byPlatform, global: true, foreign: denied, because: "allowances belong to the platform",
		call: func(ctx context.Context, f *fixture) (any, error) { return f.Allowances(ctx, 0, "") }},
	{name: "AllowanceOf", reads: true, member: allowed, because: "whom it binds may see it",
		call: func(ctx context.Context, f *fixture) (any, error) { return f.AllowanceOf(ctx, f.id.Org) }},
}
