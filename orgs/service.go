package orgs

import (
	"context"
	"time"

	"github.com/shopspring/decimal"

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
	Tree
	Teams
	Projects
	Members
	Invitations
	APIKeys
	Roles
	Policies
	Approvals
	Budgets
	Allowances
	RateLimiting
	Usage
	Billings
	Invoicings
	AuditLogs
	Webhooks
	Sessions
	Provisionings
	SingleSignOn
	Credentials
}

// Users are the people, across organizations. All but what is one's own belongs to the platform.
type Users interface {
	CreateUser(ctx context.Context, in NewUser) (User, error)
	UpdateUser(ctx context.Context, ref string, in UserUpdate) (User, error)
	DeleteUser(ctx context.Context, ref, reason string) (User, error)
	User(ctx context.Context, ref string) (User, error)
	Users(ctx context.Context, limit int, after string) (store.Page[User], error)
	Places(ctx context.Context, ref string) ([]Place, error)
	EnsurePlatformRole(ctx context.Context, name string, permissions ...string) (PlatformRole, error)
	PlatformRoleOf(ctx context.Context, ref string) (PlatformRole, error)
	CreateToken(ctx context.Context, user string, in NewToken) (Token, string, error)
	Token(ctx context.Context, user, id string) (Token, error)
	Tokens(ctx context.Context, user string, limit int, after string) (store.Page[Token], error)
	UpdateToken(ctx context.Context, user, id string, in TokenUpdate) (Token, error)
	RevokeToken(ctx context.Context, user, id string) (Token, error)
	Permission(ctx context.Context, q PermissionQuery) (PermissionAnswer, error)
	Actions(ctx context.Context, q PermissionQuery) (ActionsAnswer, error)
}

// Organizations are the tenants.
type Organizations interface {
	CreateOrganization(ctx context.Context, in NewOrganization) (Organization, error)
	UpdateOrganization(ctx context.Context, ref string, in OrganizationUpdate) (Organization, error)
	Organization(ctx context.Context, ref string) (Organization, error)
	OrganizationFigures(ctx context.Context, orgID string) (OrganizationFigures, error)
	Organizations(ctx context.Context, f OrganizationFilter) (store.Page[Organization], error)
	TransferOwnership(ctx context.Context, ref string, in Transfer) (Membership, error)
}

// Tree is what happens to an organization with everything below it.
type Tree interface {
	DeleteOrganization(ctx context.Context, ref string, cascade bool, reason string) (Organization, error)
	RestoreOrganization(ctx context.Context, ref, reason string) (Organization, error)
	SuspendOrganization(ctx context.Context, ref, reason string) (Organization, error)
	ResumeOrganization(ctx context.Context, ref, reason string) (Organization, error)
	MoveOrganization(ctx context.Context, ref, parent string) (Organization, error)
}

// Teams have settings, members, keys and budgets of their own.
type Teams interface {
	CreateTeam(ctx context.Context, org string, in NewTeam) (Team, error)
	UpdateTeam(ctx context.Context, ref string, in TeamUpdate) (Team, error)
	ArchiveTeam(ctx context.Context, ref string) (Team, error)
	UnarchiveTeam(ctx context.Context, ref string) (Team, error)
	DeleteTeam(ctx context.Context, ref string, cascade bool) (Team, error)
	Team(ctx context.Context, ref string) (Team, error)
	TeamFigures(ctx context.Context, ref string) (Team, PlaceFigures, error)
	Teams(ctx context.Context, org string, f PartFilter) (store.Page[Team], error)
}

// Projects have members, keys and budgets of their own, across teams.
type Projects interface {
	CreateProject(ctx context.Context, org string, in NewProject) (Project, error)
	UpdateProject(ctx context.Context, org, ref string, in ProjectUpdate) (Project, error)
	DeleteProject(ctx context.Context, org, ref string, cascade bool) (Project, error)
	Project(ctx context.Context, org, ref string) (Project, error)
	EveryProject(ctx context.Context, limit int, after string) (store.Page[Project], error)
	Projects(ctx context.Context, org string, f PartFilter) (store.Page[Project], error)
}

// Members are users in an organization, team or project.
type Members interface {
	PlaceFigures(ctx context.Context, at Place) (PlaceFigures, error)
	AddMember(ctx context.Context, at Place, in NewMember) (Membership, error)
	AddMembers(ctx context.Context, at Place, in []NewMember, atomic bool) ([]Row[Membership], error)
	UpdateMember(ctx context.Context, at Place, user string, in MemberUpdate) (Membership, error)
	RemoveMember(ctx context.Context, at Place, user string, in MemberRemoval) (Removed, error)
	Member(ctx context.Context, at Place, user string) (Membership, error)
	Members(ctx context.Context, at Place, f MemberFilter) (store.Page[Membership], error)
}

// Invitations bring people in.
type Invitations interface {
	Invite(ctx context.Context, at Place, in NewInvitation) (Invitation, string, error)
	InviteMany(ctx context.Context, at Place, in []NewInvitation, atomic bool) ([]Row[Invited], error)
	RevokeInvitation(ctx context.Context, at Place, id string) (Invitation, error)
	ResendInvitation(ctx context.Context, at Place, id string) (Invitation, string, error)
	AnswerInvitation(ctx context.Context, token string, accept bool) (Invitation, *Membership, error)
	Invitation(ctx context.Context, at Place, id string) (Invitation, error)
	Invitations(ctx context.Context, at Place, f InvitationFilter) (store.Page[Invitation], error)
}

// APIKeys are credentials of the data plane.
type APIKeys interface {
	CreateAPIKey(ctx context.Context, in NewAPIKey) (APIKey, string, error)
	CreateAPIKeys(ctx context.Context, in []NewAPIKey, atomic bool) ([]Row[CreatedAPIKey], error)
	UpdateAPIKey(ctx context.Context, id string, in KeyUpdate) (APIKey, error)
	RotateAPIKey(ctx context.Context, id string, overlap time.Duration) (APIKey, string, error)
	DisableAPIKey(ctx context.Context, id, reason string) (APIKey, error)
	EnableAPIKey(ctx context.Context, id, reason string) (APIKey, error)
	RevokeAPIKey(ctx context.Context, id, reason string) (APIKey, error)
	APIKey(ctx context.Context, id string) (APIKey, error)
	APIKeys(ctx context.Context, at Place, f KeyFilter) (store.Page[APIKey], error)
	KeysOf(ctx context.Context, user string, limit int, after string) (store.Page[APIKey], error)
	LastUsed(ctx context.Context, orgID string, keyIDs ...string) (map[string]time.Time, error)
}

// Roles are kept by rbac; ids, not slugs, name organizations and teams here.
type Roles interface {
	CreateRole(ctx context.Context, orgID string, in rbac.NewRole) (rbac.Role, error)
	UpdateRole(ctx context.Context, orgID, ref string, in rbac.RoleUpdate) (rbac.Role, error)
	DeleteRole(ctx context.Context, orgID, ref, replaceWith string) (rbac.Role, error)
	Role(ctx context.Context, orgID, ref string) (rbac.Role, error)
	RoleHolders(ctx context.Context, role rbac.Role) (int, error)
	Roles(ctx context.Context, orgID string, limit int, after string) (store.Page[rbac.Role], error)
	SetOverride(ctx context.Context, orgID, teamID, role string, add, remove []string) (rbac.Override, bool, error)
	DeleteOverride(ctx context.Context, orgID, teamID, role string) (rbac.Override, error)
	Overrides(ctx context.Context, orgID, teamID string, limit int, after string) (store.Page[rbac.Override], error)
	OverrideMeans(ctx context.Context, o rbac.Override) ([]string, error)
}

// Policies are statements attached to a team or organization.
type Policies interface {
	CreatePolicy(ctx context.Context, orgID, teamID string, in rbac.NewPolicy) (rbac.Policy, []rbac.Warning, error)
	UpdatePolicy(ctx context.Context, orgID, teamID, id string, in rbac.NewPolicy) (rbac.Policy, []rbac.Warning, error)
	DeletePolicy(ctx context.Context, orgID, teamID, id string) (rbac.Policy, error)
	Policy(ctx context.Context, orgID, teamID, id string) (rbac.Policy, error)
	Policies(ctx context.Context, orgID, teamID string, limit int, after string) (store.Page[rbac.Policy], error)
	Lint(ctx context.Context, orgID string) ([]rbac.Finding, error)
	CasbinExport(ctx context.Context, orgID string) (rbac.CasbinExport, error)
	WhoCan(ctx context.Context, q rbac.AccessQuery) (rbac.Holders, error)
	WhatCan(ctx context.Context, subject string, q rbac.AccessQuery) ([]rbac.Permitted, error)
}

// Approvals open what needs somebody's word.
type Approvals interface {
	RequestApproval(ctx context.Context, r rbac.Request, reason string) (rbac.Approval, bool, error)
	DecideApproval(ctx context.Context, orgID, id string, in rbac.ApprovalDecision) (rbac.Approval, error)
	WithdrawApproval(ctx context.Context, orgID, id, reason string) (rbac.Approval, error)
	Approval(ctx context.Context, orgID, id string) (rbac.Approval, error)
	Approvals(ctx context.Context, orgID, teamID string, f rbac.ApprovalFilter) (store.Page[rbac.Approval], error)
}

// Budgets limit spending.
type Budgets interface {
	SetBudget(ctx context.Context, b billing.Budget) (billing.Budget, error)
	SetBalance(ctx context.Context, b billing.Budget, left decimal.Decimal) (billing.Budget, error)
	Budget(ctx context.Context, orgID, id string) (billing.BudgetState, error)
	DeleteBudget(ctx context.Context, orgID, id string) (billing.Budget, error)
	SuspendBudget(ctx context.Context, b billing.Budget) (billing.Budget, error)
	ResumeBudget(ctx context.Context, b billing.Budget) (billing.Budget, error)
	Overview(ctx context.Context, orgID string) ([]billing.BudgetState, error)
	PlaceBudgets(ctx context.Context, orgID, teamID string) ([]billing.BudgetState, error)
	ResumePlace(ctx context.Context, orgID, teamID string) error
	Correct(ctx context.Context, in billing.Correction) (billing.Correction, error)
	RequestRaise(ctx context.Context, orgID, teamID, budgetID string, in billing.RaiseRequest) (rbac.Approval, bool, error)
	Raises(ctx context.Context, orgID, teamID, budgetID string, f rbac.ApprovalFilter) (store.Page[rbac.Approval], error)
}

// Allowances are limits that organizations can share. They are the platform's.
type Allowances interface {
	CreateAllowance(ctx context.Context, in NewAllowance) (Allowance, error)
	UpdateAllowance(ctx context.Context, id string, in AllowanceLimits) (Allowance, error)
	DeleteAllowance(ctx context.Context, id string) (Allowance, error)
	Allowance(ctx context.Context, id string) (Allowance, error)
	Allowances(ctx context.Context, limit int, after string) (store.Page[Allowance], error)
	AllowanceOf(ctx context.Context, org string) (AllowanceState, error)
}

// RateLimiting limits how many requests and tokens calls take, and how many run at once.
type RateLimiting interface {
	SetRateLimit(ctx context.Context, r billing.RateLimit) (billing.RateLimit, error)
	DeleteRateLimit(ctx context.Context, orgID, id string) (billing.RateLimit, error)
	RateLimit(ctx context.Context, orgID, id string) (billing.RateLimitState, error)
	RateLimits(ctx context.Context, orgID string, limit int, after string) (store.Page[billing.RateLimitState], error)
}

// Usage is what calls have used, and who sees it. Reading leaves an event of its own, but for tags, sums and one's own calls.
type Usage interface {
	DailyUsage(ctx context.Context, org string, in AnalyticsQuery) ([]DayOfUsage, error)
	Spending(ctx context.Context, org, by string, since time.Time) (map[string]decimal.Decimal, error)
	CurrentUsage(ctx context.Context, org, by string) (Analytics, error)
	Credit(ctx context.Context, org string) (Credit, error)
	Analytics(ctx context.Context, org string, in AnalyticsQuery) (Analytics, error)
	Consumption(ctx context.Context, org, month string) (billing.Consumption, error)
	CostCenters(ctx context.Context, org string, p billing.Period, a billing.CostAllocation) ([]billing.CostCenter, error)
	Calls(ctx context.Context, q CallQuery) ([]billing.UsageEvent, error)
	CallDays(ctx context.Context, q CallQuery) ([]CallDay, error)
	UsageTags(ctx context.Context, org string, limit int, after string) (store.Page[billing.UsageTag], error)
}

// Billings are how organizations pay, of what they are told, and to whom what they spend belongs.
type Billings interface {
	SetBilling(ctx context.Context, org string, in NewBilling) (billing.Settings, error)
	Billing(ctx context.Context, org string) (billing.Settings, error)
	PaymentMethods(ctx context.Context, org string) ([]billing.PaymentMethod, error)
	Alerts(ctx context.Context, org string, limit int, after string) (store.Page[billing.FiredAlert], error)
}

// Invoicings are what organizations are asked to pay; [Manager.MakeInvoices] makes them.
type Invoicings interface {
	FinalizeInvoice(ctx context.Context, org, id, purchaseOrder string) (Invoice, error)
	VoidInvoice(ctx context.Context, org, id, reason string) (Invoice, error)
	MarkInvoicePaid(ctx context.Context, org, id, reference string) (Invoice, error)
	Invoice(ctx context.Context, org, id string) (Invoice, []billing.InvoiceLine, error)
	PrintedInvoice(ctx context.Context, org, id string) (PrintedInvoice, error)
	Invoices(ctx context.Context, org string, limit int, after string) (store.Page[Invoice], error)
}

// AuditLogs are what is logged, the log as it is read, and what may be taken out of it. Reading needs audit.read, and
// leaves an event of its own where events are read.
type AuditLogs interface {
	SetAuditConfig(ctx context.Context, org string, in NewAuditConfig) (AuditSettings, []store.Warning, error)
	AuditConfig(ctx context.Context, org string) (AuditSettings, error)
	RetryDestination(ctx context.Context, org, id string) (audit.Destination, audit.Delivery, error)
	AuditLog(ctx context.Context, org string, f audit.Filter) (store.Page[audit.Event], error)
	AuditLogBelow(ctx context.Context, org string, f audit.Filter) (store.Page[audit.Event], error)
	AuditCounts(ctx context.Context, org string, q audit.CountQuery) (audit.Counts, error)
	AuditCountsBelow(ctx context.Context, org string, q audit.CountQuery) (audit.Counts, error)
	AuditGaps(ctx context.Context, org string, from, to time.Time) ([]audit.Gap, error)
	AccessLog(ctx context.Context, org string, f audit.Filter) (store.Page[Access], error)
	AuditCheckpoint(ctx context.Context, org string) (audit.Checkpoint, error)
	AuditProof(ctx context.Context, org string, seq int64) (audit.Proof, error)
	AuditConsistency(ctx context.Context, org string, from, to int64) ([]audit.Hash, error)
	EraseFromAudit(ctx context.Context, org, id string) (events int, err error)
}

// Webhooks are URLs that are called with an organization's notifications.
type Webhooks interface {
	CreateWebhook(ctx context.Context, org string, in NewWebhook) (Webhook, string, error)
	UpdateWebhook(ctx context.Context, org, id string, in WebhookUpdate) (Webhook, error)
	RotateWebhook(ctx context.Context, org, id string, overlap time.Duration) (Webhook, string, error)
	DeleteWebhook(ctx context.Context, org, id string) (Webhook, error)
	TestWebhook(ctx context.Context, org, id string) (Webhook, error)
	RetryWebhook(ctx context.Context, org, id, failure string) (Webhook, error)
	Webhook(ctx context.Context, org, id string) (Webhook, error)
	Webhooks(ctx context.Context, org string, limit int, after string) (store.Page[Webhook], error)
	WebhookFailures(ctx context.Context, org, id string, limit int, after string) (store.Page[WebhookFailure], error)
	WebhookCalls(ctx context.Context, orgID string, ids ...string) (map[string]WebhookCalls, error)
}

// Sessions are sign-ins that last: one's own, and everybody's for the platform. Package orgs/signin starts them.
type Sessions interface {
	Session(ctx context.Context, user, id string) (Session, error)
	Sessions(ctx context.Context, user string, limit int, after string) (store.Page[Session], error)
	EndSession(ctx context.Context, user, id string) (Session, error)
	EndSessions(ctx context.Context, user string, others bool) (int, error)
}

// Provisionings say what identity providers do in organizations; see [Manager.Provision] for how they do it.
type Provisionings interface {
	SetProvisioning(ctx context.Context, org string, in NewProvisioning) (ProvisioningSettings, []store.Warning, error)
	SetVerifiedDomains(ctx context.Context, org string, domains ...string) (ProvisioningSettings, error)
	Provisioning(ctx context.Context, org string) (ProvisioningSettings, error)
	CreateSCIMToken(ctx context.Context, org string, in NewSCIMToken) (SCIMToken, string, error)
	RevokeSCIMToken(ctx context.Context, org, id string) (SCIMToken, error)
	SCIMTokens(ctx context.Context, org string, limit int, after string) (store.Page[SCIMToken], error)
}

// SingleSignOn is how members sign in by the identity provider of their organization; packages of the protocols do it.
type SingleSignOn interface {
	SetSSO(ctx context.Context, org string, in NewSSO) (SSOSettings, []store.Warning, error)
	SSO(ctx context.Context, org string) (SSOSettings, error)
	DeleteSSO(ctx context.Context, org string) (SSO, error)
	PlatformSSO(ctx context.Context) (PlatformSSO, error)
	SetPlatformSSO(ctx context.Context, rules []PlatformSSORule) (PlatformSSO, error)
}

// Credentials turn a secret into an actor.
type Credentials interface {
	Authenticate(ctx context.Context, secret string) (audit.Actor, error)
}
