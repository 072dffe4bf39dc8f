package seal_test

import (
	"bytes"
	"context"
	"encoding/gob"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"path/filepath"
	"testing"
	"testing/fstest"

	"github.com/stretchr/testify/require"

	"github.com/orgkit/orgkit/store"
	"github.com/orgkit/orgkit/store/memory"
	"github.com/orgkit/orgkit/store/postgres"
	"github.com/orgkit/orgkit/store/seal"
	"github.com/orgkit/orgkit/store/sqlite"
	"github.com/orgkit/orgkit/store/storetest"
)

type holder struct {
	Token  seal.Secret
	Ptr    *seal.Secret
	List   []seal.Secret
	Map    map[string]seal.Secret
	Any    any
	Kept   seal.Sealed
	hidden seal.Secret
	nested *struct{ Token seal.Secret }
}

func TestNothingShowsASecret(t *testing.T) {
	s := seal.NewSecret("canary")
	kept := seal.Sealed("seal1.canary")
	h := holder{Token: s, Ptr: &s, List: []seal.Secret{s}, Map: map[string]seal.Secret{"k": s}, Any: s, Kept: kept, hidden: s,
		nested: &struct{ Token seal.Secret }{s}}
	values := []any{s, &s, kept, &kept, h, &h, []any{s, h}, map[string]any{"k": h}, fmt.Errorf("%v %w", s, errors.New(s.String()))}

	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%T", "%10.3v", "%!"} {
		for _, v := range values {
			require.NotContains(t, fmt.Sprintf(verb, v), "canary", verb)
			require.NotContains(t, fmt.Sprintf(verb, v), "63616e617279", verb) // in hex
		}
	}
	require.Equal(t, "[redacted] [redacted] [redacted]", fmt.Sprintf("%v %+v %#v", s, s, s))
	require.Equal(t, "[redacted] [redacted]", s.String()+" "+kept.String())
	require.Equal(t, "[redacted] [redacted]", s.GoString()+" "+kept.GoString())
	require.NotContains(t, fmt.Sprint(s, &s, kept, h), "canary")

	for _, v := range values {
		b, err := json.Marshal(v)
		require.NoError(t, err)
		require.NotContains(t, string(b), "canary")

		var out bytes.Buffer
		for _, handler := range []slog.Handler{slog.NewTextHandler(&out, nil), slog.NewJSONHandler(&out, nil)} {
			log := slog.New(handler)
			log.Info("m", "v", v)
			log.With("v", v).WithGroup("g").Info("m", slog.Any("v", v), slog.Group("h", "v", v))
		}
		require.NotContains(t, out.String(), "canary")
	}

	type element struct {
		Token seal.Secret
		Kept  seal.Sealed
	}
	b, err := xml.Marshal(element{s, kept})
	require.NoError(t, err)
	require.NotContains(t, string(b), "canary")
	var out bytes.Buffer
	_ = gob.NewEncoder(&out).Encode(struct {
		Name  string
		Token seal.Secret
	}{"n", s})
	require.NotContains(t, out.String(), "canary")
	require.Equal(t, "canary", s.Reveal())
}

func TestASecretIsReadFromJSON(t *testing.T) {
	type input struct {
		Token *seal.Secret `json:"token"`
	}
	var in input
	require.NoError(t, json.Unmarshal([]byte(`{"token": "canary"}`), &in))
	require.Equal(t, "canary", in.Token.Reveal())

	in = input{}
	require.NoError(t, json.Unmarshal([]byte(`{"token": null}`), &in))
	require.Nil(t, in.Token)

	for _, body := range []string{`{"token": 12345}`, `{"token": ["canary"]}`, `{"token": "[redacted]"}`} {
		err := json.Unmarshal([]byte(body), &in)
		require.Error(t, err)
		require.NotContains(t, err.Error(), "canary")
		require.NotContains(t, err.Error(), "12345")
	}
	var kept seal.Sealed
	require.Error(t, json.Unmarshal([]byte(`"seal1.canary"`), &kept))
}

func TestSecretsCompareByValue(t *testing.T) {
	a, b := seal.NewSecret("a"), seal.NewSecret("a")
	require.True(t, a.Equal(b))
	require.False(t, a.Equal(seal.NewSecret("b")))
	require.False(t, a.Equal(seal.Secret{}))
	require.True(t, seal.Secret{}.Equal(seal.NewSecret("")))
	require.True(t, seal.NewSecret("").IsZero())
	require.False(t, a.IsZero())
	require.Empty(t, seal.Secret{}.Reveal())
}

// Sink is a record with a secret.
type Sink struct {
	store.Meta
	OrgID  string
	APIKey seal.Sealed `json:"-"`
}

var sinks = store.Define[Sink]("sinks", "sink")

const sinksTable = `CREATE TABLE sinks (id TEXT PRIMARY KEY, version BIGINT NOT NULL, created_at TIMESTAMPTZ NOT NULL,
	updated_at TIMESTAMPTZ NOT NULL, org_id TEXT NOT NULL, api_key TEXT NOT NULL);`

func TestARecordKeepsASealedSecretOnEveryStore(t *testing.T) {
	tables := map[string]fs.FS{"sinks": fstest.MapFS{"0001_sinks.sql": {Data: []byte(sinksTable)}}}
	for name, open := range map[string]func(t *testing.T) (*store.Store, error){
		"memory": func(*testing.T) (*store.Store, error) { return memory.New(nil), nil },
		"sqlite": func(t *testing.T) (*store.Store, error) {
			return sqlite.Open(t.Context(), filepath.Join(t.TempDir(), "test.db"), &sqlite.Options{Migrations: tables})
		},
		"postgres": func(t *testing.T) (*store.Store, error) {
			return postgres.Open(t.Context(), storetest.Postgres(t), &postgres.Options{Migrations: tables})
		},
	} {
		t.Run(name, func(t *testing.T) {
			s, err := open(t)
			require.NoError(t, err)
			defer s.Close()
			sealer := newSealer(t, newKey(t))
			sink := Sink{OrgID: "org_1"}
			require.NoError(t, s.Update(t.Context(), func(ctx context.Context, tx *store.Tx) error {
				key, err := sealer.Seal(canary, siem)
				if err != nil {
					return err
				}
				sink.APIKey = key
				return sinks.Insert(ctx, tx, &sink)
			}))
			require.NoError(t, s.View(t.Context(), func(ctx context.Context, tx *store.Tx) error {
				got, err := sinks.Get(ctx, tx, sink.ID)
				if err != nil {
					return err
				}
				back, err := sealer.Open(got.APIKey, siem)
				require.True(t, back.Equal(canary))
				return err
			}))
		})
	}
}
