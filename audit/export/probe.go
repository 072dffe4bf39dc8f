package export

import (
	"context"

	"github.com/orgkit/orgkit/audit"
	"github.com/orgkit/orgkit/store"
)

// Probe tries whether a destination of the configuration takes what is sent: a record of the type audit.probe, or an
// object of a few bytes. "" is that it does; else the reason can be shown to the organization.
func (x *Exporter) Probe(ctx context.Context, c audit.Config, d audit.Destination) (reason string) {
	return x.try(ctx, c, d).reason
}

func (x *Exporter) try(ctx context.Context, c audit.Config, d audit.Destination) outcome {
	to, out := x.sink(ctx, c, d)
	if out.failed() {
		return out
	}
	return to.probe(ctx)
}

// check does [audit.ProbeJob]. What it finds it notes, so it is done either way.
func (x *Exporter) check(ctx context.Context, orgID string, p audit.DeliveryJob) error {
	a, err := x.begin(ctx, orgID, p.Destination)
	if err != nil {
		return err
	}
	out := x.try(ctx, a.config, a.destination)
	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case out.failed():
		out.lasting = true // whoever has changed it wants to know now
		return a.failed(ctx, out)
	}
	return a.book(ctx, false, func(_ context.Context, tx *store.Tx, d *audit.Delivery) error {
		works(d, tx.Now())
		return nil
	})
}
