package gate

import (
	"context"

	"github.com/orgkit/orgkit/billing"
)

// UsageSource is the source of the events of calls that were admitted.
const UsageSource = "gate"

// record tells what a call has used that was settled, and what it was charged: so reports and budgets show one figure.
// Nothing of it fails the call, which was made: what finds no room in time is counted, see billing.Metering.State.
func (a *Admission) record(ctx context.Context, u billing.Usage, charged billing.Pico) {
	if a.gate.m.Metering().Off() || !a.recorded.CompareAndSwap(false, true) {
		return
	}
	if u.Status == 0 {
		u.Status = statusOK
	}
	var c billing.UsageCall
	a.used(&c, u)
	c.Charged = charged
	_ = a.gate.m.Metering().RecordCall(ctx, &c)
}

// recordAbove is record for what memory does not count.
func (a *Admission) recordAbove(ctx context.Context, u billing.Usage, s billing.Settlement) {
	charged, err := billing.CeilPico(s.Actual)
	if err != nil { // more than an event can cost: it is dropped, and counted with what fits
		charged = -1
	}
	a.record(ctx, u, charged)
}

// recordReleased tells of a call that was made, and of which nothing came back (F236).
func (a *Admission) recordReleased(ctx context.Context) {
	if !a.recorded.CompareAndSwap(false, true) {
		return
	}
	var c billing.UsageCall
	a.used(&c, billing.Usage{})
	_ = a.gate.m.Metering().RecordCall(context.WithoutCancel(ctx), &c)
}

// used fills in what is told of a call. It counts at the time at which it was made.
func (a *Admission) used(c *billing.UsageCall, u billing.Usage) {
	k := &a.Caller.Key
	*c = billing.UsageCall{Sent: a.tags, Defaults: k.DefaultTags, OrgTags: a.known.orgTags(), UsageEvent: billing.UsageEvent{
		Source: UsageSource, Time: a.gate.m.Store().Now().Add(-u.Latency), OrgID: k.OrgID, TeamID: k.TeamID, ProjectID: k.ProjectID, UserID: k.UserID, KeyID: k.ID,
		Model: a.Model.ID, Endpoint: u.Endpoint, Method: u.Method, Status: u.Status, Latency: u.Latency, TTFT: u.TTFT,
		InputTokens: u.InputTokens, CachedTokens: u.CachedTokens, OutputTokens: u.OutputTokens}}
	if a.named.Load() == named { // whoever looks at the decision finds what it came to
		c.ID = a.id
	}
	if a.Caller.Team != nil {
		c.Team = a.Caller.Team.Slug
	}
	if a.Caller.Project != nil {
		c.Project = a.Caller.Project.Slug
	}
	if p := a.estimate.Price; p != nil {
		c.PriceVersion = p.ID
	}
}

// statusOK is that of a call that was settled and of which nothing else is known.
const statusOK = 200
