package litellm

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/shopspring/decimal"

	"github.com/orgkit/orgkit/billing"
	"github.com/orgkit/orgkit/orgs"
	"github.com/orgkit/orgkit/rbac"
	"github.com/orgkit/orgkit/store"
)

// The roles of members beside that of the owner.
const (
	roleUser   = "internal_user"
	roleViewer = "internal_user_viewer"
)

// memberRoles are the roles that an organization gets when somebody first has them.
var memberRoles = map[string]rbac.NewRole{
	roleUser: {Name: "Internal user", Slug: roleUser, Description: "Uses models, and sees what is their own",
		Permissions: []string{"organizations.read", "teams.read:own", "projects.read:own", "members.read:own", "usage.read:own",
			"api_keys.create:own", "api_keys.read:own", "api_keys.update:own", "api_keys.delete:own", "api_keys.use", "models.read", "models.use"}},
	roleViewer: {Name: "Internal user, viewing", Slug: roleViewer, Description: "Sees what is their own",
		Permissions: []string{"organizations.read", "teams.read:own", "projects.read:own", "members.read:own", "usage.read:own", "api_keys.read:own", "models.read"}},
}

var errRole = "Invalid role. Must be one of: ['org_admin', 'internal_user', 'internal_user_viewer']"

func isRole(role string) bool { _, is := memberRoles[role]; return is || role == rbac.OwnerRole }

// role makes sure that the organization has the role, and returns its name there.
func (c *call) role(ctx context.Context, orgID, role string) (string, error) {
	in, made := memberRoles[role]
	if !made {
		return role, nil
	}
	_, err := c.svc.Role(ctx, orgID, role)
	if errors.Is(err, store.ErrNotFound) {
		_, err = c.svc.CreateRole(ctx, orgID, in)
	}
	return role, err
}

// wanted is a member that a call asks for.
type wanted struct {
	id, email, role string
	name            string          // of a new user
	fresh           bool            // it has to be one
	budget          *billing.Budget // of a new user, over all organizations
}

// wantedMembers reads the field member: an object, or a list of them.
func (c *call) wantedMembers() (list []wanted, err error) {
	given, there := c.in.given["member"]
	var all []map[string]raw
	var one map[string]raw
	switch {
	case !there:
		c.in.fault("missing", "Field required", "member")
	case json.Unmarshal(given, &all) == nil && !isNull(given):
	case json.Unmarshal(given, &one) == nil && one != nil:
		all = []map[string]raw{one}
	default:
		c.in.fault("dict_type", "Input should be a valid dictionary", "member")
	}
	for _, m := range all {
		f := bodyFields(m)
		f.at = "body"
		w := wanted{id: f.text("user_id").v, email: strings.TrimSpace(f.text("user_email").v), role: f.needed("role")}
		if len(f.list) == 0 && !isRole(w.role) {
			f.fault("enum", "Input should be 'org_admin', 'internal_user' or 'internal_user_viewer'", "role")
		}
		if w.id == "" && w.email == "" {
			f.fault("value_error", "Value error, Either user id or user email must be provided")
		}
		for _, wrong := range f.list {
			wrong.Loc = slices.Insert(wrong.Loc, 1, "member")
			c.in.list = append(c.in.list, wrong)
		}
		list = append(list, w)
	}
	return list, c.in.err()
}

// added is what a call says of the members that it adds: where, what each of them may spend there, and who they are.
func (c *call) added(place, limit string, members func() ([]wanted, error)) (id string, budget value[decimal.Decimal], list []wanted, err error) {
	if id, budget = c.in.needed(place), c.in.amount(limit); c.noLimit(budget) {
		budget = value[decimal.Decimal]{}
	}
	switch list, err = members(); {
	case err != nil:
	case budget.v.IsNegative():
		err = rule(limit, budget.v.String())
	case len(list) > maxIDs:
		err = detail(http.StatusBadRequest, "at most 1000 members")
	}
	return id, budget, list, err
}

// addedRow is the answer to member_add.
type addedRow struct {
	OrganizationID string      `json:"organization_id"`
	Users          []userRow   `json:"updated_users"`
	Memberships    []memberRow `json:"updated_organization_memberships"`
}

// addMembers is POST /organization/member_add: all of them, or none.
func (c *call) addMembers() (any, error) {
	id, budget, list, err := c.added("organization_id", "max_budget_in_organization", c.wantedMembers)
	if err != nil {
		return nil, err
	}
	defaults, err := c.userDefaults()
	if err != nil {
		return nil, err
	}
	var o orgs.Organization
	var joined []orgs.Membership
	err = c.svc.Together(c.ctx(), func(ctx context.Context) error {
		if o, err = c.organization(ctx, id); err != nil {
			return as(err, store.ErrNotFound, wrapped(http.StatusNotFound, "auth_error", none, "Organization not found for organization_id="+plain(id)))
		}
		joined = nil
		for _, w := range list {
			w.budget = defaults
			ms, err := c.enlist(ctx, o, w)
			if err != nil {
				return err
			}
			if joined = append(joined, ms); budget.some() {
				if _, err := c.svc.SetBudget(ctx, c.memberBudget(o.ID, ms.User.ID, budget.v)); err != nil {
					return err
				}
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	budgets, err := c.memberBudgets(o.ID)
	if err != nil {
		return nil, err
	}
	row := addedRow{OrganizationID: o.PublicID(), Users: []userRow{}, Memberships: []memberRow{}}
	for _, ms := range joined {
		u, err := c.userRow(c.ctx(), ms.User)
		if err != nil {
			return nil, err
		}
		row.Users = append(row.Users, u)
		row.Memberships = append(row.Memberships, c.memberRow(o, ms, budgets, false))
	}
	return row, nil
}

// enlist makes one user a member, and the user where there is none.
func (c *call) enlist(ctx context.Context, o orgs.Organization, w wanted) (orgs.Membership, error) {
	role, err := c.role(ctx, o.ID, w.role)
	if err != nil {
		return orgs.Membership{}, err
	}
	fresh := orgs.NewUser{AliasID: w.id, Email: w.email, Name: w.name, EmailVerified: c.admin()}
	if strings.Contains(w.id, "@") && w.email == "" {
		fresh.Email = w.id
	}
	if strings.HasPrefix(w.id, "usr_") { // an id of ours, which nobody chooses
		fresh.AliasID = ""
	}
	in := orgs.NewMember{User: w.id, Role: role, New: &fresh, OnlyNew: w.fresh, NewBudget: w.budget}
	if fresh.Email == "" && fresh.AliasID == "" {
		in.New = nil
	}
	ms, err := c.svc.AddMember(ctx, orgs.Place{OrgID: o.ID}, in)
	name := w.id
	if name == "" {
		name = w.email
	}
	return ms, coded(err, "already_member", wrapped(http.StatusConflict, "bad_request_error", none,
		"User "+plain(name)+" is already a member of organization "+o.PublicID()))
}

func (c *call) memberBudget(orgID, userID string, limit decimal.Decimal) billing.Budget {
	b := billing.Budget{OrgID: orgID, Scope: billing.ScopeMember, ScopeID: userID, Limit: limit, Window: billing.Lifetime, Hard: true}
	b.UnknownPrice, b.UnknownMinimum = c.opt.unknown()
	return b
}

// userDefaults is the budget of users who are made, nil for none.
func (c *call) userDefaults() (*billing.Budget, error) {
	limit := c.opt.UserDefaults.MaxBudget
	if limit == nil || c.opt.ZeroBudgetUnlimited && limit.IsZero() {
		return nil, nil
	}
	b, err := c.userBudget(*limit, c.now())
	return &b, err
}

// userBudget is a budget of a person over all organizations, as the options have it.
func (h *handler) userBudget(limit decimal.Decimal, now time.Time) (billing.Budget, error) {
	window, anchor, err := h.parse(h.opt.UserDefaults.BudgetDuration, now)
	limits := orgs.AllowanceLimits{Limit: &limit, Window: window, Anchor: anchor}
	limits.UnknownPrice, limits.UnknownMinimum = h.opt.unknown()
	b := spending(limits)
	b.Scope, b.Zone = billing.ScopeUser, h.opt.Timezone
	return b, err
}

// named is the reference of a member that a body names, by id or by address.
func (c *call) named() (ref string, byEmail bool, err error) {
	id, email := c.in.text("user_id").v, strings.TrimSpace(c.in.text("user_email").v)
	if id == "" && email == "" {
		c.in.fault("value_error", "Value error, Either user id or user email must be provided")
	}
	if err := c.in.err(); err != nil {
		return "", false, err
	}
	if id != "" {
		return id, false, nil
	}
	return email, true, nil
}

func unknownUser(email string) error {
	return detail(http.StatusBadRequest, "Unique user not found for user_email="+plain(email)+
		". Potential duplicate OR non-existent user_email in LiteLLM_UserTable. Use 'user_id' instead.")
}

// errGone: there is no such member, and no error either.
var errGone = errors.New("no member")

func notMember(id string) error {
	return detail(http.StatusNotFound, "Member not found in organization for user_id="+plain(id))
}

// updateMember is PATCH /organization/member_update.
func (c *call) updateMember() (any, error) {
	id, role, budget := c.in.needed("organization_id"), c.in.text("role"), c.in.amount("max_budget_in_organization")
	if role.some() && !isRole(role.v) {
		c.in.fault("value_error", "Value error, "+errRole, "role")
	}
	ref, byEmail, err := c.named()
	if err != nil {
		return nil, err
	}
	if budget.v.IsNegative() {
		return nil, rule("max_budget_in_organization", budget.v.String())
	}
	var o orgs.Organization
	var ms orgs.Membership
	err = c.svc.Together(c.ctx(), func(ctx context.Context) error {
		if o, err = c.organization(ctx, id); err != nil {
			status := http.StatusBadRequest
			if c.opt.Strict {
				status = http.StatusNotFound
			}
			return as(err, store.ErrNotFound, unknownOrganization(status, id))
		}
		at := orgs.Place{OrgID: o.ID}
		missing := notMember(ref)
		if byEmail {
			missing = unknownUser(ref)
		}
		if ms, err = c.svc.Member(ctx, at, ref); err != nil {
			return as(err, store.ErrNotFound, missing)
		}
		if over, err := c.roleOver(ctx, ms.User); err != nil {
			return err
		} else if over != roleUser && !c.admin() {
			return errGlobalAdmin
		}
		if role.some() && roleOf(ms.Role) != role.v {
			slug, err := c.role(ctx, o.ID, role.v)
			if err != nil {
				return err
			}
			in := orgs.MemberUpdate{Role: &slug, AllowOwnerless: !c.opt.ProtectLastOrgAdmin}
			if ms, err = c.svc.UpdateMember(ctx, at, ms.User.ID, in); err != nil {
				return coded(err, "last_owner", errLastAdmin)
			}
		}
		return c.setMemberBudget(ctx, o.ID, ms.User.ID, budget)
	})
	if err != nil {
		return nil, err
	}
	budgets, err := c.memberBudgets(o.ID)
	return c.memberRow(o, ms, budgets, false), err
}

var errLastAdmin = detail(http.StatusBadRequest, "the last org_admin of the organization stays one")

// setMemberBudget sets the budget of a member, or takes it away (M6).
func (c *call) setMemberBudget(ctx context.Context, orgID, userID string, budget value[decimal.Decimal]) error {
	if c.noLimit(budget) {
		return c.dropMemberBudget(ctx, orgID, userID)
	}
	if budget.some() {
		_, err := c.svc.SetBudget(ctx, c.memberBudget(orgID, userID, budget.v))
		return err
	}
	if !budget.set || c.opt.NullMeansUnchanged {
		return nil
	}
	return c.dropMemberBudget(ctx, orgID, userID)
}

func (c *call) dropMemberBudget(ctx context.Context, orgID, userID string) error {
	budgets, err := c.memberBudgetsIn(ctx, orgID)
	if err != nil {
		return err
	}
	if s, some := budgets[userID]; some {
		_, err = c.svc.DeleteBudget(ctx, orgID, s.Budget.ID)
	}
	return err
}

// deletedRow is the answer to member_delete.
type deletedRow struct {
	UserID         string     `json:"user_id"`
	OrganizationID string     `json:"organization_id"`
	Role           string     `json:"user_role"`
	Spend          usd        `json:"spend"`
	BudgetID       *string    `json:"budget_id"`
	CreatedAt      stamp      `json:"created_at"`
	UpdatedAt      stamp      `json:"updated_at"`
	User           *personRow `json:"user"`
	Budget         *budgetRow `json:"litellm_budget_table"`
}

// deleteMember is DELETE /organization/member_delete. Of somebody who is no member it answers null.
func (c *call) deleteMember() (any, error) {
	id := c.in.needed("organization_id")
	ref, byEmail, err := c.named()
	if err != nil {
		return nil, err
	}
	var o orgs.Organization
	var row deletedRow
	err = c.svc.Together(c.ctx(), func(ctx context.Context) error {
		if o, err = c.organization(ctx, id); err != nil {
			return as(err, store.ErrNotFound, errGone)
		}
		at := orgs.Place{OrgID: o.ID}
		ms, err := c.svc.Member(ctx, at, ref)
		if errors.Is(err, store.ErrNotFound) && byEmail {
			return unknownUser(ref)
		} else if err != nil {
			return as(err, store.ErrNotFound, errGone)
		}
		budgets, err := c.memberBudgetsIn(ctx, o.ID)
		if err != nil {
			return err
		}
		spent, err := c.sums(ctx, o.ID, "user", time.Time{})
		if err != nil {
			return err
		}
		is := c.memberRow(o, ms, memberMoney{budgets, spent}, false)
		row = deletedRow{UserID: is.UserID, OrganizationID: is.OrganizationID, Role: *is.Role, Spend: is.Spend, BudgetID: is.BudgetID, CreatedAt: is.CreatedAt, UpdatedAt: is.UpdatedAt}
		if err := c.dropMemberBudget(ctx, o.ID, ms.User.ID); err != nil {
			return err
		}
		_, err = c.svc.RemoveMember(ctx, at, ms.User.ID, orgs.MemberRemoval{AllowOwnerless: !c.opt.ProtectLastOrgAdmin, KeepKeys: c.opt.KeepKeysOnMemberDelete})
		return coded(err, "last_owner", errLastAdmin)
	})
	switch {
	case errors.Is(err, errGone) && c.opt.Strict:
		return nil, notMember(ref)
	case errors.Is(err, errGone):
		return nil, nil
	case err != nil:
		return nil, err
	}
	return row, nil
}
