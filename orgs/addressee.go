package orgs

import (
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/orgkit/orgkit/rbac"
	"github.com/orgkit/orgkit/store"
)

// addressees are e-mail addresses by their keys.
type addressees map[string]string

func (to addressees) sorted() (list []string) {
	for _, address := range to {
		list = append(list, address)
	}
	slices.Sort(list)
	return list
}

// add adds the addresses of users. Who is suspended or gone is told nothing.
func (to addressees) add(ctx context.Context, tx *store.Tx, ids ...string) error {
	for _, id := range ids {
		u, err := users.Get(ctx, tx, id)
		switch {
		case errors.Is(err, store.ErrNotFound):
		case err != nil:
			return err
		case u.State == rbac.Active && u.Email != "":
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
		role, err := namedRole(ctx, tx, at.OrgID, entry)
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

// addSettings adds whom settings name for what a notification is about.
func (to addressees) addSettings(ctx context.Context, tx *store.Tx, at Place, n Notification) error {
	switch n.About.(type) {
	case ApprovalStep:
		if n.Kind != "approval.requested" {
			return nil
		}
		return to.addOfTeam(ctx, tx, at, func(s *NotificationSettings) []string { return s.ApprovalRequests })
	case BudgetAlert:
		if at.TeamID == "" || at.IsProject() {
			return to.addBilling(ctx, tx, at, false)
		}
		return to.addOfTeam(ctx, tx, at, func(s *NotificationSettings) []string { return s.UsageAlerts })
	case InvoiceFinalized:
		if err := to.addBiller(ctx, tx, at); err != nil {
			return err
		}
		return to.addBilling(ctx, tx, at, true)
	case BreakGlass, CertificateExpiring:
		return to.addNamed(ctx, tx, Place{OrgID: at.OrgID}, []string{rbac.OwnerRole})
	}
	return nil
}

func (to addressees) addOfTeam(ctx context.Context, tx *store.Tx, at Place, entries func(*NotificationSettings) []string) error {
	if at.TeamID == "" || at.IsProject() {
		return nil
	}
	t, err := teams.Get(ctx, tx, at.TeamID)
	if err != nil || t.Settings.Notifications == nil {
		return err
	}
	return to.addNamed(ctx, tx, at, entries(t.Settings.Notifications))
}

// addBiller adds the address for billing of the team, if it has one and there still is the team (F470).
func (to addressees) addBiller(ctx context.Context, tx *store.Tx, at Place) error {
	t, err := teams.Get(ctx, tx, at.TeamID)
	if errors.Is(err, store.ErrNotFound) || err == nil && (t.Settings.Billing == nil || t.Settings.Billing.BillingEmail == "") {
		return nil
	}
	if err != nil {
		return err
	}
	return to.addNamed(ctx, tx, at, []string{t.Settings.Billing.BillingEmail})
}

// addBilling adds the address for billing of the organization (F023), and with invoices those too that get them (F026).
func (to addressees) addBilling(ctx context.Context, tx *store.Tx, at Place, invoices bool) error {
	o, err := organizations.Get(ctx, tx, at.OrgID)
	if err != nil || o.Settings.Billing == nil {
		return err
	}
	b := o.Settings.Billing
	var entries []string
	if b.BillingEmail != "" {
		entries = append(entries, b.BillingEmail)
	}
	if invoices && b.InvoiceSettings != nil {
		entries = append(entries, b.InvoiceSettings.SendTo...)
	}
	return to.addNamed(ctx, tx, at, entries)
}
