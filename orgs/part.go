package orgs

import (
	"context"

	"github.com/orgkit/orgkit/billing"
	"github.com/orgkit/orgkit/rbac"
	"github.com/orgkit/orgkit/store"
)

// PartFilter says which teams or projects of an organization to list; what is empty does not matter.
type PartFilter struct {
	Slug   string
	Status rbac.State // active or archived
	Limit  int
	After  string
}

// partsOf resolves the organization whose teams or projects are to be listed.
func (m *Manager) partsOf(ctx context.Context, org string, f PartFilter) (orgID string, err error) {
	if orgID, err = m.OrgID(ctx, org); err != nil {
		return "", err
	}
	return orgID, oneOf("status", string(f.Status), "", string(rbac.Active), string(rbac.Archived))
}

// query names them by their slugs: all, or those in which the actor is a member.
func (f PartFilter) query(ctx context.Context, tx *store.Tx, orgID string, all bool) (store.Query, error) {
	q := store.Query{Where: []store.Cond{store.Eq("org_id", orgID)},
		Order: []store.Order{store.Asc("slug_key")}, Limit: f.Limit, After: f.After}
	if f.Slug != "" {
		q.Where = append(q.Where, store.Eq("slug_key", store.SlugKey(f.Slug)))
	}
	if all {
		return q, nil
	}
	held, err := rbac.Held(ctx, tx, orgID, actor(ctx).Person())
	var own []string
	for _, a := range held {
		own = append(own, a.TeamID)
	}
	q.Where = append(q.Where, store.In("id", own))
	return q, err
}

func (f PartFilter) keeps(state rbac.State) bool { return f.Status == "" || state == f.Status }

// PlaceFigures is what a team or project comes to by others.
type PlaceFigures struct {
	Members int
	Budget  *billing.BudgetState // of its settings; nil when there is none
}

// PlaceFigures of a team or project needs what reading that needs.
func (m *Manager) PlaceFigures(ctx context.Context, at Place) (f PlaceFigures, err error) {
	op := rbac.Op{Action: "teams.read", OrgID: at.OrgID, TeamID: at.TeamID, Answer: at.TeamID}
	if at.IsProject() {
		op.Action = "projects.read"
	}
	if err := m.Flush(ctx); err != nil { // so that what was settled here a moment ago is in the figures
		return f, err
	}
	err = m.Read(ctx, op, func(ctx context.Context, tx *store.Tx) error {
		f, err = m.placeFigures(ctx, tx, at)
		return err
	})
	return f, err
}

func (m *Manager) placeFigures(ctx context.Context, tx *store.Tx, at Place) (f PlaceFigures, err error) {
	f.Members, err = rbac.Assignments.Count(ctx, tx, store.Eq("org_id", at.OrgID), store.Eq("team_id", at.TeamID), store.Eq("kind", rbac.Member))
	if err == nil {
		f.Budget, err = m.State(ctx, tx, at.OrgID, at.budgetScope(), at.TeamID, monthly)
	}
	return f, err
}

// monthly is the name of the budget that settings make.
const monthly = billing.OfSettings

// applyBudget writes the budget that the settings of a team or project ask for.
func (m *Manager) applyBudget(ctx context.Context, tx *store.Tx, at Place, b *BudgetSettings) error {
	if b == nil || b.MonthlyLimit == nil {
		return m.Drop(ctx, tx, at.OrgID, at.budgetScope(), at.TeamID, monthly)
	}
	scope, err := rbac.Scopes.Get(ctx, tx, at.OrgID)
	if err != nil {
		return err
	}
	return m.Put(ctx, tx, &billing.Budget{OrgID: at.OrgID, Scope: at.budgetScope(), ScopeID: at.TeamID, Name: monthly,
		Limit: b.MonthlyLimit.Decimal(), Window: "calendar_month", Zone: scope.Zone,
		Hard: is(b.HardLimit), Rollover: is(b.Rollover), AlertThreshold: b.threshold()})
}

// mayBudget asks for budget.modify where a budget changes.
func (m *Manager) mayBudget(ctx context.Context, tx *store.Tx, at Place, before, after *BudgetSettings) error {
	if before.equal(after) {
		return nil
	}
	return m.Ceiling(ctx, tx, at.handout("settings.budget", "budget.modify"))
}

// endPlace ends everything that belongs to a team or project: its keys, if cascade says so, its pending
// invitations, and all that rbac keeps of it.
func (m *Manager) endPlace(ctx context.Context, tx *store.Tx, at Place, keys []store.Cond, cascade bool) error {
	if !cascade {
		full := &store.ConflictError{Code: "not_empty", Message: "it has keys that work; cascade revokes them"}
		if err := noLiveKeys(ctx, tx, keys, full); err != nil {
			return err
		}
	}
	var live []APIKey
	for k, err := range apiKeys.All(ctx, tx, store.Query{Where: keys}) {
		if err != nil {
			return err
		}
		if k.RevokedAt == nil {
			live = append(live, k)
		}
	}
	for _, k := range live {
		now := tx.Now()
		k.RevokedAt = &now
		if err := k.save(ctx, tx); err != nil {
			return err
		}
	}
	if err := revokePending(ctx, tx, at); err != nil {
		return err
	}
	if err := m.EndApprovals(ctx, tx, at.OrgID, at.TeamID, "", "the place is gone"); err != nil {
		return err
	}
	return rbac.ForgetTeam(ctx, tx, at.OrgID, at.TeamID)
}
