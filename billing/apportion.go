package billing

import (
	"cmp"
	"slices"

	"github.com/shopspring/decimal"
)

// Apportion rounds amounts to so many places so that they add up to their sum, which is rounded half to even: each is
// rounded down, and what is missing goes, one unit each, to those that lost most by it, the first among equals (billing
// edge 23).
func Apportion(amounts []decimal.Decimal, places int32) []decimal.Decimal {
	return apportionTo(decimal.Sum(decimal.Zero, amounts...).RoundBank(places), amounts, places)
}

// apportionTo is Apportion to another total: the sum of the amounts, rounded up or down.
func apportionTo(total decimal.Decimal, amounts []decimal.Decimal, places int32) []decimal.Decimal {
	floors := decimal.Zero
	parts, order := make([]decimal.Decimal, len(amounts)), make([]int, len(amounts))
	for i, a := range amounts {
		parts[i], order[i] = a.RoundFloor(places), i
		floors = floors.Add(parts[i])
	}
	slices.SortStableFunc(order, func(i, j int) int { return amounts[j].Sub(parts[j]).Cmp(amounts[i].Sub(parts[i])) })
	missing := total.Sub(floors).Shift(places).IntPart() // from 0 to their number
	unit := decimal.New(1, -places)
	for _, i := range order[:min(max(missing, 0), int64(len(order)))] {
		parts[i] = parts[i].Add(unit)
	}
	return parts
}

// shares are the parts of whole numbers in their sum, with at most six places, which add up to 1 exactly; of nothing all
// are 0.
func shares(amounts []decimal.Decimal) []decimal.Decimal {
	total := decimal.Sum(decimal.Zero, amounts...)
	out := make([]decimal.Decimal, len(amounts))
	if !total.IsPositive() {
		return out
	}
	const places = 6
	floors := decimal.Zero
	order, lost := make([]int, len(amounts)), make([]decimal.Decimal, len(amounts))
	for i, a := range amounts {
		// Without a division that would have to be cut: a·10^6 = q·total + rest.
		q, rest := a.Shift(places).QuoRem(total, 0)
		if rest.IsNegative() {
			q, rest = q.Sub(decimal.NewFromInt(1)), rest.Add(total)
		}
		out[i], lost[i], order[i] = q.Shift(-places), rest, i
		floors = floors.Add(out[i])
	}
	slices.SortStableFunc(order, func(i, j int) int { return cmp.Or(lost[j].Cmp(lost[i]), cmp.Compare(i, j)) })
	missing := decimal.NewFromInt(1).Sub(floors).Shift(places).IntPart()
	for _, i := range order[:missing] {
		out[i] = out[i].Add(decimal.New(1, -places))
	}
	return out
}
