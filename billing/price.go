package billing

import (
	"time"

	"github.com/shopspring/decimal"

	"github.com/orgkit/orgkit/store"
)

// Price is what a model costs, in USD, as providers print it: the short way to price a model in code,
// by [Model]. What is 0 is free. A [Book] says the same per unit, and for more than one time.
type Price struct {
	InputPerMillion       decimal.Decimal  // tokens
	OutputPerMillion      decimal.Decimal  // tokens
	CachedInputPerMillion *decimal.Decimal // tokens; nil: as other input
	PerRequest            decimal.Decimal
	PerImage              decimal.Decimal
}

// Usage is what one call used.
type Usage struct {
	InputTokens  int64 // all of the input, cached included
	CachedTokens int64
	OutputTokens int64
	Images       int64
	Cost         *decimal.Decimal // USD, where the upstream tells it; it then counts alone

	// What is counted and not charged, see [UsageEvent]; each is left out where it is not known.
	Endpoint string
	Method   string
	Status   int
	Latency  time.Duration
	TTFT     time.Duration
}

// maxUnits bounds what one call can have used; more is a mistake upstream.
const maxUnits = 1 << 50

// Validate names what cannot be: a negative number would give money back (billing edge 20).
func (u Usage) Validate() error {
	if u.Cost == nil && uint64(u.InputTokens) <= maxUnits && uint64(u.CachedTokens) <= uint64(u.InputTokens) && uint64(u.OutputTokens) <= maxUnits && uint64(u.Images) <= maxUnits {
		return nil
	}
	return u.invalid()
}

func (u Usage) invalid() error {
	for _, f := range []struct {
		name string
		n    int64
	}{{"input_tokens", u.InputTokens}, {"cached_tokens", u.CachedTokens}, {"output_tokens", u.OutputTokens}, {"images", u.Images}} {
		if f.n < 0 || f.n > maxUnits {
			return store.Invalid(f.name, "range", "must be from 0 to 2^50")
		}
	}
	if u.CachedTokens > u.InputTokens {
		return store.Invalid("cached_tokens", "range", "must not be more than input_tokens")
	}
	if u.Cost != nil {
		return checkAmount("cost", *u.Cost)
	}
	return nil
}

// Components are the price of each unit.
func (p Price) Components() []Component {
	c := []Component{{InputToken, p.InputPerMillion.Shift(-6)}, {OutputToken, p.OutputPerMillion.Shift(-6)}, {Image, p.PerImage}, {Request, p.PerRequest}}
	if p.CachedInputPerMillion != nil {
		c = append(c, Component{CachedInputToken, p.CachedInputPerMillion.Shift(-6)})
	}
	return c
}

// Cost is the exact price of the usage in USD.
func (p Price) Cost(u Usage) decimal.Decimal {
	cached := p.InputPerMillion
	if p.CachedInputPerMillion != nil {
		cached = *p.CachedInputPerMillion
	}
	tokens := p.InputPerMillion.Mul(decimal.NewFromInt(u.InputTokens - u.CachedTokens)).
		Add(cached.Mul(decimal.NewFromInt(u.CachedTokens))).
		Add(p.OutputPerMillion.Mul(decimal.NewFromInt(u.OutputTokens))).
		Shift(-6)
	return tokens.Add(p.PerRequest).Add(p.PerImage.Mul(decimal.NewFromInt(u.Images)))
}

// Ceil12 rounds up to the 12 places in which amounts are kept, so that what is enforced is never
// less than what is due.
func Ceil12(d decimal.Decimal) decimal.Decimal { return d.RoundCeil(12) }
