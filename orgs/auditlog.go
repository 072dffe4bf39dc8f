package orgs

import (
	"context"
	"time"

	"github.com/orgkit/orgkit/audit"
	"github.com/orgkit/orgkit/rbac"
	"github.com/orgkit/orgkit/store"
)

// AuditLog lists the events of an organization.
func (m *Manager) AuditLog(ctx context.Context, org string, f audit.Filter) (page store.Page[audit.Event], err error) {
	orgID, err := m.readsAudit(ctx, org)
	if err != nil {
		return page, err
	}
	if page, err = m.Audit().List(ctx, orgID, f); err != nil {
		return page, err
	}
	return page, m.auditWasRead(ctx, orgID, map[string]any{"events": len(page.Items)})
}

// AuditLogBelow lists the events of all organizations below one, as far as the actor may read their logs, without its
// own.
func (m *Manager) AuditLogBelow(ctx context.Context, org string, f audit.Filter) (page store.Page[audit.Event], err error) {
	orgID, err := m.OrgID(ctx, org)
	if err != nil {
		return page, err
	}
	below, err := m.Below(ctx, rbac.Op{Action: "audit.read", OrgID: orgID})
	if err != nil {
		return page, err
	}
	if page, err = m.Audit().ListOf(ctx, below, f); err != nil {
		return page, err
	}
	return page, m.auditWasRead(ctx, orgID, map[string]any{"events": len(page.Items), "organizations": len(below)})
}

// AuditCounts counts the events of an organization by type, outcome and time. See [audit.Log.Counts].
func (m *Manager) AuditCounts(ctx context.Context, org string, q audit.CountQuery) (c audit.Counts, err error) {
	orgID, err := m.readsAudit(ctx, org)
	if err != nil {
		return c, err
	}
	return m.counted(ctx, orgID, []string{orgID}, q)
}

// AuditCountsBelow is AuditCounts for all organizations below one together, as far as the actor may read their logs,
// without its own.
func (m *Manager) AuditCountsBelow(ctx context.Context, org string, q audit.CountQuery) (c audit.Counts, err error) {
	orgID, err := m.OrgID(ctx, org)
	if err != nil {
		return c, err
	}
	below, err := m.Below(ctx, rbac.Op{Action: "audit.read", OrgID: orgID})
	if err != nil {
		return c, err
	}
	return m.counted(ctx, orgID, below, q)
}

func (m *Manager) counted(ctx context.Context, orgID string, of []string, q audit.CountQuery) (c audit.Counts, err error) {
	if c, err = m.Audit().Counts(ctx, of, q); err != nil {
		return c, err
	}
	return c, m.auditWasRead(ctx, orgID, map[string]any{"counts": len(c.Items), "organizations": len(of)})
}

// AuditGaps are the times from one to another of which the log of the organization cannot tell everything, and why. A
// zero to is now, a zero from when the organization was made; the future is refused.
func (m *Manager) AuditGaps(ctx context.Context, org string, from, to time.Time) ([]audit.Gap, error) {
	orgID, err := m.OrgID(ctx, org)
	if err != nil {
		return nil, err
	}
	var o Organization
	var now time.Time
	err = m.Read(ctx, rbac.Op{Action: "audit.read", OrgID: orgID}, func(ctx context.Context, tx *store.Tx) error {
		now = tx.Now()
		o, err = organizations.Get(ctx, tx, orgID)
		return err
	})
	if err != nil {
		return nil, err
	}
	if to.IsZero() {
		to = now
	}
	if from.IsZero() {
		from = o.CreatedAt
	}
	switch {
	case to.After(now):
		return nil, store.Invalid("end_time", "range", "lies in the future")
	case to.Before(from):
		return nil, store.Invalid("end_time", "range", "lies before start_time")
	}
	return m.Audit().Gaps(ctx, orgID, o.CreatedAt, from, to)
}

// AuditCheckpoint returns the newest signed checkpoint of an organization's log, which covers all that was committed
// before.
func (m *Manager) AuditCheckpoint(ctx context.Context, org string) (c audit.Checkpoint, err error) {
	orgID, err := m.readsAudit(ctx, org)
	if err != nil {
		return c, err
	}
	return m.Audit().Checkpoint(ctx, orgID)
}

// AuditProof returns an event with the proof that it is in the log.
func (m *Manager) AuditProof(ctx context.Context, org string, seq int64) (p audit.Proof, err error) {
	orgID, err := m.readsAudit(ctx, org)
	if err != nil {
		return p, err
	}
	if p, err = m.Audit().Prove(ctx, orgID, seq); err != nil {
		return p, err
	}
	return p, m.auditWasRead(ctx, orgID, map[string]any{"events": 1, "sequence": seq})
}

// AuditConsistency returns the hashes which show that nothing was changed between two checkpoints of those sizes.
func (m *Manager) AuditConsistency(ctx context.Context, org string, from, to int64) ([]audit.Hash, error) {
	orgID, err := m.readsAudit(ctx, org)
	if err != nil {
		return nil, err
	}
	return m.Audit().ProveConsistency(ctx, orgID, from, to)
}

// EraseFromAudit takes what is personal out of the events that a user or key has caused or that are about it, as a person
// may demand; the events stay, and so do their proofs. It needs audit.update and says how many events it was taken out
// of. Somebody of whom there is no event is store.ErrNotFound. It may be called again after an error.
func (m *Manager) EraseFromAudit(ctx context.Context, org, id string) (events int, err error) {
	orgID, err := m.mayAudit(ctx, org, "audit.update")
	if err != nil {
		return 0, err
	}
	if id == "" {
		return 0, store.Invalid("user_id", "required", "is required")
	}
	switch known, err := m.Audit().Knows(ctx, orgID, id); {
	case err != nil:
		return 0, err
	case !known:
		return 0, store.ErrNotFound
	}
	err = m.Change(ctx, rbac.Op{Action: "audit.update", OrgID: orgID}, func(context.Context, *store.Tx) (audit.Change, error) {
		return audit.Erasure(id), nil
	})
	if err != nil {
		return 0, err
	}
	return m.Audit().Erase(ctx, orgID, id)
}

func (m *Manager) readsAudit(ctx context.Context, org string) (orgID string, err error) {
	return m.mayAudit(ctx, org, "audit.read")
}

// mayAudit asks whether the actor may do that with the log, which is read and written in units of its own.
func (m *Manager) mayAudit(ctx context.Context, org, action string) (orgID string, err error) {
	if orgID, err = m.OrgID(ctx, org); err != nil {
		return "", err
	}
	return orgID, m.Read(ctx, rbac.Op{Action: action, OrgID: orgID}, func(context.Context, *store.Tx) error { return nil })
}

func (m *Manager) auditWasRead(ctx context.Context, orgID string, data map[string]any) error {
	return m.Audit().Record(ctx, orgID, "audit.read", audit.Change{Type: "audit.read",
		Resource: audit.Resource{Type: "organization", ID: orgID}, Data: data})
}
