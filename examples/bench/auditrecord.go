package main

import (
	"context"
	"time"

	"github.com/orgkit/orgkit/store"
)

// recorder is a driver that times what is asked of it. It serves one unit at a time.
type recorder struct {
	store.Driver
	took map[string]sample
}

func (r *recorder) note(what string, begin time.Time) {
	if r.took == nil {
		r.took = map[string]sample{}
	}
	s := r.took[what]
	s.add(time.Since(begin), 1)
	r.took[what] = s
}

// Begin implements store.Driver.
func (r *recorder) Begin(ctx context.Context, writable bool) (store.DriverTx, error) {
	defer r.note("begin", time.Now())
	tx, err := r.Driver.Begin(ctx, writable)
	return &recordedTx{tx, r}, err
}

type recordedTx struct {
	store.DriverTx
	r *recorder
}

func (t *recordedTx) Update(ctx context.Context, k *store.Kind, rec any) error {
	defer t.r.note("update "+k.Name, time.Now())
	return t.DriverTx.Update(ctx, k, rec)
}

func (t *recordedTx) Append(ctx context.Context, k *store.Kind, rows any) ([]bool, error) {
	defer t.r.note("append "+k.Name, time.Now())
	return t.DriverTx.Append(ctx, k, rows)
}

func (t *recordedTx) Queue(ctx context.Context, k *store.Kind, rows any) error {
	defer t.r.note("queue "+k.Name, time.Now())
	return t.DriverTx.Queue(ctx, k, rows)
}

func (t *recordedTx) Add(ctx context.Context, k *store.Kind, rows any) error {
	defer t.r.note("add "+k.Name, time.Now())
	return t.DriverTx.Add(ctx, k, rows)
}

func (t *recordedTx) ReadAll(ctx context.Context, reads []store.Read) error {
	defer t.r.note("read "+reads[0].Kind.Name, time.Now())
	return t.DriverTx.ReadAll(ctx, reads)
}

func (t *recordedTx) Commit(ctx context.Context) error {
	defer t.r.note("commit", time.Now())
	return t.DriverTx.Commit(ctx)
}
