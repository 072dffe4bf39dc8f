package jobs

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"github.com/orgkit/orgkit/store"
)

// held is a job that this process runs.
type held struct {
	kind *kind
	row  row

	completing, completed atomic.Bool
}

// claim takes jobs of the kinds that are due, at most limit, and leases them.
func (w *Worker) claim(ctx context.Context, kinds []*kind, limit int) (got []*held, err error) {
	err = w.store.Update(ctx, func(ctx context.Context, tx *store.Tx) error {
		got = nil
		for _, k := range kinds {
			for more := true; more && len(got) < limit; {
				var some []*held
				if some, more, err = w.lend(ctx, tx, k, limit-len(got)); err != nil {
					return err
				}
				got = append(got, some...)
			}
		}
		return nil
	})
	return got, err
}

// lend leases jobs of a kind. Those whose last attempt ended with its worker become dead letters: then there
// may be more to lease.
func (w *Worker) lend(ctx context.Context, tx *store.Tx, k *kind, limit int) (got []*held, more bool, err error) {
	rows, err := live.Claim(ctx, tx, store.Range{Equal: []any{k.name}, Below: tx.Now().Add(time.Microsecond), Limit: limit})
	if err != nil {
		return nil, false, err
	}
	var leased []row
	for _, r := range rows {
		if r.Lease != "" && k.last(r.Attempt) {
			if err := bury(ctx, tx, &r, "the worker of the last attempt died, or lost its lease"); err != nil {
				return nil, false, err
			}
			more = true
			continue
		}
		r.Attempt++
		r.Lease, r.Due = tx.NewID("lease"), instant(tx.Now().Add(w.lease))
		leased = append(leased, r)
		got = append(got, &held{kind: k, row: r})
	}
	_, err = live.AppendMany(ctx, tx, leased)
	return got, more, err
}

// own takes the row of a job out of the live ones and returns it, if the lease is still ours. there says
// whether it is, although the row may be in the hands of another unit.
func own(ctx context.Context, tx *store.Tx, r row) (_ *row, there bool, err error) {
	for range 3 {
		if ours, err := take(ctx, tx, &r); err != nil || ours {
			return &r, err == nil, err
		}
		// Due at another time by an extension of which we heard nothing, or in other hands.
		rows, err := live.Scan(ctx, tx, store.Range{By: []string{"id"}, Equal: []any{r.ID}})
		if err != nil {
			return nil, false, err
		}
		if there = len(rows) == 1 && rows[0].Lease == r.Lease; !there {
			return nil, false, nil
		}
		r = rows[0]
	}
	return nil, there, nil
}

// extend makes the lease begin anew.
func (h *held) extend(ctx context.Context, s *store.Store, lease time.Duration) error {
	next := h.row
	err := s.Update(ctx, func(ctx context.Context, tx *store.Tx) error {
		r, there, err := own(ctx, tx, h.row)
		switch {
		case err != nil:
			return err
		case !there:
			return ErrLeaseLost
		case r == nil:
			next = h.row // a unit that has not ended has it: the lease goes on as it is
			return nil
		}
		next = *r
		next.Due = instant(tx.Now().Add(lease))
		return live.Append(ctx, tx, next)
	})
	if err == nil {
		h.row = next
	}
	return err
}

// keep extends the lease until ctx ends. When it is lost, or cannot be extended in time, it calls lost.
func (h *held) keep(ctx context.Context, s *store.Store, lease time.Duration, lost func()) {
	every := time.NewTicker(lease / 3)
	defer every.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-every.C:
		}
		try, cancel := context.WithTimeout(context.WithoutCancel(ctx), lease/3) // what has begun is seen through
		err := h.extend(try, s, lease)
		cancel()
		switch {
		case err == nil || ctx.Err() != nil:
		case errors.Is(err, ErrLeaseLost), !s.Now().Add(lease / 3).Before(h.row.Due):
			if !h.completing.Load() {
				lost()
			}
			return
		}
	}
}

// settle does what follows the end of an attempt: nil when it was done, else the failure of the handler.
// The error says that it could not be kept. ErrLeaseLost means that the job is in other hands.
func (h *held) settle(ctx context.Context, s *store.Store, failed error, stopped bool) error {
	if h.completed.Load() {
		return nil
	}
	return s.Update(ctx, func(ctx context.Context, tx *store.Tx) error {
		r, _, err := own(ctx, tx, h.row)
		switch {
		case err != nil:
			return err
		case r == nil:
			return ErrLeaseLost
		case failed == nil:
			return finish(ctx, tx, r)
		case stopped: // which was no fault of the job's: it counts as not begun
			r.Attempt--
			return start(ctx, tx, r)
		}
		var retry *RetryError
		var permanent *PermanentError
		r.Error = store.PlainText(failed.Error(), MaxError)
		switch {
		case errors.As(failed, &permanent), h.kind.last(r.Attempt):
			return bury(ctx, tx, r, r.Error)
		case errors.As(failed, &retry):
			r.Due = tx.Now().Add(max(retry.After, time.Millisecond))
		default:
			r.Due = tx.Now().Add(h.kind.backoff(r.Attempt))
		}
		r.Due, r.Lease = instant(r.Due), ""
		tx.Notify(word)
		return live.Append(ctx, tx, *r)
	})
}

// Complete ends the job inside a unit of its handler: the effects of the unit and the end of the job are
// committed together, so the effects happen once. What the handler returns afterwards is told to whoever
// runs it and changes nothing. ErrLeaseLost when somebody else has taken the job over, or when it is none
// that a handler was given: the unit has to fail with it.
func (j Job) Complete(ctx context.Context, tx *store.Tx) error {
	h := j.held
	if h == nil {
		return ErrLeaseLost
	}
	h.completing.Store(true)
	r, _, err := own(ctx, tx, j.row)
	if err != nil {
		return err
	}
	if r == nil {
		return ErrLeaseLost
	}
	tx.AfterCommit(func() { h.completed.Store(true) })
	return finish(ctx, tx, r)
}
