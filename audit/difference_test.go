package audit

import (
	"bytes"
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"
)

// FuzzDifference holds the difference of two objects against that of their maps.
func FuzzDifference(f *testing.F) {
	for _, s := range []string{`{}`, `null`, `{"a":1,"b":"x"}`, `{"a":2,"b":"x","version":1}`, `{"a":{"b":[1,{"c":"]}\\"}]},"version":2,"updated_at":"t"}`, `{"\"":"\\","":null}`, `[1]`, `"x"`} {
		f.Add(s, `{"a":1,"version":3}`)
		f.Add(`{"a":{"b":[]},"z":"{"}`, s)
	}
	f.Fuzz(func(t *testing.T, before, after string) {
		if !json.Valid([]byte(before)) || !json.Valid([]byte(after)) || doubles(t, before) || doubles(t, after) {
			return
		}
		var was, is map[string]json.RawMessage
		b, a, err := difference(json.RawMessage(before), json.RawMessage(after))
		if json.Unmarshal([]byte(before), &was) != nil || json.Unmarshal([]byte(after), &is) != nil {
			require.Error(t, err)
			return
		}
		require.NoError(t, err)
		if was != nil && is != nil {
			for name, v := range was {
				if other, ok := is[name]; ok && (bytes.Equal(plain(t, v), plain(t, other)) || name == "version" || name == "updated_at") {
					delete(was, name)
					delete(is, name)
				}
			}
		}
		for _, c := range []struct {
			got  json.RawMessage
			want map[string]json.RawMessage
		}{{b, was}, {a, is}} {
			if c.want == nil {
				require.Nil(t, c.got)
				continue
			}
			want, err := json.Marshal(c.want)
			require.NoError(t, err)
			require.JSONEq(t, string(want), string(c.got))
		}
	})
}

// plain is a value as json.Marshal writes it.
func plain(t *testing.T, v json.RawMessage) []byte {
	b, err := json.Marshal(v)
	require.NoError(t, err)
	return b
}

// doubles says whether an object has a name twice, or one that can be written in several ways: no record has.
func doubles(t *testing.T, s string) bool {
	if s = string(plain(t, json.RawMessage(s))); s[0] != '{' {
		return false
	}
	list, err := fields(json.RawMessage(s))
	require.NoError(t, err)
	seen := map[string]bool{}
	for _, f := range list {
		var name string
		require.NoError(t, json.Unmarshal(f.name, &name))
		if again, err := json.Marshal(name); err != nil || seen[name] || string(again) != string(f.name) {
			return true
		}
		seen[name] = true
	}
	return false
}
