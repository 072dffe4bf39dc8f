package billing

import (
	"fmt"
	"slices"
)

// Model is one model that the host serves.
type Model struct {
	ID              string
	Aliases         []string
	Provider        string
	Price           *Price // nil: unknown, which hard budgets refuse
	MaxOutputTokens int64  // 0: unknown
}

// Catalogue is the models of a host. It never changes and is safe for concurrent use. A nil
// Catalogue is empty.
type Catalogue struct {
	models []Model
	byName map[string]int
}

// NewCatalogue returns a catalogue. An id or alias that is empty or given twice is an error.
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
	return c, nil
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
