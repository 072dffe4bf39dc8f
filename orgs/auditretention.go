package orgs

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/orgkit/orgkit/audit"
	"github.com/orgkit/orgkit/rbac"
	"github.com/orgkit/orgkit/store"
)

// errNothingOld ends a change where there is nothing to prune.
var errNothingOld = errors.New("nothing to prune")

// EnforceAuditRetention prunes the events that organizations need not keep any longer, each time with an event that says
// so, and says how many. What a destination has not got yet is kept, unless the configuration says otherwise. Where there
// is a key it signs what no checkpoint covers. An organization that fails does not keep the others waiting. It is the
// platform's, to be called now and then, and not inside of a unit.
func (m *Manager) EnforceAuditRetention(ctx context.Context) (pruned int64, err error) {
	var orgIDs []string
	err = m.Read(ctx, rbac.Op{Action: "audit.prune"}, func(ctx context.Context, tx *store.Tx) error {
		orgIDs = nil
		for o, err := range organizations.All(ctx, tx, store.Query{}) {
			if err != nil {
				return err
			}
			orgIDs = append(orgIDs, o.ID)
		}
		return nil
	})
	if err != nil {
		return 0, err
	}
	ctx = audit.WithActor(ctx, audit.System("retention"))
	var failed []error
	for _, id := range orgIDs {
		n, err := m.enforceRetention(ctx, id)
		pruned += n
		if err == nil { // of a process that ended in between nobody else has signed
			if _, err = m.Audit().Checkpoint(ctx, id); errors.Is(err, audit.ErrNoSigner) || errors.Is(err, store.ErrNotFound) {
				err = nil
			}
		}
		if err != nil {
			failed = append(failed, fmt.Errorf("retention of %s: %w", id, err))
		}
		if ctx.Err() != nil {
			break
		}
	}
	return pruned, errors.Join(failed...)
}

// auditCut is where the log of an organization may be pruned.
func auditCut(ctx context.Context, tx *store.Tx, orgID string) (cut audit.Cut, err error) {
	c, err := auditConfig(ctx, tx, orgID)
	if err != nil {
		return cut, err
	}
	cut.Undelivered = c.PruneUndelivered
	cut.Before, err = audit.KeptFrom(ctx, tx, c)
	return cut, err
}

func (m *Manager) enforceRetention(ctx context.Context, orgID string) (n int64, err error) {
	var cut audit.Cut
	err = m.store.View(ctx, func(ctx context.Context, tx *store.Tx) error {
		cut, err = auditCut(ctx, tx, orgID)
		return err
	})
	if err != nil {
		return 0, err
	}
	old, err := m.Audit().List(ctx, orgID, audit.Filter{End: cut.Before.Add(-time.Microsecond), Ascending: true, Limit: 1})
	if err != nil || len(old.Items) == 0 {
		return 0, err
	}
	op := rbac.Op{Action: "audit.prune", OrgID: orgID, Platform: true, Gone: true}
	err = m.Change(ctx, op, func(ctx context.Context, tx *store.Tx) (change audit.Change, err error) {
		cut, err := auditCut(ctx, tx, orgID) // it is locked now: a hold may have come
		if err != nil {
			return change, err
		}
		if change, n, err = m.Audit().Prune(ctx, tx, orgID, cut); err == nil && n == 0 {
			err = errNothingOld
		}
		return change, err
	})
	if err != nil && !errors.Is(err, errNothingOld) {
		return 0, err
	}
	_, err = m.Audit().Shrink(ctx, orgID) // also what an earlier call has left
	return n, err
}
