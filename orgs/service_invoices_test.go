package orgs_test

import (
	"context"

	"github.com/orgkit/orgkit/orgs"
)

// finalized has the draft of the fixture be one that is to be paid.
func finalized(ctx context.Context, f *fixture) error {
	return second(f.FinalizeInvoice(ctx, f.id.Org, f.id.Invoice, ""))
}

var invoiceMethods = []method{
	{name: "FinalizeInvoice", nested: true,
		call: func(ctx context.Context, f *fixture) (any, error) {
			return f.FinalizeInvoice(ctx, f.id.Org, f.id.Invoice, "PO-1")
		},
		wrong: func(ctx context.Context, f *fixture) (any, error) {
			return f.FinalizeInvoice(ctx, f.id.Org, f.id.Invoice, long)
		}},
	{name: "VoidInvoice", nested: true,
		call: func(ctx context.Context, f *fixture) (any, error) {
			return f.VoidInvoice(ctx, f.id.Org, f.id.Invoice, "a mistake")
		},
		wrong: func(ctx context.Context, f *fixture) (any, error) {
			return f.VoidInvoice(ctx, f.id.Org, f.id.Invoice, long)
		}},
	{name: "MarkInvoicePaid", nested: true, first: finalized,
		call: func(ctx context.Context, f *fixture) (any, error) {
			return f.MarkInvoicePaid(ctx, f.id.Org, f.id.Invoice, "transfer 7")
		},
		wrong: func(ctx context.Context, f *fixture) (any, error) {
			return f.MarkInvoicePaid(ctx, f.id.Org, f.id.Invoice, long)
		}},
	{name: "Invoice", reads: true, nested: true,
		call: func(ctx context.Context, f *fixture) (any, error) {
			i, _, err := f.Manager.Invoice(ctx, f.id.Org, f.id.Invoice)
			return i, err
		}},
	{name: "PrintedInvoice", reads: true, nested: true,
		call: func(ctx context.Context, f *fixture) (any, error) {
			return f.PrintedInvoice(ctx, f.id.Org, f.id.Invoice)
		}},
	{name: "Invoices", reads: true,
		call: func(ctx context.Context, f *fixture) (any, error) {
			return f.Invoices(ctx, f.id.Org, 10, "")
		}},
}

// someInvoice is a draft of the organization.
func someInvoice(f *fixture) orgs.Invoice {
	now := f.Store().Now()
	return orgs.Invoice{OrgID: f.id.Org, Month: "2024-02", PeriodStart: now.AddDate(0, -1, 0), PeriodEnd: now, Status: orgs.InvoiceDraft, Currency: "USD",
		Cost: dec("9.999"), Total: dec("10.00")}
}
