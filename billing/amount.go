package billing

import (
	"database/sql/driver"

	"github.com/shopspring/decimal"

	"github.com/orgkit/orgkit/rbac"
)

// Amount is money in USD at the edges: read from the digits of a JSON number or string, never
// through a float, and written as a plain number (F467). The zero Amount is 0.
type Amount struct{ d decimal.Decimal }

// NewAmount returns the amount of a decimal.
func NewAmount(d decimal.Decimal) Amount { return Amount{d} }

// Decimal returns the amount for computing.
func (a Amount) Decimal() decimal.Decimal { return a.d }

// String is the plain decimal.
func (a Amount) String() string { return a.d.String() }

// MarshalJSON writes a plain number.
func (a Amount) MarshalJSON() ([]byte, error) { return []byte(a.d.String()), nil }

// UnmarshalJSON reads a number, or a string that holds one.
func (a *Amount) UnmarshalJSON(b []byte) (err error) {
	a.d, err = rbac.ParseAmountJSON(b)
	return err
}

// Value keeps the amount in a database as a decimal.
func (a Amount) Value() (driver.Value, error) { return a.d.Value() }

// Scan reads what Value wrote.
func (a *Amount) Scan(v any) error { return a.d.Scan(v) }
