package audit_test

import (
	"bytes"
	"encoding/json"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/orgkit/orgkit/audit"
	"github.com/orgkit/orgkit/store"
	"github.com/orgkit/orgkit/store/storetest"
)

// piece is an export as files hold it.
type piece struct{ manifest, lines []byte }

// pieces exports a log bit by bit, from a sequence on, while it grows.
func (l signed) pieces(t *testing.T, org string, from int64) (list []piece) {
	t.Helper()
	for {
		var lines bytes.Buffer
		m, err := l.Export(t.Context(), &lines, org, from, 1500)
		require.NoError(t, err)
		if m.Size == m.First {
			return list
		}
		b, err := json.Marshal(m)
		require.NoError(t, err)
		list = append(list, piece{b, lines.Bytes()})
		if from = m.Size; len(list) == 3 {
			l.write(t, org, 4)
		}
	}
}

func (l signed) read(t *testing.T, list []piece, kept ...audit.Checkpoint) audit.Report {
	t.Helper()
	r := audit.NewReader(l.verifiers, kept...)
	for _, p := range list {
		var m audit.Manifest
		if err := json.Unmarshal(p.manifest, &m); err != nil {
			return audit.Report{Verdict: audit.Unchecked}
		}
		require.NoError(t, r.Read(m, bytes.NewReader(p.lines)))
	}
	return r.End()
}

func TestExportsAreOneLog(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store, _ *storetest.Clock) {
		l := newSigned(t, s)
		require.Empty(t, l.pieces(t, "org_1", 0))
		l.write(t, "org_1", 20)
		list := l.pieces(t, "org_1", 0)
		require.Greater(t, len(list), 4)
		r := l.read(t, list)
		require.Equal(t, audit.Intact, r.Verdict, r)
		require.EqualValues(t, 24, r.Covered)
		require.EqualValues(t, 24, r.Checked)

		require.Equal(t, audit.Intact, l.read(t, list[2:]).Verdict, "from the middle on")
		require.Equal(t, audit.Intact, l.read(t, list[:2]).Verdict)
		last, err := l.Checkpoint(t.Context(), "org_1")
		require.NoError(t, err)
		require.Equal(t, audit.Intact, l.read(t, list, last).Verdict)
		require.Equal(t, audit.Unchecked, l.read(t, list[:2], last).Verdict, "more was signed")
		for i := range list[1 : len(list)-1] {
			require.Equal(t, audit.Unchecked, l.read(t, slices.Delete(slices.Clone(list), i+1, i+2)).Verdict, "one is missing")
		}
		require.Equal(t, audit.Unchecked, l.read(t, append(slices.Clone(list), list[0])).Verdict)
		require.Equal(t, audit.Unchecked, l.read(t, nil).Verdict)
		stranger := newSigned(t, storetest.Open(t, "memory", store.Options{}))
		require.Equal(t, audit.Unchecked, stranger.read(t, list).Verdict, "without the key")

		keyless := audit.New(s, &audit.Options{NoBackground: true, Origin: origin})
		var lines bytes.Buffer
		m, err := keyless.Export(t.Context(), &lines, "org_1", 0, 0)
		require.NoError(t, err)
		b, err := json.Marshal(m)
		require.NoError(t, err)
		require.Equal(t, audit.Unchecked, l.read(t, []piece{{b, lines.Bytes()}}).Verdict)
	})
}

func TestAnExportOfARangeIsExactlyThat(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store, _ *storetest.Clock) {
		l := newSigned(t, s)
		l.write(t, "org_1", 20)
		var list []piece
		for _, r := range [][2]int64{{0, 1}, {1, 8}, {8, 20}} {
			var lines bytes.Buffer
			m, err := l.ExportRange(t.Context(), &lines, "org_1", r[0], r[1])
			require.NoError(t, err)
			require.Equal(t, r, [2]int64{m.First, m.Size})
			b, err := json.Marshal(m)
			require.NoError(t, err)
			list = append(list, piece{b, lines.Bytes()})
		}
		last, err := l.Checkpoint(t.Context(), "org_1")
		require.NoError(t, err)
		require.Equal(t, audit.Intact, l.read(t, list, last).Verdict)

		root, err := l.Root(t.Context(), "org_1", 20)
		require.NoError(t, err)
		require.Equal(t, last.Root, root)
		l.write(t, "org_1", 5)
		root, err = l.Root(t.Context(), "org_1", 20)
		require.NoError(t, err)
		require.Equal(t, last.Root, root, "what comes later changes nothing")
		for _, size := range []int64{-1, 0, 26} {
			_, err := l.Root(t.Context(), "org_1", size)
			require.ErrorIs(t, err, store.ErrNotFound)
		}
	})
}

// TestNoChangedExportIsGreen flips bits anywhere in exports and their manifests: of what is taken for intact the lines
// are the same. (A checkpoint that is missing in the middle is made up for by the next.)
func TestNoChangedExportIsGreen(t *testing.T) {
	l := newSigned(t, storetest.Open(t, "memory", store.Options{}))
	l.write(t, "org_1", 20)
	list := l.pieces(t, "org_1", 0)
	verdicts := map[audit.Verdict]int{}
	for range 20_000 / fewer {
		changed := slices.Clone(list)
		i := rand.N(len(list))
		p := piece{slices.Clone(list[i].manifest), slices.Clone(list[i].lines)}
		b := p.lines
		if rand.N(2) == 0 {
			b = p.manifest
		}
		for range 1 + rand.N(2) {
			b[rand.N(len(b))] ^= 1 << rand.N(8)
		}
		if changed[i] = p; bytes.Equal(p.lines, list[i].lines) && bytes.Equal(p.manifest, list[i].manifest) {
			continue
		}
		r := l.read(t, changed)
		verdicts[r.Verdict]++
		if r.Verdict == audit.Intact {
			require.Equal(t, list[i].lines, p.lines)
		}
	}
	t.Log(verdicts)
}
