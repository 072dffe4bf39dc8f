package jobs

import (
	"context"
	"time"

	"github.com/orgkit/orgkit/store"
)

// DeadLetter is a job that is not run any more, since its last attempt failed or a handler gave it up. It
// is kept until it is retried or discarded.
type DeadLetter struct {
	Job    // LastError says why
	DiedAt time.Time
}

// dead are the dead letters, due when they died.
var dead = store.DefineLog[row]("dead_jobs", []string{"id"},
	store.Index("due"), store.Index("org_id", "due"), store.Index("org_id", "kind", "due"))

// bury makes a dead letter of a job that is no longer among the live ones. Its key stays taken.
func bury(ctx context.Context, tx *store.Tx, r *row, why string) error {
	d := *r
	d.Due, d.Lease, d.Error = tx.Now(), "", why
	if err := dead.Append(ctx, tx, d); err != nil {
		return err
	}
	return advance(ctx, tx, r)
}

// DeadQuery says which dead letters to list, the last to die first.
type DeadQuery struct {
	OrgID  string // "" are those of no organization
	AnyOrg bool   // of whatever organization, for operators; OrgID and Kind do not count then
	Kind   string // "" is every kind
	Limit  int    // of a page; 0 is store.MaxLimit
	After  string // the Next of the page before, "" for the first
}

// DeadLetters lists dead letters.
func DeadLetters(ctx context.Context, tx *store.Tx, q DeadQuery) (page store.Page[DeadLetter], err error) {
	r := store.Range{By: []string{"org_id", "due"}, Equal: []any{q.OrgID}, Desc: true, Limit: q.Limit}
	switch {
	case q.AnyOrg:
		r.By, r.Equal = []string{"due"}, nil
	case q.Kind != "":
		r.By, r.Equal = []string{"org_id", "kind", "due"}, []any{q.OrgID, q.Kind}
	}
	rows, err := dead.List(ctx, tx, r, q.After, nil)
	if err != nil {
		return page, err
	}
	page.Next = rows.Next
	for _, d := range rows.Items {
		page.Items = append(page.Items, DeadLetter{d.job(), d.Due})
	}
	return page, nil
}

// Retry makes a dead letter of the organization a job again: due now, with all of its attempts, at the
// end of its lane if it has one. An id that is none of its dead letters is store.ErrNotFound.
func Retry(ctx context.Context, tx *store.Tx, orgID, id string) error {
	d, err := exhume(ctx, tx, orgID, id)
	if err != nil {
		return err
	}
	d.Attempt, d.Place = 0, 0
	return line(ctx, tx, d)
}

// Discard drops a dead letter of the organization. Its key, if any, is known for its time, as if the job
// had been done. An id that is none of its dead letters is store.ErrNotFound.
func Discard(ctx context.Context, tx *store.Tx, orgID, id string) error {
	d, err := exhume(ctx, tx, orgID, id)
	if err != nil {
		return err
	}
	return keepKey(ctx, tx, d)
}

func exhume(ctx context.Context, tx *store.Tx, orgID, id string) (*row, error) {
	in := store.Range{Equal: []any{id}}
	rows, err := dead.Scan(ctx, tx, in)
	if err != nil {
		return nil, err
	}
	if len(rows) == 0 || rows[0].OrgID != orgID {
		return nil, store.ErrNotFound
	}
	if rows, err = dead.Claim(ctx, tx, in); err != nil {
		return nil, err
	}
	if len(rows) == 0 {
		return nil, store.ErrNotFound // somebody else was faster
	}
	return &rows[0], nil
}
