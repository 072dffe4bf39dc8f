package bunstore

import (
	"context"
	"reflect"
	"slices"
	"sync"

	"github.com/orgkit/orgkit/store"
)

// gets are the statements of Get, by their kinds. The databases keep them compiled by their texts.
type gets struct{ texts sync.Map }

type getKey struct {
	kind *store.Kind
	lock bool
}

func (g *gets) of(t *tx, k *store.Kind, lock bool) string {
	key := getKey{k, lock}
	if text, known := g.texts.Load(key); known {
		return text.(string)
	}
	mark, end := "?", ""
	if t.Logs.Numbered {
		mark = "$1"
	}
	if lock {
		end = " FOR UPDATE"
	}
	text, _ := g.texts.LoadOrStore(key, t.heads.of(k)+" WHERE id = "+mark+end)
	return text.(string)
}

// Get implements store.DriverTx.
func (t *tx) Get(ctx context.Context, k *store.Kind, id string, lock bool, dst any) error {
	l, record, there := t.layouts.of(t.Reader, k), reflect.ValueOf(dst).Elem(), false
	record.SetZero()
	row := make([]any, len(l.columns))
	q := Direct{Query: Query{t.gets.of(t, k, lock && t.RowLocks), append(slices.Clip(t.Logs.Args), id)}, Short: true}
	err := t.rows(ctx, q, row, func() error {
		there = true
		return l.read(row, record)
	})
	if err == nil && !there {
		return store.ErrNotFound
	}
	return t.Error(err)
}
