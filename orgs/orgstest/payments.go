package orgstest

import (
	"context"
	"fmt"
	"sync"

	"github.com/orgkit/orgkit/billing"
)

// Payments is a billing.PaymentProvider that takes no money, and behaves as well and as badly as one that does: it refuses, it
// does not answer, and it does what it was asked for without saying so. It is safe for concurrent use.
type Payments struct {
	mu      sync.Mutex
	refused map[billing.PaymentToken]string
	silent  []bool
	known   map[string]payment // by key
	calls   []string           // keys, in order
}

type payment struct {
	asked   any
	receipt billing.PaymentReceipt
	err     error
}

// Refuse has everything that is asked for a payment method refused with that code.
func (p *Payments) Refuse(method billing.PaymentToken, code string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.refused == nil {
		p.refused = map[billing.PaymentToken]string{}
	}
	p.refused[method] = code
}

// Silence has the next calls end with their contexts, one for each done: with true what was asked for is done all the same,
// so that the answer to the call after it comes a second time.
func (p *Payments) Silence(done ...bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.silent = append(p.silent, done...)
}

// Attach does what a provider does.
func (p *Payments) Attach(ctx context.Context, in billing.PaymentAttach) error {
	_, err := p.do(ctx, in.Key, in, in.Method, billing.PaymentReceipt{})
	return err
}

// Charge does what a provider does.
func (p *Payments) Charge(ctx context.Context, in billing.PaymentCharge) (billing.PaymentReceipt, error) {
	return p.do(ctx, in.Key, fmt.Sprint(in.OrgID, string(in.Method), in.Amount, in.Currency), in.Method, billing.PaymentReceipt{Amount: in.Amount, Currency: in.Currency})
}

func (p *Payments) do(ctx context.Context, key string, asked any, method billing.PaymentToken, receipt billing.PaymentReceipt) (billing.PaymentReceipt, error) {
	p.mu.Lock()
	p.calls = append(p.calls, key)
	silent, does := false, true
	if len(p.silent) > 0 {
		silent, does = true, p.silent[0]
		p.silent = p.silent[1:]
	}
	done, again := p.known[key]
	switch {
	case again && done.asked != asked:
		done = payment{err: fmt.Errorf("the key %q was used for something else", key)}
	case !again && does:
		done = payment{asked: asked, receipt: receipt}
		done.receipt.ID = fmt.Sprintf("pi_%d", len(p.known)+1)
		if code := p.refused[method]; code != "" {
			done = payment{asked: asked, err: &billing.PaymentRefused{Code: code}}
		}
		if p.known == nil {
			p.known = map[string]payment{}
		}
		p.known[key] = done
	}
	p.mu.Unlock()
	if silent {
		<-ctx.Done()
		return billing.PaymentReceipt{}, ctx.Err()
	}
	return done.receipt, done.err
}

// Calls are the keys of all calls, in order.
func (p *Payments) Calls() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]string(nil), p.calls...)
}

// Receipts says what was taken, each once however often it was asked for.
func (p *Payments) Receipts() (list []billing.PaymentReceipt) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, done := range p.known {
		if done.err == nil && done.receipt.Currency != "" {
			list = append(list, done.receipt)
		}
	}
	return list
}
