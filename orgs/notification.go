package orgs

import (
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/orgkit/orgkit/rbac"
	"github.com/orgkit/orgkit/store"
)

// Notification is something that people should be told. What it links to opens for who signs in: an address is
// no credential (F463).
type Notification struct {
	Kind     string // the type of the event in the audit log, such as approval.requested
	OrgID    string
	TeamID   string   // or project, "" for the organization
	To       []string // e-mail addresses, each once
	Approval rbac.Approval
}

// Notifier takes notifications for delivery. It is called inside the unit of what they tell of: what it writes
// to tx, such as a message in an outbox, is stored with that or not at all, and its error undoes it. The unit may
// be run again after a transient failure; what is sent at once, and not by what is stored, belongs into
// tx.AfterCommit.
type Notifier interface {
	Notify(ctx context.Context, tx *store.Tx, n Notification) error
}

// approvalStep tells people of a step of an approval request: of a new one the addresses of the team's settings
// and those who may decide, of everything else those whom the step concerns.
func (m *Manager) approvalStep(ctx context.Context, tx *store.Tx, step rbac.ApprovalNotice) error {
	a := step.Approval
	n := Notification{Kind: step.Event, OrgID: a.OrgID, TeamID: a.TeamID, Approval: a}
	told := addressees{}
	if err := told.add(ctx, tx, step.To...); err != nil {
		return err
	}
	if at := (Place{OrgID: a.OrgID, TeamID: a.TeamID}); step.Event == "approval.requested" && a.TeamID != "" && !at.IsProject() {
		t, err := teams.Get(ctx, tx, a.TeamID)
		if err != nil {
			return err
		}
		if s := t.Settings.Notifications; s != nil {
			if err := told.addNamed(ctx, tx, at, s.ApprovalRequests); err != nil {
				return err
			}
		}
	}
	for key := range told {
		n.To = append(n.To, told[key])
	}
	slices.Sort(n.To)
	return m.opt.Notifier.Notify(ctx, tx, n)
}

// addressees are e-mail addresses by their keys.
type addressees map[string]string

// add adds the addresses of users. Who is suspended or gone is told nothing.
func (to addressees) add(ctx context.Context, tx *store.Tx, ids ...string) error {
	for _, id := range ids {
		u, err := users.Get(ctx, tx, id)
		switch {
		case errors.Is(err, store.ErrNotFound):
		case err != nil:
			return err
		case u.State == rbac.Active:
			to[u.EmailKey] = u.Email
		}
	}
	return nil
}

// addNamed adds whom settings name: addresses, and roles, also in the plural (F319), by those who hold them in
// the team or the organization.
func (to addressees) addNamed(ctx context.Context, tx *store.Tx, at Place, entries []string) error {
	for _, entry := range entries {
		if strings.Contains(entry, "@") {
			to[emailKey(entry)] = entry
			continue
		}
		role, err := rbac.FindRole(ctx, tx, at.OrgID, entry)
		if errors.Is(err, store.ErrNotFound) {
			role, err = rbac.FindRole(ctx, tx, at.OrgID, strings.TrimSuffix(entry, "s"))
		}
		if errors.Is(err, store.ErrNotFound) {
			continue
		} else if err != nil {
			return err
		}
		for a, err := range rbac.Assignments.All(ctx, tx, store.Query{Where: []store.Cond{store.Eq("org_id", at.OrgID), store.Eq("role_id", role.ID)}}) {
			if err != nil {
				return err
			}
			if a.Kind != rbac.Member || a.State != rbac.Active || a.TeamID != "" && a.TeamID != at.TeamID {
				continue
			}
			if err := to.add(ctx, tx, a.Subject); err != nil {
				return err
			}
		}
	}
	return nil
}
