package billing

import (
	"context"
	"errors"
	"time"

	"github.com/shopspring/decimal"
)

// Reservation is the handle of an amount that is held. Its methods are safe for concurrent use.
type Reservation struct {
	ID       string          // of one that is kept in the database ([Ledger.Hold]), else ""
	Amount   decimal.Decimal // USD
	Price    *PriceVersion   // that it settles by; nil: none is known
	Unpriced bool            // nothing was known of what the call may cost, and yet every budget let it pass

	ledger *Ledger
	hold   Hold
}

// Reserve holds the amount (USD, an upper bound of what the call will cost) in every budget on the
// path, or in none. Where a hard budget has not that much left it is a *[Exceeded]. An amount of 0 touches no
// budget: what is free is not refused, and waits for nobody (billing edge 22).
//
// A nil amount means that the cost cannot be known: each budget on the path does as its [UnknownPrice]
// says. An amount that is negative or out of all bounds is store.ErrInvalid, as is a price that is not in
// USD.
//
// It is [Purse.Reserve] with decimals: what is held is held in memory, and lost with the process, to whom it counts as
// spent. Where a call may outlive its process there is [Ledger.Hold]; amounts above [MaxHold] are held that way anyway.
func (l *Ledger) Reserve(ctx context.Context, p Path, amount *decimal.Decimal) (*Reservation, error) {
	if err := p.check(amount); err != nil {
		return nil, err
	}
	r := &Reservation{Price: p.Price, Unpriced: amount == nil, ledger: l}
	purse := l.Purse(p)
	held, err := Pico(0), error(nil)
	if amount != nil {
		held, err = CeilPico(*amount)
	} else {
		held, err = purse.least(ctx)
	}
	if err != nil && !errors.Is(err, ErrRange) {
		return nil, err
	}
	if err != nil || held > MaxHold {
		return l.Hold(ctx, p, amount)
	}
	r.Amount = held.Decimal()
	purse.Renew(l.store.Now())
	return r, purse.Reserve(ctx, &r.hold, held)
}

// check names what is wrong with the amount and price of a call.
func (p Path) check(amount *decimal.Decimal) error {
	if p.Price != nil && p.Price.Currency != budgetCurrency {
		return errCurrency
	}
	if amount == nil {
		return nil
	}
	return checkAmount("amount", *amount)
}

// least is what a call without a price holds, or the [Exceeded] of the first budget that takes none.
func (p *Purse) least(ctx context.Context) (Pico, error) {
	f, err := p.engine.fetch(ctx, p, 0)
	if err != nil {
		return 0, err
	}
	if t := f.rejects; t != nil {
		p.engine.mu.Lock()
		b := t.budget
		p.engine.mu.Unlock()
		_, end, err := b.period(p.engine.store.Now())
		if err != nil {
			return 0, err
		}
		ex := b.exceeded()
		ex.Remaining, ex.ResetAt, ex.Unpriced = b.Limit, end, true
		return 0, ex
	}
	return f.leastUnpriced, nil
}

// Renew has the purse begin the next period where one on its path is over at that time. It does so by itself, up to a flush
// interval later: who has read the clock anyway, and calls Renew before Reserve, has periods end to the microsecond.
func (p *Purse) Renew(now time.Time) {
	f := p.fund.Load()
	if f == nil || f.end.IsZero() || now.Before(f.end) {
		return
	}
	p.engine.mu.Lock()
	defer p.engine.mu.Unlock()
	p.engine.closeFund(f)
}

// Increase holds more, in the budgets and the period of the reservation, before a stream goes beyond what it
// holds; see [Hold.Increase]. One that is kept in the database does not grow: it is [ErrSettled].
func (r *Reservation) Increase(ctx context.Context, by decimal.Decimal) error {
	if err := checkAmount("amount", by); err != nil {
		return err
	}
	n, err := CeilPico(by)
	if err != nil {
		return err
	}
	if err := r.hold.Increase(ctx, n); err != nil {
		return err
	}
	r.Amount = r.hold.Amount().Decimal()
	return nil
}
