package orgs

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/orgkit/orgkit/audit"
	"github.com/orgkit/orgkit/billing"
	"github.com/orgkit/orgkit/rbac"
	"github.com/orgkit/orgkit/store"
	"github.com/orgkit/orgkit/store/jobs"
)

// finalize makes an invoice of a draft.
func (m *Manager) finalize(ctx context.Context, tx *store.Tx, i *Invoice, purchaseOrder string) error {
	if i.Status != InvoiceDraft {
		return &store.ConflictError{Code: "conflict", Message: fmt.Sprintf("the invoice is %s, not %s", i.Status, InvoiceDraft), ID: i.ID}
	}
	if err := rbac.CheckText("purchase_order", purchaseOrder, 0, rbac.MaxName); err != nil {
		return err
	}
	method, _, err := payerOf(ctx, tx, i)
	if err != nil {
		return err
	}
	if method.Details.PurchaseOrderRequired && purchaseOrder == "" {
		return store.Invalid("purchase_order", "required", "is required by the payment method")
	}
	if err := m.letter(ctx, tx, i, purchaseOrder); err != nil {
		return err
	}
	numbers, err := NumbersOf(ctx, tx, "invoice:"+i.OrgID, i.ID)
	if err != nil {
		return err
	}
	zone, err := zoneOf(ctx, tx, i.OrgID)
	if err != nil {
		return err
	}
	now := tx.Now()
	due := now.In(zone).AddDate(0, 0, i.Letter.NetTerms).UTC() // of the calendar, whatever clocks do
	i.Status, i.Number, i.IssuedAt, i.DueAt = InvoiceFinal, fmt.Sprintf("INV-%06d", numbers[i.ID]), &now, &due
	told := InvoiceFinalized{InvoiceID: i.ID, Number: i.Number, Total: billing.NewAmount(i.Total), PeriodStart: i.PeriodStart, PeriodEnd: i.PeriodEnd, DueAt: i.DueAt}
	switch {
	case !i.Total.IsPositive():
		i.paid(now, "")
	case m.charges(method):
		told.DueAt = nil
		if err := i.charge(ctx, tx, method.Details.StripePaymentMethodID); err != nil {
			return err
		}
	}
	return m.Tell(ctx, tx, Notification{Kind: KindInvoice, OrgID: i.OrgID, TeamID: i.TeamID, About: told})
}

// charges says whether a payment method is charged, and not waited for.
func (m *Manager) charges(method billing.PaymentMethod) bool {
	return method.Type == billing.CreditCard && m.opt.Payments.Provider != nil
}

// payerOf is the payment method that pays an invoice, the zero one where there is none, and the team that it is for: the
// method of the team, or else the default (F470). A team that is gone has none.
func payerOf(ctx context.Context, tx *store.Tx, i *Invoice) (method billing.PaymentMethod, t Team, err error) {
	s, err := billing.SettingsOf(ctx, tx, i.OrgID)
	if err != nil {
		return method, t, err
	}
	if i.TeamID != "" {
		if t, err = teams.Get(ctx, tx, i.TeamID); err != nil && !errors.Is(err, store.ErrNotFound) {
			return method, t, err
		}
	}
	if b := t.Settings.Billing; b != nil && b.PaymentMethodID != "" {
		if own, there := find(s.PaymentMethods, func(p billing.PaymentMethod) bool { return p.ID == b.PaymentMethodID }); there {
			return own, t, nil
		}
	}
	if p := s.Default(); p != nil {
		method = *p
	}
	return method, t, nil
}

// letter writes on an invoice what is printed on it, as it is now.
func (m *Manager) letter(ctx context.Context, tx *store.Tx, i *Invoice, purchaseOrder string) error {
	o, err := organizations.Get(ctx, tx, i.OrgID)
	if err != nil {
		return err
	}
	method, t, err := payerOf(ctx, tx, i)
	if err != nil {
		return err
	}
	i.Letter = InvoiceLetter{Organization: o.Name, Team: t.Name, Method: method.Type, PurchaseOrder: purchaseOrder, Address: method.Details.BillingAddress}
	if b := o.Settings.Billing; b != nil {
		i.Letter.TaxID, i.Letter.BillingEmail = b.TaxID, b.BillingEmail
		if b.InvoiceSettings != nil {
			i.Letter.Footer = b.InvoiceSettings.Footer
		}
	}
	if b := t.Settings.Billing; b != nil {
		i.Letter.CostCenter, i.Letter.BillingEmail = b.CostCenter, cmp.Or(b.BillingEmail, i.Letter.BillingEmail)
	}
	switch {
	case m.charges(method):
	case method.Details.NetTerms != nil:
		i.Letter.NetTerms = *method.Details.NetTerms
	default:
		i.Letter.NetTerms = billing.DefaultNetTerms
	}
	return nil
}

// chargeJob is the kind of the jobs that have a card charged for an invoice.
const chargeJob = "orgs.invoice_charge"

// chargeTask is the payload.
type chargeTask struct {
	InvoiceID string `json:"invoice_id"`
	Refusals  int    `json:"refusals"` // so many cards were refused before
}

// charge enqueues the job that has a card charged. The card is fixed with it: under one key the provider is asked for one thing.
func (i *Invoice) charge(ctx context.Context, tx *store.Tx, card billing.PaymentToken) error {
	i.Charge, i.Card = ChargePending, card
	_, _, err := jobs.Enqueue(ctx, tx, jobs.NewJob{Kind: chargeJob, OrgID: i.OrgID, Payload: chargeTask{i.ID, i.Refusals}})
	return err
}

// handleCharges lets a worker have cards charged. A provider that does not answer is asked until it does: only then it is known
// whether the money was taken.
func (m *Manager) handleCharges(w *jobs.Worker) {
	if m.opt.Payments.Provider != nil {
		w.Handle(chargeJob, m.chargeCard, &jobs.KindOptions{MaxAttempts: jobs.Unlimited, MinBackoff: time.Minute, MaxBackoff: time.Hour})
	}
}

// chargeCard asks the provider, and notes what it has answered in the unit that ends the job. Whoever asks again after a crash
// gets the answer that was lost, by the key.
func (m *Manager) chargeCard(ctx context.Context, j jobs.Job) error {
	var task chargeTask
	if err := j.Decode(&task); err != nil {
		return jobs.Permanent(errors.New("the payload is none of an invoice"))
	}
	ctx = audit.WithActor(ctx, audit.System("invoices"))
	var i Invoice
	err := m.store.View(ctx, func(ctx context.Context, tx *store.Tx) (err error) {
		i, err = ownInvoice(ctx, tx, j.OrgID, task.InvoiceID)
		return err
	})
	if errors.Is(err, store.ErrNotFound) {
		return jobs.Permanent(err)
	}
	if err != nil {
		return err
	}
	if i.Charge != ChargePending || i.Refusals != task.Refusals { // it was answered before
		return nil
	}
	key := i.ID
	if i.Refusals > 0 { // a refusal is final for its key
		key = fmt.Sprintf("%s_%d", i.ID, i.Refusals+1)
	}
	receipt, err := m.opt.Payments.Charge(ctx, billing.PaymentCharge{Key: key, OrgID: i.OrgID, Method: i.Card, Amount: i.Total, Currency: i.Currency, Reference: i.Number})
	var refused *billing.PaymentRefused
	switch {
	case err == nil, errors.As(err, &refused), errors.Is(err, billing.ErrPaymentDiffers):
	default:
		return err
	}
	event := "invoice.paid"
	if err != nil {
		event = "payment.failed"
	}
	op := rbac.Op{Action: "invoices.charge", OrgID: i.OrgID, Platform: true, Gone: true}
	_, err = m.changeInvoice(ctx, i.ID, op, event, "", func(ctx context.Context, tx *store.Tx, now *Invoice) error {
		if now.Charge != ChargePending || now.Refusals != task.Refusals {
			return errSettled
		}
		switch {
		case refused != nil:
			now.Charge, now.Refusal = ChargeRefused, store.PlainText(refused.Code, rbac.MaxName)
			now.Refusals++
		case event == "payment.failed":
			now.Charge = ChargeDiffers
		default:
			now.Charge = ChargeTaken
			now.paid(tx.Now(), receipt.ID)
		}
		return j.Complete(ctx, tx)
	})
	if errors.Is(err, errSettled) {
		return nil
	}
	return err
}

// chargeAgain has another card charged for an invoice whose card was refused, where another one is to pay now.
func (m *Manager) chargeAgain(ctx context.Context, i Invoice) error {
	op := rbac.Op{Action: "invoices.charge", OrgID: i.OrgID, Platform: true, Gone: true}
	_, err := m.changeInvoice(ctx, i.ID, op, "payment.retried", "", func(ctx context.Context, tx *store.Tx, i *Invoice) error {
		method, _, err := payerOf(ctx, tx, i)
		if err != nil {
			return err
		}
		if i.Status != InvoiceFinal || !m.anotherCard(i, method) {
			return errSettled
		}
		return i.charge(ctx, tx, method.Details.StripePaymentMethodID)
	})
	return err
}

// anotherCard says whether the method can be charged for an invoice whose card was refused.
func (m *Manager) anotherCard(i *Invoice, method billing.PaymentMethod) bool {
	return i.Charge == ChargeRefused && m.charges(method) && method.Details.StripePaymentMethodID != i.Card
}
