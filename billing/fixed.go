package billing

import (
	"errors"
	"math"
	"math/big"
	"math/bits"

	"github.com/shopspring/decimal"

	"github.com/orgkit/orgkit/store"
)

// Pico is an amount in units of 1e-12 USD, for where decimals are too slow: up to 9.22 million USD
// either way. Adding and comparing one takes less than a nanosecond and no allocation; a decimal takes
// a hundred and two.
type Pico int64

// Femto is a price in units of 1e-15 USD for one unit of what is sold, such as a token: up to 9,223
// USD. Prices of tokens have up to 13 decimals, those of pixels 15.
type Femto int64

// ErrRange: an amount or price does not fit into its fixed-point form, or is negative where none may
// be. What it belongs to is computed in decimals, or refused.
var ErrRange = errors.New("amount is out of range")

// ErrInexact: a price has more than 15 decimals.
var ErrInexact = errors.New("price has more than 15 decimals")

// What a decimal may look like before anything is computed with it: 1e1000000000 is ten bytes and a
// gigabyte of digits (billing edge 20). The decimals of any float64 fit.
const (
	maxWhole  = 18  // digits before the point, as in rbac.ParseAmount
	maxPlaces = 400 // digits after the point
)

// bounded says whether computing with d is cheap. It computes nothing itself.
func bounded(d decimal.Decimal) bool {
	e := int64(d.Exponent())
	return e <= maxWhole && e >= -maxPlaces && int64(d.NumDigits())+e <= maxWhole
}

// checkAmount names the field of an amount that is negative or out of all bounds.
func checkAmount(field string, d decimal.Decimal) error {
	if !bounded(d) {
		return store.Invalid(field, "range", "must have at most %d digits before and %d after the point", maxWhole, maxPlaces)
	}
	if d.IsNegative() {
		return store.Invalid(field, "range", "must not be negative")
	}
	return nil
}

var powers = func() (p [19]uint64) {
	for i, n := 0, uint64(1); i < len(p); i, n = i+1, n*10 {
		p[i] = n
	}
	return p
}()

// scale returns d times 10^places without its decimals, and whether it had any. A negative d is
// ErrRange, as is one that does not fit.
func scale(d decimal.Decimal, places int32) (n int64, rest bool, err error) {
	if !bounded(d) || d.IsNegative() {
		return 0, false, ErrRange
	}
	if d.NumDigits() > 18 {
		return scaleWide(d, places)
	}
	c, shift := uint64(d.CoefficientInt64()), int(d.Exponent()+places)
	switch {
	case c == 0:
		return 0, false, nil
	case shift >= len(powers):
		return 0, false, ErrRange
	case shift >= 0:
		hi, lo := bits.Mul64(c, powers[shift])
		if hi != 0 || lo > math.MaxInt64 {
			return 0, false, ErrRange
		}
		return int64(lo), false, nil
	case -shift >= len(powers):
		return 0, true, nil
	}
	return int64(c / powers[-shift]), c%powers[-shift] != 0, nil
}

// scaleWide is scale for coefficients that an int64 may not hold.
func scaleWide(d decimal.Decimal, places int32) (n int64, rest bool, err error) {
	d = d.Shift(places)
	whole := d.Truncate(0)
	b := whole.BigInt()
	if !b.IsInt64() {
		return 0, false, ErrRange
	}
	return b.Int64(), !whole.Equal(d), nil
}

// CeilPico rounds an amount up: for what is enforced, so that rounding never admits too much. A
// negative amount, or one above 9.22 million USD, is [ErrRange].
func CeilPico(d decimal.Decimal) (Pico, error) {
	n, rest, err := scale(d, 12)
	if rest && err == nil {
		return Pico(n).Add(1)
	}
	return Pico(n), err
}

// FloorPico rounds an amount down: for what is left. Its errors are those of [CeilPico].
func FloorPico(d decimal.Decimal) (Pico, error) {
	n, _, err := scale(d, 12)
	return Pico(n), err
}

// ExactFemto returns a price, or [ErrInexact] for one of more than 15 decimals. A negative price, or one
// above 9,223 USD, is [ErrRange].
func ExactFemto(d decimal.Decimal) (Femto, error) {
	n, rest, err := scale(d, 15)
	if rest && err == nil {
		return 0, ErrInexact
	}
	return Femto(n), err
}

// Decimal is the same amount in USD.
func (p Pico) Decimal() decimal.Decimal { return decimal.New(int64(p), -12) }

// String is the amount in USD as a plain decimal.
func (p Pico) String() string { return p.Decimal().String() }

// Add returns p + q, or [ErrRange] (billing edge 21).
func (p Pico) Add(q Pico) (Pico, error) {
	if total := p + q; (p^total)&(q^total) >= 0 { // not both of the other sign
		return total, nil
	}
	return 0, ErrRange
}

// Sub returns p - q, or [ErrRange].
func (p Pico) Sub(q Pico) (Pico, error) {
	if left := p - q; (p^q)&(p^left) >= 0 {
		return left, nil
	}
	return 0, ErrRange
}

// Mul returns p * n, or [ErrRange].
func (p Pico) Mul(n int64) (Pico, error) {
	hi, lo := bits.Mul64(magnitude(int64(p)), magnitude(n))
	limit := uint64(math.MaxInt64)
	negative := (p < 0) != (n < 0)
	if negative {
		limit++
	}
	if hi != 0 || lo > limit {
		return 0, ErrRange
	}
	if negative {
		return Pico(-lo), nil
	}
	return Pico(lo), nil
}

func magnitude(n int64) uint64 {
	if n < 0 {
		return -uint64(n)
	}
	return uint64(n)
}

// Decimal is the same price in USD.
func (f Femto) Decimal() decimal.Decimal { return decimal.New(int64(f), -15) }

// String is the price in USD as a plain decimal.
func (f Femto) String() string { return f.Decimal().String() }

// Cost is the price of n units, rounded up. A negative price or number, or a cost above 9.22 million
// USD, is [ErrRange].
func (f Femto) Cost(n int64) (Pico, error) {
	if f < 0 || n < 0 {
		return 0, ErrRange
	}
	hi, lo := bits.Mul64(uint64(f), uint64(n))
	return sum{hi, lo}.ceil()
}

// sum is an exact sum of costs in femto-USD, of 128 bits: no sum of what [Usage.Validate] lets pass
// overflows it.
type sum struct{ hi, lo uint64 }

// add adds the price of n units; neither is negative.
func (s sum) add(f Femto, n int64) sum {
	hi, lo := bits.Mul64(uint64(f), uint64(n))
	var carry uint64
	s.lo, carry = bits.Add64(s.lo, lo, 0)
	s.hi, _ = bits.Add64(s.hi, hi, carry)
	return s
}

// ceil is the sum in pico-USD, rounded up.
func (s sum) ceil() (Pico, error) {
	lo, carry := bits.Add64(s.lo, 999, 0)
	hi := s.hi + carry
	if hi == 0 { // a division by what the compiler knows is a multiplication
		return Pico(lo / 1000), nil
	}
	if hi >= 500 { // 500 * 2^64 is 1000 * 2^63: the quotient has more than 63 bits
		return 0, ErrRange
	}
	q, _ := bits.Div64(hi, lo, 1000)
	return Pico(q), nil
}

// exact is the sum in USD.
func (s sum) exact() decimal.Decimal {
	if s.hi == 0 && s.lo <= math.MaxInt64 {
		return decimal.New(int64(s.lo), -15)
	}
	b := new(big.Int).SetUint64(s.hi)
	b.Lsh(b, 64).Add(b, new(big.Int).SetUint64(s.lo))
	return decimal.NewFromBigInt(b, -15)
}

// more is how many units at that price fit beside the sum into what remains, up to maxUnits. It is
// [ErrExceeded] when the sum alone does not fit.
func (s sum) more(remaining Pico, price Femto) (int64, error) {
	if remaining < 0 {
		return 0, ErrExceeded
	}
	hi, lo := bits.Mul64(uint64(remaining), 1000)
	lo, borrow := bits.Sub64(lo, s.lo, 0)
	hi, borrow = bits.Sub64(hi, s.hi, borrow)
	switch {
	case borrow != 0:
		return 0, ErrExceeded
	case hi >= uint64(price): // 2^64 units and more, or a price of 0
		return maxUnits, nil
	}
	n, _ := bits.Div64(hi, lo, uint64(price))
	return int64(min(n, maxUnits)), nil
}
