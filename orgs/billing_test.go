package orgs_test

import (
	"encoding/json"
	"errors"
	"testing"

	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/require"

	"github.com/orgkit/orgkit/audit"
	"github.com/orgkit/orgkit/billing"
	"github.com/orgkit/orgkit/orgs"
	"github.com/orgkit/orgkit/orgs/orgstest"
	"github.com/orgkit/orgkit/rbac"
	"github.com/orgkit/orgkit/store"
	"github.com/orgkit/orgkit/store/storetest"
)

// fieldsOf are the fields of a joined error, with what is wrong.
func fieldsOf(t *testing.T, err error) (fields []string) {
	t.Helper()
	joined, is := err.(interface{ Unwrap() []error })
	require.True(t, is, "%v", err)
	for _, one := range joined.Unwrap() {
		var f *store.FieldError
		require.ErrorAs(t, one, &f)
		fields = append(fields, f.Field+" "+f.Code)
	}
	return fields
}

func TestBillingIsReplacedAsAWhole(t *testing.T) { // F205 to F208, F319
	each(t, func(t *testing.T, w *orgstest.World, _ *storetest.Clock) {
		org, owner := w.Org("acme")
		w.Roles(org)
		five, ctx := decimal.NewFromInt(5), w.As(owner)
		in := paidBy("pm_1234567890")
		in.PaymentMethods = append(in.PaymentMethods, billing.PaymentMethod{Type: billing.Invoice, Details: billing.PaymentDetails{
			BillingAddress: &billing.BillingAddress{Line1: "1 Main St", City: "New York", State: "NY", PostalCode: "10001", Country: "US"}}})
		in.Alerts = []billing.Alert{
			{Type: billing.ThresholdAlert, Amount: &five, Period: "monthly", Notify: []string{"cfo@acme.example", "team_leads"}},
			{Type: billing.AnomalyAlert, Sensitivity: billing.HighSensitivity, Notify: []string{"team_lead"}},
		}
		in.CostAllocation.RequiredTags = []string{"project"}
		first, err := w.SetBilling(ctx, org.ID, in)
		require.NoError(t, err)
		require.Equal(t, "***7890", string(first.PaymentMethods[0].Details.StripePaymentMethodID))
		second, err := w.SetBilling(ctx, org.ID, in)
		require.NoError(t, err)
		require.Equal(t, []any{first.PaymentMethods, first.Alerts}, []any{second.PaymentMethods, second.Alerts}, "the same has the same ids")

		back := orgs.NewBilling{PaymentMethods: second.PaymentMethods, Alerts: second.Alerts, CostAllocation: second.CostAllocation}
		back.PaymentMethods[0].Default, back.PaymentMethods[1].Default = false, true
		third, err := w.SetBilling(ctx, org.ID, back)
		require.NoError(t, err, "what was answered can be sent back")
		require.Equal(t, first.PaymentMethods[0].ID, third.PaymentMethods[0].ID)
		o, err := w.Organization(ctx, org.ID)
		require.NoError(t, err)
		require.Empty(t, o.Settings.Billing.PaymentMethodID, "it pays by invoice")
		back.PaymentMethods[0].Default, back.PaymentMethods[1].Default = true, false
		back.PaymentMethods[0].Details.StripePaymentMethodID = ""
		_, err = w.SetBilling(ctx, org.ID, back)
		require.NoError(t, err)
		o, err = w.Organization(ctx, org.ID)
		require.NoError(t, err)
		require.Equal(t, "pm_1234567890", o.Settings.Billing.PaymentMethodID, "a token that is absent is kept")

		wrong := in
		wrong.PaymentMethods = []billing.PaymentMethod{{ID: "pay_none", Type: billing.CreditCard, Details: billing.PaymentDetails{StripePaymentMethodID: "***7890"}}}
		wrong.Alerts = []billing.Alert{{ID: first.Alerts[0].ID, Type: billing.AnomalyAlert, Sensitivity: "most", Notify: []string{"nobodies", "a@", "team_leads"}}, {ID: first.Alerts[0].ID, Type: "x"}}
		_, err = w.SetBilling(ctx, org.ID, wrong)
		require.Equal(t, []string{"payment_methods[0].id unknown", "billing_alerts[1].id duplicate", "payment_methods[0].details.stripe_payment_method_id pattern", "payment_methods range",
			"billing_alerts[0].sensitivity enum", "billing_alerts[1].type enum", "billing_alerts[0].notify[0] unknown", "billing_alerts[0].notify[1] email"}, fieldsOf(t, err))
		is, err := w.Billing(ctx, org.ID)
		require.NoError(t, err)
		require.Len(t, is.Alerts, 2, "nothing was kept")

		log, err := w.AuditLog(ctx, org.ID, audit.Filter{Types: []string{"billing.*", "organization.*"}})
		require.NoError(t, err)
		text, err := json.Marshal(log.Items)
		require.NoError(t, err)
		require.Contains(t, string(text), "billing.updated")
		require.NotContains(t, string(text), "pm_1234567890")
	})
}

func TestTheDefaultCardIsThatOfTheSettings(t *testing.T) { // F022, F461
	each(t, func(t *testing.T, w *orgstest.World, _ *storetest.Clock) {
		owner := w.User("owner@acme.example")
		o, err := w.CreateOrganization(w.Platform(), orgs.NewOrganization{Name: "Acme", Owner: owner.ID, Settings: orgs.OrgSettings{Billing: &orgs.BillingSettings{PaymentMethodID: "pm_1234567890", TaxID: "T1"}}})
		require.NoError(t, err)
		ctx := w.As(owner)
		is, err := w.Billing(ctx, o.ID)
		require.NoError(t, err)
		require.Len(t, is.PaymentMethods, 1)
		require.Equal(t, []any{billing.CreditCard, true, "***7890"}, []any{is.PaymentMethods[0].Type, is.PaymentMethods[0].Default, string(is.PaymentMethods[0].Details.StripePaymentMethodID)})

		in := paidBy("pm_other567890")
		_, err = w.SetBilling(ctx, o.ID, in)
		require.NoError(t, err)
		o, err = w.Organization(ctx, o.ID)
		require.NoError(t, err)
		require.Equal(t, orgs.BillingSettings{PaymentMethodID: "pm_other567890", TaxID: "T1"}, *o.Settings.Billing)

		update := func(card string) error {
			_, err := w.UpdateOrganization(ctx, o.ID, orgs.OrganizationUpdate{Settings: &orgs.OrgSettings{Billing: &orgs.BillingSettings{PaymentMethodID: card}}})
			return err
		}
		var fault *store.FieldError
		require.True(t, errors.As(update("pm_1234567890"), &fault))
		require.Equal(t, []string{"settings.billing.payment_method_id", "unknown"}, []string{fault.Field, fault.Code})
		require.NoError(t, update(""))
		o, err = w.Organization(ctx, o.ID)
		require.NoError(t, err)
		require.Equal(t, "pm_other567890", o.Settings.Billing.PaymentMethodID, "it mirrors")

		in.PaymentMethods = append(in.PaymentMethods, billing.PaymentMethod{Type: billing.CreditCard, Details: billing.PaymentDetails{StripePaymentMethodID: "pm_third67890"}})
		_, err = w.SetBilling(ctx, o.ID, in)
		require.NoError(t, err)
		require.NoError(t, update("pm_third67890"))
		is, err = w.Billing(ctx, o.ID)
		require.NoError(t, err)
		require.Equal(t, []bool{false, true}, []bool{is.PaymentMethods[0].Default, is.PaymentMethods[1].Default})

		_, err = w.CreateOrganization(w.Platform(), orgs.NewOrganization{Name: "Bad", Settings: orgs.OrgSettings{Billing: &orgs.BillingSettings{PaymentMethodID: "x y"}}})
		require.ErrorIs(t, err, store.ErrInvalid)
	})
}

func TestARoleThatAnAlertNamesIsInUse(t *testing.T) { // F319
	each(t, func(t *testing.T, w *orgstest.World, _ *storetest.Clock) {
		org, owner := w.Org("acme")
		for _, name := range []string{"On Call", "Deputy"} {
			_, err := w.CreateRole(w.Platform(), org.ID, rbac.NewRole{Name: name, Permissions: []string{"usage.read"}})
			require.NoError(t, err)
		}
		in := paidBy("pm_1234567890")
		in.Alerts = []billing.Alert{{Type: billing.AnomalyAlert, Sensitivity: billing.LowSensitivity, Notify: []string{"on_calls", "a@acme.example"}}}
		_, err := w.SetBilling(w.As(owner), org.ID, in)
		require.NoError(t, err)
		_, err = w.DeleteRole(w.As(owner), org.ID, "on-call", "")
		var conflict *store.ConflictError
		require.ErrorAs(t, err, &conflict)
		require.Equal(t, "in_use", conflict.Code)
		_, err = w.DeleteRole(w.As(owner), org.ID, "on-call", "deputy")
		require.NoError(t, err)
		is, err := w.Billing(w.As(owner), org.ID)
		require.NoError(t, err)
		require.Equal(t, []string{"deputy", "a@acme.example"}, is.Alerts[0].Notify)
	})
}

func TestATeamNamesRolesThatThereAre(t *testing.T) { // F319
	each(t, func(t *testing.T, w *orgstest.World, _ *storetest.Clock) {
		org, _ := w.Org("acme")
		settings := orgs.TeamSettings{Notifications: &orgs.NotificationSettings{UsageAlerts: []string{"a@acme.example", "team_leads"}}}
		_, err := w.CreateTeam(w.Platform(), org.ID, orgs.NewTeam{Name: "lab", Settings: settings})
		require.Equal(t, []string{"settings.notifications.usage_alerts[1] unknown"}, fieldsOf(t, err))
		team := w.Team(org, "lab", orgs.TeamSettings{})
		_, err = w.UpdateTeam(w.Platform(), team.ID, orgs.TeamUpdate{Settings: &settings})
		require.ErrorIs(t, err, store.ErrInvalid)
		w.Roles(org)
		_, err = w.UpdateTeam(w.Platform(), team.ID, orgs.TeamUpdate{Settings: &settings})
		require.NoError(t, err)
	})
}
