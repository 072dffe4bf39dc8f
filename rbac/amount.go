package rbac

import (
	"bytes"
	"encoding/json"
	"errors"
	"regexp"

	"github.com/shopspring/decimal"
)

// ErrAmount: a text is no amount of money. The text is not repeated.
var ErrAmount = errors.New("must be a plain decimal that is not negative, with at most 18 digits before and 12 after the point")

var amountForm = regexp.MustCompile(`^(0|[1-9][0-9]{0,17})(\.[0-9]{1,12})?$`)

// ParseAmount reads an amount of money from its digits (F467). Exponents, signs, NaN and Infinity
// are refused before anything is computed, so that no text can be expensive.
func ParseAmount(s string) (decimal.Decimal, error) {
	if !amountForm.MatchString(s) {
		return decimal.Decimal{}, ErrAmount
	}
	return decimal.NewFromString(s)
}

// ParseAmountJSON reads a JSON number, or a string that holds one, never through a float.
func ParseAmountJSON(b []byte) (decimal.Decimal, error) {
	b = bytes.TrimSpace(b)
	if len(b) > 0 && b[0] == '"' {
		var s string
		if json.Unmarshal(b, &s) != nil {
			return decimal.Decimal{}, ErrAmount
		}
		return ParseAmount(s)
	}
	return ParseAmount(string(b))
}
