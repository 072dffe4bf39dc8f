package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/orgkit/orgkit/store"
)

const (
	listRecords = 1_000_000
	listPage    = 100
	listOrg     = "org_list"
)

// benchList measures the first and the last page of a long list.
func benchList(ctx context.Context, b *bench, name string, s *store.Store) error {
	if !b.full {
		return nil
	}
	b.begin(name + ": List, filling it")
	begin := time.Now()
	if err := fillKeys(ctx, s); err != nil {
		return err
	}
	filled := time.Since(begin)
	b.begin(name + ": List")
	q := store.Query{Where: []store.Cond{store.Eq("org_id", listOrg)}, Order: []store.Order{store.Desc("created_at")}, Limit: listPage}
	last := q
	var oldest key
	err := s.View(ctx, func(ctx context.Context, tx *store.Tx) error {
		// The last page is the oldest records; the one before them, seen from the other end, ends
		// the page before.
		up := store.Query{Where: q.Where, Order: []store.Order{store.Asc("created_at")}, Limit: listPage + 1}
		page, err := keys.List(ctx, tx, up)
		if err != nil {
			return err
		}
		last.After, oldest = keys.Cursor(q, &page.Items[listPage]), page.Items[0]
		return nil
	})
	if err != nil {
		return err
	}
	list := func(q store.Query, check func(store.Page[key]) bool) (sample, error) {
		return each(21, 1, func() error {
			return s.View(ctx, func(ctx context.Context, tx *store.Tx) error {
				page, err := keys.List(ctx, tx, q)
				if err == nil && !(len(page.Items) == listPage && check(page)) {
					err = errors.New("it is another page")
				}
				return err
			})
		})
	}
	first, err := list(q, func(p store.Page[key]) bool { return p.Next != "" })
	if err != nil {
		return err
	}
	behind, err := list(last, func(p store.Page[key]) bool { return p.Next == "" && p.Items[listPage-1].ID == oldest.ID })
	if err != nil {
		return err
	}
	b.note("%s: page 1 %.2f ms, page 10,000 %.2f ms; inserting the records took %.0f s", name, millis(first.median()), millis(behind.median()), filled.Seconds())
	for _, s := range []sample{first, behind} { // the slowest of all
		if millis(s.median()) > b.values["store.list_1m_ms"].value {
			b.set("store.list_1m_ms", s, millis)
		}
	}
	return nil
}

// fillKeys inserts the records of the list, in units of a thousand, several at once where the database can.
func fillKeys(ctx context.Context, s *store.Store) error {
	const unit, writers = 1000, 4
	var next atomic.Int64
	var wg sync.WaitGroup
	errs := make([]error, writers)
	for w := range writers {
		wg.Go(func() {
			for errs[w] == nil {
				first := int(next.Add(unit)) - unit
				if first >= listRecords {
					return
				}
				errs[w] = s.Update(ctx, func(ctx context.Context, tx *store.Tx) error {
					for i := range unit {
						k := newKey(listOrg, first+i)
						if err := keys.Insert(ctx, tx, &k); err != nil {
							return fmt.Errorf("record %d: %w", first+i, err)
						}
					}
					return nil
				})
			}
		})
	}
	wg.Wait()
	return errors.Join(errs...)
}
