package billing

import (
	"context"
	"time"

	"github.com/shopspring/decimal"

	"github.com/orgkit/orgkit/store"
)

// LimitOverride is another limit of a budget for some periods, more or less than its own, beginning with the one that runs when
// the budget is made or replaced. It is gone by arithmetic when they are over (billing edge 42).
type LimitOverride struct {
	Limit   decimal.Decimal `json:"limit"` // USD
	Periods int             `json:"periods"`
	EndsAt  time.Time       `json:"ends_at"` // when the last of them ends; the ledger says it
}

// MaxLimitOverride is the most periods of an [LimitOverride].
const MaxLimitOverride = 1000

func (b Budget) checkLimitOverride() error {
	switch o := b.LimitOverride; {
	case o == nil:
		return nil
	case b.Window == Lifetime:
		return store.Invalid("limit_override", "range", "there is no next period of a lifetime")
	case o.Periods < 1 || o.Periods > MaxLimitOverride:
		return store.Invalid("limit_override.periods", "range", "must be from 1 to %d", MaxLimitOverride)
	default:
		return checkAmount("limit_override.limit", o.Limit)
	}
}

// begin has the override of a budget begin with the period that runs.
func (b *Budget) begin(ctx context.Context, tx *store.Tx) error {
	if b.LimitOverride == nil {
		return nil
	}
	_, end, err := b.running(ctx, tx)
	for range b.LimitOverride.Periods - 1 {
		if err == nil {
			_, end, err = b.period(end)
		}
	}
	o := *b.LimitOverride // the caller may have it elsewhere
	o.EndsAt = end
	b.LimitOverride = &o
	return err
}

// limitAt is the limit of the period that begins then.
func (b Budget) limitAt(start time.Time) decimal.Decimal {
	if o := b.LimitOverride; o != nil && start.Before(o.EndsAt) {
		return o.Limit.RoundFloor(12)
	}
	return b.Limit.RoundFloor(12)
}
