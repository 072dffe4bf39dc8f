package billing

import (
	"maps"
	"regexp"
	"slices"
	"strconv"
	"time"

	"github.com/orgkit/orgkit/store"
)

// Book is what models cost, now and at other times. It never changes and is safe for concurrent use;
// a host whose prices change gives its catalogue another one ([Catalogue.SetPrices]). A book keeps the
// versions of the past, so that what was reserved by them can be settled by them. A nil Book is empty.
type Book struct {
	currency string
	models   map[string][]*PriceVersion // ascending
	ids      map[string]*PriceVersion
}

// budgetCurrency is that of all budgets. Nothing is converted, and nothing mixed with it (billing edge 24).
const budgetCurrency = "USD"

var errCurrency = store.Invalid("currency", "enum", "must be "+budgetCurrency+", in which budgets are kept")

var currencyForm = regexp.MustCompile(`^[A-Z]{3}$`)

// NewBook returns a book of prices in one currency (ISO 4217). A version that cannot be, or two of one
// model from the same instant on, are a *store.FieldError that names model and unit.
func NewBook(currency string, prices ...ModelPrice) (*Book, error) {
	if !currencyForm.MatchString(currency) {
		return nil, store.Invalid("currency", "pattern", "must be a code of ISO 4217")
	}
	b := &Book{currency: currency, models: map[string][]*PriceVersion{}, ids: map[string]*PriceVersion{}}
	for _, p := range prices {
		at := versionField(p.Model, len(b.models[p.Model]))
		v, err := p.version(currency, at)
		if err != nil {
			return nil, err
		}
		b.models[p.Model], b.ids[v.ID] = append(b.models[p.Model], v), v
	}
	for name, list := range b.models {
		if err := inOrder(name, list); err != nil {
			return nil, err
		}
	}
	return b, nil
}

// versionField is how errors name the i-th version of a model.
func versionField(model string, i int) string { return "models." + model + "[" + strconv.Itoa(i) + "]" }

// inOrder sorts the versions of a model. None may begin when another one does.
func inOrder(model string, list []*PriceVersion) error {
	slices.SortStableFunc(list, func(a, b *PriceVersion) int { return a.From.Compare(b.From) })
	for i, v := range list[1:] {
		if v.From.Equal(list[i].From) {
			return store.Invalid("models."+model, "duplicate", "has two prices from the same instant on")
		}
	}
	return nil
}

// Currency is that of all its prices; "" of an empty book.
func (b *Book) Currency() string {
	if b == nil {
		return ""
	}
	return b.currency
}

// At returns what the model costs at an instant. It knows models by the names that the book has for
// them; [Catalogue.PriceAt] knows their aliases too.
func (b *Book) At(model string, at time.Time) (*PriceVersion, bool) {
	if b == nil {
		return nil, false
	}
	return versionAt(b.models[model], at)
}

// versionAt is the last version that has begun.
func versionAt(list []*PriceVersion, at time.Time) (*PriceVersion, bool) {
	for i := len(list) - 1; i >= 0; i-- { // mostly the last one
		if !list[i].From.After(at) {
			return list[i], true
		}
	}
	return nil, false
}

// Version returns a version by its id.
func (b *Book) Version(id string) (*PriceVersion, bool) {
	if b == nil {
		return nil, false
	}
	v, ok := b.ids[id]
	return v, ok
}

// Versions returns those of a model, the oldest first.
func (b *Book) Versions(model string) []*PriceVersion {
	if b == nil {
		return nil
	}
	return slices.Clone(b.models[model])
}

// Models returns the names that the book prices, sorted.
func (b *Book) Models() []string {
	if b == nil {
		return nil
	}
	return slices.Sorted(maps.Keys(b.models))
}
