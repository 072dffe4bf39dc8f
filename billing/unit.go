package billing

import (
	"github.com/shopspring/decimal"
)

// Unit is what a price is for.
type Unit string

// The units. A new one is a row of units, a field of [Usage] and of [Price].
const (
	InputToken       Unit = "input_token"
	CachedInputToken Unit = "cached_input_token" // of the input; without a price of its own it is an InputToken
	OutputToken      Unit = "output_token"
	Image            Unit = "image"
	Request          Unit = "request" // each call is one; without a price it is free
)

// units are all of them, in the order of quantities.
var units = [...]Unit{InputToken, CachedInputToken, OutputToken, Image, Request}

// The places of the units that rules are about.
const (
	input = iota
	cached
	output
	_
	request
)

// Component is the price of one unit in the currency of its book, with at most 15 decimals.
type Component struct {
	Unit  Unit
	Price decimal.Decimal
}

// quantities are numbers of units.
type quantities [len(units)]int64

// quantities are what the usage has of each unit.
func (u Usage) quantities() quantities {
	return quantities{u.InputTokens - u.CachedTokens, u.CachedTokens, u.OutputTokens, u.Images, 1}
}
