package export

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/orgkit/orgkit/audit"
	"github.com/orgkit/orgkit/store"
	"github.com/orgkit/orgkit/store/jobs"
)

// attempt is that something is sent to a destination as it was when it began.
type attempt struct {
	*Exporter
	config      audit.Config
	destination audit.Destination
	delivery    audit.Delivery // as it was kept last
	limit       int            // of events in a batch; 0 is the usual
	sent        bool           // a batch was taken
}

// errElsewhere says that the destination is gone, or another one than when the attempt began.
var errElsewhere = errors.New("the destination has changed meanwhile")

// begin begins an attempt.
func (x *Exporter) begin(ctx context.Context, orgID, id string) (a *attempt, err error) {
	a = &attempt{Exporter: x}
	err = x.store.View(ctx, func(ctx context.Context, tx *store.Tx) (err error) {
		if a.delivery, err = audit.Deliveries.Get(ctx, tx, id); err != nil {
			return err
		}
		a.config, a.destination, err = destination(ctx, tx, orgID, id)
		return err
	})
	if errors.Is(err, store.ErrNotFound) || err == nil && a.delivery.OrgID != orgID {
		err = errElsewhere
	}
	return a, err
}

// destination is that of a configuration.
func destination(ctx context.Context, tx *store.Tx, orgID, id string) (c audit.Config, d audit.Destination, err error) {
	if c, err = audit.Configs.Get(ctx, tx, orgID); err != nil {
		return c, d, err
	}
	i := slices.IndexFunc(c.Destinations, func(d audit.Destination) bool { return d.ID == id })
	if i < 0 {
		return c, d, store.ErrNotFound
	}
	return c, c.Destinations[i], nil
}

// book keeps what has become of the attempt, with the event that the status is another one now. It is errElsewhere
// when the destination is no longer the one that the attempt was about; when moves is true, also when its delivery has
// got on meanwhile.
func (a *attempt) book(ctx context.Context, moves bool, change func(ctx context.Context, tx *store.Tx, d *audit.Delivery) error) error {
	ctx = audit.WithActor(ctx, audit.System("export"))
	var kept audit.Delivery
	err := a.store.Update(ctx, func(ctx context.Context, tx *store.Tx) error {
		d, err := audit.Deliveries.Lock(ctx, tx, a.delivery.ID)
		if err != nil {
			return err
		}
		// Whoever changes the destination locks its delivery too: so what is read behind the lock is what counts.
		_, now, err := destination(ctx, tx, d.OrgID, d.ID)
		if err != nil {
			return err
		}
		if !now.Same(a.destination) || moves && (d.Next != a.delivery.Next || d.Until != a.delivery.Until) {
			return errElsewhere
		}
		was := d.Status
		if err := change(ctx, tx, &d); err != nil {
			return err
		}
		if err := a.tell(ctx, tx, was, d); err != nil {
			return err
		}
		err = audit.Deliveries.Update(ctx, tx, &d)
		kept = d
		return err
	})
	if errors.Is(err, store.ErrNotFound) {
		return errElsewhere
	}
	if err == nil {
		a.delivery = kept
	}
	return err
}

// tell writes the event of a status that is another one now.
func (a *attempt) tell(ctx context.Context, tx *store.Tx, was audit.Status, d audit.Delivery) error {
	c := audit.Change{Resource: d.AuditResource(), Data: map[string]any{"next_sequence": d.Next}}
	switch {
	case was != audit.Failing && d.Status == audit.Failing:
		c.Type, c.Outcome, c.Reason = audit.DeliveryFailingType, audit.Failure, d.Reason
	case was == audit.Failing && d.Status == audit.Working:
		c.Type = audit.DeliveryRecoveredType
	default:
		return nil
	}
	_, err := a.log.Append(ctx, tx, d.OrgID, "audit.export", c)
	return err
}

// handler is that of jobs for destinations. Where the destination is not there any more there is nothing to do.
func handler(do func(ctx context.Context, orgID string, p audit.DeliveryJob) error) jobs.Handler {
	return func(ctx context.Context, j jobs.Job) error {
		var p audit.DeliveryJob
		if err := j.Decode(&p); err != nil {
			return jobs.Permanent(errors.New("the payload is that of another job"))
		}
		if err := do(ctx, j.OrgID, p); !errors.Is(err, errElsewhere) {
			return err
		}
		return nil
	}
}

// export does [audit.ExportJob]: it sends to a destination until there is nothing to send, it fails, or others have their
// turn.
func (x *Exporter) export(ctx context.Context, orgID string, p audit.DeliveryJob) error {
	a, err := x.begin(ctx, orgID, p.Destination)
	if err != nil {
		return err
	}
	began := x.store.Now()
	if at := a.delivery.RetryAt; at != nil && at.After(began) {
		return nil
	}
	if a.delivery.Failures > 0 {
		select {
		case x.suspects <- struct{}{}:
			defer func() { <-x.suspects }()
		default: // as good as tried
			return a.book(ctx, false, func(_ context.Context, tx *store.Tx, d *audit.Delivery) error {
				d.RetryAt = at(tx, x.backoff(d.Failures, 0))
				return nil
			})
		}
	}
	to, out := x.sink(ctx, a.config, a.destination)
	if out.failed() {
		return a.failed(ctx, out)
	}
	for more := true; more && x.store.Now().Sub(began) < turn; {
		if more, err = a.step(ctx, to); err != nil {
			return err
		}
	}
	return nil
}

// step sends a batch and says whether there may be more to send at once.
func (a *attempt) step(ctx context.Context, to sink) (more bool, err error) {
	b, err := to.load(ctx, a)
	if err != nil || b.below <= a.delivery.Next {
		return false, err
	}
	if a.delivery.Until != b.below {
		err := a.book(ctx, true, func(_ context.Context, _ *store.Tx, d *audit.Delivery) error {
			d.Until = b.below
			return nil
		})
		if err != nil {
			return false, err
		}
	}
	out := outcome{}
	if b.events > 0 { // else they are pruned
		out = to.send(ctx, b)
	}
	switch {
	case !out.failed():
		a.sent = true
		a.limit *= 2 // after halves
		return true, a.book(context.WithoutCancel(ctx), true, func(_ context.Context, tx *store.Tx, d *audit.Delivery) error {
			works(d, tx.Now())
			d.Next, d.SentAt = b.below, d.CheckedAt
			return nil
		})
	case ctx.Err() != nil: // it is we who end, or somebody else has the job
		return false, context.Cause(ctx)
	case out.refused && b.events > 1:
		a.limit = b.events / 2
		return true, a.book(ctx, true, func(_ context.Context, _ *store.Tx, d *audit.Delivery) error {
			d.Until = b.first + int64(a.limit)
			return nil
		})
	case out.refused && a.delivery.Failures+1 >= int64(a.opt.Refusals) && !to.probe(ctx).failed():
		return true, a.leaveOut(ctx, b, out)
	}
	return false, a.failed(ctx, out)
}

// works notes that the destination takes what is sent.
func works(d *audit.Delivery, now time.Time) {
	d.Status, d.Reason, d.CheckedAt, d.Failures, d.RetryAt = audit.Working, "", &now, 0, nil
}

// patience is how many failures in a row may pass before a destination is failing.
const patience = 3

// failed notes that the destination does not take what is sent.
func (a *attempt) failed(ctx context.Context, out outcome) error {
	a.opt.Log.WarnContext(ctx, "export: a destination does not take what is sent", "org", a.config.ID, "destination", a.destination.ID, "reason", out.reason)
	return a.book(ctx, false, func(_ context.Context, tx *store.Tx, d *audit.Delivery) error {
		now := tx.Now()
		d.Failures++
		d.CheckedAt, d.RetryAt = &now, at(tx, a.backoff(d.Failures, out.after))
		if out.lasting || d.Failures >= patience {
			d.Status, d.Reason = audit.Failing, out.reason
		}
		return nil
	})
}

// at is a time from now on.
func at(tx *store.Tx, wait time.Duration) *time.Time {
	t := tx.Now().Add(wait).Truncate(time.Microsecond)
	return &t
}
