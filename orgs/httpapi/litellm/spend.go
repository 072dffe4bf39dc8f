package litellm

import (
	"context"
	"errors"
	"time"

	"github.com/shopspring/decimal"

	"github.com/orgkit/orgkit/billing"
	"github.com/orgkit/orgkit/rbac"
	"github.com/orgkit/orgkit/store"
)

// ruling says whether the caller is an administrator of the organization.
func (c *call) ruling(orgID string) bool {
	if is, known := c.rules[orgID]; known {
		return is
	}
	role, err := c.roleIn(orgID)
	if c.rules == nil {
		c.rules = map[string]bool{}
	}
	c.rules[orgID] = err == nil && role == rbac.OwnerRole
	return c.rules[orgID]
}

// sums are what an organization's teams, users, keys or models have spent since then, or ever, as far as the caller may see that.
func (c *call) sums(ctx context.Context, orgID, by string, since time.Time) (map[string]decimal.Decimal, error) {
	key := orgID + " " + by + " " + since.String()
	if known, is := c.spent[key]; is {
		return known, nil
	}
	spent, err := c.svc.Spending(ctx, orgID, by, since)
	var denied *rbac.Denied
	if errors.As(err, &denied) || errors.Is(err, store.ErrNotFound) {
		spent, err = nil, nil
	}
	if err == nil {
		if c.spent == nil {
			c.spent = map[string]map[string]decimal.Decimal{}
		}
		c.spent[key] = spent
	}
	return spent, err
}

// memberMoney is what members may spend, and have spent.
type memberMoney struct {
	budgets map[string]billing.BudgetState
	spent   map[string]decimal.Decimal
}

// memberBudgets are those of the members of an organization, by their users, as far as the caller may see them.
func (c *call) memberBudgets(orgID string) (m memberMoney, err error) {
	if m.spent, err = c.sums(c.ctx(), orgID, "user", time.Time{}); err != nil || !c.admin() && !c.ruling(orgID) {
		return m, err
	}
	m.budgets, err = c.memberBudgetsIn(c.ctx(), orgID)
	return m, err
}

// memberBudgetsIn are those of all members, in the unit of the caller, who may have them.
func (c *call) memberBudgetsIn(ctx context.Context, orgID string) (map[string]billing.BudgetState, error) {
	states, err := c.svc.Overview(ctx, orgID)
	if err != nil {
		return nil, err
	}
	by := map[string]billing.BudgetState{}
	for _, s := range states {
		if b := s.Budget; b.Scope == billing.ScopeMember && b.TeamID == "" && b.Name == "" && b.ScopeID != billing.Each {
			by[b.ScopeID] = s
		}
	}
	return by, nil
}
