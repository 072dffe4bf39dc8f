package jobs

import (
	"bytes"
	"context"
	"encoding/json"
	"time"

	"github.com/orgkit/orgkit/store"
)

// CatchUp says what becomes of slots that went by while nobody was there to enqueue their jobs.
type CatchUp string

// The policies. Slots without a job are counted in Schedule.Missed.
const (
	CatchUpSingle CatchUp = "single" // one job, for the last of them; the default
	CatchUpAll    CatchUp = "all"    // a job for each
	CatchUpSkip   CatchUp = "skip"   // none, but for the last if it is not more than OnTime late
)

// OnTime is how late a slot may be for [CatchUpSkip].
const OnTime = time.Minute

// Schedule enqueues a job at each slot of a cron expression: exactly one for each slot, whatever the
// number of processes. The job's RunAt is the instant of the slot, its key the schedule and the slot.
type Schedule struct {
	store.Meta
	OrgID string // "" for none
	Name  string // required; no two schedules of an organization have the same

	Kind    string // of the jobs
	Payload json.RawMessage

	Cron    string // see Next
	Zone    string // of the IANA database; "" becomes UTC
	CatchUp CatchUp
	Paused  bool

	// What follows is kept by this package.

	NextRunAt time.Time  // the next slot, also of a paused schedule: it is passed over
	LastRunAt *time.Time // the last slot that has got a job
	Missed    int64      // slots without a job, but for those of a pause
}

var schedules = store.Define[Schedule]("schedules", "sched",
	store.Unique("org_id", "name"), store.Index("paused", "next_run_at"))

// check completes a schedule and says what is wrong with it.
func (s *Schedule) check() (*expression, error) {
	for _, f := range []struct {
		name, text string
		required   bool
	}{{"org_id", s.OrgID, false}, {"name", s.Name, true}, {"kind", s.Kind, true}} {
		if err := checkText(f.name, f.text, f.required); err != nil {
			return nil, err
		}
	}
	var err error
	if s.Payload, err = encode(s.Payload); err != nil {
		return nil, err
	}
	// A record's JSON is a value to PostgreSQL, which has no text with a NUL; that of a job is a text.
	if bytes.Contains(bytes.ReplaceAll(s.Payload, []byte(`\\`), nil), []byte(`\u0000`)) {
		return nil, store.Invalid("payload", "pattern", "holds a NUL, which not every database can keep")
	}
	switch s.CatchUp {
	case "":
		s.CatchUp = CatchUpSingle
	case CatchUpSingle, CatchUpAll, CatchUpSkip:
	default:
		return nil, store.Invalid("catch_up", "enum", "is single, all or skip")
	}
	if s.Zone == "" {
		s.Zone = "UTC"
	}
	return parse(s.Cron, s.Zone)
}

// plan sets the next slot behind an instant.
func (s *Schedule) plan(e *expression, after time.Time) error {
	next, ok := e.next(after)
	if !ok {
		return store.Invalid("cron", "range", "never has a tick")
	}
	s.NextRunAt = next
	return nil
}

// CreateSchedule keeps a new schedule; its first slot lies behind the instant of the unit. A
// *[store.FieldError] names what is wrong with it, a *[store.UniqueError] that its organization has one
// of that name.
func CreateSchedule(ctx context.Context, tx *store.Tx, s *Schedule) error {
	e, err := s.check()
	if err != nil {
		return err
	}
	s.LastRunAt, s.Missed = nil, 0
	if err := s.plan(e, tx.Now()); err != nil {
		return err
	}
	tx.Notify(word)
	return schedules.Insert(ctx, tx, s)
}

// UpdateSchedule changes a schedule of the organization by change, which sees it as it is, locked, and may
// run more than once. It can pause it, too: the slots of a pause go by and are not missed. When the
// expression or zone has changed, or a pause is over, the next slot is the first behind the instant of the
// unit. What this package keeps of a schedule, and its organization, do not change.
func UpdateSchedule(ctx context.Context, tx *store.Tx, orgID, id string, change func(*Schedule)) (Schedule, error) {
	old, err := lockSchedule(ctx, tx, orgID, id)
	if err != nil {
		return Schedule{}, err
	}
	s := old
	change(&s)
	s.Meta, s.OrgID, s.NextRunAt, s.LastRunAt, s.Missed = old.Meta, old.OrgID, old.NextRunAt, old.LastRunAt, old.Missed
	e, err := s.check()
	if err != nil {
		return Schedule{}, err
	}
	if s.Cron != old.Cron || s.Zone != old.Zone || old.Paused && !s.Paused {
		if err := s.plan(e, tx.Now()); err != nil {
			return Schedule{}, err
		}
	}
	tx.Notify(word)
	return s, schedules.Update(ctx, tx, &s)
}

// DeleteSchedule deletes a schedule. Jobs that it has enqueued remain.
func DeleteSchedule(ctx context.Context, tx *store.Tx, orgID, id string) error {
	if _, err := lockSchedule(ctx, tx, orgID, id); err != nil {
		return err
	}
	return schedules.Delete(ctx, tx, id)
}

// FindSchedule returns the schedule of that name, or store.ErrNotFound.
func FindSchedule(ctx context.Context, tx *store.Tx, orgID, name string) (Schedule, error) {
	return schedules.Find(ctx, tx, store.Eq("org_id", orgID), store.Eq("name", name))
}

// ReadSchedule returns the schedule with that id, or store.ErrNotFound.
func ReadSchedule(ctx context.Context, tx *store.Tx, orgID, id string) (Schedule, error) {
	s, err := schedules.Get(ctx, tx, id)
	return of(orgID, s, err)
}

// ListSchedules lists the schedules of an organization by name. limit 0 is store.MaxLimit; after is the
// Next of the page before, "" for the first.
func ListSchedules(ctx context.Context, tx *store.Tx, orgID string, limit int, after string) (store.Page[Schedule], error) {
	return schedules.List(ctx, tx, store.Query{Where: []store.Cond{store.Eq("org_id", orgID)},
		Order: []store.Order{store.Asc("name")}, Limit: limit, After: after})
}

func lockSchedule(ctx context.Context, tx *store.Tx, orgID, id string) (Schedule, error) {
	s, err := schedules.Lock(ctx, tx, id)
	return of(orgID, s, err)
}

func of(orgID string, s Schedule, err error) (Schedule, error) {
	if err == nil && s.OrgID != orgID {
		return Schedule{}, store.ErrNotFound
	}
	return s, err
}
