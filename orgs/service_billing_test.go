package orgs_test

import (
	"context"

	"github.com/orgkit/orgkit/billing"
	"github.com/orgkit/orgkit/orgs"
)

// paidBy are settings with a card.
func paidBy(card billing.PaymentToken) orgs.NewBilling {
	return orgs.NewBilling{PaymentMethods: []billing.PaymentMethod{{Type: billing.CreditCard, Default: true, Details: billing.PaymentDetails{StripePaymentMethodID: card}}},
		CostAllocation: billing.CostAllocation{Strategy: billing.TagBased}}
}

var billingMethods = []method{
	{name: "SetBilling",
		call: func(ctx context.Context, f *fixture) (any, error) {
			return f.SetBilling(ctx, f.id.Org, paidBy("pm_1234567890"))
		},
		wrong: func(ctx context.Context, f *fixture) (any, error) {
			return f.SetBilling(ctx, f.id.Org, paidBy("no token"))
		}},
	{name: "Billing", reads: true,
		call: func(ctx context.Context, f *fixture) (any, error) { return f.Billing(ctx, f.id.Org) }},
	{name: "PaymentMethods", reads: true,
		call: func(ctx context.Context, f *fixture) (any, error) { return f.PaymentMethods(ctx, f.id.Org) }},
	{name: "Alerts", reads: true,
		call: func(ctx context.Context, f *fixture) (any, error) { return f.Alerts(ctx, f.id.Org, 10, "") }},
}
