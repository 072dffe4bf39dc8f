package export

import (
	"context"
	"errors"
	"math"

	"github.com/orgkit/orgkit/audit"
	"github.com/orgkit/orgkit/store"
	"github.com/orgkit/orgkit/store/jobs"
)

// leaveOut goes on behind an event that the endpoint refuses, while it takes others. The event is sent by a job of its
// own from then on, and the log says so. That it says so may be what is refused: then it says no more.
func (a *attempt) leaveOut(ctx context.Context, b *batch, out outcome) error {
	return a.book(ctx, true, func(ctx context.Context, tx *store.Tx, d *audit.Delivery) error {
		works(d, tx.Now())
		d.Next = b.below
		_, _, err := jobs.Enqueue(ctx, tx, jobs.NewJob{Kind: audit.ResendJob, OrgID: d.OrgID, RunAt: *at(tx, a.opt.MaxBackoff),
			Payload: audit.DeliveryJob{Destination: d.ID, Sequence: b.first}})
		if err != nil || b.last == audit.ExportGapType {
			return err
		}
		_, err = a.log.Append(ctx, tx, d.OrgID, "audit.export", audit.Change{Type: audit.ExportGapType, Outcome: audit.Failure, Reason: out.reason,
			Resource: d.AuditResource(), Data: map[string]any{"sequence": b.first, "event_type": b.last}})
		return err
	})
}

// resend does [audit.ResendJob]. An event that is pruned by now is done.
func (x *Exporter) resend(ctx context.Context, orgID string, p audit.DeliveryJob) error {
	a, err := x.begin(ctx, orgID, p.Destination)
	if err != nil {
		return err
	}
	to, out := x.sink(ctx, a.config, a.destination)
	s, is := to.(*endpoint)
	if !is {
		return nil
	}
	if !out.failed() {
		b, err := s.read(ctx, p.Sequence, p.Sequence+1, 1, math.MaxInt)
		if err != nil || b.events == 0 {
			return err
		}
		out = s.send(ctx, b)
	}
	switch {
	case !out.failed():
		return nil
	case out.after > 0:
		return jobs.RetryAfter(out.after, errors.New(out.reason))
	}
	return errors.New(out.reason)
}
