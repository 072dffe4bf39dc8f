package audit

import (
	"context"
	"encoding/base64"
	"fmt"
	"strconv"
	"time"

	"github.com/orgkit/orgkit/store"
)

// prune is where the log of an organization begins now. The events before it are gone or going; their part of the
// tree stays as the right edge of the tree that they were.
type prune struct {
	OrgID string `store:"word"`
	First int64  // the oldest event that is kept
	At    time.Time
	// Before is the time before which events are gone: what was recorded then or later is kept.
	Before time.Time
	Edge   []byte
}

var prunes = store.DefineLog[prune]("audit_prunes", []string{"org_id", "first"})

// lastPrune is the newest prune of an organization, zero for none.
func lastPrune(ctx context.Context, tx *store.Tx, orgID string) (prune, error) {
	return newestOf(ctx, tx, prunes, orgID)
}

// PrunedType is the type of the event that says that events were pruned.
const PrunedType = "audit.pruned"

// Cut is where a log is to be pruned: events that were recorded before a time go, but none that a destination has
// not got, unless Undelivered says so.
type Cut struct {
	Before      time.Time
	Undelivered bool
}

// Prune marks the events of an organization before the cut as pruned, in the caller's unit, and describes that as a
// change, whose event the caller writes in the same unit: from then on the log begins behind them, and says so
// itself, and which destinations will not get them. They are deleted by [Log.Shrink]. The newest event always stays.
// Where nothing is to be pruned, count is 0 and nothing is marked.
func (l *Log) Prune(ctx context.Context, tx *store.Tx, orgID string, cut Cut) (c Change, count int64, err error) {
	if !l.store.Sequential() {
		if err := l.alone(ctx, tx); err != nil {
			return c, 0, err
		}
	}
	head, err := l.head(ctx, tx, orgID)
	if err != nil || head.size == 0 {
		return c, 0, err
	}
	was, err := lastPrune(ctx, tx, orgID)
	if err != nil {
		return c, 0, err
	}
	first, missing := head.size-1, head.at // the newest one stays, though it may be older
	kept, err := events.Scan(ctx, tx, store.Range{Equal: []any{orgID}, From: cut.Before, Limit: 1})
	if err != nil {
		return c, 0, err
	}
	if len(kept) > 0 {
		first, missing = kept[0].Seq, cut.Before
	}
	list, err := DeliveriesOf(ctx, tx, orgID)
	if err != nil {
		return c, 0, err
	}
	lost := []lack{}
	waits := false
	for _, d := range list {
		switch {
		case d.Next >= first:
		case cut.Undelivered:
			lost = append(lost, lack{d.ID, max(d.Next, was.First), first})
		default:
			first, waits = d.Next, true
		}
	}
	if first <= was.First {
		return c, 0, nil
	}
	if waits {
		if missing, err = timeOf(ctx, tx, orgID, first); err != nil {
			return c, 0, err
		}
	}
	t := tree{ctx: ctx, tx: tx, orgID: orgID}
	e := edge{size: first}
	if e.hashes, err = t.read(parts(first)); err != nil {
		return c, 0, err
	}
	if err := prunes.Append(ctx, tx, prune{orgID, first, tx.Now(), missing, e.encode()}); err != nil {
		return c, 0, err
	}
	root := e.root()
	data := map[string]any{"count": first - was.First, "before": cut.Before.UTC(), "root": base64.StdEncoding.EncodeToString(root[:])}
	if len(lost) > 0 {
		data["undelivered"] = lost
	}
	return Change{Type: PrunedType, Resource: firstEvent(first), Data: data}, first - was.First, nil
}

// lack is what a destination does not get.
type lack struct {
	Destination string `json:"destination"`
	From        int64  `json:"from"`
	Below       int64  `json:"below"`
}

// timeOf is the time of an event that is kept.
func timeOf(ctx context.Context, tx *store.Tx, orgID string, seq int64) (time.Time, error) {
	some, err := leaves.Scan(ctx, tx, store.Range{Equal: []any{orgID, seq}, Limit: 1})
	if err == nil && len(some) == 0 {
		err = fmt.Errorf("audit: event %d is not there", seq)
	}
	if err != nil {
		return time.Time{}, err
	}
	return some[0].At, nil
}

// firstEvent is what the event of a prune is about: the oldest event that is kept. It is no personal data and is
// never erased.
func firstEvent(seq int64) Resource {
	return Resource{Type: "event", ID: strconv.FormatInt(seq, 10)}
}

// shrinkBatch is how many events are deleted in one unit, so that no writer waits for long.
const shrinkBatch = 500

// Shrink deletes what is pruned, and says how many events went. What says so is signed for before, where there is
// a key. It may be called again after an error: it goes on.
func (l *Log) Shrink(ctx context.Context, orgID string) (removed int, err error) {
	var cut prune
	var first []leaf
	err = l.store.View(ctx, func(ctx context.Context, tx *store.Tx) (err error) {
		if cut, err = lastPrune(ctx, tx, orgID); err != nil || cut.First == 0 {
			return err
		}
		first, err = leaves.Scan(ctx, tx, store.Range{Equal: []any{orgID, cut.First}, Limit: 1})
		return err
	})
	if err != nil || cut.First == 0 {
		return 0, err
	}
	if len(first) == 0 {
		return 0, fmt.Errorf("audit: event %d is not there, with which the log should begin", cut.First)
	}
	if len(l.opt.Signers) > 0 {
		if _, err := l.Checkpoint(ctx, orgID); err != nil {
			return 0, err
		}
	}
	defer func() {
		if err == nil && removed > 0 {
			err = l.dropNames(ctx, orgID)
		}
	}()
	for n := shrinkBatch; n == shrinkBatch; removed += n {
		err := l.store.Update(ctx, func(ctx context.Context, tx *store.Tx) error {
			gone, err := events.Prune(ctx, tx, store.Range{Equal: []any{orgID}, Below: first[0].At, Limit: shrinkBatch})
			if err != nil {
				return err
			}
			n = gone
			_, err = leaves.Prune(ctx, tx, store.Range{Equal: []any{orgID}, Below: cut.First, Limit: shrinkBatch})
			return err
		})
		if err != nil {
			return removed, err
		}
	}
	return removed, nil
}

// dropNames forgets under which names actors and resources were known of which no event is left.
func (l *Log) dropNames(ctx context.Context, orgID string) error {
	for kind, index := range map[string][]string{actorName: byActor, resourceName: byResource} {
		r := store.Range{Equal: []any{orgID, kind}, Limit: shrinkBatch}
		for {
			var some []name
			err := l.store.Update(ctx, func(ctx context.Context, tx *store.Tx) (err error) {
				if some, err = names.Scan(ctx, tx, r); err != nil {
					return err
				}
				ranges := make([]store.Range, len(some))
				for i, n := range some {
					ranges[i] = store.Range{By: index, Equal: []any{orgID, n.ID}, Limit: 1}
				}
				left, err := events.ScanEach(ctx, tx, ranges)
				if err != nil {
					return err
				}
				for i, n := range some {
					if len(left[i]) == 0 {
						if _, err := names.Prune(ctx, tx, store.Range{Equal: []any{orgID, kind, n.Name, n.ID}, Limit: 1}); err != nil {
							return err
						}
					}
				}
				return nil
			})
			if err != nil {
				return err
			}
			if len(some) < shrinkBatch {
				break
			}
			r.After = names.Position(r, &some[len(some)-1])
		}
	}
	l.names.forget()
	return nil
}
