package jobs

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/orgkit/orgkit/store"
)

// Bounds of one unit, so that other writers are not kept waiting.
const (
	slotsAtOnce = 100    // that get a job
	slotsPassed = 10_000 // that are missed
)

// tick enqueues the jobs of all slots that are due. A schedule that cannot be read any more, by the time
// zones of this machine perhaps, keeps nobody else waiting: broken says what is wrong.
func tick(ctx context.Context, s *store.Store) (broken error, err error) {
	for after := ""; ; {
		var page store.Page[Schedule]
		err := s.View(ctx, func(ctx context.Context, tx *store.Tx) (err error) {
			page, err = schedules.List(ctx, tx, store.Query{
				Where: []store.Cond{store.Eq("paused", false), store.Below("next_run_at", tx.Now().Add(time.Microsecond))},
				Order: []store.Order{store.Asc("next_run_at")}, After: after})
			return err
		})
		if err != nil {
			return nil, err
		}
		for i := range page.Items {
			due := &page.Items[i]
			if _, wrong := due.check(); wrong != nil {
				broken = errors.Join(broken, fmt.Errorf("schedule %s: %w", due.ID, wrong))
				continue
			}
			for more := true; more && err == nil; {
				err = s.Update(ctx, func(ctx context.Context, tx *store.Tx) (err error) {
					more, err = run(ctx, tx, due.ID)
					return err
				})
			}
			if err != nil {
				return nil, err
			}
		}
		if after = page.Next; after == "" {
			return broken, nil
		}
	}
}

// nextTick is when the next slot of any schedule is due.
func nextTick(ctx context.Context, tx *store.Tx) (time.Time, error) {
	page, err := schedules.List(ctx, tx, store.Query{Where: []store.Cond{store.Eq("paused", false)},
		Order: []store.Order{store.Asc("next_run_at")}, Limit: 1})
	if err != nil || len(page.Items) == 0 {
		return never, err
	}
	return page.Items[0].NextRunAt, nil
}

// run enqueues the jobs of the slots of a schedule that are due; more says that it was a part of them. The
// lock, behind which the next slot is read again, lets only one process do it.
func run(ctx context.Context, tx *store.Tx, id string) (more bool, err error) {
	s, err := schedules.Lock(ctx, tx, id)
	if errors.Is(err, store.ErrNotFound) {
		return false, nil
	}
	if err != nil || s.Paused || s.NextRunAt.After(tx.Now()) {
		return false, err
	}
	e, err := s.check()
	if err != nil {
		return false, err
	}
	slots := s.pass(e, tx.Now())
	more = !s.NextRunAt.After(tx.Now())
	if s.CatchUp != CatchUpAll {
		slots = s.miss(slots, more, tx.Now())
	}
	for _, slot := range slots {
		if err := s.enqueue(ctx, tx, slot); err != nil {
			return false, err
		}
	}
	return more, schedules.Update(ctx, tx, &s)
}

// pass returns the slots up to now, or as many of them as one unit takes, and moves on to the next.
func (s *Schedule) pass(e *expression, now time.Time) (slots []time.Time) {
	most := slotsPassed
	if s.CatchUp == CatchUpAll {
		most = slotsAtOnce
	}
	for len(slots) < most && !s.NextRunAt.After(now) {
		slots = append(slots, s.NextRunAt)
		next, ok := e.next(s.NextRunAt)
		if !ok {
			next = never
		}
		s.NextRunAt = next
	}
	return slots
}

// miss counts slots that get no job, and returns the others.
func (s *Schedule) miss(slots []time.Time, more bool, now time.Time) []time.Time {
	last := len(slots) - 1
	if more || s.CatchUp == CatchUpSkip && now.Sub(slots[last]) > OnTime {
		last++
	}
	s.Missed += int64(last)
	return slots[last:]
}

func (s *Schedule) enqueue(ctx context.Context, tx *store.Tx, slot time.Time) error {
	_, _, err := Enqueue(ctx, tx, NewJob{Kind: s.Kind, OrgID: s.OrgID, Payload: s.Payload, RunAt: slot,
		Key: "schedule/" + s.ID + "/" + slot.Format(time.RFC3339)})
	s.LastRunAt = &slot
	return err
}
