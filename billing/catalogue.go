package billing

import (
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	"github.com/orgkit/orgkit/store"
)

// Model is one model that the host serves.
type Model struct {
	ID              string
	Aliases         []string
	Provider        string
	Price           *Price // always the same one; nil: unknown, or in the book that SetPrices is given
	MaxOutputTokens int64  // the most that it answers with; 0: unknown
}

// Catalogue is the models of a host and what they cost. The models never change; the prices do, by
// [Catalogue.SetPrices]. It is safe for concurrent use. A nil Catalogue is empty.
type Catalogue struct {
	models []Model
	byName map[string]int
	prices atomic.Pointer[priced]
}

// NewCatalogue returns a catalogue with the prices that its models have. An id or alias that is empty
// or given twice is an error, as is a price that is negative, too large, or has more than 15 decimals
// per unit.
func NewCatalogue(models ...Model) (*Catalogue, error) {
	c := &Catalogue{models: slices.Clone(models), byName: map[string]int{}}
	for i, m := range c.models {
		for _, name := range append([]string{m.ID}, m.Aliases...) {
			if _, taken := c.byName[name]; taken || name == "" {
				return nil, fmt.Errorf("billing: model name %q is empty or given twice", name)
			}
			c.byName[name] = i
		}
	}
	var prices []ModelPrice
	for _, m := range c.models {
		if m.Price != nil {
			prices = append(prices, ModelPrice{Model: m.ID, Components: m.Price.Components()})
		}
	}
	book, err := NewBook(budgetCurrency, prices...)
	if err != nil {
		return nil, fmt.Errorf("billing: %w", err)
	}
	return c, c.SetPrices(book)
}

// Resolve returns the model of an id or alias, case-sensitive.
func (c *Catalogue) Resolve(name string) (Model, bool) {
	if c == nil {
		return Model{}, false
	}
	i, ok := c.byName[name]
	if !ok {
		return Model{}, false
	}
	return c.models[i], true
}

// Models returns all models in the order in which they were given.
func (c *Catalogue) Models() []Model {
	if c == nil {
		return nil
	}
	return slices.Clone(c.models)
}

// priced is a book as a catalogue reads it: by the place of the model, whatever name the book has for
// it.
type priced struct {
	book   *Book
	models [][]*PriceVersion
}

// read looks every name of the book up.
func (c *Catalogue) read(b *Book) (*priced, error) {
	p := &priced{book: b, models: make([][]*PriceVersion, len(c.models))}
	if b == nil {
		return p, nil
	}
	if b.currency != budgetCurrency {
		return nil, errCurrency
	}
	for _, name := range b.Models() {
		i, ok := c.byName[name]
		if !ok {
			return nil, store.Invalid("models."+name, "unknown", "is not served")
		}
		p.models[i] = append(p.models[i], b.models[name]...)
	}
	for i, list := range p.models {
		if len(list) == 0 {
			continue
		}
		if err := inOrder(c.models[i].ID, list); err != nil {
			return nil, err
		}
	}
	return p, nil
}

// SetPrices puts another book in the place of the present one, at once and for every caller: from then
// on it alone says what models cost, and [Model.Price] no more. What is reserved settles by the price
// that it was reserved by. A book that names a model which is not served, by its id or an alias, or is not
// in USD, is a *store.FieldError, and the present one stays.
func (c *Catalogue) SetPrices(b *Book) error {
	if c == nil {
		return errors.New("billing: no catalogue")
	}
	p, err := c.read(b)
	if err != nil {
		return err
	}
	c.prices.Store(p)
	return nil
}

// Prices returns the present book.
func (c *Catalogue) Prices() *Book {
	if c == nil {
		return nil
	}
	return c.prices.Load().book
}

// PriceAt returns what a model, named by id or alias, costs at an instant.
func (c *Catalogue) PriceAt(name string, at time.Time) (*PriceVersion, bool) {
	v, _ := c.priceAt(name, at)
	return v, v != nil
}

// priceAt is PriceAt, nil when nothing is known, and the longest answer of the model.
func (c *Catalogue) priceAt(name string, at time.Time) (v *PriceVersion, maxOutput int64) {
	i := c.Place(name)
	if i < 0 {
		return nil, 0
	}
	v, _ = versionAt(c.prices.Load().models[i], at)
	return v, c.models[i].MaxOutputTokens
}
