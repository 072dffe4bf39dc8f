package orgs

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/shopspring/decimal"

	"github.com/orgkit/orgkit/audit"
	"github.com/orgkit/orgkit/billing"
	"github.com/orgkit/orgkit/rbac"
	"github.com/orgkit/orgkit/store"
)

// InvoiceStatus says what has become of an invoice.
type InvoiceStatus string

// The statuses.
const (
	InvoiceDraft InvoiceStatus = "draft"     // it has no number and nobody was told
	InvoiceFinal InvoiceStatus = "finalized" // it is to be paid
	InvoicePaid  InvoiceStatus = "paid"      //
	InvoiceVoid  InvoiceStatus = "void"      // nobody pays it; it keeps its number
)

// ChargeState says what has become of the money of an invoice that a card is charged for.
type ChargeState string

// The states. While one is pending the provider may take the money at any time, so that nobody else settles the invoice.
const (
	NotCharged    ChargeState = ""        // whoever gets the invoice pays it
	ChargePending ChargeState = "pending" // the provider is asked, again and under the same key until it has answered
	ChargeRefused ChargeState = "refused" // another card will be charged as soon as it is the one that pays
	ChargeTaken   ChargeState = "taken"
	ChargeDiffers ChargeState = "differs" // another amount was taken; a person has to look at it
)

// Invoice is what an organization pays for a month of its zone: for itself and for those below it that have never had a payment
// method. It is for all teams together, or for one of them (F020, F021). Lines are beside it ([billing.InvoiceLine]).
type Invoice struct {
	store.Meta
	OrgID       string          `json:"organization_id"`
	TeamID      string          `json:"team_id"` // "" is all of them, or what belongs to none
	Month       string          `json:"month"`   // such as 2024-03
	PeriodStart time.Time       `json:"period_start"`
	PeriodEnd   time.Time       `json:"period_end"` // not included
	Status      InvoiceStatus   `json:"status"`
	Number      string          `json:"number"` // from 1 on for each organization, without gaps; "" for drafts
	Currency    string          `json:"currency"`
	Cost        decimal.Decimal `json:"cost"`  // exactly
	Total       decimal.Decimal `json:"total"` // in whole minor units
	Letter      InvoiceLetter   `json:"letter"`
	IssuedAt    *time.Time      `json:"issued_at"` // when it was finalized
	DueAt       *time.Time      `json:"due_at"`
	OverdueAt   *time.Time      `json:"overdue_at"` // when it was found that it should have been paid
	PaidAt      *time.Time      `json:"paid_at"`
	VoidedAt    *time.Time      `json:"voided_at"`

	Charge    ChargeState          `json:"charge"`
	Card      billing.PaymentToken `json:"-"`         // that is charged, fixed before the provider is asked
	Refusals  int                  `json:"refusals"`  // of cards before
	Refusal   string               `json:"refusal"`   // the code of the last one
	Reference string               `json:"reference"` // of the payment: of the provider, or of who has marked it as paid
}

// InvoiceLetter is what is printed on an invoice, as it was when it was finalized.
type InvoiceLetter struct {
	Organization  string                  `json:"organization"`
	Team          string                  `json:"team,omitempty"`
	CostCenter    string                  `json:"cost_center,omitempty"` // of the team
	Method        string                  `json:"payment_method,omitempty"`
	NetTerms      int                     `json:"net_terms"` // days
	PurchaseOrder string                  `json:"purchase_order,omitempty"`
	Address       *billing.BillingAddress `json:"billing_address,omitempty"`
	TaxID         string                  `json:"tax_id,omitempty"`
	BillingEmail  string                  `json:"billing_email,omitempty"`
	Footer        string                  `json:"footer,omitempty"`
}

// Invoices holds all invoices. It asks nobody: it is for hosts that bring theirs, and for tests.
var Invoices = store.Define[Invoice]("invoices", "invc",
	store.Unique("org_id", "period_start", "team_id"), store.Index("org_id", "created_at"), store.Index("status"))

// AuditResource is how the log names the invoice.
func (i Invoice) AuditResource() audit.Resource {
	return audit.Resource{Type: "invoice", ID: i.ID, Slug: i.Number}
}

// ownInvoice is an invoice of the organization.
func ownInvoice(ctx context.Context, tx *store.Tx, orgID, id string) (Invoice, error) {
	i, err := Invoices.Get(ctx, tx, id)
	if err == nil && i.OrgID != orgID {
		return Invoice{}, store.ErrNotFound
	}
	return i, err
}

// changeInvoice changes an invoice of the organization.
func (m *Manager) changeInvoice(ctx context.Context, id string, op rbac.Op, event, reason string, fn func(ctx context.Context, tx *store.Tx, i *Invoice) error) (i Invoice, err error) {
	op.Resource = "invoice:" + id
	err = m.Change(ctx, op, func(ctx context.Context, tx *store.Tx) (audit.Change, error) {
		if i, err = ownInvoice(ctx, tx, op.OrgID, id); err != nil {
			return audit.Change{}, err
		}
		before := i
		if err := fn(ctx, tx, &i); err != nil {
			return audit.Change{}, err
		}
		return audit.Updated(before, &i).As(event).In(i.TeamID).Because(reason), Invoices.Update(ctx, tx, &i)
	})
	return i, err
}

// FinalizeInvoice gives a draft its number and what is printed on it, mails it to whom the settings name, and has the card
// charged that pays it, if one does. A payment method that demands a purchase order needs one here (F211). It needs
// invoices.finalize. Drafts that need nothing are finalized by [Manager.MakeInvoices].
func (m *Manager) FinalizeInvoice(ctx context.Context, org, id, purchaseOrder string) (i Invoice, err error) {
	orgID, err := m.OrgID(ctx, org)
	if err != nil {
		return i, err
	}
	return m.changeInvoice(ctx, id, rbac.Op{Action: "invoices.finalize", OrgID: orgID}, "invoice.finalized", "", func(ctx context.Context, tx *store.Tx, i *Invoice) error {
		return m.finalize(ctx, tx, i, strings.TrimSpace(purchaseOrder))
	})
}

// VoidInvoice has nobody pay an invoice: what is on it is not invoiced again. It needs invoices.void, or, with
// Options.PlatformSettlesInvoices, the platform.
func (m *Manager) VoidInvoice(ctx context.Context, org, id, reason string) (i Invoice, err error) {
	orgID, err := m.OrgID(ctx, org)
	if err != nil {
		return i, err
	}
	op := rbac.Op{Action: "invoices.void", OrgID: orgID, Platform: m.opt.PlatformSettlesInvoices}
	return m.changeInvoice(ctx, id, op, "invoice.voided", reason, func(_ context.Context, tx *store.Tx, i *Invoice) error {
		if err := rbac.CheckText("reason", reason, 0, rbac.MaxDescription); err != nil {
			return err
		}
		if i.Status != InvoiceDraft {
			if err := i.open(); err != nil {
				return err
			}
		}
		now := tx.Now()
		i.Status, i.VoidedAt = InvoiceVoid, &now
		return nil
	})
}

// MarkInvoicePaid says that an invoice was paid otherwise than by a card that is charged, such as by a transfer. It needs
// invoices.mark_paid, or, with Options.PlatformSettlesInvoices, the platform.
func (m *Manager) MarkInvoicePaid(ctx context.Context, org, id, reference string) (i Invoice, err error) {
	orgID, err := m.OrgID(ctx, org)
	if err != nil {
		return i, err
	}
	op := rbac.Op{Action: "invoices.mark_paid", OrgID: orgID, Platform: m.opt.PlatformSettlesInvoices}
	return m.changeInvoice(ctx, id, op, "invoice.paid", "", func(_ context.Context, tx *store.Tx, i *Invoice) error {
		if err := rbac.CheckText("reference", reference, 0, rbac.MaxName); err != nil {
			return err
		}
		if err := i.open(); err != nil {
			return err
		}
		i.paid(tx.Now(), reference)
		return nil
	})
}

func (i *Invoice) paid(at time.Time, reference string) {
	i.Status, i.PaidAt, i.Reference = InvoicePaid, &at, reference
}

// open says what keeps people from settling an invoice.
func (i *Invoice) open() error {
	switch {
	case i.Status != InvoiceFinal:
		return &store.ConflictError{Code: "conflict", Message: fmt.Sprintf("the invoice is %s, not %s", i.Status, InvoiceFinal), ID: i.ID}
	case i.Charge == ChargePending:
		return &store.ConflictError{Code: "conflict", Message: "a card is being charged for the invoice", ID: i.ID}
	}
	return nil
}

// Invoice returns an invoice with its lines, what came late at the end. It needs invoices.read.
func (m *Manager) Invoice(ctx context.Context, org, id string) (i Invoice, lines []billing.InvoiceLine, err error) {
	err = m.readInvoice(ctx, org, id, "invoices.read", func(ctx context.Context, tx *store.Tx, is Invoice) error {
		i = is
		lines, err = linesOf(ctx, tx, id)
		return err
	})
	return i, lines, err
}

// PrintedInvoice is an invoice as it is printed.
type PrintedInvoice struct {
	Invoice
	Lines []billing.InvoiceLine
	Head  Letterhead
}

// PrintedInvoice returns an invoice with all that is on paper. What is printed on a draft may still change. It needs
// invoices.download.
func (m *Manager) PrintedInvoice(ctx context.Context, org, id string) (p PrintedInvoice, err error) {
	err = m.readInvoice(ctx, org, id, "invoices.download", func(ctx context.Context, tx *store.Tx, i Invoice) error {
		p = PrintedInvoice{Invoice: i}
		if i.Status == InvoiceDraft {
			if err := m.letter(ctx, tx, &p.Invoice, ""); err != nil {
				return err
			}
		}
		if p.Head, err = LetterheadOf(ctx, tx, Place{OrgID: i.OrgID}); err != nil {
			return err
		}
		p.Lines, err = linesOf(ctx, tx, id)
		return err
	})
	return p, err
}

func (m *Manager) readInvoice(ctx context.Context, org, id, action string, fn func(ctx context.Context, tx *store.Tx, i Invoice) error) error {
	orgID, err := m.OrgID(ctx, org)
	if err != nil {
		return err
	}
	op := rbac.Op{Action: action, OrgID: orgID, Resource: "invoice:" + id}
	if action == "invoices.read" {
		op.Answer = id
	}
	return m.Read(ctx, op, func(ctx context.Context, tx *store.Tx) error {
		i, err := ownInvoice(ctx, tx, orgID, id)
		if err != nil {
			return err
		}
		return fn(ctx, tx, i)
	})
}

// linesOf are the lines of an invoice in their order, which is that of their ids.
func linesOf(ctx context.Context, tx *store.Tx, id string) (lines []billing.InvoiceLine, err error) {
	for l, err := range billing.InvoiceLines.All(ctx, tx, store.Query{Where: []store.Cond{store.Eq("invoice_id", id)}}) {
		if err != nil {
			return nil, err
		}
		lines = append(lines, l)
	}
	return lines, nil
}

// Invoices lists the invoices of an organization, the newest first, without their lines. It needs invoices.read.
func (m *Manager) Invoices(ctx context.Context, org string, limit int, after string) (page store.Page[Invoice], err error) {
	orgID, err := m.OrgID(ctx, org)
	if err != nil {
		return page, err
	}
	err = m.Read(ctx, rbac.Op{Action: "invoices.read", OrgID: orgID}, func(ctx context.Context, tx *store.Tx) error {
		page, err = Invoices.List(ctx, tx, store.Query{Where: []store.Cond{store.Eq("org_id", orgID)},
			Order: []store.Order{store.Desc("created_at")}, Limit: limit, After: after})
		return err
	})
	return page, err
}
