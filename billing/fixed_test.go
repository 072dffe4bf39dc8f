package billing_test

import (
	"errors"
	"math"
	"math/big"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/orgkit/orgkit/billing"
	"github.com/orgkit/orgkit/store"
)

// wide is the answer in numbers of any size, or ErrRange where it does not fit.
func wide(n *big.Int) (billing.Pico, error) {
	if !n.IsInt64() {
		return 0, billing.ErrRange
	}
	return billing.Pico(n.Int64()), nil
}

// spread draws numbers of every size, and the ends of the range.
func spread(r *rand.Rand) int64 {
	n := int64(r.Uint64()) >> r.IntN(64)
	switch r.IntN(64) {
	case 0:
		return math.MaxInt64
	case 1:
		return math.MinInt64
	}
	return n
}

func TestAMillionSumsAndProducts(t *testing.T) { // billing edge 21
	r := rand.New(rand.NewPCG(1, 2))
	thousand, one := big.NewInt(1000), big.NewInt(1)
	overflows := 0
	for range 1_000_000 / fewer {
		a, b := spread(r), spread(r)
		x, y := big.NewInt(a), big.NewInt(b)
		ceil := new(big.Int).Mul(x, y)
		ceil.Add(ceil, big.NewInt(999)).Quo(ceil, thousand)
		if a < 0 || b < 0 {
			ceil.Lsh(one, 64) // refused
		}
		p, q := billing.Pico(a), billing.Pico(b)
		for _, c := range []struct {
			op   string
			is   func() (billing.Pico, error)
			want *big.Int
		}{
			{"+", func() (billing.Pico, error) { return p.Add(q) }, new(big.Int).Add(x, y)},
			{"-", func() (billing.Pico, error) { return p.Sub(q) }, new(big.Int).Sub(x, y)},
			{"*", func() (billing.Pico, error) { return p.Mul(b) }, new(big.Int).Mul(x, y)},
			{"cost", func() (billing.Pico, error) { return billing.Femto(a).Cost(b) }, ceil},
		} {
			got, err := c.is()
			want, wantErr := wide(c.want)
			if got != want || !errors.Is(err, wantErr) {
				t.Fatalf("%d %s %d is %d, %v and not %d, %v", a, c.op, b, got, err, want, wantErr)
			}
			if err != nil {
				overflows++
			}
		}
	}
	require.Greater(t, overflows, 100_000/fewer, "both sides of the range were met")
}

func TestAMillionUsagesCostWhatDecimalsSay(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	at := time.Now()
	var catalogue *billing.Catalogue
	var price billing.Price
	dear := 0
	for i := range 1_000_000 / fewer {
		if i%1000 == 0 {
			perMillion := func() decimal.Decimal { return decimal.New(r.Int64N(1<<(1+r.IntN(40))), -9) }
			price = billing.Price{InputPerMillion: perMillion(), OutputPerMillion: perMillion(), PerRequest: perMillion(), PerImage: perMillion()}
			if r.IntN(2) == 0 {
				c := perMillion()
				price.CachedInputPerMillion = &c
			}
			var err error
			catalogue, err = billing.NewCatalogue(billing.Model{ID: "m", Price: &price})
			require.NoError(t, err)
		}
		u := billing.Usage{InputTokens: r.Int64N(1 << (1 + r.IntN(49))), OutputTokens: r.Int64N(1 << (1 + r.IntN(49))), Images: r.Int64N(1 << (1 + r.IntN(20)))}
		u.CachedTokens = r.Int64N(u.InputTokens + 1)
		v, ok := catalogue.PriceAt("m", at)
		require.True(t, ok)
		exact := price.Cost(u)
		is, err := v.Cost(u)
		if err != nil || !is.Equal(exact) {
			t.Fatalf("%+v by %+v costs %s, %v and not %s", u, price, is, err, exact)
		}
		want := billing.Ceil12(exact)
		switch p, err := v.PicoCost(u); {
		case errors.Is(err, billing.ErrRange) && want.GreaterThan(billing.Pico(math.MaxInt64).Decimal()):
			dear++
		case err != nil || !p.Decimal().Equal(want):
			t.Fatalf("%+v by %+v costs %s, %v and not %s", u, price, p, err, want)
		}
	}
	require.NotZero(t, dear, "some cost more than fits")
}

func TestFixedPointIsTheDecimal(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		d := decimal.New(rapid.Int64Min(0).Draw(t, "coefficient"), rapid.Int32Range(-40, 10).Draw(t, "exponent"))
		up, errUp := billing.CeilPico(d)
		down, errDown := billing.FloorPico(d)
		top := billing.Pico(math.MaxInt64).Decimal()
		if d.GreaterThan(top) {
			require.ErrorIs(t, errUp, billing.ErrRange)
		} else {
			require.NoError(t, errUp)
			require.Equal(t, d.RoundCeil(12).String(), up.String())
		}
		if d.Truncate(12).GreaterThan(top) {
			require.ErrorIs(t, errDown, billing.ErrRange)
		} else {
			require.NoError(t, errDown)
			require.Equal(t, d.RoundFloor(12).String(), down.String())
		}
		switch f, err := billing.ExactFemto(d); {
		case d.Truncate(15).GreaterThan(billing.Femto(math.MaxInt64).Decimal()):
			require.ErrorIs(t, err, billing.ErrRange)
		case !d.Truncate(15).Equal(d):
			require.ErrorIs(t, err, billing.ErrInexact)
		default:
			require.NoError(t, err)
			require.True(t, f.Decimal().Equal(d))
		}
	})
}

// bombs are decimals that cost a gigabyte as soon as one computes with them, and others that are out of
// all bounds.
func bombs() []decimal.Decimal {
	return []decimal.Decimal{decimal.New(1, 1_000_000_000), decimal.New(1, -1_000_000_000), decimal.New(0, 1_000_000_000), decimal.New(0, -1_000_000_000),
		decimal.New(-1, 1_000_000_000), decimal.New(1, 400), decimal.New(1, -401), usd("1000000000000000000"), usd("-0.01")}
}

func TestHostileAmountsAreRefusedUncomputed(t *testing.T) { // billing edge 20
	for _, d := range bombs() {
		began := time.Now()
		_, err := billing.CeilPico(d)
		require.ErrorIs(t, err, billing.ErrRange)
		_, err = billing.FloorPico(d)
		require.ErrorIs(t, err, billing.ErrRange)
		_, err = billing.ExactFemto(d)
		require.ErrorIs(t, err, billing.ErrRange)
		require.ErrorIs(t, billing.Usage{Cost: &d}.Validate(), store.ErrInvalid)
		_, err = (*billing.Catalogue)(nil).EstimateUpperBound("m", began, billing.Usage{Cost: &d})
		require.ErrorIs(t, err, store.ErrInvalid)
		_, err = (*billing.Catalogue)(nil).MaxTokensFor("m", began, d, billing.Usage{})
		require.ErrorIs(t, err, store.ErrInvalid)
		_, err = billing.NewCatalogue(billing.Model{ID: "m", Price: &billing.Price{PerImage: d}})
		require.ErrorIs(t, err, store.ErrInvalid)
		require.Less(t, time.Since(began), time.Second)
	}
	for _, f := range []float64{math.MaxFloat64 / 1e300, math.SmallestNonzeroFloat64} { // what any upstream's float may be
		d := decimal.NewFromFloat(f)
		require.NoError(t, billing.Usage{Cost: &d}.Validate())
	}
	p, err := billing.CeilPico(decimal.NewFromFloat(math.SmallestNonzeroFloat64))
	require.NoError(t, err)
	require.EqualValues(t, 1, p)
}

func TestTheHotPathAllocatesNothing(t *testing.T) {
	c, err := billing.NewCatalogue(billing.Model{ID: "m", Aliases: []string{"n"}, MaxOutputTokens: 4096, Price: &billing.Price{InputPerMillion: usd("2.5"), OutputPerMillion: usd("10")}})
	require.NoError(t, err)
	at, left := time.Now(), usd("12.34")
	u := billing.Usage{InputTokens: 1000, OutputTokens: 400}
	require.Zero(t, testing.AllocsPerRun(100, func() {
		e, err := c.EstimateUpperBound("n", at, u)
		hold, err2 := e.Pico()
		cost, err3 := e.Price.PicoCost(u)
		over, err4 := hold.Sub(cost)
		n, err5 := c.MaxTokensFor("n", at, left, u)
		if errors.Join(err, err2, err3, err4, err5) != nil || over != 0 || n != 4096 {
			t.Fatal(over, n)
		}
	}))
}

// FuzzFixed holds the conversions against fractions.
func FuzzFixed(f *testing.F) {
	for _, s := range []string{"0", "0.000000000001", "9223372.036854775807", "9223372.036854775808", "0.0000046875", "1e1000000000", "-1", "123456789012345678901234567890e-20"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if len(s) > 1000 {
			return
		}
		d, err := decimal.NewFromString(s)
		if err != nil {
			return
		}
		up, errUp := billing.CeilPico(d)
		down, errDown := billing.FloorPico(d)
		if errUp != nil {
			require.ErrorIs(t, errUp, billing.ErrRange)
			return
		}
		require.NoError(t, errDown)
		pico := new(big.Rat).Mul(d.Rat(), new(big.Rat).SetInt64(1_000_000_000_000))
		lo, hi := new(big.Rat).SetInt64(int64(down)), new(big.Rat).SetInt64(int64(up))
		require.True(t, lo.Cmp(pico) <= 0 && pico.Cmp(hi) <= 0 && up-down <= 1, "%s is not in [%d, %d]", s, down, up)
		require.Equal(t, pico.IsInt(), up == down)
	})
}

var sink billing.Pico

func BenchmarkCost(b *testing.B) {
	f := billing.Femto(2_500_000_000)
	for i := range b.N {
		p, err := f.Cost(int64(i&0xffff) + 1)
		if err != nil {
			b.Fatal(err)
		}
		sink = p
	}
}

func BenchmarkAdd(b *testing.B) {
	for i := range b.N {
		p, err := billing.Pico(i).Add(billing.Pico(i))
		if err != nil {
			b.Fatal(err)
		}
		sink = p
	}
}

func BenchmarkCeilPico(b *testing.B) {
	d := usd("0.0125")
	b.ReportAllocs()
	for range b.N {
		p, err := billing.CeilPico(d)
		if err != nil {
			b.Fatal(err)
		}
		sink = p
	}
}

func BenchmarkEstimate(b *testing.B) {
	c, err := billing.NewCatalogue(billing.Model{ID: "m", MaxOutputTokens: 4096, Price: &billing.Price{InputPerMillion: usd("2.5"), OutputPerMillion: usd("10")}})
	require.NoError(b, err)
	at := time.Now()
	b.ReportAllocs()
	for i := range b.N {
		e, err := c.EstimateUpperBound("m", at, billing.Usage{InputTokens: int64(i & 0xffff)})
		if err != nil {
			b.Fatal(err)
		}
		if sink, err = e.Pico(); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkPicoCost(b *testing.B) {
	c, err := billing.NewCatalogue(billing.Model{ID: "m", Price: &billing.Price{InputPerMillion: usd("2.5"), OutputPerMillion: usd("10")}})
	require.NoError(b, err)
	v, _ := c.PriceAt("m", time.Now())
	b.ReportAllocs()
	for i := range b.N {
		p, err := v.PicoCost(billing.Usage{InputTokens: int64(i & 0xffff), OutputTokens: 400})
		if err != nil {
			b.Fatal(err)
		}
		sink = p
	}
}
