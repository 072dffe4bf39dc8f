package audit

import (
	"context"
	"encoding/base64"
	"errors"
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
	if _, err := l.alone(ctx, tx); err != nil {
		return c, 0, err
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
	rest, err := events.Scan(ctx, tx, store.Range{Equal: []any{orgID}, From: cut.Before, Limit: 1})
	if err != nil {
		return c, 0, err
	}
	if len(rest) > 0 {
		first, missing = rest[0].Seq, cut.Before
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
		next, err := eventAt(ctx, tx, orgID, first)
		if err != nil {
			return c, 0, err
		}
		missing = next.At
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
	var first kept
	err = l.store.View(ctx, func(ctx context.Context, tx *store.Tx) (err error) {
		if cut, err = lastPrune(ctx, tx, orgID); err != nil || cut.First == 0 {
			return err
		}
		first, err = eventAt(ctx, tx, orgID, cut.First)
		return err
	})
	if errors.Is(err, store.ErrNotFound) {
		return 0, fmt.Errorf("audit: event %d is not there, with which the log should begin", cut.First)
	}
	if err != nil || cut.First == 0 {
		return 0, err
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
	below := func(log func(ctx context.Context, tx *store.Tx, r store.Range) (int, error), bound any) (removed int, err error) {
		for n := shrinkBatch; n == shrinkBatch; removed += n {
			err := l.store.Update(ctx, func(ctx context.Context, tx *store.Tx) (err error) {
				n, err = log(ctx, tx, store.Range{Equal: []any{orgID}, Below: bound, Limit: shrinkBatch})
				return err
			})
			if err != nil {
				return removed, err
			}
		}
		return removed, nil
	}
	if removed, err = below(events.Prune, first.At); err != nil {
		return removed, err
	}
	if _, err = below(seeds.Prune, cut.First>>saltLevel); err != nil {
		return removed, err
	}
	// The block before the first event stays: it says where that of the event begins.
	_, err = below(blocks.Prune, cut.First>>blockLevel-1)
	return removed, err
}

// dropNames forgets under which names actors and resources were known of which no event is left.
func (l *Log) dropNames(ctx context.Context, orgID string) error {
	for kind, index := range map[string][]string{actorName: byActor, resourceName: byResource} {
		err := l.forget(ctx, orgID, kind, func(ctx context.Context, tx *store.Tx, some []name) ([]bool, error) {
			ranges := make([]store.Range, len(some))
			for i, n := range some {
				ranges[i] = store.Range{By: index, Equal: []any{orgID, n.ID}, Limit: 1}
			}
			left, err := events.ScanEach(ctx, tx, ranges)
			gone := make([]bool, len(some))
			for i := range left {
				gone[i] = len(left[i]) == 0
			}
			return gone, err
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// forget deletes names that are gone, some of them in each unit.
func (l *Log) forget(ctx context.Context, orgID, kind string, gone func(ctx context.Context, tx *store.Tx, some []name) ([]bool, error)) error {
	defer l.names.forget()
	for r := (store.Range{Equal: []any{orgID, kind}, Limit: shrinkBatch}); ; {
		var some []name
		err := l.store.Update(ctx, func(ctx context.Context, tx *store.Tx) (err error) {
			if some, err = names.Scan(ctx, tx, r); err != nil {
				return err
			}
			wanted, err := gone(ctx, tx, some)
			if err != nil {
				return err
			}
			for _, n := range only(some, wanted) {
				if _, err := names.Prune(ctx, tx, store.Range{Equal: []any{orgID, kind, n.Name, n.ID}, Limit: 1}); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil || len(some) < shrinkBatch {
			return err
		}
		r.After = names.Position(r, &some[len(some)-1])
	}
}
