package audit

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/mod/sumdb/note"
	"pgregory.net/rapid"

	"github.com/orgkit/orgkit/store"
	"github.com/orgkit/orgkit/store/storetest"
)

// Whatever is forgotten in whatever order: the salts of the others stay, and no node is above one that is forgotten.
func TestSeedsTellTheSaltsThatAreKept(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.Int64Range(0, 1<<40).Draw(t, "n")
		b := newSeeds("org_1", n)
		whole := b.tree()
		require.Len(t, whole, 1)
		first := n << saltLevel
		gone := map[int64]bool{}
		for range rapid.IntRange(0, 4).Draw(t, "times") {
			for _, at := range rapid.SliceOfN(rapid.Int64Range(0, saltBlock-1), 0, 40).Draw(t, "gone") {
				gone[first+at] = true
			}
			b.Seeds = b.tree().only(func(seq int64) bool { return !gone[seq] }).encode()
		}
		left := b.tree()
		for seq := first; seq < first+saltBlock; seq++ {
			if gone[seq] {
				require.Nil(t, left.salt(seq))
			} else {
				require.Equal(t, whole.salt(seq), left.salt(seq))
			}
		}
		require.Nil(t, left.salt(first-1))
		require.Nil(t, left.salt(first+saltBlock))
		for _, s := range left {
			for seq := range gone {
				require.False(t, s.at <= seq && seq < s.below())
			}
		}
	})
}

func TestSaltsDiffer(t *testing.T) {
	b := newSeeds("org_1", 3)
	other := newSeeds("org_1", 3)
	seen := map[string]bool{}
	for _, tree := range []seedTree{b.tree(), other.tree()} {
		for seq := range int64(saltBlock) {
			salt := tree.salt(3<<saltLevel + seq)
			require.Len(t, salt, saltBytes)
			require.False(t, seen[string(salt)])
			seen[string(salt)] = true
		}
	}
}

func TestDamagedSeedsTellNothing(t *testing.T) {
	b := newSeeds("org_1", 1)
	for range 2000 {
		d := b
		d.Seeds = bytes.Repeat(b.Seeds, 2)[:rand.N(2*len(b.Seeds)+1)]
		for i := range d.Seeds {
			if rand.N(8) == 0 {
				d.Seeds[i] ^= 1 << rand.N(8)
			}
		}
		at := int64(0)
		for _, s := range d.tree() {
			require.LessOrEqual(t, s.level, saltLevel)
			require.GreaterOrEqual(t, s.at, max(at, saltBlock))
			at = s.below()
		}
	}
}

// written is a log of n events by two people, in turn by one and by the other.
func written(t *testing.T, s *store.Store, n int) (*Log, note.Verifiers) {
	secret, public, err := NewKey("gateway.example")
	require.NoError(t, err)
	signer, err := note.NewSigner(secret)
	require.NoError(t, err)
	verifiers, err := Verifiers(public)
	require.NoError(t, err)
	l := New(s, &Options{Signers: []note.Signer{signer}, NoBackground: true})
	require.NoError(t, s.Update(t.Context(), func(ctx context.Context, tx *store.Tx) error {
		for i := range n {
			a := Actor{Type: User, ID: fmt.Sprint("usr_", i%2), Label: fmt.Sprintf("%d@acme.com", i%2)}
			if _, err := l.Append(WithActor(ctx, a), tx, "org_1", "teams.update", Change{Type: "team.updated"}); err != nil {
				return err
			}
		}
		return nil
	}))
	require.NoError(t, l.Flush(t.Context()))
	return l, verifiers
}

// nodes are those that the lines of an export tell, and ended the places of those that say their own.
func nodes(t *testing.T, text string) (told seedTree, own map[int64][]byte) {
	own = map[int64][]byte{}
	for line := range strings.Lines(text) {
		var x exported
		require.NoError(t, json.Unmarshal([]byte(line), &x))
		if x.Salts != nil {
			told = append(told, seed{int(x.Salts[0]), x.Seq, x.Salts[1:]})
		}
		if x.Salt != nil {
			own[x.Seq] = x.Salt
		}
	}
	return told, own
}

// What was erased cannot be found by guessing, neither from the database nor from an export; all proofs hold.
func TestErasedSaltsAreGone(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store, _ *storetest.Clock) {
		l, verifiers := written(t, s, 2*saltBlock+10)
		all := map[int64][]byte{}
		kept := func() (blocks []seedBlock) {
			require.NoError(t, s.View(t.Context(), func(ctx context.Context, tx *store.Tx) (err error) {
				blocks, err = seeds.Scan(ctx, tx, store.Range{Equal: []any{"org_1"}})
				return err
			}))
			return blocks
		}
		export := func(from, below int64) string {
			var b bytes.Buffer
			m, err := l.ExportRange(t.Context(), &b, "org_1", from, below)
			require.NoError(t, err)
			r := NewReader(verifiers)
			require.NoError(t, r.Read(m, bytes.NewReader(b.Bytes())))
			require.Equal(t, Intact, r.End().Verdict, r.End())
			return b.String()
		}
		require.Len(t, kept(), 3)
		require.NoError(t, s.View(t.Context(), func(ctx context.Context, tx *store.Tx) error {
			for e, err := range l.Entries(ctx, tx, "org_1", 0) {
				require.NoError(t, err)
				all[e.Seq] = e.Salt
				require.Equal(t, e.Salt, kept()[e.Seq>>saltLevel].tree().salt(e.Seq))
			}
			return nil
		}))

		// An export tells the salts of its own events, and no others.
		told, own := nodes(t, export(0, 2*saltBlock+10))
		require.Empty(t, own)
		require.Len(t, told, 4, "two blocks, and of the third 8 and 2")
		told, own = nodes(t, export(3, saltBlock+7))
		for seq, salt := range all {
			if seq < 3 || seq >= saltBlock+7 {
				require.Nil(t, told.salt(seq))
			} else if own[seq] == nil {
				require.Equal(t, salt, told.salt(seq))
			}
		}

		// The person of whose events one is in every place: before the erasure there is its event.
		require.NoError(t, s.Update(WithActor(t.Context(), System("erasure")), func(ctx context.Context, tx *store.Tx) error {
			_, err := l.Append(ctx, tx, "org_1", "audit.update", Erasure("usr_1"))
			return err
		}))
		n, err := l.Erase(t.Context(), "org_1", "usr_1")
		require.NoError(t, err)
		require.Equal(t, saltBlock+5, n)
		text := export(0, 2*saltBlock+11)
		told, own = nodes(t, text)
		require.NotContains(t, text, "1@acme.com")
		blocks := kept()
		for seq, salt := range all {
			tree := blocks[seq>>saltLevel].tree()
			if seq%2 == 1 {
				require.Nil(t, tree.salt(seq))
				require.Nil(t, told.salt(seq))
				require.NotContains(t, blocks[seq>>saltLevel].Seeds, salt)
				require.Len(t, own[seq], 32)
				continue
			}
			require.Equal(t, salt, tree.salt(seq))
			require.Equal(t, salt, own[seq], "nobody beside it has a node with it")
		}
		r, err := l.Verify(t.Context(), "org_1", verifiers)
		require.NoError(t, err)
		require.Equal(t, Intact, r.Verdict, r)
		require.EqualValues(t, n, r.Erased)

		// The log goes on in the block of which some are erased.
		require.NoError(t, l.Record(WithActor(t.Context(), System("x")), "org_1", "x.read", Change{Type: "x.read"}))
		_, own = nodes(t, export(2*saltBlock+10, 2*saltBlock+12))
		require.Empty(t, own, "two that one node tells")
	})
}

// Seeds that are gone or damaged keep nobody from their places, and an export has the salts themselves.
func TestLogGoesOnWithoutItsSeeds(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store, _ *storetest.Clock) {
		l, verifiers := written(t, s, 20)
		for _, left := range [][]seedBlock{{{"org_1", 0, []byte{1, 2, 3}}}, nil} {
			require.NoError(t, s.Update(t.Context(), func(ctx context.Context, tx *store.Tx) error {
				if _, err := seeds.Claim(ctx, tx, store.Range{}); err != nil {
					return err
				}
				_, err := seeds.AppendMany(ctx, tx, left)
				return err
			}))
			require.NoError(t, l.Record(WithActor(t.Context(), System("x")), "org_1", "x.read", Change{Type: "x.read"}))
			var b bytes.Buffer
			m, err := l.Export(t.Context(), &b, "org_1", 0, 0)
			require.NoError(t, err)
			_, own := nodes(t, b.String())
			require.GreaterOrEqual(t, len(own), 20)
			r := NewReader(verifiers)
			require.NoError(t, r.Read(m, bytes.NewReader(b.Bytes())))
			require.Equal(t, Intact, r.End().Verdict, r.End())
		}
	})
}

func FuzzLine(f *testing.F) {
	var l linesBefore
	b := newSeeds("org_1", 0)
	e := Entry{Event{OrgID: "org_1", ID: "evt_1", Type: "team.created", Outcome: Success}, b.tree().salt(0)}
	for i := range int64(2) {
		e.Seq = i
		line, err := l.write(&e)
		require.NoError(f, err)
		line, err = l.end(line, i, b.tree().salt(i), []*seed{&b.tree()[0], nil}[i])
		require.NoError(f, err)
		f.Add(line)
	}
	f.Fuzz(func(t *testing.T, line []byte) {
		for _, before := range []linesBefore{{}, {begun: true, orgID: "org_1", at: dawn}, {begun: true, orgID: "org_1", at: dawn, seed: b.tree()[0]}} {
			again := before
			e, err := before.read(line)
			if err != nil {
				continue
			}
			out, err := again.write(&e)
			require.NoError(t, err)
			var begins *seed
			if before.seed.bytes != nil && before.seed.at == e.Seq && bytes.Contains(line, []byte(`"salts"`)) {
				begins = &before.seed
			}
			out, err = again.end(out, e.Seq, e.Salt, begins)
			require.NoError(t, err)
			require.Equal(t, string(line), string(out))
			require.Equal(t, before.at, again.at)
		}
	})
}
