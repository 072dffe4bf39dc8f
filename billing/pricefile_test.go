package billing_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/require"

	"github.com/orgkit/orgkit/billing"
	"github.com/orgkit/orgkit/store"
)

const priceFile = `{
	"currency": "USD",
	"models": {
		"gpt-4o": [
			{"prices": {"input_token": "0.000005", "output_token": "0.000015"}},
			{"from": "2024-08-06T00:00:00Z", "prices": {"input_token": "0.0000025", "cached_input_token": "0.00000125", "output_token": "0.00001", "request": "0.001"}}
		],
		"dall-e-3": [{"prices": {"output_token": "0", "image": "0.000000000000001"}}]
	}
}`

func TestPricesAreRead(t *testing.T) {
	b, err := billing.ParsePrices(strings.NewReader(priceFile))
	require.NoError(t, err)
	require.Equal(t, "USD", b.Currency())
	require.Equal(t, []string{"dall-e-3", "gpt-4o"}, b.Models())
	v, ok := b.At("gpt-4o", august)
	require.True(t, ok)
	cost, err := v.Cost(billing.Usage{InputTokens: 1000, CachedTokens: 400, OutputTokens: 10})
	require.NoError(t, err)
	require.Equal(t, "0.0031", cost.String())
	v, ok = b.At("dall-e-3", august)
	require.True(t, ok)
	cost, err = v.Cost(billing.Usage{Images: 3})
	require.NoError(t, err)
	require.Equal(t, "0.000000000000003", cost.String(), "15 decimals")
	require.Equal(t, august, b.Versions("gpt-4o")[1].From)
}

func TestFaultyPriceFilesNameModelAndField(t *testing.T) {
	of := func(version string) string { return `{"currency": "USD", "models": {"m": [` + version + `]}}` }
	price := func(p string) string { return of(`{"prices": {"input_token": ` + p + `}}`) }
	for _, c := range []struct{ file, field, code string }{
		{``, "", "json"},
		{`[]`, "", "type"},
		{`{`, "", "json"},
		{`{"currency": "USD", "models": {}} {}`, "", "json"},
		{`{"currency": "USD"`, "", "json"},
		{`{"models": {}}`, "currency", "pattern"},
		{`{"currency": "usd", "models": {}}`, "currency", "pattern"},
		{`{"currency": 1}`, "currency", "type"},
		{`{"Currency": "USD"}`, "Currency", "unknown"},
		{`{"currency": "USD", "currency": "EUR"}`, "currency", "duplicate"},
		{`{"models": []}`, "models", "type"},
		{`{"models": {"m": {}}}`, "models.m", "type"},
		{`{"models": {"m": [], "m": []}}`, "models.m", "duplicate"},
		{of(`1`), "models.m[0]", "type"},
		{of(`{}`), "models.m[0].prices", "required"},
		{of(`{"prices": {}}`), "models.m[0].prices", "required"},
		{of(`{"prices": {"input_token": "1"}}, {"until": "2024-01-01T00:00:00Z"}`), "models.m[1].until", "unknown"},
		{of(`{"from": "2024-01-01", "prices": {"input_token": "1"}}`), "models.m[0].from", "pattern"},
		{of(`{"from": 1704067200, "prices": {"input_token": "1"}}`), "models.m[0].from", "type"},
		{of(`{"prices": {"input_tokens": "1"}}`), "models.m[0].prices.input_tokens", "unknown"},
		{of(`{"prices": {"input_token": "1", "input_token": "2"}}`), "models.m[0].prices.input_token", "duplicate"},
		{of(`{"prices": {"input_token": "1"}}, {"prices": {"input_token": "2"}}`), "models.m", "duplicate"},
		{price(`0.5`), "models.m[0].prices.input_token", "type"}, // billing edge 20, from here on
		{price(`null`), "models.m[0].prices.input_token", "type"},
		{price(`"1e1000000000"`), "models.m[0].prices.input_token", "pattern"},
		{price(`"1e400"`), "models.m[0].prices.input_token", "pattern"},
		{price(`"NaN"`), "models.m[0].prices.input_token", "pattern"},
		{price(`"Infinity"`), "models.m[0].prices.input_token", "pattern"},
		{price(`"-1"`), "models.m[0].prices.input_token", "pattern"},
		{price(`""`), "models.m[0].prices.input_token", "pattern"},
		{price(`"0.0000000000000001"`), "models.m[0].prices.input_token", "pattern"},
		{price(`"9224"`), "models.m[0].prices.input_token", "range"},
	} {
		_, err := billing.ParsePrices(strings.NewReader(c.file))
		var f *store.FieldError
		require.ErrorAs(t, err, &f, c.file)
		require.Equal(t, [2]string{c.field, c.code}, [2]string{f.Field, f.Code}, c.file)
	}
	broken := errors.New("disk")
	_, err := billing.ParsePrices(iotest.ErrReader(broken))
	require.ErrorIs(t, err, broken)
}

// FuzzParsePrices: what is read and written is read as the same again.
func FuzzParsePrices(f *testing.F) {
	f.Add(priceFile)
	f.Add(`{"currency":"USD","models":{"":[]}}`)
	f.Add(`{"currency":"EUR","models":{"m":[{"from":"0001-01-01T00:00:00Z","prices":{"request":"0"}}]}}`)
	f.Add("{\"currency\":\"USD\",\"models\":{\"\xff\":[{\"prices\":{\"image\":\"9223\"}}]}}")
	f.Fuzz(func(t *testing.T, file string) {
		b, err := billing.ParsePrices(strings.NewReader(file))
		if err != nil {
			require.ErrorIs(t, err, store.ErrInvalid)
			return
		}
		text, err := json.Marshal(b)
		require.NoError(t, err)
		again, err := billing.ParsePrices(strings.NewReader(string(text)))
		require.NoError(t, err)
		require.Equal(t, b.Currency(), again.Currency())
		require.Equal(t, b.Models(), again.Models())
		for _, m := range b.Models() {
			require.Equal(t, b.Versions(m), again.Versions(m), "ids are the same too")
		}
	})
}
