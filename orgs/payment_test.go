package orgs_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/require"

	"github.com/orgkit/orgkit/billing"
	"github.com/orgkit/orgkit/orgs"
	"github.com/orgkit/orgkit/orgs/orgstest"
	"github.com/orgkit/orgkit/store"
	"github.com/orgkit/orgkit/store/memory"
	"github.com/orgkit/orgkit/store/storetest"
)

var aCharge = billing.PaymentCharge{Key: "inv_1", OrgID: "org_1", Method: "pm_1234567890", Amount: decimal.RequireFromString("12.30"), Currency: "USD", Reference: "INV-1"}

func TestAChargeIsMadeOnceThoughNobodyHearsOfIt(t *testing.T) {
	for name, silences := range map[string][]bool{"none": nil, "before": {false}, "after": {true}, "both": {false, true}} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				provider := &orgstest.Payments{}
				provider.Silence(silences...)
				p := billing.Payments{Provider: provider}
				r, err := p.Charge(t.Context(), aCharge)
				require.NoError(t, err)
				require.Equal(t, "pi_1", r.ID)
				again, err := p.Charge(t.Context(), aCharge)
				require.NoError(t, err)
				require.Equal(t, r, again, "the same key has the same answer")
				require.Len(t, provider.Receipts(), 1)
				require.Len(t, provider.Calls(), len(silences)+2)
				for _, key := range provider.Calls() {
					require.Equal(t, "inv_1", key)
				}
			})
		})
	}
}

func TestAProviderThatDoesNotAnswerIsUnavailable(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		provider := &orgstest.Payments{}
		provider.Silence(false, false, false)
		p := billing.Payments{Provider: provider}
		began := time.Now()
		_, err := p.Charge(t.Context(), aCharge)
		require.ErrorIs(t, err, billing.ErrPaymentUnavailable)
		require.Equal(t, 30*time.Second+600*time.Millisecond, time.Since(began))
		provider.Silence(false)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err = p.Charge(ctx, aCharge)
		require.ErrorIs(t, err, billing.ErrPaymentUnavailable)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.Len(t, provider.Calls(), 4, "whose time is over asks no more")
		require.Empty(t, provider.Receipts())
	})
}

func TestARefusalIsFinal(t *testing.T) {
	provider := &orgstest.Payments{}
	provider.Refuse(aCharge.Method, "card_declined")
	p := billing.Payments{Provider: provider}
	_, err := p.Charge(t.Context(), aCharge)
	var refused *billing.PaymentRefused
	require.ErrorAs(t, err, &refused)
	require.Equal(t, "card_declined", refused.Code)
	require.Len(t, provider.Calls(), 1)
	other := aCharge
	other.Amount = decimal.NewFromInt(1)
	_, err = p.Charge(t.Context(), other)
	require.ErrorIs(t, err, billing.ErrPaymentUnavailable, "one key, two charges: a mistake that nobody retries into money")
	other.Amount = decimal.NewFromInt(-1)
	_, err = p.Charge(t.Context(), other)
	require.ErrorIs(t, err, store.ErrInvalid)
}

// odd answers something else than it was asked for.
type odd struct{ orgstest.Payments }

func (*odd) Charge(context.Context, billing.PaymentCharge) (billing.PaymentReceipt, error) {
	return billing.PaymentReceipt{ID: "pi_9", Amount: decimal.RequireFromString("12.31"), Currency: "USD"}, nil
}

func TestAnotherAmountIsNoSuccess(t *testing.T) {
	p := billing.Payments{Provider: &odd{}}
	_, err := p.Charge(t.Context(), aCharge)
	require.ErrorIs(t, err, billing.ErrPaymentDiffers)
}

func TestNewCardsAreShownToTheProvider(t *testing.T) { // F206, F209
	s := memory.New(&memory.Options{Store: store.Options{Now: storetest.NewClock().Now}})
	provider := &orgstest.Payments{}
	w := orgstest.New(t, s, &orgs.Options{Payments: billing.Payments{Provider: provider, Timeout: 20 * time.Millisecond, Wait: time.Millisecond}})
	org, owner := w.Org("acme")
	provider.Refuse("pm_refused7890", "expired_card")
	_, err := w.SetBilling(w.As(owner), org.ID, paidBy("pm_refused7890"))
	var fault *store.FieldError
	require.ErrorAs(t, err, &fault)
	require.Equal(t, []string{"payment_methods[0].details.stripe_payment_method_id", "payment_refused"}, []string{fault.Field, fault.Code})
	require.NotContains(t, err.Error(), "7890")

	provider.Silence(false, false, false)
	_, err = w.SetBilling(w.As(owner), org.ID, paidBy("pm_1234567890"))
	require.ErrorIs(t, err, billing.ErrPaymentUnavailable)
	is, err := w.Billing(w.As(owner), org.ID)
	require.NoError(t, err)
	require.Empty(t, is.PaymentMethods, "nothing is kept")

	provider.Silence(true)
	_, err = w.SetBilling(w.As(owner), org.ID, paidBy("pm_1234567890"))
	require.NoError(t, err)
	n := len(provider.Calls())
	_, err = w.SetBilling(w.As(owner), org.ID, paidBy("pm_1234567890"))
	require.NoError(t, err)
	require.Len(t, provider.Calls(), n, "it is known")
	require.Equal(t, provider.Calls()[n-1], provider.Calls()[n-2], "whoever asks again asks with the same key")

	_, err = w.SetBilling(w.As(w.User("nobody@acme.example")), org.ID, paidBy("pm_other567890"))
	require.ErrorIs(t, err, store.ErrNotFound)
	wrong := paidBy("pm_other567890")
	wrong.CostAllocation.Strategy = "x"
	_, err = w.SetBilling(w.As(owner), org.ID, wrong)
	require.ErrorIs(t, err, store.ErrInvalid)
	require.Len(t, provider.Calls(), n, "the provider is asked last")
}
