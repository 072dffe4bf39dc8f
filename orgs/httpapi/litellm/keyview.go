package litellm

import (
	"errors"
	"time"

	"github.com/shopspring/decimal"

	"github.com/orgkit/orgkit/billing"
	"github.com/orgkit/orgkit/orgs"
	"github.com/orgkit/orgkit/rbac"
	"github.com/orgkit/orgkit/store"
)

// keyRow is a key.
type keyRow struct {
	TokenID        string   `json:"token_id"`
	Name           string   `json:"key_name"`
	Alias          *string  `json:"key_alias"`
	Models         []string `json:"models"`
	Spend          usd      `json:"spend"`
	Expires        *stamp   `json:"expires"`
	UserID         *string  `json:"user_id"`
	TeamID         *string  `json:"team_id"`
	OrganizationID string   `json:"organization_id"`
	MaxBudget      *usd     `json:"max_budget"`
	SoftBudget     *usd     `json:"soft_budget"`
	Duration       *string  `json:"budget_duration"`
	ResetAt        *stamp   `json:"budget_reset_at"`
	BudgetID       *string  `json:"budget_id"`
	Budget         any      `json:"litellm_budget_table"`
	TPM            *int64   `json:"tpm_limit"`
	RPM            *int64   `json:"rpm_limit"`
	MaxParallel    *int64   `json:"max_parallel_requests"`
	Metadata       raw      `json:"metadata"`
	Blocked        bool     `json:"blocked"`
	Status         string   `json:"status"`
	CreatedAt      stamp    `json:"created_at"`
	UpdatedAt      stamp    `json:"updated_at"`
	CreatedBy      string   `json:"created_by"`
}

// newKeyRow is a key that was just made, with its secret.
type newKeyRow struct {
	Key   string `json:"key"`
	Token string `json:"token"`
	keyRow
}

// keyRow is a key without what it may spend, and has spent.
func (c *call) keyRow(k orgs.APIKey) (keyRow, error) {
	o, err := c.svc.Organization(c.ctx(), k.OrgID)
	if err != nil {
		return keyRow{}, err
	}
	row := keyRow{TokenID: k.Hash, Name: "sk-..." + k.Last4, Alias: optional(k.Name), Models: []string{}, Spend: zero, UserID: optional(k.UserID), TeamID: optional(k.TeamID),
		OrganizationID: o.PublicID(), Metadata: k.Metadata, Blocked: k.Disabled, Status: string(k.StatusAt(c.now())), CreatedAt: stamp(k.CreatedAt), UpdatedAt: stamp(k.UpdatedAt), CreatedBy: masterUser}
	if k.RevokedAt != nil {
		row.Status = "deleted"
	}
	if k.ExpiresAt != nil {
		row.Expires = stamped(*k.ExpiresAt)
	}
	if k.CreatedBy != "" {
		row.CreatedBy = k.CreatedBy
	}
	for _, of := range []*string{row.UserID, &row.CreatedBy} {
		if of == nil || *of == masterUser {
			continue
		}
		if ms, err := c.svc.Member(c.ctx(), orgs.Place{OrgID: k.OrgID}, *of); err == nil {
			*of = ms.User.PublicID()
		}
	}
	if k.TeamID != "" {
		if t, err := c.svc.Team(c.ctx(), k.TeamID); err == nil {
			id := t.PublicID()
			row.TeamID = &id
		}
	}
	return row, nil
}

// keyMoney is what keys of an organization may spend, and have spent, by their ids.
type keyMoney struct {
	spent   map[string]decimal.Decimal
	budgets map[string]billing.BudgetState
	rates   map[string]billing.RateLimit
}

// keyMoneyOf is that of all keys, as far as the caller may see it.
func (c *call) keyMoneyOf(orgID string) (m keyMoney, err error) {
	m = keyMoney{budgets: map[string]billing.BudgetState{}, rates: map[string]billing.RateLimit{}}
	if m.spent, err = c.sums(c.ctx(), orgID, "key", time.Time{}); err != nil || !c.admin() && !c.ruling(orgID) {
		return m, err
	}
	states, err := c.svc.Overview(c.ctx(), orgID)
	if err != nil {
		return m, err
	}
	for _, s := range states {
		if b := s.Budget; b.Scope == billing.ScopeKey && b.Name == "" {
			m.budgets[b.ScopeID] = s
		}
	}
	for after := ""; ; {
		page, err := c.svc.RateLimits(c.ctx(), orgID, 0, after)
		if err != nil {
			return m, err
		}
		for _, s := range page.Items {
			if r := s.RateLimit; r.Scope == billing.ScopeKey && r.Name == "" && r.Model == "*" {
				m.rates[r.ScopeID] = r
			}
		}
		if after = page.Next; after == "" {
			return m, nil
		}
	}
}

// keyRows are keys with what they may spend, and have spent, to who may see that.
func (c *call) keyRows(keys ...orgs.APIKey) ([]keyRow, error) {
	rows, of := []keyRow{}, map[string]keyMoney{}
	for _, k := range keys {
		row, err := c.keyRow(k)
		if err != nil {
			return nil, err
		}
		if _, known := of[k.OrgID]; !known {
			if of[k.OrgID], err = c.keyMoneyOf(k.OrgID); err != nil {
				return nil, err
			}
		}
		money := of[k.OrgID]
		row.Spend = usd(money.spent[k.ID])
		if s, some := money.budgets[k.ID]; some {
			b := s.Budget
			row.Spend, row.SoftBudget, row.Duration, row.ResetAt, row.BudgetID = usd(s.Spent), dollars(b.SoftLimit), written(b.Window), stamped(s.PeriodEnd), &b.ID
			if b.Hard {
				row.MaxBudget = dollars(&b.Limit)
			}
			row.Budget = budgetRow{ID: b.ID, MaxBudget: row.MaxBudget, SoftBudget: row.SoftBudget, Duration: row.Duration, ResetAt: row.ResetAt}
		}
		if r, some := money.rates[k.ID]; some {
			row.TPM, row.RPM, row.MaxParallel = r.TokensPerMinute, r.RequestsPerMinute, r.MaxParallelRequests
		}
		rows = append(rows, row)
	}
	return rows, nil
}

// keysIn are the keys of a place that the caller may see, of one person or of all; those that were deleted are none.
func (c *call) keysIn(at orgs.Place, user string) (keys []orgs.APIKey, err error) {
	for after := ""; ; {
		page, err := c.svc.APIKeys(c.ctx(), at, orgs.KeyFilter{User: user, After: after})
		var denied *rbac.Denied
		if errors.As(err, &denied) || errors.Is(err, store.ErrNotFound) {
			return keys, nil
		} else if err != nil {
			return nil, err
		}
		for _, k := range page.Items {
			if k.RevokedAt == nil {
				keys = append(keys, k)
			}
		}
		if after = page.Next; after == "" {
			return keys, nil
		}
	}
}
