package billing

import (
	"context"
	"time"

	"github.com/shopspring/decimal"

	"github.com/orgkit/orgkit/store"
)

// level is how much there was of a resource from a time on.
type level struct {
	OrgID    string `store:"word"`
	Unit     string `store:"word"`
	Resource string
	At       time.Time
	Source   string
	ID       string
	Quantity int64 // 1e-9
}

var levels = store.DefineLog[level]("usage_levels", []string{"org_id", "unit", "resource", "at", "source", "id"})

func levelOf(e *UsageEvent) (level, error) {
	n, err := e.quantity()
	return level{e.OrgID, e.Unit, e.Resource, e.Time.UTC().Truncate(time.Microsecond), e.Source, e.ID, n}, err
}

func keepLevels(ctx context.Context, tx *store.Tx, readings []level) error {
	_, err := levels.AppendMany(ctx, tx, readings)
	return err
}

// stored is the sum of the last quantities of all resources that were told within a time; of two that were told for one
// instant that of the greater identity counts.
func stored(ctx context.Context, tx *store.Tx, orgID, unit string, from, below time.Time) (decimal.Decimal, error) {
	var total int64
	for next := (store.Range{Equal: []any{orgID, unit}, Limit: 1}); ; {
		first, err := levels.Scan(ctx, tx, next)
		if err != nil || len(first) == 0 {
			return decimal.New(total, -quantityPlaces), err
		}
		resource := first[0].Resource
		last, err := levels.Scan(ctx, tx, store.Range{Equal: []any{orgID, unit, resource}, From: from, Below: below, Desc: true, Limit: 1})
		if err != nil {
			return decimal.Zero, err
		}
		if len(last) > 0 {
			total += last[0].Quantity
		}
		next.From = resource + "\x01" // no resource has control characters
	}
}
