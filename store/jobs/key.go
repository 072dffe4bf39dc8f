package jobs

import (
	"context"
	"time"

	"github.com/orgkit/orgkit/store"
)

// keyRow says that a key is taken.
type keyRow struct {
	Kind     string
	OrgID    string
	Key      string
	JobID    string
	ForgetAt time.Time // never, until the job was done
}

var keys = store.DefineLog[keyRow]("job_keys", []string{"kind", "org_id", "key"}, store.Index("forget_at"))

func (k *keyRow) at() store.Range { return store.Range{Equal: []any{k.Kind, k.OrgID, k.Key}} }

// takeKey takes the key of a job and returns the id of the job whose key it is then.
func takeKey(ctx context.Context, tx *store.Tx, r *row) (string, error) {
	mine := keyRow{r.Kind, r.OrgID, r.Key, r.ID, never}
	for {
		fresh, err := keys.AppendMany(ctx, tx, []keyRow{mine})
		if err != nil || fresh[0] {
			return r.ID, err
		}
		rows, err := keys.Scan(ctx, tx, mine.at())
		if err != nil {
			return "", err
		}
		if len(rows) == 1 && rows[0].ForgetAt.After(tx.Now()) {
			return rows[0].JobID, nil
		}
		// It is to be forgotten. Who else finds that at the same time waits at its row, above.
		if err := forget(ctx, tx, mine); err != nil {
			return "", err
		}
	}
}

// forget deletes a key if its time is over, which is looked at again with the row in hand.
func forget(ctx context.Context, tx *store.Tx, k keyRow) error {
	rows, err := keys.Claim(ctx, tx, k.at())
	if err != nil || len(rows) == 0 || !rows[0].ForgetAt.After(tx.Now()) {
		return err
	}
	return keys.Append(ctx, tx, rows[0])
}

// keepKey lets the key of a job that has ended be forgotten after its time.
func keepKey(ctx context.Context, tx *store.Tx, r *row) error {
	if r.Key == "" {
		return nil
	}
	k := keyRow{r.Kind, r.OrgID, r.Key, r.ID, tx.Now().Add(time.Duration(r.Keep) * time.Microsecond)}
	if _, err := keys.Prune(ctx, tx, k.at()); err != nil {
		return err
	}
	return keys.Append(ctx, tx, k)
}

// sweepLimit is how many keys one unit forgets.
const sweepLimit = 200

// sweep deletes keys whose time is over, so that they do not pile up: what is right does not hang on it.
// It says whether there may be more.
func sweep(ctx context.Context, s *store.Store) (more bool, err error) {
	old := func(tx *store.Tx) store.Range {
		return store.Range{By: []string{"forget_at"}, Below: tx.Now(), Limit: sweepLimit}
	}
	var found []keyRow
	err = s.View(ctx, func(ctx context.Context, tx *store.Tx) (err error) {
		found, err = keys.Scan(ctx, tx, old(tx))
		return err
	})
	if err != nil || len(found) == 0 {
		return false, err
	}
	return len(found) == sweepLimit, s.Update(ctx, func(ctx context.Context, tx *store.Tx) error {
		for _, k := range found {
			if err := forget(ctx, tx, k); err != nil {
				return err
			}
		}
		return nil
	})
}
