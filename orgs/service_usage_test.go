package orgs_test

import (
	"context"
	"time"

	"github.com/orgkit/orgkit/billing"
	"github.com/orgkit/orgkit/orgs"
)

var usageMethods = []method{
	{name: "Analytics", reads: true, member: allowed, guest: denied, because: "everybody sees their own, who holds usage.read:own",
		call: func(ctx context.Context, f *fixture) (any, error) {
			a, err := f.Analytics(ctx, f.id.Org, orgs.AnalyticsQuery{Period: billing.Period{Name: "today"}})
			return a.Totals, err
		}},
	{name: "Consumption", reads: true, member: hidden, guest: denied, because: "to who sees only their own, what others have used does not exist",
		call: func(ctx context.Context, f *fixture) (any, error) { return f.Consumption(ctx, f.id.Org, "") }},
	{name: "CostCenters", reads: true, member: hidden, guest: denied, because: "to who sees only their own, what others have used does not exist",
		call: func(ctx context.Context, f *fixture) (any, error) {
			return f.CostCenters(ctx, f.id.Org, billing.Period{Name: "today"}, billing.CostAllocation{Strategy: billing.TeamBased})
		}},
	{name: "DailyUsage", reads: true, member: hidden, guest: denied, because: "to who sees only their own, what others have used does not exist",
		call: func(ctx context.Context, f *fixture) (any, error) {
			return f.DailyUsage(ctx, f.id.Org, orgs.AnalyticsQuery{Period: billing.Period{Name: "today"}})
		}},
	{name: "Calls", reads: true, member: allowed, guest: allowed, foreign: allowed, because: "everybody sees their own",
		call: func(ctx context.Context, f *fixture) (any, error) { return f.Calls(ctx, orgs.CallQuery{Limit: 10}) }},
	{name: "CallDays", reads: true, member: allowed, guest: allowed, foreign: allowed, because: "everybody sees their own",
		call: func(ctx context.Context, f *fixture) (any, error) { return f.CallDays(ctx, orgs.CallQuery{}) }},
	{name: "Spending", reads: true, member: allowed, guest: denied, because: "everybody sees their own, who holds usage.read:own",
		call: func(ctx context.Context, f *fixture) (any, error) {
			return f.Spending(ctx, f.id.Org, "user", time.Time{})
		}},
	{name: "CurrentUsage", reads: true, member: allowed, guest: denied, because: "everybody sees their own, who holds usage.read:own",
		call: func(ctx context.Context, f *fixture) (any, error) {
			a, err := f.CurrentUsage(ctx, f.id.Org, billing.ByDay)
			return a.Totals, err
		}},
	{name: "Credit", reads: true, member: allowed, guest: allowed, because: "everybody may know what they may still spend",
		call: func(ctx context.Context, f *fixture) (any, error) { return f.Credit(ctx, f.id.Org) }},
	{name: "UsageTags", reads: true, member: hidden, guest: denied, because: "to who sees only their own, what others have used does not exist",
		call: func(ctx context.Context, f *fixture) (any, error) { return f.UsageTags(ctx, f.id.Org, 10, "") }},
}
