package billing

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/orgkit/orgkit/audit"
	"github.com/orgkit/orgkit/rbac"
	"github.com/orgkit/orgkit/store"
)

// Each as the scope id of a budget of keys, members or users means every one of them, by default: who has no budget of that
// scope, team and name gets one like it with the first call, before anything is admitted. From then on it is a budget like any
// other: what becomes of the default changes it no more.
const Each = "*"

// defaults are the budgets that budgets of Each call for, of those which may lie on the path, and that are not there.
func (p Path) defaults(found, path []Budget) (missing []Budget) {
	for _, b := range found {
		if b.ScopeID != Each {
			continue
		}
		if b.ScopeID = p.UserID; b.Scope == ScopeKey {
			b.ScopeID = p.KeyID
		}
		if b.Scope == ScopeKey && b.OrgID != p.OrgID || !p.has(b, nil) {
			continue
		}
		b.Meta = store.Meta{}
		is := func(other Budget) bool {
			return other.OrgID == b.OrgID && other.Scope == b.Scope && other.TeamID == b.TeamID && other.Name == b.Name
		}
		if !slices.ContainsFunc(path, is) {
			missing = append(missing, b)
		}
	}
	return missing
}

// settleIn makes the budgets that are missing on a path, in the unit (billing edge 43). Of those who do so at once one is
// first; the units of the others begin again. No mark is raised: no path that they lie on has been found without them.
func (l *Ledger) settleIn(ctx context.Context, tx *store.Tx, p Path) error {
	_, missing, _, err := p.resolve(ctx, tx)
	if err != nil {
		return err
	}
	ctx = audit.WithActor(ctx, audit.System("ledger"))
	for _, b := range missing {
		err := l.guard.Change(ctx, rbac.Op{Action: modifyBudget, OrgID: b.OrgID}, func(ctx context.Context, tx *store.Tx) (audit.Change, error) {
			b.Meta, b.Anchor = store.Meta{}, tx.Now()
			err := Budgets.Insert(ctx, tx, &b)
			if errors.Is(err, store.ErrExists) {
				err = fmt.Errorf("%w: somebody has made the budget", store.ErrTransient)
			}
			return audit.Created(&b).As("budget.updated").In(b.TeamID), err
		})
		if err != nil {
			return err
		}
	}
	return nil
}
