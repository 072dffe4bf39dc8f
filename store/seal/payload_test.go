package seal_test

import (
	"bytes"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/orgkit/orgkit/store/seal"
)

var event = seal.Place{OrgID: "org_1", Record: "evt_1", Field: "audit.event"}

func payload(t testing.TB, s *seal.Sealer, b []byte, at seal.Place) []byte {
	t.Helper()
	box, err := s.SealPayload(b, at)
	require.NoError(t, err)
	return box
}

func TestPayloadsOpenWhereTheyWereSealedFor(t *testing.T) {
	key := newKey(t)
	s := newSealer(t, key)
	for _, b := range [][]byte{{}, []byte("x"), bytes.Repeat([]byte{0, 255}, 50_000)} {
		box := payload(t, s, b, event)
		require.Len(t, box, len(b)+36)
		if len(b) > 8 {
			require.NotContains(t, string(box), string(b))
		}
		back, err := s.OpenPayload(box, event)
		require.NoError(t, err)
		require.Equal(t, string(b), string(back))
	}
	box := payload(t, s, []byte("canary"), event)
	require.NotEqual(t, box, payload(t, s, []byte("canary"), event))
	for _, at := range []seal.Place{{OrgID: "org_2", Record: "evt_1", Field: "audit.event"}, {OrgID: "org_1", Record: "evt_2", Field: "audit.event"},
		{OrgID: "org_1", Record: "evt_1", Field: "audit.even"}} {
		_, err := s.OpenPayload(box, at)
		require.ErrorIs(t, err, seal.ErrTampered, at)
	}
	for i := range box {
		changed := bytes.Clone(box)
		changed[i] ^= 1
		_, err := s.OpenPayload(changed, event)
		require.Error(t, err, i)
	}
	for n := range box {
		_, err := s.OpenPayload(box[:n], event)
		require.Error(t, err, n)
	}
	_, err := s.SealPayload(nil, seal.Place{OrgID: "org_1"})
	require.ErrorIs(t, err, seal.ErrNoPlace)
	_, err = s.OpenPayload(box, seal.Place{Field: "audit.event"})
	require.ErrorIs(t, err, seal.ErrNoPlace)
	require.NotContains(t, fmt.Sprintf("%+v %#v %s", s, key, key), "canary")
}

func TestPayloadsAndMarksFollowTheKeys(t *testing.T) {
	old, fresh := newKey(t), newKey(t)
	before, after := newSealer(t, old), newSealer(t, fresh, old)
	box := payload(t, before, []byte("canary"), event)
	back, err := after.OpenPayload(box, event)
	require.NoError(t, err)
	require.Equal(t, "canary", string(back))
	_, err = newSealer(t, fresh).OpenPayload(box, event)
	require.ErrorIs(t, err, seal.ErrUnknownKey)
	require.True(t, after.StalePayload(box))
	require.False(t, before.StalePayload(box))
	require.True(t, before.StalePayload(nil))

	marks := func(s *seal.Sealer, text string, at seal.Place) []uint64 {
		list, err := s.Marks(text, at)
		require.NoError(t, err)
		return list
	}
	name := seal.Place{OrgID: "org_1", Field: "audit.name"}
	was := marks(before, "alice@acme.com", name)
	require.Len(t, was, 1)
	require.Equal(t, was, marks(before, "alice@acme.com", name))
	now := marks(after, "alice@acme.com", name)
	require.Len(t, now, 2)
	require.Equal(t, was[0], now[1], "what was marked under the older key is found")
	require.NotEqual(t, was[0], now[0])
	for _, other := range []seal.Place{{OrgID: "org_2", Field: "audit.name"}, {OrgID: "org_1", Field: "audit.other"}} {
		require.NotEqual(t, was, marks(before, "alice@acme.com", other))
	}
	require.NotEqual(t, was, marks(before, "bob@acme.com", name))
	_, err = before.Marks("x", seal.Place{OrgID: "org_1"})
	require.ErrorIs(t, err, seal.ErrNoPlace)
}

func TestWithoutAKeyNoPayloadIsSealed(t *testing.T) {
	box := payload(t, newSealer(t, newKey(t)), []byte("canary"), event)
	for _, s := range []*seal.Sealer{nil, {}} {
		_, err := s.SealPayload([]byte("canary"), event)
		require.ErrorIs(t, err, seal.ErrNoKey)
		_, err = s.OpenPayload(box, event)
		require.ErrorIs(t, err, seal.ErrNoKey)
		_, err = s.Marks("canary", event)
		require.ErrorIs(t, err, seal.ErrNoKey)
	}
}

func BenchmarkPayload(b *testing.B) {
	s := newSealer(b, newKey(b))
	text := bytes.Repeat([]byte("x"), 300)
	b.Run("seal", func(b *testing.B) {
		for b.Loop() {
			payload(b, s, text, event)
		}
	})
	b.Run("of another organization each time", func(b *testing.B) {
		at := event
		for i := 0; b.Loop(); i++ {
			at.OrgID = []string{"org_1", "org_2"}[i%2]
			payload(b, s, text, at)
		}
	})
}
