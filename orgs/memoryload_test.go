package orgs_test

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/orgkit/orgkit/orgs/orgstest"
	"github.com/orgkit/orgkit/rbac"
	"github.com/orgkit/orgkit/store"
	"github.com/orgkit/orgkit/store/memory"
)

// held is a database on which the next reader can be kept waiting.
type held struct {
	store.Driver
	mu   sync.Mutex
	next func() error // of the next snapshot, once
	down atomic.Bool  // for snapshots

	kind    string // of which a snapshot is read next, after which something happens, once
	happens func()
}

func (h *held) Begin(ctx context.Context, writable bool) (store.DriverTx, error) {
	if !writable && h.down.Load() {
		return nil, errDown
	}
	h.mu.Lock()
	next := h.next
	if !writable {
		h.next = nil
	} else {
		next = nil
	}
	h.mu.Unlock()
	if next != nil {
		if err := next(); err != nil {
			return nil, err
		}
	}
	tx, err := h.Driver.Begin(ctx, writable)
	if err == nil && !writable {
		tx = &heldTx{tx, h}
	}
	return tx, err
}

type heldTx struct {
	store.DriverTx
	*held
}

func (t *heldTx) Select(ctx context.Context, k *store.Kind, s store.Selection, dst any) error {
	err := t.DriverTx.Select(ctx, k, s, dst)
	t.mu.Lock()
	happens := t.happens
	if k.Name == t.kind {
		t.kind, t.happens = "", nil
	} else {
		happens = nil
	}
	t.mu.Unlock()
	if happens != nil {
		happens()
	}
	return err
}

// after lets something happen, once, after a snapshot has read records of the kind.
func (h *held) after(kind string, happens func()) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.kind, h.happens = kind, happens
}

func (h *held) before(next func() error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.next = next
}

// limited is a world with room for a few organizations in memory, which is not polled.
func limited(t *testing.T, organizations int) (*orgstest.World, *held) {
	database := &held{}
	s := memory.New(&memory.Options{Store: store.Options{Wrap: func(d store.Driver) store.Driver { database.Driver = d; return database }}})
	o := withDials()
	o.Memory = rbac.MemoryOptions{Poll: time.Hour, Trust: time.Hour, Organizations: organizations}
	w := orgstest.New(t, s, o)
	t.Cleanup(func() { w.Close() })
	return w, database
}

// What is committed while an organization is read for the first time is not lost.
func TestAChangeBesideAFirstLoadIsSeen(t *testing.T) {
	for _, kind := range []string{"roles", "overrides", "policies", "assignments", "approvals"} {
		w, database := limited(t, 10)
		dials, _, _ := newDials(t, w)
		for _, d := range dials {
			require.NoError(t, d.turn(w.Platform(), w.Manager, 0))
		}
		for _, d := range dials {
			cold := orgstest.New(t, w.Store(), withDials())
			happened := false
			database.after(kind, func() {
				happened = true
				require.NoError(t, d.turn(w.Platform(), w.Manager, 1))
			})
			byID, kept, err := d.memory(t.Context(), cold.Manager)
			require.NoError(t, err)
			require.True(t, happened)
			for _, allows := range []func(string) (bool, error){kept, byID} {
				is, err := allows(shown(1))
				require.NoError(t, err)
				require.True(t, is, "dial %s, turned after %s were read", d.name, kind)
			}
			require.NoError(t, cold.Close())
		}
	}
}
