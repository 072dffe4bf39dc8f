package orgs

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/orgkit/orgkit/audit"
	"github.com/orgkit/orgkit/rbac"
	"github.com/orgkit/orgkit/store"
	"github.com/orgkit/orgkit/store/jobs"
)

// tried is what trying destinations has shown of a configuration of that version.
type tried struct {
	version int64
	works   map[int]bool // by the place of the destination
}

// errTried takes back the change of which only the outcome was wanted.
var errTried = errors.New("only tried")

// tryDestinations tries the new and changed destinations that the input leads to. It does so outside of a unit, so that
// nobody waits for them, of what a unit has found that was taken back.
func (m *Manager) tryDestinations(ctx context.Context, orgID string, in NewAuditConfig) (*tried, error) {
	if m.opt.Exports == nil {
		return nil, store.Invalid("verify", "not_available", "the host has set up nothing that could try destinations")
	}
	var before, after audit.Config
	err := m.changeAuditConfig(ctx, orgID, in, func(_ context.Context, _ *store.Tx, was, c audit.Config, _ []store.Warning) error {
		before, after = was, c
		return errTried
	})
	if !errors.Is(err, errTried) {
		return nil, err
	}
	t := &tried{version: before.Version, works: map[int]bool{}}
	for i, d := range after.Destinations {
		if old, is := find(before.Destinations, func(o audit.Destination) bool { return o.ID == d.ID }); is && d.Same(old) {
			continue
		}
		if reason := m.opt.Exports.Probe(ctx, after, d); reason != "" {
			return nil, store.Invalid(fmt.Sprintf("export_destinations[%d]", i), "destination_failed", "does not take what is sent: %s", reason)
		}
		t.works[i] = true
	}
	return t, ctx.Err()
}

// deliver keeps what is known of the deliveries to the destinations of a configuration in step with it.
func (m *Manager) deliver(ctx context.Context, tx *store.Tx, before, c audit.Config, t *tried) (map[string]audit.Delivery, error) {
	list, err := audit.DeliveriesOf(ctx, tx, c.ID)
	if err != nil {
		return nil, err
	}
	for _, d := range list {
		if _, is := find(c.Destinations, func(o audit.Destination) bool { return o.ID == d.ID }); !is {
			if err := audit.Deliveries.Delete(ctx, tx, d.ID); err != nil {
				return nil, err
			}
		}
	}
	all := map[string]audit.Delivery{}
	for i, dest := range c.Destinations {
		works := t != nil && t.works[i]
		if all[dest.ID], err = m.deliverTo(ctx, tx, before, c, dest, works); err != nil {
			return nil, err
		}
	}
	return all, nil
}

// deliverTo is the delivery to a destination. Where that is new or changed it is tried by a job, unless it works.
func (m *Manager) deliverTo(ctx context.Context, tx *store.Tx, before, c audit.Config, dest audit.Destination, works bool) (audit.Delivery, error) {
	d, err := audit.Deliveries.Lock(ctx, tx, dest.ID)
	fresh := errors.Is(err, store.ErrNotFound)
	if err != nil && !fresh {
		return d, err
	}
	old, _ := find(before.Destinations, func(o audit.Destination) bool { return o.ID == dest.ID })
	if !fresh && dest.Same(old) {
		return d, nil
	}
	if fresh || dest.Type == audit.S3 && !dest.SameTarget(old) { // another bucket gets all of it, too
		d.Until = 0
		if d.Next, err = m.Audit().Start(ctx, tx, c.ID, dest); err != nil {
			return d, err
		}
	}
	d.OrgID, d.Type, d.Status, d.Reason = c.ID, dest.Type, audit.Unverified, ""
	d.CheckedAt, d.Failures, d.RetryAt = nil, 0, nil
	if works {
		now := tx.Now()
		d.Status, d.CheckedAt = audit.Working, &now
	} else {
		_, _, err = jobs.Enqueue(ctx, tx, jobs.NewJob{Kind: audit.ProbeJob, OrgID: c.ID, Payload: audit.DeliveryJob{Destination: dest.ID},
			Key: fmt.Sprintf("%s@%d", dest.ID, c.Version)})
		if err != nil {
			return d, err
		}
	}
	if fresh {
		d.ID = dest.ID
		return d, audit.Deliveries.Insert(ctx, tx, &d)
	}
	return d, audit.Deliveries.Update(ctx, tx, &d)
}

// RetryDestination has a destination tried now that does not take what is sent, and what waits sent to it if it does:
// nobody waits for the back-off any longer. Events that it had refused, so that they were left out, are sent again. It
// needs audit.update; an id that is none of a destination is store.ErrNotFound.
func (m *Manager) RetryDestination(ctx context.Context, org, id string) (dest audit.Destination, d audit.Delivery, err error) {
	orgID, err := m.OrgID(ctx, org)
	if err != nil {
		return dest, d, err
	}
	err = m.Change(ctx, rbac.Op{Action: "audit.update", OrgID: orgID}, func(ctx context.Context, tx *store.Tx) (audit.Change, error) {
		c, err := auditConfig(ctx, tx, orgID)
		if err != nil {
			return audit.Change{}, err
		}
		is := false
		if dest, is = find(c.Destinations, func(o audit.Destination) bool { return o.ID == id }); !is {
			return audit.Change{}, store.ErrNotFound
		}
		if d, err = audit.Deliveries.Lock(ctx, tx, id); err != nil {
			return audit.Change{}, err
		}
		before := d
		d.RetryAt = nil
		_, _, err = jobs.Enqueue(ctx, tx, jobs.NewJob{Kind: audit.ProbeJob, OrgID: orgID, Payload: audit.DeliveryJob{Destination: id},
			Key: id + "@retry", KeepKey: time.Nanosecond}) // one at a time, and its key goes with it
		if err == nil {
			err = resend(ctx, tx, orgID, id)
		}
		if err == nil {
			err = audit.Deliveries.Update(ctx, tx, &d)
		}
		return audit.Updated(before, d).As(audit.DeliveryRetriedType), err
	})
	return dest, d, err
}

// resend makes jobs again of the dead letters of a destination.
func resend(ctx context.Context, tx *store.Tx, orgID, id string) error {
	q := jobs.DeadQuery{OrgID: orgID, Kind: audit.ResendJob}
	for {
		page, err := jobs.DeadLetters(ctx, tx, q)
		if err != nil {
			return err
		}
		for _, letter := range page.Items {
			var p audit.DeliveryJob
			if err := letter.Decode(&p); err != nil || p.Destination != id {
				continue
			}
			if err := jobs.Retry(ctx, tx, orgID, letter.ID); err != nil && !errors.Is(err, store.ErrNotFound) {
				return err
			}
		}
		if q.After = page.Next; q.After == "" {
			return nil
		}
	}
}
