package billing

import (
	"cmp"
	"errors"
	"math"
	"time"

	"github.com/shopspring/decimal"
)

// DefaultMaxOutputTokens is held for a call when neither it nor its model says how long the answer may
// be. The upstream has to be told the same number, or the call may cost more than was held.
const DefaultMaxOutputTokens = 16384

// Estimate is what a call can cost at most, and on what that rests.
type Estimate struct {
	Price *PriceVersion // that the call will be settled by; nil: none is known
	// Usage is the most that the call may use. Its OutputTokens are never more than the model's: what the
	// upstream is to be told, so that the estimate is kept. 0: as many as it likes.
	Usage Usage
}

// EstimateUpperBound returns what a call to a model, named by id or alias, can cost at most when it is
// made at an instant. The usage says what it may use at most: OutputTokens of 0 are as many as the model
// can, and where that is unknown and they cost something [DefaultMaxOutputTokens]; CachedTokens do not
// count. Its Cost, where there is one, counts alone. A number that cannot be is store.ErrInvalid.
//
// An unknown model, or one without a price for all of it, has an estimate without an amount.
func (c *Catalogue) EstimateUpperBound(name string, at time.Time, most Usage) (e Estimate, err error) {
	e.Usage = most
	if err = c.Bound(&e, c.Place(name), at); err != nil {
		return Estimate{}, err
	}
	return e, nil
}

// Place is where a model, named by id or alias, stands in the catalogue, for [Catalogue.Bound]; less than 0: nowhere.
func (c *Catalogue) Place(name string) int {
	if c != nil {
		if i, is := c.byName[name]; is {
			return i
		}
	}
	return -1
}

// Bound is [Catalogue.EstimateUpperBound] of the model at a place, in the estimate itself, whose Usage says what the call may
// use at most.
func (c *Catalogue) Bound(e *Estimate, place int, at time.Time) error {
	most := &e.Usage
	most.CachedTokens = 0
	if err := most.Validate(); err != nil {
		return err
	}
	limit := int64(0)
	if e.Price = nil; place >= 0 {
		e.Price, _ = versionAt(c.prices.Load().models[place], at)
		limit = c.models[place].MaxOutputTokens
	}
	switch v, wish := e.Price, most.OutputTokens; {
	case limit > 0 && (wish == 0 || wish > limit): // a client's wish holds no more than the model can do
		most.OutputTokens = limit
	case wish == 0 && most.Cost == nil && v != nil && (v.prices[output] > 0 || !v.priced[output]):
		most.OutputTokens = DefaultMaxOutputTokens
	}
	return nil
}

// Amount is the estimate in USD, rounded up to the 12 places of amounts; nil: nothing is known.
func (e *Estimate) Amount() *decimal.Decimal {
	var amount decimal.Decimal
	switch p, err := e.Pico(); {
	case err == nil:
		amount = p.Decimal()
	case errors.Is(err, ErrUnpriced):
		return nil
	case e.Usage.Cost != nil: // beyond fixed point
		amount = Ceil12(*e.Usage.Cost)
	default:
		most := e.Price.most(&e.Usage)
		s, _ := e.Price.sum(&most)
		amount = Ceil12(s.exact())
	}
	return &amount
}

// Pico is the estimate in fixed point, without an allocation. It is [ErrUnpriced] when nothing is known, and
// [ErrRange] when it is above 9.22 million USD.
func (e *Estimate) Pico() (Pico, error) {
	switch {
	case e.Usage.Cost != nil:
		return CeilPico(*e.Usage.Cost)
	case e.Price == nil:
		return 0, ErrUnpriced
	}
	most := e.Price.most(&e.Usage)
	return e.Price.ceil(&most)
}

// Due is what a usage is charged with that was admitted by this estimate, in fixed point and without an allocation: what the
// upstream told (Usage.Cost), else the price, and what was held where no price is known, or where only a part of it has
// one and costs less. It is [ErrRange] above 9.22 million USD.
func (e *Estimate) Due(u Usage, held Pico) (Pico, error) {
	switch {
	case u.Cost != nil:
		return CeilPico(*u.Cost)
	case e.Price == nil:
		return held, nil
	}
	p, err := e.Price.PicoCost(u)
	if errors.Is(err, ErrUnpriced) {
		rest, _ := e.Price.Cost(u)
		p, err = CeilPico(rest)
		return max(p, held), err
	}
	return p, err
}

// MaxTokensFor returns how many output tokens a call to a model, named by id or alias, may have at most
// so that its estimate is within what remains (USD, of which 9.22 million count); the usage says the rest
// of what it may use at most. It is never more than the model can do. When not even a call without output fits it is
// [ErrExceeded], when no price is known [ErrUnpriced], and a number that cannot be is store.ErrInvalid.
func (c *Catalogue) MaxTokensFor(name string, at time.Time, remaining decimal.Decimal, most Usage) (int64, error) {
	most.CachedTokens, most.OutputTokens = 0, 0
	if err := cmp.Or(checkAmount("remaining", remaining), most.Validate()); err != nil {
		return 0, err
	}
	v, limit := c.priceAt(name, at)
	if v == nil {
		return 0, ErrUnpriced
	}
	left, err := FloorPico(remaining)
	if err != nil { // more than fits
		left = math.MaxInt64
	}
	n, err := v.MaxTokensFor(left, most)
	if limit > 0 {
		n = min(n, limit)
	}
	return n, err
}
