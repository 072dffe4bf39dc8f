package orgs

import (
	"context"
	"errors"
	"slices"

	"github.com/orgkit/orgkit/audit"
	"github.com/orgkit/orgkit/rbac"
	"github.com/orgkit/orgkit/store"
)

var errTooDeep = &store.ConflictError{Code: "conflict", Message: "organizations can lie 32 deep"}

// transition changes the state of an organization and of its scope.
func (m *Manager) transition(ctx context.Context, op rbac.Op, event, reason string, fn func(ctx context.Context, tx *store.Tx, o *Organization) error) (o Organization, err error) {
	err = m.Change(ctx, op, func(ctx context.Context, tx *store.Tx) (audit.Change, error) {
		if err := rbac.CheckText("reason", reason, 0, rbac.MaxDescription); err != nil {
			return audit.Change{}, err
		}
		if o, err = organizations.Get(ctx, tx, op.OrgID); err != nil {
			return audit.Change{}, err
		}
		before := o
		if err := fn(ctx, tx, &o); err != nil {
			return audit.Change{}, err
		}
		scope, err := rbac.Scopes.Get(ctx, tx, o.ID)
		if err != nil {
			return audit.Change{}, err
		}
		scope.State, scope.ParentID = o.State, o.ParentID
		if err := rbac.Scopes.Update(ctx, tx, &scope); err != nil {
			return audit.Change{}, err
		}
		return audit.Updated(before, &o).As(event).Because(reason), organizations.Update(ctx, tx, &o)
	})
	return o, err
}

// DeleteOrganization deletes an organization: all of it, with everything below it, is gone at once to
// everybody but the platform, who can restore it for 30 days. An alias id is anybody's from then on. Unless cascade says so, one that has teams,
// keys that work or organizations below it is a *store.ConflictError not_empty.
func (m *Manager) DeleteOrganization(ctx context.Context, ref string, cascade bool, reason string) (o Organization, err error) {
	id, err := m.OrgID(ctx, ref)
	if err != nil {
		return o, err
	}
	op := rbac.Op{Action: "organizations.delete", OrgID: id}
	return m.transition(ctx, op, "organization.deleted", reason, func(ctx context.Context, tx *store.Tx, o *Organization) error {
		if !cascade {
			if err := mustBeEmpty(ctx, tx, o.ID); err != nil {
				return err
			}
		}
		now := tx.Now()
		o.StateBefore, o.State, o.DeletedAt, o.AliasID = o.State, rbac.Gone, &now, nil
		return leaveSlug(ctx, tx, *o, Restorable)
	})
}

func mustBeEmpty(ctx context.Context, tx *store.Tx, orgID string) error {
	full := func(what string) error {
		return &store.ConflictError{Code: "not_empty", Message: "the organization has " + what + "; cascade deletes them too"}
	}
	if n, err := teams.Count(ctx, tx, store.Eq("org_id", orgID)); err != nil {
		return err
	} else if n > 0 {
		return full("teams")
	}
	if n, err := projects.Count(ctx, tx, store.Eq("org_id", orgID)); err != nil {
		return err
	} else if n > 0 {
		return full("projects")
	}
	below, err := rbac.Scopes.List(ctx, tx, store.Query{Where: []store.Cond{store.Eq("parent_id", orgID)}})
	if err != nil {
		return err
	}
	if slices.ContainsFunc(below.Items, func(s rbac.Scope) bool { return s.State != rbac.Gone }) || below.Next != "" {
		return full("organizations below it")
	}
	return noLiveKeys(ctx, tx, []store.Cond{store.Eq("org_id", orgID)}, full("keys"))
}

// noLiveKeys answers the error when one of the keys still works.
func noLiveKeys(ctx context.Context, tx *store.Tx, where []store.Cond, full error) error {
	for k, err := range apiKeys.All(ctx, tx, store.Query{Where: where}) {
		if err != nil {
			return err
		}
		if k.StatusAt(tx.Now()) == KeyActive {
			return full
		}
	}
	return nil
}

// RestoreOrganization gives a deleted organization back as it was, within 30 days; only the platform can.
func (m *Manager) RestoreOrganization(ctx context.Context, ref, reason string) (o Organization, err error) {
	id, err := m.OrgID(ctx, ref)
	if err != nil {
		return o, err
	}
	op := rbac.Op{Action: "organizations.restore", OrgID: id, Platform: true, Gone: true}
	return m.transition(ctx, op, "organization.restored", reason, func(ctx context.Context, tx *store.Tx, o *Organization) error {
		switch {
		case o.DeletedAt == nil:
			return &store.ConflictError{Code: "conflict", Message: "the organization is not deleted"}
		case !tx.Now().Before(o.DeletedAt.Add(Restorable)):
			return &store.ConflictError{Code: "conflict", Message: "the organization was deleted more than 30 days ago"}
		}
		if o.ParentID != "" {
			above, err := rbac.Lineage(ctx, tx, o.ParentID)
			if err != nil {
				return err
			}
			if rbac.Effective(above) == rbac.Gone {
				return &store.ConflictError{Code: "conflict", Message: "the organization above is deleted; restore that first, or move this one"}
			}
		}
		o.State, o.StateBefore, o.DeletedAt = o.StateBefore, "", nil
		return claimSlug(ctx, tx, o.ID, o.Slug)
	})
}

// SuspendOrganization stops the keys of an organization and of everything below it. What the platform
// suspended only the platform resumes.
func (m *Manager) SuspendOrganization(ctx context.Context, ref, reason string) (o Organization, err error) {
	id, err := m.OrgID(ctx, ref)
	if err != nil {
		return o, err
	}
	op := rbac.Op{Action: "organizations.suspend", OrgID: id}
	return m.transition(ctx, op, "organization.suspended", reason, func(ctx context.Context, _ *store.Tx, o *Organization) error {
		by := actor(ctx)
		if o.State == rbac.Suspended && (!by.Sovereign() || byPlatform(*o)) {
			return &store.ConflictError{Code: "conflict", Message: "the organization is suspended already"}
		}
		o.State, o.SuspendedBy = rbac.Suspended, by.Type
		return nil
	})
}

// ResumeOrganization ends a suspension.
func (m *Manager) ResumeOrganization(ctx context.Context, ref, reason string) (o Organization, err error) {
	id, err := m.OrgID(ctx, ref)
	if err != nil {
		return o, err
	}
	op := rbac.Op{Action: "organizations.suspend", OrgID: id}
	return m.transition(ctx, op, "organization.resumed", reason, func(ctx context.Context, _ *store.Tx, o *Organization) error {
		if o.State != rbac.Suspended {
			return &store.ConflictError{Code: "conflict", Message: "the organization is not suspended"}
		}
		if byPlatform(*o) && !actor(ctx).Sovereign() {
			return &rbac.Denied{Code: "permission_denied", Action: op.Action, Resource: "organization:" + o.ID,
				Decision: rbac.Decision{Remedy: []string{"ask the operator of the platform, who suspended it"}}}
		}
		o.State, o.SuspendedBy = rbac.Active, ""
		return nil
	})
}

func byPlatform(o Organization) bool { return audit.Actor{Type: o.SuspendedBy}.Sovereign() }

// MoveOrganization puts an organization with everything below it under another one, or makes it a root
// when parent is empty; only the platform can. It writes one row, however large the subtree is. A place
// below itself is a *store.ConflictError cycle.
func (m *Manager) MoveOrganization(ctx context.Context, ref, parent string) (o Organization, err error) {
	id, err := m.OrgID(ctx, ref)
	if err != nil {
		return o, err
	}
	if parent != "" {
		if parent, err = m.OrgID(ctx, parent); err != nil {
			return o, err
		}
	}
	op := rbac.Op{Action: "organizations.move", OrgID: id, Platform: true, Gone: true}
	return m.transition(ctx, op, "organization.moved", "", func(ctx context.Context, tx *store.Tx, o *Organization) error {
		if o.ParentID == parent {
			return &store.ConflictError{Code: "conflict", Message: "the organization is there already"}
		}
		depth, err := lockAbove(ctx, tx, o.ID, parent)
		if err != nil {
			return err
		}
		levels, err := rbac.Descendants(ctx, tx, o.ID)
		if err != nil {
			return err
		}
		if depth+1+len(levels) > rbac.MaxDepth {
			return errTooDeep
		}
		o.ParentID = parent
		return m.Touch(ctx, tx, o.ID) // other budgets are on the path now
	})
}

// lockAbove locks a place in the tree and everything above it, so that of two moves that would meet one
// sees the other, and says how deep it lies. The place must not be the organization that is moved, nor below it.
func lockAbove(ctx context.Context, tx *store.Tx, moved, parent string) (depth int, err error) {
	for id := parent; id != ""; depth++ {
		if id == moved {
			return depth, &store.ConflictError{Code: "cycle", Message: "an organization cannot lie below itself"}
		}
		scope, err := rbac.Scopes.Lock(ctx, tx, id)
		if errors.Is(err, store.ErrNotFound) || err == nil && scope.State == rbac.Gone {
			return depth, &store.ConflictError{Code: "conflict", Message: "the organization above is deleted"}
		} else if err != nil {
			return depth, err
		}
		id = scope.ParentID
	}
	return depth, nil
}
