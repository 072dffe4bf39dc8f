package orgs

import (
	"context"
	"slices"
	"time"

	"github.com/orgkit/orgkit/billing"
	"github.com/orgkit/orgkit/rbac"
	"github.com/orgkit/orgkit/store"
	"github.com/orgkit/orgkit/store/seal"
)

// Notification is something that people, and the webhooks of the organization, should be told. What a mail links to
// opens for who signs in: an address is no credential (F463).
type Notification struct {
	Kind   string // one of [NotificationKinds]
	OrgID  string
	TeamID string   // or project, "" for the organization
	To     []string // e-mail addresses, each once; none where only webhooks are told
	About  About
}

// About is what a notification tells of, as JSON without secrets: [InvitationOffer], [ApprovalStep], [BudgetAlert],
// [BillingAlert], [InvoiceFinalized], [BreakGlass],
// [CertificateExpiring], [PasswordReset] or [WebhookTest].
type About interface{ about() }

// InvitationOffer invites somebody. Notifiers that mail put the token into the mail alone and keep it sealed until then.
type InvitationOffer struct {
	Invitation
	Token seal.Secret `json:"-"`
}

// ApprovalStep is a request for an approval after one step of it.
type ApprovalStep struct{ rbac.Approval }

// BudgetAlert says that spending of a budget has crossed a share of its limit, or an amount (F083).
type BudgetAlert struct {
	BudgetID    string            `json:"budget_id"`
	Scope       billing.ScopeKind `json:"scope"`
	ScopeID     string            `json:"scope_id"`
	Spent       billing.Amount    `json:"spent"`            // USD
	Limit       billing.Amount    `json:"limit"`            // USD
	Threshold   billing.Amount    `json:"threshold"`        // share of the limit
	Amount      *billing.Amount   `json:"amount,omitempty"` // USD, where it is that which was crossed
	PeriodStart time.Time         `json:"period_start"`
	PeriodEnd   time.Time         `json:"period_end,omitzero"`
}

// BillingAlertType says why a [BillingAlert] fires.
type BillingAlertType = billing.AlertKind

// The types of billing alerts.
const (
	AlertThreshold      = billing.ThresholdAlert // spending has reached Reference
	AlertAnomaly        = billing.AnomalyAlert   // spending departs from Reference, what is usual
	AlertBudgetExceeded = billing.ExceededAlert  // spending has passed Reference, the budget
)

// BillingAlert is an alert that an organization has set up (F217 to F225).
type BillingAlert struct {
	AlertID     string           `json:"alert_id"`
	Type        BillingAlertType `json:"type"`
	Spent       billing.Amount   `json:"spent"`     // USD
	Reference   billing.Amount   `json:"reference"` // USD
	Suspended   bool             `json:"suspended"` // calls are refused until somebody acts
	PeriodStart time.Time        `json:"period_start"`
	PeriodEnd   time.Time        `json:"period_end,omitzero"`
}

// InvoiceFinalized is an invoice that does not change any more (F026).
type InvoiceFinalized struct {
	InvoiceID   string         `json:"invoice_id"`
	Number      string         `json:"number"`
	Total       billing.Amount `json:"total"` // USD
	PeriodStart time.Time      `json:"period_start"`
	PeriodEnd   time.Time      `json:"period_end"`
	DueAt       *time.Time     `json:"due_at"` // nil where a payment method is charged
}

// BreakGlass says that somebody has used emergency access, of which every owner hears.
type BreakGlass struct {
	User   string    `json:"user_id"`
	Reason string    `json:"reason"`
	At     time.Time `json:"at"`
	IP     string    `json:"ip"` // "" where it is unknown
}

// CertificateExpiring says that the last certificate by which the identity provider of an organization signs will expire,
// of which every owner hears: then nobody signs in by it.
type CertificateExpiring struct {
	Provider string    `json:"provider"`
	NotAfter time.Time `json:"not_after"`
	Days     int       `json:"days"` // that are left at most
}

// PasswordReset is a link that sets the password of somebody, for them alone: no organization is told. Notifiers put the
// token into the mail alone and keep it sealed until then.
type PasswordReset struct {
	UserID    string      `json:"user_id"`
	ExpiresAt time.Time   `json:"expires_at"`
	Token     seal.Secret `json:"-"`
}

// WebhookTest is a delivery that somebody has asked for to try one webhook.
type WebhookTest struct {
	WebhookID string `json:"webhook_id"`
}

func (InvitationOffer) about()     {}
func (ApprovalStep) about()        {}
func (BudgetAlert) about()         {}
func (BillingAlert) about()        {}
func (InvoiceFinalized) about()    {}
func (BreakGlass) about()          {}
func (CertificateExpiring) about() {}
func (PasswordReset) about()       {}
func (WebhookTest) about()         {}

// Kinds of notifications; those of steps of a request are the types of their events.
const (
	KindInvited          = "member.invited"
	KindInvitationResent = "member.invitation_resent"
	KindBudgetAlert      = "budget.alert"
	KindBillingAlert     = "billing.alert"
	KindInvoice          = "invoice.finalized"
	KindBreakGlass       = "security.break_glass"
	KindCertificate      = "sso.certificate_expiring"
	KindWebhookTest      = "webhook.test"
	KindPasswordReset    = "user.password_reset"
)

// NotificationKinds are all that an organization is told, sorted. A test of a webhook is none: whom it goes to is asked for.
// What one person alone is told is none either.
func NotificationKinds() []string {
	kinds := []string{KindInvited, KindInvitationResent, KindBudgetAlert, KindBillingAlert, KindInvoice, KindBreakGlass, KindCertificate,
		"approval.requested", "approval.partly_approved", "approval.approved", "approval.denied", "approval.expired", "approval.withdrawn"}
	slices.Sort(kinds)
	return kinds
}

// Notifier takes notifications for delivery, by mail to the addresses and to the webhooks that listen ([Listening]).
// Package orgs/notify has one.
type Notifier interface {
	// Notify is called inside the unit of what it is told: what it writes to tx, such as a message in an outbox, is
	// stored with that or not at all, and its error undoes it. The unit may be run again after a transient failure;
	// what is sent at once, and not by what is stored, belongs into tx.AfterCommit.
	Notify(ctx context.Context, tx *store.Tx, n Notification) error
	// Mails says whether what it is told reaches addresses. Then the token of an invitation that is to be mailed is in
	// the mail only, and no answer shows it (F466).
	Mails() bool
}

// Mails says whether what people are told reaches their addresses.
func (m *Manager) Mails() bool { return m.mails() }

// MailReset mails a link that sets the password of a user to their address, inside the unit that makes it.
func (m *Manager) MailReset(ctx context.Context, tx *store.Tx, u User, r PasswordReset) error {
	if !m.mails() || u.Email == "" {
		return nil
	}
	return m.opt.Notifier.Notify(ctx, tx, Notification{Kind: KindPasswordReset, To: []string{u.Email}, About: r})
}

// mails says whether the host mails.
func (m *Manager) mails() bool { return m.opt.Notifier != nil && m.opt.Notifier.Mails() }

// Tell hands a notification to the host's notifier, inside the unit of what it tells of. Its addressees may be named as
// settings do, by address or role (F319); those that settings name for what it is about are added. Without a notifier
// nobody is told.
func (m *Manager) Tell(ctx context.Context, tx *store.Tx, n Notification) error {
	if m.opt.Notifier == nil {
		return nil
	}
	told, at := addressees{}, Place{OrgID: n.OrgID, TeamID: n.TeamID}
	if err := told.addNamed(ctx, tx, at, n.To); err != nil {
		return err
	}
	if err := told.addSettings(ctx, tx, at, n); err != nil {
		return err
	}
	n.To = told.sorted()
	return m.opt.Notifier.Notify(ctx, tx, n)
}

// approvalStep tells people of a step of an approval request: of a new one the addresses of the team's settings
// and those who may decide, of everything else those whom the step concerns.
func (m *Manager) approvalStep(ctx context.Context, tx *store.Tx, step rbac.ApprovalNotice) error {
	told := addressees{}
	if err := told.add(ctx, tx, step.To...); err != nil {
		return err
	}
	a := step.Approval
	return m.Tell(ctx, tx, Notification{Kind: step.Event, OrgID: a.OrgID, TeamID: a.TeamID, To: told.sorted(), About: ApprovalStep{a}})
}
