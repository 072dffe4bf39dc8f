package orgs

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"

	"github.com/orgkit/orgkit/audit"
	"github.com/orgkit/orgkit/billing"
	"github.com/orgkit/orgkit/rbac"
	"github.com/orgkit/orgkit/store"
)

// NewBilling is the input of [Manager.SetBilling]. Payment methods and alerts without an id are those that say the same, or
// new. The token of a card that is absent, or masked as answers mask it, stays what it was (F336).
type NewBilling struct {
	PaymentMethods []billing.PaymentMethod
	Alerts         []billing.Alert
	CostAllocation billing.CostAllocation
}

// SetBilling replaces how an organization pays, of what it is told, and to whom what it spends belongs (F205). Everything that
// is wrong is said at once, each a *store.FieldError in one joined error, and then nothing is kept. Cards that are new are
// shown to the payment provider, where the host has one, before anything is kept. What an alert waits for may have
// come before: then it goes out now. It needs billing.update.
//
// The default card is the payment_method_id of the organization's settings, too (F461).
func (m *Manager) SetBilling(ctx context.Context, org string, in NewBilling) (s billing.Settings, err error) {
	orgID, err := m.OrgID(ctx, org)
	if err != nil {
		return s, err
	}
	if err := m.attach(ctx, orgID, in); err != nil {
		return s, err
	}
	if err := m.metering.Flush(ctx); err != nil {
		return s, err
	}
	err = m.changeBilling(ctx, orgID, in, func(ctx context.Context, tx *store.Tx, _, after *billing.Settings) error {
		if err := keepBilling(ctx, tx, after); err != nil {
			return err
		}
		if err := mirrorCard(ctx, tx, after); err != nil {
			return err
		}
		s = after.Masked()
		return m.AlertOn(ctx, tx, m.metering, orgID)
	})
	return s, err
}

// changeBilling makes settings of the input, and then does what is to be done with them.
func (m *Manager) changeBilling(ctx context.Context, orgID string, in NewBilling, then func(ctx context.Context, tx *store.Tx, before, after *billing.Settings) error) error {
	return m.Change(ctx, rbac.Op{Action: "billing.update", OrgID: orgID}, func(ctx context.Context, tx *store.Tx) (audit.Change, error) {
		before, err := billing.SettingsOf(ctx, tx, orgID)
		if err != nil {
			return audit.Change{}, err
		}
		after, err := in.over(ctx, tx, before)
		if err == nil {
			err = then(ctx, tx, &before, &after)
		}
		return audit.Updated(before.Masked(), after.Masked()).As("billing.updated"), err
	})
}

// Billing is how an organization pays, of what it is told, and to whom what it spends belongs, with tokens masked. It needs
// billing.read.
func (m *Manager) Billing(ctx context.Context, org string) (s billing.Settings, err error) {
	orgID, err := m.OrgID(ctx, org)
	if err != nil {
		return s, err
	}
	err = m.Read(ctx, rbac.Op{Action: "billing.read", OrgID: orgID, Answer: orgID}, func(ctx context.Context, tx *store.Tx) (err error) {
		s, err = billing.SettingsOf(ctx, tx, orgID)
		return err
	})
	return s.Masked(), err
}

// PaymentMethods are those by which an organization pays, with tokens masked. It needs payment_methods.read.
func (m *Manager) PaymentMethods(ctx context.Context, org string) ([]billing.PaymentMethod, error) {
	orgID, err := m.OrgID(ctx, org)
	if err != nil {
		return nil, err
	}
	var s billing.Settings
	err = m.Read(ctx, rbac.Op{Action: "payment_methods.read", OrgID: orgID}, func(ctx context.Context, tx *store.Tx) (err error) {
		s, err = billing.SettingsOf(ctx, tx, orgID)
		return err
	})
	return s.Masked().PaymentMethods, err
}

// Alerts lists the alerts that went out, the newest first: of budgets, and those of the settings. It needs billing.read.
func (m *Manager) Alerts(ctx context.Context, org string, limit int, after string) (page store.Page[billing.FiredAlert], err error) {
	orgID, err := m.OrgID(ctx, org)
	if err != nil {
		return page, err
	}
	err = m.Read(ctx, rbac.Op{Action: "billing.read", OrgID: orgID}, func(ctx context.Context, tx *store.Tx) (err error) {
		page, err = billing.FiredAlerts.List(ctx, tx, store.Query{Where: []store.Cond{store.Eq("org_id", orgID)}, Order: []store.Order{store.Desc("created_at")}, Limit: limit, After: after})
		return err
	})
	return page, err
}

// keepBilling keeps settings, which may be the first of their organization, or the first with a payment method.
func keepBilling(ctx context.Context, tx *store.Tx, s *billing.Settings) error {
	if s.InvoicedFrom == nil && len(s.PaymentMethods) > 0 {
		from, err := invoicedFrom(ctx, tx, s.OrgID)
		if err != nil {
			return err
		}
		s.InvoicedFrom = &from
	}
	if s.Version == 0 {
		return billing.SettingsRecords.Insert(ctx, tx, s)
	}
	return billing.SettingsRecords.Update(ctx, tx, s)
}

// over is what the input makes of the settings that there are.
func (in NewBilling) over(ctx context.Context, tx *store.Tx, before billing.Settings) (s billing.Settings, err error) {
	s = billing.Settings{Meta: before.Meta, OrgID: before.OrgID, InvoicedFrom: before.InvoicedFrom, PaymentMethods: slices.Clone(in.PaymentMethods), Alerts: slices.Clone(in.Alerts), CostAllocation: in.CostAllocation}
	faults := identify(tx, "payment_methods", "pay", s.PaymentMethods, before.PaymentMethods, func(p *billing.PaymentMethod) *string { return &p.ID },
		func(p, old billing.PaymentMethod) bool {
			if p.Type == billing.CreditCard && p.Details.StripePaymentMethodID == "" {
				p.Details.StripePaymentMethodID = old.Details.StripePaymentMethodID
			}
			return p.Same(old)
		})
	faults = append(faults, identify(tx, "billing_alerts", "alrt", s.Alerts, before.Alerts, func(a *billing.Alert) *string { return &a.ID }, billing.Alert.Same)...)
	for i := range s.PaymentMethods {
		keepToken(&s.PaymentMethods[i], before.PaymentMethods)
	}
	faults = append(faults, s.Faults()...)
	for i, a := range s.Alerts {
		wrong, err := unknownNotified(ctx, tx, before.OrgID, fmt.Sprintf("billing_alerts[%d].notify", i), a.Notify)
		if err != nil {
			return s, err
		}
		faults = append(faults, wrong...)
	}
	return s, errors.Join(faults...)
}

// identify gives those of a list that have no id that of the one before that is the same, each once, or a new one.
func identify[T any](tx *store.Tx, field, prefix string, list, before []T, id func(*T) *string, same func(T, T) bool) (faults []error) {
	taken := map[string]bool{}
	for i := range list {
		is := *id(&list[i])
		if is == "" {
			continue
		}
		at := fmt.Sprintf("%s[%d].id", field, i)
		if _, there := find(before, func(o T) bool { return *id(&o) == is }); !there {
			faults = append(faults, store.Invalid(at, "unknown", "is none that there is; a new one has no id"))
		} else if taken[is] {
			faults = append(faults, store.Invalid(at, "duplicate", "stands there twice"))
		}
		taken[is] = true
	}
	for i := range list {
		if *id(&list[i]) != "" {
			continue
		}
		if old, there := find(before, func(o T) bool { return !taken[*id(&o)] && same(list[i], o) }); there {
			*id(&list[i]) = *id(&old)
		} else {
			*id(&list[i]) = tx.NewID(prefix)
		}
		taken[*id(&list[i])] = true
	}
	return faults
}

// keepToken puts the token of a card in the place of nothing, and of itself masked.
func keepToken(p *billing.PaymentMethod, before []billing.PaymentMethod) {
	old, there := find(before, func(o billing.PaymentMethod) bool { return o.ID == p.ID })
	token := &p.Details.StripePaymentMethodID
	if is := old.Details.StripePaymentMethodID; there && p.Type == billing.CreditCard && (*token == "" || string(*token) == is.String()) {
		*token = is
	}
}

// attach shows new cards to the payment provider, outside of any unit: it may take its time. What is wrong otherwise, and who
// may not, is found before.
func (m *Manager) attach(ctx context.Context, orgID string, in NewBilling) error {
	if m.opt.Payments.Provider == nil || m.store.InUnit(ctx) {
		return nil
	}
	cards := map[int]billing.PaymentToken{}
	err := m.changeBilling(ctx, orgID, in, func(_ context.Context, _ *store.Tx, before, after *billing.Settings) error {
		clear(cards)
		for i, p := range after.PaymentMethods {
			if _, known := find(before.PaymentMethods, func(o billing.PaymentMethod) bool {
				return o.Details.StripePaymentMethodID == p.Details.StripePaymentMethodID
			}); p.Type == billing.CreditCard && !known {
				cards[i] = p.Details.StripePaymentMethodID
			}
		}
		return errTried
	})
	if !errors.Is(err, errTried) {
		return err
	}
	var faults []error
	for i := range in.PaymentMethods {
		if cards[i] == "" {
			continue
		}
		key := sha256.Sum256([]byte(orgID + "\n" + string(cards[i]))) // whoever asks again asks for the same
		err := m.opt.Payments.Attach(ctx, billing.PaymentAttach{Key: "attach_" + hex.EncodeToString(key[:16]), OrgID: orgID, Method: cards[i]})
		var refused *billing.PaymentRefused
		switch {
		case errors.As(err, &refused):
			faults = append(faults, store.Invalid(fmt.Sprintf("payment_methods[%d].details.stripe_payment_method_id", i), "payment_refused", "was refused by the payment provider"))
		case err != nil:
			return err
		}
	}
	return errors.Join(faults...)
}

// mirrorCard has the settings of the organization name the default card (F461); "" where it pays in another way.
func mirrorCard(ctx context.Context, tx *store.Tx, s *billing.Settings) error {
	o, err := organizations.Get(ctx, tx, s.OrgID)
	if err != nil {
		return err
	}
	card := defaultCard(s)
	if o.Settings.card() == card {
		return nil
	}
	o.Settings.setCard(card)
	return organizations.Update(ctx, tx, &o)
}

func defaultCard(s *billing.Settings) string {
	if p := s.Default(); p != nil {
		return string(p.Details.StripePaymentMethodID)
	}
	return ""
}

// card is the payment_method_id.
func (s OrgSettings) card() string {
	if s.Billing == nil {
		return ""
	}
	return s.Billing.PaymentMethodID
}

func (s *OrgSettings) setCard(card string) {
	b := BillingSettings{} // another one: what was read may be shared
	if s.Billing != nil {
		b = *s.Billing
	}
	b.PaymentMethodID = card
	s.Billing = &b
}

// takeCard does what the payment_method_id of an organization's settings asks for: the first one becomes its default card. When
// there are payment methods it makes one of their cards the default; none, or the one that is there masked, leaves it as it
// is, and one that is unknown is a *store.FieldError (F461). Whoever changes it needs billing.update as well.
func (m *Manager) takeCard(ctx context.Context, tx *store.Tx, o *Organization, fresh bool) error {
	s, err := billing.SettingsOf(ctx, tx, o.ID)
	if err != nil {
		return err
	}
	switch is, card := defaultCard(&s), o.Settings.card(); {
	case card == is:
		return nil
	case card == "", card == billing.PaymentToken(is).String():
		o.Settings.setCard(is)
		return nil
	case !fresh: // whose maker will own it
		if err := m.Ceiling(ctx, tx, Place{OrgID: o.ID}.handout("settings.billing.payment_method_id", "billing.update")); err != nil {
			return err
		}
	}
	card := o.Settings.card()
	switch {
	case len(s.PaymentMethods) == 0:
		s.PaymentMethods = []billing.PaymentMethod{{ID: tx.NewID("pay"), Type: billing.CreditCard, Default: true, Details: billing.PaymentDetails{StripePaymentMethodID: billing.PaymentToken(card)}}}
	default:
		s.PaymentMethods = slices.Clone(s.PaymentMethods)
		found := false
		for i := range s.PaymentMethods {
			p := &s.PaymentMethods[i]
			p.Default = string(p.Details.StripePaymentMethodID) == card && !found
			found = found || p.Default
		}
		if !found {
			return store.Invalid("settings.billing.payment_method_id", "unknown", "is none of the organization's payment methods")
		}
	}
	if faults := s.Faults(); len(faults) > 0 {
		return store.Invalid("settings.billing.payment_method_id", "pattern", "must be the id of a payment method")
	}
	return keepBilling(ctx, tx, &s)
}

// Masked is a copy in which the payment method is masked, for answers and the audit log (F336).
func (s OrgSettings) Masked() OrgSettings {
	if card := s.card(); card != "" {
		s.setCard(billing.PaymentToken(card).String())
	}
	return s
}

// masked is a copy for the audit log.
func (o Organization) masked() *Organization {
	o.Settings = o.Settings.Masked()
	return &o
}
