// Package orgs manages organizations for AI gateways: users, organizations, teams, members,
// invitations, roles and API keys, over one store.
//
// A host opens a store, makes one [Manager] with [New] and uses it through the [Service] interface,
// or through any smaller one that it is composed of. Every method acts for the actor in its context
// (audit.WithActor): whoever authenticated the request puts it there, with [Manager.Authenticate]
// or in the host's own way. Package orgs/gate stands in front of AI requests, orgs/httpapi/rest
// serves the same methods over HTTP; a host that mounts neither links neither.
//
// # What every change keeps
//
// Permission checks are in these methods, so every caller meets the same ones. A change, its audit
// event and the new revision of the organization are stored together or not at all. An
// organization in which the actor is nobody answers store.ErrNotFound, exactly like one that does
// not exist. Nobody hands out, by role, override, invitation or key, what they do not hold. An
// organization that has an owner never loses the last one.
//
// # Errors
//
// Bad input is a *store.FieldError that names the field; a refusal is a *rbac.Denied that says what
// is missing; something in the way is a *store.ConflictError. Use errors.Is and errors.As.
package orgs

import (
	"context"
	"errors"
	"time"

	"github.com/orgkit/orgkit/audit"
	"github.com/orgkit/orgkit/billing"
	"github.com/orgkit/orgkit/rbac"
	"github.com/orgkit/orgkit/store"
	"github.com/orgkit/orgkit/store/jobs"
	"github.com/orgkit/orgkit/store/seal"
)

// Manager implements [Service]. It is safe for concurrent use.
type Manager struct {
	*rbac.Guard
	*billing.Ledger
	*billing.Limiter

	store    *store.Store
	opt      Options
	uses     uses
	metering *billing.Metering
}

var _ Service = (*Manager)(nil)

// Options of a [Manager]; the zero value, and nil, work.
type Options struct {
	// Catalogue is the models that the host serves. Patterns of models see resolved ids.
	Catalogue *billing.Catalogue
	// Notify, if it is set, takes the place of Notifier for approvals.
	rbac.Options
	// Billing says how budgets are kept.
	Billing billing.Options
	// Metering says how what calls have used is written.
	Metering billing.MeteringOptions
	// Nodes says which processes share the database, as far as rate limits have to know. Nil: those of the ledger, which find
	// each other in the database; see billing.Ledger.Nodes.
	Nodes billing.Nodes
	// KeyPrefix begins every API key; "" is "ok_live_".
	KeyPrefix string
	// SelfServiceOrgs lets every user create organizations and own them.
	SelfServiceOrgs bool
	// Enlisting lets everybody who may invite into an organization put people in without asking them, also such that have no
	// account yet: for systems whose contract has it.
	Enlisting bool
	// Notifier takes what people and webhooks should be told, invitations too; nil: nobody is told anything, and no webhook
	// is taken.
	Notifier Notifier
	// Seal seals what organizations entrust to the host, such as the key of a log sink. Nil: no such secret is taken.
	// What is personal in events is sealed by Audit.Seal, which may be the same. encryption_at_rest needs both.
	Seal *seal.Sealer
	// URLs says which URLs of organizations the host calls; the guard of package store/jobs/outbound is one. Nil: none.
	URLs URLs
	// AuditRules are the regions and floors that audit configurations are held against. URLs takes the place of
	// its CheckURL where it is set.
	AuditRules audit.Rules
	// EnforceSSOImmediately refuses passwords where an organization demands single sign-on and has configured it, also
	// before anybody has signed in by it. Whoever mistypes the configuration then locks out all but the owners who may break
	// the glass.
	EnforceSSOImmediately bool
	// SignsRequests says that the host's protocol of SAML has a key to sign requests with, so that organizations may ask for
	// that.
	SignsRequests bool
	// Payments is the payment provider, and how it is asked. Without one new cards are kept as they are given.
	Payments billing.Payments
	// InvoiceGrace is how long after its end a month is closed and invoiced, so that what comes late is on its own invoice; 0 is
	// [DefaultInvoiceGrace], and less than 0 nothing.
	InvoiceGrace time.Duration
	// OrphanAllowances is for how long an allowance is kept that only deleted organizations have: at least [Restorable], which 0
	// is too, so that what is restored has its limits. Less than 0 is for ever.
	OrphanAllowances time.Duration
	// PlatformSettlesInvoices leaves it to the platform to void invoices and to mark them as paid. Without it those of the
	// organization do who hold the permissions, which is for hosts whose invoices charge the cost to teams and not to customers.
	PlatformSettlesInvoices bool
	// Exports try destinations of audit logs before they are stored, where that is asked for. Nil: that is refused.
	Exports Exports
}

// URLs refuses what must not be called, by an error that repeats nothing of the URL.
type URLs interface{ Check(rawURL string) error }

// New returns a manager over the store. The store has the kinds of [Kinds].
func New(s *store.Store, o *Options) (*Manager, error) {
	if s == nil {
		return nil, errors.New("orgs: a store is required")
	}
	m := &Manager{store: s}
	if o != nil {
		m.opt = *o
	}
	switch {
	case m.opt.InvoiceGrace == 0:
		m.opt.InvoiceGrace = DefaultInvoiceGrace
	case m.opt.InvoiceGrace < 0:
		m.opt.InvoiceGrace = 0
	}
	if m.opt.OrphanAllowances >= 0 {
		m.opt.OrphanAllowances = max(m.opt.OrphanAllowances, Restorable)
	}
	if m.opt.KeyPrefix == "" {
		m.opt.KeyPrefix = "ok_live_"
	}
	if m.opt.Resolve == nil {
		m.opt.Resolve = func(name string) (string, bool) {
			model, ok := m.opt.Catalogue.Resolve(name)
			return model.ID, ok
		}
	}
	if m.opt.URLs != nil {
		m.opt.AuditRules.CheckURL = m.opt.URLs.Check
	}
	if m.opt.Notifier != nil && m.opt.Notify == nil {
		m.opt.Notify = m.approvalStep
	}
	guard, err := rbac.NewGuard(s, &m.opt.Options)
	if err != nil {
		return nil, err
	}
	if m.opt.Notifier != nil && m.opt.Billing.Fired == nil {
		m.opt.Billing.Fired = m.alertFired
	}
	m.Guard, m.Ledger = guard, billing.NewLedger(s, guard, &m.opt.Billing)
	if m.opt.Nodes == nil {
		m.opt.Nodes = m.Ledger.Nodes()
	}
	if m.opt.Metering.Alerts == nil {
		m.opt.Metering.Alerts = m.Ledger
	}
	m.metering = billing.NewMetering(s, &m.opt.Metering)
	m.Limiter = billing.NewLimiter(s, guard, &billing.LimiterOptions{Nodes: m.opt.Nodes, Resolve: m.opt.Resolve})
	return m, nil
}

// Close writes what calls have spent and used, returns what this process has of budgets and limits, and ends everything that
// works in the background: see [billing.Ledger.Close], [billing.Metering.Close], [billing.Limiter.Close] and [rbac.Guard.Close]. A host calls it
// when no call is under way any more, before it closes the store.
func (m *Manager) Close() error {
	m.Limiter.Close()
	return errors.Join(m.Ledger.Close(), m.metering.Close(), m.Guard.Close())
}

// Store is the store that the manager keeps everything in.
func (m *Manager) Store() *store.Store { return m.store }

// Metering keeps what calls have used; it asks no permission.
func (m *Manager) Metering() *billing.Metering { return m.metering }

// Catalogue is the models that the host serves.
func (m *Manager) Catalogue() *billing.Catalogue { return m.opt.Catalogue }

// Kinds are all kinds of record that a store for this library keeps: what a driver of a host's own
// needs a table for.
func Kinds() []*store.Kind {
	kinds := []*store.Kind{users.Kind(), tokens.Kind(), sessions.Kind(), AuthenticatorsOf.Kind(), Brakes.Kind(), organizations.Kind(), orgSlugs.Kind(), numbers.Kind(), numberings.Kind(), PlatformRoles.Kind(), platformSSOs.Kind(), teams.Kind(),
		projects.Kind(), allowances.Kind(), invitations.Kind(), apiKeys.Kind(), keyUses.Kind(), webhooks.Kind(), webhookCalls.Kind(),
		provisionings.Kind(), scimTokens.Kind(), provisionedUsers.Kind(), provisionedEmails.Kind(), departures.Kind(),
		provisionedGroups.Kind(), provisionedMembers.Kind(), keptAnswers.Kind(), Invoices.Kind(), ssoConfigs.Kind(), ssoLinks.Kind(), ssoSeenOnce.Kind()}
	kinds = append(kinds, jobs.Kinds()...)
	kinds = append(kinds, audit.Kinds()...)
	kinds = append(kinds, rbac.Kinds()...)
	return append(kinds, billing.Kinds()...)
}

func actor(ctx context.Context) audit.Actor {
	a, _ := audit.ActorFrom(ctx)
	return a
}
