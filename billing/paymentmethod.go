package billing

import (
	"log/slog"
	"strings"

	"github.com/orgkit/orgkit/store"
)

// The types of payment methods.
const (
	CreditCard = "credit_card" // charged through the [PaymentProvider] (F206)
	Invoice    = "invoice"     // paid by whoever gets the invoice (F207)
)

// DefaultNetTerms is how many days there are to pay an invoice where nothing else is said.
const DefaultNetTerms = 30

// PaymentMethod is how an organization pays.
type PaymentMethod struct {
	ID      string         `json:"id"`
	Type    string         `json:"type"`
	Default bool           `json:"is_default"`
	Details PaymentDetails `json:"details"`
}

// PaymentDetails are what a payment method of its type needs.
type PaymentDetails struct {
	StripePaymentMethodID PaymentToken    `json:"stripe_payment_method_id,omitempty"` // of a credit card
	NetTerms              *int            `json:"net_terms,omitempty"`                // days until an invoice is due, 0 to 120; absent is 30
	PurchaseOrderRequired bool            `json:"purchase_order_required,omitempty"`  // of an invoice
	BillingAddress        *BillingAddress `json:"billing_address,omitempty"`          // printed on invoices, which need one
}

// PaymentToken is how the provider names a payment method. Who has it may be able to charge it: what is formatted or logged
// is its end only.
type PaymentToken string

// String is the token with all but its last four characters masked, or all of it where it is short.
func (t PaymentToken) String() string {
	switch {
	case t == "", strings.HasPrefix(string(t), "***"): // it is masked
		return string(t)
	case len(t) < 12:
		return "***"
	}
	return "***" + string(t[len(t)-4:])
}

// GoString is String.
func (t PaymentToken) GoString() string { return t.String() }

// LogValue is String.
func (t PaymentToken) LogValue() slog.Value { return slog.StringValue(t.String()) }

// Same says whether two methods are the same but for their ids and which is charged. A token that is masked is the one that
// it was made of.
func (m PaymentMethod) Same(o PaymentMethod) bool {
	a, b := m.Details, o.Details
	if m.Type != o.Type || a.StripePaymentMethodID != b.StripePaymentMethodID && string(a.StripePaymentMethodID) != b.StripePaymentMethodID.String() {
		return false
	}
	return equal(a.NetTerms, b.NetTerms) && a.PurchaseOrderRequired == b.PurchaseOrderRequired && equal(a.BillingAddress, b.BillingAddress)
}

// equal compares what pointers point to.
func equal[T comparable](a, b *T) bool { return a == b || a != nil && b != nil && *a == *b }

// BillingAddress is where an invoice goes.
type BillingAddress struct {
	Line1      string `json:"line1"`
	Line2      string `json:"line2,omitempty"`
	City       string `json:"city"`
	State      string `json:"state,omitempty"` // required in the US, Canada and Australia
	PostalCode string `json:"postal_code"`
	Country    string `json:"country"` // ISO 3166-1 alpha-2
}

// maxAddressLine is the most bytes of a line of an address.
const maxAddressLine = 200

func (m PaymentMethod) faults() (faults []error) {
	wrong := func(field, code, format string, args ...any) {
		faults = append(faults, store.Invalid(field, code, format, args...))
	}
	d := m.Details
	switch m.Type {
	case CreditCard:
		if d.StripePaymentMethodID == "" {
			wrong("details.stripe_payment_method_id", "required", "is required for a credit card")
		} else if !isToken(string(d.StripePaymentMethodID)) {
			wrong("details.stripe_payment_method_id", "pattern", "must be the id of a payment method")
		}
		if d.NetTerms != nil {
			wrong("details.net_terms", "range", "belongs to invoices")
		}
		if d.PurchaseOrderRequired {
			wrong("details.purchase_order_required", "range", "belongs to invoices")
		}
	case Invoice:
		if d.StripePaymentMethodID != "" {
			wrong("details.stripe_payment_method_id", "range", "belongs to credit cards")
		}
		if d.NetTerms != nil && (*d.NetTerms < 0 || *d.NetTerms > 120) {
			wrong("details.net_terms", "range", "must be from 0 to 120 days")
		}
		if d.BillingAddress == nil {
			wrong("details.billing_address", "required", "is required for invoices")
		}
	default:
		wrong("type", "enum", "must be credit_card or invoice")
	}
	return append(faults, d.BillingAddress.faults("details.billing_address.")...)
}

func (a *BillingAddress) faults(at string) (faults []error) {
	if a == nil {
		return nil
	}
	for _, line := range []struct {
		field, text string
		required    bool
	}{{"line1", a.Line1, true}, {"line2", a.Line2, false}, {"city", a.City, true}, {"state", a.State, a.Country == "US" || a.Country == "CA" || a.Country == "AU"}, {"postal_code", a.PostalCode, true}} {
		switch {
		case line.required && strings.TrimSpace(line.text) == "":
			faults = append(faults, store.Invalid(at+line.field, "required", "is required"))
		case !plain(line.text, maxAddressLine) || strings.ContainsFunc(line.text, func(r rune) bool { return r < ' ' || r == 0x7f }):
			faults = append(faults, store.Invalid(at+line.field, "pattern", "must be one line of at most %d bytes", maxAddressLine))
		}
	}
	if !isCountry(a.Country) {
		faults = append(faults, store.Invalid(at+"country", "enum", "must be a country code of ISO 3166-1 alpha-2"))
	}
	return faults
}

// isToken says whether a text can be what a provider calls a payment method: printable, without spaces.
func isToken(s string) bool {
	return len(s) >= 4 && len(s) <= 255 && !strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r > '~' || r == '*' })
}
