package opengatellm

import (
	"context"
	"errors"

	"github.com/shopspring/decimal"

	"github.com/orgkit/orgkit/billing"
	"github.com/orgkit/orgkit/store"
)

// purse is the budget of a person in all organizations that has no period: what this API calls their budget.
func purse(userID string) billing.Budget {
	return billing.Budget{Scope: billing.ScopeUser, ScopeID: userID, Name: "balance", Window: billing.Lifetime, Hard: true}
}

// balance is what a person has left; nil is no limit.
func (a *api) balance(ctx context.Context, userID string) (*decimal.Decimal, error) {
	b, err := a.purseOf(ctx, userID)
	if errors.Is(err, store.ErrNotFound) {
		return nil, nil
	} else if err != nil {
		return nil, err
	}
	s, err := a.Budget(ctx, "", b.ID)
	return &s.Remaining, err
}

func (a *api) purseOf(ctx context.Context, userID string) (b billing.Budget, err error) {
	err = a.View(ctx, func(ctx context.Context, tx *store.Tx) error {
		b, err = billing.Budgets.Find(ctx, tx, store.Eq("org_id", ""), store.Eq("scope", billing.ScopeUser), store.Eq("scope_id", userID),
			store.Eq("team_id", ""), store.Eq("name", purse(userID).Name))
		return err
	})
	return b, err
}

// setBalance gives a person so much from now on, or, with nil, no limit.
func (a *api) setBalance(ctx context.Context, userID string, left *decimal.Decimal) error {
	if left != nil {
		_, err := a.SetBalance(ctx, purse(userID), *left)
		return err
	}
	b, err := a.purseOf(ctx, userID)
	if err == nil {
		_, err = a.DeleteBudget(ctx, "", b.ID)
	}
	if errors.Is(err, store.ErrNotFound) {
		return nil
	}
	return err
}
