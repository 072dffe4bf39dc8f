package export

import (
	"context"
	"errors"

	"github.com/orgkit/orgkit/audit"
	"github.com/orgkit/orgkit/store"
	"github.com/orgkit/orgkit/store/jobs"
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

// probeJob is the handler of [audit.ProbeJob]. What it finds it notes, so it is done either way.
func (x *Exporter) probeJob(ctx context.Context, j jobs.Job) error {
	var p audit.DeliveryJob
	if err := j.Decode(&p); err != nil {
		return jobs.Permanent(errors.New("the payload is that of another job"))
	}
	a, err := x.begin(ctx, j.OrgID, p.Destination)
	if err != nil {
		return unlessElsewhere(err)
	}
	out := x.try(ctx, a.config, a.destination)
	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case out.failed():
		out.lasting = true // whoever has changed it wants to know now
		return unlessElsewhere(a.failed(ctx, out))
	}
	return unlessElsewhere(a.book(ctx, false, func(_ context.Context, tx *store.Tx, d *audit.Delivery) error {
		works(d, tx.Now())
		return nil
	}))
}
