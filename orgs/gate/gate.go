// Package gate stands in front of AI requests.
//
// [Gate.Admit] answers, before a request goes upstream, who it is, whether they may use this model
// now, and whether there is money left; it holds what the request may cost at most.
// [Admission.Settle] afterwards charges what it did cost:
//
//	adm, err := g.Admit(ctx, gate.Call{Secret: bearer, Model: "gpt-4-turbo-preview", InputTokens: 900, MaxOutputTokens: 400, IP: addr})
//	if err != nil {
//		return err // *gate.Denied says what would make it pass
//	}
//	defer adm.Release(ctx) // does nothing after Settle
//	...
//	return adm.Settle(ctx, billing.Usage{InputTokens: 900, OutputTokens: 212})
//
// # Order
//
// The key; the state of organization, team and person; the limits of the key; the model; tags that
// the team requires; the decision with its policies, features, approvals and cost limits; rate limits
// and slots; money. The first refusal wins, and nothing of a refused call is charged, or counted as a request.
//
// A call for which no slot is free may wait for one ([Call.MaxWait]), the teams with a priority queue before
// others; see billing.Limiter. What was decided before it waited counts.
//
// # What is logged
//
// How a call of a known key ended is told to the audit log, by the id of its decision, as far as the organization wants
// it there (audit.Decisions); that a key was tried which may not be used, always. It is written in the background and
// no call waits for it. A call that is malformed, or names a model that is not served, is refused before anything is
// decided and leaves nothing.
//
// # Freshness
//
// Every admission reads the store: a key that was revoked, a role that was taken or a budget that
// was lowered counts for the very next call, in every process on the same database.
package gate

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"strings"
	"time"

	"github.com/shopspring/decimal"

	"github.com/orgkit/orgkit/audit"
	"github.com/orgkit/orgkit/billing"
	"github.com/orgkit/orgkit/orgs"
	"github.com/orgkit/orgkit/rbac"
	"github.com/orgkit/orgkit/store"
)

// Gate admits calls. It is safe for concurrent use.
type Gate struct{ m *orgs.Manager }

// New returns a gate over the manager's organizations and model catalogue.
func New(m *orgs.Manager) *Gate { return &Gate{m} }

// Call is an AI request before it is made.
type Call struct {
	Secret   string   // the API key
	Action   string   // "" is models.use
	Model    string   // id or alias, as the client named it
	Features []string // what the request makes use of: vision, function_calling, web_search, ...
	Tags     map[string]string

	// The upper bound of the cost, in USD: MaxCost when it is given, else by the catalogue's price
	// from the tokens; see billing.Catalogue.EstimateUpperBound. MaxOutputTokens of 0 is the model's own
	// maximum. Without any price the cost is unknown, which hard budgets and cost limits refuse.
	MaxCost         *decimal.Decimal
	InputTokens     int64
	MaxOutputTokens int64
	Images          int64

	MaxWait  time.Duration // for a slot where too many calls run; 0 does not wait
	Priority *int          // among those that wait, higher first; nil is that of the team

	IP             netip.Addr
	Now            time.Time // zero is now; rate limits and budgets go by the clock of the store
	ApprovalReason string    // for the request that an unapproved call opens
	RequestID      string
}

// ErrDenied: the call is not admitted. The detail is a *[Denied].
var ErrDenied = errors.New("call denied")

// Denied says why a call was not admitted and what would make it pass.
type Denied struct {
	Code       string // invalid_api_key, org_suspended, ip_denied, unsupported_model, policy_denied, budget_exceeded, ...
	Message    string
	DecisionID string
	Remedy     []string
	Missing    []string // inputs that the decision would have needed, or required tags

	ApprovalID     string // the pending request that would open the call
	ReasonRequired bool   // an approval needs a reason, and none was sent: no request was opened

	BudgetID   string
	OrgID      string        // of the budget, where a raise of it would help and can be asked for; see billing.Ledger.RequestRaise
	LimitID    string        // of the rate limit
	ResetAt    time.Time     // of the budget, or when the window of the rate limit ends
	RetryAfter time.Duration // when a rate limit may let the call pass; 0 where trying again is of no use
	Rate       *billing.Rate // as of an [Admission], where it came to that

	cause error
}

func (d *Denied) Error() string { return d.Code + ": " + d.Message }

// Is makes every Denied an [ErrDenied].
func (d *Denied) Is(target error) bool { return target == ErrDenied }

// Unwrap returns what refused: an *orgs.AuthError, orgs.ErrKeyAddress, a *rbac.Denied, *billing.Limited or
// *billing.Exceeded, or nil.
func (d *Denied) Unwrap() error { return d.cause }

// Admission is a call that was admitted. Its methods are safe for concurrent use.
type Admission struct {
	Model      billing.Model // resolved
	Caller     orgs.Caller
	Tags       map[string]string // with team, and what the key fills in
	DecisionID string
	Cost       *decimal.Decimal // the upper bound that is held of the budgets; nil: no price is known
	Providers  []string         // the team's preference, best first
	Rate       *billing.Rate    // the window on the path of which the least is left, for headers; nil: no limit is on it
	Priority   int              // among calls that wait
	Pool       string           // the team whose dedicated capacity the call takes, "" for what is shared
	// MaxOutputTokens is the longest answer that Cost pays for: what the upstream is to be told.
	MaxOutputTokens int64

	hold     *billing.Reservation
	rates    billing.Permit
	gate     *Gate
	asked    rbac.Request // of the model
	features []string
}

// Admit decides on a call. A refusal is a *[Denied]; any other error is one of the store, or of ctx where
// the call waited, and the call must not be made.
func (g *Gate) Admit(ctx context.Context, c Call) (*Admission, error) {
	if c.Action == "" {
		c.Action = "models.use"
	}
	var (
		adm = Admission{gate: g, features: c.Features}
		est billing.Estimate
		ask rbac.Request
		dec rbac.Decision

		limits *billing.Limits
		want   billing.Ask
	)
	err := g.m.Store().View(ctx, func(ctx context.Context, tx *store.Tx) error {
		if c.Now.IsZero() {
			c.Now = tx.Now()
		}
		var err error
		if adm.Caller, err = g.caller(ctx, tx, c); err != nil {
			return err
		}
		if adm.Model, err = g.model(c); err != nil {
			return err
		}
		if adm.Tags, err = tags(adm.Caller, c.Tags); err != nil {
			return err
		}
		if est, err = g.estimate(adm.Model, c); err != nil {
			return err
		}
		adm.Cost, adm.MaxOutputTokens = est.Amount(), est.Usage.OutputTokens
		ask = request(adm, c)
		adm.asked = ask
		if dec, err = g.decide(ctx, tx, adm.Caller, &ask, c.Features); err != nil || !dec.Allowed {
			return err
		}
		limits, want, err = g.limits(ctx, tx, &adm, est, c)
		return err
	})
	who := &adm.Caller.Actor
	who.IP, who.RequestID = c.IP, c.RequestID
	if err != nil {
		return nil, g.unasked(adm.Caller, err)
	}
	adm.DecisionID = dec.ID
	if !dec.Allowed {
		err := g.refuse(ctx, adm, ask, dec, c)
		g.tell(&adm, &ask, &dec, err)
		return nil, err
	}
	if t := adm.Caller.Team; t != nil && t.Settings.Models != nil {
		adm.Providers = t.Settings.Models.PreferredProviders
	}
	if err = adm.take(ctx, limits, want); err == nil {
		if adm.hold, err = g.m.Reserve(ctx, path(adm, est.Price), adm.Cost); err != nil {
			adm.rates.Cancel()
		}
	}
	if err != nil {
		err = adm.refused(err)
		g.tell(&adm, &ask, &dec, err)
		return nil, err
	}
	g.tell(&adm, &ask, &dec, nil)
	_ = g.m.Used(ctx, adm.Caller) // what fails here must not fail the call
	return &adm, nil
}

// caller finds the key and tests everything that stands before the decision.
func (g *Gate) caller(ctx context.Context, tx *store.Tx, c Call) (orgs.Caller, error) {
	who, err := orgs.KeyCaller(ctx, tx, c.Secret)
	if err != nil {
		return who, err
	}
	if err := who.Stopped(); err != nil {
		return who, err
	}
	if who.Scope.AllowedIPsData && !who.Scope.Admits(c.IP) {
		return who, &Denied{Code: "ip_denied", Message: "the organization does not allow this address", Remedy: []string{"call from an address that the organization allows"},
			cause: &rbac.Denied{Code: "ip_denied", Action: "api_keys.use", Resource: "api_key:" + who.Key.ID, TeamID: who.Key.Context()}}
	}
	if allowed := who.Key.Restrictions.AllowedIPs; len(allowed) > 0 && !rbac.InRanges(c.IP, allowed) {
		return who, &Denied{Code: "ip_denied", Message: "the key is not allowed from this address", Remedy: []string{"call from " + strings.Join(allowed, " or ")}, cause: orgs.ErrKeyAddress}
	}
	return who, nil
}

func (g *Gate) model(c Call) (billing.Model, error) {
	model, ok := g.m.Catalogue().Resolve(c.Model)
	if !ok {
		return model, &Denied{Code: "unsupported_model", Message: "no such model is served here"}
	}
	return model, nil
}

// tags completes the tags of a call: team and project are always the key's (F334), what the call leaves out
// is taken from the key, and what the team requires has to be there.
func tags(who orgs.Caller, sent map[string]string) (map[string]string, error) {
	all := make(map[string]string, len(sent)+2)
	if len(sent) > orgs.MaxCallTags {
		return nil, &Denied{Code: "invalid_request", Message: fmt.Sprintf("at most %d tags", orgs.MaxCallTags)}
	}
	maps.Copy(all, who.Key.DefaultTags)
	for k, v := range sent {
		if k == "" || len(k) > orgs.MaxTagName || len(v) > orgs.MaxTagValue {
			return nil, &Denied{Code: "invalid_request", Message: fmt.Sprintf("tag names have 1 to %d characters, values at most %d", orgs.MaxTagName, orgs.MaxTagValue)}
		}
		all[k] = v
	}
	if who.Project != nil {
		all["project"] = who.Project.Slug
	}
	if who.Team == nil {
		return all, nil
	}
	all["team"] = who.Team.Slug
	if b := who.Team.Settings.Budget; b != nil && b.RequireProjectTag != nil && *b.RequireProjectTag && all["project"] == "" {
		return nil, &Denied{Code: "missing_tags", Message: "the team requires the tag project", Missing: []string{"project"}}
	}
	return all, nil
}

// estimate is the upper bound of the call, by the price of the moment in which it is made.
func (g *Gate) estimate(model billing.Model, c Call) (billing.Estimate, error) {
	e, err := g.m.Catalogue().EstimateUpperBound(model.ID, c.Now,
		billing.Usage{InputTokens: c.InputTokens, OutputTokens: c.MaxOutputTokens, Images: c.Images, Cost: c.MaxCost})
	var field *store.FieldError
	if errors.As(err, &field) {
		return e, &Denied{Code: "invalid_request", Message: field.Error()}
	}
	return e, err
}

func request(adm Admission, c Call) rbac.Request {
	key := adm.Caller.Key
	r := rbac.Request{OrgID: key.OrgID, TeamID: key.Context(), Action: c.Action, Person: adm.Caller.Actor.Person(),
		Call: rbac.Call{Resource: rbac.ModelPattern(adm.Model.ID), At: c.Now, IP: c.IP, MFAAt: adm.Caller.Actor.MFAAt, Cost: adm.Cost}}
	if c.Model != adm.Model.ID {
		r.Asked = rbac.ModelPattern(c.Model)
	}
	return r
}

// decide asks for the use of the key, the model and every feature; the first refusal is the answer, and ask what
// was refused.
func (g *Gate) decide(ctx context.Context, tx *store.Tx, who orgs.Caller, ask *rbac.Request, features []string) (d rbac.Decision, err error) {
	first, use := *ask, *ask
	use.Action, use.Resource, use.Asked = "api_keys.use", "api_key:"+who.Key.ID, ""
	questions := []rbac.Request{use, first}
	for _, f := range features {
		feature := first
		feature.Resource, feature.Asked = "feature:"+f, ""
		questions = append(questions, feature)
	}
	var model rbac.Decision // whose id is that of the admission
	for i, q := range questions {
		if d, err = g.m.Check(ctx, tx, who.Key.ID, q); err != nil || !d.Allowed {
			*ask = q
			return d, err
		}
		if i == 1 {
			model = d
		}
	}
	return model, nil
}

// refuse turns a decision into a Denied and, where an approval would open the call, asks for it.
func (g *Gate) refuse(ctx context.Context, adm Admission, ask rbac.Request, dec rbac.Decision, c Call) error {
	d := &Denied{Code: dec.Code, DecisionID: dec.ID, Remedy: dec.Remedy, Missing: dec.Missing,
		Message: dec.Sentence(), cause: &rbac.Denied{Code: dec.Code, Action: ask.Action, Resource: ask.Resource, TeamID: ask.TeamID, Decision: dec}}
	if dec.Code != "approval_required" || ask.Person == "" {
		return d
	}
	a, _, err := g.m.RequestApproval(audit.WithActor(ctx, adm.Caller.Actor), ask, c.ApprovalReason)
	var denied *rbac.Denied
	var field *store.FieldError
	switch {
	case err == nil:
		d.ApprovalID = a.ID
	case errors.As(err, &denied) && denied.Code == "approval_denied":
		d.Code, d.Remedy, d.Message = denied.Code, denied.Decision.Remedy, "an approver has refused this"
	case errors.As(err, &denied), errors.As(err, &field) && field.Field == "resource":
		d.Remedy = []string{"try again"} // the rules have changed meanwhile
	case errors.As(err, &field):
		d.ReasonRequired = true
		d.Remedy = append(d.Remedy, "send a reason for the approval")
	default:
		return err
	}
	return d
}

// refused brings the refusals of the floors below into the one form, with the id of the decision that came before, if any.
// Other errors stay what they are.
func refused(err error, decision string) error {
	var own *Denied
	if errors.As(err, &own) {
		return err
	}
	var auth *orgs.AuthError
	if errors.As(err, &auth) {
		return &Denied{Code: auth.Code, Message: auth.Error(), cause: err}
	}
	var stopped *rbac.Denied
	if errors.As(err, &stopped) {
		return &Denied{Code: stopped.Code, Message: stopped.Decision.Sentence(), Remedy: stopped.Decision.Remedy, cause: err}
	}
	var ex *billing.Exceeded
	if errors.As(err, &ex) {
		code, remedy := "budget_exceeded", "have the budget raised"
		if !ex.ResetAt.IsZero() {
			remedy = "wait until " + ex.ResetAt.Format(time.RFC3339) + ", or " + remedy
		}
		if ex.Suspended {
			code, remedy = "budget_suspended", "have the budget resumed"
		}
		if ex.Unpriced {
			remedy = "have the model priced"
		}
		d := &Denied{Code: code, Message: ex.Error(), DecisionID: decision, BudgetID: ex.BudgetID, ResetAt: ex.ResetAt, cause: err, Remedy: []string{remedy}}
		if ex.Raisable() {
			d.OrgID, d.Remedy[0] = ex.OrgID, remedy+", or ask for a raise of it"
		}
		return d
	}
	if d := limited(err, decision); d != nil {
		return d
	}
	if errors.Is(err, store.ErrNotFound) { // the key holds nothing any more
		return &Denied{Code: "invalid_api_key", Message: "the credential is not valid", cause: err}
	}
	return err
}

// Release frees what is held: the call cost nothing, but was made. After Settle it does nothing. Its error is
// for logs: what could not be released stays counted as spent. It does not stop when ctx is cancelled.
func (a *Admission) Release(ctx context.Context) error {
	a.rates.Release()
	return a.hold.Release(context.WithoutCancel(ctx))
}
