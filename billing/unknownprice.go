package billing

import (
	"slices"

	"github.com/shopspring/decimal"

	"github.com/orgkit/orgkit/store"
)

// UnknownPrice says what a budget does with a call of which no price is known (billing edge 26).
type UnknownPrice string

// The policies. "" is RejectUnknown for hard budgets and AllowUnknown for soft ones.
const (
	RejectUnknown  UnknownPrice = "reject"          // the call is refused
	ReserveMinimum UnknownPrice = "reserve_minimum" // the budget's minimum is held, and charged unless the upstream tells the cost
	AllowUnknown   UnknownPrice = "allow_and_flag"  // nothing is held: of soft budgets only
)

// checkUnknown names what is wrong with the policy. A hard budget that lets pass what nobody counts
// would be none.
func (b Budget) checkUnknown() error {
	switch {
	case !slices.Contains([]UnknownPrice{"", RejectUnknown, ReserveMinimum, AllowUnknown}, b.UnknownPrice):
		return store.Invalid("unknown_price", "enum", "must be reject, reserve_minimum or allow_and_flag")
	case b.Hard && b.UnknownPrice == AllowUnknown:
		return store.Invalid("unknown_price", "range", "must not be allow_and_flag where the budget is hard")
	case (b.UnknownPrice == ReserveMinimum) != (b.UnknownMinimum != nil):
		return store.Invalid("unknown_minimum", "required", "is required for reserve_minimum, and for nothing else")
	case b.UnknownMinimum == nil:
		return nil
	}
	if err := checkAmount("unknown_minimum", *b.UnknownMinimum); err != nil {
		return err
	}
	if b.UnknownMinimum.IsZero() {
		return store.Invalid("unknown_minimum", "range", "must be above 0")
	}
	return nil
}

// rejectsUnknown says whether the budget refuses calls of which no price is known.
func (b Budget) rejectsUnknown() bool {
	return b.UnknownPrice == RejectUnknown || b.UnknownPrice == "" && b.Hard
}

// minimum is what a call of which no price is known holds of every budget on its path: the largest
// minimum of them.
func minimum(path []Budget) (most decimal.Decimal) {
	for _, b := range path {
		if b.UnknownMinimum != nil {
			most = decimal.Max(most, *b.UnknownMinimum)
		}
	}
	return Ceil12(most)
}
