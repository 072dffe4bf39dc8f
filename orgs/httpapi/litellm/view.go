package litellm

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"time"

	"github.com/shopspring/decimal"

	"github.com/orgkit/orgkit/orgs"
	"github.com/orgkit/orgkit/rbac"
	"github.com/orgkit/orgkit/store"
)

// shortID is a part of a name that nobody has chosen.
func shortID() string {
	var b [5]byte
	rand.Read(b[:])
	return hex.EncodeToString(b[:])
}

// newRow is an organization that was just made.
type newRow struct {
	ID                 string            `json:"organization_id"`
	Alias              string            `json:"organization_alias"`
	BudgetID           string            `json:"budget_id"`
	Spend              usd               `json:"spend"`
	Metadata           raw               `json:"metadata"`
	Models             []string          `json:"models"`
	CreatedBy          string            `json:"created_by"`
	UpdatedBy          string            `json:"updated_by"`
	Users              any               `json:"users"`
	Budget             budgetRow         `json:"litellm_budget_table"`
	ObjectPermission   *permissionRow    `json:"object_permission"`
	ObjectPermissionID *string           `json:"object_permission_id"`
	ModelSpend         map[string]usd    `json:"model_spend"`
	LoggingExporters   any               `json:"logging_exporters"`
	Blocked            bool              `json:"blocked"`
	Tags               []string          `json:"tags"`
	ModelAliases       map[string]string `json:"model_aliases"`
	TotalSpend         usd               `json:"total_spend"`
	CreatedAt          stamp             `json:"created_at"`
	UpdatedAt          stamp             `json:"updated_at"`

	since time.Time // when the window has begun that runs
}

// orgRow is an organization with its members and teams.
type orgRow struct {
	newRow
	Members      []memberRow `json:"members"`
	Teams        []teamRow   `json:"teams"`
	MembersTotal int         `json:"members_total,omitempty"` // where members are cut
	TeamsTotal   int         `json:"teams_total,omitempty"`
}

// rawRow is an organization as the deprecated call has it.
type rawRow struct {
	ID                 string         `json:"organization_id"`
	Alias              string         `json:"organization_alias"`
	BudgetID           string         `json:"budget_id"`
	Metadata           raw            `json:"metadata"`
	Models             []string       `json:"models"`
	Spend              usd            `json:"spend"`
	ModelSpend         map[string]usd `json:"model_spend"`
	ObjectPermissionID *string        `json:"object_permission_id"`
	CreatedAt          stamp          `json:"created_at"`
	CreatedBy          string         `json:"created_by"`
	UpdatedAt          stamp          `json:"updated_at"`
	UpdatedBy          string         `json:"updated_by"`
	Budget             *fullBudgetRow `json:"litellm_budget_table"`
	Members            any            `json:"members"`
	Teams              any            `json:"teams"`
}

// memberRow is a membership.
type memberRow struct {
	UserID         string     `json:"user_id"`
	OrganizationID string     `json:"organization_id"`
	Role           *string    `json:"user_role"`
	Spend          usd        `json:"spend"`
	BudgetID       *string    `json:"budget_id"`
	CreatedAt      stamp      `json:"created_at"`
	UpdatedAt      stamp      `json:"updated_at"`
	User           *personRow `json:"user"`
	Budget         *budgetRow `json:"litellm_budget_table"`
	Email          *string    `json:"user_email"`
}

// personRow is what is said of a person inside of a membership.
type personRow struct {
	ID    string  `json:"user_id"`
	Email *string `json:"user_email"`
	Alias *string `json:"user_alias"`
	Role  *string `json:"user_role"`
}

var zero = usd(decimal.Zero)

// bareRow is the organization by itself.
func (c *call) bareRow(o orgs.Organization) (*newRow, error) {
	st, err := c.svc.AllowanceOf(c.ctx(), o.ID)
	if err != nil {
		return nil, err
	}
	return c.rowOf(o, st), nil
}

func (c *call) rowOf(o orgs.Organization, st orgs.AllowanceState) *newRow {
	row := &newRow{ID: o.PublicID(), Alias: o.Name, Metadata: o.Metadata, Models: modelsOf(o.Settings.Models), CreatedBy: masterUser, UpdatedBy: masterUser,
		ModelSpend: map[string]usd{}, ModelAliases: aliasesOf(o.Settings.Models), Blocked: o.State == rbac.Suspended, Tags: o.Tags,
		Spend: usd(st.Spent), TotalSpend: usd(st.Total), since: st.Since, CreatedAt: stamp(o.CreatedAt), UpdatedAt: stamp(o.UpdatedAt)}
	if row.ObjectPermission, row.ObjectPermissionID = permissionOf(o.ID, o.Settings.Objects); len(row.Metadata) == 0 {
		row.Metadata = raw("{}")
	}
	if row.Tags == nil {
		row.Tags = []string{}
	}
	if a := st.Allowance; a != nil {
		row.Budget, row.CreatedBy, row.UpdatedBy = budgetOf(*a, st.ResetAt), maker(a.CreatedBy), maker(a.UpdatedBy)
	}
	if row.BudgetID = row.Budget.ID; len(row.Models) > 0 {
		row.Budget.AllowedModels = row.Models
	}
	return row
}

// modelSpend shows what each model has cost in the window of the organization that runs.
func (c *call) modelSpend(o orgs.Organization, row *newRow) error {
	models, err := c.sums(c.ctx(), o.ID, "model", row.since)
	for model, cost := range models {
		row.ModelSpend[model] = usd(cost)
	}
	return err
}

func (c *call) rawRow(o orgs.Organization) (rawRow, error) {
	st, err := c.svc.AllowanceOf(c.ctx(), o.ID)
	if err != nil {
		return rawRow{}, err
	}
	is := c.rowOf(o, st)
	if err := c.modelSpend(o, is); err != nil {
		return rawRow{}, err
	}
	row := rawRow{ID: is.ID, Alias: is.Alias, BudgetID: is.BudgetID, Metadata: is.Metadata, Models: is.Models, Spend: is.Spend, ModelSpend: is.ModelSpend, ObjectPermissionID: is.ObjectPermissionID,
		CreatedAt: is.CreatedAt, CreatedBy: is.CreatedBy, UpdatedAt: is.UpdatedAt, UpdatedBy: is.UpdatedBy}
	if st.Allowance != nil {
		full := fullBudget(*st.Allowance, c.now())
		full.budgetRow = is.Budget
		row.Budget = &full
	}
	return row, nil
}

// rowIn is the organization without anybody, in a unit.
func (c *call) rowIn(ctx context.Context, o orgs.Organization) (*orgRow, error) {
	st, err := c.svc.AllowanceOf(ctx, o.ID)
	return &orgRow{newRow: *c.rowOf(o, st), Members: []memberRow{}, Teams: []teamRow{}}, err
}

// row is the organization with its members and teams, as far as the caller may see them; whole says that all of them are
// shown, and who they are.
func (c *call) row(o orgs.Organization, whole bool) (*orgRow, error) {
	bare, err := c.bareRow(o)
	if err != nil {
		return nil, err
	}
	row := &orgRow{newRow: *bare, Members: []memberRow{}, Teams: []teamRow{}}
	if whole {
		if err := c.modelSpend(o, &row.newRow); err != nil {
			return nil, err
		}
	}
	most := c.opt.EmbedCap
	if whole || most < 0 {
		most = 0
	}
	row.Members, row.MembersTotal, err = c.members(o, whole, most)
	if err == nil {
		row.Teams, row.TeamsTotal, err = c.teams(o, most)
	}
	return row, err
}

// members are those of an organization, at most so many, 0 for all; total is how many there are where they are cut.
func (c *call) members(o orgs.Organization, whole bool, most int) (rows []memberRow, total int, err error) {
	at := orgs.Place{OrgID: o.ID}
	rows = []memberRow{}
	list, err := c.everyMember(at)
	var denied *rbac.Denied
	if errors.As(err, &denied) || errors.Is(err, store.ErrNotFound) { // a role that shows nobody, not even oneself
		return rows, 0, nil
	} else if err != nil {
		return nil, 0, err
	}
	if most > 0 && len(list) > most {
		list, total = list[:most], len(list)
	}
	money, err := c.memberBudgets(o.ID)
	if err != nil {
		return nil, 0, err
	}
	for _, ms := range list {
		rows = append(rows, c.memberRow(o, ms, money, whole))
	}
	return rows, total, nil
}

func (c *call) everyMember(at orgs.Place) (list []orgs.Membership, err error) {
	for after := ""; ; {
		page, err := c.svc.Members(c.ctx(), at, orgs.MemberFilter{After: after})
		if err != nil {
			return nil, err
		}
		for _, ms := range page.Items {
			if c.sees(ms) {
				list = append(list, ms)
			}
		}
		if after = page.Next; after == "" {
			return list, nil
		}
	}
}

// sees says whether the caller is shown a member that they may read: by default only administrators are shown others.
func (c *call) sees(ms orgs.Membership) bool {
	return c.admin() || c.opt.MembersSeeRoster || c.route.may == mayManage || c.ruling(ms.Place.OrgID) || ms.User.ID == c.by.Person()
}

// memberRow is one membership; person says that it shows who it is.
func (c *call) memberRow(o orgs.Organization, ms orgs.Membership, money memberMoney, person bool) memberRow {
	role := roleOf(ms.Role)
	row := memberRow{UserID: ms.User.PublicID(), OrganizationID: o.PublicID(), Role: &role, Spend: usd(money.spent[ms.User.ID]), CreatedAt: stamp(ms.JoinedAt), UpdatedAt: stamp(ms.UpdatedAt),
		Email: optional(ms.User.Email)}
	if person {
		row.User = c.personOf(ms.User)
	}
	if s, some := money.budgets[ms.User.ID]; some {
		row.BudgetID, row.Spend = &s.Budget.ID, usd(s.Spent)
		row.Budget = &budgetRow{ID: s.Budget.ID, MaxBudget: dollars(&s.Budget.Limit), SoftBudget: dollars(s.Budget.SoftLimit), ResetAt: stamped(s.PeriodEnd)}
	}
	return row
}

// personOf is what is said of a person.
func (c *call) personOf(u orgs.User) *personRow {
	role, err := c.roleOver(c.ctx(), u)
	if err != nil { // it was deleted at this moment
		role = roleUser
	}
	return &personRow{u.PublicID(), optional(u.Email), optional(u.Name), &role}
}

// clock is the time of the service.
func (h *handler) clock() time.Time {
	if s, ok := h.svc.(interface{ Store() *store.Store }); ok {
		return s.Store().Now()
	}
	return time.Now()
}
