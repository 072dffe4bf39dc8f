package audit_test

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/orgkit/orgkit/audit"
	"github.com/orgkit/orgkit/store"
	"github.com/orgkit/orgkit/store/storetest"
)

const origin = "gateway.example/audit"

// signed is a log with a key, and who vouches for it.
type signed struct {
	*audit.Log
	s         *store.Store
	verifiers note.Verifiers
	key       note.Signer
}

func newSigned(t *testing.T, s *store.Store) signed {
	t.Helper()
	signer, verifier, err := audit.NewKey("gateway.example")
	require.NoError(t, err)
	key, err := note.NewSigner(signer)
	require.NoError(t, err)
	verifiers, err := audit.Verifiers(verifier)
	require.NoError(t, err)
	return signed{audit.New(s, &audit.Options{Signers: []note.Signer{key}, Origin: origin, NoBackground: true}), s, verifiers, key}
}

// write appends n events.
func (l signed) write(t *testing.T, org string, n int) {
	t.Helper()
	ctx := audit.WithActor(t.Context(), alice)
	require.NoError(t, l.s.Update(ctx, func(ctx context.Context, tx *store.Tx) error {
		for i := range n {
			_, err := l.Append(ctx, tx, org, "teams.update", audit.Change{Type: "team.updated", Resource: audit.Resource{Type: "team", ID: fmt.Sprint("team_", i%7)},
				Reason: "because", Data: map[string]any{"n": i, "html": "<b>&"}})
			if err != nil {
				return err
			}
		}
		return nil
	}))
}

// all are the entries as an export holds them.
func (l signed) all(t *testing.T, org string) (lines []string) {
	t.Helper()
	require.NoError(t, l.Flush(t.Context()))
	require.NoError(t, l.s.View(t.Context(), func(ctx context.Context, tx *store.Tx) error {
		lines = nil
		for e, err := range l.Entries(ctx, tx, org, 0) {
			if err != nil {
				return err
			}
			b, err := json.Marshal(e)
			if err != nil {
				return err
			}
			lines = append(lines, string(b))
		}
		return nil
	}))
	return lines
}

func TestPublicKeyOfAKey(t *testing.T) {
	for range 100 { // base 64 has plus signs too
		signer, verifier, err := audit.NewKey("gateway.example")
		require.NoError(t, err)
		public, err := audit.PublicKey(signer)
		require.NoError(t, err)
		require.Equal(t, verifier, public)
		for _, odd := range []string{"", verifier, signer[:len(signer)-4], "x" + signer} {
			_, err := audit.PublicKey(odd)
			require.Error(t, err)
			if odd != "" {
				require.NotContains(t, err.Error(), odd)
			}
		}
	}
}

// TestKeysRotate: while both keys sign, who knows either of them reads on; then the old one goes.
func TestKeysRotate(t *testing.T) {
	s := storetest.Open(t, "memory", store.Options{})
	before := newSigned(t, s)
	next := newSigned(t, storetest.Open(t, "memory", store.Options{}))
	both := signed{audit.New(s, &audit.Options{Signers: []note.Signer{before.key, next.key}, Origin: origin, NoBackground: true}), s, nil, nil}
	after := signed{audit.New(s, &audit.Options{Signers: []note.Signer{next.key}, Origin: origin, NoBackground: true}), s, nil, nil}
	for _, c := range []struct {
		log      signed
		old, new bool // who reads its checkpoint
	}{{before, true, false}, {both, true, true}, {after, false, true}} {
		c.log.write(t, "org_1", 3)
		point, err := c.log.Checkpoint(t.Context(), "org_1")
		require.NoError(t, err)
		_, err = audit.ReadCheckpoint(point.Note, before.verifiers)
		require.Equal(t, c.old, err == nil, err)
		_, err = audit.ReadCheckpoint(point.Note, next.verifiers)
		require.Equal(t, c.new, err == nil, err)
	}
	for verifiers, covered := range map[*note.Verifiers]int64{&before.verifiers: 6, &next.verifiers: 9} {
		r, err := after.Verify(t.Context(), "org_1", *verifiers)
		require.NoError(t, err)
		require.Equal(t, audit.Intact, r.Verdict, r)
		require.Equal(t, covered, r.Covered)
	}
}

func TestEveryEventIsProved(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store, clock *storetest.Clock) {
		l := newSigned(t, s)
		_, err := l.Checkpoint(t.Context(), "org_1")
		require.ErrorIs(t, err, store.ErrNotFound, "of nothing")
		var before []audit.Checkpoint
		for size := 1; size <= 33; size++ {
			clock.Advance(time.Second)
			l.write(t, "org_1", 1)
			if size%8 != 1 {
				continue
			}
			l.write(t, "org_2", 3)
			for seq := range int64(size) {
				p, err := l.Prove(t.Context(), "org_1", seq)
				require.NoError(t, err)
				wire, err := json.Marshal(p)
				require.NoError(t, err)
				var heard audit.Proof
				require.NoError(t, json.Unmarshal(wire, &heard))
				c, err := heard.Verify(origin+"/org_1", l.verifiers)
				require.NoError(t, err)
				require.EqualValues(t, size, c.Size)
				require.Equal(t, seq, heard.Entry.Seq)

				heard.Entry.Reason = "another"
				_, err = heard.Verify(origin+"/org_1", l.verifiers)
				require.Error(t, err)
				_, err = p.Verify(origin+"/org_2", l.verifiers)
				require.Error(t, err, "of another log")
			}
			c, err := l.Checkpoint(t.Context(), "org_1")
			require.NoError(t, err)
			before = append(before, c)
		}
		last := before[len(before)-1]
		for _, c := range before {
			hashes, err := l.ProveConsistency(t.Context(), "org_1", c.Size, last.Size)
			require.NoError(t, err)
			require.NoError(t, tlog.CheckTree(hashes, last.Size, last.Root, c.Size, c.Root))
		}
		for _, seq := range []int64{-1, 33, 1 << 40} {
			_, err := l.Prove(t.Context(), "org_1", seq)
			require.ErrorIs(t, err, store.ErrNotFound)
		}
		_, err = l.ProveConsistency(t.Context(), "org_1", 1, 34)
		require.ErrorIs(t, err, store.ErrNotFound)
		r, err := l.Verify(t.Context(), "org_1", l.verifiers)
		require.NoError(t, err)
		require.Equal(t, audit.Intact, r.Verdict, r)
		require.EqualValues(t, 33, r.Covered)
	})
}

// export is what somebody outside holds: lines, and checkpoints that were kept elsewhere.
type export struct {
	signed
	lines   []string
	entries []audit.Entry
	kept    []audit.Checkpoint
	others  []string // of another log
}

func newExport(t *testing.T, n int) export {
	e := export{signed: newSigned(t, storetest.Open(t, "memory", store.Options{}))}
	for range 2 {
		e.write(t, "org_1", n/2)
		c, err := e.Checkpoint(t.Context(), "org_1")
		require.NoError(t, err)
		e.kept = append(e.kept, c)
	}
	e.write(t, "org_2", n)
	e.lines, e.others = e.all(t, "org_1"), e.all(t, "org_2")
	for _, line := range e.lines {
		e.entries = append(e.entries, parse(t, line))
	}
	return e
}

func parse(t *testing.T, line string) (e audit.Entry) {
	require.NoError(t, json.Unmarshal([]byte(line), &e))
	return e
}

func (e export) verify(t *testing.T, entries []audit.Entry, kept ...audit.Checkpoint) audit.Report {
	v, err := audit.NewVerifier(origin+"/org_1", kept, 0, nil)
	require.NoError(t, err)
	for _, entry := range entries {
		v.Add(entry)
	}
	return v.End(true)
}

// TestAMillionMutations changes an export in every way that is tried, and is found out each time by a checkpoint
// that was kept elsewhere. With the race detector, which is slow, they are fewer.
func TestAMillionMutations(t *testing.T) {
	const n = 16
	e := newExport(t, n)
	require.Equal(t, audit.Intact, e.verify(t, e.entries, e.kept...).Verdict)
	var wg sync.WaitGroup
	for range 2 {
		wg.Go(func() {
			for tried := 0; tried < 500_000/fewer && !t.Failed(); {
				changed, differs := e.mutated(t)
				if !differs {
					continue
				}
				tried++
				if r := e.verify(t, changed, e.kept...); r.Verdict != audit.Tampered {
					t.Errorf("not found: %v\n%+v", r, changed)
				}
			}
		})
	}
	wg.Wait()
}

// mutated returns the entries with something changed. A line that is no entry any more is found by that already.
func (e export) mutated(t *testing.T) (changed []audit.Entry, differs bool) {
	n := len(e.entries)
	changed = append(changed, e.entries...)
	i, j := rand.N(n), rand.N(n)
	switch rand.N(10) {
	case 0, 1, 2: // bits of a line
		b := []byte(e.lines[i])
		for range 1 + rand.N(3) {
			b[rand.N(len(b))] ^= 1 << rand.N(8)
		}
		var entry audit.Entry
		if json.Unmarshal(b, &entry) != nil || written(entry) == e.lines[i] {
			return nil, false
		}
		changed[i] = entry
	case 3:
		return append(changed[:i], changed[i+1:]...), true
	case 4:
		return changed[i+1:], true
	case 5:
		return changed[:i], true
	case 6:
		changed[i], changed[j] = changed[j], changed[i]
		return changed, i != j
	case 7:
		return append(changed[:i], append([]audit.Entry{e.entries[j]}, changed[i:]...)...), true
	case 8:
		changed[i] = parse(t, e.others[i])
	case 9: // a field, so that all fits
		entry := &changed[i]
		switch rand.N(7) {
		case 0:
			entry.ActorID = "usr_2"
		case 1:
			entry.Time, entry.OccurredAt = entry.Time.Add(time.Microsecond), entry.OccurredAt.Add(time.Microsecond)
		case 2:
			entry.IP = "10.0.0.2"
		case 3:
			entry.Outcome = audit.Denied
		case 4:
			entry.Erased, entry.Salt = true, make([]byte, 32)
			entry.ActorLabel, entry.IP, entry.UserAgent, entry.Reason, entry.Data = "", "", "", "", nil
		case 5:
			entry.OnBehalfOf, entry.ActorID = entry.ActorID, entry.OnBehalfOf
		case 6:
			entry.Salt = append([]byte{entry.Salt[0] ^ 1}, entry.Salt[1:]...)
		}
	}
	return changed, true
}

func written(e audit.Entry) string {
	b, _ := json.Marshal(e)
	return string(b)
}

func TestCheckpointsAreRead(t *testing.T) {
	e := newExport(t, 4)
	last := e.kept[1]
	for range 2000 / fewer {
		b := []byte(last.Note)
		b[rand.N(len(b))] ^= 1 << rand.N(8)
		c, err := audit.ReadCheckpoint(string(b), e.verifiers)
		if err == nil { // the hint of the signature's key is not signed, and another one is not heard
			require.Equal(t, last.Root, c.Root)
		}
	}
	require.Equal(t, audit.Unchecked, e.verify(t, e.entries).Verdict, "nobody signed")

	// Written anew by somebody who has the key, and not the checkpoint that was kept elsewhere.
	forger := newSigned(t, storetest.Open(t, "memory", store.Options{}))
	forger.Log = audit.New(forger.s, &audit.Options{Signers: []note.Signer{e.key}, Origin: origin, NoBackground: true})
	forger.write(t, "org_1", 4)
	forged, err := forger.Checkpoint(t.Context(), "org_1")
	require.NoError(t, err)
	var anew []audit.Entry
	for _, line := range forger.all(t, "org_1") {
		anew = append(anew, parse(t, line))
	}
	require.Equal(t, audit.Intact, e.verify(t, anew, forged).Verdict, "by itself nothing shows it")
	require.Equal(t, audit.Tampered, e.verify(t, anew, forged, last).Verdict)
	require.Equal(t, audit.Tampered, e.verify(t, anew, e.kept...).Verdict)

	stranger := newSigned(t, storetest.Open(t, "memory", store.Options{}))
	stranger.write(t, "org_1", 1)
	foreign, err := stranger.Checkpoint(t.Context(), "org_1")
	require.NoError(t, err)
	_, err = audit.ReadCheckpoint(foreign.Note, e.verifiers)
	require.Error(t, err, "signed by nobody who is known")
	_, err = audit.NewVerifier(origin+"/org_2", e.kept, 0, nil)
	require.Error(t, err, "of another log")
	_, err = audit.NewVerifier(origin+"/org_1", e.kept, 3, nil)
	require.Error(t, err, "without its edge")
}

// TestSchedules prunes and erases at random between appends, on every store: nothing is ever taken for tampering,
// every event that is kept is proved, and every checkpoint that was handed out still fits.
func TestSchedules(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store, clock *storetest.Clock) {
		l := newSigned(t, s)
		rounds := 60 / fewer
		if name := t.Name(); strings.HasSuffix(name, "memory") {
			rounds = 600 / fewer
		}
		ctx := audit.WithActor(t.Context(), alice)
		var notes []string
		var sizes []audit.Checkpoint
		for range rounds {
			clock.Advance(time.Duration(rand.N(3)) * time.Second)
			switch rand.N(8) {
			case 0:
				require.NoError(t, s.Update(ctx, func(ctx context.Context, tx *store.Tx) error {
					c, n, err := l.Prune(ctx, tx, "org_1", audit.Cut{Before: clock.Now().Add(-time.Duration(rand.N(20)) * time.Second)})
					if err != nil || n == 0 {
						return err
					}
					_, err = l.Append(ctx, tx, "org_1", "audit.prune", c)
					return err
				}))
				if rand.N(2) == 0 {
					_, err := l.Shrink(ctx, "org_1")
					require.NoError(t, err)
				}
			case 1:
				id := []string{"usr_1", "team_3"}[rand.N(2)]
				write(t, s, ctx, "org_1", audit.Erasure(id))
				_, err := l.Erase(ctx, "org_1", id)
				require.NoError(t, err)
			case 2:
				c, err := l.Checkpoint(ctx, "org_1")
				if err == nil {
					notes, sizes = append(notes, c.Note), append(sizes, c)
				}
			default:
				l.write(t, "org_1", 1+rand.N(5))
			}
		}
		l.write(t, "org_1", 1)
		_, err := l.Shrink(ctx, "org_1")
		require.NoError(t, err)
		last, err := l.Checkpoint(ctx, "org_1")
		require.NoError(t, err)
		r, err := l.Verify(ctx, "org_1", l.verifiers, append(notes, last.Note)...)
		require.NoError(t, err)
		require.Equal(t, audit.Intact, r.Verdict, r)
		require.Equal(t, last.Size, r.Covered)
		require.Equal(t, last.Size-r.First, r.Checked)
		for seq := r.First; seq < last.Size; seq++ {
			p, err := l.Prove(ctx, "org_1", seq)
			require.NoError(t, err)
			_, err = p.Verify(origin+"/org_1", l.verifiers)
			require.NoError(t, err)
		}
		if r.First > 0 {
			_, err := l.Prove(ctx, "org_1", r.First-1)
			require.ErrorIs(t, err, store.ErrNotFound)
		}
		for _, c := range sizes {
			hashes, err := l.ProveConsistency(ctx, "org_1", c.Size, last.Size)
			if c.Size < r.First {
				continue // its own hashes may be gone
			}
			require.NoError(t, err)
			require.NoError(t, tlog.CheckTree(hashes, last.Size, last.Root, c.Size, c.Root))
		}
		t.Logf("%d events, from %d, %d erased", last.Size, r.First, r.Erased)
	})
}
