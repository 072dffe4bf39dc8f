package rest

import (
	"encoding/json"

	"github.com/danielgtaylor/huma/v2"
	"github.com/shopspring/decimal"
)

// decimalNumber is a decimal that is written as a plain number, without an exponent, and may be negative.
type decimalNumber struct{ d decimal.Decimal }

func number(d decimal.Decimal) decimalNumber { return decimalNumber{d} }

// numberOf is nil where there is none.
func numberOf(d *decimal.Decimal) *decimalNumber {
	if d == nil {
		return nil
	}
	return &decimalNumber{*d}
}

// MarshalJSON writes a plain number.
func (n decimalNumber) MarshalJSON() ([]byte, error) { return []byte(n.d.String()), nil }

// Schema describes it to clients.
func (decimalNumber) Schema(huma.Registry) *huma.Schema { return &huma.Schema{Type: huma.TypeNumber} }

// maybeAmount is a decimal, or null where nothing is known.
type maybeAmount struct{ d *decimal.Decimal }

// MarshalJSON writes a plain number, or null.
func (n maybeAmount) MarshalJSON() ([]byte, error) {
	if n.d == nil {
		return []byte("null"), nil
	}
	return decimalNumber{*n.d}.MarshalJSON()
}

// Schema describes it to clients.
func (maybeAmount) Schema(huma.Registry) *huma.Schema {
	return orNull(huma.TypeNumber)
}

// nullable64 is a whole number, or null where nothing is known.
type nullable64 struct{ n *int64 }

// MarshalJSON writes a number, or null.
func (n nullable64) MarshalJSON() ([]byte, error) { return json.Marshal(n.n) }

// Schema describes it to clients.
func (nullable64) Schema(huma.Registry) *huma.Schema {
	return orNull(huma.TypeInteger)
}

// orNull is the schema of a type that may be null: one that Huma keeps where the field may be absent as well.
func orNull(typ string) *huma.Schema {
	return &huma.Schema{OneOf: []*huma.Schema{{Type: typ}, {Type: "null"}}}
}
