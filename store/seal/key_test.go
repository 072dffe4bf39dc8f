package seal_test

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/orgkit/orgkit/store/seal"
)

func TestParseKeyReadsBase64AndHex(t *testing.T) {
	raw := []byte("\xfb\xff\xbe\x61\x4d\xed\x83\x54\x13\x56\x50\x17\x69\xfc\xb5\xea\xb1\x28\x85\xec\xe5\x9c\x56\xa5\x47\x2dcanary")
	require.Len(t, raw, seal.KeySize)
	want, err := seal.NewKey(raw)
	require.NoError(t, err)
	require.Regexp(t, `^[0-9a-f]{16}$`, want.ID())
	for _, text := range []string{
		base64.StdEncoding.EncodeToString(raw), base64.RawStdEncoding.EncodeToString(raw),
		base64.URLEncoding.EncodeToString(raw), base64.RawURLEncoding.EncodeToString(raw),
		hex.EncodeToString(raw), strings.ToUpper(hex.EncodeToString(raw)), " " + base64.StdEncoding.EncodeToString(raw) + "\r\n",
	} {
		k, err := seal.ParseKey(text)
		require.NoError(t, err)
		require.Equal(t, want.ID(), k.ID())
	}
	other := newKey(t)
	require.NotEqual(t, want.ID(), other.ID())
}

func TestKeysThatAreNotRandomAreRefused(t *testing.T) {
	steps := make([]byte, seal.KeySize)
	for i := range steps {
		steps[i] = byte(7 * i)
	}
	dice := make([]byte, seal.KeySize) // few bytes in many orders
	for i := range dice {
		dice[i] = byte(1) << (i * i * i / 5 % 8)
	}
	for name, raw := range map[string][]byte{
		"nil": nil, "short": []byte("canary"), "16": make([]byte, 16), "31": make([]byte, 31), "33": make([]byte, 33), "zero": make([]byte, 32),
		"one byte": bytes.Repeat([]byte{0xa5}, 32), "a pattern": bytes.Repeat([]byte("\x00\x01\xfe\xff\x7f\x80\xaa\x55"), 4), "steps": steps,
		"a password": []byte("canary Correct#Horse=Battery;1283"[:32]), "dice": dice, "hex taken for bytes": []byte("00112233445566778899aabbccddeeff"),
	} {
		_, err := seal.NewKey(raw)
		require.ErrorIs(t, err, seal.ErrWeakKey, name)
		require.NotContains(t, err.Error(), "canary")
		for _, text := range []string{base64.StdEncoding.EncodeToString(raw), hex.EncodeToString(raw)} {
			_, err := seal.ParseKey(text)
			require.ErrorIs(t, err, seal.ErrWeakKey, name)
			if text != "" {
				require.NotContains(t, err.Error(), text)
			}
		}
	}
	for text, want := range map[string]string{"": "empty", " \n": "empty", "canary!": "neither", "canary": "bytes", strings.Repeat("canary00", 8): "bytes"} {
		_, err := seal.ParseKey(text)
		require.ErrorIs(t, err, seal.ErrWeakKey)
		require.ErrorContains(t, err, want)
		require.NotContains(t, err.Error(), "canary")
	}
}

func TestGeneratedKeysAreTaken(t *testing.T) {
	seen := map[string]bool{}
	for range 1000 {
		seen[newKey(t).ID()] = true
	}
	require.Len(t, seen, 1000)
}

func TestAKeyIsPrintedAsItsID(t *testing.T) {
	k := newKey(t)
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x"} {
		require.Equal(t, "seal.Key("+k.ID()+")", fmt.Sprintf(verb, k))
		require.Contains(t, fmt.Sprintf(verb, []any{k}), k.ID())
	}
}
