package rest

import (
	"net/http"

	"github.com/orgkit/orgkit/orgs"
)

// patterns notes what is served.
type patterns struct {
	http.ServeMux
	list []string
}

// HandleFunc notes the pattern.
func (p *patterns) HandleFunc(pattern string, h func(http.ResponseWriter, *http.Request)) {
	p.list = append(p.list, pattern)
	p.ServeMux.HandleFunc(pattern, h)
}

// Patterns are all that a handler with these options serves by itself.
func Patterns(m *orgs.Manager, o *Options) ([]string, error) {
	a, mux := &api{Manager: m, opt: *o}, &patterns{}
	err := a.serve(mux)
	return mux.list, err
}
