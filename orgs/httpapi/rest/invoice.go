package rest

import (
	"context"
	"net/http"

	"github.com/orgkit/orgkit/billing"
	"github.com/orgkit/orgkit/orgs"
	"github.com/orgkit/orgkit/orgs/httpapi"
)

// InvoiceView is an invoice without its lines.
type InvoiceView struct {
	Base
	OrganizationID string             `json:"organization_id"`
	TeamID         *string            `json:"team_id" doc:"null: of all teams, or of what belongs to none"`
	Month          string             `json:"month" doc:"such as 2024-03"`
	PeriodStart    string             `json:"period_start"`
	PeriodEnd      string             `json:"period_end" doc:"not included"`
	Status         orgs.InvoiceStatus `json:"status" enum:"draft,finalized,paid,void"`
	Number         *string            `json:"number" doc:"null: a draft"`
	Currency       string             `json:"currency"`
	Cost           decimalNumber      `json:"cost" doc:"exactly"`
	Total          decimalNumber      `json:"total" doc:"cost in cents"`
	TotalMinor     int64              `json:"total_minor" doc:"total in whole cents"`
	IssuedAt       *string            `json:"issued_at"`
	DueAt          *string            `json:"due_at"`
	OverdueAt      *string            `json:"overdue_at" doc:"when it was found that it should have been paid"`
	PaidAt         *string            `json:"paid_at"`
	VoidedAt       *string            `json:"voided_at"`
	PurchaseOrder  *string            `json:"purchase_order"`
	NetTerms       *int               `json:"net_terms" doc:"days; as tax_id and what follows as it was when the invoice was finalized"`
	TaxID          *string            `json:"tax_id"`
	BillingEmail   *string            `json:"billing_email"`
	Footer         *string            `json:"footer"`
	CostCenter     *string            `json:"cost_center" doc:"of the team"`
	BillingAddress *addressBody       `json:"billing_address"`
	Payment        invoicePaymentView `json:"payment"`
}

type invoicePaymentView struct {
	Method    *string `json:"method" doc:"credit_card or invoice"`
	Status    *string `json:"status" doc:"of the card: pending, refused, taken or differs, where another amount was taken; null: none is charged"`
	Code      *string `json:"code" doc:"why the last card was refused"`
	Reference *string `json:"reference" doc:"of the provider, or of who has marked it as paid"`
}

type invoiceLineView struct {
	OrganizationID string        `json:"organization_id" doc:"whose usage it is"`
	TeamID         *string       `json:"team_id" doc:"null: it belongs to no team"`
	Team           *string       `json:"team" doc:"its name"`
	CostCenter     *string       `json:"cost_center"`
	Model          *string       `json:"model"`
	ChargeCategory string        `json:"charge_category" enum:"usage,adjustment" doc:"adjustment: of a time that was invoiced before"`
	PeriodStart    string        `json:"period_start"`
	PeriodEnd      string        `json:"period_end" doc:"not included"`
	Requests       int64         `json:"requests"`
	Tokens         int64         `json:"tokens"`
	Cost           decimalNumber `json:"cost" doc:"exactly"`
	Amount         decimalNumber `json:"amount" doc:"cost in cents, which add up to the total"`
	AmountMinor    int64         `json:"amount_minor"`
}

// fullInvoiceView is an invoice with its lines.
type fullInvoiceView struct {
	InvoiceView
	Lines []invoiceLineView `json:"lines"`
}

func renderInvoice(i orgs.Invoice) InvoiceView {
	l := i.Letter
	v := InvoiceView{Base: baseOf(i.Meta), OrganizationID: i.OrgID, TeamID: optional(i.TeamID), Month: i.Month, PeriodStart: httpapi.Stamp(i.PeriodStart), PeriodEnd: httpapi.Stamp(i.PeriodEnd),
		Status: i.Status, Number: optional(i.Number), Currency: i.Currency, Cost: number(i.Cost), Total: number(i.Total), TotalMinor: billing.MinorUnits(i.Total),
		IssuedAt: httpapi.StampOf(i.IssuedAt), DueAt: httpapi.StampOf(i.DueAt), OverdueAt: httpapi.StampOf(i.OverdueAt), PaidAt: httpapi.StampOf(i.PaidAt), VoidedAt: httpapi.StampOf(i.VoidedAt),
		PurchaseOrder: optional(l.PurchaseOrder), TaxID: optional(l.TaxID), BillingEmail: optional(l.BillingEmail), Footer: optional(l.Footer), CostCenter: optional(l.CostCenter), BillingAddress: renderAddress(l.Address),
		Payment: invoicePaymentView{optional(l.Method), optional(string(i.Charge)), optional(i.Refusal), optional(i.Reference)}}
	if i.IssuedAt != nil {
		v.NetTerms = &l.NetTerms
	}
	return v
}

func renderInvoiceLine(l billing.InvoiceLine) invoiceLineView {
	v := invoiceLineView{OrganizationID: l.OrgID, TeamID: optional(l.TeamID), Team: optional(l.Team), CostCenter: optional(l.CostCenter), Model: optional(l.Model),
		ChargeCategory: "usage", PeriodStart: httpapi.Stamp(l.StartsAt), PeriodEnd: httpapi.Stamp(l.EndsAt), Requests: l.Requests, Tokens: l.Tokens,
		Cost: number(l.Cost), Amount: number(l.Amount), AmountMinor: billing.MinorUnits(l.Amount)}
	if l.Adjustment {
		v.ChargeCategory = "adjustment"
	}
	return v
}

type finalizeBody struct {
	PurchaseOrder string `json:"purchase_order,omitempty" doc:"required where the payment method says so"`
}

type markPaidBody struct {
	Reference string `json:"reference,omitempty" doc:"such as that of a transfer"`
}

func (a *api) invoices() {
	const path = "/v1/organizations/{org}/invoices"
	add[paging, none](a, http.MethodGet, path, "List invoices", func(ctx context.Context, q *paging) (*answer[list[InvoiceView]], error) {
		page, err := a.Invoices(ctx, param(ctx, "org"), q.Limit, q.After)
		return listOf(page, err, always(renderInvoice))
	})
	const single = path + "/{invoice}"
	add[none, none](a, http.MethodGet, single, "Get an invoice with its lines", func(ctx context.Context, _ *none) (*answer[fullInvoiceView], error) {
		i, lines, err := a.Invoice(ctx, param(ctx, "org"), param(ctx, "invoice"))
		v := fullInvoiceView{renderInvoice(i), make([]invoiceLineView, len(lines))}
		for n, l := range lines {
			v.Lines[n] = renderInvoiceLine(l)
		}
		return one(i.Version, v, err)
	})
	addPage(a, single+"/download", "Get an invoice as a page to be printed", func(ctx context.Context) (*pageAnswer, error) {
		p, err := a.PrintedInvoice(ctx, param(ctx, "org"), param(ctx, "invoice"))
		if err != nil {
			return nil, err
		}
		return a.printInvoice(p)
	})
	add[none, finalizeBody](a, http.MethodPost, single+"/finalize", "Give an invoice its number, and have it sent and charged", func(ctx context.Context, _ *none) (*answer[InvoiceView], error) {
		at, in, err := placed[finalizeBody](ctx, a)
		if err != nil {
			return nil, err
		}
		i, err := a.FinalizeInvoice(ctx, at.OrgID, param(ctx, "invoice"), in.PurchaseOrder)
		return one(i.Version, renderInvoice(i), err)
	})
	add[none, because](a, http.MethodPost, single+"/void", "Have nobody pay an invoice", func(ctx context.Context, _ *none) (*answer[InvoiceView], error) {
		at, in, err := placed[because](ctx, a)
		if err != nil {
			return nil, err
		}
		i, err := a.VoidInvoice(ctx, at.OrgID, param(ctx, "invoice"), in.Reason)
		return one(i.Version, renderInvoice(i), err)
	})
	add[none, markPaidBody](a, http.MethodPost, single+"/mark-paid", "Say that an invoice was paid", func(ctx context.Context, _ *none) (*answer[InvoiceView], error) {
		at, in, err := placed[markPaidBody](ctx, a)
		if err != nil {
			return nil, err
		}
		i, err := a.MarkInvoicePaid(ctx, at.OrgID, param(ctx, "invoice"), in.Reference)
		return one(i.Version, renderInvoice(i), err)
	})
}
