package billing

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"time"

	"github.com/shopspring/decimal"

	"github.com/orgkit/orgkit/audit"
	"github.com/orgkit/orgkit/rbac"
	"github.com/orgkit/orgkit/store"
)

// Budget limits what may be spent within each period of a window.
type Budget struct {
	store.Meta
	OrgID    string          `json:"organization_id"` // "" for a user's
	Scope    ScopeKind       `json:"scope"`
	ScopeID  string          `json:"scope_id"` // id, [Each], or the glob of a model budget
	TeamID   string          `json:"team_id"`  // of a member budget; "" for a member of the organization
	Name     string          `json:"name"`     // several budgets of one scope have different names
	Limit    decimal.Decimal `json:"limit"`    // USD
	Window   string          `json:"window"`   // see ParseWindow
	Zone     string          `json:"zone"`     // IANA name
	Anchor   time.Time       `json:"anchor"`   // where windows of a fixed length begin
	Hard     bool            `json:"hard"`     // refuse beyond the limit; else only tell
	Rollover bool            `json:"rollover"` // what is left goes to the next period

	RolloverCap   *decimal.Decimal `json:"rollover_cap"`   // USD; at most so much of it; nil: all
	SoftLimit     *decimal.Decimal `json:"soft_limit"`     // USD; spending of so much is told, once per period
	LimitOverride *LimitOverride   `json:"limit_override"` // of the limit, for some periods; nil: none
	Suspended     bool             `json:"suspended"`      // nothing that costs passes; see Ledger.SuspendBudget

	SuspendedBy    string     `json:"suspended_by"`    // the alert that has suspended it; "" for a person
	SuspendedUntil *time.Time `json:"suspended_until"` // then that is over, noted or not; nil: it does not end by itself

	AlertThreshold *decimal.Decimal `json:"alert_threshold"` // share of the limit, 0 < x <= 1
	Thresholds     []Threshold      `json:"thresholds"`      // others

	// What becomes of calls of which no price is known.
	UnknownPrice   UnknownPrice     `json:"unknown_price"`
	UnknownMinimum *decimal.Decimal `json:"unknown_minimum"` // USD; of reserve_minimum
}

// Budgets holds all of them. The floor above writes it inside rbac.Guard.Change, through
// [Ledger.Put] and [Ledger.Drop].
var Budgets = store.Define[Budget]("budgets", "bud",
	store.Unique("org_id", "scope", "scope_id", "team_id", "name"), store.Index("suspended", "id"))

// AuditResource is how the log names the budget.
func (b Budget) AuditResource() audit.Resource { return audit.Resource{Type: budgetType, ID: b.ID} }

// OfDays says whether the limit is of each day, of the calendar or of 24 hours.
func (b Budget) OfDays() bool {
	return b.Window == CalendarDay || b.Window == "1d" || b.Window == "24h"
}

// Validate names the first field that is wrong.
func (b Budget) Validate() error {
	switch {
	case scopeOrder[b.Scope] == 0 && b.Scope != ScopeKey:
		return store.Invalid("scope", "enum", "must be org, team, project, member, user, key or model")
	case b.ScopeID == "":
		return store.Invalid("scope_id", "required", "is required")
	case b.ScopeID == Each && b.Scope != ScopeKey && b.Scope != ScopeMember && b.Scope != ScopeUser && b.Scope != ScopeModel:
		return store.Invalid("scope_id", "range", "only keys, members and users have budgets by default")
	case b.OrgID == "" && b.Scope != ScopeUser:
		return store.Invalid("organization_id", "required", "is required")
	case b.Scope == ScopeOrg && b.ScopeID != b.OrgID:
		return store.Invalid("scope_id", "range", "must be the organization itself")
	case b.TeamID != "" && b.Scope != ScopeMember:
		return store.Invalid("team_id", "range", "belongs to member budgets only")
	}
	if err := cmp.Or(checkAmount("limit", b.Limit), b.checkUnknown()); err != nil {
		return err
	}
	if t := b.AlertThreshold; t != nil && (!bounded(*t) || !t.IsPositive() || t.GreaterThan(decimal.NewFromInt(1))) {
		return store.Invalid("alert_threshold", "range", "must be above 0 and at most 1")
	}
	if _, err := ParseWindow(b.Window); err != nil {
		return store.Invalid("window", "pattern", "must be calendar_month or <n> followed by s, m, h, d, w or mo, a minute at least")
	}
	if err := cmp.Or(b.checkRollover(), b.checkLimitOverride(), b.checkThresholds()); err != nil {
		return err
	}
	if s := b.SoftLimit; s != nil {
		if err := checkAmount("soft_limit", *s); err != nil {
			return err
		}
	}
	if _, err := time.LoadLocation(b.Zone); err != nil {
		return store.Invalid("zone", "enum", "must be an IANA time zone")
	}
	if b.Scope == ScopeModel {
		if _, err := rbac.ParseResource(rbac.ModelPattern(b.ScopeID)); err != nil {
			return store.Invalid("scope_id", "pattern", "must be a glob of model ids")
		}
	}
	return nil
}

func (b Budget) checkRollover() error {
	switch c := b.RolloverCap; {
	case b.Rollover && b.Window == Lifetime:
		return store.Invalid("rollover", "range", "there is no next period of a lifetime")
	case c == nil:
		return nil
	case !b.Rollover:
		return store.Invalid("rollover_cap", "range", "belongs to budgets that roll over")
	default:
		return checkAmount("rollover_cap", *c)
	}
}

// capped is how much of what a period has left over goes to the next.
func (b Budget) capped(left decimal.Decimal) decimal.Decimal {
	if b.RolloverCap != nil && left.GreaterThan(*b.RolloverCap) {
		return *b.RolloverCap
	}
	return left
}

// period is the account period that contains now.
func (b Budget) period(now time.Time) (start, end time.Time, err error) {
	zone, err := time.LoadLocation(b.Zone)
	if err != nil {
		return start, end, err
	}
	w, err := ParseWindow(b.Window)
	if err != nil {
		return start, end, err
	}
	start, end = w.Period(zone, b.Anchor, now)
	return start, end, nil
}

// Put makes the budget, or changes the one of the same scope and name; the period that runs takes
// the new limit at once, and one that is suspended stays so. Where the window or zone changes, what the period that runs
// has spent counts in the new one too: a change of the window is no way to spend twice (billing edge 7). It runs inside the unit of its caller, who has asked for permission.
func (l *Ledger) Put(ctx context.Context, tx *store.Tx, b *Budget) error {
	return l.put(ctx, tx, b, true)
}

// put is Put, which may leave it to another one in the same unit to tell of what is crossed now.
func (l *Ledger) put(ctx context.Context, tx *store.Tx, b *Budget, tells bool) error {
	if b.Anchor.IsZero() {
		b.Anchor = tx.Now()
	}
	if err := b.Validate(); err != nil {
		return err
	}
	old, err := l.find(ctx, tx, *b)
	switch {
	case errors.Is(err, store.ErrNotFound):
		if err := b.begin(ctx, tx); err != nil {
			return err
		}
		if err := Budgets.Insert(ctx, tx, b); err != nil {
			return err
		}
		return l.Touch(ctx, tx, b.OrgID)
	case err != nil:
		return err
	}
	if old.Rollover || b.Rollover { // what periods before had left over is by the limits of their time
		if _, _, err := l.open(ctx, tx, old); err != nil {
			return err
		}
	}
	b.Meta, b.Anchor, b.Suspended, b.SuspendedBy, b.SuspendedUntil = old.Meta, old.Anchor, old.Suspended, old.SuspendedBy, old.SuspendedUntil
	if err := b.begin(ctx, tx); err != nil {
		return err
	}
	if err := Budgets.Update(ctx, tx, b); err != nil {
		return err
	}
	if old.Window != b.Window || old.Zone != b.Zone {
		if err := rewindow(ctx, tx, old, *b); err != nil {
			return err
		}
	}
	if err := l.relimit(ctx, tx, *b, tells); err != nil {
		return err
	}
	if *b, err = Budgets.Get(ctx, tx, b.ID); err != nil { // an alert may have been fired, or be over
		return err
	}
	return l.Touch(ctx, tx, b.OrgID)
}

// open locks the account of the running period of a budget, and makes it if nobody has. It answers when the period ends, too.
func (l *Ledger) open(ctx context.Context, tx *store.Tx, b Budget) (a *account, end time.Time, err error) {
	start, end, err := b.running(ctx, tx)
	if err != nil {
		return nil, end, err
	}
	s, err := l.sheet(ctx, tx, []string{accountID(b, start)})
	if err != nil {
		return nil, end, err
	}
	a, err = s.of(ctx, tx, b, start, end)
	return a, end, err
}

// Drop removes the budget of that scope and name, if there is one. Reservations that run settle
// into its accounts all the same.
func (l *Ledger) Drop(ctx context.Context, tx *store.Tx, orgID string, scope ScopeKind, scopeID, name string) error {
	b, err := Budgets.Find(ctx, tx, store.Eq("org_id", orgID), store.Eq("scope", scope),
		store.Eq("scope_id", scopeID), store.Eq("team_id", ""), store.Eq("name", name))
	if errors.Is(err, store.ErrNotFound) {
		return nil
	} else if err != nil {
		return err
	}
	if err := Budgets.Delete(ctx, tx, b.ID); err != nil {
		return err
	}
	return l.Touch(ctx, tx, orgID)
}

// DropAll removes every budget of something that goes: of the organization's team, project, key or user.
func (l *Ledger) DropAll(ctx context.Context, tx *store.Tx, orgID, id string) error {
	page, err := Budgets.List(ctx, tx, store.Query{Where: []store.Cond{store.Eq("org_id", orgID), store.Eq("scope_id", id)}})
	if err != nil {
		return err
	}
	members, err := Budgets.List(ctx, tx, store.Query{Where: []store.Cond{store.Eq("org_id", orgID), store.Eq("scope", ScopeMember), store.Eq("team_id", id)}})
	if err != nil {
		return err
	}
	all := append(page.Items, members.Items...)
	for _, b := range all {
		if err := Budgets.Delete(ctx, tx, b.ID); err != nil {
			return err
		}
	}
	if len(all) == 0 {
		return nil
	}
	return l.Touch(ctx, tx, orgID)
}

// SetBudget is [Ledger.Put] for callers outside: it asks for budget.modify and leaves an event.
func (l *Ledger) SetBudget(ctx context.Context, b Budget) (Budget, error) {
	return l.change(ctx, b, "budget.updated", func(ctx context.Context, tx *store.Tx, b *Budget) error { return l.Put(ctx, tx, b) })
}

// readBudgets is what lets read where budgets stand: of the organization, or with a team id those of the team or project.
// Who may change them may see them.
func readBudgets(orgID, teamID string) rbac.Op {
	return rbac.Op{Action: "billing.read", Or: []string{"usage.read", modifyBudget}, OrgID: orgID, TeamID: teamID}
}

// Budget returns a budget of the organization and where it stands. It needs billing.read, usage.read or budget.modify.
func (l *Ledger) Budget(ctx context.Context, orgID, id string) (s BudgetState, err error) {
	if err := l.Flush(ctx); err != nil {
		return s, err
	}
	err = l.guard.Read(ctx, readBudgets(orgID, ""), func(ctx context.Context, tx *store.Tx) error {
		b, err := ownBudget(ctx, tx, orgID, id)
		if err != nil {
			return err
		}
		s, err = stateOf(ctx, tx, b)
		return err
	})
	return s, err
}

// DeleteBudget removes a budget of the organization; see [Ledger.Drop]. It needs budget.modify. That of settings goes
// with them.
func (l *Ledger) DeleteBudget(ctx context.Context, orgID, id string) (b Budget, err error) {
	err = l.guard.Change(ctx, rbac.Op{Action: modifyBudget, OrgID: orgID}, func(ctx context.Context, tx *store.Tx) (audit.Change, error) {
		b, err = Budgets.Lock(ctx, tx, id)
		switch {
		case err != nil:
			return audit.Change{}, err
		case b.OrgID != orgID:
			return audit.Change{}, store.ErrNotFound
		case b.Name == OfSettings:
			return audit.Change{}, errOfSettings
		}
		if err := Budgets.Delete(ctx, tx, b.ID); err != nil {
			return audit.Change{}, err
		}
		return audit.Deleted(&b).In(b.place()), l.Touch(ctx, tx, orgID)
	})
	return b, err
}

// errOfSettings: who wants another one changes the settings.
var errOfSettings = store.Invalid("name", "reserved", "%q is the budget of the settings, and is changed there", OfSettings)

// Path is where a call spends, and by which price: every budget of every part has to have room for it,
// and so has every budget of the organizations above.
type Path struct {
	OrgID     string
	TeamID    string // "" outside of teams
	ProjectID string // "" outside of projects
	UserID    string // the person who acts or is bound to the key, "" for none
	KeyID     string
	Model     string // resolved id
	// Price is the version that the call is charged by, nil where none is known. The reservation pins it.
	Price *PriceVersion
}

// resolve returns the budgets on the path, from the key's to the root's, and the organizations that it goes through. It
// is the one resolver of check and charge. missing are those that lie there by default ([Each]) and are not made yet.
func (p Path) resolve(ctx context.Context, tx *store.Tx) (path, missing []Budget, orgs []string, err error) {
	chain, err := rbac.Lineage(ctx, tx, p.OrgID)
	if errors.Is(err, store.ErrNotFound) { // a ledger of its own, without organizations
		chain, err = []rbac.Scope{{Meta: store.Meta{ID: p.OrgID}}}, nil
	} else if err != nil {
		return nil, nil, nil, err
	}
	depth := map[string]int{"": 0}
	for i, s := range chain {
		orgs, depth[s.ID] = append(orgs, s.ID), i
	}
	page, err := Budgets.List(ctx, tx, store.Query{Where: []store.Cond{
		store.In("org_id", append(orgs[:len(orgs):len(orgs)], "")),
		store.In("scope_id", append(orgs[:len(orgs):len(orgs)], p.TeamID, p.ProjectID, p.UserID, p.KeyID, Each))}})
	if err != nil {
		return nil, nil, nil, err
	}
	models, err := Budgets.List(ctx, tx, store.Query{Where: []store.Cond{
		store.In("org_id", orgs), store.Eq("scope", ScopeModel)}})
	if err != nil {
		return nil, nil, nil, err
	}
	page.Items = slices.DeleteFunc(page.Items, func(b Budget) bool { return b.Scope == ScopeModel }) // of all models, which comes again
	for _, b := range append(page.Items, models.Items...) {
		if p.has(b, depth) {
			path = append(path, b)
		}
	}
	slices.SortFunc(path, func(a, b Budget) int {
		at := func(b Budget) int {
			if b.Scope == ScopeOrg {
				return depth[b.ScopeID]
			}
			return depth[b.OrgID]
		}
		return cmp.Or(cmp.Compare(scopeOrder[a.Scope], scopeOrder[b.Scope]), cmp.Compare(at(a), at(b)), cmp.Compare(a.ID, b.ID))
	})
	return path, p.defaults(page.Items, path), orgs, nil
}

// has says whether a budget that resolve has found lies on the path.
func (p Path) has(b Budget, depth map[string]int) bool {
	is := func(id string) bool { return id != "" && id != Each && b.ScopeID == id }
	switch b.Scope {
	case ScopeOrg:
		_, above := depth[b.ScopeID]
		return above && b.ScopeID != ""
	case ScopeTeam:
		return is(p.TeamID)
	case ScopeProject:
		return is(p.ProjectID)
	case ScopeKey:
		return is(p.KeyID)
	case ScopeUser:
		return is(p.UserID)
	case ScopeMember:
		return is(p.UserID) && b.OrgID == p.OrgID && (b.TeamID == "" || b.TeamID == p.TeamID)
	case ScopeModel:
		glob, err := rbac.ParseResource(rbac.ModelPattern(b.ScopeID))
		return err == nil && glob.Match(rbac.ModelPattern(p.Model))
	}
	return false
}
