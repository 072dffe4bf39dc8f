package billing

import (
	"context"
	"errors"
	"strings"

	"github.com/orgkit/orgkit/store"
)

// mark is raised whenever a budget of an organization comes, goes or changes, or the organization moves: what
// processes have in memory of its budgets is good while its version is the one that they have read. The budgets of
// users, which belong to no organization, have one mark for all.
type mark struct {
	store.Meta
}

var marks = store.Define[mark]("budget_marks", "mark")

const (
	usersMark = "users"
	markWord  = "budgets "
)

func markOf(orgID string) string {
	if orgID == "" {
		return usersMark
	}
	return orgID
}

// Touch says that budgets of the organization, "" for those of users, may lie on other paths than before: what is in
// memory is read again, here before the unit's Update returns, by other processes as soon as they hear of it, and
// within a second if they hear nothing. [Ledger.Put] and [Ledger.Drop] do it; who moves an organization has to.
func (l *Ledger) Touch(ctx context.Context, tx *store.Tx, orgID string) error {
	id := markOf(orgID)
	m, err := marks.Lock(ctx, tx, id)
	switch {
	case errors.Is(err, store.ErrNotFound):
		m.ID = id
		fresh, err := marks.InsertNew(ctx, tx, &m)
		if err != nil {
			return err
		}
		if !fresh {
			if m, err = marks.Lock(ctx, tx, id); err == nil {
				err = marks.Update(ctx, tx, &m)
			}
			if err != nil {
				return err
			}
		}
	case err != nil:
		return err
	default:
		if err := marks.Update(ctx, tx, &m); err != nil {
			return err
		}
	}
	tx.Notify(markWord + id)
	return nil
}

// marksOf are the versions of marks; those that were never raised are left out.
func marksOf(ctx context.Context, tx *store.Tx, ids []string) (map[string]int64, error) {
	is := make(map[string]int64, len(ids))
	for len(ids) > 0 {
		some := ids[:min(len(ids), store.MaxLimit)]
		ids = ids[len(some):]
		page, err := marks.List(ctx, tx, store.Query{Where: []store.Cond{store.In("id", some)}})
		if err != nil {
			return nil, err
		}
		for _, m := range page.Items {
			is[m.ID] = m.Version
		}
	}
	return is, nil
}

func readMarkWord(word string) (id string, ok bool) { return strings.CutPrefix(word, markWord) }
