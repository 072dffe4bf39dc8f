package orgs

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/orgkit/orgkit/audit"
	"github.com/orgkit/orgkit/rbac"
	"github.com/orgkit/orgkit/store"
)

// DeleteAllowance deletes an allowance; only the platform can. One that an organization has is a *store.ConflictError
// in_use with the id of that; deleted organizations lose it.
func (m *Manager) DeleteAllowance(ctx context.Context, id string) (a Allowance, err error) {
	err = m.Change(ctx, rbac.Op{Action: "allowances.delete", Resource: "allowance:" + id}, func(ctx context.Context, tx *store.Tx) (audit.Change, error) {
		if a, err = allowances.Lock(ctx, tx, id); err != nil {
			return audit.Change{}, err
		}
		owners, err := owning(ctx, tx, id)
		if err != nil {
			return audit.Change{}, err
		}
		for _, o := range owners {
			if o.DeletedAt == nil {
				return audit.Change{}, &store.ConflictError{Code: "in_use", Message: fmt.Sprintf("the organization %s has this allowance", o.ID), ID: o.ID}
			}
		}
		return audit.Deleted(a), m.dropAllowance(ctx, tx, id, owners)
	})
	return a, err
}

// dropAllowance deletes an allowance, and takes it from those that had it.
func (m *Manager) dropAllowance(ctx context.Context, tx *store.Tx, id string, owners []Organization) error {
	for _, o := range owners {
		o.AllowanceID = ""
		if err := organizations.Update(ctx, tx, &o); err != nil {
			return err
		}
		if err := m.reallow(ctx, o.ID); err != nil {
			return err
		}
	}
	return allowances.Delete(ctx, tx, id)
}

// PruneAllowances deletes the allowances that nobody has any more but organizations which were deleted longer ago than
// [Options.OrphanAllowances] says, each with an event, and says how many. One that no organization ever had stays. It is the
// platform's; see [Manager.Maintain].
func (m *Manager) PruneAllowances(ctx context.Context) (n int, err error) {
	if m.opt.OrphanAllowances < 0 {
		return 0, nil
	}
	var orphans []string
	err = m.Read(ctx, rbac.Op{Action: "allowances.read"}, func(ctx context.Context, tx *store.Tx) error {
		orphans = nil
		for a, err := range allowances.All(ctx, tx, store.Query{}) {
			if err != nil {
				return err
			}
			owners, err := owning(ctx, tx, a.ID)
			if err != nil {
				return err
			}
			if m.orphaned(owners, tx.Now()) {
				orphans = append(orphans, a.ID)
			}
		}
		return nil
	})
	failed := []error{err}
	for i := 0; i < len(orphans) && ctx.Err() == nil; i++ {
		switch err := m.pruneAllowance(ctx, orphans[i]); {
		case err == nil:
			n++
		case !errors.Is(err, errSettled) && !errors.Is(err, store.ErrNotFound):
			failed = append(failed, fmt.Errorf("allowance %s: %w", orphans[i], err))
		}
	}
	return n, errors.Join(append(failed, ctx.Err())...)
}

// orphaned says whether those who have an allowance are all gone for long.
func (m *Manager) orphaned(owners []Organization, now time.Time) bool {
	return len(owners) > 0 && !slices.ContainsFunc(owners, func(o Organization) bool {
		return o.DeletedAt == nil || now.Before(o.DeletedAt.Add(m.opt.OrphanAllowances))
	})
}

func (m *Manager) pruneAllowance(ctx context.Context, id string) error {
	return m.Change(ctx, rbac.Op{Action: "allowances.delete", Resource: "allowance:" + id}, func(ctx context.Context, tx *store.Tx) (audit.Change, error) {
		a, err := allowances.Lock(ctx, tx, id)
		if err != nil {
			return audit.Change{}, err
		}
		owners, err := owning(ctx, tx, id)
		if err == nil && !m.orphaned(owners, tx.Now()) { // somebody has got it meanwhile
			err = errSettled
		}
		if err != nil {
			return audit.Change{}, err
		}
		return audit.Deleted(a).Because("the organizations that had it are gone"), m.dropAllowance(ctx, tx, id, owners)
	})
}
