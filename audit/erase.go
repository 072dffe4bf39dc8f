package audit

import (
	"context"
	"strings"

	"github.com/orgkit/orgkit/store"
)

// ErasedType is the type of the event that says that what was personal in events was erased.
const ErasedType = "audit.erased"

// eraseBatch is how many events are looked at in one unit.
const eraseBatch = 500

// Erasure is the change of erasing what is personal about somebody. Its event comes first: what was erased without one
// is taken for tampering.
func Erasure(id string) Change {
	kind := "user"
	if strings.HasPrefix(id, "key_") {
		kind = "api_key"
	}
	return Change{Type: ErasedType, Resource: Resource{Type: kind, ID: id}}
}

// Knows says whether an actor has caused an event of the organization, or one is about it.
func (l *Log) Knows(ctx context.Context, orgID, id string) (known bool, err error) {
	if err := l.catchUp(ctx); err != nil {
		return false, err
	}
	err = l.store.View(ctx, func(ctx context.Context, tx *store.Tx) error {
		known = false
		for _, index := range [][]string{byActor, byResource} {
			found, err := events.Scan(ctx, tx, store.Range{By: index, Equal: []any{orgID, keyOf(id)}, Limit: 1})
			if err != nil {
				return err
			}
			known = known || len(found) > 0
		}
		return nil
	})
	return known, err
}

// Erase takes what is personal out of the events that somebody has caused, by themselves or by a key that acts for them,
// or that are about them: labels, addresses,
// reasons and the records before and after. The events themselves stay, with opaque ids, and so do their proofs:
// of what was personal the hash is kept, and without its salt nobody can guess what it was of. It goes from one unit
// to the next, and may be called again after an error. The event of [Erasure] is written before, and is not erased.
//
// Events of others that name the person, such as in a reason, are not found by it.
func (l *Log) Erase(ctx context.Context, orgID, id string) (erased int, err error) {
	if err := l.catchUp(ctx); err != nil {
		return 0, err
	}
	theirs := map[int64]bool{keyOf(id): true}                // keys of who has names of theirs
	r := store.Range{Equal: []any{orgID}, Limit: eraseBatch} // all of it: no index says for whom keys have acted
	for {
		var rows []kept
		err := l.store.View(ctx, func(ctx context.Context, tx *store.Tx) (err error) {
			rows, err = events.Scan(ctx, tx, r)
			return err
		})
		if err != nil {
			return erased, err
		}
		var some []kept
		for i := range rows {
			of, err := rows[i].row()
			if err != nil || of.ActorID != id && of.OnBehalfOf != id && of.ResourceID != id || of.Type == ErasedType {
				continue
			}
			if of.OnBehalfOf == id {
				theirs[rows[i].Actor] = true
			}
			if len(of.Personal) > 0 {
				some = append(some, rows[i])
			}
		}
		if len(some) > 0 {
			n := 0
			err := l.store.Update(ctx, func(ctx context.Context, tx *store.Tx) (err error) {
				salts := map[int64][]byte{}
				n, err = rewrite(ctx, tx, some, func(r *row) (bool, error) {
					if len(r.Salt) != saltBytes && !r.sealed() {
						return false, nil
					}
					salts[r.Seq] = r.Salt[:saltBytes:saltBytes]
					if r.sealed() {
						r.Salt = r.Salt[saltBytes:]
					} else {
						r.Salt = covered(r.Salt, r.Personal)
					}
					r.Personal = nil
					return true, nil
				})
				if err != nil {
					return err
				}
				return forgetSalts(ctx, tx, orgID, salts)
			})
			if err != nil {
				return erased, err
			}
			erased += n
		}
		if len(rows) < eraseBatch {
			break
		}
		r.After = events.Position(r, &rows[len(rows)-1])
	}
	return erased, l.eraseNames(ctx, orgID, theirs)
}

// eraseNames forgets under which names actors were known.
func (l *Log) eraseNames(ctx context.Context, orgID string, of map[int64]bool) error {
	return l.forget(ctx, orgID, actorName, func(_ context.Context, _ *store.Tx, some []name) ([]bool, error) {
		gone := make([]bool, len(some))
		for i, n := range some {
			gone[i] = of[n.ID]
		}
		return gone, nil
	})
}

// rewrite changes how rows are kept, whose leaves stay as they are, and says how many it has changed.
func rewrite(ctx context.Context, tx *store.Tx, rows []kept, change func(r *row) (bool, error)) (n int, err error) {
	for _, k := range rows {
		taken, err := events.Claim(ctx, tx, store.Range{Equal: []any{k.OrgID, k.At}, Limit: 1})
		if err != nil {
			return n, err
		}
		if len(taken) == 0 {
			continue // somebody else does it, or it was pruned
		}
		now := taken[0]
		if r, err := now.row(); err == nil {
			changed, err := change(&r)
			if err != nil {
				return n, err
			}
			if changed {
				now = r.kept()
				n++
			}
		}
		if err := events.Append(ctx, tx, now); err != nil {
			return n, err
		}
	}
	return n, nil
}
