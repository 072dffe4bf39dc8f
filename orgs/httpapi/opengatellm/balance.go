package opengatellm

import (
	"context"
	"errors"

	"github.com/shopspring/decimal"

	"github.com/orgkit/orgkit/billing"
	"github.com/orgkit/orgkit/orgs"
	"github.com/orgkit/orgkit/store"
)

// purse is the budget of a person in all organizations that has no period: what this API calls their budget.
func purse(userID string) billing.Budget {
	return billing.Budget{Scope: billing.ScopeUser, ScopeID: userID, Name: "balance", Window: billing.Lifetime, Hard: true}
}

// projectPurse is that of a project.
func projectPurse(p orgs.Project) billing.Budget {
	return billing.Budget{OrgID: p.OrgID, Scope: billing.ScopeProject, ScopeID: p.ID, Name: "balance", Window: billing.Lifetime, Hard: true}
}

// balance is what is left of a purse; nil is no limit.
func (a *api) balance(ctx context.Context, of billing.Budget) (*decimal.Decimal, error) {
	b, err := a.purseOf(ctx, of)
	if errors.Is(err, store.ErrNotFound) {
		return nil, nil
	} else if err != nil {
		return nil, err
	}
	s, err := a.Budget(sovereign(ctx), of.OrgID, b.ID)
	return &s.Remaining, err
}

func (a *api) purseOf(ctx context.Context, of billing.Budget) (b billing.Budget, err error) {
	err = a.View(ctx, func(ctx context.Context, tx *store.Tx) error {
		b, err = billing.Budgets.Find(ctx, tx, store.Eq("org_id", of.OrgID), store.Eq("scope", of.Scope), store.Eq("scope_id", of.ScopeID),
			store.Eq("team_id", ""), store.Eq("name", of.Name))
		return err
	})
	return b, err
}

// setBalance gives a purse so much from now on, or, with nil, no limit.
func (a *api) setBalance(ctx context.Context, of billing.Budget, left *decimal.Decimal) error {
	if left != nil {
		_, err := a.SetBalance(ctx, of, *left)
		return err
	}
	b, err := a.purseOf(ctx, of)
	if err == nil {
		_, err = a.DeleteBudget(ctx, of.OrgID, b.ID)
	}
	if errors.Is(err, store.ErrNotFound) {
		return nil
	}
	return err
}
