package orgs_test

import (
	"context"
	"time"

	"github.com/shopspring/decimal"

	"github.com/orgkit/orgkit/audit"
	"github.com/orgkit/orgkit/billing"
	"github.com/orgkit/orgkit/orgs"
	"github.com/orgkit/orgkit/rbac"
	"github.com/orgkit/orgkit/store"
)

var keyMethods = []method{
	{name: "CreateAPIKey",
		call: func(ctx context.Context, f *fixture) (any, error) {
			k, _, err := f.CreateAPIKey(ctx, orgs.NewAPIKey{Name: "new", Team: f.id.Team})
			return k, err
		},
		wrong: func(ctx context.Context, f *fixture) (any, error) {
			k, _, err := f.CreateAPIKey(ctx, orgs.NewAPIKey{Team: f.id.Team})
			return k, err
		}},
	{name: "CreateAPIKey/of a project", nested: true,
		call: func(ctx context.Context, f *fixture) (any, error) {
			k, _, err := f.CreateAPIKey(ctx, orgs.NewAPIKey{Name: "new", Organization: f.id.Org, Project: f.id.Project})
			return k, err
		},
		wrong: func(ctx context.Context, f *fixture) (any, error) {
			k, _, err := f.CreateAPIKey(ctx, orgs.NewAPIKey{Name: "new", Organization: f.id.Org, Project: f.id.Team})
			return k, err
		}},
	{name: "CreateAPIKey/for another", nested: true,
		call: func(ctx context.Context, f *fixture) (any, error) {
			k, _, err := f.CreateAPIKey(ctx, orgs.NewAPIKey{Name: "new", Organization: f.id.Org, User: &f.id.User})
			return k, err
		},
		wrong: func(ctx context.Context, f *fixture) (any, error) {
			k, _, err := f.CreateAPIKey(ctx, orgs.NewAPIKey{Name: "new", Organization: f.id.Org, User: &f.id.Coming})
			return k, err
		}},
	{name: "CreateAPIKeys/each by itself", rows: 2, units: 2,
		call: func(ctx context.Context, f *fixture) (any, error) {
			return several(f.CreateAPIKeys(ctx, []orgs.NewAPIKey{{Name: "a", Team: f.id.Team}, {Name: "b", Organization: f.id.Org}}, false))
		},
		wrong: func(ctx context.Context, f *fixture) (any, error) {
			return several(f.CreateAPIKeys(ctx, []orgs.NewAPIKey{{Team: f.id.Team}}, false))
		}},
	{name: "CreateAPIKeys/all or none", rows: 2,
		call: func(ctx context.Context, f *fixture) (any, error) {
			return several(f.CreateAPIKeys(ctx, []orgs.NewAPIKey{{Name: "a", Team: f.id.Team}, {Name: "b", Organization: f.id.Org}}, true))
		},
		wrong: func(ctx context.Context, f *fixture) (any, error) {
			return several(f.CreateAPIKeys(ctx, []orgs.NewAPIKey{{Name: "a", Team: f.id.Team}, {Organization: f.id.Org}}, true))
		}},
	{name: "UpdateAPIKey",
		call: func(ctx context.Context, f *fixture) (any, error) {
			return f.UpdateAPIKey(ctx, f.id.Key, orgs.KeyUpdate{Name: ptr("new")})
		},
		wrong: func(ctx context.Context, f *fixture) (any, error) {
			return f.UpdateAPIKey(ctx, f.id.Key, orgs.KeyUpdate{Name: ptr("")})
		}},
	{name: "RotateAPIKey",
		call: func(ctx context.Context, f *fixture) (any, error) {
			k, _, err := f.RotateAPIKey(ctx, f.id.Key, time.Hour)
			return k, err
		},
		wrong: func(ctx context.Context, f *fixture) (any, error) {
			k, _, err := f.RotateAPIKey(ctx, f.id.Key, -time.Hour)
			return k, err
		}},
	{name: "DisableAPIKey",
		call: func(ctx context.Context, f *fixture) (any, error) {
			return f.DisableAPIKey(ctx, f.id.Key, "leaked?")
		},
		wrong: func(ctx context.Context, f *fixture) (any, error) { return f.DisableAPIKey(ctx, f.id.Key, long) }},
	{name: "EnableAPIKey",
		first: func(ctx context.Context, f *fixture) error {
			_, err := f.DisableAPIKey(ctx, f.id.Key, "")
			return err
		},
		call:  func(ctx context.Context, f *fixture) (any, error) { return f.EnableAPIKey(ctx, f.id.Key, "found") },
		wrong: func(ctx context.Context, f *fixture) (any, error) { return f.EnableAPIKey(ctx, f.id.Key, long) }},
	{name: "RevokeAPIKey",
		call:  func(ctx context.Context, f *fixture) (any, error) { return f.RevokeAPIKey(ctx, f.id.Key, "leaked") },
		wrong: func(ctx context.Context, f *fixture) (any, error) { return f.RevokeAPIKey(ctx, f.id.Key, long) }},
	{name: "APIKey", reads: true,
		call: func(ctx context.Context, f *fixture) (any, error) { return f.APIKey(ctx, f.id.Key) }},
	{name: "APIKeys", reads: true, nested: true,
		call: func(ctx context.Context, f *fixture) (any, error) {
			return f.APIKeys(ctx, f.id.inTeam(), orgs.KeyFilter{})
		}},
	{name: "APIKeys/of a user", reads: true, nested: true,
		call: func(ctx context.Context, f *fixture) (any, error) {
			return f.APIKeys(ctx, f.id.at(), orgs.KeyFilter{User: f.id.User})
		}},
	{name: "KeysOf", reads: true, by: byPlatform, member: hidden, because: "other users do not exist to a user",
		call: func(ctx context.Context, f *fixture) (any, error) { return f.KeysOf(ctx, f.id.User, 10, "") }},
	{name: "LastUsed", reads: true, nested: true, member: allowed, because: "it is for everybody who holds something there",
		first: func(ctx context.Context, f *fixture) error { _, err := f.Authenticate(ctx, f.id.Secret); return err },
		call:  func(ctx context.Context, f *fixture) (any, error) { return f.LastUsed(ctx, f.id.Org, f.id.Key) }},
}

var roleMethods = []method{
	{name: "CreateRole",
		call: func(ctx context.Context, f *fixture) (any, error) {
			return f.CreateRole(ctx, f.id.Org, rbac.NewRole{Name: "New", Permissions: []string{"teams.read"}})
		},
		wrong: func(ctx context.Context, f *fixture) (any, error) {
			return f.CreateRole(ctx, f.id.Org, rbac.NewRole{Name: "New", Permissions: []string{"!"}})
		}},
	{name: "UpdateRole", nested: true,
		call: func(ctx context.Context, f *fixture) (any, error) {
			return f.UpdateRole(ctx, f.id.Org, f.id.Role, rbac.RoleUpdate{Permissions: &[]string{"usage.read"}})
		},
		wrong: func(ctx context.Context, f *fixture) (any, error) {
			return f.UpdateRole(ctx, f.id.Org, f.id.Role, rbac.RoleUpdate{Permissions: &[]string{"!"}})
		}},
	{name: "DeleteRole", nested: true,
		call: func(ctx context.Context, f *fixture) (any, error) { return f.DeleteRole(ctx, f.id.Org, f.id.Role, "") },
		wrong: func(ctx context.Context, f *fixture) (any, error) {
			return f.DeleteRole(ctx, f.id.Org, f.id.Role, f.id.Role)
		}},
	{name: "Role", reads: true, nested: true,
		call: func(ctx context.Context, f *fixture) (any, error) { return f.Manager.Role(ctx, f.id.Org, f.id.Role) }},
	{name: "RoleHolders", reads: true, nested: true,
		call: func(ctx context.Context, f *fixture) (any, error) {
			return f.RoleHolders(ctx, rbac.Role{Meta: store.Meta{ID: f.id.Role}, OrgID: f.id.Org})
		}},
	{name: "Roles", reads: true,
		call: func(ctx context.Context, f *fixture) (any, error) { return f.Manager.Roles(ctx, f.id.Org, 0, "") }},
	{name: "SetOverride", nested: true,
		call: func(ctx context.Context, f *fixture) (any, error) {
			o, _, err := f.SetOverride(ctx, f.id.Org, f.id.Team, "member", []string{"billing.read"}, nil)
			return o, err
		},
		wrong: func(ctx context.Context, f *fixture) (any, error) {
			o, _, err := f.SetOverride(ctx, f.id.Org, f.id.Team, "nobody", nil, nil)
			return o, err
		}},
	{name: "DeleteOverride", nested: true,
		call: func(ctx context.Context, f *fixture) (any, error) {
			return f.DeleteOverride(ctx, f.id.Org, f.id.Team, "member")
		},
		wrong: func(ctx context.Context, f *fixture) (any, error) {
			return f.DeleteOverride(ctx, f.id.Org, f.id.Team, f.id.Role)
		}},
	{name: "Overrides", reads: true, nested: true,
		call: func(ctx context.Context, f *fixture) (any, error) {
			return f.Overrides(ctx, f.id.Org, f.id.Team, 0, "")
		}},
	{name: "OverrideMeans", reads: true, nested: true, member: allowed, because: "it is for everybody who holds something there",
		call: func(ctx context.Context, f *fixture) (any, error) {
			return f.OverrideMeans(ctx, rbac.Override{OrgID: f.id.Org, TeamID: f.id.Team, RoleID: f.id.Role})
		}},
}

var somePolicy = rbac.NewPolicy{Name: "some", Statements: []rbac.Statement{
	{Effect: rbac.EffectDeny, Actions: []string{"models.use"}, Resources: []string{"model:dear"}}}}

var policyMethods = []method{
	{name: "CreatePolicy", nested: true,
		call: func(ctx context.Context, f *fixture) (any, error) {
			p, _, err := f.CreatePolicy(ctx, f.id.Org, f.id.Team, rbac.NewPolicy{Name: "new", Statements: somePolicy.Statements})
			return p, err
		},
		wrong: func(ctx context.Context, f *fixture) (any, error) {
			p, _, err := f.CreatePolicy(ctx, f.id.Org, f.id.Team, rbac.NewPolicy{Name: "new"})
			return p, err
		}},
	{name: "UpdatePolicy", nested: true,
		call: func(ctx context.Context, f *fixture) (any, error) {
			p, _, err := f.UpdatePolicy(ctx, f.id.Org, f.id.Team, f.id.Policy, rbac.NewPolicy{Name: "new", Statements: somePolicy.Statements})
			return p, err
		},
		wrong: func(ctx context.Context, f *fixture) (any, error) {
			p, _, err := f.UpdatePolicy(ctx, f.id.Org, f.id.Team, f.id.Policy, rbac.NewPolicy{Name: "new"})
			return p, err
		}},
	{name: "UpdatePolicy/of the organization", nested: true,
		call: func(ctx context.Context, f *fixture) (any, error) {
			p, _, err := f.UpdatePolicy(ctx, f.id.Org, "", f.id.Law, rbac.NewPolicy{Name: "new", Statements: somePolicy.Statements})
			return p, err
		},
		wrong: func(ctx context.Context, f *fixture) (any, error) {
			p, _, err := f.UpdatePolicy(ctx, f.id.Org, "", f.id.Policy, rbac.NewPolicy{Name: "new", Statements: somePolicy.Statements})
			return p, err
		}},
	{name: "DeletePolicy", nested: true,
		call: func(ctx context.Context, f *fixture) (any, error) {
			return f.DeletePolicy(ctx, f.id.Org, f.id.Team, f.id.Policy)
		},
		wrong: func(ctx context.Context, f *fixture) (any, error) {
			return f.DeletePolicy(ctx, f.id.Org, "", f.id.Policy)
		}},
	{name: "Policy", reads: true, nested: true,
		call: func(ctx context.Context, f *fixture) (any, error) {
			return f.Manager.Policy(ctx, f.id.Org, f.id.Team, f.id.Policy)
		}},
	{name: "Policy/of the organization", reads: true, nested: true,
		call: func(ctx context.Context, f *fixture) (any, error) {
			return f.Manager.Policy(ctx, f.id.Org, "", f.id.Law)
		}},
	{name: "Policies", reads: true, nested: true,
		call: func(ctx context.Context, f *fixture) (any, error) { return f.Policies(ctx, f.id.Org, f.id.Team, 0, "") }},
	{name: "Lint", reads: true,
		call: func(ctx context.Context, f *fixture) (any, error) { return f.Lint(ctx, f.id.Org) }},
	{name: "CasbinExport", reads: true,
		call: func(ctx context.Context, f *fixture) (any, error) { return f.CasbinExport(ctx, f.id.Org) }},
	{name: "WhoCan", reads: true, nested: true, member: hidden, guest: denied, because: "who may read members:own only knows of nobody else",
		call: func(ctx context.Context, f *fixture) (any, error) {
			return f.WhoCan(ctx, rbac.AccessQuery{OrgID: f.id.Org, TeamID: f.id.Team, Action: "models.use", Resource: "model:large"})
		}},
	{name: "WhatCan", reads: true, nested: true, member: hidden, guest: denied, because: "who may read members:own only knows of nobody else",
		call: func(ctx context.Context, f *fixture) (any, error) {
			return f.WhatCan(ctx, f.id.User, rbac.AccessQuery{OrgID: f.id.Org, TeamID: f.id.Team, Resource: "model:large"})
		}},
}

func someBudget(f *fixture) billing.Budget {
	return billing.Budget{OrgID: f.id.Org, Scope: billing.ScopeTeam, ScopeID: f.id.Team, Limit: decimal.NewFromInt(5), Window: "calendar_month"}
}

func someRateLimit(f *fixture) billing.RateLimit {
	return billing.RateLimit{OrgID: f.id.Org, Scope: billing.ScopeTeam, ScopeID: f.id.Team, RequestsPerDay: ptr(int64(5))}
}

var otherMethods = []method{
	{name: "RequestApproval", by: byMember, nested: true, member: allowed, guest: denied, because: "everybody asks for themselves",
		call: func(ctx context.Context, f *fixture) (any, error) {
			a, _, err := f.RequestApproval(ctx, rbac.Request{OrgID: f.id.Org, TeamID: f.id.Team, Action: "models.use", Person: f.id.Joining, Call: rbac.Call{Resource: "model:large"}}, "")
			return a, err
		},
		wrong: func(ctx context.Context, f *fixture) (any, error) {
			a, _, err := f.RequestApproval(ctx, rbac.Request{OrgID: f.id.Org, TeamID: f.id.Team, Action: "models.use", Person: f.id.Joining, Call: rbac.Call{Resource: "model:large"}}, long)
			return a, err
		}},
	{name: "DecideApproval", nested: true,
		call: func(ctx context.Context, f *fixture) (any, error) {
			return f.DecideApproval(ctx, f.id.Org, f.id.Approval, rbac.ApprovalDecision{Approve: true})
		},
		wrong: func(ctx context.Context, f *fixture) (any, error) {
			return f.DecideApproval(ctx, f.id.Org, f.id.Approval, rbac.ApprovalDecision{Approve: true, Lasts: time.Minute})
		}},
	{name: "WithdrawApproval", by: byPlatform, nested: true, member: hidden, guest: hidden, because: "to others than the requester and the approvers a request does not exist",
		call: func(ctx context.Context, f *fixture) (any, error) {
			return f.WithdrawApproval(ctx, f.id.Org, f.id.Approval, "")
		},
		wrong: func(ctx context.Context, f *fixture) (any, error) {
			return f.WithdrawApproval(ctx, f.id.Org, f.id.Approval, long)
		}},
	{name: "Approval", reads: true, nested: true, member: hidden, guest: hidden, because: "to others than the requester and the approvers a request does not exist",
		call: func(ctx context.Context, f *fixture) (any, error) {
			return f.Manager.Approval(ctx, f.id.Org, f.id.Approval)
		}},
	{name: "Approvals", reads: true, nested: true, member: allowed, guest: allowed, because: "everybody sees their own",
		call: func(ctx context.Context, f *fixture) (any, error) {
			return f.Approvals(ctx, f.id.Org, f.id.Team, rbac.ApprovalFilter{})
		}},
	{name: "SetBudget", nested: true,
		call: func(ctx context.Context, f *fixture) (any, error) {
			b := someBudget(f)
			b.Name = "new"
			return f.SetBudget(ctx, b)
		},
		wrong: func(ctx context.Context, f *fixture) (any, error) {
			b := someBudget(f)
			b.Window = "never"
			return f.SetBudget(ctx, b)
		}},
	{name: "SetBudget/of the organization",
		call: func(ctx context.Context, f *fixture) (any, error) {
			return f.SetBudget(ctx, billing.Budget{OrgID: f.id.Org, Scope: billing.ScopeOrg, ScopeID: f.id.Org, Window: "1d"})
		},
		wrong: func(ctx context.Context, f *fixture) (any, error) {
			return f.SetBudget(ctx, billing.Budget{OrgID: f.id.Org, Scope: billing.ScopeOrg, ScopeID: f.id.Org, Window: "1d", Limit: decimal.NewFromInt(-1)})
		}},
	{name: "SetBalance", nested: true,
		call: func(ctx context.Context, f *fixture) (any, error) {
			return f.SetBalance(ctx, someBudget(f), decimal.NewFromInt(3))
		},
		wrong: func(ctx context.Context, f *fixture) (any, error) {
			return f.SetBalance(ctx, someBudget(f), decimal.NewFromInt(-3))
		}},
	{name: "Budget", reads: true, nested: true,
		call: func(ctx context.Context, f *fixture) (any, error) { return f.Budget(ctx, f.id.Org, f.id.Budget) }},
	{name: "DeleteBudget", nested: true,
		call:  func(ctx context.Context, f *fixture) (any, error) { return f.DeleteBudget(ctx, f.id.Org, f.id.Budget) },
		wrong: func(ctx context.Context, f *fixture) (any, error) { return f.DeleteBudget(ctx, f.id.Org, "bud_none") }},
	{name: "SuspendBudget", nested: true,
		call: func(ctx context.Context, f *fixture) (any, error) { return f.SuspendBudget(ctx, someBudget(f)) },
		wrong: func(ctx context.Context, f *fixture) (any, error) {
			b := someBudget(f)
			b.Name = "none"
			return f.SuspendBudget(ctx, b)
		}},
	{name: "ResumeBudget", nested: true,
		first: func(ctx context.Context, f *fixture) error {
			_, err := f.SuspendBudget(ctx, someBudget(f))
			return err
		},
		call: func(ctx context.Context, f *fixture) (any, error) { return f.ResumeBudget(ctx, someBudget(f)) },
		wrong: func(ctx context.Context, f *fixture) (any, error) {
			b := someBudget(f)
			b.Name = "none"
			return f.ResumeBudget(ctx, b)
		}},
	{name: "PlaceBudgets", reads: true, nested: true, member: allowed, guest: denied, because: "the team gives its member role usage.read",
		call: func(ctx context.Context, f *fixture) (any, error) {
			return f.PlaceBudgets(ctx, f.id.Org, f.id.Team)
		}},
	{name: "ResumePlace", nested: true,
		first: func(ctx context.Context, f *fixture) error {
			_, err := f.SuspendBudget(ctx, someBudget(f))
			return err
		},
		call: func(ctx context.Context, f *fixture) (any, error) {
			return nil, f.ResumePlace(ctx, f.id.Org, f.id.Team)
		},
		wrong: func(ctx context.Context, f *fixture) (any, error) {
			return nil, f.ResumePlace(ctx, f.id.Org, f.id.Project)
		}},
	{name: "Correct", by: byPlatform,
		call: func(ctx context.Context, f *fixture) (any, error) {
			return f.Correct(ctx, billing.Correction{OrgID: f.id.Org, ReservationID: f.id.Reservation, Reference: "r", Amount: decimal.NewFromInt(-1), Reason: "refund"})
		},
		wrong: func(ctx context.Context, f *fixture) (any, error) {
			return f.Correct(ctx, billing.Correction{OrgID: f.id.Org, ReservationID: f.id.Reservation, Reference: "r", Amount: decimal.NewFromInt(-2), Reason: "refund"})
		}},
	{name: "RequestRaise", by: byPlatform, nested: true, member: hidden, guest: hidden, because: "to who is not in the team its budget does not exist",
		call: func(ctx context.Context, f *fixture) (any, error) {
			a, _, err := f.RequestRaise(ctx, f.id.Org, "", f.id.Budget, billing.RaiseRequest{Amount: decimal.NewFromInt(3), Requester: f.id.User})
			return a, err
		},
		wrong: func(ctx context.Context, f *fixture) (any, error) {
			a, _, err := f.RequestRaise(ctx, f.id.Org, "", f.id.Budget, billing.RaiseRequest{Requester: f.id.User})
			return a, err
		}},
	{name: "Raises", reads: true, nested: true, member: allowed, guest: allowed, because: "everybody sees their own",
		call: func(ctx context.Context, f *fixture) (any, error) {
			return f.Raises(ctx, f.id.Org, "", f.id.Budget, rbac.ApprovalFilter{})
		}},
	{name: "Overview", reads: true,
		call: func(ctx context.Context, f *fixture) (any, error) { return f.Overview(ctx, f.id.Org) }},
	{name: "SetRateLimit", nested: true,
		call: func(ctx context.Context, f *fixture) (any, error) {
			r := someRateLimit(f)
			r.Name = "new"
			return f.SetRateLimit(ctx, r)
		},
		wrong: func(ctx context.Context, f *fixture) (any, error) {
			r := someRateLimit(f)
			r.RequestsPerDay = ptr(int64(-1))
			return f.SetRateLimit(ctx, r)
		}},
	{name: "SetRateLimit/that is there", nested: true,
		call: func(ctx context.Context, f *fixture) (any, error) {
			r := someRateLimit(f)
			r.RequestsPerDay = ptr(int64(7))
			return f.SetRateLimit(ctx, r)
		},
		wrong: func(ctx context.Context, f *fixture) (any, error) {
			r := someRateLimit(f)
			r.Name = billing.OfSettings
			return f.SetRateLimit(ctx, r)
		}},
	{name: "DeleteRateLimit", nested: true,
		call: func(ctx context.Context, f *fixture) (any, error) {
			return f.DeleteRateLimit(ctx, f.id.Org, f.id.Limit)
		},
		wrong: func(ctx context.Context, f *fixture) (any, error) {
			return f.DeleteRateLimit(ctx, f.id.Org, "lim_none")
		}},
	{name: "RateLimit", reads: true, nested: true,
		call: func(ctx context.Context, f *fixture) (any, error) { return f.RateLimit(ctx, f.id.Org, f.id.Limit) }},
	{name: "RateLimits", reads: true,
		call: func(ctx context.Context, f *fixture) (any, error) { return f.RateLimits(ctx, f.id.Org, 0, "") }},
	{name: "SetAuditConfig",
		call: func(ctx context.Context, f *fixture) (any, error) {
			c, _, err := f.SetAuditConfig(ctx, f.id.Org, orgs.NewAuditConfig{RetentionDays: ptr(400)})
			return c, err
		},
		wrong: func(ctx context.Context, f *fixture) (any, error) {
			c, _, err := f.SetAuditConfig(ctx, f.id.Org, orgs.NewAuditConfig{RetentionDays: ptr(0)})
			return c, err
		}},
	{name: "AuditConfig", reads: true,
		call: func(ctx context.Context, f *fixture) (any, error) { return f.AuditConfig(ctx, f.id.Org) }},
	{name: "RetryDestination", nested: true,
		call: func(ctx context.Context, f *fixture) (any, error) {
			_, d, err := f.RetryDestination(ctx, f.id.Org, f.id.Destination)
			return d, err
		},
		wrong: func(ctx context.Context, f *fixture) (any, error) {
			_, d, err := f.RetryDestination(ctx, f.id.Org, "dst_none")
			return d, err
		}},
	{name: "AuditLog", reads: true,
		call: func(ctx context.Context, f *fixture) (any, error) { return f.AuditLog(ctx, f.id.Org, audit.Filter{}) }},
	{name: "AuditLogBelow", reads: true,
		call: func(ctx context.Context, f *fixture) (any, error) {
			return f.AuditLogBelow(ctx, f.id.Org, audit.Filter{})
		}},
	{name: "AuditCounts", reads: true,
		call: func(ctx context.Context, f *fixture) (any, error) {
			return f.AuditCounts(ctx, f.id.Org, audit.CountQuery{})
		}},
	{name: "AuditCountsBelow", reads: true,
		call: func(ctx context.Context, f *fixture) (any, error) {
			return f.AuditCountsBelow(ctx, f.id.Org, audit.CountQuery{})
		}},
	{name: "AuditGaps", reads: true,
		call: func(ctx context.Context, f *fixture) (any, error) {
			return f.AuditGaps(ctx, f.id.Org, time.Time{}, time.Time{})
		}},
	{name: "AccessLog", reads: true,
		call: func(ctx context.Context, f *fixture) (any, error) { return f.AccessLog(ctx, f.id.Org, audit.Filter{}) }},
	{name: "AuditCheckpoint", reads: true,
		call: func(ctx context.Context, f *fixture) (any, error) { return f.AuditCheckpoint(ctx, f.id.Org) }},
	{name: "AuditProof", reads: true,
		call: func(ctx context.Context, f *fixture) (any, error) { return f.AuditProof(ctx, f.id.Org, 0) }},
	{name: "AuditConsistency", reads: true,
		call: func(ctx context.Context, f *fixture) (any, error) { return f.AuditConsistency(ctx, f.id.Org, 1, 2) }},
	{name: "EraseFromAudit",
		call:  func(ctx context.Context, f *fixture) (any, error) { return f.EraseFromAudit(ctx, f.id.Org, f.id.User) },
		wrong: func(ctx context.Context, f *fixture) (any, error) { return f.EraseFromAudit(ctx, f.id.Org, "") }},
	{name: "Authenticate", reads: true, nobody: allowed, member: allowed, foreign: allowed, because: "the secret is all that it asks for",
		call: func(ctx context.Context, f *fixture) (any, error) { return f.Authenticate(ctx, f.id.Secret) }},
}
