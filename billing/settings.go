package billing

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/shopspring/decimal"

	"github.com/orgkit/orgkit/audit"
	"github.com/orgkit/orgkit/store"
)

// Settings say how an organization pays, of what it is told, and to whom what it spends belongs (F205). Its id is that of the
// organization.
type Settings struct {
	store.Meta
	OrgID          string          `json:"organization_id"`
	PaymentMethods []PaymentMethod `json:"payment_methods"`
	Alerts         []Alert         `json:"billing_alerts"`
	CostAllocation CostAllocation  `json:"cost_allocation"`

	// InvoicedFrom is from when on the organization has its own invoices: the month in which it first had a payment method, or
	// where those above it that have paid for it end. Before, and without one, what it uses is on the invoices of the nearest
	// organization above it that has. It stays when the methods go.
	InvoicedFrom *time.Time `json:"-"`
}

// SettingsRecords holds those that were set. The floor above writes it inside rbac.Guard.Change.
var SettingsRecords = store.Define[Settings]("billing_settings", "org")

// SettingsOf are the settings of an organization: no payment methods, no alerts and no cost centres where none were set.
func SettingsOf(ctx context.Context, tx *store.Tx, orgID string) (Settings, error) {
	s, err := SettingsRecords.Get(ctx, tx, orgID)
	if errors.Is(err, store.ErrNotFound) {
		return Settings{Meta: store.Meta{ID: orgID}, OrgID: orgID, CostAllocation: CostAllocation{Strategy: NotAllotted}}, nil
	}
	return s, err
}

// AuditResource is how the log names the settings.
func (s Settings) AuditResource() audit.Resource {
	return audit.Resource{Type: "billing_settings", ID: s.OrgID}
}

// Masked is a copy without secrets, for answers, logs and the audit log.
func (s Settings) Masked() Settings {
	s.PaymentMethods = slices.Clone(s.PaymentMethods)
	for i := range s.PaymentMethods {
		d := &s.PaymentMethods[i].Details
		d.StripePaymentMethodID = PaymentToken(d.StripePaymentMethodID.String())
	}
	return s
}

// Default is the payment method that is charged, nil where there is none.
func (s *Settings) Default() *PaymentMethod {
	for i := range s.PaymentMethods {
		if s.PaymentMethods[i].Default {
			return &s.PaymentMethods[i]
		}
	}
	return nil
}

// What settings may have at most.
const (
	MaxPaymentMethods = 20
	MaxAlerts         = 50
	MaxNotify         = 50
	MaxRequiredTags   = 20
)

// Faults are all that is wrong, by fields. No fault is nil.
func (s *Settings) Faults() (faults []error) {
	wrong := func(err error) {
		if err != nil {
			faults = append(faults, err)
		}
	}
	for _, list := range []struct {
		field   string
		n, most int
	}{{"payment_methods", len(s.PaymentMethods), MaxPaymentMethods}, {"billing_alerts", len(s.Alerts), MaxAlerts}} {
		if list.n > list.most {
			wrong(store.Invalid(list.field, "range", "must have at most %d entries", list.most))
			return faults // of which each may be wrong
		}
	}
	defaults := 0
	for i, m := range s.PaymentMethods {
		if m.Default {
			defaults++
		}
		at := fmt.Sprintf("payment_methods[%d].", i)
		for _, err := range m.faults() {
			wrong(within(at, err))
		}
	}
	if len(s.PaymentMethods) > 0 && defaults != 1 { // an organization without any pays elsewhere
		wrong(store.Invalid("payment_methods", "range", "must have exactly one is_default that is true"))
	}
	for i, a := range s.Alerts {
		at := fmt.Sprintf("billing_alerts[%d].", i)
		for _, err := range a.faults() {
			wrong(within(at, err))
		}
	}
	if err := s.CostAllocation.Validate(); err != nil {
		wrong(within("cost_allocation.", err))
	}
	return faults
}

// within puts the field of an error into where it stands.
func within(at string, err error) error {
	var field *store.FieldError
	if !errors.As(err, &field) {
		return err
	}
	return store.Invalid(at+field.Field, field.Code, "%s", field.Message)
}

// The periods of threshold alerts: of the calendar, in the zone of the organization (F219).
var alertPeriods = map[string]string{"daily": CalendarDay, "weekly": CalendarWeek, "monthly": CalendarMonth, "quarterly": CalendarQuarter, "yearly": CalendarYear}

// What a budget_exceeded alert does.
const (
	NotifyAction  = "notify"  // it is told (F223)
	SuspendAction = "suspend" // and what costs is refused in the budget until its period ends, it is raised, or somebody resumes it (F224)
)

// Alert is something that an organization wants to be told.
type Alert struct {
	ID          string           `json:"id"`
	Type        AlertKind        `json:"type"`                  // threshold, anomaly or budget_exceeded
	Amount      *decimal.Decimal `json:"amount,omitempty"`      // USD; of threshold
	Period      string           `json:"period,omitempty"`      // of threshold: daily, weekly, monthly, quarterly or yearly
	Sensitivity Sensitivity      `json:"sensitivity,omitempty"` // of anomaly
	Action      string           `json:"action,omitempty"`      // of budget_exceeded
	Notify      []string         `json:"notify"`                // e-mail addresses, and roles (F319)
}

// Same says whether two alerts are the same but for their ids.
func (a Alert) Same(o Alert) bool {
	same := a.Amount == o.Amount || a.Amount != nil && o.Amount != nil && a.Amount.Equal(*o.Amount)
	return same && a.Type == o.Type && a.Period == o.Period && a.Sensitivity == o.Sensitivity && a.Action == o.Action && slices.Equal(a.Notify, o.Notify)
}

func (a Alert) faults() (faults []error) {
	needs := func(of AlertKind, field string, given, right bool, what string) {
		switch {
		case a.Type == of && !given:
			faults = append(faults, store.Invalid(field, "required", "is required"))
		case a.Type == of && !right:
			faults = append(faults, store.Invalid(field, cmp.Or(map[string]string{"amount": "range"}[field], "enum"), "must be %s", what))
		case a.Type != of && given:
			faults = append(faults, store.Invalid(field, "range", "belongs to alerts of the type %s", of))
		}
	}
	if a.Type != ThresholdAlert && a.Type != AnomalyAlert && a.Type != ExceededAlert {
		return []error{store.Invalid("type", "enum", "must be threshold, anomaly or budget_exceeded")}
	}
	needs(ThresholdAlert, "amount", a.Amount != nil, a.Amount != nil && bounded(*a.Amount) && a.Amount.IsPositive(), "above 0 and not out of all bounds")
	needs(ThresholdAlert, "period", a.Period != "", alertPeriods[a.Period] != "", "daily, weekly, monthly, quarterly or yearly")
	_, known := sensitivities[a.Sensitivity]
	needs(AnomalyAlert, "sensitivity", a.Sensitivity != "", known, "low, medium or high")
	needs(ExceededAlert, "action", a.Action != "", a.Action == NotifyAction || a.Action == SuspendAction, "notify or suspend")
	switch {
	case len(a.Notify) == 0:
		faults = append(faults, store.Invalid("notify", "required", "is required"))
	case len(a.Notify) > MaxNotify:
		faults = append(faults, store.Invalid("notify", "range", "must have at most %d entries", MaxNotify))
	}
	return faults
}

func checkRequiredTags(tags []string) error {
	if len(tags) > MaxRequiredTags {
		return store.Invalid("required_tags", "range", "must have at most %d entries", MaxRequiredTags)
	}
	seen := map[string]bool{}
	for i, tag := range tags {
		at := fmt.Sprintf("required_tags[%d]", i)
		if tag == "" || !plain(tag, MaxTagName) || strings.TrimSpace(tag) != tag {
			return store.Invalid(at, "pattern", "must be the name of a tag, with 1 to %d bytes", MaxTagName)
		}
		if seen[tag] {
			return store.Invalid(at, "duplicate", "stands there twice")
		}
		seen[tag] = true
	}
	return nil
}
