// Package export delivers the audit log of organizations to their destinations: buckets of S3-compatible stores and
// the HTTP endpoints of log sinks (SIEM).
//
// [New] makes an [Exporter], [Exporter.Register] lets a worker of package jobs do its work, and [Exporter.Run] looks
// for what there is to send. A host passes the exporter to orgs.Options.Exports too, so that destinations can be tried
// before they are stored.
//
//	x := export.New(s, guard, sealer, nil)
//	x.Register(worker, manager.Audit())
//	go worker.Run(ctx)
//	go x.Run(ctx)
//
// # What is promised
//
// Nothing is sent in the path of a request, and nothing is passed over: a destination has its own place in the log
// ([audit.Delivery]), and only what it took moves that on. Where a run of events ends is kept before it is sent, so
// whoever sends it again after a crash sends the same.
//
// A bucket gets each event once. The name of an object says which events it holds, and it is written only where
// none has that name (If-None-Match); 412 says that it is there already. Objects follow each other without gap or
// overlap, for as long as no event is pruned that was not delivered. A store that ignores If-None-Match writes the same
// object again.
//
// An endpoint gets each event at least once and in order. A run that is sent again has the Idempotency-Key that it had,
// and each record has the id and the sequence of its event.
//
// Of a destination that was pointed somewhere else, or has another key, while something is sent to it, nothing is
// noted that happened at the former place.
//
// # Buckets
//
// The events from a up to but without b are the lines of an object:
//
//	PREFIX/2024/03/05/ORG-000000000000-000000000512-1f2e3d4c.jsonl.gz
//	PREFIX/2024/03/05/ORG-000000000000-000000000512-1f2e3d4c.proof.json
//
// The date is that of the first event, in UTC. Names sort as the events do. Behind the sequences are the first 32 bits
// of the root of the tree that b events make: another log does not have them. They are not those of a hash of the
// object, since gzip may pack in another way tomorrow, and since lines change when a person is erased ([audit.Log.Erase])
// while the tree stays. The organization stands in the name and not in front of the date, so that the date follows the
// prefix, and because several organizations may share a bucket. Beside each object is its [audit.Manifest]: a bucket
// that was downloaded is verified without a database, by the command examples/auditverify.
//
// An object is written when its oldest event is nearly a minute old, or 5 MiB wait.
//
// Without keys of its own a destination is written to with none, unless the host gives some by Options.Credentials: the
// host's ambient ones would let every organization write to every bucket of the host.
//
// # Endpoints
//
// A run is a POST of one JSON array with one object per event, and ocsf with two where OCSF tells of two steps. It is
// an array and no lines, since lines that were cut somewhere look like fewer events and an array that was cut is no
// JSON. The key of the destination is in the Authorization header, as a bearer token. Formats: json is the event
// as the log has it, see [audit.Event]; ocsf is OCSF 1.8.0; ecs is the Elastic Common Schema.
//
// # Failures
//
// What failed is tried again after a back-off that doubles up to minutes, with jitter, or when the receiver asks
// (Retry-After). After three failures in a row, or one that time does not mend, such as 401 or 410, the destination is
// failing: that and that it has recovered are events of the log, [audit.DeliveryFailingType] and
// [audit.DeliveryRecoveredType]. It is tried on all the same, and events are kept for it.
//
// A run that the endpoint calls bad or too large (400, 413, 422) is cut in halves until it is taken or one event is
// alone. When that one was refused several times and the record of a probe is taken, it is left out: an event says so
// ([audit.ExportGapType]), and a job of its own sends it behind the others, until it is a dead letter of package jobs.
// Where the probe is refused too it is not the event but all of it, and nothing is left out.
//
// # Others
//
// Any number of processes may run exporters; of one destination one at a time sends. It gives up its place after
// half a minute, so that others have their turn. Of the destinations that failed last time only a few are tried at
// once: those that stall do not take all handlers of the worker.
//
// # Rejected
//
// A goroutine per destination: it would have to be somewhere exactly once. Multi-part uploads: half an object could
// stay behind. A sequence or a checksum in place of the tree's root in names, for what is said above. Passing over what
// a receiver refuses at once: a receiver with a wrong setting would lose all of it.
package export

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"time"

	"github.com/orgkit/orgkit/audit"
	"github.com/orgkit/orgkit/store"
	"github.com/orgkit/orgkit/store/jobs"
	"github.com/orgkit/orgkit/store/jobs/outbound"
	"github.com/orgkit/orgkit/store/seal"
)

// Options of an [Exporter]. Nil, and zero fields, are the defaults.
type Options struct {
	// Every is how often Run looks for what there is to send: 0 is a second.
	Every time.Duration
	// Age and Bytes say when events go into an object of a bucket: when the oldest is that old, or when there are about
	// that many bytes of lines. 0 is 55 seconds, so that an event is in its bucket within a minute, and 5 MiB.
	Age   time.Duration
	Bytes int
	// Events is how many events a POST to an endpoint has at most: 0 is 500. It has about 1 MiB at most.
	Events int
	// MinBackoff and MaxBackoff bound the wait after a failure: 0 is a second, and 5 minutes.
	MinBackoff, MaxBackoff time.Duration
	// Refusals is after how many failures in a row an event that is refused alone is left out: 0 is 6.
	Refusals int
	// Limits are those of each call; nil are those of package outbound.
	Limits *outbound.Limits
	// Rules are those that configurations are held against; see orgs.Options.
	Rules audit.Rules
	// Credentials gives the keys for a bucket of which the organization has given none. Nil: there are none. It says
	// no by an error, of which nobody outside hears.
	Credentials func(ctx context.Context, orgID string, d audit.Destination) (Credentials, error)
	// Log is told of failures. Nil is nobody.
	Log *slog.Logger
}

// Credentials are those for a bucket.
type Credentials struct {
	AccessKeyID     string
	SecretAccessKey seal.Secret
	SessionToken    seal.Secret // empty for none
}

// Exporter delivers. It is safe for concurrent use.
type Exporter struct {
	store    *store.Store
	log      *audit.Log // from Register
	sealer   *seal.Sealer
	client   *outbound.Client
	strict   *outbound.Client // for organizations that demand encryption in transit
	opt      Options
	suspects chan struct{} // held by who tries a destination that failed last time
	aws      string
}

// New returns an exporter. The guard says what may be called, the sealer opens the secrets of destinations; without one
// only those without secrets are served.
func New(s *store.Store, guard *outbound.Guard, sealer *seal.Sealer, o *Options) *Exporter {
	x := &Exporter{store: s, sealer: sealer, suspects: make(chan struct{}, maxSuspects), aws: "https://s3.amazonaws.com"}
	if o != nil {
		x.opt = *o
	}
	x.client, x.strict = guard.Client(x.opt.Limits), guard.TLSOnly().Client(x.opt.Limits)
	x.opt.Every = above0(x.opt.Every, time.Second)
	x.opt.Age = above0(x.opt.Age, 55*time.Second)
	x.opt.Bytes = above0(x.opt.Bytes, 5<<20)
	x.opt.Events = above0(x.opt.Events, 500)
	x.opt.MinBackoff = above0(x.opt.MinBackoff, time.Second)
	x.opt.MaxBackoff = above0(x.opt.MaxBackoff, 5*time.Minute)
	x.opt.Refusals = above0(x.opt.Refusals, 6)
	if x.opt.Log == nil {
		x.opt.Log = slog.New(slog.DiscardHandler)
	}
	return x
}

func above0[T int | time.Duration](v, otherwise T) T {
	if v > 0 {
		return v
	}
	return otherwise
}

const (
	// maxSuspects is how many destinations that failed last time are tried at once.
	maxSuspects = 3
	// turn is for how long a destination is served before others have their turn.
	turn = 30 * time.Second
	// eventBytes is about what an event takes in an object.
	eventBytes = 512
)

// Register lets the worker do the jobs of destinations, with what is in the log. It is called before both run.
func (x *Exporter) Register(w *jobs.Worker, log *audit.Log) {
	x.log = log
	w.Handle(audit.ExportJob, handler(x.export), &jobs.KindOptions{MaxAttempts: jobs.Unlimited, MaxBackoff: time.Minute})
	w.Handle(audit.ProbeJob, handler(x.check), nil)
	w.Handle(audit.ResendJob, handler(x.resend), &jobs.KindOptions{MaxAttempts: 12, MinBackoff: time.Minute})
}

// Run looks for what there is to send until ctx ends, and returns nil then. Jobs send it. A failing store is logged and
// asked again; Run returns its error only when it was closed.
func (x *Exporter) Run(ctx context.Context) error {
	every := time.NewTicker(x.opt.Every)
	defer every.Stop()
	for {
		switch err := x.Sweep(ctx); {
		case ctx.Err() != nil:
			return nil
		case errors.Is(err, store.ErrClosed):
			return err
		case err != nil:
			x.opt.Log.WarnContext(ctx, "export: the store fails", "error", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-every.C:
		}
	}
}

// Sweep enqueues a job for each destination that there is something to send to, unless it has one: what Run does each
// time. Where there is nothing to send it writes nothing.
func (x *Exporter) Sweep(ctx context.Context) error {
	list, err := x.log.Lags(ctx)
	if err != nil {
		return err
	}
	now := x.store.Now()
	list = slices.DeleteFunc(list, func(l audit.Lag) bool { return !x.due(l, now) })
	for some := range slices.Chunk(list, 100) {
		err := x.store.Update(ctx, func(ctx context.Context, tx *store.Tx) error {
			for _, l := range some {
				if err := enqueue(ctx, tx, l.Delivery); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// due says whether something is to be sent.
func (x *Exporter) due(l audit.Lag, now time.Time) bool {
	switch {
	case l.Events == 0, l.RetryAt != nil && l.RetryAt.After(now):
		return false
	case l.Type != audit.S3, l.Until > l.Next:
		return true
	}
	return now.Sub(l.Since) >= x.opt.Age || l.Events >= int64(x.opt.Bytes/eventBytes)
}

// enqueue enqueues the one job of a destination. Its key is forgotten with the job: less than a microsecond is no time.
func enqueue(ctx context.Context, tx *store.Tx, d audit.Delivery) error {
	_, _, err := jobs.Enqueue(ctx, tx, jobs.NewJob{Kind: audit.ExportJob, OrgID: d.OrgID, Key: d.ID, KeepKey: time.Nanosecond,
		Payload: audit.DeliveryJob{Destination: d.ID}})
	return err
}
