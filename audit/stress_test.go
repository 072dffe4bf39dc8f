package audit_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/mod/sumdb/note"

	"github.com/orgkit/orgkit/audit"
	"github.com/orgkit/orgkit/store"
	"github.com/orgkit/orgkit/store/storetest"
)

// hooked calls something before a unit begins.
type hooked struct {
	store.Driver
	before *atomic.Pointer[func(writable bool)]
}

func (h hooked) Begin(ctx context.Context, writable bool) (store.DriverTx, error) {
	if f := h.before.Load(); f != nil {
		(*f)(writable)
	}
	return h.Driver.Begin(ctx, writable)
}

// A prune that commits between Verify's catching up and its snapshot is no tampering.
func TestVerifyBesideAPrune(t *testing.T) {
	var hook atomic.Pointer[func(bool)]
	s := storetest.Open(t, "postgres", store.Options{Wrap: func(d store.Driver) store.Driver { return hooked{d, &hook} }})
	l := newSigned(t, s)
	l.write(t, "org_1", 10)
	_, err := l.Checkpoint(t.Context(), "org_1")
	require.NoError(t, err)
	l.write(t, "org_1", 1)
	ctx := audit.WithActor(t.Context(), alice)
	views := 0
	f := func(writable bool) {
		if writable {
			return
		}
		if views++; views != 2 { // the first view is that of catching up, of which there is a batch, the second the snapshot
			return
		}
		hook.Store(nil)
		require.NoError(t, s.Update(ctx, func(ctx context.Context, tx *store.Tx) error {
			c, n, err := l.Prune(ctx, tx, "org_1", audit.Cut{Before: time.Now().Add(time.Hour)})
			if err != nil || n == 0 {
				return fmt.Errorf("%d %w", n, err)
			}
			_, err = l.Append(ctx, tx, "org_1", "audit.prune", c)
			return err
		}))
	}
	hook.Store(&f)
	r, err := l.Verify(ctx, "org_1", l.verifiers)
	require.NoError(t, err)
	require.Nil(t, hook.Load())
	require.NotEqual(t, audit.Tampered, r.Verdict, r)
}

type badSigner struct{}

func (badSigner) Name() string                    { return "bad" }
func (badSigner) KeyHash() uint32                 { return 1 }
func (badSigner) Sign(msg []byte) ([]byte, error) { return nil, errors.New("no key today") }

// Signing that fails for long is told, as Options.Alarm says.
func TestAlarmWhenNothingIsSigned(t *testing.T) {
	s := storetest.Open(t, "memory", store.Options{})
	told := make(chan error, 100)
	l := audit.New(s, &audit.Options{Signers: []note.Signer{badSigner{}}, Alarm: func(err error) { told <- err }})
	defer l.Close()
	require.NoError(t, l.Record(as(t, alice), "org_1", "x.read", audit.Change{Type: "x.read"}))
	select {
	case err := <-told:
		t.Log(err)
	case <-time.After(20 * time.Second):
		t.Fatal("20 s without a checkpoint and nobody was told")
	}
}

// A key that cannot sign keeps no event from its place, in the background either.
func TestWhatCannotBeSignedIsPutInOrder(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store, _ *storetest.Clock) {
		l := audit.New(s, &audit.Options{Signers: []note.Signer{badSigner{}}})
		defer l.Close()
		require.NoError(t, s.Update(as(t, alice), func(ctx context.Context, tx *store.Tx) error {
			_, err := l.Append(ctx, tx, "org_1", "x.write", audit.Change{Type: "x.written"})
			return err
		}))
		waits := func() (n int) {
			require.NoError(t, s.View(t.Context(), func(ctx context.Context, tx *store.Tx) error {
				list, err := audit.Pending.Scan(ctx, tx, store.Range{})
				n = len(list)
				return err
			}))
			return n
		}
		require.Eventually(t, func() bool { return waits() == 0 }, 20*time.Second, 10*time.Millisecond)
	})
}

// Who records returns when its context ends.
func TestRecordEndsWithItsContext(t *testing.T) {
	var hook atomic.Pointer[func(bool)]
	s := storetest.Open(t, "memory", store.Options{Wrap: func(d store.Driver) store.Driver { return hooked{d, &hook} }})
	l := logs(s)
	stuck := make(chan bool)
	f := func(bool) { <-stuck }
	hook.Store(&f)
	defer close(stuck)
	ctx, cancel := context.WithTimeout(as(t, alice), 100*time.Millisecond)
	defer cancel()
	done := make(chan error, 1)
	go func() { done <- l.Record(ctx, "org_1", "x.read", audit.Change{Type: "x.read"}) }()
	select {
	case <-done:
	case <-time.After(3 * time.Second):
		t.Fatal("Record does not return 3 s after its context has ended")
	}
}

// A panic in one unit, which net/http recovers from, is not the end of all recording.
func TestRecordAfterAPanic(t *testing.T) {
	var hook atomic.Pointer[func(bool)]
	s := storetest.Open(t, "memory", store.Options{Wrap: func(d store.Driver) store.Driver { return hooked{d, &hook} }})
	l := logs(s)
	f := func(bool) { panic("a driver's mistake") }
	hook.Store(&f)
	func() {
		defer func() { recover() }()
		l.Record(as(t, alice), "org_1", "x.read", audit.Change{Type: "x.read"})
	}()
	hook.Store(nil)
	ctx, cancel := context.WithTimeout(as(t, alice), 3*time.Second)
	defer cancel()
	require.NoError(t, l.Record(ctx, "org_1", "x.read", audit.Change{Type: "x.read"}))
}

// A busy log has checkpoints.
func TestCheckpointsWhileOthersWrite(t *testing.T) {
	for _, name := range []string{"memory", "postgres"} {
		t.Run(name, func(t *testing.T) {
			s := storetest.Open(t, name, store.Options{})
			l := newSigned(t, s)
			l.write(t, "org_1", 1)
			var stop atomic.Bool
			var wg sync.WaitGroup
			for range 4 {
				wg.Go(func() {
					ctx := as(t, alice)
					for !stop.Load() {
						l.Record(ctx, "org_1", "x.read", audit.Change{Type: "x.read"})
						if name == "postgres" {
							l.Flush(ctx)
						}
					}
				})
			}
			failed := 0
			var last error
			for range 100 {
				if _, err := l.Checkpoint(t.Context(), "org_1"); err != nil {
					failed++
					last = err
				}
			}
			stop.Store(true)
			wg.Wait()
			require.Zero(t, failed, "of 100: %v", last)
		})
	}
}

// Who has the key writes the log anew and prunes beyond the checkpoint that was kept elsewhere.
func TestKeptCheckpointOlderThanThePrune(t *testing.T) {
	e := newExport(t, 4)
	kept := e.kept[1]
	s := storetest.Open(t, "memory", store.Options{})
	forger := newSigned(t, s)
	forger.Log = audit.New(s, &audit.Options{Signers: []note.Signer{e.key}, Origin: origin, NoBackground: true})
	forger.write(t, "org_1", 6)
	require.NoError(t, forger.Flush(t.Context()))
	ctx := as(t, alice)
	require.NoError(t, s.Update(ctx, func(ctx context.Context, tx *store.Tx) error {
		c, _, err := forger.Prune(ctx, tx, "org_1", audit.Cut{Before: time.Now().Add(time.Hour)})
		if err != nil {
			return err
		}
		_, err = forger.Append(ctx, tx, "org_1", "audit.prune", c)
		return err
	}))
	_, err := forger.Shrink(ctx, "org_1")
	require.NoError(t, err)
	r, err := forger.Verify(ctx, "org_1", e.verifiers, kept.Note)
	require.NoError(t, err)
	require.Equal(t, audit.Unchecked, r.Verdict, "the checkpoint that was brought is compared with nothing")
	forger.verifiers = e.verifiers
	r = forger.read(t, forger.pieces(t, "org_1", 0), kept)
	require.Equal(t, audit.Unchecked, r.Verdict, "nor by who reads exports")
}

// What a person did with a key of theirs names the same person.
func TestErasesWhatAKeyDidForThePerson(t *testing.T) {
	s := storetest.Open(t, "memory", store.Options{})
	l := newSigned(t, s)
	key := alice
	key.Type, key.ID, key.OnBehalfOf, key.Label = audit.APIKey, "key_1", "usr_1", "Alice's laptop"
	require.NoError(t, l.Record(as(t, key), "org_1", "x.read", audit.Change{Type: "x.read"}))
	_, err := l.Erase(t.Context(), "org_1", "usr_1")
	require.NoError(t, err)
	page, err := l.List(t.Context(), "org_1", audit.Filter{})
	require.NoError(t, err)
	require.Empty(t, page.Items[0].IP)
	require.Empty(t, page.Items[0].ActorLabel)
}

// The installation gets another name.
func TestAnotherOrigin(t *testing.T) {
	s := storetest.Open(t, "memory", store.Options{})
	l := newSigned(t, s)
	l.write(t, "org_1", 3)
	_, err := l.Checkpoint(t.Context(), "org_1")
	require.NoError(t, err)
	after := audit.New(s, &audit.Options{Signers: []note.Signer{l.key}, Origin: "new.example/audit", NoBackground: true})
	_, err = after.Checkpoint(t.Context(), "org_1")
	require.NoError(t, err)
	_, err = after.Prove(t.Context(), "org_1", 1)
	require.NoError(t, err)
	require.NoError(t, after.Record(as(t, alice), "org_1", "x.read", audit.Change{Type: "x.read"}))
	_, err = after.Checkpoint(t.Context(), "org_1")
	require.NoError(t, err)
	r, err := after.Verify(t.Context(), "org_1", l.verifiers)
	require.NoError(t, err)
	require.Equal(t, audit.Intact, r.Verdict, r)
}

// Whatever is written between its steps, a checkpoint is answered.
func TestCheckpointOfABusyLog(t *testing.T) {
	var hook atomic.Pointer[func(bool)]
	s := storetest.Open(t, "memory", store.Options{Wrap: func(d store.Driver) store.Driver { return hooked{d, &hook} }})
	l := newSigned(t, s)
	l.write(t, "org_1", 1)
	var f func(bool)
	f = func(writable bool) {
		if !writable { // others write all the time
			hook.Store(nil)
			l.write(t, "org_1", 1)
			hook.Store(&f)
		}
	}
	hook.Store(&f)
	_, err := l.Checkpoint(t.Context(), "org_1")
	require.NoError(t, err)
}
