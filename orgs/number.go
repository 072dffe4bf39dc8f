package orgs

import (
	"context"
	"errors"
	"maps"
	"slices"

	"github.com/orgkit/orgkit/store"
)

// number is what stands for a record where ids have to be integers. It stays when the record is deleted, so that no number
// comes again.
type number struct {
	store.Meta // the id of the record
	Noun       string
	Number     int64
}

var numbers = store.Define[number]("numbers", "num",
	store.Unique("noun", "number"))

// numbering is how far the numbers of a noun have come.
type numbering struct {
	store.Meta // the noun
	Last       int64
}

var numberings = store.Define[numbering]("numberings", "numbering")

// LockNumbers has whoever gives numbers of the noun, or calls this, wait for the end of the unit.
func LockNumbers(ctx context.Context, tx *store.Tx, noun string) error {
	_, err := lockNumbering(ctx, tx, noun)
	return err
}

func lockNumbering(ctx context.Context, tx *store.Tx, noun string) (numbering, error) {
	n, err := numberings.Lock(ctx, tx, noun)
	if !errors.Is(err, store.ErrNotFound) {
		return n, err
	}
	if _, err := numberings.InsertNew(ctx, tx, &numbering{Meta: store.Meta{ID: noun}}); err != nil {
		return n, err
	}
	return numberings.Lock(ctx, tx, noun)
}

// NumbersOf returns the numbers of records by their ids, for dialects whose ids are integers: from 1 on for each noun, and none
// of them twice. A record that has none yet gets the next one, in the order of the ids; in a unit that only reads it is left out.
// It asks no permission: it serves the floors above, which have read the records.
func NumbersOf(ctx context.Context, tx *store.Tx, noun string, ids ...string) (map[string]int64, error) {
	known, err := numbersKnown(ctx, tx, ids)
	missing := func(id string) bool { return known[id] == 0 }
	if err != nil || !tx.Writable() || !slices.ContainsFunc(ids, missing) {
		return known, err
	}
	n, err := lockNumbering(ctx, tx, noun)
	if err != nil {
		return nil, err
	}
	// Whoever was here before has numbered some of them.
	late, err := numbersKnown(ctx, tx, slices.DeleteFunc(slices.Clone(ids), func(id string) bool { return !missing(id) }))
	if err != nil {
		return nil, err
	}
	maps.Copy(known, late)
	for _, id := range ids {
		if !missing(id) {
			continue
		}
		n.Last++
		known[id] = n.Last
		if err := numbers.Insert(ctx, tx, &number{Meta: store.Meta{ID: id}, Noun: noun, Number: n.Last}); err != nil {
			return nil, err
		}
	}
	return known, numberings.Update(ctx, tx, &n)
}

func numbersKnown(ctx context.Context, tx *store.Tx, ids []string) (map[string]int64, error) {
	known := make(map[string]int64, len(ids))
	for some := range slices.Chunk(ids, 200) {
		for n, err := range numbers.All(ctx, tx, store.Query{Where: []store.Cond{store.In("id", some)}}) {
			if err != nil {
				return nil, err
			}
			known[n.ID] = n.Number
		}
	}
	return known, nil
}

// NumberOf is the number that a record has.
type NumberOf struct {
	ID     string
	Number int64
}

// NumbersAfter returns numbers of the noun that are above one, upwards and no more than the limit, also those of records that
// are deleted by now.
func NumbersAfter(ctx context.Context, tx *store.Tx, noun string, above int64, limit int) ([]NumberOf, error) {
	page, err := numbers.List(ctx, tx, store.Query{Where: []store.Cond{store.Eq("noun", noun), store.From("number", above+1)}, Order: []store.Order{store.Asc("number")}, Limit: limit})
	list := make([]NumberOf, len(page.Items))
	for i, n := range page.Items {
		list[i] = NumberOf{n.ID, n.Number}
	}
	return list, err
}

// Numbered returns the id of the record that has the number, also of one that is deleted by now; store.ErrNotFound where no
// record has had it.
func Numbered(ctx context.Context, tx *store.Tx, noun string, n int64) (string, error) {
	found, err := numbers.Find(ctx, tx, store.Eq("noun", noun), store.Eq("number", n))
	return found.ID, err
}
