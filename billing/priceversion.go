package billing

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/shopspring/decimal"

	"github.com/orgkit/orgkit/store"
)

// ErrUnpriced: nobody has said what something costs.
var ErrUnpriced = errors.New("no price is known")

// PriceVersion is what a model costs from an instant on until the next version does. It never changes,
// and is safe for concurrent use.
//
// The ID is made from all that the version says: the same version has the same id in every process,
// and one that says anything else has another. A reservation pins it (billing edge 25).
type PriceVersion struct {
	ID       string
	Model    string // as the book names it
	From     time.Time
	Currency string // ISO 4217

	prices [len(units)]Femto
	priced [len(units)]bool // units without a price are unknown, not free
	whole  bool             // all have one
}

// ModelPrice is a version before it is in a book.
type ModelPrice struct {
	Model      string
	From       time.Time // zero: it always was
	Components []Component
}

// version checks p and compiles it; at is where its errors say that it stands.
func (p ModelPrice) version(currency, at string) (*PriceVersion, error) {
	if p.Model == "" {
		return nil, store.Invalid(at, "required", "names no model")
	}
	if len(p.Components) == 0 {
		return nil, store.Invalid(at+".prices", "required", "must price a unit")
	}
	v := &PriceVersion{Model: p.Model, From: p.From.UTC(), Currency: currency}
	for _, c := range p.Components {
		field := at + ".prices." + string(c.Unit)
		i := slices.Index(units[:], c.Unit)
		if i < 0 {
			return nil, store.Invalid(field, "unknown", "is no unit that can be priced")
		}
		if v.priced[i] {
			return nil, store.Invalid(field, "duplicate", "is there already")
		}
		f, err := ExactFemto(c.Price)
		if errors.Is(err, ErrInexact) {
			return nil, store.Invalid(field, "range", "must have at most 15 decimals")
		} else if err != nil {
			return nil, store.Invalid(field, "range", "must be from 0 to 9223")
		}
		v.prices[i], v.priced[i] = f, true
	}
	if !v.priced[cached] {
		v.prices[cached], v.priced[cached] = v.prices[input], v.priced[input]
	}
	v.priced[request] = true
	v.whole = !slices.Contains(v.priced[:], false)
	v.ID = v.digest()
	return v, nil
}

// digest is the id of what the version says.
func (v *PriceVersion) digest() string {
	h := sha256.New()
	fmt.Fprintf(h, "%q %s %s", v.Model, v.From.Format(time.RFC3339Nano), v.Currency)
	for i, u := range units {
		if v.priced[i] {
			fmt.Fprintf(h, " %s=%d", u, v.prices[i])
		}
	}
	return "price_" + hex.EncodeToString(h.Sum(nil)[:12])
}

// Components are the prices of all units that have one, what follows from others included.
func (v *PriceVersion) Components() []Component {
	var list []Component
	for i, u := range units {
		if v.priced[i] {
			list = append(list, Component{u, v.prices[i].Decimal()})
		}
	}
	return list
}

// sum adds up what the quantities cost; known is false when one of them has no price, and then not in
// the sum.
func (v *PriceVersion) sum(q *quantities) (s sum, known bool) {
	p := &v.prices // of which one that is not known is 0
	s = s.add(p[0], q[0]).add(p[1], q[1]).add(p[2], q[2]).add(p[3], q[3]).add(p[4], q[4])
	if v.whole {
		return s, true
	}
	for i, n := range q {
		if n != 0 && !v.priced[i] {
			return s, false
		}
	}
	return s, true
}

var _ = [1]struct{}{}[len(units)-5] // as many as sum adds

// most are the quantities of a usage at their dearest: none of the input comes from a cache, or all of
// it where that costs more.
func (v *PriceVersion) most(u *Usage) quantities {
	if v.prices[cached] > v.prices[input] {
		return quantities{0, u.InputTokens, u.OutputTokens, u.Images, 1}
	}
	return quantities{u.InputTokens, 0, u.OutputTokens, u.Images, 1}
}

// Cost is the exact price of a usage that is valid; what the upstream told of its cost does not count
// here. Where something was used that has no price it is [ErrUnpriced], beside the price of the rest.
func (v *PriceVersion) Cost(u Usage) (decimal.Decimal, error) {
	q := u.quantities()
	s, known := v.sum(&q)
	if !known {
		return s.exact(), ErrUnpriced
	}
	return s.exact(), nil
}

// PicoCost is [PriceVersion.Cost] rounded up, without an allocation. It may be [ErrRange].
func (v *PriceVersion) PicoCost(u Usage) (Pico, error) {
	q := u.quantities()
	return v.ceil(&q)
}

func (v *PriceVersion) ceil(q *quantities) (Pico, error) {
	s, known := v.sum(q)
	if !known {
		return 0, ErrUnpriced
	}
	return s.ceil()
}

// MaxTokensFor is the largest number of output tokens with which a call of that input, and those
// images, costs at most what remains, whatever of its input is cached. It is at most 2^50. When not even a
// call without output fits, it is [ErrExceeded]; when a price is missing, [ErrUnpriced].
func (v *PriceVersion) MaxTokensFor(remaining Pico, u Usage) (int64, error) {
	u.OutputTokens = 0
	most := v.most(&u)
	base, known := v.sum(&most)
	if !known || !v.priced[output] {
		return 0, ErrUnpriced
	}
	return base.more(remaining, v.prices[output])
}
