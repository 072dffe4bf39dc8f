package audit

import (
	"encoding/json"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/require"

	"github.com/orgkit/orgkit/store"
)

type inner struct {
	A *string           `json:"a,omitempty"`
	M map[string]string `json:"m"`
	L []int64           `json:"l,omitempty"`
}

type shapedRecord struct {
	store.Meta
	Name   string          `json:"na<me"`
	Left   string          `json:"left,omitempty"`
	Plain  int64           // under its own name
	Secret string          `json:"-"`
	Dash   string          `json:"na>me"`
	Amount decimal.Decimal `json:"amount"`
	At     *time.Time      `json:"at,omitempty"`
	Raw    json.RawMessage `json:"raw,omitempty"`
	In     inner           `json:"in"`
	Ins    []inner         `json:"ins,omitempty"`
	Any    any             `json:"any,omitempty"`
	On     bool            `json:"on,omitempty"`
	hidden string
}

// Such ones are written whole.
type (
	doubled struct {
		store.Meta
		ID string `json:"id"`
	}
	quoted struct {
		N int64 `json:",string"`
	}
	itself  struct{ X string }
	linked  struct{ *inner }
	late    struct{ In lateOne }
	lateOne struct{ x string }
	zeroed  struct {
		T time.Time `json:"t,omitzero"`
	}
)

func (*lateOne) MarshalJSON() ([]byte, error) { return []byte(`{"late":1}`), nil }

func (itself) MarshalJSON() ([]byte, error) { return []byte(`{"y":1}`), nil }

func (r *shapedRecord) draw(d *rand.Rand) {
	text := func() string { return []string{"", "a", "b", `"<&`, "ü"}[d.IntN(5)] }
	for range 1 + d.IntN(4) {
		switch d.IntN(14) {
		case 0:
			r.ID = text()
		case 1:
			r.Version, r.UpdatedAt = d.Int64N(9), time.Unix(d.Int64N(9), 0).UTC()
		case 2:
			r.Name, r.Dash = text(), text()
		case 3:
			r.Left = text()
		case 4:
			r.Plain = d.Int64N(3)
		case 5:
			r.Secret, r.hidden = text(), text()
		case 6:
			r.Amount = decimal.New(d.Int64N(3)*10, int32(d.IntN(3))-1)
		case 7:
			if r.At = nil; d.IntN(2) == 0 {
				at := time.Unix(d.Int64N(3), 0).In([]*time.Location{time.UTC, time.FixedZone("UTC", 0), time.FixedZone("", 3600)}[d.IntN(3)])
				r.At = &at
			}
		case 8:
			r.Raw = []json.RawMessage{nil, {}, json.RawMessage(`{"a": 1}`), json.RawMessage(`{"a":1}`), json.RawMessage(`null`)}[d.IntN(5)]
		case 9:
			a := text()
			r.In = []inner{{}, {A: &a}, {M: map[string]string{}}, {M: map[string]string{"x": text()}, L: []int64{}}}[d.IntN(4)]
		case 10:
			r.Ins = [][]inner{nil, {}, {{}}, {{M: map[string]string{"x": text()}}, {}}}[d.IntN(4)]
		case 11:
			r.Any = []any{nil, 1, 1.0, text(), map[string]any{"k": text()}}[d.IntN(5)]
		case 12:
			r.On = !r.On
		}
	}
}

// TestADifferenceByFieldsIsThatOfTheWhole compares both ways over random changes.
func TestADifferenceByFieldsIsThatOfTheWhole(t *testing.T) {
	d := rand.New(rand.NewPCG(uint64(time.Now().UnixNano()), 1))
	same := func(before, after any) {
		t.Helper()
		b, a, err := difference(before, after)
		wantB, wantA, wantErr := differenceOfWhole(before, after)
		require.Equal(t, wantErr == nil, err == nil)
		require.Equal(t, string(wantB), string(b))
		require.Equal(t, string(wantA), string(a))
	}
	was := &shapedRecord{}
	shaped := func(before, after any) bool {
		s, _, _ := shapeOf(before, after)
		return s != nil
	}
	require.True(t, shaped(was, *was))
	for range 20_000 {
		is := *was
		is.draw(d)
		same(was, &is)
		same(*was, &is)
		was = &is
	}
	for _, c := range [][2]any{
		{&doubled{ID: "a"}, &doubled{ID: "b"}}, {&quoted{1}, &quoted{2}}, {&itself{"a"}, &itself{"b"}}, {&linked{&inner{L: []int64{1}}}, &linked{}}, {&late{}, late{lateOne{"b"}}}, {&zeroed{}, &zeroed{time.Unix(1, 0)}},
	} {
		require.False(t, shaped(c[0], c[1]), "%T", c[0])
		same(c[0], c[1])
	}
	same(was, *was)
	same(nil, was)
	same((*shapedRecord)(nil), was)
	same(&shapedRecord{Raw: json.RawMessage("{")}, was)
}

func BenchmarkDifference(b *testing.B) {
	before := &shapedRecord{Meta: store.Meta{ID: "team_1", Version: 1}, Name: "Engineering", Left: "a", In: inner{M: map[string]string{"a": "b"}}}
	after := *before
	after.Name, after.Version = "Research", 2
	for name, of := range map[string]func(_, _ any) (_, _ json.RawMessage, _ error){"fields": difference, "whole": differenceOfWhole} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				_, _, _ = of(before, &after)
			}
		})
	}
}
