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

	"github.com/orgkit/orgkit/audit"
	"github.com/orgkit/orgkit/billing"
	"github.com/orgkit/orgkit/rbac"
	"github.com/orgkit/orgkit/store"
)

// Service is everything that can be done with organizations. *[Manager] is the implementation; the
// interface is for hosts that wrap or replace parts of it.
type Service interface {
	Users
	Organizations
	Teams
	Members
	Invitations
	APIKeys
	Roles
	Policies
	Approvals
	Budgets
	AuditLogs
	Credentials
}

// Users are the people, across organizations. All but what is one's own belongs to the platform.
type Users interface {
	CreateUser(ctx context.Context, in NewUser) (User, error)
	User(ctx context.Context, ref string) (User, error)
	Users(ctx context.Context, limit int, after string) (store.Page[User], error)
	CreateToken(ctx context.Context, user string, in NewToken) (Token, string, error)
	Tokens(ctx context.Context, user string, limit int, after string) (store.Page[Token], error)
	RevokeToken(ctx context.Context, user, id string) (Token, error)
	Permission(ctx context.Context, q PermissionQuery) (PermissionAnswer, error)
}

// Organizations are the tenants.
type Organizations interface {
	CreateOrganization(ctx context.Context, in NewOrganization) (Organization, error)
	Organization(ctx context.Context, ref string) (Organization, error)
	Organizations(ctx context.Context, limit int, after string) (store.Page[Organization], error)
}

// Teams have settings, members, keys and budgets of their own.
type Teams interface {
	CreateTeam(ctx context.Context, org string, in NewTeam) (Team, error)
	Team(ctx context.Context, ref string) (Team, error)
	Teams(ctx context.Context, org string, limit int, after string) (store.Page[Team], error)
	UpdateTeamSettings(ctx context.Context, ref string, settings TeamSettings) (Team, error)
}

// Members are users in an organization or team.
type Members interface {
	Member(ctx context.Context, at Place, user string) (Membership, error)
	Members(ctx context.Context, at Place, limit int, after string) (store.Page[Membership], error)
	UpdateMember(ctx context.Context, at Place, user string, in MemberUpdate) (Membership, error)
	RemoveMember(ctx context.Context, at Place, user string, in MemberRemoval) (Removed, error)
}

// Invitations bring people in.
type Invitations interface {
	Invite(ctx context.Context, at Place, in NewInvitation) (Invitation, string, error)
	Invitation(ctx context.Context, at Place, id string) (Invitation, error)
	Invitations(ctx context.Context, at Place, limit int, after string) (store.Page[Invitation], error)
	AnswerInvitation(ctx context.Context, token string, accept bool) (Invitation, *Membership, error)
}

// APIKeys are credentials of the data plane.
type APIKeys interface {
	CreateAPIKey(ctx context.Context, in NewAPIKey) (APIKey, string, error)
	APIKey(ctx context.Context, id string) (APIKey, error)
	APIKeys(ctx context.Context, at Place, limit int, after string) (store.Page[APIKey], error)
	RevokeAPIKey(ctx context.Context, id, reason string) (APIKey, error)
}

// Roles are kept by rbac; ids, not slugs, name organizations and teams here.
type Roles interface {
	CreateRole(ctx context.Context, orgID string, in rbac.NewRole) (rbac.Role, error)
	Role(ctx context.Context, orgID, ref string) (rbac.Role, error)
	Roles(ctx context.Context, orgID string, limit int, after string) (store.Page[rbac.Role], error)
	SetOverride(ctx context.Context, orgID, teamID, role string, add, remove []string) (rbac.Override, bool, error)
	Overrides(ctx context.Context, orgID, teamID string, limit int, after string) (store.Page[rbac.Override], error)
}

// Policies are statements attached to a team or organization.
type Policies interface {
	CreatePolicy(ctx context.Context, orgID, teamID string, in rbac.NewPolicy) (rbac.Policy, []rbac.Warning, error)
	Policy(ctx context.Context, orgID, teamID, id string) (rbac.Policy, error)
	Policies(ctx context.Context, orgID, teamID string, limit int, after string) (store.Page[rbac.Policy], error)
	DeletePolicy(ctx context.Context, orgID, teamID, id string) (rbac.Policy, error)
}

// Approvals open what needs somebody's word.
type Approvals interface {
	RequestApproval(ctx context.Context, r rbac.Request, needs []rbac.ApprovalNeed, reason string) (rbac.Approval, error)
	DecideApproval(ctx context.Context, orgID, id string, in rbac.ApprovalDecision) (rbac.Approval, error)
}

// Budgets limit spending.
type Budgets interface {
	SetBudget(ctx context.Context, b billing.Budget) (billing.Budget, error)
	Overview(ctx context.Context, orgID string) ([]billing.BudgetState, error)
}

// AuditLogs is the read side of the log.
type AuditLogs interface {
	AuditLog(ctx context.Context, org string, f audit.Filter) (store.Page[audit.Event], error)
}

// Credentials turn a secret into an actor.
type Credentials interface {
	Authenticate(ctx context.Context, secret string) (audit.Actor, error)
}

// Manager implements [Service]. It is safe for concurrent use.
type Manager struct {
	*rbac.Guard
	*billing.Ledger

	store *store.Store
	opt   Options
}

var _ Service = (*Manager)(nil)

// Options of a [Manager]; the zero value, and nil, work.
type Options struct {
	// Catalogue is the models that the host serves. Patterns of models see resolved ids.
	Catalogue *billing.Catalogue
	// Actions, Anomaly and MFA are as in rbac.Options.
	rbac.Options
	// KeyPrefix begins every API key; "" is "ok_live_".
	KeyPrefix string
	// SelfServiceOrgs lets every user create organizations and own them.
	SelfServiceOrgs bool
	// Mailed says that the host mails invitations: their token is then in the mail only and no
	// answer shows it. Mail is called after the invitation was stored.
	Mail func(ctx context.Context, inv Invitation, token string) error
}

// New returns a manager over the store. The store has the kinds of [Kinds].
func New(s *store.Store, o *Options) (*Manager, error) {
	if s == nil {
		return nil, errors.New("orgs: a store is required")
	}
	m := &Manager{store: s}
	if o != nil {
		m.opt = *o
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
	guard, err := rbac.NewGuard(s, &m.opt.Options)
	if err != nil {
		return nil, err
	}
	m.Guard, m.Ledger = guard, billing.NewLedger(s, guard)
	return m, nil
}

// Store is the store that the manager keeps everything in.
func (m *Manager) Store() *store.Store { return m.store }

// Catalogue is the models that the host serves.
func (m *Manager) Catalogue() *billing.Catalogue { return m.opt.Catalogue }

// Kinds are all kinds of record that a store for this library keeps: what a driver of a host's own
// needs a table for.
func Kinds() []*store.Kind {
	kinds := []*store.Kind{users.Kind(), tokens.Kind(), organizations.Kind(), teams.Kind(),
		invitations.Kind(), apiKeys.Kind()}
	kinds = append(kinds, audit.Kinds()...)
	kinds = append(kinds, rbac.Kinds()...)
	return append(kinds, billing.Kinds()...)
}

func actor(ctx context.Context) audit.Actor {
	a, _ := audit.ActorFrom(ctx)
	return a
}
