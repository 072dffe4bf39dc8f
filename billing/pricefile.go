package billing

import (
	"encoding/json"
	"errors"
	"io"
	"regexp"
	"strings"
	"time"

	"github.com/shopspring/decimal"

	"github.com/orgkit/orgkit/store"
)

// priceForm is a price as a file may have it: its digits are few, whatever it says (billing edge 20).
var priceForm = regexp.MustCompile(`^(0|[1-9][0-9]{0,3})(\.[0-9]{1,15})?$`)

// maxVersions bounds the versions of one model in a file.
const maxVersions = 10_000

// ParsePrices reads a book of prices:
//
//	{
//	  "currency": "USD",
//	  "models": {
//	    "gpt-4o": [
//	      {"prices": {"input_token": "0.000005", "output_token": "0.000015"}},
//	      {"from": "2024-08-06T00:00:00Z",
//	       "prices": {"input_token": "0.0000025", "cached_input_token": "0.00000125", "output_token": "0.00001"}}
//	    ],
//	    "dall-e-3": [{"prices": {"output_token": "0", "image": "0.04"}}]
//	  }
//	}
//
// Each version of a model has the price of one unit for each of its [Unit]s, as a plain decimal in a string, with at most
// 15 decimals. It counts from the instant of from on (RFC 3339), which the first one need not have. A unit
// that is left out is not free but unknown, apart from cached_input_token, which then is an input_token, and
// request. Versions stay in the file when newer ones come: they are what older calls settle by.
//
// A field that is not known, or is there twice, and anything else that is wrong, is a *store.FieldError
// that names the model and the field. Errors of the reader are returned as they are.
func ParsePrices(r io.Reader) (*Book, error) {
	f := priceFile{dec: json.NewDecoder(r)}
	f.dec.UseNumber()
	err := f.object("", func(name string) error {
		switch name {
		case "currency":
			return f.text(name, &f.currency)
		case "models":
			return f.object(name, f.versions)
		}
		return store.Invalid(name, "unknown", "is not known")
	})
	if err != nil {
		return nil, err
	}
	if _, err := f.dec.Token(); !errors.Is(err, io.EOF) {
		return nil, notJSON("", err)
	}
	return NewBook(f.currency, f.prices...)
}

// priceFile reads a file token by token: encoding/json itself would let names pass that come twice.
type priceFile struct {
	dec      *json.Decoder
	currency string
	prices   []ModelPrice
}

func (f *priceFile) versions(model string) error {
	if err := f.bracket('[', "models."+model, "must be a list of versions"); err != nil {
		return err
	}
	for i := 0; f.dec.More(); i++ {
		if i == maxVersions {
			return store.Invalid("models."+model, "range", "must have at most %d versions", maxVersions)
		}
		p, at := ModelPrice{Model: model}, versionField(model, i)
		err := f.object(at, func(name string) error {
			switch name {
			case "from":
				return f.instant(at+".from", &p.From)
			case "prices":
				return f.object(at+".prices", func(unit string) error { return f.component(at+".prices."+unit, unit, &p) })
			}
			return store.Invalid(at+"."+name, "unknown", "is not known")
		})
		if err != nil {
			return err
		}
		f.prices = append(f.prices, p)
	}
	return f.bracket(']', "models."+model, "must be a list of versions")
}

func (f *priceFile) component(field, unit string, p *ModelPrice) error {
	var s string
	if err := f.text(field, &s); err != nil {
		return err
	}
	if !priceForm.MatchString(s) {
		return store.Invalid(field, "pattern", "must be a plain decimal that is not negative, with at most 4 digits before and 15 after the point")
	}
	d, err := decimal.NewFromString(s)
	p.Components = append(p.Components, Component{Unit(unit), d})
	return err
}

func (f *priceFile) instant(field string, into *time.Time) error {
	var s string
	if err := f.text(field, &s); err != nil {
		return err
	}
	t, err := time.Parse(time.RFC3339, s)
	if y := t.UTC().Year(); err != nil || y < 1 || y > 9999 {
		return store.Invalid(field, "pattern", "must be an instant of RFC 3339")
	}
	*into = t
	return nil
}

// object reads an object; value reads what stands behind each of its names.
func (f *priceFile) object(at string, value func(name string) error) error {
	if err := f.bracket('{', at, "must be an object"); err != nil {
		return err
	}
	seen := map[string]bool{}
	for f.dec.More() {
		var name string
		if err := f.text(at, &name); err != nil {
			return err
		}
		if seen[name] {
			return store.Invalid(strings.TrimPrefix(at+"."+name, "."), "duplicate", "is there already")
		}
		seen[name] = true
		if err := value(name); err != nil {
			return err
		}
	}
	return f.bracket('}', at, "must be an object")
}

// bracket reads one.
func (f *priceFile) bracket(want json.Delim, at, message string) error {
	switch t, err := f.dec.Token(); {
	case err != nil:
		return notJSON(at, err)
	case t != want:
		return store.Invalid(at, "type", "%s", message)
	}
	return nil
}

// text reads a string: a number would have been a float somewhere before.
func (f *priceFile) text(field string, into *string) error {
	t, err := f.dec.Token()
	if err != nil {
		return notJSON(field, err)
	}
	s, ok := t.(string)
	if !ok {
		return store.Invalid(field, "type", "must be a string")
	}
	*into = s
	return nil
}

// notJSON tells what is no JSON from what could not be read.
func notJSON(at string, err error) error {
	var syntax *json.SyntaxError
	if err == nil || errors.As(err, &syntax) || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return store.Invalid(at, "json", "is not valid JSON")
	}
	return err
}

// MarshalJSON writes the book as [ParsePrices] reads it.
func (b *Book) MarshalJSON() ([]byte, error) {
	type version struct {
		From   *time.Time      `json:"from,omitempty"`
		Prices map[Unit]string `json:"prices"`
	}
	models := map[string][]version{}
	for _, name := range b.Models() {
		for _, v := range b.models[name] {
			out := version{Prices: map[Unit]string{}}
			if !v.From.IsZero() {
				out.From = &v.From
			}
			for _, c := range v.Components() {
				out.Prices[c.Unit] = c.Price.String()
			}
			models[name] = append(models[name], out)
		}
	}
	return json.Marshal(struct {
		Currency string               `json:"currency"`
		Models   map[string][]version `json:"models"`
	}{b.Currency(), models})
}
