package billing

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/shopspring/decimal"
)

// PaymentProvider is where money is taken from: the seam to Stripe and its like. This library has no SDK of any; a host writes
// one method for each call that its provider has. With Stripe these are
//
//	Attach  POST /v1/setup_intents    payment_method, confirm=true, usage=off_session
//	Charge  POST /v1/payment_intents  amount, currency, payment_method, confirm=true, off_session=true
//
// each with the key in the header Idempotency-Key. An implementation has to keep these rules:
//
//   - A call with a key that was there before does nothing, and answers as the first one did. Callers count on it: after a
//     time-out nobody knows whether the provider has done it, and it is asked again with the same key.
//   - A refusal (card_declined, expired_card, authentication_required) is a *[PaymentRefused], and final for that key.
//   - Everything else, such as a time-out, a 429 or a 5xx, is any other error: it may be tried again.
//   - ctx ends the call. No error has the token of a payment method or an answer of the provider in it.
//   - Amounts are exact: who cannot charge so many places refuses, and does not round.
//
// Methods are called by several goroutines at a time.
type PaymentProvider interface {
	// Attach finds out whether a payment method can be charged later on, when nobody is there.
	Attach(ctx context.Context, in PaymentAttach) error
	// Charge takes money, and says under which id.
	Charge(ctx context.Context, in PaymentCharge) (PaymentReceipt, error)
}

// PaymentAttach asks for a payment method to be used from now on.
type PaymentAttach struct {
	Key    string // of idempotency
	OrgID  string
	Method PaymentToken
}

// PaymentCharge asks for money.
type PaymentCharge struct {
	Key       string // of idempotency: made of what is paid for, such as an invoice, and never of the time
	OrgID     string
	Method    PaymentToken
	Amount    decimal.Decimal
	Currency  string // ISO 4217
	Reference string // for the statement of who pays
}

// PaymentReceipt says what was taken.
type PaymentReceipt struct {
	ID       string // by the provider, such as pi_1
	Amount   decimal.Decimal
	Currency string
}

// PaymentRefused: the provider does not take money from a payment method.
type PaymentRefused struct {
	Code string // of the provider, such as card_declined
}

func (e *PaymentRefused) Error() string {
	return "the payment method was refused: " + e.Code
}

// ErrPaymentUnavailable: the provider does not answer, and nobody knows whether it has done what it was asked for. The same
// call with the same key finds out.
var ErrPaymentUnavailable = errors.New("the payment provider does not answer")

// ErrPaymentDiffers: the provider says that it has taken something else than it was asked for. A person has to look at it.
var ErrPaymentDiffers = errors.New("the payment provider has taken another amount")

// Payments asks a provider, again and under the same key while it does not answer. The zero value of what it has but Provider
// works.
type Payments struct {
	Provider PaymentProvider
	Tries    int           // of one call; 0 is 3
	Timeout  time.Duration // of one try; 0 is 10 seconds
	Wait     time.Duration // before the second try, and twice as long before each that follows; 0 is 200 milliseconds
}

// Attach is [PaymentProvider.Attach]. What was not refused and has not worked is [ErrPaymentUnavailable].
func (p *Payments) Attach(ctx context.Context, in PaymentAttach) error {
	return p.ask(ctx, func(ctx context.Context) error { return p.Provider.Attach(ctx, in) })
}

// Charge is [PaymentProvider.Charge]. An answer that is for something else is [ErrPaymentDiffers].
func (p *Payments) Charge(ctx context.Context, in PaymentCharge) (r PaymentReceipt, err error) {
	if err := checkAmount("amount", in.Amount); err != nil {
		return r, err
	}
	err = p.ask(ctx, func(ctx context.Context) (err error) {
		r, err = p.Provider.Charge(ctx, in)
		return err
	})
	switch {
	case err != nil:
		return PaymentReceipt{}, err
	case r.ID == "" || !r.Amount.Equal(in.Amount) || r.Currency != in.Currency:
		return PaymentReceipt{}, ErrPaymentDiffers
	}
	return r, nil
}

// ask tries until it is known what has become of it, or there were tries enough.
func (p *Payments) ask(ctx context.Context, call func(ctx context.Context) error) error {
	tries, timeout, wait := p.Tries, p.Timeout, p.Wait
	if tries <= 0 {
		tries = 3
	}
	if timeout <= 0 {
		timeout = 10 * time.Second
	}
	if wait <= 0 {
		wait = 200 * time.Millisecond
	}
	for try := 1; ; try++ {
		one, cancel := context.WithTimeout(ctx, timeout)
		err := call(one)
		cancel()
		var refused *PaymentRefused
		switch {
		case err == nil:
			return nil
		case errors.As(err, &refused):
			return refused // and nothing that was put around it
		case ctx.Err() != nil:
			return fmt.Errorf("%w: %w", ErrPaymentUnavailable, ctx.Err())
		case try == tries:
			return ErrPaymentUnavailable // whatever the provider says, it is not for others to read
		}
		select {
		case <-time.After(wait << (try - 1)):
		case <-ctx.Done():
			return fmt.Errorf("%w: %w", ErrPaymentUnavailable, ctx.Err())
		}
	}
}
