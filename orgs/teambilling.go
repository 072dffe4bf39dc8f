package orgs

import (
	"context"

	"github.com/orgkit/orgkit/billing"
	"github.com/orgkit/orgkit/rbac"
	"github.com/orgkit/orgkit/store"
)

// TeamBilling says who pays for a team where its organization is invoiced per team (F470). What is absent is as for the
// organization.
type TeamBilling struct {
	PaymentMethodID string `json:"payment_method_id,omitempty"` // the id of one of the organization's payment methods
	BillingEmail    string `json:"billing_email,omitempty"`     // which gets the team's invoices too
	CostCenter      string `json:"cost_center,omitempty"`       // printed on invoices, before what cost_allocation says
}

func (b *TeamBilling) validate() error {
	if b == nil {
		return nil
	}
	if err := optionalEmail("settings.billing.billing_email", b.BillingEmail); err != nil {
		return err
	}
	return rbac.CheckText("settings.billing.cost_center", b.CostCenter, 0, billing.MaxTagValue)
}

// mayBill says whether the actor may change who pays for a team: that takes billing.update in the organization. A payment
// method has to be one of the organization's.
func (m *Manager) mayBill(ctx context.Context, tx *store.Tx, orgID string, before, after *TeamBilling) error {
	var was, is TeamBilling
	if before != nil {
		was = *before
	}
	if after != nil {
		is = *after
	}
	if was == is {
		return nil
	}
	if err := m.Ceiling(ctx, tx, Place{OrgID: orgID}.handout("settings.billing", "billing.update")); err != nil {
		return err
	}
	if is.PaymentMethodID == "" || is.PaymentMethodID == was.PaymentMethodID {
		return nil
	}
	s, err := billing.SettingsOf(ctx, tx, orgID)
	if err != nil {
		return err
	}
	if _, there := find(s.PaymentMethods, func(p billing.PaymentMethod) bool { return p.ID == is.PaymentMethodID }); !there {
		return store.Invalid("settings.billing.payment_method_id", "unknown", "is none of the organization's payment methods")
	}
	return nil
}
