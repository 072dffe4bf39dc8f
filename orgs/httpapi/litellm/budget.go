package litellm

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"net/http"
	"slices"
	"time"

	"github.com/shopspring/decimal"

	"github.com/orgkit/orgkit/billing"
	"github.com/orgkit/orgkit/orgs"
	"github.com/orgkit/orgkit/store"
)

// budgetFields are those of limits.
var budgetFields = []string{"max_budget", "soft_budget", "max_parallel_requests", "tpm_limit", "rpm_limit", "model_max_budget", "budget_duration", "allowed_models"}

// usd is an amount as LiteLLM writes it: a number with a point.
type usd decimal.Decimal

// String has all digits, and no exponent.
func (u usd) String() string {
	if decimal.Decimal(u).IsInteger() {
		return decimal.Decimal(u).StringFixed(1)
	}
	return decimal.Decimal(u).String()
}

// MarshalJSON writes the digits.
func (u usd) MarshalJSON() ([]byte, error) { return []byte(u.String()), nil }

func dollars(d *decimal.Decimal) *usd {
	if d == nil {
		return nil
	}
	u := usd(*d)
	return &u
}

// stamp is a time as LiteLLM writes it.
type stamp time.Time

// MarshalJSON writes microseconds of UTC.
func (s stamp) MarshalJSON() ([]byte, error) {
	return json.Marshal(time.Time(s).UTC().Format("2006-01-02T15:04:05.000000Z"))
}

func stamped(t time.Time) *stamp {
	if t.IsZero() {
		return nil
	}
	s := stamp(t)
	return &s
}

// budgetRow is a budget inside of what has it.
type budgetRow struct {
	ID             string                    `json:"budget_id"`
	SoftBudget     *usd                      `json:"soft_budget"`
	MaxBudget      *usd                      `json:"max_budget"`
	MaxParallel    *int64                    `json:"max_parallel_requests"`
	TPM            *int64                    `json:"tpm_limit"`
	RPM            *int64                    `json:"rpm_limit"`
	ModelMaxBudget map[string]modelBudgetRow `json:"model_max_budget" null:""`
	Duration       *string                   `json:"budget_duration"`
	AllowedModels  []string                  `json:"allowed_models" null:""`
	ResetAt        *stamp                    `json:"budget_reset_at"`
}

type modelBudgetRow struct {
	MaxBudget *usd    `json:"max_budget,omitempty"`
	Duration  *string `json:"budget_duration,omitempty"`
	TPM       *int64  `json:"tpm_limit,omitempty"`
	RPM       *int64  `json:"rpm_limit,omitempty"`
}

// fullBudgetRow is a budget by itself.
type fullBudgetRow struct {
	budgetRow
	TPD       *int64 `json:"tpd_limit"`
	CreatedAt stamp  `json:"created_at"`
	CreatedBy string `json:"created_by"`
	UpdatedAt stamp  `json:"updated_at"`
	UpdatedBy string `json:"updated_by"`
}

func optional(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

// budgetOf is the row of an allowance whose period ends then.
func budgetOf(a orgs.Allowance, resetAt time.Time) budgetRow {
	row := budgetRow{ID: a.ID, SoftBudget: dollars(a.SoftLimit), MaxBudget: dollars(a.Limit), MaxParallel: a.MaxParallelRequests,
		TPM: a.TokensPerMinute, RPM: a.RequestsPerMinute, Duration: optional(a.Duration), ResetAt: stamped(resetAt)}
	if len(a.Models) > 0 {
		row.ModelMaxBudget = map[string]modelBudgetRow{}
	}
	for name, m := range a.Models {
		row.ModelMaxBudget[name] = modelBudgetRow{dollars(m.Limit), optional(m.Duration), m.TokensPerMinute, m.RequestsPerMinute}
	}
	return row
}

func fullBudget(a orgs.Allowance, now time.Time) fullBudgetRow {
	var end time.Time
	if w, err := billing.ParseWindow(a.Window); err == nil {
		_, end = w.Period(now.Location(), a.Anchor, now)
	}
	return fullBudgetRow{budgetOf(a, end), nil, stamp(a.CreatedAt), maker(a.CreatedBy), stamp(a.UpdatedAt), maker(a.UpdatedBy)}
}

// masterUser is the user_id of the operator.
const masterUser = "default_user_id"

// maker is the user_id of who has made something.
func maker(actor string) string {
	if _, id, ok := cutActor(actor); ok {
		return id
	}
	return masterUser
}

func cutActor(actor string) (kind, id string, ok bool) {
	for i := range len(actor) {
		if actor[i] == ':' {
			return actor[:i], actor[i+1:], actor[:i] == "user" || actor[:i] == "api_key"
		}
	}
	return "", "", false
}

// limits are those of the fields over what there was, and whether any is given. A null takes a limit away, unless the option
// has it mean nothing.
func (c *call) limits(over orgs.AllowanceLimits) (orgs.AllowanceLimits, bool, error) {
	f, some := c.in, false
	var problems []error
	given := func(set, null bool) bool {
		given := set && !(null && c.opt.NullMeansUnchanged)
		some = some || given && !null
		return given
	}
	amount := func(name string, to **decimal.Decimal) {
		if v := f.amount(name); given(v.set, v.null) {
			if *to = v.ptr(); v.some() && v.v.IsNegative() {
				problems = append(problems, rule(name, v.v.String()))
			}
			if name == "max_budget" && c.noLimit(v) {
				*to = nil
			}
		}
	}
	count := func(name string, to **int64) {
		if v := f.count(name); given(v.set, v.null) {
			if *to = v.ptr(); v.some() && v.v < 0 {
				problems = append(problems, rule(name, string(f.given[name])))
			}
		}
	}
	over.UnknownPrice, over.UnknownMinimum = c.opt.unknown()
	over.FailOpen = c.opt.FailOpen
	amount("max_budget", &over.Limit)
	amount("soft_budget", &over.SoftLimit)
	count("max_parallel_requests", &over.MaxParallelRequests)
	count("tpm_limit", &over.TokensPerMinute)
	count("rpm_limit", &over.RequestsPerMinute)
	if v := f.text("budget_duration"); given(v.set, v.null) {
		window, anchor, err := c.parse(v.v, c.now())
		if err != nil {
			problems = append(problems, err)
		} else if window != over.Window || v.v != over.Duration {
			over.Window, over.Anchor, over.Duration = window, anchor, v.v
			if window == "" {
				over.Duration = ""
			}
		}
	}
	if v := f.object("model_max_budget"); given(v.set, v.null) {
		models, err := c.modelBudgets(v.v, over.Models)
		if err != nil {
			problems = append(problems, err)
		}
		over.Models = models
	}
	if v := f.texts("allowed_models"); v.some() && len(v.v) > 0 && !slices.Equal(v.v, f.texts("models").v) {
		problems = append(problems, detail(http.StatusBadRequest, "allowed_models differ from models, which is not supported"))
	}
	if err := f.err(); err != nil {
		return over, some, err
	}
	return over, some, first(problems)
}

// noLimit says whether a budget is 0 where that is none.
func (c *call) noLimit(budget value[decimal.Decimal]) bool {
	return c.opt.ZeroBudgetUnlimited && budget.some() && budget.v.IsZero()
}

func first(errs []error) error {
	if len(errs) == 0 {
		return nil
	}
	return errs[0]
}

// modelBudgets reads model_max_budget (LD-29). What had the same duration before goes on in its window.
func (c *call) modelBudgets(given map[string]raw, had map[string]orgs.ModelAllowance) (map[string]orgs.ModelAllowance, error) {
	bad := func(model, what string) error {
		return detail(http.StatusUnprocessableEntity, "model_max_budget: the entry of "+plain(model)+" "+what)
	}
	var models map[string]orgs.ModelAllowance
	for _, model := range slices.Sorted(maps.Keys(given)) {
		var object map[string]raw
		if json.Unmarshal(given[model], &object) != nil || object == nil {
			return nil, bad(model, "must be an object")
		}
		f := bodyFields(object)
		f.only([]string{"max_budget", "budget_limit", "budget_duration", "time_period", "tpm_limit", "rpm_limit"})
		limit, duration := f.amount("max_budget"), f.text("budget_duration")
		if !limit.set {
			limit = f.amount("budget_limit")
		}
		if !duration.set {
			duration = f.text("time_period")
		}
		tpm, rpm := f.count("tpm_limit"), f.count("rpm_limit")
		if f.err() != nil || limit.v.IsNegative() || tpm.v < 0 || rpm.v < 0 {
			return nil, bad(model, "has max_budget, budget_duration, tpm_limit and rpm_limit, numbers of which none is negative")
		}
		window, anchor, err := c.parse(duration.v, c.now())
		if err != nil {
			return nil, bad(model, "has a budget_duration that is none")
		}
		m := orgs.ModelAllowance{Limit: limit.ptr(), Window: window, TokensPerMinute: tpm.ptr(), RequestsPerMinute: rpm.ptr()}
		if window != "" {
			m.Duration, m.Anchor = duration.v, anchor
		}
		if old := had[model]; old.Window == m.Window && old.Duration == m.Duration {
			m.Anchor = old.Anchor
		}
		if models == nil {
			models = map[string]orgs.ModelAllowance{}
		}
		models[model] = m
	}
	return models, nil
}

// now is the time in the zone of budgets.
func (c *call) now() time.Time { return c.clock().In(c.zone) }

var errBothBudgets = detail(http.StatusBadRequest, "Set either 'budget_id' or budget fields, not both.")

func unknownBudget(id string) error {
	return detail(http.StatusBadRequest, "Budget not found for budget_id="+plain(id))
}

// newBudget is POST /budget/new.
func (c *call) newBudget() (any, error) {
	id := c.in.text("budget_id").v
	if err := c.noReset(); err != nil {
		return nil, err
	}
	limits, _, err := c.limits(orgs.AllowanceLimits{})
	if err != nil {
		return nil, err
	}
	a, err := c.svc.CreateAllowance(c.ctx(), orgs.NewAllowance{ID: id, AllowanceLimits: limits})
	if err != nil {
		return nil, coded(err, "conflict", detail(http.StatusBadRequest, "Budget with id '"+plain(id)+"' already exists."))
	}
	return fullBudget(a, c.now()), nil
}

// noReset refuses a reset that the client sets: periods follow from the duration.
func (c *call) noReset() error {
	if v := c.in.text("budget_reset_at"); v.some() {
		return detail(http.StatusBadRequest, "budget_reset_at cannot be set: it follows from budget_duration")
	}
	return nil
}

// updateBudget is POST /budget/update.
func (c *call) updateBudget() (any, error) {
	id := c.in.text("budget_id").v
	if id == "" {
		return nil, detail(http.StatusBadRequest, "budget_id is required")
	}
	if err := c.noReset(); err != nil {
		return nil, err
	}
	var a orgs.Allowance
	err := c.svc.Together(c.ctx(), func(ctx context.Context) error {
		old, err := c.svc.Allowance(ctx, id)
		if err != nil {
			return err
		}
		limits, _, err := c.limits(old.Limits())
		if err != nil {
			return err
		}
		a, err = c.svc.UpdateAllowance(ctx, id, limits)
		return err
	})
	if err != nil {
		return nil, as(err, store.ErrNotFound, detail(http.StatusNotFound, "Budget not found for budget_id="+plain(id)))
	}
	return fullBudget(a, c.now()), nil
}

// infoBudgets is POST /budget/info.
func (c *call) infoBudgets() (any, error) {
	ids := c.in.texts("budgets")
	if !ids.set {
		c.in.fault("missing", "Field required", "budgets")
	}
	if err := c.in.err(); err != nil {
		return nil, err
	}
	if len(ids.v) == 0 {
		return nil, detail(http.StatusBadRequest, "Specify list of budget id's to query. Passed in=[]")
	}
	rows := []fullBudgetRow{}
	for _, id := range ids.v {
		a, err := c.svc.Allowance(c.ctx(), id)
		if errors.Is(err, store.ErrNotFound) {
			continue
		} else if err != nil {
			return nil, err
		}
		rows = append(rows, fullBudget(a, c.now()))
	}
	return rows, nil
}

// listBudgets is GET /budget/list.
func (c *call) listBudgets() (any, error) {
	if !c.admin() {
		return nil, detail(http.StatusBadRequest, "Admin-only endpoint. Not allowed to access this., your role="+c.globalRole())
	}
	rows := []fullBudgetRow{}
	for after := ""; ; {
		page, err := c.svc.Allowances(c.ctx(), 0, after)
		if err != nil {
			return nil, err
		}
		for _, a := range page.Items {
			rows = append(rows, fullBudget(a, c.now()))
		}
		if after = page.Next; after == "" {
			return rows, nil
		}
	}
}

// deleteBudget is POST /budget/delete.
func (c *call) deleteBudget() (any, error) {
	id := c.in.needed("id")
	if err := c.in.err(); err != nil {
		return nil, err
	}
	a, err := c.svc.DeleteAllowance(c.ctx(), id)
	var conflict *store.ConflictError
	switch {
	case errors.Is(err, store.ErrNotFound):
		return nil, detail(http.StatusNotFound, "Budget not found for budget_id="+plain(id))
	case errors.As(err, &conflict) && conflict.Code == "in_use":
		name := conflict.ID
		if o, err := c.svc.Organization(c.ctx(), conflict.ID); err == nil {
			name = o.PublicID()
		}
		return nil, detail(http.StatusBadRequest, "Budget is linked to Organization="+name)
	case err != nil:
		return nil, err
	}
	return fullBudget(a, c.now()), nil
}
