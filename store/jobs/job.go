package jobs

import (
	"context"
	"encoding/json"
	"time"

	"github.com/orgkit/orgkit/store"
)

// NewJob is a job to be.
type NewJob struct {
	Kind  string // required; names the handler, such as "invitation.mail"
	OrgID string // "" for none

	// Payload is what the handler needs to know, encoded as JSON: at most MaxPayload bytes, no secrets.
	Payload any
	// RunAt is when it is due; zero is now.
	RunAt time.Time

	// Key, if any, keeps a second job of the same kind, organization and key from being enqueued. It is
	// known for KeepKey after the job was done, DefaultKeepKey if zero, 400 days at most.
	Key     string
	KeepKey time.Duration

	// Lane, if any, is what the job waits in until those before it, of the same kind, organization and
	// lane, have ended: a destination, say.
	Lane string
}

// Job is a job as its handler sees it.
type Job struct {
	ID      string // job_…, the same in every attempt
	Kind    string
	OrgID   string
	Lane    string
	Key     string
	Payload json.RawMessage

	Attempt    int       // this one; the first is 1
	EnqueuedAt time.Time // the instant of the unit that enqueued it
	RunAt      time.Time // when it was to run first: of a schedule, the slot
	LastError  string    // of the attempt before, "" if there was none

	row  row
	held *held
}

// Decode decodes the payload into v, a pointer.
func (j Job) Decode(v any) error { return json.Unmarshal(j.Payload, v) }

// row is a job in the logs that it passes through: live, queued in a lane, dead.
type row struct {
	Kind       string `store:"word"`
	Due        time.Time
	ID         string
	OrgID      string `store:"word"`
	Lane       string
	Place      int64 // in the lane
	Key        string
	Keep       int64 // microseconds for which the key is known afterwards
	Payload    json.RawMessage
	Attempt    int64  // the last that began
	Lease      string // of who runs it, whose end is Due; "" while it waits
	RunAt      time.Time
	EnqueuedAt time.Time
	Error      string
}

// live are the jobs that run when they are due, unless they run: then they are due at the end of their
// lease.
var live = store.DefineLog[row]("jobs", []string{"kind", "due", "id"}, store.Index("id"))

func (r *row) job() Job {
	return Job{ID: r.ID, Kind: r.Kind, OrgID: r.OrgID, Lane: r.Lane, Key: r.Key, Payload: r.Payload, Attempt: int(r.Attempt),
		EnqueuedAt: r.EnqueuedAt, RunAt: r.RunAt, LastError: r.Error, row: *r}
}

// at is the range that holds this row alone.
func (r *row) at() store.Range { return store.Range{Equal: []any{r.Kind, r.Due, r.ID}} }

// Enqueue keeps a job in the caller's unit and returns its id. Where a job with its key is known already
// nothing is kept, fresh is false and the id is that of the job that was first. A *[store.FieldError]
// names what is wrong with in.
func Enqueue(ctx context.Context, tx *store.Tx, in NewJob) (id string, fresh bool, err error) {
	r, err := in.row(tx)
	if err != nil {
		return "", false, err
	}
	if r.Key != "" {
		first, err := takeKey(ctx, tx, r)
		if err != nil || first != r.ID {
			return first, false, err
		}
	}
	return r.ID, true, line(ctx, tx, r)
}

func (in NewJob) row(tx *store.Tx) (*row, error) {
	for _, f := range []struct {
		name, text string
		required   bool
	}{{"kind", in.Kind, true}, {"org_id", in.OrgID, false}, {"key", in.Key, false}, {"lane", in.Lane, false}} {
		if err := checkText(f.name, f.text, f.required); err != nil {
			return nil, err
		}
	}
	payload, err := encode(in.Payload)
	if err != nil {
		return nil, err
	}
	if in.KeepKey < 0 || in.KeepKey > maxKeepKey {
		return nil, store.Invalid("keep_key", "range", "lies between 0 and 400 days")
	}
	if in.KeepKey == 0 {
		in.KeepKey = DefaultKeepKey
	}
	at := tx.Now()
	if !in.RunAt.IsZero() {
		at = instant(in.RunAt)
	}
	if !at.Before(never) || at.Year() < 1 {
		return nil, store.Invalid("run_at", "range", "lies before the year 9999")
	}
	return &row{Kind: in.Kind, ID: tx.NewID("job"), OrgID: in.OrgID, Lane: in.Lane, Key: in.Key, Keep: in.KeepKey.Microseconds(),
		Payload: payload, RunAt: at, EnqueuedAt: tx.Now()}, nil
}

// encode makes the JSON of a payload.
func encode(v any) (json.RawMessage, error) {
	payload, err := json.Marshal(v)
	switch {
	case err != nil:
		return nil, store.Invalid("payload", "type", "cannot be encoded as JSON")
	case len(payload) > MaxPayload:
		return nil, store.Invalid("payload", "range", "has more than %d bytes", MaxPayload)
	}
	return payload, nil
}

// start makes a job run when its time has come.
func start(ctx context.Context, tx *store.Tx, r *row) error {
	r.Due, r.Lease = later(r.RunAt, tx.Now()), ""
	tx.Notify(word)
	return live.Append(ctx, tx, *r)
}

// take takes the row out of the live ones. False when it is not there: somebody else has it.
func take(ctx context.Context, tx *store.Tx, r *row) (bool, error) {
	rows, err := live.Claim(ctx, tx, r.at())
	return len(rows) == 1, err
}

// finish is what follows the end of a job that is no longer among the live ones.
func finish(ctx context.Context, tx *store.Tx, r *row) error {
	if err := keepKey(ctx, tx, r); err != nil {
		return err
	}
	return advance(ctx, tx, r)
}
