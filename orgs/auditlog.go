package orgs

import (
	"context"
	"errors"

	"github.com/orgkit/orgkit/audit"
	"github.com/orgkit/orgkit/rbac"
	"github.com/orgkit/orgkit/store"
)

// AuditLogs are the log and what is logged. Reading needs audit.read, and reading events leaves an event of its own.
type AuditLogs interface {
	SetAuditConfig(ctx context.Context, org string, in NewAuditConfig) (audit.Config, []audit.Warning, error)
	AuditConfig(ctx context.Context, org string) (audit.Config, error)
	AuditLog(ctx context.Context, org string, f audit.Filter) (store.Page[audit.Event], error)
	AuditLogBelow(ctx context.Context, org string, f audit.Filter) (store.Page[audit.Event], error)
	AuditCheckpoint(ctx context.Context, org string) (audit.Checkpoint, error)
	AuditProof(ctx context.Context, org string, seq int64) (audit.Proof, error)
	AuditConsistency(ctx context.Context, org string, from, to int64) ([]audit.Hash, error)
}

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

// AuditCheckpoint returns the newest signed checkpoint of an organization's log, which covers all that was committed
// before.
func (m *Manager) AuditCheckpoint(ctx context.Context, org string) (c audit.Checkpoint, err error) {
	orgID, err := m.readsAudit(ctx, org)
	if err != nil {
		return c, err
	}
	c, err = m.Audit().Checkpoint(ctx, orgID)
	return c, proofError(err)
}

// AuditProof returns an event with the proof that it is in the log.
func (m *Manager) AuditProof(ctx context.Context, org string, seq int64) (p audit.Proof, err error) {
	orgID, err := m.readsAudit(ctx, org)
	if err != nil {
		return p, err
	}
	if p, err = m.Audit().Prove(ctx, orgID, seq); err != nil {
		return p, proofError(err)
	}
	return p, m.auditWasRead(ctx, orgID, map[string]any{"events": 1, "sequence": seq})
}

// AuditConsistency returns the hashes which show that nothing was changed between two checkpoints of those sizes.
func (m *Manager) AuditConsistency(ctx context.Context, org string, from, to int64) ([]audit.Hash, error) {
	orgID, err := m.readsAudit(ctx, org)
	if err != nil {
		return nil, err
	}
	hashes, err := m.Audit().ProveConsistency(ctx, orgID, from, to)
	return hashes, proofError(err)
}

// readsAudit asks whether the actor may read the log.
func (m *Manager) readsAudit(ctx context.Context, org string) (string, error) {
	orgID, err := m.OrgID(ctx, org)
	if err != nil {
		return "", err
	}
	return orgID, m.Read(ctx, rbac.Op{Action: "audit.read", OrgID: orgID}, func(context.Context, *store.Tx) error { return nil })
}

func (m *Manager) auditWasRead(ctx context.Context, orgID string, data map[string]any) error {
	return m.Audit().Record(ctx, orgID, "audit.read", audit.Change{Type: "audit.read",
		Resource: audit.Resource{Type: "organization", ID: orgID}, Data: data})
}

// proofError makes conflicts of what this log cannot show.
func proofError(err error) error {
	switch {
	case errors.Is(err, audit.ErrNoSigner):
		return &store.ConflictError{Code: "no_signing_key", Message: "no key signs checkpoints of the audit log here"}
	case errors.Is(err, audit.ErrPruned):
		return &store.ConflictError{Code: "pruned", Message: "that part of the audit log is pruned"}
	}
	return err
}
