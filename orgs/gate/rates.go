package gate

import (
	"context"
	"errors"
	"time"

	"github.com/orgkit/orgkit/billing"
	"github.com/orgkit/orgkit/store"
)

// limits are the rate limits on the way of a call, and what it wants of them.
func (g *Gate) limits(ctx context.Context, tx *store.Tx, adm *Admission, est billing.Estimate, c Call) (*billing.Limits, billing.Ask, error) {
	ask := billing.Ask{Tokens: est.Usage.InputTokens + est.Usage.OutputTokens, MaxWait: c.MaxWait}
	dedicated := false
	if t := adm.Caller.Team; t != nil {
		adm.Priority, dedicated = t.Priority(), t.Dedicated()
	}
	if dedicated {
		adm.Pool = adm.Caller.Team.ID
	}
	if c.Priority != nil {
		adm.Priority = *c.Priority
	}
	ask.Priority = adm.Priority
	limits, err := g.m.Limits(ctx, tx, path(*adm, nil), dedicated)
	return limits, ask, err
}

// take takes what the call wants of its rate limits, which may have it wait.
func (a *Admission) take(ctx context.Context, limits *billing.Limits, ask billing.Ask) (err error) {
	a.rates, err = limits.Take(ctx, ask)
	if rate, some := limits.Nearest(); some {
		a.Rate = &rate
	}
	return err
}

// refused is the refusal of a call that was decided on, with where its rate limits stand.
func (a *Admission) refused(err error) error {
	err = refused(err, a.DecisionID)
	var d *Denied
	if errors.As(err, &d) {
		d.Rate = a.Rate
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

// settleRates counts the tokens that were used. Where only a cost was told, those stay that the call might have used.
func (a *Admission) settleRates(u billing.Usage) {
	tokens := u.InputTokens + u.OutputTokens
	if tokens == 0 && u.Cost != nil && u.Images == 0 {
		tokens = a.rates.Tokens()
	}
	a.rates.Settle(tokens)
}
