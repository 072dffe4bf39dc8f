package store_test

import (
	"context"
	"fmt"

	"github.com/orgkit/orgkit/store"
	"github.com/orgkit/orgkit/store/memory"
)

// Note is a kind of record of the host's own.
type Note struct {
	store.Meta
	OrgID string
	Text  string
}

var notes = store.Define[Note]("notes", "note", store.Unique("org_id", "text"))

func Example() {
	s := memory.New(nil)
	ctx := context.Background()
	err := s.Update(ctx, func(ctx context.Context, tx *store.Tx) error {
		for _, text := range []string{"b", "a", "c"} {
			if err := notes.Insert(ctx, tx, &Note{OrgID: "org_1", Text: text}); err != nil {
				return err
			}
		}
		return nil
	})
	fmt.Println(err)

	q := store.Query{Where: []store.Cond{store.Eq("org_id", "org_1")}, Order: []store.Order{store.Asc("text")}, Limit: 2}
	err = s.View(ctx, func(ctx context.Context, tx *store.Tx) error {
		for {
			page, err := notes.List(ctx, tx, q)
			if err != nil {
				return err
			}
			for _, n := range page.Items {
				fmt.Println(n.Text, n.Version)
			}
			if q.After = page.Next; q.After == "" {
				return nil
			}
		}
	})
	fmt.Println(err)
	// Output:
	// <nil>
	// a 1
	// b 1
	// c 1
	// <nil>
}
