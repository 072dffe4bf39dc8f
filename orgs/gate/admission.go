package gate

import (
	"context"
	"errors"
	"maps"
	"net/netip"
	"runtime"
	"slices"
	"sync/atomic"
	"time"

	"github.com/shopspring/decimal"

	"github.com/orgkit/orgkit/audit"
	"github.com/orgkit/orgkit/billing"
	"github.com/orgkit/orgkit/orgs"
)

// Admission is a call that was admitted. Its methods are safe for concurrent use; it must not be copied. What it points to
// belongs to the gate and is not changed by anybody.
type Admission struct {
	Model     *billing.Model // resolved
	Caller    *orgs.Caller   // the key, with its organization, team and person
	Providers []string       // the team's preference, best first
	Priority  int            // among calls that wait
	Pool      string         // the team whose dedicated capacity the call takes, "" for what is shared
	// MaxOutputTokens is the longest answer that is paid for: what the upstream is to be told.
	MaxOutputTokens int64

	gate     *Gate
	known    *known
	lane     *lane
	estimate billing.Estimate
	hold     billing.Hold
	kept     *billing.Reservation // instead of the hold: of a cost that is unknown, or too high for one
	rates    billing.Permit
	judged   atomic.Bool
	recorded atomic.Bool  // what it has used
	id       string       // once it is made
	named    atomic.Int32 // whether it is

	// Of the call:
	now       time.Time
	ip        netip.Addr
	requestID string
	action    string
	features  []string
	tags      map[string]string
}

// DecisionID is the id of the decision that admitted the call, by which the log knows it.
func (a *Admission) DecisionID() string {
	for {
		switch {
		case a.named.Load() == named:
			return a.id
		case a.named.CompareAndSwap(unnamed, naming): // a pointer, or a lock, would have each admission allocated
			a.id = a.gate.m.Store().NewID("dec")
			a.named.Store(named)
		default:
			runtime.Gosched()
		}
	}
}

const (
	unnamed = iota
	naming
	named
)

// Cost is the upper bound in USD that is held of the budgets; nil: no price is known.
func (a *Admission) Cost() *decimal.Decimal { return a.estimate.Amount() }

// Actor is the key as the one who makes the call.
func (a *Admission) Actor() audit.Actor {
	return a.known.by(&Call{IP: a.ip, RequestID: a.requestID}).Actor
}

// Tags are those of the call: team and project are always the key's (F334), and what the call leaves out is taken from the
// key. Those that the organization itself has are organization_tags, as many as that holds, with commas between them.
func (a *Admission) Tags() map[string]string {
	all := make(map[string]string, len(a.tags)+len(a.Caller.Key.DefaultTags)+2)
	maps.Copy(all, a.Caller.Key.DefaultTags)
	maps.Copy(all, a.tags)
	if project := a.known.project(a.tags); project != "" {
		all["project"] = project
	}
	if a.Caller.Team != nil {
		all["team"] = a.Caller.Team.Slug
	}
	if tags := a.known.orgTags(); tags != "" {
		all["organization_tags"] = tags
	}
	return all
}

// Rate is the window on the path of which the least is left just now, for headers; ok is false where no limit is on it.
func (a *Admission) Rate() (rate billing.Rate, ok bool) { return a.rates.Limits().Nearest() }

// take takes what the call wants of its rate limits, which may have it wait, and then of the budgets.
func (a *Admission) take(ctx context.Context, at time.Time, elapsed time.Duration, limits *billing.Limits, c *Call) (err error) {
	u := &a.estimate.Usage
	a.Priority = a.known.rules.priority
	if c.Priority != nil {
		a.Priority = *c.Priority
	}
	if a.rates, err = limits.Take(ctx, billing.Ask{Tokens: u.InputTokens + u.OutputTokens, Input: u.InputTokens, MaxWait: c.MaxWait, Priority: a.Priority, At: elapsed}); err != nil {
		return err
	}
	if cost, odd := a.estimate.Pico(); odd == nil && cost <= billing.MaxHold {
		err = a.lane.purse.Reserve(ctx, &a.hold, cost, at)
	} else { // what is unknown, or more than memory counts
		path := a.known.path(a.lane.model.ID)
		path.Price = a.estimate.Price
		a.kept, err = a.gate.m.Reserve(ctx, path, a.estimate.Amount())
	}
	if err != nil {
		a.rates.Cancel()
	}
	return err
}

// fit takes what is left of a budget by which a call was refused, where its key is one whose calls are made to fit: what it gets
// is an answer as long as that pays for.
func (a *Admission) fit(ctx context.Context, at time.Time, elapsed time.Duration, limits *billing.Limits, c *Call, refusal error) error {
	if !slices.Contains(c.Fit, a.known.caller.Key.Dialect) || c.MaxCost != nil {
		return refusal
	}
	for range 8 { // another call may have taken of it meanwhile
		var ex *billing.Exceeded
		if !errors.As(refusal, &ex) || ex.Suspended || ex.Unpriced {
			break
		}
		n, err := a.gate.m.Catalogue().MaxTokensFor(a.lane.model.ID, c.Now, ex.Remaining, a.estimate.Usage)
		if n -= n % max(c.Answers, 1); err != nil || n <= 0 || n >= a.estimate.Usage.OutputTokens {
			break
		}
		a.estimate.Usage.OutputTokens = n
		if refusal = a.take(ctx, at, elapsed, limits, c); refusal == nil {
			break
		}
	}
	return refusal
}

// Release frees what is held: the call cost nothing, but was made. After Settle it does nothing. Its error is
// for logs: what could not be released stays counted as spent. It does not stop when ctx is cancelled.
func (a *Admission) Release(ctx context.Context) error {
	a.rates.Release()
	if a.kept != nil {
		a.recordReleased(ctx)
		return a.kept.Release(context.WithoutCancel(ctx))
	}
	if a.hold.Release(); a.hold.Released() {
		a.recordReleased(ctx)
	}
	return nil
}
