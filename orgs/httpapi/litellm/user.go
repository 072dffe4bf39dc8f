package litellm

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"

	"github.com/shopspring/decimal"

	"github.com/orgkit/orgkit/audit"
	"github.com/orgkit/orgkit/billing"
	"github.com/orgkit/orgkit/orgs"
	"github.com/orgkit/orgkit/rbac"
	"github.com/orgkit/orgkit/store"
)

// userRow is a person. What belongs to other organizations is said to nobody here.
type userRow struct {
	ID              string         `json:"user_id"`
	Alias           *string        `json:"user_alias"`
	TeamID          *string        `json:"team_id"`
	SSOUserID       *string        `json:"sso_user_id"`
	OrganizationID  *string        `json:"organization_id"`
	Teams           []string       `json:"teams"`
	Role            string         `json:"user_role"`
	MaxBudget       *usd           `json:"max_budget"`
	Spend           usd            `json:"spend"`
	Email           *string        `json:"user_email"`
	Models          []string       `json:"models"`
	Metadata        raw            `json:"metadata"`
	MaxParallel     *int64         `json:"max_parallel_requests"`
	TPM             *int64         `json:"tpm_limit"`
	RPM             *int64         `json:"rpm_limit"`
	Duration        *string        `json:"budget_duration"`
	ResetAt         *stamp         `json:"budget_reset_at"`
	CacheControls   []string       `json:"allowed_cache_controls"`
	Policies        []string       `json:"policies"`
	ModelSpend      map[string]usd `json:"model_spend"`
	ModelMaxBudget  map[string]any `json:"model_max_budget"`
	CreatedAt       stamp          `json:"created_at"`
	UpdatedAt       stamp          `json:"updated_at"`
	Memberships     []memberRow    `json:"organization_memberships" null:""`
	Permission      any            `json:"object_permission"`
	PermissionID    *string        `json:"object_permission_id"`
	AccessGroupsIDs []string       `json:"access_group_ids"`
}

func (c *call) userRow(ctx context.Context, u orgs.User) (userRow, error) {
	role, err := c.roleOver(ctx, u)
	if err != nil {
		return userRow{}, err
	}
	row := userRow{ID: u.PublicID(), Alias: optional(u.Name), Email: optional(u.Email), Role: role, Teams: []string{}, Models: []string{}, Metadata: raw("{}"), Spend: zero,
		CacheControls: []string{}, Policies: []string{}, ModelSpend: map[string]usd{}, ModelMaxBudget: map[string]any{}, AccessGroupsIDs: []string{},
		CreatedAt: stamp(u.CreatedAt), UpdatedAt: stamp(u.UpdatedAt)}
	if !c.admin() && u.ID != c.by.Person() { // it is of all organizations
		return row, nil
	}
	s, err := c.userState(ctx, u.ID)
	if s != nil {
		row.MaxBudget, row.Duration, row.ResetAt, row.Spend = dollars(&s.Budget.Limit), written(s.Budget.Window), stamped(s.PeriodEnd), usd(s.Spent)
	}
	return row, err
}

// userState is the budget of a user over all organizations, nil for none.
func (c *call) userState(ctx context.Context, userID string) (*billing.BudgetState, error) {
	var b billing.Budget
	err := c.svc.View(ctx, func(ctx context.Context, tx *store.Tx) (err error) {
		b, err = billing.Budgets.Find(ctx, tx, store.Eq("org_id", ""), store.Eq("scope", billing.ScopeUser), store.Eq("scope_id", userID), store.Eq("team_id", ""), store.Eq("name", ""))
		return err
	})
	if errors.Is(err, store.ErrNotFound) || err == nil && !b.Hard {
		return nil, nil
	} else if err != nil {
		return nil, err
	}
	s, err := c.svc.Budget(audit.WithActor(ctx, audit.System("a user is read with their budget")), "", b.ID)
	return &s, err
}

var userFields = []string{"user_id", "user_email", "user_alias", "user_role", "teams", "organizations", "auto_create_key", "key_alias", "duration", "max_budget", "budget_duration", "models",
	"tpm_limit", "rpm_limit", "max_parallel_requests", "model_max_budget", "metadata", "aliases", "sso_user_id", "object_permission"}

// newUserRow is a user who was just made.
type newUserRow struct {
	userRow
	Key     string `json:"key"` // "" where there is none
	Expires *stamp `json:"expires"`
}

// newUser is POST /user/new. The key that it makes is of the first organization of the user; without one there is none.
// Administrators of organizations make users of these.
func (c *call) newUser() (any, error) {
	id, email, name, role := c.in.text("user_id").v, strings.TrimSpace(c.in.text("user_email").v), c.in.text("user_alias").v, c.in.text("user_role")
	organizations, teams, withKey := c.in.texts("organizations").v, c.in.texts("teams").v, c.in.boolean("auto_create_key")
	if err := c.in.err(); err != nil {
		return nil, err
	}
	switch {
	case role.some() && !slices.Contains([]string{proxyAdmin, proxyViewer, roleUser, roleViewer}, role.v):
		c.in.fault("literal_error", "Input should be 'proxy_admin', 'proxy_admin_viewer', 'internal_user' or 'internal_user_viewer'", "user_role")
		return nil, c.in.err()
	}
	if strings.HasPrefix(role.v, proxyAdmin) && !c.admin() {
		return nil, detail(http.StatusForbidden, "Only proxy admins can create administrative users")
	}
	member := roleUser // of the organizations
	if role.v == roleViewer {
		member = roleViewer
	}
	if err := c.unsupported("max_budget", "budget_duration", "models", "tpm_limit", "rpm_limit", "max_parallel_requests", "model_max_budget", "metadata", "aliases", "sso_user_id", "object_permission"); err != nil {
		return nil, err
	}
	if strings.Contains(id, "@") && email == "" {
		email = id
	}
	if id == "" && email == "" {
		id = shortID() + shortID() + shortID()
	}
	var u orgs.User
	var row newUserRow
	err := c.svc.Together(c.ctx(), func(ctx context.Context) (err error) {
		if u, err = c.makeUser(ctx, wanted{id: id, email: email, name: name, role: member, fresh: true}, organizations); err != nil {
			err = coded(err, "alias_taken", detail(http.StatusConflict, "User with id "+plain(id)+" already exists"))
			return coded(err, "conflict", detail(http.StatusConflict, "User with email "+plain(email)+" already exists"))
		}
		if strings.HasPrefix(role.v, proxyAdmin) {
			if u, err = c.setGlobalRole(ctx, u, role.v); err != nil {
				return err
			}
		}
		row = newUserRow{}
		if row.userRow, err = c.userRow(ctx, u); err != nil {
			return err
		}
		for i, ref := range organizations {
			if i == 0 && !c.admin() { // who was made there
				continue
			}
			o, err := c.organization(ctx, ref)
			if err != nil {
				return as(err, store.ErrNotFound, unknownOrganization(http.StatusBadRequest, ref))
			}
			if _, err := c.enlist(ctx, o, wanted{id: u.ID, role: member}); err != nil {
				return err
			}
		}
		for _, ref := range teams {
			t, o, err := c.team(ctx, ref)
			if err != nil {
				return as(err, store.ErrNotFound, unknownTeam(ref))
			}
			if _, err := c.joinTeam(ctx, o, t, wanted{id: u.ID, role: "user"}); err != nil {
				return err
			}
			row.Teams = append(row.Teams, t.PublicID())
		}
		if withKey.some() && !withKey.v || len(organizations) == 0 && !strings.HasPrefix(role.v, proxyAdmin) {
			return nil
		}
		if len(organizations) == 0 { // a credential of management alone
			_, row.Key, err = c.svc.CreateToken(ctx, u.ID, orgs.NewToken{Name: keyName(c.in.text("key_alias").v)})
			return err
		}
		expires, err := parseExpiry(c.in.text("duration").v, c.now())
		if err != nil {
			return err
		}
		o, err := c.organization(ctx, organizations[0])
		if err != nil {
			return err
		}
		k, secret, err := c.svc.CreateAPIKey(ctx, orgs.NewAPIKey{Name: keyName(c.in.text("key_alias").v), Organization: o.ID, User: &u.ID, Permissions: personal, ExpiresAt: expires, Prefix: keyPrefix, Dialect: Dialect})
		if err != nil {
			return err
		}
		if row.Key = secret; k.ExpiresAt != nil {
			row.Expires = stamped(*k.ExpiresAt)
		}
		return nil
	})
	return row, err
}

// makeUser makes a user. Who is no operator makes a member of the first of the organizations.
func (c *call) makeUser(ctx context.Context, w wanted, organizations []string) (orgs.User, error) {
	if c.admin() {
		return c.svc.CreateUser(ctx, orgs.NewUser{AliasID: w.id, Email: w.email, Name: w.name, EmailVerified: w.email != ""})
	}
	o, err := c.organization(ctx, organizations[0])
	if err != nil {
		return orgs.User{}, as(err, store.ErrNotFound, unknownOrganization(http.StatusBadRequest, organizations[0]))
	}
	ms, err := c.enlist(ctx, o, w)
	return ms.User, err
}

// userInfoRow is a user with what is theirs.
type userInfoRow struct {
	ID    string    `json:"user_id"`
	Info  userRow   `json:"user_info"`
	Keys  []keyRow  `json:"keys"`
	Teams []teamRow `json:"teams"`
}

// infoUser is GET /user/info: the operator any, everybody themselves.
func (c *call) infoUser() (any, error) {
	id := c.in.text("user_id").v
	if err := c.in.err(); err != nil {
		return nil, err
	}
	if id == "" {
		if id = c.person; id == "" {
			return nil, detail(http.StatusBadRequest, "user_id is required")
		}
	}
	u, err := c.svc.User(c.ctx(), id)
	switch {
	case errors.Is(err, store.ErrNotFound) && !c.admin(): // of others nobody hears whether there are any
		return nil, wrapped(http.StatusForbidden, "auth_error", none, "You can only see yourself")
	case err != nil:
		return nil, as(err, store.ErrNotFound, detail(http.StatusNotFound, "User not found, passed user_id: "+plain(id)))
	}
	return c.userInfo(u)
}

// userInfo is a user with their organizations, teams and keys.
func (c *call) userInfo(u orgs.User) (row userInfoRow, err error) {
	row = userInfoRow{ID: u.PublicID(), Keys: []keyRow{}, Teams: []teamRow{}}
	if row.Info, err = c.userRow(c.ctx(), u); err != nil {
		return row, err
	}
	row.Info.Memberships = []memberRow{}
	places, err := c.svc.Places(c.ctx(), u.ID)
	if err != nil {
		return row, err
	}
	var keys []orgs.APIKey
	for _, at := range places {
		o, err := c.svc.Organization(c.ctx(), at.OrgID)
		var denied *rbac.Denied
		if errors.As(err, &denied) || errors.Is(err, store.ErrNotFound) { // whose rules for those who sign in shut them out
			continue
		} else if err != nil {
			return row, err
		}
		switch {
		case at.TeamID == "":
			err = c.userIn(&row, &keys, o, u)
		case !at.IsProject():
			var t orgs.Team
			if t, err = c.svc.Team(c.ctx(), at.TeamID); err != nil {
				break
			}
			var of teamRow
			of, err = c.teamRow(o, t)
			row.Teams, row.Info.Teams = append(row.Teams, of), append(row.Info.Teams, of.ID)
		}
		if errors.As(err, &denied) || errors.Is(err, store.ErrNotFound) {
			continue
		} else if err != nil {
			return row, err
		}
	}
	row.Keys, err = c.keyRows(keys...)
	return row, err
}

// userIn adds what is a user's in one organization.
func (c *call) userIn(row *userInfoRow, keys *[]orgs.APIKey, o orgs.Organization, u orgs.User) error {
	ms, err := c.svc.Member(c.ctx(), orgs.Place{OrgID: o.ID}, u.ID)
	if err != nil {
		return err
	}
	money, err := c.memberBudgets(o.ID)
	if err != nil {
		return err
	}
	row.Info.Memberships = append(row.Info.Memberships, c.memberRow(o, ms, money, false))
	if row.Info.MaxBudget == nil { // else it is that of the budget
		row.Info.Spend = usd(decimal.Decimal(row.Info.Spend).Add(money.spent[u.ID]))
	}
	list, err := c.keysIn(orgs.Place{OrgID: o.ID}, u.ID)
	*keys = append(*keys, list...)
	return err
}

// leave deletes a user, who leaves their organizations before, each of which needs no administrator (LD-36).
func (c *call) leave(ctx context.Context, id string) error {
	places, err := c.svc.Places(ctx, id)
	if err != nil {
		return err
	}
	for _, at := range places {
		if at.TeamID != "" { // which the organization takes along
			continue
		}
		if _, err := c.svc.RemoveMember(ctx, at, id, orgs.MemberRemoval{AllowOwnerless: !c.opt.ProtectLastOrgAdmin}); err != nil {
			return coded(err, "last_owner", errLastAdmin)
		}
	}
	_, err = c.svc.DeleteUser(ctx, id, "")
	return err
}

// deleteUsers is POST /user/delete: all of them, or none.
func (c *call) deleteUsers() (any, error) {
	ids := c.in.texts("user_ids")
	if !ids.set {
		c.in.fault("missing", "Field required", "user_ids")
	}
	if err := c.in.err(); err != nil {
		return nil, err
	}
	if len(ids.v) > maxIDs {
		return nil, detail(http.StatusBadRequest, "at most 1000 user_ids")
	}
	err := c.svc.Together(c.ctx(), func(ctx context.Context) error {
		for _, id := range ids.v {
			if err := c.leave(ctx, id); err != nil {
				return as(err, store.ErrNotFound, detail(http.StatusNotFound, "User not found, passed user_id="+plain(id)))
			}
		}
		return nil
	})
	return len(ids.v), err
}
