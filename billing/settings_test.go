package billing_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/orgkit/orgkit/billing"
	"github.com/orgkit/orgkit/store"
)

func TestSettingsSayEverythingThatIsWrong(t *testing.T) { // F205 to F223
	days, street := 121, &billing.BillingAddress{Line1: "1 Main St", City: "Sydney", PostalCode: "2000", Country: "AU"}
	s := billing.Settings{
		PaymentMethods: []billing.PaymentMethod{
			{Type: "cash"},
			{Type: billing.CreditCard, Default: true, Details: billing.PaymentDetails{NetTerms: &days, PurchaseOrderRequired: true}},
			{Type: billing.CreditCard, Default: true, Details: billing.PaymentDetails{StripePaymentMethodID: "pm with space"}},
			{Type: billing.Invoice, Details: billing.PaymentDetails{NetTerms: &days, StripePaymentMethodID: "pm_1234567890", BillingAddress: street}},
			{Type: billing.Invoice},
			{Type: billing.Invoice, Details: billing.PaymentDetails{BillingAddress: &billing.BillingAddress{Line2: "a\nb", Country: "XX"}}},
		},
		Alerts: []billing.Alert{
			{Type: "other"},
			{Type: billing.ThresholdAlert, Notify: []string{"a@b.example"}},
			{Type: billing.ThresholdAlert, Amount: amount("-1"), Period: "hourly", Sensitivity: "high", Action: "notify"},
			{Type: billing.AnomalyAlert, Sensitivity: "most", Amount: amount("1"), Period: "daily", Notify: make([]string, billing.MaxNotify+1)},
			{Type: billing.ExceededAlert, Action: "delete", Notify: []string{"a@b.example"}},
		},
		CostAllocation: billing.CostAllocation{Strategy: billing.TagBased, RequiredTags: []string{"team", "project", "team"}},
	}
	var got []string
	for _, err := range s.Faults() {
		var f *store.FieldError
		require.ErrorAs(t, err, &f)
		got = append(got, f.Field+" "+f.Code)
	}
	require.Equal(t, []string{
		"payment_methods[0].type enum",
		"payment_methods[1].details.stripe_payment_method_id required", "payment_methods[1].details.net_terms range", "payment_methods[1].details.purchase_order_required range",
		"payment_methods[2].details.stripe_payment_method_id pattern",
		"payment_methods[3].details.stripe_payment_method_id range", "payment_methods[3].details.net_terms range", "payment_methods[3].details.billing_address.state required",
		"payment_methods[4].details.billing_address required",
		"payment_methods[5].details.billing_address.line1 required", "payment_methods[5].details.billing_address.line2 pattern", "payment_methods[5].details.billing_address.city required",
		"payment_methods[5].details.billing_address.postal_code required", "payment_methods[5].details.billing_address.country enum",
		"payment_methods range",
		"billing_alerts[0].type enum",
		"billing_alerts[1].amount required", "billing_alerts[1].period required",
		"billing_alerts[2].amount range", "billing_alerts[2].period enum", "billing_alerts[2].sensitivity range", "billing_alerts[2].action range", "billing_alerts[2].notify required",
		"billing_alerts[3].amount range", "billing_alerts[3].period range", "billing_alerts[3].sensitivity enum", "billing_alerts[3].notify range",
		"billing_alerts[4].action enum",
		"cost_allocation.required_tags[2] duplicate",
	}, got)
}

func TestATokenIsNotToldByAccident(t *testing.T) { // F209, F336
	const secret = "pm_secret1234567890"
	m := billing.PaymentMethod{Type: billing.CreditCard, Details: billing.PaymentDetails{StripePaymentMethodID: secret}}
	s := billing.Settings{OrgID: "org_1", PaymentMethods: []billing.PaymentMethod{m}}
	var log bytes.Buffer
	slog.New(slog.NewTextHandler(&log, nil)).Info("x", "token", m.Details.StripePaymentMethodID)
	masked, err := json.Marshal(s.Masked())
	require.NoError(t, err)
	for _, text := range []string{fmt.Sprint(m), fmt.Sprintf("%+v", s), fmt.Sprintf("%#v", s), fmt.Sprintf("%q", m.Details.StripePaymentMethodID), log.String(), string(masked)} {
		require.NotContains(t, text, "secret")
		require.Contains(t, text, "***7890")
	}
	require.Equal(t, secret, string(s.PaymentMethods[0].Details.StripePaymentMethodID), "the settings stay as they are")
	require.Equal(t, "***", billing.PaymentToken("pm_12345678").String(), "of what is short nothing is left")
	require.True(t, errors.Is(errors.Join(s.Faults()...), store.ErrInvalid))
}
