package gate

import (
	"errors"
	"time"

	"github.com/orgkit/orgkit/billing"
	"github.com/orgkit/orgkit/orgs"
	"github.com/orgkit/orgkit/rbac"
	"github.com/orgkit/orgkit/store"
)

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

	Caller *orgs.Caller // whose key it is, or was, as far as that is known; nil: nobody's

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

// of says whose key was refused.
func (d *Denied) of(who orgs.Caller) {
	if who.Key.ID != "" {
		d.Caller = &who
	}
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
			code = "budget_suspended"
			if remedy += " or resumed"; !ex.ByAlert {
				remedy = "have the budget resumed"
			}
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

// limited turns the refusal of a rate limit into a Denied; it is nil for every other error.
func limited(err error, decision string) *Denied {
	var l *billing.Limited
	if !errors.As(err, &l) {
		return nil
	}
	d := &Denied{Code: "rate_limit_exceeded", Message: l.Error(), DecisionID: decision, RetryAfter: l.RetryAfter, ResetAt: l.ResetAt, LimitID: l.LimitID, cause: err}
	if d.Remedy = []string{"wait until " + l.ResetAt.UTC().Format(time.RFC3339) + ", or have the limit raised"}; l.Parallel() {
		d.Code, d.Remedy = "concurrency_limit", []string{"wait until a call has ended, or have the limit raised"}
	}
	return d
}
