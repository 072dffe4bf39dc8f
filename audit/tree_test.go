package audit

import (
	"crypto/sha256"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/mod/sumdb/tlog"
)

// stored is the storage of tlog itself.
type stored []tlog.Hash

func (s stored) ReadHashes(indexes []int64) ([]tlog.Hash, error) {
	out := make([]tlog.Hash, len(indexes))
	for i, at := range indexes {
		out[i] = s[at]
	}
	return out, nil
}

// TestEdgeIsTheTreeOfTlog holds the right edge against the library's own tree, at every size.
func TestEdgeIsTheTreeOfTlog(t *testing.T) {
	var all stored
	var e edge
	for n := range int64(600) {
		h := tlog.RecordHash(fmt.Append(nil, n))
		hashes, err := tlog.StoredHashesForRecordHash(n, h, all)
		require.NoError(t, err)
		all = append(all, hashes...)

		completed := e.add(h)
		require.Len(t, completed, len(hashes)*tlog.HashSize)
		for i, want := range hashes {
			require.Equal(t, want[:], completed[i*tlog.HashSize:(i+1)*tlog.HashSize])
		}
		b, is := blockOf("org_1", n, time.UnixMicro(n), completed)
		require.Equal(t, n%blockSize == blockSize-1, is)
		for level := blockLevel; is && level < len(hashes); level++ {
			got, ok := b.hash(level)
			require.True(t, ok)
			require.Equal(t, hashes[level], got)
		}
		_, ok := b.hash(len(hashes))
		require.False(t, ok)
		root, err := tlog.TreeHash(n+1, all)
		require.NoError(t, err)
		require.Equal(t, root, e.root())

		again, ok := edgeOf(e.size, e.encode())
		require.True(t, ok)
		require.Equal(t, e.root(), again.root())
		for i, p := range parts(n + 1) {
			require.Equal(t, all[tlog.StoredHashIndex(p.level, p.n)], e.hashes[i])
			require.LessOrEqual(t, p.last(), n)
		}
	}
	_, ok := edgeOf(3, make([]byte, 32))
	require.False(t, ok)
}

// TestHeadersDiffer: no two events have the same encoding, however their texts run into each other.
func TestHeadersDiffer(t *testing.T) {
	base := row{OrgID: "ab", Seq: 1, At: time.UnixMicro(5), ID: "c", Type: "d"}
	seen := map[string]bool{string(base.header()): true}
	for _, other := range []row{
		{OrgID: "a", Seq: 1, At: time.UnixMicro(5), ID: "bc", Type: "d"},
		{OrgID: "ab", Seq: 2, At: time.UnixMicro(5), ID: "c", Type: "d"},
		{OrgID: "ab", Seq: 1, At: time.UnixMicro(6), ID: "c", Type: "d"},
		{OrgID: "ab", Seq: 1, At: time.UnixMicro(5), Lag: 1, ID: "c", Type: "d"},
		{OrgID: "ab", Seq: 1, At: time.UnixMicro(5), ID: "cd"},
		{OrgID: "ab", Seq: 1, At: time.UnixMicro(5), ID: "c", TeamID: "d"},
	} {
		require.False(t, seen[string(other.header())])
		seen[string(other.header())] = true
	}
}

func FuzzDecode(f *testing.F) {
	r := rowOf(&Event{OrgID: "org_1", ID: "evt_1", Type: "team.created", Time: time.UnixMicro(1), OccurredAt: time.UnixMicro(1), ActorLabel: "Alice", After: []byte(`{"a":1}`)})
	f.Add(r.encode())
	f.Add([]byte{})
	f.Add([]byte{5, 1, 2})
	f.Fuzz(func(t *testing.T, b []byte) {
		var r row
		if r.decode(b) == nil {
			var again row
			require.NoError(t, again.decode(r.encode()))
			require.Equal(t, r, again)
			r.event()
		}
		k := kept{Kind: kindOf("a.b", "success"), Manner: "a\nb\nc\nd", Body: b}
		if r, err := k.row(); err == nil {
			again := r.kept()
			back, err := again.sound()
			require.NoError(t, err)
			require.Equal(t, r, back)
			k.event(nil)
		}
	})
}

func FuzzPack(f *testing.F) {
	for _, s := range samples {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		d := decoder{rest: append(pack(nil, s), "rest"...)}
		var back string
		d.packed(&back)
		require.Equal(t, s, back)
		require.Equal(t, "rest", string(d.rest))
		require.False(t, d.failed)
	})
}

var samples = []string{"", "a", strings.Repeat("x", 30), strings.Repeat("x", 31), strings.Repeat("x", 300), "usr_01kz2eq400mw5kjxyjejm33exa", "usr_81kz2eq400mw5kjxyjejm33exa",
	"USR_01KZ2EQ400MW5KJXYJEJM33EXA", "thing_01kz2eq400mw5kjxyjejm33exa", "01kz2eq400mw5kjxyjejm33exa", "req_a3621c944b1a4d68f3e7a7fe83c57745", "a3621c944b1a4d68f3e7a7fe83c57745",
	"A3621c944b1a4d68f3e7a7fe83c57745", "0b8ee2a4-8b1c-4e0f-9a53-7d3f8e1c2a90", "job_0b8ee2a4-8b1c-4e0f-9a53-7d3f8e1c2a90", "req_mfrggzdfmztwq2lknnwg23tp", "\xff",
	strings.Repeat("p", 17) + "01kz2eq400mw5kjxyjejm33exa"}

func FuzzSqueeze(f *testing.F) {
	for _, s := range samples {
		f.Add([]byte(s))
	}
	f.Add([]byte(phrases))
	f.Add([]byte(strings.Repeat("ab", 70_000)))
	f.Add([]byte(`{"id":"usr_01kz2eq400mw5kjxyjejm33exa","owner":"usr_01kz2eq400mw5kjxyjejm33exa"}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		small := squeeze([]byte("x"), b)
		require.LessOrEqual(t, len(small), 1+len(b)+(len(b)+maxRun-1)/maxRun)
		back, ok := expand([]byte("y"), small[1:], len(b))
		require.True(t, ok)
		require.Equal(t, "y"+string(b), string(back))
		if out, ok := expand(nil, b, 1000); ok {
			require.LessOrEqual(t, len(out), 1000)
		}
	})
}

// TestPhrasesStay: what is stored was squeezed by these.
func TestPhrasesStay(t *testing.T) {
	require.Equal(t, "f9bbd4652ad0cda727005c0adcd843747441dd3bf438f888890359846a060710", fmt.Sprintf("%x", sha256.Sum256([]byte(phrases))))
}

func BenchmarkSqueeze(b *testing.B) {
	text := []byte("anna.abel0@example.com203.0.113.0Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.0.0 Safari/537.36" +
		`{"limit":"330","state":"active"}{"limit":"80","state":"paused"}`)
	small := squeeze(nil, text)
	b.Logf("%d bytes are %d", len(text), len(small))
	b.Run("squeeze", func(b *testing.B) {
		for b.Loop() {
			squeeze(small[:0:0], text)
		}
	})
	b.Run("expand", func(b *testing.B) {
		for b.Loop() {
			expand(nil, small, maxPersonal)
		}
	})
}

// TestIDsAreShort: ids of the forms that are in use take 17 bytes.
func TestIDsAreShort(t *testing.T) {
	for s, bytes := range map[string]int{"": 1, "usr_01kz2eq400mw5kjxyjejm33exa": 17, "req_a3621c944b1a4d68f3e7a7fe83c57745": 17, "req_mfrggzdfmztwq2lknnwg23tp": 16,
		"0b8ee2a4-8b1c-4e0f-9a53-7d3f8e1c2a90": 17, "thing_01kz2eq400mw5kjxyjejm33exa": 24, "platform": 9} {
		require.Len(t, pack(nil, s), bytes, s)
	}
	require.LessOrEqual(t, len(prefixes), spelled)
}

func TestEveryRowComesBack(t *testing.T) {
	text := func() string {
		if rand.N(3) == 0 {
			return samples[rand.N(len(samples))]
		}
		return string(rune('a'+rand.N(26))) + fmt.Sprint(rand.N(1000))
	}
	for range 1000 {
		e := Event{OrgID: text(), Seq: rand.Int64(), Time: time.UnixMicro(rand.Int64N(1 << 52)).UTC(), ID: []string{"evt_", ""}[rand.N(2)] + text(), TeamID: text(), Type: text(),
			Action: text(), ActorType: ActorType(text()), ActorID: text(), ActorLabel: text(), OnBehalfOf: text(), ResourceType: text(), ResourceID: text(),
			ResourceSlug: text(), Outcome: Outcome(text()), IP: text(), UserAgent: text(), RequestID: text(), Reason: text(), Before: []byte(`{"x":1}`), After: []byte(`{}`)}
		e.Category, e.OccurredAt = Category(e.Type), e.Time.Add(-time.Duration(rand.N(1000))*time.Microsecond)
		r := rowOf(&e)
		r.drawSalt()
		back, err := r.event()
		require.NoError(t, err)
		require.Equal(t, e, back)
		k := r.kept()
		again, err := k.sound()
		require.NoError(t, err)
		require.Equal(t, r, again)
		require.Equal(t, r.leaf(), k.leaf())
		entry := Entry{back, r.Salt}
		h, err := entry.Leaf()
		require.NoError(t, err)
		require.Equal(t, r.leaf(), h)

		r.Seq, r.Lag, r.Salt = 0, 0, nil // one that waits has no place, and no salt, which is drawn with it
		var waited row
		require.NoError(t, waited.decode(r.encode()))
		require.Equal(t, r, waited)
	}
}
