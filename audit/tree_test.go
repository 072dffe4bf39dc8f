package audit

import (
	"fmt"
	"math/rand/v2"
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
			got, ok := (&leaf{Hashes: completed}).hash(i)
			require.True(t, ok)
			require.Equal(t, want, got)
		}
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
		if r.decode(b) != nil {
			return
		}
		var again row
		require.NoError(t, again.decode(r.encode()))
		require.Equal(t, r, again)
		r.event()
	})
}

func TestEveryRowComesBack(t *testing.T) {
	text := func() string { return string(rune('a'+rand.N(26))) + fmt.Sprint(rand.N(1000)) }
	for range 1000 {
		e := Event{OrgID: text(), Seq: rand.Int64(), Time: time.UnixMicro(rand.Int64N(1 << 52)).UTC(), ID: []string{"evt_", ""}[rand.N(2)] + text(), TeamID: text(), Type: text(),
			Action: text(), ActorType: ActorType(text()), ActorID: text(), ActorLabel: text(), OnBehalfOf: text(), ResourceType: text(), ResourceID: text(),
			ResourceSlug: text(), Outcome: Outcome(text()), IP: text(), UserAgent: text(), RequestID: text(), Reason: text(), Before: []byte(`{"x":1}`), After: []byte(`{}`)}
		e.Category, e.OccurredAt = Category(e.Type), e.Time.Add(-time.Duration(rand.N(1000))*time.Microsecond)
		r := rowOf(&e)
		back, err := r.event()
		require.NoError(t, err)
		require.Equal(t, e, back)
		var again row
		require.NoError(t, again.decode(r.encode()))
		require.Equal(t, r, again)
		entry := Entry{back, r.Salt}
		h, err := entry.Leaf()
		require.NoError(t, err)
		require.Equal(t, r.leaf(), h)
	}
}
