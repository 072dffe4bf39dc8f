package seal_test

import (
	"encoding/base64"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/orgkit/orgkit/store/seal"
)

var (
	siem   = seal.Place{OrgID: "org_1", Field: "siem.api_key"}
	canary = seal.NewSecret("canary-1")
)

func newKey(t testing.TB) seal.Key {
	k, err := seal.ParseKey(seal.GenerateKey())
	require.NoError(t, err)
	return k
}

func newSealer(t testing.TB, current seal.Key, older ...seal.Key) *seal.Sealer {
	s, err := seal.New(current, older...)
	require.NoError(t, err)
	return s
}

func sealed(t testing.TB, s *seal.Sealer, secret seal.Secret, at seal.Place) seal.Sealed {
	text, err := s.Seal(secret, at)
	require.NoError(t, err)
	return text
}

func TestWhatIsSealedOpens(t *testing.T) {
	key := newKey(t)
	s := newSealer(t, key)
	for _, text := range []string{"", "x", "canary-1", strings.Repeat("long ", 20_000), "\x00\xff", "seal1."} {
		v := sealed(t, s, seal.NewSecret(text), siem)
		require.Regexp(t, `^seal1\.[0-9a-f]{16}\.[A-Za-z0-9_-]{38,}$`, string(v))
		require.True(t, v.IsSet())
		require.Equal(t, key.ID(), v.KeyID())
		back, err := s.Open(v, siem)
		require.NoError(t, err)
		require.Equal(t, text, back.Reveal())
	}
}

func TestSealingTwiceGivesTwoTexts(t *testing.T) {
	s := newSealer(t, newKey(t))
	require.NotEqual(t, string(sealed(t, s, canary, siem)), string(sealed(t, s, canary, siem)))
}

func TestWithoutAKeyNothingIsSealed(t *testing.T) {
	v := sealed(t, newSealer(t, newKey(t)), canary, siem)
	for _, s := range []*seal.Sealer{nil, {}} {
		require.False(t, s.Ready())
		_, err := s.Seal(canary, siem)
		require.ErrorIs(t, err, seal.ErrNoKey)
		_, err = s.Open(v, siem)
		require.ErrorIs(t, err, seal.ErrNoKey)
		_, err = s.Reseal(v, siem)
		require.ErrorIs(t, err, seal.ErrNoKey)
		require.True(t, s.Stale(v))
		require.False(t, s.Stale(""))
	}
	_, err := seal.New(seal.Key{})
	require.ErrorIs(t, err, seal.ErrNoKey)
	_, err = seal.New(newKey(t), seal.Key{})
	require.ErrorIs(t, err, seal.ErrNoKey)
}

func TestASealedValueOpensInItsPlaceOnly(t *testing.T) {
	s := newSealer(t, newKey(t))
	at := seal.Place{OrgID: "org_1", Record: "hook_1", Field: "secret"}
	v := sealed(t, s, canary, at)
	for _, other := range []seal.Place{
		{OrgID: "org_2", Record: "hook_1", Field: "secret"},
		{OrgID: "org_1", Record: "hook_2", Field: "secret"},
		{OrgID: "org_1", Record: "hook_1", Field: "token"},
		{OrgID: "org_1", Field: "secret"},
		{OrgID: "org_1hook_1", Field: "secret"},
		{OrgID: "org_1", Field: "hook_1secret"},
		{OrgID: "org_1", Record: "hook_1s", Field: "ecret"},
		{OrgID: "org_1\x06hook_1", Field: "secret"},
	} {
		_, err := s.Open(v, other)
		require.ErrorIs(t, err, seal.ErrTampered, "%v", other)
	}
	for _, none := range []seal.Place{{}, {OrgID: "org_1"}, {Field: "secret"}, {Record: "hook_1", Field: "secret"}} {
		_, err := s.Seal(canary, none)
		require.ErrorIs(t, err, seal.ErrNoPlace)
		_, err = s.Open(v, none)
		require.ErrorIs(t, err, seal.ErrNoPlace)
	}
}

func TestNoByteCanBeChanged(t *testing.T) {
	s := newSealer(t, newKey(t), newKey(t))
	v := string(sealed(t, s, canary, siem))
	refused := func(text string) {
		t.Helper()
		got, err := s.Open(seal.Sealed(text), siem)
		require.Error(t, err, text)
		require.True(t, got.IsZero())
		require.NotContains(t, err.Error(), "canary")
	}
	for i := range v {
		for _, c := range "A0a-_.\n =\x00\xff" {
			if changed := v[:i] + string(c) + v[i+1:]; changed != v {
				refused(changed)
			}
		}
		refused(v[:i])
		refused(v[:i] + v[i+1:])
		refused(v[:i] + "\n" + v[i:])
	}
	refused(v + "A")
	refused(v + "=")
	refused(v + "\n")

	head, text, _ := cutLast(v)
	box, err := base64.RawURLEncoding.DecodeString(text)
	require.NoError(t, err)
	for i := range box {
		for bit := range 8 {
			box[i] ^= 1 << bit
			_, err := s.Open(seal.Sealed(head+"."+base64.RawURLEncoding.EncodeToString(box)), siem)
			require.ErrorIs(t, err, seal.ErrTampered)
			box[i] ^= 1 << bit
		}
	}
}

func cutLast(s string) (before, after string, ok bool) {
	i := strings.LastIndexByte(s, '.')
	return s[:i], s[i+1:], i >= 0
}

func TestTheKeyOfATextCannotBeExchanged(t *testing.T) {
	a, b := newKey(t), newKey(t)
	s := newSealer(t, a, b)
	v := string(sealed(t, s, canary, siem))
	_, err := s.Open(seal.Sealed(strings.Replace(v, a.ID(), b.ID(), 1)), siem)
	require.ErrorIs(t, err, seal.ErrTampered)
}

func TestWhatIsNotSealedIsSaidToBeSo(t *testing.T) {
	s := newSealer(t, newKey(t))
	for _, text := range []string{"", "canary", "seal1", "seal1.", "seal1..", "seal2." + strings.Repeat("a", 16) + ".AAAA", "[redacted]",
		"seal1." + strings.Repeat("a", 16) + "." + strings.Repeat("A", 36)} {
		_, err := s.Open(seal.Sealed(text), siem)
		require.ErrorIs(t, err, seal.ErrNotSealed, text)
		require.NotContains(t, err.Error(), "canary")
		require.Empty(t, seal.Sealed(text).KeyID())
	}
	require.False(t, seal.Sealed("").IsSet())
}

func TestRotation(t *testing.T) {
	former, current := newKey(t), newKey(t)
	v := sealed(t, newSealer(t, former), canary, siem)
	s := newSealer(t, current, former)
	require.True(t, s.Stale(v))
	back, err := s.Open(v, siem)
	require.NoError(t, err)
	require.True(t, back.Equal(canary))

	_, err = s.Reseal(v, seal.Place{OrgID: "org_2", Field: siem.Field})
	require.ErrorIs(t, err, seal.ErrTampered)
	renewed, err := s.Reseal(v, siem)
	require.NoError(t, err)
	require.False(t, s.Stale(renewed))
	require.Equal(t, current.ID(), renewed.KeyID())
	again, err := s.Reseal(renewed, siem)
	require.NoError(t, err)
	require.Equal(t, string(renewed), string(again))

	alone := newSealer(t, current) // the former key is dropped
	back, err = alone.Open(renewed, siem)
	require.NoError(t, err)
	require.True(t, back.Equal(canary))
	_, err = alone.Open(v, siem)
	require.ErrorIs(t, err, seal.ErrUnknownKey)
	var missing *seal.KeyError
	require.ErrorAs(t, err, &missing)
	require.Equal(t, former.ID(), missing.ID)
}

func TestASealerIsSafeForConcurrentUse(t *testing.T) {
	s := newSealer(t, newKey(t))
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 100 {
				v, err := s.Seal(canary, siem)
				if err != nil {
					t.Error(err)
				}
				if back, err := s.Open(v, siem); err != nil || !back.Equal(canary) {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
}

func FuzzOpen(f *testing.F) {
	key, err := seal.ParseKey("85QobO+ad+xr8521LVgGY1tmw1dbNmOEXX5+9yVvaUQ=")
	require.NoError(f, err)
	s := newSealer(f, key)
	v := string(sealed(f, s, canary, siem))
	for _, text := range []string{v, "", "seal1." + key.ID() + ".", v[:len(v)-1], v + ".", strings.ToUpper(v), "seal1.0123456789abcdef." + strings.Repeat("A", 40)} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		back, err := s.Open(seal.Sealed(text), siem)
		if text == v {
			require.NoError(t, err)
			require.True(t, back.Equal(canary))
			return
		}
		if err == nil { // a seed of another run: whole, and sealed with the same key
			require.True(t, back.Equal(canary))
			require.Equal(t, key.ID(), seal.Sealed(text).KeyID())
			return
		}
		require.True(t, back.IsZero())
	})
}

func FuzzSeal(f *testing.F) {
	s := newSealer(f, newKey(f))
	f.Add("secret", "org_1", "", "field")
	f.Add("", "", "hook_1", "")
	f.Fuzz(func(t *testing.T, text, org, record, field string) {
		at := seal.Place{OrgID: org, Record: record, Field: field}
		v, err := s.Seal(seal.NewSecret(text), at)
		if org == "" || field == "" {
			require.ErrorIs(t, err, seal.ErrNoPlace)
			return
		}
		require.NoError(t, err)
		back, err := s.Open(v, at)
		require.NoError(t, err)
		require.Equal(t, text, back.Reveal())
		_, err = s.Open(v, seal.Place{OrgID: org + record, Field: field})
		require.Equal(t, record == "", err == nil)
	})
}
